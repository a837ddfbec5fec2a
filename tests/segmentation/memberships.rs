//! A log of memberships in a segmentation: every day has the membership of that day, through all that is made of it.

use crate::common::*;
use crate::shop::*;

const LOG: &str = "
    CREATE TABLE log (buyer int, \"Status\" text, changed_at timestamptz);
    INSERT INTO log VALUES
        (1, '01', '2025-01-10'), (1, '02', '2026-06-30 14:59+00'), (1, '01', '2026-06-30 14:59:30+00'),
        (2, 'continuing', '2025-03-01'), (2, 'withdrawn', '2026-06-20 15:00+00'),
        (3, 'continuing', '2024-03-01'), (3, 'withdrawn', '2024-06-20'),
        (4, 'paused', '2026-01-01'), (4, 'continuing', '2026-06-10'),
        (5, 'withdrawn', '2026-06-30 15:00+00'), (NULL, 'gold', '2026-01-01'), (6, NULL, '2026-01-01'), (7, '03', NULL),
        (777, 'paused', '2026-01-01');
    CREATE TABLE people (customer_id int, membership text);
    INSERT INTO people VALUES (1, 'paused'), (5, 'ad_hoc'), (6, 'ad_hoc'), (8, 'continuing'), (999, '01');";

const SHOP: &str = "SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', time_zone => 'Asia/Tokyo',
    membership_log => 'log', membership_log_columns => '{\"customer\": \"buyer\"}', customers => 'people', track => 'trigger')";

fn with_log(name: &str) -> (Database, Client) {
    let (database, mut client) = with_orders(name);
    batch(&mut client, LOG);
    batch(&mut client, SHOP);
    (database, client)
}

/// The last moment of a day counts; the log counts before the customers' table, which counts for whoever is not in the log.
#[test]
fn each_customer_has_the_membership_of_the_day() {
    let (_database, mut client) = with_log("segmentation_log");
    let memberships = "SELECT string_agg(concat_ws(' ', customer_id, coalesce(membership, '-'), next_action), ', ' ORDER BY customer_id)
                       FROM shop_customers WHERE customer_id BETWEEN 1 AND 8 OR customer_id > 100";
    let of_facts = |column: &str| {
        format!(
            "SELECT string_agg(concat_ws(' ', customer_id, {column}), ', ' ORDER BY customer_id) FROM shop_facts WHERE customer_id BETWEEN 1 AND 8"
        )
    };
    assert_eq!(
        text(&mut client, &of_facts("coalesce(membership, '-')")),
        "1 continuing, 2 withdrawn, 3 withdrawn, 4 continuing, 5 -, 6 ad_hoc, 7 -, 8 continuing"
    );
    assert_eq!(
        text(&mut client, &of_facts("memberships")),
        r#"1 {"2025-01-10": "continuing", "2026-06-30": "continuing"}, 2 {"2025-03-01": "continuing", "2026-06-21": "withdrawn"}, "#
            .to_owned()
            + r#"3 {"2024-03-01": "continuing", "2024-06-20": "withdrawn"}, 4 {"2026-01-01": "paused", "2026-06-10": "continuing"}, "#
            + r#"5 {"2026-07-01": "withdrawn"}, 6, 7, 8"#
    );
    // Nobody of the log comes in who neither bought nor is a customer.
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_customers WHERE customer_id = 777"), 0);
    let steps = text(&mut client, memberships);
    for expected in ["2 withdrawn ask_why_withdrawn", "3 withdrawn introduce_anew", "999 01 first_offer"] {
        assert!(steps.contains(expected), "{steps}");
    }
    // All that is over time sees the membership of each day: the views say what the functions say.
    let differing = "SELECT count(*) FROM shop_customers AS c JOIN shop_facts AS f USING (customer_id)
        CROSS JOIN LATERAL segment_customer(f.history, f.as_of, f.policy, NULL, f.membership, memberships => f.memberships) AS s
        WHERE (s.lifecycle_state, s.vip_tier, s.last_tier) IS DISTINCT FROM (c.lifecycle_state, c.vip_tier, c.last_tier)";
    assert_eq!(count(&mut client, differing), 0);
}

/// A new entry is read by the next refresh, whatever the orders do; a later day sees what is to come.
#[test]
fn a_refresh_reads_the_log_and_another_day_sees_another_membership() {
    let (_database, mut client) = with_log("segmentation_log_refresh");
    let of =
        |customer: i32| format!("SELECT coalesce(membership, '-') FROM shop_customers WHERE customer_id = {customer}");
    batch(&mut client, "INSERT INTO log VALUES (8, 'paused', '2026-06-01'); DELETE FROM log WHERE buyer = 2");
    refresh(&mut client);
    assert_eq!((text(&mut client, &of(8)), text(&mut client, &of(2))), ("paused".to_owned(), "-".to_owned()));
    for (day, expected) in [("2026-06-30", "-"), ("2026-07-01", "withdrawn"), ("2026-06-29", "-")] {
        batch(&mut client, &format!("SELECT refresh_segmentation('shop', as_of => '{day}')"));
        assert_eq!(text(&mut client, &of(5)), expected, "{day}");
    }
    let made = "SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM shop_customers AS t";
    refresh(&mut client);
    let refreshed = text(&mut client, made);
    batch(&mut client, &format!("SELECT drop_segmentation('shop'); {SHOP}"));
    assert_eq!(text(&mut client, made), refreshed);
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{membership_log}')");
    assert_eq!(text(&mut client, &of(1)), "paused");
    batch(&mut client, "SELECT drop_segmentation('shop')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM pg_class WHERE relname LIKE 'shop\\_%'"), 0);
}

/// The shop's own words hold in the log as in the customers' table, and those that nobody knows are refused all at once.
#[test]
fn a_log_may_have_the_shops_own_words() {
    let (_database, mut client) = with_orders("segmentation_log_words");
    batch(
        &mut client,
        "CREATE TABLE log (customer_id int, membership text, since date);
         INSERT INTO log VALUES (1, '入会', '2025-01-10'), (1, '退会済', '2026-01-10'), (2, ' ', '2026-01-10'), (3, 'test', '2026-01-10'),
             (4, '02', '2026-01-10')",
    );
    let create = |words: &str| {
        format!(
            "SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', membership_log => 'log'{words})"
        )
    };
    let (sqlstate, message, hint) = expect_error(&mut client, &create(""));
    assert_eq!(sqlstate, "22023", "{message}");
    for word in ["入会", "退会済", "test"] {
        assert!(message.contains(word) && hint.contains(&format!("\"{word}\"")), "{message}: {hint}");
    }
    let words = r#", memberships => '{"入会": "continuing", "退会済": "withdrawn", "test": null}'"#;
    batch(&mut client, &create(words));
    let found =
        "SELECT string_agg(concat_ws(' ', customer_id, memberships), ', ' ORDER BY customer_id) FROM shop_memberships";
    assert_eq!(
        text(&mut client, found),
        r#"1 {"2025-01-10": "continuing", "2026-01-10": "withdrawn"}, 4 {"2026-01-10": "paused"}"#
    );
    let unknown = format!(
        "SELECT count(*) FROM audit_orders('sales.orders', membership_log => 'log'{words}) WHERE finding ~ 'unknown'"
    );
    assert_eq!(count(&mut client, &unknown), 0);
    let unknown = "SELECT concat_ws(' ', rows, share) FROM audit_orders('sales.orders', membership_log => 'log')
                   WHERE finding = 'membership_log: unknown membership'";
    assert_eq!(text(&mut client, unknown), "3 0.600000");
}

/// An unknown membership is an error that names the segmentation and the value, and nothing is left behind.
#[test]
fn a_log_that_cannot_be_read_is_refused() {
    let (_database, mut client) = with_orders("segmentation_log_refused");
    batch(
        &mut client,
        "CREATE TABLE log (customer_id int, membership text, since date); INSERT INTO log VALUES (1, 'gold', '2026-01-01');
         CREATE TABLE other (customer_id int, since date); CREATE TABLE third (customer_id int, membership text, since text)",
    );
    let before = objects(&mut client);
    for (arguments, sqlstate, part) in [
        ("membership_log => 'log'", "22023", "gold"),
        ("membership_log => 'other'", "42703", "membership_log.membership"),
        ("membership_log => 'third'", "42703", "membership_log.since"),
        (
            "membership_log => 'third', membership_log_columns => '{\"since\": \"since\"}'",
            "42804",
            "membership_log.since",
        ),
        ("membership_log_columns => '{\"since\": \"since\"}'", "22023", "without membership_log"),
    ] {
        let (found, message, _) =
            expect_error(&mut client, &format!("SELECT create_segmentation('shop', 'sales.orders', {arguments})"));
        assert!(found == sqlstate && message.contains(part), "{found} {message}: {arguments}");
    }
    assert_eq!(objects(&mut client), before);
}
