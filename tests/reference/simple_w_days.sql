-- W in the shape most people would write it: orders folded into days first, a window pass that numbers each customer's
-- purchase days from the last, one more GROUP BY. The same columns and rows as simple_w.sql.
-- psql: \set as_of 1998-06-30, then \i this file.
WITH day AS (
    SELECT customer_id, ordered_on,
           count(*) FILTER (WHERE amount >= 0 OR amount IS NULL) AS orders,
           coalesce(sum(amount), 0) AS amount
    FROM orders
    WHERE ordered_on <= :'as_of'::date
    GROUP BY customer_id, ordered_on
),
-- nth: 1 on the last purchase day, 2 on the one before, ...; 0 on refunds after the last purchase
numbered AS (
    SELECT customer_id, ordered_on, orders, amount,
           count(*) FILTER (WHERE orders > 0) OVER (PARTITION BY customer_id ORDER BY ordered_on DESC) AS nth
    FROM day
),
customer AS (
    SELECT customer_id,
           max(ordered_on) FILTER (WHERE orders > 0) AS last_on,
           min(ordered_on) FILTER (WHERE orders > 0) AS first_on,
           max(ordered_on) FILTER (WHERE orders > 0 AND nth = 2) AS previous_on,
           sum(orders)::bigint AS orders,
           max(nth) AS purchase_days,
           sum(amount) AS monetary,
           sum(amount) FILTER (WHERE nth > 0) AS monetary_then,
           sum(amount) FILTER (WHERE nth = 1 AND orders > 0) AS last_amount,
           sum(amount) FILTER (WHERE nth > 1 AND orders > 0) AS amount_before_last
    FROM numbered
    GROUP BY customer_id
),
-- the last day that gave back more than was ever paid, or that saw refunds only, of half the last purchase day or all of one
large_refund AS (
    SELECT customer_id, max(ordered_on) AS large_refund_on
    FROM (
        SELECT r.customer_id, r.ordered_on
        FROM day AS r JOIN day AS b ON b.customer_id = r.customer_id AND b.ordered_on <= r.ordered_on
        WHERE r.amount < 0
        GROUP BY r.customer_id, r.ordered_on, r.orders, r.amount
        HAVING sum(b.amount) < 0
               OR r.orders = 0
                  AND (-2 * r.amount >= greatest(0, (array_agg(b.amount ORDER BY b.ordered_on DESC) FILTER (WHERE b.orders > 0))[1])
                       OR bool_or(b.amount = -r.amount AND b.orders > 0))
    ) AS r
    GROUP BY customer_id
),
measured AS (
    SELECT *,
           :'as_of'::date - last_on AS recency,
           last_on - previous_on > 60 AS was_absent,
           last_on - first_on >= 84 AND orders >= 4 AND purchase_days >= 3 AS is_good,
           5 - CASE WHEN :'as_of'::date - last_on > 180 THEN 4 WHEN :'as_of'::date - last_on > 90 THEN 3
                    WHEN :'as_of'::date - last_on > 60 THEN 2 WHEN :'as_of'::date - last_on > 30 THEN 1 ELSE 0 END AS r,
           CASE WHEN orders > 5 THEN 5 WHEN orders > 3 THEN 4 WHEN orders > 2 THEN 3 WHEN orders > 1 THEN 2 ELSE 1 END AS f,
           CASE WHEN monetary > 20000 THEN 5 WHEN monetary > 15000 THEN 4 WHEN monetary > 10000 THEN 3
                WHEN monetary > 5000 THEN 2 ELSE 1 END AS m,
           CASE WHEN monetary_then > 20000 THEN 5 WHEN monetary_then > 15000 THEN 4 WHEN monetary_then > 10000 THEN 3
                WHEN monetary_then > 5000 THEN 2 ELSE 1 END AS m_then
    FROM customer LEFT JOIN large_refund USING (customer_id)
),
-- 90 % of the value score: 11 of the 12 points that three digits can stand above 1
staged AS (
    SELECT *,
           CASE WHEN last_on IS NULL THEN 'prospect'
                WHEN recency > 60 THEN 'dormant'
                WHEN recency > 30 THEN 'at_risk'
                WHEN was_absent THEN 'winback'
                WHEN is_good AND r + f + m - 3 >= 11 THEN 'vip'
                WHEN orders <= 2 THEN 'new'
                ELSE 'active' END AS lifecycle_state
    FROM measured
)
SELECT customer_id,
       CASE WHEN last_on IS NOT NULL THEN 100 * r + 10 * f + m END AS rfm_score,
       lifecycle_state,
       CASE WHEN last_on IS NOT NULL THEN round((r + f + m - 3) * 25 / 3.0, 2) END AS vip_score,
       CASE WHEN monetary < 0 OR large_refund_on >= :'as_of'::date - 30 THEN 'resolve_complaint'
            WHEN lifecycle_state = 'prospect' THEN 'first_offer'
            WHEN lifecycle_state = 'winback' THEN 'welcome_back'
            WHEN lifecycle_state = 'dormant' THEN
                CASE WHEN is_good THEN 'hear_dormant_good'
                     WHEN large_refund_on >= previous_on OR large_refund_on IS NOT NULL AND previous_on IS NULL
                         THEN 'hear_dissatisfied'
                     WHEN amount_before_last > 0 AND last_amount * (purchase_days - 1) >= 2 * amount_before_last
                         THEN 'help_use_up'
                     WHEN purchase_days >= 3 AND last_on - first_on <= 30 THEN 'help_use_up'
                     WHEN purchase_days <= 2 THEN 'help_restart'
                     ELSE 'give_reason_to_return' END
            WHEN lifecycle_state = 'at_risk' THEN
                -- on the last purchase day the r digit was 5
                CASE WHEN is_good AND 5 + f + m_then - 3 >= 11 THEN 'personal_check_in' ELSE 'check_in' END
            WHEN lifecycle_state = 'vip' THEN 'early_access'
            WHEN orders >= 4 THEN 'send_customer_letter'
            WHEN orders >= 2 THEN 'give_reason_to_continue'
            ELSE 'onboard' END AS next_action
FROM staged;
