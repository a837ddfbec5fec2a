-- Customers per lifecycle state at the end of every month.
-- Runs on the database of `make demo`. The orders are read once: a history answers for any day.

WITH histories AS MATERIALIZED (
    SELECT customer_id, purchase_history(ordered_on, amount) AS h
    FROM orders
    GROUP BY customer_id
), month_ends AS (
    SELECT (month + interval '1 month' - interval '1 day')::date AS day
    FROM generate_series(timestamp '1997-01-01', timestamp '1998-06-01', interval '1 month') AS month
)
SELECT m.day,
       count(*) FILTER (WHERE state = 'new')      AS new,
       count(*) FILTER (WHERE state = 'active')   AS active,
       count(*) FILTER (WHERE state = 'vip')      AS vip,
       count(*) FILTER (WHERE state = 'winback')  AS winback,
       count(*) FILTER (WHERE state = 'at_risk')  AS at_risk,
       count(*) FILTER (WHERE state = 'dormant')  AS dormant,
       count(*) FILTER (WHERE state <> 'prospect') AS customers -- prospect here: first order still to come
FROM month_ends AS m
CROSS JOIN histories
CROSS JOIN shop_status AS p
CROSS JOIN LATERAL lifecycle_state(h, m.day, p.policy) AS state
GROUP BY m.day
ORDER BY m.day;
