-- segmentation: settings

-- A segmentation NAME is a handful of ordinary relations in a schema of the shop's, owned by whoever created it;
-- relations.sql lists them. None is a member of the extension: they are dumped, restored and granted like any other
-- relation.
--
-- Somebody may have the right to create functions in the extension's schema. So that no function of theirs is called in
-- the place of one of these, every argument that is NULL is given with its type, which makes the extension's own
-- function the exact match.
--
-- What is called many times in a refresh is PL/pgSQL, which keeps its plans; a function in SQL is planned at every
-- call.

-- A table of this type, owned by its creator, is what makes a segmentation: the type is how it is found. All columns
-- are of built-in types, so that reading a row of such a table runs no code of whoever owns it: a typed table can have
-- no other columns, no column of it can become one of a domain, and a default or a generated column plays no part in
-- reading.
CREATE TYPE segmentation_settings AS (
    name text,
    schema text,
    internals text,
    settings_version integer,
    orders text,
    customer text,
    ordered_at text,
    amount text,
    tenant text,
    discounted text,
    order_id text,
    currency text,
    order_filter text,
    time_zone text,
    policy text,
    engagement text,
    engagement_tenant text,
    engagement_customer text,
    engagement_kind text,
    engagement_happened_at text,
    engagement_kinds jsonb,
    contacts text,
    contacts_tenant text,
    contacts_customer text,
    contacts_channel text,
    contacts_contacted_at text,
    contacts_scenario text,
    contacts_step text,
    contacts_group text,
    contacts_campaign text,
    channel_names jsonb,
    test_groups jsonb,
    membership_log text,
    membership_log_tenant text,
    membership_log_customer text,
    membership_log_membership text,
    membership_log_since text,
    customers text,
    customers_tenant text,
    customers_customer text,
    customers_membership text,
    customers_email text,
    customers_phone text,
    customers_postal_address text,
    customers_line_id text,
    customers_consents text,
    customers_last_contacted_on text,
    memberships jsonb,
    attributes text[],
    first_order text[],
    targets text,
    targets_tenant text,
    targets_kpi text,
    targets_period text,
    targets_target text,
    costs text,
    costs_tenant text,
    costs_period text,
    costs_purpose text,
    costs_amount text,
    campaign_days integer,
    model text,
    refit_after_days integer,
    backtests integer,
    value_days integer,
    annual_discount_rate double precision,
    as_of date,
    lang text,
    track text,
    keep_changes integer,
    notify text,
    readers text[],
    views text[]
);
COMMENT ON TYPE segmentation_settings IS
    'What a segmentation was told, one column a setting; a table of this type, owned by its creator, is what makes '
    'one.';

-- The version of the settings that this script writes and reads. A script that gives a setting another meaning raises
-- it, and brings the rows of the versions before up to date when it meets them.
CREATE FUNCTION _settings_version() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $version$ SELECT 1 $version$;
COMMENT ON FUNCTION _settings_version() IS
    'Part of segmentations: the version of the settings that this version of the extension knows.';

-- The arguments of create_segmentation in their order. create_segmentation, alter_segmentation and audit_orders are
-- declared from this list (create.sql), settings are explained by it.
CREATE FUNCTION segmentation_arguments() RETURNS TABLE (
    argument text, type text, default_value text, can_be_altered boolean, can_be_reset boolean, leaves_views boolean,
    is_audited boolean, meaning text
)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 45 SET search_path = pg_catalog, pg_temp
AS $arguments$
    VALUES
    ('name', 'text', NULL, false, false, false, false,
        'What the segmentation is called, 1 to 47 bytes; the names of its relations begin with it.'),
    ('orders', 'regclass', NULL, true, false, false, true,
        'The table or view of orders: one row an order, or a line of one.'),
    ('customer', 'text', 'NULL', true, false, false, true,
        'The column of the orders with the key of the customer. NULL: found by its name, as are ordered_at and '
        'amount.'),
    ('ordered_at', 'text', 'NULL', true, false, false, true,
        'The column of the orders with their day or moment.'),
    ('amount', 'text', 'NULL', true, false, false, true,
        'The column of the orders with the amount in currency units; a negative one is a refund.'),
    ('tenant', 'text', 'NULL', true, true, false, true,
        'The column of the orders that tells several shops apart: the first part of the key of a customer and of every '
        'report. NULL: one shop.'),
    ('discounted', 'text', 'NULL', true, true, false, true,
        'The column of the orders that says which were discounted: a boolean, or a number that is above 0. NULL: not '
        'known.'),
    ('order_id', 'text', 'NULL', true, true, false, true,
        'The column of the orders with their number, where a row is a line of an order. Lines are summed day by day; '
        'those after the day of the purchase change the amount on their own day. NULL: each row is an order.'),
    ('currency', 'text', 'NULL', true, true, false, true,
        'The column of the orders with their currency, of which there must be only one. NULL: not checked.'),
    ('order_filter', 'text', 'NULL', true, true, true, true,
        'An SQL condition on the rows of the orders, run with an empty search path and the owner''s rights. '
        'NULL: all rows.'),
    ('time_zone', 'text', 'NULL', true, false, false, true,
        'The time zone of calendar days and of today. NULL: that of the session.'),
    ('policy', 'text', 'NULL', true, true, true, true,
        'A name in segment_policies, a preset, a JSON document, or learn. NULL: the default.'),
    ('engagement', 'regclass', 'NULL', true, true, false, true,
        'A table of events: reviews, referrals, complaints and others. NULL: not tracked.'),
    ('engagement_columns', 'jsonb', 'NULL', true, false, false, true,
        'Columns of it that are not found by their names: tenant, customer, kind, happened_at.'),
    ('engagement_kinds', 'jsonb', 'NULL', true, true, true, true,
        'What the shop''s own kinds of events mean: an object of word and kind; null leaves such events out. NULL: '
        'kinds are as they stand there.'),
    ('contacts', 'regclass', 'NULL', true, true, false, true,
        'A log of what was sent to customers. NULL: none is kept.'),
    ('contacts_columns', 'jsonb', 'NULL', true, false, false, true,
        'Columns of it that are not found by their names: tenant, customer, channel, contacted_at, scenario, step, '
        'group, campaign.'),
    ('channel_names', 'jsonb', 'NULL', true, true, true, true,
        'What the shop''s own names of channels mean, in the log and in consents: an object of word and channel; null '
        'is unknown. NULL: they are as they stand there.'),
    ('test_groups', 'jsonb', 'NULL', true, true, true, true,
        'What the shop''s own names of test groups mean: an object of word and group; holdout is the one that is sent '
        'nothing; null is no group. NULL: they are as they stand there.'),
    ('membership_log', 'regclass', 'NULL', true, true, false, true,
        'A log of memberships: which one each customer had since when. It counts before the membership of the '
        'customers. NULL: only that is known.'),
    ('membership_log_columns', 'jsonb', 'NULL', true, false, false, true,
        'Columns of it that are not found by their names: tenant, customer, membership, since.'),
    ('customers', 'regclass', 'NULL', true, true, false, true,
        'The table of customers, one row a customer. NULL: customers are those with an order.'),
    ('customers_columns', 'jsonb', 'NULL', true, false, false, true,
        'Columns of it that are not found by their names: tenant, customer, membership, email, phone, postal_address, '
        'line_id, consents, last_contacted_on.'),
    ('memberships', 'jsonb', 'NULL', true, true, true, true,
        'What the shop''s own memberships mean: an object of word and membership; null is unknown, as an empty one is. '
        'NULL: they are as they stand there.'),
    ('attributes', 'text[]', 'NULL', true, true, false, true,
        'Columns of the customers'' table that become columns of NAME_customers and dimensions of the reports, for '
        'example {prefecture,acquired_by}. NULL: none.'),
    ('first_order', 'text[]', 'NULL', true, true, false, true,
        'Columns of the orders that do so as the first order of each customer has them, for example {product,medium}. '
        'NULL: none.'),
    ('targets', 'regclass', 'NULL', true, true, false, true,
        'A table of targets, one row a KPI and month, for NAME_kpis. NULL: there are none.'),
    ('targets_columns', 'jsonb', 'NULL', true, false, false, true,
        'Columns of it that are not found by their names: tenant, kpi, period, target.'),
    ('costs', 'regclass', 'NULL', true, true, false, true,
        'A table of what was spent, by month and purpose (acquisition, reactivation), for NAME_kpis. NULL: not known.'),
    ('costs_columns', 'jsonb', 'NULL', true, false, false, true,
        'Columns of it that are not found by their names: tenant, period, purpose, amount.'),
    ('campaign_days', 'integer', 'NULL', true, false, false, false,
        'The days of a campaign''s window: an order counts that is made on the day of a customer''s first contact or '
        'in the days after it, so many together. NULL: 60.'),
    ('model', 'text', 'NULL', true, true, false, false,
        'What predicts: options of fit_purchase_model as JSON ({} for its defaults), a name in purchase_models, or the '
        'document of a model. NULL: nothing is predicted.'),
    ('refit_after_days', 'integer', '30', true, false, true, false,
        'After how many days a refresh fits the model anew. Between fits, figures move because customers do.'),
    ('backtests', 'integer', '4', true, false, true, false,
        'On how many past days each fit is tried, for 90 days each, which gives forecasts their bounds; 0 to 24.'),
    ('value_days', 'integer', '365', true, false, false, false,
        'The days of the customer lifetime value in NAME_predictions.'),
    ('annual_discount_rate', 'double precision', '0.1', true, false, false, false,
        'The discount rate of that value: 0.1 is 10 % a year.'),
    ('schema', 'text', 'pg_catalog.current_schema()', false, false, false, false,
        'The schema of its relations.'),
    ('internals', 'text', 'NULL', false, false, false, false,
        'The schema of the tables that stand behind the views and that no report reads. NULL: the same one.'),
    ('as_of', 'date', 'NULL', true, true, true, true,
        'The day the views answer for. NULL: today at each refresh.'),
    ('lang', 'text', '''en''', true, false, true, true,
        'The language of labels, titles, comments and findings: en or ja.'),
    ('track', 'text', '''none''', true, false, false, false,
        'trigger: triggers on the shop''s tables note whose rows change, so that a refresh reads only these; none: it '
        'reads everything.'),
    ('keep_changes', 'integer', '400', true, false, true, false,
        'For how many days NAME_changes keeps who changed; 0: there is none.'),
    ('notify', 'text', 'NULL', true, true, true, false,
        'A channel on which each refresh that changed customers says how many, as JSON, for LISTEN. NULL: none.'),
    ('readers', 'text[]', 'NULL', true, true, true, false,
        'Roles that may read the views; public is everybody. NULL: only the owner.'),
    ('views', 'text[]', 'NULL', true, true, false, false,
        'The materialized views to make beside customers, which is made in any case: segments, transitions, movement, '
        'cohorts, actions; with contacts channels, dormant_response and, where they have a campaign, campaigns; with '
        'attributes attributes, segments_by, movement_by, cohorts_by; with a model forecast; and kpis. NULL: all of '
        'them, but kpis only where there are targets or costs.')
$arguments$;
COMMENT ON FUNCTION segmentation_arguments() IS
    'The arguments of create_segmentation: type, default, whether alter_segmentation changes it and reset sets it '
    'back, whether the views stay in their place then, whether audit_orders takes it, and what it means.';

-- What a column of the settings says stands in the lists of arguments and of columns.
DO $comments$
DECLARE
    setting record;
BEGIN
    FOR setting IN
        SELECT a.argument AS name, a.meaning FROM @extschema@.segmentation_arguments() AS a
        WHERE a.argument OPERATOR(pg_catalog.!~~) '%\_columns'
        UNION ALL
        SELECT c.setting, pg_catalog.format('The column of %s that is its %s. NULL: there is none.', c.source, c.role)
        FROM @extschema@._source_columns() AS c WHERE c.source OPERATOR(pg_catalog.<>) 'orders'
        UNION ALL
        VALUES ('settings_version', 'The version of the settings; another version of pg_rfm may not know it.')
    LOOP
        EXECUTE pg_catalog.format('COMMENT ON COLUMN @extschema@.segmentation_settings.%I IS %L',
                                  setting.name, setting.meaning);
    END LOOP;
END
$comments$;
COMMENT ON COLUMN segmentation_settings.name IS
    'What the segmentation is called; if the tables were renamed since, their names count.';
COMMENT ON COLUMN segmentation_settings.schema IS
    'Where its relations are; if the schema was renamed since, the place of the table counts.';
COMMENT ON COLUMN segmentation_settings.internals IS
    'Where what stands behind the views is; if that schema was renamed since, the place of NAME_histories counts.';

CREATE FUNCTION _refuse(message text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $refuse$
BEGIN
    RAISE EXCEPTION '%', message USING ERRCODE = 'invalid_parameter_value', HINT = hint;
END
$refuse$;
COMMENT ON FUNCTION _refuse(text, text) IS 'Part of segmentations: refuses an argument.';

-- The only place where settings are written by names that stand in a text. A name that is no setting is an error.
CREATE FUNCTION _with_changes(s segmentation_settings, changes jsonb) RETURNS segmentation_settings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $changes$
DECLARE
    known jsonb := to_jsonb(jsonb_populate_record(s, '{}'));
    unknown text := (
        SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.name)
        FROM jsonb_object_keys(changes) AS c (name)
        WHERE NOT known ? c.name);
BEGIN
    IF unknown IS NOT NULL THEN
        PERFORM @extschema@._refuse(format('settings of a segmentation have no %s', unknown),
                                    'TABLE NAME_settings shows what they have.');
    END IF;
    RETURN jsonb_populate_record(s, changes);
END
$changes$;
COMMENT ON FUNCTION _with_changes(segmentation_settings, jsonb) IS
    'Part of segmentations: settings with some of them changed.';

-- The trigger function of the tables of settings: they hold SQL that runs with their owner's rights, so that nobody
-- else writes them.
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

-- What stands behind the views: the tables that nobody but the owner reads, and the trigger function. The settings are
-- not among them: the schema in which they are is that of the segmentation.
CREATE FUNCTION _internal_relations() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $internal$
    SELECT '{policies,histories,first_orders,engagement,contacts,memberships,profiles,campaign_members,targets,costs,'
        'noted,note_changes,models,changes_held}'::text[]
$internal$;
COMMENT ON FUNCTION _internal_relations() IS
    'Part of segmentations: which relations stand in the schema of the internals, where one is named.';

CREATE FUNCTION _relation(s segmentation_settings, suffix text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $relation$
BEGIN
    RETURN format('%I.%I', CASE WHEN s.internals IS NOT NULL AND suffix = ANY (@extschema@._internal_relations())
                                THEN s.internals ELSE s.schema END, s.name || '_' || suffix);
END
$relation$;
COMMENT ON FUNCTION _relation(segmentation_settings, text) IS
    'Part of segmentations: the quoted name of one of its relations.';

CREATE FUNCTION _trigger_function(s segmentation_settings) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $trigger_function$ SELECT @extschema@._relation(s, 'note_changes') || '()' $trigger_function$;
COMMENT ON FUNCTION _trigger_function(segmentation_settings) IS
    'Part of segmentations: the quoted name of the function that its triggers call.';

-- Today by the segmentation's clock, unless a day is fixed.
CREATE FUNCTION _today(s segmentation_settings, on_day date) RETURNS date
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $today$ SELECT coalesce(on_day, s.as_of, (clock_timestamp() AT TIME ZONE s.time_zone)::date) $today$;
COMMENT ON FUNCTION _today(segmentation_settings, date) IS
    'Part of segmentations: the day asked for; by default today in the segmentation''s time zone.';
