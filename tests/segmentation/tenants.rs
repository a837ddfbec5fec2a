//! Several shops in one segmentation: every report is of one shop.

use crate::common::*;

/// Two shops whose customers share numbers, and one of a customer.
const SHOPS: &str = "
    CREATE TABLE orders (\"Shop\" varchar(20), customer_id int, ordered_on date, amount numeric);
    INSERT INTO orders
    SELECT CASE WHEN i % 3 = 0 THEN 'north' ELSE 'it''s south' END, i % 29, date '2025-01-01' + i * 71 % 540, i * 7919 % 9000
    FROM generate_series(1, 400) AS i;
    INSERT INTO orders VALUES ('tiny', 1, '2026-06-01', 500), ('tiny', NULL, '2026-06-01', 500), (NULL, 1, '2026-06-01', 500);
    SELECT create_segmentation('shop', 'orders', tenant => 'Shop', as_of => '2026-06-30')";

#[test]
fn shares_and_sums_are_of_each_tenant() {
    let database = Database::new("tenants_sums");
    let mut client = quiet(&database);
    batch(&mut client, SHOPS);
    let money = "SELECT \"Shop\", customer_id, sum(amount) AS revenue, min(ordered_on) AS first_on
                 FROM orders WHERE \"Shop\" IS NOT NULL AND customer_id IS NOT NULL GROUP BY 1, 2";
    let totals = format!("SELECT \"Shop\", count(*), sum(revenue) FROM ({money}) AS m GROUP BY 1");
    for view in ["segments", "actions"] {
        let found = format!("SELECT \"Shop\", sum(customers)::bigint, sum(revenue) FROM shop_{view} GROUP BY 1");
        assert_same_rows(&mut client, view, &found, &totals, 3);
    }
    let shares = format!(
        "SELECT \"Shop\", lifecycle_state, rfm_segment, round(customers::numeric / of_all, 6), round(revenue / revenue_of_all, 6)
         FROM shop_segments JOIN ({totals}) AS t (\"Shop\", of_all, revenue_of_all) USING (\"Shop\")"
    );
    let found = "SELECT \"Shop\", lifecycle_state, rfm_segment, customer_share, revenue_share FROM shop_segments";
    assert_same_rows(&mut client, "shares", found, &shares, 10);
    // Cohorts, from the rows of the orders.
    let cohorts = format!(
        "SELECT c.\"Shop\", c.first_month, n.months_after, count(DISTINCT c.customer_id), count(DISTINCT o.customer_id),
                coalesce(sum(o.amount), 0)
         FROM (SELECT m.*, date_trunc('month', first_on)::date AS first_month FROM ({money}) AS m) AS c
         CROSS JOIN generate_series(0, 12) AS n (months_after)
         LEFT JOIN orders AS o ON o.\"Shop\" = c.\"Shop\" AND o.customer_id = c.customer_id
             AND date_trunc('month', o.ordered_on) = c.first_month + n.months_after * interval '1 month'
         WHERE c.first_month + (n.months_after + 1) * interval '1 month' <= '2026-07-01'
         GROUP BY 1, 2, 3"
    );
    let found = "SELECT \"Shop\", first_month, months_after, customers, active_customers, revenue FROM shop_cohorts";
    assert_same_rows(&mut client, "cohorts", found, &cohorts, 100);
    // Who moved, one customer after the other.
    let movement = "
        SELECT f.\"Shop\", d.from_day, d.to_day, lifecycle_state(f.history, d.from_day), lifecycle_state(f.history, d.to_day), count(*)
        FROM shop_facts AS f
        CROSS JOIN (SELECT (date '2026-07-01' - i * interval '1 month')::date - 1 AS from_day,
                           (date '2026-07-01' - (i - 1) * interval '1 month')::date - 1 AS to_day
                    FROM generate_series(1, 12) AS i) AS d
        WHERE orders(f.history, d.to_day) > 0
        GROUP BY 1, 2, 3, 4, 5";
    let found = "SELECT \"Shop\", from_day, to_day, from_state, to_state, customers FROM shop_movement";
    assert_same_rows(&mut client, "movement", found, movement, 50);
}

/// What a report says of a tenant is what a segmentation of this tenant alone says, with any comments and keys.
#[test]
fn each_tenant_is_as_if_it_stood_alone() {
    let database = Database::new("tenants_alone");
    let mut client = quiet(&database);
    batch(&mut client, SHOPS);
    for shop in ["north", "it''s south", "tiny"] {
        batch(
            &mut client,
            &format!(
                "SELECT create_segmentation('alone', 'orders', order_filter => format('o.\"Shop\" = %L', '{shop}'), as_of => '2026-06-30')"
            ),
        );
        for view in ["segments", "movement", "cohorts", "actions"] {
            let found = format!("SELECT to_jsonb(v) - 'Shop' FROM shop_{view} AS v WHERE \"Shop\" = '{shop}'");
            let expected = format!("SELECT to_jsonb(v) FROM alone_{view} AS v");
            assert_same_rows(&mut client, &format!("{view} of {shop}"), &found, &expected, 1);
        }
        batch(&mut client, "SELECT drop_segmentation('alone')");
    }
    let keys = "SELECT string_agg(unique_key, '; ' ORDER BY relation) FROM segmentation_sql('shop')
                WHERE relation ~ 'segments|movement|cohorts|actions'";
    assert_eq!(
        text(&mut client, keys),
        "\"Shop\", action_rule, action_channel; \"Shop\", first_month, months_after; \
         \"Shop\", from_day, to_day, from_state, to_state; \"Shop\", lifecycle_state, rfm_segment"
    );
    let comments = "SELECT string_agg(DISTINCT col_description(attrelid, attnum), '; ') FROM pg_attribute
                    WHERE attname = 'Shop' AND attrelid IN ('shop_segments'::regclass, 'shop_movement'::regclass,
                                                            'shop_cohorts'::regclass, 'shop_actions'::regclass)";
    assert_eq!(text(&mut client, comments), "The tenant, as in public.orders.");
    let described = "SELECT obj_description('shop_actions'::regclass)";
    assert_eq!(
        text(&mut client, described),
        "How many customers wait for which next step, by channel. Each Shop by itself."
    );
}
