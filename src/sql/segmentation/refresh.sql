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
    IF @extschema@._is_on_shards(s, suffix) THEN
        RETURN @extschema@._write_shards(s, suffix, key_columns, query, CASE suffix WHEN 'histories'
            THEN format('SELECT %s FROM %s', @extschema@._key_list(s, 'o'), @extschema@._order_rows(s, among))
            ELSE query END, among);
    END IF;
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

-- The source that a table by customer stands on; NULL: it is no table by customer, and always filled whole.
CREATE FUNCTION _source_of_table(suffix text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $source$
    SELECT CASE suffix WHEN 'histories' THEN 'orders'
                       WHEN 'first_orders' THEN 'orders'
                       WHEN 'engagement' THEN 'engagement'
                       WHEN 'contacts' THEN 'contacts'
                       WHEN 'memberships' THEN 'membership_log'
                       WHEN 'profiles' THEN 'customers' END
$source$;
COMMENT ON FUNCTION _source_of_table(text) IS
    'Part of segmentations: the source that one of its tables by customer stands on.';

-- Notes the customers whose rows of a table are not what the query returns, where no trigger notes them.
CREATE FUNCTION _note_differences(s segmentation_settings, suffix text, query text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $differences$
DECLARE
    noted text := @extschema@._relation(s, 'noted');
    keys text := (SELECT string_agg(format('coalesce(f.%1$I, t.%1$I)', k.name), ', ')
                  FROM unnest(@extschema@._keys(s)) AS k (name));
BEGIN
    EXECUTE format('INSERT INTO %s (changed_source, %s, taken) SELECT %L, %s, true', noted, @extschema@._key_list(s),
                   @extschema@._source_of_table(suffix), keys)
        || format(' FROM %s AS t FULL JOIN (%s) AS f ON %s',
                  @extschema@._lock_and_check(s, suffix, 'ACCESS SHARE MODE'), query,
                  @extschema@._same_key(s, 't', 'f'))
        || ' WHERE ((t.*) OPERATOR(pg_catalog.*=) (f.*)) IS NOT TRUE';
END
$differences$;
COMMENT ON FUNCTION _note_differences(segmentation_settings, text, text) IS
    'Part of segmentations: notes the customers whose rows of a table differ from a query.';

-- Notes the customers of whom something is another by a day though nothing happened; their orders need not be read.
CREATE FUNCTION _note_due(s segmentation_settings, day date) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $due$
BEGIN
    EXECUTE format('INSERT INTO %s (%s, taken) SELECT %2$s, false FROM %3$s WHERE next_change_on <= $1',
                   @extschema@._relation(s, 'noted'), @extschema@._key_list(s), @extschema@._relation(s, 'customers'))
        USING day;
END
$due$;
COMMENT ON FUNCTION _note_due(segmentation_settings, date) IS
    'Part of segmentations: notes the customers who change by a day though nothing happened.';

CREATE FUNCTION _customers_noted(s segmentation_settings) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $number$
DECLARE
    noted bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT DISTINCT n.* FROM %s AS n) AS n', @extschema@._noted(s, false))
        INTO noted;
    RETURN noted;
END
$number$;
COMMENT ON FUNCTION _customers_noted(segmentation_settings) IS
    'Part of segmentations: how many customers the refresh that is running evaluates.';

-- Brings the stored tables up to date: those of the sources that are read whole, and of the others the rows of the
-- customers noted, if there are any. Returns how many rows were written, and how many of them are histories.
CREATE FUNCTION _refresh_tables(
    s segmentation_settings, read_whole text[], are_any_noted boolean, OUT written bigint, OUT histories bigint
)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $tables$
DECLARE
    part record;
    since timestamptz := clock_timestamp();
    rows bigint;
    customers text; -- those whose rows of the table are compared
BEGIN
    written := 0;
    FOR part IN SELECT * FROM @extschema@._relations(s) AS r
                WHERE r.is_wanted AND r.kind = 'TABLE'
                    AND r.suffix NOT IN ('settings', 'policies', 'status', 'noted', 'customers', 'models', 'changes')
                ORDER BY r.place LOOP
        customers := @extschema@._noted_of(s, @extschema@._source_of_table(part.suffix), read_whole);
        rows := CASE WHEN customers IS NULL OR are_any_noted THEN @extschema@._write_differences(
            s, part.suffix, part.keys, @extschema@._filling_query(s, part.suffix, customers), customers) ELSE 0 END;
        IF part.suffix = 'profiles' AND @extschema@._is_distributed(s) THEN
            PERFORM @extschema@._write_prospects(
                s, CASE WHEN '{orders,customers}' && read_whole THEN NULL ELSE @extschema@._noted(s, true) END);
        END IF;
        PERFORM @extschema@._report(
            s, part.suffix || CASE WHEN customers IS NULL THEN '' ELSE ' of noted customers' END, rows, since);
        written := written + rows;
        IF part.suffix = 'histories' THEN
            histories := rows;
        END IF;
        since := clock_timestamp();
    END LOOP;
END
$tables$;
COMMENT ON FUNCTION _refresh_tables(segmentation_settings, text[], boolean) IS
    'Part of segmentations: brings the stored tables up to date.';

-- Evaluates the noted customers and writes their rows of NAME_customers. Answers what these contribute to reports, too.
CREATE FUNCTION _refresh_noted(s segmentation_settings) RETURNS _watched_rows
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $noted$
DECLARE
    view regclass := @extschema@._relation(s, 'customers')::regclass;
    keys text[] := @extschema@._keys(s);
    written @extschema@._watched_rows;
BEGIN
    SELECT w.* INTO written FROM @extschema@._write_customers(
        s, @extschema@._changes_sql(view, keys, @extschema@._among_parameters(view, keys)),
        format('SELECT DISTINCT n.* FROM %s AS n', @extschema@._noted(s, false)),
        @extschema@._contributed_by_rows_sql(s)) AS w;
    RETURN written;
END
$noted$;
COMMENT ON FUNCTION _refresh_noted(segmentation_settings) IS
    'Part of segmentations: brings the rows of the noted customers up to date.';

-- The same on shards. Returns how many customers there are more than before.
CREATE FUNCTION _refresh_noted_on_shards(s segmentation_settings) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $noted$
DECLARE
    since timestamptz := clock_timestamp();
    among text := @extschema@._noted(s, false);
    number text := format('SELECT count(*) FROM %s AS t WHERE EXISTS (SELECT FROM %s AS a WHERE %s)',
                          @extschema@._relation(s, 'customers'), among, @extschema@._same_key(s, 'a', 't'));
    before bigint;
    after bigint;
    written bigint;
BEGIN
    EXECUTE number INTO before;
    written := @extschema@._write_customers_on_shards(s, true, among);
    EXECUTE number INTO after;
    PERFORM @extschema@._report(s, 'changes of customers', written, since);
    RETURN after - before;
END
$noted$;
COMMENT ON FUNCTION _refresh_noted_on_shards(segmentation_settings) IS
    'Part of segmentations: brings the rows of the noted customers on shards up to date.';

-- Brings the views up to date, in their order: row by row where it is known what the noted customers contributed to the
-- reports on the day before. Returns how many customers there are more than before; NULL: they were made anew.
CREATE FUNCTION _refresh_views(
    s segmentation_settings, contributed_before jsonb, day_before date, day date, are_stale boolean
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $views$
DECLARE
    view record;
    since timestamptz;
    rows bigint;
    contributed jsonb := contributed_before;
    customers @extschema@._watched_rows;
    written @extschema@.written_rows;
    more bigint;
BEGIN
    IF are_stale AND @extschema@._is_distributed(s) AND contributed IS NOT NULL THEN
        more := @extschema@._refresh_noted_on_shards(s);
    ELSIF are_stale AND @extschema@._is_distributed(s) THEN
        since := clock_timestamp();
        PERFORM @extschema@._write_customers_on_shards(s, true, NULL::text);
        EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, 'customers')) INTO rows;
        PERFORM @extschema@._report(s, 'customers', rows, since);
    END IF;
    FOR view IN
        SELECT r.suffix, r.keys, c.oid::regclass AS name, c.relispopulated
        FROM @extschema@._relations(s) AS r
        JOIN pg_class AS c ON c.oid = @extschema@._relation(s, r.suffix)::regclass
        WHERE r.is_wanted AND r.kind = 'MATERIALIZED VIEW' AND (are_stale OR NOT c.relispopulated)
        ORDER BY r.place
    LOOP
        since := clock_timestamp();
        written := NULL;
        IF NOT view.relispopulated THEN
            -- It was restored without its rows.
            EXECUTE format('REFRESH MATERIALIZED VIEW %s', @extschema@._relation(s, view.suffix));
        ELSIF view.suffix = 'customers' AND contributed IS NOT NULL THEN
            customers := @extschema@._refresh_noted(s);
            written := ROW(customers.inserted, customers.updated, customers.deleted, customers.unchanged);
            contributed := contributed || coalesce(customers.answer::jsonb, '{}');
            more := written.inserted - written.deleted;
        ELSIF contributed ? view.suffix THEN
            written := @extschema@._write_report(
                s, view.suffix, view.keys, contributed -> view.suffix, day_before, day);
        ELSIF view.suffix = 'customers' THEN
            PERFORM @extschema@._write_customers(
                s, @extschema@._changes_sql(view.name, view.keys), NULL::text, NULL::text);
        ELSE
            PERFORM @extschema@._refresh_view(view.name, view.keys);
        END IF;
        IF written IS NULL THEN
            EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, view.suffix)) INTO rows;
            PERFORM @extschema@._report(s, view.suffix, rows, since);
        ELSE
            PERFORM @extschema@._report(s, 'changes of ' || view.suffix,
                                        written.inserted + written.updated + written.deleted, since);
        END IF;
    END LOOP;
    RETURN more;
END
$views$;
COMMENT ON FUNCTION _refresh_views(segmentation_settings, jsonb, date, date, boolean) IS
    'Part of segmentations: brings the views up to date, row by row where that is possible.';

-- Whether it is enough to evaluate the noted customers, and on a later day those who are due: the others' rows are as
-- they were then. Not with another policy or language than the status table has or an earlier day, nor where
-- NAME_customers was restored without its rows or has a key of arrays, which cannot be looked for among others.
CREATE FUNCTION _only_noted_change(s segmentation_settings, day date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $only$
DECLARE
    customers regclass := @extschema@._relation(s, 'customers')::regclass;
    is_as_before boolean;
BEGIN
    EXECUTE format('SELECT lang = $1 AND time_zone = $2 AND as_of <= $3 AND policy OPERATOR(@extschema@.=) $4 FROM %s',
                   @extschema@._lock_and_check(s, 'status', 'ACCESS SHARE MODE'))
        INTO is_as_before USING s.lang, s.time_zone, day, @extschema@._policy_on(s, day, false);
    RETURN is_as_before
        AND (SELECT c.relispopulated FROM pg_class AS c WHERE c.oid = customers)
        AND NOT EXISTS (SELECT FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = @extschema@._base_type(a.atttypid)
                        WHERE a.attrelid = customers AND a.attname = ANY (@extschema@._keys(s))
                            AND t.typcategory = 'A');
END
$only$;
COMMENT ON FUNCTION _only_noted_change(segmentation_settings, date) IS
    'Part of segmentations: whether a refresh can leave the rows of customers who are not noted.';

-- Brings the tables and views up to date. Everything happens in the caller's transaction: a step that fails leaves the
-- views as they were, and readers see the new rows when it commits.
CREATE FUNCTION _refresh(s segmentation_settings, rebuild boolean, on_day date, learn boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $refresh$
DECLARE
    started timestamptz := clock_timestamp();
    status text := @extschema@._lock_and_check(s, 'status', 'ROW SHARE MODE');
    day date := @extschema@._today(s, on_day);
    before record;
    read_whole text[] := @extschema@._sources_of_customers(s); -- of the other sources only who is noted
    all_orders boolean;
    currency text;
    noted bigint;
    contributed jsonb; -- what the noted customers contributed to the reports; NULL: everybody is evaluated
    tables record;
    are_stale boolean;
    last_change bigint;
    more bigint;
    rows bigint;
BEGIN
    IF @extschema@._changed_types(s) IS NOT NULL THEN
        RAISE EXCEPTION 'columns have another type than before: %', @extschema@._changed_types(s)
            USING ERRCODE = 'datatype_mismatch',
                  HINT = format('SELECT alter_segmentation(%L) makes the tables and views anew.', s.name);
    END IF;
    -- Locked, so that a transaction that does not see what another refresh did is refused here.
    EXECUTE format('SELECT t.* FROM %s AS t FOR UPDATE', status) INTO before;
    PERFORM @extschema@._refuse_other_versions(s);
    IF @extschema@._notes_are_on_shards(s) THEN
        PERFORM @extschema@._drop_wrong_triggers_of_shards(s);
    END IF;
    last_change := @extschema@._begin_changes(s);
    IF s.track = 'trigger' THEN
        -- First the notes, then, under a later snapshot, the orders: what is noted is committed by then.
        read_whole := @extschema@._take_notes(s, rebuild, before.customers);
    END IF;
    all_orders := 'orders' = ANY (read_whole);

    currency := @extschema@._currency(s, @extschema@._noted_of(s, 'orders'::text, read_whole),
                                      CASE WHEN NOT all_orders THEN before.currency END);
    PERFORM @extschema@._refuse_double_profiles(s, read_whole);
    PERFORM @extschema@._refuse_unknown_words(s, read_whole);
    PERFORM @extschema@._refuse_double_targets(s);
    IF NOT all_orders AND NOT learn AND @extschema@._only_noted_change(s, day) THEN
        PERFORM @extschema@._note_differences(s, r.suffix, @extschema@._query(s, r.suffix, NULL::text))
        FROM @extschema@._relations(s) AS r
        WHERE r.is_wanted AND @extschema@._source_of_table(r.suffix) = ANY (read_whole);
        read_whole := '{}';
        PERFORM @extschema@._note_due(s, day);
        noted := @extschema@._customers_noted(s);
        IF noted <= @extschema@._few(before.customers) THEN
            contributed := @extschema@._contributed_before(s, before.as_of, noted > 0);
        END IF;
    END IF;
    tables := @extschema@._refresh_tables(s, read_whole, (noted > 0) IS NOT FALSE);
    IF contributed IS NOT NULL AND @extschema@._earlier_rows_came(s) THEN
        contributed := '{}'; -- what they contributed to their months is not known any more: these reports are computed anew
    END IF;
    are_stale := @extschema@._set_day_and_policy(s, day, learn) OR rebuild OR tables.written > 0;
    IF @extschema@._set_model(s, day) THEN
        -- Rules ask about what it predicts: everybody is evaluated.
        are_stale := true;
        contributed := NULL;
    END IF;
    more := @extschema@._refresh_views(s, contributed, before.as_of, day, are_stale);
    PERFORM @extschema@._show_unknown_words(s, read_whole);
    IF s.track = 'trigger' THEN
        EXECUTE format('DELETE FROM %s WHERE taken IS NOT NULL', @extschema@._relation(s, 'noted'));
    END IF;

    IF contributed IS NULL THEN
        EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, 'customers')) INTO rows;
    ELSE
        rows := before.customers + coalesce(more, 0);
    END IF;
    EXECUTE format('UPDATE %s', @extschema@._lock_and_check(s, 'status', 'ROW EXCLUSIVE MODE'))
        || ' SET refreshed_at = $1, seconds = $2, rebuilt = $3, histories_written = $4, customers = $5, currency = $6'
        USING clock_timestamp(), round(extract(epoch FROM clock_timestamp() - started)::numeric, 3), all_orders,
              tables.histories, rows, currency;
    PERFORM @extschema@._end_changes(s, last_change);
    IF s.track = 'trigger' THEN
        PERFORM @extschema@._keep_tracking(s);
    END IF;
END
$refresh$;
COMMENT ON FUNCTION _refresh(segmentation_settings, boolean, date, boolean) IS
    'Part of segmentations: brings the tables and views up to date.';
