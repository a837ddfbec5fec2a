-- segmentation: registry

-- Only from the catalog: the tables of others may hold anything.
CREATE FUNCTION _list_segmentations() RETURNS TABLE (name text, schema text, owner text, relation text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $list$
    SELECT left(c.relname, -length('_settings')), n.nspname, pg_get_userbyid(c.relowner), c.oid::regclass::text
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.reloftype = '@extschema@.segmentation_settings'::regtype AND c.relkind = 'r'
        AND c.relname LIKE '%\_settings'
$list$;
COMMENT ON FUNCTION _list_segmentations() IS 'Part of segmentations: all of them, from the catalog.';

-- Why relations of a segmentation must not be used; NULL where nothing is wrong with them. Whoever owns the schema can
-- put a relation of their own in the place of one, and whoever was granted TRIGGER can put a trigger on one: to read or
-- write it would run what they put there with the rights of whoever reads or writes.
CREATE FUNCTION _objection(s segmentation_settings, suffixes text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $objection$
BEGIN
    RETURN (
        SELECT string_agg(o.objection, '; ' ORDER BY o.objection)
        FROM (
            SELECT c.oid::regclass || CASE
                WHEN pg_get_userbyid(c.relowner) <> current_user THEN ' belongs to somebody else'
                WHEN c.relkind <> CASE r.kind WHEN 'TABLE' THEN 'r' WHEN 'VIEW' THEN 'v' ELSE 'm' END
                    THEN ' is no ' || lower(r.kind)
                WHEN r.suffix = 'settings' AND c.reloftype <> '@extschema@.segmentation_settings'::regtype
                    THEN ' is no table of settings'
                WHEN g.triggers IS NOT NULL THEN ' has triggers that are not of pg_rfm: ' || g.triggers
                WHEN u.rules IS NOT NULL THEN ' has rules that are not of pg_rfm: ' || u.rules
                END AS objection
            FROM @extschema@._relations(s) AS r
            JOIN pg_class AS c ON c.oid = to_regclass(@extschema@._relation(s, r.suffix))
            CROSS JOIN LATERAL (
                SELECT string_agg(t.tgname, ', ' ORDER BY t.tgname) AS triggers
                FROM pg_trigger AS t
                WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
                    AND NOT (r.suffix = 'settings' AND t.tgfoid = '@extschema@._only_owner()'::regprocedure)
            ) AS g
            CROSS JOIN LATERAL (
                SELECT string_agg(w.rulename, ', ' ORDER BY w.rulename) AS rules
                FROM pg_rewrite AS w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN'
            ) AS u
            WHERE r.suffix = ANY (suffixes)
            UNION ALL
            SELECT f.oid::regprocedure || ' belongs to somebody else'
            FROM pg_proc AS f
            WHERE 'noted' = ANY (suffixes) AND f.oid = to_regprocedure(@extschema@._trigger_function(s))
                AND pg_get_userbyid(f.proowner) <> current_user
        ) AS o);
END
$objection$;
COMMENT ON FUNCTION _objection(segmentation_settings, text[]) IS
    'Part of segmentations: why relations of one must not be used; NULL: nothing is wrong.';

-- A table or view of a segmentation, to be used: locked first, then checked. Its name means this relation until the
-- transaction ends, because a relation that is locked is neither dropped nor renamed. A materialized view cannot be
-- locked so: REFRESH locks and checks it.
CREATE FUNCTION _lock_and_check(s segmentation_settings, suffix text, lock_mode text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $lock$
DECLARE
    relation text := @extschema@._relation(s, suffix);
    objection text;
BEGIN
    EXECUTE format('LOCK TABLE ONLY %s IN %s', relation, lock_mode);
    objection := @extschema@._objection(s, ARRAY[suffix]);
    IF objection IS NOT NULL THEN
        RAISE EXCEPTION 'segmentation "%": %', s.name, objection USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN relation;
END
$lock$;
COMMENT ON FUNCTION _lock_and_check(segmentation_settings, text, text) IS
    'Part of segmentations: the name of one of its tables, locked and checked.';

-- Whose a schema is; of one that belongs to the database's owner, as public does by default, that role.
CREATE FUNCTION _schema_owner(schema text) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $owner$
    SELECT CASE pg_get_userbyid(n.nspowner)
        WHEN 'pg_database_owner' THEN (SELECT d.datdba FROM pg_database AS d WHERE d.datname = current_database())
        ELSE n.nspowner END
    FROM pg_namespace AS n WHERE n.nspname = schema
$owner$;
COMMENT ON FUNCTION _schema_owner(text) IS 'Part of segmentations: the oid of the role that owns a schema.';

-- Whoever owns a schema can rename it, and drop and replace everything in it. That role is trusted where it could do
-- harm anyway: one that the current user is or is a member of, or a superuser. A superuser is a member of every role,
-- so that only superusers count.
CREATE FUNCTION _schema_is_safe(schema text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $safe$
    SELECT coalesce(o.rolsuper OR NOT me.rolsuper AND pg_has_role(me.oid, o.oid, 'MEMBER'), false)
    FROM pg_roles AS me
    LEFT JOIN pg_roles AS o ON o.oid = @extschema@._schema_owner(schema)
    WHERE me.rolname = current_user
$safe$;
COMMENT ON FUNCTION _schema_is_safe(text) IS
    'Part of segmentations: whether the owner of a schema is trusted by the current user.';

CREATE FUNCTION _refuse_unsafe_schema(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $unsafe$
DECLARE
    place record;
BEGIN
    FOR place IN SELECT p.argument, p.schema FROM (VALUES ('schema', s.schema), ('internals', s.internals))
                     AS p (argument, schema) WHERE p.schema IS NOT NULL LOOP
        IF to_regnamespace(quote_ident(place.schema)) IS NULL THEN
            RAISE EXCEPTION 'there is no schema %, which is its %', quote_ident(place.schema), place.argument
                USING ERRCODE = 'invalid_schema_name',
                      HINT = 'Create it first.';
        ELSIF NOT @extschema@._schema_is_safe(place.schema) THEN
            RAISE EXCEPTION 'schema % belongs to %, who could replace what is in it and so act as %',
                quote_ident(place.schema), @extschema@._schema_owner(place.schema)::regrole, quote_ident(current_user)
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format(
                          'Use a schema of your own: CREATE SCHEMA %1$s AUTHORIZATION %2$s, then %3$s => %1$L.',
                          'segments', quote_ident(current_user), place.argument);
        END IF;
    END LOOP;
END
$unsafe$;
COMMENT ON FUNCTION _refuse_unsafe_schema(segmentation_settings) IS
    'Part of segmentations: an error where one of its schemas belongs to somebody who is not trusted, or is not there.';

-- The schema of the internals is that of the histories that the facts read, as long as they are there: it may have been
-- renamed, or its name deleted with the settings.
CREATE FUNCTION _place_of_internals(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $place$
    SELECT coalesce((
        SELECT nullif(n.nspname::text, s.schema)
        FROM pg_class AS f
        JOIN pg_rewrite AS w ON w.ev_class = f.oid
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = f.tableoid
        JOIN pg_class AS h ON h.oid = d.refobjid AND h.relname = s.name || '_histories' AND h.relowner = f.relowner
        JOIN pg_namespace AS n ON n.oid = h.relnamespace
        WHERE f.oid = to_regclass(@extschema@._relation(s, 'facts'))
            AND f.relowner = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user)
        LIMIT 1), s.internals)
$place$;
COMMENT ON FUNCTION _place_of_internals(segmentation_settings) IS
    'Part of segmentations: the schema of what stands behind the views; NULL: the same as theirs.';

-- The settings that a table holds, locked before it is checked, and checked before it is read. The table is one of the
-- current user's and of the extension's own type then, so that to read its row runs nobody else's code. Where somebody
-- deleted the row, only name and schema are known.
CREATE FUNCTION _read_settings(name text, schema text, lock_mode text) RETURNS segmentation_settings
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $read$
DECLARE
    place @extschema@.segmentation_settings;
    s @extschema@.segmentation_settings;
    found_rows bigint;
BEGIN
    place.name := name;
    place.schema := schema;
    EXECUTE format('SELECT t.* FROM ONLY %s AS t', @extschema@._lock_and_check(place, 'settings', lock_mode)) INTO s;
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    IF found_rows > 0 AND s.settings_version IS DISTINCT FROM @extschema@._settings_version() THEN
        RAISE EXCEPTION 'segmentation "%" has settings of version %, of which this version of pg_rfm knows nothing',
            name, coalesce(s.settings_version::text, 'NULL')
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Another version of pg_rfm wrote them. Install the newest one, then: '
                      'ALTER EXTENSION pg_rfm UPDATE.';
    END IF;
    s.name := name;
    s.schema := schema;
    s.internals := @extschema@._place_of_internals(s);
    RETURN s;
END
$read$;
COMMENT ON FUNCTION _read_settings(text, text, text) IS
    'Part of segmentations: the settings of one of the current user''s, locked and checked; an error where their '
    'version is not known.';

-- A segmentation of the current user. What is stored is SQL that runs with the rights of whoever refreshes, so that it
-- has to be their own: nobody else's, whatever their rights, superusers included.
CREATE FUNCTION _own_settings(name text, lock_mode text DEFAULT 'ACCESS SHARE MODE') RETURNS segmentation_settings
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $own$
DECLARE
    owned record;
    others text;
    own_names text;
BEGIN
    SELECT min(l.schema) AS schema, count(*) AS places, string_agg(l.relation, ', ' ORDER BY l.relation) AS relations
    INTO owned FROM @extschema@._list_segmentations() AS l WHERE l.name = _own_settings.name AND l.owner = current_user;
    IF owned.places > 1 THEN
        -- REASSIGN OWNED can bring that about.
        RAISE EXCEPTION 'you own several segmentations "%": %', name, owned.relations
            USING ERRCODE = 'ambiguous_alias',
                  HINT = 'Give the relations of one of them to another role: ALTER TABLE ... OWNER TO ...';
    ELSIF owned.places = 1 THEN
        RETURN @extschema@._read_settings(name, owned.schema, lock_mode);
    END IF;
    SELECT string_agg(quote_ident(l.owner), ', ') INTO others
    FROM @extschema@._list_segmentations() AS l WHERE l.name = _own_settings.name;
    IF others IS NOT NULL THEN
        RAISE EXCEPTION 'segmentation "%" belongs to %, not to %', name, others, quote_ident(current_user)
            USING ERRCODE = 'insufficient_privilege', HINT = format('SET ROLE %s first.', others);
    END IF;
    SELECT string_agg(l.name, ', ' ORDER BY l.name) INTO own_names
    FROM @extschema@._list_segmentations() AS l WHERE l.owner = current_user;
    RAISE EXCEPTION 'there is no segmentation "%"', name
        USING ERRCODE = 'undefined_object',
              HINT = coalesce('Yours are: ' || own_names || '.', 'create_segmentation makes one.');
END
$own$;
COMMENT ON FUNCTION _own_settings(text, text) IS
    'Part of segmentations: the settings of one of the caller''s own; an error where it is another''s.';

-- The settings of one of the caller's own, locked against other refreshes and changes until the end of the transaction.
CREATE FUNCTION _lock_own(name text, wait boolean DEFAULT true) RETURNS segmentation_settings
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $lock_own$
DECLARE
    s @extschema@.segmentation_settings;
    relation text;
    objection text;
BEGIN
    IF pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION 'segmentation "%" cannot be changed here: %', name,
            CASE WHEN pg_is_in_recovery() THEN 'this server is a standby' ELSE 'the transaction is read-only' END
            USING ERRCODE = 'read_only_sql_transaction',
                  HINT = 'Refresh it on the primary, in a transaction that may write.';
    END IF;
    BEGIN
        s := @extschema@._own_settings(name, CASE WHEN wait THEN 'EXCLUSIVE MODE' ELSE 'EXCLUSIVE MODE NOWAIT' END);
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'segmentation "%" is being refreshed or changed by another session', name
            USING ERRCODE = 'lock_not_available', HINT = 'Wait for it (wait => true), or try again later.';
    END;
    -- A relation that is locked cannot be replaced by another one until the transaction ends.
    FOR relation IN SELECT r.name FROM (SELECT t.*, @extschema@._relation(s, t.suffix) AS name
                                        FROM @extschema@._relations(s) AS t) AS r
                    WHERE r.kind = 'TABLE' AND r.is_wanted AND to_regclass(r.name) IS NOT NULL LOOP
        EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', relation);
    END LOOP;
    objection := @extschema@._objection(
        s, ARRAY(SELECT r.suffix FROM @extschema@._relations(s) AS r WHERE r.is_wanted));
    IF objection IS NOT NULL THEN
        RAISE EXCEPTION 'segmentation "%": %', name, objection USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN s;
END
$lock_own$;
COMMENT ON FUNCTION _lock_own(text, boolean) IS
    'Part of segmentations: the settings of one of the caller''s own, locked.';

-- Figures stand only in the tables of the caller's own: reading those of others could run what they put there.
CREATE FUNCTION _segmentation_figures() RETURNS TABLE (
    name text, schema text, owner text, source text, policy text, track text, as_of date, customers bigint,
    refreshed_at timestamptz, seconds numeric, days_behind integer, notes_waiting bigint, segmentation_lag interval,
    customers_due bigint
)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $figures$
DECLARE
    listed record;
    s @extschema@.segmentation_settings;
BEGIN
    FOR listed IN SELECT * FROM @extschema@._list_segmentations() AS l ORDER BY l.name, l.owner LOOP
        name := listed.name; schema := listed.schema; owner := listed.owner;
        source := NULL; policy := NULL; track := NULL; as_of := NULL; customers := NULL; refreshed_at := NULL;
        seconds := NULL; days_behind := NULL; notes_waiting := NULL; segmentation_lag := NULL; customers_due := NULL;
        IF listed.owner = current_user AND @extschema@._schema_is_safe(listed.schema) THEN
            BEGIN
                s := @extschema@._read_settings(listed.name, listed.schema, 'ACCESS SHARE MODE');
                source := s.orders; policy := coalesce(s.policy, 'default'); track := s.track;
                EXECUTE format('SELECT as_of, customers, refreshed_at, seconds FROM %s',
                               @extschema@._lock_and_check(s, 'status', 'ACCESS SHARE MODE'))
                    INTO as_of, customers, refreshed_at, seconds;
                days_behind := @extschema@._today(s, NULL::date) - as_of;
                IF s.track = 'trigger' THEN
                    EXECUTE format('SELECT count(*), now() - min(noted_at) FROM %s',
                                   @extschema@._lock_and_check(s, 'noted', 'ACCESS SHARE MODE'))
                        INTO notes_waiting, segmentation_lag;
                END IF;
                -- It cannot be locked. Without rows nobody is due, and to look would be an error.
                IF @extschema@._objection(s, '{customers}') IS NULL
                    AND (SELECT c.relispopulated FROM pg_class AS c
                         WHERE c.oid = to_regclass(@extschema@._relation(s, 'customers'))) THEN
                    EXECUTE format('SELECT count(*) FROM %s WHERE next_change_on <= $1',
                                   @extschema@._relation(s, 'customers'))
                        INTO customers_due USING @extschema@._today(s, NULL::date);
                END IF;
            EXCEPTION WHEN undefined_table OR wrong_object_type OR insufficient_privilege OR feature_not_supported THEN
                NULL; -- one that is broken has no more figures, and does not hide those of the others
            END;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$figures$;
COMMENT ON FUNCTION _segmentation_figures() IS 'Part of segmentations: what the view segmentations shows.';

CREATE VIEW segmentations AS
SELECT f.*, pg_catalog.now() OPERATOR(pg_catalog.-) f.refreshed_at AS age FROM @extschema@._segmentation_figures() AS f;
COMMENT ON VIEW segmentations IS 'All segmentations; with figures those of the current user.';
COMMENT ON COLUMN segmentations.name IS 'What it is called.';
COMMENT ON COLUMN segmentations.schema IS 'Where its relations are.';
COMMENT ON COLUMN segmentations.owner IS 'Who may refresh it.';
COMMENT ON COLUMN segmentations.source IS 'The table of orders; NULL for those of others, as all that follows.';
COMMENT ON COLUMN segmentations.policy IS 'The policy asked for.';
COMMENT ON COLUMN segmentations.track IS 'How changes are found: trigger, or none.';
COMMENT ON COLUMN segmentations.as_of IS 'The day its views answer for.';
COMMENT ON COLUMN segmentations.customers IS 'Number of customers.';
COMMENT ON COLUMN segmentations.refreshed_at IS 'When the last refresh ended.';
COMMENT ON COLUMN segmentations.seconds IS 'How long it took.';
COMMENT ON COLUMN segmentations.days_behind IS 'Days from as_of to today.';
COMMENT ON COLUMN segmentations.notes_waiting IS
    'Notes of changed customers that wait for a refresh; NULL where none are taken.';
COMMENT ON COLUMN segmentations.segmentation_lag IS 'How long the oldest of them has waited; NULL: none waits.';
COMMENT ON COLUMN segmentations.customers_due IS
    'Customers of whom something is another today though nothing happened, which their rows do not say yet.';
COMMENT ON COLUMN segmentations.age IS 'Time since the last refresh.';
GRANT SELECT ON segmentations TO PUBLIC;

-- The relations of the caller's own segmentations, for the same reason, and in the order of _relations.
CREATE FUNCTION _segmentation_relations() RETURNS TABLE (
    segmentation text, schema text, relation text, kind text, reason text, comment text
)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $relations$
DECLARE
    listed record;
    s @extschema@.segmentation_settings;
BEGIN
    FOR listed IN SELECT * FROM @extschema@._list_segmentations() AS l WHERE l.owner = current_user ORDER BY l.name LOOP
        CONTINUE WHEN NOT @extschema@._schema_is_safe(listed.schema);
        BEGIN
            s := @extschema@._read_settings(listed.name, listed.schema, 'ACCESS SHARE MODE');
        EXCEPTION WHEN undefined_table OR wrong_object_type OR insufficient_privilege OR feature_not_supported THEN
            CONTINUE; -- one that is broken does not hide those of the others
        END;
        RETURN QUERY
            SELECT s.name, (parse_ident(@extschema@._relation(s, r.suffix)))[1], s.name || '_' || r.suffix,
                   lower(r.kind), r.reason, r.comment
            FROM @extschema@._relations(s) AS r
            WHERE r.is_wanted AND to_regclass(@extschema@._relation(s, r.suffix)) IS NOT NULL
            ORDER BY r.place;
    END LOOP;
END
$relations$;
COMMENT ON FUNCTION _segmentation_relations() IS 'Part of segmentations: what the view segmentation_relations shows.';

CREATE VIEW segmentation_relations AS SELECT r.* FROM @extschema@._segmentation_relations() AS r;
COMMENT ON VIEW segmentation_relations IS
    'The tables and views of the current user''s segmentations, in the order in which they are made, and why each is '
    'there.';
COMMENT ON COLUMN segmentation_relations.segmentation IS 'What the segmentation is called.';
COMMENT ON COLUMN segmentation_relations.schema IS 'Where its relations are.';
COMMENT ON COLUMN segmentation_relations.relation IS 'The name of the table or view.';
COMMENT ON COLUMN segmentation_relations.kind IS 'table, view or materialized view.';
COMMENT ON COLUMN segmentation_relations.reason IS
    'The argument of create_segmentation that asks for it, or that every segmentation has it.';
COMMENT ON COLUMN segmentation_relations.comment IS 'What it is for.';
GRANT SELECT ON segmentation_relations TO PUBLIC;
