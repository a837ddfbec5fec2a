//! Odd input whose result is defined.

use super::*;

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
    // No purchase: only the amount counts. NULL is as if nothing was said.
    (
        "SELECT purchase_history('2024-01-01', 100.50, true, false)",
        Some(r#"{"2024-01-01": {"orders": 0, "amount": 100.50}}"#),
    ),
    ("SELECT purchase_history('2024-01-01', 100, NULL, NULL)", Some(r#"{"2024-01-01": {"orders": 1, "amount": 100}}"#)),
    (
        "SELECT purchase_history('2024-01-01', 100, false, true)",
        Some(r#"{"2024-01-01": {"orders": 1, "full_price": 1, "amount": 100}}"#),
    ),
    ("SELECT purchase_history('2024-01-01', -100, NULL, true)", Some(r#"{"2024-01-01": {"orders": 0, "amount": -100}}"#)),
    (
        "SELECT purchase_history(date '2024-01-01', NULL::numeric, NULL, false)",
        Some(r#"{"2024-01-01": {"orders": 0, "amount": 0}}"#),
    ),
    ("SELECT purchase_history(NULL::date, 100, NULL, false)", Some("{}")),
    (
        r#"SELECT '{"2024-01-01": {"orders": 0, "amount": 0}, "2024-01-02": {"orders": 0, "amount": 5.0}}'::purchase_history"#,
        Some(r#"{"2024-01-01": {"orders": 0, "amount": 0.0}, "2024-01-02": {"orders": 0, "amount": 5.0}}"#),
    ),
    (
        r#"SELECT lifecycle_state('{"2024-01-01": {"orders": 0, "amount": 5}}'::purchase_history, '2024-01-01')"#,
        Some("prospect"),
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
    ("SELECT action_channel FROM segment_customer(NULL, '2024-01-01', channels => '{pigeon, EMAIL}')", Some("pigeon")),
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
    // What is no address has no normalized form, however long or odd.
    ("SELECT normalized_email('　ａ．．ｂ＠ＤＯＣＯＭＯ．ｎｅ．ｊｐ ')", Some("a..b@docomo.ne.jp")),
    ("SELECT normalized_email(t) FROM repeat('a@', 50000000) AS t", None),
    ("SELECT normalized_email(E'a@example.jp\\r\\nBcc: b@example.jp')", None),
    ("SELECT normalized_email('')", None),
    ("SELECT normalized_phone('０９０－１２３４－５６７８', 'JP')", Some("+819012345678")),
    ("SELECT normalized_phone('(650) 253-0000', 'us')", Some("+16502530000")),
    ("SELECT normalized_phone(t, 'JP') FROM repeat('0', 100000000) AS t", None),
    ("SELECT normalized_phone('', 'GB')", None),
    ("SELECT normalized_postal_code('〒１２３ー４５６７　東京都足立区本木１－２－３', 'JP')", Some("123-4567")),
    ("SELECT normalized_postal_code('la229bu', 'gb')", Some("LA22 9BU")),
    ("SELECT normalized_postal_code(t, 'JP') FROM repeat('〒1', 1000000) AS t", None),
    ("SELECT normalized_postal_code(E'\\u0001', 'US')", None),
    // What is in no list is called by its name, and has no place.
    ("SELECT label('channel', 'fax', 'ja')", Some("fax")),
    ("SELECT label('membership', '02', 'ja')", Some("休会中")),
    ("SELECT label('channel', '', 'en')", Some("")),
    ("SELECT length(label('rfm_segment', repeat('あ', 1000000), 'ja'))", Some("1000000")),
    ("SELECT label_order('channel', 'fax')", None),
    ("SELECT label_order('rfm_segment', 'lost')", Some("11")),
    (
        "SELECT string_agg(concat_ws(':', sort_order, segment, label_ja), ' ' ORDER BY sort_order)
         FROM rfm_segments('{\"segments\": {\"rules\": [{\"name\": \"mine\", \"any\": []}, {\"name\": \"lost\", \"any\": []}], \"default\": \"lost\"}}')",
        Some("1:mine:mine 2:lost:離反"),
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
    // Memberships: NULL is ignored, nothing is known before the first entry, and later ones are invisible.
    ("SELECT membership_history('01', '2024-01-01')", Some(r#"{"2024-01-01": "continuing"}"#)),
    ("SELECT membership_history(NULL, '2024-01-01')", Some("{}")),
    ("SELECT membership_history('paused', NULL)", Some("{}")),
    ("SELECT membership_history('paused', '2024-01-01') FROM generate_series(1, 0)", None),
    ("SELECT membership_history(m, '2024-01-01') FROM unnest('{03,ad_hoc,01}'::text[]) m", Some(r#"{"2024-01-01": "withdrawn"}"#)),
    ("SELECT rollup(NULL::membership_history)", None),
    ("SELECT membership_on('{}', '2024-01-01')", None),
    ("SELECT membership_on('{\"2024-01-02\": \"paused\"}', '2024-01-01')", None),
    ("SELECT membership_on('{\"0001-01-01\": \"paused\"}', '9999-12-31')", Some("paused")),
    ("SELECT membership_since('{\"0001-01-01\": \"paused\"}', NULL)", None),
    ("SELECT previous_membership('{\"2024-01-02\": \"paused\", \"2024-01-03\": \"01\"}', '2024-01-03')", Some("paused")),
    ("SELECT count(*) FROM subscription_months('{\"0001-01-01\": \"paused\"}', '9999-12-31')", Some("119987")),
    ("SELECT count(*) FROM subscription_cycles('{\"0001-01-01\": \"paused\"}', '7000 years', '9999-12-31')", Some("2")),
    ("SELECT count(*) FROM membership_periods('{}', '9999-12-31')", Some("0")),
    ("SELECT contact_allowed_on(NULL, '2024-01-05')", Some("2024-01-05")),
    ("SELECT last_contacted_on(NULL, '2024-01-05')", None),
    ("SELECT last_contacted_on('[{\"on\": \"2024-01-01\"}]', NULL)", None),
    ("SELECT last_contacted_on('[]', '2024-01-05')", None),
    ("SELECT last_contacted_on('[{\"on\": \"2024-01-06\"}, {\"on\": \"2024-01-02\"}]', '2024-01-05')", Some("2024-01-02")),
    ("SELECT last_contacted_on('[{\"on\": \"2024-01-01\", \"group\": \"holdout\"}]', '2024-01-05')", None),
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
    // Answers: nobody's, to nothing, and to the last day of the calendar.
    ("SELECT count(*) FROM channel_responses(NULL, NULL, '2024-01-05')", Some("0")),
    ("SELECT count(*) FROM channel_responses('{}', '[]', '2024-01-05')", Some("0")),
    ("SELECT count(*) FROM channel_responses('{}', '[{\"on\": \"2024-01-01\"}]', NULL)", Some("0")),
    (
        "SELECT r::text FROM channel_responses(NULL, '[{\"on\": \"2024-01-01\", \"times\": 4294967295}]', '5874897-12-31') AS r",
        Some("(,1,1,0,1,f,2024-01-01,)"),
    ),
    (
        "SELECT r::text FROM channel_responses('{\"9999-12-31\": {\"orders\": 1, \"amount\": 1}}', '[{\"on\": \"2024-01-01\", \"channel\": \"email\"}]',
            '5874897-12-31', '{\"contact\": {\"response_days\": 4294967295}}') AS r",
        Some("(email,1,1,1,0,f,2024-01-01,9999-12-31)"),
    ),
    ("SELECT count(*) FROM dormant_responses(NULL, '[{\"on\": \"2024-01-01\"}]', '2024-01-05')", Some("0")),
    ("SELECT count(*) FROM dormant_response_order('{}', '{}', '{}', '{}')", Some("0")),
    ("SELECT count(*) FROM dormant_response_order(NULL, '{}', '{}', '{}')", Some("0")),
    (
        "SELECT string_agg(o::text, ' ') FROM dormant_response_order('{drifted,NULL,drifted}', '{2147483647,1,NULL}', '{NULL,1,1}', '{NULL,1,1}') AS o",
        Some("(1,drifted,2147483647,0,0,,,,built_in)"),
    ),
    (
        "SELECT o::text FROM dormant_response_order('{drifted}', '{1}', '{9223372036854775807}', '{9223372036854775807}') AS o",
        Some("(1,drifted,1,9223372036854775807,9223372036854775807,1.000000,1.000000,1.000000,measured)"),
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
