//! The contact policy against plain SQL that counts contacts one by one, on a random log.

use crate::common::Database;

/// A log of 200 customers over 150 days, limits, and the first day of each question by counting: `asked` has one row for
/// every customer, day asked, and channel (NULL: over all).
const REFERENCE: &str = r#"
    SELECT setseed(0.37);
    CREATE TABLE contacts AS
    SELECT n % 200 AS customer_id, (ARRAY['email', 'line', 'postal', NULL])[1 + (random() * 3)::int] AS channel,
           date '2025-01-01' + (random() * 150)::int AS day,
           (ARRAY['holdout', 'a', NULL])[1 + (random() * 2)::int] AS test_group
    FROM generate_series(1, 3000) AS n;
    -- The same row twice is two contacts.
    INSERT INTO contacts SELECT * FROM contacts WHERE customer_id < 50;
    CREATE INDEX ON contacts (customer_id);
    ANALYZE contacts;
    CREATE TABLE limits (channel text, contacts int, days int);
    INSERT INTO limits VALUES (NULL, 1, 4), (NULL, 3, 20), (NULL, 7, 60), ('email', 1, 14), ('email', 2, 45), ('line', 2, 30);
    CREATE TABLE logs AS
    SELECT customer_id, contact_history(channel, day, NULL, NULL, test_group) AS log FROM contacts GROUP BY customer_id;
    CREATE TABLE policy AS
    SELECT '{"contact": {"min_days_between": 4, "limits": [{"contacts": 3, "days": 20}, {"contacts": 7, "days": 60}],
             "channel_limits": {"email": [{"contacts": 1, "days": 14}, {"contacts": 2, "days": 45}],
                                "line": [{"contacts": 2, "days": 30}]}}}'::segment_policy AS policy;
    CREATE TABLE asked AS
    SELECT customer_id, as_of, channel,
           (SELECT on_day
            FROM generate_series(as_of, as_of + 61, interval '1 day') AS d (at), LATERAL CAST(at AS date) AS on_day
            WHERE NOT EXISTS (
                SELECT FROM limits AS l
                WHERE (l.channel IS NULL OR l.channel = asked.channel)
                      AND l.contacts <= (SELECT count(*) FROM contacts AS c
                                         WHERE c.customer_id = asked.customer_id AND c.day <= as_of AND c.day > on_day - l.days
                                               AND (l.channel IS NULL OR c.channel = l.channel)
                                               AND c.test_group IS DISTINCT FROM 'holdout'))
            ORDER BY on_day LIMIT 1) AS allowed_on
    FROM (SELECT customer_id, as_of::date, channel
          FROM logs, generate_series(date '2025-01-10', '2025-06-10', '19 days') AS d (as_of),
               (VALUES (NULL), ('email'), ('line'), ('postal')) AS c (channel)) AS asked;
    CREATE INDEX ON asked (customer_id, as_of);
    ANALYZE asked
"#;

fn shop(name: &str) -> Database {
    let database = Database::new(name);
    database.psql(&format!("SET search_path = public, rfm; {REFERENCE}"));
    database
}

/// How many rows there are, how many wait, and how many are wrong.
fn counted(database: &Database, waits: &str, wrong: &str, from: &str) -> (u32, u32, u32) {
    let sql =
        format!("SELECT count(*), count(*) FILTER (WHERE {waits}), count(*) FILTER (WHERE ({wrong})) FROM {from}");
    let counts = database.psql(&sql);
    let numbers: Vec<_> = counts.trim_end().split('|').map(|number| number.parse().expect("a number")).collect();
    (numbers[0], numbers[1], numbers[2])
}

#[test]
fn the_first_allowed_day_is_the_first_that_counting_allows() {
    let shop = shop("contacts");
    let from = "asked JOIN logs USING (customer_id) CROSS JOIN policy";
    let wrong = "contact_allowed_on(log, as_of, policy, channel => channel) IS DISTINCT FROM allowed_on";
    let (rows, waiting, wrong) = counted(&shop, "allowed_on > as_of", wrong, from);
    assert_eq!((rows, wrong), (200 * 8 * 4, 0));
    assert!(waiting > 500 && waiting < rows - 500, "{waiting} of {rows} wait");
}

/// Who may not be contacted waits until the day it ends; whoever may gets the first channel that is not used up.
#[test]
fn the_next_action_keeps_to_the_contact_policy() {
    let shop = shop("contact_actions");
    shop.psql(
        "SET search_path = public, rfm;
         CREATE TABLE actions AS
         SELECT customer_id, as_of, channels, s.next_action, s.action_channel, s.action_due_on,
                (SELECT x ->> 'contact_allowed_from' FROM (
                     SELECT explain_customer(h, as_of, policy, NULL, NULL, channels, NULL, log) -> 'action_due_on') AS e (x)) AS explained,
                overall.allowed_on AS over_all,
                -- Free over the channel, leaving aside what holds for all of them.
                (SELECT array_agg(by.channel ORDER BY array_position('{email,line,postal}'::text[], by.channel))
                 FROM asked AS by
                 WHERE by.customer_id = overall.customer_id AND by.as_of = overall.as_of AND by.channel = ANY (channels)
                       AND by.allowed_on = overall.allowed_on) AS free_with_all,
                (SELECT min(by.allowed_on) FROM asked AS by
                 WHERE by.customer_id = overall.customer_id AND by.as_of = overall.as_of AND by.channel = ANY (channels)) AS first_on
         FROM asked AS overall JOIN logs USING (customer_id) CROSS JOIN policy
         CROSS JOIN (VALUES ('{email}'::text[]), ('{email,line}'), ('{postal,email,line}')) AS c (channels)
         CROSS JOIN LATERAL (SELECT format('{\"%s\": {\"orders\": 1, \"amount\": 5000}}', as_of - 10)::purchase_history) AS p (h)
         CROSS JOIN LATERAL segment_customer(h, as_of, policy, NULL, NULL, channels, NULL, log) AS s
         WHERE overall.channel IS NULL",
    );
    let wrong = "CASE WHEN first_on > as_of
                      THEN (next_action, action_due_on) IS DISTINCT FROM ('wait', first_on) OR explained::date <> first_on
                      ELSE (next_action, action_due_on, action_channel) IS DISTINCT FROM ('onboard', as_of, free_with_all[1])
                 END";
    let (rows, waiting, wrong) = counted(&shop, "next_action = 'wait'", wrong, "actions");
    assert_eq!((rows, wrong), (200 * 8 * 3, 0));
    assert!(waiting > 500 && waiting < rows - 500, "{waiting} of {rows} wait");
    let (_, given_way, _) = counted(&shop, "action_channel = 'line' AND channels[1] = 'email'", "false", "actions");
    assert!(given_way > 100, "{given_way}");
}
