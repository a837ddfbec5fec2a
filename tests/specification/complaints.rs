//! Complaints, what ends them and what answers them, worked by hand.

use crate::common::*;

/// The next step on 2026-06-30, the contact that is allowed again, and the reason of somebody with two orders, who complained
/// on the 10th, with these other events and contacts.
const STEPS: &[(&str, &str, &str)] = &[
    // Nothing is known but the complaint.
    ("{}", "NULL", "resolve_complaint|2026-07-10"),
    // It is over from the day on which it was resolved, and what comes later is not known.
    (r#"{"complaint_resolved": {"2026-06-10": 1}}"#, "NULL", "give_reason_to_continue|"),
    (r#"{"complaint_resolved": {"2026-06-30": 1}}"#, "NULL", "give_reason_to_continue|"),
    (r#"{"complaint_resolved": {"2026-07-01": 1}}"#, "NULL", "resolve_complaint|2026-07-10"),
    (r#"{"complaint_resolved": {"2026-06-09": 1}}"#, "NULL", "resolve_complaint|2026-07-10"),
    // A return is another matter, and a later low rating begins anew.
    (r#"{"return_resolved": {"2026-06-20": 1}}"#, "NULL", "resolve_complaint|2026-07-10"),
    (
        r#"{"complaint_resolved": {"2026-06-20": 1}, "low_rating": {"2026-06-25": 1}}"#,
        "NULL",
        "resolve_complaint|2026-07-25",
    ),
    (
        r#"{"complaint_resolved": {"2026-06-20": 1}, "return": {"2026-06-05": 1}}"#,
        "NULL",
        "resolve_complaint|2026-07-05",
    ),
    // A call or a letter answers it, a newsletter and a contact of unknown channel do not.
    ("{}", r#"'[{"on": "2026-06-12", "channel": "email"}, {"on": "2026-06-13"}]'"#, "resolve_complaint|2026-07-10"),
    ("{}", r#"'[{"on": "2026-06-09", "channel": "phone"}]'"#, "resolve_complaint|2026-07-10"),
    ("{}", r#"'[{"on": "2026-06-10", "channel": "phone"}]'"#, "follow_up_complaint|2026-07-10"),
    ("{}", r#"'[{"on": "2026-06-29", "channel": "postal"}]'"#, "follow_up_complaint|2026-07-10"),
    ("{}", r#"'[{"on": "2026-07-01", "channel": "phone"}]'"#, "resolve_complaint|2026-07-10"),
];

#[test]
fn a_complaint_is_open_until_resolved_and_followed_up_once_answered() {
    let database = Database::new("complaints");
    for (events, contacts, expected) in STEPS {
        let said = database.psql(&format!(
            "SELECT s.next_action,
                    nullif(greatest(contact_allowed_on('[]', '2026-06-30', engagement => e), '2026-06-30'), '2026-06-30')
             FROM (SELECT '{{\"complaint\": {{\"2026-06-10\": 1}}}}'::engagement_history + '{events}'::engagement_history AS e) AS e
             CROSS JOIN LATERAL segment_customer(
                 (SELECT purchase_history(day, 3000) FROM (VALUES (date '2026-06-01'), ('2026-06-15')) AS o (day)),
                 '2026-06-30', NULL, e, contacts => {contacts}) AS s"
        ));
        assert_eq!(said.trim_end(), *expected, "{events} {contacts}");
    }
}

#[test]
fn personal_channels_and_the_share_of_a_refund_are_the_policys() {
    let database = Database::new("complaints_policy");
    let ask = |policy: &str| {
        database.psql(&format!(
            "SELECT next_action, s.dormancy_reason, dormancy_reason(h, '2026-06-30', '{policy}')
             FROM (SELECT purchase_history(day, amount) AS h
                   FROM (VALUES (date '2026-06-01', 3000), ('2026-06-15', 10000), ('2026-06-20', -2000)) AS o (day, amount)) AS h
             CROSS JOIN LATERAL segment_customer(h, '2026-06-30', '{policy}',
                                                 contacts => '[{{\"on\": \"2026-06-25\", \"channel\": \"visit\"}}]') AS s"
        ))
    };
    // A fifth of the last purchase day, which was more than three times the one before. Nobody here is dormant, so that the
    // column has no reason.
    assert_eq!(ask("{}"), "wait||overstocked\n");
    assert_eq!(ask(r#"{"complaint": {"min_refund_share": 0.2}}"#), "resolve_complaint||dissatisfied\n");
    assert_eq!(ask(r#"{"complaint": {"min_refund_share": 0.200001}}"#), "wait||overstocked\n");
    let visits = r#"{"complaint": {"min_refund_share": 0.2}, "contact": {"personal_channels": ["visit"]}}"#;
    assert_eq!(ask(visits), "follow_up_complaint||dissatisfied\n");
}

/// A wait shows what waits behind it; channels are a preference unless a rule says otherwise.
#[test]
fn a_wait_does_not_hide_the_step_behind_it() {
    let database = Database::new("after_wait");
    let customer = |policy: &str, channels: &str, contacted_on: &str| {
        database.psql(&format!(
            "SELECT s.next_action, s.action_due_on, s.action_after_wait, s.action_channel
             FROM (SELECT purchase_history(day, 3000) AS h FROM (VALUES (date '2026-03-01'), ('2026-03-20')) AS o (day)) AS h
             CROSS JOIN LATERAL segment_customer(h, '2026-06-30', {policy}, channels => {channels},
                                                 last_contacted_on => {contacted_on}) AS s"
        ))
    };
    assert_eq!(customer("NULL", "NULL", "'2026-06-20'"), "help_restart|2026-06-30||\n");
    assert_eq!(customer("NULL", "NULL", "'2026-06-28'"), "wait|2026-07-05|help_restart|\n");
    let nothing = r#"'{"next_action": {"rules": [
        {"id": "wait", "action": "wait", "behavior": "none", "title": "W", "when": {"contact_allowed": false}},
        {"id": "again", "action": "wait", "behavior": "none", "title": "W", "when": {}},
        {"id": "orders", "action": "x", "behavior": "none", "title": "X", "when": {"orders": 3}}]}}'"#;
    assert_eq!(customer(nothing, "NULL", "'2026-06-28'"), "wait|2026-07-05|none|\n");
    let call = |only| {
        format!(
            r#"'{{"next_action": {{"rules": [{{"id": "call", "action": "call", "behavior": "care", "title": "C",
                                             "channels": ["phone", "postal"], "only_channels": {only}, "when": {{}}}}]}}}}'"#
        )
    };
    assert_eq!(customer(&call(false), "'{sms,email}'", "NULL"), "call|2026-06-30||email\n");
    assert_eq!(customer(&call(true), "'{sms,email}'", "NULL"), "call|2026-06-30||\n");
    assert_eq!(customer(&call(true), "'{sms,postal}'", "NULL"), "call|2026-06-30||postal\n");
    assert_eq!(customer(&call(false), "'{social}'", "NULL"), "call|2026-06-30||\n");
}
