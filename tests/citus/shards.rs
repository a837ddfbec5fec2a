//! Segmentations whose tables are distributed like the orders: what they hold, where it is computed, and what becomes of it
//! when servers fail, come and go.

use std::thread;

use crate::cluster::*;
use crate::common::*;

/// More sources of the shop of [`SHOP`], of both schemas. What is not of customers stays on the coordinator.
pub const MORE: &str = r#"
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
pub fn create(place: &str, more: &str) -> String {
    format!(
        "SELECT create_segmentation('{place}', '{place}.orders', as_of => '2026-06-30', order_id => 'order_no',
             engagement => '{place}.events', contacts => '{place}.log', customers => '{place}.customers',
             membership_log => '{place}.memberships', targets => 'near.targets', costs => 'near.costs',
             attributes => '{{prefecture}}', first_order => '{{shop_id}}', model => '{{}}', readers => '{{public}}'{more})"
    )
}

/// The shop with both segmentations.
fn shop(name: &str) -> Option<(Cluster, Client)> {
    let cluster = Cluster::new(name)?;
    let mut client = cluster.client();
    for sql in [SHOP, MORE, &create("near", ""), &create("far", "")] {
        batch(&mut client, sql);
    }
    Some((cluster, client))
}

/// What happens in a shop: `{}` is the schema of the tables, and the segmentation.
pub const LIFE: [&str; 6] = [
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
pub fn assert_changes_alike(client: &mut Client, when: &str) {
    assert_changes_alike_by(client, when, "customer_id");
}

#[track_caller]
fn assert_changes_alike_by(client: &mut Client, when: &str, keys: &str) {
    let [far, near] = ["far", "near"]
        .map(|place| format!("SELECT as_of::text, {keys}, what, from_value, to_value FROM {place}_changes"));
    assert_same_rows(client, &format!("changes {when}"), &far, &near, 1);
}

/// What the workers are told to do while a segmentation is refreshed.
#[test]
fn every_shard_writes_its_own_rows() {
    let Some((cluster, mut client)) = shop("citus_shards_plans") else { return };
    batch(&mut client, &LIFE[0].replace("{}", "near"));
    batch(&mut client, "INSERT INTO far.orders SELECT * FROM near.orders WHERE order_no > 9000");
    let said = cluster.database.said(
        "SET citus.log_remote_commands = on; SET client_min_messages = debug1;
         SELECT rfm.refresh_segmentation('far', as_of => '2026-07-31')",
    );
    for table in [
        "histories",
        "first_orders",
        "engagement",
        "contacts",
        "memberships",
        "profiles",
        "campaign_members",
        "customers",
    ] {
        for statement in ["DELETE FROM", "INSERT INTO"] {
            let issued = format!("issuing {statement} public.far_{table}_");
            let mut shards: Vec<_> =
                said.match_indices(&issued).map(|(at, _)| &said[at + issued.len()..][..6]).collect();
            shards.sort_unstable();
            shards.dedup();
            assert_eq!(shards.len(), 8, "{statement} {table}");
        }
        assert!(!said.contains(&format!("COPY public.far_{table}")), "{table} comes from the coordinator");
    }
    for other in ["INSERT ... SELECT results on coordinator", "repartitioned INSERT ... SELECT"] {
        assert!(!said.contains(other), "{other}");
    }
}

/// The status, a row that the coordinator sends, would be taken for a thousand by a worker that joins it: what comes after
/// would be sorted on disk.
#[test]
fn no_worker_joins_the_status() {
    let Some((_cluster, mut client)) = shop("citus_shards_status") else { return };
    let definition =
        |client: &mut Client, view: &str| text(client, &format!("SELECT pg_get_viewdef('{view}'::regclass)"));
    let mut queries = vec!["SELECT customer_id, as_of, policy, model FROM far_facts".to_owned()];
    for view in ["far_transitions", "far_movement_by", "far_cohorts", "far_cohorts_by"] {
        queries.push(definition(&mut client, view));
    }
    for query in queries {
        let plan = plan(&mut client, query.trim_end_matches(';'));
        let (_, on_shards) = plan.split_once("Task Count: 8").expect("every shard has a task");
        // What follows is read by the coordinator.
        let rest = ["Distributed Subplan", "Task Count: "].into_iter().filter_map(|next| on_shards.find(next)).min();
        let on_shards = &on_shards[..rest.unwrap_or(on_shards.len())];
        let lines: Vec<_> = on_shards.lines().collect();
        let asked: Vec<_> = lines
            .windows(2)
            .filter(|pair| pair[1].contains("Function Scan on pg_catalog.read_intermediate_result"))
            .collect();
        assert!(!asked.is_empty(), "{plan}");
        assert!(asked.iter().all(|pair| pair[0].contains("InitPlan")), "{plan}");
    }
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let Some((cluster, mut client)) = shop("citus_shards_dropped") else { return };
    let there = "SELECT count(*) FROM pg_class WHERE relname LIKE 'far\\_%'";
    assert!(count(&mut client, there) > 20);
    let on_workers = |cluster: &Cluster| -> i64 {
        cluster
            .workers
            .iter()
            .map(|worker| {
                let mut worker = cluster.worker(worker);
                batch(&mut worker, "SET citus.override_table_visibility = off");
                count(&mut worker, there)
            })
            .sum()
    };
    assert!(on_workers(&cluster) > 60);
    batch(&mut client, "SELECT drop_segmentation('far')");
    assert_eq!((count(&mut client, there), on_workers(&cluster)), (0, 0));
}

/// A worker dies while a refresh waits for it, half of which is written.
#[test]
fn a_refresh_whose_worker_died_wrote_nothing() {
    let Some((cluster, mut client)) = shop("citus_shards_killed") else { return };
    batch(&mut client, &LIFE[0].replace("{}", "near").replace("SELECT refresh_segmentation('near')", ""));
    batch(&mut client, &LIFE[0].replace("{}", "far").replace("SELECT refresh_segmentation('far')", ""));
    let worker = &cluster.workers[1];
    let shard = text(
        &mut client,
        &format!(
            "SELECT 'public.' || shard_name FROM citus_shards
             WHERE table_name = 'far_customers'::regclass AND nodename = '{worker}' ORDER BY shardid LIMIT 1"
        ),
    );
    let mut blocker = cluster.worker(worker);
    let mut watch = cluster.worker(worker);
    let lock = format!("SET citus.enable_manual_changes_to_shards = on; BEGIN; LOCK TABLE {shard} IN EXCLUSIVE MODE");
    batch(&mut blocker, &lock);
    thread::scope(|scope| {
        let mut client = cluster.client();
        let refresh = scope.spawn(move || client.batch_execute("SELECT refresh_segmentation('far')").is_err());
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        let written = "SELECT count(*) FROM pg_locks WHERE relation::regclass::text LIKE '%far_histories%' AND granted";
        wait_until("the refresh waits", || count(&mut watch, waits) > 0);
        assert!(count(&mut watch, written) > 0, "histories are written by then");
        cluster.kill_second_worker();
        assert!(refresh.join().expect("the thread ends"), "the refresh failed");
    });
    cluster.start_second_worker();
    let mut client = cluster.client();
    batch(&mut client, "SELECT recover_prepared_transactions()");
    assert_alike(&mut client, "nothing of the refresh is there");
    for_both(&mut client, "SELECT refresh_segmentation('{}')");
    assert_alike(&mut client, "after the next one");
    assert_changes_alike(&mut client, "after the next one");
}

#[test]
fn shards_move_and_servers_come() {
    let Some((cluster, mut client)) = shop("citus_shards_moved") else { return };
    let [from, to] = [&cluster.workers[0], &cluster.workers[1]];
    let shard = format!(
        "SELECT shardid FROM citus_shards WHERE table_name = 'far.orders'::regclass AND nodename = '{from}' LIMIT 1"
    );
    let shard = count(&mut client, &shard);
    let moved = format!("SELECT citus_move_shard_placement({shard}, '{from}', 5432, '{to}', 5432, 'block_writes')");
    batch(&mut client, &moved);
    for_both(&mut client, LIFE[0]);
    assert_alike(&mut client, "after a shard was moved");
    // What is refreshed meanwhile waits, or is waited for.
    batch(&mut client, &format!("SELECT citus_add_node('{}', 5432)", cluster.spare));
    thread::scope(|scope| {
        let mut other = cluster.client();
        let balanced = scope.spawn(move || {
            batch(&mut other, "SELECT rebalance_table_shards('far.orders', shard_transfer_mode => 'block_writes')");
        });
        batch(&mut client, "SELECT refresh_segmentation('far', as_of => '2026-07-01')");
        balanced.join().expect("shards are balanced");
    });
    let there = format!(
        "SELECT count(*) FROM citus_shards WHERE table_name = 'far_customers'::regclass AND nodename = '{}'",
        cluster.spare
    );
    assert!(count(&mut client, &there) > 0, "the new server has shards");
    batch(&mut client, "SELECT refresh_segmentation('near', as_of => '2026-07-01')");
    for_both(&mut client, LIFE[1]);
    assert_alike(&mut client, "after a server was added");
    assert_changes_alike(&mut client, "after a server was added");
}

/// Where the only attribute is one of first orders, nothing asks of a customer whether there is one.
#[test]
fn one_attribute_of_first_orders_is_enough() {
    let Some(cluster) = Cluster::new("citus_shards_first_order") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    for_both(
        &mut client,
        "SELECT create_segmentation('{}', '{}.orders', as_of => '2026-06-30', order_id => 'order_no', first_order => '{shop_id}')",
    );
    assert_alike(&mut client, "as made");
    assert!(count(&mut client, "SELECT count(*) FROM far_movement_by") > 0);
    for_both(
        &mut client,
        "INSERT INTO {}.orders SELECT 9000 + i, 300 + i, '2026-06-29', 10, false, i % 3 FROM generate_series(1, 60) AS i;
         SELECT refresh_segmentation('{}', as_of => '2026-07-31')",
    );
    assert_alike(&mut client, "after orders came");
}

/// A shop of several tenants, distributed by tenant; keys are texts.
#[test]
fn tenants_stay_together() {
    let Some(cluster) = Cluster::new("citus_shards_tenants") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    for schema in ["near", "far"] {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE {schema}.sales AS SELECT 'shop ' || shop_id AS shop, 'c' || customer_id AS customer, order_no,
                     ordered_at, amount FROM near.orders;
                 CREATE TABLE {schema}.people AS SELECT DISTINCT shop::varchar(20) AS shop, customer || CASE WHEN order_no % 9 = 0
                     THEN 'p' ELSE '' END AS customer, 'continuing' AS membership FROM {schema}.sales"
            ),
        );
    }
    batch(
        &mut client,
        "ALTER TABLE far.people ALTER shop TYPE text;
         SELECT create_distributed_table('far.sales', 'shop'); SELECT create_distributed_table('far.people', 'shop')",
    );
    for schema in ["near", "far"] {
        batch(
            &mut client,
            &format!(
                "SELECT create_segmentation('{schema}', '{schema}.sales', tenant => 'shop', customer => 'customer',
                     order_id => 'order_no', as_of => '2026-06-30', customers => '{schema}.people')"
            ),
        );
    }
    assert_eq!(text(&mut client, "SELECT relkind::text FROM pg_class WHERE relname = 'far_customers'"), "r");
    assert_alike(&mut client, "as made");
    for schema in ["near", "far"] {
        batch(
            &mut client,
            &format!(
                "DELETE FROM {schema}.sales WHERE customer = 'c8'; DELETE FROM {schema}.people WHERE shop = 'shop 2';
                 INSERT INTO {schema}.sales VALUES ('new', 'c8', 9001, '2026-07-01', 8);
                 SELECT refresh_segmentation('{schema}', as_of => '2026-07-31')"
            ),
        );
    }
    assert_alike(&mut client, "after a month");
    assert_changes_alike_by(&mut client, "after a month", "shop, customer");
}

/// Where another source does not lie beside the orders, all stays on the coordinator, until it does.
#[test]
fn one_source_elsewhere_keeps_all_on_the_coordinator() {
    let Some(cluster) = Cluster::new("citus_shards_elsewhere") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    let create = |schema: &str, people: &str| {
        format!(
            "SELECT rfm.create_segmentation('{schema}', '{schema}.orders', order_id => 'order_no', as_of => '2026-06-30',
                 customers => '{people}', attributes => '{{prefecture}}')"
        )
    };
    let kind = "SELECT relkind::text FROM pg_class WHERE relname = 'far_customers'";
    batch(&mut client, &create("near", "near.customers"));
    let said = cluster.database.said(&create("far", "near.customers"));
    let why = "far: near.customers is not distributed like far.orders: the tables of the segmentation stay on the coordinator";
    assert!(said.contains(why), "{said}");
    assert_eq!(text(&mut client, kind), "m");
    assert_alike(&mut client, "on the coordinator");
    batch(&mut client, "SELECT alter_segmentation('far', customers => 'far.customers')");
    assert_eq!(text(&mut client, kind), "r");
    assert_alike(&mut client, "on shards");
    batch(&mut client, "SELECT undistribute_table('far.customers'); SELECT alter_segmentation('far')");
    assert_eq!(text(&mut client, kind), "m");
    assert_alike(&mut client, "on the coordinator again");
    assert_eq!(count(&mut client, "SELECT count(*) FROM far_changes"), 0);
}

/// Who owns it is no superuser, and who reads it owns nothing.
#[test]
fn it_belongs_to_a_role_and_another_reads_it() {
    let Some(cluster) = Cluster::new("citus_shards_roles") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    let roles = Roles::create(&cluster.database, &["owner", "reader"]);
    let [owner, reader] = ["owner", "reader"].map(|role| roles.name(role));
    batch(
        &mut client,
        &format!(
            "ALTER ROLE {owner} LOGIN; ALTER ROLE {reader} LOGIN; GRANT CONNECT ON DATABASE {} TO {owner}, {reader};
             CREATE SCHEMA segments; GRANT ALL ON SCHEMA segments TO {owner}; ALTER SCHEMA segments OWNER TO {owner};
             GRANT USAGE ON SCHEMA far, rfm TO {owner}; GRANT USAGE ON SCHEMA segments, rfm TO {reader};
             GRANT SELECT ON far.orders, far.customers TO {owner}",
            cluster.database.name
        ),
    );
    let mut owns = roles.client("owner");
    batch(
        &mut owns,
        &format!(
            "SELECT rfm.create_segmentation('far', 'far.orders', order_id => 'order_no', as_of => '2026-06-30',
                 customers => 'far.customers', schema => 'segments', readers => '{{{reader}}}');
             SELECT rfm.refresh_segmentation('far', as_of => '2026-07-31')"
        ),
    );
    batch(
        &mut client,
        "SELECT create_segmentation('near', 'near.orders', order_id => 'order_no', as_of => '2026-07-31',
             customers => 'near.customers')",
    );
    let mut reads = roles.client("reader");
    assert_eq!(count(&mut reads, "SELECT count(*) FROM segments.far_customers_today"), 421);
    let (sqlstate, ..) = expect_error(&mut reads, "SELECT count(*) FROM segments.far_histories");
    assert_eq!(sqlstate, "42501");
    let (sqlstate, ..) = expect_error(&mut reads, "DELETE FROM segments.far_customers");
    assert_eq!(sqlstate, "42501");
    assert_same_rows(
        &mut client,
        "customers",
        "SELECT t::text FROM (SELECT * FROM segments.far_customers OFFSET 0) AS t",
        "SELECT t::text FROM near_customers AS t",
        421,
    );
    batch(&mut owns, "SELECT rfm.drop_segmentation('far')");
}

/// A dump of the coordinator holds the rows of all shards; on one server the tables are written in the same way, until
/// alter_segmentation makes them anew.
#[test]
fn a_dump_lives_on_one_server() {
    let Some((cluster, mut client)) = shop("citus_shards_dump") else { return };
    let dump = run(program("pg_dump").args(["-n", "public", "-n", "far", "-n", "near", &cluster.database.name]));
    let restored = Database::empty("citus_shards_restored");
    restored.psql("CREATE SCHEMA rfm; CREATE EXTENSION pg_rfm SCHEMA rfm; DROP SCHEMA public");
    run_with_input(program("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &restored.name]), dump);
    let mut one = quiet(&restored);
    batch(&mut one, "SET search_path = public, rfm");
    let kind = "SELECT relkind::text FROM pg_class WHERE relname = 'far_customers'";
    assert_eq!(text(&mut one, kind), "r");
    assert_alike(&mut one, "as restored");
    for happens in [LIFE[0], LIFE[1], LIFE[2]] {
        for schema in ["near", "far"] {
            batch(&mut one, &happens.replace("{}", schema));
        }
    }
    assert_alike(&mut one, "after refreshes");
    assert_changes_alike(&mut one, "after refreshes");
    batch(&mut one, "SELECT alter_segmentation('far')");
    assert_eq!(text(&mut one, kind), "m");
    batch(&mut one, "SELECT refresh_segmentation('far', as_of => '2026-07-31')");
    assert_alike(&mut one, "made anew");
    batch(&mut client, "SELECT refresh_segmentation('far')");
}
