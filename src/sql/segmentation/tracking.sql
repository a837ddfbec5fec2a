-- segmentation: tracking

-- track => 'trigger': triggers on the orders note the customers touched, and do nothing else. Writers never wait for a
-- refresh: the notes have no unique index. A note without a key says: everybody.

-- The orders' table with its partitions and children.
CREATE FUNCTION _order_tables(s segmentation_settings) RETURNS regclass[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $tables$
    WITH RECURSIVE tree AS (
        SELECT @extschema@._source_table(s, 'orders')::oid AS relation
        UNION
        SELECT i.inhrelid FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.relation
    )
    SELECT array_agg(t.relation::regclass ORDER BY t.relation) FROM tree AS t
$tables$;
COMMENT ON FUNCTION _order_tables(segmentation_settings) IS
    'Part of segmentations: the table of orders with its partitions.';

-- The table of notes. Its key columns are of base types: a domain may have a default or refuse NULL, and a note without
-- a key has to be without one.
CREATE FUNCTION _create_notes(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $notes$
DECLARE
    noted text := @extschema@._relation(s, 'noted');
    histories text := @extschema@._relation(s, 'histories');
    keys text := (
        SELECT string_agg(format('%1$I::%2$s AS %1$I', a.attname, format_type(t.base, -1)), ', ' ORDER BY a.attnum)
        FROM pg_attribute AS a
        CROSS JOIN LATERAL (SELECT @extschema@._base_type(a.atttypid) AS base) AS t
        WHERE a.attrelid = histories::regclass AND a.attname = ANY (@extschema@._keys(s)));
BEGIN
    -- taken: whether the refresh that is running reads the orders of this customer, or only evaluates her; NULL: the
    -- note waits for the next one. noted_at is the last column, which _note fills.
    EXECUTE format('CREATE TABLE %s AS SELECT %s, NULL::boolean AS taken, NULL::timestamptz AS noted_at FROM %s'
                   ' WHERE false', noted, keys, histories);
    EXECUTE format('ALTER TABLE %s ALTER noted_at SET DEFAULT now()', noted);
    -- It has no key: without this a publication of all tables would let nobody take notes.
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', noted);
END
$notes$;
COMMENT ON FUNCTION _create_notes(segmentation_settings) IS
    'Part of segmentations: makes the table of customers whose orders changed.';

-- The body of the trigger function. It runs with its owner's rights, because the shop's application needs none on the
-- tables of the segmentation, and holds nothing but fixed SQL. It knows the notes by their oid and writes them by a
-- function that checks them after it has locked them: whoever owns the schema could put a table of their own in the
-- place of the name. It looks whether the key columns are still what they were before it touches them. An application
-- must not fail because a column was renamed or a table dropped: then everybody or nobody is noted, and the next
-- refresh reads all orders.
CREATE FUNCTION _trigger_function_body(s segmentation_settings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $trigger$
DECLARE
    notes text := format('%L::pg_catalog.oid', to_regclass(@extschema@._relation(s, 'noted'))::oid);
    owner text := format('%L::pg_catalog.oid', quote_ident(current_user)::regrole::oid);
    keys text := @extschema@._key_list(s);
    has_key text := (
        SELECT string_agg(format('%I IS NOT NULL', k.name), ' AND ') FROM unnest(@extschema@._keys(s)) AS k (name));
    key_columns text := ( -- their names and types, as a list of pairs
        SELECT string_agg(
            format('(%L, pg_catalog.to_regtype(%L)::pg_catalog.oid)', a.attname, format_type(a.atttypid, NULL)), ', ')
        FROM pg_attribute AS a
        WHERE a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = ANY (@extschema@._keys(s)));
    number_of_keys integer := cardinality(@extschema@._keys(s));
    note_customers text := format('PERFORM @extschema@._note(%s, %s)', notes, keys);
    old_keys text := format('%s FROM old_orders WHERE %s', keys, has_key);
    new_keys text := format('%s FROM new_orders WHERE %s', keys, has_key);
BEGIN
    -- It declares no variables: a key column could be called like one.
    RETURN
        format(
$body$
BEGIN
    IF pg_catalog.to_regprocedure('@extschema@._lock_and_check_notes(oid, oid)') IS NULL THEN
        RAISE WARNING 'pg_rfm is not there: changes of %% are not noted', TG_RELID::pg_catalog.regclass;
    ELSIF NOT @extschema@._lock_and_check_notes(%s, %s) THEN
        RAISE WARNING '%%: the notes are not there, or not of its owner: changes of %% are not noted until the next '
            'refresh_segmentation', %L, TG_RELID::pg_catalog.regclass;
$body$, notes, owner, s.name)
        || format(
$body$    ELSIF TG_OP = 'TRUNCATE' OR TG_NARGS > 0 OR (
        SELECT count(*) FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = TG_RELID AND (a.attname, a.atttypid) IN (%s)
    ) <> %s THEN
        PERFORM @extschema@._note(%s);
$body$, key_columns, number_of_keys, notes)
        || format(
$body$    ELSIF TG_OP = 'INSERT' THEN
        %1$s FROM (SELECT DISTINCT %2$s) AS n;
    ELSIF TG_OP = 'DELETE' THEN
        %1$s FROM (SELECT DISTINCT %3$s) AS n;
    ELSE
        %1$s FROM (SELECT %3$s UNION SELECT %2$s) AS n;
    END IF;
    RETURN NULL;
END
$body$, note_customers, new_keys, old_keys);
END
$trigger$;
COMMENT ON FUNCTION _trigger_function_body(segmentation_settings) IS
    'Part of segmentations: what the trigger function does.';

CREATE FUNCTION _create_trigger_function(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $trigger$
DECLARE
    function_name text := @extschema@._trigger_function(s);
BEGIN
    EXECUTE format('CREATE FUNCTION %s RETURNS trigger', function_name)
        || ' LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp'
        || format(' AS %L', @extschema@._trigger_function_body(s));
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function_name);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', function_name,
                   format('Notes the customers whose orders change, for segmentation %s of pg_rfm.', s.name));
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

-- The tables of orders of which some writes fire no trigger of the segmentation: those that a logical subscription
-- fills, and those that somebody writes to through a parent that is not tracked.
CREATE FUNCTION _unseen_writes(s segmentation_settings) RETURNS TABLE (relation regclass, reason text)
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
COMMENT ON FUNCTION _unseen_writes(segmentation_settings) IS
    'Part of segmentations: tables of orders of which triggers do not see every write.';

-- What a superuser's trigger function runs is, in the end, what the owners of the orders and of their key's type want
-- to be run.
CREATE FUNCTION _refuse_tracking_for_superuser(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $superuser$
DECLARE
    others text := (
        SELECT string_agg(DISTINCT b.name, ', ')
        FROM (
            SELECT 'schema ' || quote_ident(s.schema), @extschema@._schema_owner(s.schema)
            UNION ALL
            SELECT c.oid::regclass::text, c.relowner FROM pg_class AS c
            WHERE c.oid = ANY (@extschema@._order_tables(s)::oid[])
            UNION ALL
            SELECT c.oid::regclass::text, c.relowner
            FROM @extschema@._sources(s) AS o
            JOIN pg_class AS c ON c.oid = @extschema@._source_table(s, o.source)
            WHERE o.source <> 'orders' AND o.relation IS NOT NULL
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
                  HINT = 'The triggers would run with a superuser''s rights. SET ROLE to a role that may read the '
                      'orders and put triggers on them, or use track => ''none''.';
    END IF;
END
$superuser$;
COMMENT ON FUNCTION _refuse_tracking_for_superuser(segmentation_settings) IS
    'Part of segmentations: an error where a superuser would track the orders of others.';

-- The triggers that the orders and their partitions must have, and which of them see what is written. One that was
-- dropped or disabled does not: until it is back every refresh reads all orders. Where a transition table would keep a
-- partition from being attached again, the partition's own triggers have none, and note everybody; what is written
-- through the parent is noted by key.
CREATE FUNCTION _order_triggers(s segmentation_settings) RETURNS TABLE (
    relation regclass, name text, event text, transition text, argument text, is_there boolean, sees boolean
)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $triggers$
    SELECT t.relation, n.name, e.event, CASE WHEN k.notes_everybody THEN '' ELSE e.transition END,
           CASE WHEN k.notes_everybody THEN quote_literal('everybody') ELSE '' END,
           g.oid IS NOT NULL, coalesce(g.tgenabled IN ('O', 'A'), false)
    FROM unnest(@extschema@._order_tables(s)) AS t (relation)
    CROSS JOIN LATERAL (
        SELECT @extschema@._transition_tables_hinder_attaching()
                   AND t.relation <> @extschema@._source_table(s, 'orders') AS notes_everybody
    ) AS k
    CROSS JOIN (VALUES ('INSERT', ' REFERENCING NEW TABLE AS new_orders'),
                       ('UPDATE', ' REFERENCING OLD TABLE AS old_orders NEW TABLE AS new_orders'),
                       ('DELETE', ' REFERENCING OLD TABLE AS old_orders'),
                       ('TRUNCATE', '')) AS e (event, transition)
    CROSS JOIN LATERAL (SELECT concat_ws('_', 'pg_rfm', s.name, lower(e.event))) AS n (name)
    LEFT JOIN pg_trigger AS g ON g.tgrelid = t.relation AND g.tgname = n.name
        AND g.tgfoid = to_regprocedure(@extschema@._trigger_function(s))
$triggers$;
COMMENT ON FUNCTION _order_triggers(segmentation_settings) IS
    'Part of segmentations: the triggers that note changes, and which of them are there and see.';

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
-- because taking triggers off and putting them on again locks the orders.
CREATE FUNCTION _is_tracked_as_asked(s segmentation_settings) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $tracked$
    SELECT s.track = 'trigger' AND to_regclass(@extschema@._relation(s, 'noted')) IS NOT NULL
        AND @extschema@._trigger_function_is_current(s)
        AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgfoid = to_regprocedure(@extschema@._trigger_function(s))
                                                          AND g.tgrelid <> ALL (@extschema@._order_tables(s)::oid[]))
$tracked$;
COMMENT ON FUNCTION _is_tracked_as_asked(segmentation_settings) IS
    'Part of segmentations: whether the triggers and notes that are there are the ones asked for.';

-- Puts the triggers where they are missing. What was written before they are committed is not noted, so that everybody
-- is: the next refresh reads all orders once. The triggers come last because their lock keeps writers out until the
-- commit.
CREATE FUNCTION _keep_tracking(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $track$
DECLARE
    function_name text := @extschema@._relation(s, 'note_orders');
    missing record;
    unseen record;
    is_new boolean := false;
    changed bigint;
BEGIN
    FOR unseen IN SELECT * FROM @extschema@._unseen_writes(s) LOOP
        RAISE NOTICE '%: % cannot be tracked: %; every refresh reads all orders',
            s.name, unseen.relation, unseen.reason;
    END LOOP;
    IF NOT @extschema@._trigger_function_is_current(s) THEN
        EXECUTE format('DROP FUNCTION IF EXISTS %s() CASCADE', function_name);
        PERFORM @extschema@._create_trigger_function(s);
    END IF;
    FOR missing IN SELECT * FROM @extschema@._order_triggers(s) AS t WHERE NOT t.is_there LOOP
        is_new := true;
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s', missing.name, missing.event, missing.relation)
            || missing.transition
            || format(' FOR EACH STATEMENT EXECUTE FUNCTION %s(%s)', function_name, missing.argument);
    END LOOP;
    EXECUTE format('UPDATE %s SET order_tables = $1 WHERE order_tables IS DISTINCT FROM $1',
                   @extschema@._lock_and_check(s, 'status', 'ROW EXCLUSIVE MODE'))
        USING @extschema@._order_tables(s)::oid[]; -- not regclass: a dump without the orders could not be restored
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF is_new OR changed > 0 THEN
        EXECUTE format('INSERT INTO %s DEFAULT VALUES', @extschema@._lock_and_check(s, 'noted', 'ROW EXCLUSIVE MODE'));
    END IF;
END
$track$;
COMMENT ON FUNCTION _keep_tracking(segmentation_settings) IS
    'Part of segmentations: puts the triggers on the orders where they are missing.';

-- Takes all notes. Returns the SELECT of the customers to compute again, or NULL: everybody. Notes are marked first and
-- deleted when the histories are up to date, so that notes written meanwhile stay.
CREATE FUNCTION _take_notes(s segmentation_settings, rebuild boolean) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $take$
DECLARE
    noted text;
    everybody boolean;
    are_other_tables boolean;
BEGIN
    IF to_regclass(@extschema@._relation(s, 'noted')) IS NULL THEN
        PERFORM @extschema@._create_notes(s); -- somebody dropped them
        PERFORM @extschema@._comment_relations(s);
        RETURN NULL;
    END IF;
    noted := @extschema@._lock_and_check(s, 'noted', 'ROW EXCLUSIVE MODE');
    EXECUTE format('UPDATE %s SET taken = true', noted);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE taken AND %I IS NULL)', noted, (@extschema@._keys(s))[1])
        INTO everybody;
    EXECUTE format('SELECT order_tables IS DISTINCT FROM $1 FROM %s',
                   @extschema@._lock_and_check(s, 'status', 'ACCESS SHARE MODE'))
        INTO are_other_tables USING @extschema@._order_tables(s)::oid[];
    IF rebuild OR everybody OR are_other_tables OR NOT @extschema@._trigger_function_is_current(s)
        OR NOT @extschema@._lock_and_check_notes(to_regclass(noted)::oid, quote_ident(current_user)::regrole::oid)
        OR EXISTS (SELECT FROM @extschema@._order_triggers(s) AS t WHERE NOT t.sees)
        OR EXISTS (SELECT FROM @extschema@._unseen_writes(s)) THEN
        RETURN NULL;
    END IF;
    EXECUTE 'ANALYZE ' || noted;
    RETURN format('(SELECT %s FROM %s WHERE taken)', @extschema@._key_list(s), noted);
END
$take$;
COMMENT ON FUNCTION _take_notes(segmentation_settings, boolean) IS
    'Part of segmentations: takes the notes, and says which customers to compute again.';
