-- kpi

CREATE TYPE rate_estimate AS (
    numerator bigint,
    denominator bigint,
    rate numeric,
    rate_low numeric,
    rate_high numeric
);
COMMENT ON TYPE rate_estimate IS
    'How many of how many, as a rate with its 95 % interval (Wilson); all NULL but the denominator where that is 0.';
COMMENT ON COLUMN rate_estimate.numerator IS 'How many did; NULL where the denominator is 0.';
COMMENT ON COLUMN rate_estimate.denominator IS 'How many could be judged.';
COMMENT ON COLUMN rate_estimate.rate IS 'numerator / denominator, 0 to 1, rounded to 6 decimals.';
COMMENT ON COLUMN rate_estimate.rate_low IS 'Lower bound of the 95 % interval, rounded to 6 decimals.';
COMMENT ON COLUMN rate_estimate.rate_high IS 'Upper bound of the 95 % interval, rounded to 6 decimals.';

CREATE FUNCTION wilson_interval(numerator bigint, denominator bigint) RETURNS rate_estimate
    AS 'MODULE_PATHNAME', 'wilson_interval_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION wilson_interval(bigint, bigint) IS
    'The rate numerator / denominator with its 95 % interval: the score interval of Wilson (1927), no continuity correction.';

-- The state is the one of avg(integer): how many, and their sum, so that PostgreSQL's own function combines and checks it.
-- It counts by a function of ours: one of LANGUAGE internal under a new name is looked up by that name, which Citus makes
-- each row do.
CREATE FUNCTION _count_answer(bigint[], answer boolean) RETURNS bigint[]
    AS 'MODULE_PATHNAME', 'count_answer_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_proportion(bigint[]) RETURNS rate_estimate
    AS 'MODULE_PATHNAME', 'finish_proportion_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5;
CREATE AGGREGATE proportion(answer boolean) (
    SFUNC = _count_answer, STYPE = bigint[], INITCOND = '{0,0}', FINALFUNC = _finish_proportion,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = pg_catalog.int4_avg_combine, PARALLEL = SAFE
);
COMMENT ON FUNCTION _count_answer(bigint[], boolean) IS 'Part of the aggregate proportion: takes an answer.';
COMMENT ON FUNCTION _finish_proportion(bigint[]) IS 'Part of the aggregate proportion: makes its row.';
COMMENT ON AGGREGATE proportion(boolean) IS
    'How many of the answers are yes, as a rate with its 95 % interval (Wilson); NULL counts in no denominator.';

COMMENT ON FUNCTION reached_purchase(purchase_history, integer, date) IS
    'Has the nth purchase day been made up to as_of? NULL where not even the one before it was; nth from 1.';
COMMENT ON FUNCTION reached_purchase_within(purchase_history, integer, integer, date) IS
    'Was the nth purchase day at most so many days after the one before it? NULL where that is missing, or the days are not over on as_of; nth from 2.';
COMMENT ON FUNCTION retained_in_month(purchase_history, integer, date) IS
    'A purchase in the calendar month so many months after that of the first purchase? NULL while it is not over on as_of.';
COMMENT ON FUNCTION bought_between(purchase_history, date, date, date) IS
    'A purchase from from_day to to_day, both included? NULL while to_day is after as_of.';
COMMENT ON FUNCTION orders_between(purchase_history, date, date) IS
    'Number of purchases from from_day to to_day, both included.';
COMMENT ON FUNCTION revenue_between(purchase_history, date, date) IS
    'Sum of all amounts from from_day to to_day, both included, in currency units, refunds included; 0 without rows.';
COMMENT ON FUNCTION purchases_by_month(purchase_history, date) IS
    'The calendar months up to as_of in which something happened, from that of the first purchase on, with orders and revenue.';
COMMENT ON FUNCTION customer_months(
    purchase_history, integer, date, segment_policy, engagement_history, text, membership_history
) IS
    'What one customer did in the calendar month of as_of, up to that day, and in the months before it, with the state before and after.';
COMMENT ON FUNCTION kpis() IS
    'The KPIs of NAME_kpis in order: what they are measured in, how targets are judged, labels and meaning in English and Japanese.';
