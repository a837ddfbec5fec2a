-- comments

-- A comment on every object, for \dT+, \df+, \da+, \do+ and tools that show them. Days are calendar days; as_of is the day
-- the question is asked for, everything after it is invisible; a NULL history is a prospect, a NULL policy the default.

-- types

COMMENT ON TYPE purchase_history IS
    'One customer''s purchases by day: orders, known discounts, amount. Answers every question for any as_of.';
COMMENT ON TYPE engagement_history IS
    'One customer''s reviews, referrals, complaints and other events by kind and day. NULL: not tracked.';
COMMENT ON TYPE contact_history IS
    'One customer''s log of contacts: channel, scenario, step and group by day. NULL: no log is kept.';
COMMENT ON TYPE membership_history IS
    'One customer''s memberships, each since a day: that of any day is known. NULL: no log of them is kept.';
COMMENT ON TYPE scenario IS
    'A step scenario as JSON: who enters, which message after how many days, what ends it.';
COMMENT ON TYPE purchase_model IS
    'A fitted model of purchases and spend as JSON: parameters in days, fit, backtests, findings; one by hand has model and purchases.';
COMMENT ON TYPE segment_policy IS
    'Thresholds, weights and rules as JSON; what is left out is the default''s. effective_policy(policy) shows everything.';

-- aggregates over orders and events

DO $comments$
DECLARE
    day text;
    amount text;
    variant text;
    question text;
    aggregate text[];
BEGIN
    FOREACH day IN ARRAY ARRAY['date', 'timestamp', 'timestamptz'] LOOP
        FOREACH amount IN ARRAY ARRAY['numeric', 'double precision', 'bigint'] LOOP
            variant := CASE day
                WHEN 'timestamp' THEN ' The day is ordered_on::date.'
                WHEN 'timestamptz' THEN ' The day is ordered_on::date in the session''s TimeZone.'
                ELSE '' END
                || CASE amount WHEN 'double precision' THEN ' Amounts are converted as ::numeric does.' ELSE '' END;
            EXECUTE pg_catalog.format('COMMENT ON AGGREGATE purchase_history(%s, %s) IS %L', day, amount,
                'One customer''s orders (day, amount in currency units, negative: refund) as a history; one row is one order.'
                || variant);
            EXECUTE pg_catalog.format('COMMENT ON AGGREGATE purchase_history(%s, %s, boolean) IS %L', day, amount,
                'One customer''s orders (day, amount in currency units, discounted or not, NULL: unknown) as a history.'
                || variant);
            EXECUTE pg_catalog.format('COMMENT ON AGGREGATE purchase_history(%s, %s, boolean, boolean) IS %L', day, amount,
                'One customer''s orders as a history; a row that is no purchase only changes the amount of its day.'
                || variant);
            FOREACH question IN ARRAY ARRAY['', ', segment_policy'] LOOP
                FOREACH aggregate SLICE 1 IN ARRAY ARRAY[
                    ['rfm_score', 'One customer''s RFM score from order rows, for example 543 (1 worst); NULL for a prospect.'],
                    ['lifecycle_state', 'One customer''s lifecycle state from order rows; NULL without rows.'],
                    ['vip_score', 'One customer''s VIP score 0..100 from order rows; NULL for a prospect.'],
                    ['next_action', 'The one next step for a customer from order rows; NULL without rows.']
                ] LOOP
                    EXECUTE pg_catalog.format('COMMENT ON AGGREGATE %s(%s, %s, date%s) IS %L', aggregate[1], day, amount, question,
                        aggregate[2] || ' as_of and policy must not vary within a group.' || variant);
                END LOOP;
                EXECUTE pg_catalog.format('COMMENT ON FUNCTION _collect_order_until(internal, %s, %s, date%s) IS %L', day, amount,
                    question, 'Part of the aggregates rfm_score, lifecycle_state, vip_score and next_action: takes a row.');
            END LOOP;
            FOREACH question IN ARRAY ARRAY['', ', boolean', ', boolean, boolean'] LOOP
                EXECUTE pg_catalog.format('COMMENT ON FUNCTION _collect_order(internal, %s, %s%s) IS %L', day, amount, question,
                    'Part of the aggregate purchase_history: takes a row.');
            END LOOP;
        END LOOP;
    END LOOP;
END
$comments$;

COMMENT ON AGGREGATE rollup(purchase_history) IS
    'Merges histories, for example one a month or a shop, into one. What overlaps counts twice.';
COMMENT ON AGGREGATE engagement_history(text, date) IS
    'One customer''s events (kind, day) as a history; rows without kind or day are ignored.';
COMMENT ON AGGREGATE rollup(engagement_history) IS
    'Merges engagement histories into one. What overlaps counts twice.';
COMMENT ON AGGREGATE contact_history(text, date, text, text, text) IS
    'One customer''s contacts (channel, day, scenario, step, group) as a history; rows without a day are ignored.';
COMMENT ON AGGREGATE rollup(contact_history) IS
    'Merges contact histories into one. What overlaps counts twice.';

COMMENT ON FUNCTION _combine_orders(internal, internal) IS 'Part of the aggregates over orders: joins two states.';
COMMENT ON FUNCTION _serialize_orders(internal) IS 'Part of the aggregates over orders: packs a state for another process.';
COMMENT ON FUNCTION _deserialize_orders(bytea, internal) IS 'Part of the aggregates over orders: unpacks a state.';
COMMENT ON FUNCTION _collect_history(internal, purchase_history) IS 'Part of the aggregate rollup: takes a history.';
COMMENT ON FUNCTION _finish_history(internal) IS 'Part of the aggregates purchase_history and rollup: the result.';
COMMENT ON FUNCTION _finish_rfm_score(internal) IS 'Part of the aggregate rfm_score: the result.';
COMMENT ON FUNCTION _finish_lifecycle_state(internal) IS 'Part of the aggregate lifecycle_state: the result.';
COMMENT ON FUNCTION _finish_vip_score(internal) IS 'Part of the aggregate vip_score: the result.';
COMMENT ON FUNCTION _finish_next_action(internal) IS 'Part of the aggregate next_action: the result.';
COMMENT ON FUNCTION _collect_event(internal, text, date) IS 'Part of the aggregate engagement_history: takes an event.';
COMMENT ON FUNCTION _collect_engagement(internal, engagement_history) IS 'Part of the aggregate rollup: takes a history.';
COMMENT ON AGGREGATE membership_history(text, date) IS
    'One customer''s log of memberships (membership, since) as a history; rows with a NULL are ignored. Of one day the last of continuing, ad_hoc, paused, withdrawn counts.';
COMMENT ON AGGREGATE rollup(membership_history) IS
    'Merges membership histories into one, as if their entries were of one log.';
COMMENT ON FUNCTION _combine_events(internal, internal) IS 'Part of the aggregates over events, contacts and memberships: joins two states.';
COMMENT ON FUNCTION _serialize_events(internal) IS 'Part of the aggregates over events, contacts and memberships: packs a state for another process.';
COMMENT ON FUNCTION _deserialize_events(bytea, internal) IS 'Part of the aggregates over events, contacts and memberships: unpacks a state.';
COMMENT ON FUNCTION _collect_contact(internal, text, date, text, text, text) IS
    'Part of the aggregate contact_history: takes a contact.';
COMMENT ON FUNCTION _collect_contacts(internal, contact_history) IS 'Part of the aggregate rollup: takes a history.';
COMMENT ON FUNCTION _finish_contacts(internal) IS 'Part of the aggregates contact_history and rollup: the result.';
COMMENT ON FUNCTION _collect_membership(internal, text, date) IS 'Part of the aggregate membership_history: takes an entry.';
COMMENT ON FUNCTION _collect_memberships(internal, membership_history) IS 'Part of the aggregate rollup: takes a history.';
COMMENT ON FUNCTION _finish_memberships(internal) IS
    'Part of the aggregates membership_history and rollup: the result.';
COMMENT ON FUNCTION _finish_engagement(internal) IS 'Part of the aggregates engagement_history and rollup: the result.';

-- accessors of a purchase history

COMMENT ON FUNCTION recency_days(purchase_history, date) IS
    'Days from the last purchase to as_of; NULL for a prospect.';
COMMENT ON FUNCTION orders(purchase_history, date) IS
    'Number of purchases up to as_of; 0 for a prospect.';
COMMENT ON FUNCTION purchase_days(purchase_history, date) IS
    'Number of days with a purchase up to as_of; 0 for a prospect.';
COMMENT ON FUNCTION monetary(purchase_history, date) IS
    'Sum of all amounts up to as_of in currency units, refunds included, exact; 0 without rows.';
COMMENT ON FUNCTION tenure_days(purchase_history, date) IS
    'Days from the first purchase to as_of; NULL for a prospect.';
COMMENT ON FUNCTION span_days(purchase_history, date) IS
    'Days from the first to the last purchase up to as_of; NULL for a prospect.';
COMMENT ON FUNCTION first_purchase_on(purchase_history, date) IS
    'First day with a purchase; NULL for a prospect.';
COMMENT ON FUNCTION last_purchase_on(purchase_history, date) IS
    'Last day with a purchase up to as_of; NULL for a prospect.';
COMMENT ON FUNCTION previous_purchase_on(purchase_history, date) IS
    'Second-to-last day with a purchase up to as_of; NULL with fewer than two.';
COMMENT ON FUNCTION last_gap_days(purchase_history, date) IS
    'Days between the last two purchase days up to as_of; NULL with fewer than two.';
COMMENT ON FUNCTION mean_gap_days(purchase_history, date) IS
    'Mean days between purchase days up to as_of, 6 decimals; NULL with fewer than two.';
COMMENT ON FUNCTION median_gap_days(purchase_history, date) IS
    'Median days between purchase days up to as_of; NULL with fewer than two.';
COMMENT ON FUNCTION discount_share(purchase_history, date) IS
    'Share 0..1 of discounted purchases among those of known discount, 6 decimals; NULL where none is known.';
COMMENT ON FUNCTION average_order_value(purchase_history, date) IS
    'Sum of all amounts by number of purchases up to as_of, in currency units, 6 decimals; NULL for a prospect.';

-- scores and states of one customer

COMMENT ON FUNCTION rfm_score(purchase_history, date, segment_policy) IS
    'Digits of recency, frequency and monetary as one number, for example 543 (1 worst); NULL for a prospect.';
COMMENT ON FUNCTION r_score(purchase_history, date, segment_policy) IS
    'Recency digit, 1 worst; NULL for a prospect.';
COMMENT ON FUNCTION f_score(purchase_history, date, segment_policy) IS
    'Frequency digit, 1 worst; NULL for a prospect.';
COMMENT ON FUNCTION m_score(purchase_history, date, segment_policy) IS
    'Monetary digit, 1 worst; NULL for a prospect.';
COMMENT ON FUNCTION rfm_segment(purchase_history, date, segment_policy) IS
    'The policy''s name for the RFM score, for example loyal; NULL for a prospect.';
COMMENT ON FUNCTION lifecycle_state(purchase_history, date, segment_policy, engagement_history, text, membership_history) IS
    'prospect, dormant, at_risk, winback, vip, new or active; NULL only where as_of is NULL.';
COMMENT ON FUNCTION purchase_stage(purchase_history, date, segment_policy) IS
    'first, nurture or established, by number of orders; NULL for a prospect.';
COMMENT ON FUNCTION value_score(purchase_history, date, segment_policy, engagement_history, text, membership_history) IS
    'What a customer buys, 0..100: mean of the R, F and M digits, each from 0 (worst) to 100 (best); NULL for a prospect.';
COMMENT ON FUNCTION relation_score(engagement_history, date, segment_policy) IS
    'What ties a customer to the shop, 0..100: weighted events of the last window_days; NULL where not tracked.';
COMMENT ON FUNCTION vip_score(purchase_history, date, segment_policy, engagement_history, text, membership_history) IS
    'Value and relation score together, 0..100, for ranking; the value score where engagement is NULL; NULL for a prospect.';
COMMENT ON FUNCTION vip_tier(purchase_history, date, segment_policy, engagement_history, text, membership_history) IS
    'vip, candidate, supporter or regular: decides who is a VIP.';
COMMENT ON FUNCTION dormancy_reason(purchase_history, date, segment_policy, engagement_history, text, membership_history) IS
    'Why the customer is dormant, or would be: dissatisfied, competitor, discount_only, overstocked, unhabituated or drifted; NULL for a prospect.';
COMMENT ON FUNCTION next_transition_on(purchase_history, date, segment_policy, engagement_history, text, membership_history) IS
    'First day after as_of on which the lifecycle state changes if nothing more happens; NULL if never.';
COMMENT ON FUNCTION state_timeline(purchase_history, date, date, segment_policy, engagement_history, text, membership_history) IS
    'The lifecycle states from from_day to to_day: rows (state, from_day, to_day) without a gap. The membership is that of each day with memberships, otherwise today''s.';
COMMENT ON FUNCTION state_since(purchase_history, date, segment_policy, engagement_history, text, membership_history) IS
    'First day of the lifecycle state of as_of; NULL for a prospect.';
COMMENT ON FUNCTION previous_state(purchase_history, date, segment_policy, engagement_history, text, membership_history) IS
    'The lifecycle state before that of as_of, prospect before the first; NULL for a prospect.';
COMMENT ON FUNCTION segment_history(
    purchase_history, date, date, interval, segment_policy, engagement_history, text, membership_history
) IS
    'Rows (as_of, lifecycle_state, rfm_score, vip_tier) for from_day and every step after it up to to_day, for charts.';
COMMENT ON FUNCTION next_action(
    purchase_history, date, segment_policy, engagement_history, text, membership_history, purchase_model
) IS
    'The one next step: the action of the policy''s first rule that matches. next_actions(policy) lists them all.';
COMMENT ON FUNCTION segment_customer(
    purchase_history, date, segment_policy, engagement_history, text, text[], date, contact_history,
    membership_history, purchase_model
) IS
    'Everything about one customer as of a day, one row of plain columns, for LATERAL; all NULL where as_of is NULL.';

-- memberships over time

COMMENT ON FUNCTION membership_on(membership_history, date) IS
    'The membership of a day; NULL before the first entry.';
COMMENT ON FUNCTION membership_since(membership_history, date) IS
    'First day of the membership of as_of; NULL before the first entry.';
COMMENT ON FUNCTION previous_membership(membership_history, date) IS
    'The membership before that of as_of; NULL where none is known.';
COMMENT ON FUNCTION membership_periods(membership_history, date) IS
    'Each membership up to as_of: from_day, to_day (NULL: it lasts), and the moment with which it began (membership_moments).';
COMMENT ON FUNCTION subscription_months(membership_history, date) IS
    'The months up to as_of that began with a subscription, paused or not: has it ended in the month? NULL while the month is not over.';
COMMENT ON FUNCTION subscription_cycles(membership_history, interval, date) IS
    'The cycles of so much time each of each subscription: has it ended before the next cycle began? NULL while that is to come.';

-- the same on plain numbers

DO $comments$
DECLARE
    number text;
BEGIN
    FOREACH number IN ARRAY ARRAY['integer', 'bigint'] LOOP
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION rfm_score(integer, %s, numeric, segment_policy) IS %L', number,
            'RFM score from recency in days, number of orders and amount in currency units; NULL without orders.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION lifecycle_state(integer, %s, integer, boolean, text, segment_policy) IS %L', number,
            'Lifecycle state from recency and last gap in days, number of orders and whether a VIP; fixed cycle only.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION vip_score(integer, %s, numeric, numeric, segment_policy) IS %L', number,
            'VIP score 0..100 from recency, orders, amount and relation score (NULL: not tracked); NULL without orders.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION next_action(text, %s, text, text, segment_policy) IS %L', number,
            'The one next step from lifecycle state, orders, membership and dormancy reason; rules on other facts do not match.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION dormancy_category(%s, text) IS %L', number,
            'What kind of dormant customer, from number of orders and membership: paused, cancelled, member_silent, bought_once or ad_hoc.');
    END LOOP;
END
$comments$;

COMMENT ON FUNCTION channel_responses(purchase_history, contact_history, date, segment_policy) IS
    'How one customer answers, by channel: a purchase within the policy''s contact.response_days is the answer to the last contact before it.';
COMMENT ON FUNCTION dormant_responses(
    purchase_history, contact_history, date, segment_policy, engagement_history, text, membership_history
) IS
    'Whether one customer answered contacts while dormant, by reason and year of dormancy on the day of the contact.';
COMMENT ON FUNCTION dormant_response_order(text[], integer[], bigint[], bigint[], segment_policy) IS
    'In which order the dormant are expected to answer, by reason and year: as measured where enough were contacted, else as built in.';
COMMENT ON FUNCTION dormant_year(integer, segment_policy) IS
    'In which year of dormancy: 1 up to 365 days without a purchase, 2 up to 730, ...; NULL before the policy''s lifecycle.reactivation_min_days (181).';
COMMENT ON FUNCTION rfm_segment(integer, segment_policy) IS
    'The policy''s name for an RFM score, for example 543; an error for digits the policy does not have.';

-- merging and empty values

COMMENT ON FUNCTION no_engagement() IS
    'The engagement history of a customer who is tracked and has no event; NULL would mean not tracked.';
COMMENT ON FUNCTION purchase_history_plus(purchase_history, purchase_history) IS
    'Implementation of the + operator: both histories in one, what overlaps counts twice.';
COMMENT ON FUNCTION contact_history_plus(contact_history, contact_history) IS 'Implementation of the + operator.';
COMMENT ON FUNCTION membership_history_plus(membership_history, membership_history) IS 'Implementation of the + operator.';
COMMENT ON FUNCTION engagement_history_plus(engagement_history, engagement_history) IS
    'Implementation of the + operator: both histories in one, what overlaps counts twice.';
COMMENT ON OPERATOR + (purchase_history, purchase_history) IS
    'Both histories in one; what overlaps counts twice.';
COMMENT ON OPERATOR + (contact_history, contact_history) IS
    'Both contact histories in one; what overlaps counts twice.';
COMMENT ON OPERATOR + (membership_history, membership_history) IS
    'Both membership histories in one, as if their entries were of one log.';
COMMENT ON OPERATOR + (engagement_history, engagement_history) IS
    'Both histories in one; what overlaps counts twice.';

-- policies

COMMENT ON FUNCTION default_policy() IS
    'The default policy, which is the empty document {}; effective_policy(NULL) shows its values.';
COMMENT ON FUNCTION preset_policy(text) IS
    'The ready-made policy of that name, of those in policy_presets().';
COMMENT ON FUNCTION policy_presets() IS
    'All ready-made policies: name, title and description in English and Japanese.';
COMMENT ON FUNCTION check_policy(segment_policy) IS
    'Rows (severity, path, message): error for contradictions, warning for what can never be reached, info; NULL: the default.';
COMMENT ON FUNCTION effective_policy(segment_policy) IS
    'The whole policy as jsonb: what is written, and the default for the rest.';
COMMENT ON FUNCTION segment_policy_overlay(segment_policy, segment_policy) IS
    'Implementation of the || operator: the left policy with the right one laid over it.';
COMMENT ON OPERATOR || (segment_policy, segment_policy) IS
    'The left policy with the right one laid over it: objects merge key by key, lists and values are replaced.';
COMMENT ON CAST (scenario AS jsonb) IS 'The scenario as it is written.';
COMMENT ON CAST (jsonb AS scenario) IS 'Checks keys and types as the text form does.';
COMMENT ON CAST (purchase_model AS jsonb) IS 'The model as it is written; explicit.';
COMMENT ON CAST (jsonb AS purchase_model) IS 'A model from jsonb, checked as the text form is; explicit.';
COMMENT ON CAST (segment_policy AS jsonb) IS
    'The policy as written, sparse; explicit.';
COMMENT ON CAST (jsonb AS segment_policy) IS
    'A policy from jsonb, its keys and types checked; explicit.';

-- lists of labels

COMMENT ON FUNCTION lifecycle_states() IS
    'All lifecycle states in order, with English and Japanese labels.';
COMMENT ON FUNCTION purchase_stages() IS
    'All purchase stages in order, with English and Japanese labels.';
COMMENT ON FUNCTION vip_tiers() IS
    'All VIP tiers in order, with English and Japanese labels.';
COMMENT ON FUNCTION memberships() IS
    'All memberships, with English and Japanese labels.';
COMMENT ON FUNCTION membership_moments() IS
    'What the beginning of a membership is (membership_periods), with English and Japanese labels.';
COMMENT ON FUNCTION dormancy_categories() IS
    'All kinds of dormant customers, those expected to answer first in front, with English and Japanese labels.';
COMMENT ON FUNCTION dormancy_reasons() IS
    'All reasons for dormancy, those of whom an answer is expected first in front, with English and Japanese labels.';
COMMENT ON FUNCTION labels() IS
    'All these lists in one: list, name, the order in which reports sort, English and Japanese label.';
COMMENT ON FUNCTION label(text, text, text) IS
    'What a value of one of the lists of labels() is called in a language, en or ja; what is in none is called by its '
    'name.';
COMMENT ON FUNCTION _library_version() IS
    'Part of upgrades: the version of the library that the session has loaded.';
COMMENT ON FUNCTION label_order(text, text) IS
    'The place of a value in one of the lists of labels(), for reports to sort by; NULL where it is not in it.';
COMMENT ON FUNCTION _audit_text(text, text) IS
    'Part of segmentations: what the audit says, in a language.';
COMMENT ON FUNCTION rfm_segments(segment_policy) IS
    'The RFM segments of a policy in their order, with English and Japanese labels; a segment of your own is called by '
    'its name.';
COMMENT ON FUNCTION next_actions(segment_policy) IS
    'All rules of the policy in order: rule, action, behavior, English and Japanese title.';

-- text and binary form, comparison

DO $comments$
DECLARE
    type_name text;
    operator record;
    method text;
BEGIN
    FOREACH type_name IN ARRAY ARRAY[
        'purchase_history', 'engagement_history', 'contact_history', 'membership_history', 'segment_policy', 'purchase_model',
        'scenario'
    ] LOOP
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %1$s_in(cstring) IS %2$L', type_name, 'Reads a ' || type_name || ' from text.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %1$s_out(%1$s) IS %2$L', type_name, 'Writes a ' || type_name || ' as text.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %1$s_recv(internal) IS %2$L', type_name,
            'Reads a ' || type_name || ' from its binary form.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %1$s_send(%1$s) IS %2$L', type_name,
            'Writes a ' || type_name || ' in its binary form.');
        FOR operator IN
            SELECT *
            FROM (VALUES
                ('=', 'eq', 'Equal'),
                ('<>', 'ne', 'Not equal'),
                ('<', 'lt', 'Less in an order that means nothing, for indexes'),
                ('<=', 'le', 'Less or equal in an order that means nothing, for indexes'),
                ('>', 'gt', 'Greater in an order that means nothing, for indexes'),
                ('>=', 'ge', 'Greater or equal in an order that means nothing, for indexes')
            ) AS o(sign, name, meaning)
        LOOP
            EXECUTE pg_catalog.format('COMMENT ON OPERATOR %1$s (%2$s, %2$s) IS %3$L', operator.sign, type_name,
                operator.meaning || '.');
            EXECUTE pg_catalog.format('COMMENT ON FUNCTION %1$s_%2$s(%1$s, %1$s) IS %3$L', type_name, operator.name,
                'Implementation of the ' || operator.sign || ' operator.');
        END LOOP;
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %1$s_cmp(%1$s, %1$s) IS %2$L', type_name, 'Compares for btree indexes.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %1$s_hash(%1$s) IS %2$L', type_name, 'Hashes.');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %1$s_hash_extended(%1$s, bigint) IS %2$L', type_name, 'Hashes with a seed.');
        FOREACH method IN ARRAY ARRAY['btree', 'hash'] LOOP
            EXECUTE pg_catalog.format('COMMENT ON OPERATOR FAMILY %1$s_ops USING %2$s IS %3$L', type_name, method,
                'Comparison of ' || type_name || ' by ' || method || '.');
            EXECUTE pg_catalog.format('COMMENT ON OPERATOR CLASS %1$s_ops USING %2$s IS %3$L', type_name, method,
                'Makes DISTINCT, GROUP BY, joins and indexes on ' || type_name || ' work.');
        END LOOP;
    END LOOP;
END
$comments$;

-- parts of segmentations

COMMENT ON FUNCTION _lock_view(oid) IS
    'Part of segmentations: locks a materialized view of the current user''s and checks that its rows can be written.';
COMMENT ON FUNCTION _query_columns(text) IS
    'Part of segmentations: the columns that a SELECT returns; it is not run.';
COMMENT ON FUNCTION _write_view_rows(oid, text, text) IS
    'Part of segmentations: writes the rows that a query returns to a materialized view; first their ctid, NULL for a new one, and what is done to them. A query of keys makes its parameters.';
COMMENT ON FUNCTION _write_watched_rows(oid, text, text, text[], oid, oid, date, text) IS
    'Part of segmentations: writes rows of a materialized view as _write_view_rows does, and who changed in watched columns to a table, with ids of a sequence; a SELECT is asked about the rows written.';
COMMENT ON FUNCTION _view_columns() IS
    'Part of segmentations: what the columns of their relations say, in English and Japanese.';
COMMENT ON FUNCTION _source_columns() IS
    'Part of segmentations: what the columns of a source can be, and the settings that name them.';
COMMENT ON FUNCTION _choose_column(text, text, text[], text[], boolean[], boolean, text, text) IS
    'Part of segmentations: which of a table''s columns has a role, by its name or guessed; found, absent, ambiguous, missing, unknown or unfit.';
COMMENT ON FUNCTION _is_called_like_an_order_number(text) IS
    'Part of segmentations: whether a column is called as order numbers often are.';
COMMENT ON FUNCTION _role_of_name(text, text) IS
    'Part of segmentations: what in a source a column of this name usually is; NULL where it tells nothing, or several.';
COMMENT ON FUNCTION _known_words(text, segment_policy) IS
    'Part of segmentations: the words that are known under a policy where a shop may have its own; the argument is engagement_kinds, memberships, channel_names, test_groups, targets.kpi or costs.purpose.';
COMMENT ON FUNCTION _nearest_word(text, text, segment_policy) IS
    'Part of segmentations: the known word that another one most probably means; NULL where none is near.';
COMMENT ON FUNCTION _is_name(text) IS
    'Part of segmentations: whether a history can keep a text as the name of a kind, channel, scenario, step or group.';
