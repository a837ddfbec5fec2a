-- segmentation: refresh

-- Progress: one NOTICE a step.
CREATE FUNCTION _report(s segmentation_settings, step text, rows bigint, since timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $report$
BEGIN
    RAISE NOTICE '%: %: % rows, % s', s.name, step, rows,
        round(extract(epoch FROM clock_timestamp() - since)::numeric, 2);
END
$report$;
COMMENT ON FUNCTION _report(segmentation_settings, text, bigint, timestamptz) IS
    'Part of segmentations: says what a step did and how long it took.';

-- Makes a table hold what a query returns, and writes only the rows that differ. With `among`, a SELECT of keys, only
-- the rows of these customers are compared. Rows are compared as stored, because the types have one binary form for a
-- value. Returns the number of rows written.
CREATE FUNCTION _write_differences(
    s segmentation_settings, suffix text, key_columns text[], query text, among text DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $write$
DECLARE
    target text := @extschema@._lock_and_check(s, suffix, 'ROW EXCLUSIVE MODE');
    keys text := (SELECT string_agg(quote_ident(k), ', ') FROM unnest(key_columns) AS k);
    same_key text := @extschema@._equal_columns(target::regclass, key_columns, 'f', 't');
    is_compared text := CASE WHEN among IS NULL THEN 'true'
        ELSE format('EXISTS (SELECT FROM %s AS a WHERE %s)', among, @extschema@._same_key(s, 'a', 't')) END;
    columns text;
    new_values text;
    is_unchanged text;
    written bigint;
BEGIN
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
           string_agg(format('%1$I = EXCLUDED.%1$I', a.attname), ', ' ORDER BY a.attnum)
    INTO columns, new_values
    FROM pg_attribute AS a
    WHERE a.attrelid = target::regclass AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attname <> ALL (key_columns);
    is_unchanged := format('EXISTS (SELECT FROM (SELECT * FROM %s AS t WHERE %s) AS t', target, is_compared)
        || format(' WHERE %s AND (t.*) OPERATOR(pg_catalog.*=) (f.*))', same_key);
    EXECUTE
        format('WITH fresh AS MATERIALIZED (%s), ', query)
        || format('gone AS (DELETE FROM %s AS t WHERE %s', target, is_compared)
        || format(' AND NOT EXISTS (SELECT FROM fresh AS f WHERE %s) RETURNING 1), ', same_key)
        || format('put AS (INSERT INTO %s (%s, %s) SELECT %2$s, %3$s FROM fresh AS f', target, keys, columns)
        || format(' WHERE NOT %s ON CONFLICT (%s) DO UPDATE SET %s RETURNING 1) ', is_unchanged, keys, new_values)
        || 'SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM put)'
        INTO written;
    RETURN written;
END
$write$;
COMMENT ON FUNCTION _write_differences(segmentation_settings, text, text[], text, text) IS
    'Part of segmentations: makes a table equal to a query, writing only what differs.';

-- Amounts of two currencies are never added up: the only one that the orders have, or an error.
CREATE FUNCTION _currency(s segmentation_settings, among text, known text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $currency$
DECLARE
    found text[];
BEGIN
    IF s.currency IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format($sql$SELECT array_agg(c.currency) FROM (
                            SELECT DISTINCT coalesce(o.%I::pg_catalog.text, '(none)') AS currency FROM %s LIMIT 9
                        ) AS c$sql$, s.currency, @extschema@._order_rows(s, among)) INTO found;
    found := ARRAY(SELECT DISTINCT c FROM unnest(found || known) AS c WHERE c IS NOT NULL ORDER BY c);
    IF cardinality(found) > 1 AND among IS NOT NULL THEN
        RETURN @extschema@._currency(s, NULL::text, NULL::text); -- the known one may be gone
    ELSIF cardinality(found) > 1 THEN
        RAISE EXCEPTION 'the orders have several currencies: %', array_to_string(found, ', ')
            USING ERRCODE = 'data_exception',
                  HINT = format(
                      'Amounts are not converted. Segment one of them: order_filter => %L.',
                      format('o.%I = %L', s.currency, (SELECT min(c) FROM unnest(found) AS c WHERE c <> '(none)')));
    END IF;
    RETURN found[1];
END
$currency$;
COMMENT ON FUNCTION _currency(segmentation_settings, text, text) IS
    'Part of segmentations: the only currency of the orders; an error where there are several.';

-- The policy that holds on a day, by the settings: the default, a document, a stored policy, a preset, or what was
-- learned last up to it. What is learned lies over the policy that was in force, and at creation over the default.
CREATE FUNCTION _policy_on(s segmentation_settings, on_day date, learn boolean) RETURNS segment_policy
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $policy$
DECLARE
    given text := s.policy;
    is_stored boolean := EXISTS (SELECT FROM @extschema@.segment_policies AS p WHERE p.name = given);
    is_preset boolean := EXISTS (SELECT FROM @extschema@.policy_presets() AS p WHERE p.name = given);
    found @extschema@.segment_policy;
    limits jsonb;
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

    EXECUTE format('SELECT policy FROM %s ORDER BY valid_from <= $1 DESC, abs(valid_from - $1) LIMIT 1',
                   @extschema@._lock_and_check(s, 'policies', 'ACCESS SHARE MODE'))
        INTO found USING on_day;
    IF NOT learn THEN
        RETURN found;
    END IF;
    found := coalesce(found, @extschema@.default_policy());
    EXECUTE format('SELECT coalesce(@extschema@.learn_policy(history, $1, $2), $2) FROM %s '
                   'WHERE @extschema@.orders(history, $1) > 0',
                   @extschema@._lock_and_check(s, 'histories', 'ACCESS SHARE MODE'))
        INTO found USING on_day, found;
    limits := @extschema@.effective_policy(found) -> 'lifecycle';
    RAISE NOTICE '%: learned over the policy in force: at risk after % days, dormant after % (%)', s.name,
        limits ->> 'at_risk_after_days', limits ->> 'dormant_after_days',
        coalesce(found::jsonb #>> '{learned,limits}', 'nobody has bought');
    RETURN found;
END
$policy$;
COMMENT ON FUNCTION _policy_on(segmentation_settings, date, boolean) IS
    'Part of segmentations: the policy that holds on a day, learned anew if asked.';

-- Writes down the day and policy that the views answer for and their language, and the policy as a new version where it
-- changed. Returns whether the day, the policy or the language changed.
CREATE FUNCTION _set_day_and_policy(s segmentation_settings, on_day date, learn boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $set$
DECLARE
    policy @extschema@.segment_policy := @extschema@._policy_on(s, on_day, learn);
    changed bigint;
BEGIN
    EXECUTE format(
$sql$INSERT INTO %1$s (valid_from, policy)
SELECT $1, $2
WHERE (SELECT p.policy FROM %1$s AS p ORDER BY p.valid_from DESC LIMIT 1) OPERATOR(@extschema@.=) $2 IS NOT TRUE
ON CONFLICT (valid_from) DO UPDATE SET policy = EXCLUDED.policy$sql$,
        @extschema@._lock_and_check(s, 'policies', 'ROW EXCLUSIVE MODE'))
        USING on_day, policy;
    EXECUTE format('UPDATE %s SET as_of = $1, policy = $2, lang = $3 ',
                   @extschema@._lock_and_check(s, 'status', 'ROW EXCLUSIVE MODE'))
        || 'WHERE as_of <> $1 OR policy OPERATOR(@extschema@.<>) $2 OR lang <> $3'
        USING on_day, policy, s.lang;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed > 0;
END
$set$;
COMMENT ON FUNCTION _set_day_and_policy(segmentation_settings, date, boolean) IS
    'Part of segmentations: writes down the day and policy that the views answer for, and their language.';

-- Brings the tables and views up to date. Everything happens in the caller's transaction: a step that fails leaves the
-- views as they were, and readers see the new rows when it commits.
CREATE FUNCTION _refresh(s segmentation_settings, rebuild boolean, on_day date, learn boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $refresh$
DECLARE
    started timestamptz := clock_timestamp();
    since timestamptz := started;
    status text := @extschema@._lock_and_check(s, 'status', 'ROW SHARE MODE');
    touched text; -- a SELECT of the customers whose orders are read; NULL: everybody
    currency text;
    stored_table record;
    written bigint;
    histories_written bigint := 0;
    views_are_stale boolean;
    view record;
    rows bigint;
BEGIN
    IF @extschema@._changed_types(s) IS NOT NULL THEN
        RAISE EXCEPTION 'columns have another type than before: %', @extschema@._changed_types(s)
            USING ERRCODE = 'datatype_mismatch',
                  HINT = format('SELECT alter_segmentation(%L) makes the tables and views anew.', s.name);
    END IF;
    -- Locked, so that a transaction that does not see what another refresh did is refused here.
    EXECUTE format('SELECT currency FROM %s FOR UPDATE', status) INTO currency;
    IF s.track = 'trigger' THEN
        -- First the notes, then, under a later snapshot, the orders: what is noted is committed by then.
        touched := @extschema@._take_notes(s, rebuild);
    END IF;
    IF touched IS NULL THEN
        currency := NULL;
    END IF;

    currency := @extschema@._currency(s, touched, currency);
    PERFORM @extschema@._refuse_double_profiles(s);
    PERFORM @extschema@._refuse_unknown_words(s);
    PERFORM @extschema@._refuse_double_targets(s);
    views_are_stale := rebuild;
    FOR stored_table IN SELECT * FROM @extschema@._relations(s, true) AS r
                  WHERE r.is_wanted AND r.kind = 'TABLE' AND r.query IS NOT NULL ORDER BY r.place LOOP
        IF stored_table.suffix IN ('histories', 'first_orders') AND touched IS NOT NULL THEN
            written := @extschema@._write_differences(s, stored_table.suffix, stored_table.keys,
                CASE stored_table.suffix WHEN 'histories' THEN @extschema@._histories_sql(s, touched)
                ELSE @extschema@._first_orders_sql(s, touched) END, touched);
            PERFORM @extschema@._report(s, stored_table.suffix || ' of noted customers', written, since);
        ELSE
            written := @extschema@._write_differences(
                s, stored_table.suffix, stored_table.keys, stored_table.query);
            PERFORM @extschema@._report(s, stored_table.suffix, written, since);
        END IF;
        IF stored_table.suffix = 'histories' THEN
            histories_written := written;
        END IF;
        views_are_stale := views_are_stale OR written > 0;
        since := clock_timestamp();
    END LOOP;
    IF s.track = 'trigger' THEN
        EXECUTE format('DELETE FROM %s WHERE taken', @extschema@._relation(s, 'noted'));
    END IF;

    views_are_stale := @extschema@._set_day_and_policy(s, @extschema@._today(s, on_day), learn) OR views_are_stale;
    views_are_stale := @extschema@._set_model(s, @extschema@._today(s, on_day)) OR views_are_stale;
    FOR view IN
        SELECT r.suffix, r.keys, c.oid::regclass AS name, c.relispopulated
        FROM @extschema@._relations(s) AS r
        JOIN pg_class AS c ON c.oid = @extschema@._relation(s, r.suffix)::regclass
        WHERE r.is_wanted AND r.kind = 'MATERIALIZED VIEW' AND (views_are_stale OR NOT c.relispopulated)
        ORDER BY r.place
    LOOP
        since := clock_timestamp();
        IF view.relispopulated THEN
            PERFORM @extschema@._refresh_view(view.name, view.keys);
        ELSE
            -- It was restored without its rows.
            EXECUTE format('REFRESH MATERIALIZED VIEW %s', @extschema@._relation(s, view.suffix));
        END IF;
        EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, view.suffix)) INTO rows;
        PERFORM @extschema@._report(s, view.suffix, rows, since);
    END LOOP;

    EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, 'customers')) INTO rows;
    EXECUTE format('UPDATE %s', @extschema@._lock_and_check(s, 'status', 'ROW EXCLUSIVE MODE'))
        || ' SET refreshed_at = $1, seconds = $2, rebuilt = $3, histories_written = $4, customers = $5, currency = $6'
        USING clock_timestamp(), round(extract(epoch FROM clock_timestamp() - started)::numeric, 3), touched IS NULL,
              histories_written, rows, currency;
    IF s.track = 'trigger' THEN
        PERFORM @extschema@._keep_tracking(s);
    END IF;
    PERFORM @extschema@._show_unknown_words(s);
END
$refresh$;
COMMENT ON FUNCTION _refresh(segmentation_settings, boolean, date, boolean) IS
    'Part of segmentations: brings the tables and views up to date.';
