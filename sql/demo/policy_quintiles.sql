-- A first policy for orders nobody has looked at yet: the preset for mail order, its cuts at the quintiles of these customers.
-- psql variable: as_of, empty for the last day with an order.

CREATE TABLE public.segmentation (as_of date NOT NULL, policy rfm.segment_policy NOT NULL);

WITH asked AS (
    SELECT coalesce(nullif(:'as_of', '')::date, max(ordered_on)) AS as_of
    FROM public.orders
), customers AS (
    SELECT as_of,
           as_of - max(ordered_on) FILTER (WHERE amount >= 0 OR amount IS NULL) AS recency_days,
           count(*) FILTER (WHERE amount >= 0 OR amount IS NULL)                AS orders,
           coalesce(sum(amount), 0)                                             AS monetary
    FROM public.orders CROSS JOIN asked
    WHERE ordered_on <= as_of
    GROUP BY customer_id, as_of
)
INSERT INTO public.segmentation
SELECT as_of,
       rfm.preset_policy('mail_order_181')
       || jsonb_build_object('rfm', jsonb_build_object(
              'recency_cuts',   to_jsonb(percentile_disc('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY recency_days)),
              'frequency_cuts', to_jsonb(percentile_disc('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY orders)),
              'monetary_cuts',  to_jsonb(percentile_disc('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY monetary))
          ))::rfm.segment_policy
FROM customers
WHERE orders > 0
GROUP BY as_of;
