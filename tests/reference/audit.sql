-- What an audit must find in the tables orders, events, sent and people, by plain SQL: from the words of
-- docs/guide/data.md and docs/guide/segmentations.md, not from the code. The table words has the shop's own words
-- (argument, word, meaning), the table asked one row with the day.

CREATE SCHEMA reference;

-- As documented for the default policy.
CREATE TABLE reference.known (argument text, word text);
INSERT INTO reference.known
SELECT 'engagement_kinds', unnest('{review,survey,social_post,referral,event,community,proposal,usage_report,complaint,
    return,low_rating,complaint_resolved,return_resolved,stated_dissatisfied,stated_competitor,stated_discount_only,
    stated_overstocked,stated_unhabituated,stated_drifted}'::text[])
UNION ALL SELECT 'test_groups', 'holdout'
UNION ALL SELECT 'memberships', unnest('{continuing,paused,withdrawn,ad_hoc,01,02,03}'::text[])
UNION ALL SELECT 'channel_names', unnest('{email,line,sms,phone,postal,social}'::text[]);

CREATE VIEW reference.order_rows AS
SELECT * FROM orders WHERE customer_id IS NOT NULL AND amount IS DISTINCT FROM 13;

-- Every event, contact, membership and consent with what its word means.
CREATE VIEW reference.meanings AS
SELECT s.source, s.argument, s.customer_id, s.word, CASE WHEN w.word IS NULL THEN s.word ELSE w.meaning END AS meaning
FROM (
    SELECT 'engagement' AS source, 'engagement_kinds' AS argument, customer_id, kind AS word FROM events
    UNION ALL
    SELECT 'contacts', 'channel_names', customer_id, channel FROM sent
    UNION ALL
    SELECT 'customers', 'memberships', customer_id, membership FROM people
    UNION ALL
    SELECT 'consents', 'channel_names', customer_id, c.word
    FROM people, jsonb_object_keys(CASE jsonb_typeof(consents) WHEN 'object' THEN consents ELSE '{}' END) AS c (word)
) AS s
LEFT JOIN words AS w USING (argument, word);

-- Contacts with what the names of their groups mean.
CREATE VIEW reference.grouped AS
SELECT s.customer_id, s.channel, s.campaign, CASE WHEN w.word IS NULL THEN s.test_group ELSE w.meaning END AS test_group
FROM sent AS s LEFT JOIN words AS w ON w.argument = 'test_groups' AND w.word = s.test_group;

CREATE VIEW reference.judged_words AS
SELECT m.source, m.meaning,
       m.meaning <> '' AND octet_length(m.meaning) <= 63 AND m.meaning !~ '[[:cntrl:]]' AS is_name,
       m.meaning IN (SELECT k.word FROM reference.known AS k WHERE k.argument = m.argument)
           OR m.source <> 'consents' AND EXISTS (
               SELECT FROM words AS w WHERE w.argument = m.argument AND w.word = m.meaning AND w.meaning = w.word)
           -- an empty membership is unknown, which is allowed
           OR m.source = 'customers' AND btrim(m.meaning, ' 　') = '' AS is_known
FROM reference.meanings AS m
WHERE m.customer_id IS NOT NULL;

CREATE VIEW reference.monetary AS
SELECT customer_id, coalesce(sum(amount), 0) AS monetary
FROM reference.order_rows, asked
WHERE isfinite(ordered_on) AND ordered_on <= as_of
GROUP BY customer_id
HAVING count(*) FILTER (WHERE amount >= 0 OR amount IS NULL) > 0;

CREATE VIEW reference.findings AS
WITH days AS (
    SELECT 'engagement' AS source, customer_id, happened_at AS day FROM events
    UNION ALL SELECT 'contacts', customer_id, sent_on FROM sent
    UNION ALL SELECT 'customers', customer_id, '2000-01-01' FROM people
), counted AS (
    SELECT source || ': ' || f.finding AS finding, count(*) FILTER (WHERE f.is_so) AS rows, count(*) AS total
    FROM days, asked
    CROSS JOIN LATERAL (VALUES
        ('no customer', customer_id IS NULL), ('no date', day IS NULL),
        ('infinite date', day IN ('infinity', '-infinity')),
        ('date in the future', day > as_of AND day < 'infinity')) AS f (finding, is_so)
    GROUP BY 1
    UNION ALL
    SELECT 'engagement: no kind', count(*) FILTER (WHERE kind IS NULL), count(*) FROM events
    UNION ALL
    -- Whoever is in the holdout was not contacted at all.
    SELECT 'contacts: no channel', count(*) FILTER (WHERE channel IS NULL AND test_group IS DISTINCT FROM 'holdout'),
           count(*)
    FROM reference.grouped
    UNION ALL
    SELECT 'campaign without a holdout', count(*) FILTER (WHERE NOT has_holdout), count(*)
    FROM (
        SELECT bool_or(test_group = 'holdout') AS has_holdout FROM reference.grouped
        WHERE customer_id IS NOT NULL AND campaign <> '' AND test_group IS NOT NULL GROUP BY campaign
    ) AS c
    UNION ALL
    SELECT 'customers: consents that cannot be read', count(*) FILTER (WHERE jsonb_typeof(consents) <> 'object' OR EXISTS (
               SELECT FROM jsonb_each(CASE jsonb_typeof(consents) WHEN 'object' THEN consents ELSE '{}' END) AS c
               WHERE c.value NOT IN ('true', 'false', 'null')
                   AND NOT EXISTS (SELECT FROM words AS w WHERE (w.argument, w.word) = ('channel_names', c.key) AND w.meaning IS NULL))),
           count(*)
    FROM people WHERE customer_id IS NOT NULL
    UNION ALL
    SELECT source || ': no name', count(*) FILTER (WHERE meaning = '' OR octet_length(meaning) > 63 OR meaning ~ '[[:cntrl:]]'),
           count(*)
    FROM reference.meanings WHERE source IN ('engagement', 'contacts') GROUP BY source
    UNION ALL
    SELECT f.finding, count(*) FILTER (WHERE NOT is_known AND f.is_meant), count(*)
    FROM reference.judged_words
    CROSS JOIN LATERAL (VALUES
        ('engagement', 'engagement: unknown kind', is_name AND left(meaning, 7) <> 'stated_'),
        ('engagement', 'engagement: unknown stated reason', is_name AND left(meaning, 7) = 'stated_'),
        ('contacts', 'contacts: unknown channel', is_name),
        ('customers', 'customers: unknown membership', true),
        ('consents', 'customers: unknown channel in consents', true)) AS f (source, finding, is_meant)
    WHERE f.source = judged_words.source
    GROUP BY f.finding
    UNION ALL
    SELECT source || ': customer without orders',
           count(*) FILTER (WHERE customer_id NOT IN (SELECT customer_id FROM reference.order_rows)
               AND (source = 'customers'
                    OR customer_id NOT IN (SELECT customer_id FROM people WHERE customer_id IS NOT NULL))), count(*)
    FROM days WHERE customer_id IS NOT NULL GROUP BY source
    UNION ALL
    SELECT 'orders end long before as_of', CASE WHEN min(as_of) - max(ordered_on) FILTER (WHERE amount >= 0 OR amount IS NULL) > 30
                                                THEN count(*) END, count(*)
    FROM reference.order_rows, asked WHERE isfinite(ordered_on) AND ordered_on <= as_of
    UNION ALL
    SELECT 'nearly everybody has m = ' || f.digit, CASE WHEN count(*) >= 20 AND 10 * count(*) FILTER (WHERE f.is_so) >= 9 * count(*)
                                                   THEN count(*) FILTER (WHERE f.is_so) END, count(*)
    FROM reference.monetary
    CROSS JOIN LATERAL (VALUES (1, monetary <= 5000), (5, monetary > 20000)) AS f (digit, is_so)
    GROUP BY f.digit
)
SELECT finding, rows, round(rows::numeric / total, 6) AS share FROM counted WHERE rows > 0;
