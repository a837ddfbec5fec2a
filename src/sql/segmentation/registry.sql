-- segmentation: registry

-- Only from the catalog: the tables of others may hold anything.
CREATE FUNCTION _list_segmentations() RETURNS TABLE (name text, schema text, owner text, relation text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $list$
    SELECT left(c.relname, -length('_settings')), n.nspname, pg_get_userbyid(c.relowner), c.oid::regclass::text
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.reloftype = '@extschema@.segmentation_settings'::regtype AND c.relname LIKE '%\_settings' AND c.relkind = 'r'
$list$;
COMMENT ON FUNCTION _list_segmentations() IS 'Part of segmentations: all of them, from the catalog.';

-- All relations a segmentation can have, in the order in which they can be dropped.
CREATE FUNCTION _segmentation_relations() RETURNS TABLE (suffix text, kind text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $relations$
    VALUES ('actions', 'MATERIALIZED VIEW'), ('cohorts', 'MATERIALIZED VIEW'), ('movement', 'MATERIALIZED VIEW'),
           ('segments', 'MATERIALIZED VIEW'), ('customers_today', 'VIEW'), ('customers', 'MATERIALIZED VIEW'), ('facts', 'VIEW'),
           ('noted', 'TABLE'), ('profiles', 'TABLE'), ('contacts', 'TABLE'), ('engagement', 'TABLE'), ('histories', 'TABLE'), ('status', 'TABLE'),
           ('policies', 'TABLE'), ('settings', 'TABLE')
$relations$;
COMMENT ON FUNCTION _segmentation_relations() IS 'Part of segmentations: the relations one can have.';

-- A segmentation of the current user. What is stored is SQL that runs with the rights of whoever refreshes, so that it has to be
-- her own: nobody else's, whatever their rights, superusers included.
CREATE FUNCTION _own_settings(name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $own$
DECLARE
    owned record;
    stranger text;
    s jsonb;
BEGIN
    SELECT min(l.relation) AS relation, min(l.schema) AS schema, count(*) AS places, string_agg(l.relation, ', ' ORDER BY l.relation) AS relations
    INTO owned FROM @extschema@._list_segmentations() AS l WHERE l.name = _own_settings.name AND l.owner = current_user;
    IF owned.places > 1 THEN
        -- REASSIGN OWNED can bring that about.
        RAISE EXCEPTION 'you own several segmentations "%": %', name, owned.relations
            USING ERRCODE = 'ambiguous_alias', HINT = 'Give the relations of one of them to another role: ALTER TABLE ... OWNER TO ...';
    ELSIF owned.places = 1 THEN
        EXECUTE format('SELECT settings FROM %s', owned.relation) INTO s;
        RETURN coalesce(s, '{}') || jsonb_build_object('name', name, 'schema', owned.schema);
    END IF;
    SELECT string_agg(quote_ident(l.owner), ', ') INTO stranger FROM @extschema@._list_segmentations() AS l WHERE l.name = _own_settings.name;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION 'segmentation "%" belongs to %, not to %', name, stranger, quote_ident(current_user)
            USING ERRCODE = 'insufficient_privilege', HINT = format('SET ROLE %s first.', stranger);
    END IF;
    RAISE EXCEPTION 'there is no segmentation "%"', name
        USING ERRCODE = 'undefined_object',
              HINT = coalesce('Yours are: ' || (SELECT string_agg(l.name, ', ' ORDER BY l.name)
                                                FROM @extschema@._list_segmentations() AS l WHERE l.owner = current_user) || '.',
                              'create_segmentation makes one.');
END
$own$;
COMMENT ON FUNCTION _own_settings(text) IS 'Part of segmentations: the settings of one of the caller''s own; an error where it is another''s.';

-- The relations of a segmentation that belong to somebody else: the owner of the schema can put one of hers in the place of ours,
-- and reading a view of hers runs what she put in it.
CREATE FUNCTION _strangers(s jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $strangers$
    SELECT string_agg(o.name, ', ')
    FROM (
        SELECT c.oid::regclass::text AS name, c.relowner AS owner
        FROM @extschema@._segmentation_relations() AS r
        JOIN pg_class AS c ON c.oid = to_regclass(@extschema@._relation(s, r.suffix))
        UNION ALL
        SELECT f.oid::regprocedure::text, f.proowner
        FROM pg_proc AS f WHERE f.oid = to_regprocedure(@extschema@._relation(s, 'note_orders') || '()')
    ) AS o
    WHERE pg_get_userbyid(o.owner) <> current_user
$strangers$;
COMMENT ON FUNCTION _strangers(jsonb) IS 'Part of segmentations: the relations of one that belong to somebody else.';

-- The settings of one of the caller's own, locked against other refreshes and changes until the end of the transaction.
CREATE FUNCTION _open(name text, wait boolean DEFAULT true) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $open$
DECLARE
    s jsonb;
    strangers text;
BEGIN
    IF pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION 'segmentation "%" cannot be changed here: %', name,
            CASE WHEN pg_is_in_recovery() THEN 'this server is a standby' ELSE 'the transaction is read-only' END
            USING ERRCODE = 'read_only_sql_transaction', HINT = 'Refresh it on the primary, in a transaction that may write.';
    END IF;
    s := @extschema@._own_settings(name);
    BEGIN
        EXECUTE format('LOCK TABLE %s IN EXCLUSIVE MODE%s', @extschema@._relation(s, 'settings'), CASE WHEN NOT wait THEN ' NOWAIT' ELSE '' END);
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'segmentation "%" is being refreshed or changed by another session', name
            USING ERRCODE = 'lock_not_available', HINT = 'Wait for it (wait => true), or try again later.';
    END;
    -- Read again: whoever held the lock may have changed them.
    s := @extschema@._own_settings(name);
    strangers := @extschema@._strangers(s);
    IF strangers IS NULL THEN
        -- What is locked is not replaced while we work; it may have been just before.
        EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', (
            SELECT string_agg(@extschema@._relation(s, r.suffix), ', ') FROM @extschema@._segmentation_relations() AS r
            WHERE r.kind = 'TABLE' AND to_regclass(@extschema@._relation(s, r.suffix)) IS NOT NULL));
        strangers := @extschema@._strangers(s);
    END IF;
    IF strangers IS NOT NULL THEN
        RAISE EXCEPTION 'segmentation "%": % belongs to somebody else', name, strangers USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN s;
END
$open$;
COMMENT ON FUNCTION _open(text, boolean) IS 'Part of segmentations: the settings of one of the caller''s own, locked.';

-- Figures stand only in the tables of the caller's own: reading those of others could run what they put there.
CREATE FUNCTION _segmentation_figures() RETURNS TABLE (
    name text, schema text, owner text, source text, policy text, track text, as_of date, customers bigint, refreshed_at timestamptz,
    seconds numeric, days_behind integer, notes_waiting bigint
)
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $figures$
DECLARE
    listed record;
    s jsonb;
BEGIN
    FOR listed IN SELECT * FROM @extschema@._list_segmentations() AS l ORDER BY l.name, l.owner LOOP
        name := listed.name; schema := listed.schema; owner := listed.owner;
        source := NULL; policy := NULL; track := NULL; as_of := NULL; customers := NULL; refreshed_at := NULL; seconds := NULL;
        days_behind := NULL; notes_waiting := NULL;
        IF listed.owner = current_user THEN
            EXECUTE format('SELECT settings FROM %s', listed.relation) INTO s;
            s := coalesce(s, '{}') || jsonb_build_object('name', name, 'schema', schema);
            source := s ->> 'orders'; policy := coalesce(s ->> 'policy', 'default'); track := s ->> 'track';
            -- What is broken has no figures, and does not hide those of the others.
            IF to_regclass(@extschema@._relation(s, 'status')) IS NULL OR @extschema@._strangers(s) IS NOT NULL THEN
                RETURN NEXT;
                CONTINUE;
            END IF;
            EXECUTE format('SELECT as_of, customers, refreshed_at, seconds FROM %s', @extschema@._relation(s, 'status'))
                INTO as_of, customers, refreshed_at, seconds;
            days_behind := @extschema@._today(s, NULL::date) - as_of;
            IF track = 'trigger' AND to_regclass(@extschema@._relation(s, 'noted')) IS NOT NULL THEN
                EXECUTE format('SELECT count(*) FROM %s', @extschema@._relation(s, 'noted')) INTO notes_waiting;
            END IF;
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
COMMENT ON COLUMN segmentations.notes_waiting IS 'Notes of changed customers that wait for a refresh; NULL where none are taken.';
COMMENT ON COLUMN segmentations.age IS 'Time since the last refresh.';
GRANT SELECT ON segmentations TO PUBLIC;
