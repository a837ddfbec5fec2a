-- learn_policy and return_curve

CREATE TYPE return_chance AS (
    silent_days integer,
    chance numeric,
    low numeric,
    high numeric,
    at_risk bigint
);
COMMENT ON TYPE return_chance IS
    'The chance that a customer comes back within learn.return_window_days (90), after so many days without a purchase.';
COMMENT ON COLUMN return_chance.silent_days IS 'Days without a purchase, from 0.';
COMMENT ON COLUMN return_chance.chance IS 'The chance, 0 to 1, rounded to 6 decimals: 1 - S(silent_days + window) / S(silent_days).';
COMMENT ON COLUMN return_chance.low IS 'Lower bound of the 95 % interval by Greenwood''s formula, rounded to 6 decimals.';
COMMENT ON COLUMN return_chance.high IS 'Upper bound of the 95 % interval by Greenwood''s formula, rounded to 6 decimals.';
COMMENT ON COLUMN return_chance.at_risk IS 'Gaps between purchases, open ones included, that last at least so long.';

CREATE FUNCTION _collect_customer(internal, history purchase_history, as_of date, base segment_policy) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_customer_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _collect_customer(internal, history purchase_history, as_of date) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_customer_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _combine_customers(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'combine_customers_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _serialize_customers(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'serialize_customers_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _deserialize_customers(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'deserialize_customers_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_policy(internal) RETURNS segment_policy
    AS 'MODULE_PATHNAME', 'finish_policy_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;
CREATE FUNCTION _finish_curve(internal) RETURNS return_chance[]
    AS 'MODULE_PATHNAME', 'finish_curve_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;

-- SSPACE: different values of R, F, M and gaps of a middling shop.
CREATE AGGREGATE learn_policy(history purchase_history, as_of date, base segment_policy) (
    SFUNC = _collect_customer, STYPE = internal, SSPACE = 1000000, FINALFUNC = _finish_policy,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_customers, SERIALFUNC = _serialize_customers,
    DESERIALFUNC = _deserialize_customers, PARALLEL = SAFE
);

CREATE AGGREGATE return_curve(history purchase_history, as_of date, base segment_policy) (
    SFUNC = _collect_customer, STYPE = internal, SSPACE = 1000000, FINALFUNC = _finish_curve,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_customers, SERIALFUNC = _serialize_customers,
    DESERIALFUNC = _deserialize_customers, PARALLEL = SAFE
);
CREATE AGGREGATE return_curve(history purchase_history, as_of date) (
    SFUNC = _collect_customer, STYPE = internal, SSPACE = 1000000, FINALFUNC = _finish_curve,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_customers, SERIALFUNC = _serialize_customers,
    DESERIALFUNC = _deserialize_customers, PARALLEL = SAFE
);

COMMENT ON FUNCTION _collect_customer(internal, purchase_history, date, segment_policy) IS
    'Part of the aggregates learn_policy and return_curve: takes a customer.';
COMMENT ON FUNCTION _collect_customer(internal, purchase_history, date) IS 'Part of the aggregate return_curve: takes a customer.';
COMMENT ON FUNCTION _combine_customers(internal, internal) IS
    'Part of the aggregates learn_policy and return_curve: adds what another worker saw.';
COMMENT ON FUNCTION _serialize_customers(internal) IS 'Part of the aggregates learn_policy and return_curve: the state as bytes.';
COMMENT ON FUNCTION _deserialize_customers(bytea, internal) IS
    'Part of the aggregates learn_policy and return_curve: the state again.';
COMMENT ON FUNCTION _finish_policy(internal) IS 'Part of the aggregate learn_policy: the result.';
COMMENT ON FUNCTION _finish_curve(internal) IS 'Part of the aggregate return_curve: the result.';
COMMENT ON AGGREGATE learn_policy(purchase_history, date, segment_policy) IS
    'The base policy (NULL: default) with cuts, limits, store gap and monetary_cut learned from all customers up to as_of; the section learned says from what.';
COMMENT ON AGGREGATE return_curve(purchase_history, date, segment_policy) IS
    'The chance to come back after so many days without a purchase, for unnest; the base says within how many days, as for learn_policy.';
COMMENT ON AGGREGATE return_curve(purchase_history, date) IS
    'The chance to come back within 90 days, after so many days without a purchase, with its 95 % interval, for unnest.';
