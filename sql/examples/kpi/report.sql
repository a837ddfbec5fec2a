-- Prints the views of views.sql and movement.sql: psql -f report.sql. What it prints for the CDNOW sample is in report.out.
\pset format aligned
\pset tuples_only off
\pset footer off
\pset null '-'

\echo 'F2 conversion: a second purchase day within so many days of the first'
SELECT first_month, within_days AS days, customers, numerator, denominator, rate, rate_low, rate_high
FROM kpi_second_purchase ORDER BY first_month, within_days;

\echo 'Step survival'
SELECT * FROM kpi_step_survival ORDER BY from_purchase;

\echo 'Step survival within 90 days'
SELECT * FROM kpi_step_within_90_days ORDER BY from_purchase;

\echo 'Retention: bought in the nth calendar month after the month of the first purchase'
SELECT first_month, customers,
       max(rate) FILTER (WHERE months_after = 1)  AS "1",
       max(rate) FILTER (WHERE months_after = 2)  AS "2",
       max(rate) FILTER (WHERE months_after = 3)  AS "3",
       max(rate) FILTER (WHERE months_after = 6)  AS "6",
       max(rate) FILTER (WHERE months_after = 9)  AS "9",
       max(rate) FILTER (WHERE months_after = 12) AS "12"
FROM kpi_retention GROUP BY first_month, customers ORDER BY first_month;

\echo 'Revenue by cohort'
SELECT * FROM kpi_cohort_revenue WHERE months_after IN (0, 1, 3, 6, 12) ORDER BY first_month, months_after;

\echo 'Reactivation: dormant 90 days ago, bought since'
SELECT * FROM kpi_reactivation ORDER BY segment NULLS LAST;

\echo 'Became dormant: neither dormant nor at risk 180 days ago, dormant now'
SELECT * FROM kpi_became_dormant ORDER BY state NULLS LAST;

\echo 'Share of revenue'
SELECT part, customers, least, revenue, share FROM kpi_revenue_share ORDER BY decile;

\echo 'Movement in the last quarter: the largest'
SELECT as_of FROM segmentation \gset
SELECT * FROM kpi_movement_between((:'as_of'::date + 1 - interval '3 months')::date - 1, :'as_of')
ORDER BY customers DESC, from_state, to_state
LIMIT 10;

\echo 'Movement month by month: into and out of dormancy, the last twelve months'
SELECT to_day AS month_end,
       sum(customers) FILTER (WHERE from_state = 'dormant')                               AS were_dormant,
       sum(customers) FILTER (WHERE from_state = 'dormant' AND to_state <> 'dormant')     AS reactivated,
       sum(revenue_after) FILTER (WHERE from_state = 'dormant' AND to_state <> 'dormant') AS revenue,
       sum(customers) FILTER (WHERE from_state <> 'dormant' AND to_state = 'dormant')     AS became_dormant
FROM kpi_movement GROUP BY to_day ORDER BY to_day DESC LIMIT 12;

-- The same question on an earlier day, when the youngest customers could not be judged yet.
BEGIN;
UPDATE segmentation SET as_of = '1997-05-15';
\echo 'F2 conversion as of 1997-05-15: too young is empty, not 0'
SELECT first_month, within_days AS days, customers, numerator, denominator, rate, rate_low, rate_high
FROM kpi_second_purchase ORDER BY first_month, within_days;
ROLLBACK;
