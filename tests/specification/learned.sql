-- What is to be learned from all orders up to a day, in plain SQL. The test writes the day.
WITH days AS (
    SELECT customer_id, ordered_on, lag(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on) AS before
    FROM (SELECT DISTINCT customer_id, ordered_on FROM orders WHERE amount >= 0 AND ordered_on <= :as_of) AS d),
customers AS (
    SELECT c.customer_id, date :as_of - max(ordered_on) AS r, count(*) FILTER (WHERE amount >= 0) AS f,
           sum(amount) AS m, max(last_on) AS last_on
    FROM orders AS c
    JOIN (SELECT customer_id, max(ordered_on) AS last_on FROM days GROUP BY 1) AS l USING (customer_id)
    WHERE ordered_on <= :as_of GROUP BY 1),
arrays AS (
    SELECT array_agg((date :as_of - last_on)::numeric ORDER BY last_on DESC) AS r,
           array_agg(f::numeric ORDER BY f) AS f, array_agg(m ORDER BY m) AS m FROM customers),
gaps AS (SELECT array_agg((ordered_on - before)::numeric ORDER BY ordered_on - before) AS g FROM days WHERE before IS NOT NULL)
SELECT jsonb_build_object(
    'rfm', jsonb_build_object(
        'recency_cuts', (SELECT jsonb_agg(trim_scale(quantile(r, p, 5)) ORDER BY p) FROM generate_series(1, 4) p),
        'frequency_cuts', (SELECT jsonb_agg(trim_scale(quantile(f, p, 5)) ORDER BY p) FROM generate_series(1, 4) p),
        'monetary_cuts', (SELECT jsonb_agg(trim_scale(quantile(m, p, 5)) ORDER BY p) FROM generate_series(1, 4) p)),
    'vip', jsonb_build_object('monetary_cut', trim_scale(m[cardinality(m) - ceil(cardinality(m) / 100.0)::int + 1])),
    'lifecycle', jsonb_build_object(
        'store_gap_days', trim_scale(quantile(g, 1, 2)),
        'at_risk_after_days', ceil(quantile(g, 3, 4)),
        'dormant_after_days', greatest(ceil(quantile(g, 9, 10)), ceil(quantile(g, 3, 4)) + 1)))::text
FROM arrays, gaps
