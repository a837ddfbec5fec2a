-- KPIs as views, to be adapted to your shop: days, months and groups are a few words each.
--
-- They stand on two tables of yours:
--   public.orders        (customer_id, ordered_on date, amount numeric), one row an order
--   public.segmentation  (as_of date, policy rfm.segment_policy), one row: the day you ask for and your thresholds
-- Another day is another as_of: nothing here was saved on the day it tells about.
--
-- Every rate comes with numerator, denominator and its 95 % interval (Wilson). Who is too young to be judged on as_of is in
-- no denominator, and a cohort of which nobody can be judged is NULL, never 0.

-- One row a customer. After new orders: REFRESH MATERIALIZED VIEW CONCURRENTLY customer_histories;
CREATE MATERIALIZED VIEW public.customer_histories AS
SELECT customer_id, rfm.purchase_history(ordered_on, amount) AS h
FROM public.orders
GROUP BY customer_id;

CREATE UNIQUE INDEX ON public.customer_histories (customer_id);

-- The customers who have bought up to as_of, with the month of their first purchase.
CREATE VIEW public.kpi_customers AS
SELECT c.customer_id, c.h, p.as_of, p.policy,
       date_trunc('month', rfm.first_purchase_on(c.h, p.as_of)::timestamp)::date AS first_month
FROM public.customer_histories AS c
CROSS JOIN public.segmentation AS p
WHERE rfm.first_purchase_on(c.h, p.as_of) IS NOT NULL;

-- F2 conversion: how many made a second purchase day within 30, 60, 90 days of the first, by month of the first purchase.
CREATE VIEW public.kpi_second_purchase AS
SELECT first_month, within_days,
       count(*) AS customers,
       (rfm.proportion(rfm.reached_purchase_within(h, 2, within_days, as_of))).*
FROM public.kpi_customers
CROSS JOIN (VALUES (30), (60), (90)) AS w (within_days)
GROUP BY first_month, within_days;

-- Step survival: of those with a first purchase day, how many made a second; of those, how many a third; and so on, so far.
CREATE VIEW public.kpi_step_survival AS
SELECT nth - 1 AS from_purchase, nth AS to_purchase,
       (rfm.proportion(rfm.reached_purchase(h, nth, as_of))).*
FROM public.kpi_customers
CROSS JOIN generate_series(2, 8) AS n (nth)
GROUP BY nth;

-- The same with 90 days for each step and everybody, so that many new customers do not press the rate.
CREATE VIEW public.kpi_step_within_90_days AS
SELECT nth - 1 AS from_purchase, nth AS to_purchase,
       (rfm.proportion(rfm.reached_purchase_within(h, nth, 90, as_of))).*
FROM public.kpi_customers
CROSS JOIN generate_series(2, 8) AS n (nth)
GROUP BY nth;

-- Retention: how many of those who first bought in a month bought again in the first, second, ... calendar month after it.
CREATE VIEW public.kpi_retention AS
SELECT first_month, months_after,
       count(*) AS customers,
       (rfm.proportion(rfm.retained_in_month(h, months_after, as_of))).*
FROM public.kpi_customers
CROSS JOIN generate_series(1, 12) AS m (months_after)
GROUP BY first_month, months_after;

-- Revenue by cohort, refunds included: in that calendar month, and from the first purchase to the end of that month. NULL
-- while the month is not over.
CREATE VIEW public.kpi_cohort_revenue AS
SELECT first_month, months_after,
       count(*) AS customers,
       sum(rfm.revenue_between(h, from_day, to_day)) FILTER (WHERE to_day <= as_of)    AS revenue,
       sum(rfm.revenue_between(h, first_month, to_day)) FILTER (WHERE to_day <= as_of) AS revenue_so_far,
       round(avg(rfm.revenue_between(h, first_month, to_day)) FILTER (WHERE to_day <= as_of), 2)
                                                                                      AS revenue_so_far_per_customer
FROM public.kpi_customers
CROSS JOIN generate_series(0, 12) AS m (months_after)
CROSS JOIN LATERAL (
    SELECT (first_month + make_interval(months => months_after))::date         AS from_day,
           (first_month + make_interval(months => months_after + 1))::date - 1 AS to_day
) AS period
GROUP BY first_month, months_after;

-- Reactivation: of those dormant 90 days before as_of, how many bought in these 90 days, by their segment then. The row without
-- a segment is all of them.
CREATE VIEW public.kpi_reactivation AS
SELECT rfm.rfm_segment(h, as_of - 90, policy) AS segment,
       (rfm.proportion(rfm.bought_between(h, as_of - 89, as_of, as_of))).*,
       sum(rfm.revenue_between(h, as_of - 89, as_of)) AS revenue
FROM public.kpi_customers
WHERE rfm.lifecycle_state(h, as_of - 90, policy) = 'dormant'
GROUP BY GROUPING SETS ((rfm.rfm_segment(h, as_of - 90, policy)), ());

-- Who became dormant: of those who were neither dormant nor at risk 180 days before as_of, how many are dormant on as_of, by
-- their state then. The row without a state is all of them. Take more days than your policy's dormant limit less its at-risk
-- limit, or nobody has had the time to become dormant.
CREATE VIEW public.kpi_became_dormant AS
SELECT rfm.lifecycle_state(h, as_of - 180, policy) AS state,
       (rfm.proportion(rfm.lifecycle_state(h, as_of, policy) = 'dormant')).*
FROM public.kpi_customers
WHERE rfm.lifecycle_state(h, as_of - 180, policy) NOT IN ('prospect', 'at_risk', 'dormant')
GROUP BY GROUPING SETS ((rfm.lifecycle_state(h, as_of - 180, policy)), ());

-- Share of revenue by decile of the customers, 1 the best tenth, and the top 1 %. Equal amounts are never parted: all who
-- share an amount are in the decile of the first of them, so deciles may differ in size, and one may be missing. In
-- the same way the top n % is everybody with at least the amount of the customer in place ceil(n % of all). A share of
-- money is no count of customers: it has no Wilson interval.
CREATE VIEW public.kpi_revenue_share AS
WITH placed AS (
    SELECT rfm.monetary(h, as_of) AS monetary,
           rank() OVER (ORDER BY rfm.monetary(h, as_of) DESC) AS place,
           count(*) OVER () AS customers
    FROM public.kpi_customers
), parts AS (
    SELECT 1 + 10 * (place - 1) / customers AS decile, monetary FROM placed
    UNION ALL
    SELECT 0, monetary FROM placed WHERE place <= ceil(customers / 100.0)
)
SELECT decile,
       CASE decile WHEN 0 THEN 'top 1 %' ELSE 'decile ' || decile END AS part,
       count(*)      AS customers,
       min(monetary) AS least,
       sum(monetary) AS revenue,
       round(sum(monetary) / nullif((SELECT sum(monetary) FROM placed), 0), 6) AS share
FROM parts
GROUP BY decile;
