-- Dormant customers by kind and likely reason, and what to do about them.
-- Runs on the database of `make demo`. dormancy_category and dormancy_reason are filled for dormant customers only; the
-- function dormancy_reason says of anybody why she would be.

SELECT dormancy_category, dormancy_reason, next_action,
       count(*) AS customers,
       round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS "% of dormant",
       round(avg(monetary), 2) AS mean_monetary,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY recency_days) AS median_recency_days
FROM shop_customers_today
WHERE lifecycle_state = 'dormant'
GROUP BY dormancy_category, dormancy_reason, next_action
ORDER BY customers DESC, next_action, dormancy_reason;

-- Whom to call first: they bought like VIPs when they last bought, and left within the last year.
SELECT customer_id, last_tier, orders, monetary, last_purchase_on, recency_days, dormancy_reason, next_action
FROM shop_customers_today
WHERE lifecycle_state = 'dormant' AND last_tier IN ('vip', 'candidate') AND recency_days <= 365
ORDER BY monetary DESC, customer_id
LIMIT 10;
