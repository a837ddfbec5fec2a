-- segmentation: checks of what is asked for

-- The settings with what is given laid over them, and with defaults and columns filled in; an error where they cannot
-- be meant. What is given is a document of arguments; nothing is given when settings that were kept are checked again.
CREATE FUNCTION _checked_settings(s segmentation_settings, given jsonb DEFAULT '{}') RETURNS segmentation_settings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $checked$
DECLARE
    columns_of_orders text[] := ARRAY(SELECT c.role FROM @extschema@._source_columns() AS c WHERE c.source = 'orders');
    given_columns jsonb;
    named record;
    relation regclass;
    kind pg_class;
    keys text[];
BEGIN
    s := @extschema@._with_changes(
        s, given - columns_of_orders
           - '{engagement_columns,contacts_columns,membership_log_columns,customers_columns,targets_columns,'
              'costs_columns}'::text[]);
    s.settings_version := @extschema@._settings_version();
    s.time_zone := coalesce(s.time_zone, current_setting('TimeZone'));
    s.lang := coalesce(s.lang, 'en');
    s.track := coalesce(s.track, 'none');
    s.keep_changes := coalesce(s.keep_changes, 400);
    IF s.contacts IS NULL AND NOT given ? 'campaign_days' THEN
        s.campaign_days := NULL; -- the log was reset
    END IF;
    s.campaign_days := coalesce(s.campaign_days, 60);
    s.refit_after_days := coalesce(s.refit_after_days, 30);
    s.backtests := coalesce(s.backtests, 4);
    s.value_days := coalesce(s.value_days, 365);
    s.annual_discount_rate := coalesce(s.annual_discount_rate, 0.1);
    IF s.orders IS NULL THEN
        PERFORM @extschema@._refuse('orders is NULL', 'Name the table of orders: orders => ''sales.orders''.');
    ELSIF s.lang NOT IN ('en', 'ja') THEN
        PERFORM @extschema@._refuse(format('lang is "%s"', s.lang), 'Labels exist in en and ja.');
    ELSIF s.track NOT IN ('none', 'trigger') THEN
        PERFORM @extschema@._refuse(format('track is "%s"', s.track), 'It is none or trigger.');
    ELSIF s.keep_changes NOT BETWEEN 0 AND 36500 THEN
        PERFORM @extschema@._refuse(format('keep_changes is %s', s.keep_changes),
                                    'It is from 1 to 36500 days, or 0 for no NAME_changes.');
    ELSIF octet_length(s.notify) NOT BETWEEN 1 AND 63 THEN
        PERFORM @extschema@._refuse(format('notify is %L', s.notify), 'A channel has 1 to 63 bytes.');
    ELSIF s.notify IS NOT NULL AND s.keep_changes = 0 THEN
        PERFORM @extschema@._refuse('notify is given without NAME_changes, whose rows it counts',
                                    'Keep them for a day at least: keep_changes => 1.');
    ELSIF s.campaign_days NOT BETWEEN 1 AND 3650 THEN
        PERFORM @extschema@._refuse(format('campaign_days is %s', s.campaign_days), 'It is from 1 to 3650 days.');
    ELSIF s.contacts IS NULL AND given ? 'campaign_days' THEN
        PERFORM @extschema@._refuse('campaign_days are given without contacts',
                                    'Name the log of contacts too: contacts => ''...''.');
    ELSIF NOT isfinite(s.as_of) THEN
        PERFORM @extschema@._refuse(format('as_of is %s', s.as_of),
                                    'Give a finite day, or none for today at each refresh.');
    END IF;
    PERFORM @extschema@._refuse_unknown_views(s);
    PERFORM clock_timestamp() AT TIME ZONE s.time_zone; -- an error where there is no such zone

    FOR named IN SELECT * FROM @extschema@._sources(s) LOOP
        IF named.source = 'orders' THEN
            given_columns := (SELECT coalesce(jsonb_object_agg(g.role, g.name), '{}')
                              FROM jsonb_each(given) AS g (role, name) WHERE g.role = ANY (columns_of_orders));
        ELSE
            given_columns := coalesce(given -> (named.source || '_columns'), '{}');
        END IF;
        IF jsonb_typeof(given_columns) <> 'object' THEN
            PERFORM @extschema@._refuse(format('%s_columns is a JSON %s', named.source, jsonb_typeof(given_columns)),
                                        'Give an object of columns, for example {"customer": "buyer_id"}.');
        ELSIF named.relation IS NULL AND given_columns <> '{}' THEN
            PERFORM @extschema@._refuse(format('%s_columns are given without %1$s', named.source),
                                        format('Name the table too: %s => ...', named.source));
        ELSIF named.relation IS NULL THEN
            s := @extschema@._without_columns(s, named.source);
            CONTINUE;
        END IF;
        relation := @extschema@._source_table(s, named.source);
        SELECT * INTO kind FROM pg_class AS c WHERE c.oid = relation;
        IF kind.relpersistence = 't' THEN
            PERFORM @extschema@._refuse(format('%s is a temporary table', relation),
                                        'A refresh from another session would not see it.');
        ELSIF named.source = 'orders' AND s.track = 'trigger' AND kind.relkind NOT IN ('r', 'p') THEN
            PERFORM @extschema@._refuse(format('%s is no table: it can have no triggers that note changes', relation),
                                        'Use track => ''none'': each refresh reads all orders.');
        END IF;
        -- The columns of a table that is named anew are looked for anew.
        s := @extschema@._with_columns(s, named.source, CASE WHEN given ? named.source THEN given_columns
            ELSE @extschema@._settled_columns(s, named.source) || given_columns END);
        keys := @extschema@._source_keys(s, named.source);
        IF keys[1] = keys[2] THEN
            PERFORM @extschema@._refuse(
                format('tenant and customer of %s are the same column: %s', relation, quote_ident(keys[1])),
                'The tenant''s column tells several shops apart. Without it the orders are those of one.');
        END IF;
    END LOOP;
    s := @extschema@._with_checked_words(s, given);
    IF 'campaigns' = ANY (s.views) AND s.contacts_campaign IS NULL THEN
        PERFORM @extschema@._refuse('views has campaigns, but contacts have no campaign',
                                    'Name the column: contacts_columns => ''{"campaign": "..."}''.');
    END IF;
    PERFORM @extschema@._same_key(s, 'a', 'b'); -- an error where a key has no order
    s.attributes := nullif(s.attributes, '{}');
    s.first_order := nullif(s.first_order, '{}');
    IF s.customers IS NULL AND NOT given ? 'attributes' THEN
        s.attributes := NULL; -- the table was reset
    END IF;
    PERFORM @extschema@._refuse_attributes(s);
    IF s.order_filter IS NOT NULL THEN
        -- By itself, so that the message shows the filter and no other SQL, and not between parentheses, which it could
        -- close.
        EXECUTE format(E'SELECT FROM %s AS o WHERE CASE WHEN\n%s\nTHEN true END LIMIT 0',
                       @extschema@._source_table(s, 'orders'), s.order_filter);
    END IF;
    IF @extschema@._keys(s) && '{ordered_on,amount,discounted,is_purchase,kind,happened_on}'
        OR @extschema@._keys(s) && '{channel,contacted_on,scenario,step,test_group,entered_at}'
        OR EXISTS (SELECT FROM @extschema@._view_columns() AS c WHERE c.name = ANY (@extschema@._keys(s))) THEN
        PERFORM @extschema@._refuse(
            format('a key column is called like a column of ours: %s', array_to_string(@extschema@._keys(s), ', ')),
            'A view over the orders can give it another name.');
    END IF;
    RETURN s;
END
$checked$;
COMMENT ON FUNCTION _checked_settings(segmentation_settings, jsonb) IS
    'Part of segmentations: settings with arguments laid over them, defaults and found columns; refuses what cannot '
    'be meant.';

CREATE FUNCTION _refuse_unknown_views(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $views$
DECLARE
    known text[] := ARRAY(SELECT r.suffix FROM @extschema@._relations(s) AS r
                          WHERE r.kind = 'MATERIALIZED VIEW' OR r.suffix = 'customers' ORDER BY r.place);
    named text;
BEGIN
    FOREACH named IN ARRAY coalesce(s.views, '{}') LOOP
        IF named = ANY (known) IS NOT TRUE THEN
            PERFORM @extschema@._refuse(format('there is no view %L', named),
                                        format('views can have: %s.', array_to_string(known, ', ')));
        ELSIF s.contacts IS NULL AND named IN ('channels', 'dormant_response') THEN
            PERFORM @extschema@._refuse(format('the view %L is of contacts, and there are none', named),
                                        'Name the log of contacts: contacts => ''...''.');
        END IF;
    END LOOP;
END
$views$;
COMMENT ON FUNCTION _refuse_unknown_views(segmentation_settings) IS
    'Part of segmentations: an error where a view is asked for that there is not.';

-- Attributes are columns that there are, of types that make dimensions of a report, and called like none of ours.
CREATE FUNCTION _refuse_attributes(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $attributes$
DECLARE
    attribute record;
    column_type oid;
BEGIN
    IF num_nonnulls(s.attributes, s.first_order) = 0 THEN
        PERFORM @extschema@._refuse(format('views names %s, which takes attributes or first_order', n.view),
                                    'Name columns too: first_order => ''{product}''.')
        FROM unnest(s.views) AS n (view) WHERE n.view IN ('attributes', 'segments_by', 'movement_by', 'cohorts_by');
    ELSIF s.customers IS NULL AND s.attributes IS NOT NULL THEN
        PERFORM @extschema@._refuse('attributes are given without customers',
                                    'Name the table too: customers => ...; columns of the orders are first_order.');
    END IF;
    FOR attribute IN SELECT a.*, @extschema@._source_table(s, a.source) AS relation,
                            count(*) OVER (PARTITION BY a.name) AS times
                     FROM @extschema@._attributes(s) AS a ORDER BY a.place LOOP
        SELECT @extschema@._base_type(c.atttypid) INTO column_type FROM pg_attribute AS c
        WHERE c.attrelid = attribute.relation AND c.attname = attribute.name AND c.attnum > 0;
        IF attribute.name IS NULL THEN
            PERFORM @extschema@._refuse(format('a name in %s is NULL', attribute.argument),
                                        format('Name columns: %s => ''{prefecture}''.', attribute.argument));
        ELSIF column_type IS NULL THEN
            RAISE EXCEPTION '% has no column %, which is named in %',
                attribute.relation, quote_ident(attribute.name), attribute.argument
                USING ERRCODE = 'undefined_column',
                      HINT = format('Its columns: %s.', (
                          SELECT string_agg(quote_ident(c.attname), ', ' ORDER BY c.attnum) FROM pg_attribute AS c
                          WHERE c.attrelid = attribute.relation AND c.attnum > 0 AND NOT c.attisdropped));
        ELSIF attribute.times > 1 THEN
            PERFORM @extschema@._refuse(format('attribute %s is named twice', quote_ident(attribute.name)),
                                        'attributes and first_order are columns of one view. A view over the table can '
                                        'give it another name.');
        ELSIF attribute.name = ANY (@extschema@._keys(s) || 'first_order_on'::text)
            OR EXISTS (SELECT FROM @extschema@._view_columns() AS c WHERE c.name = attribute.name) THEN
            PERFORM @extschema@._refuse(
                format('an attribute is called like a key column or a column of ours: %s', quote_ident(attribute.name)),
                'A view over the table can give it another name.');
        ELSIF NOT EXISTS (
            SELECT FROM pg_type AS t
            WHERE t.oid = column_type
                AND (t.typcategory IN ('S', 'E')
                     OR t.oid = ANY ('{bool,int2,int4,int8,numeric,uuid,date}'::regtype[]))) THEN
            RAISE EXCEPTION 'column % of % is %, which cannot be an attribute', quote_ident(attribute.name),
                attribute.relation, column_type::regtype
                USING ERRCODE = 'datatype_mismatch',
                      HINT = 'It must be a text, an enum, a boolean, an integer, numeric, a uuid or a date. A view '
                          'over the table can cast it.';
        END IF;
    END LOOP;
END
$attributes$;
COMMENT ON FUNCTION _refuse_attributes(segmentation_settings) IS
    'Part of segmentations: an error where an attribute is asked for that cannot be one.';

-- What can be refused before the orders are read, which may take an hour.
CREATE FUNCTION _refuse_early(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $early$
DECLARE
    reader text;
    untracked text;
    other text;
BEGIN
    PERFORM @extschema@._refuse_unsafe_schema(s);
    PERFORM @extschema@._refuse_sharded_schema(s);
    FOREACH reader IN ARRAY coalesce(s.readers, '{}') LOOP
        IF reader IS NULL THEN
            PERFORM @extschema@._refuse('a reader is NULL', 'Name roles: readers => ''{reporting}''.');
        ELSIF reader <> 'public' AND to_regrole(quote_ident(reader)) IS NULL THEN
            RAISE EXCEPTION 'role "%" does not exist', reader
                USING ERRCODE = 'undefined_object',
                      HINT = 'readers are roles; create it first.'
                      || CASE lower(reader) WHEN 'public' THEN ' Only public in lower case is everybody.' ELSE '' END;
        END IF;
    END LOOP;
    IF s.track = 'trigger' THEN
        PERFORM @extschema@._refuse_tracking_shards(s);
    END IF;
    IF s.track = 'trigger' AND NOT has_table_privilege(@extschema@._source_table(s, 'orders'), 'TRIGGER') THEN
        RAISE EXCEPTION 'permission denied to put triggers on %', s.orders
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('GRANT TRIGGER ON %s TO %I, or use track => ''none''.', s.orders, current_user);
    ELSIF s.track = 'trigger' THEN
        SELECT min(c.oid::regclass::text) INTO untracked
        FROM @extschema@._source_tables(s) AS t JOIN pg_class AS c ON c.oid = t.relation
        WHERE t.source = 'orders' AND c.relkind = 'f';
        PERFORM @extschema@._refuse_tracking_for_superuser(s);
        IF untracked IS NOT NULL THEN
            PERFORM @extschema@._refuse(
                format('%s is a foreign table: it can have no triggers that note changes', untracked),
                 'Use track => ''none'': each refresh reads all orders.');
        END IF;
        -- The names of the triggers hold the name of the segmentation, and owners or schemas may have one of the same
        -- name each.
        SELECT min(format('%s is tracked for another segmentation of this name already, by %s', t.relation,
                          g.tgfoid::regprocedure)) INTO other
        FROM @extschema@._triggers(s) AS t JOIN pg_trigger AS g ON g.tgrelid = t.relation AND g.tgname = t.name
        WHERE NOT t.is_there;
        IF other IS NOT NULL THEN
            PERFORM @extschema@._refuse(
                other,
                 'Choose another name, or use track => ''none''.');
        END IF;
    END IF;
    PERFORM @extschema@._refuse_other_versions(s);
    PERFORM @extschema@._refuse_model(s);
    IF s.policy IS DISTINCT FROM 'learn' THEN
        PERFORM @extschema@._policy_on(s, @extschema@._today(s, NULL::date), false);
    END IF;
END
$early$;
COMMENT ON FUNCTION _refuse_early(segmentation_settings) IS
    'Part of segmentations: refuses what would fail only after the orders were read.';
