-- segmentation: tables that are distributed like the orders

-- Where Citus distributes the orders by a part of the customer's key, and every other source of customers alike, the
-- tables by customer lie on the shards too: a row of them beside the orders that it is made of, written by whoever
-- has both. NAME_customers is a table then, because a materialized view has no shards. What readers see of it is the
-- same. The reports and the status stay on the coordinator.
--
-- What is written on shards is plain SQL with two conditions of Citus: it joins the whole key, so that each shard finds
-- all it needs on its own server, and it reads no table of the coordinator, so that day, policy and model are literals.

-- The key column that sources are distributed by, as the orders call it; NULL: one of them is not, or is cut in other
-- parts.
CREATE FUNCTION _distribution_column(s segmentation_settings, sources text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $column$
DECLARE
    partitions regclass := @extschema@._citus_catalog('pg_dist_partition'::text);
    place integer;
BEGIN
    IF partitions IS NULL OR s.orders IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format(
$sql$SELECT min(k.place)
FROM unnest($1, $2) AS t (source, relation)
JOIN %s AS p ON p.logicalrelid = t.relation AND p.partmethod = 'h'
CROSS JOIN LATERAL (
    SELECT array_position(@extschema@._source_keys($3, t.source), column_to_column_name(p.logicalrelid, p.partkey))
        AS place
) AS k
HAVING count(k.place) = cardinality($1) AND count(DISTINCT k.place) = 1 AND count(DISTINCT p.colocationid) = 1$sql$,
        partitions)
        INTO place
        USING sources, ARRAY(SELECT @extschema@._source_table(s, t.source)::oid
                             FROM unnest(sources) WITH ORDINALITY AS t (source, place) ORDER BY t.place), s;
    RETURN (@extschema@._source_keys(s, 'orders'))[place];
END
$column$;
COMMENT ON FUNCTION _distribution_column(segmentation_settings, text[]) IS
    'Part of segmentations: the key column that Citus distributes sources of customers by; NULL: not all of them.';

-- The same of all sources of customers.
CREATE FUNCTION _distribution_column(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $column$
    SELECT @extschema@._distribution_column(s, @extschema@._sources_of_customers(s))
$column$;
COMMENT ON FUNCTION _distribution_column(segmentation_settings) IS
    'Part of segmentations: the key column that Citus distributes all sources of customers by; NULL: not all of them.';

-- Whether the tables by customer are distributed: what is there says so, and before it is made, the sources. A dump
-- that was restored elsewhere has a table without shards, which is written in the same way.
CREATE FUNCTION _is_distributed(s segmentation_settings) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $distributed$
DECLARE
    customers "char";
BEGIN
    IF s.name IS NOT NULL THEN -- orders that are only audited have none
        SELECT c.relkind INTO customers FROM pg_class AS c
        WHERE c.oid = to_regclass(@extschema@._relation(s, 'customers'));
    END IF;
    RETURN CASE WHEN customers IS NULL THEN @extschema@._distribution_column(s) IS NOT NULL ELSE customers = 'r' END;
END
$distributed$;
COMMENT ON FUNCTION _is_distributed(segmentation_settings) IS
    'Part of segmentations: whether the tables by customer of one lie on shards, or will.';

CREATE FUNCTION _is_on_shards(s segmentation_settings, suffix text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $on_shards$
BEGIN
    RETURN (@extschema@._source_of_table(suffix) IS NOT NULL OR suffix IN ('campaign_members', 'customers'))
        AND @extschema@._is_distributed(s);
END
$on_shards$;
COMMENT ON FUNCTION _is_on_shards(segmentation_settings, text) IS
    'Part of segmentations: whether a table of one lies on shards, or will.';

-- Who distributes the orders by the key, and something else not, may not have meant it.
CREATE FUNCTION _show_what_is_not_distributed(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE
    sources text[] := @extschema@._sources_of_customers(s);
    source text;
BEGIN
    IF @extschema@._is_distributed(s) OR @extschema@._distribution_column(s, '{orders}') IS NULL THEN
        RETURN;
    END IF;
    FOREACH source IN ARRAY array_remove(sources, 'orders') LOOP
        IF @extschema@._distribution_column(s, ARRAY['orders', source]) IS NULL THEN
            RAISE NOTICE '%: % is not distributed like %: the tables of the segmentation stay on the coordinator',
                s.name, @extschema@._source_table(s, source), @extschema@._source_table(s, 'orders');
        END IF;
    END LOOP;
END
$show$;
COMMENT ON FUNCTION _show_what_is_not_distributed(segmentation_settings) IS
    'Part of segmentations: shows which sources keep the tables of one on the coordinator.';

-- Makes the shards of a table that is empty. Citus tells the workers of it, whatever else stays on the coordinator.
CREATE FUNCTION _distribute(s segmentation_settings, suffix text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $distribute$
DECLARE
    propagates text := @extschema@._propagate_ddl('on');
BEGIN
    PERFORM create_distributed_table(@extschema@._relation(s, suffix)::regclass, @extschema@._distribution_column(s),
                                     colocate_with => @extschema@._source_table(s, 'orders')::text);
    PERFORM @extschema@._propagate_ddl(propagates);
END
$distribute$;
COMMENT ON FUNCTION _distribute(segmentation_settings, text) IS
    'Part of segmentations: distributes one of its tables like the orders.';

-- What the views read of the status table, as a SELECT without a table.
CREATE FUNCTION _settled_status(s segmentation_settings) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $settled$
DECLARE
    p record;
BEGIN
    EXECUTE format('SELECT t.as_of, t.policy, t.lang, t.model FROM %s AS t',
                   @extschema@._lock_and_check(s, 'status', 'ACCESS SHARE MODE')) INTO p;
    RETURN format('(SELECT %L::pg_catalog.date AS as_of, %L::@extschema@.segment_policy AS policy,'
                  ' %L::pg_catalog.text AS lang, %L::@extschema@.purchase_model AS model)',
                  p.as_of, p.policy, p.lang, p.model);
END
$settled$;
COMMENT ON FUNCTION _settled_status(segmentation_settings) IS
    'Part of segmentations: day, policy, language and model of the status table as literals.';

-- With a SELECT of keys, the condition that a row of one of the tables by customer is of one of these, with AND before
-- it; empty where all are meant.
CREATE FUNCTION _and_in(s segmentation_settings, alias text, among text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $in$
    SELECT CASE WHEN among IS NULL THEN ''
                ELSE format(' AND EXISTS (SELECT FROM %s AS a WHERE %s)', among, @extschema@._same_key(s, 'a', alias)) END
$in$;
COMMENT ON FUNCTION _and_in(segmentation_settings, text, text) IS
    'Part of segmentations: the condition that a row of one of the tables by customer is of some customers.';

-- Makes a table hold what a query returns, and writes only the rows that differ, like _write_differences. `there` is a
-- SELECT of the same keys for less: those that are not among them go. With `among`, a SELECT of keys, it is about these
-- customers only. Of the histories the rows of prospects are none of the query's.
CREATE FUNCTION _write_shards(
    s segmentation_settings, suffix text, key_columns text[], query text, there text, among text
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $write$
DECLARE
    target text := @extschema@._lock_and_check(s, suffix, 'ROW EXCLUSIVE MODE');
    keys text := (SELECT string_agg(quote_ident(k), ', ') FROM unnest(key_columns) AS k);
    same_key text := @extschema@._equal_columns(target::regclass, key_columns, 'f', 't');
    columns text;
    new_values text;
    gone bigint;
    written bigint;
BEGIN
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
           string_agg(format('%1$I = EXCLUDED.%1$I', a.attname), ', ' ORDER BY a.attnum)
               FILTER (WHERE a.attname <> ALL (key_columns))
    INTO columns, new_values
    FROM pg_attribute AS a WHERE a.attrelid = target::regclass AND a.attnum > 0 AND NOT a.attisdropped;
    EXECUTE format('DELETE FROM %s AS t WHERE NOT EXISTS (SELECT FROM (%s) AS f WHERE %s)', target, there, same_key)
        || @extschema@._and_in(s, 't', among)
        || CASE suffix WHEN 'histories' THEN ' AND t.history IS NOT NULL' ELSE '' END;
    GET DIAGNOSTICS gone = ROW_COUNT;
    EXECUTE format('INSERT INTO %s (%s) SELECT %2$s FROM (%s) AS f', target, columns, query)
        || format(' WHERE NOT EXISTS (SELECT FROM %s AS t WHERE %s AND (t.*) OPERATOR(pg_catalog.*=) (f.*))', target,
                  same_key)
        || format(' ON CONFLICT (%s) DO UPDATE SET %s', keys, new_values);
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN gone + written;
END
$write$;
COMMENT ON FUNCTION _write_shards(segmentation_settings, text, text[], text, text, text) IS
    'Part of segmentations: makes a table on shards equal to a query, writing only what differs.';

-- Customers without orders have a row among the histories, without one, so that every fact of a customer is joined to a
-- row of it: Citus cannot send a UNION of two tables to the shards together with all that is joined to it. With
-- `among`, a SELECT of keys, it is about these customers only.
CREATE FUNCTION _write_prospects(s segmentation_settings, among text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $prospects$
DECLARE
    histories text := @extschema@._lock_and_check(s, 'histories', 'ROW EXCLUSIVE MODE');
    profiles text := @extschema@._lock_and_check(s, 'profiles', 'ACCESS SHARE MODE');
    same_key text := @extschema@._same_key(s, 'h', 'c');
BEGIN
    EXECUTE format('DELETE FROM %s AS h WHERE h.history IS NULL AND NOT EXISTS (SELECT FROM %s AS c WHERE %s)',
                   histories, profiles, same_key)
        || @extschema@._and_in(s, 'h', among);
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM %s AS c', histories, @extschema@._key_list(s),
                   @extschema@._key_list(s, 'c'), profiles)
        || format(' WHERE NOT EXISTS (SELECT FROM %s AS h WHERE %s)', histories, same_key)
        || @extschema@._and_in(s, 'c', among);
END
$prospects$;
COMMENT ON FUNCTION _write_prospects(segmentation_settings, text) IS
    'Part of segmentations: keeps a row without a history of each customer without orders.';

-- Brings NAME_customers up to date. Where it is made anew, who changed is told by what it held before. With `among`, a
-- SELECT of keys, only these customers are evaluated. Returns how many rows were written.
CREATE FUNCTION _write_customers_on_shards(s segmentation_settings, tell_changes boolean, among text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $customers$
DECLARE
    status text := @extschema@._settled_status(s);
    facts text := @extschema@._facts_sql(s, status);
    customers text;
BEGIN
    IF among IS NOT NULL THEN
        facts := format('SELECT f.* FROM (%s) AS f WHERE true', facts) || @extschema@._and_in(s, 'f', among);
    END IF;
    customers := @extschema@._customers_sql(s, format('(%s)', facts), status);
    IF tell_changes AND s.keep_changes > 0 THEN
        PERFORM @extschema@._tell_changes_on_shards(s, customers, facts, among);
    END IF;
    RETURN @extschema@._write_shards(s, 'customers', @extschema@._keys(s), customers, facts, among);
END
$customers$;
COMMENT ON FUNCTION _write_customers_on_shards(segmentation_settings, boolean, text) IS
    'Part of segmentations: brings NAME_customers on shards up to date, and tells who changed by it.';

-- Before NAME_customers is written: what will be another in it comes to the coordinator, and nothing else.
CREATE FUNCTION _tell_changes_on_shards(s segmentation_settings, customers text, facts text, among text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $tell$
DECLARE
    target text := @extschema@._relation(s, 'customers');
    same_key text := @extschema@._same_key(s, 't', 'f');
    watched record;
BEGIN
    SELECT string_agg(format('t.%1$I AS from_%2$s, f.%1$I AS to_%2$s', w.name, w.place), ', ') AS came,
           string_agg(format('t.%I, NULL::pg_catalog.text', w.name), ', ') AS gone,
           string_agg(format('t.%1$I IS DISTINCT FROM f.%1$I', w.name), ' OR ') AS differ,
           string_agg(format('(%L, c.from_%2$s, c.to_%2$s)', w.name, w.place), ', ' ORDER BY w.place) AS rows
    INTO watched FROM unnest(@extschema@._watched_columns()) WITH ORDINALITY AS w (name, place);
    EXECUTE format('WITH came AS MATERIALIZED (SELECT %s, %s FROM (%s) AS f LEFT JOIN %s AS t ON %s WHERE %s), ',
                   @extschema@._key_list(s, 'f'), watched.came, customers, target, same_key, watched.differ)
        || format('gone AS MATERIALIZED (SELECT %s, %s FROM %s AS t',
                  @extschema@._key_list(s, 't'), watched.gone, target)
        || format(' WHERE NOT EXISTS (SELECT FROM (%s) AS f WHERE %s)%s) ', facts, same_key,
                  @extschema@._and_in(s, 't', among))
        || format('INSERT INTO %s (changed_at, as_of, %s, what, from_value, to_value)',
                  @extschema@._lock_and_check(s, 'changes', 'ROW EXCLUSIVE MODE'), @extschema@._key_list(s))
        || format(' SELECT $1, p.as_of, %s, v.what, v.from_value, v.to_value', @extschema@._key_list(s, 'c'))
        || format(' FROM (SELECT * FROM came UNION ALL SELECT * FROM gone) AS c CROSS JOIN %s AS p',
                  @extschema@._relation(s, 'status'))
        || format(' CROSS JOIN LATERAL (VALUES %s) AS v (what, from_value, to_value)', watched.rows)
        || ' WHERE v.from_value IS DISTINCT FROM v.to_value'
        USING clock_timestamp();
END
$tell$;
COMMENT ON FUNCTION _tell_changes_on_shards(segmentation_settings, text, text, text) IS
    'Part of segmentations: tells who will be another in NAME_customers on shards.';
