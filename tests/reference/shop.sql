-- The views of sql/examples/reach a second time, in plain SQL over the tables of sql/examples/shop and the rows of
-- reference.segments: needs segments.sql, the shop, and plain.ask (as_of, policy jsonb). Nothing here calls the extension.

SET client_min_messages = warning;

-- Only what the shop writes is told apart, not everything that may stand in an address.
CREATE TABLE plain.customers AS
WITH written AS (
    SELECT customer_id, membership, consents,
           trim(normalize(email, NFKC)) AS email,
           regexp_replace(regexp_replace(normalize(phone, NFKC), '[^0-9]', '', 'g'), '^81', '0') AS phone,
           regexp_replace(normalize(postal_address, NFKC), '^〒[0-9]{3}-[0-9]{4}\s*', '') AS place,
           normalize(line_id, NFKC) AS line
    FROM public.customers
)
SELECT customer_id, membership,
       array_remove(ARRAY[
           CASE WHEN email ~ '^[a-z0-9]+@[a-z0-9]+([.][a-z0-9]+)+$' AND (consents IS NULL OR consents ->> 'email' = 'true')
                THEN 'email' END,
           CASE WHEN line ~ '^(U[0-9a-f]{32}|[a-z0-9._-]{4,20})$' AND line <> 'none'
                     AND (consents IS NULL OR consents ->> 'line' = 'true') THEN 'line' END,
           CASE WHEN phone ~ '^0[789]0[1-9][0-9]{7}$' AND (consents IS NULL OR consents ->> 'sms' = 'true') THEN 'sms' END,
           CASE WHEN phone ~ '^(0[789]0[1-9][0-9]{7}|0[36][1-9][0-9]{7})$'
                     AND (consents IS NULL OR consents ->> 'phone' = 'true') THEN 'phone' END,
           CASE WHEN place ~ '[^0-9]{3}' AND place ~ '[0-9]' AND place !~ '^〒'
                     AND (consents IS NULL OR consents ->> 'postal' = 'true') THEN 'postal' END], NULL) AS channels
FROM written;

CREATE FUNCTION plain.contact_days(as_of date) RETURNS TABLE (customer_id integer, last_contacted_on date)
LANGUAGE sql STABLE AS $$
    SELECT customer_id, max(day)
    FROM (SELECT customer_id, (contacted_at AT TIME ZONE 'UTC' + interval '9 hours')::date AS day FROM public.contacts) AS c
    WHERE day <= as_of
    GROUP BY customer_id
$$;

CREATE TABLE plain.segments AS
SELECT s.*, c.channels, c.last_contacted_on, NULL::integer AS dormant_year
FROM reference.segments(NULL, NULL) AS s JOIN reference.customers AS c USING (customer_id)
WITH NO DATA;

-- The rows of reference.segments for this day of the shop.
CREATE FUNCTION plain.load(as_of date) RETURNS void LANGUAGE sql VOLATILE AS $$
    TRUNCATE reference.orders, reference.engagement, reference.customers;
    INSERT INTO reference.orders (customer_id, ordered_on, amount, discounted)
    SELECT customer_id, ordered_on, amount, discount > 0 FROM public.orders;
    INSERT INTO reference.engagement SELECT customer_id, kind, happened_on FROM public.events;
    INSERT INTO reference.customers (customer_id, membership, tracked, channels, last_contacted_on)
    SELECT c.customer_id, c.membership, true, c.channels, d.last_contacted_on
    FROM plain.customers AS c LEFT JOIN plain.contact_days(as_of) AS d USING (customer_id);
    TRUNCATE plain.segments;
    INSERT INTO plain.segments
    SELECT s.*, c.channels, c.last_contacted_on,
           CASE WHEN s.recency_days >= 181 THEN ceil(s.recency_days / 365.0)::integer END AS dormant_year
    FROM (SELECT policy FROM plain.ask) AS a
    CROSS JOIN LATERAL reference.segments($1, a.policy) AS s
    JOIN reference.customers AS c USING (customer_id);
$$;

-- The measured order of reasons and years, which tests/specification/responses.rs compares with plain SQL.
CREATE TABLE plain.dormant_order (expected_order integer, dormancy_reason text, dormant_year integer);

CREATE FUNCTION plain.dormant() RETURNS TABLE (
    response_order bigint, customer_id bigint, dormant_year integer, dormancy_category text, dormancy_reason text, channels text[],
    monetary numeric
) LANGUAGE sql STABLE AS $$
    SELECT dense_rank() OVER (ORDER BY expected_order,
               array_position('{paused,member_silent,ad_hoc,cancelled,bought_once}', dormancy_category)),
           customer_id, dormant_year, dormancy_category, dormancy_reason, channels, monetary
    FROM plain.segments LEFT JOIN plain.dormant_order USING (dormancy_reason, dormant_year)
    WHERE lifecycle_state = 'dormant' AND recency_days >= 181
$$;

CREATE FUNCTION plain.split() RETURNS TABLE (
    response_order bigint, dormant_year integer, dormancy_category text, dormancy_reason text, customers bigint,
    past_revenue numeric, reachable bigint
) LANGUAGE sql STABLE AS $$
    SELECT response_order, dormant_year, dormancy_category, dormancy_reason, count(*), sum(monetary),
           sum((channels <> '{}')::integer)
    FROM plain.dormant() GROUP BY 1, 2, 3, 4
$$;

CREATE FUNCTION plain.coverage() RETURNS TABLE (
    lifecycle_state text, m_score integer, customers bigint, email bigint, line bigint, sms bigint, phone bigint,
    postal bigint, unreachable bigint, revenue numeric, unreachable_revenue numeric
) LANGUAGE sql STABLE AS $$
    WITH rows AS (
        SELECT lifecycle_state, m_score, channels, monetary FROM plain.segments WHERE m_score IS NOT NULL
        UNION ALL
        SELECT lifecycle_state, NULL, channels, monetary FROM plain.segments
    )
    SELECT lifecycle_state, m_score, count(*), sum((channels @> '{email}')::integer), sum((channels @> '{line}')::integer),
           sum((channels @> '{sms}')::integer), sum((channels @> '{phone}')::integer), sum((channels @> '{postal}')::integer),
           sum((cardinality(channels) = 0)::integer), sum(monetary),
           sum(CASE WHEN cardinality(channels) = 0 THEN monetary ELSE 0 END)
    FROM rows GROUP BY lifecycle_state, m_score
$$;

-- Of the dormant of plain.segments, which must be those of 90 days before as_of: how many have bought since.
CREATE FUNCTION plain.response(as_of date) RETURNS TABLE (
    dormant_year integer, dormancy_category text, numerator bigint, denominator bigint, revenue numeric
) LANGUAGE sql STABLE AS $$
    WITH since AS (
        SELECT customer_id, bool_or(amount >= 0) AS bought, sum(amount) AS revenue
        FROM public.orders WHERE ordered_on > as_of - 90 AND ordered_on <= as_of GROUP BY customer_id
    ), were_dormant AS (
        SELECT p.dormant_year, p.dormancy_category, coalesce(s.bought, false)::integer AS bought, coalesce(s.revenue, 0) AS revenue
        FROM plain.dormant() AS p LEFT JOIN since AS s USING (customer_id)
    )
    SELECT dormant_year, dormancy_category, sum(bought), count(*), sum(revenue) FROM were_dormant GROUP BY 1, 2
    UNION ALL
    SELECT dormant_year, NULL, sum(bought), count(*), sum(revenue) FROM were_dormant GROUP BY 1
$$;
