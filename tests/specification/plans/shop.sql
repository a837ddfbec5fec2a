-- The tables of Shop in tests/specification/plans/mod.rs, from the random shop. The test writes its policy.
CREATE TABLE orders AS
SELECT row_number() OVER () AS row, dense_rank() OVER (PARTITION BY customer_id ORDER BY ordered_on, amount) AS rank,
       customer_id, customer_id % 3 AS shop_id, ordered_on, amount, discounted, is_purchase,
       ordered_on + '13:14:15'::time AS at, (ordered_on + '22:30'::time) AT TIME ZONE 'Asia/Tokyo' AS at_tz,
       amount::float8 AS float, amount::bigint AS whole
FROM reference.orders;
UPDATE orders SET rank = n
FROM (SELECT row AS id, row_number() OVER (PARTITION BY customer_id ORDER BY rank, row) AS n FROM orders) AS o
WHERE id = row;
CREATE TABLE events AS
SELECT row_number() OVER () AS row, customer_id, kind, happened_on,
       (ARRAY['a', 'b', NULL])[1 + customer_id % 3] AS scenario,
       (ARRAY['x', 'y', NULL])[1 + length(kind) % 3] AS step,
       (ARRAY['holdout', 'y', NULL])[1 + extract(day FROM happened_on)::int % 3] AS test_group
FROM reference.engagement;
CREATE TABLE monthly AS
SELECT row_number() OVER () AS row, customer_id, date_trunc('month', ordered_on) AS month,
       purchase_history(ordered_on, amount) AS h, purchase_history(ordered_on, amount, discounted, is_purchase) AS d
FROM orders GROUP BY customer_id, month;
CREATE TABLE monthly_events AS
SELECT row_number() OVER () AS row, customer_id, date_trunc('month', happened_on) AS month,
       engagement_history(kind, happened_on) AS e
FROM events GROUP BY customer_id, month;
CREATE TABLE monthly_contacts AS
SELECT row_number() OVER () AS row, customer_id, date_trunc('month', happened_on) AS month,
       contact_history(kind, happened_on, scenario, step, test_group) AS c
FROM events GROUP BY customer_id, month;
CREATE TABLE entries AS
SELECT row_number() OVER () AS row, customer_id, membership, since FROM reference.memberships;
CREATE TABLE yearly_entries AS
SELECT row_number() OVER () AS row, customer_id, membership_history(membership, since) AS m
FROM entries GROUP BY customer_id, date_trunc('year', since);
CREATE TABLE customers AS
SELECT c.customer_id, c.membership, c.channels, c.last_contacted_on, o.h, e.e, e.c, m.m,
       preset_scenario((ARRAY['at_risk_check_in', 'vip_advocacy', 'paused_return', 'dissatisfied'])
                       [1 + c.customer_id % 4]) AS scenario,
       format('{"model": "bgnbd", "purchases": {"r": %s, "alpha": 30, "a": 0.%s, "b": 2}}', 1 + c.customer_id % 5, c.customer_id)
           ::purchase_model AS model,
       CASE c.customer_id % 7
           WHEN 1 THEN :policy
           WHEN 2 THEN preset_policy('annual_365')
           WHEN 3 THEN default_policy()
           WHEN 4 THEN preset_policy('occasional') || '{"frequency": "purchase_days"}'
           WHEN 5 THEN format('{"vip": {"monetary_cut": %s}}', c.customer_id)::segment_policy
       END AS policy
FROM reference.customers AS c
LEFT JOIN (SELECT customer_id, purchase_history(ordered_on, amount, discounted, is_purchase) AS h
           FROM orders GROUP BY customer_id) AS o USING (customer_id)
LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e,
                  contact_history(kind, happened_on, scenario, step, test_group) AS c
           FROM events GROUP BY customer_id) AS e USING (customer_id)
LEFT JOIN (SELECT customer_id, membership_history(membership, since) AS m
           FROM entries GROUP BY customer_id) AS m USING (customer_id);
ANALYZE;
