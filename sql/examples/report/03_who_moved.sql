-- Who moved from which state to which in the last month that is over, and what they brought in it.
SELECT to_day AS month_end, from_label AS from_state, to_label AS to_state, customers,
       repeat('█', round(40.0 * customers / max(customers) OVER ())::int) AS moved, revenue_after AS revenue
FROM shop_movement
WHERE to_day = (SELECT max(to_day) FROM shop_movement) AND from_state <> to_state
ORDER BY from_order, to_order;
