-- The KPIs of a segmentation month by month, and the results of its campaigns, a second time in plain SQL over the orders:
-- after segments.sql and kpis.sql, which have the states and the interval.

-- The month of the day that is asked for and the twelve before it, each up to that day.
CREATE FUNCTION plain.months(as_of date) RETURNS TABLE (month date, to_day date)
LANGUAGE sql STABLE AS $$
    SELECT month, least(as_of, (month + interval '1 month')::date - 1)
    FROM (SELECT (date_trunc('month', as_of::timestamp) - n * interval '1 month')::date AS month FROM generate_series(0, 12) AS n) AS m
    WHERE (SELECT min(ordered_on) FROM public.orders) <= least(as_of, (month + interval '1 month')::date - 1)
$$;

-- One row a customer and month: what she bought, when she had bought first, and her state before and after.
CREATE FUNCTION plain.customer_months(as_of date, policy jsonb)
RETURNS TABLE (
    customer_id bigint, month date, to_day date, orders bigint, revenue numeric, first_month date, state_before text,
    state_after text
)
LANGUAGE sql STABLE AS $$
    SELECT c.customer_id, m.month, m.to_day, o.orders, o.revenue, date_trunc('month', f.first_day::timestamp)::date,
           before.lifecycle_state, after.lifecycle_state
    FROM plain.months(as_of) AS m
    CROSS JOIN (SELECT DISTINCT customer_id FROM public.orders) AS c
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE coalesce(amount, 0) >= 0) AS orders, coalesce(sum(amount), 0) AS revenue
        FROM public.orders AS r WHERE r.customer_id = c.customer_id AND r.ordered_on BETWEEN m.month AND m.to_day
    ) AS o
    LEFT JOIN (SELECT customer_id, min(day) AS first_day FROM plain.purchases GROUP BY customer_id) AS f
        ON f.customer_id = c.customer_id AND f.first_day <= m.to_day
    JOIN LATERAL reference.segments(m.month - 1, policy, 'orders') AS before ON before.customer_id = c.customer_id
    JOIN LATERAL reference.segments(m.to_day, policy, 'orders') AS after ON after.customer_id = c.customer_id
$$;

-- Second purchase days at most so many days after the first, of those whose first lies in the month and who had the time.
CREATE FUNCTION plain.second_purchases(as_of date, days int) RETURNS TABLE (month date, numerator numeric, denominator bigint)
LANGUAGE sql STABLE AS $$
    SELECT m.month, count(s.day) FILTER (WHERE s.day - f.day <= days), count(f.day)
    FROM plain.months(as_of) AS m
    LEFT JOIN plain.purchases AS f ON f.nth = 1 AND date_trunc('month', f.day::timestamp) = m.month AND f.day + days <= as_of
    LEFT JOIN plain.purchases AS s ON s.customer_id = f.customer_id AND s.nth = 2
    GROUP BY m.month
$$;

CREATE FUNCTION plain.counted_kpis(as_of date, policy jsonb)
RETURNS TABLE (kpi text, month date, numerator numeric, denominator bigint)
LANGUAGE sql STABLE AS $$
    WITH c AS MATERIALIZED (SELECT * FROM plain.customer_months(as_of, policy)),
    spent AS (
        SELECT purpose, date_trunc('month', spent_on::timestamp)::date AS month, sum(amount) AS amount FROM public.spent GROUP BY 1, 2
    )
    SELECT 'revenue', month, sum(revenue), NULL::bigint FROM c GROUP BY month
    UNION ALL SELECT 'orders', month, sum(orders), NULL FROM c GROUP BY month
    UNION ALL SELECT 'average_order_value', month, sum(revenue), sum(orders)::bigint FROM c GROUP BY month
    UNION ALL SELECT 'buyers', month, count(nullif(orders, 0)), NULL FROM c GROUP BY month
    UNION ALL SELECT 'acquired', month, count(*) FILTER (WHERE first_month = month), NULL FROM c GROUP BY month
    UNION ALL SELECT 'f2_within_' || days || '_days', s.* FROM unnest(ARRAY[30, 60, 90]) AS d (days), plain.second_purchases(as_of, days) AS s
    UNION ALL
    SELECT 'retained_month_' || n, month, count(*) FILTER (WHERE is_of_cohort AND orders > 0), count(*) FILTER (WHERE is_of_cohort)
    FROM c CROSS JOIN unnest(ARRAY[1, 3, 6, 12]) AS n
    CROSS JOIN LATERAL (SELECT first_month = (month - n * interval '1 month')::date AS is_of_cohort) AS k
    GROUP BY n, month
    UNION ALL SELECT 'reactivated', month, count(*) FILTER (WHERE state_before = 'dormant' AND orders > 0), NULL FROM c GROUP BY month
    UNION ALL
    SELECT 'reactivation_rate', month, count(*) FILTER (WHERE state_before = 'dormant' AND orders > 0),
           count(*) FILTER (WHERE state_before = 'dormant')
    FROM c GROUP BY month
    UNION ALL
    SELECT 'at_risk_saved', month, count(*) FILTER (WHERE state_before = 'at_risk' AND orders > 0),
           count(*) FILTER (WHERE state_before = 'at_risk')
    FROM c GROUP BY month
    UNION ALL
    SELECT 'became_dormant', month, count(*) FILTER (WHERE state_after = 'dormant' AND state_before IN ('new', 'active', 'vip', 'winback', 'at_risk')),
           count(*) FILTER (WHERE state_before IN ('new', 'active', 'vip', 'winback', 'at_risk'))
    FROM c GROUP BY month
    UNION ALL
    SELECT 'dormant_share', month, count(*) FILTER (WHERE state_after = 'dormant'), count(*) FILTER (WHERE state_after <> 'prospect')
    FROM c GROUP BY month
    UNION ALL
    SELECT 'vip_share', month, count(*) FILTER (WHERE state_after = 'vip'), count(*) FILTER (WHERE state_after <> 'prospect')
    FROM c GROUP BY month
    UNION ALL
    SELECT 'acquisition_cost', c.month, (SELECT amount FROM spent WHERE purpose = 'acquisition' AND spent.month = c.month),
           count(*) FILTER (WHERE first_month = month)
    FROM c GROUP BY month
    UNION ALL
    SELECT 'reactivation_cost', c.month, (SELECT amount FROM spent WHERE purpose = 'reactivation' AND spent.month = c.month),
           count(*) FILTER (WHERE state_before = 'dormant' AND orders > 0)
    FROM c GROUP BY month
$$;

-- Beside the targets. A sum, and a share of those who do something in the month, grows with the days of the month.
CREATE FUNCTION plain.kpis(as_of date, policy jsonb)
RETURNS TABLE (
    kpi text, period date, numerator numeric, denominator bigint, actual numeric, actual_low numeric, actual_high numeric,
    final_on date, is_interim boolean, target numeric, target_so_far numeric, on_track boolean
)
LANGUAGE sql STABLE AS $$
    SELECT kpi, month, k.numerator, k.denominator, actual, e.rate_low, e.rate_high, final_on, as_of < final_on, t.target, due,
           CASE WHEN kpi IN ('became_dormant', 'dormant_share', 'acquisition_cost', 'reactivation_cost') THEN actual <= due
                ELSE actual >= due END
    FROM (
        SELECT k.*, CASE WHEN denominator IS NULL THEN numerator WHEN denominator > 0 THEN round(numerator / denominator, 6) END AS actual,
               (month + interval '1 month')::date - month AS days
        FROM plain.counted_kpis(as_of, policy) AS k
    ) AS k
    LEFT JOIN (SELECT kpi, date_trunc('month', of_month::timestamp)::date AS month, target::numeric AS target FROM public.targets) AS t USING (kpi, month)
    CROSS JOIN LATERAL (SELECT month + days - 1 + coalesce(substring(kpi FROM 'f2_within_(\d+)')::int, 0) AS final_on) AS f
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN as_of >= month + days - 1 THEN t.target
            WHEN kpi IN ('revenue', 'orders', 'buyers', 'acquired', 'reactivated', 'reactivation_rate', 'at_risk_saved',
                         'became_dormant') OR kpi LIKE 'retained%' THEN round(t.target * (as_of - month + 1) / days, 6)
            ELSE t.target END AS due
    ) AS d
    CROSS JOIN LATERAL plain.estimate(
        CASE WHEN kpi NOT IN ('average_order_value', 'acquisition_cost', 'reactivation_cost') THEN k.numerator::bigint END,
        CASE WHEN kpi NOT IN ('average_order_value', 'acquisition_cost', 'reactivation_cost') THEN k.denominator END) AS e
$$;

-- What came of campaigns: who was in one group only, from the first contact on for so many days, so far and to the end.
CREATE FUNCTION plain.campaigns(as_of date, days int)
RETURNS TABLE (
    campaign text, test_group text, channel text, is_interim boolean, final_on date, customers bigint, responders bigint,
    rate numeric, rate_low numeric, rate_high numeric, revenue numeric, revenue_per_head numeric, lift numeric
)
LANGUAGE sql STABLE AS $$
    WITH members AS (
        SELECT campaign, customer_id, coalesce(max("group"), '') AS test_group, min(contacted_on) AS first_on,
               min(contacted_on) + days - 1 AS last_on
        FROM public.contacts WHERE campaign IS NOT NULL GROUP BY campaign, customer_id HAVING count(DISTINCT "group") <= 1
    ), answers AS (
        SELECT m.*, max(last_on) OVER (PARTITION BY campaign) AS final_on,
               coalesce((SELECT channel FROM public.contacts AS c
                         WHERE c.campaign = m.campaign AND c.customer_id = m.customer_id AND channel IS NOT NULL
                         ORDER BY contacted_on, channel LIMIT 1), 'none') AS channel,
               plain.bought(customer_id, first_on, least(last_on, as_of)) AS responded,
               plain.revenue(customer_id, first_on, least(last_on, as_of)) AS revenue
        FROM members AS m WHERE first_on <= as_of
    ), looks AS (
        SELECT false AS is_interim, * FROM answers WHERE last_on <= as_of
        UNION ALL
        SELECT true, * FROM answers WHERE final_on > as_of
    ), groups AS (
        SELECT campaign, test_group, '' AS channel, is_interim, final_on, count(*) AS n, count(*) FILTER (WHERE responded) AS k, sum(revenue) AS revenue
        FROM looks GROUP BY 1, 2, 4, 5
        UNION ALL
        SELECT campaign, test_group, channel, is_interim, final_on, count(*), count(*) FILTER (WHERE responded), sum(revenue)
        FROM looks GROUP BY 1, 2, 3, 4, 5
    )
    SELECT g.campaign, g.test_group, g.channel, g.is_interim, g.final_on, g.n, g.k, e.rate, e.rate_low, e.rate_high, g.revenue,
           round(g.revenue / g.n, 6),
           CASE WHEN g.channel = '' AND g.test_group <> 'holdout' THEN round(g.k::numeric(40, 20) / g.n - h.k::numeric(40, 20) / h.n, 6) END
    FROM groups AS g
    LEFT JOIN groups AS h ON h.campaign = g.campaign AND h.is_interim = g.is_interim AND h.test_group = 'holdout' AND h.channel = ''
    CROSS JOIN LATERAL plain.estimate(g.k, g.n) AS e
$$;
