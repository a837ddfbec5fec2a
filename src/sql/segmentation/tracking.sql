-- segmentation: tracking

-- track => 'trigger': triggers on the orders note the customers touched, and do nothing else. Writers never wait for a refresh:
-- the notes have no unique index. A note without a key says: everybody.

-- The orders' table with its partitions and children.
CREATE FUNCTION _order_tables(s jsonb) RETURNS regclass[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $tables$
    WITH RECURSIVE tree AS (
        SELECT @extschema@._source_table(s, 'orders')::oid AS relation
        UNION
        SELECT i.inhrelid FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.relation
    )
    SELECT array_agg(t.relation::regclass ORDER BY t.relation) FROM tree AS t
$tables$;
COMMENT ON FUNCTION _order_tables(jsonb) IS 'Part of segmentations: the table of orders with its partitions.';

-- The notes' table. Of base types: a domain may have a default, or allow no NULL, and a note without a key has to be one.
CREATE FUNCTION _create_notes(s jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $notes$
DECLARE
    noted text := @extschema@._relation(s, 'noted');
    histories text := @extschema@._relation(s, 'histories');
    keys text;
BEGIN
    WITH RECURSIVE base AS (
        SELECT a.attname, a.attnum, a.atttypid AS type FROM pg_attribute AS a
        WHERE a.attrelid = histories::regclass AND a.attname = ANY (@extschema@._keys(s))
        UNION ALL
        SELECT b.attname, b.attnum, t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype = 'd'
    )
    SELECT string_agg(format('%1$I::%2$s AS %1$I', b.attname, format_type(b.type, -1)), ', ' ORDER BY b.attnum) INTO keys
    FROM base AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype <> 'd';
    EXECUTE format('CREATE TABLE %s AS SELECT %s FROM %s WHERE false', noted, keys, histories);
    -- It has no key: without this a publication of all tables would let nobody take notes.
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', noted);
    EXECUTE format('COMMENT ON TABLE %s IS %L', noted, 'Customers whose orders changed since the last refresh; a row without a key: all of them.');
END
$notes$;
COMMENT ON FUNCTION _create_notes(jsonb) IS 'Part of segmentations: makes the table of customers whose orders changed.';

-- The trigger function. It runs with its owner's rights, because the shop's application needs none on our tables, and holds
-- nothing but fixed SQL. It looks whether the key columns are still what they were before it touches them: an application
-- must not fail because a column was renamed. The next refresh then finds everybody noted, and says what is missing. Nor must it
-- fail because the schema of the notes was renamed: then nobody is noted, and the next refresh sees it by _notes_go_to.
CREATE FUNCTION _noter_body(s jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $noter$
DECLARE
    noted text := @extschema@._relation(s, 'noted');
    keys text := @extschema@._key_list(s);
    present text := (
        SELECT format('(SELECT count(*) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = TG_RELID AND (a.attname, a.atttypid) IN (%s)) = %s',
                      string_agg(format('(%L, pg_catalog.to_regtype(%L)::pg_catalog.oid)', a.attname, format_type(a.atttypid, NULL)), ', '), count(*))
        FROM pg_attribute AS a
        WHERE a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = ANY (@extschema@._keys(s)));
    complete text := (SELECT string_agg(format('%I IS NOT NULL', k.name), ' AND ') FROM unnest(@extschema@._keys(s)) AS k (name));
BEGIN
    RETURN format(
$body$
BEGIN
    IF pg_catalog.to_regclass(%5$L) IS NULL THEN
        RAISE WARNING '%% is not there: changes of %% are not noted until the next refresh_segmentation', %5$L, TG_RELID::pg_catalog.regclass;
    ELSIF TG_OP = 'TRUNCATE' OR NOT %1$s THEN
        INSERT INTO %2$s DEFAULT VALUES;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO %2$s (%3$s) SELECT DISTINCT %3$s FROM new_orders WHERE %4$s;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO %2$s (%3$s) SELECT DISTINCT %3$s FROM old_orders WHERE %4$s;
    ELSE
        INSERT INTO %2$s (%3$s)
        SELECT %3$s FROM old_orders WHERE %4$s UNION SELECT %3$s FROM new_orders WHERE %4$s;
    END IF;
    RETURN NULL;
END
$body$, present, noted, keys, complete, noted);
END
$noter$;
COMMENT ON FUNCTION _noter_body(jsonb) IS 'Part of segmentations: what the trigger function does.';

CREATE FUNCTION _create_noter(s jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $noter$
BEGIN
    EXECUTE format(
$sql$CREATE FUNCTION %1$s() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS %2$L$sql$,
        @extschema@._relation(s, 'note_orders'), @extschema@._noter_body(s));
    EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM PUBLIC', @extschema@._relation(s, 'note_orders'));
    EXECUTE format('COMMENT ON FUNCTION %s() IS %L', @extschema@._relation(s, 'note_orders'),
                   format('Notes the customers whose orders change, for segmentation %s of pg_rfm.', s ->> 'name'));
END
$noter$;
COMMENT ON FUNCTION _create_noter(jsonb) IS 'Part of segmentations: makes the trigger function that notes the customers touched.';

-- The triggers that the orders and their partitions must have, and which of them see what is written. One that was dropped or
-- disabled does not: until it is back every refresh reads all orders.
CREATE FUNCTION _order_triggers(s jsonb) RETURNS TABLE (relation regclass, name text, event text, transition text, is_there boolean, sees boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $triggers$
    SELECT t.relation, n.name, e.event, e.transition, g.oid IS NOT NULL, coalesce(g.tgenabled IN ('O', 'A'), false)
    FROM unnest(@extschema@._order_tables(s)) AS t (relation)
    CROSS JOIN (VALUES ('INSERT', ' REFERENCING NEW TABLE AS new_orders'),
                       ('UPDATE', ' REFERENCING OLD TABLE AS old_orders NEW TABLE AS new_orders'),
                       ('DELETE', ' REFERENCING OLD TABLE AS old_orders'),
                       ('TRUNCATE', '')) AS e (event, transition)
    CROSS JOIN LATERAL (SELECT concat_ws('_', 'pg_rfm', s ->> 'name', lower(e.event))) AS n (name)
    LEFT JOIN pg_trigger AS g ON g.tgrelid = t.relation AND g.tgname = n.name
        AND g.tgfoid = to_regprocedure(@extschema@._relation(s, 'note_orders') || '()')
$triggers$;
COMMENT ON FUNCTION _order_triggers(jsonb) IS 'Part of segmentations: the triggers that note changes, and which of them are there and see.';

-- Whether the trigger function writes to our notes: its SQL names them, and their schema may have been renamed since.
CREATE FUNCTION _notes_go_to(s jsonb, noted text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $go_to$
    SELECT coalesce((SELECT position('INSERT INTO ' || noted || ' ' IN f.prosrc) > 0
                     FROM pg_proc AS f WHERE f.oid = to_regprocedure(@extschema@._relation(s, 'note_orders') || '()')), false)
$go_to$;
COMMENT ON FUNCTION _notes_go_to(jsonb, text) IS 'Part of segmentations: whether the trigger function writes to that table.';

-- Whether the triggers and notes there are do for these settings: to take them off and put them on again locks the orders.
CREATE FUNCTION _tracked_alike(s jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $alike$
    SELECT s ->> 'track' = 'trigger' AND to_regclass(@extschema@._relation(s, 'noted')) IS NOT NULL AND EXISTS (
        SELECT FROM pg_proc AS f
        WHERE f.oid = to_regprocedure(@extschema@._relation(s, 'note_orders') || '()') AND f.prosrc = @extschema@._noter_body(s)
            AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgfoid = f.oid AND g.tgrelid <> ALL (@extschema@._order_tables(s)::oid[])))
$alike$;
COMMENT ON FUNCTION _tracked_alike(jsonb) IS 'Part of segmentations: whether the triggers and notes there are do for these settings.';

-- Puts the triggers where they are missing. What was written before they are committed is not noted, so that everybody is:
-- the next refresh reads all orders once. The triggers come last because their lock keeps writers out until the commit.
CREATE FUNCTION _track(s jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $track$
DECLARE
    missing record;
    is_new boolean := false;
    changed bigint;
BEGIN
    IF NOT @extschema@._notes_go_to(s, @extschema@._relation(s, 'noted')) THEN
        EXECUTE format('DROP FUNCTION IF EXISTS %s() CASCADE', @extschema@._relation(s, 'note_orders'));
        PERFORM @extschema@._create_noter(s);
    END IF;
    FOR missing IN SELECT * FROM @extschema@._order_triggers(s) AS t WHERE NOT t.is_there LOOP
        is_new := true;
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s%s FOR EACH STATEMENT EXECUTE FUNCTION %s()', missing.name, missing.event,
                       missing.relation, missing.transition, @extschema@._relation(s, 'note_orders'));
    END LOOP;
    EXECUTE format('UPDATE %s SET order_tables = $1 WHERE order_tables IS DISTINCT FROM $1', @extschema@._relation(s, 'status'))
        USING @extschema@._order_tables(s)::oid[]; -- not regclass: a dump without the orders could not be restored
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF is_new OR changed > 0 THEN
        EXECUTE format('INSERT INTO %s DEFAULT VALUES', @extschema@._relation(s, 'noted'));
    END IF;
END
$track$;
COMMENT ON FUNCTION _track(jsonb) IS 'Part of segmentations: puts the triggers on the orders where they are missing.';

-- Takes all notes. Returns a temporary table of the customers to compute again, or NULL: everybody.
CREATE FUNCTION _take_notes(s jsonb, rebuild boolean) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $take$
DECLARE
    touched text := format('pg_temp.%I', 'pg_rfm_' || (s ->> 'name'));
    noted text := @extschema@._relation(s, 'noted');
    keys text := @extschema@._key_list(s);
    everybody boolean;
BEGIN
    EXECUTE format('CREATE TEMPORARY TABLE %s (LIKE %s)', touched, noted);
    EXECUTE format('WITH taken AS (DELETE FROM %s RETURNING %s) INSERT INTO %s SELECT DISTINCT %2$s FROM taken', noted, keys, touched);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NULL)', touched, (@extschema@._keys(s))[1]) INTO everybody;
    EXECUTE format('SELECT $1 OR $2 OR order_tables IS DISTINCT FROM $3 FROM %s', @extschema@._relation(s, 'status'))
        INTO everybody USING rebuild, everybody OR NOT @extschema@._notes_go_to(s, noted), @extschema@._order_tables(s)::oid[];
    IF everybody OR EXISTS (SELECT FROM @extschema@._order_triggers(s) AS t WHERE NOT t.sees) THEN
        EXECUTE 'DROP TABLE ' || touched;
        RETURN NULL;
    END IF;
    EXECUTE 'ANALYZE ' || touched;
    RETURN touched;
END
$take$;
COMMENT ON FUNCTION _take_notes(jsonb, boolean) IS 'Part of segmentations: takes the notes, and says which customers to compute again.';
