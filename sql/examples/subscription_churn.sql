-- Who ends a subscription, by month and by cycle, with 95 % intervals; and who pauses and returns.
-- Runs on the database of `make demo`; its tables are temporary and stand for those of your shop. The CDNOW sample knows no
-- memberships: here every fourth customer subscribes on the day of the first purchase, and what comes after is made up.

CREATE TEMPORARY TABLE membership_log AS
SELECT c.customer_id, e.membership, c.first_on + e.after_days AS since
FROM (
    SELECT customer_id, min(ordered_on) AS first_on, ('x' || substr(md5(customer_id::text), 1, 6))::bit(24)::int AS dice
    FROM orders GROUP BY customer_id
) AS c
CROSS JOIN LATERAL (
    VALUES ('continuing', 0),
           (CASE WHEN c.dice % 5 = 0 THEN 'paused' END, 40 + c.dice % 60),
           (CASE WHEN c.dice % 5 = 0 AND c.dice % 3 > 0 THEN 'continuing' END, 100 + c.dice % 90),
           (CASE WHEN c.dice % 3 = 0 THEN 'withdrawn' END, 20 + c.dice / 7 % 500)
) AS e (membership, after_days)
WHERE c.dice % 4 = 0 AND e.membership IS NOT NULL;

CREATE TEMPORARY VIEW logs AS
SELECT customer_id, membership_history(membership, since) AS memberships FROM membership_log GROUP BY customer_id;

\echo 'Of the subscriptions with which a month began, those that ended in it'
SELECT m.month, (proportion(m.has_ended)).*
FROM logs AS l
CROSS JOIN shop_status AS p
CROSS JOIN LATERAL subscription_months(l.memberships, p.as_of) AS m
WHERE m.month >= '1998-01-01'
GROUP BY m.month ORDER BY m.month;

\echo 'Of the subscriptions that came to their nth month, those that ended before the next one'
SELECT c.cycle, (proportion(c.has_ended)).*
FROM logs AS l
CROSS JOIN shop_status AS p
CROSS JOIN LATERAL subscription_cycles(l.memberships, '1 month', p.as_of) AS c
WHERE c.cycle <= 12
GROUP BY c.cycle ORDER BY c.cycle;

\echo 'What the beginnings of memberships were'
SELECT m.moment, n.label_en, n.label_ja, count(*) AS customers
FROM logs AS l
CROSS JOIN shop_status AS p
CROSS JOIN LATERAL membership_periods(l.memberships, p.as_of) AS m
JOIN membership_moments() AS n USING (moment)
GROUP BY m.moment, n.label_en, n.label_ja, n.sort_order ORDER BY n.sort_order;

\echo 'The next step of those who withdrew: ten days, half a year and two years are not the same'
SELECT s.action_rule, s.next_action, count(*) AS customers, min(p.as_of - membership_since(l.memberships, p.as_of)) AS days_from,
       max(p.as_of - membership_since(l.memberships, p.as_of)) AS days_to
FROM logs AS l
JOIN (SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY customer_id) AS o USING (customer_id)
CROSS JOIN shop_status AS p
CROSS JOIN LATERAL segment_customer(o.h, p.as_of, p.policy, memberships => l.memberships) AS s
WHERE membership_on(l.memberships, p.as_of) = 'withdrawn' AND s.action_rule LIKE 'withdrawn%'
GROUP BY s.action_rule, s.next_action ORDER BY days_from;

DROP VIEW logs;
DROP TABLE membership_log;
