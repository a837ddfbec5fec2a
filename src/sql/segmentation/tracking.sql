-- segmentation: tracking

-- track => 'trigger': triggers on the shop's tables note the customers touched, and do nothing else. Writers never wait
-- for a refresh: the notes have no unique index. A note without a key says: everybody of this table.

-- The sources whose rows are of customers.
CREATE FUNCTION _sources_of_customers(s segmentation_settings) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $sources$
    SELECT array_agg(t.source ORDER BY t.source) FROM @extschema@._sources(s) AS t
    WHERE t.relation IS NOT NULL AND t.source NOT IN ('targets', 'costs')
$sources$;
COMMENT ON FUNCTION _sources_of_customers(segmentation_settings) IS
    'Part of segmentations: the sources whose rows are of customers.';

-- Their tables, with partitions and children.
CREATE FUNCTION _source_tables(s segmentation_settings) RETURNS TABLE (source text, root regclass, relation regclass)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $tables$
BEGIN
    RETURN QUERY
    WITH RECURSIVE tree AS (
        SELECT t.source, @extschema@._source_table(s, t.source)::oid AS root,
               @extschema@._source_table(s, t.source)::oid AS relation
        FROM unnest(@extschema@._sources_of_customers(s)) AS t (source)
        UNION
        SELECT t.source, t.root, i.inhrelid FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.relation
    )
    SELECT t.source, t.root::regclass, t.relation::regclass FROM tree AS t ORDER BY t.source, t.relation;
END
$tables$;
COMMENT ON FUNCTION _source_tables(segmentation_settings) IS
    'Part of segmentations: the shop''s tables whose rows are of customers, with their partitions.';

-- The key columns of a source, of the base types and collations of those of the orders. A domain may have a default or
-- refuse NULL, and a note without a key has to be without one.
CREATE FUNCTION _note_keys(s segmentation_settings, source text) RETURNS TABLE (
    place bigint, name text, type oid, source_name text, source_type oid, collation_name text
)
LANGUAGE plpgsql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $keys$
BEGIN
    RETURN QUERY
    SELECT k.place, k.here, @extschema@._base_type(o.atttypid), k.there, t.atttypid,
           nullif(o.attcollation, 0)::regcollation::text
    FROM unnest(@extschema@._source_keys(s, 'orders'), @extschema@._source_keys(s, source))
        WITH ORDINALITY AS k (here, there, place)
    JOIN pg_attribute AS o ON o.attrelid = @extschema@._source_table(s, 'orders') AND o.attname = k.here
    JOIN pg_attribute AS t ON t.attrelid = @extschema@._source_table(s, source) AND t.attname = k.there;
END
$keys$;
COMMENT ON FUNCTION _note_keys(segmentation_settings, text) IS
    'Part of segmentations: the key columns of a source, and what they are in the notes.';

-- The calendar day of a row of a source; NULL: its rows have none, and count on any day. What no history takes is not
-- cast: it could keep the shop from writing.
CREATE FUNCTION _note_day(s segmentation_settings, source text) RETURNS TABLE (name text, type oid, day text)
LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $day$
DECLARE
    relation regclass := @extschema@._source_table(s, source);
BEGIN
    RETURN QUERY
    SELECT a.attname::text, a.atttypid,
           format('CASE WHEN r.%I BETWEEN ''0001-01-01'' AND ''9999-12-31'' THEN %s END', a.attname,
                  @extschema@._day(s, relation, 'r', a.attname::text))
    FROM pg_attribute AS a
    WHERE a.attrelid = relation AND a.attname = CASE source
        WHEN 'orders' THEN s.ordered_at
        WHEN 'engagement' THEN s.engagement_happened_at
        WHEN 'contacts' THEN s.contacts_contacted_at
        WHEN 'membership_log' THEN s.membership_log_since END;
END
$day$;
COMMENT ON FUNCTION _note_day(segmentation_settings, text) IS
    'Part of segmentations: the column of a source that says on which day a row counts, and its day.';

-- The table of notes: which source changed, of whom, and from which day on.
CREATE FUNCTION _create_notes(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $notes$
DECLARE
    noted text := @extschema@._relation(s, 'noted');
    histories text := @extschema@._relation(s, 'histories');
    -- Citus lays tables beside each other only by columns of one type, which may be a domain then.
    distributed_by text := CASE WHEN @extschema@._notes_are_on_shards(s) THEN @extschema@._distribution_column(s) END;
    keys text := (SELECT string_agg(format('%1$I::%2$s AS %1$I', k.name,
                                           format_type(CASE k.name WHEN distributed_by THEN k.source_type ELSE k.type END,
                                                       -1)), ', ' ORDER BY k.place)
                  FROM @extschema@._note_keys(s, 'orders') AS k);
BEGIN
    -- taken: whether the refresh that is running reads the rows of this customer, or only evaluates her; NULL: the note
    -- waits for the next one. noted_at is the last column, which is filled with each note.
    EXECUTE format('CREATE TABLE %s AS SELECT NULL::text AS changed_source, NULL::date AS changed_from, %s, '
                   'NULL::boolean AS taken, '
                   'NULL::timestamptz AS noted_at FROM %s WHERE false', noted, keys, histories);
    EXECUTE format('ALTER TABLE %s ALTER noted_at SET DEFAULT now()', noted);
    -- It has no key: without this a publication of all tables would let nobody take notes.
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', noted);
    IF distributed_by IS NOT NULL THEN
        PERFORM @extschema@._distribute(s, 'noted');
    END IF;
END
$notes$;
COMMENT ON FUNCTION _create_notes(segmentation_settings) IS
    'Part of segmentations: makes the table of customers whose rows changed.';

-- What the trigger function does where rows of one source change: it notes the keys and the first day that changed, or
-- everybody where they are not known. It looks whether the columns are still what they were before it touches them.
CREATE FUNCTION _note_statements(s segmentation_settings, source text, notes text, customers text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $statements$
    SELECT format(
$body$        IF %1$L = ANY (TG_ARGV) THEN
            IF TG_OP = 'TRUNCATE' OR 'everybody' = ANY (TG_ARGV)
                OR NOT @extschema@._has_columns(TG_RELID, %2$L::pg_catalog.text[], %3$L::pg_catalog.text[]) THEN
                PERFORM @extschema@._note_everybody(%4$s, %1$L::pg_catalog.text);
            ELSIF TG_OP = 'INSERT' THEN
                PERFORM %5$s FROM (%6$s new_rows %7$s) AS n;
            ELSIF TG_OP = 'DELETE' THEN
                PERFORM %5$s FROM (%6$s old_rows %7$s) AS n;
            ELSE
                PERFORM %5$s FROM (%6$s old_rows %7$s UNION ALL %6$s new_rows %7$s) AS n;
            END IF;
        END IF;
$body$,
        source,
        c.names, c.types,
        notes,
        format('@extschema@._note_customers(%s, %s, %L::pg_catalog.text, n.changed_from, %s)', notes, customers,
               source, p.names),
        format('SELECT %s, %s AS changed_from FROM', p.keys, coalesce(
            (SELECT d.day FROM @extschema@._note_day(s, source) AS d), 'NULL::pg_catalog.date')),
        'AS r WHERE ' || p.has_key)
    FROM (
        SELECT string_agg(format('n.%I', k.name), ', ' ORDER BY k.place) AS names,
               string_agg(format('r.%I::%s%s AS %I', k.source_name, format_type(k.type, -1),
                                 ' COLLATE ' || k.collation_name, k.name), ', ' ORDER BY k.place) AS keys,
               string_agg(format('r.%I IS NOT NULL', k.source_name), ' AND ' ORDER BY k.place) AS has_key
        FROM @extschema@._note_keys(s, source) AS k
    ) AS p
    CROSS JOIN (
        SELECT array_agg(c.name ORDER BY c.name) AS names,
               array_agg(format_type(c.type, NULL) ORDER BY c.name) AS types
        FROM (SELECT k.source_name AS name, k.source_type AS type FROM @extschema@._note_keys(s, source) AS k
              UNION SELECT d.name, d.type FROM @extschema@._note_day(s, source) AS d) AS c
    ) AS c
$statements$;
COMMENT ON FUNCTION _note_statements(segmentation_settings, text, text, text) IS
    'Part of segmentations: what the trigger function does where rows of a source change.';

-- The body of the trigger function. It runs with its owner's rights, because the shop's application needs none on the
-- tables of the segmentation, and holds nothing but fixed SQL. It knows the notes by their oid and writes them by a
-- function that checks them after it has locked them: whoever owns the schema could put a table of their own in the
-- place of the name. An application must not fail because a column was renamed or a table dropped: then everybody or
-- nobody is noted, and the next refresh reads all rows. The arguments of a trigger are the sources that its table is.
CREATE FUNCTION _trigger_function_body(s segmentation_settings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $trigger$
DECLARE
    notes text := format('%L::pg_catalog.oid', to_regclass(@extschema@._relation(s, 'noted'))::oid);
    owner text := format('%L::pg_catalog.oid', quote_ident(current_user)::regrole::oid);
    -- Many customers at once are noted as everybody.
    customers text := format('%L::pg_catalog.oid', to_regclass(@extschema@._relation(s, 'histories'))::oid);
BEGIN
    IF @extschema@._notes_are_on_shards(s) THEN
        -- Oids are others on each server.
        notes := format('(SELECT @extschema@._notes_beside(TG_RELID, %L, %L))', @extschema@._relation(s, 'noted'),
                        @extschema@._roots_of_sources(s));
        owner := format('pg_catalog.to_regrole(%L)', quote_ident(current_user));
        customers := 'NULL::pg_catalog.oid'; -- a shard holds some of them
    END IF;
    -- It declares no variables: a key column could be called like one.
    RETURN format(
$body$
BEGIN
    IF pg_catalog.to_regproc('@extschema@._lock_and_check_notes') IS NULL THEN
        RAISE WARNING 'pg_rfm is not there: changes of %% are not noted', TG_RELID::pg_catalog.regclass;
    ELSIF @extschema@._lock_and_check_notes(%s, %s) IS NOT TRUE THEN
        RAISE WARNING '%%: the notes are not there, or not of its owner: changes of %% are not noted until the next '
            'refresh_segmentation', %L, TG_RELID::pg_catalog.regclass;
    ELSE
%s    END IF;
    RETURN NULL;
END
$body$, notes, owner, s.name, (
        SELECT string_agg(@extschema@._note_statements(s, t.source, notes, customers), '' ORDER BY t.source)
        FROM unnest(@extschema@._sources_of_customers(s)) AS t (source)));
END
$trigger$;
COMMENT ON FUNCTION _trigger_function_body(segmentation_settings) IS
    'Part of segmentations: what the trigger function does.';

-- Citus sends it to the workers when a trigger is put on shards, by connections of its own. Where this transaction has
-- dropped the one before, these would wait for it for ever; by one connection a worker, as it goes on then, Citus sends it
-- at once.
CREATE FUNCTION _create_trigger_function(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $trigger$
DECLARE
    function_name text := @extschema@._trigger_function(s);
    propagates text := @extschema@._propagate_ddl(
        CASE WHEN @extschema@._notes_are_on_shards(s)
                 AND current_setting('citus.multi_shard_modify_mode', true) = 'sequential' THEN 'on' END);
BEGIN
    EXECUTE format('CREATE FUNCTION %s RETURNS trigger', function_name)
        || ' LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp'
        || format(' AS %L', @extschema@._trigger_function_body(s));
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function_name);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', function_name,
                   format('Notes the customers whose rows change, for segmentation %s of pg_rfm.', s.name));
    PERFORM @extschema@._propagate_ddl(propagates);
END
$trigger$;
COMMENT ON FUNCTION _create_trigger_function(segmentation_settings) IS
    'Part of segmentations: makes the trigger function that notes the customers touched.';

-- Before these releases a trigger with transition tables keeps a table from becoming a partition or child, even a
-- trigger of statements.
CREATE FUNCTION _transition_tables_hinder_attaching() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $hinder$
    SELECT EXISTS (SELECT FROM (VALUES (130000, 130022), (140000, 140019), (150000, 150014), (160000, 160010),
                                       (170000, 170006)) AS m (major, mended)
                   WHERE current_setting('server_version_num')::integer BETWEEN m.major AND m.mended - 1)
$hinder$;
COMMENT ON FUNCTION _transition_tables_hinder_attaching() IS
    'Part of segmentations: whether this server refuses to attach a table that has a trigger with transition tables.';

-- The tables of which some writes fire no trigger of the segmentation, or note no key: orders are read whole then, and
-- other sources compared with what is stored of them. A cast that can fail would keep the shop from writing.
CREATE FUNCTION _unseen_writes(s segmentation_settings) RETURNS TABLE (source text, relation regclass, reason text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $unseen$
DECLARE
    distributed regclass[] := CASE WHEN @extschema@._citus_catalog('pg_dist_partition'::text) IS NOT NULL
            AND NOT @extschema@._notes_are_on_shards(s)
        THEN @extschema@._distributed_tables(ARRAY(SELECT t.relation FROM @extschema@._source_tables(s) AS t)) END;
BEGIN
    RETURN QUERY
    WITH tables AS MATERIALIZED (
        SELECT t.*, c.relkind
        FROM @extschema@._source_tables(s) AS t JOIN pg_class AS c ON c.oid = t.relation
    )
    SELECT t.source, t.relation, w.reason
    FROM tables AS t
    CROSS JOIN LATERAL (
        SELECT 'a logical subscription fills it, which fires no triggers of statements' AS reason
        WHERE EXISTS (SELECT FROM pg_subscription_rel AS r WHERE r.srrelid = t.relation)
        UNION ALL
        SELECT format('what is written through %s fires no triggers of its children', i.inhparent::regclass)
        FROM pg_inherits AS i
        WHERE i.inhrelid = t.relation
            AND i.inhparent NOT IN (SELECT o.relation::oid FROM tables AS o WHERE o.source = t.source)
        UNION ALL
        SELECT 'it is no table' WHERE t.relkind NOT IN ('r', 'p')
        UNION ALL
        SELECT 'Citus distributes it' WHERE t.relation = ANY (distributed)
        UNION ALL
        SELECT format('%s may not put triggers on it', quote_ident(current_user))
        WHERE t.source <> 'orders' AND t.relkind IN ('r', 'p') AND NOT has_table_privilege(t.relation, 'TRIGGER')
        UNION ALL
        SELECT format('%s is %s, and in the orders %s', quote_ident(k.source_name), format_type(k.source_type, NULL),
                      format_type(k.type, NULL))
        FROM @extschema@._note_keys(s, t.source) AS k
        WHERE t.relation = t.root AND @extschema@._base_type(k.source_type) <> k.type
            AND NOT EXISTS (
                SELECT FROM pg_cast AS c
                WHERE c.castsource = @extschema@._base_type(k.source_type) AND c.casttarget = k.type
                    AND c.castcontext = 'i' AND c.oid < 16384) -- PostgreSQL's own
    ) AS w;
END
$unseen$;
COMMENT ON FUNCTION _unseen_writes(segmentation_settings) IS
    'Part of segmentations: tables of which triggers do not see every write.';

-- What a superuser's trigger function runs is, in the end, what the owners of the tables and of their keys' types want
-- to be run.
CREATE FUNCTION _refuse_tracking_for_superuser(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $superuser$
DECLARE
    others text := (
        SELECT string_agg(DISTINCT b.name, ', ')
        FROM (
            SELECT 'schema ' || quote_ident(p.schema), @extschema@._schema_owner(p.schema)
            FROM unnest(ARRAY[s.schema, s.internals]) AS p (schema) WHERE p.schema IS NOT NULL
            UNION ALL
            SELECT c.oid::regclass::text, c.relowner
            FROM @extschema@._source_tables(s) AS t JOIN pg_class AS c ON c.oid = t.relation
            UNION ALL
            SELECT c.oid::regclass::text, c.relowner
            FROM @extschema@._sources(s) AS o
            JOIN pg_class AS c ON c.oid = @extschema@._source_table(s, o.source)
            WHERE o.source IN ('targets', 'costs') AND o.relation IS NOT NULL
            UNION ALL
            SELECT 'type ' || format_type(t.oid, NULL), t.typowner
            FROM unnest(@extschema@._sources_of_customers(s)) AS o (source)
            CROSS JOIN LATERAL @extschema@._note_keys(s, o.source) AS k
            JOIN pg_type AS t ON t.oid = k.source_type
        ) AS b (name, owner)
        WHERE NOT (SELECT r.rolsuper FROM pg_roles AS r WHERE r.oid = b.owner));
BEGIN
    IF others IS NOT NULL AND (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'a superuser cannot track what belongs to others: %', others
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'The triggers would run with a superuser''s rights. SET ROLE to a role that may read the '
                      'orders and put triggers on them, or use track => ''none''.';
    END IF;
END
$superuser$;
COMMENT ON FUNCTION _refuse_tracking_for_superuser(segmentation_settings) IS
    'Part of segmentations: an error where a superuser would track the orders of others.';

-- The triggers that the tables and their partitions must have, with the sources that a table is, and which of them see
-- what is written. One that was dropped or disabled does not: until it is back every refresh reads all rows. Where a
-- transition table would keep a partition from being attached again, the partition's own triggers have none, and note
-- everybody; what is written through the parent is noted by key. A source other than the orders of which triggers do
-- not see everything has none.
CREATE FUNCTION _triggers(s segmentation_settings) RETURNS TABLE (
    relation regclass, name text, event text, transition text, arguments text[], is_there boolean, fits boolean,
    sees boolean
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $triggers$
DECLARE
    are_on_shards boolean := @extschema@._notes_are_on_shards(s);
BEGIN
    RETURN QUERY
    SELECT t.relation, n.name, e.event, CASE WHEN t.notes_everybody THEN '' ELSE e.transition END, t.arguments,
           g.oid IS NOT NULL, g.arguments = t.arguments,
           coalesce(g.tgenabled IN ('O', 'A') AND g.arguments = t.arguments, false)
    FROM (
        SELECT r.relation, r.notes_everybody,
               r.sources || CASE WHEN r.notes_everybody THEN '{everybody}'::text[] ELSE '{}' END AS arguments
        FROM (
            SELECT t.relation, array_agg(t.source ORDER BY t.source) AS sources,
                   @extschema@._transition_tables_hinder_attaching() AND bool_and(t.relation <> t.root)
                       AS notes_everybody
            FROM @extschema@._source_tables(s) AS t
            WHERE t.source = 'orders' OR t.source NOT IN (SELECT u.source FROM @extschema@._unseen_writes(s) AS u)
            GROUP BY t.relation
        ) AS r
    ) AS t
    CROSS JOIN (VALUES ('INSERT', ' REFERENCING NEW TABLE AS new_rows'),
                       ('UPDATE', ' REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
                       ('DELETE', ' REFERENCING OLD TABLE AS old_rows'),
                       ('TRUNCATE', '')) AS e (event, transition)
    CROSS JOIN LATERAL (SELECT concat_ws('_', 'pg_rfm', s.name, lower(e.event)) AS name) AS n
    LEFT JOIN LATERAL (
        SELECT g.oid, g.tgenabled,
               -- each ends with a zero byte
               array_remove(string_to_array(encode(g.tgargs, 'escape'), '\000'), '') AS arguments
        FROM pg_trigger AS g
        WHERE g.tgrelid = t.relation AND g.tgname = n.name
            AND g.tgfoid = to_regprocedure(@extschema@._trigger_function(s))
    ) AS g ON true
    WHERE NOT (are_on_shards AND e.event = 'TRUNCATE'); -- _files_of_tables tells of it
END
$triggers$;
COMMENT ON FUNCTION _triggers(segmentation_settings) IS
    'Part of segmentations: the triggers that note changes, and which of them are there and see.';

-- The tables that have triggers. Not regclass: a dump without the shop's tables could not be restored.
CREATE FUNCTION _tables_with_triggers(s segmentation_settings) RETURNS oid[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $tables$ SELECT array_agg(DISTINCT t.relation::oid) FROM @extschema@._triggers(s) AS t $tables$;
COMMENT ON FUNCTION _tables_with_triggers(segmentation_settings) IS
    'Part of segmentations: the tables that have triggers which note changes, by oid.';

-- Those of them whose triggers see every write. Where one joins or leaves them, as when a logical subscription was
-- dropped that filled it, nobody knows what was written unseen: everybody is looked at once. On shards with their
-- files, which say whether they were truncated; none of them as long as their triggers are new.
CREATE FUNCTION _tables_seen(s segmentation_settings) RETURNS oid[]
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $seen$
    SELECT CASE WHEN NOT @extschema@._notes_are_on_shards(s) THEN array_agg(t.relation ORDER BY t.relation)
                WHEN NOT @extschema@._triggers_of_shards_are_new()
                THEN array_agg(t.relation ORDER BY t.relation) || @extschema@._files_of_tables(s) END
    FROM unnest(@extschema@._tables_with_triggers(s)) AS t (relation)
    WHERE t.relation NOT IN (SELECT u.relation FROM @extschema@._unseen_writes(s) AS u)
$seen$;
COMMENT ON FUNCTION _tables_seen(segmentation_settings) IS
    'Part of segmentations: the tables whose triggers see every write, by oid, on shards with their files.';

-- Whether the trigger function does what it must: it names the notes and their owner by oid, which are others after a
-- restore or where the segmentation was given to another role. As long as they differ, nothing is noted.
CREATE FUNCTION _trigger_function_is_current(s segmentation_settings) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $current$
    SELECT EXISTS (SELECT FROM pg_proc AS f WHERE f.oid = to_regprocedure(@extschema@._trigger_function(s))
                                                  AND f.prosrc = @extschema@._trigger_function_body(s))
$current$;
COMMENT ON FUNCTION _trigger_function_is_current(segmentation_settings) IS
    'Part of segmentations: whether the trigger function does what it must.';

-- Whether the triggers and notes that are there are the ones that the settings ask for. They are left in place then,
-- because taking triggers off and putting them on again locks the shop's tables.
CREATE FUNCTION _is_tracked_as_asked(s segmentation_settings) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $tracked$
    SELECT s.track = 'trigger' AND to_regclass(@extschema@._relation(s, 'noted')) IS NOT NULL
        AND @extschema@._has_notes_on_shards(s) = @extschema@._notes_are_on_shards(s)
        AND @extschema@._trigger_function_is_current(s)
        AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgfoid = to_regprocedure(@extschema@._trigger_function(s))
                                                          AND g.tgrelid <> ALL (@extschema@._tables_with_triggers(s)))
$tracked$;
COMMENT ON FUNCTION _is_tracked_as_asked(segmentation_settings) IS
    'Part of segmentations: whether the triggers and notes that are there are the ones asked for.';

-- Puts the triggers where they are missing. What was written before they are committed is not noted, so that everybody
-- is: the next refresh reads all rows once. The triggers come last because their lock keeps writers out until the
-- commit.
CREATE FUNCTION _keep_tracking(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $track$
DECLARE
    function_name text := @extschema@._trigger_function(s);
    on_shards boolean := @extschema@._notes_are_on_shards(s);
    propagates text;
    missing record;
    unseen record;
    is_new boolean := false;
    changed bigint;
BEGIN
    FOR unseen IN SELECT u.source, u.relation, min(u.reason) AS reason FROM @extschema@._unseen_writes(s) AS u
                  GROUP BY u.source, u.relation LOOP
        RAISE NOTICE '%: % cannot be tracked: %; every refresh %', s.name, unseen.relation, unseen.reason,
            CASE unseen.source WHEN 'orders' THEN 'reads all orders' ELSE 'compares all ' || unseen.source END;
    END LOOP;
    IF on_shards AND NOT @extschema@._triggers_on_shards_are_allowed() THEN
        IF EXISTS (SELECT FROM @extschema@._triggers(s) AS t WHERE NOT t.is_there) THEN
            RAISE NOTICE '%: triggers are missing, and citus.enable_unsafe_triggers is off: every refresh reads all rows',
                s.name;
        END IF;
        RETURN;
    END IF;
    IF NOT @extschema@._trigger_function_is_current(s)
        OR EXISTS (SELECT FROM @extschema@._triggers(s) AS t WHERE t.is_there AND NOT t.fits) THEN
        EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', function_name);
        PERFORM @extschema@._create_trigger_function(s);
    END IF;
    propagates := @extschema@._propagate_ddl(CASE WHEN on_shards THEN 'on' END); -- the function goes to the workers too
    FOR missing IN SELECT * FROM @extschema@._triggers(s) AS t WHERE NOT t.is_there LOOP
        is_new := true;
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s', missing.name, missing.event, missing.relation)
            || missing.transition
            || format(' FOR EACH STATEMENT EXECUTE FUNCTION %s(%s)', left(function_name, -2),
                      (SELECT string_agg(quote_literal(a), ', ') FROM unnest(missing.arguments) AS a));
    END LOOP;
    PERFORM @extschema@._propagate_ddl(propagates);
    IF on_shards AND is_new THEN
        PERFORM set_config('pg_rfm.triggers_of_shards', 'new', true);
    END IF;
    EXECUTE format('UPDATE %s SET tracked_tables = $1 WHERE tracked_tables IS DISTINCT FROM $1',
                   @extschema@._lock_and_check(s, 'status', 'ROW EXCLUSIVE MODE'))
        USING @extschema@._tables_seen(s);
    GET DIAGNOSTICS changed = ROW_COUNT;
    -- No row without a key can be inserted on shards: there the missing tables say the same.
    IF (is_new OR changed > 0) AND NOT on_shards THEN
        EXECUTE format('INSERT INTO %s DEFAULT VALUES', @extschema@._lock_and_check(s, 'noted', 'ROW EXCLUSIVE MODE'));
    END IF;
END
$track$;
COMMENT ON FUNCTION _keep_tracking(segmentation_settings) IS
    'Part of segmentations: puts the triggers on the shop''s tables where they are missing.';

-- Takes all notes. Returns the sources of which all rows are read; of the others only those of the customers noted.
-- Notes are marked first and deleted when everything is up to date, so that notes written meanwhile stay. Of a source
-- other than the orders with many notes, as where it was loaded anew, the rows are compared instead, which finds those
-- that differ.
CREATE FUNCTION _take_notes(s segmentation_settings, rebuild boolean, customers bigint) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $take$
DECLARE
    everything text[] := @extschema@._sources_of_customers(s);
    noted text;
    status text := @extschema@._lock_and_check(s, 'status', 'ROW EXCLUSIVE MODE');
    seen oid[] := @extschema@._tables_seen(s);
    are_others bigint; -- 1: the tables whose triggers see everything are not those of the refresh before
    without_key text[]; -- sources of which everybody is noted; an empty name is all of them
    many text[];
BEGIN
    IF to_regclass(@extschema@._relation(s, 'noted')) IS NULL THEN
        PERFORM @extschema@._create_notes(s); -- somebody dropped them
        PERFORM @extschema@._comment_relations(s);
        RETURN everything;
    END IF;
    noted := @extschema@._lock_and_check(s, 'noted', 'ROW EXCLUSIVE MODE');
    EXECUTE format('UPDATE %s SET taken = true', noted);
    EXECUTE format('SELECT array_agg(DISTINCT coalesce(changed_source, '''')) FROM %s WHERE taken AND %I IS NULL',
                   noted, (@extschema@._keys(s))[1]) INTO without_key;
    EXECUTE format('UPDATE %s SET tracked_tables = $1 WHERE tracked_tables IS DISTINCT FROM $1', status) USING seen;
    GET DIAGNOSTICS are_others = ROW_COUNT;
    IF rebuild OR '' = ANY (without_key) OR are_others > 0
        OR @extschema@._notes_are_on_shards(s) AND @extschema@._triggers_of_shards_are_new()
        OR NOT @extschema@._trigger_function_is_current(s)
        OR NOT @extschema@._lock_and_check_notes(to_regclass(noted)::oid, quote_ident(current_user)::regrole::oid) THEN
        RETURN everything;
    END IF;
    EXECUTE format('SELECT array_agg(n.changed_source) FROM (SELECT d.changed_source FROM '
                   '(SELECT DISTINCT changed_source, %s FROM %s WHERE taken AND changed_source <> ''orders'') AS d '
                   'GROUP BY d.changed_source HAVING count(*) > $1) AS n', @extschema@._key_list(s), noted)
        INTO many USING @extschema@._few(customers);
    EXECUTE format('DELETE FROM %s WHERE taken AND (%I IS NULL OR changed_source = ANY ($1))', noted,
                   (@extschema@._keys(s))[1]) USING many;
    EXECUTE 'ANALYZE ' || noted;
    RETURN ARRAY(
        SELECT e.source FROM unnest(everything) AS e (source)
        WHERE e.source = ANY (without_key) OR e.source = ANY (many)
            OR e.source IN (SELECT u.source FROM @extschema@._unseen_writes(s) AS u)
            OR EXISTS (SELECT FROM @extschema@._triggers(s) AS t WHERE e.source = ANY (t.arguments) AND NOT t.sees));
END
$take$;
COMMENT ON FUNCTION _take_notes(segmentation_settings, boolean, bigint) IS
    'Part of segmentations: takes the notes, and says of which sources all rows are read.';

-- With the sources of which all rows are read, the SELECT of the customers noted of a source; NULL: all rows are read,
-- as where there is no source.
CREATE FUNCTION _noted_of(s segmentation_settings, source text, read_whole text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $noted$
    SELECT CASE WHEN source IS NULL OR source = ANY (read_whole) THEN NULL
                ELSE format('(SELECT %s FROM %s WHERE taken AND changed_source = %L)', @extschema@._key_list(s),
                            @extschema@._relation(s, 'noted'), source) END
$noted$;
COMMENT ON FUNCTION _noted_of(segmentation_settings, text, text[]) IS
    'Part of segmentations: the SELECT of the customers noted of a source; NULL where all of its rows are read.';

-- The SELECT of the customers whom the refresh that is running evaluates, or of those of them whose rows changed.
CREATE FUNCTION _noted(s segmentation_settings, rows_changed boolean) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $noted$
    SELECT format('(SELECT %s FROM %s WHERE %s)', @extschema@._key_list(s), @extschema@._relation(s, 'noted'),
                  CASE WHEN rows_changed THEN 'taken' ELSE 'taken IS NOT NULL' END)
$noted$;
COMMENT ON FUNCTION _noted(segmentation_settings, boolean) IS
    'Part of segmentations: the SELECT of the customers noted.';

-- Whether rows of noted customers came after their notes were taken and before their rows were read, and are of earlier
-- days than all that is noted. Their own notes wait for the next refresh.
CREATE FUNCTION _earlier_rows_came(s segmentation_settings) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $came$
DECLARE
    came boolean;
BEGIN
    EXECUTE format(
$sql$SELECT count(*) > 0
FROM %1$s AS n
LEFT JOIN (
    SELECT DISTINCT changed_source, %4$s FROM %1$s WHERE taken
) AS t ON t.changed_source = n.changed_source AND %3$s
WHERE n.taken IS NULL AND (
    n.%2$I IS NULL
    OR t.changed_source IS NOT NULL AND n.changed_from < (SELECT min(changed_from) FROM %1$s WHERE taken))$sql$,
        @extschema@._relation(s, 'noted'), (@extschema@._keys(s))[1], @extschema@._same_key(s, 'n', 't'),
        @extschema@._key_list(s)) INTO came;
    RETURN came;
END
$came$;
COMMENT ON FUNCTION _earlier_rows_came(segmentation_settings) IS
    'Part of segmentations: whether a refresh read rows of days before those that are noted.';
