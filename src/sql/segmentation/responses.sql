-- segmentation: responses

-- What came of the contacts in the log.

CREATE FUNCTION _channels_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $channels$
    SELECT format(
$sql$SELECT %1$sc.channel, c.customers, c.contacts, c.judged, c.answered, w.rate, w.rate_low, w.rate_high,
       c.silent_customers
FROM (
    SELECT %2$scoalesce(r.channel, 'unknown') AS channel, count(*) AS customers, sum(r.contacts)::bigint AS contacts,
           sum(r.judged)::bigint AS judged, sum(r.answered)::bigint AS answered,
           count(*) FILTER (WHERE r.gives_way) AS silent_customers
    FROM %3$s AS f
    CROSS JOIN LATERAL @extschema@.channel_responses(f.history, f.contacts, f.as_of, f.policy) AS r
    GROUP BY %2$scoalesce(r.channel, 'unknown')
) AS c
CROSS JOIN LATERAL @extschema@.wilson_interval(c.answered, c.judged) AS w$sql$,
        @extschema@._tenant_column(s, 'c'), @extschema@._tenant_column(s, 'f'), @extschema@._relation(s, 'facts'))
$channels$;
COMMENT ON FUNCTION _channels_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of how contacts were answered, by channel.';

-- Kinds of dormant customers: those who were contacted while they were of one, and those who are of one now.
CREATE FUNCTION _dormant_response_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $response$
    SELECT format(
$sql$WITH kinds AS (
    SELECT %1$sk.dormancy_reason, k.dormant_year, sum(k.customers)::bigint AS customers,
           sum(k.contacted)::bigint AS contacted, sum(k.answered)::bigint AS answered
    FROM (
        SELECT %2$sr.dormancy_reason, r.dormant_year, 0 AS customers, 1 AS contacted, r.answered::integer AS answered
        FROM %3$s AS f
        CROSS JOIN LATERAL @extschema@.dormant_responses(
            f.history, f.contacts, f.as_of, f.policy, f.engagement, f.membership, f.memberships
        ) AS r
        UNION ALL
        SELECT %4$sc.dormancy_reason, @extschema@.dormant_year(p.as_of - c.last_purchase_on, p.policy), 1, 0, 0
        FROM %5$s AS c
        CROSS JOIN %6$s
        WHERE c.lifecycle_state = 'dormant'
    ) AS k
    WHERE k.dormant_year IS NOT NULL
    GROUP BY %1$sk.dormancy_reason, k.dormant_year
)
SELECT %7$se.expected_order, e.dormancy_reason, %8$s AS reason_label, e.dormant_year, k.customers,
       e.contacted, e.answered, e.rate, e.rate_low, e.rate_high, e.source
FROM (
    SELECT %9$sarray_agg(k.dormancy_reason) AS reasons, array_agg(k.dormant_year) AS years,
           array_agg(k.contacted) AS contacted, array_agg(k.answered) AS answered
    FROM kinds AS k
    %10$s
) AS a
CROSS JOIN %6$s
CROSS JOIN LATERAL @extschema@.dormant_response_order(a.reasons, a.years, a.contacted, a.answered, p.policy) AS e
JOIN kinds AS k ON k.dormancy_reason = e.dormancy_reason AND k.dormant_year = e.dormant_year%11$s$sql$,
        @extschema@._tenant_column(s, 'k'), @extschema@._tenant_column(s, 'f'), @extschema@._relation(s, 'facts'),
        @extschema@._tenant_column(s, 'c'), @extschema@._relation(s, 'customers'),
        @extschema@._status_row(s, 'as_of', 'lang', 'policy'),
        @extschema@._tenant_column(s, 'a'), @extschema@._label('dormancy_reason', 'e.dormancy_reason'),
        @extschema@._tenant_column(s, 'k'),
        CASE WHEN s.tenant IS NULL THEN '' ELSE format('GROUP BY k.%I', s.tenant) END,
        coalesce(' AND ' || @extschema@._same_columns(s, ARRAY[s.tenant], 'k', 'a'), ''))
$response$;
COMMENT ON FUNCTION _dormant_response_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of how the dormant answered, by reason and year of dormancy.';
