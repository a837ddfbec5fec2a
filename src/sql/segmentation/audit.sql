-- segmentation: audit

-- What is odd about single rows of the orders. All conditions are counted in one pass. Examples show key, day and
-- amount: a notice must not show what nobody asked for, and whoever may read only the columns that are needed can do
-- without the others.
CREATE FUNCTION _audit_rows(s segmentation_settings, rows text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    keys text := @extschema@._key_list(s, 'o');
    no_key text := (
        SELECT string_agg(format('o.%I IS NULL', k.name), ' OR ') FROM unnest(@extschema@._keys(s)) AS k (name));
    moment text := format('o.%I', s.ordered_at);
    day text := @extschema@._day(s, @extschema@._source_table(s, 'orders'), 'o', s.ordered_at);
    amount text := format('o.%I', s.amount); -- not cast: PostgreSQL 13 has no infinite numeric
    order_id text := CASE WHEN s.order_id IS NOT NULL THEN format('o.%I', s.order_id) END;
    one_row text := CASE WHEN s.order_id IS NULL THEN 'an order' ELSE 'a line' END;
    shown text := format('left(CAST(ROW(%s, %s, %s) AS text), 120)', keys, moment, amount);
    findings text[];
    effects text[];
    counts text;
    examples text;
    total bigint;
    counted bigint[];
    shown_examples text[];
BEGIN
    SELECT array_agg(f.finding ORDER BY f.place), array_agg(f.effect ORDER BY f.place),
           string_agg(format('count(*) FILTER (WHERE %s)', f.condition), ', ' ORDER BY f.place),
           string_agg(format('min(%s) FILTER (WHERE %s)', shown, f.condition), ', ' ORDER BY f.place)
    INTO findings, effects, counts, examples
    FROM (VALUES
        (1, 'no customer', no_key, 'ignored'),
        (2, 'no date', moment || ' IS NULL', 'ignored'),
        (3, 'infinite date', format('NOT isfinite(%s)', moment), 'refused: segment without them (order_filter)'),
        (4, 'date in the future', format('isfinite(%s) AND %s > %L', moment, day, @extschema@._today(s, NULL::date)),
            'invisible until that day'),
        (5, 'no amount', amount || ' IS NULL', one_row || ' that adds nothing to monetary'),
        -- Infinity less infinity is no number either.
        (6, 'not a number', format('CAST(%s - %1$s AS pg_catalog.numeric) = ''NaN''', amount),
            'refused: segment without them (order_filter)'),
        (7, 'amount zero', amount || ' = 0', one_row || ' that adds nothing to monetary'),
        (8, 'amount negative', amount || ' < 0', CASE WHEN order_id IS NULL
            THEN 'a refund: lowers monetary, is no order'
            ELSE 'lowers its order on that day; where their sum is negative, a refund' END),
        (9, 'no order number', order_id || ' IS NULL', 'one order of a customer and day together')
    ) AS f (place, finding, condition, effect)
    WHERE f.condition IS NOT NULL;
    EXECUTE format('SELECT count(*), ARRAY[%s], ARRAY[%s] FROM %s', counts, examples, rows)
        INTO total, counted, shown_examples;
    RETURN QUERY
        SELECT f.finding, f.rows_found, round(f.rows_found::numeric / total, 6), f.example, f.effect
        FROM unnest(findings, counted, shown_examples, effects) WITH ORDINALITY
            AS f (finding, rows_found, example, effect, place)
        WHERE f.rows_found > 0 ORDER BY f.place;
END
$audit$;
COMMENT ON FUNCTION _audit_rows(segmentation_settings, text) IS
    'Part of segmentations: what is odd about single rows of the orders.';

-- What is odd about the attributes: values that are not known, and so many of them that reports by attribute get long.
CREATE FUNCTION _audit_attributes(s segmentation_settings, order_rows text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    attribute record;
    unknown bigint;
    known bigint;
    total bigint;
BEGIN
    FOR attribute IN SELECT * FROM @extschema@._attribute_columns(s) AS a ORDER BY a.place LOOP
        EXECUTE format('SELECT count(*) FILTER (WHERE v.value = ''''), count(DISTINCT v.value), count(*)'
                       ' FROM (SELECT coalesce(o.%I::pg_catalog.text, '''') AS value FROM %s) AS v', attribute.name,
                       CASE attribute.source WHEN 'orders' THEN order_rows
                           ELSE format('%s AS o', @extschema@._source_table(s, attribute.source)) END)
            INTO unknown, known, total;
        RETURN QUERY
            SELECT f.finding, f.rows_found, round(f.rows_found::numeric / total, 6), quote_ident(attribute.name),
                   f.effect
            FROM (VALUES
                ('attribute not known', unknown, 0, 'counted under the empty value'),
                ('attribute with many values', known, 1000,
                    'as many rows in the reports by attribute: leave them out (views), or group the values in a view')
            ) AS f (finding, rows_found, at_most, effect)
            WHERE f.rows_found > f.at_most;
    END LOOP;
END
$audit$;
COMMENT ON FUNCTION _audit_attributes(segmentation_settings, text) IS
    'Part of segmentations: what is odd about the attributes.';

-- What is odd about the orders, by the same settings as a segmentation.
CREATE FUNCTION _audit(s segmentation_settings) RETURNS TABLE (
    finding text, rows bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    relation regclass := @extschema@._source_table(s, 'orders');
    order_rows text := format('%s AS o', relation)
        || CASE WHEN s.order_filter IS NULL THEN '' ELSE format(E' WHERE (\n%s\n)', s.order_filter) END;
    repeated text := format('%s, o.%I, o.%I', @extschema@._key_list(s, 'o'), s.ordered_at, s.amount)
        || CASE WHEN s.order_id IS NULL THEN '' ELSE format(', o.%I', s.order_id) END;
    day text := @extschema@._day(s, relation, 'o', s.ordered_at);
    effect_of_repeated text := CASE WHEN s.order_id IS NULL
        THEN 'each is an order of its own; if they are lines of one order, name order_id'
        ELSE 'lines of one order that are alike: all of them are summed' END;
    name text;
BEGIN
    RETURN QUERY SELECT * FROM @extschema@._audit_rows(s, order_rows);

    -- Rows that repeat another one in all that counts.
    RETURN QUERY EXECUTE
        format(
$sql$SELECT 'duplicate', sum(d.n - 1)::bigint, round(sum(d.n - 1) / sum(d.n), 6),
       min(d.example::text) FILTER (WHERE d.n > 1), %L
FROM (SELECT count(*) AS n, ROW(%s) AS example$sql$, effect_of_repeated, repeated)
        || format(' FROM %s GROUP BY %s) AS d', order_rows, repeated)
        || ' HAVING bool_or(d.n > 1)';

    IF s.order_id IS NULL THEN
        -- A column that is called like an order number and has one number in several rows.
        FOR name IN
            SELECT a.attname FROM pg_attribute AS a
            WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
                AND has_column_privilege(relation, a.attnum, 'SELECT')
                AND @extschema@._is_called_like_an_order_number(a.attname::text)
                AND NOT EXISTS (
                    SELECT FROM pg_index AS i
                    WHERE i.indrelid = relation AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
                        AND i.indpred IS NULL)
        LOOP
            RETURN QUERY EXECUTE
                format(
$sql$SELECT 'several rows an order number', d.rows - d.numbers, round((d.rows - d.numbers)::numeric / d.rows, 6), %L,
       'each row is an order of its own; if they are lines of one order: order_id => ' || %L$sql$,
                    quote_ident(name), quote_literal(name))
                || format(
$sql$
FROM (SELECT count(o.%I) AS rows, count(DISTINCT o.%1$I) AS numbers FROM %s) AS d
WHERE d.rows > d.numbers$sql$, name, order_rows);
        END LOOP;
    ELSE
        -- Lines on a later day than the first of their order.
        RETURN QUERY EXECUTE
            format(
$sql$SELECT 'several days an order number', sum(d.n) FILTER (WHERE d.is_later)::bigint,
       round(sum(d.n) FILTER (WHERE d.is_later) / sum(d.n), 6), min(d.example::text) FILTER (WHERE d.is_later),
       'change the amount on their own day and are no second order; numbers that are used again have to be told apart'
FROM (SELECT count(*) AS n, ROW(%1$s, %2$s, sum(o.%3$I)) AS example,
             o.%4$I IS NOT NULL AND %2$s > min(%2$s) OVER (PARTITION BY %1$s, o.%4$I) AS is_later$sql$,
                @extschema@._key_list(s, 'o'), day, s.amount, s.order_id)
            || format(' FROM %s GROUP BY %s, o.%I, %s) AS d HAVING bool_or(d.is_later)',
                      order_rows, @extschema@._key_list(s, 'o'), s.order_id, day);
    END IF;

    IF s.currency IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
$sql$SELECT 'several currencies', sum(d.n)::bigint, 1.000000,
       string_agg(coalesce(d.currency, '(none)'), ', ' ORDER BY d.n DESC),
       'refused: segment one of them (order_filter)'
FROM (SELECT o.%I::text AS currency, count(*) AS n FROM %s GROUP BY 1) AS d
HAVING count(*) > 1$sql$, s.currency, order_rows);
    END IF;
    IF s.customers IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
$sql$SELECT 'customer without contact address', count(*) FILTER (WHERE p.channels = '{}'),
       round(count(*) FILTER (WHERE p.channels = '{}')::numeric / count(*), 6),
       min(CAST(ROW(%s) AS text)) FILTER (WHERE p.channels = '{}'),
       'next_action asks to complete the contact details'
FROM (%s) AS p
HAVING count(*) FILTER (WHERE p.channels = '{}') > 0$sql$, @extschema@._key_list(s, 'p'), @extschema@._profiles_sql(s));
    END IF;
    RETURN QUERY SELECT * FROM @extschema@._audit_attributes(s, order_rows);
    IF EXISTS (SELECT FROM pg_class AS r WHERE r.oid = relation AND r.relkind IN ('r', 'p', 'm'))
        AND NOT @extschema@._an_index_leads_with(relation, @extschema@._keys(s)) THEN
        RETURN QUERY SELECT 'no index leads with the customer', NULL::bigint, NULL::numeric,
                            format('CREATE INDEX ON %s (%s)', relation, @extschema@._key_list(s)),
                            'track => ''trigger'' reads all orders for every refresh';
    END IF;
END
$audit$;
COMMENT ON FUNCTION _audit(segmentation_settings) IS 'Part of segmentations: what is odd about the orders.';

CREATE FUNCTION _an_index_leads_with(relation regclass, keys text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $index$
    SELECT EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts >= cardinality(keys)
            AND ARRAY(SELECT a.attname::text FROM generate_series(0, cardinality(keys) - 1) AS n
                      JOIN pg_attribute AS a ON a.attrelid = relation AND a.attnum = i.indkey[n]) @> keys)
$index$;
COMMENT ON FUNCTION _an_index_leads_with(regclass, text[]) IS
    'Part of segmentations: whether a table has an index of which these are the first columns.';

CREATE FUNCTION _show_audit(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE
    line record;
BEGIN
    -- The only finding that counts no rows is the missing index, which only tracking uses.
    FOR line IN SELECT * FROM @extschema@._audit(s) AS a WHERE a.rows IS NOT NULL OR s.track = 'trigger' LOOP
        RAISE NOTICE '%: %: %', s.name, line.finding, concat_ws('; ',
            line.rows || format(' (%s %%)', round(100 * line.share, 2)), line.effect,
            CASE WHEN line.rows IS NOT NULL THEN 'for example ' ELSE '' END || line.example);
    END LOOP;
END
$show$;
COMMENT ON FUNCTION _show_audit(segmentation_settings) IS
    'Part of segmentations: shows what is odd about the orders as notices.';
