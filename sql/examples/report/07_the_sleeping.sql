-- The dormant by likely reason and year of dormancy, which begins with lifecycle.reactivation_min_days: how many, and what they
-- had spent.
SELECT c.reason_label AS reason,
       count(*) FILTER (WHERE d.year IS NULL) AS "not yet", count(*) FILTER (WHERE d.year = 1) AS "year 1",
       count(*) FILTER (WHERE d.year = 2) AS "year 2", count(*) FILTER (WHERE d.year >= 3) AS "later",
       repeat('█', round(40.0 * count(*) / max(count(*)) OVER ())::int) AS customers,
       sum(c.monetary) AS had_spent
FROM shop_customers_today AS c
CROSS JOIN shop_status AS s
CROSS JOIN LATERAL dormant_year(c.recency_days, s.policy) AS d (year)
WHERE c.lifecycle_state = 'dormant'
GROUP BY c.reason_order, c.reason_label
ORDER BY c.reason_order;
