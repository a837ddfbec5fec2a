-- segmentation: predictions

-- What a segmentation says of the future. The model in force stands in the status table, each that was fitted in
-- NAME_models. Nothing of a customer is stored: predictions of everybody change every day, and what they are made of,
-- the histories, is kept in any case. NAME_predictions is a plain view, which asks the model when it is read.

-- What the setting model is: a document, the name of a stored model, or options of a fit.
CREATE FUNCTION _model_source(s segmentation_settings) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $source$
BEGIN
    IF s.model ~ '^\s*\{' THEN
        RETURN CASE WHEN s.model::jsonb ?| '{purchases,status}' THEN 'document' ELSE 'options' END;
    ELSIF s.model IS NOT NULL THEN
        RETURN 'stored';
    END IF;
    RETURN NULL;
END
$source$;
COMMENT ON FUNCTION _model_source(segmentation_settings) IS
    'Part of segmentations: whether the model is a document, a stored one, or options of a fit.';

-- The days before a day on which a fit is tried: as many as are asked for, 30 days apart, each with 90 days of
-- customers before it.
CREATE FUNCTION _backtest_days(s segmentation_settings, on_day date, first_day date) RETURNS date[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $days$
    SELECT ARRAY(SELECT o.day FROM generate_series(0, s.backtests - 1) AS j (number)
                 CROSS JOIN LATERAL (SELECT on_day - 90 - 30 * j.number) AS o (day)
                 WHERE o.day - first_day >= 90 ORDER BY 1)
$days$;
COMMENT ON FUNCTION _backtest_days(segmentation_settings, date, date) IS
    'Part of segmentations: the days on which a fit is tried before it is believed.';

-- Fits a model to the histories as of a day, with its backtests in it, and keeps it.
CREATE FUNCTION _fit_model(s segmentation_settings, on_day date) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $fit$
DECLARE
    histories text := @extschema@._lock_and_check(s, 'histories', 'ACCESS SHARE MODE');
    since timestamptz := clock_timestamp();
    options jsonb := s.model::jsonb;
    fitted @extschema@.purchase_model;
    first_day date;
    backtests @extschema@.model_backtest[];
    customers bigint;
BEGIN
    EXECUTE 'SELECT @extschema@.fit_purchase_model(h.history, $1, $2), '
        || format('min(@extschema@.first_purchase_on(h.history, $1)), count(h.history) FROM %s AS h', histories)
        INTO fitted, first_day, customers USING on_day, options;
    IF customers = 0 THEN
        RETURN;
    END IF;
    IF fitted::jsonb ->> 'status' = 'ok' THEN
        -- What auto chose is what is tried.
        EXECUTE 'SELECT array_agg(b.result ORDER BY b.day) FROM (SELECT o.day, @extschema@.backtest_purchase_model('
            || format('h.history, o.day, o.day + 90, $2) AS result FROM %s AS h', histories)
            || ' CROSS JOIN unnest($1) AS o (day) GROUP BY o.day) AS b'
            INTO backtests USING @extschema@._backtest_days(s, on_day, first_day),
                                 options || jsonb_build_object('model', fitted::jsonb ->> 'model');
        fitted := @extschema@.with_backtests(fitted, coalesce(backtests, '{}'));
    END IF;
    EXECUTE format('INSERT INTO %s AS m VALUES ($1, $2, $3) ON CONFLICT (valid_from, asked) DO UPDATE '
                   'SET model = EXCLUDED.model',
                   @extschema@._lock_and_check(s, 'models', 'ROW EXCLUSIVE MODE'))
        USING on_day, fitted, s.model;
    PERFORM @extschema@._report(s, 'model, ' || (fitted::jsonb ->> 'status'), customers, since);
END
$fit$;
COMMENT ON FUNCTION _fit_model(segmentation_settings, date) IS
    'Part of segmentations: fits a model as of a day, with its backtests, and keeps it.';

-- The model that is in force on a day, without a fit: of those that were fitted the last one that can be used, whatever
-- was asked for; NULL: none.
CREATE FUNCTION _model_on(s segmentation_settings, on_day date) RETURNS purchase_model
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $model$
DECLARE
    found @extschema@.purchase_model;
BEGIN
    CASE @extschema@._model_source(s)
        WHEN 'document' THEN
            RETURN s.model::@extschema@.purchase_model;
        WHEN 'stored' THEN
            RETURN @extschema@.stored_model(s.model, on_day);
        WHEN 'options' THEN
            EXECUTE format('SELECT m.model FROM %s AS m '
                           'WHERE m.valid_from <= $1 AND m.model::jsonb ->> ''status'' = ''ok'' '
                           'ORDER BY m.valid_from DESC, m.asked <> $2 LIMIT 1',
                           @extschema@._lock_and_check(s, 'models', 'ACCESS SHARE MODE'))
                INTO found USING on_day, s.model;
        ELSE
            NULL; -- no predictions are asked for
    END CASE;
    RETURN found;
END
$model$;
COMMENT ON FUNCTION _model_on(segmentation_settings, date) IS
    'Part of segmentations: the model that is in force on a day, as far as models have been fitted.';

-- Writes the model that is in force on a day into the status table, fitted anew where it is time. A fit that was
-- refused is kept and shown, and the model before it stays in force. Returns whether another model is in force now.
CREATE FUNCTION _set_model(s segmentation_settings, on_day date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $set_model$
DECLARE
    in_force @extschema@.purchase_model := @extschema@._model_on(s, on_day);
    last @extschema@.purchase_model := in_force;
    is_young boolean;
    changed boolean;
    models text := @extschema@._relation(s, 'models');
    status text := @extschema@._lock_and_check(s, 'status', 'ROW EXCLUSIVE MODE');
BEGIN
    IF @extschema@._model_source(s) = 'options' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s AS m WHERE m.model OPERATOR(@extschema@.=) $1 AND m.asked = $2 ',
                       models)
            || 'AND m.valid_from <= $3 AND $3 - m.valid_from < $4)'
            INTO is_young USING in_force, s.model, on_day, s.refit_after_days;
        IF NOT is_young THEN
            PERFORM @extschema@._fit_model(s, on_day);
            in_force := @extschema@._model_on(s, on_day);
        END IF;
        EXECUTE format('SELECT m.model FROM %s AS m WHERE m.valid_from <= $1 AND m.asked = $2 ', models)
            || 'ORDER BY m.valid_from DESC LIMIT 1'
            INTO last USING on_day, s.model;
    END IF;
    EXECUTE format('SELECT p.model::text IS DISTINCT FROM $1::text FROM %s AS p', status) INTO changed USING in_force;
    EXECUTE format('UPDATE %s SET model = $1, model_as_of = $2, model_status = $3, model_findings = $4 ', status)
        || 'WHERE model::text IS DISTINCT FROM $1::text OR model_status IS DISTINCT FROM $3 '
        || 'OR model_findings IS DISTINCT FROM $4'
        USING in_force, (in_force::jsonb ->> 'as_of')::date, last::jsonb ->> 'status', last::jsonb -> 'findings';
    RETURN changed;
END
$set_model$;
COMMENT ON FUNCTION _set_model(segmentation_settings, date) IS
    'Part of segmentations: writes down the model that is in force on a day, fitted anew where it is time.';

CREATE FUNCTION _create_models(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $models$
BEGIN
    IF s.model IS NOT NULL AND to_regclass(@extschema@._relation(s, 'models')) IS NULL THEN
        EXECUTE format('CREATE TABLE %s (valid_from date, model @extschema@.purchase_model NOT NULL, asked text, '
                       'PRIMARY KEY (valid_from, asked))', @extschema@._relation(s, 'models'));
    END IF;
END
$models$;
COMMENT ON FUNCTION _create_models(segmentation_settings) IS
    'Part of segmentations: makes the table of models that were fitted.';

-- What can be said of the settings of predictions before the orders are read.
CREATE FUNCTION _refuse_model(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $refuse$
DECLARE
    wrong text := CASE
        WHEN s.refit_after_days NOT BETWEEN 1 AND 3650 THEN format('refit_after_days is %s', s.refit_after_days)
        WHEN s.backtests NOT BETWEEN 0 AND 24 THEN format('backtests is %s', s.backtests)
        WHEN s.value_days NOT BETWEEN 1 AND 3650 THEN format('value_days is %s', s.value_days)
        WHEN (s.annual_discount_rate BETWEEN 0 AND 10) IS NOT TRUE
            THEN format('annual_discount_rate is %s', s.annual_discount_rate) END;
BEGIN
    IF wrong IS NOT NULL THEN
        PERFORM @extschema@._refuse(wrong, 'Days are 1 to 3650, backtests 0 to 24; a rate of 5 % is 0.05.');
    END IF;
    CASE @extschema@._model_source(s)
        WHEN 'document' THEN
            PERFORM @extschema@.require_model(s.model::@extschema@.purchase_model);
        WHEN 'stored' THEN
            PERFORM @extschema@.stored_model(s.model, @extschema@._today(s, NULL::date));
        WHEN 'options' THEN
            -- An error where there is no such option.
            PERFORM @extschema@.fit_purchase_model(
                NULL::@extschema@.purchase_history, date '2000-01-01', s.model::jsonb);
        ELSE
            IF 'forecast' = ANY (s.views) THEN
                PERFORM @extschema@._refuse('views has forecast, but there is no model',
                                            'model => ''{}'' fits one.');
            END IF;
    END CASE;
END
$refuse$;
COMMENT ON FUNCTION _refuse_model(segmentation_settings) IS
    'Part of segmentations: an error where a model, or numbers of its predictions, cannot be meant.';

-- A plain view: see above.
CREATE FUNCTION _predictions_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $predictions$
    SELECT format(
$sql$SELECT %1$s, p.as_of, x.p_alive, x.churn_band, %2$s AS churn_label,
       x.purchase_probability AS purchase_probability_90d, x.expected_purchases AS expected_purchases_90d,
       x.purchases_low AS purchases_low_90d, x.purchases_high AS purchases_high_90d, x.expected_spend,
       x.expected_value AS clv_%3$sd, x.next_purchase_on, x.alive_until
FROM %4$s AS h
CROSS JOIN %5$s
CROSS JOIN LATERAL @extschema@.predict_customer(
    h.history, p.as_of, p.model, 90, %3$s, %6$s::pg_catalog.float8
) AS x
WHERE @extschema@.orders(h.history, p.as_of) > 0$sql$,
        @extschema@._key_list(s, 'h'), @extschema@._label('churn_band', 'x.churn_band'), s.value_days,
        @extschema@._relation(s, 'histories'), @extschema@._status_row(s, 'as_of', 'lang', 'model'),
        s.annual_discount_rate)
$predictions$;
COMMENT ON FUNCTION _predictions_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of what each customer is expected to do.';

-- Each customer counts in her state, and once more in the row of all: Citus knows no GROUPING SETS.
CREATE FUNCTION _forecast_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $forecast$
    SELECT format(
$sql$SELECT %7$sf.lifecycle_state, %2$s AS lifecycle_label, f.lifecycle_order,
       p.as_of + 1 AS from_day, p.as_of + 90 AS to_day, (f.forecast).*
FROM (
    SELECT %1$sg.lifecycle_state, g.lifecycle_order,
           @extschema@.forecast_purchases(h.history, p.as_of, 90, p.model) AS forecast
    FROM %3$s AS c
    JOIN %4$s AS h ON %5$s
    CROSS JOIN %6$s
    CROSS JOIN LATERAL (
        VALUES (c.lifecycle_state, c.lifecycle_order), ('', 0)
    ) AS g (lifecycle_state, lifecycle_order)
    GROUP BY %1$sg.lifecycle_state, g.lifecycle_order
) AS f
CROSS JOIN %6$s
WHERE (f.forecast).customers > 0$sql$,
        @extschema@._dimensions(s, 'c', false), @extschema@._label('lifecycle_state', 'f.lifecycle_state'),
        @extschema@._relation(s, 'customers'), @extschema@._relation(s, 'histories'),
        @extschema@._same_key(s, 'c', 'h'), @extschema@._status_row(s, 'as_of', 'lang', 'model'),
        @extschema@._dimensions(s, 'f', false))
$forecast$;
COMMENT ON FUNCTION _forecast_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of what is expected of all customers, by lifecycle state and together.';
