-- segmentation: audit of the other sources

-- What is odd about single rows of another source. Its words are judged one by one elsewhere.
CREATE FUNCTION _audit_source_rows(s segmentation_settings, source text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    relation regclass := @extschema@._source_table(s, source);
    moment_column text := CASE source WHEN 'engagement' THEN s.engagement_happened_at
                                      WHEN 'contacts' THEN s.contacts_contacted_at END;
    moment text := 'r.' || quote_ident(moment_column);
    day text := @extschema@._day(s, relation, 'r', moment_column);
    written text := CASE source WHEN 'engagement' THEN @extschema@._text('r', s.engagement_kind)
                                WHEN 'contacts' THEN @extschema@._text('r', s.contacts_channel) END;
    names text[] := CASE source
        WHEN 'engagement' THEN ARRAY[@extschema@._word(s, 'engagement', 'engagement_kinds', 'r')]
        WHEN 'contacts' THEN ARRAY[
            @extschema@._word(s, 'contacts', 'channel_names', 'r'), @extschema@._text('r', s.contacts_scenario),
            @extschema@._text('r', s.contacts_step), @extschema@._word(s, 'contacts', 'test_groups', 'r')] END;
    keys text := (SELECT string_agg(format('r.%I', k.name), ', ' ORDER BY k.place)
                  FROM unnest(@extschema@._source_keys(s, source)) WITH ORDINALITY AS k (name, place)
                  WHERE k.name IS NOT NULL);
    listed record;
BEGIN
    SELECT array_agg(format('%s: %s', source, f.finding) ORDER BY f.place) AS findings,
           array_agg(f.condition ORDER BY f.place) AS conditions, array_agg(f.effect ORDER BY f.place) AS effects
    INTO listed
    FROM (VALUES
        (1, @extschema@._no_key(s), format('NOT (%s)', @extschema@._has_key(s, source, 'r')), 'ignored'),
        (2, 'no date', moment || ' IS NULL', 'ignored'),
        (3, 'infinite date', 'NOT isfinite(' || moment || ')', 'refused: a view over the table can leave them out'),
        (4, 'date in the future', 'isfinite(' || moment || ') AND ' || day
                                  || format(' > %L', @extschema@._today(s, NULL::date)), 'invisible until that day'),
        (5, CASE source WHEN 'engagement' THEN 'no kind' ELSE 'no channel' END, written || ' IS NULL'
            -- Whoever belongs to the holdout was sent nothing.
            || CASE source WHEN 'contacts' THEN format(
                ' AND (%s) IS DISTINCT FROM ''holdout''', @extschema@._word(s, source, 'test_groups', 'r'))
                ELSE '' END,
            CASE source WHEN 'engagement' THEN 'ignored' ELSE 'a contact over no channel in particular' END),
        (6, 'no name', (SELECT string_agg(format('NOT @extschema@._is_name(%s)', n.name), ' OR ')
                        FROM unnest(names) AS n (name)),
            'refused: a name has 1 to 63 bytes and no control characters; ' || CASE source
                WHEN 'engagement' THEN 'engagement_kinds says what another kind means'
                ELSE 'channel_names says what another channel means' END)
    ) AS f (place, finding, condition, effect);
    RETURN QUERY
        SELECT * FROM @extschema@._counted_findings(
            format('%s AS r WHERE true', relation), @extschema@._shown_row(concat_ws(', ', keys, moment, written)),
            listed.findings, listed.conditions, listed.effects);
END
$audit$;
COMMENT ON FUNCTION _audit_source_rows(segmentation_settings, text) IS
    'Part of segmentations: what is odd about single rows of events, contacts or customers.';

-- Customers of another source that are nowhere else: without orders, and for events and contacts without a row in the
-- customers' table.
CREATE FUNCTION _audit_strangers(s segmentation_settings, source text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $strangers$
DECLARE
    with_customers boolean := source <> 'customers' AND s.customers IS NOT NULL;
    rows_with_key text := format('FROM %s AS r WHERE %s', @extschema@._source_table(s, source),
                                 @extschema@._has_key(s, source, 'r'));
    of_orders text := format('(SELECT %s FROM %s)', @extschema@._key_list(s, 'o'), @extschema@._order_rows(s));
    of_customers text := CASE WHEN with_customers THEN
        format('(SELECT %s FROM %s AS c)', @extschema@._keys_as_in_orders(s, 'customers', 'c'),
               @extschema@._source_table(s, 'customers')) END;
    come_first text := '';
    is_stranger text;
    effect text := CASE
        WHEN source = 'customers' THEN 'prospects; if they have orders, the keys are written in another way there'
        WHEN with_customers THEN 'ignored: neither the orders nor the customers have them'
        ELSE 'ignored: they have no orders; customers => ... takes in prospects' END;
    found record;
BEGIN
    IF @extschema@._reads_shards(@extschema@._source_table(s, 'orders'))
        AND @extschema@._distribution_column(s) IS NULL THEN
        -- Citus does not join tables that do not lie beside each other: their keys come first.
        come_first := format('WITH keys AS MATERIALIZED (SELECT DISTINCT o.* FROM %s AS o)', of_orders)
            || coalesce(', others AS MATERIALIZED ' || of_customers, '') || ' ';
        of_orders := 'keys';
        of_customers := 'others';
    END IF;
    is_stranger := format('NOT EXISTS (SELECT 1 FROM %s AS o WHERE %s)', of_orders, @extschema@._same_key(s, 'k', 'o'))
        || CASE WHEN with_customers THEN format(' AND NOT EXISTS (SELECT 1 FROM %s AS p WHERE %s)', of_customers,
                                                @extschema@._same_key(s, 'k', 'p')) ELSE '' END;
    EXECUTE come_first || format('SELECT count(*) AS rows, min(%s) AS example FROM (SELECT %s %s) AS k WHERE %s',
                   @extschema@._shown_row(@extschema@._key_list(s, 'k')),
                   @extschema@._keys_as_in_orders(s, source, 'r'), rows_with_key, is_stranger) INTO found;
    -- The number of all rows by itself: Citus takes no subquery beside aggregates.
    IF found.rows > 0 THEN
        RETURN QUERY EXECUTE format('SELECT %L, $1, round($1::numeric / count(*), 6), $2, %L %s',
                                    source || ': customer without orders', effect, rows_with_key)
            USING found.rows, found.example;
    END IF;
END
$strangers$;
COMMENT ON FUNCTION _audit_strangers(segmentation_settings, text) IS
    'Part of segmentations: whose events, contacts or rows of the customers'' table have no orders.';

-- Words that are not known under a policy.
CREATE FUNCTION _audit_words(s segmentation_settings, source text, policy segment_policy) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $words$
BEGIN
    RETURN QUERY
        SELECT f.finding, d.rows, d.share, d.listed, format(f.effect, d.list)
        FROM (VALUES
            (1, 'engagement', 'engagement_kinds', false, true, 'engagement: unknown kind',
                'counts for nothing under this policy; say what they mean: %s; null leaves them out'),
            (2, 'engagement', 'engagement_kinds', true, true, 'engagement: unknown stated reason',
                'no reason for dormancy; say what they mean: %s; known are: ' || (
                    SELECT string_agg('stated_' || r.reason, ', ') FROM @extschema@.dormancy_reasons() AS r)),
            (3, 'contacts', 'channel_names', false, true, 'contacts: unknown channel',
                'a contact over a channel that no rule and no limit knows; say what they mean: %s'),
            (4, 'customers', 'memberships', false, s.customers_membership IS NOT NULL, 'customers: unknown membership',
                'refused; say what they mean: %s; null is unknown'),
            (5, 'customers', 'channel_names', false, s.customers_consents IS NOT NULL,
                'customers: unknown channel in consents', 'refused; say what they mean: %s; null leaves them out'),
            (6, 'membership_log', 'memberships', false, true, 'membership_log: unknown membership',
                'refused; say what they mean: %s; null is unknown'),
            (7, 'targets', 'targets.kpi', false, true, 'target of an unknown KPI',
                'stands without an actual; known are: '
                || @extschema@._listed_known_words('targets.kpi', NULL::@extschema@.segment_policy)),
            (8, 'costs', 'costs.purpose', false, true, 'costs of an unknown purpose',
                'in no KPI; known are: '
                || @extschema@._listed_known_words('costs.purpose', NULL::@extschema@.segment_policy))
        ) AS f (place, source, argument, are_stated_reasons, is_asked, finding, effect)
        CROSS JOIN LATERAL @extschema@._described_words(
            s, f.source, f.argument, policy, f.are_stated_reasons, NULL::text) AS d
        WHERE f.source = _audit_words.source AND f.is_asked
        ORDER BY f.place;
END
$words$;
COMMENT ON FUNCTION _audit_words(segmentation_settings, text, segment_policy) IS
    'Part of segmentations: kinds, channels, memberships, KPIs and purposes of a source that are not known.';

-- Campaigns that have groups, none of which is the holdout: everybody in them counts as contacted. Of a log without
-- campaigns all groups are looked at together.
CREATE FUNCTION _audit_holdouts(s segmentation_settings) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $holdouts$
BEGIN
    IF s.contacts_group IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
$sql$WITH groups AS (
    SELECT g.*, bool_or(g.test_group = 'holdout') OVER (PARTITION BY g.campaign) AS has_holdout
    FROM (
        SELECT coalesce(%1$s, '') COLLATE "C" AS campaign, (%2$s) COLLATE "C" AS test_group,
               (%3$s) COLLATE "C" AS written, count(*) AS n
        FROM %4$s AS r WHERE %5$s GROUP BY 1, 2, 3
    ) AS g
    WHERE g.test_group <> ''%6$s
), odd AS (
    SELECT o.campaign, o.place, o.written, o.n, o.test_group, sum(o.n) OVER (PARTITION BY o.campaign) AS campaign_rows,
           CASE WHEN o.place <= 20 THEN @extschema@._nearest_word(
               'test_groups', o.test_group, NULL::@extschema@.segment_policy) END AS nearest
    FROM (
        SELECT g.*, row_number() OVER (PARTITION BY g.campaign ORDER BY g.n DESC, g.test_group, g.written) AS place
        FROM groups AS g WHERE NOT g.has_holdout
    ) AS o
), listed AS (
    SELECT concat_ws(': ', to_json(nullif(left(o.campaign, 40), '')), string_agg(
               @extschema@._shown_word(o.test_group, o.n, o.nearest), ', ' ORDER BY o.place)) AS groups
    FROM odd AS o WHERE o.place <= 20
    GROUP BY o.campaign, o.campaign_rows ORDER BY o.campaign_rows DESC, o.campaign LIMIT 1
)
SELECT %7$L, count(DISTINCT o.campaign), round(count(DISTINCT o.campaign)::numeric
           / (SELECT count(DISTINCT g.campaign) FROM groups AS g), 6),
       (SELECT l.groups FROM listed AS l),
       'everybody counts as contacted, and nothing is compared; ' || coalesce(
           'say what they mean: test_groups => ' || quote_literal(%8$L::jsonb
               || jsonb_object_agg(o.written, o.nearest) FILTER (WHERE o.nearest IS NOT NULL)),
           'if a group was sent nothing, say which: test_groups => ''{"...": "holdout"}''')
FROM odd AS o
HAVING count(*) > 0$sql$,
        @extschema@._text('r', s.contacts_campaign), @extschema@._word(s, 'contacts', 'test_groups', 'r'),
        @extschema@._written(s, 'contacts', 'test_groups', 'r'), @extschema@._source_table(s, 'contacts'),
        @extschema@._has_key(s, 'contacts', 'r'),
        CASE WHEN s.contacts_campaign IS NULL THEN '' ELSE ' AND g.campaign <> ''''' END,
        CASE WHEN s.contacts_campaign IS NULL THEN 'contacts: groups without a holdout'
             ELSE 'campaign without a holdout' END, coalesce(s.test_groups, '{}'));
END
$holdouts$;
COMMENT ON FUNCTION _audit_holdouts(segmentation_settings) IS
    'Part of segmentations: campaigns with groups of which none is the holdout.';

-- Addresses that somebody typed and over which nobody can be reached. An empty one is none. Examples show whose it is,
-- and not what stands there.
CREATE FUNCTION _audit_addresses(s segmentation_settings) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $addresses$
DECLARE
    keys text := (SELECT string_agg(format('r.%I', k.name), ', ' ORDER BY k.place)
                  FROM unnest(@extschema@._source_keys(s, 'customers')) WITH ORDINALITY AS k (name, place)
                  WHERE k.name IS NOT NULL);
    address record;
BEGIN
    FOR address IN
        SELECT a.kind, format('r.%I::pg_catalog.text', a.column_name) AS as_text, a.arguments
        FROM (VALUES ('e-mail', s.customers_email, '%s, NULL::text, NULL::text, NULL::text'),
                     ('phone', s.customers_phone, 'NULL::text, %s, NULL::text, NULL::text'),
                     ('postal address', s.customers_postal_address, 'NULL::text, NULL::text, %s, NULL::text'),
                     ('LINE id', s.customers_line_id, 'NULL::text, NULL::text, NULL::text, %s'))
            AS a (kind, column_name, arguments)
        WHERE a.column_name IS NOT NULL
    LOOP
        RETURN QUERY
            SELECT * FROM @extschema@._counted_findings(
                format('%s AS r WHERE true', @extschema@._source_table(s, 'customers')),
                @extschema@._shown_row(keys),
                ARRAY[format('customers: %s typed but unusable', address.kind)],
                ARRAY[format('%s <> '''' AND @extschema@.reachable_channels(%s, NULL::jsonb) = ''{}''',
                             @extschema@._trimmed(address.as_text), format(address.arguments, address.as_text))],
                ARRAY['nobody is reached by it']);
    END LOOP;
END
$addresses$;
COMMENT ON FUNCTION _audit_addresses(segmentation_settings) IS
    'Part of segmentations: addresses of customers that were typed and cannot be used.';

-- The customers with their attributes from one source, as the reports by attribute count them: those of the customers'
-- table and of the orders; of attributes of the first order those who have bought.
CREATE FUNCTION _attribute_rows(s segmentation_settings, source text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $rows$
DECLARE
    judged @extschema@.segmentation_settings := s;
    keys text := @extschema@._key_list(s, 'r');
BEGIN
    IF source = 'customers' THEN
        RETURN format('SELECT p.* FROM (SELECT %s%s FROM %s AS c WHERE %s) AS p '
                      'FULL JOIN (SELECT DISTINCT %s FROM %s) AS h ON %s',
            @extschema@._keys_as_in_orders(s, source, 'c'), @extschema@._source_attributes(s, source, 'c'),
            @extschema@._source_table(s, source), @extschema@._has_key(s, source, 'c'), @extschema@._key_list(s, 'o'),
            @extschema@._order_rows(s), @extschema@._same_key(s, 'h', 'p'));
    END IF;
    -- Orders that no history takes are findings of their own, and no errors here.
    judged.order_filter := @extschema@._filter_with(
        s, format('isfinite(o.%I) AND (o.%I - o.%2$I = 0) IS NOT FALSE', s.ordered_at, s.amount));
    RETURN @extschema@._first_orders_sql(judged, NULL::text, format(
        'SELECT %1$s, min(r.ordered_on) AS first_day FROM (%2$s) AS r WHERE %3$s GROUP BY %1$s '
        'HAVING min(r.ordered_on) <= %4$L',
        keys, @extschema@._orders_sql(judged),
        CASE WHEN s.order_id IS NULL THEN '(r.amount < 0) IS NOT TRUE' ELSE 'r.is_purchase' END,
        @extschema@._today(s, NULL::date)));
END
$rows$;
COMMENT ON FUNCTION _attribute_rows(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of customers with their attributes, before anything is stored.';

-- What is odd about the attributes: customers of whom a value is not known, and so many values that reports by
-- attribute get long.
CREATE FUNCTION _audit_attributes(s segmentation_settings) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    list record;
    counted record;
BEGIN
    FOR list IN
        SELECT a.source, array_agg(a.name ORDER BY a.place) AS names,
               string_agg(format('count(*) FILTER (WHERE coalesce(v.%I::pg_catalog.text, '''') = '''')', a.name), ', '
                          ORDER BY a.place) AS unknown,
               string_agg(format('count(DISTINCT coalesce(v.%I::pg_catalog.text, ''''))', a.name), ', '
                          ORDER BY a.place) AS known
        FROM @extschema@._attribute_columns(s) AS a GROUP BY a.source ORDER BY a.source
    LOOP
        EXECUTE format('SELECT ARRAY[%s] AS unknown, ARRAY[%s] AS known, count(*) AS total FROM (%s) AS v',
                       list.unknown, list.known, @extschema@._attribute_rows(s, list.source)) INTO counted;
        RETURN QUERY
            SELECT f.finding, f.rows_found, round(f.rows_found::numeric / counted.total, 6), quote_ident(n.name),
                   f.effect
            FROM unnest(list.names, counted.unknown, counted.known) WITH ORDINALITY AS n (name, unknown, known, place)
            CROSS JOIN LATERAL (VALUES
                ('attribute not known', n.unknown, 0, 'counted under the empty value'),
                ('attribute with many values', n.known, 1000,
                    'as many rows in the reports by attribute: leave them out (views), or group the values in a view')
            ) AS f (finding, rows_found, at_most, effect)
            WHERE f.rows_found > f.at_most ORDER BY n.place;
    END LOOP;
END
$audit$;
COMMENT ON FUNCTION _audit_attributes(segmentation_settings) IS
    'Part of segmentations: what is odd about the attributes.';

-- What is odd about the log of memberships. Shares are of its rows, and of customers where these are counted.
CREATE FUNCTION _audit_memberships(s segmentation_settings) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $memberships$
DECLARE
    keys text := @extschema@._key_list(s, 'm');
    relation regclass;
    log text;
BEGIN
    IF s.membership_log IS NULL THEN
        RETURN;
    END IF;
    relation := @extschema@._source_table(s, 'membership_log');
    log := format('SELECT %s, %s AS membership, %s AS since, m.%I AS entered_at FROM %s AS m WHERE %s',
        @extschema@._keys_as_in_orders(s, 'membership_log', 'm'),
        @extschema@._word(s, 'membership_log', 'memberships', 'm'),
        @extschema@._day(s, relation, 'm', s.membership_log_since), s.membership_log_since, relation,
        @extschema@._has_key(s, 'membership_log', 'm'));
    RETURN QUERY EXECUTE
        format(
$sql$SELECT f.finding, f.n, round(f.n::numeric / nullif(c.total, 0), 6), f.example, f.effect
FROM (
    SELECT count(*) AS total,
           count(*) FILTER (WHERE m.membership IS NULL OR m.since IS NULL) AS unknown,
           min(CAST(ROW(%1$s, m.membership, m.since) AS text))
               FILTER (WHERE m.membership IS NULL OR m.since IS NULL) AS unknown_row,
           count(*) FILTER (WHERE isfinite(m.since) AND m.since > %2$L) AS coming,
           min(CAST(ROW(%1$s, m.membership, m.since) AS text))
               FILTER (WHERE isfinite(m.since) AND m.since > %2$L) AS coming_row
    FROM (%3$s) AS m
) AS c
CROSS JOIN (
    SELECT count(*) AS days, min(CAST(d.example AS text)) AS day_row
    FROM (
        SELECT ROW(%1$s, m.entered_at) AS example
        FROM (%3$s) AS m
        GROUP BY %1$s, m.entered_at HAVING count(DISTINCT m.membership) > 1
    ) AS d
) AS d
CROSS JOIN LATERAL (VALUES
    ('entry without membership or day', c.unknown, c.unknown_row, 'ignored'),
    ('membership in the future', c.coming, c.coming_row, 'invisible until that day'),
    ('several memberships at one time', d.days, d.day_row,
        'the last of continuing, ad_hoc, paused, withdrawn counts')
) AS f (finding, n, example, effect)
WHERE f.n > 0$sql$, keys, @extschema@._today(s, NULL::date), log);
    IF s.customers IS NULL OR s.customers_membership IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE
        format(
$sql$SELECT 'log and customers disagree', count(*) FILTER (WHERE d.disagrees),
       round(count(*) FILTER (WHERE d.disagrees)::numeric / nullif(count(*), 0), 6),
       min(d.example) FILTER (WHERE d.disagrees), 'the log of memberships counts'
FROM (
    SELECT o.membership IS DISTINCT FROM k.membership AS disagrees,
           CAST(ROW(%1$s, o.membership, k.membership) AS text) AS example
    FROM (%2$s) AS m
    CROSS JOIN LATERAL (SELECT @extschema@.membership_on(m.memberships, %3$L)) AS o (membership)
    JOIN (%4$s) AS p ON %5$s
    CROSS JOIN LATERAL (
        SELECT CASE p.membership WHEN '01' THEN 'continuing' WHEN '02' THEN 'paused' WHEN '03' THEN 'withdrawn'
                                 ELSE p.membership END
    ) AS k (membership)
) AS d
HAVING bool_or(d.disagrees)$sql$, keys, @extschema@._memberships_sql(s), @extschema@._today(s, NULL::date),
            @extschema@._profiles_sql(s), @extschema@._same_key(s, 'm', 'p'));
END
$memberships$;
COMMENT ON FUNCTION _audit_memberships(segmentation_settings) IS
    'Part of segmentations: what is odd about the log of memberships.';
