-- What was known of every customer on a day, from the lines of orders that had been written by then: nothing later is
-- looked at. Plain SQL, by the words of docs/guide/data.md; the table is the test's:
--
--   lines (customer_id, order_no, day, amount, discounted)
--
-- $1 is the day.
WITH known AS (
    -- Lines without a number are one order a day.
    SELECT customer_id, coalesce('number ' || order_no, 'day ' || day) AS number, day, coalesce(amount, 0) AS amount,
           discounted
    FROM lines
    WHERE day <= $1 AND customer_id IS NOT NULL
), day_of_order AS (
    SELECT customer_id, number, day, sum(amount) AS amount, bool_or(discounted) AS discounted
    FROM known
    GROUP BY customer_id, number, day
), purchase AS (
    SELECT DISTINCT ON (customer_id, number) customer_id, number, day, discounted
    FROM day_of_order
    WHERE amount >= 0
    ORDER BY customer_id, number, day
), refund_only AS (
    SELECT k.customer_id, k.day
    FROM known AS k
    WHERE NOT EXISTS (SELECT FROM purchase AS p WHERE p.customer_id = k.customer_id AND p.day = k.day)
    GROUP BY k.customer_id, k.day
    HAVING sum(k.amount) < 0
), money AS (
    SELECT customer_id, sum(amount) AS monetary FROM known GROUP BY customer_id
)
SELECT m.customer_id,
       m.monetary,
       count(p.day) AS orders,
       count(DISTINCT p.day) AS purchase_days,
       min(p.day) AS first_on,
       max(p.day) AS last_on,
       (SELECT max(q.day) FROM purchase AS q WHERE q.customer_id = m.customer_id AND q.day < max(p.day)) AS previous_on,
       round(count(*) FILTER (WHERE p.discounted)::numeric / nullif(count(p.discounted), 0), 6) AS discount_share,
       $1 - (SELECT max(r.day) FROM refund_only AS r WHERE r.customer_id = m.customer_id) AS refund_only_days_ago
FROM money AS m
LEFT JOIN purchase AS p ON p.customer_id = m.customer_id
GROUP BY m.customer_id, m.monetary
