-- segmentation: audit

-- The policy by which an audit judges. What one will learn is not known yet.
CREATE FUNCTION _audited_policy(s segmentation_settings) RETURNS segment_policy
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $policy$
    SELECT CASE WHEN s.policy = 'learn' THEN @extschema@.default_policy()
                ELSE @extschema@._policy_on(s, @extschema@._today(s, NULL::date), false) END
$policy$;
COMMENT ON FUNCTION _audited_policy(segmentation_settings) IS
    'Part of segmentations: the policy by which an audit judges.';

-- What is odd about the shop's tables, by the same settings as a segmentation; given is the document of arguments.
CREATE FUNCTION _audit(s segmentation_settings, given jsonb) RETURNS TABLE (
    finding text, rows bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    relation regclass := @extschema@._source_table(s, 'orders');
    order_rows text := format('%s AS o WHERE %s', relation, coalesce(E'(\n' || s.order_filter || E'\n)', 'true'));
    policy @extschema@.segment_policy := @extschema@._audited_policy(s);
    other record;
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT ''no orders'', 0::bigint, NULL::numeric, %L, %L '
        'WHERE NOT EXISTS (SELECT 1 FROM %s AND o.%I IS NOT NULL)',
        relation, 'nobody has bought anything; look at the table, its columns and order_filter',
        @extschema@._order_rows(s), s.ordered_at);
    RETURN QUERY SELECT * FROM @extschema@._audit_time_zone(s, given, order_rows);
    RETURN QUERY SELECT * FROM @extschema@._audit_rows(s, order_rows);
    RETURN QUERY SELECT * FROM @extschema@._audit_spellings(s);
    RETURN QUERY SELECT * FROM @extschema@._audit_repeated(s, order_rows);
    RETURN QUERY SELECT * FROM @extschema@._audit_order_numbers(s, order_rows);
    IF s.currency IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
$sql$SELECT 'several currencies', sum(d.n)::bigint, 1.000000,
       string_agg(coalesce(d.currency, '(none)'), ', ' ORDER BY d.n DESC),
       'refused: segment one of them (order_filter)'
FROM (SELECT o.%I::text AS currency, count(*) AS n FROM %s GROUP BY 1) AS d
HAVING count(*) > 1$sql$, s.currency, order_rows);
    END IF;
    FOR other IN SELECT t.*, t.source NOT IN ('targets', 'costs') AS has_customers
                 FROM @extschema@._sources(s) AS t
                 WHERE t.source <> 'orders' AND t.relation IS NOT NULL LOOP
        IF other.has_customers THEN
            RETURN QUERY SELECT * FROM @extschema@._audit_source_rows(s, other.source);
        END IF;
        RETURN QUERY SELECT * FROM @extschema@._audit_words(s, other.source, policy);
        IF other.has_customers THEN
            RETURN QUERY SELECT * FROM @extschema@._audit_strangers(s, other.source);
        END IF;
    END LOOP;
    RETURN QUERY SELECT * FROM @extschema@._audit_addresses(s);
    RETURN QUERY
        SELECT 'customers: consents that cannot be read', u.rows, u.share, u.listed,
               'refused: a consent is true, false or null; a view over the table can write it so'
        FROM @extschema@._unreadable_consents(s, NULL::text) AS u;
    -- Consents that are not known have no channels.
    IF s.customers IS NOT NULL AND (s.customers_consents IS NULL OR NOT EXISTS (
        SELECT FROM @extschema@._unknown_words(s, 'customers', 'channel_names', NULL::@extschema@.segment_policy,
                                               NULL::text)
    ) AND NOT EXISTS (SELECT FROM @extschema@._unreadable_consents(s, NULL::text))) THEN
        RETURN QUERY EXECUTE format(
$sql$SELECT 'customer without contact address', count(*) FILTER (WHERE p.channels = '{}'),
       round(count(*) FILTER (WHERE p.channels = '{}')::numeric / count(*), 6),
       min(CAST(ROW(%s) AS text)) FILTER (WHERE p.channels = '{}'),
       'next_action asks to complete the contact details'
FROM (%s) AS p
HAVING count(*) FILTER (WHERE p.channels = '{}') > 0$sql$, @extschema@._key_list(s, 'p'), @extschema@._profiles_sql(s));
    END IF;
    RETURN QUERY SELECT * FROM @extschema@._audit_holdouts(s);
    RETURN QUERY SELECT * FROM @extschema@._audit_campaigns(s);
    RETURN QUERY SELECT * FROM @extschema@._audit_kpis(s);
    RETURN QUERY SELECT * FROM @extschema@._audit_memberships(s);
    RETURN QUERY SELECT * FROM @extschema@._audit_attributes(s);
    IF EXISTS (SELECT FROM pg_class AS r WHERE r.oid = relation AND r.relkind IN ('r', 'p', 'm'))
        AND NOT @extschema@._an_index_leads_with(relation, @extschema@._keys(s)) THEN
        RETURN QUERY SELECT 'no index leads with the customer', NULL::bigint, NULL::numeric,
                            format('CREATE INDEX ON %s (%s)', relation, @extschema@._key_list(s)),
                            'track => ''trigger'' reads all orders for every refresh';
    END IF;
END
$audit$;
COMMENT ON FUNCTION _audit(segmentation_settings, jsonb) IS
    'Part of segmentations: what is odd about the shop''s tables.';

CREATE FUNCTION _an_index_leads_with(relation regclass, keys text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $index$
    SELECT EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts >= cardinality(keys)
            AND ARRAY(SELECT a.attname::text FROM generate_series(0, cardinality(keys) - 1) AS n
                      JOIN pg_attribute AS a ON a.attrelid = relation AND a.attnum = i.indkey[n]) @> keys)
$index$;
COMMENT ON FUNCTION _an_index_leads_with(regclass, text[]) IS
    'Part of segmentations: whether a table has an index of which these are the first columns.';

CREATE FUNCTION _show_finding(
    s segmentation_settings, finding text, rows bigint, share numeric, example text, effect text
) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $show$
BEGIN
    RAISE NOTICE '%: %: %', s.name, @extschema@._audit_text(finding, s.lang), concat_ws('; ',
        rows || format(' (%s %%)', round(100 * share, 2)), @extschema@._audit_text(effect, s.lang),
        CASE WHEN rows IS NOT NULL THEN @extschema@._audit_text('for example: '::text, s.lang) ELSE '' END || example);
END
$show$;
COMMENT ON FUNCTION _show_finding(segmentation_settings, text, bigint, numeric, text, text) IS
    'Part of segmentations: shows a finding of the audit as a notice.';

-- The audit in the language that is asked for. Every text that can be found stands in src/audit.rs in both.
CREATE FUNCTION _audit_in_language(given jsonb) RETURNS TABLE (
    finding text, rows bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    s @extschema@.segmentation_settings :=
        @extschema@._checked_settings(NULL::@extschema@.segmentation_settings, given);
BEGIN
    RETURN QUERY
        SELECT @extschema@._audit_text(a.finding, s.lang), a.rows, a.share, a.example,
               @extschema@._audit_text(a.effect, s.lang)
        FROM (
            SELECT * FROM @extschema@._audit(s, given)
            UNION ALL
            SELECT * FROM @extschema@._audit_answers(
                s, @extschema@._audited_policy(s), @extschema@._totals_of_orders(s))
        ) AS a;
END
$audit$;
COMMENT ON FUNCTION _audit_in_language(jsonb) IS
    'Part of segmentations: what is odd about the shop''s tables, in the language that is asked for.';

CREATE FUNCTION _show_audit(s segmentation_settings, given jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $show$
BEGIN
    -- The only finding that counts no rows is the missing index, which only tracking uses.
    PERFORM @extschema@._show_finding(s, a.finding, a.rows, a.share, a.example, a.effect)
    FROM @extschema@._audit(s, given) AS a WHERE a.rows IS NOT NULL OR s.track = 'trigger';
END
$show$;
COMMENT ON FUNCTION _show_audit(segmentation_settings, jsonb) IS
    'Part of segmentations: shows what is odd about the shop''s tables as notices.';

-- What makes the answers of nearly everybody the same, by the customers and the policy that were just made.
CREATE FUNCTION _show_audit_of_answers(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE
    policy @extschema@.segment_policy;
BEGIN
    EXECUTE format('SELECT policy FROM %s', @extschema@._lock_and_check(s, 'status', 'ACCESS SHARE MODE')) INTO policy;
    PERFORM @extschema@._show_finding(s, a.finding, a.rows_found, a.share, a.example, a.effect)
    FROM @extschema@._audit_answers(s, policy, @extschema@._totals_of_customers(s)) AS a;
END
$show$;
COMMENT ON FUNCTION _show_audit_of_answers(segmentation_settings) IS
    'Part of segmentations: shows what makes the answers of nearly everybody the same as notices.';

-- Kinds, KPIs and purposes that count for nothing are said at every refresh, because nothing else would show that they
-- do not count; kinds, where events are not all read, as soon as a customer has one whose events changed.
CREATE FUNCTION _show_unknown_words(s segmentation_settings, read_whole text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE
    policy @extschema@.segment_policy;
BEGIN
    IF s.engagement IS NULL AND s.targets IS NULL AND s.costs IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT policy FROM %s', @extschema@._lock_and_check(s, 'status', 'ACCESS SHARE MODE')) INTO policy;
    PERFORM @extschema@._show_finding(s, w.finding, w.rows_found, w.share, w.example, w.effect)
    FROM @extschema@._sources(s) AS t
    CROSS JOIN LATERAL @extschema@._audit_words(s, t.source, policy) AS w
    WHERE t.source IN ('engagement', 'targets', 'costs') AND t.relation IS NOT NULL
        AND (t.source <> 'engagement' OR t.source = ANY (read_whole) OR EXISTS (
            SELECT FROM @extschema@._unknown_words(s, t.source, 'engagement_kinds'::text, policy,
                                                   @extschema@._noted_of(s, t.source, read_whole))));
END
$show$;
COMMENT ON FUNCTION _show_unknown_words(segmentation_settings, text[]) IS
    'Part of segmentations: shows kinds of events, KPIs and purposes that are not known as notices.';
