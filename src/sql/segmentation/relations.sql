-- segmentation: relations

-- The catalog of relations: those that a segmentation can have, in the order in which they are made; they are dropped
-- in the opposite order. Locks and checks, building and dropping, grants, segmentation_sql and the view
-- segmentation_relations go by it.
--
--   suffix       the relation is called NAME_suffix
--   is_wanted    whether the settings ask for it; everything where somebody deleted them, so that a drop finds it all
--   reason       why it is there
--   is_readable  whether the readers may read it
--   keys         the columns of its unique key
--   comment      what it is for
CREATE FUNCTION _relations(s segmentation_settings) RETURNS TABLE (
    place integer, suffix text, kind text, is_wanted boolean, reason text, is_readable boolean, keys text[],
    comment text
)
LANGUAGE plpgsql STABLE ROWS 33 SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan -- to plan it takes longer than to run it
AS $relations$
BEGIN
    RETURN QUERY
    SELECT r.place, r.suffix, r.kind, r.is_asked_for OR s.settings_version IS NULL, r.reason,
           r.suffix <> 'settings' AND r.suffix <> ALL (@extschema@._internal_relations()), r.keys, r.comment
    FROM (
        SELECT @extschema@._keys(s) AS customer, array_remove(ARRAY[s.tenant], NULL) AS tenant,
               CASE WHEN s.tenant IS NULL THEN '' ELSE format(' Each %s by itself.', s.tenant) END AS of_tenant,
               'every segmentation has it' AS always,
               coalesce('views => ' || quote_literal(s.views::text),
                        'made unless views leaves it out') AS chosen,
               CASE WHEN @extschema@._is_distributed(s) THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END AS kind_of_customers,
               num_nonnulls(s.attributes, s.first_order) > 0 AS has_attributes,
               concat_ws(', ', 'attributes => ' || quote_literal(s.attributes::text),
                         'first_order => ' || quote_literal(s.first_order::text)) AS by_attribute
    ) AS t
    CROSS JOIN LATERAL (VALUES
        (1, 'settings', 'TABLE', true, t.always, '{name}'::text[],
            'Settings of a segmentation of pg_rfm. Only its owner writes them: they hold SQL that runs with the '
            'owner''s rights.'),
        (2, 'policies', 'TABLE', true, t.always, '{valid_from}',
            'Each policy that was in force, with its first day.'),
        (3, 'histories', 'TABLE', true, t.always, t.customer,
            format('Purchase histories of %s.', s.orders)),
        (4, 'first_orders', 'TABLE', s.first_order IS NOT NULL,
            'first_order => ' || quote_literal(s.first_order::text), t.customer,
            format('First orders of %s.', s.orders)),
        (5, 'engagement', 'TABLE', s.engagement IS NOT NULL, 'engagement => ' || quote_literal(s.engagement),
            t.customer,
            format('Engagement histories of %s.', s.engagement)),
        (6, 'contacts', 'TABLE', s.contacts IS NOT NULL, 'contacts => ' || quote_literal(s.contacts),
            t.customer,
            format('Logs of contacts of %s.', s.contacts)),
        (7, 'memberships', 'TABLE', s.membership_log IS NOT NULL,
            'membership_log => ' || quote_literal(s.membership_log), t.customer,
            format('Histories of memberships of %s.', s.membership_log)),
        (8, 'profiles', 'TABLE', s.customers IS NOT NULL, 'customers => ' || quote_literal(s.customers),
            t.customer,
            format('Memberships, channels, last contacts and attributes of %s.', s.customers)),
        (9, 'campaign_members', 'TABLE', s.contacts_campaign IS NOT NULL,
            'contacts_columns => ' || quote_literal(jsonb_build_object('campaign', s.contacts_campaign)),
            t.customer || '{campaign}',
            format('Who was in which campaign, by %s.', s.contacts)),
        (10, 'targets', 'TABLE', s.targets IS NOT NULL, 'targets => ' || quote_literal(s.targets),
            t.tenant || '{kpi,period}',
            format('Targets of %s.', s.targets)),
        (11, 'costs', 'TABLE', s.costs IS NOT NULL, 'costs => ' || quote_literal(s.costs),
            t.tenant || '{purpose,period}',
            format('Costs of %s, by month.', s.costs)),
        (12, 'status', 'TABLE', true, t.always, '{segmentation}',
            'The day and policy that the views answer for, and figures of the last refresh: one row.'),
        (13, 'noted', 'TABLE', s.track = 'trigger', 'track => ' || quote_literal(s.track), NULL,
            'Customers whose rows changed since the last refresh; a row without a key: all of them.'),
        (14, 'facts', 'VIEW', true, t.always, NULL,
            'All that is known of a customer: the arguments of segment_customer and its like. Prospects have no '
            'history.'),
        (15, 'customers', t.kind_of_customers, true, t.always, t.customer,
            'One row a customer, as of the day in the status table.'),
        (16, 'customers_today', 'VIEW', true, t.always, NULL,
            'The customers with what changes by itself every day.'),
        (17, 'segments', 'MATERIALIZED VIEW', 'segments' = ANY (s.views) IS NOT FALSE, t.chosen,
            t.tenant || '{lifecycle_state,rfm_segment}',
            'How many customers and how much revenue, by lifecycle state and RFM segment.' || t.of_tenant),
        (18, 'transitions', 'MATERIALIZED VIEW', 'transitions' = ANY (s.views) IS NOT FALSE, t.chosen,
            t.tenant || '{dimension,from_day,to_day,from_value,to_value}',
            'Who moved from which lifecycle state, RFM segment and VIP tier to which in each of the last twelve months '
            'that are over, one dimension beside the other.' || t.of_tenant),
        (19, 'movement', 'MATERIALIZED VIEW', 'movement' = ANY (s.views) IS NOT FALSE, t.chosen,
            t.tenant || '{from_day,to_day,from_state,to_state}',
            'Who moved from which lifecycle state to which in each of the last twelve months that are over; '
            'who was still a prospect at its end is left out.' || t.of_tenant),
        (20, 'cohorts', 'MATERIALIZED VIEW', 'cohorts' = ANY (s.views) IS NOT FALSE, t.chosen,
            t.tenant || '{first_month,months_after}',
            'What those who first bought in a month did in the year after it, month by month.' || t.of_tenant),
        (21, 'actions', 'MATERIALIZED VIEW', 'actions' = ANY (s.views) IS NOT FALSE, t.chosen,
            t.tenant || '{action_rule,action_channel}',
            'How many customers wait for which next step, by channel.' || t.of_tenant),
        (22, 'channels', 'MATERIALIZED VIEW', s.contacts IS NOT NULL AND 'channels' = ANY (s.views) IS NOT FALSE,
            t.chosen, t.tenant || '{channel}',
            'How many contacts over which channel were answered by a purchase.' || t.of_tenant),
        (23, 'dormant_response', 'MATERIALIZED VIEW',
            s.contacts IS NOT NULL AND 'dormant_response' = ANY (s.views) IS NOT FALSE,
            t.chosen, t.tenant || '{dormancy_reason,dormant_year}',
            'In which order dormant customers are expected to answer, by reason and year of dormancy.' || t.of_tenant),
        (24, 'campaigns', 'MATERIALIZED VIEW',
            s.contacts_campaign IS NOT NULL AND 'campaigns' = ANY (s.views) IS NOT FALSE, t.chosen,
            t.tenant || '{campaign,test_group,channel,is_interim}',
            'What came of each group of each campaign, beside the holdout; also so far, while windows are open.'
            || t.of_tenant),
        (25, 'kpis', 'MATERIALIZED VIEW',
            coalesce('kpis' = ANY (s.views), num_nonnulls(s.targets, s.costs) > 0), t.chosen,
            t.tenant || '{kpi,period}',
            'KPIs of the month of as_of and the twelve before it, beside their targets.' || t.of_tenant),
        (26, 'attributes', 'MATERIALIZED VIEW',
            t.has_attributes AND 'attributes' = ANY (s.views) IS NOT FALSE, t.by_attribute,
            t.tenant || '{attribute,value}',
            'Which customers come back: second purchase and revenue by each attribute.' || t.of_tenant),
        (27, 'segments_by', 'MATERIALIZED VIEW',
            t.has_attributes AND 'segments_by' = ANY (s.views) IS NOT FALSE, t.by_attribute,
            t.tenant || '{attribute,value,lifecycle_state,rfm_segment}',
            'The segments by each attribute; shares are within its value.' || t.of_tenant),
        (28, 'movement_by', 'MATERIALIZED VIEW',
            t.has_attributes AND 'movement_by' = ANY (s.views) IS NOT FALSE, t.by_attribute,
            t.tenant || '{attribute,value,from_day,to_day,from_state,to_state}',
            'The movement by each attribute.' || t.of_tenant),
        (29, 'cohorts_by', 'MATERIALIZED VIEW',
            t.has_attributes AND 'cohorts_by' = ANY (s.views) IS NOT FALSE, t.by_attribute,
            t.tenant || '{attribute,value,first_month,months_after}',
            'The cohorts by each attribute.' || t.of_tenant),
        (30, 'models', 'TABLE', s.model IS NOT NULL, 'model => ' || quote_literal(s.model),
            '{valid_from,asked}',
            'Each model that was fitted, with its day; one that was refused was not in force.'),
        (31, 'predictions', 'VIEW', s.model IS NOT NULL, 'model => ' || quote_literal(s.model), NULL,
            'What the model in force expects of each customer who has bought, as of the day in the status table.'),
        (32, 'forecast', 'MATERIALIZED VIEW', s.model IS NOT NULL AND 'forecast' = ANY (s.views) IS NOT FALSE,
            t.chosen, t.tenant || '{lifecycle_state}',
            'What is expected of all customers in the next 90 days, by lifecycle state and together.' || t.of_tenant),
        (33, 'changes', 'TABLE', s.keep_changes > 0, 'keep_changes => ' || s.keep_changes, '{change_id}',
            'Who changed: one row a customer and thing that is another since a refresh.')
    ) AS r (place, suffix, kind, is_asked_for, reason, keys, comment);
END
$relations$;
COMMENT ON FUNCTION _relations(segmentation_settings) IS
    'Part of segmentations: the relations that one can have, and which of them its settings ask for.';

-- The SELECT that fills or defines NAME_suffix; NULL where there is none. It takes the shop's tables to be there. With
-- `among`, a SELECT of keys, a table by customer has the rows of these customers.
CREATE FUNCTION _query(s segmentation_settings, suffix text, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $query$
BEGIN
    RETURN CASE suffix
        WHEN 'histories' THEN @extschema@._histories_sql(s, among)
        WHEN 'first_orders' THEN @extschema@._first_orders_sql(s, among)
        WHEN 'engagement' THEN @extschema@._engagement_sql(s, among)
        WHEN 'contacts' THEN @extschema@._contacts_sql(s, among)
        WHEN 'memberships' THEN @extschema@._memberships_sql(s, among)
        WHEN 'profiles' THEN @extschema@._profiles_sql(s, among)
        WHEN 'campaign_members' THEN @extschema@._campaign_members_sql(s)
        WHEN 'targets' THEN @extschema@._targets_sql(s)
        WHEN 'costs' THEN @extschema@._costs_sql(s)
        WHEN 'facts' THEN @extschema@._facts_sql(s)
        WHEN 'customers' THEN @extschema@._customers_sql(s)
        WHEN 'customers_today' THEN @extschema@._customers_today_sql(s)
        WHEN 'channels' THEN @extschema@._channels_sql(s)
        WHEN 'dormant_response' THEN @extschema@._dormant_response_sql(s)
        WHEN 'campaigns' THEN @extschema@._campaigns_sql(s)
        WHEN 'kpis' THEN @extschema@._kpis_sql(s)
        WHEN 'attributes' THEN @extschema@._attributes_sql(s)
        WHEN 'predictions' THEN @extschema@._predictions_sql(s)
        WHEN 'forecast' THEN @extschema@._forecast_sql(s)
        ELSE @extschema@._report_of_all(s, suffix) END;
END
$query$;
COMMENT ON FUNCTION _query(segmentation_settings, text, text) IS
    'Part of segmentations: the SELECT that fills or defines one of its relations.';

-- The same, as a table is filled: that of everybody's histories may be another one, if the orders are not on other
-- servers, which collect them where they are.
CREATE FUNCTION _filling_query(s segmentation_settings, suffix text, among text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $filling$
DECLARE
    collected text;
BEGIN
    IF suffix = 'histories' AND among IS NULL
        AND NOT @extschema@._reads_shards(@extschema@._source_table(s, 'orders')) THEN
        collected := @extschema@._collected_histories_sql(s);
    END IF;
    RETURN coalesce(collected, @extschema@._query(s, suffix, among));
END
$filling$;
COMMENT ON FUNCTION _filling_query(segmentation_settings, text, text) IS
    'Part of segmentations: the SELECT that fills one of its tables.';

-- The comment on a column of NAME_suffix in the language of the segmentation.
CREATE FUNCTION _column_comment(s segmentation_settings, suffix text, name text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $comment$
    SELECT format(CASE s.lang WHEN 'ja' THEN c.comment_ja ELSE c.comment END,
                  CASE a.source WHEN 'customers' THEN s.customers ELSE s.orders END)
    FROM @extschema@._view_columns() AS c
    LEFT JOIN @extschema@._attributes(s) AS a ON a.name = _column_comment.name
    CROSS JOIN LATERAL (
        SELECT coalesce('(' || a.argument || ')', _column_comment.suffix) AS suffix
    ) AS place
    -- The name of the value has the days in it.
    WHERE c.name IN (regexp_replace(_column_comment.name, '^clv_\d+d$', 'clv'), '')
        AND coalesce(c.suffix, place.suffix) = place.suffix
    ORDER BY c.name = '', c.suffix
    LIMIT 1
$comment$;
COMMENT ON FUNCTION _column_comment(segmentation_settings, text, text) IS
    'Part of segmentations: the comment on a column of one of its relations.';

-- Puts a comment on every relation and every column. The columns of the settings have theirs from the type.
CREATE FUNCTION _comment_relations(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $comment$
DECLARE
    part record;
    found record;
BEGIN
    FOR part IN SELECT r.*, @extschema@._relation(s, r.suffix) AS name
                FROM @extschema@._relations(s) AS r WHERE r.is_wanted LOOP
        EXECUTE format('COMMENT ON %s %s IS %L', part.kind, part.name, part.comment);
        FOR found IN
            SELECT a.attname, @extschema@._column_comment(s, part.suffix, a.attname) AS comment
            FROM pg_attribute AS a
            WHERE a.attrelid = to_regclass(part.name) AND a.attnum > 0 AND part.suffix <> 'settings'
        LOOP
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', part.name, found.attname, found.comment);
        END LOOP;
    END LOOP;
END
$comment$;
COMMENT ON FUNCTION _comment_relations(segmentation_settings) IS
    'Part of segmentations: puts a comment on every relation and column.';
