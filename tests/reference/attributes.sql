-- What comes of customers by attribute, a second time, in plain SQL over the lines of orders: by the words of
-- docs/guide/segmentations.md and not by the code. The tables are the test's:
--
--   lines (customer_id, order_no, at, amount, product, medium)   order_no NULL: one order a customer and day
--   people (customer_id, prefecture)
--
-- $1 is the day. One row an attribute and value, as NAME_attributes has it.
WITH line AS (
    SELECT customer_id, order_no, at, at::date AS day, amount, product, medium,
           coalesce('number ' || order_no, 'day ' || at::date) AS number
    FROM lines
    WHERE customer_id IS NOT NULL AND at IS NOT NULL AND at::date <= $1
), purchase AS (
    -- The days of an order on which its lines are worth something, or nothing is known of them.
    SELECT customer_id, number, min(order_no) AS order_no, day, min(at) AS began
    FROM line
    GROUP BY customer_id, number, day
    HAVING coalesce(sum(amount), 0) >= 0
), bought AS (
    -- An order is bought on the first of these days.
    SELECT customer_id, number, min(day) AS day FROM purchase GROUP BY customer_id, number
), buyer AS (
    SELECT b.customer_id, min(b.day) AS first_on, count(*) AS orders,
           (SELECT min(s.day) FROM bought AS s WHERE s.customer_id = b.customer_id AND s.day > min(b.day)) AS second_on
    FROM bought AS b
    GROUP BY b.customer_id
), first_order AS (
    SELECT b.customer_id,
           (SELECT p.number FROM purchase AS p WHERE p.customer_id = b.customer_id AND p.day = b.first_on
            ORDER BY p.began, p.order_no LIMIT 1) AS number
    FROM buyer AS b
), first_line AS (
    SELECT b.customer_id, n.product, n.medium
    FROM buyer AS b
    JOIN first_order AS o ON o.customer_id = b.customer_id
    CROSS JOIN LATERAL (
        SELECT l.product, l.medium FROM line AS l
        WHERE l.customer_id = b.customer_id AND l.day = b.first_on AND l.number = o.number
        ORDER BY l.amount DESC NULLS LAST, l.product COLLATE "C", l.medium COLLATE "C"
        LIMIT 1
    ) AS n
), customer AS (
    SELECT customer_id FROM people
    UNION
    SELECT customer_id FROM lines WHERE customer_id IS NOT NULL
), known AS (
    SELECT c.customer_id, a.attribute, coalesce(a.value, '') AS value
    FROM customer AS c
    LEFT JOIN people AS p ON p.customer_id = c.customer_id
    LEFT JOIN first_line AS f ON f.customer_id = c.customer_id
    CROSS JOIN LATERAL (VALUES ('prefecture', p.prefecture, true),
                               ('product', f.product, f.customer_id IS NOT NULL),
                               ('medium', f.medium, f.customer_id IS NOT NULL)) AS a (attribute, value, is_counted)
    WHERE a.is_counted
)
SELECT k.attribute, k.value,
       count(*) AS customers,
       count(b.customer_id) AS buyers,
       coalesce(sum(b.orders), 0)::bigint AS orders,
       coalesce(sum(m.revenue), 0) AS revenue,
       count(*) FILTER (WHERE b.first_on + 90 <= $1) AS judged_90,
       round(avg(CASE WHEN b.second_on - b.first_on <= 90 THEN 1 ELSE 0 END)
                 FILTER (WHERE b.first_on + 90 <= $1), 6) AS second_purchase_90,
       count(*) FILTER (WHERE b.first_on + 365 <= $1) AS judged_365,
       round(avg(CASE WHEN b.second_on - b.first_on <= 365 THEN 1 ELSE 0 END)
                 FILTER (WHERE b.first_on + 365 <= $1), 6) AS second_purchase_365,
       round(avg(y.revenue) FILTER (WHERE b.first_on + 365 <= $1), 6) AS revenue_365
FROM known AS k
LEFT JOIN buyer AS b ON b.customer_id = k.customer_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.amount), 0) AS revenue FROM line AS l WHERE l.customer_id = k.customer_id
) AS m
CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.amount), 0) AS revenue FROM line AS l
    WHERE l.customer_id = k.customer_id AND l.day BETWEEN b.first_on AND b.first_on + 365
) AS y
GROUP BY k.attribute, k.value
