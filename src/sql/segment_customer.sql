-- segment_customer

-- The columns are those of the table in src/column.rs, which a test compares.
CREATE TYPE customer_segment AS (
    first_purchase_on date,
    last_purchase_on date,
    recency_days integer,
    orders bigint,
    purchase_days integer,
    monetary numeric,
    average_order_value numeric,
    r_score integer,
    f_score integer,
    m_score integer,
    rfm_score integer,
    rfm_segment text,
    lifecycle_state text,
    purchase_stage text,
    value_score numeric,
    relation_score numeric,
    vip_score numeric,
    vip_tier text,
    last_tier text,
    vip_missing text,
    orders_to_vip bigint,
    span_days_to_vip integer,
    relation_to_vip numeric,
    value_to_vip numeric,
    dormancy_category text,
    dormancy_reason text,
    next_action text,
    action_rule text,
    action_behavior text,
    action_channel text,
    action_due_on date,
    action_after_wait text,
    state_since date,
    previous_state text,
    next_transition_on date,
    next_change_on date
);
COMMENT ON TYPE customer_segment IS 'A row of segment_customer; customer_columns() says what each column means.';

CREATE FUNCTION segment_customer(
    history purchase_history,
    as_of date,
    policy segment_policy DEFAULT NULL,
    engagement engagement_history DEFAULT NULL,
    membership text DEFAULT NULL,
    channels text[] DEFAULT NULL,
    last_contacted_on date DEFAULT NULL,
    contacts contact_history DEFAULT NULL,
    memberships membership_history DEFAULT NULL,
    model purchase_model DEFAULT NULL
) RETURNS customer_segment
    AS 'MODULE_PATHNAME', 'segment_customer_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 150;

COMMENT ON FUNCTION customer_columns() IS
    'The columns of segment_customer in order, with their types and what they say in English and Japanese.';
