//! The year of the worked shop (sql/examples/shop/year.sql): it prints what is committed, and
//! what it wrote into the log keeps to the rules, each counted here in plain SQL from the shop's own tables.

use crate::common::*;

/// What the checks stand on: what the year sent, by Tokyo's days; all contacts, the shop's own newsletters included; the steps
/// as the documents have them, from 1.
const PLAIN: &str = include_str!("year_contacts.sql");

/// Rows that break a rule; and how many rows there are that could.
const RULES: &[(&str, &str, u32, &str)] = &[
    (
        "every message is a step of its scenario",
        "SELECT FROM plain.sent",
        10_000,
        "SELECT FROM plain.sent LEFT JOIN plain.steps USING (scenario, step) WHERE n IS NULL",
    ),
    (
        "one message of the year a day",
        "SELECT FROM plain.sent",
        10_000,
        "SELECT customer_id, day FROM plain.sent GROUP BY 1, 2 HAVING count(*) > 1",
    ),
    (
        "no more than the policy allows, what the shop sent besides counted too",
        "SELECT FROM plain.sent AS s JOIN plain.contacts AS c ON c.customer_id = s.customer_id AND NOT c.of_the_year
         WHERE c.day BETWEEN s.day - 59 AND s.day",
        1_000,
        "SELECT s.customer_id, s.day, l FROM plain.sent AS s JOIN plain.limits AS l ON l.channel IS NULL OR l.channel = s.channel
         WHERE (SELECT count(*) FROM plain.contacts AS c
                WHERE c.customer_id = s.customer_id AND c.day BETWEEN s.day - l.days + 1 AND s.day
                      AND (l.channel IS NULL OR c.channel = l.channel)) > l.contacts",
    ),
    (
        "thirty days of quiet after a complaint, return or low rating, if it was not resolved before",
        "SELECT FROM plain.sent AS s JOIN events AS e USING (customer_id)
         WHERE kind IN ('complaint', 'return', 'low_rating') AND s.day - happened_on BETWEEN 30 AND 60",
        20,
        "SELECT customer_id, day, kind FROM plain.sent AS s JOIN events AS e USING (customer_id)
         WHERE kind IN ('complaint', 'return', 'low_rating') AND s.day - happened_on BETWEEN 0 AND 29
               AND NOT EXISTS (
                   SELECT FROM events AS r
                   WHERE r.customer_id = s.customer_id AND r.happened_on BETWEEN e.happened_on AND s.day
                         AND r.kind = CASE e.kind WHEN 'return' THEN 'return_resolved' ELSE 'complaint_resolved' END)",
    ),
    (
        "over a channel that reaches the customer, and one that the step names if one of them does, is not used up and has not \
         been silent three times",
        "SELECT FROM plain.rounds WHERE channels IS NOT NULL",
        500,
        "SELECT customer_id, day, channel, step
         FROM plain.rounds JOIN customers AS c USING (customer_id)
         WHERE NOT coalesce(channel = ANY (reachable_channels(email, phone, postal_address, line_id, consents)), false)
               OR NOT channels ? channel AND EXISTS (
                   SELECT FROM jsonb_array_elements_text(channels) AS n (named)
                   WHERE named = ANY (reachable_channels(email, phone, postal_address, line_id, consents))
                         AND NOT EXISTS (
                             SELECT FROM plain.limits AS l
                             WHERE l.channel = named
                                   AND (SELECT count(*) FROM plain.contacts AS c
                                        WHERE c.customer_id = rounds.customer_id AND c.channel = named
                                              AND c.day BETWEEN rounds.day - l.days + 1 AND rounds.day) >= l.contacts)
                         AND 3 > (SELECT count(*) FROM plain.answers AS a
                                  WHERE a.customer_id = rounds.customer_id AND a.channel = named AND a.day <= rounds.day - 30
                                        AND a.day > coalesce((SELECT max(l.day) FROM plain.answers AS l
                                                              WHERE l.customer_id = a.customer_id AND l.channel = named
                                                                    AND l.answered_on <= rounds.day), '-infinity')))",
    ),
    (
        "steps in order, none left out, none too soon, and no second round before its time",
        "SELECT FROM plain.rounds WHERE n > 1",
        4_000,
        "SELECT customer_id, scenario, day, step FROM plain.rounds
         WHERE CASE WHEN n = 1 THEN n_before IS NOT NULL AND coalesce(day < day_before + reenter, true)
                    ELSE n_before IS DISTINCT FROM n - 1 OR day < day_before + (after_days - after_before) END",
    ),
    (
        "nothing more in the round after the customer bought or complained",
        "SELECT DISTINCT customer_id, scenario, began FROM plain.rounds JOIN orders USING (customer_id)
         WHERE stop_when ? 'bought' AND amount >= 0 AND ordered_on BETWEEN began + 1 AND began + 14",
        100,
        "SELECT customer_id, scenario, day FROM plain.rounds AS r
         WHERE n > 1 AND (stop_when ? 'bought' AND EXISTS (
                              SELECT FROM orders AS o
                              WHERE o.customer_id = r.customer_id AND amount >= 0 AND ordered_on > began AND ordered_on <= day)
                          OR stop_when ? 'complained' AND EXISTS (
                              SELECT FROM events AS e WHERE e.customer_id = r.customer_id AND happened_on BETWEEN began AND day
                                  AND kind IN ('complaint', 'return', 'low_rating')))",
    ),
    (
        "the holdout got nothing that reactivates, before and after",
        "SELECT FROM campaign_members WHERE campaign = 'waking_2025' AND \"group\" = 'holdout'",
        200,
        "SELECT s.customer_id FROM plain.sent AS s JOIN scenarios ON name = s.scenario JOIN campaign_members AS m USING (customer_id)
         WHERE campaign = 'waking_2025' AND m.\"group\" = 'holdout' AND reactivates",
    ),
    (
        "everybody else got something on the first day, with the group in the log from then on",
        "SELECT FROM plain.sent WHERE grp IS NOT NULL",
        2_000,
        "SELECT customer_id FROM campaign_members AS m
         WHERE campaign = 'waking_2025' AND m.\"group\" <> 'holdout' AND NOT EXISTS (
             SELECT FROM plain.sent AS s WHERE s.customer_id = m.customer_id AND day = joined_on AND grp = m.\"group\")
         UNION ALL
         SELECT s.customer_id FROM plain.sent AS s JOIN scenarios ON name = s.scenario
         LEFT JOIN campaign_members AS m ON m.customer_id = s.customer_id AND campaign = 'waking_2025'
         WHERE grp IS DISTINCT FROM CASE WHEN reactivates THEN m.\"group\" END",
    ),
    (
        "costs and answers in the window, counted one by one",
        "SELECT FROM reactivation_answers WHERE reactivated",
        80,
        "SELECT \"group\", (result).customers, (result).responders, (result).revenue, cost FROM reactivation_groups
         EXCEPT
         SELECT \"group\", count(*), count(*) FILTER (WHERE bought), sum(revenue), coalesce(sum(cost), 0)
         FROM campaign_members AS m
         CROSS JOIN LATERAL (
             SELECT coalesce(bool_or(amount >= 0), false) AS bought, coalesce(sum(amount), 0) AS revenue
             FROM orders AS o WHERE o.customer_id = m.customer_id AND ordered_on > joined_on AND ordered_on <= joined_on + 90
         ) AS o
         LEFT JOIN LATERAL (
             SELECT sum(cost) AS cost FROM plain.sent AS s
             WHERE s.customer_id = m.customer_id AND grp = m.\"group\" AND day BETWEEN joined_on AND joined_on + 90
         ) AS s ON true
         WHERE campaign = 'waking_2025' AND joined_on + 90 <= '2026-07-01'
         GROUP BY \"group\"",
    ),
];

/// After a change: PG_RFM_UPDATE=1 make test ARGS="--test documentation year".
#[test]
fn the_year_prints_what_is_committed_and_keeps_to_its_rules() {
    let database = Database::new("year");
    database.psql(&read("sql/examples/shop/shop.sql"));
    // Whose clock and calendar the session has makes no difference.
    let settings = "SET TimeZone = 'America/New_York'; SET DateStyle = 'German';\n";
    let printed = database.psql(&(settings.to_owned() + &read("sql/examples/shop/year.sql")));
    database.psql(PLAIN);
    for (rule, cases, at_least, breaches) in RULES {
        let counted = database.psql(&format!(
            "SELECT (SELECT count(*) FROM ({cases}) AS c), (SELECT json_agg(b) FROM ({breaches} LIMIT 5) AS b)"
        ));
        let (cases, broken) = counted.trim_end().split_once('|').expect("two columns");
        assert_eq!(broken, "", "{rule}");
        let cases: u32 = cases.parse().expect("a number");
        assert!(cases >= *at_least, "{rule}: {cases} cases");
    }

    assert_recorded("sql/examples/shop/year.out", &trimmed(&printed));
}
