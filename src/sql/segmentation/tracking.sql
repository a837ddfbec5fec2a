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
    -- taken: whether the refresh that is running works it off.
    EXECUTE format('CREATE TABLE %s AS SELECT %s, NULL::boolean AS taken FROM %s WHERE false', noted, keys, histories);
    -- It has no key: without this a publication of all tables would let nobody take notes.
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', noted);
    EXECUTE format('COMMENT ON TABLE %s IS %L', noted, 'Customers whose orders changed since the last refresh; a row without a key: all of them.');
END
$notes$;
COMMENT ON FUNCTION _create_notes(jsonb) IS 'Part of segmentations: makes the table of customers whose orders changed.';

-- The trigger function. It runs with its owner's rights, because the shop's application needs none on our tables, and holds
-- nothing but fixed SQL. It knows the notes by their oid and writes them by a function that checks them after it has locked them:
-- whoever owns the schema could put a table of hers in the place of the name. It looks whether the key columns are still what
-- they were before it touches them. An application must not fail because a column was renamed or a table dropped: then everybody
-- or nobody is noted, and the next refresh reads all orders.
CREATE FUNCTION _noter_body(s jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $noter$
DECLARE
    notes text := format('%L::pg_catalog.oid', to_regclass(@extschema@._relation(s, 'noted'))::oid);
    owner text := format('%L::pg_catalog.oid', quote_ident(current_user)::regrole::oid);
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
    IF pg_catalog.to_regprocedure('@extschema@._hold_notes(oid, oid)') IS NULL THEN
        RAISE WARNING 'pg_rfm is not there: changes of %% are not noted', TG_RELID::pg_catalog.regclass;
    ELSIF NOT @extschema@._hold_notes(%2$s, %6$s) THEN
        RAISE WARNING '%%: the notes are not there, or not of its owner: changes of %% are not noted until the next refresh_segmentation',
            %5$L, TG_RELID::pg_catalog.regclass;
    ELSIF TG_OP = 'TRUNCATE' OR TG_NARGS > 0 OR NOT %1$s THEN
        PERFORM @extschema@._note(%2$s);
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM @extschema@._note(%2$s, %3$s) FROM (SELECT DISTINCT %3$s FROM new_orders WHERE %4$s) AS n;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM @extschema@._note(%2$s, %3$s) FROM (SELECT DISTINCT %3$s FROM old_orders WHERE %4$s) AS n;
    ELSE
        PERFORM @extschema@._note(%2$s, %3$s)
        FROM (SELECT %3$s FROM old_orders WHERE %4$s UNION SELECT %3$s FROM new_orders WHERE %4$s) AS n;
    END IF;
    RETURN NULL;
END
$body$, present, notes, keys, complete, s ->> 'name', owner);
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

-- Before these releases a trigger with transition tables keeps a table from becoming a partition or child, even a trigger of statements.
CREATE FUNCTION _transition_tables_hinder_attaching() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $hinder$
    SELECT EXISTS (SELECT FROM (VALUES (130000, 130022), (140000, 140019), (150000, 150014), (160000, 160010), (170000, 170006)) AS m (major, mended)
                   WHERE current_setting('server_version_num')::integer BETWEEN m.major AND m.mended - 1)
$hinder$;
COMMENT ON FUNCTION _transition_tables_hinder_attaching() IS
    'Part of segmentations: whether this server refuses to attach a table that has a trigger with transition tables.';

-- The tables of orders of which some writes fire no trigger of ours: those that a logical subscription fills, and those that
-- somebody writes to through a parent that is not tracked.
CREATE FUNCTION _unseen_writes(s jsonb) RETURNS TABLE (relation regclass, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $unseen$
    SELECT t.relation, w.reason
    FROM (SELECT @extschema@._order_tables(s) AS relations) AS o
    CROSS JOIN LATERAL unnest(o.relations) AS t (relation)
    CROSS JOIN LATERAL (
        SELECT 'a logical subscription fills it, which fires no triggers of statements' AS reason
        WHERE EXISTS (SELECT FROM pg_subscription_rel AS r WHERE r.srrelid = t.relation)
        UNION ALL
        SELECT format('what is written through %s fires no triggers of its children', i.inhparent::regclass)
        FROM pg_inherits AS i WHERE i.inhrelid = t.relation AND i.inhparent <> ALL (o.relations::oid[])
    ) AS w
$unseen$;
COMMENT ON FUNCTION _unseen_writes(jsonb) IS 'Part of segmentations: tables of orders of which triggers do not see every write.';

-- What a superuser's trigger function runs is, in the end, what the owners of the orders and of their key's type want to be run.
CREATE FUNCTION _refuse_tracking_for_superuser(s jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $superuser$
DECLARE
    others text := (
        SELECT string_agg(DISTINCT b.name, ', ')
        FROM (
            SELECT 'schema ' || quote_ident(s ->> 'schema'), @extschema@._schema_owner(s ->> 'schema')
            UNION ALL
            SELECT c.oid::regclass::text, c.relowner FROM pg_class AS c WHERE c.oid = ANY (@extschema@._order_tables(s)::oid[])
            UNION ALL
            SELECT c.oid::regclass::text, c.relowner
            FROM unnest('{engagement,contacts,customers}'::text[]) AS source
            JOIN pg_class AS c ON c.oid = @extschema@._source_table(s, source)
            WHERE s ? source
            UNION ALL
            SELECT 'type ' || format_type(t.oid, NULL), t.typowner
            FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
            WHERE a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = ANY (@extschema@._keys(s))
        ) AS b (name, owner)
        WHERE NOT (SELECT r.rolsuper FROM pg_roles AS r WHERE r.oid = b.owner));
BEGIN
    IF others IS NOT NULL AND (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'a superuser cannot track what belongs to others: %', others
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'The triggers would run with a superuser''s rights. SET ROLE to a role that may read the orders and put triggers on them, or use track => ''none''.';
    END IF;
END
$superuser$;
COMMENT ON FUNCTION _refuse_tracking_for_superuser(jsonb) IS 'Part of segmentations: an error where a superuser would track the orders of others.';

-- The triggers that the orders and their partitions must have, and which of them see what is written. One that was dropped or
-- disabled does not: until it is back every refresh reads all orders. Where a transition table would keep a partition from being
-- attached again, the partition's own triggers have none, and note everybody; what is written through the parent is noted by key.
CREATE FUNCTION _order_triggers(s jsonb) RETURNS TABLE (relation regclass, name text, event text, transition text, argument text, is_there boolean, sees boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $triggers$
    SELECT t.relation, n.name, e.event, CASE WHEN NOT k.is_plain THEN e.transition ELSE '' END, CASE WHEN k.is_plain THEN quote_literal('everybody') ELSE '' END,
           g.oid IS NOT NULL, coalesce(g.tgenabled IN ('O', 'A'), false)
    FROM unnest(@extschema@._order_tables(s)) AS t (relation)
    CROSS JOIN LATERAL (
        SELECT @extschema@._transition_tables_hinder_attaching() AND t.relation <> @extschema@._source_table(s, 'orders') AS is_plain
    ) AS k
    CROSS JOIN (VALUES ('INSERT', ' REFERENCING NEW TABLE AS new_orders'),
                       ('UPDATE', ' REFERENCING OLD TABLE AS old_orders NEW TABLE AS new_orders'),
                       ('DELETE', ' REFERENCING OLD TABLE AS old_orders'),
                       ('TRUNCATE', '')) AS e (event, transition)
    CROSS JOIN LATERAL (SELECT concat_ws('_', 'pg_rfm', s ->> 'name', lower(e.event))) AS n (name)
    LEFT JOIN pg_trigger AS g ON g.tgrelid = t.relation AND g.tgname = n.name
        AND g.tgfoid = to_regprocedure(@extschema@._relation(s, 'note_orders') || '()')
$triggers$;
COMMENT ON FUNCTION _order_triggers(jsonb) IS 'Part of segmentations: the triggers that note changes, and which of them are there and see.';

-- Whether the trigger function does what it must: it names the notes and their owner by oid, which are others after a restore or
-- where the segmentation was given to another role. Until both agreed again nothing was noted.
CREATE FUNCTION _noter_is_current(s jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $current$
    SELECT EXISTS (SELECT FROM pg_proc AS f WHERE f.oid = to_regprocedure(@extschema@._relation(s, 'note_orders') || '()')
                                                  AND f.prosrc = @extschema@._noter_body(s))
$current$;
COMMENT ON FUNCTION _noter_is_current(jsonb) IS 'Part of segmentations: whether the trigger function does what it must.';

-- Whether the triggers and notes there are do for these settings: to take them off and put them on again locks the orders.
CREATE FUNCTION _tracked_alike(s jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $alike$
    SELECT s ->> 'track' = 'trigger' AND to_regclass(@extschema@._relation(s, 'noted')) IS NOT NULL AND @extschema@._noter_is_current(s)
        AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgfoid = to_regprocedure(@extschema@._relation(s, 'note_orders') || '()')
                                                          AND g.tgrelid <> ALL (@extschema@._order_tables(s)::oid[]))
$alike$;
COMMENT ON FUNCTION _tracked_alike(jsonb) IS 'Part of segmentations: whether the triggers and notes there are do for these settings.';

-- Puts the triggers where they are missing. What was written before they are committed is not noted, so that everybody is:
-- the next refresh reads all orders once. The triggers come last because their lock keeps writers out until the commit.
CREATE FUNCTION _track(s jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $track$
DECLARE
    missing record;
    unseen record;
    is_new boolean := false;
    changed bigint;
BEGIN
    FOR unseen IN SELECT * FROM @extschema@._unseen_writes(s) LOOP
        RAISE NOTICE '%: % cannot be tracked: %; every refresh reads all orders', s ->> 'name', unseen.relation, unseen.reason;
    END LOOP;
    IF NOT @extschema@._noter_is_current(s) THEN
        EXECUTE format('DROP FUNCTION IF EXISTS %s() CASCADE', @extschema@._relation(s, 'note_orders'));
        PERFORM @extschema@._create_noter(s);
    END IF;
    FOR missing IN SELECT * FROM @extschema@._order_triggers(s) AS t WHERE NOT t.is_there LOOP
        is_new := true;
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s%s FOR EACH STATEMENT EXECUTE FUNCTION %s(%s)', missing.name, missing.event,
                       missing.relation, missing.transition, @extschema@._relation(s, 'note_orders'), missing.argument);
    END LOOP;
    EXECUTE format('UPDATE %s SET order_tables = $1 WHERE order_tables IS DISTINCT FROM $1', @extschema@._hold(s, 'status', 'ROW EXCLUSIVE MODE'))
        USING @extschema@._order_tables(s)::oid[]; -- not regclass: a dump without the orders could not be restored
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF is_new OR changed > 0 THEN
        EXECUTE format('INSERT INTO %s DEFAULT VALUES', @extschema@._hold(s, 'noted', 'ROW EXCLUSIVE MODE'));
    END IF;
END
$track$;
COMMENT ON FUNCTION _track(jsonb) IS 'Part of segmentations: puts the triggers on the orders where they are missing.';

-- Takes all notes. Returns the SELECT of the customers to compute again, or NULL: everybody. Notes are marked first and deleted when
-- they were worked off, so that those that come meanwhile stay.
CREATE FUNCTION _take_notes(s jsonb, rebuild boolean) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $take$
DECLARE
    noted text;
    everybody boolean;
BEGIN
    IF to_regclass(@extschema@._relation(s, 'noted')) IS NULL THEN
        PERFORM @extschema@._create_notes(s); -- somebody dropped them
        PERFORM @extschema@._comment_columns(s);
        RETURN NULL;
    END IF;
    noted := @extschema@._hold(s, 'noted', 'ROW EXCLUSIVE MODE');
    EXECUTE format('UPDATE %s SET taken = true', noted);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE taken AND %I IS NULL)', noted, (@extschema@._keys(s))[1]) INTO everybody;
    EXECUTE format('SELECT $1 OR order_tables IS DISTINCT FROM $2 FROM %s', @extschema@._hold(s, 'status', 'ACCESS SHARE MODE'))
        INTO everybody USING rebuild OR everybody OR NOT @extschema@._noter_is_current(s)
            OR NOT @extschema@._hold_notes(to_regclass(noted)::oid, quote_ident(current_user)::regrole::oid), @extschema@._order_tables(s)::oid[];
    IF everybody OR EXISTS (SELECT FROM @extschema@._order_triggers(s) AS t WHERE NOT t.sees)
        OR EXISTS (SELECT FROM @extschema@._unseen_writes(s)) THEN
        RETURN NULL;
    END IF;
    EXECUTE 'ANALYZE ' || noted;
    RETURN format('(SELECT %s FROM %s WHERE taken)', @extschema@._key_list(s), noted);
END
$take$;
COMMENT ON FUNCTION _take_notes(jsonb, boolean) IS 'Part of segmentations: takes the notes, and says which customers to compute again.';
