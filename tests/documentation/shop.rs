//! The worked shop of sql/examples/shop: the same everywhere, everybody in it; and the views of sql/examples/reach over it
//! against plain SQL (tests/reference/shop.sql).

use crate::common::*;

/// The shop with the views over it.
fn shop(name: &str) -> Database {
    let database = Database::new(name);
    for part in ["sql/examples/shop/shop.sql", "sql/examples/reach/views.sql"] {
        database.psql(&read(part));
    }
    database
}

/// Every choice is a digest, so the tables have one content, whatever the machine, its time zone and its PostgreSQL.
#[test]
fn it_is_the_same_everywhere() {
    for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
        let database = Database::new("shop_digest");
        database.psql(&format!(
            "SET TimeZone = '{zone}'; SET DateStyle = 'German'; {}",
            read("sql/examples/shop/shop.sql")
        ));
        let digest = |table: &str, order: &str| {
            database.psql(&format!(
                "SET TimeZone = 'UTC'; SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY {order})) FROM {table} AS t"
            ))
        };
        assert_eq!(digest("customers", "customer_id"), "2000|ea8afb457a157c0ca883b69af84933e6\n", "{zone}");
        assert_eq!(digest("orders", "order_id"), "14088|ec0723ba5eeadecd496bc784ed66c020\n", "{zone}");
        assert_eq!(digest("events", "t::text COLLATE \"C\""), "3429|25486d19cde5c618a32c5be8bad62a08\n", "{zone}");
        assert_eq!(digest("contacts", "t::text COLLATE \"C\""), "3548|b67652e94bfcee24b52392c545db39cb\n", "{zone}");
        assert_eq!(digest("campaign_members", "customer_id"), "620|27a12a555811c5133a3205d66513920d\n", "{zone}");
        // Nothing stays but the tables.
        assert_eq!(database.psql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"), "0\n");
    }
}

/// Whoever tells somebody apart finds enough of each to tell something.
#[test]
fn everybody_is_in_it() {
    let database = shop("shop_everybody");
    let mut client = database.client();
    let dormant = "WHERE lifecycle_state = 'dormant'";
    for (what, least, listed, found) in [
        (
            "states",
            50,
            "SELECT state FROM lifecycle_states()",
            "SELECT lifecycle_state FROM customer_segments".to_owned(),
        ),
        (
            "categories",
            50,
            "SELECT category FROM dormancy_categories()",
            "SELECT dormancy_category FROM customer_segments".to_owned(),
        ),
        (
            "reasons",
            20,
            "SELECT reason FROM dormancy_reasons()",
            format!("SELECT dormancy_reason FROM customer_segments {dormant}"),
        ),
        ("tiers", 30, "SELECT tier FROM vip_tiers()", "SELECT vip_tier FROM customer_segments".to_owned()),
        (
            "last tiers",
            10,
            "SELECT tier FROM vip_tiers()",
            format!("SELECT last_tier FROM customer_segments {dormant}"),
        ),
        (
            "stages",
            200,
            "SELECT stage FROM purchase_stages()",
            "SELECT purchase_stage FROM customer_segments".to_owned(),
        ),
        ("memberships", 100, "SELECT membership FROM memberships()", "SELECT membership FROM customers".to_owned()),
        ("years", 100, "SELECT generate_series(1, 3)", "SELECT dormant_year FROM customer_segments".to_owned()),
        (
            // The shop tracks engagement, and these views know no log of contacts.
            "actions",
            1,
            "SELECT action FROM next_actions() WHERE action NOT IN ('send_customer_letter', 'follow_up_complaint')",
            "SELECT next_action FROM customer_segments".to_owned(),
        ),
        (
            "channels",
            100,
            "SELECT unnest('{email,line,sms,phone,postal}'::text[])",
            "SELECT unnest(channels) FROM customer_segments".to_owned(),
        ),
        (
            "kinds of events",
            100,
            "SELECT unnest('{review,survey,referral,event,community,social_post,proposal,usage_report}'::text[])",
            "SELECT kind FROM events".to_owned(),
        ),
        (
            "reasons stated and other trouble",
            5,
            "SELECT 'stated_' || reason FROM dormancy_reasons() UNION ALL
             SELECT unnest('{complaint,return,low_rating,complaint_resolved,return_resolved}'::text[])",
            "SELECT kind FROM events".to_owned(),
        ),
    ] {
        let few = database.psql(&format!(
            "SELECT l, count(f) FROM ({listed}) AS l (l) LEFT JOIN ({found}) AS f (f) ON f = l GROUP BY l HAVING count(f) < {least}"
        ));
        assert_eq!(few, "", "{what}");
    }
    // Addresses that are none, and full-width ones that are some; who agreed to nothing, to something, was never asked.
    let addresses = "reachable_channels(email, phone, postal_address, line_id)";
    for (what, condition) in [
        ("bad e-mail", "email <> '' AND NOT 'email' = ANY (reachable_channels(email => email))".to_owned()),
        ("empty e-mail", "email = ''".to_owned()),
        ("full-width e-mail", "email ~ '[ａ-ｚ]' AND 'email' = ANY (reachable_channels(email => email))".to_owned()),
        ("bad phone", "phone ~ '[0-9]' AND reachable_channels(phone => phone) = '{}'".to_owned()),
        ("full-width phone", "phone ~ '[０-９]' AND 'sms' = ANY (reachable_channels(phone => phone))".to_owned()),
        ("a phone for calls only", "reachable_channels(phone => phone) = '{phone}'".to_owned()),
        ("only a postal code", "postal_address = '〒150-0001'".to_owned()),
        (
            "bad address",
            "reachable_channels(postal_address => postal_address) = '{}' AND postal_address <> '〒150-0001'".to_owned(),
        ),
        (
            "full-width address",
            "postal_address ~ '[０-９]' AND reachable_channels(postal_address => postal_address) <> '{}'".to_owned(),
        ),
        ("bad line", "line_id IS NOT NULL AND reachable_channels(line_id => line_id) = '{}'".to_owned()),
        ("no consent tracked", "consents IS NULL".to_owned()),
        (
            "addresses without consent",
            format!(
                "{addresses} <> '{{}}' AND reachable_channels(email, phone, postal_address, line_id, consents) = '{{}}'"
            ),
        ),
        ("no address", format!("{addresses} = '{{}}'")),
    ] {
        let found = count(&mut client, &format!("SELECT count(*) FROM customers WHERE {condition}"));
        assert!(found >= 20, "{what}: {found}");
    }
    // A campaign in three groups, one of them held out, with a result.
    let answers = "SELECT \"group\", count(*), count(*) FILTER (WHERE EXISTS (
                       SELECT FROM orders AS o
                       WHERE o.customer_id = m.customer_id AND amount >= 0 AND ordered_on BETWEEN joined_on + 1 AND joined_on + 60))
                   FROM campaign_members AS m WHERE campaign = 'autumn_2025' GROUP BY 1 ORDER BY 1";
    assert_eq!(database.psql(answers), "coupon|198|26\nholdout|203|6\nletter|219|36\n");
    // Nobody who cannot be reached gets a message: the address comes first, but for an open complaint.
    let unreachable = "SELECT DISTINCT next_action FROM customer_segments WHERE channels = '{}' ORDER BY 1";
    assert_eq!(database.psql(unreachable), "complete_contact\nresolve_complaint\n");
}

/// The views on several days of the year, under the shop's policy and two others.
#[test]
fn the_views_equal_plain_sql() {
    let database = shop("shop_views");
    database.psql(&format!(
        "{} CREATE SCHEMA plain; CREATE TABLE plain.ask (policy jsonb); {}",
        read("tests/reference/segments.sql"),
        read("tests/reference/shop.sql")
    ));
    let mut client = database.client();
    for (policy, days) in [
        ("preset_policy('replenishment')", ["2025-06-30", "2025-10-16", "2026-03-31", "2026-06-30"].as_slice()),
        ("NULL", &["2026-06-30"]),
        ("preset_policy('annual_365')", &["2026-06-30"]),
    ] {
        for day in days {
            batch(
                &mut client,
                &format!(
                    "UPDATE segmentation SET as_of = '{day}', policy = {policy};
                     REFRESH MATERIALIZED VIEW CONCURRENTLY customer_segments;
                     TRUNCATE plain.ask; INSERT INTO plain.ask SELECT effective_policy(policy) FROM segmentation;
                     SELECT plain.load('{day}')"
                ),
            );
            let columns = "customer_id::bigint, channels, last_contacted_on, dormant_year, lifecycle_state, m_score, monetary, vip_tier, \
                           last_tier, dormancy_category, dormancy_reason, next_action, action_channel, action_due_on";
            let [view, plain] =
                ["customer_segments", "plain.segments"].map(|rows| format!("SELECT {columns} FROM {rows}"));
            assert_same_rows(&mut client, &format!("customers {policy} {day}"), &view, &plain, 1);
            let columns = "response_order, customer_id::bigint, dormant_year, dormancy_category, dormancy_reason, channels, monetary";
            let view = format!("SELECT {columns} FROM dormant_customers");
            assert_same_rows(&mut client, &format!("list {policy} {day}"), &view, "SELECT * FROM plain.dormant()", 1);
            assert_same_rows(
                &mut client,
                &format!("split {policy} {day}"),
                "SELECT * FROM dormant_split",
                "SELECT * FROM plain.split()",
                1,
            );
            assert_same_rows(
                &mut client,
                &format!("coverage {policy} {day}"),
                "SELECT * FROM contact_coverage",
                "SELECT * FROM plain.coverage()",
                1,
            );
            batch(&mut client, &format!("SELECT plain.load(date '{day}' - 90)"));
            let view = "SELECT dormant_year, dormancy_category, coalesce(numerator, 0), denominator, revenue FROM dormant_response";
            assert_same_rows(
                &mut client,
                &format!("response {policy} {day}"),
                view,
                &format!("SELECT * FROM plain.response('{day}')"),
                1,
            );
        }
    }
}

/// After a change: PG_RFM_UPDATE=1 make test ARGS="--test documentation shop::the_report".
#[test]
fn the_report_prints_what_is_committed() {
    let printed = trimmed(&shop("shop_report").psql(&read("sql/examples/reach/report.sql")));
    assert_recorded("sql/examples/reach/report.out", &printed);
}
