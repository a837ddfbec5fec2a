-- segmentation: SELECTs over the shop's tables

-- Besides them only the audit and the checks of words and currencies read the shop's tables. They are made of the
-- settings anew each time: a column that was renamed is missed by name.

-- The key columns of a source as they are called there: the tenant's, or NULL, and the customer's.
CREATE FUNCTION _source_keys(s segmentation_settings, source text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $keys$
BEGIN
    RETURN CASE source
        WHEN 'orders' THEN ARRAY[s.tenant, s.customer]
        WHEN 'engagement' THEN ARRAY[s.engagement_tenant, s.engagement_customer]
        WHEN 'contacts' THEN ARRAY[s.contacts_tenant, s.contacts_customer]
        WHEN 'membership_log' THEN ARRAY[s.membership_log_tenant, s.membership_log_customer]
        WHEN 'customers' THEN ARRAY[s.customers_tenant, s.customers_customer]
        WHEN 'targets' THEN ARRAY[s.targets_tenant] -- of a shop, not of a customer
        WHEN 'costs' THEN ARRAY[s.costs_tenant] END;
END
$keys$;
COMMENT ON FUNCTION _source_keys(segmentation_settings, text) IS
    'Part of segmentations: the key columns of a source as they are called there.';

-- The keys of another source, named like those of the orders and of their types and collations, but not cut to their
-- length: a longer key is another customer.
CREATE FUNCTION _keys_as_in_orders(s segmentation_settings, source text, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $keys$
    -- Citus takes a key that is cast, or has a collation of its own, for another column: as little as possible is done.
    SELECT string_agg(
        format('%s.%I%s%s AS %I', alias, k.there,
               CASE WHEN a.atttypid = b.atttypid AND @extschema@._is_distributed(s) THEN ''
                    ELSE '::' || format_type(a.atttypid, -1) END,
               ' COLLATE ' || nullif(nullif(a.attcollation, b.attcollation), 0)::regcollation, a.attname),
        ', ' ORDER BY k.place)
    FROM unnest(@extschema@._source_keys(s, source), @extschema@._source_keys(s, 'orders'))
        WITH ORDINALITY AS k (there, here, place)
    JOIN pg_attribute AS a ON a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = k.here
    JOIN pg_attribute AS b ON b.attrelid = @extschema@._source_table(s, _keys_as_in_orders.source)
        AND b.attname = k.there
$keys$;
COMMENT ON FUNCTION _keys_as_in_orders(segmentation_settings, text, text) IS
    'Part of segmentations: the key columns of another source, named and typed as in the orders.';

CREATE FUNCTION _has_key(s segmentation_settings, source text, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $has_key$
    SELECT string_agg(format('%s.%I IS NOT NULL', alias, k.name), ' AND ')
    FROM unnest(@extschema@._source_keys(s, source)) AS k (name) WHERE k.name IS NOT NULL
$has_key$;
COMMENT ON FUNCTION _has_key(segmentation_settings, text, text) IS
    'Part of segmentations: the condition that a row of a source has a key.';

-- With a SELECT of keys, the condition that a row of a source is of one of these customers, with AND before it; empty
-- where all are meant.
CREATE FUNCTION _and_among(s segmentation_settings, source text, alias text, among text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $among$
    SELECT CASE WHEN among IS NULL THEN '' ELSE format(
        ' AND EXISTS (SELECT 1 FROM %s AS t WHERE %s)', among,
        (SELECT string_agg(format('t.%I %s %s.%I%s%s', k.here, @extschema@._equality(a.atttypid), alias, k.there,
                                  -- As in _keys_as_in_orders.
                                  '::' || nullif(format_type(a.atttypid, -1), format_type(b.atttypid, -1)),
                                  ' COLLATE ' || nullif(nullif(a.attcollation, b.attcollation), 0)::regcollation),
                           ' AND ' ORDER BY k.place)
         FROM unnest(@extschema@._source_keys(s, source), @extschema@._source_keys(s, 'orders'))
             WITH ORDINALITY AS k (there, here, place)
         JOIN pg_attribute AS a ON a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = k.here
         JOIN pg_attribute AS b ON b.attrelid = @extschema@._source_table(s, _and_among.source)
             AND b.attname = k.there)) END
$among$;
COMMENT ON FUNCTION _and_among(segmentation_settings, text, text, text) IS
    'Part of segmentations: the condition that a row of a source is of one of some customers.';

-- The calendar day of a column in the segmentation's time zone.
CREATE FUNCTION _day(s segmentation_settings, relation regclass, alias text, column_name text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $day$
    SELECT CASE @extschema@._base_type(a.atttypid)
        WHEN 'timestamptz'::regtype
            THEN format('(%s.%I AT TIME ZONE %L)::pg_catalog.date', alias, column_name, s.time_zone)
        ELSE format('%s.%I::pg_catalog.date', alias, column_name) END
    FROM pg_attribute AS a WHERE a.attrelid = relation AND a.attname = column_name
$day$;
COMMENT ON FUNCTION _day(segmentation_settings, regclass, text, text) IS
    'Part of segmentations: the calendar day of a date, timestamp or timestamptz in the segmentation''s time zone.';

-- Whether an order was discounted: as its column says, or where it is a number, where that is above 0.
CREATE FUNCTION _is_discounted(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $discounted$
    SELECT CASE WHEN s.discounted IS NULL THEN 'NULL::pg_catalog.bool'
                ELSE (SELECT format(CASE @extschema@._base_type(a.atttypid) WHEN 'bool'::regtype THEN 'o.%I'
                                    ELSE 'o.%I > 0' END, a.attname)
                      FROM pg_attribute AS a
                      WHERE a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = s.discounted) END
$discounted$;
COMMENT ON FUNCTION _is_discounted(segmentation_settings) IS
    'Part of segmentations: whether a row of the orders was discounted, NULL where it is not known.';

-- The rows of the orders that count: those with a key, that the filter lets through. `among` is a SELECT of keys; with
-- it, only the orders of these customers. The filter stands on lines of its own so that a comment in it ends.
CREATE FUNCTION _order_rows(s segmentation_settings, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $rows$
DECLARE
    conditions text := @extschema@._has_key(s, 'orders', 'o');
BEGIN
    IF among IS NOT NULL THEN
        conditions := conditions
            || format(' AND EXISTS (SELECT 1 FROM %s AS t WHERE %s)', among, @extschema@._same_key(s, 't', 'o'));
    END IF;
    IF s.order_filter IS NOT NULL THEN
        conditions := conditions || format(E' AND (\n%s\n)', s.order_filter);
    END IF;
    RETURN format('%s AS o WHERE %s', @extschema@._source_table(s, 'orders'), conditions);
END
$rows$;
COMMENT ON FUNCTION _order_rows(segmentation_settings, text) IS
    'Part of segmentations: FROM and WHERE of the rows of the orders that count.';

-- One row an order, or where orders have a number one row an order and day: its lines of that day are summed, and
-- discounted if one of them is. The first day with a sum that is not negative is the purchase. What comes later changes
-- the amount on its own day and is no second order, and what comes before is a refund: no day depends on later ones.
-- Lines without an order number are one order a day.
CREATE FUNCTION _orders_sql(s segmentation_settings, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $orders$
DECLARE
    keys text := @extschema@._key_list(s, 'o');
    day text := @extschema@._day(s, @extschema@._source_table(s, 'orders'), 'o', s.ordered_at);
    amount text := format('o.%I::pg_catalog.numeric', s.amount);
    rows text := @extschema@._order_rows(s, among);
    discounted text := @extschema@._is_discounted(s);
BEGIN
    IF s.order_id IS NULL THEN
        RETURN format('SELECT %s, %s AS ordered_on, %s AS amount, %s AS discounted FROM %s',
                      keys, day, amount, discounted, rows);
    END IF;
    RETURN format(
$sql$SELECT %1$s, %2$s AS ordered_on, pg_catalog.sum(%3$s) AS amount, pg_catalog.bool_or(%4$s) AS discounted,
       %2$s = pg_catalog.min(CASE WHEN (pg_catalog.sum(%3$s) < 0) IS NOT TRUE THEN %2$s END) OVER (
           PARTITION BY %1$s, o.%5$I, CASE WHEN o.%5$I IS NULL THEN %2$s END) AS is_purchase
FROM %6$s
GROUP BY %1$s, o.%5$I, %2$s$sql$,
        keys, day, amount, discounted, s.order_id, rows);
END
$orders$;
COMMENT ON FUNCTION _orders_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of the orders, one row an order, or an order and day.';

CREATE FUNCTION _histories_sql(s segmentation_settings, among text DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $histories$
    SELECT format('SELECT %s, @extschema@.purchase_history(r.ordered_on, r.amount, r.discounted%s) AS history',
                  k.keys, CASE WHEN s.order_id IS NULL THEN '' ELSE ', r.is_purchase' END)
        || format(' FROM (%s) AS r GROUP BY %s', @extschema@._orders_sql(s, among), k.keys)
    FROM (SELECT @extschema@._key_list(s, 'r') AS keys) AS k
$histories$;
COMMENT ON FUNCTION _histories_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of the purchase histories, one row a customer.';

CREATE FUNCTION _collect_histories(orders text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'collect_histories_wrapper' LANGUAGE c STABLE STRICT;
COMMENT ON FUNCTION _collect_histories(text) IS
    'Part of segmentations: the keys and histories of the orders that a query returns, collected without GROUP BY.';

-- The same rows for everybody in half the time, where keys can be told apart by their bytes.
CREATE FUNCTION _collected_histories_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $collected$
    SELECT CASE WHEN bool_and(@extschema@._equal_values_are_alike(a.atttypid, a.attcollation)) THEN format(
        'SELECT * FROM @extschema@._collect_histories(%L) AS r (%s, history @extschema@.purchase_history)',
        @extschema@._orders_sql(s),
        string_agg(format('%I %s', k.name, format_type(a.atttypid, a.atttypmod))
                       || coalesce(' COLLATE ' || nullif(a.attcollation, 0)::regcollation, ''), ', ' ORDER BY k.place))
    END
    FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = k.name
$collected$;
COMMENT ON FUNCTION _collected_histories_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of all purchase histories by a function of its own; NULL where it cannot.';

CREATE FUNCTION _engagement_sql(s segmentation_settings, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $engagement$
DECLARE
    relation regclass := @extschema@._source_table(s, 'engagement');
    keys text := @extschema@._key_list(s, 'r');
    events text := format('SELECT %s, %s AS kind, %s AS happened_on FROM %s AS e WHERE %s',
        @extschema@._keys_as_in_orders(s, 'engagement', 'e'),
        @extschema@._word(s, 'engagement', 'engagement_kinds', 'e'),
        @extschema@._day(s, relation, 'e', s.engagement_happened_at), relation,
        @extschema@._has_key(s, 'engagement', 'e') || @extschema@._and_among(s, 'engagement', 'e', among));
BEGIN
    RETURN format('SELECT %s, @extschema@.engagement_history(r.kind, r.happened_on) AS engagement', keys)
        || format(' FROM (%s) AS r GROUP BY %s', events, keys);
END
$engagement$;
COMMENT ON FUNCTION _engagement_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of the engagement histories, one row a customer with events.';

CREATE FUNCTION _contacts_sql(s segmentation_settings, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $contacts$
DECLARE
    relation regclass := @extschema@._source_table(s, 'contacts');
    keys text := @extschema@._key_list(s, 'r');
    log text := format('SELECT %s, %s AS channel, %s AS contacted_on, %s AS scenario, %s AS step, %s AS test_group',
        @extschema@._keys_as_in_orders(s, 'contacts', 'c'), @extschema@._word(s, 'contacts', 'channel_names', 'c'),
        @extschema@._day(s, relation, 'c', s.contacts_contacted_at), @extschema@._text('c', s.contacts_scenario),
        @extschema@._text('c', s.contacts_step), @extschema@._word(s, 'contacts', 'test_groups', 'c'))
        || format(' FROM %s AS c WHERE %s', relation, @extschema@._has_key(s, 'contacts', 'c')
            || @extschema@._and_among(s, 'contacts', 'c', among));
BEGIN
    RETURN format('SELECT %s, ', keys)
        || '@extschema@.contact_history(r.channel, r.contacted_on, r.scenario, r.step, r.test_group) AS contacts'
        || format(' FROM (%s) AS r GROUP BY %s', log, keys);
END
$contacts$;
COMMENT ON FUNCTION _contacts_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of the logs of contacts, one row a customer who was contacted.';

-- Where the log has moments, the last one of a day counts, so that a click that was taken back at once is none; of
-- those without a time of day all do, and the aggregate decides.
CREATE FUNCTION _memberships_sql(s segmentation_settings, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $memberships$
DECLARE
    relation regclass := @extschema@._source_table(s, 'membership_log');
    keys text := @extschema@._key_list(s, 'r');
    day text := @extschema@._day(s, relation, 'm', s.membership_log_since);
    membership text := @extschema@._word(s, 'membership_log', 'memberships', 'm');
    log text := format('SELECT %s, %s AS membership, %s AS since, m.%I AS entered_at FROM %s AS m WHERE %s',
        @extschema@._keys_as_in_orders(s, 'membership_log', 'm'), membership, day, s.membership_log_since, relation,
        concat_ws(' AND ', @extschema@._has_key(s, 'membership_log', 'm'), format('(%s) IS NOT NULL', membership))
            || @extschema@._and_among(s, 'membership_log', 'm', among));
    last_of_day text := format(
        'SELECT r.*, r.entered_at = pg_catalog.max(r.entered_at) OVER (PARTITION BY %s, r.since) AS is_last'
        ' FROM (%s) AS r',
        keys, log);
BEGIN
    RETURN format('SELECT %s, @extschema@.membership_history(r.membership, r.since) AS memberships', keys)
        || format(' FROM (%s) AS r WHERE r.is_last GROUP BY %s', last_of_day, keys);
END
$memberships$;
COMMENT ON FUNCTION _memberships_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of the histories of memberships, one row a customer of the log.';

-- The attributes of a source as columns of a SELECT, a comma before each; empty where there are none.
CREATE FUNCTION _source_attributes(s segmentation_settings, source text, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $attributes$
    SELECT coalesce(string_agg(format(', %1$s.%2$I::%3$s AS %2$I', alias, a.name, a.type), '' ORDER BY a.place), '')
    FROM @extschema@._attribute_columns(s) AS a WHERE a.source = _source_attributes.source
$attributes$;
COMMENT ON FUNCTION _source_attributes(segmentation_settings, text, text) IS
    'Part of segmentations: the attributes of a source as columns of a SELECT.';

-- The first line of the first order of each customer, by which all of its attributes go. The first purchase day is that
-- of the history. Of the orders of that day the one with the earliest line is the first, and then the one with the
-- smallest number; of its lines that day the one with the highest amount. Only rows that are alike in all that counts
-- could still take each other's place. The inner columns have names of their own, so that no name of the shop's meets
-- them. The order of texts is that of their bytes, the same in every database.
-- `first_days` is a SELECT of keys and first_day; without it the histories say which day that is. Orders of other
-- servers are not joined to tables of this one: they get the keys and days, as what a SELECT of its own returns.
CREATE FUNCTION _first_orders_sql(
    s segmentation_settings, among text DEFAULT NULL, first_days text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $first$
DECLARE
    orders regclass := @extschema@._source_table(s, 'orders');
    day text := @extschema@._day(s, orders, 'o', s.ordered_at);
    keys text[] := @extschema@._keys(s);
    amount text := format('o.%I::pg_catalog.numeric', s.amount);
    moment text := format('o.%I', s.ordered_at);
    number text;
    of_order text := '';
    line_columns text;
    named_columns text;
    line_keys text;
    line_order text;
BEGIN
    IF first_days IS NULL AND @extschema@._reads_shards(orders) AND NOT @extschema@._is_distributed(s) THEN
        first_days := format(
            'SELECT %s, @extschema@.first_purchase_on(h.history, ''9999-12-31'') AS first_day FROM %s AS h OFFSET 0',
            @extschema@._key_list(s, 'h'), @extschema@._relation(s, 'histories'));
    END IF;
    IF s.order_id IS NOT NULL THEN
        of_order := format(' OVER (PARTITION BY %s, o.%I)', @extschema@._key_list(s, 'o'), s.order_id);
        SELECT format('o.%I%s', a.attname, CASE WHEN a.attcollation <> 0 THEN ' COLLATE pg_catalog."C"' ELSE '' END)
        INTO number FROM pg_attribute AS a WHERE a.attrelid = orders AND a.attname = s.order_id;
    END IF;
    SELECT string_agg(format('o.%I AS k%s', k.name, k.place), ', ' ORDER BY k.place),
           string_agg(format('r.k%s AS %I', k.place, k.name), ', ' ORDER BY k.place),
           string_agg(format('r.k%s', k.place), ', ' ORDER BY k.place)
    INTO line_columns, named_columns, line_keys
    FROM unnest(keys) WITH ORDINALITY AS k (name, place);
    SELECT line_columns || string_agg(format(', o.%I::%s AS a%s', a.name, a.type, a.place), '' ORDER BY a.place),
           named_columns || ', r.day AS first_order_on'
               || string_agg(format(', r.a%s AS %I', a.place, a.name), '' ORDER BY a.place),
           string_agg(format(', r.a%s::pg_catalog.text COLLATE pg_catalog."C"', a.place), '' ORDER BY a.place)
    INTO line_columns, named_columns, line_order
    FROM @extschema@._attribute_columns(s) AS a WHERE a.source = 'orders';
    RETURN format(
$sql$SELECT DISTINCT ON (%1$s) %2$s
FROM (
    SELECT %3$s, %4$s AS day, %5$s AS amount, %6$s AS order_amount, %7$s AS order_moment, %8$s AS number
    FROM %9$s
        AND EXISTS (SELECT 1 FROM %10$s AS h WHERE %11$s AND %4$s = %13$s)
) AS r
WHERE (r.order_amount < 0) IS NOT TRUE
ORDER BY %1$s, r.order_moment, r.number, r.amount DESC NULLS LAST%12$s$sql$,
        line_keys, named_columns, line_columns, day, amount,
        CASE of_order WHEN '' THEN amount ELSE format('sum(%s)%s', amount, of_order) END,
        CASE of_order WHEN '' THEN moment ELSE format('min(%s)%s', moment, of_order) END,
        coalesce(number, 'NULL::pg_catalog.text'), @extschema@._order_rows(s, among),
        coalesce('(' || first_days || ')', @extschema@._relation(s, 'histories')), @extschema@._same_key(s, 'h', 'o'),
        line_order, CASE WHEN first_days IS NULL THEN '@extschema@.first_purchase_on(h.history, ''9999-12-31'')'
                         ELSE 'h.first_day' END);
END
$first$;
COMMENT ON FUNCTION _first_orders_sql(segmentation_settings, text, text) IS
    'Part of segmentations: the SELECT of the attributes that come from first orders, one row a customer who bought.';

-- What is known of a customer besides orders and events. Channels are NULL, not tracked, where the table has no
-- address.
CREATE FUNCTION _profiles_sql(s segmentation_settings, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $profiles$
DECLARE
    relation regclass := @extschema@._source_table(s, 'customers');
    last_contacted_on text := coalesce(@extschema@._day(s, relation, 'c', s.customers_last_contacted_on),
                                       'NULL::pg_catalog.date');
    channels text := 'NULL::pg_catalog.text[]';
BEGIN
    IF num_nonnulls(s.customers_email, s.customers_phone, s.customers_postal_address, s.customers_line_id) > 0 THEN
        channels := format('@extschema@.reachable_channels(%s, %s, %s, %s, %s)',
            @extschema@._text('c', s.customers_email), @extschema@._text('c', s.customers_phone),
            @extschema@._text('c', s.customers_postal_address), @extschema@._text('c', s.customers_line_id),
            @extschema@._consents(s, 'c'));
    END IF;
    RETURN format('SELECT %s, %s AS membership, %s AS channels, %s AS last_contacted_on%s FROM %s AS c WHERE %s',
        @extschema@._keys_as_in_orders(s, 'customers', 'c'), @extschema@._word(s, 'customers', 'memberships', 'c'),
        channels, last_contacted_on, @extschema@._source_attributes(s, 'customers', 'c'), relation,
        @extschema@._has_key(s, 'customers', 'c') || @extschema@._and_among(s, 'customers', 'c', among));
END
$profiles$;
COMMENT ON FUNCTION _profiles_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of memberships, channels, last contacts and attributes, one row a customer.';

-- With the sources of which all rows are read; of another one only the rows of the customers noted are looked at.
CREATE FUNCTION _refuse_double_profiles(s segmentation_settings, read_whole text[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $double$
DECLARE
    keys text := @extschema@._key_list(s, 'c');
    relation regclass;
    rows text;
    example text;
BEGIN
    IF s.customers IS NULL THEN
        RETURN;
    END IF;
    relation := @extschema@._source_table(s, 'customers');
    rows := format('SELECT %s FROM %s AS c WHERE %s', @extschema@._keys_as_in_orders(s, 'customers', 'c'), relation,
                   @extschema@._has_key(s, 'customers', 'c') || @extschema@._and_among(
                       s, 'customers', 'c', @extschema@._noted_of(s, 'customers'::text, read_whole)));
    EXECUTE format($sql$SELECT concat_ws(', ', %s) FROM (%s) AS c$sql$, keys, rows)
        || format(' GROUP BY %s HAVING count(*) > 1 LIMIT 1', keys) INTO example;
    IF example IS NOT NULL THEN
        RAISE EXCEPTION '% has several rows of customer %', relation, example
            USING ERRCODE = 'unique_violation',
                  HINT = 'It must have one row a customer; a view over it can choose which one.';
    END IF;
END
$double$;
COMMENT ON FUNCTION _refuse_double_profiles(segmentation_settings, text[]) IS
    'Part of segmentations: an error where the customers'' table has two rows of one customer, of those noted.';
