//! The aggregates over distributed tables: what they answer, and where.

use crate::cluster::*;
use crate::common::*;

/// Grouped by the distribution column: the workers answer, the coordinator passes on.
const BY_CUSTOMER: [&str; 9] = [
    "SELECT customer_id, purchase_history(ordered_at, amount, discounted)::text FROM {}.orders GROUP BY customer_id",
    "SELECT customer_id, rfm_score(ordered_at, amount, '2026-06-30') FROM {}.orders GROUP BY customer_id",
    "SELECT customer_id, lifecycle_state(ordered_at, amount, '2026-06-30') FROM {}.orders GROUP BY customer_id",
    "SELECT customer_id, vip_score(ordered_at, amount, '2026-06-30') FROM {}.orders GROUP BY customer_id",
    "SELECT customer_id, next_action(ordered_at, amount, '2026-06-30') FROM {}.orders GROUP BY customer_id",
    "SELECT customer_id, s.* FROM (SELECT customer_id, purchase_history(ordered_at, amount) AS h FROM {}.orders
         GROUP BY customer_id) AS r CROSS JOIN LATERAL segment_customer(h, '2026-06-30') AS s",
    "SELECT customer_id, engagement_history(kind, happened_at)::text FROM {}.events GROUP BY customer_id",
    "SELECT customer_id, contact_history(channel, contacted_at, NULL, NULL, NULL)::text FROM {}.contacts
         GROUP BY customer_id",
    "SELECT customer_id, membership_history(membership, '2024-01-01')::text FROM {}.customers GROUP BY customer_id",
];

/// Of everybody at once: the workers count, or send rows, and the coordinator answers.
const OF_ALL: [&str; 16] = [
    "SELECT shop_id, purchase_history(ordered_at, amount)::text FROM {}.orders GROUP BY shop_id",
    "SELECT shop_id, rfm_score(ordered_at, amount, '2026-06-30') FROM {}.orders GROUP BY shop_id",
    "SELECT (proportion(discounted)).* FROM {}.orders",
    "SELECT shop_id, (proportion(amount > 100)).* FROM {}.orders GROUP BY shop_id",
    "SELECT shop_id, (ab_result(discounted, amount)).* FROM {}.orders GROUP BY shop_id",
    "SELECT rollup(h)::text FROM (SELECT purchase_history(ordered_at, amount) AS h FROM {}.orders
         GROUP BY customer_id) AS r",
    "SELECT rollup(e)::text FROM (SELECT engagement_history(kind, happened_at) AS e FROM {}.events
         GROUP BY customer_id) AS r",
    "SELECT rollup(c)::text FROM (SELECT contact_history(channel, contacted_at, NULL, NULL, NULL) AS c
         FROM {}.contacts GROUP BY customer_id) AS r",
    "SELECT rollup(m)::text FROM (SELECT membership_history(membership, '2024-01-01') AS m FROM {}.customers
         WHERE customer_id % 3 = 1 GROUP BY customer_id) AS r",
    "SELECT learn_policy(h, '2026-06-30', NULL)::text FROM (SELECT purchase_history(ordered_at, amount) AS h
         FROM {}.orders GROUP BY customer_id) AS r",
    "SELECT c.* FROM (SELECT count_cohorts(h, '2026-06-30', NULL) AS counts
         FROM (SELECT purchase_history(ordered_at, amount) AS h FROM {}.orders GROUP BY customer_id) AS r) AS q
         CROSS JOIN LATERAL unnest(counts) AS c",
    "SELECT c.* FROM (SELECT count_movements(h, '2025-01-01', '2026-01-01', '1 month', NULL, NULL, NULL, NULL) AS counts
         FROM (SELECT purchase_history(ordered_at, amount) AS h FROM {}.orders GROUP BY customer_id) AS r) AS q
         CROSS JOIN LATERAL unnest(counts) AS c",
    "SELECT c.* FROM (SELECT return_curve(h, '2026-06-30') AS curve FROM (SELECT purchase_history(ordered_at, amount) AS h
         FROM {}.orders GROUP BY customer_id) AS r) AS q CROSS JOIN LATERAL unnest(curve) AS c",
    "SELECT fit_purchase_model(h, '2025-06-30')::text FROM (SELECT purchase_history(ordered_at, amount) AS h
         FROM {}.orders GROUP BY customer_id) AS r",
    "SELECT (backtest_purchase_model(h, '2025-01-01', '2025-06-30')).* FROM (SELECT purchase_history(ordered_at, amount) AS h
         FROM {}.orders GROUP BY customer_id) AS r",
    r#"SELECT (forecast_purchases(h, '2025-06-30', 90,
           '{"model":"bgnbd","purchases":{"a":0.793,"alpha":30.9,"b":2.426,"r":0.243}}')).*
       FROM (SELECT purchase_history(ordered_at, amount) AS h FROM {}.orders GROUP BY customer_id) AS r"#,
];

#[test]
fn every_aggregate_answers_as_on_one_server() {
    let Some(cluster) = Cluster::new("citus_aggregates") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    let names: Vec<String> = client
        .query(
            // The triggers of segmentations call _note_customers.
            "SELECT DISTINCT proname::text FROM pg_proc
             WHERE prokind = 'a' AND pronamespace = 'rfm'::regnamespace AND proname <> '_note_customers'",
            &[],
        )
        .expect("pg_proc can be read")
        .iter()
        .map(|row| row.get(0))
        .collect();
    let queries: Vec<&str> = BY_CUSTOMER.into_iter().chain(OF_ALL).collect();
    for name in &names {
        assert!(queries.iter().any(|query| query.contains(&format!("{name}("))), "{name} is not compared");
    }
    // Each answer is kept as rows of text first: what is compared must not be planned together.
    for query in queries {
        for place in ["near", "far"] {
            let query = query.replace("{}", place);
            batch(
                &mut client,
                &format!(
                    "DROP TABLE IF EXISTS of_{place}; CREATE TEMP TABLE of_{place} AS SELECT q::text AS row FROM ({query}) AS q"
                ),
            );
        }
        assert_same_rows(&mut client, query, "SELECT row FROM of_far", "SELECT row FROM of_near", 1);
    }
}

#[test]
fn what_is_grouped_by_customer_is_answered_by_the_workers() {
    let Some(cluster) = Cluster::new("citus_plans") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    for query in BY_CUSTOMER {
        let plan = plan(&mut client, &query.replace("{}", "far"));
        // Nothing of the coordinator's above what comes from the workers, and the groups are made there.
        assert!(plan.starts_with("Custom Scan (Citus Adaptive)"), "{query}\n{plan}");
        assert!(plan.contains("Task Count: 8"), "{query}\n{plan}");
        assert!(plan.contains("Aggregate"), "{query}\n{plan}");
    }
    for (query, part) in [(OF_ALL[2], "_count_answer"), (OF_ALL[4], "_collect_result")] {
        let plan = plan(&mut client, &query.replace("{}", "far"));
        assert!(plan.contains("coord_combine_agg") && plan.contains("worker_partial_agg"), "{part}\n{plan}");
    }
}

/// Looked up by its name for each row, a function under a new name costs more than all the rest: the parts that travel are C.
#[test]
fn parts_of_aggregates_in_two_phases_are_not_looked_up_by_name() {
    let Some(cluster) = Cluster::new("citus_parts") else { return };
    let mut client = cluster.client();
    let slow = "SELECT coalesce(string_agg(f.oid::regprocedure::text, ', '), '')
                FROM pg_aggregate AS a JOIN pg_proc AS p ON p.oid = a.aggfnoid AND p.pronamespace = 'rfm'::regnamespace
                JOIN pg_proc AS f ON f.oid IN (a.aggtransfn, a.aggcombinefn, a.aggfinalfn)
                JOIN pg_language AS l ON l.oid = f.prolang
                WHERE l.lanname = 'internal' AND f.pronamespace = 'rfm'::regnamespace";
    assert_eq!(text(&mut client, slow), "");
}

/// `stored_policy` looks into the table of the server that asks. PostgreSQL's IS DISTINCT FROM has no name that could be
/// qualified: Citus sends it to workers, whose search path has only pg_catalog.
#[test]
fn what_workers_cannot_be_asked() {
    let Some(cluster) = Cluster::new("citus_cannot") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    batch(
        &mut client,
        "INSERT INTO segment_policies VALUES ('x', '{}', '2020-01-01');
         CREATE TABLE far.histories (customer_id bigint, h purchase_history);
         SELECT create_distributed_table('far.histories', 'customer_id');
         INSERT INTO far.histories SELECT customer_id, purchase_history(ordered_at, amount) FROM far.orders GROUP BY 1",
    );
    let states = |policy: &str| format!("SELECT count(lifecycle_state(h, '2026-06-30', {policy})) FROM far.histories");
    let (sqlstate, message, hint) = expect_error(&mut client, &states("stored_policy('x', CURRENT_DATE)"));
    assert_eq!((sqlstate.as_str(), message.as_str()), ("22023", "unknown stored policy: \"x\""));
    assert!(hint.contains("write (SELECT stored_policy(...)) instead"), "{hint}");
    assert_eq!(count(&mut client, &states("(SELECT stored_policy('x', CURRENT_DATE))")), 331);

    let differ = "SELECT count(*) FROM far.histories WHERE h IS DISTINCT FROM '{}'";
    let (sqlstate, message, _) = expect_error(&mut client, differ);
    assert_eq!(sqlstate, "42883", "{message}");
    assert!(message.contains("operator does not exist"), "{message}");
    assert_eq!(count(&mut client, "SELECT count(*) FROM far.histories WHERE (h = '{}') IS NOT TRUE"), 331);
}
