-- Customers by recency and frequency digit, 5 best. The darker, the more of them, by the square root, so that one full cell
-- does not bleach all others.
WITH cells AS (
    SELECT r.digit AS r, f.digit AS f, count(c.customer_id) AS customers
    FROM generate_series(1, 5) AS r (digit)
    CROSS JOIN generate_series(1, 5) AS f (digit)
    LEFT JOIN shop_customers AS c ON c.r_score = r.digit AND c.f_score = f.digit
    GROUP BY r.digit, f.digit
), drawn AS (
    SELECT r, f, lpad(customers::text, 5) || ' '
                 || repeat(substr(' ░▒▓█', 1 + ceil(4 * sqrt(customers::numeric / max(customers) OVER ()))::int, 1), 2) AS cell
    FROM cells
)
SELECT 'R ' || r AS recency,
       max(cell) FILTER (WHERE f = 1) AS "F 1", max(cell) FILTER (WHERE f = 2) AS "F 2", max(cell) FILTER (WHERE f = 3) AS "F 3",
       max(cell) FILTER (WHERE f = 4) AS "F 4", max(cell) FILTER (WHERE f = 5) AS "F 5"
FROM drawn
GROUP BY r
ORDER BY r DESC;
