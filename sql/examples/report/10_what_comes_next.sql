-- Whose state changes in the next twelve weeks if nothing more happens: by week, out of which state.
SELECT c.as_of + 7 * w.week + 1 AS from_day, count(n.customer_id) AS customers,
       repeat('█', round(40.0 * count(n.customer_id) / nullif(max(count(n.customer_id)) OVER (), 0))::int) AS "who changes",
       count(*) FILTER (WHERE n.lifecycle_state = 'new') AS new, count(*) FILTER (WHERE n.lifecycle_state = 'active') AS active,
       count(*) FILTER (WHERE n.lifecycle_state = 'vip') AS vip, count(*) FILTER (WHERE n.lifecycle_state = 'winback') AS winback,
       count(*) FILTER (WHERE n.lifecycle_state = 'at_risk') AS at_risk,
       coalesce(sum(n.monetary), 0) AS "worth"
FROM shop_status AS c
CROSS JOIN generate_series(0, 11) AS w (week)
LEFT JOIN shop_customers AS n ON n.next_transition_on BETWEEN c.as_of + 7 * w.week + 1 AND c.as_of + 7 * w.week + 7
GROUP BY c.as_of, w.week
ORDER BY w.week;
