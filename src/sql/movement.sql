-- movement

COMMENT ON FUNCTION state_movements(
    purchase_history, date, date, interval, segment_policy, engagement_history, text, membership_history
) IS
    'One customer''s lifecycle state, RFM segment and VIP tier from step to step, with the revenue of as many days '
    'before and after; no rows as long as the customer is a prospect.';

CREATE TYPE movement_count AS (
    from_day date,
    to_day date,
    from_state text,
    to_state text,
    from_segment text,
    to_segment text,
    from_tier text,
    to_tier text,
    customers bigint,
    revenue_before numeric,
    revenue_after numeric
);
COMMENT ON TYPE movement_count IS
    'How many customers moved alike: from which lifecycle state, RFM segment and VIP tier on one day to which on '
    'another.';
COMMENT ON COLUMN movement_count.from_day IS 'The day they come from.';
COMMENT ON COLUMN movement_count.to_day IS 'The day they get to.';
COMMENT ON COLUMN movement_count.from_state IS 'Their lifecycle state on from_day.';
COMMENT ON COLUMN movement_count.to_state IS 'Their lifecycle state on to_day.';
COMMENT ON COLUMN movement_count.from_segment IS 'Their RFM segment on from_day; NULL for prospects.';
COMMENT ON COLUMN movement_count.to_segment IS 'Their RFM segment on to_day.';
COMMENT ON COLUMN movement_count.from_tier IS 'Their VIP tier on from_day.';
COMMENT ON COLUMN movement_count.to_tier IS 'Their VIP tier on to_day.';
COMMENT ON COLUMN movement_count.customers IS 'How many customers.';
COMMENT ON COLUMN movement_count.revenue_before IS
    'The sum of their amounts, refunds included, of as many days up to from_day as there are from there to to_day.';
COMMENT ON COLUMN movement_count.revenue_after IS
    'The sum of their amounts, refunds included, from the day after from_day to to_day.';

CREATE FUNCTION _collect_movements(
    internal, history purchase_history, from_day date, to_day date, step interval, policy segment_policy,
    engagement engagement_history, membership text, memberships membership_history
) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_movements_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;
CREATE FUNCTION _combine_movements(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'combine_movements_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _serialize_movements(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'serialize_movements_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _deserialize_movements(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'deserialize_movements_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_movements(internal) RETURNS movement_count[]
    AS 'MODULE_PATHNAME', 'finish_movements_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;

-- SSPACE: the moves of a shop in twelve months.
CREATE AGGREGATE count_movements(
    history purchase_history, from_day date, to_day date, step interval, policy segment_policy,
    engagement engagement_history, membership text, memberships membership_history
) (
    SFUNC = _collect_movements, STYPE = internal, SSPACE = 250000, FINALFUNC = _finish_movements,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_movements, SERIALFUNC = _serialize_movements,
    DESERIALFUNC = _deserialize_movements, PARALLEL = SAFE
);

COMMENT ON FUNCTION _collect_movements(
    internal, purchase_history, date, date, interval, segment_policy, engagement_history, text, membership_history
) IS 'Part of the aggregate count_movements: counts a customer.';
COMMENT ON FUNCTION _combine_movements(internal, internal) IS
    'Part of the aggregate count_movements: adds what another worker counted.';
COMMENT ON FUNCTION _serialize_movements(internal) IS 'Part of the aggregate count_movements: the state as bytes.';
COMMENT ON FUNCTION _deserialize_movements(bytea, internal) IS
    'Part of the aggregate count_movements: the state again.';
COMMENT ON FUNCTION _finish_movements(internal) IS 'Part of the aggregate count_movements: the result.';
COMMENT ON AGGREGATE count_movements(
    purchase_history, date, date, interval, segment_policy, engagement_history, text, membership_history
) IS
    'The rows of state_movements() of all customers counted and summed by days and labels: an array of rows for '
    'unnest.';
