-- Tenths of the buyers, the best first: what they brought, and what all up to them did.
WITH tenths AS (
    SELECT tenth, count(*) AS customers, min(monetary) AS from_amount, sum(monetary) AS revenue,
           sum(monetary) / sum(sum(monetary)) OVER () AS share,
           sum(sum(monetary)) OVER (ORDER BY tenth) / sum(sum(monetary)) OVER () AS share_up_to
    FROM (
        SELECT monetary, ntile(10) OVER (ORDER BY monetary DESC, customer_id) AS tenth FROM shop_customers WHERE orders > 0
    ) AS b
    GROUP BY tenth
)
SELECT tenth, customers, from_amount AS "from", revenue, round(100 * share, 1) AS "%", repeat('█', round(40 * share)::int) AS share,
       round(100 * share_up_to, 1) AS "% up to here"
FROM tenths
ORDER BY tenth;
