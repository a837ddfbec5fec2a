-- One row a customer, for reports. After new orders, or another as_of or policy in `segmentation`:
--   REFRESH MATERIALIZED VIEW CONCURRENTLY customer_segments;

CREATE MATERIALIZED VIEW public.customer_segments AS
SELECT h.customer_id, s.*
FROM public.segmentation AS p
CROSS JOIN (
    SELECT customer_id, rfm.purchase_history(ordered_on, amount) AS history
    FROM public.orders
    GROUP BY customer_id
) AS h
CROSS JOIN LATERAL rfm.segment_customer(h.history, p.as_of, p.policy) AS s;

-- What CONCURRENTLY needs.
CREATE UNIQUE INDEX ON public.customer_segments (customer_id);
