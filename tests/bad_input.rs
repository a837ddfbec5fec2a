//! Bad input through SQL: each gets a clear error with SQLSTATE, the value and a hint, or a defined result; and the session
//! goes on after it.

mod common;

use common::{Database, batch, expect_error};
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type};
use postgres::{Client, SimpleQueryMessage};
use serde_json::{Value, json};

/// One customer: a good month, a return, a purchase.
const HISTORY: &str = r#"'{"2024-01-01": {"orders": 2, "amount": 30.50}, "2024-02-01": {"orders": 0, "amount": -5.00},
    "2024-03-01": {"orders": 1, "amount": 7.25}}'::purchase_history"#;

/// (statement, SQLSTATE, a part of the message). Every one of these errors is the extension's own.
const REFUSED: &[(&str, &str, &str)] = &[
    // Days.
    ("SELECT purchase_history(date 'infinity', 1)", "22008", "infinity"),
    ("SELECT purchase_history(date '-infinity', 1)", "22008", "-infinity"),
    ("SELECT purchase_history(timestamp 'infinity', 1)", "22008", "infinity"),
    ("SELECT purchase_history(timestamp '-infinity', 1)", "22008", "-infinity"),
    ("SELECT purchase_history(timestamptz 'infinity', 1::float8)", "22008", "infinity"),
    ("SELECT purchase_history(timestamptz '-infinity', 1::bigint, true)", "22008", "-infinity"),
    ("SELECT rfm_score(date 'infinity', 1, date '2024-01-01')", "22008", "infinity"),
    ("SELECT vip_score(timestamp 'infinity', 1, date '2024-01-01')", "22008", "infinity"),
    ("SELECT rfm_score(date '2024-01-01', 1, date 'infinity')", "22008", "infinity"),
    ("SELECT lifecycle_state(date '2024-01-01', 1, date '-infinity')", "22008", "-infinity"),
    ("SELECT engagement_history('review', date 'infinity')", "22008", "infinity"),
    ("SELECT purchase_history(date '10000-01-01', 1)", "22008", "out of range"),
    ("SELECT purchase_history(date '0001-12-31 BC', 1)", "22008", "out of range"),
    ("SELECT purchase_history(date '4713-01-01 BC', 1)", "22008", "out of range"),
    ("SELECT purchase_history(date '5874897-12-31', 1)", "22008", "out of range"),
    ("SELECT purchase_history(timestamp '294276-12-31 23:59:59.999999', 1)", "22008", "out of range"),
    ("SELECT purchase_history(timestamptz '294276-12-31 23:59:59.999999+00', 1)", "22008", "out of range"),
    ("SELECT purchase_history(timestamptz '4713-01-01 BC', 1)", "22008", "out of range"),
    ("SELECT engagement_history('review', date '10000-01-01')", "22008", "out of range"),
    ("SELECT recency_days('{}'::purchase_history, date 'infinity')", "22008", "infinity"),
    ("SELECT recency_days(NULL::purchase_history, date '-infinity')", "22008", "-infinity"),
    ("SELECT next_action('{}'::purchase_history, date 'infinity')", "22008", "infinity"),
    ("SELECT * FROM segment_customer(NULL, 'infinity')", "22008", "infinity"),
    ("SELECT * FROM segment_customer(NULL, '2024-01-01', last_contacted_on => '-infinity')", "22008", "-infinity"),
    ("SELECT relation_score(no_engagement(), date 'infinity')", "22008", "infinity"),
    // Amounts.
    ("SELECT purchase_history(date '2024-01-01', 'NaN'::numeric)", "22003", "NaN"),
    ("SELECT purchase_history(date '2024-01-01', 'NaN'::float8)", "22003", "NaN"),
    ("SELECT purchase_history(date '2024-01-01', 'Infinity'::float8)", "22003", "infinity"),
    ("SELECT purchase_history(date '2024-01-01', '-Infinity'::float8)", "22003", "-infinity"),
    ("SELECT rfm_score(date '2024-01-01', 'NaN'::numeric, date '2024-01-01')", "22003", "NaN"),
    ("SELECT rfm_score(20, 3, 'NaN')", "22003", "NaN"),
    ("SELECT vip_score(20, 3, 'NaN'::numeric, NULL)", "22003", "NaN"),
    ("SELECT vip_score(20, 3, 15000, 'NaN'::numeric)", "22003", "NaN"),
    ("SELECT purchase_history(date '2024-01-01', 0.000000000000000000001)", "22003", "21 decimals"),
    ("SELECT purchase_history(date '2024-01-01', 1e-300::float8)", "22003", "300 decimals"),
    ("SELECT purchase_history(date '2024-01-01', 1e38 * 10)", "22003", "38 digits"),
    ("SELECT purchase_history(date '2024-01-01', 1e300::float8)", "22003", "38 digits"),
    ("SELECT purchase_history(date '2024-01-01', 10::numeric ^ 1000)", "22003", "38 digits"),
    ("SELECT purchase_history(date '2024-01-01' + i, 9e37) FROM generate_series(1, 2) i", "22003", "38 digits"),
    ("SELECT purchase_history(date '2024-01-01', 9e37) FROM generate_series(1, 2) i", "22003", "38 digits"),
    ("SELECT rollup(h) FROM (SELECT purchase_history(date '2024-01-01', 9e37) FROM generate_series(1, 2) i GROUP BY i) h(h)",
     "22003", "38 digits"),
    ("SELECT purchase_history(date '2024-01-01', 9e37) + purchase_history(date '2024-01-01', 9e37)", "22003", "38 digits"),
    ("SELECT purchase_history(date '2024-01-01', 9e37) + purchase_history(date '2024-01-01', 0.01)", "22003", "38 digits"),
    ("SELECT rfm_score(date '2024-01-01', a, date '2024-01-01') FROM (VALUES (9e37), (0.01)) v(a)", "22003", "38 digits"),
    // Too much.
    ("SELECT purchase_history(date '0001-01-01' + i, 1) FROM generate_series(0, 1000000) i", "54000", "1000000 days"),
    // as_of and policy within a group.
    ("SELECT rfm_score(date '2024-01-01', 1, date '2024-01-01' + i) FROM generate_series(1, 2) i", "22023", "as_of varies"),
    ("SELECT rfm_score(date '2024-01-01', 1, CASE WHEN i = 1 THEN date '2024-01-01' END) FROM generate_series(1, 2) i", "22023", "as_of varies"),
    ("SELECT next_action(NULL::date, 1, date '2024-01-01' + i) FROM generate_series(1, 2) i", "22023", "as_of varies"),
    ("SELECT vip_score(date '2024-01-01', 1, '2024-01-02', CASE i WHEN 1 THEN default_policy() ELSE preset_policy('rental_90') END)
      FROM generate_series(1, 2) i", "22023", "policy varies"),
    ("SELECT vip_score(date '2024-01-01', 1, '2024-01-02', CASE i WHEN 1 THEN default_policy() END) FROM generate_series(1, 2) i",
     "22023", "policy varies"),
    // Membership and labels.
    ("SELECT lifecycle_state(20, 3, NULL, false, 'gold')", "22023", "\"gold\""),
    ("SELECT lifecycle_state(20, 3, NULL, false, '')", "22023", "\"\""),
    ("SELECT lifecycle_state(20, 3, NULL, false, '04')", "22023", "\"04\""),
    ("SELECT lifecycle_state(20, 3, NULL, false, '1')", "22023", "\"1\""),
    ("SELECT lifecycle_state(20, 3, NULL, false, 'Continuing')", "22023", "\"Continuing\""),
    ("SELECT dormancy_category(1, '継続中')", "22023", "継続中"),
    ("SELECT * FROM segment_customer(NULL, '2024-01-01', membership => 'x')", "22023", "\"x\""),
    ("SELECT vip_tier('{}'::purchase_history, '2024-01-01', membership => 'x')", "22023", "\"x\""),
    ("SELECT next_action('sleeping', 1)", "22023", "\"sleeping\""),
    ("SELECT next_action('dormant', 1, NULL, 'bored')", "22023", "\"bored\""),
    ("SELECT preset_policy('mail_order')", "22023", "\"mail_order\""),
    ("SELECT preset_policy('')", "22023", "\"\""),
    // Plain numbers.
    ("SELECT rfm_score(-1, 3, 15000)", "22023", "-1"),
    ("SELECT rfm_score(20, -3, 15000)", "22023", "-3"),
    ("SELECT rfm_score(20, -3::bigint, 15000)", "22023", "-3"),
    ("SELECT rfm_score(NULL, 3, 15000)", "22023", "recency_days is NULL"),
    ("SELECT lifecycle_state(NULL, 3, NULL, false)", "22023", "recency_days is NULL"),
    ("SELECT lifecycle_state(-20, 3, NULL, false)", "22023", "-20"),
    ("SELECT lifecycle_state(20, 3, 0, false)", "22023", "last_gap_days"),
    ("SELECT lifecycle_state(20, 3, -1, false)", "22023", "-1"),
    ("SELECT vip_score(20, 3, 15000, -0.01)", "22023", "-0.01"),
    ("SELECT vip_score(20, 3, 15000, 100.01)", "22023", "100.01"),
    ("SELECT lifecycle_state(20, 3, NULL, false, NULL, '{\"lifecycle\": {\"cycle\": \"own\"}}')", "22023", "fixed"),
    ("SELECT rfm_segment(0)", "22023", "0"),
    ("SELECT rfm_segment(-543)", "22023", "-543"),
    ("SELECT rfm_segment(6543)", "22023", "6543"),
    ("SELECT rfm_segment(561)", "22023", "561"),
    ("SELECT rfm_segment(550)", "22023", "550"),
    ("SELECT rfm_segment(2147483647)", "22023", "2147483647"),
    ("SELECT rfm_segment(555, '{\"rfm\": {\"recency_cuts\": [1]}}')", "22023", "555"),
    // Consents.
    ("SELECT reachable_channels(consents => '[\"email\"]')", "22023", "[\"email\"]"),
    ("SELECT reachable_channels(consents => 'null')", "22023", "null"),
    ("SELECT reachable_channels(consents => '{\"fax\": true}')", "22023", "\"fax\""),
    ("SELECT reachable_channels(consents => '{\"email\": \"yes\"}')", "22023", "consents.email"),
    ("SELECT reachable_channels(consents => '{\"email\": {\"$serde_json::private::Number\": \"5\"}}')", "22023", "consents.email"),
    ("SELECT reachable_channels(consents => (repeat('[', 6000) || repeat(']', 6000))::jsonb)", "22023", "recursion limit"),
    // Timelines.
    ("SELECT * FROM state_timeline('{}', '2024-02-01', '2024-01-01')", "22023", "2024-02-01"),
    ("SELECT * FROM state_timeline('{}', '-infinity', '2024-01-01')", "22008", "-infinity"),
    ("SELECT * FROM state_timeline('{}', '2024-01-01', 'infinity')", "22008", "infinity"),
    ("SELECT * FROM segment_history('{}', '2024-02-01', '2024-01-01', '1 day')", "22023", "2024-02-01"),
    ("SELECT * FROM segment_history('{}', '2024-01-01', '2024-02-01', '0')", "22023", "step"),
    ("SELECT * FROM segment_history('{}', '2024-01-01', '2024-02-01', '-1 month')", "22023", "step"),
    ("SELECT * FROM segment_history('{}', '2024-01-01', '2024-02-01', '1 month -1 day')", "22023", "step"),
    ("SELECT * FROM segment_history('{}', '2024-01-01', '2024-02-01', '1 hour')", "22023", "step"),
    ("SELECT * FROM segment_history('{}', '0001-01-01', '9999-12-31', '1 day')", "54000", "100000"),
    ("SELECT * FROM segment_history('{}', '4713-01-01 BC', '2024-01-01', '1 day')", "22008", "out of range"),
    // Contacts and scenarios.
    ("SELECT contact_history('email', date 'infinity', NULL, NULL, NULL)", "22008", "infinity"),
    ("SELECT contact_history('email', date '10000-01-01', NULL, NULL, NULL)", "22008", "out of range"),
    ("SELECT contact_history('', date '2024-01-01', NULL, NULL, NULL)", "22023", "invalid channel of 0 bytes"),
    ("SELECT contact_history('email', date '2024-01-01', repeat('x', 64), NULL, NULL)", "22023", "invalid scenario of 64 bytes"),
    ("SELECT contact_history('email', date '2024-01-01', 'a', E'b\t', NULL)", "22023", "invalid step"),
    ("SELECT contact_history('email', date '2024-01-01', 'a', 'b', repeat('表', 22))", "22023", "invalid group of 66 bytes"),
    ("SELECT '{}'::contact_history", "22P02", "list"),
    ("SELECT '[{\"channel\": \"email\"}]'::contact_history", "22P02", "[0]: missing field `on`"),
    ("SELECT '[{\"on\": \"2024-02-30\"}]'::contact_history", "22P02", "2024-02-30"),
    ("SELECT '[{\"on\": \"2024-02-01\", \"chanel\": \"email\"}]'::contact_history", "22P02", "[0].chanel: unknown field"),
    ("SELECT '[{\"on\": \"2024-02-01\", \"times\": -1}]'::contact_history", "22P02", "[0].times"),
    ("SELECT c + c FROM (SELECT '[{\"on\": \"2024-02-01\", \"times\": 4294967295}]'::contact_history) AS v (c)", "54000", "2024-02-01"),
    ("SELECT contact_history('email', date '0001-01-01' + i, NULL, NULL, NULL) FROM generate_series(0, 1000000) i", "54000", "1000000 entries"),
    ("SELECT contact_allowed_on(NULL, 'infinity')", "22008", "infinity"),
    ("SELECT default_policy() || '{\"contact\": {\"limits\": [{\"contacts\": 0, \"days\": 7}]}}'", "22023", "contact.limits[0]"),
    ("SELECT '{\"contact\": {\"limits\": [{\"contacts\": 2, \"days\": -7}]}}'::segment_policy", "22P02", "contact.limits[0].days"),
    ("SELECT '{\"contact\": {\"channel_limits\": {\"email\": [{\"contacts\": 2}]}}}'::segment_policy", "22P02", "contact.channel_limits.email[0]"),
    ("SELECT preset_scenario('at_risk')", "22023", "\"at_risk\""),
    ("SELECT ''::scenario", "22P02", "scenario"),
    ("SELECT '[]'::scenario", "22P02", "object"),
    ("SELECT '{}'::scenario", "22P02", "missing field"),
    ("SELECT '{\"name\": \"a\", \"name\": \"b\"}'::scenario", "22P02", "stands twice"),
    ("SELECT (preset_scenario('at_risk_check_in')::jsonb || '{\"enter_when\": {\"lifecycle_state\": \"sleeping\"}}')::scenario", "22P02",
     "enter_when: lifecycle_state: unknown lifecycle state: \"sleeping\""),
    ("SELECT (preset_scenario('at_risk_check_in')::jsonb || '{\"stop_when\": [\"paid\"]}')::scenario", "22P02", "stop_when[0]: unknown stop condition"),
    ("SELECT jsonb_set(preset_scenario('at_risk_check_in')::jsonb, '{steps,1,after_days}', '-1')::scenario", "22P02", "steps[1].after_days"),
    ("SELECT jsonb_set(preset_scenario('at_risk_check_in')::jsonb, '{steps,1,after_days}', '0')::scenario", "22P02", "steps[1].after_days: days must ascend"),
    ("SELECT jsonb_set(preset_scenario('at_risk_check_in')::jsonb, '{steps,1,id}', '\"check_in\"')::scenario", "22P02", "steps[1].id: the name \"check_in\" stands twice"),
    // Steps are a list, not a graph: what could make a circle is an unknown key.
    ("SELECT jsonb_set(preset_scenario('at_risk_check_in')::jsonb, '{steps,2,next}', '\"check_in\"')::scenario", "22P02", "steps[2].next: unknown field"),
    ("SELECT jsonb_set(preset_scenario('at_risk_check_in')::jsonb, '{steps}', '[]')::scenario", "22P02", "steps: 1 to 100 steps are needed, not 0"),
    ("SELECT * FROM due_steps(ARRAY[preset_scenario('vip_advocacy'), preset_scenario('vip_advocacy')], '{}', '2024-01-01')", "22023", "two scenarios have the name \"vip_advocacy\""),
    ("SELECT * FROM due_steps(ARRAY[preset_scenario('vip_advocacy')], '{}', '-infinity')", "22008", "-infinity"),
    ("SELECT * FROM due_steps(ARRAY[preset_scenario('vip_advocacy')], '{}', '2024-01-01', membership => 'gold')", "22023", "\"gold\""),
    // Engagement.
    ("SELECT engagement_history('', date '2024-01-01')", "22023", "\"\""),
    ("SELECT engagement_history(repeat('x', 64), date '2024-01-01')", "22023", "63"),
    ("SELECT engagement_history(repeat('表', 22), date '2024-01-01')", "22023", "63"),
    ("SELECT engagement_history(E'a\\nb', date '2024-01-01')", "22023", "a\\nb"),
    ("SELECT '{\"\": {\"2024-01-01\": 1}}'::engagement_history", "22023", "\"\""),
    ("SELECT '{\"a\\u0000b\": {\"2024-01-01\": 1}}'::engagement_history", "22023", "a\\0b"),
    ("SELECT '{\"a\": {\"2024-01-01\": 4294967296}}'::engagement_history", "22P02", "a.2024-01-01"),
    ("SELECT '{\"a\": {\"2024-01-01\": 1.5}}'::engagement_history", "22P02", "a.2024-01-01"),
    ("SELECT '{\"a\": {\"2024-01-01\": -1}}'::engagement_history", "22P02", "a.2024-01-01"),
    ("SELECT '{\"a\": {\"2024-01-01\": 1, \"2024-01-01\": 1}}'::engagement_history", "22P02", "stands twice"),
    ("SELECT '{\"a\": {\"2024-02-30\": 1}}'::engagement_history", "22P02", "2024-02-30"),
    ("SELECT '{\"a\": {\"2024-01-01\": 4294967295}}'::engagement_history + '{\"a\": {\"2024-01-01\": 1}}'", "54000", "2024-01-01"),
    // Texts of histories.
    ("SELECT ''::purchase_history", "22P02", "purchase_history"),
    ("SELECT ''::engagement_history", "22P02", "engagement_history"),
    ("SELECT 'null'::purchase_history", "22P02", "object"),
    ("SELECT '[]'::purchase_history", "22P02", "object"),
    ("SELECT '{} {}'::purchase_history", "22P02", "trailing"),
    ("SELECT '{\"2024-01-01\": 5}'::purchase_history", "22P02", "2024-01-01"),
    ("SELECT '{\"2024-01-01\": {\"orders\": 1}}'::purchase_history", "22P02", "amount"),
    ("SELECT '{\"2024-01-01\": {\"orders\": 1, \"amount\": \"5\"}}'::purchase_history", "22P02", "amount"),
    ("SELECT '{\"2024-01-01\": {\"orders\": -1, \"amount\": 5}}'::purchase_history", "22P02", "orders"),
    ("SELECT '{\"2024-01-01\": {\"orders\": 0, \"amount\": 5}}'::purchase_history", "22P02", "2024-01-01"),
    ("SELECT '{\"2024-01-01\": {\"orders\": 1, \"amount\": 5, \"vat\": 1}}'::purchase_history", "22P02", "vat"),
    ("SELECT '{\"2024-01-01\": {\"orders\": 1, \"discounted\": 2, \"amount\": 5}}'::purchase_history", "22P02", "2024-01-01"),
    ("SELECT '{\"2024-1-1\": {\"orders\": 1, \"amount\": 5}}'::purchase_history", "22P02", "2024-1-1"),
    ("SELECT '{\"infinity\": {\"orders\": 1, \"amount\": 5}}'::purchase_history", "22P02", "infinity"),
    ("SELECT '{\"0000-01-01\": {\"orders\": 1, \"amount\": 5}}'::purchase_history", "22008", "out of range"),
    // Policies: text.
    ("SELECT ''::segment_policy", "22P02", "segment_policy"),
    ("SELECT '   '::segment_policy", "22P02", "segment_policy"),
    ("SELECT 'null'::segment_policy", "22P02", "JSON object"),
    ("SELECT '[]'::segment_policy", "22P02", "JSON object"),
    ("SELECT '\"default\"'::segment_policy", "22P02", "JSON object"),
    ("SELECT '{'::segment_policy", "22P02", "EOF"),
    ("SELECT '{} {}'::segment_policy", "22P02", "trailing"),
    ("SELECT '{\"lifecycle\": {\"dormant_days\": 90}}'::segment_policy", "22P02", "lifecycle.dormant_days: unknown field"),
    ("SELECT '{\"lifecycles\": {}}'::segment_policy", "22P02", "lifecycles: unknown field"),
    ("SELECT '{\"lifecycle\": {\"dormant_after_days\": \"90\"}}'::segment_policy", "22P02", "lifecycle.dormant_after_days"),
    ("SELECT '{\"rfm\": {\"recency_cuts\": [1, null]}}'::segment_policy", "22P02", "rfm.recency_cuts[1]"),
    ("SELECT '{\"rfm\": {\"recency_cuts\": [NaN]}}'::segment_policy", "22P02", "rfm.recency_cuts[0]"),
    ("SELECT '{\"rfm\": {\"recency_cuts\": [\"NaN\"]}}'::segment_policy", "22P02", "rfm.recency_cuts[0]"),
    ("SELECT '{\"vip\": {\"value_weight\": Infinity}}'::segment_policy", "22P02", "vip.value_weight"),
    ("SELECT '{\"vip\": {\"value_weight\": 0x1}}'::segment_policy", "22P02", "segment_policy"),
    ("SELECT '{\"vip\": {\"value_weight\": 0.0000001}}'::segment_policy", "22P02", "vip.value_weight"),
    ("SELECT '{\"frequency\": \"visits\"}'::segment_policy", "22P02", "frequency"),
    ("SELECT '{\"frequency\": \"\"}'::segment_policy", "22P02", "frequency"),
    ("SELECT '{\"lifecycle\": {}, \"lifecycle\": {}}'::segment_policy", "22P02", "stands twice"),
    ("SELECT '{\"learned\": {\"a\": {\"b\": 1, \"b\": 2}}}'::segment_policy", "22P02", "stands twice"),
    ("SELECT '{\"next_action\": {\"rules\": [{\"id\": \"a\"}]}}'::segment_policy", "22P02", "next_action.rules[0]"),
    ("SELECT jsonb_build_object('lifecycle', 5)::segment_policy", "22P02", "lifecycle"),
    ("SELECT '[]'::jsonb::segment_policy", "22P02", "JSON object"),
    ("SELECT 'null'::jsonb::segment_policy", "22P02", "JSON object"),
    ("SELECT '\"{}\"'::jsonb::segment_policy", "22P02", "JSON object"),
    ("SELECT jsonb_build_object('learned', jsonb_build_object('note', repeat('x', 1000000)))::segment_policy", "54000", "262144"),
    ("SELECT ('{\"learned\": {\"note\": \"' || repeat('x', 1000000) || '\"}}')::segment_policy", "54000", "262144"),
    ("SELECT (repeat(' ', 1000000) || '{}')::segment_policy", "54000", "262144"),
    ("SELECT repeat('[', 100000)::segment_policy", "22P02", "recursion"),
    ("SELECT repeat('{\"learned\":', 20000)::segment_policy", "22P02", "recursion"),
    ("SELECT repeat('[', 100000)::purchase_history", "22P02", "object"),
    ("SELECT repeat('{\"a\":', 100000)::engagement_history", "22P02", "engagement_history"),
    // Policies: contradictions, at use and at the overlay.
    ("SELECT rfm_score(20, 3, 1, '{\"rfm\": {\"monetary_cuts\": [2, 1]}}')", "22023", "rfm.monetary_cuts: cuts must not decrease"),
    ("SELECT rfm_score(20, 3, 1, '{\"rfm\": {\"monetary_cuts\": []}}')", "22023", "rfm.monetary_cuts: 1 to 8 cuts are needed, not 0"),
    ("SELECT rfm_score(20, 3, 1, '{\"rfm\": {\"frequency_cuts\": [1,2,3,4,5,6,7,8,9]}}')", "22023", "rfm.frequency_cuts: 1 to 8 cuts are needed, not 9"),
    ("SELECT rfm_score(20, 3, 1, '{\"rfm\": {\"recency_cuts\": [1,2,3,4,5,6,7,8,9,10]}}')", "22023", "rfm.recency_cuts: 1 to 8 cuts are needed, not 10"),
    ("SELECT rfm_segment(555, '{\"segments\": {\"rules\": [{\"name\": \"a\", \"any\": [{}]}, {\"name\": \"a\", \"any\": []}]}}')", "22023", "segments.rules[1]: the name \"a\" stands twice"),
    ("SELECT rfm_segment(555, '{\"segments\": {\"default\": \"\"}}')", "22023", "segments.default"),
    ("SELECT rfm_segment(555, '{\"segments\": {\"rules\": [{\"name\": \"\", \"any\": [{}]}]}}')", "22023", "segments.rules[0]"),
    ("SELECT lifecycle_state(20, 3, NULL, false, NULL, '{\"lifecycle\": {\"at_risk_after_days\": 61}}')", "22023", "lifecycle.at_risk_after_days"),
    ("SELECT '{\"lifecycle\": {\"dormant_after_days\": 29}}'::segment_policy || '{}'", "22023", "lifecycle.at_risk_after_days"),
    ("SELECT preset_policy('annual_365') || '{\"lifecycle\": {\"dormant_after_days\": 90}}'", "22023", "lifecycle.at_risk_after_days"),
    ("SELECT default_policy() || '{\"lifecycle\": {\"prior_gaps\": 0}}'", "22023", "lifecycle.prior_gaps"),
    ("SELECT default_policy() || '{\"purchase_stage\": {\"established_min_orders\": 1}}'", "22023", "purchase_stage"),
    ("SELECT default_policy() || '{\"version\": 2}'", "22023", "version"),
    ("SELECT rfm_score(date '2024-01-01', 1, '2024-01-02', '{\"rfm\": {\"monetary_cuts\": [2, 1]}}')", "22023", "rfm.monetary_cuts"),
    ("SELECT * FROM next_actions('{\"rfm\": {\"monetary_cuts\": [2, 1]}}')", "22023", "rfm.monetary_cuts"),
    ("SELECT * FROM segment_customer(NULL, '2024-01-01', '{\"vip\": {\"value_weight\": 2}}')", "22023", "vip.value_weight"),
    ("SELECT default_policy() || '{\"next_action\": {\"rules\": [{\"id\": \"a\", \"action\": \"a\", \"behavior\": \"care\", \"title\": \"A\",
       \"when\": {\"rfm_segment\": \"kings\"}}]}}'", "22023", "\"kings\""),
];

fn client(database: &Database) -> Client {
    let mut client = database.client();
    batch(&mut client, "SET client_min_messages = error");
    client
}

/// The first column of the first row as text; `None` for NULL.
#[track_caller]
fn value(client: &mut Client, sql: &str) -> Option<String> {
    let messages = match client.simple_query(sql) {
        Ok(messages) => messages,
        Err(error) => panic!("{:#?}\n{sql}", error.as_db_error()),
    };
    let row = messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.unwrap_or_else(|| panic!("no row: {sql}")).get(0).map(str::to_owned)
}

#[test]
fn bad_input_is_refused_by_sqlstate_and_value() {
    let database = Database::new("bad_input");
    let mut client = client(&database);
    let mut wrong = Vec::new();
    for &(sql, sqlstate, part) in REFUSED {
        let (found, message, _) = expect_error(&mut client, sql);
        if found != sqlstate || !message.contains(part) {
            wrong.push(format!("{sql}\n    gives {found} {message:?}, not {sqlstate} {part:?}"));
        }
        if message.len() > 2_000 {
            wrong.push(format!("{sql}\n    gives a message of {} bytes", message.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_error_has_a_hint() {
    let database = Database::new("bad_hints");
    let mut client = client(&database);
    let mut without = Vec::new();
    for &(sql, ..) in REFUSED {
        let (_, message, hint) = expect_error(&mut client, sql);
        if hint.is_empty() {
            without.push(message);
        }
    }
    without.sort();
    without.dedup();
    assert!(without.is_empty(), "{} errors have no hint:\n{}", without.len(), without.join("\n"));
}

/// (query of one value, what it gives)
const DEFINED: &[(&str, Option<&str>)] = &[
    // Bare literals, and count(*).
    ("SELECT rfm_score(20, 3, 15000)", Some("533")),
    ("SELECT lifecycle_state(20, 3, NULL, false)", Some("active")),
    ("SELECT vip_score(20, 3, 15000, NULL)", Some("66.67")),
    ("SELECT next_action('active', 3, NULL, NULL)", Some("give_reason_to_continue")),
    ("SELECT next_action('dormant', 3)", Some("give_reason_to_return")),
    ("SELECT rfm_score(20, count(*), 15000) FROM generate_series(1, 3)", Some("533")),
    ("SELECT lifecycle_state(20, count(*), NULL, false) FROM generate_series(1, 3)", Some("active")),
    ("SELECT vip_score(20, count(*), 15000, NULL) FROM generate_series(1, 3)", Some("66.67")),
    ("SELECT next_action('active', count(*), NULL, NULL) FROM generate_series(1, 3)", Some("give_reason_to_continue")),
    ("SELECT dormancy_category(1, NULL)", Some("bought_once")),
    ("SELECT dormancy_category(count(*), NULL) FROM generate_series(1, 2)", Some("ad_hoc")),
    ("SELECT purchase_history('2024-01-01', 100)", Some(r#"{"2024-01-01": {"orders": 1, "amount": 100}}"#)),
    (
        "SELECT purchase_history('2024-01-01', 100.50, true)",
        Some(r#"{"2024-01-01": {"orders": 1, "discounted": 1, "amount": 100.50}}"#),
    ),
    ("SELECT rfm_score(date '2024-01-01', 100, '2024-01-31')", Some("511")),
    ("SELECT lifecycle_state(date '2024-01-01', 100, '2024-01-31')", Some("new")),
    ("SELECT vip_score(date '2024-01-01', 100, '2024-01-31')", Some("33.33")),
    ("SELECT next_action(date '2024-01-01', 100, '2024-01-31')", Some("onboard")),
    ("SELECT engagement_history('review', '2024-01-01')", Some(r#"{"review": {"2024-01-01": 1}}"#)),
    // Membership codes.
    (
        "SELECT string_agg(dormancy_category(1, m), ' ' ORDER BY m) FROM unnest(ARRAY['01', '02', '03', 'continuing', 'ad_hoc', 'paused', 'withdrawn']) m",
        Some("member_silent paused cancelled bought_once member_silent paused cancelled"),
    ),
    // No rows, NULL days, as_of before everything.
    ("SELECT purchase_history(date '2024-01-01', 1) FROM generate_series(1, 0)", None),
    ("SELECT rfm_score(date '2024-01-01', 1, '2024-01-01') FROM generate_series(1, 0)", None),
    ("SELECT lifecycle_state(date '2024-01-01', 1, '2024-01-01') FROM generate_series(1, 0)", None),
    ("SELECT vip_score(date '2024-01-01', 1, '2024-01-01') FROM generate_series(1, 0)", None),
    ("SELECT next_action(date '2024-01-01', 1, '2024-01-01') FROM generate_series(1, 0)", None),
    ("SELECT engagement_history('a', date '2024-01-01') FROM generate_series(1, 0)", None),
    ("SELECT rollup(NULL::purchase_history)", None),
    ("SELECT rollup(NULL::engagement_history)", None),
    ("SELECT purchase_history(NULL::date, 1)", Some("{}")),
    ("SELECT lifecycle_state(NULL::date, 1, '2024-01-01')", Some("prospect")),
    ("SELECT next_action(NULL::date, 1, '2024-01-01')", Some("first_offer")),
    ("SELECT rfm_score(NULL::date, 1, '2024-01-01')", None),
    ("SELECT lifecycle_state(date '2024-01-02', 1, '2024-01-01')", Some("prospect")),
    ("SELECT vip_score(date '2024-01-02', 1, '2024-01-01')", None),
    ("SELECT lifecycle_state(date '2024-01-02', 1, '4713-01-01 BC')", Some("prospect")),
    ("SELECT lifecycle_state(date '2024-01-02', 1, '5874897-12-31')", Some("dormant")),
    ("SELECT lifecycle_state(date '2024-01-02', 1, NULL::date)", None),
    ("SELECT engagement_history(NULL, date '2024-01-01')", Some("{}")),
    ("SELECT engagement_history('a', NULL::date)", Some("{}")),
    // A purchase of unknown amount counts.
    (
        "SELECT purchase_history(date '2024-01-01', NULL::numeric)",
        Some(r#"{"2024-01-01": {"orders": 1, "amount": 0}}"#),
    ),
    (
        "SELECT purchase_history(date '2024-01-01', NULL::float8, NULL)",
        Some(r#"{"2024-01-01": {"orders": 1, "amount": 0}}"#),
    ),
    ("SELECT rfm_score(20, 3, NULL)", Some("531")),
    ("SELECT rfm_score(NULL, 0, NULL)", None),
    ("SELECT lifecycle_state(NULL, NULL::int, NULL, NULL)", Some("prospect")),
    ("SELECT lifecycle_state(20, 3, NULL, NULL)", Some("active")),
    // The edges of days and amounts.
    ("SELECT purchase_history(date '0001-01-01', 1)", Some(r#"{"0001-01-01": {"orders": 1, "amount": 1}}"#)),
    (
        "SELECT purchase_history(timestamp '9999-12-31 23:59:59.999999', 1)",
        Some(r#"{"9999-12-31": {"orders": 1, "amount": 1}}"#),
    ),
    (
        "SELECT purchase_history(timestamp '1999-12-31 23:59:59.999999', 1)",
        Some(r#"{"1999-12-31": {"orders": 1, "amount": 1}}"#),
    ),
    (
        "SELECT purchase_history(date '2024-01-01', 0.00000000000000000001)",
        Some(r#"{"2024-01-01": {"orders": 1, "amount": 0.00000000000000000001}}"#),
    ),
    ("SELECT purchase_history(date '2024-01-01', -0.0)", Some(r#"{"2024-01-01": {"orders": 1, "amount": 0.0}}"#)),
    ("SELECT purchase_history(date '2024-01-01', '-0'::float8)", Some(r#"{"2024-01-01": {"orders": 1, "amount": 0}}"#)),
    (
        "SELECT monetary(purchase_history(date '2024-01-01', a), '2024-01-01') FROM (VALUES (9223372036854775807), (9223372036854775807)) v(a)",
        Some("18446744073709551614"),
    ),
    (
        "SELECT monetary(purchase_history(date '2024-01-01', a), '2024-01-01') FROM (VALUES ('-9223372036854775808'::bigint), ('-9223372036854775808')) v(a)",
        Some("-18446744073709551616"),
    ),
    (
        "SELECT monetary(purchase_history(date '2024-01-01' + i, 12345678901234567890123456789012345.6), '2025-01-01') FROM generate_series(1, 9) i",
        Some("111111110111111111011111111101111110.4"),
    ),
    (
        "SELECT purchase_history(date '2024-01-01', -99999999999999999999999999999999999999)",
        Some(r#"{"2024-01-01": {"orders": 0, "amount": -99999999999999999999999999999999999999}}"#),
    ),
    // Engagement kinds.
    ("SELECT engagement_history(repeat('x', 63), '2024-01-01') IS NOT NULL", Some("t")),
    (
        "SELECT engagement_history(E'it''s \"x\" \\\\ 表', '2024-01-01')",
        Some(r#"{"it's \"x\" \\ 表": {"2024-01-01": 1}}"#),
    ),
    (
        "SELECT engagement_history(E'it''s \"x\" \\\\ 表', '2024-01-01')::text::engagement_history = engagement_history(E'it''s \"x\" \\\\ 表', '2024-01-01')",
        Some("t"),
    ),
    (
        "SELECT engagement_history('engagement.review.count', '2024-01-01')",
        Some(r#"{"engagement.review.count": {"2024-01-01": 1}}"#),
    ),
    // Channels.
    ("SELECT next_action FROM segment_customer(NULL, '2024-01-01', channels => '{}')", Some("complete_contact")),
    (
        "SELECT next_action FROM segment_customer(NULL, '2024-01-01', channels => '{NULL, NULL}')",
        Some("complete_contact"),
    ),
    ("SELECT next_action FROM segment_customer(NULL, '2024-01-01', channels => NULL)", Some("first_offer")),
    ("SELECT action_channel FROM segment_customer(NULL, '2024-01-01', channels => NULL)", None),
    (
        "SELECT action_channel FROM segment_customer(NULL, '2024-01-01', channels => '{phone, NULL, phone, email, \"\"}')",
        Some("email"),
    ),
    (
        "SELECT action_channel FROM segment_customer(NULL, '2024-01-01', channels => '{{phone, fax}, {postal, line}}')",
        Some("line"),
    ),
    (
        "SELECT action_channel FROM segment_customer(NULL, '2024-01-01', channels => '[5:6]={phone,email}')",
        Some("email"),
    ),
    ("SELECT action_channel FROM segment_customer(NULL, '2024-01-01', channels => '{pigeon, EMAIL}')", None),
    (
        "SELECT action_channel FROM segment_customer(NULL, '2024-01-01', channels => array_fill('email'::text, ARRAY[100000]))",
        Some("email"),
    ),
    (
        "SELECT next_action FROM segment_customer(NULL, '2024-01-01', last_contacted_on => '2024-01-02')",
        Some("first_offer"),
    ),
    (
        "SELECT action_due_on FROM segment_customer(NULL, '5874897-12-31', last_contacted_on => '5874897-12-31')",
        Some("5874897-12-31"),
    ),
    ("SELECT next_action FROM segment_customer(NULL, NULL)", None),
    // Addresses that are none reach nobody, however long or odd.
    ("SELECT reachable_channels()", Some("{}")),
    ("SELECT reachable_channels(NULL, NULL, NULL, NULL, '{}')", Some("{}")),
    (
        "SELECT reachable_channels('a@example.jp', '03-1234-5678', '港区芝1-1-1', 'aki.tanaka')",
        Some("{email,line,phone,postal}"),
    ),
    (
        "SELECT reachable_channels('a@example.jp', '090-1234-5678', consents => '{\"sms\": true, \"email\": null}')",
        Some("{sms}"),
    ),
    ("SELECT reachable_channels(t, t, t, t) FROM repeat('1', 100000000) AS t", Some("{}")),
    ("SELECT reachable_channels(t, t, t, t) FROM repeat('〒', 1000000) AS t", Some("{}")),
    ("SELECT reachable_channels(t, t, t, t) FROM repeat(E'\\u0001', 10) AS t", Some("{}")),
    ("SELECT reachable_channels(t, t, t, t) FROM repeat(E'\\ufdfa', 1300) AS t", Some("{}")),
    (
        "SELECT channels FROM (SELECT reachable_channels(E'a@example.jp\\r\\nBcc: b@example.jp') AS channels) AS q",
        Some("{}"),
    ),
    // Contacts: a holdout is none, what comes after as_of is invisible, NULL is no log.
    (
        "SELECT contact_history('email', '2024-01-01', 'a', 'b', 'x')",
        Some(r#"[{"on": "2024-01-01", "channel": "email", "scenario": "a", "step": "b", "group": "x"}]"#),
    ),
    ("SELECT contact_history(NULL, '2024-01-01', NULL, NULL, NULL)", Some(r#"[{"on": "2024-01-01"}]"#)),
    ("SELECT contact_history('email', NULL, 'a', 'b', 'x')", Some("[]")),
    ("SELECT contact_history('email', NULL, 'a', 'b', 'x') FROM generate_series(1, 0)", None),
    ("SELECT rollup(NULL::contact_history)", None),
    ("SELECT contact_allowed_on(NULL, '2024-01-05')", Some("2024-01-05")),
    ("SELECT contact_allowed_on('[{\"on\": \"2024-01-01\"}]', '2024-01-05')", Some("2024-01-08")),
    ("SELECT contact_allowed_on('[{\"on\": \"2024-01-06\"}]', '2024-01-05')", Some("2024-01-05")),
    ("SELECT contact_allowed_on('[{\"on\": \"2024-01-01\", \"group\": \"holdout\"}]', '2024-01-05')", Some("2024-01-05")),
    (
        "SELECT contact_allowed_on('[{\"on\": \"9999-12-31\"}]', '5874897-12-31', '{\"contact\": {\"min_days_between\": 4294967295}}')",
        Some("5874897-12-31"),
    ),
    (
        "SELECT contact_allowed_on('[]', '2024-01-05', NULL, '{\"complaint\": {\"2024-01-04\": 1}}')",
        Some("2024-02-03"),
    ),
    (
        "SELECT concat_ws(' ', next_action, action_due_on) FROM segment_customer('{\"2024-01-01\": {\"orders\": 1, \"amount\": 1}}', '2024-01-05',
            contacts => '[{\"on\": \"2024-01-02\"}, {\"on\": \"2024-01-09\"}]')",
        Some("wait 2024-01-09"),
    ),
    (
        "SELECT concat_ws(' ', next_action, action_due_on) FROM segment_customer('{\"2024-01-01\": {\"orders\": 1, \"amount\": 1}}', '2024-01-05',
            contacts => '[{\"on\": \"2024-01-02\"}]', last_contacted_on => '2024-01-04')",
        Some("wait 2024-01-11"),
    ),
    (
        "SELECT concat_ws(' ', next_action, action_channel, action_due_on) FROM segment_customer('{\"2024-01-01\": {\"orders\": 1, \"amount\": 1}}',
            '2024-01-15', '{\"contact\": {\"channel_limits\": {\"email\": [{\"contacts\": 1, \"days\": 30}]}}}', channels => '{email, line}',
            contacts => '[{\"on\": \"2024-01-02\", \"channel\": \"email\"}]')",
        Some("onboard line 2024-01-15"),
    ),
    (
        "SELECT concat_ws(' ', next_action, action_channel, action_due_on) FROM segment_customer('{\"2024-01-01\": {\"orders\": 1, \"amount\": 1}}',
            '2024-01-15', '{\"contact\": {\"channel_limits\": {\"email\": [{\"contacts\": 1, \"days\": 30}]}}}', channels => '{email}',
            contacts => '[{\"on\": \"2024-01-02\", \"channel\": \"email\"}]')",
        Some("wait email 2024-02-01"),
    ),
    ("SELECT count(*) FROM check_scenario(NULL)", Some("0")),
    ("SELECT count(*) FROM scenario_presets() AS p, check_scenario(preset_scenario(p.name))", Some("0")),
    (
        "SELECT string_agg(concat_ws(' ', severity, path), ', ') FROM check_scenario(preset_scenario('at_risk_check_in'), '{\"contact\": {\"min_days_between\": 11}}')",
        Some("warning steps[1].after_days, warning steps[2].after_days"),
    ),
    // Scenarios: none, NULL among them, a customer nobody knows, two at once.
    ("SELECT count(*) FROM due_steps('{}', '{}', '2024-01-01')", Some("0")),
    ("SELECT count(*) FROM due_steps(NULL, '{}', '2024-01-01')", Some("0")),
    ("SELECT count(*) FROM due_steps(ARRAY[preset_scenario('vip_advocacy')], '{}', NULL)", Some("0")),
    ("SELECT why FROM due_steps(ARRAY[NULL, preset_scenario('vip_advocacy')], NULL, '2024-01-01')", Some("not_in_segment")),
    (
        "SELECT string_agg(concat_ws(' ', scenario, step, why, waits_for), ', ') FROM due_steps(
            ARRAY[preset_scenario('at_risk_check_in'), preset_scenario('dissatisfied')],
            '{\"2024-01-01\": {\"orders\": 1, \"amount\": 1}}', '2024-02-15', NULL, '{\"return\": {\"2024-01-02\": 1}}')",
        Some("dissatisfied hear_out due, at_risk_check_in check_in other_scenario_first dissatisfied"),
    ),
    // Timelines as long as the calendar.
    (
        "SELECT string_agg(state || ' ' || from_day || ' ' || to_day, ' ') FROM state_timeline(NULL, '4713-01-01 BC', '5874897-12-31')",
        Some("prospect 4713-01-01 BC 5874897-12-31"),
    ),
    (
        "SELECT string_agg(state || ' ' || from_day, ' ') FROM state_timeline('{\"9999-12-31\": {\"orders\": 1, \"amount\": 1}}', '4713-01-01 BC', '5874897-12-31')",
        Some("prospect 4713-01-01 BC new 9999-12-31 at_risk 10000-01-31 dormant 10000-03-01"),
    ),
    ("SELECT count(*) FROM segment_history('{}', '2024-01-31', '2024-01-31', '178956970 years 7 months')", Some("1")),
    (
        "SELECT next_transition_on('{\"9999-12-31\": {\"orders\": 1, \"amount\": 1}}'::purchase_history, '5874897-12-31')",
        None,
    ),
    // Policies that only look broken.
    ("SELECT '{}'::segment_policy", Some("{}")),
    ("SELECT '{\"vip\": {\"monetary_cut\": 1e2}}'::segment_policy", Some(r#"{"vip":{"monetary_cut":100}}"#)),
    ("SELECT rfm_score(20, 3, 15000, '{\"rfm\": {\"monetary_cuts\": [1, 1, 1, 1]}}')", Some("535")),
    ("SELECT rfm_score(20, 3, 15000, '{\"rfm\": {\"monetary_cuts\": [1]}}')", Some("532")),
    ("SELECT rfm_segment(555, '{\"segments\": {\"rules\": [], \"default\": \"みんな\"}}')", Some("みんな")),
    ("SELECT rfm_segment(NULL::int)", None),
    ("SELECT next_action('active', 3, NULL, NULL, '{\"next_action\": {\"rules\": []}}')", Some("none")),
];

#[test]
fn odd_input_has_a_defined_result() {
    let database = Database::new("odd_input");
    let mut client = client(&database);
    for &(sql, expected) in DEFINED {
        assert_eq!(value(&mut client, sql).as_deref(), expected, "{sql}");
    }
}

/// Every function and aggregate of the extension, with the names of its argument types and how many have a default. Parts of
/// aggregates are not meant to be called; stored policies and segmentations, written in SQL, have tests of their own.
fn functions(client: &mut Client) -> Vec<(String, char, bool, Vec<String>, usize)> {
    let sql = "SELECT p.proname::text, p.prokind::text, p.proretset, p.pronargdefaults::int,
                      ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n) ORDER BY n)
               FROM pg_proc p
               WHERE p.pronamespace = 'rfm'::regnamespace AND p.proname !~ '^_'
                 AND p.prolang NOT IN (SELECT l.oid FROM pg_language l WHERE l.lanname IN ('sql', 'plpgsql'))
                 AND NOT ('internal'::regtype = ANY (p.proargtypes) OR 'cstring'::regtype = ANY (p.proargtypes)
                          OR p.prorettype IN ('internal'::regtype, 'cstring'::regtype))
               ORDER BY 1, p.oid";
    let rows = client.query(sql, &[]).expect("pg_proc can be read");
    rows.iter()
        .map(|row| {
            let kind = row.get::<_, &str>(1).chars().next().unwrap_or('f');
            (row.get(0), kind, row.get(2), row.get(4), row.get::<_, i32>(3) as usize)
        })
        .collect()
}

#[test]
fn all_null_calls_of_every_overload() {
    let database = Database::new("all_null");
    let mut client = client(&database);
    let functions = functions(&mut client);
    assert!(functions.iter().filter(|f| f.1 == 'a').count() > 90 && functions.len() > 170, "{}", functions.len());
    for search_path in ["rfm", "''"] {
        batch(&mut client, &format!("SET search_path = {search_path}"));
        for (name, kind, is_set, types, defaults) in &functions {
            for count in types.len() - defaults..=types.len() {
                let nulls: Vec<_> = types[..count]
                    .iter()
                    .map(|name| match name.strip_prefix("rfm.") {
                        None if name.contains("_history")
                            || name.starts_with("scenario")
                            || ["segment_policy", "ab_result"].contains(&name.as_str()) =>
                        {
                            format!("NULL::rfm.{name}")
                        }
                        _ => format!("NULL::{name}"),
                    })
                    .collect();
                let call = format!("rfm.{name}({})", nulls.join(", "));
                if *kind == 'a' {
                    for rows in [0, 1, 3] {
                        let result = value(&mut client, &format!("SELECT {call} FROM generate_series(1, {rows})"));
                        let is_history = !name.starts_with("rollup") && name.ends_with("_history");
                        let expected = match name.as_str() {
                            "proportion" => Some("(,0,,,)"),
                            "ab_result" => Some("(0,,,,,,,)"),
                            "contact_history" => (rows > 0).then_some("[]"),
                            _ => (rows > 0 && is_history).then_some("{}"),
                        };
                        assert_eq!(result.as_deref(), expected, "{call} over {rows} rows");
                        batch(
                            &mut client,
                            &format!("SELECT {call} OVER (ORDER BY i) FROM generate_series(1, {rows}) i"),
                        );
                    }
                } else {
                    batch(&mut client, &format!("SELECT * FROM {call}"));
                    batch(&mut client, &format!("SELECT {call}"));
                    if types.is_empty() || *is_set || name.starts_with("effective") {
                        continue;
                    }
                    let result = value(&mut client, &format!("SELECT {call}"));
                    let defined = ["lifecycle_state", "reachable_channels"];
                    assert!(result.is_none() || defined.contains(&name.as_str()), "{call} is {result:?}");
                }
            }
        }
    }
}

/// One NULL among good arguments, and infinite days in every place a day can stand.
#[test]
fn one_null_or_one_infinity_among_good_arguments() {
    let database = Database::new("one_null");
    let mut client = client(&database);
    for (name, kind, _, types, _) in functions(&mut client) {
        let good = |name: &str| match name {
            "date" => "date '2024-03-15'",
            "timestamp without time zone" => "timestamp '2024-03-01 12:00'",
            "timestamp with time zone" => "timestamptz '2024-03-01 12:00'",
            "numeric" => "15.25::numeric",
            "double precision" => "15.25::float8",
            "bigint" => "3::bigint",
            "integer" => "345",
            "boolean" => "true",
            "text" if name == "purchase_history" => "'paused'",
            "text" => "'paused'",
            "text[]" => "'{email}'::text[]",
            "purchase_history" => HISTORY,
            "engagement_history" => "'{\"review\": {\"2024-03-01\": 2}}'::engagement_history",
            "contact_history" => "'[{\"on\": \"2024-03-01\", \"channel\": \"email\"}]'::contact_history",
            "scenario" => "preset_scenario('at_risk_check_in')",
            "scenario[]" => "ARRAY[preset_scenario('at_risk_check_in')]",
            "segment_policy" => "'{\"vip\": {\"monetary_cut\": 10}}'::segment_policy",
            "jsonb" => "'{}'::jsonb",
            "interval" => "interval '1 month'",
            "uuid" => "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
            "ab_result" => "'(100,10,,,,50.5,,300.25)'::ab_result",
            other => panic!("no example of {other}"),
        };
        // The texts of these functions are names from lists; the plain numbers of rfm_segment are codes.
        let texts_are_labels = name.starts_with("preset_") || (name == "next_action" && types[0] == "text");
        for position in 0..types.len() {
            let mut arguments: Vec<String> = types.iter().map(|name| good(name).to_owned()).collect();
            if texts_are_labels {
                for (index, label) in ["'active'", "", "'paused'", "'drifted'"].iter().enumerate() {
                    if types.get(index).is_some_and(|name| name == "text") {
                        arguments[index] = (*label).to_owned();
                    }
                }
                if name == "preset_policy" {
                    arguments[0] = "'default'".to_owned();
                }
                if name == "preset_scenario" {
                    arguments[0] = "'vip_advocacy'".to_owned();
                }
            }
            let rows = if kind == 'a' { " FROM generate_series(1, 2)" } else { "" };
            let type_name = &types[position];
            arguments[position] = format!("NULL::{type_name}");
            let sql = format!("SELECT rfm.{name}({}){rows}", arguments.join(", "));
            if let Err(error) = client.batch_execute(&sql) {
                // Orders without recency.
                let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {sql}"));
                assert_eq!(error.code().code(), "22023", "{error:?}: {sql}");
                assert!(error.message().contains("recency_days is NULL"), "{error:?}: {sql}");
            }
            if type_name == "date" || type_name.starts_with("timestamp") {
                for infinity in ["infinity", "-infinity"] {
                    arguments[position] = format!("'{infinity}'::{type_name}");
                    let sql = format!("SELECT rfm.{name}({}){rows}", arguments.join(", "));
                    let (sqlstate, message, hint) = expect_error(&mut client, &sql);
                    assert!(sqlstate == "22008" && message.ends_with(infinity) && !hint.is_empty(), "{message}: {sql}");
                }
            }
        }
    }
}

#[test]
fn empty_tables() {
    let database = Database::new("empty");
    let mut client = client(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric);
         CREATE TABLE histories (customer_id int, h purchase_history, e engagement_history, p segment_policy)",
    );
    for sql in [
        "SELECT count(*) FROM (SELECT purchase_history(ordered_on, amount) FROM orders GROUP BY customer_id) x",
        "SELECT count(*) FROM histories, LATERAL segment_customer(h, '2024-01-01', p, e)",
        "SELECT count(*) FROM (SELECT DISTINCT h, e, p FROM histories) x",
    ] {
        assert_eq!(value(&mut client, sql).as_deref(), Some("0"), "{sql}");
    }
    assert_eq!(value(&mut client, "SELECT purchase_history(ordered_on, amount) FROM orders"), None);
    assert_eq!(value(&mut client, "SELECT rollup(h) FROM histories"), None);
}

fn backend_megabytes(client: &mut Client) -> Option<u64> {
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).expect("a pid").get(0);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

#[test]
fn a_million_orders_of_one_customer() {
    let database = Database::new("million");
    let mut client = client(&database);
    batch(&mut client, "SET work_mem = '4MB'; SET max_parallel_workers_per_gather = 0");
    let same_day = "SELECT orders(h, '2024-01-01') || ' ' || purchase_days(h, '2024-01-01') || ' ' || monetary(h, '2024-01-01')
        FROM (SELECT purchase_history(date '2024-01-01', (i % 1000 - 100) / 100.0) FROM generate_series(1, 1000000) i) x(h)";
    let expected = "SELECT count(*) FILTER (WHERE a >= 0) || ' 1 ' || sum(a)
        FROM (SELECT (i % 1000 - 100) / 100.0 FROM generate_series(1, 1000000) i) x(a)";
    let (result, expected) = (value(&mut client, same_day), value(&mut client, expected));
    let as_numbers = |text: Option<String>| {
        let text = text.unwrap_or_default();
        let mut words = text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        words[2] = words[2].trim_end_matches('0').to_owned();
        words
    };
    assert_eq!(as_numbers(result), as_numbers(expected));
    let after_same_day = backend_megabytes(&mut client);

    let other_days = "SELECT orders(h, 'today') || ' ' || purchase_days(h, 'today') || ' ' || monetary(h, 'today') || ' ' || first_purchase_on(h, 'today')
        FROM (SELECT purchase_history(date '0001-01-01' + (i::bigint * 7919 % 1000000)::int, i) FROM generate_series(0, 999999) i) x(h)";
    let other_days = other_days.replace("'today'", "'9999-12-31'");
    assert_eq!(value(&mut client, &other_days).as_deref(), Some("1000000 1000000 499999500000 0001-01-01"));
    let after_other_days = backend_megabytes(&mut client);
    println!("peak of the backend: {after_same_day:?} MB on one day, {after_other_days:?} MB on a million days");
    assert!(
        after_same_day.is_none_or(|megabytes| megabytes < 100),
        "{after_same_day:?} MB for a million orders on one day"
    );
    assert!(after_other_days.is_none_or(|megabytes| megabytes < 400), "{after_other_days:?} MB for a million days");

    // A million events of one kind, and as many rows for each aggregate with a question.
    let events = "SELECT relation_score(engagement_history('review', date '2024-01-01' - i % 300), '2024-01-01') FROM generate_series(1, 300000) i";
    assert_eq!(value(&mut client, events).as_deref(), Some("30.00"));
    let question = "SELECT rfm_score(date '2024-01-01' - i % 3000, 1, '2024-01-01') FROM generate_series(1, 300000) i";
    assert_eq!(value(&mut client, question).as_deref(), Some("555"));
}

/// The same days as `::date`, whatever the zone's past and future.
#[test]
fn days_of_timestamptz_are_those_of_the_session() {
    let database = Database::new("zones");
    let mut client = client(&database);
    batch(
        &mut client,
        "SELECT setseed(0.42);
         CREATE TABLE instants AS
         SELECT i, CASE i % 4
                WHEN 0 THEN timestamptz '0001-01-02 00:00+00' + random() * interval '9998 years'
                WHEN 1 THEN timestamptz '1840-01-01 00:00+00' + random() * interval '110 years'
                ELSE timestamptz '1950-01-01 00:00+00' + random() * interval '120 years' END AS t
         FROM generate_series(1, 4000) i",
    );
    let mut zones: Vec<String> = [
        "Asia/Kathmandu",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Europe/Lisbon",
        "Africa/Monrovia",
        "Europe/Amsterdam",
        "Asia/Tokyo",
        "America/New_York",
        "Europe/Dublin",
        "Africa/Casablanca",
        "Africa/Windhoek",
        "Antarctica/Troll",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Asia/Gaza",
        "Pacific/Kiritimati",
        "Asia/Manila",
        "America/Juneau",
        "Europe/Prague",
        "Africa/El_Aaiun",
        "EST5EDT",
        "EST5EDT,M3.2.0,M11.1.0",
        "<+0545>-5:45",
        "XYZ-14",
        "ABC+12:34",
        "JST-9",
        "-3:30",
        "+15:59",
    ]
    .map(str::to_owned)
    .to_vec();
    // Four thousand instants in each of these; around every local midnight of ten years besides.
    let check = "SELECT count(*) FILTER (WHERE by_timestamptz IS DISTINCT FROM by_date) FROM (
        SELECT purchase_history(t, 1::bigint) AS by_timestamptz, purchase_history(t::date, 1::bigint) AS by_date
        FROM %instants% GROUP BY i % 400) x";
    let midnights = "(SELECT i, ((date '2005-01-01' + i)::timestamp AT TIME ZONE current_setting('TimeZone')) + d AS t
        FROM generate_series(0, 3660) i, unnest(ARRAY[interval '-1 microsecond', '0', '1 microsecond', '59 minutes']) d) m";
    for zone in &zones {
        batch(&mut client, &format!("SET TimeZone = '{zone}'"));
        assert_eq!(value(&mut client, &check.replace("%instants%", "instants")).as_deref(), Some("0"), "{zone}");
        if !zone.starts_with(['-', '+', '<']) {
            assert_eq!(
                value(&mut client, &check.replace("%instants%", midnights)).as_deref(),
                Some("0"),
                "{zone}, midnights"
            );
        }
    }
    for interval in ["+05:45", "-11:30", "+00:00:01"] {
        batch(&mut client, &format!("SET TIME ZONE INTERVAL '{interval}' HOUR TO MINUTE"));
        assert_eq!(value(&mut client, &check.replace("%instants%", "instants")).as_deref(), Some("0"), "{interval}");
    }

    // Every zone there is, one after the other in one session.
    zones = client
        .query("SELECT name FROM pg_timezone_names WHERE name !~ '^(posix|right)/'", &[])
        .expect("the zones")
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(zones.len() > 300);
    let some = "(SELECT * FROM instants WHERE i % 20 < 4) s";
    for zone in zones {
        batch(&mut client, &format!("SET TimeZone = '{zone}'"));
        assert_eq!(value(&mut client, &check.replace("%instants%", some)).as_deref(), Some("0"), "{zone}");
    }

    // The zone may change from one statement to the next, and inside of one.
    batch(
        &mut client,
        "SET TimeZone = 'UTC';
         CREATE FUNCTION day_in_tokyo(timestamptz) RETURNS purchase_history LANGUAGE sql SET TimeZone = 'Asia/Tokyo'
         AS 'SELECT rfm.purchase_history($1, 1::bigint)'",
    );
    let both =
        "SELECT purchase_history(t, 1::bigint) || ' ' || day_in_tokyo(max(t)) || ' ' || purchase_history(t, 1::bigint)
        FROM (VALUES (timestamptz '2024-01-01 20:00+00')) v(t)"
            .replace("purchase_history(t, 1::bigint)", "purchase_history(t, 1::bigint)::text")
            .replace("day_in_tokyo(max(t))", "day_in_tokyo(max(t))::text");
    let [utc, tokyo] = ["2024-01-01", "2024-01-02"].map(|day| format!(r#"{{"{day}": {{"orders": 1, "amount": 1}}}}"#));
    assert_eq!(value(&mut client, &both), Some(format!("{utc} {tokyo} {utc}")));
}

/// `double precision` amounts are what `::numeric` makes of them, and sums of them the sums of that.
#[test]
fn float_amounts_are_converted_as_numeric_does() {
    let database = Database::new("floats");
    let mut client = client(&database);
    batch(
        &mut client,
        "SET extra_float_digits = 1;
         SELECT setseed(0.77);
         CREATE TABLE floats AS
         SELECT row_number() OVER () AS i, x FROM (
            SELECT (random() - 0.3) * 10::float8 ^ (random() * 52 - 16) AS x FROM generate_series(1, 160000)
            UNION ALL SELECT round((random() * 1e7)::numeric, 2)::float8 FROM generate_series(1, 20000)
            UNION ALL SELECT (i / 8.0)::float8 FROM generate_series(-100, 100) i
            UNION ALL SELECT 10::float8 ^ i FROM generate_series(-20, 37) i
            UNION ALL SELECT unnest(ARRAY[0, '-0', 0.1::float8 + 0.2, 9007199254740993, 1.5e-5, 123456789.123456789, 0.1::real, 1e15, 999999999999999.5, 5e-20])
         ) v WHERE scale(x::numeric) <= 20 AND abs(x::numeric) < 1e37 AND length(trim(trim_scale(abs(x::numeric))::text, '0.')) <= 38",
    );
    let compared = value(&mut client, "SELECT count(*) FROM floats").and_then(|count| count.parse::<i64>().ok());
    assert!(compared > Some(100_000), "{compared:?}");
    let each = "SELECT string_agg(x::text || ' is ' || m || ', not ' || n, '; ')
        FROM (SELECT x, x::numeric::text AS n, (SELECT monetary(purchase_history(date '2024-01-01', v.x), '2024-01-01')::text FROM (VALUES (floats.x)) v(x)) AS m FROM floats) y
        WHERE m <> n";
    assert_eq!(value(&mut client, each), None);
    let sums = "SELECT count(*) FROM (
            SELECT sum(x::numeric)::text AS n, monetary(purchase_history(date '2024-01-01' + i::int % 50, x), '2099-01-01')::text AS m
            FROM floats WHERE abs(x) < 1e14 GROUP BY i % 1000) y
        WHERE m <> n";
    assert_eq!(value(&mut client, sums).as_deref(), Some("0"));
}

/// The same for `numeric`: what has at most 38 digits and 20 decimals is accepted, to the last digit.
#[test]
fn numeric_amounts_of_up_to_38_digits() {
    let database = Database::new("numerics");
    let mut client = client(&database);
    let each = "SELECT string_agg(a::text || ' is ' || m, '; ') FROM (
            SELECT a, (SELECT monetary(purchase_history(date '2024-01-01', w.a), '2024-01-01')::text FROM (VALUES (v.a)) w(a)) AS m
            FROM (SELECT (sign || left(repeat('9876543210', 4), digits) || 'e-' || decimals)::numeric AS a
                  FROM generate_series(1, %digits%) digits, generate_series(0, 20) decimals, unnest(ARRAY['', '-']) sign) v
        ) y WHERE m <> a::text";
    assert_eq!(value(&mut client, &each.replace("%digits%", "35")), None);
    // 36 to 38 digits, where the decimals do not fill up groups of four.
    assert_eq!(value(&mut client, &each.replace("%digits%", "38")), None);
}

/// Walks through the whole policy and puts every other kind of JSON in every place: an error names the place, or the value
/// is accepted and used.
#[test]
fn every_place_of_a_policy_with_every_kind_of_json() {
    let database = Database::new("policy_walk");
    let mut client = client(&database);
    let text = value(&mut client, "SELECT effective_policy(NULL)").expect("the default policy");
    let effective: Value = serde_json::from_str(&text).expect("JSON");
    let mut places = Vec::new();
    collect_places(&effective, &mut Vec::new(), &mut places);
    assert!(places.len() > 250, "{}", places.len());
    let read = client.prepare("SELECT $1::text::segment_policy::text").expect("a cast");
    let used = client
        .prepare("SELECT count(*) FROM segment_customer(NULL, '2024-01-01', $1::text::segment_policy)")
        .expect("a function");
    let (mut refused, mut accepted, mut wrong) = (0, 0, Vec::new());
    // Rules are many and alike: of them a few suffice.
    places.retain(|place| place.iter().all(|step| step.as_u64().is_none_or(|position| position < 3)));
    for place in places {
        let path = path_of(&place);
        let within_when = path.split(".when").next().unwrap_or_default().to_owned();
        for other in kinds_of_json() {
            let mut changed = effective.clone();
            let slot = slot(&mut changed, &place);
            let (before, unchanged) = (slot.clone(), *slot == other);
            *slot = other.clone();
            if unchanged {
                continue;
            }
            let text = changed.to_string();
            match client.query_one(&read, &[&text]) {
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {path} = {other}"));
                    refused += 1;
                    if error.code().code() != "22P02" || !error.message().contains(&within_when) {
                        wrong.push(format!("{path} = {other}: {} {}", error.code().code(), error.message()));
                    }
                }
                Ok(_) => match client.query_one(&used, &[&text]) {
                    Ok(_) => accepted += 1,
                    Err(error) => {
                        let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {path} = {other}"));
                        refused += 1;
                        let parent = path.rsplit_once(['.', '[']).map_or(path.as_str(), |(parent, _)| parent);
                        // Cuts and ranges are judged as a whole.
                        if error.code().code() != "22023" || !error.message().contains(parent.trim_end_matches("[0")) {
                            wrong.push(format!(
                                "{path} = {other}, not {before}: {} {}",
                                error.code().code(),
                                error.message()
                            ));
                        }
                    }
                },
            }
        }
    }
    println!("{refused} refused, {accepted} accepted");
    assert!(refused > 1_000 && accepted > 50, "{refused} refused, {accepted} accepted");
    assert!(wrong.is_empty(), "{} of {refused}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The same for a scenario.
#[test]
fn every_place_of_a_scenario_with_every_kind_of_json() {
    let database = Database::new("scenario_walk");
    let mut client = client(&database);
    let text = value(&mut client, "SELECT preset_scenario('dissatisfied')").expect("a preset");
    let scenario: Value = serde_json::from_str(&text).expect("JSON");
    let mut places = Vec::new();
    collect_places(&scenario, &mut Vec::new(), &mut places);
    assert!(places.len() > 30, "{}", places.len());
    let read = client.prepare("SELECT $1::text::scenario::text").expect("a cast");
    let used = client
        .prepare("SELECT count(*) FROM due_steps(ARRAY[$1::text::scenario], NULL, '2024-01-01')")
        .expect("a function");
    let (mut refused, mut accepted, mut wrong) = (0, 0, Vec::new());
    for place in places {
        let path = path_of(&place);
        let within = path.split("enter_when.").next().unwrap_or_default().trim_end_matches('.');
        for other in kinds_of_json() {
            let mut changed = scenario.clone();
            *slot(&mut changed, &place) = other.clone();
            let text = changed.to_string();
            match client.query_one(&read, &[&text]) {
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {path} = {other}"));
                    refused += 1;
                    // Channels and steps are judged as a whole.
                    let within = within.rsplit_once('[').map_or(within, |(list, _)| list);
                    if error.code().code() != "22P02" || !error.message().contains(within) || error.hint().is_none() {
                        wrong.push(format!("{path} = {other}: {} {}", error.code().code(), error.message()));
                    }
                }
                Ok(_) => {
                    client.query_one(&used, &[&text]).unwrap_or_else(|error| panic!("{error}: {path} = {other}"));
                    accepted += 1;
                }
            }
        }
    }
    println!("{refused} refused, {accepted} accepted");
    assert!(refused > 200 && accepted > 20, "{refused} refused, {accepted} accepted");
    assert!(wrong.is_empty(), "{} of {refused}:\n{}", wrong.len(), wrong.join("\n"));
}

fn kinds_of_json() -> [Value; 9] {
    [json!(null), json!(true), json!(-1), json!(1.5), json!("x"), json!([]), json!({}), json!([[1]]), json!({"x": 1})]
}

/// A place in a document.
fn slot<'a>(document: &'a mut Value, place: &[Value]) -> &'a mut Value {
    place.iter().fold(document, |value, step| match step.as_u64() {
        Some(position) => &mut value[position as usize],
        None => &mut value[step.as_str().unwrap_or_default()],
    })
}

fn collect_places(value: &Value, place: &mut Vec<Value>, places: &mut Vec<Vec<Value>>) {
    let mut step = |step: Value, inner: &Value| {
        place.push(step);
        places.push(place.clone());
        collect_places(inner, place, places);
        place.pop();
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(position, item)| step(json!(position), item)),
        Value::Object(entries) => entries.iter().for_each(|(key, item)| step(json!(key), item)),
        _ => {}
    }
}

fn path_of(place: &[Value]) -> String {
    let mut path = String::new();
    for step in place {
        match step.as_str() {
            Some(key) if path.is_empty() => path.push_str(key),
            Some(key) => path.push_str(&format!(".{key}")),
            None => path.push_str(&format!("[{step}]")),
        }
    }
    path
}

/// What a policy's number is, its error says: the place, and nothing of amounts and currencies.
#[test]
fn errors_of_policy_numbers_name_the_place() {
    let database = Database::new("policy_numbers");
    let mut client = client(&database);
    let mut wrong = Vec::new();
    for (number, path) in [
        ("1e400", "rfm.monetary_cuts"),
        ("1e-21", "rfm.monetary_cuts"),
        ("1e39", "vip.monetary_cut"),
        ("1e400", "lifecycle.dormant_after_days"),
        ("5316911983139663491615228241121378304", "vip.value_weight"),
        ("-1e-30", "learned.x"),
    ] {
        let (group, key) = path.split_once('.').expect("two steps");
        let number = if key.ends_with("cuts") { format!("[{number}]") } else { number.to_owned() };
        for cast in ["", "::jsonb"] {
            let sql = format!(r#"SELECT '{{"{group}": {{"{key}": {number}}}}}'{cast}::segment_policy"#);
            match client.simple_query(&sql) {
                Ok(_) => wrong.push(format!("{sql} is accepted")),
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {sql}"));
                    if !error.message().contains(path) || error.hint().is_some_and(|hint| hint.contains("currency")) {
                        wrong.push(format!("{sql}: {} {} {:?}", error.code().code(), error.message(), error.hint()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// PostgreSQL has no text with a zero byte, and its jsonb none with \u0000.
#[test]
fn a_policy_has_no_zero_bytes() {
    let database = Database::new("zero_byte");
    let mut client = client(&database);
    for text in [
        r#"{"segments": {"rules": [], "default": "a\u0000b"}}"#,
        r#"{"segments": {"rules": [{"name": "\u0000", "any": [{}]}]}}"#,
        r#"{"relation": {"kinds": {"a\u0000": {"weight": 1, "cap": 1}}}}"#,
        r#"{"contact": {"channels": ["a\u0000"]}}"#,
        r#"{"learned": {"note": "\u0000"}}"#,
    ] {
        let (sqlstate, message, _) = expect_error(&mut client, &format!("SELECT '{text}'::segment_policy"));
        assert_eq!(sqlstate, "22P02", "{message}: {text}");
    }
}

/// serde_json passes numbers on as objects with a key of its own: such a key must not turn into a number.
#[test]
fn a_key_of_serde_json_is_refused() {
    let database = Database::new("serde_key");
    let mut client = client(&database);
    let sql = r#"SELECT '{"vip": {"monetary_cut": {"$serde_json::private::Number": "5"}}}'::segment_policy"#;
    let (sqlstate, message, _) = expect_error(&mut client, sql);
    assert!(sqlstate == "22P02" && message.contains("a key is reserved"), "{sqlstate} {message}");
}

/// jsonb may be nested deeper than the policy's reader goes.
#[test]
fn deeply_nested_jsonb_is_refused() {
    let database = Database::new("deep_jsonb");
    let mut client = client(&database);
    for depth in [128, 1_000, 6_000] {
        let sql = format!(
            "SELECT (('{{\"learned\": {{\"a\": ' || repeat('[', {depth}) || repeat(']', {depth}) || '}}}}')::jsonb)::segment_policy"
        );
        let (sqlstate, message, _) = expect_error(&mut client, &sql);
        assert_eq!(sqlstate, "22P02", "{message}");
        assert!(message.len() < 300, "{message}");
        let sql = sql.replace("::jsonb", "::text");
        let (sqlstate, message, _) = expect_error(&mut client, &sql);
        assert_eq!(sqlstate, "22P02", "{message}");
        assert!(message.len() < 300, "{message}");
    }
    let deepest = "SELECT effective_policy(('{\"learned\": {\"a\": ' || repeat('[', 100) || repeat(']', 100) || '}}')::segment_policy)::segment_policy IS NULL";
    assert_eq!(value(&mut client, deepest).as_deref(), Some("f"));
}

/// A policy with thousands of mistakes is told of a few.
#[test]
fn an_error_of_many_contradictions_stays_readable() {
    let database = Database::new("many_contradictions");
    let mut client = client(&database);
    let sql = r#"SELECT rfm_segment(555, ('{"segments": {"rules": [' || string_agg('{"name": "a", "any": []}', ',') || ']}}')::segment_policy)
        FROM generate_series(1, 10000)"#;
    let (sqlstate, message, _) = expect_error(&mut client, sql);
    assert_eq!(sqlstate, "22023");
    assert!(message.contains("segments.rules[1]"), "{}", &message[..200]);
    assert!(message.len() < 4_000, "the message has {} bytes", message.len());
}

/// NULL for an argument of type `internal`, which only the extended protocol can send.
#[derive(Debug)]
struct Internal;

impl ToSql for Internal {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

#[test]
fn parts_of_aggregates_called_by_hand() {
    let database = Database::new("by_hand");
    let mut client = client(&database);
    let sql = "SELECT p.proname::text, p.proisstrict, p.prorettype = 'internal'::regtype,
                      ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n) ORDER BY n)
               FROM pg_proc p
               WHERE p.pronamespace = 'rfm'::regnamespace AND 'internal'::regtype = ANY (p.proargtypes) ORDER BY 1, p.oid";
    let rows = client.query(sql, &[]).expect("pg_proc can be read");
    assert!(rows.len() >= 50, "{}", rows.len());
    // Some releases of PostgreSQL refuse any such call, its own functions included, by one SQLSTATE or another: the newest when it
    // is prepared, some older ones when the value arrives.
    let of_its_own = client
        .prepare_typed("SELECT pg_catalog.numeric_avg_serialize($1)", &[Type::INTERNAL])
        .and_then(|statement| client.query_one(&statement, &[&Internal]));
    let refusal = of_its_own.err().map(|error| error.code().expect("an error of the server").clone());
    if refusal.is_some() {
        eprintln!("SKIPPED: calls with a NULL of type internal: this server refuses them by {refusal:?}");
    }
    for row in rows {
        let (name, is_strict, types): (String, bool, Vec<String>) = (row.get(0), row.get(1), row.get(3));
        // Written by hand, NULL has no type, and PostgreSQL knows no cast to internal.
        let nulls = vec!["NULL"; types.len()].join(", ");
        let (sqlstate, ..) = expect_error(&mut client, &format!("SELECT rfm.{name}({nulls})"));
        assert!(["42883", "42725", "0A000"].contains(&sqlstate.as_str()), "{name}: {sqlstate}");
        let (sqlstate, ..) = expect_error(&mut client, &format!("SELECT rfm.{name}('x'::internal)"));
        assert!(["42846", "42883", "0A000"].contains(&sqlstate.as_str()), "{name}: {sqlstate}");

        let examples = |name: &str| match name {
            "bytea" => r"'\x0102'::bytea".to_owned(),
            "purchase_history" | "engagement_history" => format!("'{{}}'::{name}"),
            "contact_history" => "'[]'::contact_history".to_owned(),
            "segment_policy" => "NULL::segment_policy".to_owned(),
            "text" => "'review'::text".to_owned(),
            "boolean" => "true".to_owned(),
            name if name.starts_with("date") || name.starts_with("timestamp") => format!("'2024-01-01'::{name}"),
            name => format!("1::{name}"),
        };
        let internals = types.iter().filter(|name| *name == "internal").count();
        for with_nulls in [false, true] {
            let mut parameter = 0;
            let arguments: Vec<_> = types
                .iter()
                .map(|name| {
                    if name == "internal" {
                        parameter += 1;
                        format!("${parameter}")
                    } else if with_nulls {
                        format!("NULL::{name}")
                    } else {
                        examples(name)
                    }
                })
                .collect();
            let call = format!("SELECT rfm.{name}({}) IS NULL", arguments.join(", "));
            let statement = match client.prepare_typed(&call, &vec![Type::INTERNAL; internals]) {
                Ok(statement) => statement,
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {call}"));
                    assert_eq!(Some(error.code()), refusal.as_ref(), "{error:?}: {call}");
                    continue;
                }
            };
            let nulls: Vec<&(dyn ToSql + Sync)> = vec![&Internal; internals];
            match client.query_one(&statement, &nulls) {
                Ok(row) => {
                    assert!(row.get::<_, bool>(0), "{call} makes something of nothing");
                    // Functions that pass on what they are given, where that is nothing.
                    let passes_on = name.starts_with("_combine")
                        || (with_nulls
                            && ["_collect_history", "_collect_engagement", "_collect_contacts"]
                                .contains(&name.as_str()));
                    assert!(is_strict || passes_on, "{call} is no error");
                }
                Err(error) if error.code() == refusal.as_ref() => {}
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {call}"));
                    assert_eq!(error.code().code(), "22023", "{error:?}: {call}");
                    assert!(error.message().contains("part of an aggregate"), "{error:?}: {call}");
                    assert!(error.hint().is_some(), "{error:?}: {call}");
                }
            }
        }
        assert_eq!(value(&mut client, "SELECT 1").as_deref(), Some("1"));
    }
}

/// Aggregates over an `internal` state are a superuser's to make: a wrong combination is as dangerous as with PostgreSQL's own
/// functions, and nobody else can make one.
#[test]
fn only_a_superuser_can_build_aggregates_over_the_parts() {
    let database = Database::new("evil");
    let mut client = client(&database);
    let role = format!("{}_user", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role}; GRANT USAGE ON SCHEMA rfm TO {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}; SET ROLE {role}"
        ),
    );
    for parts in [
        "(date, numeric) (SFUNC = rfm._collect_order, STYPE = internal, FINALFUNC = rfm._finish_history)",
        "(text, date) (SFUNC = rfm._collect_event, STYPE = internal, FINALFUNC = rfm._finish_history)",
    ] {
        let (sqlstate, ..) = expect_error(&mut client, &format!("CREATE AGGREGATE public.evil{parts}"));
        assert!(["42P13", "42501"].contains(&sqlstate.as_str()), "{sqlstate}: {parts}");
    }
    batch(&mut client, "RESET ROLE");
    // A right combination works: the parts are those of a documented aggregate.
    batch(
        &mut client,
        "CREATE AGGREGATE public.mine(date, numeric) (SFUNC = rfm._collect_order, STYPE = internal, FINALFUNC = rfm._finish_history,
            COMBINEFUNC = rfm._combine_orders, SERIALFUNC = rfm._serialize_orders, DESERIALFUNC = rfm._deserialize_orders, PARALLEL = SAFE)",
    );
    let mine = "SELECT public.mine(date '2024-01-01', 5) = purchase_history(date '2024-01-01', 5)";
    assert_eq!(value(&mut client, mine).as_deref(), Some("t"));
    batch(&mut client, &format!("DROP AGGREGATE public.mine(date, numeric); DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// A superuser who puts parts of different aggregates together gets an error, not a crash.
#[test]
fn the_state_of_another_aggregate_is_refused() {
    let database = Database::new("mixed");
    let mut client = client(&database);
    batch(
        &mut client,
        "CREATE AGGREGATE public.mixed(text, date) (SFUNC = rfm._collect_event, STYPE = internal, FINALFUNC = rfm._finish_rfm_score);
         CREATE AGGREGATE public.mixed(date, numeric) (SFUNC = rfm._collect_order, STYPE = internal, FINALFUNC = rfm._finish_engagement);
         CREATE AGGREGATE public.mixed(purchase_history, date, segment_policy)
             (SFUNC = rfm._collect_customer, STYPE = internal, FINALFUNC = rfm._finish_history)",
    );
    for call in [
        "mixed('abc' || i, '2024-01-01')",
        "mixed('2024-01-01'::date, i)",
        "mixed('{}'::purchase_history, '2024-01-01', NULL)",
    ] {
        let (sqlstate, message, hint) =
            expect_error(&mut client, &format!("SELECT {call} FROM generate_series(1, 1000) AS i"));
        assert!(
            sqlstate == "22023" && message.contains("another aggregate") && !hint.is_empty(),
            "{sqlstate} {message}"
        );
    }
}

/// Aggregates as window functions, with FILTER, DISTINCT and ORDER BY, and over several grouping sets.
#[test]
fn unusual_ways_of_calling_the_aggregates() {
    let database = Database::new("unusual");
    let mut client = client(&database);
    let rows = "(SELECT i, date '2024-01-01' + i AS d, i::numeric AS a FROM generate_series(1, 50) i) r";
    for sql in [
        // A running history is the history of the rows so far.
        "SELECT count(*) FROM (SELECT i, orders(purchase_history(d, a) OVER (ORDER BY i), '2099-01-01') AS n FROM %rows%) x WHERE n <> i",
        "SELECT count(*) FROM (SELECT i, orders(purchase_history(d, a) OVER (ORDER BY i ROWS 4 PRECEDING), '2099-01-01') AS n FROM %rows%) x
            WHERE n <> least(i, 5)",
        "SELECT count(*) FROM (SELECT rfm_score(d, a, '2024-12-31') OVER (PARTITION BY i % 7 ORDER BY i) AS s FROM %rows%) x WHERE s IS NULL",
        "SELECT orders(purchase_history(d, a) FILTER (WHERE i > 50), '2099-01-01') FROM %rows%",
        "SELECT 50 - orders(purchase_history(DISTINCT d, a ORDER BY d DESC, a), '2099-01-01') FROM %rows%",
        "SELECT sum(orders(h, '2099-01-01')) - 150 FROM (SELECT purchase_history(d, a) FROM %rows% GROUP BY GROUPING SETS ((), (i % 2), (i % 3))) x(h)",
    ] {
        assert_eq!(value(&mut client, &sql.replace("%rows%", rows)).as_deref(), Some("0"), "{sql}");
    }
}

/// Labels, titles and kinds are more than ASCII: a database that cannot hold them is refused from the start.
#[test]
fn databases_of_other_encodings_are_refused() {
    let database = Database::new("encodings");
    let mut server = database.client();
    for encoding in ["LATIN1", "EUC_JP", "SQL_ASCII"] {
        let name = format!("{}_{}", database.name, encoding.to_lowercase());
        batch(
            &mut server,
            &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"),
        );
        let other = Database { name };
        let (sqlstate, message, hint) = expect_error(&mut other.client(), "CREATE EXTENSION pg_rfm");
        assert_eq!(sqlstate, "0A000");
        assert!(message.contains("UTF8") && message.contains(encoding), "{message}");
        assert!(hint.contains("CREATE DATABASE"), "{hint}");
    }
}
