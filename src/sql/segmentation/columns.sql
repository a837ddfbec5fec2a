-- segmentation: columns of the shop's tables

-- The tables and views that the settings name.
CREATE FUNCTION _sources(s segmentation_settings) RETURNS TABLE (source text, relation text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 7 SET search_path = pg_catalog, pg_temp
AS $sources$
BEGIN
    RETURN QUERY
        VALUES ('orders', s.orders), ('engagement', s.engagement), ('contacts', s.contacts),
               ('membership_log', s.membership_log), ('customers', s.customers),
               ('targets', s.targets), ('costs', s.costs);
END
$sources$;
COMMENT ON FUNCTION _sources(segmentation_settings) IS
    'Part of segmentations: the names of the shop''s tables; NULL where there is none.';

-- A table or view of the settings. They keep its name, not its oid, so that the message names what was dropped or
-- renamed.
CREATE FUNCTION _source_table(s segmentation_settings, source text) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $table$
DECLARE
    named text := (SELECT t.relation FROM @extschema@._sources(s) AS t WHERE t.source = _source_table.source);
    found regclass := to_regclass(named);
    kind "char";
BEGIN
    IF coalesce(found::oid, 0) = 0 THEN
        RAISE EXCEPTION 'there is no relation % (%)', named, source
            USING ERRCODE = 'undefined_table',
                  HINT = format('Was it renamed or dropped? alter_segmentation(%L, %s => ...) names another one.',
                                s.name, source);
    END IF;
    SELECT c.relkind INTO kind FROM pg_class AS c WHERE c.oid = found;
    IF kind NOT IN ('r', 'p', 'v', 'm', 'f') THEN
        RAISE EXCEPTION '% (%) is no table or view', found, source
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'Name a table, partitioned table, foreign table, view or materialized view.';
    END IF;
    RETURN found;
END
$table$;
COMMENT ON FUNCTION _source_table(segmentation_settings, text) IS
    'Part of segmentations: a source as named in the settings; an error where it is gone.';

-- A domain is used as the type it stands on.
CREATE FUNCTION _base_type(type oid) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $base$
BEGIN
    RETURN (
        WITH RECURSIVE base AS (
            SELECT t.oid, t.typbasetype FROM pg_type AS t WHERE t.oid = type
            UNION ALL
            SELECT t.oid, t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.typbasetype
        )
        SELECT b.oid FROM base AS b WHERE b.typbasetype = 0);
END
$base$;
COMMENT ON FUNCTION _base_type(oid) IS 'Part of segmentations: a type, of a domain the one that it stands on.';

-- The columns of a source that the settings name, by role: a JSON null where it is settled that there is none.
CREATE FUNCTION _settled_columns(s segmentation_settings, source text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $settled$
    SELECT jsonb_object_agg(c.role, to_jsonb(s) -> c.setting)
    FROM @extschema@._source_columns() AS c WHERE c.source = $2
$settled$;
COMMENT ON FUNCTION _settled_columns(segmentation_settings, text) IS
    'Part of segmentations: the columns of a source that the settings name, by role.';

-- The settings with the columns of a source: those that are settled, and for every other role the one that is guessed.
-- The keys of the other sources are looked for under the names they have in the orders first.
CREATE FUNCTION _with_columns(s segmentation_settings, source text, settled jsonb) RETURNS segmentation_settings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $columns$
DECLARE
    relation regclass := @extschema@._source_table(s, source);
    of_orders jsonb := CASE source WHEN 'orders' THEN '{}'::jsonb
                                   ELSE jsonb_build_object('tenant', s.tenant, 'customer', s.customer) END;
    names text[];
    types text[];
    are_readable boolean[];
    listed text;
    unknown text;
    wanted record;
    argument text;
    choice record;
    found jsonb := '{}';
BEGIN
    SELECT min(g.role) INTO unknown FROM jsonb_object_keys(settled) AS g (role)
    WHERE g.role NOT IN (SELECT c.role FROM @extschema@._source_columns() AS c WHERE c.source = _with_columns.source);
    IF unknown IS NOT NULL THEN
        PERFORM @extschema@._refuse(
            format('%s_columns: %s is not known', source, quote_ident(unknown)),
            coalesce(format('%s may be meant. ', @extschema@._role_of_name(source, unknown)), '')
            || format('Known are: %s.', (SELECT string_agg(c.role, ', ') FROM @extschema@._source_columns() AS c
                                         WHERE c.source = _with_columns.source)));
    END IF;
    -- Types by their names in the catalog: format_type quotes them where quote_all_identifiers is on.
    SELECT array_agg(a.attname::text ORDER BY a.attnum),
           array_agg(CASE t.typnamespace WHEN 'pg_catalog'::regnamespace THEN t.typname::text ELSE '' END
                     ORDER BY a.attnum),
           array_agg(has_column_privilege(relation, a.attnum, 'SELECT') ORDER BY a.attnum),
           string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
    INTO names, types, are_readable, listed
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = @extschema@._base_type(a.atttypid)
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped;

    FOR wanted IN SELECT * FROM @extschema@._source_columns() AS c WHERE c.source = _with_columns.source LOOP
        argument := concat_ws('.', nullif(source, 'orders'), wanted.role);
        SELECT * INTO choice FROM @extschema@._choose_column(
            source, wanted.role, coalesce(names, '{}'), coalesce(types, '{}'), coalesce(are_readable, '{}'),
            settled ? wanted.role, settled ->> wanted.role, of_orders ->> wanted.role);
        CASE choice.outcome
        WHEN 'found', 'absent' THEN
            -- What is absent is settled too: a column that is added later does not come in by its name.
            found := found || jsonb_build_object(wanted.setting, names[choice.places[1]]);
        WHEN 'ambiguous' THEN
            RAISE EXCEPTION '% has several columns that could be %: %', relation, argument,
                (SELECT string_agg(quote_ident(names[p]), ', ' ORDER BY names[p]) FROM unnest(choice.places) AS p)
                USING ERRCODE = 'ambiguous_column', HINT = 'Name the one that is meant.';
        WHEN 'missing' THEN
            RAISE EXCEPTION '% has no column that is known to be %', relation, argument
                USING ERRCODE = 'undefined_column', HINT = format('Name one of its columns: %s.', listed);
        WHEN 'unknown' THEN
            RAISE EXCEPTION '% has no column %, which is named as %',
                relation, quote_ident(settled ->> wanted.role), argument
                USING ERRCODE = 'undefined_column', HINT = format('Its columns: %s.', listed);
        WHEN 'unfit' THEN
            RAISE EXCEPTION 'column % of % is %, which cannot be %', quote_ident(names[choice.places[1]]), relation,
                (SELECT a.atttypid::regtype FROM pg_attribute AS a
                 WHERE a.attrelid = relation AND a.attname = names[choice.places[1]]), argument
                USING ERRCODE = 'datatype_mismatch',
                      HINT = format('It must be %s. A view over the table can cast it.', wanted.types);
        END CASE;
    END LOOP;
    RETURN @extschema@._with_changes(s, found);
END
$columns$;
COMMENT ON FUNCTION _with_columns(segmentation_settings, text, jsonb) IS
    'Part of segmentations: settings with the columns of a source, named or guessed.';

-- The settings where a source is not named: it has no columns.
CREATE FUNCTION _without_columns(s segmentation_settings, source text) RETURNS segmentation_settings
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $none$
    SELECT @extschema@._with_changes(s, (SELECT jsonb_object_agg(c.setting, NULL::text)
                                 FROM @extschema@._source_columns() AS c WHERE c.source = $2))
$none$;
COMMENT ON FUNCTION _without_columns(segmentation_settings, text) IS
    'Part of segmentations: settings without columns of a source.';

-- The btree order of a type, as an operator class, whatever its schema; NULL where it has none.
CREATE FUNCTION _btree_order(type oid) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $order$
DECLARE
    base oid := @extschema@._base_type(type);
BEGIN
    RETURN (
        SELECT c.oid
        FROM pg_type AS b
        JOIN pg_opclass AS c ON c.opcdefault AND (
            c.opcintype = b.oid
            OR c.opcintype = 'anyenum'::regtype AND b.typtype = 'e'
            OR c.opcintype = 'anyarray'::regtype AND b.typcategory = 'A'
            OR EXISTS (SELECT FROM pg_cast AS k
                       WHERE k.castsource = b.oid AND k.casttarget = c.opcintype
                           AND k.castmethod = 'b' AND k.castcontext = 'i'))
        JOIN pg_am AS m ON m.oid = c.opcmethod AND m.amname = 'btree'
        JOIN pg_type AS i ON i.oid = c.opcintype
        WHERE b.oid = base
        ORDER BY c.opcintype = b.oid DESC, i.typispreferred DESC
        LIMIT 1);
END
$order$;
COMMENT ON FUNCTION _btree_order(oid) IS 'Part of segmentations: the operator class of the btree order of a type.';

-- The operator that says whether two keys of a type are equal: that of its btree order.
CREATE FUNCTION _equality(type oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $equality$
DECLARE
    operator text := (
        SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
        FROM pg_opclass AS c
        JOIN pg_amop AS a ON a.amopfamily = c.opcfamily AND a.amopstrategy = 3
            AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype
        JOIN pg_operator AS o ON o.oid = a.amopopr
        JOIN pg_namespace AS n ON n.oid = o.oprnamespace
        WHERE c.oid = @extschema@._btree_order(type));
BEGIN
    IF operator IS NULL THEN
        RAISE EXCEPTION 'a key of type % has no btree order', type::regtype
            USING ERRCODE = 'datatype_mismatch', HINT = 'Customer keys need one: bigint, text, uuid and so on.';
    END IF;
    RETURN operator;
END
$equality$;
COMMENT ON FUNCTION _equality(oid) IS 'Part of segmentations: the operator for equal keys of a type, with its schema.';

-- Whether equal values of a type have equal bytes, as its btree order says: texts of most collations have, and
-- 1.0 and 1.00 have not.
CREATE FUNCTION _equal_values_are_alike(type oid, collation_of_type oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $alike$
    SELECT EXISTS (
        SELECT FROM pg_opclass AS c
        JOIN pg_amproc AS p ON p.amprocfamily = c.opcfamily AND p.amprocnum = 4
            AND p.amproclefttype = c.opcintype AND p.amprocrighttype = c.opcintype
        WHERE c.oid = @extschema@._btree_order(type) AND (
            p.amproc = 'btequalimage(oid)'::regprocedure
            OR p.amproc = 'btvarstrequalimage(oid)'::regprocedure
                AND (SELECT l.collisdeterministic FROM pg_collation AS l WHERE l.oid = collation_of_type)))
$alike$;
COMMENT ON FUNCTION _equal_values_are_alike(oid, oid) IS
    'Part of segmentations: whether equal values of a type have equal bytes.';

-- The key columns: the tenant's, where there is one, and the customer's, named as in the orders.
CREATE FUNCTION _keys(s segmentation_settings) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $keys$ BEGIN RETURN array_remove(ARRAY[s.tenant, s.customer], NULL); END $keys$;
COMMENT ON FUNCTION _keys(segmentation_settings) IS 'Part of segmentations: the key columns.';

CREATE FUNCTION _key_list(s segmentation_settings, alias text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $keys$
    SELECT string_agg(coalesce(alias || '.', '') || quote_ident(k.name), ', ' ORDER BY k.place)
    FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place)
$keys$;
COMMENT ON FUNCTION _key_list(segmentation_settings, text) IS
    'Part of segmentations: the quoted key columns, of an alias or without.';

-- The tenant's column with a comma behind it, for the lists of columns of a report; empty where there is one shop.
CREATE FUNCTION _tenant_column(s segmentation_settings, alias text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $tenant$ SELECT CASE WHEN s.tenant IS NULL THEN '' ELSE format('%s.%I, ', alias, s.tenant) END $tenant$;
COMMENT ON FUNCTION _tenant_column(segmentation_settings, text) IS
    'Part of segmentations: the quoted column of the tenant and a comma; empty where there is one shop.';

CREATE FUNCTION _equal_columns(relation regclass, names text[], one text, other text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $equal$
BEGIN
    RETURN (SELECT string_agg(format('%s.%I %s %s.%I', one, k.name, @extschema@._equality(a.atttypid), other, k.name),
                              ' AND ' ORDER BY k.place)
            FROM unnest(names) WITH ORDINALITY AS k (name, place)
            JOIN pg_attribute AS a ON a.attrelid = relation AND a.attname = k.name);
END
$equal$;
COMMENT ON FUNCTION _equal_columns(regclass, text[], text, text) IS
    'Part of segmentations: the condition that two rows have equal columns of these, which a relation has.';

-- The attributes of customers, in the order in which they are named: columns of the customers' table, and columns of
-- the orders as the first order of a customer has them. `stored_in` is the table of the segmentation that keeps them.
CREATE FUNCTION _attributes(s segmentation_settings) RETURNS TABLE (
    place bigint, argument text, source text, stored_in text, name text
)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 5 SET search_path = pg_catalog, pg_temp
AS $attributes$
    SELECT row_number() OVER (ORDER BY a.argument, a.place), a.argument, a.source, a.stored_in, a.name
    FROM (
        SELECT 'attributes', 'customers', 'profiles', n.name, n.place
        FROM unnest(s.attributes) WITH ORDINALITY AS n (name, place)
        UNION ALL
        SELECT 'first_order', 'orders', 'first_orders', n.name, n.place
        FROM unnest(s.first_order) WITH ORDINALITY AS n (name, place)
    ) AS a (argument, source, stored_in, name, place)
$attributes$;
COMMENT ON FUNCTION _attributes(segmentation_settings) IS 'Part of segmentations: the attributes of customers.';

-- The attributes with their columns at the sources. They are kept as the type that a domain stands on, and not cut to
-- the length that the column has now.
CREATE FUNCTION _attribute_columns(s segmentation_settings) RETURNS TABLE (
    place bigint, source text, stored_in text, name text, base_type oid, type text
)
LANGUAGE sql STABLE ROWS 5 SET search_path = pg_catalog, pg_temp
AS $columns$
    SELECT a.place, a.source, a.stored_in, a.name, b.base, format_type(b.base, -1)
    FROM @extschema@._attributes(s) AS a
    JOIN pg_attribute AS c ON c.attrelid = @extschema@._source_table(s, a.source) AND c.attname = a.name
    CROSS JOIN LATERAL (SELECT @extschema@._base_type(c.atttypid) AS base) AS b
    ORDER BY a.place
$columns$;
COMMENT ON FUNCTION _attribute_columns(segmentation_settings) IS
    'Part of segmentations: the attributes of customers with the types of their columns.';

CREATE FUNCTION _same_key(s segmentation_settings, one text, other text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $same$ BEGIN RETURN @extschema@._same_columns(s, @extschema@._keys(s), one, other); END $same$;
COMMENT ON FUNCTION _same_key(segmentation_settings, text, text) IS
    'Part of segmentations: the condition that two rows are of the same customer.';

CREATE FUNCTION _same_columns(s segmentation_settings, names text[], one text, other text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $same$
BEGIN
    RETURN @extschema@._equal_columns(@extschema@._source_table(s, 'orders'), names, one, other);
END
$same$;
COMMENT ON FUNCTION _same_columns(segmentation_settings, text[], text, text) IS
    'Part of segmentations: the condition that two rows have equal columns of these; NULL without any.';

-- The key columns and attributes whose types are others than those of the tables that keep them.
CREATE FUNCTION _changed_types(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $changed$
    SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.place)
    FROM (
        SELECT 0, k.name, 'histories', o.atttypid
        FROM unnest(@extschema@._keys(s)) AS k (name)
        JOIN pg_attribute AS o ON o.attrelid = @extschema@._source_table(s, 'orders') AND o.attname = k.name
        UNION ALL
        SELECT a.place, a.name, a.stored_in, a.base_type FROM @extschema@._attribute_columns(s) AS a
    ) AS c (place, name, stored_in, type)
    LEFT JOIN pg_attribute AS t
        ON t.attrelid = to_regclass(@extschema@._relation(s, c.stored_in)) AND t.attname = c.name
    WHERE c.type IS DISTINCT FROM t.atttypid
$changed$;
COMMENT ON FUNCTION _changed_types(segmentation_settings) IS
    'Part of segmentations: the columns whose types are others than when the tables were made; NULL: none.';
