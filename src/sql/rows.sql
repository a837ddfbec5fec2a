-- How many rows each list has. Without it the planner expects a thousand, and a join with a few of them is taken for millions
-- of rows: that costs more in compiling (JIT) than the query itself.

ALTER FUNCTION lifecycle_states() ROWS 7;
ALTER FUNCTION purchase_stages() ROWS 3;
ALTER FUNCTION vip_tiers() ROWS 4;
ALTER FUNCTION memberships() ROWS 4;
ALTER FUNCTION dormancy_categories() ROWS 5;
ALTER FUNCTION dormancy_reasons() ROWS 6;
ALTER FUNCTION policy_presets() ROWS 6;
ALTER FUNCTION next_actions(segment_policy) ROWS 27;
ALTER FUNCTION scenario_presets() ROWS 20;
ALTER FUNCTION message_keys() ROWS 32;
ALTER FUNCTION due_step_reasons() ROWS 11;
ALTER FUNCTION ab_verdicts() ROWS 3;
ALTER FUNCTION ab_factors() ROWS 3;
ALTER FUNCTION customer_columns() ROWS 32;
ALTER FUNCTION _view_columns() ROWS 107;
ALTER FUNCTION _source_columns() ROWS 27;
