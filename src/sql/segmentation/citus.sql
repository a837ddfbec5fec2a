-- segmentation: tables that Citus distributes over servers

-- What Citus knows of its tables and schemas stands in tables of its own, found as what belongs to the extension: a
-- table of this name may be anybody's.
CREATE FUNCTION _citus_catalog(name text) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $catalog$
BEGIN
    RETURN (
        SELECT c.oid::regclass
        FROM pg_extension AS e
        JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
            AND d.classid = 'pg_class'::regclass
        JOIN pg_class AS c ON c.oid = d.objid AND c.relname = _citus_catalog.name
        WHERE e.extname = 'citus');
END
$catalog$;
COMMENT ON FUNCTION _citus_catalog(text) IS
    'Part of segmentations: a table in which Citus says what it distributes; NULL where there is none.';

-- Those of these tables whose rows, or a copy of them, lie in shards: distributed, reference and single-shard tables.
-- A table that Citus only knows is like any other.
CREATE FUNCTION _distributed_tables(relations regclass[]) RETURNS regclass[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $distributed$
DECLARE
    distributed regclass[];
BEGIN
    IF @extschema@._citus_catalog('pg_dist_partition'::text) IS NOT NULL THEN
        EXECUTE format('SELECT array_agg(p.logicalrelid ORDER BY p.logicalrelid) FROM %s AS p',
                       @extschema@._citus_catalog('pg_dist_partition'::text))
            || ' WHERE p.logicalrelid = ANY ($1)'
               ' AND NOT (p.partmethod = ''n'' AND p.repmodel <> ''t'' AND p.colocationid = 0)'
            INTO distributed USING relations;
    END IF;
    RETURN coalesce(distributed, '{}');
END
$distributed$;
COMMENT ON FUNCTION _distributed_tables(regclass[]) IS
    'Part of segmentations: those of these tables whose rows lie on other servers of a Citus cluster.';

-- Whether such a table is read where this one is: it, one of its partitions, or what a view stands on.
CREATE FUNCTION _reads_shards(relation regclass) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $reads$
BEGIN
    IF @extschema@._citus_catalog('pg_dist_partition'::text) IS NULL THEN
        RETURN false;
    END IF;
    RETURN @extschema@._distributed_tables(ARRAY(
        WITH RECURSIVE read AS (
            SELECT _reads_shards.relation::oid AS relation
            UNION
            SELECT b.relation
            FROM read AS r
            CROSS JOIN LATERAL (
                SELECT i.inhrelid AS relation FROM pg_inherits AS i WHERE i.inhparent = r.relation
                UNION ALL
                SELECT d.refobjid
                FROM pg_class AS v
                JOIN pg_rewrite AS w ON w.ev_class = v.oid
                JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                    AND d.refclassid = 'pg_class'::regclass
                WHERE v.oid = r.relation AND v.relkind = 'v' -- what a materialized view holds lies here
            ) AS b
        )
        SELECT r.relation::regclass FROM read AS r)) <> '{}';
END
$reads$;
COMMENT ON FUNCTION _reads_shards(regclass) IS
    'Part of segmentations: whether reading this table or view reads rows of other servers of a Citus cluster.';

-- In a schema that Citus distributes as a whole every table becomes one of another server, and views over it cannot be
-- materialized.
CREATE FUNCTION _refuse_sharded_schema(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $sharded$
DECLARE
    schemas regclass := @extschema@._citus_catalog('pg_dist_schema'::text);
    is_sharded boolean := false;
BEGIN
    IF schemas IS NOT NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s AS d WHERE d.schemaid = $1)', schemas) INTO is_sharded
            USING to_regnamespace(quote_ident(s.schema))::oid;
    END IF;
    IF is_sharded THEN
        RAISE EXCEPTION 'schema % is distributed by Citus: a segmentation stays on the coordinator',
            quote_ident(s.schema)
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Name a schema that is not: schema => ''...''. The orders may lie in this one.';
    END IF;
END
$sharded$;
COMMENT ON FUNCTION _refuse_sharded_schema(segmentation_settings) IS
    'Part of segmentations: an error where its schema is one that Citus distributes.';

-- Relations and functions of a segmentation are the coordinator's alone. Citus would send functions to the workers,
-- which it refuses after it has read distributed tables, and say of each view that it cannot. Sets whether it does, for
-- the rest of the transaction, and returns what was set before; without Citus, and with NULL, nothing.
CREATE FUNCTION _propagate_ddl(setting text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $propagate$
DECLARE
    before text := current_setting('citus.enable_ddl_propagation', true);
BEGIN
    IF setting IS NOT NULL AND @extschema@._citus_catalog('pg_dist_partition'::text) IS NOT NULL THEN
        PERFORM set_config('citus.enable_ddl_propagation', setting, true);
        RETURN before;
    END IF;
    RETURN NULL;
END
$propagate$;
COMMENT ON FUNCTION _propagate_ddl(text) IS
    'Part of segmentations: whether Citus repeats on the workers what is made here, from now on and before.';

-- What this server and each worker answer to a query of one text.
CREATE FUNCTION _ask_servers(query text) RETURNS TABLE (server text, answer text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $ask$
DECLARE
    citus_schema regnamespace := (SELECT p.pronamespace FROM pg_proc AS p JOIN pg_depend AS d
                                      ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                                  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass
                                      AND d.refobjid = e.oid AND e.extname = 'citus'
                                  WHERE p.proname = 'run_command_on_workers');
    other record;
BEGIN
    server := '';
    EXECUTE query INTO answer;
    RETURN NEXT;
    FOR other IN EXECUTE format('SELECT w.* FROM %s.run_command_on_workers($1) AS w ORDER BY w.nodename, w.nodeport',
                                citus_schema) USING query LOOP
        IF NOT other.success THEN
            RAISE EXCEPTION 'worker %:% does not answer: %', other.nodename, other.nodeport, other.result
                USING ERRCODE = 'connection_failure', HINT = 'Try again when it does. Nothing was changed.';
        END IF;
        server := format('%s:%s', other.nodename, other.nodeport);
        answer := other.result;
        RETURN NEXT;
    END LOOP;
END
$ask$;
COMMENT ON FUNCTION _ask_servers(text) IS
    'Part of segmentations: what this server and each worker answer to a query.';

-- What the servers send each other are values and states of pg_rfm, written by one version and read by another.
CREATE FUNCTION _refuse_other_versions(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $versions$
DECLARE
    own text := (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'pg_rfm');
    other record;
BEGIN
    IF @extschema@._distributed_tables(
        ARRAY(SELECT @extschema@._source_table(s, t.source) FROM @extschema@._sources(s) AS t
              WHERE t.relation IS NOT NULL)) = '{}' THEN
        RETURN;
    END IF;
    SELECT a.* INTO other FROM @extschema@._ask_servers(
        'SELECT coalesce(min(extversion), ''none'') FROM pg_catalog.pg_extension WHERE extname = ''pg_rfm''') AS a
    WHERE a.answer IS DISTINCT FROM own ORDER BY a.server LIMIT 1;
    IF other.server IS NOT NULL THEN
        RAISE EXCEPTION 'worker % has another pg_rfm than the coordinator: %, not %', other.server, other.answer, own
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Install one version on every server, then: ALTER EXTENSION pg_rfm UPDATE.';
    END IF;
END
$versions$;
COMMENT ON FUNCTION _refuse_other_versions(segmentation_settings) IS
    'Part of segmentations: an error where a server that holds a part of the tables has another version of pg_rfm.';
