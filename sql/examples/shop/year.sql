-- A year of the worked shop, 2025-07-01 to 2026-06-30: every Tuesday the scenarios say what to send, what is sent goes into the
-- log, and at the end of the year the holdout tells what came of it. In a database of its own; takes some minutes:
--
--   psql -d worked_year -f shop.sql -f year.sql      with pg_rfm in schema rfm; what it prints is in year.out
--
-- The shop goes on as shop.sql has it, with its newsletters and its letter of last autumn; orders after the day asked for are
-- not known yet. How customers answer is made up, as in shop.sql, of digests: see answers().
\set QUIET on
\pset format aligned
\pset tuples_only off
\pset footer off
\pset null '-'
SET client_min_messages = warning;
SET search_path = public, rfm;
SET DateStyle = 'ISO';

-- ---- Once ----------------------------------------------------------------------------------------------------------------

-- The shop's thresholds, and how much is too much: a week between any two messages, four in two months, letters and calls less.
UPDATE segmentation SET as_of = '2025-07-01', policy = (policy::jsonb || '{"contact": {
    "min_days_between": 7, "limits": [{"contacts": 4, "days": 60}],
    "channel_limits": {"postal": [{"contacts": 2, "days": 60}], "phone": [{"contacts": 1, "days": 60}]}}}')::segment_policy;

ALTER TABLE orders ADD COLUMN discounted boolean GENERATED ALWAYS AS (discount > 0) STORED;

-- A digest from 0 to 99, a customer's chance of something: all that is made up here is made of it.
CREATE FUNCTION chance(customer integer, choice text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || substr(md5(choice || customer), 1, 7))::bit(28)::integer % 100
$$;

-- Made up: since when. Subscribers are members from the day they registered; who paused or withdrew did so up to 100 days after
-- the last order, and one in four of those who paused has been a member again since.
CREATE TABLE membership_log AS
SELECT customer_id, m.membership, m.since
FROM customers
LEFT JOIN (SELECT customer_id, max(ordered_on) AS last_ordered_on FROM orders GROUP BY customer_id) AS o USING (customer_id)
CROSS JOIN LATERAL CAST(coalesce(last_ordered_on, registered_on) + 1 + chance(customer_id, 'ended') AS date) AS ended_on
CROSS JOIN LATERAL (
    VALUES (CASE customers.membership WHEN 'ad_hoc' THEN 'ad_hoc' ELSE 'continuing' END, registered_on),
           (CASE WHEN customers.membership IN ('paused', 'withdrawn') THEN customers.membership END, ended_on),
           (CASE WHEN customers.membership = 'paused' AND chance(customer_id, 'returned') < 25 THEN 'continuing' END, ended_on + 120)
) AS m (membership, since)
WHERE customers.membership IS NOT NULL AND m.membership IS NOT NULL;

SELECT create_segmentation('shop', orders => 'orders', discounted => 'discounted', customers => 'customers',
                           engagement => 'events', contacts => 'contacts', membership_log => 'membership_log',
                           attributes => '{acquired_by}', first_order => '{product}',
                           policy => policy::text, as_of => as_of, time_zone => 'Asia/Tokyo')
FROM segmentation \g /dev/null

-- All presets. Who paused or withdrew just now may not be dormant yet, and is not to be reactivated before.
CREATE TABLE scenarios AS
SELECT name, priority, behavior = 'reactivation' AS reactivates,
       CASE behavior
           WHEN 'reactivation' THEN jsonb_set(preset_scenario(name)::jsonb, '{enter_when,lifecycle_state}', '"dormant"')::scenario
           ELSE preset_scenario(name)
       END AS scenario
FROM scenario_presets();

-- What each scenario has for each customer on the day of the last refresh, and why.
CREATE VIEW steps_today AS
SELECT f.customer_id, f.as_of, reactivates, d.*
FROM (SELECT array_agg(scenario ORDER BY name) AS all_of_them FROM scenarios) AS a
CROSS JOIN shop_facts AS f
CROSS JOIN LATERAL due_steps(all_of_them, f.history, f.as_of, f.policy, f.engagement, f.membership, f.channels,
                             f.contacts, f.memberships) AS d
JOIN scenarios ON name = d.scenario;

-- ---- The first of July: who is dormant, and how many can be reactivated ---------------------------------------------------------------

\echo 'Who is dormant, who of them for half a year or longer, and who can be reached'
SELECT dormancy_category, count(*) AS dormant, count(*) FILTER (WHERE last_purchase_on <= '2025-07-01'::date - 181) AS long_dormant,
       count(*) FILTER (WHERE reachable_by <> '') AS reachable, sum(monetary) AS past_revenue,
       sum(monetary) FILTER (WHERE reachable_by = '') AS of_unreachable
FROM shop_customers
WHERE lifecycle_state = 'dormant'
GROUP BY ROLLUP (dormancy_category) ORDER BY dormancy_category;

-- Some 5 % come back by themselves within 90 days. To see whether messages make that 13 %:
\echo 'Customers needed in each group'
SELECT ab_sample_size(0.05, 0.08) AS planned \gset
\echo :planned

-- Whoever is to be reactivated for the first time is put into a group, for ever: nothing, the messages, or the messages with a coupon.
CREATE TABLE campaigns (campaign text PRIMARY KEY, groups jsonb NOT NULL, window_days integer NOT NULL);
INSERT INTO campaigns VALUES ('waking_2025', '[{"group": "holdout", "share": 0.3}, {"group": "message", "share": 0.35},
                                               {"group": "coupon", "share": 0.35}]', 90);

-- ---- Every Tuesday ---------------------------------------------------------------------------------------------------------

-- Made up: who is chosen comes back unasked in 3 of 100 cases; a message is answered in 4 of 100, with a coupon in 1. Who
-- answers buys up to three times, a coupon takes 30 % off the first order.
CREATE PROCEDURE answers(today date) LANGUAGE sql AS $$
    INSERT INTO orders (order_id, customer_id, ordered_on, amount, discount)
    SELECT (SELECT greatest(max(order_id), 200000) FROM orders) + row_number() OVER (ORDER BY customer_id, n), customer_id,
           today + 1 + chance(customer_id, why || 'day') % days + 35 * n, price - discount, discount
    FROM (
        SELECT customer_id, 'herself' AS why, 3 AS percent, 80 AS days, false AS coupon
        FROM campaign_members
        WHERE campaign = 'waking_2025' AND joined_on = today
        UNION ALL
        SELECT customer_id, scenario || step || today, CASE "group" WHEN 'coupon' THEN 1 ELSE 4 END, 14,
               "group" IS NOT DISTINCT FROM 'coupon'
        FROM contacts
        WHERE step IS NOT NULL AND scenario IN (SELECT name FROM scenarios)
              AND contacted_at = (today + time '10:00') AT TIME ZONE 'Asia/Tokyo'
    ) AS c
    CROSS JOIN LATERAL generate_series(0, chance(customer_id, why || 'more') % 3) AS n
    CROSS JOIN LATERAL CAST(2400 + 40 * chance(customer_id, 'price') AS numeric) AS price
    CROSS JOIN LATERAL CAST(CASE WHEN coupon AND n = 0 THEN price * 3 / 10 ELSE 0 END AS numeric(9, 0)) AS discount
    WHERE chance(customer_id, why) < percent
$$;

CREATE PROCEDURE tuesday(today date) LANGUAGE sql AS $$
    -- What is known today.
    SELECT refresh_segmentation('shop', as_of => today);

    -- Whom to reactivate for the first time: their group, and with it the first day of their 90.
    INSERT INTO campaign_members (campaign, customer_id, "group", joined_on)
    SELECT campaign, customer_id, ab_group(customer_id, campaign, groups), today
    FROM steps_today CROSS JOIN campaigns
    WHERE due AND reactivates
    ON CONFLICT DO NOTHING;

    -- The log keeps the holdout out of everything that reactivates, and of nothing else: who complains is called.
    INSERT INTO contacts (customer_id, contacted_at, scenario, "group", cost)
    SELECT customer_id, (today + time '10:00') AT TIME ZONE 'Asia/Tokyo', name, 'holdout', 0
    FROM campaign_members CROSS JOIN scenarios
    WHERE campaign = 'waking_2025' AND joined_on = today AND "group" = 'holdout' AND reactivates;

    -- Send what is due, and write down that it was sent: the log decides what comes next.
    INSERT INTO contacts (customer_id, channel, contacted_at, scenario, step, "group", cost)
    SELECT customer_id, channel, (today + time '10:00') AT TIME ZONE 'Asia/Tokyo', scenario, step,
           CASE WHEN reactivates THEN "group" END,
           CASE channel WHEN 'postal' THEN 140 WHEN 'phone' THEN 300 WHEN 'sms' THEN 10 ELSE 1 END
    FROM steps_today
    LEFT JOIN (SELECT customer_id, "group" FROM campaign_members WHERE campaign = 'waking_2025') AS m USING (customer_id)
    WHERE due AND NOT (reactivates AND "group" = 'holdout');

    CALL answers(today);
$$;

\echo 'The first Tuesday: what is due, and why the others of those in a scenario get nothing'
CALL tuesday('2025-07-01');
SELECT why, count(*) FILTER (WHERE reactivates) AS to_reactivate, count(*) FILTER (WHERE NOT reactivates) AS others
FROM steps_today WHERE why <> 'not_in_segment' GROUP BY why ORDER BY why;

\echo 'Asked again after it was sent'
SELECT refresh_segmentation('shop', as_of => '2025-07-01') \g /dev/null
SELECT why, count(*) FILTER (WHERE reactivates) AS to_reactivate, count(*) FILTER (WHERE NOT reactivates) AS others
FROM steps_today WHERE why <> 'not_in_segment' GROUP BY why ORDER BY why;

\echo 'The list for whoever sends it: addresses as a mailer takes them'
SELECT customer_id, scenario, step, l.channel,
       CASE l.channel WHEN 'email' THEN normalized_email(email)
                      WHEN 'line' THEN line_id
                      WHEN 'postal' THEN normalized_postal_code(postal_address, 'JP')
                      ELSE normalized_phone(phone, 'JP') END AS address
FROM contacts AS l
JOIN customers USING (customer_id)
WHERE contacted_at = '2025-07-01 10:00+09' AND step IS NOT NULL
ORDER BY customer_id
LIMIT 6;

-- The other 52. A living shop has one line of cron, and no as_of.
SELECT format('CALL tuesday(%L)', day::date)
FROM generate_series(timestamp '2025-07-08', '2026-06-30', '7 days') AS d (day) \gexec

SELECT refresh_segmentation('shop', as_of => '2026-07-01') \g /dev/null

-- ---- What was sent ---------------------------------------------------------------------------------------------------------

\echo 'What was sent by which scenario'
SELECT s.name AS scenario, count(*) AS messages, count(DISTINCT customer_id) AS customers, sum(cost) AS cost,
       count(*) FILTER (WHERE channel = 'email') AS email, count(*) FILTER (WHERE channel = 'line') AS line,
       count(*) FILTER (WHERE channel = 'sms') AS sms, count(*) FILTER (WHERE channel = 'phone') AS phone,
       count(*) FILTER (WHERE channel = 'postal') AS postal
FROM contacts AS c JOIN scenarios AS s ON s.name = c.scenario
WHERE step IS NOT NULL
GROUP BY ROLLUP ((s.name, s.priority)) ORDER BY s.priority;

\echo 'Which channels were answered'
SELECT * FROM shop_channels ORDER BY rate DESC;

\echo 'In which order the dormant are expected to answer, by reason and year'
SELECT expected_order, dormancy_reason, dormant_year AS year, customers, contacted, answered, rate, rate_low, rate_high, source
FROM shop_dormant_response ORDER BY expected_order;

\echo 'The way of one customer who was reactivated'
SELECT * FROM (
    SELECT (contacted_at AT TIME ZONE 'Asia/Tokyo')::date AS day, channel, scenario, step, "group", NULL::numeric AS bought
    FROM contacts WHERE customer_id = 1060
    UNION ALL
    SELECT ordered_on, NULL, NULL, NULL, NULL, amount FROM orders WHERE customer_id = 1060
) AS way
WHERE day BETWEEN '2025-06-01' AND '2026-06-30' ORDER BY day, scenario;

-- ---- What came of it -------------------------------------------------------------------------------------------------------

-- Everybody chosen whose 90 days are over, with what they bought in them, the first day not counted: nobody answers before.
CREATE VIEW reactivation_answers AS
SELECT "group", customer_id,
       bought_between(history, joined_on + 1, joined_on + window_days, as_of) AS reactivated,
       revenue_between(history, joined_on + 1, joined_on + window_days) AS revenue,
       (SELECT sum(cost) FROM contacts AS c
        WHERE c.customer_id = m.customer_id AND c."group" = m."group" AND scenario IN (SELECT name FROM scenarios)
              AND (contacted_at AT TIME ZONE 'Asia/Tokyo')::date BETWEEN joined_on AND joined_on + window_days) AS cost
FROM campaign_members AS m JOIN campaigns USING (campaign) JOIN shop_facts USING (customer_id);

CREATE VIEW reactivation_groups AS
SELECT "group", ab_result(reactivated, revenue) AS result, sum(cost) FILTER (WHERE reactivated IS NOT NULL) AS cost
FROM reactivation_answers GROUP BY "group";

\echo 'Reactivated within 90 days'
SELECT "group", (result).customers, (result).responders AS reactivated, (result).rate, (result).rate_low, (result).rate_high,
       (result).revenue, (result).revenue_per_head AS per_head
FROM reactivation_groups ORDER BY "group" <> 'holdout', "group";

\echo 'Against the holdout; the last row: whoever was addressed, with a coupon or without'
WITH groups AS (
    TABLE reactivation_groups
    UNION ALL
    SELECT 'addressed', ab_result(reactivated, revenue), sum(cost) FILTER (WHERE reactivated IS NOT NULL)
    FROM reactivation_answers WHERE "group" <> 'holdout'
)
SELECT t."group", c.lift, c.lift_low, c.lift_high, c.p_value,
       c.revenue_lift, c.revenue_lift_low AS low, c.revenue_lift_high AS high, c.verdict, t.cost, round(t.cost / nullif((t.result).responders, 0)) AS per_reactivated,
       round(t.cost / nullif(c.lift * (t.result).customers, 0)) AS per_one_more,
       round(c.revenue_lift * (t.result).customers - t.cost) AS gain
FROM groups AS t
JOIN reactivation_groups AS h ON h."group" = 'holdout' AND t."group" <> 'holdout'
CROSS JOIN LATERAL ab_compare(t.result, h.result, :planned) AS c
ORDER BY t."group" = 'addressed', t."group";

-- ---- What changed ----------------------------------------------------------------------------------------------------------

\echo 'Where everybody was a year ago, and is now; prospects: whoever had not bought by then'
SELECT lifecycle_state(history, '2025-06-30', policy, engagement, membership, memberships) AS a_year_ago, count(*) AS customers,
       count(*) FILTER (WHERE now = 'vip') AS vip, count(*) FILTER (WHERE now = 'active') AS active,
       count(*) FILTER (WHERE now = 'winback') AS winback, count(*) FILTER (WHERE now = 'new') AS new,
       count(*) FILTER (WHERE now = 'at_risk') AS at_risk, count(*) FILTER (WHERE now = 'dormant') AS dormant,
       sum(revenue_between(history, '2025-07-01', '2026-06-30')) AS revenue
FROM shop_facts
CROSS JOIN LATERAL lifecycle_state(history, '2026-06-30', policy, engagement, membership, memberships) AS now
GROUP BY 1 ORDER BY 1;

\echo 'Quarter by quarter: who was reactivated, and who became dormant'
SELECT date_trunc('quarter', to_day)::date AS quarter,
       sum(customers) FILTER (WHERE from_state = 'dormant' AND to_state <> 'dormant') AS reactivated,
       sum(revenue_after) FILTER (WHERE from_state = 'dormant' AND to_state <> 'dormant') AS revenue,
       sum(customers) FILTER (WHERE from_state <> 'dormant' AND to_state = 'dormant') AS became_dormant
FROM shop_movement WHERE to_day > '2025-06-30' GROUP BY 1 ORDER BY 1;

-- ---- The same from a segmentation ------------------------------------------------------------------------------------------

-- The log says of which campaign a message was. Made up: what the shop spends on new customers, and what it wants to reach.
ALTER TABLE contacts ADD COLUMN campaign text;
UPDATE contacts SET campaign = 'waking_2025' WHERE "group" IS NOT NULL AND scenario IN (SELECT name FROM scenarios);
CREATE TABLE costs AS
SELECT date_trunc('month', contacted_at AT TIME ZONE 'Asia/Tokyo')::date AS month, 'reactivation' AS purpose, sum(cost) AS amount
FROM contacts WHERE campaign IS NOT NULL GROUP BY 1
UNION ALL
SELECT m, 'acquisition', 60000 FROM generate_series(timestamp '2025-07-01', '2026-06-01', '1 month') AS m;
CREATE TABLE kpi_targets (kpi text, month date, target numeric);
INSERT INTO kpi_targets VALUES ('revenue', '2026-06-01', 2000000), ('dormant_share', '2026-06-01', 0.5),
    ('reactivation_rate', '2026-06-01', 0.02), ('acquisition_cost', '2026-06-01', 3000), ('reactivation_cost', '2026-06-01', 2000);
SELECT create_segmentation('results', orders => 'orders', discounted => 'discounted', customers => 'customers', engagement => 'events',
                           contacts => 'contacts', policy => policy::text, as_of => '2026-07-01', time_zone => 'Asia/Tokyo',
                           campaign_days => 90, targets => 'kpi_targets', costs => 'costs', views => '{campaigns,kpis}')
FROM segmentation \g /dev/null

\echo 'The campaign: whose 90 days are over, and everybody so far'
SELECT test_group, is_interim, final_on, customers, responders, rate, revenue_per_head AS per_head, lift, lift_low, lift_high, verdict
FROM results_campaigns WHERE channel = '' ORDER BY is_interim, test_group <> 'holdout', test_group;

\echo 'What was to be reached in June'
SELECT kpi_label, unit, actual, target, on_track, is_interim FROM results_kpis WHERE target IS NOT NULL ORDER BY kpi_order;

\echo 'What a new customer costs, and one who was reactivated'
SELECT period, max(actual) FILTER (WHERE kpi = 'acquired') AS acquired,
       round(max(actual) FILTER (WHERE kpi = 'acquisition_cost')) AS each,
       max(actual) FILTER (WHERE kpi = 'reactivated') AS reactivated,
       round(max(actual) FILTER (WHERE kpi = 'reactivation_cost')) AS each
FROM results_kpis WHERE period BETWEEN '2026-01-01' AND '2026-06-01' GROUP BY period ORDER BY period;

-- ---- What brings customers who stay ------------------------------------------------------------------------------------------

\echo 'By what brought them, and by their first product: the second purchase, and the revenue of a year'
SELECT attribute, value, buyers, dormant, second_purchase_90 AS f2_90, judged_365, second_purchase_365 AS f2_365,
       second_purchase_365_low AS low, second_purchase_365_high AS high, round(revenue_365) AS revenue_365
FROM shop_attributes ORDER BY attribute, second_purchase_365 DESC NULLS LAST;

\echo 'Who moved into and out of the tiers in June'
SELECT from_label, to_label, customers, revenue_after FROM shop_transitions
WHERE dimension = 'vip_tier' AND to_day = '2026-06-30' AND from_value <> to_value ORDER BY 1, 2;

\echo 'Who is nearly a VIP: what is missing, and how much of it'
SELECT vip_missing, count(*) AS customers, min(orders_to_vip) AS orders, min(relation_to_vip) AS relation_points
FROM shop_customers WHERE vip_tier IN ('candidate', 'supporter') GROUP BY vip_missing ORDER BY customers DESC, vip_missing;

-- ---- Who ends the subscription -----------------------------------------------------------------------------------------------

\echo 'Of the subscriptions with which a month began, those that ended in it'
SELECT m.month, (proportion(m.has_ended)).*
FROM shop_facts AS f CROSS JOIN LATERAL subscription_months(f.memberships, f.as_of) AS m
WHERE m.month BETWEEN '2026-01-01' AND '2026-06-01'
GROUP BY m.month ORDER BY m.month;
