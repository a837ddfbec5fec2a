//! Segmentations over distributed tables.

use crate::cluster::*;
use crate::common::*;

/// A segmentation of the tables of a schema.
fn create(place: &str, more: &str) -> String {
    format!(
        "SELECT create_segmentation('{place}', '{place}.orders', as_of => '2026-06-30', order_id => 'order_no',
             engagement => '{place}.events', contacts => '{place}.contacts', customers => '{place}.customers',
             attributes => '{{prefecture}}', first_order => '{{shop_id}}'{more})"
    )
}

#[test]
fn a_segmentation_of_distributed_orders_is_that_of_a_copy_here() {
    let Some(cluster) = Cluster::new("citus_segmentation") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    for place in ["near", "far"] {
        batch(&mut client, &create(place, ""));
    }
    assert_alike(&mut client, "as made");
    assert_eq!(count(&mut client, "SELECT count(*) FROM far_customers"), 421);
    for place in ["near", "far"] {
        batch(
            &mut client,
            &format!(
                "INSERT INTO {place}.orders SELECT 9000 + i, i * 3, '2026-06-29', 10.5 + i, false, 1 FROM generate_series(1, 120) AS i;
                 UPDATE {place}.orders SET amount = amount + 1 WHERE customer_id = 5;
                 DELETE FROM {place}.orders WHERE customer_id = 7;
                 INSERT INTO {place}.events VALUES (8, 'review', '2026-06-01');
                 UPDATE {place}.customers SET membership = 'withdrawn' WHERE customer_id = 9;
                 SELECT refresh_segmentation('{place}')"
            ),
        );
    }
    assert_alike(&mut client, "after a refresh");
    for place in ["near", "far"] {
        batch(&mut client, &format!("SELECT alter_segmentation('{place}', policy => 'learn')"));
    }
    assert_alike(&mut client, "with a learned policy");
}

/// The histories are made where the orders are: what comes is a row a customer, and not one an order.
#[test]
fn histories_come_and_orders_stay() {
    let Some(cluster) = Cluster::new("citus_histories") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    batch(&mut client, &create("far", ", views => '{}'"));
    batch(&mut client, "CREATE VIEW far.filtered AS SELECT * FROM far.orders WHERE shop_id < 2");
    batch(&mut client, "BEGIN");
    batch(&mut client, "SELECT create_segmentation('plain', 'far.filtered', as_of => '2026-06-30', views => '{}')");
    // What else is made in the transaction goes to the workers as before.
    assert_eq!(text(&mut client, "SELECT current_setting('citus.enable_ddl_propagation')"), "on");
    batch(&mut client, "COMMIT");
    for relation in ["far_histories", "plain_histories", "far_engagement", "far_contacts", "far_profiles"] {
        let query = format!(
            "SELECT query FROM segmentation_sql(split_part('{relation}', '_', 1)) WHERE relation ~ '{relation}$'"
        );
        let query = text(&mut client, &query);
        assert!(!query.contains("OFFSET"), "{query}");
        let plan = plan(&mut client, &query);
        assert!(
            plan.starts_with("Custom Scan (Citus Adaptive)") && plan.contains("Task Count: 8"),
            "{relation}\n{plan}"
        );
    }
}

/// Notes lie beside the orders, or the orders are not tracked.
#[test]
fn orders_without_a_place_for_notes_are_not_tracked() {
    let Some(cluster) = Cluster::new("citus_tracking") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    // Whatever reads them fails by another error.
    batch(&mut client, "INSERT INTO far.orders VALUES (1, 1, '2026-01-01', 'NaN', false, 1)");
    let refused = |client: &mut Client, sql: &str, relation: &str| {
        let (sqlstate, message, hint) = expect_error(client, sql);
        let expected = format!("{relation} is distributed by Citus, and the notes of its changes cannot lie beside it");
        assert_eq!((sqlstate.as_str(), message), ("0A000", expected));
        assert!(hint.ends_with("Or use track => 'none': each refresh reads all orders."), "{hint}");
    };
    let tracked = |orders: &str, more: &str| {
        format!("SELECT create_segmentation('s', '{orders}', order_id => 'order_no', track => 'trigger'{more})")
    };
    batch(
        &mut client,
        "CREATE TABLE far.everywhere (LIKE near.orders); SELECT create_reference_table('far.everywhere');
         CREATE TABLE far.numbered (LIKE near.orders); SELECT create_distributed_table('far.numbered', 'order_no')",
    );
    refused(&mut client, &tracked("far.everywhere", ""), "far.everywhere");
    refused(&mut client, &tracked("far.numbered", ""), "far.numbered");
    refused(&mut client, &tracked("far.orders", ", customers => 'near.customers'"), "far.orders");
    let (sqlstate, message, hint) = expect_error(&mut client, &tracked("far.orders", ""));
    assert_eq!(sqlstate, "55000", "{message}");
    assert!(message.contains("citus.enable_unsafe_triggers is off"), "{message}");
    assert!(hint.starts_with("SET citus.enable_unsafe_triggers = on"), "{hint}");

    // Orders here, other tables there: these are compared.
    batch(&mut client, "DELETE FROM far.orders WHERE amount = 'NaN'");
    let create = "SELECT rfm.create_segmentation('s', 'near.orders', order_id => 'order_no', as_of => '2026-06-30',
                      customers => 'far.customers', track => 'trigger')";
    let said = cluster.database.said(create);
    let compared = "s: far.customers cannot be tracked: Citus distributes it; every refresh compares all customers";
    assert!(said.contains(compared) && !said.contains("WARNING"), "{said}");
    batch(&mut client, "SELECT refresh_segmentation('s')");
    batch(&mut client, "UPDATE far.customers SET membership = 'withdrawn' WHERE customer_id = 9");
    batch(
        &mut client,
        "INSERT INTO near.orders VALUES (9001, 500, '2026-06-01', 5, false, 1); SELECT refresh_segmentation('s')",
    );
    assert_eq!(text(&mut client, "SELECT membership FROM s_customers WHERE customer_id = 9"), "withdrawn");
    assert_eq!(count(&mut client, "SELECT count(*) FROM s_customers"), 422);
    assert_eq!(text(&mut client, "SELECT rebuilt::text FROM s_status"), "false");
    let altered = "SELECT alter_segmentation('s', orders => 'far.numbered')";
    refused(&mut client, altered, "far.numbered");

    // A table of somebody else's is not what Citus knows.
    batch(
        &mut client,
        "CREATE TABLE public.pg_dist_partition AS SELECT 'near.orders'::regclass AS logicalrelid, 'h'::\"char\" AS partmethod,
             't'::\"char\" AS repmodel, 0 AS colocationid;
         SELECT refresh_segmentation('s', full => true)",
    );
    assert_eq!(text(&mut client, "SELECT rfm._distributed_tables('{near.orders,far.orders}')::text"), "{far.orders}");
}

/// In a schema that Citus distributes as a whole a segmentation is refused; the orders may lie there.
#[test]
fn a_schema_that_is_distributed_takes_no_segmentation() {
    let Some(cluster) = Cluster::new("citus_schema") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    batch(
        &mut client,
        "CREATE SCHEMA tenant; SELECT citus_schema_distribute('tenant');
         CREATE TABLE tenant.orders (LIKE near.orders); INSERT INTO tenant.orders SELECT * FROM near.orders",
    );
    let create = "SELECT create_segmentation('far', 'tenant.orders', as_of => '2026-06-30', order_id => 'order_no'";
    let (sqlstate, message, hint) = expect_error(&mut client, &format!("{create}, schema => 'tenant')"));
    assert_eq!(sqlstate, "0A000", "{message}");
    assert_eq!(message, "schema tenant is distributed by Citus: a segmentation stays on the coordinator");
    assert!(hint.contains("schema => "), "{hint}");
    batch(&mut client, &format!("{create})"));
    batch(
        &mut client,
        "SELECT create_segmentation('near', 'near.orders', as_of => '2026-06-30', order_id => 'order_no')",
    );
    assert_same_rows(
        &mut client,
        "customers",
        "SELECT t::text FROM far_customers AS t",
        "SELECT t::text FROM near_customers AS t",
        331,
    );
}
