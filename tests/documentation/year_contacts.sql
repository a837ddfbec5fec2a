-- What the checks of tests/documentation/year.rs stand on.
CREATE SCHEMA plain;
CREATE TABLE plain.contacts AS
SELECT customer_id, channel, (contacted_at AT TIME ZONE 'Asia/Tokyo')::date AS day, scenario, step, "group" AS grp, cost,
       scenario IN (SELECT name FROM scenarios) AS of_the_year
FROM contacts WHERE "group" IS DISTINCT FROM 'holdout';
CREATE INDEX ON plain.contacts (customer_id);
CREATE TABLE plain.sent AS SELECT * FROM plain.contacts WHERE of_the_year;
CREATE TABLE plain.steps AS
SELECT name AS scenario, s ->> 'id' AS step, n, (s ->> 'after_days')::int AS after_days, s -> 'channels' AS channels,
       scenario::jsonb -> 'stop_when' AS stop_when, (scenario::jsonb ->> 'reenter_after_days')::int AS reenter
FROM scenarios, jsonb_array_elements(scenario::jsonb -> 'steps') WITH ORDINALITY AS e (s, n);
-- Each message beside the one before it in its scenario, and the day its round began.
CREATE TABLE plain.rounds AS
SELECT *, max(day) FILTER (WHERE n = 1) OVER (PARTITION BY customer_id, scenario ORDER BY day) AS began
FROM (
    SELECT c.*, n, after_days, stop_when, reenter, channels,
           lag(n) OVER w AS n_before, lag(after_days) OVER w AS after_before, lag(day) OVER w AS day_before
    FROM plain.sent AS c JOIN plain.steps USING (scenario, step)
    WINDOW w AS (PARTITION BY customer_id, scenario ORDER BY day)
) AS r;
-- Contacts by channel and day, with the purchase that answered them.
CREATE TABLE plain.answers AS
SELECT c.customer_id, c.channel, c.day, min(o.ordered_on) AS answered_on
FROM (SELECT DISTINCT customer_id, channel, day FROM plain.contacts) AS c
JOIN (SELECT customer_id, day, lead(day) OVER (PARTITION BY customer_id ORDER BY day) AS next_day
      FROM (SELECT DISTINCT customer_id, day FROM plain.contacts) AS d) AS d USING (customer_id, day)
LEFT JOIN orders AS o ON o.customer_id = c.customer_id AND amount >= 0 AND ordered_on > c.day
    AND ordered_on <= least(c.day + 30, next_day)
GROUP BY c.customer_id, c.channel, c.day;
CREATE INDEX ON plain.answers (customer_id, channel);
CREATE TABLE plain.limits (channel text, contacts int, days int);
INSERT INTO plain.limits VALUES (NULL, 1, 7), (NULL, 4, 60), ('postal', 2, 60), ('phone', 1, 60);
ANALYZE;
