-- segmentation: create, alter, drop, list

-- The arguments of create_segmentation as settings; what is not given is left out, and looked for or defaulted later.
CREATE FUNCTION _given_settings(
    orders regclass, tenant text, customer text, ordered_at text, amount text, discounted text, order_id text, currency text,
    order_filter text, time_zone text, policy text, engagement regclass, engagement_columns jsonb, contacts regclass, contacts_columns jsonb, customers regclass,
    customers_columns jsonb, as_of date, lang text, track text, readers text[]
) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $given$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'orders', orders, 'order_filter', order_filter, 'time_zone', time_zone, 'policy', policy, 'engagement', engagement,
        'contacts', contacts, 'customers', customers, 'as_of', as_of, 'lang', lang, 'track', track, 'readers', readers
    )) || jsonb_build_object('columns', jsonb_build_object(
        'orders', jsonb_strip_nulls(jsonb_build_object(
            'tenant', tenant, 'customer', customer, 'ordered_at', ordered_at, 'amount', amount, 'discounted', discounted,
            'order_id', order_id, 'currency', currency)),
        'engagement', coalesce(engagement_columns, '{}'),
        'contacts', coalesce(contacts_columns, '{}'),
        'customers', coalesce(customers_columns, '{}')))
$given$;
COMMENT ON FUNCTION _given_settings(regclass, text, text, text, text, text, text, text, text, text, text, regclass, jsonb, regclass, jsonb, regclass, jsonb, date, text, text, text[]) IS
    'Part of segmentations: the arguments of create_segmentation as one document.';

CREATE FUNCTION _invalid(message text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $invalid$
BEGIN
    RAISE EXCEPTION '%', message USING ERRCODE = 'invalid_parameter_value', HINT = hint;
END
$invalid$;
COMMENT ON FUNCTION _invalid(text, text) IS 'Part of segmentations: refuses an argument.';

-- The settings with defaults and columns filled in; an error where they cannot be meant.
CREATE FUNCTION _checked_settings(given jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $checked$
DECLARE
    s jsonb := jsonb_build_object('time_zone', current_setting('TimeZone'), 'lang', 'en', 'track', 'none') || given;
    source text;
    relation regclass;
    kind pg_class;
BEGIN
    IF NOT s ? 'orders' THEN
        PERFORM @extschema@._invalid('orders is NULL', 'Name the table of orders: orders => ''sales.orders''.');
    ELSIF s ->> 'lang' NOT IN ('en', 'ja') THEN
        PERFORM @extschema@._invalid(format('lang is "%s"', s ->> 'lang'), 'Labels exist in en and ja.');
    ELSIF s ->> 'track' NOT IN ('none', 'trigger') THEN
        PERFORM @extschema@._invalid(format('track is "%s"', s ->> 'track'), 'It is none or trigger.');
    ELSIF NOT isfinite(coalesce((s ->> 'as_of')::date, '2000-01-01')) THEN
        PERFORM @extschema@._invalid(format('as_of is %s', s ->> 'as_of'), 'Give a finite day, or none for today at each refresh.');
    END IF;
    PERFORM clock_timestamp() AT TIME ZONE (s ->> 'time_zone');

    FOREACH source IN ARRAY ARRAY['orders', 'engagement', 'contacts', 'customers'] LOOP
        IF jsonb_typeof(s #> ARRAY['columns', source]) <> 'object' THEN
            PERFORM @extschema@._invalid(format('%s_columns is a JSON %s', source, jsonb_typeof(s #> ARRAY['columns', source])),
                                         'Give an object of columns, for example {"customer": "buyer_id"}.');
        ELSIF s ->> source IS NULL THEN
            IF s #> ARRAY['columns', source] <> '{}' THEN
                PERFORM @extschema@._invalid(format('%s_columns are given without %1$s', source), format('Name the table too: %s => ...', source));
            END IF;
            CONTINUE;
        END IF;
        relation := @extschema@._source_table(s, source);
        SELECT * INTO kind FROM pg_class AS c WHERE c.oid = relation;
        IF kind.relpersistence = 't' THEN
            PERFORM @extschema@._invalid(format('%s is a temporary table', relation), 'A refresh from another session would not see it.');
        ELSIF source = 'orders' AND s ->> 'track' = 'trigger' AND kind.relkind NOT IN ('r', 'p') THEN
            PERFORM @extschema@._invalid(format('%s is no table: it can have no triggers that note changes', relation),
                                         'Use track => ''none'': each refresh reads all orders.');
        END IF;
        s := jsonb_set(s, ARRAY['columns', source], @extschema@._find_columns(
            relation, source, s #> ARRAY['columns', source],
            CASE source WHEN 'orders' THEN '{}' ELSE jsonb_build_object('tenant', s #> '{columns,orders,tenant}',
                                                                        'customer', s #> '{columns,orders,customer}') END));
    END LOOP;
    PERFORM @extschema@._same_key(s, 'a', 'b'); -- an error where a key has no order
    IF s ? 'order_filter' THEN
        -- By itself, so that the message shows it and not our SQL, and not between parentheses, which it could close.
        EXECUTE format(E'SELECT FROM %s AS o WHERE CASE WHEN\n%s\nTHEN true END LIMIT 0', @extschema@._source_table(s, 'orders'), s ->> 'order_filter');
    END IF;
    IF @extschema@._keys(s) && '{ordered_on,amount,discounted,kind,happened_on,channel,contacted_on,scenario,step,test_group}'
        OR EXISTS (SELECT FROM @extschema@._view_columns() AS c WHERE c.name = ANY (@extschema@._keys(s))) THEN
        PERFORM @extschema@._invalid(
            format('a key column is called like a column of ours: %s', array_to_string(@extschema@._keys(s), ', ')),
            'A view over the orders can give it another name.');
    END IF;
    RETURN s;
END
$checked$;
COMMENT ON FUNCTION _checked_settings(jsonb) IS 'Part of segmentations: settings with defaults and found columns; refuses what cannot be meant.';


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

-- The same, locked against other refreshes and changes until the end of the transaction.
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

CREATE FUNCTION _grant(s jsonb, old_readers jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $grant$
DECLARE
    readers text[] := ARRAY(SELECT * FROM jsonb_array_elements_text(coalesce(s -> 'readers', '[]')));
    reader text;
BEGIN
    FOR reader IN SELECT * FROM jsonb_array_elements_text(old_readers) LOOP
        -- One who is gone took her rights along.
        IF reader <> ALL (readers) AND (lower(reader) = 'public' OR to_regrole(quote_ident(reader)) IS NOT NULL) THEN
            EXECUTE format('REVOKE SELECT ON %s FROM %s', @extschema@._readable(s), CASE lower(reader) WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(reader) END);
        END IF;
    END LOOP;
    FOREACH reader IN ARRAY readers LOOP
        EXECUTE format('GRANT SELECT ON %s TO %s', @extschema@._readable(s), CASE lower(reader) WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(reader) END);
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
        PERFORM @extschema@._refresh(@extschema@._checked_settings(s), rebuild, on_day, learn);
    ELSE
        PERFORM @extschema@._build(s, learn);
    END IF;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    message := format('segmentation "%s": %s', s ->> 'name', message);
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
    FOR reader IN SELECT * FROM jsonb_array_elements_text(coalesce(s -> 'readers', '[]')) LOOP
        IF reader IS NULL THEN
            PERFORM @extschema@._invalid('a reader is NULL', 'Name roles: readers => ''{reporting}''.');
        ELSIF lower(reader) <> 'public' AND to_regrole(quote_ident(reader)) IS NULL THEN
            RAISE EXCEPTION 'role "%" does not exist', reader USING ERRCODE = 'undefined_object', HINT = 'readers are roles; create it first.';
        END IF;
    END LOOP;
    IF s ->> 'track' = 'trigger' AND NOT has_table_privilege(@extschema@._source_table(s, 'orders'), 'TRIGGER') THEN
        RAISE EXCEPTION 'permission denied to put triggers on %', s ->> 'orders'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('GRANT TRIGGER ON %s TO %I, or use track => ''none''.', s ->> 'orders', current_user);
    ELSIF s ->> 'track' = 'trigger' THEN
        SELECT min(c.oid::regclass::text) INTO untracked
        FROM pg_class AS c WHERE c.oid = ANY (@extschema@._order_tables(s)::oid[]) AND c.relkind = 'f';
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

CREATE FUNCTION create_segmentation(
    name text,
    orders regclass,
    customer text DEFAULT NULL,
    ordered_at text DEFAULT NULL,
    amount text DEFAULT NULL,
    tenant text DEFAULT NULL,
    discounted text DEFAULT NULL,
    order_id text DEFAULT NULL,
    currency text DEFAULT NULL,
    order_filter text DEFAULT NULL,
    time_zone text DEFAULT pg_catalog.current_setting('TimeZone'),
    policy text DEFAULT NULL,
    engagement regclass DEFAULT NULL,
    engagement_columns jsonb DEFAULT NULL,
    contacts regclass DEFAULT NULL,
    contacts_columns jsonb DEFAULT NULL,
    customers regclass DEFAULT NULL,
    customers_columns jsonb DEFAULT NULL,
    schema text DEFAULT pg_catalog.current_schema(),
    as_of date DEFAULT NULL,
    lang text DEFAULT 'en',
    track text DEFAULT 'none',
    readers text[] DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp SET jit = off -- it costs more than it saves
AS $create$
DECLARE
    s jsonb;
    taken text;
BEGIN
    IF name IS NULL OR name = '' OR octet_length(name) > 47 THEN
        PERFORM @extschema@._invalid(format('a segmentation cannot be called %L', name), 'Its name has 1 to 47 bytes: the names of its views begin with it.');
    ELSIF schema IS NULL OR to_regnamespace(quote_ident(schema)) IS NULL THEN
        PERFORM @extschema@._invalid(format('there is no schema %L', schema), 'Create it first, or name another one: schema => ''...''.');
    ELSIF EXISTS (SELECT FROM @extschema@._list_segmentations() AS l
                  WHERE l.name = create_segmentation.name AND (l.owner = current_user OR l.schema = create_segmentation.schema)) THEN
        RAISE EXCEPTION 'segmentation "%" exists', name
            USING ERRCODE = 'duplicate_object', HINT = 'refresh_segmentation and alter_segmentation work on it; drop_segmentation removes it.';
    END IF;
    s := @extschema@._checked_settings(jsonb_build_object('name', name, 'schema', schema) || @extschema@._given_settings(
        orders, tenant, customer, ordered_at, amount, discounted, order_id, currency, order_filter, time_zone, policy, engagement,
        engagement_columns, contacts, contacts_columns, customers, customers_columns, as_of, lang, track, readers));
    taken := (SELECT string_agg(@extschema@._relation(s, r.suffix), ', ') FROM @extschema@._segmentation_relations() AS r
              WHERE to_regclass(@extschema@._relation(s, r.suffix)) IS NOT NULL);
    taken := concat_ws(', ', taken, to_regprocedure(@extschema@._relation(s, 'note_orders') || '()'));
    IF taken <> '' THEN
        RAISE EXCEPTION 'segmentation "%": % exists already', name, taken
            USING ERRCODE = 'duplicate_table', HINT = 'Choose another name, or another schema.';
    END IF;
    PERFORM @extschema@._refuse_early(s);
    PERFORM @extschema@._show_audit(s);

    EXECUTE format('CREATE TABLE %s OF @extschema@.segmentation_settings (PRIMARY KEY (name), settings NOT NULL)', @extschema@._relation(s, 'settings'));
    EXECUTE format('COMMENT ON TABLE %s IS %L', @extschema@._relation(s, 'settings'),
                   'Settings of a segmentation of pg_rfm. Only its owner writes them: they hold SQL that runs with her rights.');
    -- Whoever has been granted everything may still not write. No row-level security: it stops the pg_dump of a role that only reads.
    EXECUTE format('CREATE TRIGGER pg_rfm_only_owner BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s EXECUTE FUNCTION @extschema@._only_owner()',
                   @extschema@._relation(s, 'settings'));
    EXECUTE format('INSERT INTO %s VALUES ($1, $2)', @extschema@._relation(s, 'settings')) USING name, s - 'name' - 'schema';
    EXECUTE format('CREATE TABLE %s (valid_from date PRIMARY KEY, policy @extschema@.segment_policy NOT NULL)', @extschema@._relation(s, 'policies'));
    EXECUTE format('COMMENT ON TABLE %s IS %L', @extschema@._relation(s, 'policies'), 'Each policy that was in force, with its first day.');
    PERFORM @extschema@._carry_out(s, 'build', NULL::boolean, NULL::date, true);

    RAISE NOTICE E'%: done. To refresh it every night (pg_cron; any job runner can do the same):\n  %', name,
        format('SELECT cron.schedule(%L, ''15 3 * * *'', %L);', 'refresh ' || name,
               format('SELECT @extschema@.refresh_segmentation(%L)', name));
    -- Not GRANT SELECT: what is granted by hand is lost where alter_segmentation makes the views anew.
    IF readers IS NULL THEN
        RAISE NOTICE E'%: to let a role read it:\n  GRANT USAGE ON SCHEMA % TO reader;\n  %', name, quote_ident(schema),
            format('SELECT @extschema@.alter_segmentation(%L, readers => ''{reader}'');', name);
    END IF;
    RETURN name;
END
$create$;
COMMENT ON FUNCTION create_segmentation(text, regclass, text, text, text, text, text, text, text, text, text, text, regclass, jsonb, regclass, jsonb, regclass, jsonb, text, date, text, text, text[]) IS
    'Makes and fills NAME_customers, _segments, _movement, _cohorts, _actions and what they stand on, owned by the caller.';

CREATE FUNCTION refresh_segmentation(name text, "full" boolean DEFAULT false, wait boolean DEFAULT true, as_of date DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp SET jit = off -- it costs more than it saves
AS $refresh$
DECLARE
    s jsonb := @extschema@._open(name, wait);
BEGIN
    IF NOT isfinite(as_of) THEN
        PERFORM @extschema@._invalid(format('as_of is %s', as_of), 'Give a finite day, or none for today.');
    END IF;
    PERFORM @extschema@._carry_out(s, 'refresh', coalesce("full", false), as_of, false);
    RETURN name;
END
$refresh$;
COMMENT ON FUNCTION refresh_segmentation(text, boolean, boolean, date) IS
    'Brings the views of one of the caller''s segmentations up to date; full: reads all orders; wait: waits for another refresh; as_of: another day than today.';

CREATE FUNCTION alter_segmentation(
    name text,
    orders regclass DEFAULT NULL,
    customer text DEFAULT NULL,
    ordered_at text DEFAULT NULL,
    amount text DEFAULT NULL,
    tenant text DEFAULT NULL,
    discounted text DEFAULT NULL,
    order_id text DEFAULT NULL,
    currency text DEFAULT NULL,
    order_filter text DEFAULT NULL,
    time_zone text DEFAULT NULL,
    policy text DEFAULT NULL,
    engagement regclass DEFAULT NULL,
    engagement_columns jsonb DEFAULT NULL,
    contacts regclass DEFAULT NULL,
    contacts_columns jsonb DEFAULT NULL,
    customers regclass DEFAULT NULL,
    customers_columns jsonb DEFAULT NULL,
    as_of date DEFAULT NULL,
    lang text DEFAULT NULL,
    track text DEFAULT NULL,
    readers text[] DEFAULT NULL,
    reset text[] DEFAULT '{}'
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp SET jit = off -- it costs more than it saves
AS $alter$
DECLARE
    old jsonb := @extschema@._open(name);
    given jsonb := @extschema@._given_settings(
        orders, tenant, customer, ordered_at, amount, discounted, order_id, currency, order_filter, time_zone, policy, engagement,
        engagement_columns, contacts, contacts_columns, customers, customers_columns, as_of, lang, track, readers);
    columns jsonb := (SELECT jsonb_object_agg(c.source, CASE WHEN given ? c.source THEN c.named ELSE (old #> ARRAY['columns', c.source]) || c.named END)
                      FROM jsonb_each(given -> 'columns') AS c (source, named));
    s jsonb := (old || given || jsonb_build_object('columns', columns)) - coalesce(reset, '{}');
    argument text;
BEGIN
    FOREACH argument IN ARRAY coalesce(reset, '{}') LOOP
        IF argument IS NULL OR argument NOT IN ('order_filter', 'policy', 'as_of', 'readers', 'engagement', 'contacts', 'customers', 'tenant', 'discounted', 'order_id', 'currency') THEN
            PERFORM @extschema@._invalid(format('%L cannot be reset', argument),
                                         'These can: order_filter, policy, as_of, readers, engagement, contacts, customers, tenant, discounted, order_id, currency.');
        ELSIF argument IN ('engagement', 'contacts', 'customers') THEN
            s := jsonb_set(s, ARRAY['columns', argument], '{}');
        END IF;
        s := s #- ARRAY['columns', 'orders', argument];
    END LOOP;
    s := @extschema@._checked_settings(s);
    PERFORM @extschema@._refuse_early(s);
    EXECUTE format('UPDATE %s SET settings = $1', @extschema@._relation(s, 'settings')) USING s - 'name' - 'schema';

    -- What only says how to ask leaves the views in their place, where readers do not wait for them.
    IF old - ARRAY['policy', 'as_of', 'order_filter', 'readers'] = s - ARRAY['policy', 'as_of', 'order_filter', 'readers'] AND @extschema@._key_types_hold(s) THEN
        PERFORM @extschema@._carry_out(s, 'refresh', old -> 'order_filter' IS DISTINCT FROM s -> 'order_filter', NULL::date, policy IS NOT NULL);
        PERFORM @extschema@._grant(s, coalesce(old -> 'readers', '[]'));
    ELSE
        PERFORM @extschema@._tear_down(s, false);
        PERFORM @extschema@._carry_out(s, 'build', NULL::boolean, NULL::date, policy IS NOT NULL);
    END IF;
    RETURN name;
END
$alter$;
COMMENT ON FUNCTION alter_segmentation(text, regclass, text, text, text, text, text, text, text, text, text, text, regclass, jsonb, regclass, jsonb, regclass, jsonb, date, text, text, text[], text[]) IS
    'Changes what is given, sets back what reset names, and brings the views up to date; policy => ''learn'' learns anew.';

CREATE FUNCTION drop_segmentation(name text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $drop$
BEGIN
    PERFORM @extschema@._tear_down(@extschema@._open(name), true);
    RETURN name;
END
$drop$;
COMMENT ON FUNCTION drop_segmentation(text) IS
    'Drops the tables, views and triggers of one of the caller''s segmentations; refused where something else stands on them.';

CREATE FUNCTION segmentation_sql(name text) RETURNS TABLE (relation text, kind text, unique_key text, query text)
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $sql$
DECLARE
    s jsonb := @extschema@._checked_settings(@extschema@._own_settings(name));
BEGIN
    RETURN QUERY SELECT @extschema@._relation(s, m.suffix), 'TABLE', @extschema@._key_list(s), m.query FROM @extschema@._mirrors(s) AS m ORDER BY m.place;
    RETURN QUERY SELECT @extschema@._relation(s, v.suffix), v.kind, (SELECT string_agg(quote_ident(k), ', ') FROM unnest(v.keys) AS k), v.query
                 FROM @extschema@._segmentation_views(s) AS v ORDER BY v.place;
END
$sql$;
COMMENT ON FUNCTION segmentation_sql(text) IS
    'The SELECT of each table and view of one of the caller''s segmentations, in the order in which they are made.';

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
