//! Models as SQL sees them: fitted, asked, checked, stored; the same whatever the order of rows, the plan and the workers.

use serde_json::{Value, json};

use super::shops::{assert_near, number, reference};
use crate::common::*;

/// A model as a paper gives it, with spend.
const BY_HAND: &str = r#"{"model": "mbgnbd", "purchases": {"r": 0.5248431591, "alpha": 43.28159696, "a": 0.8913593907, "b": 1.61400224},
                          "spend": {"p": 6.249572271, "q": 3.744224667, "v": 15.44352096, "counts": "repeat"}}"#;

/// The sample of CDNOW as histories, one row a customer, and the three models fitted to it.
fn cdnow(name: &str) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = database.client();
    batch(&mut client, "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric)");
    database.copy_csv("orders", &file("sql/demo/cdnow_sample.csv"));
    batch(
        &mut client,
        "CREATE TABLE histories AS
         SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY customer_id;
         CREATE TABLE models AS
         SELECT name, fit_purchase_model(h, '1997-09-30', jsonb_build_object('model', name)) AS model
         FROM histories, unnest(ARRAY['mbgnbd', 'bgnbd', 'paretonbd']) AS name GROUP BY name;
         ANALYZE",
    );
    (database, client)
}

fn json_of(client: &mut Client, sql: &str) -> Value {
    serde_json::from_str(&text(client, sql)).unwrap_or_else(|error| panic!("{error}: {sql}"))
}

#[test]
fn fits_are_those_of_the_reference() {
    let Some(reference) = reference() else { return };
    let (_database, mut client) = cdnow("model_fits");
    let fits = &reference["fits"]["cdnow_sample 1997-09-30"];
    for (model, names) in [
        ("mbgnbd", ["r", "alpha", "a", "b"]),
        ("bgnbd", ["r", "alpha", "a", "b"]),
        ("paretonbd", ["r", "alpha", "s", "beta"]),
    ] {
        let found = json_of(&mut client, &format!("SELECT model::text FROM models WHERE name = '{model}'"));
        let expected = &fits[model];
        for name in names {
            assert_near(number(&found["purchases"][name]), number(&expected["params_days"][name]), 1e-5, model);
            assert_near(
                number(&found["fit"]["standard_errors"][name]),
                number(&expected["se_days"][name]),
                1e-3,
                model,
            );
        }
        assert!((number(&found["fit"]["log_likelihood"]) - number(&expected["ll_days"])).abs() < 1e-4, "{model}");
        assert_eq!((&found["status"], &found["alive"]), (&json!("ok"), &json!("identified")), "{model}");
        assert_eq!((&found["customers"], &found["repeaters"]), (&json!(2357), &json!(946)), "{model}");
        let spend = &fits["gammagamma_all"];
        for name in ["p", "q", "v"] {
            assert_near(number(&found["spend"][name]), number(&spend["params"][name]), 1e-5, model);
        }
    }
}

/// The parameters of the reference as documents, one a data set, a model and a way to count spend.
fn documents(reference: &Value) -> Vec<(String, String, String, Value)> {
    let mut documents = Vec::new();
    for (set, fits) in reference["fits"].as_object().unwrap() {
        for model in ["mbgnbd", "bgnbd", "paretonbd"] {
            let mut purchases = fits[model]["params_days"].clone();
            let third = if model == "paretonbd" { ["s", "beta"] } else { ["a", "b"] };
            if purchases.get(third[0]).is_none() {
                (purchases[third[0]], purchases[third[1]]) = (json!(0), json!(1));
            }
            for counts in ["repeat", "all"] {
                let mut spend = fits[format!("gammagamma_{counts}")]["params"].clone();
                if spend.is_object() {
                    spend["counts"] = json!(counts);
                    let document = json!({"model": model, "purchases": purchases, "spend": spend});
                    documents.push((set.clone(), model.to_owned(), counts.to_owned(), document));
                }
            }
        }
    }
    documents
}

#[test]
fn customers_of_the_reference_are_met_by_plain_numbers() {
    let Some(reference) = reference() else { return };
    let database = Database::new("model_customers");
    let mut client = database.client();
    let mut compared = 0;
    for (set, model, counts, document) in documents(&reference) {
        for customer in reference["customers"].as_array().unwrap().iter().filter(|c| c["dataset"] == set.as_str()) {
            let Some(expected) = customer.get(&model) else { continue };
            let amount = &customer[if counts == "all" { "total_amount" } else { "repeat_amount" }];
            let days = customer["purchase_days"].as_i64().unwrap();
            let purchases = if counts == "all" { days } else { days - 1 };
            let timing = format!("{days}, {}, {}", customer["t_x_days"], customer["T_days"]);
            let model_sql = format!("'{document}'::purchase_model");
            for (key, sql) in [
                ("p_alive", format!("p_alive({timing}, {model_sql})")),
                ("E90", format!("expected_purchases({timing}, 90, {model_sql})")),
                ("E365", format!("expected_purchases({timing}, 365, {model_sql})")),
                ("purchase_probability_90", format!("purchase_probability({timing}, 90, {model_sql})")),
                (
                    if counts == "all" { "clv_365_10_all" } else { "clv_365_10_repeat" },
                    format!("customer_lifetime_value({timing}, {amount}, 365, 0.1, {model_sql})"),
                ),
            ] {
                let Some(expected) = expected.get(key).filter(|value| value.is_number()) else { continue };
                let found = one::<Option<f64>>(&mut client, &format!("SELECT {sql}::float8"));
                if key == "p_alive"
                    && document["purchases"].get("a").or(document["purchases"].get("s")) == Some(&json!(0))
                {
                    assert_eq!(found, None, "{sql}");
                    continue;
                }
                let difference = (found.unwrap() - number(expected)).abs();
                assert!(difference <= 5.1e-7, "{sql}: {found:?}, not {expected}");
                compared += 1;
            }
            let spend =
                one::<f64>(&mut client, &format!("SELECT expected_spend({purchases}, {amount}, {model_sql})::float8"));
            assert!((spend - number(&customer[format!("expected_spend_{counts}")])).abs() <= 5.1e-7, "{customer}");
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn customers_of_the_paper_are_met_by_history() {
    let Some(reference) = reference() else { return };
    let (_database, mut client) = cdnow("model_by_history");
    let of_sample = |customer: &&Value| customer["dataset"] == "cdnow_sample 1997-09-30";
    for customer in reference["customers"].as_array().unwrap().iter().filter(of_sample) {
        let row = client
            .query_one(
                "SELECT p.p_alive::float8, p.expected_purchases::float8, p.purchase_probability::float8, p.expected_spend::float8,
                        p.expected_value::float8, p.purchases_low, p.purchases_high, p.next_purchase_on - date '1997-09-30'
                 FROM histories, models, predict_customer(h, '1997-09-30', model) AS p
                 WHERE customer_id = $1 AND name = 'mbgnbd'",
                &[&(customer["customer_id"].as_i64().unwrap() as i32)],
            )
            .unwrap();
        let expected = &customer["mbgnbd"];
        for (place, value) in
            [&expected["p_alive"], &expected["E90"], &expected["purchase_probability_90"]].iter().enumerate()
        {
            let difference = (row.get::<_, f64>(place) - number(value)).abs();
            assert!(difference <= 1e-6, "{customer} {place}: {}", row.get::<_, f64>(place));
        }
        // Within what the tolerance of the parameters leaves of amounts.
        assert_near(row.get(3), number(&customer["expected_spend_all"]), 1e-6, &customer.to_string());
        let value = number(&expected["clv_365_10_all"]);
        assert!((row.get::<_, f64>(4) - value).abs() <= 1e-6 * value.max(1.0), "{customer}");
        if let Some(interval) = expected.get("interval95_90") {
            assert_eq!(json!([row.get::<_, i64>(5), row.get::<_, i64>(6)]), *interval, "{customer}");
        }
        if let Some(days) = expected.get("next_purchase_50_days") {
            let found = row.get::<_, Option<i32>>(7).map(i64::from);
            assert_eq!(found, days.as_i64().filter(|days| *days <= 3650), "{customer}");
        }
    }
}

#[test]
fn histories_and_plain_numbers_answer_the_same() {
    let (_database, mut client) = cdnow("model_numbers");
    let differing = "
        SELECT count(*)
        FROM histories, models, unnest(ARRAY['1997-05-01', '1997-09-30', '1998-06-30']::date[]) AS d,
             LATERAL (SELECT purchase_days(h, d) AS n, span_days(h, d) AS s, tenure_days(h, d) AS t, monetary(h, d) AS m) AS f,
             predict_customer(h, d, model, 90, 365, 0.1) AS p
        WHERE n > 0 AND (p.p_alive, p.expected_purchases, p.purchase_probability, p.expected_spend, p.expected_value)
              IS DISTINCT FROM
              (p_alive(n, s, t, model), expected_purchases(n, s, t, 90, model), purchase_probability(n, s, t, 90, model),
               expected_spend(n, m, model), customer_lifetime_value(n, s, t, m, 365, 0.1, model))";
    assert_eq!(count(&mut client, differing), 0);
    let single = "
        SELECT count(*)
        FROM histories, models, predict_customer(h, '1997-09-30', model, 30, 90, 0.05) AS p,
             purchases_interval(h, '1997-09-30', 30, model) AS i
        WHERE (p.p_alive, p.expected_purchases, p.purchase_probability, p.expected_spend, p.expected_value, p.churn_band,
               p.next_purchase_on, p.alive_until, p.purchases_low, p.purchases_high)
              IS DISTINCT FROM
              (p_alive(h, '1997-09-30', model), expected_purchases(h, '1997-09-30', 30, model),
               purchase_probability(h, '1997-09-30', 30, model), expected_spend(h, '1997-09-30', model),
               customer_lifetime_value(h, '1997-09-30', 90, 0.05, model),
               churn_band(purchase_probability(h, '1997-09-30', 30, model)), next_purchase_on(h, '1997-09-30', model),
               alive_until(h, '1997-09-30', model), i.low, i.high)";
    assert_eq!(count(&mut client, single), 0);
}

/// The last day on which P(alive) holds is the last, and the first by which she buys the first; in six decimals the day
/// beyond can have the limit itself.
#[test]
fn days_are_where_the_chances_turn() {
    let (_database, mut client) = cdnow("model_days");
    let wrong = "
        SELECT count(*)
        FROM histories, models,
             LATERAL (SELECT alive_until(h, '1997-09-30', model, 0.4) AS until,
                             next_purchase_on(h, '1997-09-30', model, 0.4) AS next) AS d
        WHERE customer_id % 5 = 0 AND (
            until > '1997-09-30'
            AND NOT (p_alive(h, until, model) >= 0.4 AND p_alive(h, until + 1, model) <= 0.4)
            OR next IS NOT NULL
            AND NOT (purchase_probability(h, '1997-09-30', next - date '1997-09-30', model) >= 0.4
                     AND (next = '1997-10-01'
                          OR purchase_probability(h, '1997-09-30', next - date '1997-10-01', model) <= 0.4)))";
    // Without what came after that day.
    batch(&mut client, "DELETE FROM orders WHERE ordered_on > '1997-09-30'; TRUNCATE histories;
        INSERT INTO histories SELECT customer_id, purchase_history(ordered_on, amount) FROM orders GROUP BY customer_id");
    assert_eq!(count(&mut client, wrong), 0);
}

#[test]
fn order_plans_and_workers_change_nothing() {
    let (_database, mut client) = cdnow("model_plans");
    let all = |order: &str| {
        format!(
            "SELECT md5(concat_ws(' ', fit_purchase_model(h, '1997-09-30' {order}),
                    fit_purchase_model(h, '1997-12-31', '{{\"model\": \"auto\", \"acquired_from\": \"1997-01-15\"}}' {order}),
                    backtest_purchase_model(h, '1997-09-30', '1998-03-31', '{{\"spend\": \"repeat\"}}' {order}),
                    forecast_purchases(h, '1997-09-30', 90, (SELECT model FROM models WHERE name = 'paretonbd') {order}),
                    forecast_purchases(h, '1997-09-30', 90, (SELECT model FROM models WHERE name = 'bgnbd'), 0.1 {order})))
             FROM histories"
        )
    };
    batch(&mut client, "SET max_parallel_workers_per_gather = 0");
    let expected = text(&mut client, &all(""));
    for order in ["ORDER BY customer_id", "ORDER BY md5(customer_id::text)"] {
        assert_eq!(text(&mut client, &all(order)), expected);
    }
    for workers in [1, 2, 4] {
        batch(
            &mut client,
            &format!(
                "SET max_parallel_workers_per_gather = {workers}; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
                 SET min_parallel_table_scan_size = 0; ALTER TABLE histories SET (parallel_workers = {workers})"
            ),
        );
        let plan = client.query(&format!("EXPLAIN {}", all("")), &[]).expect("a plan");
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains("Partial Aggregate")), "{plan:#?}");
        assert_eq!(text(&mut client, &all("")), expected, "{workers} workers");
    }
    // Merged histories are one history.
    batch(
        &mut client,
        "RESET ALL; TRUNCATE histories;
         INSERT INTO histories SELECT customer_id, rollup(h)
         FROM (SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY customer_id, ordered_on) AS d
         GROUP BY customer_id",
    );
    assert_eq!(text(&mut client, &all("")), expected, "merged");
}

#[test]
fn models_round_trip_and_compare() {
    let (_database, mut client) = cdnow("model_text");
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM models
             WHERE model::text::purchase_model <> model OR model::text::purchase_model::text <> model::text
                   OR model::jsonb::purchase_model <> model OR purchase_model_send(model::text::purchase_model) <> purchase_model_send(model)"
        ),
        0
    );
    assert_eq!(count(&mut client, "SELECT count(DISTINCT model) FROM models"), 3);
    assert_eq!(
        text(
            &mut client,
            r#"SELECT ' { "purchases": {"b": 2.0, "a": 1e0, "alpha": 30, "r": 0.50}, "model": "bgnbd"}'::purchase_model::text"#
        ),
        r#"{"model":"bgnbd","purchases":{"a":1,"alpha":30,"b":2,"r":0.5}}"#
    );
}

#[test]
fn backtests_are_rows_and_give_totals_their_bounds() {
    let Some(reference) = reference() else { return };
    let (_database, mut client) = cdnow("model_backtests");
    let expected = &reference["holdout"]["cdnow_sample 1997-09-30"]["mbgnbd"];
    let row = json_of(
        &mut client,
        "SELECT row_to_json(backtest_purchase_model(h, '1997-09-30', '1998-06-30', '{\"spend\": \"all\"}'))::text FROM histories",
    );
    for (column, key) in [
        ("predicted_purchases", "predicted"),
        ("ratio", "ratio"),
        ("mae", "mae"),
        ("rmse", "rmse"),
        ("gini", "gini"),
        ("gini_best", "gini_best"),
        ("predicted_buyers", "predicted_buyers"),
        ("brier", "brier"),
        ("actual_purchases", "actual"),
        ("actual_buyers", "actual_buyers"),
        ("correlation", "correlation"),
        ("top_decile_share", "top_decile_share"),
        ("top_decile_best", "top_decile_share_best"),
    ] {
        assert_near(number(&row[column]), number(&expected[key]), 2e-5, column);
    }
    assert_eq!(
        (&row["fit_on"], &row["until"], &row["days"]),
        (&json!("1997-09-30"), &json!("1998-06-30"), &json!(273))
    );
    // Rolling origins in one query, as the manual has it.
    batch(
        &mut client,
        "CREATE TABLE rolling AS
         SELECT o::date AS origin, backtest_purchase_model(h, o::date, o::date + 91) AS b
         FROM histories, generate_series('1997-04-30'::timestamp, '1998-03-31', '1 month') AS o GROUP BY o",
    );
    let days: Vec<String> = reference["rolling_origin_91_days_mbgnbd"]["cdnow_sample"]
        .as_array()
        .unwrap()
        .iter()
        .map(|origin| format!("('{}'::date, {})", origin["fit_on"].as_str().unwrap(), origin["ratio"]))
        .collect();
    let differing = format!(
        "WITH expected (origin, ratio) AS (VALUES {}),
              found AS (SELECT backtest_purchase_model(h, origin, origin + 91) AS b, origin FROM histories, expected GROUP BY origin)
         SELECT count(*) FROM expected JOIN found USING (origin) WHERE abs((b).ratio - ratio) <= 2e-5",
        days.join(", ")
    );
    assert_eq!(count(&mut client, &differing), 12);
    batch(
        &mut client,
        "CREATE TABLE judged AS
         SELECT with_backtests((SELECT model FROM models WHERE name = 'mbgnbd'),
                               ARRAY(SELECT b FROM rolling WHERE origin < '1997-07-01' UNION ALL SELECT NULL)) AS model",
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(b ->> 'origin', ' ') FROM judged, jsonb_array_elements(model::jsonb -> 'backtests') AS b"
        ),
        "1997-04-30 1997-05-30 1997-06-30"
    );
    assert_eq!(
        count(&mut client, "SELECT count(*) FROM judged, check_model(model) WHERE message LIKE 'no_backtest%'"),
        0
    );
    // Totals are the sums of the customers', bounds come with backtests.
    let totals = "
        SELECT concat_ws(' ', f.customers = n, abs(f.expected_purchases - e) < 0.002, abs(f.expected_buyers - b) < 0.002,
                         abs(f.expected_value / v - 1) < 0.000001, f.purchases_low < e AND e < f.purchases_high,
                         f.value_low < v AND v < f.value_high)
        FROM (SELECT forecast_purchases(h, '1997-09-30', 90, model, 0.1) AS f, count(*) AS n,
                     sum(expected_purchases(h, '1997-09-30', 90, model)) AS e,
                     sum(purchase_probability(h, '1997-09-30', 90, model)) AS b,
                     sum(customer_lifetime_value(h, '1997-09-30', 90, 0.1, model)) AS v
              FROM histories, {models} GROUP BY model) AS q, LATERAL (SELECT (q.f).*) AS f";
    assert_eq!(text(&mut client, &totals.replace("{models}", "judged")), "t t t t t t");
    assert_eq!(
        text(&mut client, &totals.replace("{models}", "(SELECT model FROM models WHERE name = 'bgnbd') AS m")),
        "t t t t"
    );
}

/// The figures of Fader and Hardie: purchases by number of repeat purchases, a plain query.
#[test]
fn calibration_by_repeat_purchases_is_a_query() {
    let (_database, mut client) = cdnow("model_calibration");
    let found = json_of(
        &mut client,
        "SELECT json_agg(json_build_array(actual, predicted) ORDER BY x)::text
         FROM (SELECT least(purchase_days(h, d) - 1, 7) AS x, avg(purchase_days(h, u) - purchase_days(h, d)) AS actual,
                      avg(expected_purchases(h, d, u - d, model)) AS predicted
               FROM histories, (VALUES (date '1997-09-30', date '1998-06-30')) AS w (d, u), models
               WHERE purchase_days(h, d) > 0 AND name = 'mbgnbd' GROUP BY 1) AS q",
    );
    let expected = [
        [0.2367, 0.1852],
        [0.6970, 0.5514],
        [1.3925, 1.0490],
        [1.5600, 1.4929],
        [2.5323, 2.1043],
        [2.9474, 2.5636],
        [3.8621, 3.3608],
        [6.3594, 5.8485],
    ];
    assert_eq!(found.as_array().unwrap().len(), expected.len());
    for (row, expected) in found.as_array().unwrap().iter().zip(expected) {
        for (place, expected) in expected.into_iter().enumerate() {
            assert!((number(&row[place]) - expected).abs() < 6e-5, "{row}");
        }
    }
}

#[test]
fn what_a_model_refuses_is_null_and_says_why() {
    let (_database, mut client) = cdnow("model_refused");
    batch(
        &mut client,
        "CREATE TABLE refused AS
         SELECT fit_purchase_model(h, '1997-09-30') AS model FROM (SELECT h FROM histories ORDER BY customer_id LIMIT 100) AS few;
         CREATE TABLE nobody_leaves AS
         SELECT jsonb_build_object('model', 'bgnbd', 'purchases', '{\"r\": 0.7, \"alpha\": 63, \"a\": 0, \"b\": 1}'::jsonb)::purchase_model AS model",
    );
    let all = "SELECT concat_ws(' ', p_alive(h, '1997-09-30', model), expected_purchases(h, '1997-09-30', 90, model),
        purchase_probability(h, '1997-09-30', 90, model), expected_spend(h, '1997-09-30', model),
        customer_lifetime_value(h, '1997-09-30', 90, 0.1, model), next_purchase_on(h, '1997-09-30', model),
        alive_until(h, '1997-09-30', model), purchases_interval(h, '1997-09-30', 90, model),
        value_interval(h, '1997-09-30', 90, model), p_alive(3, 213, 272, model), expected_purchases(3, 213, 272, 90, model),
        purchase_probability(3, 213, 272, 90, model), expected_spend(2, 44.69, model),
        customer_lifetime_value(3, 213, 272, 44.69, 365, 0.1, model), predict_customer(h, '1997-09-30', model))
        FROM histories, {model} WHERE customer_id = 4";
    assert_eq!(text(&mut client, &all.replace("{model}", "refused")), "(,,,,,,,,,)");
    let finding = "SELECT string_agg(concat_ws('|', severity, path, message), E'\\n') FROM refused, check_model(model)";
    assert!(text(&mut client, finding).starts_with("error|customers|too_few_customers: 100 customers"));
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT require_model(model) FROM refused");
    assert!(sqlstate == "22023" && message.contains("too_few_customers") && hint.contains("check_model"), "{message}");
    assert_eq!(count(&mut client, "SELECT count(*) FROM models WHERE require_model(model) = model"), 3);
    assert_eq!(
        text(&mut client, "SELECT forecast_purchases(h, '1997-09-30', 90, model)::text FROM histories, refused"),
        "(2357,,,,,,,)"
    );
    // Without dropout there is no P(alive), and purchases are those of customers who stay.
    let answers =
        "SELECT concat_ws(' ', p_alive(h, '1997-09-30', model) IS NULL, alive_until(h, '1997-09-30', model) IS NULL,
        expected_purchases(h, '1997-09-30', 90, model) = round(2.7 * 90 / (63 + 272), 6),
        expected_spend(h, '1997-09-30', model) IS NULL) FROM histories, nobody_leaves WHERE customer_id = 4";
    assert_eq!(text(&mut client, answers), "t t t t");
    // Shops of all kinds give a model with findings, never an error.
    for rows in [
        "SELECT '1'::text, '2024-01-01'::date, 5.0 WHERE false",
        "SELECT i::text, date '2024-01-01' + i % 90, 5.0 FROM generate_series(1, 900) AS i",
        "SELECT i::text, date '2024-01-01' + d, 5.0 FROM generate_series(1, 300) AS i, generate_series(0, 90) AS d",
        "SELECT i::text, date '2024-01-01' + (i * 7919 % 83) + d * (1 + i % 29), 0 FROM generate_series(1, 900) AS i, generate_series(0, 3) AS d",
        "SELECT i::text, date '2024-01-01' + (i * 7919 % 83) + d * (1 + i % 29), NULL FROM generate_series(1, 900) AS i, generate_series(0, 3) AS d",
        "SELECT i::text, date '2024-01-01' + (i * 7919 % 83) + d * (1 + i % 29), -(i % 7) FROM generate_series(1, 900) AS i, generate_series(0, i % 4) AS d",
        "SELECT i::text, date '2024-01-01' + (i * 7919 % 83) + d * (1 + i % 29), 1e30 FROM generate_series(1, 900) AS i, generate_series(0, i % 4) AS d",
    ] {
        for model in ["mbgnbd", "bgnbd", "paretonbd", "auto"] {
            let fit = format!(
                "SELECT fit_purchase_model(h, '2024-06-30', '{{\"model\": \"{model}\"}}')::text
                 FROM (SELECT purchase_history(d, a::numeric) AS h FROM ({rows}) AS r (c, d, a) GROUP BY c) AS histories"
            );
            let document = text(&mut client, &fit);
            assert!(document.is_empty() == rows.contains("false"), "{fit}");
        }
    }
    let nobody = "SELECT (fit_purchase_model(h, '2024-06-30')::jsonb ->> 'status') FROM (VALUES ('{}'::purchase_history), (NULL)) AS p (h)";
    assert_eq!(text(&mut client, nobody), "refused");
}

/// (expression over the histories and a model `m`, SQLSTATE, a part of the message), each with a hint.
const REFUSED: &[(&str, &str, &str)] = &[
    ("expected_purchases(h, '2024-01-01', 0, m)", "22023", "days must be 1 to 3650, not 0"),
    ("expected_purchases(h, '2024-01-01', 3651, m)", "22023", "days must be 1 to 3650, not 3651"),
    ("purchase_probability(h, '2024-01-01', -1, m)", "22023", "days must be 1 to 3650, not -1"),
    ("customer_lifetime_value(h, '2024-01-01', 0, 0.1, m)", "22023", "days must be 1"),
    (
        "customer_lifetime_value(h, '2024-01-01', 90, -0.1, m)",
        "22023",
        "annual_discount_rate must be 0 to 10, not -0.1",
    ),
    ("customer_lifetime_value(h, '2024-01-01', 90, 11, m)", "22023", "annual_discount_rate"),
    ("customer_lifetime_value(h, '2024-01-01', 90, 'NaN', m)", "22023", "annual_discount_rate"),
    ("customer_lifetime_value(h, '2024-01-01', 90, 'Infinity', m)", "22023", "annual_discount_rate"),
    ("predict_customer(h, '2024-01-01', m, 0)", "22023", "days must be 1"),
    ("predict_customer(h, '2024-01-01', m, 90, 3651)", "22023", "value_days must be 1"),
    ("predict_customer(h, '2024-01-01', m, 90, 90, 'NaN')", "22023", "annual_discount_rate"),
    ("next_purchase_on(h, '2024-01-01', m, 0)", "22023", "probability must be above 0 and below 1, not 0"),
    ("next_purchase_on(h, '2024-01-01', m, 1)", "22023", "probability"),
    ("next_purchase_on(h, '2024-01-01', m, 'NaN')", "22023", "probability"),
    ("alive_until(h, '2024-01-01', m, 1)", "22023", "threshold"),
    ("alive_until(h, '2024-01-01', m, -0.5)", "22023", "threshold"),
    ("purchases_interval(h, '2024-01-01', 90, m, 1)", "22023", "level"),
    ("purchases_interval(h, '2024-01-01', 0, m)", "22023", "days"),
    ("value_interval(h, '2024-01-01', 90, m, 0)", "22023", "level"),
    ("explain_prediction(h, '2024-01-01', m, 0)", "22023", "days"),
    ("p_alive(0, 0, 10, m)", "22023", "purchase_days must be at least 1, not 0"),
    ("p_alive(1, 0, -1, m)", "22023", "span_days"),
    ("p_alive(2, 11, 10, m)", "22023", "span_days must lie within 0 and tenure_days, 10, not be 11"),
    ("p_alive(2, 0, 10, m)", "22023", "do not span"),
    ("p_alive(1, 5, 10, m)", "22023", "do not span"),
    ("expected_purchases(0, 0, 10, 90, m)", "22023", "purchase_days"),
    ("purchase_probability(1, 0, 10, 0, m)", "22023", "days"),
    ("customer_lifetime_value(1, 0, 10, 5, 90, 0.1, m)", "22023", "0 purchases do not amount to 5"),
    ("expected_spend(-1, 5, m)", "22023", "-1 purchases"),
    ("expected_spend(0, 5, m)", "22023", "0 purchases do not amount to 5"),
    ("churn_band(1.1)", "22023", "purchase_probability must lie within 0 to 1"),
    ("churn_band(-0.1)", "22023", "purchase_probability must lie within 0 to 1"),
    ("p_alive(h, 'infinity', m)", "22008", "infinity"),
    ("predict_customer(h, '-infinity', m)", "22008", "-infinity"),
    ("fit_purchase_model(h, 'infinity')", "22008", "infinity"),
    ("backtest_purchase_model(h, '2024-01-01', 'infinity')", "22008", "infinity"),
    ("forecast_purchases(h, '-infinity', 90, m)", "22008", "-infinity"),
    (
        "backtest_purchase_model(h, '2024-01-01', '2024-01-01')",
        "22023",
        "until, 2024-01-01, must be 1 to 3650 days after fit_on",
    ),
    ("backtest_purchase_model(h, '2024-01-02', '2024-01-01')", "22023", "until"),
    ("backtest_purchase_model(h, '2024-01-01', '2034-01-01')", "22023", "until"),
    ("forecast_purchases(h, '2024-01-01', 0, m)", "22023", "days must be 1"),
    ("forecast_purchases(h, '2024-01-01', 90, m, 'NaN')", "22023", "annual_discount_rate"),
    ("fit_purchase_model(h, '2024-01-01', '{\"modle\": \"bgnbd\"}')", "22023", "modle"),
    ("fit_purchase_model(h, '2024-01-01', '{\"model\": \"nbd\"}')", "22023", "model"),
    ("fit_purchase_model(h, '2024-01-01', '{\"min_customers\": -1}')", "22023", "min_customers"),
    ("fit_purchase_model(h, '2024-01-01', '{\"acquired_from\": \"soon\"}')", "22023", "acquired_from"),
    ("fit_purchase_model(h, '2024-01-01', '{\"max_spend_correlation\": 2}')", "22023", "max_spend_correlation"),
    ("fit_purchase_model(h, '2024-01-01', '[]')", "22023", "options"),
    ("fit_purchase_model(h, '2024-01-01', 'null')", "22023", "options"),
    ("backtest_purchase_model(h, '2024-01-01', '2024-02-01', '{\"spend\": 5}')", "22023", "spend"),
    ("fit_purchase_model(h, '2024-01-01'::date + i)", "22023", "as_of varies within a group"),
    ("fit_purchase_model(h, CASE i WHEN 1 THEN date '2024-01-01' END)", "22023", "as_of varies within a group"),
    (
        "fit_purchase_model(h, '2024-01-01', jsonb_build_object('min_customers', i))",
        "22023",
        "options varies within a group",
    ),
    ("backtest_purchase_model(h, '2024-01-01'::date + i, '2024-05-01')", "22023", "fit_on varies within a group"),
    ("backtest_purchase_model(h, '2024-01-01', '2024-05-01'::date + i)", "22023", "until varies within a group"),
    ("forecast_purchases(h, '2024-01-01', i, m)", "22023", "varies within a group"),
    ("forecast_purchases(h, '2024-01-01', 90, m, i)", "22023", "varies within a group"),
    ("forecast_purchases(h, '2024-01-01', 90, CASE i WHEN 1 THEN m END)", "22023", "model varies within a group"),
    ("forecast_purchases(h, '2024-01-01'::date + i, 90, m)", "22023", "as_of varies within a group"),
    (
        "fit_purchase_model('{\"0001-01-01\": {\"orders\": 1, \"amount\": 5}}'::purchase_history, '9999-01-01')",
        "54000",
        "1000000 days",
    ),
    ("p_alive(2, 5, 1000001, m)", "54000", "1000000 days"),
    ("'{\"model\": \"bgnbd\"}'::purchase_model", "22P02", "purchases: r, alpha, a, b are needed"),
    (
        "'{\"model\": \"bgnbd\", \"purchases\": {\"r\": 0, \"alpha\": 1, \"a\": 1, \"b\": 1}}'::purchase_model",
        "22P02",
        "purchases.r",
    ),
    (
        "'{\"model\": \"bgnbd\", \"purchases\": {\"r\": NaN, \"alpha\": 1, \"a\": 1, \"b\": 1}}'::purchase_model",
        "22P02",
        "purchases.r",
    ),
    (
        "'{\"model\": \"bgnbd\", \"purchases\": {\"r\": 1e999, \"alpha\": 1, \"a\": 1, \"b\": 1}}'::purchase_model",
        "22P02",
        "purchases.r",
    ),
    (
        "'{\"model\": \"bgnbd\", \"purchases\": {\"r\": 1, \"alpha\": 1, \"a\": 1, \"b\": 1}, \"x\": 1}'::purchase_model",
        "22P02",
        "x",
    ),
    ("'[]'::purchase_model", "22P02", "JSON object"),
    ("''::purchase_model", "22P02", "empty"),
    ("'{}'::jsonb::purchase_model", "22P02", "model"),
    (
        "with_backtests(m, ARRAY[ROW(NULL, NULL, 5, 'bgnbd', 'ok', 'identified', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)::model_backtest])",
        "22023",
        "fit_on",
    ),
    (
        "with_backtests(m, ARRAY[ROW('2024-01-01', NULL, -5, 'bgnbd', 'ok', 'identified', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)::model_backtest])",
        "22P02",
        "backtests[0].days",
    ),
];

#[test]
fn bad_arguments_are_refused_with_a_hint() {
    let database = Database::new("model_bad");
    let mut client = database.client();
    batch(
        &mut client,
        &format!(
            "CREATE TABLE rows AS SELECT i, '{{\"2023-05-01\": {{\"orders\": 1, \"amount\": 5}}, \"2023-08-01\": {{\"orders\": 1, \"amount\": 7}}}}'::purchase_history AS h, '{BY_HAND}'::purchase_model AS m
             FROM generate_series(1, 2) AS i"
        ),
    );
    for (expression, sqlstate, fragment) in REFUSED {
        let (found, message, hint) = expect_error(&mut client, &format!("SELECT {expression} FROM rows"));
        assert!(found == *sqlstate && message.contains(fragment), "{expression}: {found} {message}");
        assert!(!hint.is_empty() || *sqlstate == "54000", "{expression}: no hint");
    }
}

#[test]
fn nulls_and_prospects_are_null() {
    let database = Database::new("model_null");
    let mut client = database.client();
    batch(
        &mut client,
        &format!(
            "CREATE TABLE rows AS SELECT h, '{BY_HAND}'::purchase_model AS m
             FROM (VALUES ('{{}}'::purchase_history), (NULL), ('{{\"2024-05-01\": {{\"orders\": 1, \"amount\": 5}}}}')) AS v (h)"
        ),
    );
    let answers = "SELECT count(*) FROM rows
        WHERE num_nonnulls(p_alive(h, '2024-01-01', m), expected_purchases(h, '2024-01-01', 9, m),
            purchase_probability(h, '2024-01-01', 9, m), expected_spend(h, '2024-01-01', m),
            customer_lifetime_value(h, '2024-01-01', 9, 0, m), next_purchase_on(h, '2024-01-01', m),
            alive_until(h, '2024-01-01', m), explain_prediction(h, '2024-01-01', m)) > 0
           OR purchases_interval(h, '2024-01-01', 9, m) IS NOT NULL OR value_interval(h, '2024-01-01', 9, m) IS NOT NULL
           OR predict_customer(h, '2024-01-01', m) IS NOT NULL";
    assert_eq!(count(&mut client, answers), 0);
    for (sql, expected) in [
        ("fit_purchase_model(h, NULL)", ""),
        ("backtest_purchase_model(h, NULL, '2024-01-01')", ""),
        ("backtest_purchase_model(h, '2024-01-01', NULL)", ""),
        ("forecast_purchases(h, NULL, 9, m)", ""),
        ("forecast_purchases(h, '2024-01-01', NULL, m)", ""),
        ("forecast_purchases(h, '2024-01-01', 9, NULL)", ""),
        ("forecast_purchases(h, '2024-01-01', 9, m, NULL)", ""),
        ("forecast_purchases(h, '2024-01-01', 9, m)", "(0,0.000000,0.000000,,,0.000000,,)"),
        ("(fit_purchase_model(h, '2024-01-01')::jsonb -> 'customers')", "0"),
    ] {
        assert_eq!(text(&mut client, &format!("SELECT ({sql})::text FROM rows")), expected, "{sql}");
    }
    assert_eq!(text(&mut client, "SELECT fit_purchase_model(h, '2024-01-01')::text FROM rows WHERE false"), "");
}

#[test]
fn predictions_are_explained() {
    let (_database, mut client) = cdnow("model_explained");
    let explained = json_of(
        &mut client,
        "SELECT explain_prediction(h, '1997-09-30', model)::text FROM histories, models WHERE customer_id = 4 AND name = 'mbgnbd'",
    );
    assert_eq!(explained["inputs"], json!({"x": 2, "t_x": 213, "T": 272, "n": 3, "S": 74.02}));
    let same = "SELECT count(*) FROM histories, models, predict_customer(h, '1997-09-30', model) AS p,
                       explain_prediction(h, '1997-09-30', model) AS e
        WHERE (e ->> 'p_alive')::numeric IS DISTINCT FROM p.p_alive OR e ->> 'churn_band' IS DISTINCT FROM p.churn_band
              OR (e ->> 'expected_purchases')::numeric IS DISTINCT FROM p.expected_purchases
              OR (e #>> '{expected_value,value}')::numeric IS DISTINCT FROM p.expected_value
              OR (e ->> 'next_purchase_on')::date IS DISTINCT FROM p.next_purchase_on";
    assert_eq!(count(&mut client, same), 0);
    let weight = number(&explained["spend"]["own_weight"]);
    let mixed = weight * number(&explained["spend"]["own_mean"])
        + (1.0 - weight) * number(&explained["spend"]["population_mean"]);
    assert_near(mixed, number(&explained["expected_spend"]), 1e-6, "spend");
}

/// Models have versions as policies have, and a refused one cannot be stored.
#[test]
fn models_are_stored_by_name_and_day() {
    let (_database, mut client) = cdnow("model_stored");
    batch(
        &mut client,
        "INSERT INTO purchase_models (name, model, valid_from, note)
         SELECT 'shop', model, CASE name WHEN 'mbgnbd' THEN date '2024-01-01' ELSE CURRENT_DATE END, name FROM models WHERE name <> 'bgnbd'",
    );
    assert_eq!(
        text(
            &mut client,
            "SELECT concat_ws(' ', stored_model('shop', '2024-05-01')::jsonb ->> 'model', stored_model('shop')::jsonb ->> 'model')"
        ),
        "mbgnbd paretonbd"
    );
    for (sql, sqlstate, fragment) in [
        ("SELECT stored_model('shopp')", "22023", "unknown stored model: \"shopp\""),
        ("SELECT stored_model('shop', '2023-01-01')", "22023", "stored model \"shop\" begins on 2024-01-01"),
        ("SELECT stored_model(NULL)", "22004", "stored_model: name is NULL"),
        ("SELECT stored_model('shop', 'infinity')", "22008", "infinity"),
        (
            "UPDATE purchase_models SET model = (SELECT model FROM models WHERE name = 'bgnbd')",
            "23001",
            "stored model \"shop\" of",
        ),
        ("DELETE FROM purchase_models", "23001", "is or was in force and cannot be deleted"),
        ("TRUNCATE purchase_models", "23001", "it holds models that are or were in force"),
        (
            "INSERT INTO purchase_models SELECT 'shop', model, '2024-06-01' FROM models LIMIT 1",
            "23001",
            "that day is past",
        ),
        (
            "INSERT INTO purchase_models SELECT 'few', fit_purchase_model(h, '1997-09-30'), '2024-06-01' FROM histories WHERE customer_id < 99",
            "22023",
            "too_few_customers",
        ),
    ] {
        let (found, message, hint) = expect_error(&mut client, sql);
        assert!(found == sqlstate && message.contains(fragment) && !hint.is_empty(), "{sql}: {found} {message}");
    }
    batch(&mut client, "UPDATE purchase_models SET note = 'seen'");
    assert!(expect_error(&mut client, "SELECT stored_model('shopp')").2.contains("shop (from 2024-01-01)"));
}
