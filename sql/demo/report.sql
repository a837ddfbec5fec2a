-- What the shop's owner wants to see.
\pset null '-'

SELECT format('As of %s: %s orders of %s customers, %s to %s', as_of, count(DISTINCT (customer_id, order_id)),
              count(DISTINCT customer_id),
              min(ordered_on), max(ordered_on)) AS headline
FROM shop_status JOIN orders ON ordered_on <= as_of
GROUP BY as_of \gset
\echo
\echo :headline

\echo
\echo 'Lifecycle: who is still with you, and where the revenue comes from'
SELECT l.state, l.label_en, l.label_ja,
       count(s.customer_id)                                                                          AS customers,
       round(100.0 * count(s.customer_id) / sum(count(s.customer_id)) OVER (), 1)                    AS "% of customers",
       coalesce(sum(s.monetary), 0)                                                                  AS revenue,
       round(100 * coalesce(sum(s.monetary), 0) / nullif(sum(sum(s.monetary)) OVER (), 0), 1)        AS "% of revenue"
FROM rfm.lifecycle_states() AS l
LEFT JOIN shop_customers AS s ON s.lifecycle_state = l.state
GROUP BY l.state, l.label_en, l.label_ja, l.sort_order
ORDER BY l.sort_order;

\echo 'RFM grid: customers by recency (rows, 5 = bought lately) and frequency (columns, 5 = buys often)'
SELECT r AS "r \ f",
       count(s.customer_id) FILTER (WHERE f_score = 1) AS "1",
       count(s.customer_id) FILTER (WHERE f_score = 2) AS "2",
       count(s.customer_id) FILTER (WHERE f_score = 3) AS "3",
       count(s.customer_id) FILTER (WHERE f_score = 4) AS "4",
       count(s.customer_id) FILTER (WHERE f_score = 5) AS "5",
       count(s.customer_id)                            AS customers,
       coalesce(sum(s.monetary), 0)                    AS revenue
FROM generate_series(5, 1, -1) AS r
LEFT JOIN shop_customers AS s ON s.r_score = r
GROUP BY r
ORDER BY r DESC;

-- These orders say nothing of reviews, referrals and the like; the policy then asks for a value score of its own.
SELECT CASE WHEN vips > 0 THEN format('VIPs: %s, the best ten', vips)
            ELSE format('VIPs: none (without engagement data it takes a value score of %s). The best ten of %s candidates instead',
                        untracked, candidates) END AS headline,
       CASE WHEN vips > 0 THEN 'vip' ELSE 'candidate' END AS tier
FROM (
    SELECT count(*) FILTER (WHERE vip_tier = 'vip')       AS vips,
           count(*) FILTER (WHERE vip_tier = 'candidate') AS candidates
    FROM shop_customers
) AS tiers
CROSS JOIN (SELECT rfm.effective_policy(policy) #>> '{vip,untracked_min_value_score}' AS untracked FROM shop_status) AS p \gset
\echo :headline
SELECT customer_id, vip_score, vip_tier, rfm_score, orders, monetary, last_purchase_on, lifecycle_state
FROM shop_customers
WHERE vip_tier = :'tier'
ORDER BY vip_score DESC, monetary DESC, customer_id
LIMIT 10;

\echo 'Movement in the last month that is over: who became dormant, who came back'
SELECT m.from_day, m.to_day, m.from_state, m.to_state, m.customers, m.revenue_after AS revenue
FROM shop_movement AS m
WHERE m.to_day = (SELECT max(to_day) FROM shop_movement) AND m.from_state <> m.to_state
ORDER BY m.customers DESC, m.from_state, m.to_state;

\echo 'Next actions: one for every customer'
SELECT a.action_title AS title, n.title_ja, a.next_action, a.customers, a.revenue
FROM shop_actions AS a
CROSS JOIN shop_status AS p
LEFT JOIN LATERAL rfm.next_actions(p.policy) AS n ON n.rule = a.action_rule
ORDER BY a.customers DESC, a.next_action;
