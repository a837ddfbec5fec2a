-- segmentation: create, refresh, alter, drop

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
    -- Held by _open.
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
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
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
