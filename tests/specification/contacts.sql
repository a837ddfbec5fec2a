-- A log of 200 customers over 150 days, limits, and the first day of each question by counting: `asked` has one row for every
-- customer, day asked, and channel (NULL: over all).
SELECT setseed(0.37);
CREATE TABLE contacts AS
SELECT n % 200 AS customer_id, (ARRAY['email', 'line', 'postal', NULL])[1 + (random() * 3)::int] AS channel,
       date '2025-01-01' + (random() * 150)::int AS day,
       (ARRAY['holdout', 'a', NULL])[1 + (random() * 2)::int] AS test_group
FROM generate_series(1, 3000) AS n;
-- The same row twice is two contacts.
INSERT INTO contacts SELECT * FROM contacts WHERE customer_id < 50;
CREATE INDEX ON contacts (customer_id);
ANALYZE contacts;
CREATE TABLE limits (channel text, contacts int, days int);
INSERT INTO limits VALUES (NULL, 1, 4), (NULL, 3, 20), (NULL, 7, 60), ('email', 1, 14), ('email', 2, 45), ('line', 2, 30);
CREATE TABLE logs AS
SELECT customer_id, contact_history(channel, day, NULL, NULL, test_group) AS log FROM contacts GROUP BY customer_id;
-- Limits alone: which channels give way because nobody answers over them is the subject of responses.rs.
CREATE TABLE policy AS
SELECT '{"contact": {"unanswered_before_next_channel": null, "min_days_between": 4, "limits": [{"contacts": 3, "days": 20}, {"contacts": 7, "days": 60}],
         "channel_limits": {"email": [{"contacts": 1, "days": 14}, {"contacts": 2, "days": 45}],
                            "line": [{"contacts": 2, "days": 30}]}}}'::segment_policy AS policy;
CREATE TABLE asked AS
SELECT customer_id, as_of, channel,
       (SELECT on_day
        FROM generate_series(as_of, as_of + 61, interval '1 day') AS d (at), LATERAL CAST(at AS date) AS on_day
        WHERE NOT EXISTS (
            SELECT FROM limits AS l
            WHERE (l.channel IS NULL OR l.channel = asked.channel)
                  AND l.contacts <= (SELECT count(*) FROM contacts AS c
                                     WHERE c.customer_id = asked.customer_id AND c.day <= as_of AND c.day > on_day - l.days
                                           AND (l.channel IS NULL OR c.channel = l.channel)
                                           AND c.test_group IS DISTINCT FROM 'holdout'))
        ORDER BY on_day LIMIT 1) AS allowed_on
FROM (SELECT customer_id, as_of::date, channel
      FROM logs, generate_series(date '2025-01-10', '2025-06-10', '19 days') AS d (as_of),
           (VALUES (NULL), ('email'), ('line'), ('postal')) AS c (channel)) AS asked;
CREATE INDEX ON asked (customer_id, as_of);
ANALYZE asked;
