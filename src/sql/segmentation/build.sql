-- segmentation: build

-- A table of the segmentation with its key.
CREATE FUNCTION _create_mirror(s jsonb, suffix text, query text, comment text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $mirror$
DECLARE
    target text := @extschema@._relation(s, suffix);
    since timestamptz := clock_timestamp();
    written bigint;
BEGIN
    EXECUTE format('CREATE TABLE %s AS %s', target, query);
    GET DIAGNOSTICS written = ROW_COUNT;
    EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%s)', target, @extschema@._key_list(s));
    EXECUTE format('COMMENT ON TABLE %s IS %L', target, comment);
    -- Nobody looks for a history: statistics of them would only cost.
    EXECUTE (SELECT format('ALTER TABLE %s %s', target, string_agg(format('ALTER %I SET STATISTICS 0', a.attname), ', '))
             FROM pg_attribute AS a WHERE a.attrelid = target::regclass AND a.attnum > 0 AND a.attname <> ALL (@extschema@._keys(s)));
    EXECUTE 'ANALYZE ' || target;
    PERFORM @extschema@._report(s, suffix, written, since);
END
$mirror$;
COMMENT ON FUNCTION _create_mirror(jsonb, text, text, text) IS 'Part of segmentations: makes and fills one of its tables.';

-- Makes and fills everything but the settings and policies, which outlive a change of settings.
CREATE FUNCTION _build(s jsonb, learn boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $build$
DECLARE
    status text := @extschema@._relation(s, 'status');
    started timestamptz := clock_timestamp();
    since timestamptz;
    currency text := @extschema@._currency(s, NULL::text, NULL::text);
    mirror record;
    view record;
    customers bigint;
BEGIN
    PERFORM @extschema@._refuse_double_profiles(s);
    FOR mirror IN SELECT * FROM @extschema@._mirrors(s) AS m ORDER BY m.place LOOP
        PERFORM @extschema@._create_mirror(s, mirror.suffix, mirror.query, mirror.comment);
    END LOOP;
    EXECUTE format(
        'CREATE TABLE %s (segmentation text PRIMARY KEY, as_of date NOT NULL, refreshed_at timestamptz NOT NULL, seconds numeric NOT NULL, '
        'rebuilt boolean NOT NULL, histories_written bigint NOT NULL, customers bigint NOT NULL, currency text, time_zone text NOT NULL, '
        'policy @extschema@.segment_policy NOT NULL, order_tables oid[])', status);
    EXECUTE format('COMMENT ON TABLE %s IS %L', status, 'The day and policy that the views answer for, and figures of the last refresh: one row.');
    EXECUTE format('INSERT INTO %s SELECT $1, $2, now(), 0, true, count(*), 0, $3, $4, @extschema@.default_policy() FROM %s',
                   status, @extschema@._relation(s, 'histories'))
        USING s ->> 'name', @extschema@._today(s, NULL::date), currency, s ->> 'time_zone';
    PERFORM @extschema@._ask(s, @extschema@._today(s, NULL::date), learn);
    EXECUTE 'ANALYZE ' || status; -- one row: without statistics it is taken for hundreds

    FOR view IN SELECT * FROM @extschema@._segmentation_views(s) AS v ORDER BY v.place LOOP
        since := clock_timestamp();
        EXECUTE format('CREATE %s %s AS %s', view.kind, @extschema@._relation(s, view.suffix), view.query);
        EXECUTE format('COMMENT ON %s %s IS %L', view.kind, @extschema@._relation(s, view.suffix), view.comment);
        IF view.keys IS NOT NULL THEN
            EXECUTE format('CREATE UNIQUE INDEX %I ON %s (%s)', (s ->> 'name') || '_' || view.suffix || '_key', @extschema@._relation(s, view.suffix),
                           (SELECT string_agg(quote_ident(k), ', ') FROM unnest(view.keys) AS k));
            EXECUTE 'ANALYZE ' || @extschema@._relation(s, view.suffix);
            EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, view.suffix)) INTO customers;
            PERFORM @extschema@._report(s, view.suffix, customers, since);
        END IF;
    END LOOP;
    PERFORM @extschema@._comment_columns(s);
    PERFORM @extschema@._grant(s, '[]'::jsonb);

    EXECUTE format('UPDATE %s SET refreshed_at = $1, seconds = $2, customers = (SELECT count(*) FROM %s)', status,
                   @extschema@._relation(s, 'customers'))
        USING clock_timestamp(), round(extract(epoch FROM clock_timestamp() - started)::numeric, 3);
    IF NOT coalesce(@extschema@._tracked_alike(s), false) THEN
        PERFORM @extschema@._untrack(s); -- of the settings before, if there were any
        IF s ->> 'track' = 'trigger' THEN
            PERFORM @extschema@._create_notes(s);
            PERFORM @extschema@._comment_columns(s);
            PERFORM @extschema@._create_noter(s);
        END IF;
    END IF;
    IF s ->> 'track' = 'trigger' THEN
        PERFORM @extschema@._track(s);
    END IF;
END
$build$;
COMMENT ON FUNCTION _build(jsonb, boolean) IS 'Part of segmentations: makes and fills the tables and views.';

-- Drops what _build made. Without CASCADE: a view that somebody else has put on ours is not lost by the way.
CREATE FUNCTION _tear_down(s jsonb, and_settings boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning -- not: does not exist, skipping
AS $tear_down$
DECLARE
    relation record;
BEGIN
    FOR relation IN SELECT * FROM @extschema@._segmentation_relations() LOOP
        IF and_settings OR relation.suffix NOT IN ('settings', 'policies', 'noted') THEN
            EXECUTE format('DROP %s IF EXISTS %s', relation.kind, @extschema@._relation(s, relation.suffix));
        END IF;
    END LOOP;
    -- Triggers are taken off last, because their lock keeps readers and writers of the orders out until the commit.
    IF and_settings THEN
        PERFORM @extschema@._untrack(s);
    END IF;
END
$tear_down$;
COMMENT ON FUNCTION _tear_down(jsonb, boolean) IS 'Part of segmentations: drops its tables, views and triggers.';

-- Takes the triggers off the orders, with the function they call: to drop these by name takes the owner of the orders.
CREATE FUNCTION _untrack(s jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning -- not: does not exist, skipping
AS $untrack$
BEGIN
    EXECUTE format('DROP FUNCTION IF EXISTS %s() CASCADE', @extschema@._relation(s, 'note_orders'));
    EXECUTE format('DROP TABLE IF EXISTS %s', @extschema@._relation(s, 'noted'));
END
$untrack$;
COMMENT ON FUNCTION _untrack(jsonb) IS 'Part of segmentations: drops its triggers and notes.';

-- Everybody is public in lower case, as it is in GRANT: quoted otherwise it is a role like others.
CREATE FUNCTION _grant(s jsonb, old_readers jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $grant$
DECLARE
    readers text[] := ARRAY(SELECT * FROM jsonb_array_elements_text(coalesce(s -> 'readers', '[]')));
    reader text;
BEGIN
    FOR reader IN SELECT * FROM jsonb_array_elements_text(old_readers) LOOP
        -- One who is gone took her rights along.
        IF reader <> ALL (readers) AND (reader = 'public' OR to_regrole(quote_ident(reader)) IS NOT NULL) THEN
            EXECUTE format('REVOKE SELECT ON %s FROM %I', @extschema@._readable(s), reader);
        END IF;
    END LOOP;
    FOREACH reader IN ARRAY readers LOOP
        EXECUTE format('GRANT SELECT ON %s TO %I', @extschema@._readable(s), reader);
    END LOOP;
END
$grant$;
COMMENT ON FUNCTION _grant(jsonb, jsonb) IS 'Part of segmentations: lets the readers of the settings read, and those of before no more.';

-- What readers may read: the views and the status.
CREATE FUNCTION _readable(s jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $readable$
    SELECT string_agg(@extschema@._relation(s, r.suffix), ', ')
    FROM @extschema@._segmentation_relations() AS r
    WHERE r.kind <> 'TABLE' OR r.suffix = 'status'
$readable$;
COMMENT ON FUNCTION _readable(jsonb) IS 'Part of segmentations: a list of the relations for reporting tools.';

-- Runs one of the steps that need a checked segmentation, so that every error names it.
CREATE FUNCTION _carry_out(s jsonb, what text, rebuild boolean, on_day date, learn boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $carry_out$
DECLARE
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    IF what = 'refresh' THEN
        PERFORM @extschema@._refuse_unsafe_schema(s);
        PERFORM @extschema@._refresh(@extschema@._checked_settings(s), rebuild, on_day, learn);
    ELSE
        PERFORM @extschema@._build(s, learn);
    END IF;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    IF NOT starts_with(message, format('segmentation "%s": ', s ->> 'name')) THEN
        message := format('segmentation "%s": %s', s ->> 'name', message);
    END IF;
    IF hint = '' THEN
        hint := CASE WHEN code = '42501'
            THEN 'Nothing was changed. It takes SELECT on the sources, CREATE in the schema and, to track, TRIGGER on the orders and all their partitions.'
            WHEN code IN ('42703', '42P01', '42883', '42704') AND s ? 'order_filter'
            THEN 'Nothing was changed. The order filter is read with an empty search path: qualify functions and types with their schema.'
            ELSE 'Nothing was changed.' END;
    END IF;
    IF detail = '' THEN
        RAISE EXCEPTION '%', message USING ERRCODE = code, HINT = hint;
    END IF;
    RAISE EXCEPTION '%', message USING ERRCODE = code, DETAIL = detail, HINT = hint;
END
$carry_out$;
COMMENT ON FUNCTION _carry_out(jsonb, text, boolean, date, boolean) IS 'Part of segmentations: builds or refreshes one, and names it in every error.';

-- What can be refused before the orders are read, which may take an hour.
CREATE FUNCTION _refuse_early(s jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $early$
DECLARE
    reader text;
    untracked text;
    other text;
BEGIN
    PERFORM @extschema@._refuse_unsafe_schema(s);
    FOR reader IN SELECT * FROM jsonb_array_elements_text(coalesce(s -> 'readers', '[]')) LOOP
        IF reader IS NULL THEN
            PERFORM @extschema@._invalid('a reader is NULL', 'Name roles: readers => ''{reporting}''.');
        ELSIF reader <> 'public' AND to_regrole(quote_ident(reader)) IS NULL THEN
            RAISE EXCEPTION 'role "%" does not exist', reader
                USING ERRCODE = 'undefined_object',
                      HINT = 'readers are roles; create it first.' || CASE lower(reader) WHEN 'public' THEN ' Only public in lower case is everybody.' ELSE '' END;
        END IF;
    END LOOP;
    IF s ->> 'track' = 'trigger' AND NOT has_table_privilege(@extschema@._source_table(s, 'orders'), 'TRIGGER') THEN
        RAISE EXCEPTION 'permission denied to put triggers on %', s ->> 'orders'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('GRANT TRIGGER ON %s TO %I, or use track => ''none''.', s ->> 'orders', current_user);
    ELSIF s ->> 'track' = 'trigger' THEN
        SELECT min(c.oid::regclass::text) INTO untracked
        FROM pg_class AS c WHERE c.oid = ANY (@extschema@._order_tables(s)::oid[]) AND c.relkind = 'f';
        PERFORM @extschema@._refuse_tracking_for_superuser(s);
        IF untracked IS NOT NULL THEN
            PERFORM @extschema@._invalid(format('%s is a foreign table: it can have no triggers that note changes', untracked),
                                         'Use track => ''none'': each refresh reads all orders.');
        END IF;
        -- Triggers are called by the name of the segmentation, which is another one for each owner and schema only.
        SELECT min(g.tgfoid::regprocedure::text) INTO other
        FROM pg_trigger AS g
        WHERE g.tgrelid = @extschema@._source_table(s, 'orders') AND g.tgname = concat_ws('_', 'pg_rfm', s ->> 'name', 'insert')
            AND g.tgfoid IS DISTINCT FROM to_regprocedure(@extschema@._relation(s, 'note_orders') || '()')::oid;
        IF other IS NOT NULL THEN
            PERFORM @extschema@._invalid(format('%s is tracked for another segmentation of this name already, by %s', s ->> 'orders', other),
                                         'Choose another name, or use track => ''none''.');
        END IF;
    END IF;
    IF s ->> 'policy' IS DISTINCT FROM 'learn' THEN
        PERFORM @extschema@._policy_on(s, @extschema@._today(s, NULL::date), false);
    END IF;
END
$early$;
COMMENT ON FUNCTION _refuse_early(jsonb) IS 'Part of segmentations: refuses what would fail only after the orders were read.';
