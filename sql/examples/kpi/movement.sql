-- Who moved between lifecycle states, for any days, without anything saved on them. After views.sql.

-- Between two days. Revenue before: in as many days up to from_day as there are from there to to_day; revenue after: from the
-- day after from_day to to_day. Example: SELECT * FROM kpi_movement_between('1998-03-31', '1998-06-30');
CREATE FUNCTION public.kpi_movement_between(from_day date, to_day date)
RETURNS TABLE (from_state text, to_state text, customers bigint, revenue_before numeric, revenue_after numeric)
LANGUAGE sql STABLE AS $$
    SELECT rfm.lifecycle_state(c.h, from_day, p.policy),
           rfm.lifecycle_state(c.h, to_day, p.policy),
           count(*),
           sum(rfm.revenue_between(c.h, from_day - (to_day - from_day) + 1, from_day)),
           sum(rfm.revenue_between(c.h, from_day + 1, to_day))
    FROM public.customer_histories AS c
    CROSS JOIN public.segmentation AS p
    WHERE rfm.first_purchase_on(c.h, to_day) IS NOT NULL
    GROUP BY 1, 2
$$;

-- Month by month, this year and the two before: from the end of one month to the end of the next. A month that is not over on
-- as_of is left out. Revenue as above: before, in as many days up to from_day as the month after it has.
CREATE VIEW public.kpi_movement AS
SELECT m.from_day, m.to_day, m.from_state, m.to_state,
       count(*)              AS customers,
       sum(m.revenue_before) AS revenue_before,
       sum(m.revenue_after)  AS revenue_after
FROM public.customer_histories AS c
CROSS JOIN public.segmentation AS p
CROSS JOIN LATERAL rfm.state_movements(
    c.h,
    (date_trunc('year', p.as_of::timestamp) - interval '2 years')::date - 1, -- a 31st, so that every month ends where it ends
    p.as_of, interval '1 month', p.policy
) AS m
GROUP BY m.from_day, m.to_day, m.from_state, m.to_state;
