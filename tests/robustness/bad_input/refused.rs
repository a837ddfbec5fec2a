//! What is refused, and by which error.

use super::*;

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
    ("SELECT next_action('no_such_state', 1)", "22023", "\"no_such_state\""),
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
    // Countries, lists, languages.
    ("SELECT normalized_phone('090-1234-5678', 'XX')", "22023", "\"XX\""),
    ("SELECT normalized_phone('090-1234-5678', '')", "22023", "\"\""),
    ("SELECT normalized_postal_code('123-4567', 'Japan')", "22023", "\"Japan\""),
    ("SELECT normalized_postal_code('1', repeat('x', 10000000))", "22023", "unknown country"),
    ("SELECT label('channels', 'email', 'ja')", "22023", "\"channels\""),
    ("SELECT label('channel', 'email', 'fr')", "22023", "\"fr\""),
    ("SELECT label_order('', 'email')", "22023", "\"\""),
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
    // Memberships.
    ("SELECT membership_history('gold', date '2024-01-01')", "22023", "\"gold\""),
    ("SELECT membership_history('', date '2024-01-01')", "22023", "unknown membership"),
    ("SELECT membership_history('paused', date 'infinity')", "22008", "infinity"),
    ("SELECT membership_history('paused', date '10000-01-01')", "22008", "out of range"),
    ("SELECT membership_history('paused', date '0001-01-01' + i) FROM generate_series(0, 1000000) i", "54000", "1000000 "),
    ("SELECT '[]'::membership_history", "22P02", "object"),
    ("SELECT '{\"2024-02-30\": \"paused\"}'::membership_history", "22P02", "2024-02-30"),
    ("SELECT '{\"2024-02-01\": \"gold\"}'::membership_history", "22023", "\"gold\""),
    ("SELECT '{\"2024-02-01\": 1}'::membership_history", "22P02", "text"),
    ("SELECT '{\"2024-02-01\": \"01\", \"2024-02-01\": \"02\"}'::membership_history", "22P02", "2024-02-01"),
    ("SELECT membership_on('{}', 'infinity')", "22008", "infinity"),
    ("SELECT * FROM subscription_cycles('{}', '0', '2024-01-01')", "22023", "step"),
    ("SELECT * FROM subscription_cycles('{}', '-1 month', '2024-01-01')", "22023", "step"),
    ("SELECT * FROM subscription_cycles('{\"0001-01-01\": \"01\"}', '1 day', '9999-12-31')", "54000", "100000"),
    ("SELECT contact_allowed_on(NULL, 'infinity')", "22008", "infinity"),
    ("SELECT last_contacted_on('[]', 'infinity')", "22008", "infinity"),
    ("SELECT default_policy() || '{\"contact\": {\"limits\": [{\"contacts\": 0, \"days\": 7}]}}'", "22023", "contact.limits[0]"),
    ("SELECT '{\"contact\": {\"limits\": [{\"contacts\": 2, \"days\": -7}]}}'::segment_policy", "22P02", "contact.limits[0].days"),
    ("SELECT '{\"contact\": {\"channel_limits\": {\"email\": [{\"contacts\": 2}]}}}'::segment_policy", "22P02", "contact.channel_limits.email[0]"),
    ("SELECT channel_responses('{}', '[]', 'infinity')", "22008", "infinity"),
    ("SELECT dormant_responses('{}', '[]', '-infinity')", "22008", "-infinity"),
    ("SELECT dormant_responses('{}', '[]', '2024-01-01', membership => 'gold')", "22023", "\"gold\""),
    ("SELECT '{\"contact\": {\"unanswered_before_next_channel\": -1}}'::segment_policy", "22P02", "contact.unanswered_before_next_channel"),
    ("SELECT default_policy() || '{\"contact\": {\"response_days\": 0}}'", "22023", "contact.response_days: it must be at least 1"),
    ("SELECT dormant_response_order('{bored}', '{1}', '{1}', '{1}')", "22023", "\"bored\""),
    ("SELECT dormant_response_order('{drifted}', '{0}', '{1}', '{1}')", "22023", "year 0"),
    ("SELECT dormant_response_order('{drifted}', '{1}', '{1}', '{2}')", "22023", "2 of 1 is no proportion"),
    ("SELECT dormant_response_order('{drifted}', '{1}', '{1}', '{1,1}')", "22023", "1, 1, 1 and 2"),
    ("SELECT dormant_response_order('{drifted,drifted}', '{1,1}', '{1,1}', '{1,1}')", "22023", "year 1 of drifted stands twice"),
    ("SELECT dormant_response_order(array_fill('drifted'::text, '{100001}'), '{1}', '{1}', '{1}')", "54000", "100001 kinds"),
    ("SELECT preset_scenario('at_risk')", "22023", "\"at_risk\""),
    ("SELECT ''::scenario", "22P02", "scenario"),
    ("SELECT '[]'::scenario", "22P02", "object"),
    ("SELECT '{}'::scenario", "22P02", "missing field"),
    ("SELECT '{\"name\": \"a\", \"name\": \"b\"}'::scenario", "22P02", "stands twice"),
    ("SELECT (preset_scenario('at_risk_check_in')::jsonb || '{\"enter_when\": {\"lifecycle_state\": \"no_such_state\"}}')::scenario", "22P02",
     "enter_when: lifecycle_state: unknown lifecycle state: \"no_such_state\""),
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
    ("SELECT '{\"2024-01-01\": {\"orders\": 0, \"discounted\": 1, \"amount\": 5}}'::purchase_history", "22P02", "2024-01-01"),
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
