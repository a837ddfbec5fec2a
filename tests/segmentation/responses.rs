//! The views of who answers contacts: against plain SQL over the shop's own tables, each tenant by itself, before and after a
//! refresh.

use crate::common::*;

const SHOPS: &str = "
    CREATE TABLE orders (shop text, customer_id int, ordered_on date, amount numeric);
    INSERT INTO orders
    SELECT CASE WHEN i % 3 = 0 THEN 'north' ELSE 'it''s south' END, i % 41,
           date '2022-06-01' + i * 71 % (CASE WHEN i % 41 > 20 THEN 700 ELSE 1500 END), i * 7919 % 9000
    FROM generate_series(1, 500) AS i;
    CREATE TABLE sent (shop text, customer_id int, channel text, contacted_at date, \"group\" text);
    INSERT INTO sent
    SELECT CASE WHEN i % 3 = 0 THEN 'north' ELSE 'it''s south' END, i % 47, (ARRAY['email', 'line', 'postal', NULL])[1 + i * 7 % 4],
           date '2024-06-01' + i * 37 % 790, CASE WHEN i % 11 = 0 THEN 'holdout' END
    FROM generate_series(1, 1500) AS i;
    SELECT create_segmentation('shop', 'orders', tenant => 'shop', contacts => 'sent', as_of => '2026-06-30', lang => 'ja')";

/// Each contact of a day and channel: whether its 30 days are over, whether it was answered.
const ANSWERS: &str = "
    SELECT c.*, '2026-06-30' - c.day >= 30 AS is_over,
           EXISTS (SELECT FROM orders AS o
                   WHERE o.shop = c.shop AND o.customer_id = c.customer_id AND o.ordered_on > c.day AND o.ordered_on <= '2026-06-30'
                         AND o.ordered_on - c.day <= 30
                         AND NOT EXISTS (SELECT FROM sent AS n
                                         WHERE n.shop = c.shop AND n.customer_id = c.customer_id AND n.\"group\" IS NULL
                                               AND n.contacted_at > c.day AND n.contacted_at < o.ordered_on)) AS was_answered
    FROM (SELECT DISTINCT shop, customer_id, coalesce(channel, 'unknown') AS channel, contacted_at AS day
          FROM sent
          WHERE \"group\" IS NULL AND contacted_at <= '2026-06-30'
                -- Without a table of customers there are those with orders.
                AND (shop, customer_id) IN (SELECT shop, customer_id FROM orders)) AS c";

fn assert_views(client: &mut Client) {
    let expected = format!(
        "SELECT shop, channel, count(DISTINCT customer_id), count(*), count(*) FILTER (WHERE is_over),
                count(*) FILTER (WHERE is_over AND was_answered)
         FROM ({ANSWERS}) AS a GROUP BY shop, channel"
    );
    let found = "SELECT shop, channel, customers, contacts, judged, answered FROM shop_channels";
    assert_same_rows(client, "channels", found, &expected, 7);
    let rates = "SELECT shop, channel, rate, rate_low, rate_high FROM shop_channels";
    let expected = "SELECT shop, channel, (w).rate, (w).rate_low, (w).rate_high
                    FROM (SELECT *, wilson_interval(answered, judged) AS w FROM shop_channels) AS c";
    assert_same_rows(client, "rates", rates, expected, 7);
    // The state of each customer on the day of each contact, one by one.
    let expected = format!(
        "SELECT shop, reason, year, count(DISTINCT customer_id), count(DISTINCT customer_id) FILTER (WHERE was_answered)
         FROM (SELECT a.*, dormancy_reason(f.history, a.day) AS reason, dormant_year(recency_days(f.history, a.day)) AS year
               FROM ({ANSWERS}) AS a JOIN shop_facts AS f USING (shop, customer_id)
               WHERE is_over AND lifecycle_state(f.history, a.day) = 'dormant') AS d
         WHERE year IS NOT NULL GROUP BY shop, reason, year"
    );
    let found = "SELECT shop, dormancy_reason, dormant_year, contacted, answered FROM shop_dormant_response WHERE contacted > 0";
    assert_same_rows(client, "dormant", found, &expected, 6);
    let now = "SELECT shop, dormancy_reason, dormant_year(recency_days), count(*) FROM shop_customers_today
               WHERE lifecycle_state = 'dormant' AND recency_days >= 181 GROUP BY 1, 2, 3";
    let found = "SELECT shop, dormancy_reason, dormant_year, customers FROM shop_dormant_response WHERE customers > 0";
    assert_same_rows(client, "dormant now", found, now, 4);
    let orders = "SELECT count(*) FROM (SELECT array_agg(expected_order ORDER BY expected_order) AS found,
                                               array_agg(n::int ORDER BY n) AS expected
                                        FROM (SELECT *, row_number() OVER (PARTITION BY shop ORDER BY expected_order) AS n
                                              FROM shop_dormant_response) AS r GROUP BY shop) AS o
                  WHERE found <> expected";
    assert_eq!(count(client, orders), 0);
}

#[test]
fn answers_are_counted_for_each_shop() {
    let database = Database::new("segmentation_responses");
    let mut client = quiet(&database);
    batch(&mut client, SHOPS);
    assert_views(&mut client);
    let label = "SELECT DISTINCT reason_label FROM shop_dormant_response WHERE dormancy_reason = 'unhabituated'";
    assert_eq!(text(&mut client, label), "習慣化していない");
    let comment = "SELECT col_description('shop_channels'::regclass, attnum) FROM pg_attribute
                   WHERE attrelid = 'shop_channels'::regclass AND attname = 'rate_low'";
    assert_eq!(text(&mut client, comment), "反応率の 95 % 信頼区間の下限（Wilson）。");

    // A refresh writes what changed, and a day and a policy change it too.
    batch(
        &mut client,
        "DELETE FROM sent WHERE channel = 'postal' AND shop = 'north';
         INSERT INTO orders SELECT shop, customer_id, contacted_at + 3, 100 FROM sent WHERE customer_id % 5 = 0;
         SELECT refresh_segmentation('shop')",
    );
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_channels WHERE shop = 'north'"), 3);
    assert_views(&mut client);
    // Three without an answer, and the next channel goes first; as many as the view says.
    let silent = "SELECT f.shop, r.channel, count(*) FILTER (WHERE r.unanswered >= 3)
                  FROM shop_facts AS f CROSS JOIN LATERAL channel_responses(f.history, f.contacts, f.as_of) AS r
                  WHERE r.channel IS NOT NULL GROUP BY 1, 2";
    let found = "SELECT shop, channel, silent_customers FROM shop_channels WHERE channel <> 'unknown'";
    assert_same_rows(&mut client, "silent", found, silent, 5);
}

#[test]
fn views_of_contacts_are_made_where_there_are_some() {
    let database = Database::new("segmentation_responses_asked");
    let mut client = quiet(&database);
    batch(&mut client, SHOPS);
    let made = "SELECT string_agg(relation, ' ' ORDER BY relation) FROM segmentation_relations WHERE relation ~ 'channels|response'";
    assert_eq!(text(&mut client, made), "shop_channels shop_dormant_response");
    batch(&mut client, "SELECT alter_segmentation('shop', views => '{channels}')");
    assert_eq!(text(&mut client, made), "shop_channels");
    let (sqlstate, message, _) = expect_error(&mut client, "SELECT alter_segmentation('shop', reset => '{contacts}')");
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("22023", "the view 'channels' is of contacts, and there are none")
    );
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{contacts,views}')");
    assert_eq!(text(&mut client, made), "");
    // Nobody was ever contacted, and nobody bought.
    batch(&mut client, "TRUNCATE orders, sent; SELECT alter_segmentation('shop', contacts => 'sent')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_channels"), 0);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_dormant_response"), 0);
}
