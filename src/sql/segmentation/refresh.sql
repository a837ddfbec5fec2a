-- segmentation: refresh

-- Progress: one NOTICE a step.
CREATE FUNCTION _report(s jsonb, step text, rows bigint, since timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $report$
BEGIN
    RAISE NOTICE '%: %: % rows, % s', s ->> 'name', step, rows, round(extract(epoch FROM clock_timestamp() - since)::numeric, 2);
END
$report$;
COMMENT ON FUNCTION _report(jsonb, text, bigint, timestamptz) IS 'Part of segmentations: says what a step did and how long it took.';

-- Makes a table hold what `query` returns, and writes only the rows that differ. With `among`, a SELECT of keys, only the rows of
-- these customers are compared. Rows are compared as stored: our types have one binary form for a value. Returns the number of
-- rows written.
CREATE FUNCTION _mirror(s jsonb, suffix text, query text, among text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $mirror$
DECLARE
    target text := @extschema@._hold(s, suffix, 'ROW EXCLUSIVE MODE');
    keys text := @extschema@._key_list(s);
    columns text[] := ARRAY(SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = target::regclass AND a.attnum > 0
                            AND NOT a.attisdropped AND a.attname <> ALL (@extschema@._keys(s)) ORDER BY a.attnum);
    among_them text := coalesce('EXISTS (SELECT FROM ' || among || ' AS a WHERE ' || @extschema@._same_key(s, 'a', 't') || ') AND ', '');
    written bigint;
BEGIN
    EXECUTE format(
$sql$WITH fresh AS MATERIALIZED (
    %1$s
), gone AS (
    DELETE FROM %2$s AS t WHERE %3$sNOT EXISTS (SELECT FROM fresh AS f WHERE %4$s) RETURNING 1
), put AS (
    INSERT INTO %2$s (%5$s, %6$s)
    SELECT %5$s, %6$s FROM fresh AS f
    WHERE NOT EXISTS (SELECT FROM (SELECT * FROM %2$s AS t WHERE %3$strue) AS t WHERE %4$s AND (t.*) OPERATOR(pg_catalog.*=) (f.*))
    ON CONFLICT (%5$s) DO UPDATE SET %7$s
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM put)$sql$,
        query, target, among_them, @extschema@._same_key(s, 'f', 't'), keys,
        (SELECT string_agg(quote_ident(c), ', ') FROM unnest(columns) AS c),
        (SELECT string_agg(format('%1$I = EXCLUDED.%1$I', c), ', ') FROM unnest(columns) AS c))
    INTO written;
    RETURN written;
END
$mirror$;
COMMENT ON FUNCTION _mirror(jsonb, text, text, text) IS 'Part of segmentations: makes a table equal to a query, writing only what differs.';

-- Amounts of two currencies are never added up: the only one that the orders have, or an error.
CREATE FUNCTION _currency(s jsonb, among text, known text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $currency$
DECLARE
    found text[];
BEGIN
    IF s #>> '{columns,orders,currency}' IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT array_agg(c.currency) FROM (SELECT DISTINCT coalesce(o.%I::pg_catalog.text, ''(none)'') AS currency FROM %s LIMIT 9) AS c',
                   s #>> '{columns,orders,currency}', @extschema@._order_rows(s, among)) INTO found;
    found := ARRAY(SELECT DISTINCT c FROM unnest(found || known) AS c WHERE c IS NOT NULL ORDER BY c);
    IF cardinality(found) > 1 AND among IS NOT NULL THEN
        RETURN @extschema@._currency(s, NULL::text, NULL::text); -- the known one may be gone
    ELSIF cardinality(found) > 1 THEN
        RAISE EXCEPTION 'the orders have several currencies: %', array_to_string(found, ', ')
            USING ERRCODE = 'data_exception',
                  HINT = 'Amounts are not converted. Segment one of them: order_filter => ''currency_column = ''''JPY''''''.';
    END IF;
    RETURN found[1];
END
$currency$;
COMMENT ON FUNCTION _currency(jsonb, text, text) IS 'Part of segmentations: the only currency of the orders; an error where there are several.';

-- The policy that holds on a day, by the settings: the default, a document, a stored policy, a preset, or what was learned
-- last up to it.
CREATE FUNCTION _policy_on(s jsonb, on_day date, learn boolean) RETURNS segment_policy
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $policy$
DECLARE
    given text := s ->> 'policy';
    is_stored boolean := EXISTS (SELECT FROM @extschema@.segment_policies AS p WHERE p.name = given);
    is_preset boolean := EXISTS (SELECT FROM @extschema@.policy_presets() AS p WHERE p.name = given);
    found @extschema@.segment_policy;
BEGIN
    IF given IS NULL THEN
        RETURN @extschema@.default_policy();
    ELSIF given ~ '^\s*\{' THEN
        RETURN given::@extschema@.segment_policy;
    ELSIF is_stored AND (is_preset OR given = 'learn') THEN
        RAISE EXCEPTION 'policy "%" is ambiguous: segment_policies has one of this name, and so has pg_rfm', given
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Store it under another name.';
    ELSIF is_stored THEN
        RETURN @extschema@.stored_policy(given, on_day);
    ELSIF is_preset THEN
        RETURN @extschema@.preset_policy(given);
    ELSIF given <> 'learn' THEN
        RAISE EXCEPTION 'there is no policy "%"', given
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('Give a JSON document, learn, a name in segment_policies, or a preset: %s.',
                                (SELECT string_agg(p.name, ', ') FROM @extschema@.policy_presets() AS p));
    END IF;

    IF NOT learn THEN
        EXECUTE format('SELECT policy FROM %s ORDER BY valid_from <= $1 DESC, abs(valid_from - $1) LIMIT 1',
                       @extschema@._hold(s, 'policies', 'ACCESS SHARE MODE'))
            INTO found USING on_day;
        RETURN found;
    END IF;
    EXECUTE format('SELECT @extschema@.learn_policy(history, $1, @extschema@.default_policy()) FROM %s WHERE @extschema@.orders(history, $1) > 0',
                   @extschema@._hold(s, 'histories', 'ACCESS SHARE MODE')) INTO found USING on_day;
    RETURN coalesce(found, @extschema@.default_policy());
END
$policy$;
COMMENT ON FUNCTION _policy_on(jsonb, date, boolean) IS 'Part of segmentations: the policy that holds on a day, learned anew if asked.';

-- Writes down the day and policy asked for, and the policy as a new version where it is another one. Returns whether the
-- question is another than before.
CREATE FUNCTION _ask(s jsonb, on_day date, learn boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $ask$
DECLARE
    policy @extschema@.segment_policy := @extschema@._policy_on(s, on_day, learn);
    changed bigint;
BEGIN
    EXECUTE format('INSERT INTO %1$s (valid_from, policy) SELECT $1, $2 '
                   'WHERE (SELECT p.policy FROM %1$s AS p ORDER BY p.valid_from DESC LIMIT 1) OPERATOR(@extschema@.=) $2 IS NOT TRUE '
                   'ON CONFLICT (valid_from) DO UPDATE SET policy = EXCLUDED.policy', @extschema@._hold(s, 'policies', 'ROW EXCLUSIVE MODE'))
        USING on_day, policy;
    EXECUTE format('UPDATE %s SET as_of = $1, policy = $2 WHERE as_of <> $1 OR policy OPERATOR(@extschema@.<>) $2',
                   @extschema@._hold(s, 'status', 'ROW EXCLUSIVE MODE'))
        USING on_day, policy;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed > 0;
END
$ask$;
COMMENT ON FUNCTION _ask(jsonb, date, boolean) IS 'Part of segmentations: writes down the day and policy that the views answer for.';

-- Today by the segmentation's clock, unless a day is fixed.
CREATE FUNCTION _today(s jsonb, on_day date) RETURNS date
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $today$ SELECT coalesce(on_day, (s ->> 'as_of')::date, (clock_timestamp() AT TIME ZONE (s ->> 'time_zone'))::date) $today$;
COMMENT ON FUNCTION _today(jsonb, date) IS 'Part of segmentations: the day asked for; by default today in the segmentation''s time zone.';

-- Whether the key columns of the orders are of the types they had when the tables were made.
CREATE FUNCTION _key_types_hold(s jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $hold$
    SELECT coalesce(bool_and(o.atttypid = h.atttypid), false)
    FROM unnest(@extschema@._keys(s)) AS k (name)
    JOIN pg_attribute AS o ON o.attrelid = @extschema@._source_table(s, 'orders') AND o.attname = k.name
    JOIN pg_attribute AS h ON h.attrelid = to_regclass(@extschema@._relation(s, 'histories')) AND h.attname = k.name
$hold$;
COMMENT ON FUNCTION _key_types_hold(jsonb) IS 'Part of segmentations: whether the key columns still have the types they had.';

-- Makes a materialized view hold what its definition returns, and writes only the rows that differ. Not REFRESH CONCURRENTLY, which
-- computes all rows into a temporary table first: a transaction with one cannot be prepared.
CREATE FUNCTION _bring_up_to_date(view regclass, keys text[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $bring$
DECLARE
    same_key text := (
        SELECT string_agg(format('t.%1$I %2$s f.%1$I', a.attname, @extschema@._equality(a.atttypid)), ' AND ')
        FROM pg_attribute AS a WHERE a.attrelid = view AND a.attname = ANY (keys));
BEGIN
    RETURN @extschema@._write_view_rows(view, format(
        'SELECT t.ctid, f.%I IS NULL, f.* FROM %s AS t FULL JOIN (%s) AS f ON %s WHERE ((t.*) OPERATOR(pg_catalog.*=) (f.*)) IS NOT TRUE',
        keys[1], view, rtrim(pg_get_viewdef(view), '; '), same_key));
END
$bring$;
COMMENT ON FUNCTION _bring_up_to_date(regclass, text[]) IS
    'Part of segmentations: makes a materialized view hold what its definition returns, writing only what differs.';

-- Brings the tables and views up to date. Everything happens in the caller's transaction: a step that fails leaves the views
-- as they were, and readers see the new rows when it commits.
CREATE FUNCTION _refresh(s jsonb, rebuild boolean, on_day date, learn boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $refresh$
DECLARE
    started timestamptz := clock_timestamp();
    since timestamptz := started;
    status text := @extschema@._hold(s, 'status', 'ROW SHARE MODE');
    touched text;
    currency text;
    mirror record;
    written bigint;
    changed bigint := 0;
    histories bigint;
    is_another boolean;
    view record;
    customers bigint;
BEGIN
    IF NOT @extschema@._key_types_hold(s) THEN
        RAISE EXCEPTION 'the key of % has another type than before: %', s ->> 'orders', @extschema@._key_list(s)
            USING ERRCODE = 'datatype_mismatch',
                  HINT = format('SELECT alter_segmentation(%L) makes the tables and views anew.', s ->> 'name');
    END IF;
    -- Locked, so that a transaction that does not see what another refresh did is refused here.
    EXECUTE format('SELECT currency FROM %s FOR UPDATE', status) INTO currency;
    IF s ->> 'track' = 'trigger' THEN
        -- First the notes, then, under a later snapshot, the orders: what is noted is committed by then.
        touched := @extschema@._take_notes(s, rebuild);
    END IF;
    IF touched IS NULL THEN
        currency := NULL;
    END IF;

    currency := @extschema@._currency(s, touched, currency);
    PERFORM @extschema@._refuse_double_profiles(s);
    FOR mirror IN SELECT * FROM @extschema@._mirrors(s, touched) AS m ORDER BY m.place LOOP
        written := @extschema@._mirror(s, mirror.suffix, mirror.query, mirror.among);
        PERFORM @extschema@._report(s, mirror.suffix || CASE WHEN mirror.among IS NULL THEN '' ELSE ' of noted customers' END, written, since);
        changed := changed + written;
        histories := coalesce(histories, written); -- they come first
        since := clock_timestamp();
    END LOOP;
    IF s ->> 'track' = 'trigger' THEN
        EXECUTE format('DELETE FROM %s WHERE taken', @extschema@._relation(s, 'noted'));
    END IF;

    is_another := @extschema@._ask(s, @extschema@._today(s, on_day), learn) OR changed > 0 OR rebuild;
    FOR view IN
        SELECT v.suffix, v.keys, c.oid::regclass AS name, c.relispopulated
        FROM @extschema@._segmentation_views(s) AS v
        JOIN pg_class AS c ON c.oid = @extschema@._relation(s, v.suffix)::regclass
        WHERE v.kind = 'MATERIALIZED VIEW' AND (is_another OR NOT c.relispopulated)
        ORDER BY v.place
    LOOP
        since := clock_timestamp();
        IF view.relispopulated THEN
            PERFORM @extschema@._bring_up_to_date(view.name, view.keys);
        ELSE
            EXECUTE format('REFRESH MATERIALIZED VIEW %s', @extschema@._relation(s, view.suffix)); -- after a restore without data
        END IF;
        EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, view.suffix)) INTO customers;
        PERFORM @extschema@._report(s, view.suffix, customers, since);
    END LOOP;

    EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, 'customers')) INTO customers;
    EXECUTE format('UPDATE %s SET refreshed_at = $1, seconds = $2, rebuilt = $3, histories_written = $4, customers = $5, currency = $6',
                   @extschema@._hold(s, 'status', 'ROW EXCLUSIVE MODE'))
        USING clock_timestamp(), round(extract(epoch FROM clock_timestamp() - started)::numeric, 3), touched IS NULL, histories,
              customers, currency;
    IF s ->> 'track' = 'trigger' THEN
        PERFORM @extschema@._track(s);
    END IF;
END
$refresh$;
COMMENT ON FUNCTION _refresh(jsonb, boolean, date, boolean) IS 'Part of segmentations: brings the tables and views up to date.';
