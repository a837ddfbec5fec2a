-- The chance to come back, from the words of docs/guide/policies.md and the table orders (customer_id, ordered_on, amount), in
-- exact numbers wherever SQL has them. The test writes the day (:as_of) and the window (:window).
--
-- Every gap between two purchase days ends with a return; the one that is still open on the day asked for has not ended yet.
-- S(d) is the product-limit estimate of the share of gaps that last longer than d days: the product of 1 - returns / at risk over
-- all days up to d. Logarithms make it a sum.
WITH days AS (
    SELECT DISTINCT customer_id, ordered_on FROM orders WHERE amount >= 0 AND ordered_on <= :as_of),
gaps AS (
    SELECT coalesce(lead(ordered_on) OVER later, date :as_of) - ordered_on AS length,
           lead(ordered_on) OVER later IS NOT NULL AS returned
    FROM days
    WINDOW later AS (PARTITION BY customer_id ORDER BY ordered_on)),
lengths AS (
    SELECT length, count(*) FILTER (WHERE returned) AS returns, count(*) AS gaps FROM gaps GROUP BY length),
calendar AS (
    SELECT day, coalesce(returns, 0) AS returns,
           sum(coalesce(gaps, 0)) OVER (ORDER BY day ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS at_risk
    FROM generate_series(0, (SELECT max(length) FROM lengths)) AS day
    LEFT JOIN lengths ON length = day),
supported AS (
    SELECT day, at_risk,
           sum(ln(1 - returns / at_risk::numeric(40, 20))) OVER up_to AS log_share,
           sum(returns / (at_risk * (at_risk - returns))::numeric(40, 20)) OVER up_to AS greenwood
    FROM calendar
    WHERE at_risk >= 50
    WINDOW up_to AS (ORDER BY day)),
chances AS (
    SELECT now.day AS silent_days, 1 - exp(later.log_share - now.log_share) AS chance,
           exp(later.log_share - now.log_share) * sqrt(later.greenwood - now.greenwood) AS error, now.at_risk
    FROM supported AS now JOIN supported AS later ON later.day = now.day + :window)
SELECT silent_days, round(chance, 6) AS chance, round(greatest(chance - 1.959963984540054 * error, 0), 6) AS low,
       round(least(chance + 1.959963984540054 * error, 1), 6) AS high, at_risk::bigint AS at_risk
FROM chances
