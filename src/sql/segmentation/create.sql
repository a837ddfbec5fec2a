-- segmentation: create, refresh, alter, drop

CREATE FUNCTION _create_segmentation(given jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $create$
DECLARE
    s @extschema@.segmentation_settings;
    taken text;
BEGIN
    s := @extschema@._with_changes(s, jsonb_build_object('name', given ->> 'name', 'schema', given ->> 'schema'));
    IF s.name IS NULL OR s.name = '' OR octet_length(s.name) > 47 THEN
        PERFORM @extschema@._refuse(format('a segmentation cannot be called %L', s.name),
                                    'Its name has 1 to 47 bytes: the names of its views begin with it.');
    ELSIF s.schema IS NULL OR to_regnamespace(quote_ident(s.schema)) IS NULL THEN
        PERFORM @extschema@._refuse(format('there is no schema %L', s.schema),
                                    'Create it first, or name another one: schema => ''...''.');
    ELSIF EXISTS (SELECT FROM @extschema@._list_segmentations() AS l
                  WHERE l.name = s.name AND (l.owner = current_user OR l.schema = s.schema)) THEN
        RAISE EXCEPTION 'segmentation "%" exists', s.name
            USING ERRCODE = 'duplicate_object',
                  HINT = 'refresh_segmentation and alter_segmentation work on it; drop_segmentation removes it.';
    END IF;
    s := @extschema@._checked_settings(s, given);
    -- Those that are not asked for now may be later.
    taken := (SELECT string_agg(@extschema@._relation(s, r.suffix), ', ' ORDER BY r.place DESC)
              FROM @extschema@._relations(s) AS r
              WHERE to_regclass(@extschema@._relation(s, r.suffix)) IS NOT NULL);
    taken := concat_ws(', ', taken, to_regprocedure(@extschema@._trigger_function(s)));
    IF taken <> '' THEN
        RAISE EXCEPTION 'segmentation "%": % exists already', s.name, taken
            USING ERRCODE = 'duplicate_table', HINT = 'Choose another name, or another schema.';
    END IF;
    PERFORM @extschema@._refuse_early(s);
    PERFORM @extschema@._show_audit(s, given);
    PERFORM @extschema@._create_settings(s);
    PERFORM @extschema@._create_policies(s);
    PERFORM @extschema@._build_or_refresh(s, 'build', NULL::boolean, NULL::date, true);
    PERFORM @extschema@._show_audit_of_answers(s);

    RAISE NOTICE E'%: done. To refresh it every night (pg_cron; any job runner can do the same):\n  %', s.name,
        format('SELECT cron.schedule(%L, ''15 3 * * *'', %L);', 'refresh ' || s.name,
               format('SELECT @extschema@.refresh_segmentation(%L)', s.name));
    -- Not GRANT SELECT: what is granted by hand is lost where alter_segmentation makes the views anew.
    IF s.readers IS NULL THEN
        RAISE NOTICE E'%: to let a role read it:\n  GRANT USAGE ON SCHEMA % TO reader;\n  %',
            s.name, @extschema@._schemas_of_readers(s),
            format('SELECT @extschema@.alter_segmentation(%L, readers => ''{reader}'');', s.name);
    END IF;
    RETURN s.name;
END
$create$;
COMMENT ON FUNCTION _create_segmentation(jsonb) IS
    'Part of segmentations: create_segmentation, with its arguments as a document.';

CREATE FUNCTION refresh_segmentation(
    name text, "full" boolean DEFAULT false, wait boolean DEFAULT true, as_of date DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
SET jit = off -- it costs more than it saves
AS $refresh$
DECLARE
    s @extschema@.segmentation_settings := @extschema@._lock_own(name, wait);
BEGIN
    IF NOT isfinite(as_of) THEN
        PERFORM @extschema@._refuse(format('as_of is %s', as_of), 'Give a finite day, or none for today.');
    END IF;
    PERFORM @extschema@._build_or_refresh(s, 'refresh', coalesce("full", false), as_of, false);
    RETURN name;
END
$refresh$;
COMMENT ON FUNCTION refresh_segmentation(text, boolean, boolean, date) IS
    'Brings the views of one of the caller''s segmentations up to date; full: reads all orders; wait: waits for '
    'another refresh; as_of: another day than today.';

-- Whether rows of the shop's tables that stay as they are count otherwise than before, where the views stay in place.
CREATE FUNCTION _rows_mean_something_else(old segmentation_settings, s segmentation_settings) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $otherwise$
    SELECT (old.order_filter, old.engagement_kinds, old.channel_names, old.test_groups, old.memberships)
        IS DISTINCT FROM (s.order_filter, s.engagement_kinds, s.channel_names, s.test_groups, s.memberships)
$otherwise$;
COMMENT ON FUNCTION _rows_mean_something_else(segmentation_settings, segmentation_settings) IS
    'Part of segmentations: whether rows that stay as they are count otherwise under other settings.';

CREATE FUNCTION _alter_segmentation(name text, given jsonb, reset text[]) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $alter$
DECLARE
    old @extschema@.segmentation_settings := @extschema@._lock_own(name);
    s @extschema@.segmentation_settings := old;
    resettable text[] := ARRAY(SELECT a.argument FROM @extschema@.segmentation_arguments() AS a WHERE a.can_be_reset);
    leave_views jsonb := (SELECT jsonb_object_agg(a.argument, NULL::text)
                          FROM @extschema@.segmentation_arguments() AS a WHERE a.leaves_views);
    argument text;
    customers_are_held boolean;
BEGIN
    FOREACH argument IN ARRAY coalesce(reset, '{}') LOOP
        IF argument = ANY (resettable) IS NOT TRUE THEN
            PERFORM @extschema@._refuse(format('%L cannot be reset', argument),
                                        format('These can: %s.', array_to_string(resettable, ', ')));
        END IF;
        given := given - argument - (argument || '_columns');
        s := @extschema@._with_changes(s, jsonb_build_object(argument, NULL));
    END LOOP;
    s := @extschema@._checked_settings(s, given);
    PERFORM @extschema@._refuse_early(s);
    IF @extschema@._has_notes_on_shards(old) AND @extschema@._is_tracked_as_asked(s) IS NOT TRUE THEN
        PERFORM @extschema@._stop_tracking(old); -- Citus drops the function before anything else, or not at all
    END IF;
    -- _lock_own has locked and checked the table.
    EXECUTE format('DELETE FROM %s', @extschema@._relation(s, 'settings'));
    EXECUTE format('INSERT INTO %s SELECT ($1).*', @extschema@._relation(s, 'settings')) USING s;
    IF old.keep_changes > 0 AND s.keep_changes = 0 THEN
        PERFORM @extschema@._drop_relations(
            old, ARRAY(SELECT r.suffix FROM @extschema@._relations(old) AS r WHERE r.suffix <> 'changes'));
    END IF;

    -- Where only settings change that leave the views in their place, readers do not wait.
    IF @extschema@._with_changes(old, leave_views) IS NOT DISTINCT FROM @extschema@._with_changes(s, leave_views)
        AND @extschema@._changed_types(s) IS NULL
        AND @extschema@._is_distributed(s) = (@extschema@._distribution_column(s) IS NOT NULL) THEN
        PERFORM @extschema@._build_or_refresh(
            s, 'refresh', @extschema@._rows_mean_something_else(old, s), NULL::date, given ? 'policy');
        IF s.lang <> old.lang THEN
            PERFORM @extschema@._comment_relations(s);
        END IF;
        PERFORM @extschema@._grant_readers(s, old.readers);
    ELSE
        customers_are_held := @extschema@._hold_customers(old, s);
        PERFORM @extschema@._drop_relations(old, '{settings,policies,models,noted,changes}'::text[]);
        PERFORM @extschema@._build_or_refresh(
            s, CASE WHEN customers_are_held THEN 'rebuild' ELSE 'build' END, NULL::boolean, NULL::date,
            given ? 'policy');
        PERFORM @extschema@._show_unknown_words(s, @extschema@._sources_of_customers(s));
    END IF;
    IF given ?| '{targets,targets_columns,costs,costs_columns}' THEN
        PERFORM @extschema@._show_finding(s, k.finding, k.rows, k.share, k.example, k.effect)
        FROM @extschema@._audit_kpis(s) AS k;
    END IF;
    RETURN name;
END
$alter$;
COMMENT ON FUNCTION _alter_segmentation(text, jsonb, text[]) IS
    'Part of segmentations: alter_segmentation, with what is given as a document.';

CREATE FUNCTION drop_segmentation(name text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $drop$
BEGIN
    PERFORM @extschema@._drop_relations(@extschema@._lock_own(name), '{}'::text[]);
    RETURN name;
END
$drop$;
COMMENT ON FUNCTION drop_segmentation(text) IS
    'Drops the tables, views and triggers of one of the caller''s segmentations; refused where something else stands '
    'on them.';

-- What the views read of the status, for whoever makes them elsewhere: a refresh would write this day and policy.
CREATE FUNCTION _status_sql(s segmentation_settings) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $status$
BEGIN
    RETURN format(
$sql$SELECT %L::pg_catalog.text AS segmentation, %s AS as_of,
       %L::pg_catalog.text AS time_zone, %L::pg_catalog.text AS lang,
       %L::@extschema@.segment_policy AS policy%s$sql$,
        s.name,
        CASE WHEN s.as_of IS NULL THEN format('(pg_catalog.now() AT TIME ZONE %L)::pg_catalog.date', s.time_zone)
             ELSE format('%L::pg_catalog.date', s.as_of) END,
        s.time_zone, s.lang, @extschema@._policy_on(s, @extschema@._today(s, NULL::date), false),
        CASE WHEN s.model IS NOT NULL
             THEN format(', %L::@extschema@.purchase_model AS model',
                         @extschema@._model_on(s, @extschema@._today(s, NULL::date))) END);
END
$status$;
COMMENT ON FUNCTION _status_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of what the views read of the status.';

-- Which relations a query reads: the shop's tables and those of the segmentation, as their names stand in it.
CREATE FUNCTION _relations_read(s segmentation_settings, query text) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $read$
    SELECT coalesce(array_agg(n.name ORDER BY n.name), '{}')
    FROM (
        SELECT @extschema@._relation(s, r.suffix) AS name FROM @extschema@._relations(s) AS r
        UNION
        SELECT to_regclass(t.relation)::text FROM @extschema@._sources(s) AS t
    ) AS n
    WHERE query ~ ('(?<![a-z0-9_".])' || regexp_replace(n.name, '([].^$*+?(){}|\\[])', '\\\1', 'g')
                   || '(?![a-z0-9_"])')
$read$;
COMMENT ON FUNCTION _relations_read(segmentation_settings, text) IS
    'Part of segmentations: the relations that a query of one reads.';

CREATE FUNCTION segmentation_sql(name text) RETURNS TABLE (
    relation text, kind text, unique_key text, query text, reads text[]
)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $sql$
DECLARE
    s @extschema@.segmentation_settings := @extschema@._checked_settings(@extschema@._own_settings(name));
BEGIN
    RETURN QUERY
        SELECT @extschema@._relation(s, r.suffix), r.kind,
               (SELECT string_agg(quote_ident(k.name), ', ' ORDER BY k.place)
                FROM unnest(r.keys) WITH ORDINALITY AS k (name, place)),
               q.query, @extschema@._relations_read(s, q.query)
        FROM @extschema@._relations(s) AS r
        CROSS JOIN LATERAL (
            SELECT CASE r.suffix WHEN 'status' THEN @extschema@._status_sql(s)
                        ELSE @extschema@._query(s, r.suffix, NULL::text) END AS query
        ) AS q
        WHERE r.is_wanted AND q.query IS NOT NULL ORDER BY r.place;
END
$sql$;
COMMENT ON FUNCTION segmentation_sql(text) IS
    'The SELECT of each table and view of one of the caller''s segmentations and the relations it reads, in the order '
    'in which they are made; of the status what the views read of it.';

-- create_segmentation, alter_segmentation and audit_orders are declared from the one list of arguments. They only
-- gather what was given, which is what is not NULL, into a document of arguments.
DO $declare$
DECLARE
    of_create pg_catalog.text;
    of_alter pg_catalog.text;
    of_audit pg_catalog.text;
    given_to_create pg_catalog.text;
    given_to_alter pg_catalog.text;
    given_to_audit pg_catalog.text;
    document pg_catalog.text := $document$(
        SELECT coalesce(jsonb_object_agg(g.argument, g.value), '{}')
        FROM (VALUES %s) AS g (argument, value) WHERE g.value IS NOT NULL
    )$document$;
BEGIN
    SELECT pg_catalog.string_agg(p.parameter, ', ' ORDER BY p.ordinality),
           pg_catalog.string_agg(p.altered, ', ' ORDER BY p.ordinality) FILTER (WHERE p.can_be_altered),
           pg_catalog.string_agg(p.parameter, ', ' ORDER BY p.ordinality) FILTER (WHERE p.is_audited),
           pg_catalog.format(document, pg_catalog.string_agg(p.value, ', ' ORDER BY p.ordinality)),
           pg_catalog.format(document, pg_catalog.string_agg(p.value, ', ' ORDER BY p.ordinality)
                                           FILTER (WHERE p.can_be_altered)),
           pg_catalog.format(document, pg_catalog.string_agg(p.value, ', ' ORDER BY p.ordinality)
                                           FILTER (WHERE p.is_audited))
    INTO of_create, of_alter, of_audit, given_to_create, given_to_alter, given_to_audit
    FROM (
        SELECT a.*,
               CASE WHEN a.default_value IS NULL THEN pg_catalog.format('%I %s', a.argument, a.type)
                    ELSE pg_catalog.format('%I %s DEFAULT %s', a.argument, a.type, a.default_value) END AS parameter,
               pg_catalog.format('%I %s DEFAULT NULL', a.argument, a.type) AS altered,
               pg_catalog.format('(%L, to_jsonb(%I))', a.argument, a.argument) AS value
        FROM @extschema@.segmentation_arguments() WITH ORDINALITY AS a
    ) AS p;
    EXECUTE pg_catalog.format(
$sql$CREATE FUNCTION @extschema@.create_segmentation(%s) RETURNS text
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
SET jit = off -- it costs more than it saves
AS $create$ SELECT @extschema@._create_segmentation(%s) $create$$sql$, of_create, given_to_create);
    EXECUTE pg_catalog.format(
$sql$CREATE FUNCTION @extschema@.alter_segmentation(name text, %s, reset text[] DEFAULT '{}') RETURNS text
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp SET jit = off
AS $alter$ SELECT @extschema@._alter_segmentation(name, %s, reset) $alter$$sql$, of_alter, given_to_alter);
    EXECUTE pg_catalog.format(
$sql$CREATE FUNCTION @extschema@.audit_orders(%s)
    RETURNS TABLE (finding text, rows bigint, share numeric, example text, effect text)
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $audit$
    SELECT * FROM @extschema@._audit_in_language(%s)
$audit$$sql$, of_audit, given_to_audit);
END
$declare$;
COMMENT ON FUNCTION create_segmentation IS
    'Makes and fills NAME_customers, the other views asked for and what they stand on, owned by the caller; '
    'segmentation_arguments() lists the arguments.';
COMMENT ON FUNCTION alter_segmentation IS
    'Changes what is given, sets back what reset names, and brings the views up to date; policy => ''learn'' learns '
    'anew.';
COMMENT ON FUNCTION audit_orders IS
    'What is odd about a table of orders, and about the tables of events, contacts and customers: one row a finding, '
    'with count, share 0 to 1, an example and what it does to the results.';
