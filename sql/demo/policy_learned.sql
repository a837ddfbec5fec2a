-- A first policy for orders nobody has looked at yet: the preset for mail order, with cuts and limits learned from these
-- customers, however few they are. Where there are too few gaps the preset's limits stay.
-- psql variable: as_of, empty for the last day with an order. Sets: as_of, policy.

WITH asked AS (
    SELECT coalesce(nullif(:'as_of', '')::date, max(ordered_on)) AS as_of
    FROM public.orders
), customers AS (
    SELECT as_of, rfm.purchase_history(ordered_on, amount) AS h
    FROM public.orders CROSS JOIN asked
    GROUP BY customer_id, as_of
)
SELECT as_of, rfm.learn_policy(h, as_of, rfm.preset_policy('mail_order_181') || '{"learn": {"min_customers": 1}}') AS policy
FROM customers
WHERE rfm.orders(h, as_of) > 0
GROUP BY as_of \gset
