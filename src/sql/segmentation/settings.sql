-- segmentation: settings

-- A segmentation NAME is a handful of ordinary relations in a schema of the shop's, owned by whoever created it:
--   NAME_settings     what create_segmentation was told: one row
--   NAME_status       as_of, the policy and figures of the last refresh: one row
--   NAME_policies     each policy that was in force, with its first day
--   NAME_histories    one row a customer with an order: the purchase history
--   NAME_engagement   one row a customer with events (where a table of events is named)
--   NAME_contacts     one row a customer who was contacted (where a log of contacts is named)
--   NAME_profiles     one row a customer of the customers' table (where one is named)
--   NAME_noted        customers whose orders changed since the last refresh (track => 'trigger')
--   NAME_facts        a view: all of that, one row a customer
--   NAME_customers, _segments, _movement, _cohorts, _actions: the materialized views; NAME_customers_today: a view
-- Nothing of it is a member of the extension: it is dumped, restored and granted like any other relation.

-- Whoever may create functions in the extension's schema must not get hers called by ours: every argument that is NULL is typed, so
-- that ours are the exact match.

-- Tables of this type are found by it. Settings are kept as one document so that alter_segmentation can lay one over another.
CREATE TYPE segmentation_settings AS (name text, settings jsonb);
COMMENT ON TYPE segmentation_settings IS
    'Row type of the settings of a segmentation: a table of this type, owned by its creator, is what makes one.';
COMMENT ON COLUMN segmentation_settings.name IS 'What the segmentation is called; the first part of the names of its relations.';
COMMENT ON COLUMN segmentation_settings.settings IS 'The arguments of create_segmentation, columns found by name included.';

-- The trigger function of these tables: they hold SQL that runs with their owner's rights, so that nobody else writes them.
CREATE FUNCTION _only_owner() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $only_owner$
BEGIN
    IF NOT (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class AS c WHERE c.oid = TG_RELID) THEN
        RAISE EXCEPTION 'only its owner writes %', TG_RELID::regclass USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$only_owner$;
COMMENT ON FUNCTION _only_owner() IS 'Part of segmentations: refuses to let others than the owner write the settings.';

-- One of the segmentation's relations, quoted.
CREATE FUNCTION _relation(s jsonb, suffix text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $relation$ SELECT format('%I.%I', s ->> 'schema', (s ->> 'name') || '_' || suffix) $relation$;
COMMENT ON FUNCTION _relation(jsonb, text) IS 'Part of segmentations: the quoted name of one of its relations.';

-- The columns that a source may have, and the names under which they are looked for where none is given. Without names: only
-- a column that is given is taken, because guessing wrong would change the result. Japanese names are written in escapes: the
-- script must be readable in a database of any encoding, to be refused there.
CREATE FUNCTION _source_columns() RETURNS TABLE (source text, role text, required boolean, types text, names text[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $columns$
    WITH customer AS (
        SELECT E'{customer_id,customer,customer_no,customer_number,customer_key,customer_code,cust_id,client_id,user_id,buyer_id,member_id,\u9867\u5ba2ID,\u9867\u5ba2\u756a\u53f7,\u9867\u5ba2\u30b3\u30fc\u30c9,\u4f1a\u54e1ID,\u4f1a\u54e1\u756a\u53f7}'::text[] AS names
    )
    VALUES
    ('orders', 'tenant', false, 'key', '{}'::text[]),
    ('orders', 'customer', true, 'key', (SELECT k.names FROM customer AS k)),
    ('orders', 'ordered_at', true, 'day', E'{ordered_at,ordered_on,order_date,order_datetime,order_time,order_timestamp,order_ts,order_day,purchased_at,purchased_on,purchase_date,invoice_date,\u6ce8\u6587\u65e5,\u6ce8\u6587\u65e5\u6642,\u8cfc\u5165\u65e5,\u8cfc\u5165\u65e5\u6642,\u53d7\u6ce8\u65e5}'),
    ('orders', 'amount', true, 'amount', E'{amount,total_amount,order_amount,order_total,order_value,grand_total,total_price,total,\u91d1\u984d,\u6ce8\u6587\u91d1\u984d,\u8cfc\u5165\u91d1\u984d,\u5408\u8a08\u91d1\u984d,\u58f2\u4e0a\u91d1\u984d}'),
    ('orders', 'discounted', false, 'boolean', '{}'),
    ('orders', 'order_id', false, 'key', '{}'),
    ('orders', 'currency', false, 'text', '{}'),
    ('engagement', 'tenant', false, 'key', '{}'),
    ('engagement', 'customer', true, 'key', (SELECT k.names FROM customer AS k)),
    ('engagement', 'kind', true, 'text', E'{kind,event_kind,event_type,event,type,\u7a2e\u985e,\u7a2e\u5225}'),
    ('engagement', 'happened_at', true, 'day', E'{happened_at,happened_on,occurred_at,occurred_on,event_date,event_time,\u767a\u751f\u65e5,\u767a\u751f\u65e5\u6642}'),
    ('contacts', 'tenant', false, 'key', '{}'),
    ('contacts', 'customer', true, 'key', (SELECT k.names FROM customer AS k)),
    ('contacts', 'channel', true, 'text', '{channel}'),
    ('contacts', 'contacted_at', true, 'day', '{contacted_at,contacted_on,sent_at,sent_on}'),
    ('contacts', 'scenario', false, 'text', '{scenario}'),
    ('contacts', 'step', false, 'text', '{step}'),
    ('contacts', 'group', false, 'text', '{group,test_group}'),
    ('customers', 'tenant', false, 'key', '{}'),
    ('customers', 'customer', true, 'key', (SELECT k.names || '{id}' FROM customer AS k)),
    ('customers', 'membership', false, 'text', E'{membership,membership_status,\u4f1a\u54e1\u533a\u5206}'),
    ('customers', 'email', false, 'text', E'{email,e_mail,email_address,mail_address,\u30e1\u30fc\u30eb\u30a2\u30c9\u30ec\u30b9}'),
    ('customers', 'phone', false, 'text', E'{phone,phone_number,telephone,tel,\u96fb\u8a71\u756a\u53f7}'),
    ('customers', 'postal_address', false, 'text', E'{postal_address,address,\u4f4f\u6240}'),
    ('customers', 'line_id', false, 'text', '{line_id,line_user_id}'),
    ('customers', 'consents', false, 'jsonb', '{consents}'),
    ('customers', 'last_contacted_on', false, 'day', E'{last_contacted_on,last_contacted_at,\u6700\u7d42\u9023\u7d61\u65e5}')
$columns$;
COMMENT ON FUNCTION _source_columns() IS
    'Part of segmentations: the columns of the sources, their types and the names under which they are found.';

-- A table or view of the settings. Kept as text: whoever drops or renames it is told by name what is missing.
CREATE FUNCTION _source_table(s jsonb, source text) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $table$
DECLARE
    found regclass := to_regclass(s ->> source);
    kind "char";
BEGIN
    IF coalesce(found::oid, 0) = 0 THEN
        RAISE EXCEPTION 'there is no relation % (%)', s ->> source, source
            USING ERRCODE = 'undefined_table',
                  HINT = format('Was it renamed or dropped? alter_segmentation(%L, %s => ...) names another one.', s ->> 'name', source);
    END IF;
    SELECT c.relkind INTO kind FROM pg_class AS c WHERE c.oid = found;
    IF kind NOT IN ('r', 'p', 'v', 'm', 'f') THEN
        RAISE EXCEPTION '% (%) is no table or view', found, source
            USING ERRCODE = 'wrong_object_type', HINT = 'Name a table, partitioned table, foreign table, view or materialized view.';
    END IF;
    RETURN found;
END
$table$;
COMMENT ON FUNCTION _source_table(jsonb, text) IS 'Part of segmentations: a source as named in the settings; an error where it is gone.';

-- What a column's type is good for; domains count as what they stand on.
CREATE FUNCTION _fits(type oid, types text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $fits$
    WITH RECURSIVE base AS (
        SELECT t.oid, t.typbasetype FROM pg_type AS t WHERE t.oid = $1
        UNION ALL
        SELECT t.oid, t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.typbasetype WHERE b.typbasetype <> 0
    )
    SELECT CASE $2
        WHEN 'day' THEN b.oid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
        WHEN 'amount' THEN b.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float4'::regtype, 'float8'::regtype)
        WHEN 'boolean' THEN b.oid = 'bool'::regtype
        WHEN 'jsonb' THEN b.oid IN ('json'::regtype, 'jsonb'::regtype)
        ELSE true END
    FROM base AS b WHERE b.typbasetype = 0
$fits$;
COMMENT ON FUNCTION _fits(oid, text) IS 'Part of segmentations: whether a column of that type can be used as a day, an amount and so on.';

-- The columns of a source by role: those that are named, and those found by their names. `like_orders` are the key columns of
-- the orders: a source that has columns of these names is joined by them. A column that the caller may not read is not found,
-- unless it is the only one that could be what is needed: reading it then says what is missing.
CREATE FUNCTION _find_columns(relation regclass, source text, given jsonb, like_orders jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $columns$
DECLARE
    columns jsonb := (SELECT coalesce(jsonb_object_agg(a.attname, a.atttypid::bigint), '{}') FROM pg_attribute AS a
                      WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
    known text := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a
                   WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
    unknown text := (SELECT quote_ident(min(g.role)) FROM jsonb_object_keys(given) AS g (role)
                     WHERE g.role NOT IN (SELECT c.role FROM @extschema@._source_columns() AS c WHERE c.source = _find_columns.source));
    wanted record;
    matches text[];
    readable text[];
    argument text;
    found jsonb := '{}';
BEGIN
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION '%_columns: % is not known', source, unknown
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = format('Known are: %s.', (SELECT string_agg(c.role, ', ') FROM @extschema@._source_columns() AS c
                                                   WHERE c.source = _find_columns.source));
    END IF;
    FOR wanted IN SELECT * FROM @extschema@._source_columns() AS c WHERE c.source = _find_columns.source LOOP
        argument := concat_ws('.', nullif(source, 'orders'), wanted.role);
        IF given ? wanted.role THEN
            matches := array_remove(ARRAY[given ->> wanted.role], NULL);
        ELSIF columns ? (like_orders ->> wanted.role) THEN
            matches := ARRAY[like_orders ->> wanted.role];
        ELSE
            matches := ARRAY(SELECT c.name FROM jsonb_each(columns) AS c (name, type)
                             WHERE lower(c.name) IN (SELECT lower(n) FROM unnest(wanted.names) AS n)
                                 AND @extschema@._fits(c.type::text::oid, wanted.types));
            readable := ARRAY(SELECT m FROM unnest(matches) AS m WHERE has_column_privilege(relation, m, 'SELECT'));
            IF readable <> '{}' OR NOT wanted.required THEN
                matches := readable;
            END IF;
        END IF;

        IF cardinality(matches) > 1 THEN
            RAISE EXCEPTION '% has several columns that could be %: %', relation, argument,
                (SELECT string_agg(quote_ident(m), ', ' ORDER BY m) FROM unnest(matches) AS m)
                USING ERRCODE = 'ambiguous_column', HINT = 'Name the one that is meant.';
        ELSIF matches = '{}' AND (wanted.required OR like_orders ->> wanted.role IS NOT NULL) THEN
            RAISE EXCEPTION '% has no column that is known to be %', relation, argument
                USING ERRCODE = 'undefined_column', HINT = format('Name one of its columns: %s.', known);
        ELSIF matches <> '{}' AND NOT columns ? matches[1] THEN
            RAISE EXCEPTION '% has no column %, which is named as %', relation, quote_ident(matches[1]), argument
                USING ERRCODE = 'undefined_column', HINT = format('Its columns: %s.', known);
        ELSIF matches <> '{}' AND NOT @extschema@._fits((columns ->> matches[1])::oid, wanted.types) THEN
            RAISE EXCEPTION 'column % of % is %, which cannot be %', quote_ident(matches[1]), relation,
                (columns ->> matches[1])::oid::regtype, argument
                USING ERRCODE = 'datatype_mismatch',
                      HINT = CASE wanted.types WHEN 'day' THEN 'It must be a date, timestamp or timestamptz.'
                                               WHEN 'amount' THEN 'It must be a number: integer, numeric or double precision.'
                                               WHEN 'boolean' THEN 'It must be a boolean.'
                                               ELSE 'It must be json or jsonb.' END || ' A view over the table can cast it.';
        END IF;
        -- Absent is said too: a column that is added later must not come in by its name.
        found := found || jsonb_build_object(wanted.role, matches[1]);
    END LOOP;
    RETURN found;
END
$columns$;
COMMENT ON FUNCTION _find_columns(regclass, text, jsonb, jsonb) IS
    'Part of segmentations: the columns of a source by role, named or found by their names.';

-- The operator that says whether two keys of a type are equal: that of its btree order, whatever its schema.
CREATE FUNCTION _equality(type oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $equality$
DECLARE
    operator text;
BEGIN
    WITH RECURSIVE base AS (
        SELECT t.oid, t.typbasetype, t.typtype, t.typcategory FROM pg_type AS t WHERE t.oid = type
        UNION ALL
        SELECT t.oid, t.typbasetype, t.typtype, t.typcategory FROM base AS b JOIN pg_type AS t ON t.oid = b.typbasetype
    )
    SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) INTO operator
    FROM base AS b
    JOIN pg_opclass AS c ON c.opcdefault AND (
        c.opcintype = b.oid
        OR c.opcintype = 'anyenum'::regtype AND b.typtype = 'e'
        OR c.opcintype = 'anyarray'::regtype AND b.typcategory = 'A'
        OR EXISTS (SELECT FROM pg_cast AS k
                   WHERE k.castsource = b.oid AND k.casttarget = c.opcintype AND k.castmethod = 'b' AND k.castcontext = 'i'))
    JOIN pg_am AS m ON m.oid = c.opcmethod AND m.amname = 'btree'
    JOIN pg_amop AS a ON a.amopfamily = c.opcfamily AND a.amopstrategy = 3
        AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype
    JOIN pg_operator AS o ON o.oid = a.amopopr
    JOIN pg_namespace AS n ON n.oid = o.oprnamespace
    JOIN pg_type AS i ON i.oid = c.opcintype
    WHERE b.typbasetype = 0
    ORDER BY c.opcintype = b.oid DESC, i.typispreferred DESC
    LIMIT 1;
    IF operator IS NULL THEN
        RAISE EXCEPTION 'a key of type % has no btree order', type::regtype
            USING ERRCODE = 'datatype_mismatch', HINT = 'Customer keys need one: bigint, text, uuid and so on.';
    END IF;
    RETURN operator;
END
$equality$;
COMMENT ON FUNCTION _equality(oid) IS 'Part of segmentations: the operator for equal keys of a type, with its schema.';

-- The key columns: the tenant's, where there is one, and the customer's, named as in the orders.
CREATE FUNCTION _keys(s jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $keys$ SELECT array_remove(ARRAY[s #>> '{columns,orders,tenant}', s #>> '{columns,orders,customer}'], NULL) $keys$;
COMMENT ON FUNCTION _keys(jsonb) IS 'Part of segmentations: the key columns.';

-- A list of the key columns, of an alias or without.
CREATE FUNCTION _key_list(s jsonb, alias text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $keys$
    SELECT string_agg(coalesce(alias || '.', '') || quote_ident(k.name), ', ' ORDER BY k.place)
    FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place)
$keys$;
COMMENT ON FUNCTION _key_list(jsonb, text) IS 'Part of segmentations: the quoted key columns of an alias.';

-- The condition that two rows are of the same customer.
CREATE FUNCTION _same_key(s jsonb, one text, other text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $same$
    SELECT string_agg(format('%s.%I %s %s.%I', one, k.name, @extschema@._equality(a.atttypid), other, k.name), ' AND ' ORDER BY k.place)
    FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = k.name
$same$;
COMMENT ON FUNCTION _same_key(jsonb, text, text) IS 'Part of segmentations: the condition that two rows have the same key.';

-- The arguments of create_segmentation as settings; what is not given is left out, and looked for or defaulted later.
CREATE FUNCTION _given_settings(
    orders regclass, tenant text, customer text, ordered_at text, amount text, discounted text, order_id text, currency text,
    order_filter text, time_zone text, policy text, engagement regclass, engagement_columns jsonb, contacts regclass, contacts_columns jsonb, customers regclass,
    customers_columns jsonb, as_of date, lang text, track text, readers text[]
) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $given$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'orders', orders, 'order_filter', order_filter, 'time_zone', time_zone, 'policy', policy, 'engagement', engagement,
        'contacts', contacts, 'customers', customers, 'as_of', as_of, 'lang', lang, 'track', track, 'readers', readers
    )) || jsonb_build_object('columns', jsonb_build_object(
        'orders', jsonb_strip_nulls(jsonb_build_object(
            'tenant', tenant, 'customer', customer, 'ordered_at', ordered_at, 'amount', amount, 'discounted', discounted,
            'order_id', order_id, 'currency', currency)),
        'engagement', coalesce(engagement_columns, '{}'),
        'contacts', coalesce(contacts_columns, '{}'),
        'customers', coalesce(customers_columns, '{}')))
$given$;
COMMENT ON FUNCTION _given_settings(regclass, text, text, text, text, text, text, text, text, text, text, regclass, jsonb, regclass, jsonb, regclass, jsonb, date, text, text, text[]) IS
    'Part of segmentations: the arguments of create_segmentation as one document.';

CREATE FUNCTION _invalid(message text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $invalid$
BEGIN
    RAISE EXCEPTION '%', message USING ERRCODE = 'invalid_parameter_value', HINT = hint;
END
$invalid$;
COMMENT ON FUNCTION _invalid(text, text) IS 'Part of segmentations: refuses an argument.';

-- The settings with defaults and columns filled in; an error where they cannot be meant.
CREATE FUNCTION _checked_settings(given jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $checked$
DECLARE
    s jsonb := jsonb_build_object('time_zone', current_setting('TimeZone'), 'lang', 'en', 'track', 'none') || given;
    source text;
    relation regclass;
    kind pg_class;
BEGIN
    IF NOT s ? 'orders' THEN
        PERFORM @extschema@._invalid('orders is NULL', 'Name the table of orders: orders => ''sales.orders''.');
    ELSIF s ->> 'lang' NOT IN ('en', 'ja') THEN
        PERFORM @extschema@._invalid(format('lang is "%s"', s ->> 'lang'), 'Labels exist in en and ja.');
    ELSIF s ->> 'track' NOT IN ('none', 'trigger') THEN
        PERFORM @extschema@._invalid(format('track is "%s"', s ->> 'track'), 'It is none or trigger.');
    ELSIF NOT isfinite(coalesce((s ->> 'as_of')::date, '2000-01-01')) THEN
        PERFORM @extschema@._invalid(format('as_of is %s', s ->> 'as_of'), 'Give a finite day, or none for today at each refresh.');
    END IF;
    PERFORM clock_timestamp() AT TIME ZONE (s ->> 'time_zone');

    FOREACH source IN ARRAY ARRAY['orders', 'engagement', 'contacts', 'customers'] LOOP
        IF jsonb_typeof(s #> ARRAY['columns', source]) <> 'object' THEN
            PERFORM @extschema@._invalid(format('%s_columns is a JSON %s', source, jsonb_typeof(s #> ARRAY['columns', source])),
                                         'Give an object of columns, for example {"customer": "buyer_id"}.');
        ELSIF s ->> source IS NULL THEN
            IF s #> ARRAY['columns', source] <> '{}' THEN
                PERFORM @extschema@._invalid(format('%s_columns are given without %1$s', source), format('Name the table too: %s => ...', source));
            END IF;
            CONTINUE;
        END IF;
        relation := @extschema@._source_table(s, source);
        SELECT * INTO kind FROM pg_class AS c WHERE c.oid = relation;
        IF kind.relpersistence = 't' THEN
            PERFORM @extschema@._invalid(format('%s is a temporary table', relation), 'A refresh from another session would not see it.');
        ELSIF source = 'orders' AND s ->> 'track' = 'trigger' AND kind.relkind NOT IN ('r', 'p') THEN
            PERFORM @extschema@._invalid(format('%s is no table: it can have no triggers that note changes', relation),
                                         'Use track => ''none'': each refresh reads all orders.');
        END IF;
        s := jsonb_set(s, ARRAY['columns', source], @extschema@._find_columns(
            relation, source, s #> ARRAY['columns', source],
            CASE source WHEN 'orders' THEN '{}' ELSE jsonb_build_object('tenant', s #> '{columns,orders,tenant}',
                                                                        'customer', s #> '{columns,orders,customer}') END));
    END LOOP;
    PERFORM @extschema@._same_key(s, 'a', 'b'); -- an error where a key has no order
    IF s ? 'order_filter' THEN
        -- By itself, so that the message shows it and not our SQL, and not between parentheses, which it could close.
        EXECUTE format(E'SELECT FROM %s AS o WHERE CASE WHEN\n%s\nTHEN true END LIMIT 0', @extschema@._source_table(s, 'orders'), s ->> 'order_filter');
    END IF;
    IF @extschema@._keys(s) && '{ordered_on,amount,discounted,kind,happened_on,channel,contacted_on,scenario,step,test_group}'
        OR EXISTS (SELECT FROM @extschema@._view_columns() AS c WHERE c.name = ANY (@extschema@._keys(s))) THEN
        PERFORM @extschema@._invalid(
            format('a key column is called like a column of ours: %s', array_to_string(@extschema@._keys(s), ', ')),
            'A view over the orders can give it another name.');
    END IF;
    RETURN s;
END
$checked$;
COMMENT ON FUNCTION _checked_settings(jsonb) IS 'Part of segmentations: settings with defaults and found columns; refuses what cannot be meant.';
