-- learn_policy

CREATE FUNCTION _collect_customer(internal, history purchase_history, as_of date, base segment_policy) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_customer_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _combine_customers(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'combine_customers_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _serialize_customers(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'serialize_customers_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _deserialize_customers(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'deserialize_customers_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_policy(internal) RETURNS segment_policy
    AS 'MODULE_PATHNAME', 'finish_policy_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;

-- SSPACE: different values of R, F, M and gaps of a middling shop.
CREATE AGGREGATE learn_policy(history purchase_history, as_of date, base segment_policy) (
    SFUNC = _collect_customer, STYPE = internal, SSPACE = 1000000, FINALFUNC = _finish_policy,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_customers, SERIALFUNC = _serialize_customers,
    DESERIALFUNC = _deserialize_customers, PARALLEL = SAFE
);

COMMENT ON FUNCTION _collect_customer(internal, purchase_history, date, segment_policy) IS
    'Part of the aggregate learn_policy: takes a customer.';
COMMENT ON FUNCTION _combine_customers(internal, internal) IS 'Part of the aggregate learn_policy: adds what another worker saw.';
COMMENT ON FUNCTION _serialize_customers(internal) IS 'Part of the aggregate learn_policy: the state as bytes.';
COMMENT ON FUNCTION _deserialize_customers(bytea, internal) IS 'Part of the aggregate learn_policy: the state again.';
COMMENT ON FUNCTION _finish_policy(internal) IS 'Part of the aggregate learn_policy: the result.';
COMMENT ON AGGREGATE learn_policy(purchase_history, date, segment_policy) IS
    'The base policy (NULL: default) with cuts, limits, store gap and monetary_cut learned from all customers up to as_of; the section learned says from what.';
