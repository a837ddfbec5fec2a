-- Prints the views of views.sql: psql -f report.sql. What it prints for the shop of shop.sql is in report.out.
\pset format aligned
\pset tuples_only off
\pset footer off
\pset null '-'

\echo 'Before: customers needed in each group to find a reactivation rate of 4 % doubled'
SELECT rfm.ab_sample_size(0.04, 0.04) AS customers;

\echo 'Groups: reactivated within the window'
SELECT campaign, grp, (result).customers, (result).responders, (result).rate, (result).rate_low, (result).rate_high,
       (result).revenue, (result).revenue_per_head AS per_head
FROM campaign_groups ORDER BY campaign, is_control DESC, grp;

\echo 'Against the control'
SELECT campaign, grp, lift, lift_low, lift_high, relative_lift, p_value, p_method, verdict
FROM campaign_kpi ORDER BY campaign, grp;

\echo 'Money: revenue per head and cost'
SELECT campaign, grp, revenue_lift, revenue_lift_low AS low, revenue_lift_high AS high, cost, cost_per_reactivated, cost_per_one_more, gain
FROM campaign_kpi ORDER BY campaign, grp;

\echo 'What to test next'
SELECT place, factor, label_ja, weight, tests, worth FROM campaign_next_test ORDER BY place;
