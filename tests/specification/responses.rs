//! Who answers over which channel, the channels that give way, and the order of the dormant: against plain SQL
//! (tests/reference/responses.sql), over a random shop with a random log.

use crate::common::*;
use crate::random_shop;

/// A log around each purchase day and on some days before as_of, some of it of the holdout, some of no known channel.
const LOG: &str = "
    SELECT setseed(0.73);
    CREATE TABLE reference.days AS
    SELECT n, date '2025-06-30' - (n * n / 2 + 3 * n) AS day FROM generate_series(0, 30) AS n;
    INSERT INTO reference.contacts
    SELECT customer_id, (ARRAY['email', 'line', 'postal', NULL])[1 + (random() * 3)::int], day,
           (ARRAY['holdout', 'a', NULL, NULL])[1 + (random() * 3)::int]
    FROM reference.customers CROSS JOIN reference.days
    WHERE random() < 0.4;
    -- Twice, over two channels, and after the day that is asked for.
    INSERT INTO reference.contacts SELECT * FROM reference.contacts WHERE random() < 0.05;
    INSERT INTO reference.contacts SELECT customer_id, 'email', contacted_on, NULL FROM reference.contacts WHERE random() < 0.1;
    INSERT INTO reference.contacts SELECT customer_id, 'line', '2025-07-03', NULL FROM reference.customers WHERE random() < 0.5;
    -- Some answer at once.
    INSERT INTO reference.orders (customer_id, ordered_on, amount)
    SELECT customer_id, contacted_on + (random() * 40)::int, 1000 FROM reference.contacts WHERE random() < 0.03;
    CREATE INDEX ON reference.contacts (customer_id);
    CREATE INDEX ON reference.orders (customer_id);
    ANALYZE reference.contacts, reference.orders;
    CREATE TABLE facts AS
    SELECT c.customer_id, c.membership, o.h, l.log,
           CASE WHEN c.tracked THEN coalesce(e.e, no_engagement()) END AS e
    FROM reference.customers AS c
    LEFT JOIN (SELECT customer_id, purchase_history(ordered_on, amount, discounted, is_purchase) AS h
               FROM reference.orders GROUP BY customer_id) AS o USING (customer_id)
    LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e
               FROM reference.engagement GROUP BY customer_id) AS e USING (customer_id)
    LEFT JOIN (SELECT customer_id, contact_history(channel, contacted_on, NULL, NULL, test_group) AS log
               FROM reference.contacts GROUP BY customer_id) AS l USING (customer_id)";

fn shop(name: &str, customers: u32, seed: u32) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = database.client();
    random_shop::load(&mut client, customers, seed);
    batch(&mut client, include_str!("../reference/responses.sql"));
    batch(&mut client, &format!("SET search_path = public, rfm; {LOG}"));
    (database, client)
}

#[test]
fn answers_by_channel_are_those_of_plain_sql() {
    let (_database, mut client) = shop("responses_channels", 500, 11);
    for days in [1, 30, 90] {
        for as_of in ["2024-09-01", "2025-05-31", "2025-06-30", "2025-07-20"] {
            let policy = format!("'{{\"contact\": {{\"response_days\": {days}}}}}'");
            let found = format!(
                "SELECT customer_id, r.channel, r.contacts::bigint, r.judged::bigint, r.answered::bigint, r.unanswered::bigint, r.gives_way,
                        r.last_contacted_on, r.last_answered_on
                 FROM facts CROSS JOIN LATERAL channel_responses(h, log, '{as_of}', {policy}) AS r"
            );
            let expected = format!("SELECT * FROM reference.channel_responses('{as_of}', {days})");
            assert_same_rows(&mut client, &format!("{days} days, {as_of}"), &found, &expected, 500);
        }
    }
}

/// The next step of the prospects and buyers of a policy of one rule, over whatever names it has.
#[test]
fn a_channel_without_answers_gives_way_as_in_plain_sql() {
    let (_database, mut client) = shop("responses_next", 120, 12);
    let cases = [
        (2, "NULL", false),
        (1, "'{email}'", false),
        (3, "'{postal,line}'", false),
        (2, "'{postal,line}'", true),
        (1, "'{line}'", true),
    ];
    for (enough, named, only) in cases {
        let channels = if named == "NULL" { "NULL".to_owned() } else { format!("to_json({named}::text[])") };
        let policy = format!(
            "json_build_object(
                 'contact', json_build_object('response_days', 20, 'unanswered_before_next_channel', {enough},
                                              'min_days_between', 0, 'dormant_channels', '[\"email\", \"line\", \"postal\"]'::json),
                 'next_action', json_build_object('rules', json_build_array(json_build_object(
                     'id', 'all', 'action', 'write', 'behavior', 'care', 'title', 'Write', 'when', '{{}}'::json,
                     'channels', {channels}, 'only_channels', {only}))))::text::segment_policy"
        );
        let found = format!(
            "SELECT customer_id, s.action_channel
             FROM facts CROSS JOIN LATERAL segment_customer(h, '2025-06-30', {policy}, channels => '{{postal,email,line}}', contacts => log) AS s"
        );
        let expected = format!("SELECT * FROM reference.next_channel('2025-06-30', 20, {enough}, {named}, {only})");
        let case = format!("{enough} {named} {only}");
        assert_same_rows(&mut client, &case, &found, &expected, 120);
        let explained = format!(
            "SELECT customer_id, explain_customer(h, '2025-06-30', {policy}, channels => '{{postal,email,line}}', contacts => log)
                                     -> 'action_channel' ->> 'channel'
             FROM facts"
        );
        assert_same_rows(&mut client, &case, &explained, &expected, 120);
        let (first, given_way) = match named {
            "NULL" | "'{email}'" => ("email", true),
            "'{line}'" => ("line", false),
            _ => ("postal", true),
        };
        let others = count(&mut client, &format!("SELECT count(*) FROM ({expected}) AS e WHERE channel <> '{first}'"));
        assert!(if given_way { others > 10 } else { others == 0 }, "{case}: {others} of 120 over another");
    }
}

/// A scenario takes the next channel too, and says so in its step.
#[test]
fn a_scenario_tries_the_next_channel() {
    let database = Database::new("responses_scenario");
    let step = |policy: &str, channels: &str, only: bool| {
        database.psql(&format!(
            "SET search_path = rfm;
             SELECT d.channel
             FROM (SELECT contact_history('email', date '2026-02-01' + 10 * i, NULL, NULL, NULL) AS log
                   FROM generate_series(1, 3) AS i) AS l,
                  due_steps(ARRAY['{{\"name\": \"a\", \"title\": \"A\", \"priority\": 1, \"behavior\": \"care\", \"enter_when\": {{}},
                                     \"stop_when\": [], \"steps\": [{{\"id\": \"x\", \"after_days\": 0, \"message_key\": \"check_in\",
                                     \"channels\": [{channels}], \"only_channels\": {only}}}]}}'::scenario],
                            '{{\"2026-01-01\": {{\"orders\": 1, \"amount\": 100}}}}', '2026-06-30', '{policy}', NULL, NULL,
                            '{{email,line}}', log) AS d"
        ))
    };
    assert_eq!(step("{}", "\"email\"", false), "line\n");
    assert_eq!(step("{}", "\"email\"", true), "email\n");
    assert_eq!(step(r#"{"contact": {"unanswered_before_next_channel": 4}}"#, "\"email\"", false), "email\n");
    assert_eq!(step(r#"{"contact": {"unanswered_before_next_channel": null}}"#, "\"email\"", false), "email\n");
    assert_eq!(step(r#"{"contact": {"response_days": 365}}"#, "\"email\"", false), "email\n");
}

#[test]
fn the_dormant_answer_as_in_plain_sql() {
    let (_database, mut client) = shop("responses_dormant", 500, 13);
    let policies =
        ["{}", r#"{"lifecycle": {"cycle": "own", "reactivation_min_days": 90}, "contact": {"response_days": 60}}"#];
    for policy in policies {
        for as_of in ["2025-03-31", "2025-06-30"] {
            let found = format!(
                "SELECT customer_id, r.dormancy_reason, r.dormant_year, r.contacts::bigint, r.answered
                 FROM facts CROSS JOIN LATERAL dormant_responses(h, log, '{as_of}', '{policy}', e, membership) AS r"
            );
            let expected = format!(
                "SELECT * FROM reference.dormant_responses('{as_of}', effective_policy('{policy}'::segment_policy))"
            );
            assert_same_rows(&mut client, &format!("{policy} {as_of}"), &found, &expected, 100);
        }
    }
}

#[test]
fn what_was_measured_decides_the_order_as_in_plain_sql() {
    let database = Database::new("responses_order");
    let mut client = database.client();
    random_shop::load(&mut client, 1, 1);
    batch(&mut client, include_str!("../reference/responses.sql"));
    batch(&mut client, "SET search_path = public, rfm; SELECT setseed(0.5)");
    for shop in 1..=40 {
        batch(
            &mut client,
            "TRUNCATE reference.measured;
             INSERT INTO reference.measured
             SELECT reason AS dormancy_reason, year AS dormant_year, contacted::bigint, (contacted * random() / 4)::bigint AS answered
             FROM dormancy_reasons() CROSS JOIN generate_series(1, 3) AS year
             CROSS JOIN LATERAL (SELECT (random() * 12)::int * 5 + 0 * year AS contacted) AS c
             WHERE random() < 0.8",
        );
        for enough in [1, 30, 1000] {
            let found = format!(
                "SELECT o.expected_order::bigint, o.dormancy_reason, o.dormant_year, o.contacted, o.answered, o.source
                 FROM (SELECT array_agg(dormancy_reason) AS reasons, array_agg(dormant_year) AS years,
                              array_agg(contacted) AS contacted, array_agg(answered) AS answered
                       FROM (SELECT * FROM reference.measured ORDER BY random()) AS m) AS a,
                      dormant_response_order(a.reasons, a.years, a.contacted, a.answered,
                                             '{{\"contact\": {{\"response_min_customers\": {enough}}}}}') AS o"
            );
            let expected = format!("SELECT * FROM reference.dormant_response_order({enough})");
            assert_same_rows(&mut client, &format!("shop {shop}, {enough}"), &found, &expected, 5);
        }
        let wilson = "SELECT dormancy_reason, dormant_year, rate, rate_low, rate_high
                      FROM (SELECT array_agg(dormancy_reason) AS r, array_agg(dormant_year) AS y, array_agg(contacted) AS c,
                                   array_agg(answered) AS a FROM reference.measured) AS m, dormant_response_order(r, y, c, a) AS o";
        let expected = "SELECT dormancy_reason, dormant_year, (w).rate, (w).rate_low, (w).rate_high
                        FROM (SELECT *, wilson_interval(answered, contacted) AS w FROM reference.measured) AS m";
        assert_same_rows(&mut client, "intervals", wilson, expected, 5);
    }
}
