//! `internals`: what stands behind the views, in a schema of its own.

use crate::common::*;
use crate::shop::*;

/// A shop with every source, and the role `reporting` of the test's own.
const SOURCES: &str = "
    CREATE TABLE people (customer_id int, email text, city text);
    INSERT INTO people SELECT i, i || '@example.com', CASE WHEN i % 2 = 0 THEN 'Osaka' ELSE 'Kobe' END FROM generate_series(0, 39) AS i;
    CREATE TABLE events (customer_id int, kind text, happened_at date);
    INSERT INTO events SELECT i, 'review', date '2026-01-01' + i FROM generate_series(0, 30) AS i;
    CREATE TABLE sent (customer_id int, channel text, contacted_at date, campaign text);
    INSERT INTO sent SELECT i, 'email', date '2026-02-01' + i, 'spring' FROM generate_series(0, 30) AS i;
    CREATE TABLE log (customer_id int, membership text, since date);
    INSERT INTO log VALUES (1, 'paused', '2026-03-01');
    CREATE TABLE goals (kpi text, period date, target numeric);
    INSERT INTO goals VALUES ('revenue', '2026-06-01', 1000);
    CREATE TABLE spent (period date, purpose text, amount numeric);
    INSERT INTO spent VALUES ('2026-06-01', 'acquisition', 10);
    CREATE SCHEMA reports; CREATE SCHEMA behind;";

fn create(name: &str, internals: &str) -> String {
    format!(
        "SELECT create_segmentation('{name}', 'sales.orders', customers => 'people', engagement => 'events', contacts => 'sent',
             membership_log => 'log', targets => 'goals', costs => 'spent', attributes => '{{city}}', first_order => '{{order_no}}',
             model => '{{}}', backtests => 0, as_of => '2026-06-30', track => 'trigger', schema => 'reports'{internals})"
    )
}

/// The relations and functions of a schema whose names begin with that of the segmentation, without it.
fn relations(client: &mut Client, name: &str, schema: &str) -> String {
    text(
        client,
        &format!(
            "SELECT coalesce(string_agg(substr(n, length('{name}_') + 1), ' ' ORDER BY n COLLATE \"C\"), '')
             FROM (SELECT relname::text AS n FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'v', 'm')
                   UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace) AS r
             WHERE starts_with(n, '{name}_')"
        ),
    )
}

/// What the views of two segmentations say differently.
fn differences(client: &mut Client) -> Vec<&'static str> {
    let views = "customers customers_today segments transitions movement cohorts actions channels dormant_response campaigns kpis
        attributes segments_by movement_by cohorts_by predictions forecast facts";
    let differs = |view: &&str| {
        let rows = |name: &str| format!("SELECT ROW(v.*)::text AS r FROM reports.{name}_{view} AS v");
        let query = format!(
            "WITH a AS ({}), b AS ({})
             SELECT (SELECT count(*) FROM (TABLE a EXCEPT ALL TABLE b) AS d) + (SELECT count(*) FROM (TABLE b EXCEPT ALL TABLE a) AS d)",
            rows("apart"),
            rows("beside")
        );
        count(client, &query) != 0
    };
    views.split_whitespace().filter(differs).collect()
}

#[test]
fn what_stands_behind_the_views_stands_apart() {
    let (database, mut client) = with_orders("internals");
    batch(&mut client, SOURCES);
    batch(&mut client, &format!("{}; {}", create("apart", ", internals => 'behind'"), create("beside", "")));
    let internal = "campaign_members contacts costs engagement first_orders histories memberships models note_changes noted policies \
                    profiles targets";
    assert_eq!(relations(&mut client, "apart", "behind"), internal);
    let readable = "actions attributes campaigns changes channels cohorts cohorts_by customers customers_today dormant_response facts \
                    forecast kpis movement movement_by predictions segments segments_by settings status transitions";
    assert_eq!(relations(&mut client, "apart", "reports"), readable);
    assert_same_rows(
        &mut client,
        "listed",
        "SELECT schema, relation FROM segmentation_relations WHERE segmentation = 'apart'",
        "SELECT n.nspname::text, c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.relname LIKE 'apart\\_%' AND c.relkind IN ('r', 'v', 'm')",
        33,
    );
    assert_eq!(text(&mut client, &format!("SELECT coalesce(({}), '')", wrong_reads("'apart'"))), "");

    // Refreshed once more, it reads only who changed.
    for change in ["", "UPDATE sales.orders SET amount = amount + 1 WHERE customer_id = 9"] {
        batch(&mut client, change);
        batch(&mut client, "SELECT refresh_segmentation(name) FROM segmentations");
    }
    assert_eq!(text(&mut client, "SELECT rebuilt || ' ' || histories_written FROM reports.apart_status"), "false 1");

    // A tracked change, another day, another setting: the views say the same as with everything in one schema.
    for change in [
        "UPDATE sales.orders SET amount = amount + 1 WHERE customer_id = 10",
        "INSERT INTO sales.orders VALUES (1001, 3, '2026-06-29', 70); DELETE FROM sales.orders WHERE order_no % 17 = 0;
         UPDATE people SET city = 'Nara' WHERE customer_id < 5; DELETE FROM sent WHERE customer_id = 4",
    ] {
        batch(&mut client, change);
        batch(&mut client, "SELECT refresh_segmentation(name) FROM segmentations");
        let rebuilt = |name: &str| format!("SELECT rebuilt::text FROM reports.{name}_status");
        assert_eq!(text(&mut client, &rebuilt("apart")), text(&mut client, &rebuilt("beside")), "{change}");
        assert_eq!(differences(&mut client), [""; 0]);
    }
    for call in [
        "refresh_segmentation(name, as_of => '2026-08-15')",
        "alter_segmentation(name, time_zone => 'Asia/Tokyo')",
        "alter_segmentation(name, policy => 'replenishment')",
    ] {
        batch(&mut client, &format!("SELECT {call} FROM segmentations"));
        assert_eq!(differences(&mut client), [""; 0], "{call}");
    }
    assert_same_rows(
        &mut client,
        "changes",
        "SELECT as_of, customer_id, what, from_value, to_value FROM reports.apart_changes",
        "SELECT as_of, customer_id, what, from_value, to_value FROM reports.beside_changes",
        20,
    );

    // Dumped and restored, it is refreshed as before.
    let copy = Database::empty("internals_copy");
    let dump = run(program("pg_dump").args(["--no-owner", &database.name]));
    run_with_input(program("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", &copy.name]), dump);
    let mut restored = quiet(&copy);
    batch(&mut restored, "SET search_path = public, rfm; SELECT refresh_segmentation(name) FROM segmentations");
    assert_eq!(differences(&mut restored), [""; 0]);
    assert_eq!(relations(&mut restored, "apart", "behind"), internal);

    batch(&mut client, "SELECT drop_segmentation('apart')");
    for schema in ["behind", "reports"] {
        assert_eq!(relations(&mut client, "apart", schema), "");
    }
}

/// Readers need nothing in that schema.
#[test]
fn readers_see_nothing_of_it() {
    let (database, mut client) = with_orders("internals_readers");
    let roles = Roles::create(&database, &["reader"]);
    batch(&mut client, SOURCES);
    batch(
        &mut client,
        &roles.say(&format!(
            "{}; GRANT USAGE ON SCHEMA reports, rfm TO @reader",
            create("shop", ", internals => 'behind', readers => ARRAY['@reader']")
        )),
    );
    let mut reader = roles.client("reader");
    for view in ["customers_today", "facts", "predictions", "segments", "changes"] {
        count(&mut reader, &format!("SELECT count(*) FROM reports.shop_{view}"));
    }
    let (sqlstate, message, _) = expect_error(&mut reader, "SELECT FROM behind.shop_histories");
    assert_eq!((sqlstate.as_str(), message.as_str()), ("42501", "permission denied for schema behind"));
}

#[test]
fn the_schema_has_to_be_there_and_may_be_renamed() {
    let (_database, mut client) = with_orders("internals_schema");
    batch(&mut client, SOURCES);
    let (sqlstate, message, hint) = expect_error(&mut client, &create("shop", ", internals => 'nowhere'"));
    assert_eq!((sqlstate.as_str(), message.as_str()), ("3F000", "there is no schema nowhere, which is its internals"));
    assert_eq!(hint, "Create it first.");

    batch(&mut client, "CREATE TABLE behind.shop_histories ()");
    let (sqlstate, message, _) = expect_error(&mut client, &create("shop", ", internals => 'behind'"));
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("42P07", "segmentation \"shop\": behind.shop_histories exists already")
    );
    batch(&mut client, "DROP TABLE behind.shop_histories");

    // Renamed, it is found by what stands in it; the next refresh puts the triggers right.
    batch(&mut client, &create("shop", ", internals => 'behind'"));
    batch(&mut client, "ALTER SCHEMA behind RENAME TO under; SELECT refresh_segmentation('shop')");
    batch(
        &mut client,
        "INSERT INTO sales.orders VALUES (1001, 900, '2026-06-29', 70); SELECT refresh_segmentation('shop')",
    );
    assert_eq!(count(&mut client, "SELECT orders FROM reports.shop_customers WHERE customer_id = 900"), 1);
    assert_eq!(text(&mut client, "SELECT rebuilt::text FROM reports.shop_status"), "false");

    // Without its settings too: a drop leaves nothing.
    batch(&mut client, "DELETE FROM reports.shop_settings; SELECT drop_segmentation('shop')");
    for schema in ["under", "reports"] {
        assert_eq!(relations(&mut client, "shop", schema), "");
    }
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.orders'::regclass";
    assert_eq!(count(&mut client, triggers), 0);
}
