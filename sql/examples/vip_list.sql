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
       concat_ws(', ',
           CASE WHEN s.vip_tier = 'regular' AND s.last_purchase_on - s.first_purchase_on < (v ->> 'min_span_days')::int
                THEN 'all within ' || (s.last_purchase_on - s.first_purchase_on) || ' days' END,
           CASE WHEN s.vip_tier = 'regular' AND s.recency_days > (v ->> 'max_recency_days')::int
                THEN 'not bought for ' || s.recency_days || ' days' END,
           CASE WHEN s.vip_tier = 'regular' AND s.orders < (v ->> 'min_orders')::int
                THEN s.orders || ' orders only' END,
           CASE WHEN s.vip_tier = 'candidate' THEN 'value score ' || s.value_score || ', not '
                || (v ->> 'untracked_min_value_score') END
       ) AS lacks
FROM shop_customers_today AS s
CROSS JOIN shop_status AS p
CROSS JOIN LATERAL (SELECT effective_policy(p.policy) -> 'vip' AS v) AS vip
ORDER BY s.monetary DESC, s.customer_id
LIMIT 15;
