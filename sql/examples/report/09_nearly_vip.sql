-- Who is nearly a VIP: those who lack one purchase at most, by their tier and what else is missing, and how much of it at least.
SELECT tier_label AS tier, vip_missing AS missing, min(orders_to_vip) AS "purchases, least", min(value_to_vip) AS "points, least",
       count(*) AS customers, repeat('█', round(40.0 * count(*) / max(count(*)) OVER ())::int) AS "how many", sum(monetary) AS revenue
FROM shop_customers
WHERE vip_tier <> 'vip' AND orders_to_vip <= 1
GROUP BY tier_order, tier_label, vip_missing
ORDER BY tier_order, count(*) DESC, vip_missing;
