//! Labels, comments and findings in both languages, and what stays where another one is chosen.

use crate::common::*;
use crate::shop::*;

/// Memberships, addresses, events and contacts, so that there is something in every column.
const CREATE_ALL: &str = "
    CREATE TABLE people AS
    SELECT i AS customer_id, (ARRAY['continuing', '02', 'withdrawn', 'ad_hoc', NULL])[i % 5 + 1] AS membership,
           CASE WHEN i % 3 > 0 THEN 'a@example.com' END AS email
    FROM generate_series(1, 60) AS i;
    CREATE TABLE events AS SELECT i AS customer_id, 'complaint' AS kind, date '2026-06-01' AS happened_at FROM generate_series(1, 60, 7) AS i;
    SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', customers => 'people', engagement => 'events')";

/// Each labeled column with its label, its place and, by the functions that list them, what they should be.
const LABELED: [(&str, &str, &str, &str, &str); 14] = [
    (
        "customers",
        "membership",
        "membership_label",
        "NULL",
        "SELECT membership, NULL::int, label_en, label_ja FROM memberships()",
    ),
    ("customers", "lifecycle_state", "lifecycle_label", "lifecycle_order", "TABLE states"),
    (
        "customers",
        "previous_state",
        "previous_label",
        "NULL",
        "SELECT state, NULL::int, label_en, label_ja FROM states",
    ),
    ("customers", "purchase_stage", "stage_label", "stage_order", "SELECT * FROM purchase_stages()"),
    ("customers", "vip_tier", "tier_label", "tier_order", "SELECT * FROM vip_tiers()"),
    (
        "customers",
        "last_tier",
        "last_tier_label",
        "NULL",
        "SELECT tier, NULL::int, label_en, label_ja FROM vip_tiers()",
    ),
    ("customers", "dormancy_category", "category_label", "category_order", "SELECT * FROM dormancy_categories()"),
    ("customers", "dormancy_reason", "reason_label", "reason_order", "SELECT * FROM dormancy_reasons()"),
    ("customers", "rfm_segment", "segment_label", "segment_order", "SELECT * FROM segments"),
    (
        "customers",
        "action_rule",
        "action_title",
        "action_order",
        "SELECT rule, sort_order, title, title_ja FROM next_actions()",
    ),
    (
        "segments",
        "rfm_segment",
        "segment_label",
        "segment_order",
        "TABLE segments UNION ALL SELECT state, 0, label_en, label_ja FROM states WHERE state = 'prospect'",
    ),
    ("movement", "from_state", "from_label", "from_order", "TABLE states"),
    ("movement", "to_state", "to_label", "to_order", "TABLE states"),
    (
        "actions",
        "action_rule",
        "action_title",
        "action_order",
        "SELECT rule, sort_order, title, title_ja FROM next_actions()",
    ),
];

/// Words that no function lists.
const WORDS: &str = "
    CREATE VIEW words (list, name, en, ja) AS VALUES
        ('behavior', 'experience', 'Experience', '体験'), ('behavior', 'continuation', 'Continuation', '継続'),
        ('behavior', 'co_creation', 'Co-creation', '共創'), ('behavior', 'advocacy', 'Advocacy', '推奨'),
        ('behavior', 'reactivation', 'Reactivation', '掘り起こし'), ('behavior', 'care', 'Care', 'ケア'), ('behavior', 'none', 'None', 'なし'),
        ('channel', 'email', 'E-mail', 'メール'), ('channel', 'none', 'None', 'なし');
    CREATE VIEW states AS SELECT * FROM lifecycle_states();
    CREATE VIEW segments AS SELECT * FROM rfm_segments()";

fn assert_labels(client: &mut Client, lang: &str) {
    for (view, value, label, order, list) in LABELED {
        let wrong = format!(
            "SELECT count(*) || ' of ' || (SELECT count({value}) FROM shop_{view})
             FROM shop_{view} AS c LEFT JOIN ({list}) AS l (name, place, en, ja)
                  ON l.name = CASE c.{value} WHEN '02' THEN 'paused' ELSE c.{value} END
             WHERE c.{label} IS DISTINCT FROM l.{lang} OR {order} IS DISTINCT FROM l.place"
        );
        let found = text(client, &wrong);
        assert!(found.starts_with("0 of ") && found != "0 of 0", "{view}.{label}: {found}");
    }
    for (view, list, value, label) in [
        ("customers", "behavior", "action_behavior", "behavior_label"),
        ("customers", "channel", "action_channel", "channel_label"),
        ("actions", "behavior", "action_behavior", "behavior_label"),
        ("actions", "channel", "action_channel", "channel_label"),
    ] {
        let wrong = format!(
            "SELECT count(*) FROM shop_{view} AS c LEFT JOIN words AS w ON w.list = '{list}' AND w.name = c.{value}
             WHERE c.{label} IS DISTINCT FROM w.{lang}"
        );
        assert_eq!(count(client, &wrong), 0, "{view}.{label}");
        assert!(count(client, &format!("SELECT count({label}) FROM shop_{view}")) > 0, "{view}.{label}");
    }
}

#[test]
fn another_language_leaves_the_views_where_they_are() {
    let (_database, mut client) = with_orders("segmentation_language");
    batch(&mut client, CREATE_ALL);
    batch(&mut client, WORDS);
    assert_labels(&mut client, "en");
    let stands =
        "SELECT string_agg(c.oid::text, ',' ORDER BY relname) FROM pg_class AS c WHERE relname LIKE 'shop\\_%'";
    let comments = "SELECT count(*) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                    WHERE c.relname LIKE 'shop\\_%' AND c.relkind IN ('m', 'v') AND a.attnum > 0
                          AND col_description(c.oid, a.attnum) ~ '[ぁ-んァ-ヶ一-龠]'";
    let columns = "SELECT count(*) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                   WHERE c.relname LIKE 'shop\\_%' AND c.relkind IN ('m', 'v') AND a.attnum > 0";
    let facts = "SELECT md5(string_agg(concat_ws('|', customer_id, lifecycle_state, rfm_score, next_action), ' ' ORDER BY customer_id)) FROM shop_customers";
    batch(
        &mut client,
        "CREATE VIEW mine AS SELECT lifecycle_label, sum(customers) AS customers FROM shop_segments GROUP BY lifecycle_label, lifecycle_order;
         CREATE INDEX mine_too ON shop_customers (lifecycle_label)",
    );
    let (before, known, place) = (
        text(&mut client, facts),
        text(&mut client, "SELECT string_agg(lifecycle_label, ',' ORDER BY lifecycle_label) FROM mine"),
        text(&mut client, stands),
    );
    assert_eq!(count(&mut client, comments), 0);

    batch(&mut client, "SELECT alter_segmentation('shop', lang => 'ja')");
    assert_labels(&mut client, "ja");
    assert_eq!(text(&mut client, stands), place);
    assert_eq!(text(&mut client, facts), before);
    assert_eq!(count(&mut client, comments), count(&mut client, columns));
    assert!(text(&mut client, "SELECT string_agg(lifecycle_label, ',') FROM mine").contains("休眠"));
    assert_eq!(text(&mut client, "SELECT lang FROM shop_status"), "ja");
    assert_eq!(count(&mut client, "SELECT count(*) FROM pg_class WHERE relname = 'mine_too'"), 1);

    batch(&mut client, "SELECT refresh_segmentation('shop')");
    assert_labels(&mut client, "ja");
    batch(&mut client, "SELECT alter_segmentation('shop', lang => 'en')");
    assert_labels(&mut client, "en");
    assert_eq!(count(&mut client, comments), 0);
    assert_eq!(text(&mut client, "SELECT string_agg(lifecycle_label, ',' ORDER BY lifecycle_label) FROM mine"), known);
}

/// Segments of a policy of one's own are called by their names, and sort as they stand in it.
#[test]
fn own_segments_keep_their_names_and_their_order() {
    let (_database, mut client) = with_orders("segmentation_own_segments");
    batch(
        &mut client,
        r#"INSERT INTO sales.orders VALUES (9001, 9001, '2024-01-01', 10), (9002, 9002, '2026-06-29', 10);
           SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', lang => 'ja', policy =>
           '{"segments": {"rules": [{"name": "z often", "any": [{"f": [2, 5]}]}, {"name": "lost", "any": [{"r": [1, 1]}]}], "default": "a others"}}')"#,
    );
    let seen = text(
        &mut client,
        "SELECT string_agg(DISTINCT concat_ws(':', segment_order, rfm_segment, segment_label), ', ') FROM shop_segments",
    );
    assert_eq!(seen, "1:z often:z often, 2:lost:離反, 3:a others:a others");
    let moved = "SELECT string_agg(DISTINCT concat_ws(':', from_order, from_value), ', ') FROM shop_transitions
                 WHERE dimension = 'rfm_segment'";
    assert_eq!(text(&mut client, moved), "0:prospect, 1:z often, 2:lost");
}

/// All lists in one agree with each by itself.
#[test]
fn labels_are_all_lists_in_one() {
    let database = Database::new("labels");
    let mut client = quiet(&database);
    let by_hand = "
        SELECT 'lifecycle_state', * FROM lifecycle_states() UNION ALL SELECT 'purchase_stage', * FROM purchase_stages()
        UNION ALL SELECT 'vip_tier', * FROM vip_tiers() UNION ALL SELECT 'membership', * FROM memberships()
        UNION ALL SELECT 'dormancy_category', * FROM dormancy_categories() UNION ALL SELECT 'dormancy_reason', * FROM dormancy_reasons()
        UNION ALL SELECT 'due_step_reason', * FROM due_step_reasons() UNION ALL SELECT 'ab_verdict', * FROM ab_verdicts()
        UNION ALL SELECT 'ab_factor', factor, sort_order, label_en, label_ja FROM ab_factors()
        UNION ALL SELECT 'rfm_segment', * FROM rfm_segments() UNION ALL SELECT 'churn_band', * FROM churn_bands()";
    let differ = format!(
        "SELECT count(*) FROM ((SELECT * FROM labels() WHERE list NOT IN ('behavior', 'channel') EXCEPT ALL ({by_hand}))
                              UNION ALL (({by_hand}) EXCEPT ALL SELECT * FROM labels())) AS d"
    );
    assert_eq!(count(&mut client, &differ), 0);
    let called =
        "SELECT count(*) FROM labels() WHERE label(list, name, 'en') <> label_en OR label(list, name, 'ja') <> label_ja
                  OR label_order(list, name) <> sort_order";
    assert_eq!(count(&mut client, called), 0);
    let presets = "SELECT count(*) FROM (SELECT title_ja, description_ja FROM policy_presets()
                                         UNION ALL SELECT title_ja, description_ja FROM scenario_presets()) AS p
                   WHERE (title_ja ~ '[ぁ-んァ-ヶ一-龠]') AND (description_ja ~ '[ぁ-んァ-ヶ一-龠]')";
    assert_eq!(count(&mut client, presets), 26);
}

/// Nothing that the audit finds is left in English.
#[test]
fn the_audit_speaks_japanese() {
    let database = Database::new("segmentation_audit_ja");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (order_no int, customer_id int, ordered_at date, amount numeric, currency text);
         INSERT INTO orders VALUES (1, 1, '2026-01-01', 5, 'JPY'), (1, 1, '2026-01-03', 5, 'JPY'), (2, NULL, '2026-01-01', 5, 'JPY'),
             (3, 1, NULL, 5, 'JPY'), (4, 1, 'infinity', 5, 'JPY'), (5, 1, '2027-01-01', 5, 'JPY'), (6, 1, '2026-02-01', NULL, 'JPY'),
             (7, 1, '2026-02-02', 'NaN', 'JPY'), (8, 1, '2026-02-03', 0, 'JPY'), (9, 1, '2026-02-03', -5, 'EUR'),
             (NULL, 1, '2026-02-04', 7, 'EUR'), (NULL, 1, '2026-02-04', 7, NULL);
         CREATE TABLE people (customer_id int, email text); INSERT INTO people VALUES (1, 'nonsense'), (2, 'a@example.com');
         CREATE TABLE guests (shop text, customer_id text, ordered_at timestamptz, amount numeric, order_no int);
         INSERT INTO guests VALUES ('a', '', '2026-01-01', 5, 1), ('a', 'x', '2026-01-01', 5, 2), ('a', 'X', '2026-01-01', 5, 3), (NULL, 'x', '2026-01-01', 5, 4),
             ('a', 'x', '2026-01-02', 5, 5), ('a', 'x', '2026-01-02', -5, 5);
         CREATE VIEW none AS SELECT * FROM guests WHERE false;
         CREATE TABLE members (customer_id text, email text, phone text, address text, line_id text, consents jsonb);
         INSERT INTO members VALUES ('x', '?', '?', '?', '?', '{\"email\": 1}');
         CREATE TABLE sent (customer_id text, channel text, sent_on date, campaign text, test_group text);
         INSERT INTO sent VALUES ('x', 'email', '2026-01-01', 'spring', 'control'), ('x', 'email', '2026-01-01', 'may', 'A');
         CREATE VIEW of_groups AS SELECT customer_id, channel, sent_on, test_group FROM sent WHERE test_group = 'A';
         CREATE TABLE goals (kpi text, month date, goal numeric); INSERT INTO goals VALUES ('sales', '2026-01-01', 5), ('vip_share', '2026-01-01', 5), (NULL, NULL, 1);
         CREATE TABLE spent (month date, purpose text, cost numeric); INSERT INTO spent VALUES ('2026-01-01', 'party', 5), (NULL, NULL, 1)",
    );
    let mut seen = 0;
    for (orders, arguments) in [
        ("orders", ""),
        ("orders", ", order_id => 'order_no', currency => 'currency', customers => 'people'"),
        (
            "guests",
            ", order_id => 'order_no', customers => 'members', contacts => 'sent', targets => 'goals', costs => 'spent'",
        ),
        ("guests", ", tenant => 'shop'"),
        ("guests", ", contacts => 'of_groups'"),
        ("none", ""),
    ] {
        let audit =
            |lang: &str| format!("audit_orders('{orders}', as_of => '2026-06-30', lang => '{lang}'{arguments})");
        let english = format!(
            "SELECT string_agg(concat_ws(': ', finding, effect), ', ') FROM {} WHERE finding !~ '[ぁ-んァ-ヶ一-龠]' OR effect !~ '[ぁ-んァ-ヶ一-龠]'",
            audit("ja")
        );
        assert_eq!(text(&mut client, &english), "");
        let same = format!(
            "SELECT count(*) FROM {} WITH ORDINALITY AS e FULL JOIN {} WITH ORDINALITY AS j USING (ordinality)
             WHERE (e.rows, e.share, e.example) IS DISTINCT FROM (j.rows, j.share, j.example)",
            audit("en"),
            audit("ja")
        );
        assert_eq!(count(&mut client, &same), 0);
        seen += count(&mut client, &format!("SELECT count(*) FROM {}", audit("ja")));
    }
    assert!(seen >= 45, "{seen}");
    let said = database.said("SELECT rfm.create_segmentation('shop', 'public.orders', schema => 'public', lang => 'ja', order_filter => 'amount <> ''NaN'' AND isfinite(ordered_at)')");
    assert!(said.contains("shop: 顧客がない: 1 (") && said.contains("; 無視される; 例: (,"), "{said}");
}
