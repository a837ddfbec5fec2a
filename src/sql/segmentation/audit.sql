-- segmentation: audit

-- How many rows each condition holds for, in one pass, with an example each; conditions that are NULL are left out.
CREATE FUNCTION _counted_findings(rows text, shown text, findings text[], conditions text[], effects text[])
    RETURNS TABLE (finding text, rows_found bigint, share numeric, example text, effect text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $counted$
DECLARE
    counts text;
    examples text;
    total bigint;
    counted bigint[];
    shown_examples text[];
BEGIN
    SELECT string_agg(format('count(*) FILTER (WHERE %s)', c.condition), ', ' ORDER BY c.place),
           string_agg(format('min(%s) FILTER (WHERE %s)', shown, c.condition), ', ' ORDER BY c.place)
    INTO counts, examples
    FROM (SELECT coalesce(u.condition, 'false') AS condition, u.place
          FROM unnest(conditions) WITH ORDINALITY AS u (condition, place)) AS c;
    EXECUTE format('SELECT count(*), ARRAY[%s], ARRAY[%s] FROM %s', counts, examples, rows)
        INTO total, counted, shown_examples;
    RETURN QUERY
        SELECT f.finding, f.rows_found, round(f.rows_found::numeric / total, 6), f.example, f.effect
        FROM unnest(findings, counted, shown_examples, effects) WITH ORDINALITY
            AS f (finding, rows_found, example, effect, place)
        WHERE f.rows_found > 0 ORDER BY f.place;
END
$counted$;
COMMENT ON FUNCTION _counted_findings(text, text, text[], text[], text[]) IS
    'Part of segmentations: what is odd about rows, one finding a condition.';

-- The example of a row: its keys and what else is named.
CREATE FUNCTION _shown_row(columns text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $shown$ SELECT format('left(CAST(ROW(%s) AS text), 120)', columns) $shown$;
COMMENT ON FUNCTION _shown_row(text) IS 'Part of segmentations: the example of a row, as SQL.';

-- What a row without a key lacks.
CREATE FUNCTION _no_key(s segmentation_settings) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $no_key$ SELECT CASE WHEN s.tenant IS NULL THEN 'no customer' ELSE 'no customer or tenant' END $no_key$;
COMMENT ON FUNCTION _no_key(segmentation_settings) IS
    'Part of segmentations: the finding that a row has no key.';

-- The key columns of the orders that are texts, of whatever type: only these can be empty or written in several ways.
CREATE FUNCTION _text_keys(s segmentation_settings, alias text) RETURNS TABLE (name text, as_text text)
LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp
AS $keys$
    SELECT k.name, format('%s.%I::pg_catalog.text', alias, k.name)
    FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = k.name
    JOIN pg_type AS t ON t.oid = @extschema@._base_type(a.atttypid) AND t.typcategory = 'S'
    ORDER BY k.place
$keys$;
COMMENT ON FUNCTION _text_keys(segmentation_settings, text) IS
    'Part of segmentations: the key columns of the orders that are texts, as SQL.';

-- A comment at the end of the filter in force ends with its line.
CREATE FUNCTION _filter_with(s segmentation_settings, condition text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $filter$ SELECT concat('(' || s.order_filter || E'\n) AND ', condition) $filter$;
COMMENT ON FUNCTION _filter_with(segmentation_settings, text) IS
    'Part of segmentations: the filter in force, where there is one, and a further condition.';

-- The filter in force, and with it that keys are not empty, as an argument to paste.
CREATE FUNCTION _filter_of_keys(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $filter$
    SELECT format('order_filter => %L', @extschema@._filter_with(
        s, string_agg(@extschema@._trimmed(quote_ident(k.name)) || ' <> ''''', ' AND ')))
    FROM @extschema@._text_keys(s, 'o') AS k
$filter$;
COMMENT ON FUNCTION _filter_of_keys(segmentation_settings) IS
    'Part of segmentations: the argument that leaves orders with empty keys out.';

-- Customers whose keys differ only in what people write one way or another: width, upper and lower case, blanks around
-- it. Keys that the orders themselves take for equal are one.
CREATE FUNCTION _audit_spellings(s segmentation_settings) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $spellings$
DECLARE
    texts text[] := ARRAY(SELECT k.name FROM @extschema@._text_keys(s, 'k') AS k);
    is_written text := (SELECT string_agg(@extschema@._trimmed(k.as_text) || ' <> ''''', ' AND ')
                        FROM @extschema@._text_keys(s, 'k') AS k);
    alike text := (
        SELECT string_agg(CASE WHEN k.name = ANY (texts)
                               THEN @extschema@._folded(format('k.%I', k.name)) || ' COLLATE "C"'
                               ELSE format('k.%I', k.name) END, ', ' ORDER BY k.place)
        FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place));
BEGIN
    IF texts = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
$sql$SELECT 'keys that differ only in width, case or blanks', sum(g.n) FILTER (WHERE g.n > 1)::bigint,
       round(sum(g.n) FILTER (WHERE g.n > 1) / sum(g.n), 6), left(min(g.example) FILTER (WHERE g.n > 1), 120), %1$L
FROM (
    SELECT count(*) AS n,
           string_agg(CAST(ROW(%2$s) AS text), ' ' ORDER BY CAST(ROW(%2$s) AS text) COLLATE "C") AS example
    FROM (SELECT %3$s FROM %4$s GROUP BY %3$s) AS k
    WHERE %5$s
    GROUP BY %6$s
) AS g
HAVING bool_or(g.n > 1)$sql$,
        'each is a customer of its own; a view over the orders can write them in one way: '
            || (SELECT string_agg(@extschema@._folded(quote_ident(t.name)), ', ' ORDER BY t.place)
                FROM unnest(texts) WITH ORDINALITY AS t (name, place)),
        @extschema@._key_list(s, 'k'), @extschema@._key_list(s, 'o'), @extschema@._order_rows(s), is_written, alike);
END
$spellings$;
COMMENT ON FUNCTION _audit_spellings(segmentation_settings) IS
    'Part of segmentations: customers whose keys differ only in how they are written.';

-- What is odd about single rows of the orders. Examples show key, day and amount: a notice must not show what nobody
-- asked for, and whoever may read only the columns that are needed can do without the others.
CREATE FUNCTION _audit_rows(s segmentation_settings, rows text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    moment text := format('o.%I', s.ordered_at);
    day text := @extschema@._day(s, @extschema@._source_table(s, 'orders'), 'o', s.ordered_at);
    amount text := format('o.%I', s.amount); -- not cast: PostgreSQL 13 has no infinite numeric
    one_row text := CASE WHEN s.order_id IS NULL THEN 'an order' ELSE 'a line' END;
    blank text := (SELECT string_agg(@extschema@._trimmed(k.as_text) || ' = ''''', ' OR ')
                   FROM @extschema@._text_keys(s, 'o') AS k);
    listed record;
BEGIN
    SELECT array_agg(f.finding ORDER BY f.place) AS findings, array_agg(f.condition ORDER BY f.place) AS conditions,
           array_agg(f.effect ORDER BY f.place) AS effects
    INTO listed
    FROM (VALUES
        (1, @extschema@._no_key(s), format('NOT (%s)', @extschema@._has_key(s, 'orders', 'o')), 'ignored'),
        (2, 'empty key', blank, 'the orders of all of them are those of one customer; to leave them out: '
            || @extschema@._filter_of_keys(s)),
        (3, 'no date', moment || ' IS NULL', 'ignored'),
        (4, 'infinite date', format('NOT isfinite(%s)', moment), 'refused: segment without them (order_filter)'),
        (5, 'date in the future', format('isfinite(%s) AND %s > %L', moment, day, @extschema@._today(s, NULL::date)),
            'invisible until that day'),
        (6, 'no amount', amount || ' IS NULL', one_row || ' that adds nothing to monetary'),
        -- Infinity less infinity is no number either.
        (7, 'not a number', format('CAST(%s - %1$s AS pg_catalog.numeric) = ''NaN''', amount),
            'refused: segment without them (order_filter)'),
        (8, 'amount zero', amount || ' = 0', one_row || ' that adds nothing to monetary'),
        (9, 'amount negative', amount || ' < 0', CASE WHEN s.order_id IS NULL
            THEN 'a refund: lowers monetary, is no order'
            ELSE 'lowers its order on that day; where their sum is negative, a refund' END),
        (10, 'no order number', CASE WHEN s.order_id IS NOT NULL THEN format('o.%I IS NULL', s.order_id) END,
            'one order of a customer and day together')
    ) AS f (place, finding, condition, effect);
    RETURN QUERY
        SELECT * FROM @extschema@._counted_findings(
            rows, @extschema@._shown_row(concat_ws(', ', @extschema@._key_list(s, 'o'), moment, amount)),
            listed.findings, listed.conditions, listed.effects);
END
$audit$;
COMMENT ON FUNCTION _audit_rows(segmentation_settings, text) IS
    'Part of segmentations: what is odd about single rows of the orders.';

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
            format('%s AS r', relation), @extschema@._shown_row(concat_ws(', ', keys, moment, written)),
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
    is_stranger text := format(
            'NOT EXISTS (SELECT 1 FROM (SELECT %s FROM %s) AS o WHERE %s)',
            @extschema@._key_list(s, 'o'), @extschema@._order_rows(s), @extschema@._same_key(s, 'k', 'o'))
        || CASE WHEN with_customers THEN format(
            ' AND NOT EXISTS (SELECT 1 FROM (SELECT %s FROM %s AS c) AS p WHERE %s)',
            @extschema@._keys_as_in_orders(s, 'customers', 'c'), @extschema@._source_table(s, 'customers'),
            @extschema@._same_key(s, 'k', 'p')) ELSE '' END;
    effect text := CASE
        WHEN source = 'customers' THEN 'prospects; if they have orders, the keys are written in another way there'
        WHEN with_customers THEN 'ignored: neither the orders nor the customers have them'
        ELSE 'ignored: they have no orders; customers => ... takes in prospects' END;
BEGIN
    RETURN QUERY EXECUTE
        format('SELECT %L, count(*), round(count(*)::numeric / max(a.rows), 6), min(%s), %L',
               source || ': customer without orders', @extschema@._shown_row(@extschema@._key_list(s, 'k')), effect)
        || format(' FROM (SELECT %s %2$s) AS k CROSS JOIN (SELECT count(*) AS rows %2$s) AS a',
                  @extschema@._keys_as_in_orders(s, source, 'r'), rows_with_key)
        || format(' WHERE %s HAVING count(*) > 0', is_stranger);
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
                format('%s AS r', @extschema@._source_table(s, 'customers')),
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

-- What makes the answers of nearly everybody the same: orders that end long before the day that is asked for, and cuts
-- for amounts of another currency. A few customers may well be alike.
CREATE FUNCTION _audit_answers(s segmentation_settings, policy segment_policy) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $answers$
DECLARE
    as_of date := @extschema@._today(s, NULL::date);
    limits jsonb := @extschema@.effective_policy(policy) -> 'lifecycle';
    at_risk_after numeric := CASE limits ->> 'cycle'
        WHEN 'fixed' THEN (limits ->> 'at_risk_after_days')::numeric
        ELSE least((limits ->> 'max_days')::numeric,
                   ceil((limits ->> 'at_risk_ratio')::numeric * (limits ->> 'store_gap_days')::numeric)) END;
    cuts jsonb := @extschema@.effective_policy(policy) #> '{rfm,monetary_cuts}';
    found record;
BEGIN
    -- What is too large for a history is left out: a sum of it could fail.
    EXECUTE format(
$sql$SELECT sum(c.n)::bigint AS orders, max(c.last_on) AS last_on, count(*) FILTER (WHERE c.has_bought) AS customers,
       count(*) FILTER (WHERE c.has_bought AND c.monetary <= $2) AS lowest,
       count(*) FILTER (WHERE c.has_bought AND c.monetary > $3) AS highest,
       round(avg(c.monetary) FILTER (WHERE c.has_bought), 2) AS mean
FROM (
    SELECT count(*) AS n, max(%1$s) FILTER (WHERE %2$s) AS last_on, bool_or(%2$s) AS has_bought,
           coalesce(sum(CASE WHEN o.%3$I > -1e30 AND o.%3$I < 1e30 THEN o.%3$I::pg_catalog.numeric END), 0) AS monetary
    FROM %4$s AND isfinite(o.%5$I) AND %1$s <= $1
    GROUP BY %6$s
) AS c$sql$,
        @extschema@._day(s, @extschema@._source_table(s, 'orders'), 'o', s.ordered_at),
        format('(o.%I < 0) IS NOT TRUE', s.amount), s.amount, @extschema@._order_rows(s), s.ordered_at,
        @extschema@._key_list(s, 'o'))
        INTO found USING as_of, (cuts ->> 0)::numeric, (cuts ->> -1)::numeric;
    IF as_of - found.last_on > at_risk_after THEN
        RETURN QUERY SELECT 'orders end long before as_of', found.orders, 1.000000, found.last_on::text,
            format('nobody is active; days from the last order to as_of: %s; '
                   'days after which customers are at risk: %s; '
                   'load the orders since, or ask for the day on which the data ends: as_of => %L',
                   as_of - found.last_on, at_risk_after, found.last_on);
    END IF;
    IF found.customers >= 20 THEN
        RETURN QUERY
            SELECT format('nearly everybody has m = %s', d.digit), d.customers,
                   round(d.customers::numeric / found.customers, 6), format('monetary is %s on average', found.mean),
                   format('write cuts for this currency and shop into the policy, or learn them (policy => ''learn''); '
                          'rfm.monetary_cuts are: %s', cuts)
            FROM (VALUES (1, found.lowest), (jsonb_array_length(cuts) + 1, found.highest)) AS d (digit, customers)
            WHERE d.customers >= 0.9 * found.customers;
    END IF;
END
$answers$;
COMMENT ON FUNCTION _audit_answers(segmentation_settings, segment_policy) IS
    'Part of segmentations: what makes the answers of nearly everybody the same.';

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

-- Days that are those of a time zone that nobody named, where it is that of a server and of no shop.
CREATE FUNCTION _audit_time_zone(s segmentation_settings, given jsonb, order_rows text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $zone$
BEGIN
    IF given ? 'time_zone'
        OR s.time_zone !~* '^(etc/)?(utc|uct|gmt|gmt[-+]?0|zulu|universal|greenwich)$' OR NOT EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = s.ordered_at
            AND @extschema@._base_type(a.atttypid) = 'timestamptz'::regtype
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
$sql$SELECT 'days are those of UTC', count(o.%1$I), round(count(o.%1$I)::numeric / count(*), 6), max(o.%1$I)::text,
       'it is the session''s time zone, and none was named; name that of the shop: time_zone => ''Asia/Tokyo'''
FROM %2$s HAVING count(o.%1$I) > 0$sql$, s.ordered_at, order_rows);
END
$zone$;
COMMENT ON FUNCTION _audit_time_zone(segmentation_settings, jsonb, text) IS
    'Part of segmentations: moments of orders whose days are those of UTC though nobody said so.';

-- What is odd about the shop's tables, by the same settings as a segmentation; given is the document of arguments.
-- What a policy will learn is not known yet.
CREATE FUNCTION _audit(s segmentation_settings, given jsonb) RETURNS TABLE (
    finding text, rows bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    relation regclass := @extschema@._source_table(s, 'orders');
    order_rows text := format('%s AS o', relation)
        || CASE WHEN s.order_filter IS NULL THEN '' ELSE format(E' WHERE (\n%s\n)', s.order_filter) END;
    repeated text := format('%s, o.%I, o.%I', @extschema@._key_list(s, 'o'), s.ordered_at, s.amount)
        || CASE WHEN s.order_id IS NULL THEN '' ELSE format(', o.%I', s.order_id) END;
    day text := @extschema@._day(s, relation, 'o', s.ordered_at);
    policy @extschema@.segment_policy := CASE WHEN s.policy = 'learn' THEN @extschema@.default_policy()
        ELSE @extschema@._policy_on(s, @extschema@._today(s, NULL::date), false) END;
    effect_of_repeated text := CASE WHEN s.order_id IS NULL
        THEN 'each is an order of its own; if they are lines of one order, name order_id'
        ELSE 'lines of one order that are alike: all of them are summed' END;
    name text;
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

    -- Rows that repeat another one in all that counts.
    RETURN QUERY EXECUTE
        format(
$sql$SELECT 'duplicate', sum(d.n - 1)::bigint, round(sum(d.n - 1) / sum(d.n), 6),
       min(d.example::text) FILTER (WHERE d.n > 1), %L
FROM (SELECT count(*) AS n, ROW(%s) AS example$sql$, effect_of_repeated, repeated)
        || format(' FROM %s GROUP BY %s) AS d', order_rows, repeated)
        || ' HAVING bool_or(d.n > 1)';

    IF s.order_id IS NULL THEN
        -- A column that is called like an order number and has one number in several rows.
        FOR name IN
            SELECT a.attname FROM pg_attribute AS a
            WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
                AND has_column_privilege(relation, a.attnum, 'SELECT')
                AND @extschema@._is_called_like_an_order_number(a.attname::text)
                AND NOT EXISTS (
                    SELECT FROM pg_index AS i
                    WHERE i.indrelid = relation AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
                        AND i.indpred IS NULL)
        LOOP
            RETURN QUERY EXECUTE
                format(
$sql$SELECT 'several rows an order number', d.rows - d.numbers, round((d.rows - d.numbers)::numeric / d.rows, 6), %L,
       'each row is an order of its own; if they are lines of one order: order_id => ' || %L$sql$,
                    quote_ident(name), quote_literal(name))
                || format(
$sql$
FROM (SELECT count(o.%I) AS rows, count(DISTINCT o.%1$I) AS numbers FROM %s) AS d
WHERE d.rows > d.numbers$sql$, name, order_rows);
        END LOOP;
    ELSE
        -- Lines on a later day than the first of their order.
        RETURN QUERY EXECUTE
            format(
$sql$SELECT 'several days an order number', sum(d.n) FILTER (WHERE d.is_later)::bigint,
       round(sum(d.n) FILTER (WHERE d.is_later) / sum(d.n), 6), min(d.example::text) FILTER (WHERE d.is_later),
       'change the amount on their own day and are no second order; numbers that are used again have to be told apart'
FROM (SELECT count(*) AS n, ROW(%1$s, %2$s, sum(o.%3$I)) AS example,
             o.%4$I IS NOT NULL AND %2$s > min(%2$s) OVER (PARTITION BY %1$s, o.%4$I) AS is_later$sql$,
                @extschema@._key_list(s, 'o'), day, s.amount, s.order_id)
            || format(' FROM %s GROUP BY %s, o.%I, %s) AS d HAVING bool_or(d.is_later)',
                      order_rows, @extschema@._key_list(s, 'o'), s.order_id, day);

        -- An order that was taken back on its day.
        RETURN QUERY EXECUTE format(
$sql$SELECT 'orders that sum to zero', count(*) FILTER (WHERE d.is_nothing),
       round(count(*) FILTER (WHERE d.is_nothing)::numeric / count(*), 6),
       min(CAST(d.example AS text)) FILTER (WHERE d.is_nothing),
       'an order that adds nothing to monetary; a view over the orders can leave them out'
FROM (SELECT ROW(%1$s, o.%2$I, %3$s) AS example, sum(%4$s) = 0 AND bool_or(o.%5$I < 0) AS is_nothing
      FROM %6$s AND o.%2$I IS NOT NULL AND %3$s IS NOT NULL GROUP BY %1$s, o.%2$I, %3$s) AS d
HAVING bool_or(d.is_nothing)$sql$,
            @extschema@._key_list(s, 'o'), s.order_id, day, @extschema@._finite('o', s.amount), s.amount,
            @extschema@._order_rows(s));
    END IF;

    IF s.currency IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
$sql$SELECT 'several currencies', sum(d.n)::bigint, 1.000000,
       string_agg(coalesce(d.currency, '(none)'), ', ' ORDER BY d.n DESC),
       'refused: segment one of them (order_filter)'
FROM (SELECT o.%I::text AS currency, count(*) AS n FROM %s GROUP BY 1) AS d
HAVING count(*) > 1$sql$, s.currency, order_rows);
    END IF;
    RETURN QUERY SELECT * FROM @extschema@._audit_answers(s, policy);
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
        FROM @extschema@._audit(s, given) AS a;
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

-- Kinds, KPIs and purposes that count for nothing are said at every refresh, because nothing else would show that they
-- do not count; kinds, where events are not all read, as soon as a customer has one whose events changed.
CREATE FUNCTION _show_unknown_words(s segmentation_settings, read_whole text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE
    policy @extschema@.segment_policy;
BEGIN
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
