-- Tiers, and the customers who spent most: what keeps some of them from being VIPs.
-- Runs on the database of `make demo`. vip_tier decides, vip_score ranks. The demo's orders say nothing of reviews and
-- referrals, so a candidate needs the value score that the policy asks for without them.

SELECT t.label_en AS tier, count(s.customer_id) AS customers, sum(s.monetary) AS revenue,
       round(avg(s.vip_score), 1) AS mean_score
FROM vip_tiers() AS t
LEFT JOIN shop_customers_today AS s ON s.vip_tier = t.tier
GROUP BY t.sort_order, t.label_en
ORDER BY t.sort_order;

SELECT s.customer_id, s.vip_tier, s.vip_score, s.rfm_score, s.orders, s.monetary, s.last_purchase_on,
       s.vip_missing, s.orders_to_vip AS orders_missing, s.span_days_to_vip AS days_missing, s.value_to_vip AS value_missing
FROM shop_customers_today AS s
ORDER BY s.monetary DESC, s.customer_id
LIMIT 15;
