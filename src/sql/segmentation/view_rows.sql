-- segmentation: rows of materialized views

-- REFRESH computes all rows of a view anew. What follows does it for the rows of some keys, by the view's own
-- definition.

-- What has to be done to a materialized view so that it holds what its definition returns, for _write_view_rows: the
-- place of a row, the change, and the columns of the view. A condition on a row t, which stands on the view and on its
-- definition, leaves only the rows meant; without one all are compared, and those that stay are left out. The row that
-- is there is called like a system column, because no column of a view can be. A row of the view that has two of the
-- definition is found by its place, so that not the last of them wins. Where another SELECT returns the same rows as
-- the definition for less, it stands in its place. A row has the type of the view, because Citus can pass on no other.
CREATE FUNCTION _changes_sql(
    view regclass, keys text[], condition text DEFAULT NULL, definition text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $changes$
DECLARE
    fresh text := format(E'(SELECT t.* FROM (\n%s\n) AS t WHERE %s)',
                         coalesce(definition, rtrim(pg_get_viewdef(view), '; ')), coalesce(condition, 'true'));
BEGIN
    -- The rows of some keys are computed by themselves: under a FULL JOIN the planner orders the joins of a definition badly.
    RETURN CASE WHEN condition IS NULL THEN '' ELSE format(E'WITH f AS MATERIALIZED %s\n', fresh) END
        || format('SELECT t.ctid, CASE WHEN t.ctid IS NULL THEN ''insert'' WHEN f.%I IS NULL THEN ''delete''', keys[1])
        || CASE WHEN condition IS NULL THEN ''
                ELSE ' WHEN count(*) OVER (PARTITION BY t.ctid) > 1 THEN ''repeat''' END
        || ' WHEN t.tableoid OPERATOR(pg_catalog.*=) (f.*) THEN ''keep'' ELSE ''update'' END, f.*'
        || format(E'\nFROM (SELECT t.ctid, ROW(t.*)::%2$s AS tableoid, %1$s FROM ONLY %2$s AS t WHERE %3$s) AS t',
                  (SELECT string_agg(format('t.%I', k), ', ') FROM unnest(keys) AS k), view,
                  coalesce(condition, 'true'))
        || format(E'\nFULL JOIN %s ON %s', CASE WHEN condition IS NULL THEN fresh || ' AS f' ELSE 'f' END,
                  @extschema@._equal_columns(view, keys, 't', 'f'))
        || CASE WHEN condition IS NULL THEN E'\nWHERE (t.tableoid OPERATOR(pg_catalog.*=) (f.*)) IS NOT TRUE'
                ELSE '' END;
END
$changes$;
COMMENT ON FUNCTION _changes_sql(regclass, text[], text, text) IS
    'Part of segmentations: the SELECT of what has to be done so that a materialized view holds what its definition '
    'returns.';

-- The condition that the key of a row t is among those of the parameters, an array for each column. What is a condition
-- on one column alone PostgreSQL takes into a definition, through GROUP BY and UNION ALL; a second one then tells the
-- keys apart from other combinations of their columns.
CREATE FUNCTION _among_parameters(view regclass, keys text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $among$
    SELECT string_agg(format('t.%I %s ANY ($%s)', k.name, @extschema@._equality(a.atttypid), k.place), ' AND '
                      ORDER BY k.place)
        || CASE WHEN cardinality(keys) = 1 THEN ''
                ELSE format(' AND EXISTS (SELECT FROM unnest(%s) AS k (%s) WHERE %s)',
                            string_agg('$' || k.place, ', ' ORDER BY k.place),
                            string_agg(quote_ident(k.name), ', ' ORDER BY k.place),
                            @extschema@._equal_columns(view, keys, 'k', 't')) END
    FROM unnest(keys) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = view AND a.attname = k.name
$among$;
COMMENT ON FUNCTION _among_parameters(regclass, text[]) IS
    'Part of segmentations: the condition that the key of a row is among those of the parameters.';

-- The unique keys of a relation by which its rows can be found: of plain columns, without a predicate, never deferred,
-- and equal in the way that the columns' types and collations are.
CREATE FUNCTION _unique_keys(relation regclass) RETURNS SETOF text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $unique$
    SELECT (SELECT array_agg(a.attname::text ORDER BY k.place)
            FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
            JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE k.place <= i.indnkeyatts)
    FROM pg_index AS i
    WHERE i.indrelid = relation AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
        AND i.indexprs IS NULL
        AND NOT EXISTS (
            SELECT FROM unnest(i.indkey::smallint[], i.indclass::oid[], i.indcollation::oid[])
                WITH ORDINALITY AS k (attnum, opclass, collation_oid, place)
            JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            JOIN pg_opclass AS o ON o.oid = k.opclass
            WHERE k.place <= i.indnkeyatts AND NOT (o.opcdefault AND k.collation_oid = a.attcollation))
    ORDER BY i.indexrelid
$unique$;
COMMENT ON FUNCTION _unique_keys(regclass) IS
    'Part of segmentations: the columns of the unique indexes by which the rows of a relation can be found.';

-- The key that a query of keys is of: its columns by name, in the order of the query. An error where there is no such
-- key, or where a column is of another type.
CREATE FUNCTION _key_of_query(view regclass, query text) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $key$
DECLARE
    found text[];
    possible text;
    other record;
BEGIN
    found := ARRAY(SELECT c.name FROM @extschema@._query_columns(query) AS c);
    IF NOT EXISTS (SELECT FROM @extschema@._unique_keys(view) AS k (names)
                   WHERE ARRAY(SELECT unnest(k.names) ORDER BY 1) = ARRAY(SELECT unnest(found) ORDER BY 1)) THEN
        SELECT string_agg(format('(%s)', (SELECT string_agg(quote_ident(n), ', ') FROM unnest(k.names) AS n)), ' or ')
        INTO possible FROM @extschema@._unique_keys(view) AS k (names);
        RAISE EXCEPTION 'the columns of the query of keys are no unique key of %: %', view,
            (SELECT string_agg(quote_ident(n), ', ') FROM unnest(found) AS n)
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = CASE WHEN possible IS NULL THEN
                      'Create a unique index on plain columns of the view, without WHERE.'
                  ELSE format('The query has to return %s.', possible) END;
    END IF;
    SELECT quote_ident(c.name) AS name, c.type, a.atttypid, t.typcategory INTO other
    FROM @extschema@._query_columns(query) AS c
    JOIN pg_attribute AS a ON a.attrelid = view AND a.attname = c.name
    JOIN pg_type AS t ON t.oid = @extschema@._base_type(a.atttypid)
    WHERE @extschema@._base_type(c.type) <> t.oid OR t.typcategory = 'A' LIMIT 1;
    IF other.typcategory = 'A' THEN
        RAISE EXCEPTION 'the key column % of % is an array', other.name, view
            USING ERRCODE = 'feature_not_supported', HINT = 'REFRESH brings all rows of the view up to date.';
    ELSIF other.name IS NOT NULL THEN
        RAISE EXCEPTION 'the query of keys returns % as %, and % has it as %', other.name,
            format_type(other.type, NULL), view, format_type(other.atttypid, NULL)
            USING ERRCODE = 'datatype_mismatch',
                  HINT = format('Cast it: %s::%s.', other.name, format_type(other.atttypid, NULL));
    END IF;
    RETURN found;
END
$key$;
COMMENT ON FUNCTION _key_of_query(regclass, text) IS
    'Part of segmentations: the unique key of a view that a query of keys is of.';

CREATE FUNCTION refresh_rows(view regclass, keys text) RETURNS written_rows
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $rows$
DECLARE
    key_columns text[];
    written @extschema@.written_rows;
BEGIN
    IF view IS NULL OR keys IS NULL THEN
        PERFORM @extschema@._refuse(CASE WHEN view IS NULL THEN 'view is NULL' ELSE 'keys is NULL' END,
                                    'Name a materialized view, and give a SELECT of keys.');
    END IF;
    -- Locked first: what is looked at from here on stays, and is looked at under a later snapshot.
    PERFORM @extschema@._lock_view(view);
    key_columns := @extschema@._key_of_query(view, keys);
    SELECT w.* INTO written FROM @extschema@._write_view_rows(
        view, @extschema@._changes_sql(view, key_columns, @extschema@._among_parameters(view, key_columns)), keys) AS w;
    RETURN written;
END
$rows$;
COMMENT ON FUNCTION refresh_rows(regclass, text) IS
    'Brings the rows of some keys of one of the caller''s materialized views up to date with its definition, and '
    'leaves the others; keys is a SELECT of the columns of a unique index.';

-- Makes a materialized view hold what its definition returns, and writes only the rows that differ. Not REFRESH
-- CONCURRENTLY, which computes all rows into a temporary table first: a transaction with one cannot be prepared.
CREATE FUNCTION _refresh_view(view regclass, keys text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $refresh_view$
BEGIN
    PERFORM @extschema@._write_view_rows(view, @extschema@._changes_sql(view, keys), NULL::text);
END
$refresh_view$;
COMMENT ON FUNCTION _refresh_view(regclass, text[]) IS
    'Part of segmentations: makes a materialized view hold what its definition returns, writing only what differs.';
