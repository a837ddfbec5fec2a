-- cohort

CREATE TYPE cohort_month AS (
    first_month date,
    months_after integer,
    customers bigint,
    active_customers bigint,
    revenue numeric
);
COMMENT ON TYPE cohort_month IS 'What the customers of a month of first purchase did in one month after it.';
COMMENT ON COLUMN cohort_month.first_month IS 'First day of the month of the first purchase.';
COMMENT ON COLUMN cohort_month.months_after IS 'Calendar months after it, 0 to 12; 0 is the month itself.';
COMMENT ON COLUMN cohort_month.customers IS 'How many customers bought first in that month.';
COMMENT ON COLUMN cohort_month.active_customers IS 'How many of them bought in this month.';
COMMENT ON COLUMN cohort_month.revenue IS
    'The sum of their amounts in this month, refunds included, in currency units.';

CREATE FUNCTION _collect_cohort(internal, history purchase_history, as_of date, ending_after date) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_cohort_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION _combine_cohorts(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'combine_cohorts_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _serialize_cohorts(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'serialize_cohorts_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _deserialize_cohorts(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'deserialize_cohorts_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_cohorts(internal) RETURNS cohort_month[]
    AS 'MODULE_PATHNAME', 'finish_cohorts_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;

-- SSPACE: the cohorts of some years.
CREATE AGGREGATE count_cohorts(history purchase_history, as_of date, ending_after date) (
    SFUNC = _collect_cohort, STYPE = internal, SSPACE = 50000, FINALFUNC = _finish_cohorts,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_cohorts, SERIALFUNC = _serialize_cohorts,
    DESERIALFUNC = _deserialize_cohorts, PARALLEL = SAFE
);

COMMENT ON FUNCTION _collect_cohort(internal, purchase_history, date, date) IS
    'Part of the aggregate count_cohorts: counts a customer.';
COMMENT ON FUNCTION _combine_cohorts(internal, internal) IS
    'Part of the aggregate count_cohorts: adds what another worker counted.';
COMMENT ON FUNCTION _serialize_cohorts(internal) IS 'Part of the aggregate count_cohorts: the state as bytes.';
COMMENT ON FUNCTION _deserialize_cohorts(bytea, internal) IS 'Part of the aggregate count_cohorts: the state again.';
COMMENT ON FUNCTION _finish_cohorts(internal) IS 'Part of the aggregate count_cohorts: the result.';
COMMENT ON AGGREGATE count_cohorts(purchase_history, date, date) IS
    'Customers by the month of their first purchase and what they did in it and the twelve months after it that are '
    'over on as_of and end after the day ending_after (NULL: all): an array of rows for unnest.';
