//! explain_customer says what segment_customer says, and the decisions that it shows lead to these results.
//!
//! After a change that is meant to be, `PG_RFM_UPDATE=1 make test ARGS="--test specification explain"` writes the snapshot again.

use crate::common::*;
use crate::random_shop;

const DAYS: &[&str] = &["2024-06-30", "2025-06-30", "2025-08-30"];

const POLICIES: &[&str] = &[
    "{}",
    r#"{"lifecycle": {"cycle": "own"}}"#,
    r#"{"frequency": "purchase_days",
        "lifecycle": {"cycle": "own", "prior_gaps": 0.7, "store_gap_days": 33.5, "at_risk_ratio": 1.3,
                      "dormant_ratio": 2.15, "min_days": 5, "max_days": 120, "winback_window_days": 45}}"#,
    r#"{"rfm": {"recency_cuts": [1, 7, 30, 31, 59, 60, 61, 365], "frequency_cuts": [1, 1],
                "monetary_cuts": [0, 999.99, 4999.995, 5000, 20000]},
        "vip": {"value_weight": 0.37, "monetary_cut": 20000, "untracked_min_value_score": 62.5, "memberships": ["paused"]},
        "relation": {"window_days": 30, "kinds": {"review": {"weight": 3.335, "cap": 1}}}}"#,
];

/// A random shop, and the explanation of every customer for every policy and day above.
fn explained(name: &str) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = database.client();
    random_shop::load(&mut client, 2000, 3);
    let days: Vec<_> = DAYS.iter().map(|day| format!("('{day}'::date)")).collect();
    let policies: Vec<_> = POLICIES.iter().map(|policy| format!("('{policy}'::segment_policy)")).collect();
    batch(
        &mut client,
        &format!(
            "CREATE TABLE facts AS
             SELECT c.customer_id, c.membership, c.channels, c.last_contacted_on, o.h,
                    CASE WHEN c.tracked THEN coalesce(e.e, no_engagement()) END AS e
             FROM reference.customers AS c
             LEFT JOIN (SELECT customer_id, purchase_history(ordered_on, amount, discounted, is_purchase) AS h
                        FROM reference.orders GROUP BY customer_id) AS o USING (customer_id)
             LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e
                        FROM reference.engagement GROUP BY customer_id) AS e USING (customer_id);
             CREATE TABLE explained AS
             SELECT f.customer_id, d.day, p.policy, p.rules, to_jsonb(s) AS s, x.x
             FROM facts AS f, (VALUES {}) AS d (day),
                  (SELECT policy, effective_policy(policy) #> '{{next_action,rules}}' AS rules
                   FROM (VALUES {}) AS p (policy) OFFSET 0) AS p,
                  segment_customer(f.h, d.day, p.policy, f.e, f.membership, f.channels, f.last_contacted_on) AS s,
                  explain_customer(f.h, d.day, p.policy, f.e, f.membership, f.channels, f.last_contacted_on) AS x",
            days.join(", "),
            policies.join(", "),
        ),
    );
    (database, client)
}

/// What every explanation must fulfill: a name and an SQL condition on `x`, the explanation, and `s`, the row.
#[derive(Default)]
struct Properties(Vec<String>);

impl Properties {
    fn all(&mut self, what: &str, property: &str) {
        self.0.push(format!("('{}', ({property}) IS TRUE)", what.replace('\'', "''")));
    }

    /// Those that do not hold, with how many explanations break them and an example.
    fn broken(&self, client: &mut Client) -> Vec<String> {
        // Concatenation and OFFSET: the values are unpacked once a row, not once a use.
        let sql = format!(
            "SELECT what || ' is broken by ' || count(*) || ', such as ' || min(format(
                        E'customer %s on %s by %s:\\n%s', customer_id, day, policy, jsonb_pretty(x)))
             FROM (SELECT customer_id, day, policy, rules || '[]' AS rules, s || '{{}}' AS s, x || '{{}}' AS x
                   FROM explained OFFSET 0) AS e,
                  LATERAL (VALUES {}) AS p (what, holds)
             WHERE NOT holds
             GROUP BY what",
            self.0.join(", ")
        );
        let rows = client.query(&sql, &[]).unwrap_or_else(|error| panic!("{error:?}"));
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[test]
fn results_and_decisions_agree_with_segment_customer() {
    let (_database, mut client) = explained("explain");
    let explained = count(&mut client, "SELECT count(*) FROM explained");
    assert_eq!(explained, 2000 * (DAYS.len() * POLICIES.len()) as i64);
    let mut properties = Properties::default();

    // To the last digit: texts, not numbers, are compared.
    properties.all("result", "(x -> 'result')::text = s::text AND x ->> 'as_of' = day::text");
    for (path, column) in [
        ("{rfm_score,score}", "rfm_score"),
        ("{rfm_score,r,digit}", "r_score"),
        ("{rfm_score,f,digit}", "f_score"),
        ("{rfm_score,m,digit}", "m_score"),
        ("{rfm_score,r,value}", "recency_days"),
        ("{rfm_segment,segment}", "rfm_segment"),
        ("{lifecycle_state,state}", "lifecycle_state"),
        ("{purchase_stage,stage}", "purchase_stage"),
        ("{value_score,score}", "value_score"),
        ("{relation_score,score}", "relation_score"),
        ("{vip_score,score}", "vip_score"),
        ("{vip_tier,tier}", "vip_tier"),
        ("{vip_missing,orders}", "orders_to_vip"),
        ("{vip_missing,span_days}", "span_days_to_vip"),
        ("{vip_missing,relation}", "relation_to_vip"),
        ("{vip_missing,value}", "value_to_vip"),
        ("{last_tier,tier}", "last_tier"),
        ("{last_tier,on}", "last_purchase_on"),
        ("{dormancy_category,category}", "dormancy_category"),
        ("{next_action,action}", "next_action"),
        ("{next_action,rule}", "action_rule"),
        ("{next_action,behavior}", "action_behavior"),
        ("{action_channel,channel}", "action_channel"),
        ("{action_due_on,on}", "action_due_on"),
        ("{next_action,after_wait}", "action_after_wait"),
        ("{next_transition_on,on}", "next_transition_on"),
        ("{inputs,orders}", "orders"),
        ("{inputs,monetary}", "monetary"),
    ] {
        properties.all(path, &format!("x #>> '{path}' IS NOT DISTINCT FROM s ->> '{column}'"));
    }

    for (dimension, comes_down) in [("r", true), ("f", false), ("m", false)] {
        let below = format!(
            "(SELECT count(*) FROM jsonb_array_elements(x #> '{{rfm_score,{dimension},cuts}}') AS cut
              WHERE cut::numeric < (x #>> '{{rfm_score,{dimension},value}}')::numeric)"
        );
        let digit = format!("(x #>> '{{rfm_score,{dimension},digit}}')::int");
        let best = format!("(x #>> '{{rfm_score,{dimension},best_digit}}')::int");
        let expected = if comes_down { format!("{best} - {below}") } else { format!("1 + {below}") };
        properties.all(dimension, &format!("jsonb_typeof(x -> 'rfm_score') = 'null' OR {digit} = {expected}"));
    }
    properties.all(
        "the deciding rule is the first that is met",
        "(x #> '{lifecycle_state,rules_tried,-1}' @> jsonb_build_object('met', true, 'state', s -> 'lifecycle_state')
             AND (SELECT count(*) FROM jsonb_array_elements(x #> '{lifecycle_state,rules_tried}') AS r
                  WHERE (r -> 'met')::boolean) = 1)",
    );
    properties.all(
        "limits and state",
        "CASE s ->> 'lifecycle_state'
             WHEN 'prospect' THEN s ->> 'recency_days' IS NULL
             WHEN 'dormant' THEN (s -> 'recency_days')::int > (x #> '{lifecycle_state,limits,dormant_after_days}')::int
             ELSE (s -> 'recency_days')::int <= (x #> '{lifecycle_state,limits,dormant_after_days}')::int
                  AND (s ->> 'lifecycle_state' = 'at_risk')
                      = ((s -> 'recency_days')::int > (x #> '{lifecycle_state,limits,at_risk_after_days}')::int)
         END",
    );
    properties.all("an absence is a gap longer than the limit that held when it began",
        "jsonb_typeof(x #> '{lifecycle_state,last_gap}') = 'null'
         OR (x #> '{lifecycle_state,last_gap,was_absence}')::boolean
            = ((x #> '{lifecycle_state,last_gap,days}')::int > (x #> '{lifecycle_state,last_gap,dormant_after_days}')::int)",
    );
    properties.all("own limits are what their numbers make",
        "x #>> '{lifecycle_state,limits,cycle}' = 'fixed'
         OR (SELECT (l ->> 'dormant_after_days')::int = (l ->> 'grace_days')::int
                    + greatest((o ->> 'min_days')::int, least((o ->> 'max_days')::int, ceil(
                        (o ->> 'dormant_ratio')::numeric
                        * ((o ->> 'counted_days')::numeric + (o ->> 'prior_gaps')::numeric * (o ->> 'store_gap_days')::numeric)
                        / ((o ->> 'gaps')::numeric + (o ->> 'prior_gaps')::numeric))))
             FROM (SELECT x #> '{lifecycle_state,limits}' AS l, x #> '{lifecycle_state,limits,from}' AS o) AS q)",
    );
    properties.all(
        "points make the relation score",
        "jsonb_typeof(x #> '{relation_score,kinds}') = 'null' AND s ->> 'relation_score' IS NULL
         OR ((SELECT sum((k ->> 'points')::numeric)
                     = sum(least((k ->> 'count')::int, (k ->> 'cap')::int) * (k ->> 'weight')::numeric)
                     AND sum((k ->> 'points')::numeric) = (x #>> '{relation_score,sum_of_points}')::numeric
                     AND round(least(100, sum((k ->> 'points')::numeric)), 2) = (s ->> 'relation_score')::numeric
              FROM jsonb_each(x #> '{relation_score,kinds}') AS e (kind, k)))",
    );
    for tier in ["vip_tier", "last_tier"] {
        let candidate = format!("x #>> '{{{tier},candidate}}' <> 'no'");
        properties.all(
            tier,
            &format!(
                "jsonb_typeof(x -> '{tier}') = 'null'
                 OR x #>> '{{{tier},tier}}' = CASE
                     WHEN {candidate} AND (x #> '{{{tier},tie,met}}')::boolean
                          AND (x #> '{{{tier},membership,met}}')::boolean THEN 'vip'
                     WHEN {candidate} THEN 'candidate'
                     WHEN x #>> '{{{tier},tie,fact}}' = 'relation_score' AND (x #> '{{{tier},tie,met}}')::boolean
                          THEN 'supporter'
                     ELSE 'regular' END"
            ),
        );
        for way in ["frequency", "lifetime value"] {
            let key = format!("by_{}", way.replace(' ', "_"));
            properties.all(
                &key,
                &format!(
                    "(x #>> '{{{tier},candidate}}' LIKE '%by {way}%')
                     IS NOT DISTINCT FROM (NOT x @? '$.{tier}.{key}[*] ? (@.met == false)')
                     OR jsonb_typeof(coalesce(x #> '{{{tier},{key}}}', 'null')) = 'null'"
                ),
            );
            properties.all(
                "every condition is met as its numbers say",
                &format!(
                    "jsonb_typeof(coalesce(x #> '{{{tier},{key}}}', 'null')) = 'null'
                     OR (SELECT bool_and((r ->> 'met')::boolean IS NOT DISTINCT FROM coalesce(
                                    (r ->> 'value')::numeric >= (r ->> 'at_least')::numeric,
                                    (r ->> 'value')::numeric <= (r ->> 'at_most')::numeric, false))
                         FROM jsonb_array_elements(x #> '{{{tier},{key}}}') AS r)"
                ),
            );
        }
    }
    properties.all("the condition is the policy's",
        "CASE WHEN s ->> 'action_rule' IS NULL THEN jsonb_typeof(x #> '{next_action,when}') = 'null'
              ELSE x #> '{next_action,when}' = (SELECT rule -> 'when' FROM jsonb_array_elements(rules) AS rule
                                                WHERE rule -> 'id' = s -> 'action_rule') END
         AND (x #> '{next_action,tried_before}')
             = (SELECT coalesce(jsonb_agg(rule -> 'id' ORDER BY position) FILTER (WHERE NOT reached), '[]')
                FROM (SELECT rule, position, bool_or(rule -> 'id' = s -> 'action_rule') OVER (ORDER BY position) AS reached
                      FROM jsonb_array_elements(rules) WITH ORDINALITY AS r (rule, position)) AS r)",
    );
    properties.all(
        "the channel is the first of those named, then of those preferred, that is reachable",
        "s ->> 'action_channel' IS NOT DISTINCT FROM coalesce(
             (SELECT c #>> '{}' FROM jsonb_array_elements(
                      coalesce(nullif(x #> '{action_channel,named_by_rule}', 'null'), '[]') || (x #> '{action_channel,preferred}'))
                  WITH ORDINALITY AS p (c, position)
              WHERE nullif(x #> '{action_channel,reachable}', 'null') @> c ORDER BY position LIMIT 1),
             CASE WHEN x #> '{action_channel,reachable}' @> '[\"fax\"]' THEN 'fax' END)",
    );
    properties.all(
        "who is dormant is so for the reason explained, others have none",
        "s ->> 'dormancy_reason' IS NOT DISTINCT FROM
             CASE s ->> 'lifecycle_state' WHEN 'dormant' THEN x #>> '{dormancy_reason,reason}' END",
    );
    properties.all(
        "an open complaint is of a day up to as_of, and what the rules asked about",
        "CASE jsonb_typeof(x -> 'complaint')
             WHEN 'null' THEN nullif(x #> '{next_action,facts_asked,complaint_days_ago}', 'null') IS NULL
             ELSE day - (x #>> '{complaint,on}')::date = (x #>> '{next_action,facts_asked,complaint_days_ago}')::int END",
    );
    properties.all(
        "events decide a reason since the previous purchase day",
        "jsonb_typeof(x -> 'dormancy_reason') = 'null'
         OR (x #>> '{dormancy_reason,decided_by,on}' IS NOT NULL)
             = (x #>> '{dormancy_reason,decided_by,rule}' ~ '^(the latest|a complaint)')
            AND x #>> '{dormancy_reason,decided_by,on}' <= day::text IS NOT FALSE
            AND x #>> '{dormancy_reason,decided_by,on}' >= x #>> '{dormancy_reason,events_count_from}' IS NOT FALSE
            AND (x #>> '{dormancy_reason,decided_by,kind}' LIKE 'stated%')
                IS NOT DISTINCT FROM (x #>> '{dormancy_reason,decided_by,kind}' = 'stated_' || (x #>> '{dormancy_reason,reason}'))",
    );
    properties.all(
        "numbers decide a reason where no event does",
        "jsonb_typeof(x -> 'dormancy_reason') = 'null'
         OR jsonb_typeof(x #> '{dormancy_reason,decided_by,on}') <> 'null'
         OR (SELECT x #>> '{dormancy_reason,decided_by,rule}' LIKE CASE
                 WHEN (d ->> 'of_known_discount')::int >= (d ->> 'min_purchases')::int
                      AND (d ->> 'discounted_purchases')::numeric
                          >= (d ->> 'of_known_discount')::numeric * (d ->> 'min_share')::numeric THEN 'discounts:%'
                 WHEN (a ->> 'purchase_days_before')::numeric > 0
                      AND (a ->> 'last_purchase_day')::numeric * (a ->> 'number_of_days_before')::int
                          >= (a ->> 'min_ratio')::numeric * (a ->> 'purchase_days_before')::numeric THEN 'amounts:%'
                 WHEN (b ->> 'purchase_days')::int >= (b ->> 'min_purchase_days')::int
                      AND (b ->> 'span_days')::int <= (b ->> 'max_span_days')::int THEN 'burst:%'
                 WHEN (h ->> 'purchase_days')::int <= (h ->> 'max_purchase_days')::int THEN 'habit:%'
                 ELSE 'none%' END
             FROM (SELECT r -> 'discounts' AS d, r -> 'amounts' AS a, r -> 'burst' AS b, r -> 'habit' AS h
                   FROM (SELECT x -> 'dormancy_reason' AS r) AS q) AS q)",
    );
    properties.all(
        "a transition leads to another state",
        "x #>> '{next_transition_on,to_state}' IS DISTINCT FROM s ->> 'lifecycle_state'",
    );

    let broken = properties.broken(&mut client);
    assert!(broken.is_empty(), "{} of {} properties\n{}", broken.len(), properties.0.len(), broken.join("\n"));
}

/// Small yet with something to explain everywhere: an own cycle, an absence, a discount, a contact too recent.
const READABLE: &str = "
    SELECT jsonb_pretty(explain_customer(
        purchase_history(ordered_on, amount, discounted),
        '2025-06-30',
        '{\"lifecycle\": {\"cycle\": \"own\"}, \"vip\": {\"monetary_cut\": 25000}}',
        (SELECT engagement_history(kind, happened_on)
         FROM (VALUES ('review', date '2025-01-05'), ('referral', '2025-06-05'), ('complaint', '2024-02-01'))
              AS e (kind, happened_on)),
        'continuing', ARRAY['line', 'postal'], '2025-06-20'))
    FROM (VALUES (date '2024-05-01', 4980.00, true), ('2024-05-20', 5200, false), ('2024-06-12', 5480, NULL),
                 ('2024-09-01', -300, NULL), ('2024-11-20', 9800.50, true), ('2025-06-02', 3000, false))
         AS o (ordered_on, amount, discounted)";

#[test]
fn one_explanation_reads_like_this() {
    let database = Database::new("explain_snapshot");
    assert_recorded("tests/reference/explain_customer.json", &database.psql(READABLE));
}

#[test]
fn null_and_nobody() {
    let database = Database::new("explain_null");
    assert_eq!(database.psql("SELECT explain_customer(purchase_history('2025-01-01'::date, 1), NULL) IS NULL"), "t\n");
    let prospect = "jsonb_strip_nulls(explain_customer(%, '2025-06-30') - 'inputs' - 'result')";
    let nobody = database.psql(&format!("SELECT {}", prospect.replace('%', "NULL")));
    assert_eq!(nobody, database.psql(&format!("SELECT {}", prospect.replace('%', "'{}'"))));
    assert!(nobody.contains(r#""decided_by": "rule 1: no purchase up to as_of""#), "{nobody}");
    assert!(nobody.contains(r#""rule": "prospect""#) && !nobody.contains("\"rfm_score\""), "{nobody}");
    assert_eq!(
        database.psql(
            "SELECT explain_customer(h, '2025-06-30', channels => ARRAY['email', NULL], membership => '01')
                        #>> '{action_channel,channel}',
                    explain_customer(h, '2025-06-30', channels => ARRAY[]::text[]) #>> '{result,action_rule}',
                    explain_customer(h, '2025-06-30', last_contacted_on => '2025-07-01') #>> '{inputs,last_contacted_on}'
             FROM (SELECT purchase_history('2025-06-01'::date, 1) AS h) AS o"
        ),
        "email|unreachable|\n"
    );
}

#[test]
fn numbers_are_exact_and_days_are_postgresqls() {
    let database = Database::new("explain_exact");
    let sql = "
        SET search_path = '';
        SET DateStyle = 'SQL, DMY';
        SELECT (x -> 'result')::text = to_jsonb(s)::text, x #> '{rfm_score,m,value}', x #> '{inputs,monetary}', x -> 'as_of'
        FROM (SELECT rfm.purchase_history(date '2020-02-29', amount) AS h
              FROM (VALUES (12345678901234567890.12345670), (0)) AS o (amount)) AS o,
             (VALUES (date '2020-02-29'), ('20000-01-01'), ('5874897-12-31'), ('0044-03-15 BC')) AS d (day),
             rfm.segment_customer(h, day) AS s, rfm.explain_customer(h, day) AS x
        ORDER BY day";
    assert_eq!(
        database.psql(sql),
        "t||0.00000000|\"0044-03-15 BC\"\n\
         t|12345678901234567890.12345670|12345678901234567890.12345670|\"2020-02-29\"\n\
         t|12345678901234567890.12345670|12345678901234567890.12345670|\"20000-01-01\"\n\
         t|12345678901234567890.12345670|12345678901234567890.12345670|\"5874897-12-31\"\n"
    );
}

#[test]
fn bad_input_is_refused() {
    let database = Database::new("explain_errors");
    let mut client = database.client();
    let mut sqlstate = |arguments: &str| expect_error(&mut client, &format!("SELECT explain_customer({arguments})")).0;
    assert_eq!(sqlstate("NULL, 'infinity'"), "22008");
    assert_eq!(sqlstate("NULL, '2025-01-01', last_contacted_on => '-infinity'"), "22008");
    assert_eq!(sqlstate("NULL, '2025-01-01', membership => 'gold'"), "22023");
    assert_eq!(sqlstate(r#"NULL, '2025-01-01', '{"lifecycle": {"dormant_after_days": 1}}'"#), "22023");
}
