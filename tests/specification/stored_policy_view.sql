-- A materialized view that uses a stored policy, beside one with the policy written out; then once a row, in the workers.
CREATE TABLE public.orders AS
SELECT n % 500 AS customer, date '2025-01-01' - n % 500 % 97 AS ordered_on, 1000::numeric AS amount
FROM generate_series(1, 20000) AS n;
ANALYZE public.orders;
CREATE MATERIALIZED VIEW public.states AS
SELECT customer, lifecycle_state(purchase_history(ordered_on, amount), '2025-03-08'::date,
                                 (SELECT stored_policy('shop', '2024-06-01'))) AS state
FROM public.orders GROUP BY customer;
CREATE UNIQUE INDEX ON public.states (customer);
SET search_path = '';
REFRESH MATERIALIZED VIEW public.states;
REFRESH MATERIALIZED VIEW CONCURRENTLY public.states;
SELECT count(*), count(*) FILTER (WHERE v.state IS DISTINCT FROM d.state), count(DISTINCT v.state)
FROM public.states AS v
FULL JOIN (SELECT customer, rfm.lifecycle_state(rfm.purchase_history(ordered_on, amount), '2025-03-08'::date,
                                                '{"lifecycle": {"dormant_after_days": 71}}') AS state
           FROM public.orders GROUP BY customer) AS d USING (customer);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT bool_and((rfm.stored_policy('shop', ordered_on)::text LIKE '%71%') = (ordered_on < '2025-01-01')), count(*)
FROM public.orders;
