-- What came of contacts, from the words of docs/guide/scenarios.md and docs/guide/reach.md, over reference.orders and a log
-- of contacts. Nothing here calls the extension.
CREATE TABLE reference.contacts (customer_id bigint, channel text, contacted_on date, test_group text);
CREATE TABLE reference.measured (dormancy_reason text, dormant_year int, contacted bigint, answered bigint);

-- Every purchase day looks for the last day of a contact before it.
CREATE FUNCTION reference.contact_days(as_of date, response_days int)
RETURNS TABLE (customer_id bigint, contacted_on date, answered_on date, is_over boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
WITH contact_days AS (
    SELECT DISTINCT c.customer_id, c.contacted_on FROM reference.contacts AS c
    WHERE c.contacted_on <= $1 AND c.test_group IS DISTINCT FROM 'holdout'),
purchase_days AS (
    SELECT DISTINCT o.customer_id, o.ordered_on FROM reference.orders AS o
    WHERE o.ordered_on <= $1 AND coalesce(o.amount, 0) >= 0 AND o.is_purchase IS NOT FALSE),
answers AS (
    SELECT p.customer_id, p.ordered_on, max(c.contacted_on) AS contacted_on
    FROM purchase_days AS p JOIN contact_days AS c ON c.customer_id = p.customer_id AND c.contacted_on < p.ordered_on
    GROUP BY p.customer_id, p.ordered_on)
SELECT c.customer_id, c.contacted_on, min(a.ordered_on), $1 - c.contacted_on >= $2
FROM contact_days AS c
LEFT JOIN answers AS a
    ON a.customer_id = c.customer_id AND a.contacted_on = c.contacted_on AND a.ordered_on - a.contacted_on <= $2
GROUP BY c.customer_id, c.contacted_on
$$;

-- Three without an answer are enough to try another channel.
CREATE FUNCTION reference.channel_responses(as_of date, response_days int)
RETURNS TABLE (
    customer_id bigint, channel text, contacts bigint, judged bigint, answered bigint, unanswered bigint,
    gives_way boolean, last_contacted_on date, last_answered_on date
)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
WITH of_channel AS (
    SELECT DISTINCT d.*, c.channel
    FROM reference.contact_days($1, $2) AS d
    JOIN reference.contacts AS c ON c.customer_id = d.customer_id AND c.contacted_on = d.contacted_on
        AND c.test_group IS DISTINCT FROM 'holdout'),
with_last AS (
    SELECT o.*, max(o.contacted_on) FILTER (WHERE o.answered_on IS NOT NULL)
                    OVER (PARTITION BY o.customer_id, o.channel) AS last_answered
    FROM of_channel AS o)
SELECT w.customer_id, w.channel, count(*), count(*) FILTER (WHERE w.is_over),
       count(*) FILTER (WHERE w.is_over AND w.answered_on IS NOT NULL),
       count(*) FILTER (WHERE w.is_over AND w.contacted_on > coalesce(w.last_answered, '-infinity')),
       w.channel IS NOT NULL
           AND count(*) FILTER (WHERE w.is_over AND w.contacted_on > coalesce(w.last_answered, '-infinity')) >= 3,
       max(w.contacted_on), max(w.answered_on)
FROM with_last AS w
GROUP BY w.customer_id, w.channel
$$;

-- Over which of the channels '{postal,email,line}' a customer is contacted, by a rule that names some of them (NULL: none) and
-- maybe will have no others.
CREATE FUNCTION reference.next_channel(as_of date, response_days int, enough int, named text[], only_these boolean)
RETURNS TABLE (customer_id bigint, channel text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
SELECT c.customer_id,
       (SELECT r.channel FROM unnest(ARRAY['email', 'line', 'postal']) WITH ORDINALITY AS r (channel, place)
        WHERE NOT $5 OR r.channel = ANY ($4)
        ORDER BY coalesce((SELECT s.unanswered >= $3 FROM reference.channel_responses($1, $2) AS s
                           WHERE s.customer_id = c.customer_id AND s.channel = r.channel), false),
                 array_position($4, r.channel) NULLS LAST, r.place
        LIMIT 1)
FROM reference.customers AS c
$$;

-- By reason and year of dormancy on the day of the contact, by reference.segments of these days.
CREATE FUNCTION reference.dormant_responses(as_of date, policy jsonb)
RETURNS TABLE (customer_id bigint, dormancy_reason text, dormant_year int, contacts bigint, answered boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
SELECT d.customer_id, s.dormancy_reason, ceil(s.recency_days / 365.0)::int, count(*), bool_or(d.answered_on IS NOT NULL)
FROM (SELECT DISTINCT c.contacted_on FROM reference.contacts AS c) AS days
CROSS JOIN LATERAL reference.segments(days.contacted_on, $2, 'history') AS s
JOIN reference.contact_days($1, ($2 #>> '{contact,response_days}')::int) AS d
    ON d.customer_id = s.customer_id AND d.contacted_on = days.contacted_on
WHERE d.is_over AND s.lifecycle_state = 'dormant' AND s.recency_days >= ($2 #>> '{lifecycle,reactivation_min_days}')::int
GROUP BY d.customer_id, s.dormancy_reason, ceil(s.recency_days / 365.0)
$$;

-- Of the kinds in the table measured: those with enough customers share out the
-- places that they have in the built-in order.
CREATE FUNCTION reference.dormant_response_order(enough bigint)
RETURNS TABLE (expected_order bigint, dormancy_reason text, dormant_year int, contacted bigint, answered bigint, source text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
WITH built_in AS (
    SELECT m.*, m.contacted >= $1 AS is_measured,
           row_number() OVER (ORDER BY m.dormant_year, array_position(
               ARRAY['overstocked', 'drifted', 'unhabituated', 'discount_only', 'dissatisfied', 'competitor'],
               m.dormancy_reason)) AS place
    FROM reference.measured AS m),
numbered AS (
    SELECT b.*, row_number() OVER (PARTITION BY b.is_measured ORDER BY b.place) AS nth_place,
           row_number() OVER (PARTITION BY b.is_measured
                              ORDER BY CASE WHEN b.is_measured THEN b.answered::numeric / b.contacted END DESC, b.place)
               AS nth_rate
    FROM built_in AS b)
SELECT free.place, r.dormancy_reason, r.dormant_year, r.contacted, r.answered,
       CASE WHEN r.is_measured THEN 'measured' ELSE 'built_in' END
FROM numbered AS r
JOIN numbered AS free ON free.is_measured = r.is_measured AND free.nth_place = r.nth_rate
$$;
