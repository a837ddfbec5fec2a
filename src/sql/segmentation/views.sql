-- segmentation: views

-- What analysts and reporting tools read. Every text is a SELECT over the segmentation's own tables, so that a view can
-- be refreshed without the shop's tables, after a restore for example. What changes by itself every day (as_of,
-- recency_days) stays out of the materialized views: a refresh then writes only the rows of customers for whom
-- something changed. Reports are of each tenant by itself.

-- The attributes as columns of a SELECT over facts or customers, a comma before each; empty where there are none.
CREATE FUNCTION _attribute_list(s segmentation_settings, alias text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $attributes$
    SELECT coalesce(string_agg(format(', %s.%I', alias, a.name), '' ORDER BY a.place), '')
    FROM @extschema@._attributes(s) AS a
$attributes$;
COMMENT ON FUNCTION _attribute_list(segmentation_settings, text) IS
    'Part of segmentations: the attributes as columns of a SELECT.';

-- The dimensions of a report: the tenant, where there is one, and in a report by attribute its name and value. Each has
-- a comma behind it.
CREATE FUNCTION _dimensions(s segmentation_settings, alias text, by_attribute boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $dimensions$
    SELECT @extschema@._tenant_column(s, alias) || CASE WHEN by_attribute THEN 'a.attribute, a.value, ' ELSE '' END
$dimensions$;
COMMENT ON FUNCTION _dimensions(segmentation_settings, text, boolean) IS
    'Part of segmentations: the dimensions of a report, with a comma behind each.';

-- For a report by attribute, the join that makes a row of each attribute of a customer, so that ten attributes make ten
-- times as many rows and not all combinations. A value that is not known is empty. It is a text that no setting of a
-- session changes, of one collation, and short enough for an index. A prospect has no first order, and no row of it;
-- without first_purchase_on there are no prospects.
CREATE FUNCTION _each_attribute(s segmentation_settings, alias text, first_purchase_on text, by_attribute boolean)
    RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $each$
    SELECT CASE WHEN by_attribute THEN format(E'\nJOIN LATERAL (VALUES %s) AS a (attribute, value, is_of_first_order)'
                                              '\n    ON %s',
        string_agg(format(
            '(%L::pg_catalog.text, left(coalesce(%s, ''''), 200) COLLATE pg_catalog."default", %L::pg_catalog.bool)',
            a.name,
            CASE a.base_type WHEN 'date'::regtype THEN format('to_json(%s.%I) #>> ''{}''', alias, a.name)
                             ELSE format('%s.%I::pg_catalog.text', alias, a.name) END,
            a.source = 'orders'), ', ' ORDER BY a.place),
        coalesce('NOT a.is_of_first_order OR ' || first_purchase_on || ' IS NOT NULL', 'true')) ELSE '' END
    FROM @extschema@._attribute_columns(s) AS a
$each$;
COMMENT ON FUNCTION _each_attribute(segmentation_settings, text, text, boolean) IS
    'Part of segmentations: the join that makes a row of each attribute of a customer.';

-- The condition that a row is of a noted customer. That of each column stands by itself and over an array, so that it
-- goes into a view: only the rows of these customers are read then. On shards each has its own notes.
CREATE FUNCTION _is_noted(s segmentation_settings, alias text, rows_changed boolean) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $noted$
    SELECT CASE WHEN @extschema@._is_distributed(s)
        THEN format('EXISTS (SELECT FROM %s AS n WHERE %s)', @extschema@._noted(s, rows_changed),
                    @extschema@._same_key(s, 'n', alias))
        ELSE string_agg(format('%1$s.%2$I %3$s ANY (ARRAY(SELECT DISTINCT n.%2$I FROM %4$s))', alias, k.name,
                             @extschema@._equality(a.atttypid), e.noted), ' AND ' ORDER BY k.place)
        || CASE WHEN count(*) = 1 THEN ''
                ELSE format(' AND EXISTS (SELECT FROM %s AND %s)', min(e.noted),
                            @extschema@._same_key(s, 'n', alias)) END END
    FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = @extschema@._source_table(s, 'orders') AND a.attname = k.name
    CROSS JOIN (
        SELECT format('%s AS n WHERE %s', @extschema@._relation(s, 'noted'),
                      CASE WHEN rows_changed THEN 'n.taken' ELSE 'n.taken IS NOT NULL' END) AS noted
    ) AS e
$noted$;
COMMENT ON FUNCTION _is_noted(segmentation_settings, text, boolean) IS
    'Part of segmentations: the condition that a row is of a customer whom the refresh that is running evaluates.';

-- What the status table says, as columns of a SELECT. Each is a subquery of its own. Joined to the customers, the table
-- would be read again for each of them by a parallel worker (before PostgreSQL 18), so that none would be taken.
CREATE FUNCTION _status_columns(s segmentation_settings, VARIADIC columns text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $columns$
    SELECT string_agg(
        format('(SELECT t.%1$I FROM %2$s AS t) AS %1$I', c.name, @extschema@._relation(s, 'status')), ', '
        ORDER BY c.place)
    FROM unnest(columns) WITH ORDINALITY AS c (name, place)
$columns$;
COMMENT ON FUNCTION _status_columns(segmentation_settings, text[]) IS
    'Part of segmentations: columns of the status table as columns of a SELECT.';

-- The same to select from: one row p.
CREATE FUNCTION _status_row(s segmentation_settings, VARIADIC columns text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $row$ SELECT format('(SELECT %s) AS p', @extschema@._status_columns(s, VARIADIC columns)) $row$;
COMMENT ON FUNCTION _status_row(segmentation_settings, text[]) IS
    'Part of segmentations: columns of the status table as a row p to select from.';

-- `status` is what stands in the place of the status table.
CREATE FUNCTION _facts_sql(s segmentation_settings, status text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $facts$
DECLARE
    histories text := @extschema@._relation(s, 'histories');
    settled text[] := CASE WHEN s.model IS NULL THEN ARRAY['as_of', 'policy'] ELSE ARRAY['as_of', 'policy', 'model'] END;
    -- A row p to join; but what the coordinator sends a worker to join is taken there for a thousand rows, the status twice
    -- for a million, and everything after it sorted on disk. On shards they stand among the columns of k.
    on_shards boolean := status IS NULL AND @extschema@._is_distributed(s);
    settled_columns text := CASE WHEN on_shards THEN ', ' || @extschema@._status_columns(s, VARIADIC settled) ELSE '' END;
    settled_row text := CASE WHEN on_shards THEN '' ELSE E'\nCROSS JOIN '
        || coalesce(status || ' AS p', @extschema@._status_row(s, VARIADIC settled)) END;
    settled_by text := CASE WHEN on_shards THEN 'k' ELSE 'p' END;
    customers text := format(
$sql$(
    SELECT h.*, NULL::pg_catalog.text AS membership, NULL::pg_catalog.text[] AS channels,
           NULL::pg_catalog.date AS last_contacted_on%s
    FROM %s AS h
) AS k$sql$, settled_columns, histories);
    engagement text := 'NULL::@extschema@.engagement_history';
    contacts text := 'NULL::@extschema@.contact_history';
    membership text := 'k.membership';
    memberships text := 'NULL::@extschema@.membership_history';
    attributes text := '';
    joined text := '';
BEGIN
    IF s.customers IS NOT NULL THEN
        -- Not a FULL JOIN, through which no condition on the key goes.
        attributes := (SELECT coalesce(string_agg(format(', c.%I', a.name), '' ORDER BY a.place), '')
                       FROM @extschema@._attributes(s) AS a WHERE a.source = 'customers');
        customers := format(
$sql$(
    SELECT %1$s, h.history, c.membership, c.channels, c.last_contacted_on%2$s%7$s
    FROM %3$s AS h
    LEFT JOIN %4$s AS c ON %5$s%6$s
) AS k$sql$,
            @extschema@._key_list(s, 'h'), attributes, histories, @extschema@._relation(s, 'profiles'),
            @extschema@._same_key(s, 'h', 'c'),
            -- On shards prospects stand among the histories.
            CASE WHEN @extschema@._is_distributed(s) THEN '' ELSE format($sql$
    UNION ALL
    SELECT %s, NULL, c.membership, c.channels, c.last_contacted_on%s
    FROM %s AS c
    WHERE NOT EXISTS (SELECT FROM %s AS h WHERE %s)$sql$,
                @extschema@._key_list(s, 'c'), attributes, @extschema@._relation(s, 'profiles'), histories,
                @extschema@._same_key(s, 'h', 'c')) END,
            settled_columns);
    END IF;
    IF s.engagement IS NOT NULL THEN
        engagement := 'coalesce(e.engagement, @extschema@.no_engagement())';
        joined := format(E'\nLEFT JOIN %s AS e ON %s',
                         @extschema@._relation(s, 'engagement'), @extschema@._same_key(s, 'e', 'k'));
    END IF;
    IF s.contacts IS NOT NULL THEN
        contacts := 'coalesce(l.contacts, ''[]''::@extschema@.contact_history)';
        joined := joined || format(E'\nLEFT JOIN %s AS l ON %s',
                                   @extschema@._relation(s, 'contacts'), @extschema@._same_key(s, 'l', 'k'));
    END IF;
    IF s.membership_log IS NOT NULL THEN
        -- Who stands in the log has the membership that it says, even before her first entry: none is known then.
        membership := 'CASE WHEN m.memberships IS NULL THEN k.membership '
            || format('ELSE @extschema@.membership_on(m.memberships, %s.as_of) END', settled_by);
        memberships := 'm.memberships';
        joined := joined || format(E'\nLEFT JOIN %s AS m ON %s',
                                   @extschema@._relation(s, 'memberships'), @extschema@._same_key(s, 'm', 'k'));
    END IF;
    IF s.first_order IS NOT NULL THEN
        joined := joined || format(E'\nLEFT JOIN %s AS o ON %s AND o.first_order_on <= %s.as_of',
                                   @extschema@._relation(s, 'first_orders'), @extschema@._same_key(s, 'o', 'k'),
                                   settled_by);
    END IF;
    attributes := (SELECT coalesce(string_agg(
                       format(', %s.%I', CASE a.source WHEN 'customers' THEN 'k' ELSE 'o' END, a.name), ''
                       ORDER BY a.place), '')
                   FROM @extschema@._attributes(s) AS a);
    RETURN format(
$sql$SELECT %1$s, %2$s.as_of, %2$s.policy, k.history, %3$s AS engagement, %4$s AS membership, k.channels, k.last_contacted_on,
       %5$s AS contacts, %6$s AS memberships, %7$s AS model%8$s
FROM %9$s%10$s%11$s$sql$,
        @extschema@._key_list(s, 'k'), settled_by, engagement, membership, contacts, memberships,
        CASE WHEN s.model IS NULL THEN 'NULL::@extschema@.purchase_model' ELSE settled_by || '.model' END, attributes,
        customers, settled_row, joined);
END
$facts$;
COMMENT ON FUNCTION _facts_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of everything that is known of a customer.';

-- What a column says in the language of the segmentation. The language stands in the status table and not in the view:
-- with another one, the view stays in its place, and what others have put on it.
CREATE FUNCTION _label(list text, expression text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $label$
    SELECT format('@extschema@.label(%L::pg_catalog.text, %s, p.lang)', list, expression)
$label$;
COMMENT ON FUNCTION _label(text, text) IS
    'Part of segmentations: the call that labels a value of a list in the language p.lang.';

CREATE FUNCTION _label_order(list text, expression text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $order$
    SELECT format('@extschema@.label_order(%L::pg_catalog.text, %s)', list, expression)
$order$;
COMMENT ON FUNCTION _label_order(text, text) IS
    'Part of segmentations: the call that returns the place of a value in a list of labels.';

-- The day from which on a customer who has to wait may be contacted stands in wait_until: action_due_on of the others
-- is as_of, another one every day. A last contact after as_of is not known yet; greatest() leaves NULL out. `facts` and
-- `status` are what stands in the place of the view and the table.
CREATE FUNCTION _customers_sql(s segmentation_settings, facts text DEFAULT NULL, status text DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $customers$
    SELECT format(
$sql$SELECT %1$s,
       f.membership, %2$s AS membership_label%19$s,
       s.first_purchase_on, s.last_purchase_on, s.orders, s.purchase_days, s.monetary, s.average_order_value,
       s.r_score, s.f_score, s.m_score, s.rfm_score,
       s.rfm_segment, CASE WHEN p.lang = 'ja' THEN r.label_ja ELSE r.label_en END AS segment_label,
       r.sort_order AS segment_order,
       s.lifecycle_state, %3$s AS lifecycle_label, %4$s AS lifecycle_order,
       s.state_since, s.previous_state, %5$s AS previous_label,
       s.next_transition_on, s.next_change_on,
       s.purchase_stage, %6$s AS stage_label, %7$s AS stage_order,
       s.value_score, s.relation_score, s.vip_score,
       s.vip_tier, %8$s AS tier_label, %9$s AS tier_order, s.last_tier, %10$s AS last_tier_label,
       s.vip_missing, s.orders_to_vip, s.span_days_to_vip, s.relation_to_vip, s.value_to_vip,
       s.dormancy_category, %11$s AS category_label, %12$s AS category_order,
       s.dormancy_reason, %13$s AS reason_label, %14$s AS reason_order,
       array_to_string(f.channels, ',') AS reachable_by,
       greatest(CASE WHEN f.last_contacted_on <= f.as_of THEN f.last_contacted_on END,
                @extschema@.last_contacted_on(f.contacts, f.as_of)) AS last_contacted_on,
       s.next_action, CASE WHEN p.lang = 'ja' THEN a.title_ja ELSE a.title END AS action_title, s.action_rule,
       a.sort_order AS action_order, s.action_behavior, %15$s AS behavior_label,
       s.action_channel, %16$s AS channel_label, s.action_after_wait,
       CASE WHEN s.action_due_on > f.as_of THEN s.action_due_on END AS wait_until
FROM %17$s AS f
CROSS JOIN %18$s
CROSS JOIN LATERAL @extschema@.segment_customer(
    f.history, f.as_of, f.policy, f.engagement, f.membership, f.channels, f.last_contacted_on, f.contacts,
    f.memberships, f.model
) AS s
LEFT JOIN (
    SELECT n.* FROM %20$s CROSS JOIN LATERAL @extschema@.rfm_segments(p.policy) AS n
) AS r ON r.segment = s.rfm_segment
LEFT JOIN (
    SELECT n.* FROM %20$s CROSS JOIN LATERAL @extschema@.next_actions(p.policy) AS n
) AS a ON a.rule = s.action_rule$sql$,
        @extschema@._key_list(s, 'f'),
        @extschema@._label('membership', 'f.membership'),
        @extschema@._label('lifecycle_state', 's.lifecycle_state'),
        @extschema@._label_order('lifecycle_state', 's.lifecycle_state'),
        @extschema@._label('lifecycle_state', 's.previous_state'),
        @extschema@._label('purchase_stage', 's.purchase_stage'),
        @extschema@._label_order('purchase_stage', 's.purchase_stage'),
        @extschema@._label('vip_tier', 's.vip_tier'), @extschema@._label_order('vip_tier', 's.vip_tier'),
        @extschema@._label('vip_tier', 's.last_tier'),
        @extschema@._label('dormancy_category', 's.dormancy_category'),
        @extschema@._label_order('dormancy_category', 's.dormancy_category'),
        @extschema@._label('dormancy_reason', 's.dormancy_reason'),
        @extschema@._label_order('dormancy_reason', 's.dormancy_reason'),
        @extschema@._label('behavior', 's.action_behavior'),
        @extschema@._label('channel', 's.action_channel'),
        coalesce(facts, @extschema@._relation(s, 'facts')),
        coalesce(status || ' AS p', @extschema@._status_row(s, 'lang')), @extschema@._attribute_list(s, 'f'),
        coalesce(status || ' AS p', @extschema@._status_row(s, 'policy')))
$customers$;
COMMENT ON FUNCTION _customers_sql(segmentation_settings, text, text) IS
    'Part of segmentations: the SELECT of one row a customer.';

CREATE FUNCTION _predicted_value(s segmentation_settings) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $value$
    SELECT format(
        '@extschema@.customer_lifetime_value(h.history, p.as_of, %s, %s::pg_catalog.float8, p.model)', s.value_days,
        s.annual_discount_rate)
$value$;
COMMENT ON FUNCTION _predicted_value(segmentation_settings) IS
    'Part of segmentations: the call that says what a customer is worth.';

-- Where there is a model, what it expects of the customer h on the day of the status table p, as columns of a SELECT.
-- Each is a call of its own, so that a reader who asks for some of them waits for no others.
CREATE FUNCTION _predicted_columns(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $predicted$
    SELECT CASE WHEN s.model IS NULL THEN '' ELSE format(
$sql$,
       @extschema@.p_alive(h.history, p.as_of, p.model) AS p_alive,
       @extschema@.churn_band(%1$s) AS churn_band, %2$s AS churn_label, %1$s AS purchase_probability_90d,
       @extschema@.expected_purchases(h.history, p.as_of, 90, p.model) AS expected_purchases_90d,
       (@extschema@.purchases_interval(h.history, p.as_of, 90, p.model)).low AS purchases_low_90d,
       (@extschema@.purchases_interval(h.history, p.as_of, 90, p.model)).high AS purchases_high_90d,
       @extschema@.expected_spend(h.history, p.as_of, p.model) AS expected_spend,
       %3$s AS clv_%4$sd,
       @extschema@.next_purchase_on(h.history, p.as_of, p.model) AS next_purchase_on,
       @extschema@.alive_until(h.history, p.as_of, p.model) AS alive_until$sql$,
        '@extschema@.purchase_probability(h.history, p.as_of, 90, p.model)',
        @extschema@._label('churn_band',
                           '@extschema@.churn_band(@extschema@.purchase_probability(h.history, p.as_of, 90, p.model))'),
        @extschema@._predicted_value(s), s.value_days) END
$predicted$;
COMMENT ON FUNCTION _predicted_columns(segmentation_settings) IS
    'Part of segmentations: what the model in force expects of a customer, as columns of a SELECT.';

-- The history of a row of NAME_customers, where the model is asked about it.
CREATE FUNCTION _join_history(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $join$
    SELECT CASE WHEN s.model IS NULL THEN '' ELSE format(E'\nLEFT JOIN %s AS h ON %s',
        @extschema@._relation(s, 'histories'), @extschema@._same_key(s, 'h', 'c')) END
$join$;
COMMENT ON FUNCTION _join_history(segmentation_settings) IS
    'Part of segmentations: the join of the history that the model is asked about.';

CREATE FUNCTION _customers_today_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $today$
    SELECT format(
$sql$SELECT c.*, p.as_of, p.as_of - c.last_purchase_on AS recency_days,
       coalesce(c.wait_until, p.as_of) AS action_due_on%s
FROM %s AS c
CROSS JOIN %s%s$sql$,
        @extschema@._predicted_columns(s), @extschema@._relation(s, 'customers'),
        CASE WHEN s.model IS NULL THEN @extschema@._status_row(s, 'as_of')
             ELSE @extschema@._status_row(s, 'as_of', 'lang', 'model') END,
        @extschema@._join_history(s))
$today$;
COMMENT ON FUNCTION _customers_today_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of the customers with what changes every day.';

-- Predictions of everybody change every day, so that sums of them cannot be kept by difference: NAME_segments has them.
CREATE FUNCTION _predictions_are_summed(s segmentation_settings, by_attribute boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $summed$ SELECT s.model IS NOT NULL AND NOT by_attribute $summed$;
COMMENT ON FUNCTION _predictions_are_summed(segmentation_settings, boolean) IS
    'Part of segmentations: whether a report of segments has sums of predictions.';

-- `customers` is what stands in the place of NAME_customers.
CREATE FUNCTION _segment_parts_sql(s segmentation_settings, by_attribute boolean, customers text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $parts$
    SELECT format(
$sql$SELECT %1$sc.lifecycle_state, coalesce(c.rfm_segment, c.lifecycle_state) AS rfm_segment,
           c.lifecycle_label, c.lifecycle_order,
           coalesce(c.segment_label, c.lifecycle_label) AS segment_label, coalesce(c.segment_order, 0) AS segment_order,
           count(*) AS customers,
           sum(c.orders)::bigint AS orders,
           trim_scale(sum(c.monetary)) AS revenue,
           count(*) FILTER (WHERE c.vip_tier = 'vip') AS vips%4$s
    FROM %2$s AS c%5$s%3$s
    GROUP BY %1$sc.lifecycle_state, coalesce(c.rfm_segment, c.lifecycle_state), c.lifecycle_label, c.lifecycle_order,
             coalesce(c.segment_label, c.lifecycle_label), coalesce(c.segment_order, 0)$sql$,
        @extschema@._dimensions(s, 'c', by_attribute), customers,
        @extschema@._each_attribute(s, 'c', 'c.first_purchase_on', by_attribute),
        CASE WHEN p.are_summed THEN format(
$sql$,
           trim_scale(sum(@extschema@.expected_purchases(h.history, p.as_of, 90, p.model))) AS expected_purchases_90d,
           trim_scale(sum(%s)) AS clv_%sd$sql$, @extschema@._predicted_value(s), s.value_days) ELSE '' END,
        CASE WHEN p.are_summed THEN format(E'\nCROSS JOIN %s%s', @extschema@._status_row(s, 'as_of', 'model'),
                                           @extschema@._join_history(s)) ELSE '' END)
    FROM (SELECT @extschema@._predictions_are_summed(s, by_attribute) AS are_summed) AS p
$parts$;
COMMENT ON FUNCTION _segment_parts_sql(segmentation_settings, boolean, text) IS
    'Part of segmentations: the SELECT of the sums by lifecycle state and RFM segment, by attribute or of all.';

CREATE FUNCTION _segments_sql(s segmentation_settings, by_attribute boolean, parts text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $segments$
    SELECT format(
$sql$SELECT %1$sg.lifecycle_state, g.rfm_segment, g.lifecycle_label, g.lifecycle_order, g.segment_label,
       g.segment_order, g.customers,
       round(g.customers / sum(g.customers) OVER (%2$s), 6) AS customer_share,
       g.orders,
       g.revenue,
       round(g.revenue / nullif(sum(g.revenue) OVER (%2$s), 0), 6) AS revenue_share,
       g.vips%4$s
FROM (
    %3$s
) AS g$sql$,
        d.dimensions, coalesce('PARTITION BY ' || nullif(rtrim(d.dimensions, ', '), ''), ''), parts,
        CASE WHEN @extschema@._predictions_are_summed(s, by_attribute)
             THEN format(', g.expected_purchases_90d, g.clv_%sd', s.value_days) ELSE '' END)
    FROM (SELECT @extschema@._tenant_column(s, 'g')
              || CASE WHEN by_attribute THEN 'g.attribute, g.value, ' ELSE '' END AS dimensions) AS d
$segments$;
COMMENT ON FUNCTION _segments_sql(segmentation_settings, boolean, text) IS
    'Part of segmentations: the SELECT of one row a lifecycle state and RFM segment, by attribute or of all.';

-- How many customers moved alike in each of the last twelve months that are over, from the end of the month before to
-- its own, by tenant and by attribute. Steps of a month keep to the ends of months only if they start on a 31st. If the
-- first end is no 31st, they start at the end of the month before, which is one, and that extra month is left out. With
-- `since`, the end of a month, none of the months before it. On shards each customer is counted by herself, with the day
-- that her facts tell, and added to the others of her shard, so that sums come, and no histories.
CREATE FUNCTION _moves_sql(s segmentation_settings, by_attribute boolean, noted boolean, since date) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $moves$
    SELECT format(
$sql$(
    SELECT %1$s%9$s
    FROM (
        SELECT %2$sd.from_day, @extschema@.count_movements(
                   f.history, d.stepped_from, d.to_day, interval '1 month', f.policy, f.engagement, f.membership,
                   f.memberships
               ) AS customers
        FROM %11$s(
            SELECT e.to_day, e.from_day,
                   CASE WHEN extract(day FROM e.from_day) = 31 THEN e.from_day
                        ELSE date_trunc('month', e.from_day::timestamp)::date - 1 END AS stepped_from
            FROM (
                SELECT date_trunc('month', (as_of + 1)::timestamp)::date - 1 AS to_day,
                       %5$s AS from_day
                FROM %3$s
            ) AS e
        ) AS d%4$s%6$s%7$s
        GROUP BY %8$s%2$sd.from_day
    ) AS c
    CROSS JOIN LATERAL unnest(c.customers) AS m
    WHERE m.from_day >= c.from_day%10$s
)$sql$,
        t.dimensions,
        @extschema@._dimensions(s, 'f', by_attribute),
        CASE WHEN t.are_on_shards THEN '(SELECT f.as_of) AS p' ELSE @extschema@._status_row(s, 'as_of') END,
        CASE WHEN t.are_on_shards THEN '' ELSE E'\n        CROSS JOIN ' || t.facts END,
        format(CASE WHEN since IS NULL THEN '%s' ELSE 'greatest(%s, %L)' END,
               '(date_trunc(''month'', (as_of + 1)::timestamp) - interval ''12 months'')::date - 1', since),
        @extschema@._each_attribute(s, 'f', NULL::text, by_attribute),
        CASE WHEN noted THEN E'\n        WHERE ' || @extschema@._is_noted(s, 'f', true) ELSE '' END,
        CASE WHEN t.are_on_shards THEN @extschema@._key_list(s, 'f') || ', ' ELSE '' END,
        CASE WHEN t.are_on_shards THEN t.kinds
             || ', sum(m.customers)::bigint AS customers, sum(m.revenue_before) AS revenue_before, '
                'sum(m.revenue_after) AS revenue_after' ELSE 'm.*' END,
        CASE WHEN t.are_on_shards THEN E'\n    GROUP BY ' || t.dimensions || t.kinds ELSE '' END,
        CASE WHEN t.are_on_shards THEN t.facts || E'\n        CROSS JOIN LATERAL ' ELSE '' END)
    FROM (
        SELECT @extschema@._is_distributed(s) AS are_on_shards, @extschema@._relation(s, 'facts') || ' AS f' AS facts,
               @extschema@._tenant_column(s, 'c') || CASE WHEN by_attribute THEN 'c.attribute, c.value, ' ELSE '' END
                   AS dimensions,
               'm.from_day, m.to_day, m.from_state, m.to_state, m.from_segment, m.to_segment, m.from_tier, m.to_tier'
                   AS kinds
    ) AS t
$moves$;
COMMENT ON FUNCTION _moves_sql(segmentation_settings, boolean, boolean, date) IS
    'Part of segmentations: how many customers moved alike, month by month, to select from.';

-- A label with the month at whose end it was one's own. Who moved is on both sides of a chart, whose nodes are told apart
-- by their names; the year is there because the first month and the last are a year apart.
CREATE FUNCTION _node(label text, day text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $node$
    SELECT format('%s || to_char(%s, '' YYYY-MM'')', label, day)
$node$;
COMMENT ON FUNCTION _node(text, text) IS
    'Part of segmentations: the expression of a label with its month.';

-- The day that a row is counted on stands first: a tool that is not told which day to go by takes the first one.
CREATE FUNCTION _movement_sql(
    s segmentation_settings, by_attribute boolean, noted boolean, since date
) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $movement$
    SELECT CASE WHEN 'transitions' = ANY (s.views) IS NOT FALSE AND NOT by_attribute THEN format(
$sql$SELECT %1$st.to_day, t.from_day,
       t.from_value AS from_state, t.from_label, t.from_order, t.from_node,
       t.to_value AS to_state, t.to_label, t.to_order, t.to_node,
       t.customers, t.revenue_before, t.revenue_after
FROM %2$s AS t
WHERE t.dimension = 'lifecycle_state'$sql$,
        @extschema@._tenant_column(s, 't'), @extschema@._relation(s, 'transitions'))
    ELSE format(
$sql$SELECT %1$sm.to_day, m.from_day,
       m.from_state, %4$s AS from_label, %5$s AS from_order, %6$s AS from_node,
       m.to_state, %7$s AS to_label, %8$s AS to_order, %9$s AS to_node,
       sum(m.customers)::bigint AS customers,
       trim_scale(sum(m.revenue_before)) AS revenue_before,
       trim_scale(sum(m.revenue_after)) AS revenue_after
FROM %2$s AS m
CROSS JOIN %3$s
GROUP BY %1$sm.from_day, m.to_day, m.from_state, m.to_state, p.lang$sql$,
        @extschema@._tenant_column(s, 'm') || CASE WHEN by_attribute THEN 'm.attribute, m.value, ' ELSE '' END,
        @extschema@._moves_sql(s, by_attribute, noted, since), @extschema@._status_row(s, 'lang'),
        l.from_label, @extschema@._label_order('lifecycle_state', 'm.from_state'),
        @extschema@._node(l.from_label, 'm.from_day'),
        l.to_label, @extschema@._label_order('lifecycle_state', 'm.to_state'),
        @extschema@._node(l.to_label, 'm.to_day')) END
    FROM (SELECT @extschema@._label('lifecycle_state', 'm.from_state') AS from_label,
                 @extschema@._label('lifecycle_state', 'm.to_state') AS to_label) AS l
$movement$;
COMMENT ON FUNCTION _movement_sql(segmentation_settings, boolean, boolean, date) IS
    'Part of segmentations: the SELECT of who moved between states, month by month, by attribute or of all.';

-- A prospect has no RFM segment: hers is called prospect and comes first, as in NAME_segments, by the label of the
-- state. The others come in the order of the policy.
CREATE FUNCTION _transitions_sql(s segmentation_settings, noted boolean, since date) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $transitions$
    SELECT format(
$sql$SELECT %1$sv.dimension, g.to_day, g.from_day,
       v.from_value, %5$s AS from_label,
       CASE v.dimension WHEN 'rfm_segment' THEN coalesce(r.sort_order, 0)
                        ELSE @extschema@.label_order(v.from_list, v.from_value) END AS from_order,
       %6$s AS from_node,
       v.to_value, %7$s AS to_label,
       CASE v.dimension WHEN 'rfm_segment' THEN coalesce(t.sort_order, 0)
                        ELSE @extschema@.label_order(v.to_list, v.to_value) END AS to_order,
       %8$s AS to_node,
       sum(g.customers)::bigint AS customers,
       trim_scale(sum(g.revenue_before)) AS revenue_before,
       trim_scale(sum(g.revenue_after)) AS revenue_after
FROM %2$s AS g
CROSS JOIN %3$s
CROSS JOIN LATERAL (
    VALUES ('lifecycle_state', 'lifecycle_state', g.from_state, 'lifecycle_state', g.to_state),
           ('rfm_segment', CASE WHEN g.from_segment IS NULL THEN 'lifecycle_state' ELSE 'rfm_segment' END,
            coalesce(g.from_segment, g.from_state),
            CASE WHEN g.to_segment IS NULL THEN 'lifecycle_state' ELSE 'rfm_segment' END,
            coalesce(g.to_segment, g.to_state)),
           ('vip_tier', 'vip_tier', g.from_tier, 'vip_tier', g.to_tier)
) AS v (dimension, from_list, from_value, to_list, to_value)
LEFT JOIN %4$s AS r ON v.from_list = 'rfm_segment' AND r.segment = v.from_value
LEFT JOIN %4$s AS t ON v.to_list = 'rfm_segment' AND t.segment = v.to_value
GROUP BY %1$sv.dimension, g.from_day, g.to_day, v.from_list, v.from_value, v.to_list, v.to_value, p.lang,
         r.sort_order, t.sort_order$sql$,
        @extschema@._tenant_column(s, 'g'), @extschema@._moves_sql(s, false, noted, since),
        @extschema@._status_row(s, 'lang'),
        format('(SELECT n.* FROM %s CROSS JOIN LATERAL @extschema@.rfm_segments(p.policy) AS n)',
               @extschema@._status_row(s, 'policy')),
        l.from_label, @extschema@._node(l.from_label, 'g.from_day'),
        l.to_label, @extschema@._node(l.to_label, 'g.to_day'))
    FROM (VALUES ('@extschema@.label(v.from_list, v.from_value, p.lang)',
                  '@extschema@.label(v.to_list, v.to_value, p.lang)')) AS l (from_label, to_label)
$transitions$;
COMMENT ON FUNCTION _transitions_sql(segmentation_settings, boolean, date) IS
    'Part of segmentations: the SELECT of who moved between states, RFM segments and VIP tiers, month by month.';

-- A year after the month of the first purchase, month by month; a month that is not over on as_of is left out. With
-- `since`, the end of a month, none of the months before it. On shards each customer is counted by herself, as above.
CREATE FUNCTION _cohort_parts_sql(
    s segmentation_settings, by_attribute boolean, noted boolean, since date
) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $parts$
    SELECT format(
$sql$SELECT %1$sm.first_month, m.months_after, sum(m.customers)::bigint AS customers,
           sum(m.active_customers)::bigint AS active_customers, trim_scale(sum(m.revenue)) AS revenue
    FROM (
        SELECT %2$s@extschema@.count_cohorts(f.history, f.as_of, %3$L::pg_catalog.date) AS customers
        FROM %4$s AS f%5$s%6$s%7$s
    ) AS c
    CROSS JOIN LATERAL unnest(c.customers) AS m
    GROUP BY %1$sm.first_month, m.months_after$sql$,
        @extschema@._tenant_column(s, 'c') || CASE WHEN by_attribute THEN 'c.attribute, c.value, ' ELSE '' END,
        d.dimensions, since, @extschema@._relation(s, 'facts'),
        @extschema@._each_attribute(s, 'f', NULL::text, by_attribute),
        CASE WHEN noted THEN E'\n        WHERE ' || @extschema@._is_noted(s, 'f', true) ELSE '' END,
        E'\n        GROUP BY ' || nullif(concat_ws(', ', CASE WHEN @extschema@._is_distributed(s)
                                                       THEN @extschema@._key_list(s, 'f') END,
                                               nullif(rtrim(d.dimensions, ', '), '')), ''))
    FROM (SELECT @extschema@._dimensions(s, 'f', by_attribute) AS dimensions) AS d
$parts$;
COMMENT ON FUNCTION _cohort_parts_sql(segmentation_settings, boolean, boolean, date) IS
    'Part of segmentations: the SELECT of the sums by month of first purchase and month after it.';

CREATE FUNCTION _cohorts_sql(s segmentation_settings, by_attribute boolean, parts text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $cohorts$
    SELECT format(
$sql$SELECT %1$sg.first_month, g.months_after, g.customers, g.active_customers,
       round(g.active_customers::numeric / g.customers, 6) AS active_share, g.revenue
FROM (
    %2$s
) AS g$sql$,
        @extschema@._tenant_column(s, 'g') || CASE WHEN by_attribute THEN 'g.attribute, g.value, ' ELSE '' END, parts)
$cohorts$;
COMMENT ON FUNCTION _cohorts_sql(segmentation_settings, boolean, text) IS
    'Part of segmentations: the SELECT of one row a month of first purchase and month after it, by attribute or of '
    'all.';

-- Which customers come back: the second purchase and the revenue of those for whom the days given are over, so that
-- those who came lately make no value look worse or better.
CREATE FUNCTION _attributes_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $attributes$
    SELECT format(
$sql$SELECT %1$sa.attribute, a.value,
       count(*) AS customers,
       count(a.first_purchase_on) AS buyers,
       count(*) FILTER (WHERE a.lifecycle_state = 'dormant') AS dormant,
       count(*) FILTER (WHERE a.vip_tier = 'vip') AS vips,
       sum(a.orders)::bigint AS orders,
       sum(a.monetary) AS revenue,
       (@extschema@.proportion(a.within_90)).denominator AS judged_90,
       (@extschema@.proportion(a.within_90)).rate AS second_purchase_90,
       (@extschema@.proportion(a.within_90)).rate_low AS second_purchase_90_low,
       (@extschema@.proportion(a.within_90)).rate_high AS second_purchase_90_high,
       (@extschema@.proportion(a.within_365)).denominator AS judged_365,
       (@extschema@.proportion(a.within_365)).rate AS second_purchase_365,
       (@extschema@.proportion(a.within_365)).rate_low AS second_purchase_365_low,
       (@extschema@.proportion(a.within_365)).rate_high AS second_purchase_365_high,
       round(avg(a.revenue_365), 6) AS revenue_365
FROM (
    SELECT %2$sc.first_purchase_on, c.lifecycle_state, c.vip_tier, c.orders, c.monetary,
           @extschema@.reached_purchase_within(f.history, 2, 90, f.as_of) AS within_90,
           @extschema@.reached_purchase_within(f.history, 2, 365, f.as_of) AS within_365,
           CASE WHEN c.first_purchase_on + 365 <= f.as_of THEN @extschema@.revenue_between(
               f.history, c.first_purchase_on, c.first_purchase_on + 365) END AS revenue_365
    FROM %3$s AS c
    JOIN %4$s AS f ON %5$s%6$s
) AS a
GROUP BY %1$sa.attribute, a.value$sql$,
        @extschema@._tenant_column(s, 'a'), @extschema@._dimensions(s, 'c', true),
        @extschema@._relation(s, 'customers'), @extschema@._relation(s, 'facts'), @extschema@._same_key(s, 'f', 'c'),
        @extschema@._each_attribute(s, 'c', 'c.first_purchase_on', true))
$attributes$;
COMMENT ON FUNCTION _attributes_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of one row a value of an attribute.';

-- `customers` is what stands in the place of NAME_customers.
CREATE FUNCTION _action_parts_sql(s segmentation_settings, customers text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $parts$
    SELECT format(
$sql$SELECT %1$scoalesce(c.action_rule, '') AS action_rule, coalesce(c.action_channel, 'none') AS action_channel,
           c.next_action, c.action_title, c.action_order, c.action_behavior, c.behavior_label,
           coalesce(c.channel_label, %3$s) AS channel_label,
           count(*) AS customers,
           trim_scale(sum(c.monetary)) AS revenue
    FROM %2$s AS c
    CROSS JOIN %4$s
    GROUP BY %1$scoalesce(c.action_rule, ''), coalesce(c.action_channel, 'none'), c.next_action, c.action_title,
             c.action_order, c.action_behavior, c.behavior_label, c.channel_label, p.lang$sql$,
        @extschema@._tenant_column(s, 'c'), customers, @extschema@._label('behavior', quote_literal('none')),
        @extschema@._status_row(s, 'lang'))
$parts$;
COMMENT ON FUNCTION _action_parts_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of the sums by rule of next_action and channel.';

-- The first day of those who wait is no sum: it is looked for among them, in their index (_index_waiting); on shards
-- each looks for all of them at once.
CREATE FUNCTION _actions_sql(s segmentation_settings, parts text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $actions$
    SELECT format(CASE WHEN @extschema@._is_distributed(s) THEN
$sql$SELECT g.*, c.wait_until
FROM (
    %3$s
) AS g
LEFT JOIN (
    SELECT %4$scoalesce(c.action_rule, '') AS action_rule, coalesce(c.action_channel, 'none') AS action_channel,
           min(c.wait_until) AS wait_until
    FROM %1$s AS c
    WHERE c.wait_until IS NOT NULL
    GROUP BY %4$scoalesce(c.action_rule, ''), coalesce(c.action_channel, 'none')
) AS c ON %2$sc.action_rule = g.action_rule AND c.action_channel = g.action_channel$sql$
    ELSE
$sql$SELECT g.*,
       (SELECT min(c.wait_until) FROM %1$s AS c
        WHERE c.wait_until IS NOT NULL AND %2$scoalesce(c.action_rule, '') = g.action_rule
            AND coalesce(c.action_channel, 'none') = g.action_channel) AS wait_until
FROM (
    %3$s
) AS g$sql$ END,
        @extschema@._relation(s, 'customers'),
        coalesce(@extschema@._same_columns(s, ARRAY[s.tenant], 'c', 'g') || ' AND ', ''), parts,
        @extschema@._tenant_column(s, 'c'))
$actions$;
COMMENT ON FUNCTION _actions_sql(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of one row a rule of next_action and channel.';
