-- segmentation: audit

-- What is odd about the orders, by the same settings as a segmentation. Each condition is one that a single row meets; all of
-- them are counted in one pass. Examples show key, day and amount: a notice must not show what nobody asked for, and whoever
-- may read only the columns that are needed can do without the others.
CREATE FUNCTION _audit(s jsonb) RETURNS TABLE (finding text, rows bigint, share numeric, example text, effect text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    c jsonb := s #> '{columns,orders}';
    relation regclass := @extschema@._source_table(s, 'orders');
    source text := format('%s AS o%s', relation, coalesce(E' WHERE (\n' || (s ->> 'order_filter') || E'\n)', ''));
    keys text := @extschema@._key_list(s, 'o');
    no_key text := (SELECT string_agg(format('o.%I IS NULL', k.name), ' OR ') FROM unnest(@extschema@._keys(s)) AS k (name));
    day text := @extschema@._day(s, relation, 'o', c ->> 'ordered_at');
    amount text := format('o.%I', c ->> 'amount'); -- not cast: PostgreSQL 13 has no infinite numeric
    example text := format('left(CAST(ROW(%s, o.%I, %s) AS text), 120)', keys, c ->> 'ordered_at', amount);
    conditions jsonb := jsonb_build_array(
        jsonb_build_array('no customer', no_key, 'ignored'),
        jsonb_build_array('no date', format('o.%I IS NULL', c ->> 'ordered_at'), 'ignored'),
        jsonb_build_array('infinite date', format('NOT isfinite(o.%I)', c ->> 'ordered_at'), 'refused: segment without them (order_filter)'),
        jsonb_build_array('date in the future', format('isfinite(o.%I) AND %s > %L', c ->> 'ordered_at', day, @extschema@._today(s, NULL::date)),
                          'invisible until that day'),
        jsonb_build_array('no amount', format('o.%I IS NULL', c ->> 'amount'), 'an order that adds nothing to monetary'),
        jsonb_build_array('not a number', format('CAST(%s - %1$s AS pg_catalog.numeric) = ''NaN''', amount), -- so is infinity less itself
                          'refused: segment without them (order_filter)'),
        jsonb_build_array('amount zero', format('%s = 0', amount), 'an order that adds nothing to monetary'),
        jsonb_build_array('amount negative', format('%s < 0', amount), 'a refund: lowers monetary, is no order'))
        || CASE WHEN c ->> 'order_id' IS NULL THEN '[]' ELSE jsonb_build_array(
            jsonb_build_array('no order number', format('o.%I IS NULL', c ->> 'order_id'), 'one order of a customer and day together')) END;
    repeated text;
    total bigint;
    found bigint[];
    examples text[];
    name text;
BEGIN
    EXECUTE format('SELECT count(*), ARRAY[%s], ARRAY[%s] FROM %s',
        (SELECT string_agg(format('count(*) FILTER (WHERE %s)', x.condition ->> 1), ', ' ORDER BY x.place)
         FROM jsonb_array_elements(conditions) WITH ORDINALITY AS x (condition, place)),
        (SELECT string_agg(format('min(%s) FILTER (WHERE %s)', example, x.condition ->> 1), ', ' ORDER BY x.place)
         FROM jsonb_array_elements(conditions) WITH ORDINALITY AS x (condition, place)),
        source) INTO total, found, examples;
    RETURN QUERY
        SELECT x.condition ->> 0, found[x.place], round(found[x.place]::numeric / total, 6), examples[x.place], x.condition ->> 2
        FROM jsonb_array_elements(conditions) WITH ORDINALITY AS x (condition, place)
        WHERE found[x.place] > 0;

    -- Rows that repeat another one in all that counts.
    repeated := concat_ws(', ', keys, 'o.' || quote_ident(c ->> 'ordered_at'), 'o.' || quote_ident(c ->> 'amount'), 'o.' || quote_ident(c ->> 'order_id'));
    RETURN QUERY EXECUTE format(
        'SELECT ''duplicate'', sum(d.n - 1)::bigint, round(sum(d.n - 1) / %s, 6), min(d.example::text), '
        '%L FROM (SELECT count(*) AS n, ROW(%s) AS example FROM %s GROUP BY %3$s HAVING count(*) > 1) AS d '
        'HAVING count(*) > 0', greatest(total, 1),
        CASE WHEN c ->> 'order_id' IS NULL THEN 'each is an order of its own; if they are lines of one order, name order_id'
             ELSE 'lines of one order that are alike: all of them are summed' END,
        repeated, source);

    IF c ->> 'order_id' IS NULL THEN
        -- A column that is called like an order number and has one number in several rows.
        FOR name IN
            SELECT a.attname FROM pg_attribute AS a
            WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(relation, a.attnum, 'SELECT')
                AND lower(a.attname) = ANY (E'{order_id,order_no,order_number,orderid,invoice,invoice_no,invoice_id,basket_id,\u6ce8\u6587\u756a\u53f7,\u6ce8\u6587id,\u4f1d\u7968\u756a\u53f7}')
                AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = relation AND i.indisunique AND i.indnkeyatts = 1
                                AND i.indkey[0] = a.attnum AND i.indpred IS NULL)
        LOOP
            RETURN QUERY EXECUTE format(
                'SELECT ''several rows an order number'', d.rows - d.numbers, round((d.rows - d.numbers)::numeric / d.rows, 6), %L, '
                '''each row is an order of its own; if they are lines of one order: order_id => '' || %L '
                'FROM (SELECT count(o.%I) AS rows, count(DISTINCT o.%3$I) AS numbers FROM %s) AS d WHERE d.rows > d.numbers',
                quote_ident(name), quote_literal(name), name, source);
        END LOOP;
    END IF;

    IF c ->> 'currency' IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
            'SELECT ''several currencies'', sum(d.n)::bigint, 1.000000, string_agg(coalesce(d.currency, ''(none)''), '', '' ORDER BY d.n DESC), '
            '''refused: segment one of them (order_filter)'' '
            'FROM (SELECT o.%I::text AS currency, count(*) AS n FROM %s GROUP BY 1) AS d HAVING count(*) > 1', c ->> 'currency', source);
    END IF;
    IF s ->> 'customers' IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
            'SELECT ''customer without contact address'', count(*) FILTER (WHERE p.channels = ''{}''), '
            'round(count(*) FILTER (WHERE p.channels = ''{}'')::numeric / count(*), 6), min(CAST(ROW(%s) AS text)) FILTER (WHERE p.channels = ''{}''), '
            '''next_action asks to complete the contact details'' FROM (%s) AS p HAVING count(*) FILTER (WHERE p.channels = ''{}'') > 0',
            @extschema@._key_list(s, 'p'), @extschema@._profiles_sql(s));
    END IF;
    IF EXISTS (SELECT FROM pg_class AS r WHERE r.oid = relation AND r.relkind IN ('r', 'p', 'm')) AND NOT EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts >= cardinality(@extschema@._keys(s))
            AND ARRAY(SELECT a.attname::text FROM generate_series(0, cardinality(@extschema@._keys(s)) - 1) AS n
                      JOIN pg_attribute AS a ON a.attrelid = relation AND a.attnum = i.indkey[n]) @> @extschema@._keys(s)
    ) THEN
        RETURN QUERY SELECT 'no index leads with the customer', NULL::bigint, NULL::numeric,
                            format('CREATE INDEX ON %s (%s)', relation, @extschema@._key_list(s)),
                            'track => ''trigger'' reads all orders for every refresh';
    END IF;
END
$audit$;
COMMENT ON FUNCTION _audit(jsonb) IS 'Part of segmentations: what is odd about the orders.';

CREATE FUNCTION audit_orders(
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
    customers regclass DEFAULT NULL,
    customers_columns jsonb DEFAULT NULL,
    as_of date DEFAULT NULL
) RETURNS TABLE (finding text, rows bigint, share numeric, example text, effect text)
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $audit$
    SELECT * FROM @extschema@._audit(@extschema@._checked_settings(@extschema@._given_settings(
        orders, tenant, customer, ordered_at, amount, discounted, order_id, currency, order_filter, time_zone, NULL::text, NULL::regclass, NULL::jsonb, NULL::regclass, NULL::jsonb,
        customers, customers_columns, as_of, NULL::text, NULL::text, NULL::text[])))
$audit$;
COMMENT ON FUNCTION audit_orders(regclass, text, text, text, text, text, text, text, text, text, regclass, jsonb, date) IS
    'What is odd about a table of orders: one row a finding, with count, share 0 to 1, an example and what it does to the results.';

CREATE FUNCTION _show_audit(s jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $show$
DECLARE
    line record;
BEGIN
    -- What is no matter of rows is the index, which only tracking uses.
    FOR line IN SELECT * FROM @extschema@._audit(s) AS a WHERE a.rows IS NOT NULL OR s ->> 'track' = 'trigger' LOOP
        RAISE NOTICE '%: %: %', s ->> 'name', line.finding, concat_ws('; ',
            line.rows || format(' (%s %%)', round(100 * line.share, 2)), line.effect,
            CASE WHEN line.rows IS NOT NULL THEN 'for example ' ELSE '' END || line.example);
    END LOOP;
END
$show$;
COMMENT ON FUNCTION _show_audit(jsonb) IS 'Part of segmentations: shows what is odd about the orders as notices.';
