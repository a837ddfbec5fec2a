-- A first policy for orders nobody has looked at yet: the preset for mail order, over which cuts and limits are learned from
-- these customers, however few they are. Where there are too few gaps the preset's limits stay.
-- psql variable: as_of, empty for the last day with an order. Sets: as_of, policy, learn.

SELECT coalesce(nullif(:'as_of', '')::date, max(ordered_on)) AS as_of,
       rfm.preset_policy('mail_order_181') || '{"learn": {"min_customers": 1}}' AS policy, true AS learn
FROM public.orders \gset
