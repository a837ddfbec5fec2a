-- segmentation: what came of campaigns

-- The rows of the log of contacts that belong to a campaign, those of the holdout too.
CREATE FUNCTION _campaign_rows_sql(s segmentation_settings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $rows$
DECLARE
    relation regclass := @extschema@._source_table(s, 'contacts');
    day text := @extschema@._day(s, relation, 'c', s.contacts_contacted_at);
BEGIN
    RETURN format('SELECT %s, %s AS campaign, nullif(%s, '''') AS test_group, '
                  'nullif(%s, '''') AS channel, %s AS joined_on',
                  @extschema@._keys_as_in_orders(s, 'contacts', 'c'),
                  @extschema@._in_default_collation(@extschema@._text('c', s.contacts_campaign)),
                  @extschema@._in_default_collation(@extschema@._word(s, 'contacts', 'test_groups', 'c')),
                  @extschema@._in_default_collation(@extschema@._word(s, 'contacts', 'channel_names', 'c')), day)
        || format(' FROM %s AS c WHERE %s', relation, @extschema@._has_key(s, 'contacts', 'c'))
        || format(' AND c.%I::pg_catalog.text <> '''' AND %s BETWEEN ''0001-01-01'' AND ''9999-12-31''',
                  s.contacts_campaign, day);
END
$rows$;
COMMENT ON FUNCTION _campaign_rows_sql(segmentation_settings) IS
    'Part of segmentations: the rows of the log of contacts that belong to a campaign.';

-- One row a campaign and customer. Her window begins with the first contact; a customer in two groups is in neither.
CREATE FUNCTION _campaign_members_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $members$
    SELECT format(
$sql$SELECT %1$s, r.campaign, coalesce(min(r.test_group), '') AS test_group,
       coalesce((array_agg(r.channel ORDER BY r.channel IS NULL, r.joined_on, r.channel))[1], 'none') AS channel,
       min(r.joined_on) AS joined_on
FROM (%2$s) AS r
GROUP BY %1$s, r.campaign
HAVING min(r.test_group) IS NOT DISTINCT FROM max(r.test_group)$sql$,
        @extschema@._key_list(s, 'r'), @extschema@._campaign_rows_sql(s))
$members$;
COMMENT ON FUNCTION _campaign_members_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of who was in which campaign, in which group, since when.';

-- Two looks at each group: those whose window is over, and, as long as a window of the campaign is open, everybody so
-- far. Who can be reached over a channel is no chance, so that only whole groups are held against the holdout; and
-- whoever looks often enough finds something, so that there is a verdict only when all windows are over.
CREATE FUNCTION _campaigns_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $campaigns$
    SELECT format(
$sql$WITH answers AS (
    SELECT %1$sm.campaign, m.test_group, m.channel, p.as_of, e.last_day,
           max(e.last_day) OVER (PARTITION BY %1$sm.campaign) AS final_on,
           @extschema@.bought_between(f.history, m.joined_on, least(e.last_day, p.as_of), p.as_of) AS responded,
           @extschema@.revenue_between(f.history, m.joined_on, least(e.last_day, p.as_of)) AS revenue
    FROM %2$s AS m
    CROSS JOIN %3$s
    CROSS JOIN LATERAL (SELECT m.joined_on + %4$s AS last_day) AS e
    LEFT JOIN %5$s AS f ON %6$s
    WHERE m.joined_on <= p.as_of
), results AS (
    SELECT %7$sa.campaign, a.test_group, g.channel, i.is_interim, a.final_on,
           a.final_on > a.as_of AS is_open, @extschema@.ab_result(a.responded, a.revenue) AS result
    FROM answers AS a
    CROSS JOIN (VALUES (false), (true)) AS i (is_interim)
    CROSS JOIN LATERAL (VALUES (a.channel), ('')) AS g (channel) -- Citus knows no GROUPING SETS
    WHERE CASE WHEN i.is_interim THEN a.final_on > a.as_of ELSE a.last_day <= a.as_of END
    GROUP BY %7$sa.campaign, a.test_group, i.is_interim, a.final_on, a.as_of, g.channel
)
SELECT %8$sr.campaign, r.test_group, r.channel, r.is_interim, r.final_on, (r.result).customers, (r.result).responders,
       (r.result).rate, (r.result).rate_low, (r.result).rate_high, (r.result).revenue, (r.result).revenue_per_head,
       c.lift, c.lift_low, c.lift_high, c.p_value, c.revenue_lift, c.revenue_lift_low, c.revenue_lift_high,
       v.verdict, CASE p.lang WHEN 'ja' THEN v.label_ja ELSE v.label_en END AS verdict_label
FROM results AS r
CROSS JOIN %3$s
LEFT JOIN results AS h ON h.campaign = r.campaign AND h.is_interim = r.is_interim AND h.channel = '' AND r.channel = ''
    AND h.test_group = 'holdout' AND r.test_group <> 'holdout'%9$s
CROSS JOIN LATERAL @extschema@.ab_compare(r.result, h.result) AS c
LEFT JOIN @extschema@.ab_verdicts() AS v
    ON v.verdict = CASE WHEN r.is_open AND c.verdict IS NOT NULL THEN 'keep_testing' ELSE c.verdict END$sql$,
        @extschema@._tenant_column(s, 'm'), @extschema@._relation(s, 'campaign_members'),
        @extschema@._status_row(s, 'as_of', 'lang'), s.campaign_days - 1, @extschema@._relation(s, 'facts'),
        @extschema@._same_key(s, 'f', 'm'), @extschema@._tenant_column(s, 'a'), @extschema@._tenant_column(s, 'r'),
        coalesce(' AND ' || @extschema@._same_columns(s, ARRAY[s.tenant], 'h', 'r'), ''))
$campaigns$;
COMMENT ON FUNCTION _campaigns_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of what came of each group of each campaign.';

CREATE FUNCTION _audit_campaigns(s segmentation_settings) RETURNS TABLE (
    finding text, rows bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
BEGIN
    IF s.contacts_campaign IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
$sql$SELECT 'customer in several groups of a campaign', count(*) FILTER (WHERE r.groups > 1),
       round(count(*) FILTER (WHERE r.groups > 1)::numeric / count(*), 6),
       left(min(r.example) FILTER (WHERE r.groups > 1), 120), 'in no group of NAME_campaigns'
FROM (
    SELECT count(DISTINCT r.test_group) AS groups, CAST(ROW(%1$s, r.campaign) AS text) AS example
    FROM (%2$s) AS r GROUP BY %1$s, r.campaign
) AS r
HAVING count(*) FILTER (WHERE r.groups > 1) > 0$sql$,
            @extschema@._key_list(s, 'r'), @extschema@._campaign_rows_sql(s));
    END IF;
END
$audit$;
COMMENT ON FUNCTION _audit_campaigns(segmentation_settings) IS
    'Part of segmentations: who is in several groups of a campaign.';
