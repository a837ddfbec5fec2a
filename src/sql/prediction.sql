-- models of purchases: fits, backtests, forecasts, predictions

CREATE TYPE model_backtest AS (
    fit_on date,
    until date,
    days integer,
    model text,
    status text,
    alive text,
    customers bigint,
    actual_purchases bigint,
    predicted_purchases numeric,
    ratio numeric,
    mae numeric,
    rmse numeric,
    correlation numeric,
    gini numeric,
    gini_best numeric,
    top_decile_share numeric,
    top_decile_best numeric,
    actual_buyers bigint,
    predicted_buyers numeric,
    brier numeric,
    actual_value numeric,
    predicted_value numeric,
    value_ratio numeric,
    value_mae numeric,
    new_customers bigint,
    new_customer_purchases bigint
);
COMMENT ON TYPE model_backtest IS
    'How good a model fitted on a past day would have been, against what came after; numbers have 6 decimals.';
COMMENT ON COLUMN model_backtest.fit_on IS 'The last day the fit saw.';
COMMENT ON COLUMN model_backtest.until IS 'The last day compared.';
COMMENT ON COLUMN model_backtest.days IS 'Days between them.';
COMMENT ON COLUMN model_backtest.model IS 'mbgnbd, bgnbd or paretonbd.';
COMMENT ON COLUMN model_backtest.status IS 'ok or refused: predictions of a refused model are NULL.';
COMMENT ON COLUMN model_backtest.alive IS
    'identified or not_identified: whether P(alive) can be told; NULL where nothing was fitted.';
COMMENT ON COLUMN model_backtest.customers IS 'Customers scored: those with a purchase up to fit_on.';
COMMENT ON COLUMN model_backtest.actual_purchases IS 'Their purchase days after fit_on, up to until.';
COMMENT ON COLUMN model_backtest.predicted_purchases IS 'How many were expected.';
COMMENT ON COLUMN model_backtest.ratio IS 'Predicted over actual purchases; NULL where there were none.';
COMMENT ON COLUMN model_backtest.mae IS 'Mean absolute error of the purchase days of a customer.';
COMMENT ON COLUMN model_backtest.rmse IS 'Root of the mean square error of the purchase days of a customer.';
COMMENT ON COLUMN model_backtest.correlation IS
    'Pearson correlation of predicted and actual purchase days; NULL where one is the same for all.';
COMMENT ON COLUMN model_backtest.gini IS
    'Of the concentration curve of purchases, customers by descending prediction: 2 times the area, minus 1.';
COMMENT ON COLUMN model_backtest.gini_best IS 'The same by descending actual purchases: the best that is possible.';
COMMENT ON COLUMN model_backtest.top_decile_share IS
    'Share of all purchases made by the tenth of the customers with the highest prediction, 0 to 1.';
COMMENT ON COLUMN model_backtest.top_decile_best IS 'The best that is possible.';
COMMENT ON COLUMN model_backtest.actual_buyers IS 'Customers who bought after fit_on.';
COMMENT ON COLUMN model_backtest.predicted_buyers IS 'How many were expected: the sum of the purchase probabilities.';
COMMENT ON COLUMN model_backtest.brier IS 'Mean square error of the purchase probability, 0 to 1; less is better.';
COMMENT ON COLUMN model_backtest.actual_value IS
    'What was spent after fit_on, in currency units; refunds count as in the model.';
COMMENT ON COLUMN model_backtest.predicted_value IS 'What was expected, undiscounted, in currency units.';
COMMENT ON COLUMN model_backtest.value_ratio IS 'Predicted over actual value; NULL where nothing was spent.';
COMMENT ON COLUMN model_backtest.value_mae IS 'Mean absolute error of the value of a customer, in currency units.';
COMMENT ON COLUMN model_backtest.new_customers IS
    'Customers who first bought after fit_on: no model here predicts them.';
COMMENT ON COLUMN model_backtest.new_customer_purchases IS 'Their purchase days.';

CREATE TYPE purchase_forecast AS (
    customers bigint,
    expected_buyers numeric,
    expected_purchases numeric,
    purchases_low numeric,
    purchases_high numeric,
    expected_value numeric,
    value_low numeric,
    value_high numeric
);
COMMENT ON TYPE purchase_forecast IS
    'What a group of customers is expected to do, with 95 % bounds from the backtests of the model, or none.';
COMMENT ON COLUMN purchase_forecast.customers IS 'Customers with a purchase; prospects do not count.';
COMMENT ON COLUMN purchase_forecast.expected_buyers IS 'How many of them will buy.';
COMMENT ON COLUMN purchase_forecast.expected_purchases IS 'Expected purchase days.';
COMMENT ON COLUMN purchase_forecast.purchases_low IS
    'Lower bound; NULL without backtests of half to twice as many days.';
COMMENT ON COLUMN purchase_forecast.purchases_high IS
    'Upper bound; NULL without backtests of half to twice as many days.';
COMMENT ON COLUMN purchase_forecast.expected_value IS
    'Expected discounted spend in currency units; refunds count as in the model.';
COMMENT ON COLUMN purchase_forecast.value_low IS 'Lower bound; NULL without backtests of half to twice as many days.';
COMMENT ON COLUMN purchase_forecast.value_high IS
    'Upper bound; NULL without backtests of half to twice as many days.';

CREATE TYPE purchases_interval AS (
    low bigint,
    high bigint
);
COMMENT ON TYPE purchases_interval IS
    'A central interval of a number of purchase days.';
COMMENT ON COLUMN purchases_interval.low IS 'The lower end.';
COMMENT ON COLUMN purchases_interval.high IS 'The upper end.';

CREATE TYPE value_interval AS (
    low numeric,
    median numeric,
    high numeric
);
COMMENT ON TYPE value_interval IS
    'A central interval of what somebody spends, with its median.';
COMMENT ON COLUMN value_interval.low IS 'The lower end, in currency units.';
COMMENT ON COLUMN value_interval.median IS 'One half lies above.';
COMMENT ON COLUMN value_interval.high IS 'The upper end.';

CREATE TYPE customer_prediction AS (
    p_alive numeric,
    purchase_probability numeric,
    churn_band text,
    expected_purchases numeric,
    purchases_low bigint,
    purchases_high bigint,
    expected_spend numeric,
    expected_value numeric,
    next_purchase_on date,
    alive_until date
);
COMMENT ON TYPE customer_prediction IS
    'What a model expects of one customer; numbers are rounded to 6 decimals.';
COMMENT ON COLUMN customer_prediction.p_alive IS
    'The chance that she buys again some day, 0 to 1; NULL where the data cannot tell it.';
COMMENT ON COLUMN customer_prediction.purchase_probability IS
    'The chance of at least one purchase in the next days, 0 to 1.';
COMMENT ON COLUMN customer_prediction.churn_band IS
    'low, medium or high, by the purchase probability: churn_bands() lists them.';
COMMENT ON COLUMN customer_prediction.expected_purchases IS 'Expected purchase days in the next days.';
COMMENT ON COLUMN customer_prediction.purchases_low IS 'Lower end of the 95 % interval of their number.';
COMMENT ON COLUMN customer_prediction.purchases_high IS 'Upper end of the 95 % interval of their number.';
COMMENT ON COLUMN customer_prediction.expected_spend IS 'Expected amount of a purchase day, in currency units.';
COMMENT ON COLUMN customer_prediction.expected_value IS
    'Customer lifetime value: expected discounted spend of the next value_days, in currency units.';
COMMENT ON COLUMN customer_prediction.next_purchase_on IS
    'The day by which she will have bought with a chance of one half; NULL where never, or in over ten years.';
COMMENT ON COLUMN customer_prediction.alive_until IS
    'The last day on which P(alive) is one half or more if she buys nothing.';

-- Aggregates. SSPACE: different customers of a middling shop; a forecast is sums.

CREATE FUNCTION _collect_for_fit(internal, history purchase_history, as_of date) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_for_fit_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _collect_for_fit(internal, history purchase_history, as_of date, options jsonb) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_for_fit_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _collect_for_backtest(internal, history purchase_history, fit_on date, until date) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_for_backtest_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _collect_for_backtest(internal, history purchase_history, fit_on date, until date, options jsonb)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_for_backtest_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _combine_fits(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'combine_fits_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _serialize_fit(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'serialize_fit_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _deserialize_fit(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'deserialize_fit_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_fit(internal) RETURNS purchase_model
    AS 'MODULE_PATHNAME', 'finish_fit_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100000;
CREATE FUNCTION _finish_backtest(internal) RETURNS model_backtest
    AS 'MODULE_PATHNAME', 'finish_backtest_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100000;
CREATE FUNCTION _collect_forecast(internal, history purchase_history, as_of date, days integer, model purchase_model)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_forecast_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;
CREATE FUNCTION _collect_forecast(
    internal, history purchase_history, as_of date, days integer, model purchase_model,
    annual_discount_rate double precision
) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_forecast_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;
CREATE FUNCTION _combine_forecasts(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'combine_forecasts_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _serialize_forecast(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'serialize_forecast_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _deserialize_forecast(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'deserialize_forecast_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_forecast(internal) RETURNS purchase_forecast
    AS 'MODULE_PATHNAME', 'finish_forecast_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100;

CREATE AGGREGATE fit_purchase_model(history purchase_history, as_of date) (
    SFUNC = _collect_for_fit, STYPE = internal, SSPACE = 1000000, FINALFUNC = _finish_fit,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_fits, SERIALFUNC = _serialize_fit,
    DESERIALFUNC = _deserialize_fit, PARALLEL = SAFE
);
CREATE AGGREGATE fit_purchase_model(history purchase_history, as_of date, options jsonb) (
    SFUNC = _collect_for_fit, STYPE = internal, SSPACE = 1000000, FINALFUNC = _finish_fit,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_fits, SERIALFUNC = _serialize_fit,
    DESERIALFUNC = _deserialize_fit, PARALLEL = SAFE
);
CREATE AGGREGATE backtest_purchase_model(history purchase_history, fit_on date, until date) (
    SFUNC = _collect_for_backtest, STYPE = internal, SSPACE = 1000000, FINALFUNC = _finish_backtest,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_fits, SERIALFUNC = _serialize_fit,
    DESERIALFUNC = _deserialize_fit, PARALLEL = SAFE
);
CREATE AGGREGATE backtest_purchase_model(history purchase_history, fit_on date, until date, options jsonb) (
    SFUNC = _collect_for_backtest, STYPE = internal, SSPACE = 1000000, FINALFUNC = _finish_backtest,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_fits, SERIALFUNC = _serialize_fit,
    DESERIALFUNC = _deserialize_fit, PARALLEL = SAFE
);
CREATE AGGREGATE forecast_purchases(history purchase_history, as_of date, days integer, model purchase_model) (
    SFUNC = _collect_forecast, STYPE = internal, SSPACE = 512, FINALFUNC = _finish_forecast,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_forecasts, SERIALFUNC = _serialize_forecast,
    DESERIALFUNC = _deserialize_forecast, PARALLEL = SAFE
);
CREATE AGGREGATE forecast_purchases(
    history purchase_history, as_of date, days integer, model purchase_model,
    annual_discount_rate double precision
) (
    SFUNC = _collect_forecast, STYPE = internal, SSPACE = 512, FINALFUNC = _finish_forecast,
    FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = _combine_forecasts, SERIALFUNC = _serialize_forecast,
    DESERIALFUNC = _deserialize_forecast, PARALLEL = SAFE
);

COMMENT ON AGGREGATE fit_purchase_model(purchase_history, date) IS
    'An MBG/NBD model of purchases and a Gamma-Gamma model of spend, fitted to all customers'' histories up to as_of.';
COMMENT ON AGGREGATE fit_purchase_model(purchase_history, date, jsonb) IS
    'A model of purchases and spend fitted to all histories up to as_of; options: model, spend, refunds, ...';
COMMENT ON AGGREGATE backtest_purchase_model(purchase_history, date, date) IS
    'Fits with what was known on fit_on, and compares each customer''s prediction with what came until the last day.';
COMMENT ON AGGREGATE backtest_purchase_model(purchase_history, date, date, jsonb) IS
    'Fits with what was known on fit_on, compares with what came until the last day; options as of a fit.';
COMMENT ON AGGREGATE forecast_purchases(purchase_history, date, integer, purchase_model) IS
    'What a group of customers is expected to do in the next days, with bounds from the model''s backtests or none.';
COMMENT ON AGGREGATE forecast_purchases(purchase_history, date, integer, purchase_model, double precision) IS
    'What a group of customers is expected to do in the next days; values are discounted, 0.1 is 10 % a year.';
COMMENT ON FUNCTION _collect_for_fit(internal, purchase_history, date) IS
    'Part of the aggregate fit_purchase_model: takes a customer.';
COMMENT ON FUNCTION _collect_for_fit(internal, purchase_history, date, jsonb) IS
    'Part of the aggregate fit_purchase_model: takes a customer.';
COMMENT ON FUNCTION _collect_for_backtest(internal, purchase_history, date, date) IS
    'Part of the aggregate backtest_purchase_model: takes a customer.';
COMMENT ON FUNCTION _collect_for_backtest(internal, purchase_history, date, date, jsonb) IS
    'Part of the aggregate backtest_purchase_model: takes a customer.';
COMMENT ON FUNCTION _combine_fits(internal, internal) IS
    'Part of the aggregates fit_purchase_model and backtest_purchase_model: adds what another worker saw.';
COMMENT ON FUNCTION _serialize_fit(internal) IS
    'Part of the aggregates fit_purchase_model and backtest_purchase_model: the state as bytes.';
COMMENT ON FUNCTION _deserialize_fit(bytea, internal) IS
    'Part of the aggregates fit_purchase_model and backtest_purchase_model: the state again.';
COMMENT ON FUNCTION _finish_fit(internal) IS 'Part of the aggregate fit_purchase_model: the result.';
COMMENT ON FUNCTION _finish_backtest(internal) IS 'Part of the aggregate backtest_purchase_model: the result.';
COMMENT ON FUNCTION _collect_forecast(internal, purchase_history, date, integer, purchase_model) IS
    'Part of the aggregate forecast_purchases: takes a customer.';
COMMENT ON FUNCTION _collect_forecast(internal, purchase_history, date, integer, purchase_model, double precision) IS
    'Part of the aggregate forecast_purchases: takes a customer.';
COMMENT ON FUNCTION _combine_forecasts(internal, internal) IS
    'Part of the aggregate forecast_purchases: adds what another worker added up.';
COMMENT ON FUNCTION _serialize_forecast(internal) IS 'Part of the aggregate forecast_purchases: the state as bytes.';
COMMENT ON FUNCTION _deserialize_forecast(bytea, internal) IS
    'Part of the aggregate forecast_purchases: the state again.';
COMMENT ON FUNCTION _finish_forecast(internal) IS 'Part of the aggregate forecast_purchases: the result.';

-- Functions that return a row.

CREATE FUNCTION purchases_interval(
    history purchase_history, as_of date, days integer, model purchase_model, level double precision DEFAULT 0.95
) RETURNS purchases_interval
    AS 'MODULE_PATHNAME', 'purchases_interval_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION value_interval(
    history purchase_history, as_of date, days integer, model purchase_model, level double precision DEFAULT 0.95
) RETURNS value_interval
    AS 'MODULE_PATHNAME', 'value_interval_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10000;
CREATE FUNCTION predict_customer(
    history purchase_history, as_of date, model purchase_model, days integer DEFAULT 90, value_days integer DEFAULT 365,
    annual_discount_rate double precision DEFAULT 0.1
) RETURNS customer_prediction
    AS 'MODULE_PATHNAME', 'predict_customer_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 2000;
CREATE FUNCTION with_backtests(model purchase_model, backtests model_backtest[]) RETURNS purchase_model
    AS 'MODULE_PATHNAME', 'with_backtests_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1000;

COMMENT ON FUNCTION purchases_interval(purchase_history, date, integer, purchase_model, double precision) IS
    'The central interval of the number of purchase days in the next days, exact for the parameters of the model.';
COMMENT ON FUNCTION value_interval(purchase_history, date, integer, purchase_model, double precision) IS
    'The central interval and the median of the spend in the next days, undiscounted, before refunds.';
COMMENT ON FUNCTION predict_customer(purchase_history, date, purchase_model, integer, integer, double precision) IS
    'Everything a model expects of one customer, as one row; NULL for a prospect.';
COMMENT ON FUNCTION with_backtests(purchase_model, model_backtest[]) IS
    'The model with the backtests it is judged by, which give totals their bounds; refused and NULL ones are left out.';

-- What stands in Rust.

COMMENT ON FUNCTION p_alive(purchase_history, date, purchase_model) IS
    'The chance that a customer buys again some day, 0 to 1; NULL for a prospect, and where the data cannot tell it.';
COMMENT ON FUNCTION p_alive(integer, integer, integer, purchase_model) IS
    'The chance that a customer buys again some day, from purchase_days, span_days and tenure_days.';
COMMENT ON FUNCTION expected_purchases(purchase_history, date, integer, purchase_model) IS
    'Expected purchase days in the days as_of + 1 to as_of + days.';
COMMENT ON FUNCTION expected_purchases(integer, integer, integer, integer, purchase_model) IS
    'Expected purchase days in the next days, from purchase_days, span_days and tenure_days.';
COMMENT ON FUNCTION purchase_probability(purchase_history, date, integer, purchase_model) IS
    'The chance of at least one purchase in the days as_of + 1 to as_of + days, 0 to 1.';
COMMENT ON FUNCTION purchase_probability(integer, integer, integer, integer, purchase_model) IS
    'The chance of at least one purchase in the next days, from purchase_days, span_days and tenure_days.';
COMMENT ON FUNCTION expected_spend(purchase_history, date, purchase_model) IS
    'Expected amount of a purchase day, in currency units; NULL where the model of spend is refused.';
COMMENT ON FUNCTION expected_spend(integer, numeric, purchase_model) IS
    'Expected amount of a purchase day, from purchases and their amount as the model counts them (key spend.counts).';
COMMENT ON FUNCTION customer_lifetime_value(purchase_history, date, integer, double precision, purchase_model) IS
    'Expected discounted spend of the next days, in currency units; a rate of 0.1 is 10 % a year.';
COMMENT ON FUNCTION customer_lifetime_value(
    integer, integer, integer, numeric, integer, double precision, purchase_model
) IS
    'Expected discounted spend of the next days, from plain numbers; the amount as the model counts it.';
COMMENT ON FUNCTION next_purchase_on(purchase_history, date, purchase_model, double precision) IS
    'The first day by which a customer will have bought with that probability; NULL if not within ten years.';
COMMENT ON FUNCTION alive_until(purchase_history, date, purchase_model, double precision) IS
    'The last day on which P(alive) is at least the threshold if she buys nothing; NULL if not within ten years.';
COMMENT ON FUNCTION explain_prediction(purchase_history, date, purchase_model, integer) IS
    'The inputs of a prediction, what the model makes of them, each result and what was found, for jsonb_pretty.';
COMMENT ON FUNCTION churn_band(numeric) IS
    'low from a purchase probability of two thirds, medium from one third, else high.';
COMMENT ON FUNCTION churn_bands() IS 'All churn bands in order, with English and Japanese labels.';
COMMENT ON FUNCTION check_model(purchase_model) IS
    'What was found when the model was fitted: rows (severity, path, message); an error refuses what its path names.';
COMMENT ON FUNCTION require_model(purchase_model) IS
    'The model itself; an error with its findings where it is refused.';
