//! What can be segmented: views, foreign tables, several currencies, tables of customers and of events.

use crate::common::*;
use crate::shop::*;

#[test]
fn views_foreign_tables_and_materialized_views_are_read_anew() {
    let (database, mut client) = with_orders("segmentation_sources");
    let mut sources = vec!["seen", "kept"];
    if server_has_extension("postgres_fdw", "orders in a foreign table") {
        batch(
            &mut client,
            &format!(
                "CREATE EXTENSION postgres_fdw;
                 CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw
                     OPTIONS (host '{}', port '{}', dbname '{}');
                 CREATE USER MAPPING FOR CURRENT_USER SERVER self OPTIONS (user '{}');
                 CREATE SCHEMA far; IMPORT FOREIGN SCHEMA sales FROM SERVER self INTO far",
                std::env::var("PGHOST").unwrap(),
                std::env::var("PGPORT").unwrap(),
                database.name,
                std::env::var("PGUSER").unwrap(),
            ),
        );
        sources.push("far.orders");
    }
    batch(
        &mut client,
        "CREATE VIEW seen AS SELECT customer_id, ordered_at, amount FROM sales.orders;
         CREATE MATERIALIZED VIEW kept AS TABLE sales.orders",
    );
    for source in sources {
        let (sqlstate, message, hint) =
            expect_error(&mut client, &format!("SELECT create_segmentation('shop', '{source}', track => 'trigger')"));
        assert_eq!(sqlstate, "22023", "{message}");
        assert_eq!(hint, "Use track => 'none': each refresh reads all orders.");
        batch(&mut client, &format!("SELECT create_segmentation('shop', '{source}', as_of => '2026-06-30')"));
        assert_histories(&mut client);
        let number = count(&mut client, "SELECT max(order_no) + 1::bigint FROM sales.orders");
        batch(
            &mut client,
            &format!(
                "INSERT INTO sales.orders VALUES ({number}, 77, '2026-01-01', 5); DELETE FROM sales.orders WHERE order_no = {number} % 300"
            ),
        );
        batch(&mut client, "REFRESH MATERIALIZED VIEW kept");
        refresh(&mut client);
        assert_histories(&mut client);
        assert_eq!(text(&mut client, "SELECT rebuilt::text FROM shop_status"), "true");
        batch(&mut client, "SELECT drop_segmentation('shop')");
    }
}

#[test]
fn currencies_are_never_added_up() {
    let database = Database::new("segmentation_currency");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_at date, amount numeric, currency text);
         INSERT INTO orders VALUES (1, '2026-01-01', 10, 'JPY'), (2, '2026-01-01', 10, 'EUR')",
    );
    let create = "SELECT create_segmentation('shop', 'orders', currency => 'currency', track => 'trigger')";
    let (sqlstate, message, hint) = expect_error(&mut client, create);
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("22000", "segmentation \"shop\": the orders have several currencies: EUR, JPY")
    );
    assert_eq!(hint, "Amounts are not converted. Segment one of them: order_filter => 'o.currency = ''EUR'''.");
    batch(&mut client, "UPDATE orders SET currency = NULL WHERE currency = 'EUR'");
    assert!(expect_error(&mut client, create).1.ends_with("(none), JPY"));
    // Only one of them counts, or only one is there.
    batch(&mut client, &create.replace("currency =>", "order_filter => 'currency = ''JPY''', currency =>"));
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers) FROM shop_status"), "JPY 1");
    batch(&mut client, "SELECT alter_segmentation('shop', order_filter => 'customer_id = 2')");
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers) FROM shop_status"), "(none) 1");
    batch(
        &mut client,
        "UPDATE orders SET currency = 'JPY'; SELECT alter_segmentation('shop', reset => '{order_filter}'); SELECT refresh_segmentation('shop')",
    );
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers) FROM shop_status"), "JPY 2");
    // A note of one customer is enough to see it.
    batch(&mut client, "INSERT INTO orders VALUES (1, '2026-02-01', 10, 'USD')");
    assert!(expect_error(&mut client, "SELECT refresh_segmentation('shop')").1.ends_with("JPY, USD"));
    // All change over: what was known before is gone.
    batch(&mut client, "UPDATE orders SET currency = 'USD'; SELECT refresh_segmentation('shop')");
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers, rebuilt) FROM shop_status"), "USD 2 f");
}

/// What the hint says can be run, whatever the column and the currency are called.
#[test]
fn the_hint_of_several_currencies_names_the_column() {
    let database = Database::new("segmentation_currency_hint");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_at date, amount numeric, \"Currency code\" text);
         INSERT INTO orders VALUES (1, '2026-01-01', 10, NULL), (2, '2026-01-01', 10, 'it''s'), (3, '2026-01-01', 10, 'yen')",
    );
    let create = "SELECT create_segmentation('shop', 'orders', currency => 'Currency code', as_of => '2026-06-30')";
    let (_, message, hint) = expect_error(&mut client, create);
    assert!(message.ends_with("(none), it's, yen"), "{message}");
    let filter = hint.strip_prefix("Amounts are not converted. Segment one of them: ").unwrap().trim_end_matches('.');
    batch(&mut client, &create.replace("as_of", &format!("{filter}, as_of")));
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers) FROM shop_status"), "it's 1");
}

/// A discount is a yes or no, or an amount above 0.
#[test]
fn discounts_are_a_boolean_or_a_number() {
    let database = Database::new("segmentation_discounts");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE DOMAIN yen AS numeric; CREATE DOMAIN flag AS boolean;
         CREATE TABLE orders (number int, customer_id int, ordered_at date, amount numeric, by_line boolean);
         INSERT INTO orders VALUES (1, 1, '2026-01-01', 90, true), (1, 1, '2026-01-01', 50, false), (2, 1, '2026-02-01', 70, false),
                                   (3, 1, '2026-03-01', 70, NULL), (4, 1, '2026-04-01', 70, false)",
    );
    let zero = "CASE number WHEN 4 THEN -1 ELSE 0 END";
    for (kind, value) in [
        ("boolean", "by_line".to_owned()),
        ("flag", "by_line".to_owned()),
        ("integer", format!("CASE WHEN by_line THEN 10 WHEN NOT by_line THEN {zero} END")),
        ("smallint", format!("CASE WHEN by_line THEN 10 WHEN NOT by_line THEN {zero} END")),
        ("numeric", format!("CASE WHEN by_line THEN 0.01 WHEN NOT by_line THEN {zero} END")),
        ("yen", format!("CASE WHEN by_line THEN 0.01 WHEN NOT by_line THEN {zero} END")),
        ("double precision", format!("CASE WHEN by_line THEN 0.01 WHEN NOT by_line THEN {zero} END")),
    ] {
        batch(&mut client, &format!("CREATE VIEW given AS SELECT *, ({value})::{kind} AS discount FROM orders"));
        for (number, expected) in [("", "5 0.250000"), (", order_id => 'number'", "4 0.333333")] {
            batch(
                &mut client,
                &format!(
                    "SELECT create_segmentation('shop', 'given', discounted => 'discount', as_of => '2026-06-30'{number})"
                ),
            );
            let found = "SELECT concat_ws(' ', orders(history, as_of), discount_share(history, as_of))
                         FROM shop_histories CROSS JOIN shop_status";
            assert_eq!(text(&mut client, found), expected, "{kind}{number}");
            batch(&mut client, "SELECT drop_segmentation('shop')");
        }
        batch(&mut client, "DROP VIEW given");
    }
}

/// Members, addresses, events and customers without an order, by the functions that answer for one customer.
#[test]
fn customers_and_events() {
    let (_database, mut client) = with_orders("segmentation_people");
    batch(
        &mut client,
        r#"CREATE TABLE members (id int, membership text, email text, phone text, address text, consents jsonb, last_contacted_on timestamptz);
           INSERT INTO members VALUES
               (1, 'continuing', 'a@example.com', NULL, NULL, '{"email": true}', '2026-06-28 20:00+00'),
               (2, 'paused', 'nonsense', NULL, NULL, NULL, NULL),
               (3, NULL, NULL, NULL, NULL, NULL, '2026-06-01'),
               (500, NULL, 'p@example.com', '+81312345678', NULL, NULL, NULL),
               (501, NULL, NULL, NULL, '', NULL, NULL),
               (NULL, NULL, 'nobody@example.com', NULL, NULL, NULL, NULL);
           CREATE TABLE log (customer_id bigint, type text, occurred_at timestamptz);
           INSERT INTO log VALUES (1, 'line_friend', '2026-01-01 16:00+00'), (1, 'visit', '2026-02-01'), (502, 'visit', '2026-03-01');
           SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', time_zone => 'Asia/Tokyo', lang => 'ja', track => 'trigger',
               customers => 'members', customers_columns => '{"customer": "id"}', engagement => 'log')"#,
    );
    refresh(&mut client);
    let expected = "SELECT string_agg(concat_ws('|', c.customer_id, s.lifecycle_state, l.label_ja, s.rfm_score, s.vip_tier, s.next_action, s.action_channel,
                           s.relation_score, array_to_string(p.channels, ','), s.action_due_on), E'\\n' ORDER BY c.customer_id)
         FROM (SELECT customer_id FROM sales.orders UNION SELECT id FROM members WHERE id IS NOT NULL) AS c (customer_id)
         LEFT JOIN (SELECT customer_id, purchase_history(ordered_at, amount) AS h FROM sales.orders GROUP BY 1) AS h USING (customer_id)
         LEFT JOIN (SELECT customer_id, engagement_history(type, (occurred_at AT TIME ZONE 'Asia/Tokyo')::date) AS e FROM log GROUP BY 1) AS e
             ON e.customer_id = c.customer_id
         LEFT JOIN (SELECT id, membership, reachable_channels(email, phone, address, NULL, consents) AS channels,
                           (last_contacted_on AT TIME ZONE 'Asia/Tokyo')::date AS contacted FROM members) AS p ON p.id = c.customer_id
         CROSS JOIN LATERAL segment_customer(h.h, '2026-06-30', default_policy(), coalesce(e.e, no_engagement()), p.membership, p.channels, p.contacted) AS s
         LEFT JOIN lifecycle_states() AS l ON l.state = s.lifecycle_state";
    let found = "SELECT string_agg(concat_ws('|', customer_id, lifecycle_state, lifecycle_label, rfm_score, vip_tier, next_action, action_channel,
                           relation_score, reachable_by, action_due_on), E'\\n' ORDER BY customer_id) FROM shop_customers_today";
    assert_eq!(text(&mut client, found), text(&mut client, expected));
    let state = |customer: i32| {
        format!(
            "SELECT concat_ws(' ', lifecycle_state, next_action, reachable_by) FROM shop_customers WHERE customer_id = {customer}"
        )
    };
    assert!(text(&mut client, &state(500)).starts_with("prospect "));
    assert_eq!(text(&mut client, &state(501)), "prospect complete_contact ");
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM shop_customers WHERE customer_id IN (502, 77777) OR customer_id IS NULL"
        ),
        0
    );
    assert_eq!(count(&mut client, "SELECT customers FROM shop_segments WHERE rfm_segment = 'prospect'"), 2);

    // Both are read by every refresh.
    batch(
        &mut client,
        "UPDATE members SET email = NULL WHERE id = 1; DELETE FROM members WHERE id = 500; INSERT INTO members (id) VALUES (600);
         INSERT INTO log VALUES (2, 'visit', '2026-05-05'); DELETE FROM log WHERE customer_id = 1",
    );
    refresh(&mut client);
    assert_eq!(text(&mut client, found), text(&mut client, expected));
    // Double customers are refused, and change nothing.
    batch(&mut client, "INSERT INTO members (id) VALUES (600)");
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("23505", "segmentation \"shop\": public.members has several rows of customer 600")
    );
    assert_eq!(hint, "It must have one row a customer; a view over it can choose which one.");
    assert_eq!(text(&mut client, "SELECT count(*)::text FROM shop_customers WHERE customer_id = 600"), "1");
    // Without the tables again.
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{customers,engagement}')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_customers"), 37);
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM shop_customers WHERE relation_score IS NOT NULL OR reachable_by IS NOT NULL"
        ),
        0
    );
}

/// A longer key in the customers' table is another customer, not one whose key is cut off.
#[test]
fn keys_of_other_sources_are_not_cut() {
    let database = Database::new("segmentation_lengths");
    let mut client = quiet(&database);
    for (kind, other) in
        [("varchar(3)", "varchar(20)"), ("char(3)", "char(8)"), ("char(3)", "text"), ("text", "char(8)")]
    {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders (customer_id {kind}, ordered_on date, amount numeric);
                 INSERT INTO orders VALUES ('abc', '2026-01-01', 1), ('xyz', '2026-01-01', 1);
                 CREATE TABLE people (customer_id {other}, membership text);
                 INSERT INTO people VALUES ('abcd', 'continuing'), ('xyz', 'paused');
                 SELECT create_segmentation('s', 'orders', customers => 'people', as_of => '2026-02-01');
                 SELECT refresh_segmentation('s')"
            ),
        );
        let found = "SELECT string_agg(concat_ws(' ', rtrim(customer_id), membership, orders), ', ' ORDER BY customer_id) FROM s_customers";
        assert_eq!(text(&mut client, found), "abc 1, abcd continuing 0, xyz paused 1", "{kind}, {other}");
        batch(&mut client, "SELECT drop_segmentation('s'); DROP TABLE orders, people");
    }
}
