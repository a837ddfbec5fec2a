-- Of those who first bought in a month: which share bought in the nth month after it, in %, and all twelve months as a line. The
-- lines have one scale: the highest block is the highest share of any month.
SELECT first_month, customers,
       string_agg(substr('▁▂▃▄▅▆▇█', 1 + floor(7.999 * active_share / greatest(most, 0.01))::int, 1), '' ORDER BY months_after)
           AS "months 1 to 12",
       max(round(100 * active_share, 1)) FILTER (WHERE months_after = 1) AS "1",
       max(round(100 * active_share, 1)) FILTER (WHERE months_after = 2) AS "2",
       max(round(100 * active_share, 1)) FILTER (WHERE months_after = 3) AS "3",
       max(round(100 * active_share, 1)) FILTER (WHERE months_after = 6) AS "6",
       max(round(100 * active_share, 1)) FILTER (WHERE months_after = 9) AS "9",
       max(round(100 * active_share, 1)) FILTER (WHERE months_after = 12) AS "12"
FROM (SELECT *, max(active_share) OVER () AS most FROM shop_cohorts WHERE months_after > 0) AS c
GROUP BY first_month, customers
ORDER BY first_month;
