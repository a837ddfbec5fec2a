-- segmentation: notes on shards

-- Where the tables by customer are distributed, so are the notes: a shard of them lies beside each shard of the orders
-- and is moved with it, and a trigger on a shard of the shop's writes to the one beside it, on its own server and in its
-- writer's transaction. Citus puts triggers on shards only where citus.enable_unsafe_triggers is on, and none that are
-- for TRUNCATE.

CREATE FUNCTION _notes_are_on_shards(s segmentation_settings) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $on_shards$
BEGIN
    RETURN s.track = 'trigger' AND @extschema@._is_distributed(s) AND @extschema@._distribution_column(s) IS NOT NULL;
END
$on_shards$;
COMMENT ON FUNCTION _notes_are_on_shards(segmentation_settings) IS
    'Part of segmentations: whether the notes of one lie on shards, or will.';

CREATE FUNCTION _has_notes_on_shards(s segmentation_settings) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $has$
    SELECT @extschema@._distributed_tables(ARRAY[to_regclass(@extschema@._relation(s, 'noted'))]) <> '{}'
$has$;
COMMENT ON FUNCTION _has_notes_on_shards(segmentation_settings) IS
    'Part of segmentations: whether there are notes of one on shards.';

CREATE FUNCTION _triggers_on_shards_are_allowed() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $allowed$ SELECT coalesce(current_setting('citus.enable_unsafe_triggers', true)::boolean, false) $allowed$;
COMMENT ON FUNCTION _triggers_on_shards_are_allowed() IS
    'Part of segmentations: whether Citus puts triggers on shards in this session.';

-- Whether this transaction has put triggers on shards. Citus works by several connections, and only one of them knows the
-- notes before it commits: until then writes are not noted, and each refresh reads all rows.
CREATE FUNCTION _triggers_of_shards_are_new() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $new$ SELECT coalesce(current_setting('pg_rfm.triggers_of_shards', true) = 'new', false) $new$;
COMMENT ON FUNCTION _triggers_of_shards_are_new() IS
    'Part of segmentations: whether this transaction has put triggers on shards.';

-- Before anything is read. Where triggers are missing at a refresh they are not put back, and a NOTICE says so.
CREATE FUNCTION _refuse_tracking_shards(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $shards$
DECLARE
    distributed regclass[] := @extschema@._distributed_tables(
        ARRAY(SELECT t.relation FROM @extschema@._source_tables(s) AS t WHERE t.source = 'orders'));
BEGIN
    IF distributed = '{}' THEN
        RETURN;
    ELSIF @extschema@._distribution_column(s) IS NULL THEN
        RAISE EXCEPTION '% is distributed by Citus, and the notes of its changes cannot lie beside it', distributed[1]
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'It takes orders that are distributed by a part of the customer''s key, and every other source '
                      'of customers beside them. Or use track => ''none'': each refresh reads all orders.';
    ELSIF NOT @extschema@._triggers_on_shards_are_allowed()
        AND (NOT @extschema@._trigger_function_is_current(s)
             OR EXISTS (SELECT FROM @extschema@._triggers(s) AS t WHERE NOT t.is_there)) THEN
        RAISE EXCEPTION '% is distributed by Citus, which puts no triggers on shards: '
            'citus.enable_unsafe_triggers is off', distributed[1]
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'SET citus.enable_unsafe_triggers = on; for the role that refreshes too: ALTER ROLE ... SET. '
                      'Or use track => ''none'': each refresh reads all orders.';
    END IF;
END
$shards$;
COMMENT ON FUNCTION _refuse_tracking_shards(segmentation_settings) IS
    'Part of segmentations: an error where the orders to be tracked are distributed and cannot have triggers.';

-- The shard of a distributed table with this number, where it lies on this server. Whoever is connected to a worker sees
-- no shards in pg_class: Citus hides them. By their names they are found.
CREATE FUNCTION _shard(distributed regclass, number bigint) RETURNS regclass
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $shard$
BEGIN
    RETURN (
        SELECT to_regclass(format('%s.%I', t.relnamespace::regnamespace, n.parts[cardinality(n.parts)]))
        FROM pg_class AS t
        CROSS JOIN LATERAL parse_ident(pg_catalog.shard_name(distributed, number)) AS n (parts)
        WHERE t.oid = distributed);
END
$shard$;
COMMENT ON FUNCTION _shard(regclass, bigint) IS
    'Part of segmentations: a shard of a distributed table on this server; NULL: it lies on another one.';

-- The notes of a segmentation that lie beside a shard of one of its sources, which the triggers write to; NULL where they
-- are not there, or this is no such shard. All are named and not known by their oids, which are others on each server:
-- who writes the notes checks whose they are. That the shard is looked up keeps out tables of others: on workers
-- everybody may execute the function of a trigger, because Citus repeats no REVOKE there.
CREATE FUNCTION _notes_beside(shard oid, notes text, sources text[]) RETURNS oid
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $beside$
BEGIN
    IF @extschema@._citus_catalog('pg_dist_shard'::text) IS NULL THEN
        RETURN NULL; -- a dump of the coordinator was restored
    END IF;
    RETURN (
        SELECT @extschema@._shard(n.logicalrelid, n.shardid)
        FROM pg_catalog.pg_dist_shard AS d
        JOIN pg_catalog.pg_dist_shard AS n ON n.shardminvalue = d.shardminvalue AND n.logicalrelid = to_regclass(notes)
        WHERE d.shardid = substring(shard::regclass::text FROM '_(\d{1,18})"?$')::bigint
            AND @extschema@._shard(d.logicalrelid, d.shardid) = shard
            AND EXISTS (SELECT FROM unnest(sources) AS o (name)
                        WHERE to_regclass(o.name) = d.logicalrelid
                            OR to_regclass(o.name) IN (SELECT pg_partition_ancestors(d.logicalrelid))));
END
$beside$;
COMMENT ON FUNCTION _notes_beside(oid, text, text[]) IS
    'Part of segmentations: the shard of the notes that lies beside a shard of the shop''s.';

CREATE FUNCTION _roots_of_sources(s segmentation_settings) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $roots$
    SELECT array_agg(DISTINCT @extschema@._source_table(s, t.source)::text)
    FROM unnest(@extschema@._sources_of_customers(s)) AS t (source)
$roots$;
COMMENT ON FUNCTION _roots_of_sources(segmentation_settings) IS
    'Part of segmentations: the shop''s tables whose rows are of customers, without their partitions.';

-- The files of the shop's tables on all servers. TRUNCATE gives the table another one on the server where it is called:
-- this says so without a trigger, and to whoever restores, rewrites or adds a server it costs one refresh of all rows.
CREATE FUNCTION _files_of_tables(s segmentation_settings) RETURNS oid[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $files$
BEGIN
    RETURN (
        SELECT string_to_array(string_agg(a.answer, ',' ORDER BY a.server), ',')::oid[]
        FROM @extschema@._ask_servers(format(
            'SELECT string_agg(coalesce(c.relfilenode, 0)::text, '','' ORDER BY t.place) '
            'FROM unnest(%L::text[]) WITH ORDINALITY AS t (name, place) '
            'LEFT JOIN pg_catalog.pg_class AS c ON c.oid = to_regclass(t.name)',
            ARRAY(SELECT DISTINCT t.relation::text FROM @extschema@._source_tables(s) AS t ORDER BY 1))) AS a);
END
$files$;
COMMENT ON FUNCTION _files_of_tables(segmentation_settings) IS
    'Part of segmentations: the files of distributed tables on all servers, which TRUNCATE changes.';

-- Whether every shard has the triggers, as Citus gives them to one that it moves or makes, and notes beside it, and the
-- function that they call is that of the coordinator.
CREATE FUNCTION _shards_have_triggers(s segmentation_settings) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $have$
DECLARE
    tables text[] := ARRAY(SELECT DISTINCT t.relation::text FROM @extschema@._triggers(s) AS t);
    bare bigint;
BEGIN
    SELECT sum(a.answer::bigint) INTO bare FROM @extschema@._ask_servers(format(
$sql$WITH shards AS MATERIALIZED ( -- shards of others are not looked for
    SELECT @extschema@._shard(d.logicalrelid, d.shardid) AS shard
    FROM unnest(%L::text[]) AS t (name)
    JOIN pg_catalog.pg_dist_shard AS d ON d.logicalrelid = to_regclass(t.name)
    JOIN pg_catalog.pg_dist_placement AS p ON p.shardid = d.shardid
    JOIN pg_catalog.pg_dist_local_group AS g ON g.groupid = p.groupid
)
SELECT count(*)
FROM shards AS s
WHERE (SELECT count(*) FROM pg_catalog.pg_trigger AS g JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid
       WHERE g.tgrelid = s.shard AND g.tgfoid = to_regprocedure(%L) AND g.tgenabled IN ('O', 'A')
           AND md5(f.prosrc) = %L) < 3
    OR @extschema@._notes_beside(s.shard, %L, %L) IS NULL$sql$,
        tables, @extschema@._trigger_function(s), md5(@extschema@._trigger_function_body(s)),
        @extschema@._relation(s, 'noted'), @extschema@._roots_of_sources(s))) AS a;
    RETURN bare = 0;
END
$have$;
COMMENT ON FUNCTION _shards_have_triggers(segmentation_settings) IS
    'Part of segmentations: whether all shards of the shop''s tables have the triggers that note changes.';

-- The first step of a refresh: takes off triggers that do not do what they must. Citus drops a function only before
-- anything else is asked of the shards, and asks one by one from then on. _keep_tracking makes it anew.
CREATE FUNCTION _drop_wrong_triggers_of_shards(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $wrong$
BEGIN
    IF @extschema@._triggers_of_shards_are_new() THEN
        RETURN;
    END IF;
    IF NOT (@extschema@._trigger_function_is_current(s) AND @extschema@._shards_have_triggers(s))
        OR EXISTS (SELECT FROM @extschema@._triggers(s) AS t WHERE t.is_there AND NOT t.fits) THEN
        PERFORM @extschema@._drop_trigger_function(s);
    END IF;
END
$wrong$;
COMMENT ON FUNCTION _drop_wrong_triggers_of_shards(segmentation_settings) IS
    'Part of segmentations: takes triggers off shards that do not do what they must.';
