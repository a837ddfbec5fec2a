-- ab

CREATE FUNCTION ab_group(customer_key bigint, test text, groups jsonb) RETURNS text
    AS 'MODULE_PATHNAME', 'ab_group_of_bigint_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5;
CREATE FUNCTION ab_group(customer_key text, test text, groups jsonb) RETURNS text
    AS 'MODULE_PATHNAME', 'ab_group_of_text_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5;
CREATE FUNCTION ab_group(customer_key uuid, test text, groups jsonb) RETURNS text
    AS 'MODULE_PATHNAME', 'ab_group_of_uuid_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION ab_group(bigint, text, jsonb) IS
    'The group of a customer in a test, always the same; groups as [{"group": name, "share": part of 1}, ...]. Smaller integers too.';
COMMENT ON FUNCTION ab_group(text, text, jsonb) IS
    'The group of a customer in a test, always the same; the text of an integer or uuid gives the group of that.';
COMMENT ON FUNCTION ab_group(uuid, text, jsonb) IS
    'The group of a customer in a test, always the same; groups as [{"group": name, "share": part of 1}, ...].';

CREATE TYPE ab_result AS (
    customers bigint,
    responders bigint,
    rate numeric,
    rate_low numeric,
    rate_high numeric,
    revenue numeric,
    revenue_per_head numeric,
    revenue_squares numeric
);
COMMENT ON TYPE ab_result IS
    'What came of one group of a test; all NULL but the customers where there are none.';
COMMENT ON COLUMN ab_result.customers IS 'Customers who can be judged, one a row.';
COMMENT ON COLUMN ab_result.responders IS 'How many of them responded.';
COMMENT ON COLUMN ab_result.rate IS 'responders / customers, 0 to 1, rounded to 6 decimals.';
COMMENT ON COLUMN ab_result.rate_low IS 'Lower bound of the 95 % interval (Wilson), rounded to 6 decimals.';
COMMENT ON COLUMN ab_result.rate_high IS 'Upper bound of the 95 % interval (Wilson), rounded to 6 decimals.';
COMMENT ON COLUMN ab_result.revenue IS 'Sum of all amounts in currency units, exact.';
COMMENT ON COLUMN ab_result.revenue_per_head IS 'revenue / customers, responders or not, rounded to 6 decimals.';
COMMENT ON COLUMN ab_result.revenue_squares IS 'Sum of the squares of all amounts, exact: what ab_compare needs for an interval.';

CREATE FUNCTION _collect_result(bytea, responded boolean, amount numeric) RETURNS bytea
    AS 'MODULE_PATHNAME', 'collect_result_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _combine_results(bytea, bytea) RETURNS bytea
    AS 'MODULE_PATHNAME', 'combine_results_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_result(bytea) RETURNS ab_result
    AS 'MODULE_PATHNAME', 'finish_result_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE AGGREGATE ab_result(responded boolean, amount numeric) (
    SFUNC = _collect_result, STYPE = bytea, SSPACE = 80, INITCOND = '', FINALFUNC = _finish_result,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_results, PARALLEL = SAFE
);
COMMENT ON FUNCTION _collect_result(bytea, boolean, numeric) IS 'Part of the aggregate ab_result: takes a customer.';
COMMENT ON FUNCTION _combine_results(bytea, bytea) IS 'Part of the aggregate ab_result: joins two states.';
COMMENT ON FUNCTION _finish_result(bytea) IS 'Part of the aggregate ab_result: makes its row.';
COMMENT ON AGGREGATE ab_result(boolean, numeric) IS
    'What came of one group of a test, one row a customer: responders, rate with interval, revenue. responded NULL: left out; amount NULL: 0.';

CREATE TYPE ab_comparison AS (
    lift numeric,
    lift_low numeric,
    lift_high numeric,
    relative_lift numeric,
    p_value numeric,
    p_method text,
    revenue_lift numeric,
    revenue_lift_low numeric,
    revenue_lift_high numeric,
    verdict text
);
COMMENT ON TYPE ab_comparison IS
    'A group of a test beside its control; all NULL but the verdict where one of them has no customers.';
COMMENT ON COLUMN ab_comparison.lift IS 'Rate minus the control''s rate, -1 to 1, rounded to 6 decimals.';
COMMENT ON COLUMN ab_comparison.lift_low IS 'Lower bound of its 95 % interval (Newcombe 1998, method 10), rounded to 6 decimals.';
COMMENT ON COLUMN ab_comparison.lift_high IS 'Upper bound of its 95 % interval (Newcombe 1998, method 10), rounded to 6 decimals.';
COMMENT ON COLUMN ab_comparison.relative_lift IS 'lift by the control''s rate, rounded to 6 decimals; NULL where that is 0.';
COMMENT ON COLUMN ab_comparison.p_value IS
    'Two-sided probability of a lift at least as great where there is none, rounded to 6 decimals.';
COMMENT ON COLUMN ab_comparison.p_method IS
    'fisher (exact test) where fewer than 5 are expected in a cell of the table, otherwise z (two-proportion test, pooled).';
COMMENT ON COLUMN ab_comparison.revenue_lift IS 'Revenue per head minus the control''s, rounded to 6 decimals.';
COMMENT ON COLUMN ab_comparison.revenue_lift_low IS
    'Lower bound of its 95 % interval (Welch), rounded to 6 decimals; NULL with fewer than two customers in a group.';
COMMENT ON COLUMN ab_comparison.revenue_lift_high IS
    'Upper bound of its 95 % interval (Welch), rounded to 6 decimals; NULL with fewer than two customers in a group.';
COMMENT ON COLUMN ab_comparison.verdict IS 'roll_out, keep_testing or stop: ab_verdicts() lists them.';

CREATE FUNCTION ab_compare(treatment ab_result, control ab_result, planned_customers bigint DEFAULT NULL) RETURNS ab_comparison
    AS 'MODULE_PATHNAME', 'ab_compare_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
COMMENT ON FUNCTION ab_compare(ab_result, ab_result, bigint) IS
    'A group beside its control: lift with interval and p-value, revenue per head, verdict; planned_customers of each group from ab_sample_size. NULL where a result is.';

COMMENT ON FUNCTION ab_sample_size(double precision, double precision, double precision, double precision) IS
    'Customers needed in each group to find a lift (difference of rates) over base_rate: two-sided, pooled z test (Fleiss 4.14).';
COMMENT ON FUNCTION ab_verdicts() IS
    'All verdicts of ab_compare in order, with English and Japanese labels.';
COMMENT ON FUNCTION ab_factors() IS
    'What a test can change, with its weight in the effect (together 1) and English and Japanese labels.';
