-- segmentation: audit of the orders

-- How many rows each condition holds for, with an example each; conditions that are NULL are left out. `rows` is FROM
-- and WHERE. Nearly all rows are in order: they are looked at once, and counted only where some are not. Where `usual`
-- holds, none of the conditions does, and it is quicker to ask than they are; NULL where nothing is.
CREATE FUNCTION _counted_findings(
    rows text, shown text, findings text[], conditions text[], effects text[], usual text DEFAULT NULL
)
    RETURNS TABLE (finding text, rows_found bigint, share numeric, example text, effect text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $counted$
DECLARE
    counts text;
    examples text;
    any_of_them text;
    total bigint;
    counted bigint[];
    shown_examples text[];
BEGIN
    SELECT string_agg(format('count(*) FILTER (WHERE %s)', c.condition), ', ' ORDER BY c.place),
           string_agg(format('min(%s) FILTER (WHERE %s)', shown, c.condition), ', ' ORDER BY c.place),
           string_agg(c.condition, ' OR ' ORDER BY c.place)
    INTO counts, examples, any_of_them
    FROM (SELECT coalesce('(' || u.condition || ')', 'false') AS condition, u.place
          FROM unnest(conditions) WITH ORDINALITY AS u (condition, place)) AS c;
    EXECUTE format('SELECT ARRAY[%s], ARRAY[%s] FROM %s', counts, examples,
                   rows || format(' AND (%s)', coalesce('(' || usual || ') IS NOT TRUE', any_of_them)))
        INTO counted, shown_examples;
    IF 0 = ALL (counted) THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT count(*) FROM %s', rows) INTO total;
    RETURN QUERY
        SELECT f.finding, f.rows_found, round(f.rows_found::numeric / total, 6), f.example, f.effect
        FROM unnest(findings, counted, shown_examples, effects) WITH ORDINALITY
            AS f (finding, rows_found, example, effect, place)
        WHERE f.rows_found > 0 ORDER BY f.place;
END
$counted$;
COMMENT ON FUNCTION _counted_findings(text, text, text[], text[], text[], text) IS
    'Part of segmentations: what is odd about rows, one finding a condition.';

-- The example of a row: its keys and what else is named.
CREATE FUNCTION _shown_row(columns text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $shown$ SELECT format('left(CAST(ROW(%s) AS text), 120)', columns) $shown$;
COMMENT ON FUNCTION _shown_row(text) IS 'Part of segmentations: the example of a row, as SQL.';

-- What a row without a key lacks.
CREATE FUNCTION _no_key(s segmentation_settings) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $no_key$ SELECT CASE WHEN s.tenant IS NULL THEN 'no customer' ELSE 'no customer or tenant' END $no_key$;
COMMENT ON FUNCTION _no_key(segmentation_settings) IS
    'Part of segmentations: the finding that a row has no key.';

-- The key columns of the orders that are texts, of whatever type: only these can be empty or written in several ways.
CREATE FUNCTION _text_keys(s segmentation_settings, alias text) RETURNS TABLE (name text, as_text text)
LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp
AS $keys$
    SELECT k.name, format('%s.%I::pg_catalog.text', alias, k.name)
    FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = k.name
    JOIN pg_type AS t ON t.oid = @extschema@._base_type(a.atttypid) AND t.typcategory = 'S'
    ORDER BY k.place
$keys$;
COMMENT ON FUNCTION _text_keys(segmentation_settings, text) IS
    'Part of segmentations: the key columns of the orders that are texts, as SQL.';

-- A comment at the end of the filter in force ends with its line.
CREATE FUNCTION _filter_with(s segmentation_settings, condition text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $filter$ SELECT concat('(' || s.order_filter || E'\n) AND ', condition) $filter$;
COMMENT ON FUNCTION _filter_with(segmentation_settings, text) IS
    'Part of segmentations: the filter in force, where there is one, and a further condition.';

-- The filter in force, and with it that keys are not empty, as an argument to paste.
CREATE FUNCTION _filter_of_keys(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $filter$
    SELECT format('order_filter => %L', @extschema@._filter_with(
        s, string_agg(@extschema@._trimmed(quote_ident(k.name)) || ' <> ''''', ' AND ')))
    FROM @extschema@._text_keys(s, 'o') AS k
$filter$;
COMMENT ON FUNCTION _filter_of_keys(segmentation_settings) IS
    'Part of segmentations: the argument that leaves orders with empty keys out.';

-- Customers whose keys differ only in what people write one way or another: width, upper and lower case, blanks around
-- it. Keys that the orders themselves take for equal are one.
CREATE FUNCTION _audit_spellings(s segmentation_settings) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $spellings$
DECLARE
    texts text[] := ARRAY(SELECT k.name FROM @extschema@._text_keys(s, 'k') AS k);
    is_written text := (SELECT string_agg(@extschema@._trimmed(k.as_text) || ' <> ''''', ' AND ')
                        FROM @extschema@._text_keys(s, 'k') AS k);
    alike text := (
        SELECT string_agg(CASE WHEN k.name = ANY (texts)
                               THEN @extschema@._folded(format('k.%I', k.name)) || ' COLLATE "C"'
                               ELSE format('k.%I', k.name) END, ', ' ORDER BY k.place)
        FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place));
BEGIN
    IF texts = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
$sql$SELECT 'keys that differ only in width, case or blanks', sum(g.n) FILTER (WHERE g.n > 1)::bigint,
       round(sum(g.n) FILTER (WHERE g.n > 1) / sum(g.n), 6), left(min(g.example) FILTER (WHERE g.n > 1), 120), %1$L
FROM (
    SELECT count(*) AS n,
           string_agg(CAST(ROW(%2$s) AS text), ' ' ORDER BY CAST(ROW(%2$s) AS text) COLLATE "C") AS example
    FROM (SELECT %3$s FROM %4$s GROUP BY %3$s) AS k
    WHERE %5$s
    GROUP BY %6$s
) AS g
HAVING bool_or(g.n > 1)$sql$,
        'each is a customer of its own; a view over the orders can write them in one way: '
            || (SELECT string_agg(@extschema@._folded(quote_ident(t.name)), ', ' ORDER BY t.place)
                FROM unnest(texts) WITH ORDINALITY AS t (name, place)),
        @extschema@._key_list(s, 'k'), @extschema@._key_list(s, 'o'), @extschema@._order_rows(s), is_written, alike);
END
$spellings$;
COMMENT ON FUNCTION _audit_spellings(segmentation_settings) IS
    'Part of segmentations: customers whose keys differ only in how they are written.';

-- What is odd about single rows of the orders. Examples show key, day and amount: a notice must not show what nobody
-- asked for, and whoever may read only the columns that are needed can do without the others.
CREATE FUNCTION _audit_rows(s segmentation_settings, rows text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    moment text := format('o.%I', s.ordered_at);
    day text := @extschema@._day(s, @extschema@._source_table(s, 'orders'), 'o', s.ordered_at);
    amount text := format('o.%I', s.amount); -- not cast: PostgreSQL 13 has no infinite numeric
    one_row text := CASE WHEN s.order_id IS NULL THEN 'an order' ELSE 'a line' END;
    blank text := (SELECT string_agg(@extschema@._trimmed(k.as_text) || ' = ''''', ' OR ')
                   FROM @extschema@._text_keys(s, 'o') AS k);
    usual text := concat_ws(' AND ', @extschema@._has_key(s, 'orders', 'o'), 'NOT (' || blank || ')',
        format('isfinite(%s) AND %s <= %L', moment, day, @extschema@._today(s, NULL::date)),
        format('%s > 0 AND %1$s < 1e30', amount), 'o.' || quote_ident(s.order_id) || ' IS NOT NULL');
    listed record;
BEGIN
    SELECT array_agg(f.finding ORDER BY f.place) AS findings, array_agg(f.condition ORDER BY f.place) AS conditions,
           array_agg(f.effect ORDER BY f.place) AS effects
    INTO listed
    FROM (VALUES
        (1, @extschema@._no_key(s), format('NOT (%s)', @extschema@._has_key(s, 'orders', 'o')), 'ignored'),
        (2, 'empty key', blank, 'the orders of all of them are those of one customer; to leave them out: '
            || @extschema@._filter_of_keys(s)),
        (3, 'no date', moment || ' IS NULL', 'ignored'),
        (4, 'infinite date', format('NOT isfinite(%s)', moment), 'refused: segment without them (order_filter)'),
        (5, 'date in the future', format('isfinite(%s) AND %s > %L', moment, day, @extschema@._today(s, NULL::date)),
            'invisible until that day'),
        (6, 'no amount', amount || ' IS NULL', one_row || ' that adds nothing to monetary'),
        -- Infinity less infinity is no number either.
        (7, 'not a number', format('CAST(%s - %1$s AS pg_catalog.numeric) = ''NaN''', amount),
            'refused: segment without them (order_filter)'),
        (8, 'amount zero', amount || ' = 0', one_row || ' that adds nothing to monetary'),
        (9, 'amount negative', amount || ' < 0', CASE WHEN s.order_id IS NULL
            THEN 'a refund: lowers monetary, is no order'
            ELSE 'lowers its order on that day; where their sum is negative, a refund' END),
        (10, 'no order number', CASE WHEN s.order_id IS NOT NULL THEN format('o.%I IS NULL', s.order_id) END,
            'one order of a customer and day together')
    ) AS f (place, finding, condition, effect);
    RETURN QUERY
        SELECT * FROM @extschema@._counted_findings(
            rows, @extschema@._shown_row(concat_ws(', ', @extschema@._key_list(s, 'o'), moment, amount)),
            listed.findings, listed.conditions, listed.effects, usual);
END
$audit$;
COMMENT ON FUNCTION _audit_rows(segmentation_settings, text) IS
    'Part of segmentations: what is odd about single rows of the orders.';

CREATE FUNCTION _rows_differ(query text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'rows_differ_wrapper' LANGUAGE c STABLE STRICT;
COMMENT ON FUNCTION _rows_differ(text) IS
    'Part of segmentations: whether no two rows of a query are equal; false also where their hashes do not tell.';

-- Rows that repeat another one in all that counts.
CREATE FUNCTION _audit_repeated(s segmentation_settings, order_rows text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $repeated$
DECLARE
    repeated text := format('%s, o.%I, o.%I', @extschema@._key_list(s, 'o'), s.ordered_at, s.amount)
        || CASE WHEN s.order_id IS NULL THEN '' ELSE format(', o.%I', s.order_id) END;
    effect_of_repeated text := CASE WHEN s.order_id IS NULL
        THEN 'each is an order of its own; if they are lines of one order, name order_id'
        ELSE 'lines of one order that are alike: all of them are summed' END;
    found record;
BEGIN
    -- All rows of other servers would have to come.
    IF NOT @extschema@._reads_shards(@extschema@._source_table(s, 'orders'))
        AND @extschema@._rows_differ(format('SELECT %s FROM %s', repeated, order_rows)) THEN
        RETURN;
    END IF;
    EXECUTE format(
$sql$SELECT sum(d.n - 1) AS rows, min(CAST(d.example AS text)) AS example
FROM (SELECT count(*) AS n, ROW(%2$s) AS example FROM %1$s GROUP BY %2$s HAVING count(*) > 1) AS d$sql$,
        order_rows, repeated) INTO found;
    -- The number of all rows is asked for only where there are some, and by itself: Citus takes no subquery beside
    -- aggregates.
    IF found.rows > 0 THEN
        RETURN QUERY EXECUTE format('SELECT ''duplicate'', $1::bigint, round($1 / count(*), 6), $2, %L FROM %s',
                                    effect_of_repeated, order_rows)
            USING found.rows, found.example;
    END IF;
END
$repeated$;
COMMENT ON FUNCTION _audit_repeated(segmentation_settings, text) IS
    'Part of segmentations: rows of the orders that repeat another one.';

-- What is odd about the numbers of orders.
CREATE FUNCTION _audit_order_numbers(s segmentation_settings, order_rows text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $numbers$
DECLARE
    relation regclass := @extschema@._source_table(s, 'orders');
    day text := @extschema@._day(s, relation, 'o', s.ordered_at);
    name text;
BEGIN
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

        -- An order that was taken back on its day.
        RETURN QUERY EXECUTE format(
$sql$SELECT 'orders that sum to zero', count(*) FILTER (WHERE d.is_nothing),
       round(count(*) FILTER (WHERE d.is_nothing)::numeric / count(*), 6),
       min(CAST(d.example AS text)) FILTER (WHERE d.is_nothing),
       'an order that adds nothing to monetary; a view over the orders can leave them out'
FROM (SELECT ROW(%1$s, o.%2$I, %3$s) AS example, sum(%4$s) = 0 AND bool_or(o.%5$I < 0) AS is_nothing
      FROM %6$s AND o.%2$I IS NOT NULL AND %3$s IS NOT NULL GROUP BY %1$s, o.%2$I, %3$s) AS d
HAVING bool_or(d.is_nothing)$sql$,
            @extschema@._key_list(s, 'o'), s.order_id, day, @extschema@._finite('o', s.amount), s.amount,
            @extschema@._order_rows(s));
    END IF;
END
$numbers$;
COMMENT ON FUNCTION _audit_order_numbers(segmentation_settings, text) IS
    'Part of segmentations: what is odd about the numbers of orders.';

-- Days that are those of a time zone that nobody named, where it is that of a server and of no shop.
CREATE FUNCTION _audit_time_zone(s segmentation_settings, given jsonb, order_rows text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $zone$
BEGIN
    IF given ? 'time_zone'
        OR s.time_zone !~* '^(etc/)?(utc|uct|gmt|gmt[-+]?0|zulu|universal|greenwich)$' OR NOT EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = s.ordered_at
            AND @extschema@._base_type(a.atttypid) = 'timestamptz'::regtype
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
$sql$SELECT 'days are those of UTC', count(o.%1$I), round(count(o.%1$I)::numeric / count(*), 6), max(o.%1$I)::text,
       'it is the session''s time zone, and none was named; name that of the shop: time_zone => ''Asia/Tokyo'''
FROM %2$s HAVING count(o.%1$I) > 0$sql$, s.ordered_at, order_rows);
END
$zone$;
COMMENT ON FUNCTION _audit_time_zone(segmentation_settings, jsonb, text) IS
    'Part of segmentations: moments of orders whose days are those of UTC though nobody said so.';

-- A customer's last purchase, whether she has bought, and her amounts, before anything is stored. What is too large for
-- a history is left out: a sum of it could fail.
CREATE FUNCTION _totals_of_orders(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $totals$
    SELECT format(
$sql$SELECT max(%1$s) FILTER (WHERE %2$s) AS last_on, bool_or(%2$s) AS has_bought,
       coalesce(sum(CASE WHEN o.%3$I > -1e30 AND o.%3$I < 1e30 THEN o.%3$I::pg_catalog.numeric END), 0) AS monetary
FROM %4$s
GROUP BY %5$s$sql$,
        @extschema@._day(s, @extschema@._source_table(s, 'orders'), 'o', s.ordered_at),
        format('(o.%I < 0) IS NOT TRUE', s.amount), s.amount, @extschema@._orders_until_today(s),
        @extschema@._key_list(s, 'o'))
$totals$;
COMMENT ON FUNCTION _totals_of_orders(segmentation_settings) IS
    'Part of segmentations: the SELECT of a customer''s totals over the orders.';

CREATE FUNCTION _totals_of_customers(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $totals$
    SELECT format('SELECT c.last_purchase_on AS last_on, c.orders > 0 AS has_bought, c.monetary FROM %s AS c',
                  @extschema@._relation(s, 'customers'))
$totals$;
COMMENT ON FUNCTION _totals_of_customers(segmentation_settings) IS
    'Part of segmentations: the SELECT of a customer''s totals over NAME_customers.';

CREATE FUNCTION _orders_until_today(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $until$
    SELECT format('%s AND isfinite(o.%I) AND %s <= %L', @extschema@._order_rows(s), s.ordered_at,
                  @extschema@._day(s, @extschema@._source_table(s, 'orders'), 'o', s.ordered_at),
                  @extschema@._today(s, NULL::date))
$until$;
COMMENT ON FUNCTION _orders_until_today(segmentation_settings) IS
    'Part of segmentations: the rows of the orders that the day asked for sees.';

-- What makes the answers of nearly everybody the same: orders that end long before the day that is asked for, and cuts
-- for amounts of another currency. A few customers may well be alike.
CREATE FUNCTION _audit_answers(s segmentation_settings, policy segment_policy, totals text) RETURNS TABLE (
    finding text, rows_found bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $answers$
DECLARE
    as_of date := @extschema@._today(s, NULL::date);
    limits jsonb := @extschema@.effective_policy(policy) -> 'lifecycle';
    at_risk_after numeric := CASE limits ->> 'cycle'
        WHEN 'fixed' THEN (limits ->> 'at_risk_after_days')::numeric
        ELSE least((limits ->> 'max_days')::numeric,
                   ceil((limits ->> 'at_risk_ratio')::numeric * (limits ->> 'store_gap_days')::numeric)) END;
    cuts jsonb := @extschema@.effective_policy(policy) #> '{rfm,monetary_cuts}';
    found record;
    orders bigint;
BEGIN
    EXECUTE format(
$sql$SELECT max(c.last_on) AS last_on, count(*) FILTER (WHERE c.has_bought) AS customers,
       count(*) FILTER (WHERE c.has_bought AND c.monetary <= $1) AS lowest,
       count(*) FILTER (WHERE c.has_bought AND c.monetary > $2) AS highest,
       round(avg(c.monetary) FILTER (WHERE c.has_bought), 2) AS mean
FROM (%s) AS c$sql$, totals) INTO found USING (cuts ->> 0)::numeric, (cuts ->> -1)::numeric;
    IF as_of - found.last_on > at_risk_after THEN
        EXECUTE format('SELECT count(*) FROM %s', @extschema@._orders_until_today(s)) INTO orders;
        RETURN QUERY SELECT 'orders end long before as_of', orders, 1.000000, found.last_on::text,
            format('nobody is active; days from the last order to as_of: %s; '
                   'days after which customers are at risk: %s; '
                   'load the orders since, or ask for the day on which the data ends: as_of => %L',
                   as_of - found.last_on, at_risk_after, found.last_on);
    END IF;
    IF found.customers >= 20 THEN
        RETURN QUERY
            SELECT format('nearly everybody has m = %s', d.digit), d.customers,
                   round(d.customers::numeric / found.customers, 6), format('monetary is %s on average', found.mean),
                   format('write cuts for this currency and shop into the policy, or learn them (policy => ''learn''); '
                          'rfm.monetary_cuts are: %s', cuts)
            FROM (VALUES (1, found.lowest), (jsonb_array_length(cuts) + 1, found.highest)) AS d (digit, customers)
            WHERE d.customers >= 0.9 * found.customers;
    END IF;
END
$answers$;
COMMENT ON FUNCTION _audit_answers(segmentation_settings, segment_policy, text) IS
    'Part of segmentations: what makes the answers of nearly everybody the same, by the totals of customers.';
