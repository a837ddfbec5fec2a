-- segmentation: sources

-- SELECTs over the shop's own tables, made of the settings. They are the only SQL that reads them, and are made anew each time:
-- a column that was renamed is missed by name. `among` limits them to the customers of a table of keys; NULL is everybody.

CREATE FUNCTION _among(s jsonb, alias text, key_columns text[], among text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $among$
    SELECT string_agg(format('%s.%I IS NOT NULL', alias, k.name), ' AND ')
        || coalesce(' AND EXISTS (SELECT FROM ' || among || ' AS t WHERE ' || @extschema@._same_key(s, 't', alias) || ')', '')
    FROM unnest(key_columns) AS k (name)
$among$;
COMMENT ON FUNCTION _among(jsonb, text, text[], text) IS 'Part of segmentations: the condition that a row has a key, and one of those asked for.';

-- The calendar day of a column in the segmentation's time zone.
CREATE FUNCTION _day(s jsonb, relation regclass, alias text, column_name text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $day$
    WITH RECURSIVE base AS (
        SELECT t.oid, t.typbasetype FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = relation AND a.attname = column_name
        UNION ALL
        SELECT t.oid, t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.typbasetype
    )
    SELECT CASE b.oid
        WHEN 'timestamptz'::regtype THEN format('(%s.%I AT TIME ZONE %L)::pg_catalog.date', alias, column_name, s ->> 'time_zone')
        ELSE format('%s.%I::pg_catalog.date', alias, column_name) END
    FROM base AS b WHERE b.typbasetype = 0
$day$;
COMMENT ON FUNCTION _day(jsonb, regclass, text, text) IS
    'Part of segmentations: the calendar day of a date, timestamp or timestamptz in the segmentation''s time zone.';

-- The rows of the orders that count: those with a key, that the filter lets through. The filter stands on lines of its own
-- so that a comment in it ends.
CREATE FUNCTION _order_rows(s jsonb, among text DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $rows$
    SELECT format('%s AS o WHERE %s', @extschema@._source_table(s, 'orders'),
                  @extschema@._among(s, 'o', @extschema@._keys(s), among))
        || coalesce(E' AND (\n' || (s ->> 'order_filter') || E'\n)', '')
$rows$;
COMMENT ON FUNCTION _order_rows(jsonb, text) IS 'Part of segmentations: FROM and WHERE of the rows of the orders that count.';

-- One row an order: the lines of an order are summed, and an order is discounted if one of its lines is. Lines without an
-- order number are one order a day.
CREATE FUNCTION _orders_sql(s jsonb, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $orders$
DECLARE
    c jsonb := s #> '{columns,orders}';
    keys text := @extschema@._key_list(s, 'o');
    day text := @extschema@._day(s, @extschema@._source_table(s, 'orders'), 'o', c ->> 'ordered_at');
    amount text := format('o.%I::pg_catalog.numeric', c ->> 'amount');
    discounted text := 'o.' || quote_ident(c ->> 'discounted');
BEGIN
    IF c ->> 'order_id' IS NULL THEN
        RETURN format('SELECT %s, %s AS ordered_on, %s AS amount%s FROM %s', keys, day, amount,
                      coalesce(', ' || discounted || ' AS discounted', ''), @extschema@._order_rows(s, among));
    END IF;
    RETURN format('SELECT %s, pg_catalog.min(%s) AS ordered_on, pg_catalog.sum(%s) AS amount%s FROM %s '
                  'GROUP BY %1$s, o.%6$I, CASE WHEN o.%6$I IS NULL THEN %2$s END', keys, day, amount,
                  coalesce(', pg_catalog.bool_or(' || discounted || ') AS discounted', ''),
                  @extschema@._order_rows(s, among), c ->> 'order_id');
END
$orders$;
COMMENT ON FUNCTION _orders_sql(jsonb, text) IS 'Part of segmentations: the SELECT of the orders, one row an order.';

-- Where everybody is read, orders with a key of fixed length, a number or uuid, are sorted by it first: half a million groups in a
-- hash table cost cache misses, which take longer. Texts are dearer to compare. OFFSET 0 keeps the planner from reading the
-- whole table along an index instead.
CREATE FUNCTION _histories_sql(s jsonb, among text DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $histories$
    SELECT format('SELECT %s, @extschema@.purchase_history(r.ordered_on, r.amount%s) AS history FROM (%s) AS r GROUP BY %1$s',
                  @extschema@._key_list(s, 'r'), CASE WHEN s #>> '{columns,orders,discounted}' IS NOT NULL THEN ', r.discounted' END,
                  CASE WHEN among IS NULL AND k.are_short
                      THEN format('SELECT * FROM (%s OFFSET 0) AS r ORDER BY %s', @extschema@._orders_sql(s, among), @extschema@._key_list(s, 'r'))
                      ELSE @extschema@._orders_sql(s, among) END)
    FROM (
        SELECT bool_and(a.attlen > 0) AS are_short FROM pg_attribute AS a
        WHERE a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = ANY (@extschema@._keys(s))
    ) AS k
$histories$;
COMMENT ON FUNCTION _histories_sql(jsonb, text) IS 'Part of segmentations: the SELECT of the purchase histories, one row a customer.';

-- The keys of another source, as those of the orders: named like them and of their types and collations, but
-- not cut to their length: what is longer is another customer.
CREATE FUNCTION _foreign_keys(s jsonb, source text, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $keys$
    SELECT string_agg(format('%s.%I::%s%s AS %I', alias, s #>> ARRAY['columns', source, k.role], format_type(a.atttypid, -1),
                             ' COLLATE ' || nullif(a.attcollation, 0)::regcollation, a.attname), ', ' ORDER BY k.role DESC)
    FROM unnest(ARRAY['tenant', 'customer']) AS k (role)
    JOIN pg_attribute AS a ON a.attrelid = @extschema@._source_table(s, 'orders')
        AND a.attname = s #>> ARRAY['columns', 'orders', k.role]
$keys$;
COMMENT ON FUNCTION _foreign_keys(jsonb, text, text) IS 'Part of segmentations: the key columns of another source, named and typed as in the orders.';

CREATE FUNCTION _foreign_key_columns(s jsonb, source text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $keys$
    SELECT array_remove(ARRAY[s #>> ARRAY['columns', source, 'tenant'], s #>> ARRAY['columns', source, 'customer']], NULL)
$keys$;
COMMENT ON FUNCTION _foreign_key_columns(jsonb, text) IS 'Part of segmentations: the key columns of another source as they are called there.';

-- A column of a source c as text; NULL where the source has none.
CREATE FUNCTION _text(s jsonb, source text, role text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $text$ SELECT coalesce('c.' || quote_ident(s #>> ARRAY['columns', source, role]), 'NULL') || '::pg_catalog.text' $text$;
COMMENT ON FUNCTION _text(jsonb, text, text) IS 'Part of segmentations: a column of a source as text, or NULL.';

CREATE FUNCTION _engagement_sql(s jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $engagement$
    SELECT format('SELECT %s, @extschema@.engagement_history(r.kind, r.happened_on) AS engagement '
                  'FROM (SELECT %s, e.%I::pg_catalog.text AS kind, %s AS happened_on FROM %s AS e WHERE %s) AS r GROUP BY %1$s',
                  @extschema@._key_list(s, 'r'), @extschema@._foreign_keys(s, 'engagement', 'e'),
                  s #>> '{columns,engagement,kind}',
                  @extschema@._day(s, @extschema@._source_table(s, 'engagement'), 'e', s #>> '{columns,engagement,happened_at}'),
                  @extschema@._source_table(s, 'engagement'),
                  @extschema@._among(s, 'e', @extschema@._foreign_key_columns(s, 'engagement'), NULL::text))
$engagement$;
COMMENT ON FUNCTION _engagement_sql(jsonb) IS 'Part of segmentations: the SELECT of the engagement histories, one row a customer with events.';

CREATE FUNCTION _contacts_sql(s jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $contacts$
    SELECT format('SELECT %s, @extschema@.contact_history(r.channel, r.contacted_on, r.scenario, r.step, r.test_group) AS contacts '
                  'FROM (SELECT %s, c.%I::pg_catalog.text AS channel, %s AS contacted_on, %s AS scenario, %s AS step, %s AS test_group '
                  'FROM %s AS c WHERE %s) AS r GROUP BY %1$s',
                  @extschema@._key_list(s, 'r'), @extschema@._foreign_keys(s, 'contacts', 'c'), s #>> '{columns,contacts,channel}',
                  @extschema@._day(s, @extschema@._source_table(s, 'contacts'), 'c', s #>> '{columns,contacts,contacted_at}'),
                  @extschema@._text(s, 'contacts', 'scenario'), @extschema@._text(s, 'contacts', 'step'),
                  @extschema@._text(s, 'contacts', 'group'), @extschema@._source_table(s, 'contacts'),
                  @extschema@._among(s, 'c', @extschema@._foreign_key_columns(s, 'contacts'), NULL::text))
$contacts$;
COMMENT ON FUNCTION _contacts_sql(jsonb) IS 'Part of segmentations: the SELECT of the logs of contacts, one row a customer who was contacted.';

-- What is known of a customer besides orders and events. Channels are NULL, not tracked, where the table has no address.
CREATE FUNCTION _profiles_sql(s jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $profiles$
DECLARE
    c jsonb := s #> '{columns,customers}';
    relation regclass := @extschema@._source_table(s, 'customers');
    channels text := 'NULL::pg_catalog.text[]';
BEGIN
    IF c ->> 'email' IS NOT NULL OR c ->> 'phone' IS NOT NULL OR c ->> 'postal_address' IS NOT NULL OR c ->> 'line_id' IS NOT NULL THEN
        channels := format('@extschema@.reachable_channels(%s)', (
            SELECT string_agg(coalesce('c.' || quote_ident(c ->> a.role) || '::pg_catalog.' || a.type, 'NULL::pg_catalog.' || a.type), ', ' ORDER BY a.place)
            FROM (VALUES (1, 'email', 'text'), (2, 'phone', 'text'), (3, 'postal_address', 'text'), (4, 'line_id', 'text'),
                         (5, 'consents', 'jsonb')) AS a (place, role, type)));
    END IF;
    RETURN format('SELECT %s, %s AS membership, %s AS channels, %s AS last_contacted_on FROM %s AS c WHERE %s',
                  @extschema@._foreign_keys(s, 'customers', 'c'),
                  @extschema@._text(s, 'customers', 'membership'), channels,
                  coalesce(@extschema@._day(s, relation, 'c', c ->> 'last_contacted_on'), 'NULL::pg_catalog.date'), relation,
                  @extschema@._among(s, 'c', @extschema@._foreign_key_columns(s, 'customers'), NULL::text));
END
$profiles$;
COMMENT ON FUNCTION _profiles_sql(jsonb) IS 'Part of segmentations: the SELECT of memberships, channels and last contacts, one row a customer.';

CREATE FUNCTION _refuse_double_profiles(s jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $double$
DECLARE
    example text;
BEGIN
    IF s ->> 'customers' IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT pg_catalog.concat_ws('', '', %s) FROM (SELECT %s FROM %s AS c WHERE %s) AS c GROUP BY %1$s HAVING count(*) > 1 LIMIT 1',
                   @extschema@._key_list(s, 'c'), @extschema@._foreign_keys(s, 'customers', 'c'), @extschema@._source_table(s, 'customers'),
                   @extschema@._among(s, 'c', @extschema@._foreign_key_columns(s, 'customers'), NULL::text)) INTO example;
    IF example IS NOT NULL THEN
        RAISE EXCEPTION '% has several rows of customer %', @extschema@._source_table(s, 'customers'), example
            USING ERRCODE = 'unique_violation', HINT = 'It must have one row a customer; a view over it can choose which one.';
    END IF;
END
$double$;
COMMENT ON FUNCTION _refuse_double_profiles(jsonb) IS 'Part of segmentations: an error where the customers'' table has two rows of one customer.';

-- The tables that mirror the sources, in the order in which they are filled; the histories are the first.
CREATE FUNCTION _mirrors(s jsonb, touched text DEFAULT NULL) RETURNS TABLE (place integer, suffix text, query text, among text, comment text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $mirrors$
BEGIN
    RETURN QUERY SELECT 1, 'histories', @extschema@._histories_sql(s, touched), touched, format('Purchase histories of %s.', s ->> 'orders');
    IF s ->> 'engagement' IS NOT NULL THEN
        RETURN QUERY SELECT 2, 'engagement', @extschema@._engagement_sql(s), NULL, format('Engagement histories of %s.', s ->> 'engagement');
    END IF;
    IF s ->> 'contacts' IS NOT NULL THEN
        RETURN QUERY SELECT 3, 'contacts', @extschema@._contacts_sql(s), NULL, format('Logs of contacts of %s.', s ->> 'contacts');
    END IF;
    IF s ->> 'customers' IS NOT NULL THEN
        RETURN QUERY SELECT 4, 'profiles', @extschema@._profiles_sql(s), NULL,
                            format('Memberships, channels and last contacts of %s.', s ->> 'customers');
    END IF;
END
$mirrors$;
COMMENT ON FUNCTION _mirrors(jsonb, text) IS 'Part of segmentations: the tables that mirror the sources, with their SELECTs.';
