-- Who moved from which state to which between two days: the same histories, asked for two days.
-- Runs on the database of `make demo`. No snapshots are needed; today's orders and policy answer for both days.

WITH days AS (
    SELECT date '1998-03-31' AS before, date '1998-06-30' AS after
), states AS (
    SELECT customer_id,
           lifecycle_state(h, before, policy) AS before,
           lifecycle_state(h, after, policy)  AS after,
           monetary(h, after) - monetary(h, before) AS revenue -- between the two days
    FROM (
        SELECT customer_id, purchase_history(ordered_on, amount) AS h
        FROM orders
        GROUP BY customer_id
    ) AS histories
    CROSS JOIN shop_status
    CROSS JOIN days
)
SELECT b.label_en AS "from", a.label_en AS "to",
       count(*) AS customers,
       round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY b.state), 1) AS "% of from",
       sum(revenue) AS revenue
FROM states AS s
JOIN lifecycle_states() AS b ON b.state = s.before
JOIN lifecycle_states() AS a ON a.state = s.after
GROUP BY b.state, b.sort_order, b.label_en, a.sort_order, a.label_en
ORDER BY b.sort_order, a.sort_order;
