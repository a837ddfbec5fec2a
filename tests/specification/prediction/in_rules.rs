//! Rules and scenarios that ask what a model predicts, against the functions that predict it and plain SQL.

use crate::common::*;
use postgres::Client;

const DAY: &str = "1997-09-30";

/// A rule for each fact, in order.
const RULES: &str = r#"{"next_action": {"rules": [
    {"id": "worth_a_call", "action": "call", "behavior": "care", "title": "Call", "when": {"clv": {"at_least": 150}, "churn_band": "high"}},
    {"id": "will_come", "action": "none", "behavior": "none", "title": "Nothing", "when": {"purchase_probability": {"above": 0.6}}},
    {"id": "often", "action": "letter", "behavior": "care", "title": "Letter", "when": {"expected_purchases": {"at_least": 0.4, "below": 0.9}}},
    {"id": "alive", "action": "mail", "behavior": "care", "title": "Mail", "when": {"any": [{"p_alive": {"at_least": 0.5}}, {"churn_band": ["low", "medium"]}]}},
    {"id": "gone", "action": "forget", "behavior": "none", "title": "Forget", "when": {"p_alive": {"at_most": 0.05}}}]}}"#;

/// The same in plain SQL, by the functions of predictions.
const BY_HAND: &str = "CASE
    WHEN customer_lifetime_value(h, d, 365, 0.1, model) >= 150 AND purchase_probability(h, d, 90, model) * 3 < 1 THEN 'worth_a_call'
    WHEN purchase_probability(h, d, 90, model) > 0.6 THEN 'will_come'
    WHEN expected_purchases(h, d, 90, model) >= 0.4 AND expected_purchases(h, d, 90, model) < 0.9 THEN 'often'
    WHEN p_alive(h, d, model) >= 0.5 OR purchase_probability(h, d, 90, model) * 3 >= 1 THEN 'alive'
    WHEN p_alive(h, d, model) <= 0.05 THEN 'gone' END";

/// The public sample, with a fitted model and others by name.
fn shop(name: &str) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = database.client();
    batch(&mut client, "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric)");
    database.copy_csv("orders", &file("sql/demo/cdnow_sample.csv"));
    batch(
        &mut client,
        &format!(
            r#"CREATE TABLE histories AS SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY 1;
               CREATE TABLE models (name text, model purchase_model);
               INSERT INTO models
               SELECT m, fit_purchase_model(h, '{DAY}', jsonb_build_object('model', m)) FROM histories, unnest('{{mbgnbd,bgnbd,paretonbd}}'::text[]) AS m
               GROUP BY m;
               INSERT INTO models VALUES
                   ('nobody leaves', '{{"model": "bgnbd", "purchases": {{"r": 0.38, "alpha": 84, "a": 0, "b": 1}}}}'),
                   ('refused', '{{"model": "mbgnbd", "status": "refused"}}'), ('none', NULL);
               CREATE TABLE policies AS SELECT '{RULES}'::segment_policy AS policy"#
        ),
    );
    (database, client)
}

#[test]
fn rules_decide_by_what_the_model_says() {
    let (_database, mut client) = shop("prediction_rules");
    for days in ["1997-04-30", DAY, "1998-02-28"] {
        let expected =
            format!("SELECT name, customer_id, {BY_HAND} FROM models, histories, (VALUES (date '{days}')) AS t (d)");
        let found = format!(
            "SELECT name, customer_id, s.action_rule
             FROM models, histories, policies, segment_customer(h, '{days}', policy, model => model) AS s"
        );
        assert_same_rows(&mut client, days, &found, &expected, 6 * 2357);
        let by_step = format!(
            "SELECT count(*) FROM models, histories, policies
             CROSS JOIN LATERAL segment_customer(h, '{days}', policy, model => model) AS s
             WHERE next_action(h, '{days}', policy, model => model) IS DISTINCT FROM s.next_action"
        );
        assert_eq!(count(&mut client, &by_step), 0);
    }
    // Every rule decides for somebody, by each model that tells what it asks.
    let rules = format!(
        "SELECT string_agg(DISTINCT concat_ws(' ', name, s.action_rule), ', ' ORDER BY concat_ws(' ', name, s.action_rule))
         FROM models, histories, policies, segment_customer(h, '{DAY}', policy, model => model) AS s"
    );
    assert_eq!(
        text(&mut client, &rules),
        "bgnbd, bgnbd alive, bgnbd gone, bgnbd often, bgnbd will_come, bgnbd worth_a_call, mbgnbd, mbgnbd alive, mbgnbd gone, mbgnbd often, \
         mbgnbd will_come, mbgnbd worth_a_call, nobody leaves, nobody leaves alive, nobody leaves often, nobody leaves will_come, none, \
         paretonbd, paretonbd alive, paretonbd gone, paretonbd often, paretonbd will_come, paretonbd worth_a_call, refused"
    );
    // A prospect has no future that a model knows.
    let prospect = "SELECT count(*) FROM models, policies, segment_customer(NULL, '1997-09-30', policy, model => model) AS s WHERE s.action_rule IS NOT NULL";
    assert_eq!(count(&mut client, prospect), 0);
}

/// The day of the next change is told for each customer: on it or later, and never before, her step is another.
#[test]
fn nobody_has_another_step_before_the_day_that_was_told() {
    let (_database, mut client) = shop("prediction_rules_days");
    let early = "SELECT count(*), count(*) FILTER (WHERE s.next_change_on < date '1998-09-30'),
                        count(*) FILTER (WHERE l.action_rule IS DISTINCT FROM s.action_rule)
                 FROM models, policies, (SELECT h FROM histories ORDER BY customer_id LIMIT 400) AS few
                 CROSS JOIN LATERAL segment_customer(h, '1998-06-30', policy, model => model) AS s
                 CROSS JOIN generate_series(1, 60, 7) AS later
                 CROSS JOIN LATERAL segment_customer(h, date '1998-06-30' + later, policy, model => model) AS l
                 WHERE s.next_change_on > date '1998-06-30' + later OR s.next_change_on IS NULL";
    let row = client.query_one(early, &[]).expect("a row");
    let [rows, due, changed] = [0, 1, 2].map(|column| row.get::<_, i64>(column));
    assert!(rows > 10_000 && due > 100 && changed == 0, "{rows} {due} {changed}");
}

#[test]
fn scenarios_enter_by_what_the_model_says() {
    let (_database, mut client) = shop("prediction_scenarios");
    batch(
        &mut client,
        r#"CREATE TABLE scenarios AS SELECT ARRAY['{"name": "keep", "title": "Keep", "priority": 1, "behavior": "care", "stop_when": ["left_segment"],
            "enter_when": {"clv": {"at_least": 50}, "purchase_probability": {"below": 0.5}},
            "steps": [{"id": "mail", "after_days": 3, "message_key": "check_in"}]}'::scenario] AS scenarios"#,
    );
    // Due three days after the condition began to hold, and at once where that is longer ago.
    let holds = |day: &str| {
        format!(
            "(customer_lifetime_value(h, {day}, 365, 0.1, model) >= 50 AND purchase_probability(h, {day}, 90, model) < 0.5) IS TRUE"
        )
    };
    let [today, one, two, three] = ["d", "d - 1", "d - 2", "d - 3"].map(holds);
    let expected = format!(
        "SELECT name, customer_id, CASE WHEN NOT {today} THEN 'not_in_segment' WHEN {one} AND {two} AND {three} THEN 'due'
                                        ELSE 'waiting_for_day' END
         FROM models, histories, (VALUES (date '{DAY}')) AS t (d)"
    );
    let found = format!(
        "SELECT name, customer_id, s.why FROM models, histories, scenarios, due_steps(scenarios, h, '{DAY}', contacts => '[]', model => model) AS s"
    );
    assert_same_rows(&mut client, "due steps", &found, &expected, 6 * 2357);
    for why in ["due", "not_in_segment"] {
        assert!(count(&mut client, &format!("SELECT count(*) FROM ({found}) AS s WHERE why = '{why}'")) > 100, "{why}");
    }
    assert_eq!(
        text(
            &mut client,
            "SELECT string_agg(concat_ws('|', f.severity, f.path, f.message), E'\\n') FROM scenarios, check_scenario(scenarios[1]) AS f"
        ),
        "info|enter_when|does not hold without a purchase_model, which tells clv, purchase_probability"
    );
}

#[test]
fn what_was_asked_of_the_model_is_told() {
    let (_database, mut client) = shop("prediction_explained");
    let explain = |model: &str, path: &str| {
        format!(
            "SELECT coalesce(explain_customer(h, '{DAY}', policy, model => (SELECT model FROM models WHERE name = '{model}')) #>> '{path}', '-')
             FROM histories, policies WHERE customer_id = 111"
        )
    };
    let asked = "{next_action,facts_asked}";
    assert_eq!(
        text(&mut client, &explain("mbgnbd", asked)),
        text(
            &mut client,
            &format!(
                "SELECT jsonb_build_object('p_alive', p_alive, 'clv', expected_value, 'churn_band', churn_band,
                                           'purchase_probability', purchase_probability, 'expected_purchases', expected_purchases)::text
                 FROM histories, models, predict_customer(h, '{DAY}', model) WHERE customer_id = 111 AND name = 'mbgnbd'"
            )
        )
    );
    assert_eq!(
        text(&mut client, &explain("none", asked)),
        r#"{"clv": null, "p_alive": null, "churn_band": null, "expected_purchases": null, "purchase_probability": null}"#
    );
    assert_eq!(
        text(&mut client, &explain("paretonbd", "{inputs,model}")),
        r#"{"as_of": "1997-09-30", "model": "paretonbd", "status": "ok"}"#
    );
    assert_eq!(
        text(&mut client, &explain("refused", "{inputs,model}")),
        r#"{"as_of": null, "model": "mbgnbd", "status": "refused"}"#
    );
    assert_eq!(text(&mut client, &explain("none", "{inputs,model}")), "-");

    let findings = "SELECT string_agg(concat_ws('|', f.severity, f.path, f.message), E'\\n') FROM policies, check_policy(policy) AS f WHERE f.path LIKE 'next_action%'";
    assert_eq!(
        text(&mut client, findings),
        "info|next_action.rules[0].when|does not hold without a purchase_model, which tells churn_band, clv\n\
         info|next_action.rules[1].when|does not hold without a purchase_model, which tells purchase_probability\n\
         info|next_action.rules[2].when|does not hold without a purchase_model, which tells expected_purchases\n\
         info|next_action.rules[3].when|does not hold without a purchase_model, which tells p_alive, churn_band\n\
         info|next_action.rules[4].when|does not hold without a purchase_model, which tells p_alive"
    );
    for (rules, part) in [
        (RULES.replace("\"clv\"", "\"clw\""), "known are"),
        (RULES.replace("{\"at_most\": 0.05}", "\"low\""), "expected a number"),
        (RULES.replace("\"high\"", "\"higher\""), "churn band"),
        (RULES.replace("\"churn_band\": \"high\"", "\"churn_band\": {\"above\": \"low\"}"), "numbers and days only"),
    ] {
        let (state, message, _) = expect_error(&mut client, &format!("SELECT '{rules}'::segment_policy"));
        assert!(state == "22P02" && message.contains(part), "{state} {message}");
    }
    // A model looks back on a million days.
    let (state, message, _) = expect_error(
        &mut client,
        "SELECT segment_customer('{\"0001-01-01\": {\"orders\": 1, \"amount\": 1}}', '9999-12-31', model => model) FROM models WHERE name = 'mbgnbd'",
    );
    assert!(state == "54000" && message.contains("1000000 days"), "{state} {message}");
}
