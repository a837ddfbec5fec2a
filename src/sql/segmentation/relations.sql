-- segmentation: relations

-- The catalogue: the relations that a segmentation can have, in the order in which they are made; they are dropped in
-- the opposite order. Locks and checks, building and dropping, grants, segmentation_sql and the view
-- segmentation_relations go by it.
--
--   suffix       the relation is called NAME_suffix
--   is_wanted    whether the settings ask for it; everything where somebody deleted them, so that a drop finds it all
--   reason       why it is there
--   is_readable  whether the readers may read it
--   keys         the columns of its unique key
--   query        the SELECT that fills or defines it, only with `with_queries`: it takes the shop's tables to be there
--   comment      what it is for
CREATE FUNCTION _relations(s segmentation_settings, with_queries boolean DEFAULT false) RETURNS TABLE (
    place integer, suffix text, kind text, is_wanted boolean, reason text, is_readable boolean, keys text[], query text,
    comment text
)
LANGUAGE plpgsql STABLE ROWS 15 SET search_path = pg_catalog, pg_temp
AS $relations$
DECLARE
    keys_of_customers text[] := @extschema@._keys(s);
    always text := 'every segmentation has it';
    chosen text := coalesce('views => ' || quote_literal(s.views::text),
                            'views is not given, and this is one of the usual five');
BEGIN
    RETURN QUERY
        SELECT r.place, r.suffix, r.kind, r.is_asked_for OR s.settings_version IS NULL, r.reason, r.is_readable, r.keys,
               r.query, r.comment
        FROM (VALUES
            (1, 'settings', 'TABLE', true, always, false, '{name}'::text[], NULL,
                'Settings of a segmentation of pg_rfm. Only its owner writes them: they hold SQL that runs with the '
                'owner''s rights.'),
            (2, 'policies', 'TABLE', true, always, false, '{valid_from}', NULL,
                'Each policy that was in force, with its first day.'),
            (3, 'histories', 'TABLE', true, always, false, keys_of_customers,
                CASE WHEN with_queries THEN @extschema@._histories_sql(s) END,
                format('Purchase histories of %s.', s.orders)),
            (4, 'engagement', 'TABLE', s.engagement IS NOT NULL, 'engagement => ' || quote_literal(s.engagement),
                false, keys_of_customers,
                CASE WHEN with_queries AND s.engagement IS NOT NULL THEN @extschema@._engagement_sql(s) END,
                format('Engagement histories of %s.', s.engagement)),
            (5, 'contacts', 'TABLE', s.contacts IS NOT NULL, 'contacts => ' || quote_literal(s.contacts),
                false, keys_of_customers,
                CASE WHEN with_queries AND s.contacts IS NOT NULL THEN @extschema@._contacts_sql(s) END,
                format('Logs of contacts of %s.', s.contacts)),
            (6, 'profiles', 'TABLE', s.customers IS NOT NULL, 'customers => ' || quote_literal(s.customers),
                false, keys_of_customers,
                CASE WHEN with_queries AND s.customers IS NOT NULL THEN @extschema@._profiles_sql(s) END,
                format('Memberships, channels and last contacts of %s.', s.customers)),
            (7, 'status', 'TABLE', true, always, true, '{segmentation}', NULL,
                'The day and policy that the views answer for, and figures of the last refresh: one row.'),
            (8, 'noted', 'TABLE', s.track = 'trigger', 'track => ' || quote_literal(s.track), false, NULL, NULL,
                'Customers whose orders changed since the last refresh; a row without a key: all of them.'),
            (9, 'facts', 'VIEW', true, always, true, NULL,
                CASE WHEN with_queries THEN @extschema@._facts_sql(s) END,
                'All that is known of a customer: the arguments of segment_customer and its like. Prospects have no '
                'history.'),
            (10, 'customers', 'MATERIALIZED VIEW', true, always, true, keys_of_customers,
                CASE WHEN with_queries THEN @extschema@._customers_sql(s) END,
                'One row a customer, as of the day in the status table.'),
            (11, 'customers_today', 'VIEW', true, always, true, NULL,
                CASE WHEN with_queries THEN @extschema@._customers_today_sql(s) END,
                'The customers with what changes by itself every day.'),
            (12, 'segments', 'MATERIALIZED VIEW', 'segments' = ANY (s.views) IS NOT FALSE, chosen, true,
                '{lifecycle_state,rfm_segment}',
                CASE WHEN with_queries THEN @extschema@._segments_sql(s) END,
                'How many customers and how much revenue, by lifecycle state and RFM segment.'),
            (13, 'movement', 'MATERIALIZED VIEW', 'movement' = ANY (s.views) IS NOT FALSE, chosen, true,
                '{from_day,to_day,from_state,to_state}',
                CASE WHEN with_queries THEN @extschema@._movement_sql(s) END,
                'Who moved from which lifecycle state to which in each of the last twelve months that are over; '
                'who was still a prospect at its end is left out.'),
            (14, 'cohorts', 'MATERIALIZED VIEW', 'cohorts' = ANY (s.views) IS NOT FALSE, chosen, true,
                '{first_month,months_after}',
                CASE WHEN with_queries THEN @extschema@._cohorts_sql(s) END,
                'What those who first bought in a month did in the year after it, month by month.'),
            (15, 'actions', 'MATERIALIZED VIEW', 'actions' = ANY (s.views) IS NOT FALSE, chosen, true,
                '{action_rule,action_channel}',
                CASE WHEN with_queries THEN @extschema@._actions_sql(s) END,
                'How many customers wait for which next step, by channel.')
        ) AS r (place, suffix, kind, is_asked_for, reason, is_readable, keys, query, comment);
END
$relations$;
COMMENT ON FUNCTION _relations(segmentation_settings, boolean) IS
    'Part of segmentations: the relations that one can have, and which of them its settings ask for.';

-- What each column of the relations says; a name means the same wherever it stands. The columns of segment_customer say
-- here what they say there, but for those that are never NULL in a view.
CREATE FUNCTION _column_comments() RETURNS TABLE (name text, comment text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $columns$
    WITH own (name, comment) AS (
        VALUES
        ('as_of', 'The day the question is asked for; everything after it is invisible.'),
        ('policy', 'The policy that decided.'),
        ('history', 'The customer''s purchases by day; NULL for a prospect.'),
        ('engagement', 'The customer''s events; NULL where no table of events is named.'),
        ('membership', 'Membership as given by the customers'' table.'),
        ('contacts', 'The log of what was sent to the customer; NULL where none is named.'),
        ('channels', 'Channels over which the customer can be reached; NULL where no address is tracked.'),
        ('average_order_value', 'monetary / orders, rounded to 6 decimals.'),
        ('rfm_segment', 'Name of the RFM segment; of prospects in NAME_segments: prospect.'),
        ('lifecycle_label', 'The lifecycle state in the language of the segmentation.'),
        ('state_since', 'First day of the present lifecycle state; NULL for a prospect.'),
        ('previous_state', 'The lifecycle state before the present one.'),
        ('stage_label', 'The purchase stage in the language of the segmentation.'),
        ('tier_label', 'The VIP tier in the language of the segmentation.'),
        ('reachable_by', 'Channels over which the customer can be reached, separated by commas; NULL: not tracked.'),
        ('last_contacted_on', 'Day of the last contact.'),
        ('action_title', 'The next step in the language of the segmentation.'),
        ('action_rule', 'The rule of the policy that decided the next step; NULL, in NAME_actions empty: no rule did.'),
        ('action_channel',
            'The channel for the next step; in NAME_actions none where there is none or channels are not tracked.'),
        ('wait_until', 'First day on which a contact is allowed again (of a group: the earliest); NULL: now.'),
        ('customers', 'Number of customers.'),
        ('customer_share', 'Share of all customers, 0 to 1.'),
        ('revenue', 'Sum of all amounts, refunds included, in currency units.'),
        ('revenue_share', 'Share of all revenue, 0 to 1.'),
        ('vips', 'Number of customers of tier vip.'),
        ('from_day', 'Last day of the month before.'),
        ('to_day', 'Last day of the month.'),
        ('from_state', 'Lifecycle state on from_day.'),
        ('to_state', 'Lifecycle state on to_day.'),
        ('revenue_before', 'Their revenue in as many days up to from_day as the month has.'),
        ('revenue_after', 'Their revenue in the month.'),
        ('first_month', 'First day of the month of the first purchase.'),
        ('months_after', 'Calendar months after it; 0 is the month itself.'),
        ('active_customers', 'How many of them bought in that month.'),
        ('active_share', 'active_customers / customers, 0 to 1.'),
        ('segmentation', 'Name of the segmentation.'),
        ('refreshed_at', 'When the last refresh ended.'),
        ('seconds', 'How long it took.'),
        ('rebuilt', 'Whether it read all orders, not only those of noted customers.'),
        ('histories_written', 'Number of purchase histories that were another than before.'),
        ('currency', 'The only currency of the orders; NULL where no column is named.'),
        ('time_zone', 'Time zone of the calendar days.'),
        ('order_tables',
            'OIDs of the tables of orders that carry triggers; others after a restore: all orders are read once.'),
        ('valid_from', 'First day of the policy.')
    )
    SELECT o.name, o.comment FROM own AS o
    UNION ALL
    SELECT c.name, c.description FROM @extschema@.customer_columns() AS c
    WHERE c.name NOT IN (SELECT o.name FROM own AS o)
$columns$;
COMMENT ON FUNCTION _column_comments() IS 'Part of segmentations: what each column of the relations says.';

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
            SELECT a.attname, coalesce(c.comment, format('Key of the customer, as in %s.', s.orders)) AS comment
            FROM pg_attribute AS a
            LEFT JOIN @extschema@._column_comments() AS c ON c.name = a.attname
            WHERE a.attrelid = to_regclass(part.name) AND a.attnum > 0 AND part.suffix <> 'settings'
        LOOP
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', part.name, found.attname, found.comment);
        END LOOP;
    END LOOP;
END
$comment$;
COMMENT ON FUNCTION _comment_relations(segmentation_settings) IS
    'Part of segmentations: puts a comment on every relation and column.';
