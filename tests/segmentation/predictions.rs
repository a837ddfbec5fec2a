//! What a segmentation predicts: the model in force and when it is fitted anew, and its two views beside the functions by hand.

use crate::common::*;
use crate::shop::{refresh, wrong_reads};

const CREATE: &str =
    "SELECT create_segmentation('shop', 'orders', as_of => '1997-09-30', model => '{}', views => '{forecast}')";

/// The options of a model that no shop of this size gets.
const TOO_MANY: &str = r#"{"min_customers": 100000}"#;

/// Parameters that a paper gives for a quarter of a year, alpha in days.
const PAPER: &str = r#"{"model": "bgnbd", "purchases": {"r": 0.243, "alpha": 30.898, "a": 0.793, "b": 2.426}}"#;

/// Which model is in force, since when, how the last fit ended, and how many there are.
const STATE: &str = "SELECT concat_ws(' ', s.model_as_of, s.model::jsonb ->> 'model', s.model_status,
                                      (SELECT string_agg(f ->> 'code', ',') FROM jsonb_array_elements(s.model_findings) AS f WHERE f ->> 'severity' = 'error'),
                                      (SELECT count(*) FROM shop_models))
                     FROM shop_status AS s";

/// The public sample of 2,357 customers who first bought in the first quarter of 1997.
fn sample(name: &str) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = quiet(&database);
    batch(&mut client, "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric)");
    database.copy_csv("orders", &file("sql/demo/cdnow_sample.csv"));
    (database, client)
}

fn shop(name: &str) -> (Database, Client) {
    let (database, mut client) = sample(name);
    batch(&mut client, CREATE);
    (database, client)
}

fn refresh_on(client: &mut Client, day: &str) {
    batch(client, &format!("SELECT refresh_segmentation('shop', as_of => '{day}')"));
}

/// Makes the table `by_hand` of histories of the orders, with a model that was fitted by hand.
fn by_hand(client: &mut Client, backtests: &str) {
    batch(
        client,
        &format!(
            "CREATE TABLE by_hand AS SELECT customer_id, purchase_history(ordered_on, amount) AS history FROM orders GROUP BY 1;
             CREATE TABLE model_by_hand AS
             SELECT with_backtests(
                        (SELECT fit_purchase_model(history, '1997-09-30') FROM by_hand),
                        ARRAY(SELECT backtest_purchase_model(history, day, day + 90)
                              FROM by_hand, unnest('{backtests}'::date[]) AS day GROUP BY day ORDER BY day)) AS model"
        ),
    );
}

#[test]
fn predictions_are_those_of_the_functions() {
    let (_database, mut client) = shop("segmentation_predictions");
    by_hand(&mut client, "{1997-04-03,1997-05-03,1997-06-02,1997-07-02}");
    let model = text(&mut client, "SELECT model::text FROM model_by_hand");
    assert_eq!(text(&mut client, "SELECT model::text FROM shop_status"), model);
    assert_eq!(
        text(&mut client, "SELECT concat_ws(' ', valid_from, asked, model) FROM shop_models"),
        format!("1997-09-30 {{}} {model}")
    );
    assert_eq!(text(&mut client, STATE), "1997-09-30 mbgnbd ok 1");
    for day in ["1997-09-30", "1997-10-17"] {
        refresh_on(&mut client, day);
        let expected = format!(
            "SELECT h.customer_id, date '{day}', x.p_alive, x.churn_band,
                    (SELECT label_en FROM churn_bands() WHERE band = x.churn_band),
                    x.purchase_probability, x.expected_purchases, x.purchases_low, x.purchases_high, x.expected_spend,
                    x.expected_value, x.next_purchase_on, x.alive_until
             FROM by_hand AS h, predict_customer(h.history, '{day}', (SELECT model FROM model_by_hand)) AS x"
        );
        let found = "SELECT customer_id, as_of, p_alive, churn_band, churn_label, purchase_probability_90d, expected_purchases_90d,
                            purchases_low_90d, purchases_high_90d, expected_spend, clv_365d, next_purchase_on, alive_until
                     FROM shop_predictions";
        assert_same_rows(&mut client, day, found, &expected, 2357);
        assert!(count(&mut client, "SELECT count(DISTINCT (p_alive, clv_365d)) FROM shop_predictions") > 1000, "{day}");

        let of = |state: &str, group: &str| {
            format!(
                "SELECT {state}, date '{day}' + 1, date '{day}' + 90,
                        (forecast_purchases(history, '{day}', 90, (SELECT model FROM model_by_hand))).*
                 FROM by_hand {group}"
            )
        };
        let of_state = of(&format!("lifecycle_state(history, '{day}')"), "GROUP BY 1");
        let expected = format!("{of_state} UNION ALL {}", of("''", ""));
        let found =
            "SELECT lifecycle_state, from_day, to_day, customers, expected_buyers, expected_purchases, purchases_low,
                            purchases_high, expected_value, value_low, value_high
                     FROM shop_forecast";
        assert_same_rows(&mut client, day, found, &expected, 4);
        assert_eq!(
            count(
                &mut client,
                "SELECT count(*) FROM shop_forecast WHERE purchases_low < expected_purchases AND value_high > expected_value"
            ),
            count(&mut client, "SELECT count(*) FROM shop_forecast")
        );
    }
    // The day of a refresh may be too early for predictions of anybody.
    refresh_on(&mut client, "1996-12-31");
    assert_eq!(
        count(&mut client, "SELECT (SELECT count(*) FROM shop_predictions) + (SELECT count(*) FROM shop_forecast)"),
        0
    );
}

/// Who looks at customers sees what is expected of them, and of a segment all of it.
#[test]
fn customers_and_segments_have_the_predictions() {
    let (_database, mut client) = sample("segmentation_predictions_joined");
    batch(
        &mut client,
        &format!(
            "ALTER TABLE orders ADD shop text; UPDATE orders SET shop = 'shop ' || customer_id % 3;
             INSERT INTO orders VALUES (99999, '1998-02-01', 5, 'shop 1');
             {}",
            CREATE.replace(
                "views => '{forecast}'",
                "tenant => 'shop', track => 'trigger', value_days => 180, views => '{segments}'"
            )
        ),
    );
    let columns =
        "shop, customer_id, as_of, p_alive, churn_band, churn_label, purchase_probability_90d, expected_purchases_90d,
                   purchases_low_90d, purchases_high_90d, expected_spend, clv_180d, next_purchase_on, alive_until";
    for day in ["1997-09-30", "1997-10-01", "1997-11-14"] {
        refresh_on(&mut client, day);
        let found = format!("SELECT {columns} FROM shop_customers_today WHERE customer_id <> 99999");
        assert_same_rows(&mut client, day, &found, &format!("SELECT {columns} FROM shop_predictions"), 2357);
        let found =
            "SELECT shop, lifecycle_state, rfm_segment, customers, expected_purchases_90d, clv_180d FROM shop_segments";
        let expected = "SELECT c.shop, c.lifecycle_state, coalesce(c.rfm_segment, c.lifecycle_state), count(*),
                               trim_scale(sum(p.expected_purchases_90d)), trim_scale(sum(p.clv_180d))
                        FROM shop_customers AS c LEFT JOIN shop_predictions AS p USING (shop, customer_id) GROUP BY 1, 2, 3";
        assert_same_rows(&mut client, day, found, expected, 20);
    }
    // Of somebody who has not bought yet nothing is expected.
    let nothing = "SELECT count(*) FROM shop_customers_today
                   WHERE customer_id = 99999 AND num_nonnulls(p_alive, churn_band, churn_label, purchase_probability_90d, expected_purchases_90d,
                       purchases_low_90d, expected_spend, clv_180d, next_purchase_on, alive_until) = 0";
    assert_eq!(count(&mut client, nothing), 1);
    // Who asks for other columns reads no history.
    let plan = client
        .query("EXPLAIN (VERBOSE) SELECT customer_id, lifecycle_state, action_due_on FROM shop_customers_today", &[])
        .expect("a plan");
    let lines: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    assert!(!lines.iter().any(|line| line.contains("shop_histories")), "{lines:?}");
}

/// Rules ask what the model in force says of the day, though only who is due is evaluated, and everybody after a fit.
#[test]
fn rules_by_predictions_are_kept_up_to_date() {
    let (_database, mut client) = sample("segmentation_prediction_rules");
    batch(
        &mut client,
        &CREATE.replace(
            "views => '{forecast}'",
            r#"track => 'trigger', refit_after_days => 6, backtests => 0, views => '{actions}', policy => '{"next_action": {"rules": [
                {"id": "soon", "action": "wait_and_see", "behavior": "none", "title": "a", "when": {"purchase_probability": {"above": 0.4}}},
                {"id": "worth", "action": "call", "behavior": "care", "title": "b", "when": {"clv": {"at_least": 20}, "churn_band": "high"}},
                {"id": "alive", "action": "mail", "behavior": "care", "title": "c", "when": {"p_alive": {"at_least": 0.3}}}]}}'"#,
        ),
    );
    let query = |client: &mut Client, suffix: &str| {
        text(client, &format!("SELECT query FROM segmentation_sql('shop') WHERE relation = 'public.shop_{suffix}'"))
    };
    let rules = "SELECT string_agg(DISTINCT action_rule, ',' ORDER BY action_rule) FROM shop_customers";
    let mut states = Vec::new();
    for (day, change) in [
        ("1997-09-30", "SELECT"),
        (
            "1997-10-01",
            "INSERT INTO orders SELECT customer_id, '1997-10-01', 50 FROM orders WHERE customer_id % 99 = 0 GROUP BY 1",
        ),
        ("1997-10-02", "SELECT"),
        ("1997-10-05", "DELETE FROM orders WHERE ordered_on > '1997-09-01' AND customer_id % 77 = 0"),
        // A fit.
        ("1997-10-06", "SELECT"),
        (
            "1997-10-07",
            "INSERT INTO orders SELECT customer_id, '1997-10-06', 50 FROM orders WHERE customer_id % 98 = 0 GROUP BY 1",
        ),
        ("1997-10-11", "SELECT"),
        ("1997-10-20", "SELECT"),
    ] {
        batch(&mut client, change);
        // Not so many are due as would make an evaluation of everybody.
        let due = format!("SELECT count(*) FROM shop_customers WHERE next_change_on <= '{day}'");
        let due = count(&mut client, &due);
        assert!(day == "1997-09-30" || (1..1200).contains(&due), "{day}: {due} are due");
        refresh_on(&mut client, day);
        for suffix in ["customers", "actions"] {
            let found = format!("SELECT t::text FROM shop_{suffix} AS t");
            let expected = format!("SELECT t::text FROM ({}) AS t", query(&mut client, suffix));
            assert_same_rows(&mut client, &format!("{suffix} on {day}"), &found, &expected, 4);
        }
        assert_eq!(text(&mut client, rules), "alive,soon,worth", "{day}");
        states.push(text(&mut client, STATE));
    }
    assert_eq!(states[3..5], ["1997-09-30 mbgnbd ok 1", "1997-10-06 mbgnbd ok 2"]);
}

/// Between fits figures move because customers do: nothing is fitted before its time, and never with what comes later.
#[test]
fn a_refresh_fits_where_it_is_time() {
    let (_database, mut client) = shop("segmentation_refit");
    let first = text(&mut client, "SELECT model::text FROM shop_status");
    for (day, state) in [
        ("1997-09-30", "1997-09-30 mbgnbd ok 1"),
        ("1997-10-29", "1997-09-30 mbgnbd ok 1"),
        ("1997-10-30", "1997-10-30 mbgnbd ok 2"),
        ("1997-11-28", "1997-10-30 mbgnbd ok 2"),
        // A day before that of a model knows only the models before.
        ("1997-10-29", "1997-09-30 mbgnbd ok 2"),
        ("1997-09-29", "1997-09-29 mbgnbd ok 3"),
    ] {
        refresh_on(&mut client, day);
        assert_eq!(text(&mut client, STATE), state, "{day}");
    }
    refresh(&mut client);
    assert_eq!(text(&mut client, "SELECT model::text FROM shop_status"), first);
    // Another rhythm leaves the views in their place; so does the number of backtests, which counts from the next fit on.
    let place = "SELECT string_agg(oid::text, ',' ORDER BY relname) FROM pg_class WHERE relname LIKE 'shop\\_%'";
    let stands = text(&mut client, place);
    batch(&mut client, "SELECT alter_segmentation('shop', refit_after_days => 7, backtests => 1)");
    refresh_on(&mut client, "1997-10-07");
    assert_eq!(text(&mut client, STATE), "1997-10-07 mbgnbd ok 4");
    assert_eq!(text(&mut client, place), stands);
    by_hand(&mut client, "{1997-07-09}");
    let backtests = "SELECT count(*) FROM shop_status AS s, jsonb_array_elements(s.model::jsonb -> 'backtests')";
    assert_eq!(count(&mut client, backtests), 1);
    batch(&mut client, "SELECT alter_segmentation('shop', backtests => 0)");
    refresh_on(&mut client, "1997-10-14");
    let bounds = "SELECT count(*), count(purchases_low), count(value_high) FROM shop_forecast";
    let row = client.query_one(bounds, &[]).expect("a row");
    let [rows, low, high] = [0, 1, 2].map(|column| row.get::<_, i64>(column));
    assert!(rows >= 4 && low == 0 && high == 0, "{rows} {low} {high}: no bounds without backtests");
}

#[test]
fn a_refused_fit_leaves_the_model_before_in_force_and_says_so() {
    let (_database, mut client) = shop("segmentation_refused");
    let in_force = "SELECT md5(s.model::text || (SELECT string_agg(p::text, ',' ORDER BY customer_id) FROM shop_predictions AS p)) FROM shop_status AS s";
    let before = text(&mut client, in_force);
    batch(&mut client, &format!("SELECT alter_segmentation('shop', model => '{TOO_MANY}')"));
    assert_eq!(text(&mut client, STATE), "1997-09-30 mbgnbd refused too_few_customers 2");
    assert_eq!(text(&mut client, in_force), before);
    // It is tried again at each refresh, and the day of the model in force stays.
    refresh_on(&mut client, "1997-10-02");
    assert_eq!(text(&mut client, STATE), "1997-09-30 mbgnbd refused too_few_customers 3");
    // What was asked for before is there at once.
    batch(&mut client, "SELECT alter_segmentation('shop', model => '{}')");
    assert_eq!(text(&mut client, STATE), "1997-09-30 mbgnbd ok 3");
    // Other options are another model, and back again a new one where the other one was in force.
    batch(&mut client, r#"SELECT alter_segmentation('shop', model => '{"model": "bgnbd"}', as_of => '1997-10-10')"#);
    assert_eq!(text(&mut client, STATE), "1997-10-10 bgnbd ok 4");
    batch(&mut client, "SELECT alter_segmentation('shop', model => '{}', as_of => '1997-10-12')");
    assert_eq!(text(&mut client, STATE), "1997-10-12 mbgnbd ok 5");
    batch(&mut client, r#"SELECT alter_segmentation('shop', model => '{"model": "auto"}', backtests => 2)"#);
    assert_eq!(text(&mut client, "SELECT string_agg(b ->> 'model', ',') FROM shop_status AS s, jsonb_array_elements(s.model::jsonb -> 'backtests') AS b
                                  WHERE b ->> 'model' IS DISTINCT FROM s.model::jsonb ->> 'model' AND b ? 'model'"), "");

    // Where no model was ever in force nobody is predicted, and the views are there.
    batch(&mut client, "SELECT drop_segmentation('shop')");
    batch(&mut client, &CREATE.replace("{}", TOO_MANY));
    assert_eq!(text(&mut client, STATE), "refused too_few_customers 1");
    let predicted = "SELECT count(p_alive) + count(clv_365d) + count(churn_band) FROM shop_predictions";
    assert_eq!(count(&mut client, predicted), 0);
    assert_eq!(count(&mut client, "SELECT count(expected_purchases) FROM shop_forecast"), 0);
}

/// A document, and a stored name whose versions are in force from their days on.
#[test]
fn models_by_document_and_by_name() {
    let (_database, mut client) = sample("segmentation_model_given");
    batch(&mut client, &CREATE.replace("{}", PAPER));
    let in_force = "SELECT model::text FROM shop_status";
    let paper = text(&mut client, &format!("SELECT '{PAPER}'::purchase_model::text"));
    assert_eq!(text(&mut client, in_force), paper);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_models"), 0);
    let p_alive = format!(
        "SELECT count(*) FROM shop_predictions JOIN shop_histories USING (customer_id)
         WHERE p_alive = p_alive(history, '1997-09-30', '{PAPER}'::purchase_model)"
    );
    assert_eq!(count(&mut client, &p_alive), 2357);

    let later = PAPER.replace("0.243", "0.3");
    batch(
        &mut client,
        &format!(
            "INSERT INTO purchase_models (name, model, valid_from) VALUES ('ours', '{PAPER}', '1997-01-01'), ('ours', '{later}', CURRENT_DATE + 1);
             SELECT alter_segmentation('shop', model => 'ours', value_days => 30, annual_discount_rate => 0)"
        ),
    );
    assert_eq!(text(&mut client, in_force), paper);
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => CURRENT_DATE + 1)");
    assert_eq!(text(&mut client, in_force), text(&mut client, &format!("SELECT '{later}'::purchase_model::text")));
    // The column of the value is called by its days.
    refresh(&mut client);
    let names = "SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 'shop_predictions'::regclass AND attname LIKE 'clv%'";
    assert_eq!(text(&mut client, names), "clv_30d");
    batch(&mut client, "SELECT alter_segmentation('shop', model => '{}')");
    let value = "SELECT count(*) FROM shop_predictions JOIN shop_histories USING (customer_id) JOIN shop_status ON true
                 WHERE clv_30d = customer_lifetime_value(history, '1997-09-30', 30, 0, model) AND clv_30d > 0";
    assert!(count(&mut client, value) > 2000);
}

#[test]
fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    let (_database, mut client) = shop("segmentation_model_wrong");
    let refused = r#"{"model": "bgnbd", "status": "refused"}"#;
    let before = text(&mut client, "SELECT s::text FROM shop_settings AS s");
    for (arguments, sqlstate, part) in [
        ("model => 'theirs'".to_owned(), "22023", "theirs"),
        ("model => '{\"modell\": \"bgnbd\"}'".to_owned(), "22023", "modell"),
        ("model => '{\"model\": '".to_owned(), "22P02", "json"),
        ("model => '{\"model\": \"bgnbd\", \"purchases\": {\"r\": -1}}'".to_owned(), "22P02", "purchases"),
        (format!("model => '{refused}'"), "22", ""),
        ("refit_after_days => 0".to_owned(), "22023", "refit_after_days is 0"),
        ("refit_after_days => 3651".to_owned(), "22023", "refit_after_days is 3651"),
        ("backtests => -1".to_owned(), "22023", "backtests is -1"),
        ("backtests => 25".to_owned(), "22023", "backtests is 25"),
        ("value_days => 0".to_owned(), "22023", "value_days is 0"),
        ("value_days => 3651".to_owned(), "22023", "value_days is 3651"),
        ("annual_discount_rate => -0.1".to_owned(), "22023", "annual_discount_rate is -0.1"),
        ("annual_discount_rate => 'NaN'".to_owned(), "22023", "annual_discount_rate is NaN"),
        ("annual_discount_rate => 'Infinity'".to_owned(), "22023", "annual_discount_rate is Infinity"),
        ("reset => '{model}'".to_owned(), "22023", "views has forecast, but there is no model"),
    ] {
        let (found, message, _) = expect_error(&mut client, &format!("SELECT alter_segmentation('shop', {arguments})"));
        assert!(found.starts_with(sqlstate) && message.contains(part), "{arguments}: {found} {message}");
        assert_eq!(text(&mut client, "SELECT s::text FROM shop_settings AS s"), before, "{arguments}");
    }
}

/// Models that were fitted outlive a reset, and nothing outlives a drop.
#[test]
fn reset_keeps_the_models_and_drop_nothing() {
    let (_database, mut client) = sample("segmentation_model_reset");
    let relations = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relname ~ '^shop_(models|predictions|forecast)$'";
    batch(&mut client, "SELECT create_segmentation('shop', 'orders', as_of => '1997-09-30', views => '{segments}')");
    assert_eq!(text(&mut client, relations), "");
    let silent =
        "SELECT count(*) FROM shop_status WHERE num_nonnulls(model, model_as_of, model_status, model_findings) > 0";
    assert_eq!(count(&mut client, silent), 0);
    batch(&mut client, "SELECT alter_segmentation('shop', model => '{}', reset => '{views}')");
    assert_eq!(text(&mut client, relations), "shop_forecast,shop_models,shop_predictions");
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{model}')");
    assert_eq!(text(&mut client, relations), "shop_models");
    assert_eq!(count(&mut client, silent), 0);
    refresh(&mut client);
    batch(&mut client, "SELECT alter_segmentation('shop', model => '{}')");
    assert_eq!(text(&mut client, STATE), "1997-09-30 mbgnbd ok 1");
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{model}'); SELECT drop_segmentation('shop')");
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'shop\\_%'";
    assert_eq!(count(&mut client, left), 0);
}

#[test]
fn readers_read_predictions_and_not_what_is_behind_them() {
    let (database, mut client) = shop("segmentation_model_readers");
    let roles = Roles::create(&database, &["reader"]);
    batch(
        &mut client,
        &roles.say(
            "GRANT USAGE ON SCHEMA public, rfm TO @reader; SELECT alter_segmentation('shop', readers => '{@reader}')",
        ),
    );
    let mut reader = roles.client("reader");
    batch(&mut reader, "SET search_path = public, rfm");
    for relation in ["predictions", "forecast"] {
        assert!(count(&mut reader, &format!("SELECT count(*) FROM shop_{relation}")) > 3, "{relation}");
    }
    batch(&mut reader, "SELECT model, model_status FROM shop_status");
    for relation in ["models", "histories"] {
        assert_eq!(expect_error(&mut reader, &format!("TABLE shop_{relation}")).0, "42501", "{relation}");
    }
    // By another model the views are others, and the rights the same.
    batch(&mut client, r#"SELECT alter_segmentation('shop', model => '{"model": "bgnbd"}')"#);
    assert_eq!(count(&mut reader, "SELECT count(*) FROM shop_predictions"), 2357);
}

#[test]
fn comments_and_labels_are_in_both_languages() {
    let (_database, mut client) = shop("segmentation_model_language");
    let columns = "FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                   WHERE c.relname ~ '^shop_(models|predictions|customers_today|segments|forecast|status)$' AND a.attnum > 0 AND c.relkind <> 'i'";
    let uncommented =
        format!("SELECT string_agg(a.attname, ',') {columns} AND coalesce(col_description(c.oid, a.attnum), '') !~");
    // What has no comment of its own gets that of a key.
    let of_keys = format!(
        "SELECT string_agg(DISTINCT a.attname, ',') {columns} AND col_description(c.oid, a.attnum) =
         (SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'shop_predictions'::regclass AND attname = 'customer_id')"
    );
    let bands = "SELECT string_agg(DISTINCT churn_label, ',' ORDER BY churn_label) FROM shop_predictions";
    let states = "SELECT count(*) FROM shop_forecast AS f LEFT JOIN lifecycle_states() AS s ON s.state = f.lifecycle_state
                  WHERE f.lifecycle_order IS DISTINCT FROM coalesce(s.sort_order, 0) OR f.lifecycle_label IS DISTINCT FROM coalesce(s.label_";
    for (lang, letters) in [("en", "^[ -~]+$"), ("ja", "[ぁ-んァ-ヶ一-龠]")] {
        batch(
            &mut client,
            &format!("SELECT alter_segmentation('shop', lang => '{lang}', views => '{{segments,forecast}}')"),
        );
        assert_eq!(text(&mut client, &format!("{uncommented} '{letters}'")), "", "{lang}");
        assert_eq!(text(&mut client, &of_keys), "customer_id", "{lang}");
        let known = format!("SELECT string_agg(label_{lang}, ',' ORDER BY label_{lang}) FROM churn_bands()");
        assert_eq!(text(&mut client, bands), text(&mut client, &known), "{lang}");
        assert_eq!(count(&mut client, &format!("{states}{lang}, '')")), 0, "{lang}");
    }
    let value = "SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'shop_predictions'::regclass AND attname = 'clv_365d'";
    assert!(text(&mut client, value).contains("顧客生涯価値"));
}

/// One model for all shops, and a forecast of each.
#[test]
fn forecasts_are_of_each_tenant() {
    let (_database, mut client) = sample("segmentation_model_tenant");
    batch(
        &mut client,
        "ALTER TABLE orders ADD \"Shop\" text; UPDATE orders SET \"Shop\" = CASE WHEN customer_id % 3 = 0 THEN 'it''s north' ELSE 'south' END;
         SELECT create_segmentation('shop', 'orders', tenant => 'Shop', as_of => '1997-09-30', model => '{}', views => '{forecast}')",
    );
    by_hand(&mut client, "{1997-04-03,1997-05-03,1997-06-02,1997-07-02}");
    let of = |state: &str, group: &str| {
        format!(
            "SELECT CASE WHEN customer_id % 3 = 0 THEN 'it''s north' ELSE 'south' END, {state},
                    (forecast_purchases(history, '1997-09-30', 90, (SELECT model FROM model_by_hand))).*
             FROM by_hand GROUP BY {group}"
        )
    };
    let of_state = of("lifecycle_state(history, '1997-09-30')", "1, 2");
    let expected = format!("{of_state} UNION ALL {}", of("''", "1"));
    let found = "SELECT \"Shop\", lifecycle_state, customers, expected_buyers, expected_purchases, purchases_low, purchases_high,
                        expected_value, value_low, value_high
                 FROM shop_forecast";
    assert_same_rows(&mut client, "forecast", found, &expected, 8);
    let predicted = "SELECT \"Shop\", customer_id, p_alive FROM shop_predictions";
    let expected = "SELECT CASE WHEN customer_id % 3 = 0 THEN 'it''s north' ELSE 'south' END, customer_id,
                           p_alive(history, '1997-09-30', (SELECT model FROM model_by_hand)) FROM by_hand";
    assert_same_rows(&mut client, "predictions", predicted, expected, 2357);
}

/// `segmentation_sql` gives each view as a query that runs by itself, and the model that it reads.
#[test]
fn segmentation_sql_has_the_model() {
    let (_database, mut client) = shop("segmentation_model_sql");
    assert_eq!(text(&mut client, &wrong_reads("'shop'")), "");
    let texts = client.query("SELECT relation, query FROM segmentation_sql('shop')", &[]).expect("rows");
    assert!(texts.len() >= 7, "{}", texts.len());
    batch(&mut client, "SET search_path = ''");
    for row in texts {
        let [mut relation, query] = [0, 1].map(|i| row.get::<_, String>(i));
        if relation == "public.shop_status" {
            relation = format!("(SELECT segmentation, as_of, time_zone, lang, policy, model FROM {relation})");
        }
        let differences = format!(
            "SELECT pg_catalog.count(*) FROM ((SELECT CAST(t AS text) FROM {relation} AS t EXCEPT ALL SELECT CAST(t AS text) FROM ({query}) AS t)
             UNION ALL (SELECT CAST(t AS text) FROM ({query}) AS t EXCEPT ALL SELECT CAST(t AS text) FROM {relation} AS t)) AS d"
        );
        assert_eq!(count(&mut client, &differences), 0, "{relation}");
    }
}

#[test]
fn models_are_dumped_and_go_on() {
    let (database, mut client) = shop("segmentation_model_dump");
    refresh_on(&mut client, "1997-10-10");
    let dump = run(program("pg_dump").args(["-F", "plain", &database.name]));
    let restored = Database::new("segmentation_model_restored");
    batch(&mut quiet(&restored), "DROP EXTENSION pg_rfm; DROP SCHEMA rfm");
    run_with_input(program("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &restored.name]), dump);
    let mut copy = quiet(&restored);
    for relation in ["status", "models", "predictions", "forecast"] {
        let rows = format!("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM public.shop_{relation} AS t");
        assert_eq!(text(&mut copy, &rows), text(&mut client, &rows), "{relation}");
    }
    refresh_on(&mut copy, "1997-10-29");
    assert_eq!(text(&mut copy, STATE), "1997-09-30 mbgnbd ok 1");
    refresh_on(&mut copy, "1997-10-30");
    assert_eq!(text(&mut copy, STATE), "1997-10-30 mbgnbd ok 2");
}

/// Whoever bought since is expected to do something else, though only she is evaluated; the model is the same.
#[test]
fn a_tracked_refresh_forecasts_by_the_orders_of_today() {
    let (_database, mut client) = sample("segmentation_model_tracked");
    batch(&mut client, &CREATE.replace("views", "track => 'trigger', views"));
    let forecast = "SELECT lifecycle_state, customers, expected_buyers, expected_purchases, expected_value FROM ";
    let query = text(&mut client, "SELECT query FROM segmentation_sql('shop') WHERE relation = 'public.shop_forecast'");
    let everybody = "SELECT round(expected_value, 6)::text FROM shop_forecast WHERE lifecycle_state = ''";
    let before = text(&mut client, everybody);
    for (day, change) in [
        (
            "1997-09-30",
            "INSERT INTO orders SELECT customer_id, '1997-09-30', 50 FROM orders WHERE customer_id % 9 = 0 GROUP BY 1 LIMIT 5",
        ),
        ("1997-10-02", "DELETE FROM orders WHERE customer_id = (SELECT min(customer_id) FROM orders)"),
    ] {
        batch(&mut client, change);
        refresh_on(&mut client, day);
        assert_same_rows(
            &mut client,
            day,
            &format!("{forecast} shop_forecast"),
            &format!("{forecast} ({query}) AS q"),
            4,
        );
        assert_eq!(text(&mut client, STATE), "1997-09-30 mbgnbd ok 1", "{day}");
        assert_ne!(text(&mut client, everybody), before, "{day}");
    }
}
