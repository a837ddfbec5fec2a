-- How many rows each list has. Without it the planner expects a thousand, and a join with a few of them is taken for millions
-- of rows: that costs more in compiling (JIT) than the query itself.

ALTER FUNCTION lifecycle_states() ROWS 7;
ALTER FUNCTION purchase_stages() ROWS 3;
ALTER FUNCTION vip_tiers() ROWS 4;
ALTER FUNCTION memberships() ROWS 4;
ALTER FUNCTION membership_moments() ROWS 6;
ALTER FUNCTION dormancy_categories() ROWS 5;
ALTER FUNCTION dormancy_reasons() ROWS 6;
ALTER FUNCTION policy_presets() ROWS 6;
ALTER FUNCTION next_actions(segment_policy) ROWS 30;
ALTER FUNCTION labels() ROWS 73;
ALTER FUNCTION churn_bands() ROWS 3;
ALTER FUNCTION rfm_segments(segment_policy) ROWS 11;
ALTER FUNCTION scenario_presets() ROWS 20;
ALTER FUNCTION message_keys() ROWS 32;
ALTER FUNCTION due_step_reasons() ROWS 11;
ALTER FUNCTION ab_verdicts() ROWS 3;
ALTER FUNCTION ab_factors() ROWS 3;
ALTER FUNCTION kpis() ROWS 20;
ALTER FUNCTION customer_columns() ROWS 36;
ALTER FUNCTION _view_columns() ROWS 230;
ALTER FUNCTION _source_columns() ROWS 40;
ALTER FUNCTION _known_words(text, segment_policy) ROWS 20;

-- And about how many those of one customer have, and of one shop.
ALTER FUNCTION channel_responses(purchase_history, contact_history, date, segment_policy) ROWS 3;
ALTER FUNCTION dormant_responses(
    purchase_history, contact_history, date, segment_policy, engagement_history, text, membership_history
) ROWS 2;
ALTER FUNCTION dormant_response_order(text[], integer[], bigint[], bigint[], segment_policy) ROWS 18;
ALTER FUNCTION customer_months(
    purchase_history, integer, date, segment_policy, engagement_history, text, membership_history
) ROWS 12;
ALTER FUNCTION check_model(purchase_model) ROWS 3;
ALTER FUNCTION membership_periods(membership_history, date) ROWS 3;
ALTER FUNCTION subscription_months(membership_history, date) ROWS 12;
ALTER FUNCTION subscription_cycles(membership_history, interval, date) ROWS 12;
