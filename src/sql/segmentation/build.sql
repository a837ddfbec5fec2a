-- segmentation: build

-- The table in which the settings are kept, with their row.
CREATE FUNCTION _create_settings(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $settings$
DECLARE
    settings text := @extschema@._relation(s, 'settings');
BEGIN
    EXECUTE format('CREATE TABLE %s OF @extschema@.segmentation_settings', settings)
        || ' (PRIMARY KEY (name), settings_version NOT NULL)';
    -- Whoever has been granted everything may still not write. No row-level security: it stops the pg_dump of a role
    -- that only reads.
    EXECUTE format('CREATE TRIGGER pg_rfm_only_owner BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s', settings)
        || ' EXECUTE FUNCTION @extschema@._only_owner()';
    EXECUTE format('INSERT INTO %s SELECT ($1).*', settings) USING s;
END
$settings$;
COMMENT ON FUNCTION _create_settings(segmentation_settings) IS
    'Part of segmentations: makes the table of its settings.';

-- A table that holds what a query over the shop's tables returns.
CREATE FUNCTION _create_table(s segmentation_settings, suffix text, keys text[], query text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $table$
DECLARE
    target text := @extschema@._relation(s, suffix);
    is_on_shards boolean := @extschema@._is_on_shards(s, suffix);
    since timestamptz := clock_timestamp();
    written bigint;
BEGIN
    IF is_on_shards THEN
        EXECUTE format('CREATE TABLE %s AS %s WITH NO DATA', target, query);
    ELSE
        EXECUTE format('CREATE TABLE %s AS %s', target, query);
        GET DIAGNOSTICS written = ROW_COUNT;
    END IF;
    EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (%s)', target,
                   (SELECT string_agg(quote_ident(k), ', ') FROM unnest(keys) AS k));
    -- Nobody looks for a history: statistics of them would only cost.
    EXECUTE (SELECT format('ALTER TABLE %s ', target)
                 || string_agg(format('ALTER %I SET STATISTICS 0', a.attname), ', ')
             FROM pg_attribute AS a
             WHERE a.attrelid = target::regclass AND a.attnum > 0 AND a.attname <> ALL (keys));
    IF is_on_shards THEN
        PERFORM @extschema@._distribute(s, suffix);
        written := @extschema@._write_differences(s, suffix, keys, query);
        IF suffix = 'profiles' THEN
            PERFORM @extschema@._write_prospects(s, NULL::text);
        END IF;
    END IF;
    EXECUTE 'ANALYZE ' || target;
    PERFORM @extschema@._report(s, suffix, written, since);
END
$table$;
COMMENT ON FUNCTION _create_table(segmentation_settings, text, text[], text) IS
    'Part of segmentations: makes and fills one of its tables.';

CREATE FUNCTION _create_policies(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $policies$
BEGIN
    EXECUTE format('CREATE TABLE %s (valid_from date PRIMARY KEY, policy @extschema@.segment_policy NOT NULL)',
                   @extschema@._relation(s, 'policies'));
END
$policies$;
COMMENT ON FUNCTION _create_policies(segmentation_settings) IS
    'Part of segmentations: makes the table of policies that were in force.';

CREATE FUNCTION _create_status(s segmentation_settings, currency text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $status$
DECLARE
    status text := @extschema@._relation(s, 'status');
BEGIN
    EXECUTE format(
$sql$CREATE TABLE %s (
    segmentation text PRIMARY KEY,
    as_of date NOT NULL,
    refreshed_at timestamptz NOT NULL,
    seconds numeric NOT NULL,
    rebuilt boolean NOT NULL,
    histories_written bigint NOT NULL,
    customers bigint NOT NULL,
    currency text,
    time_zone text NOT NULL,
    lang text NOT NULL,
    policy @extschema@.segment_policy NOT NULL,
    tracked_tables oid[],
    model @extschema@.purchase_model,
    model_as_of date,
    model_status text,
    model_findings jsonb
)$sql$, status);
    EXECUTE format('INSERT INTO %s', status)
        || ' SELECT $1, $2, now(), 0, true, count(history), 0, $3, $4, $5, @extschema@.default_policy()'
        || format(' FROM %s', @extschema@._relation(s, 'histories'))
        USING s.name, @extschema@._today(s, NULL::date), currency, s.time_zone, s.lang;
END
$status$;
COMMENT ON FUNCTION _create_status(segmentation_settings, text) IS
    'Part of segmentations: makes the table of its status.';

-- NAME_actions looks for the first day of those who wait in this index.
CREATE FUNCTION _index_waiting(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $index$
BEGIN
    EXECUTE format('CREATE INDEX ON %s (%scoalesce(action_rule, ''''), coalesce(action_channel, ''none''), wait_until)',
                   @extschema@._relation(s, 'customers'), coalesce(quote_ident(s.tenant) || ', ', ''))
        || ' WHERE wait_until IS NOT NULL';
END
$index$;
COMMENT ON FUNCTION _index_waiting(segmentation_settings) IS
    'Part of segmentations: indexes the customers who wait.';

-- The indexes of a materialized view, or of the table in its place.
CREATE FUNCTION _index_view(s segmentation_settings, suffix text, keys text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $index$
DECLARE
    target text := @extschema@._relation(s, suffix);
BEGIN
    EXECUTE format('CREATE UNIQUE INDEX %I ON %s (%s)', format('%s_%s_key', s.name, suffix), target,
                   (SELECT string_agg(quote_ident(k), ', ') FROM unnest(keys) AS k));
    IF suffix = 'customers' THEN
        PERFORM @extschema@._index_waiting(s);
        -- Who is due on a day is found without reading everybody.
        EXECUTE format('CREATE INDEX %I ON %s (next_change_on)', s.name || '_customers_due', target);
    END IF;
END
$index$;
COMMENT ON FUNCTION _index_view(segmentation_settings, text, text[]) IS
    'Part of segmentations: indexes one of its materialized views.';

-- A view, a materialized view with its indexes, or NAME_customers as a table on shards.
CREATE FUNCTION _create_view(s segmentation_settings, suffix text, kind text, keys text[], query text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
SET default_statistics_target = 30 -- sixty columns of few values: a larger sample takes long and tells no more
AS $view$
DECLARE
    target text := @extschema@._relation(s, suffix);
    since timestamptz := clock_timestamp();
    rows bigint;
BEGIN
    EXECUTE format('CREATE %s %s AS %s', kind, target, query)
        || CASE kind WHEN 'TABLE' THEN ' WITH NO DATA' ELSE '' END;
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF kind = 'VIEW' THEN
        RETURN;
    END IF;
    PERFORM @extschema@._index_view(s, suffix, keys);
    IF kind = 'TABLE' THEN
        -- By a primary key Citus moves shards while they are written.
        EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY USING INDEX %I', target, format('%s_%s_key', s.name, suffix));
        PERFORM @extschema@._distribute(s, suffix);
        PERFORM @extschema@._write_customers_on_shards(s, false, NULL::text);
        EXECUTE format('SELECT count(*) FROM %s', target) INTO rows;
    END IF;
    EXECUTE 'ANALYZE ' || target;
    PERFORM @extschema@._report(s, suffix, rows, since);
END
$view$;
COMMENT ON FUNCTION _create_view(segmentation_settings, text, text, text[], text) IS
    'Part of segmentations: makes one of its views.';

-- Makes and fills everything but the settings and policies, which outlive a change of settings as models and changes
-- do, and the notes, which come last. Where NAME_customers was there before, what it held is compared.
CREATE FUNCTION _build(s segmentation_settings, learn boolean, customers_are_held boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $build$
DECLARE
    status text := @extschema@._relation(s, 'status');
    started timestamptz := clock_timestamp();
    currency text := @extschema@._currency(s, NULL::text, NULL::text);
    part record;
BEGIN
    PERFORM @extschema@._refuse_double_profiles(s, @extschema@._sources_of_customers(s));
    PERFORM @extschema@._refuse_unknown_words(s, @extschema@._sources_of_customers(s));
    PERFORM @extschema@._refuse_double_targets(s);
    PERFORM @extschema@._show_what_is_not_distributed(s);
    PERFORM @extschema@._create_models(s);
    FOR part IN SELECT * FROM @extschema@._relations(s) AS r
                WHERE r.is_wanted AND r.suffix NOT IN ('settings', 'policies', 'models', 'noted', 'changes')
                ORDER BY r.place LOOP
        IF part.suffix = 'status' THEN
            PERFORM @extschema@._create_status(s, currency);
            PERFORM @extschema@._set_day_and_policy(s, @extschema@._today(s, NULL::date), learn);
            PERFORM @extschema@._set_model(s, @extschema@._today(s, NULL::date));
            EXECUTE 'ANALYZE ' || status; -- one row: without statistics it is taken for hundreds
        ELSIF part.kind = 'TABLE' AND part.suffix <> 'customers' THEN
            PERFORM @extschema@._create_table(
                s, part.suffix, part.keys, @extschema@._filling_query(s, part.suffix, NULL::text));
        ELSE
            PERFORM @extschema@._create_view(
                s, part.suffix, part.kind, part.keys, @extschema@._query(s, part.suffix, NULL::text));
        END IF;
    END LOOP;
    IF s.keep_changes > 0 AND to_regclass(@extschema@._relation(s, 'changes')) IS NULL THEN
        PERFORM @extschema@._create_changes(s);
    END IF;
    EXECUTE format('UPDATE %s SET refreshed_at = $1, seconds = $2, customers = (SELECT count(*) FROM %s)', status,
                   @extschema@._relation(s, 'customers'))
        USING clock_timestamp(), round(extract(epoch FROM clock_timestamp() - started)::numeric, 3);
    IF @extschema@._is_tracked_as_asked(s) IS NOT TRUE THEN
        PERFORM @extschema@._stop_tracking(s); -- by the settings before, if there were any
        IF s.track = 'trigger' THEN
            PERFORM @extschema@._create_notes(s);
            PERFORM @extschema@._create_trigger_function(s);
        END IF;
    END IF;
    PERFORM @extschema@._comment_relations(s);
    PERFORM @extschema@._grant_readers(s, '{}'::text[]);
    IF customers_are_held THEN
        PERFORM @extschema@._write_changes_of_held(s);
    END IF;
    IF s.track = 'trigger' THEN
        PERFORM @extschema@._keep_tracking(s);
    END IF;
END
$build$;
COMMENT ON FUNCTION _build(segmentation_settings, boolean, boolean) IS
    'Part of segmentations: makes and fills the tables and views.';

-- Views that read relations of a segmentation, directly or through other views, and are none of its own: what to do
-- with them before it is dropped or made anew.
CREATE FUNCTION _how_to_keep_what_stands_on(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $keep$
    WITH RECURSIVE ours AS (
        SELECT to_regclass(@extschema@._relation(s, r.suffix))::oid AS relation FROM @extschema@._relations(s) AS r
    ), reading AS (
        SELECT o.relation FROM ours AS o WHERE o.relation IS NOT NULL
        UNION
        SELECT w.ev_class
        FROM reading AS r
        JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = r.relation
            AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite AS w ON w.oid = d.objid
    )
    SELECT 'Keep what stands on it, then drop it, call this again, and make it again'
        || coalesce(': ' || string_agg(format('SELECT pg_get_viewdef(%L::regclass)', v.name), '; ' ORDER BY v.name), '')
        || '.'
    FROM (
        SELECT r.relation::regclass::text AS name FROM reading AS r
        WHERE r.relation NOT IN (SELECT o.relation FROM ours AS o WHERE o.relation IS NOT NULL)
    ) AS v
$keep$;
COMMENT ON FUNCTION _how_to_keep_what_stands_on(segmentation_settings) IS
    'Part of segmentations: what to do with the views of others that stand on its relations.';

-- Drops what the settings asked for, but what stays. Without CASCADE: a view that somebody else has put on one of the
-- relations is not lost unnoticed.
CREATE FUNCTION _drop_relations(s segmentation_settings, staying text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning -- no notices about what does not exist
AS $drop$
DECLARE
    part record;
    message text;
    detail text;
BEGIN
    IF staying = '{}' AND @extschema@._has_notes_on_shards(s) THEN
        PERFORM @extschema@._drop_trigger_function(s); -- Citus drops it before anything else, or not at all
    END IF;
    BEGIN
        FOR part IN SELECT * FROM @extschema@._relations(s) AS r
                    WHERE (r.is_wanted OR r.suffix = 'models') -- which outlive a reset of the model
                        AND r.suffix <> ALL (staying)
                    ORDER BY r.place DESC LOOP
            EXECUTE format('DROP %s IF EXISTS %s', part.kind, @extschema@._relation(s, part.suffix));
        END LOOP;
    EXCEPTION WHEN dependent_objects_still_exist THEN
        -- PostgreSQL's own hint would drop what stands on it.
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        RAISE EXCEPTION 'segmentation "%": %', s.name, message
            USING ERRCODE = 'dependent_objects_still_exist', DETAIL = detail,
                  HINT = @extschema@._how_to_keep_what_stands_on(s);
    END;
    -- Triggers are taken off last, because their lock keeps readers and writers of the orders out until the commit.
    IF staying = '{}' THEN
        PERFORM @extschema@._stop_tracking(s);
    END IF;
END
$drop$;
COMMENT ON FUNCTION _drop_relations(segmentation_settings, text[]) IS
    'Part of segmentations: drops its tables and views but those that stay; where none does, its triggers too.';

-- Takes the triggers off the orders, with the function they call: to drop these by name takes the owner of the orders.
-- Of a function that Citus has sent to the workers, theirs too, with the triggers on shards.
CREATE FUNCTION _drop_trigger_function(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning -- no notices about what does not exist
AS $drop$
DECLARE
    propagates text := @extschema@._propagate_ddl('on');
BEGIN
    EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', @extschema@._trigger_function(s));
    PERFORM @extschema@._propagate_ddl(propagates);
END
$drop$;
COMMENT ON FUNCTION _drop_trigger_function(segmentation_settings) IS
    'Part of segmentations: drops the trigger function and its triggers.';

CREATE FUNCTION _stop_tracking(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning -- no notices about what does not exist
AS $stop$
BEGIN
    PERFORM @extschema@._drop_trigger_function(s);
    EXECUTE format('DROP TABLE IF EXISTS %s', @extschema@._relation(s, 'noted'));
END
$stop$;
COMMENT ON FUNCTION _stop_tracking(segmentation_settings) IS 'Part of segmentations: drops its triggers and notes.';

-- The schemas that a reader needs USAGE on, separated by commas: that of the views, and ours, whose functions take what
-- NAME_facts holds.
CREATE FUNCTION _schemas_of_readers(s segmentation_settings, lacking text DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $schemas$
    SELECT string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname <> s.schema)
    FROM pg_namespace AS n
    WHERE (n.nspname = s.schema OR n.oid = '@extschema@'::regnamespace)
        AND (lacking IS NULL OR NOT has_schema_privilege(lacking, n.oid, 'USAGE'))
$schemas$;
COMMENT ON FUNCTION _schemas_of_readers(segmentation_settings, text) IS
    'Part of segmentations: the schemas that readers need, or those of them on which one role has no USAGE yet.';

-- Granting on a schema is for its owner, who may be somebody else: what is missing is said.
CREATE FUNCTION _show_what_readers_lack(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $lack$
DECLARE
    reader text;
    schemas text;
BEGIN
    FOREACH reader IN ARRAY coalesce(s.readers, '{}') LOOP
        schemas := @extschema@._schemas_of_readers(s, reader);
        IF schemas IS NOT NULL THEN
            RAISE NOTICE E'%: a reader still needs:\n  GRANT USAGE ON SCHEMA % TO %;', s.name, schemas,
                CASE reader WHEN 'public' THEN reader ELSE quote_ident(reader) END;
        END IF;
    END LOOP;
END
$lack$;
COMMENT ON FUNCTION _show_what_readers_lack(segmentation_settings) IS
    'Part of segmentations: shows the grants on schemas that its readers lack.';

-- Lets the readers of the settings read, and those who are no longer among them not. Everybody is public in lower case,
-- as in GRANT: quoted, and in any other spelling, it is a role like others.
CREATE FUNCTION _grant_readers(s segmentation_settings, old_readers text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $grant$
DECLARE
    readers text[] := coalesce(s.readers, '{}');
    readable text := (SELECT string_agg(@extschema@._relation(s, r.suffix), ', ' ORDER BY r.place)
                      FROM @extschema@._relations(s) AS r WHERE r.is_wanted AND r.is_readable);
    propagates text := @extschema@._propagate_ddl(CASE WHEN @extschema@._is_distributed(s) THEN 'on' END);
    reader text;
BEGIN
    FOREACH reader IN ARRAY coalesce(old_readers, '{}') LOOP
        -- A role that was dropped has no rights any more that could be revoked.
        IF reader <> ALL (readers) AND (reader = 'public' OR to_regrole(quote_ident(reader)) IS NOT NULL) THEN
            EXECUTE format('REVOKE SELECT ON %s FROM %I', readable, reader);
        END IF;
    END LOOP;
    FOREACH reader IN ARRAY readers LOOP
        EXECUTE format('GRANT SELECT ON %s TO %I', readable, reader);
    END LOOP;
    PERFORM @extschema@._propagate_ddl(propagates);
    PERFORM @extschema@._show_what_readers_lack(s);
END
$grant$;
COMMENT ON FUNCTION _grant_readers(segmentation_settings, text[]) IS
    'Part of segmentations: lets the readers of the settings read, and revokes it from those of before.';

-- Builds or refreshes one that has been checked. Every error names it, and says that nothing was changed.
CREATE FUNCTION _build_or_refresh(s segmentation_settings, what text, rebuild boolean, on_day date, learn boolean)
    RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $run$
DECLARE
    prefix text := format('segmentation "%s": ', s.name);
    propagates text := @extschema@._propagate_ddl('off');
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    IF what = 'refresh' THEN
        PERFORM @extschema@._refuse_unsafe_schema(s);
        PERFORM @extschema@._refresh(@extschema@._checked_settings(s), rebuild, on_day, learn);
    ELSE
        PERFORM @extschema@._build(s, learn, what = 'rebuild');
    END IF;
    PERFORM @extschema@._propagate_ddl(propagates);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS
        code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    IF NOT starts_with(message, prefix) THEN
        message := prefix || message;
    END IF;
    IF hint = '' THEN
        hint := 'Nothing was changed.' || CASE
            WHEN code = '42501' THEN
                ' It takes SELECT on the sources, CREATE in the schema and, to track, TRIGGER on the orders and all '
                'their partitions.'
            WHEN code IN ('42703', '42P01', '42883', '42704') AND s.order_filter IS NOT NULL THEN
                ' The order filter is read with an empty search path: qualify functions and types with their schema.'
            ELSE '' END;
    END IF;
    IF detail = '' THEN
        RAISE EXCEPTION '%', message USING ERRCODE = code, HINT = hint;
    END IF;
    RAISE EXCEPTION '%', message USING ERRCODE = code, DETAIL = detail, HINT = hint;
END
$run$;
COMMENT ON FUNCTION _build_or_refresh(segmentation_settings, text, boolean, date, boolean) IS
    'Part of segmentations: builds or refreshes one, and names it in every error.';
