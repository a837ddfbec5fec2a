-- segmentation: columns of the views

-- What each column of the views says; a name means the same wherever it stands.
CREATE FUNCTION _view_columns() RETURNS TABLE (name text, comment text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $columns$
    VALUES
    ('as_of', 'The day the question is asked for; everything after it is invisible.'),
    ('policy', 'The policy that decided.'),
    ('history', 'The customer''s purchases by day; NULL for a prospect.'),
    ('engagement', 'The customer''s events; NULL where no table of events is named.'),
    ('membership', 'Membership as given by the customers'' table.'),
    ('contacts', 'The log of what was sent to the customer; NULL where none is named.'),
    ('channels', 'Channels over which the customer can be reached; NULL where no address is tracked.'),
    ('first_purchase_on', 'First purchase day.'),
    ('last_purchase_on', 'Last purchase day.'),
    ('recency_days', 'Days from the last purchase to as_of.'),
    ('orders', 'Number of purchases.'),
    ('purchase_days', 'Number of days with a purchase.'),
    ('monetary', 'Sum of all amounts, refunds included, in currency units.'),
    ('average_order_value', 'monetary / orders, rounded to 6 decimals.'),
    ('r_score', 'Recency digit, 1 worst.'),
    ('f_score', 'Frequency digit, 1 worst.'),
    ('m_score', 'Monetary digit, 1 worst.'),
    ('rfm_score', 'The three digits, for example 543; NULL for a prospect.'),
    ('rfm_segment', 'Name of the RFM segment; of prospects in NAME_segments: prospect.'),
    ('lifecycle_state', 'prospect, new, active, vip, at_risk, dormant or winback.'),
    ('lifecycle_label', 'The lifecycle state in the language of the segmentation.'),
    ('state_since', 'First day of the present lifecycle state; NULL for a prospect.'),
    ('previous_state', 'The lifecycle state before the present one.'),
    ('next_transition_on', 'The day the lifecycle state changes if nothing more happens; NULL: never.'),
    ('purchase_stage', 'first, nurture or established.'),
    ('stage_label', 'The purchase stage in the language of the segmentation.'),
    ('value_score', 'What the customer buys, 0 to 100.'),
    ('relation_score', 'What ties the customer to the shop, 0 to 100; NULL: not tracked.'),
    ('vip_score', 'Both together, 0 to 100; ranks, does not decide.'),
    ('vip_tier', 'vip, candidate, supporter or regular.'),
    ('tier_label', 'The VIP tier in the language of the segmentation.'),
    ('last_tier', 'The VIP tier on the last purchase day.'),
    ('dormancy_category', 'paused, cancelled, member_silent, bought_once or ad_hoc; NULL unless dormant.'),
    ('dormancy_reason', 'Why the customer is dormant, or would be; NULL for a prospect.'),
    ('reachable_by', 'Channels over which the customer can be reached, separated by commas; NULL: not tracked.'),
    ('last_contacted_on', 'Day of the last contact.'),
    ('next_action', 'The one next step.'),
    ('action_title', 'The next step in the language of the segmentation.'),
    ('action_rule', 'The rule of the policy that decided the next step; NULL, in NAME_actions empty: no rule did.'),
    ('action_behavior', 'What the step is to bring about: experience, continuation, co_creation, advocacy, winback, care or none.'),
    ('action_channel', 'The channel for the next step; in NAME_actions none where there is none or channels are not tracked.'),
    ('wait_until', 'First day on which a contact is allowed again (of a group: the earliest); NULL: now.'),
    ('action_due_on', 'Day of the next step: as_of, or the first day on which a contact is allowed again.'),
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
    ('order_tables', 'OIDs of the tables of orders that carry triggers; others after a restore: all orders are read once.'),
    ('valid_from', 'First day of the policy.')
$columns$;
COMMENT ON FUNCTION _view_columns() IS 'Part of segmentations: what each column of the views says.';

CREATE FUNCTION _comment_columns(s jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $comment$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT r.relation, a.attname, coalesce(v.comment, format('Key of the customer, as in %s.', s ->> 'orders')) AS comment
        FROM (SELECT @extschema@._relation(s, n.suffix) AS relation FROM @extschema@._segmentation_relations() AS n WHERE n.suffix <> 'settings') AS r
        JOIN pg_attribute AS a ON a.attrelid = to_regclass(r.relation) AND a.attnum > 0
        LEFT JOIN @extschema@._view_columns() AS v ON v.name = a.attname
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', found.relation, found.attname, found.comment);
    END LOOP;
END
$comment$;
COMMENT ON FUNCTION _comment_columns(jsonb) IS 'Part of segmentations: puts a comment on every column.';
