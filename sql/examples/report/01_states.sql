-- How many customers and how much revenue in which lifecycle state, in the order of the list.
WITH states AS (
    SELECT lifecycle_order, lifecycle_label, sum(customers) AS customers, sum(revenue) AS revenue,
           sum(customer_share) AS customer_share, sum(revenue_share) AS revenue_share
    FROM shop_segments
    GROUP BY lifecycle_order, lifecycle_label
)
SELECT lifecycle_label AS state,
       customers, round(100 * customer_share, 1) AS "%", repeat('█', round(30 * customer_share)::int) AS "share of customers",
       revenue, round(100 * revenue_share, 1) AS "% ", repeat('█', round(30 * revenue_share)::int) AS "share of revenue"
FROM states
ORDER BY lifecycle_order;
