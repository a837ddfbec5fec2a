-- row types

-- What the functions that return sets return; src/sql/set.rs names them for Rust, and they are compared at the first call.

CREATE TYPE ab_factor AS (
    factor text,
    sort_order integer,
    weight numeric,
    label_en text,
    label_ja text
);
COMMENT ON TYPE ab_factor IS 'A row of ab_factors().';

CREATE TYPE ab_verdict AS (
    verdict text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE ab_verdict IS 'A row of ab_verdicts().';

CREATE TYPE answering_channel AS (
    channel text,
    contacts integer,
    judged integer,
    answered integer,
    unanswered integer,
    gives_way boolean,
    last_contacted_on date,
    last_answered_on date
);
COMMENT ON TYPE answering_channel IS 'A row of channel_responses().';

CREATE TYPE _chosen_column AS (
    outcome text,
    places integer[]
);
COMMENT ON TYPE _chosen_column IS 'A row of _choose_column().';

CREATE TYPE churn_band_label AS (
    band text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE churn_band_label IS 'A row of churn_bands().';

CREATE TYPE customer_column AS (
    place integer,
    name text,
    type text,
    description text,
    description_ja text
);
COMMENT ON TYPE customer_column IS 'A row of customer_columns().';

CREATE TYPE customer_month AS (
    month date,
    to_day date,
    state_before text,
    state_after text,
    months_after integer,
    orders bigint,
    revenue numeric
);
COMMENT ON TYPE customer_month IS 'A row of customer_months().';

CREATE TYPE dormancy_category_label AS (
    category text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE dormancy_category_label IS 'A row of dormancy_categories().';

CREATE TYPE dormancy_reason_label AS (
    reason text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE dormancy_reason_label IS 'A row of dormancy_reasons().';

CREATE TYPE dormant_answer AS (
    dormancy_reason text,
    dormant_year integer,
    contacts integer,
    answered boolean
);
COMMENT ON TYPE dormant_answer IS 'A row of dormant_responses().';

CREATE TYPE dormant_response_rank AS (
    expected_order integer,
    dormancy_reason text,
    dormant_year integer,
    contacted bigint,
    answered bigint,
    rate numeric,
    rate_low numeric,
    rate_high numeric,
    source text
);
COMMENT ON TYPE dormant_response_rank IS 'A row of dormant_response_order().';

CREATE TYPE due_step_reason_label AS (
    why text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE due_step_reason_label IS 'A row of due_step_reasons().';

CREATE TYPE kpi_label AS (
    kpi text,
    sort_order integer,
    unit text,
    lower_is_better boolean,
    builds_up boolean,
    settles_after_days integer,
    label_en text,
    label_ja text,
    meaning text,
    meaning_ja text
);
COMMENT ON TYPE kpi_label IS 'A row of kpis().';

CREATE TYPE lifecycle_state_label AS (
    state text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE lifecycle_state_label IS 'A row of lifecycle_states().';

CREATE TYPE list_label AS (
    list text,
    name text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE list_label IS 'A row of labels().';

CREATE TYPE membership_label AS (
    membership text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE membership_label IS 'A row of memberships().';

CREATE TYPE membership_moment_label AS (
    moment text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE membership_moment_label IS 'A row of membership_moments().';

CREATE TYPE membership_period AS (
    membership text,
    from_day date,
    to_day date,
    moment text
);
COMMENT ON TYPE membership_period IS 'A row of membership_periods().';

CREATE TYPE message_title AS (
    message_key text,
    sort_order integer,
    title_en text,
    title_ja text,
    invitation_ja text
);
COMMENT ON TYPE message_title IS 'A row of message_keys().';

CREATE TYPE model_finding AS (
    severity text,
    path text,
    message text
);
COMMENT ON TYPE model_finding IS 'A row of check_model().';

CREATE TYPE month_of_purchases AS (
    month date,
    months_after integer,
    orders bigint,
    revenue numeric
);
COMMENT ON TYPE month_of_purchases IS 'A row of purchases_by_month().';

CREATE TYPE next_action_rule AS (
    sort_order integer,
    rule text,
    action text,
    behavior text,
    title text,
    title_ja text
);
COMMENT ON TYPE next_action_rule IS 'A row of next_actions().';

CREATE TYPE policy_finding AS (
    severity text,
    path text,
    message text
);
COMMENT ON TYPE policy_finding IS 'A row of check_policy().';

CREATE TYPE policy_preset AS (
    name text,
    title text,
    title_ja text,
    description text,
    description_ja text
);
COMMENT ON TYPE policy_preset IS 'A row of policy_presets().';

CREATE TYPE purchase_stage_label AS (
    stage text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE purchase_stage_label IS 'A row of purchase_stages().';

CREATE TYPE _query_column AS (
    name text,
    type oid
);
COMMENT ON TYPE _query_column IS 'A row of _query_columns().';

CREATE TYPE rfm_segment_label AS (
    segment text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE rfm_segment_label IS 'A row of rfm_segments().';

CREATE TYPE scenario_finding AS (
    severity text,
    path text,
    message text
);
COMMENT ON TYPE scenario_finding IS 'A row of check_scenario().';

CREATE TYPE scenario_preset AS (
    name text,
    priority integer,
    behavior text,
    title text,
    title_ja text,
    description text,
    description_ja text
);
COMMENT ON TYPE scenario_preset IS 'A row of scenario_presets().';

CREATE TYPE segment_on_day AS (
    as_of date,
    lifecycle_state text,
    rfm_score integer,
    vip_tier text
);
COMMENT ON TYPE segment_on_day IS 'A row of segment_history().';

CREATE TYPE _source_column AS (
    source text,
    role text,
    setting text,
    is_required boolean,
    types text
);
COMMENT ON TYPE _source_column IS 'A row of _source_columns().';

CREATE TYPE state_movement AS (
    from_day date,
    to_day date,
    from_state text,
    to_state text,
    revenue_before numeric,
    revenue_after numeric,
    from_segment text,
    to_segment text,
    from_tier text,
    to_tier text
);
COMMENT ON TYPE state_movement IS 'A row of state_movements().';

CREATE TYPE state_period AS (
    state text,
    from_day date,
    to_day date
);
COMMENT ON TYPE state_period IS 'A row of state_timeline().';

CREATE TYPE subscription_cycle AS (
    subscription integer,
    cycle integer,
    from_day date,
    has_ended boolean
);
COMMENT ON TYPE subscription_cycle IS 'A row of subscription_cycles().';

CREATE TYPE subscription_month AS (
    month date,
    membership text,
    membership_at_end text,
    has_ended boolean
);
COMMENT ON TYPE subscription_month IS 'A row of subscription_months().';

CREATE TYPE _view_column AS (
    suffix text,
    name text,
    comment text,
    comment_ja text
);
COMMENT ON TYPE _view_column IS 'A row of _view_columns().';

CREATE TYPE vip_tier_label AS (
    tier text,
    sort_order integer,
    label_en text,
    label_ja text
);
COMMENT ON TYPE vip_tier_label IS 'A row of vip_tiers().';

CREATE TYPE _watched_rows AS (
    inserted bigint,
    updated bigint,
    deleted bigint,
    unchanged bigint,
    answer text
);
COMMENT ON TYPE _watched_rows IS
    'What _write_watched_rows() returns: numbers of rows, and what was answered about those that were written.';

CREATE TYPE written_rows AS (
    inserted bigint,
    updated bigint,
    deleted bigint,
    unchanged bigint
);
COMMENT ON TYPE written_rows IS 'What refresh_rows() returns: numbers of rows.';
