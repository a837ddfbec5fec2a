-- The views of sql/examples a second time, in plain SQL over the orders: the tests compare them column by column. Only the
-- states and segments come from elsewhere, from reference.segments (segments.sql), which is plain SQL too.

CREATE SCHEMA plain;

CREATE VIEW plain.asked AS
SELECT as_of, rfm.effective_policy(policy) AS policy FROM public.segmentation;

-- A proportion with its interval, in numeric: Wilson 1927.
CREATE FUNCTION plain.estimate(
    n bigint, d bigint,
    OUT numerator bigint, OUT denominator bigint, OUT rate numeric, OUT rate_low numeric, OUT rate_high numeric
)
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN d > 0 THEN n END, d, round(p, 6),
           round((p + z * z / (2 * m) - half) / (1 + z * z / m), 6),
           round((p + z * z / (2 * m) + half) / (1 + z * z / m), 6)
    FROM (
        SELECT m, p, z, z * sqrt(p * (1 - p) / m + z * z / (4 * m * m)) AS half
        FROM (SELECT nullif(d, 0)::numeric AS m, n::numeric(40, 20) / nullif(d, 0) AS p,
                     1.95996398454005400000000000000000 AS z) AS a
    ) AS b
$$;

-- One row a customer and purchase day, numbered.
CREATE MATERIALIZED VIEW plain.purchases AS
SELECT customer_id, ordered_on AS day, row_number() OVER (PARTITION BY customer_id ORDER BY ordered_on) AS nth
FROM (SELECT DISTINCT customer_id, ordered_on FROM public.orders WHERE coalesce(amount, 0) >= 0 AND ordered_on IS NOT NULL)
    AS days;

CREATE VIEW plain.customers AS
SELECT customer_id, day AS first_day, date_trunc('month', day::timestamp)::date AS first_month, as_of
FROM plain.purchases CROSS JOIN plain.asked
WHERE nth = 1 AND day <= as_of;

CREATE FUNCTION plain.bought(customer bigint, from_day date, to_day date) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM plain.purchases WHERE customer_id = customer AND day BETWEEN from_day AND to_day)
$$;

CREATE FUNCTION plain.revenue(customer bigint, from_day date, to_day date) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(amount), 0) FROM public.orders WHERE customer_id = customer AND ordered_on BETWEEN from_day AND to_day
$$;

CREATE VIEW plain.kpi_second_purchase AS
SELECT first_month, within_days, customers, e.*
FROM (
    SELECT first_month, within_days,
           count(*) AS customers,
           count(*) FILTER (WHERE first_day + within_days <= as_of) AS old_enough,
           count(*) FILTER (WHERE first_day + within_days <= as_of AND s.day - first_day <= within_days) AS again
    FROM plain.customers AS c
    CROSS JOIN (VALUES (30), (60), (90)) AS w (within_days)
    LEFT JOIN plain.purchases AS s ON s.customer_id = c.customer_id AND s.nth = 2
    GROUP BY first_month, within_days
) AS q
CROSS JOIN LATERAL plain.estimate(again, old_enough) AS e;

CREATE VIEW plain.steps AS
SELECT p.nth, p.day AS before, s.day AS day, as_of
FROM plain.asked
JOIN plain.purchases AS p ON p.day <= as_of AND p.nth < 8
LEFT JOIN plain.purchases AS s ON s.customer_id = p.customer_id AND s.nth = p.nth + 1 AND s.day <= as_of;

CREATE VIEW plain.kpi_step_survival AS
SELECT n AS from_purchase, n + 1 AS to_purchase, e.*
FROM generate_series(1, 7) AS s (n)
CROSS JOIN LATERAL (SELECT count(day) AS made, count(*) AS all_of_them FROM plain.steps WHERE nth = n) AS q
CROSS JOIN LATERAL plain.estimate(made, all_of_them) AS e
WHERE EXISTS (SELECT FROM plain.customers);

CREATE VIEW plain.kpi_step_within_90_days AS
SELECT n AS from_purchase, n + 1 AS to_purchase, e.*
FROM generate_series(1, 7) AS s (n)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE day - before <= 90) AS made, count(*) AS all_of_them
    FROM plain.steps
    WHERE nth = n AND before <= as_of - 90
) AS q
CROSS JOIN LATERAL plain.estimate(made, all_of_them) AS e
WHERE EXISTS (SELECT FROM plain.customers);

-- A month is over when the next one begins the day after as_of, or earlier.
CREATE VIEW plain.kpi_retention AS
SELECT first_month, months_after, customers, e.*
FROM (
    SELECT first_month, months_after,
           count(*) AS customers,
           CASE WHEN month + interval '1 month' <= as_of + 1 THEN count(*) ELSE 0 END AS judged,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM plain.purchases AS p
               WHERE p.customer_id = c.customer_id AND date_trunc('month', p.day::timestamp) = month)) AS came
    FROM plain.customers AS c
    CROSS JOIN generate_series(1, 12) AS m (months_after)
    CROSS JOIN LATERAL (SELECT first_month + make_interval(months => months_after) AS month) AS later
    GROUP BY first_month, months_after, month, as_of
) AS q
CROSS JOIN LATERAL plain.estimate(came, judged) AS e;

CREATE VIEW plain.kpi_cohort_revenue AS
SELECT first_month, months_after, customers, revenue, revenue_so_far,
       round(revenue_so_far / customers, 2) AS revenue_so_far_per_customer
FROM (SELECT first_month, count(*) AS customers FROM plain.customers GROUP BY first_month) AS c
CROSS JOIN plain.asked
CROSS JOIN generate_series(0, 12) AS m (months_after)
CROSS JOIN LATERAL (
    SELECT sum(amount) FILTER (WHERE ordered_on >= month_start) AS revenue, sum(amount) AS revenue_so_far
    FROM (SELECT first_month + make_interval(months => months_after) AS month_start) AS month
    CROSS JOIN (
        -- Everybody is there with 0, as long as the month is over.
        SELECT customer_id, first_month AS cohort, d AS ordered_on, 0 AS amount
        FROM plain.customers CROSS JOIN generate_series(0, 12) AS k
        CROSS JOIN LATERAL (SELECT (first_month + make_interval(months => k))::date AS d) AS days
        UNION ALL
        SELECT customer_id, first_month, ordered_on, amount
        FROM public.orders JOIN plain.customers USING (customer_id)
        WHERE ordered_on >= first_month
    ) AS o
    WHERE o.cohort = c.first_month AND o.ordered_on < month_start + interval '1 month'
      AND month_start + interval '1 month' <= as_of + 1
) AS r;

CREATE VIEW plain.kpi_reactivation AS
SELECT segment, e.*, revenue
FROM (
    SELECT s.rfm_segment AS segment,
           count(*) AS dormant,
           count(*) FILTER (WHERE plain.bought(s.customer_id, as_of - 89, as_of)) AS bought,
           sum(plain.revenue(s.customer_id, as_of - 89, as_of)) AS revenue
    FROM plain.asked
    CROSS JOIN LATERAL reference.segments(as_of - 90, policy, 'orders') AS s
    WHERE s.lifecycle_state = 'dormant'
    GROUP BY ROLLUP (s.rfm_segment)
) AS q
CROSS JOIN LATERAL plain.estimate(bought, dormant) AS e;

CREATE VIEW plain.kpi_became_dormant AS
SELECT state, e.*
FROM (
    SELECT before.lifecycle_state AS state,
           count(*) AS customers_then,
           count(*) FILTER (WHERE now.lifecycle_state = 'dormant') AS dormant_now
    FROM plain.asked
    CROSS JOIN LATERAL reference.segments(as_of - 180, policy, 'orders') AS before
    JOIN LATERAL reference.segments(as_of, policy, 'orders') AS now USING (customer_id)
    WHERE before.lifecycle_state IN ('new', 'active', 'vip', 'winback')
    GROUP BY ROLLUP (before.lifecycle_state)
) AS q
CROSS JOIN LATERAL plain.estimate(dormant_now, customers_then) AS e;

-- By the cuts: the amount in place ceil(d tenths of all) ends decile d; whoever has as much is in it, or in an earlier one.
CREATE VIEW plain.kpi_revenue_share AS
WITH spent AS (
    SELECT customer_id, sum(coalesce(amount, 0)) AS monetary
    FROM public.orders JOIN plain.customers USING (customer_id)
    WHERE ordered_on <= as_of
    GROUP BY customer_id
), sorted AS (
    SELECT array_agg(monetary ORDER BY monetary DESC) AS amounts, count(*) AS n, sum(monetary) AS total FROM spent
), parts AS (
    SELECT 0 AS decile, monetary FROM spent, sorted WHERE monetary >= amounts[ceil(n / 100.0)::int]
    UNION ALL
    SELECT (SELECT min(d) FROM generate_series(1, 10) AS d WHERE monetary >= amounts[ceil(d * n / 10.0)::int]), monetary
    FROM spent, sorted
)
SELECT decile::bigint AS decile, CASE WHEN decile = 0 THEN 'top 1 %' ELSE 'decile ' || decile END AS part,
       count(*) AS customers, min(monetary) AS least, sum(monetary) AS revenue,
       round(sum(monetary) / nullif((SELECT total FROM sorted), 0), 6) AS share
FROM parts
GROUP BY decile;

CREATE FUNCTION plain.kpi_movement_between(from_day date, to_day date)
RETURNS TABLE (from_state text, to_state text, customers bigint, revenue_before numeric, revenue_after numeric)
LANGUAGE sql STABLE AS $$
    SELECT before.lifecycle_state, after.lifecycle_state,
           count(*),
           sum(plain.revenue(customer_id, from_day - (to_day - from_day) + 1, from_day)),
           sum(plain.revenue(customer_id, from_day + 1, to_day))
    FROM plain.asked
    CROSS JOIN LATERAL reference.segments(from_day, policy, 'orders') AS before
    JOIN LATERAL reference.segments(to_day, policy, 'orders') AS after USING (customer_id)
    WHERE after.lifecycle_state <> 'prospect'
    GROUP BY 1, 2
$$;

CREATE VIEW plain.kpi_movement AS
SELECT from_day, to_day, moved.*
FROM plain.asked
CROSS JOIN generate_series(0, 35) AS n
CROSS JOIN LATERAL (SELECT make_date(extract(year FROM as_of)::int - 2, 1, 1) + make_interval(months => n) AS month) AS m
CROSS JOIN LATERAL (SELECT month::date - 1 AS from_day, (month + interval '1 month')::date - 1 AS to_day) AS days
CROSS JOIN LATERAL plain.kpi_movement_between(from_day, to_day) AS moved
WHERE to_day <= as_of;
