//! Segmentations whose tables are distributed like the orders: what they hold, where it is computed, and what becomes of it
//! when servers fail, come and go.

use crate::cluster::*;
use crate::common::*;

/// More sources of the shop of [`SHOP`], of both schemas. What is not of customers stays on the coordinator.
const MORE: &str = r#"
    CREATE TABLE near.log AS
    SELECT *, 'spring' AS campaign, (ARRAY['a', 'holdout'])[1 + (customer_id % 2)::integer] AS test_group
    FROM near.contacts;
    CREATE TABLE near.memberships AS
    SELECT (i * 11 % 390)::bigint AS customer_id, (ARRAY['continuing', 'paused', 'withdrawn'])[1 + i % 3] AS membership,
           date '2024-02-01' + i * 19 % 800 AS since
    FROM generate_series(1, 300) AS i;
    CREATE TABLE near.targets AS
    SELECT 'revenue' AS kpi, '2026-06-01'::date AS period, 9000 AS target;
    CREATE TABLE near.costs AS
    SELECT 'acquisition' AS purpose, '2026-06-01'::date AS period, 500 AS amount;
    CREATE TABLE far.log (LIKE near.log);
    CREATE TABLE far.memberships (LIKE near.memberships);
    SELECT create_distributed_table('far.' || name, 'customer_id') FROM unnest('{log,memberships}'::text[]) AS t (name);
    INSERT INTO far.log SELECT * FROM near.log;
    INSERT INTO far.memberships SELECT * FROM near.memberships"#;

/// A segmentation of all sources, which has all views.
fn create(place: &str) -> String {
    format!(
        "SELECT create_segmentation('{place}', '{place}.orders', as_of => '2026-06-30', order_id => 'order_no',
             engagement => '{place}.events', contacts => '{place}.log', customers => '{place}.customers',
             membership_log => '{place}.memberships', targets => 'near.targets', costs => 'near.costs',
             attributes => '{{prefecture}}', first_order => '{{shop_id}}', model => '{{}}', readers => '{{public}}')"
    )
}

/// The shop with both segmentations.
fn shop(name: &str) -> Option<(Cluster, Client)> {
    let cluster = Cluster::new(name)?;
    let mut client = cluster.client();
    for sql in [SHOP, MORE, &create("near"), &create("far")] {
        batch(&mut client, sql);
    }
    Some((cluster, client))
}

/// What happens in a shop: `{}` is the schema of the tables, and the segmentation.
const LIFE: [&str; 6] = [
    "INSERT INTO {}.orders SELECT 9000 + i, i * 3, '2026-06-29', 10.5 + i, false, 1 FROM generate_series(1, 150) AS i;
     SELECT refresh_segmentation('{}')",
    "UPDATE {}.orders SET amount = amount + 1 WHERE customer_id = 5;
     DELETE FROM {}.orders WHERE customer_id IN (7, 400);
     INSERT INTO {}.events VALUES (8, 'review', '2026-06-01'), (500, 'review', '2026-06-01');
     UPDATE {}.customers SET membership = 'withdrawn' WHERE customer_id = 9;
     DELETE FROM {}.customers WHERE customer_id IN (7, 390, 391, 12);
     INSERT INTO {}.customers VALUES (900, 'continuing', 'c900@example.com', 'Tokyo');
     DELETE FROM {}.memberships WHERE customer_id < 20; INSERT INTO {}.log VALUES (3, 'sms', '2026-06-20', 'june', 'a');
     SELECT refresh_segmentation('{}')",
    "SELECT refresh_segmentation('{}', as_of => '2026-07-31')",
    "SELECT alter_segmentation('{}', policy => 'learn')",
    "SELECT alter_segmentation('{}', reset => '{attributes}', lang => 'ja')",
    "INSERT INTO {}.orders VALUES (9999, 900, '2026-08-03', 5, false, 2); SELECT refresh_segmentation('{}', as_of => '2026-08-05')",
];

#[test]
fn every_view_is_that_of_one_server() {
    let Some((_cluster, mut client)) = shop("citus_shards_alike") else { return };
    let distributed = "SELECT string_agg(relname::text, ',' ORDER BY relname) FROM pg_dist_partition
                       JOIN pg_class ON oid = logicalrelid WHERE relname LIKE 'far\\_%'";
    assert_eq!(
        text(&mut client, distributed),
        "far_campaign_members,far_contacts,far_customers,far_engagement,far_first_orders,far_histories,far_memberships,far_profiles"
    );
    let apart = "SELECT count(DISTINCT colocationid) FROM pg_dist_partition
                 WHERE logicalrelid IN ('far.orders'::regclass, 'far_customers', 'far_histories', 'far_campaign_members')";
    assert_eq!(count(&mut client, apart), 1);
    assert_alike(&mut client, "as made");
    assert_eq!(count(&mut client, "SELECT count(*) FROM far_changes"), 0);
    for (place, happens) in LIFE.iter().enumerate() {
        for schema in ["near", "far"] {
            batch(&mut client, &happens.replace("{}", schema));
        }
        assert_alike(&mut client, &format!("after change {place}"));
        assert_changes_alike(&mut client, &format!("after change {place}"));
    }
    assert!(count(&mut client, "SELECT count(*) FROM far_changes WHERE to_value IS NULL") > 0, "somebody went");
}

#[track_caller]
fn assert_changes_alike(client: &mut Client, when: &str) {
    let [far, near] = ["far", "near"].map(|place| {
        format!("SELECT as_of::text, customer_id, what, from_value, to_value FROM {place}_changes")
    });
    assert_same_rows(client, &format!("changes {when}"), &far, &near, 1);
}
