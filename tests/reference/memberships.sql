-- Memberships over time a second time, in plain SQL: day by day, from the words of docs/reference/states.md and not from the
-- code. They read reference.memberships (segments.sql).

-- Each day up to as_of from the first entry on, with the membership of it.
CREATE OR REPLACE FUNCTION reference.membership_days(as_of date) RETURNS TABLE (
    customer_id bigint, day date, membership text
)
LANGUAGE sql STABLE AS $$
    SELECT f.customer_id, d::date, reference.membership_on(f.customer_id, d::date)
    FROM (
        SELECT m.customer_id, min(m.since) AS first_on FROM reference.memberships AS m
        WHERE m.membership IS NOT NULL GROUP BY m.customer_id
    ) AS f
    CROSS JOIN LATERAL generate_series(f.first_on::timestamp, as_of::timestamp, '1 day') AS d
$$;

-- Stretches of days without an interruption on which something holds: numbered, with the first day and the day after.
CREATE OR REPLACE FUNCTION reference.subscriptions(as_of date) RETURNS TABLE (
    customer_id bigint, subscription bigint, from_day date, last_day date
)
LANGUAGE sql STABLE AS $$
    SELECT i.customer_id, row_number() OVER (PARTITION BY i.customer_id ORDER BY min(i.day)), min(i.day), max(i.day)
    FROM (
        SELECT d.customer_id, d.day, d.day - (row_number() OVER (PARTITION BY d.customer_id ORDER BY d.day))::int AS island
        FROM reference.membership_days(as_of) AS d
        WHERE d.membership IN ('continuing', 'paused')
    ) AS i
    GROUP BY i.customer_id, i.island
$$;

-- A month that begins with a subscription, and whether that is gone by its end: on some day of it there was none.
CREATE OR REPLACE FUNCTION reference.subscription_months(as_of date) RETURNS TABLE (
    customer_id bigint, month date, membership text, membership_at_end text, has_ended boolean
)
LANGUAGE sql STABLE AS $$
    WITH days AS MATERIALIZED (SELECT * FROM reference.membership_days(as_of))
    SELECT e.customer_id, n.month, e.membership,
           CASE WHEN n.last_day <= as_of THEN
               (SELECT l.membership FROM days AS l WHERE l.customer_id = e.customer_id AND l.day = n.last_day) END,
           CASE WHEN n.last_day <= as_of THEN
               bool_or(d.membership NOT IN ('continuing', 'paused')) END
    FROM days AS e
    CROSS JOIN LATERAL (
        SELECT e.day + 1, (date_trunc('month', e.day + 1) + interval '1 month')::date - 1
    ) AS n (month, last_day)
    JOIN days AS d ON d.customer_id = e.customer_id AND d.day BETWEEN n.month AND n.last_day
    WHERE extract(day FROM e.day + 1) = 1 AND e.membership IN ('continuing', 'paused')
    GROUP BY e.customer_id, n.month, n.last_day, e.membership
$$;

-- The cycles of each subscription that began while it ran, and whether it was gone when the next one began.
CREATE OR REPLACE FUNCTION reference.subscription_cycles(cycle_length interval, as_of date) RETURNS TABLE (
    customer_id bigint, subscription bigint, cycle int, from_day date, has_ended boolean
)
LANGUAGE sql STABLE AS $$
    SELECT s.customer_id, s.subscription, n, (s.from_day + (n - 1) * cycle_length)::date,
           CASE WHEN (s.from_day + n * cycle_length)::date <= as_of
               THEN (s.from_day + n * cycle_length)::date > s.last_day END
    FROM reference.subscriptions(as_of) AS s
    CROSS JOIN generate_series(1, 2000) AS n
    WHERE (s.from_day + (n - 1) * cycle_length)::date <= s.last_day
$$;

-- k of n with its 95 % interval by Wilson, rounded to 6 decimals.
CREATE OR REPLACE FUNCTION reference.wilson(k bigint, n bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws(' ', k, n, round(k::numeric / n, 6), round(((c - h) / d)::numeric, 6), round(((c + h) / d)::numeric, 6))
    FROM (
        SELECT p + z * z / (2 * n) AS c, z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) AS h, 1 + z * z / n AS d
        FROM (SELECT k::float8 / n AS p, 1.959963984540054::float8 AS z) AS q
    ) AS w
    WHERE n > 0
$$;
