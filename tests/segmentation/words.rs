//! A shop's own words for kinds of events, memberships and channels: what is not known is found, and what is said to mean
//! another word means it everywhere.

use crate::common::*;
use crate::shop::*;

const TABLES: &str = "
    CREATE TABLE events (customer_id int, kind text, happened_at date);
    CREATE TABLE sent (customer_id int, channel text, sent_on date, scenario text);
    CREATE TABLE people (customer_id int, membership text, email text, consents jsonb);";

const SOURCES: &str = "engagement => 'events', contacts => 'sent', customers => 'people', as_of => '2026-06-30'";

const WORDS: &str = r#"
    engagement_kinds => '{"レビュー": "review", "アンケート": "survey", "紹介": "referral", "test": null, "cooking": "cooking"}',
    channel_names => '{"メール": "email", "DM": "postal", "fax": null}',
    memberships => '{"1": "continuing", "2": "paused", "退会済": "withdrawn", "?": null}'"#;

/// A row of values, some of them odd.
fn rows(random: &mut Random, count: usize, mut row: impl FnMut(&mut Random) -> String) -> String {
    (0..count).map(|_| row(random)).collect::<Vec<_>>().join(", ")
}

fn customer(random: &mut Random) -> String {
    if random.below(12) == 0 { "NULL".into() } else { random.below(45).to_string() }
}

fn day(random: &mut Random) -> String {
    match random.below(14) {
        0 => "NULL".into(),
        1 => random.of(&["'infinity'", "'-infinity'"]).into(),
        _ => format!("date '2026-06-30' + {}", random.below(200) as i64 - 180),
    }
}

fn quoted(word: &str) -> String {
    if word == "NULL" { word.into() } else { format!("'{word}'") }
}

/// Every count and share of an audit is that of plain SQL, over random rows and lists of words.
#[test]
fn findings_are_those_of_plain_sql() {
    let database = Database::new("words_findings");
    let mut client = quiet(&database);
    batch(
        &mut client,
        &format!(
            "{TABLES}
             CREATE TABLE orders (customer_id int, ordered_on date, amount numeric);
             ALTER TABLE sent ADD test_group text, ADD campaign text;
             CREATE TABLE words (argument text, word text, meaning text); CREATE TABLE asked (as_of date);
             {}",
            include_str!("../reference/audit.sql")
        ),
    );
    let long = "語".repeat(22); // 66 bytes
    let kinds = [
        "NULL",
        "review",
        "レビュー",
        "アンケート",
        "cooking",
        "",
        &long,
        "survey",
        "stated_price",
        "stated_drifted",
        "stated_weather",
        "complaint_resolved",
        "Review",
    ];
    let channels = ["NULL", "email", "メール", "push", "", "postal", "DM"];
    let memberships = ["NULL", "continuing", "1", "2", "", "  ", "　", "03", "退会済", "3", "x"];
    let mut found_in_all = 0;
    for seed in 1..=40 {
        let random = &mut Random::new(seed);
        let (scale, as_of) = (random.of(&[1, 100, 10_000]), random.of(&["2026-06-30", "2026-07-30", "2026-08-30"]));
        let orders = rows(random, 150, |random| {
            let amount = random.of(&["NULL", "-5", "13", "0"]).to_owned();
            let amount = if random.below(5) > 0 { (random.below(100) * scale).to_string() } else { amount };
            format!("({}, {}, {amount})", customer(random), day(random))
        });
        let events = rows(random, 120, |random| {
            format!("({}, {}, {})", customer(random), quoted(random.of(&kinds)), day(random))
        });
        let sent = rows(random, 80, |random| {
            let group = random.of(&["NULL", "NULL", "holdout", "Holdout", "対照群", "letter"]);
            let campaign = random.of(&["NULL", "", "spring", "autumn", "winter"]);
            // One campaign in two has groups that are never the holdout.
            let group = if campaign == "winter" && group == "holdout" { "letter" } else { group };
            format!(
                "({}, {}, {}, {}, {})",
                customer(random),
                quoted(random.of(&channels)),
                day(random),
                quoted(group),
                quoted(campaign)
            )
        });
        let people = rows(random, 30, |random| {
            let consents = random.of(&[
                "NULL",
                "{}",
                r#"{"email": true, "fax": null}"#,
                r#"{"メール": true, "line": false}"#,
                r#"{"email": 1, "line": "yes"}"#,
                r#"{"fax": [1]}"#,
                "[1]",
                "null",
            ]);
            format!("({}, {}, {})", customer(random), quoted(random.of(&memberships)), quoted(consents))
        });
        let words = rows(random, 14, |random| {
            let (argument, word, meaning) = random.of(&[
                ("engagement_kinds", "レビュー", "review"),
                ("engagement_kinds", "アンケート", "surveys"),
                ("engagement_kinds", "cooking", "cooking"),
                ("engagement_kinds", "", "NULL"),
                ("engagement_kinds", "stated_price", "stated_dissatisfied"),
                ("engagement_kinds", "Review", "NULL"),
                ("channel_names", "メール", "email"),
                ("channel_names", "push", "push"),
                ("channel_names", "fax", "NULL"),
                ("channel_names", "", "phone"),
                ("memberships", "1", "continuing"),
                ("memberships", "", "ad_hoc"),
                ("memberships", "退会済", "withdrawn"),
                ("memberships", "x", "NULL"),
                ("test_groups", "Holdout", "holdout"),
                ("test_groups", "対照群", "NULL"),
                ("test_groups", "letter", "letter"),
            ]);
            format!("('{argument}', '{word}', {})", quoted(meaning))
        });
        batch(
            &mut client,
            &format!(
                "TRUNCATE orders, events, sent, people, words, asked;
                 INSERT INTO orders VALUES {orders}; INSERT INTO events VALUES {events};
                 INSERT INTO sent (customer_id, channel, sent_on, test_group, campaign) VALUES {sent};
                 INSERT INTO people (customer_id, membership, consents)
                 SELECT p.c, p.m, p.n::jsonb FROM (VALUES {people}) AS p (c, m, n);
                 INSERT INTO words SELECT DISTINCT * FROM (VALUES {words}) AS w; INSERT INTO asked VALUES ('{as_of}')"
            ),
        );
        let list = |argument: &str| {
            format!("{argument} => (SELECT jsonb_object_agg(word, meaning) FROM words WHERE argument = '{argument}')")
        };
        let audit = format!(
            "SELECT finding, rows, share FROM audit_orders('orders', order_filter => 'amount IS DISTINCT FROM 13', as_of => '{as_of}',
                 engagement => 'events', contacts => 'sent', customers => 'people', {}, {}, {}, {})
             WHERE finding ~ ': |^orders end|^nearly|^campaign'",
            list("engagement_kinds"), list("channel_names"), list("memberships"), list("test_groups")
        );
        assert_same_rows(&mut client, &format!("seed {seed}"), &audit, "SELECT * FROM reference.findings", 12);
        found_in_all += count(&mut client, "SELECT count(*) FROM reference.findings WHERE finding !~ ': '");
    }
    assert!(found_in_all > 30, "{found_in_all} findings about the answers of everybody");
}

/// A segmentation with words is the one over tables in which other words stand, whatever is done with it.
#[test]
fn what_a_word_means_holds_everywhere() {
    let (_database, mut client) = with_orders("words_everywhere");
    batch(
        &mut client,
        &format!(
            "{TABLES}
             INSERT INTO events SELECT i % 37, ('{{レビュー,アンケート,紹介,review,test,cooking}}'::text[])[1 + i % 6], date '2026-01-01' + i % 170
             FROM generate_series(1, 400) AS i;
             INSERT INTO sent SELECT i % 37, ('{{メール,email,DM,fax}}'::text[])[1 + i % 4], date '2026-01-01' + i % 170, NULL
             FROM generate_series(1, 200) AS i;
             INSERT INTO people SELECT i, ('{{1,2,退会済,?,ad_hoc,NULL}}'::text[])[1 + i % 6], 'a@example.com',
                                       (ARRAY['{{\"メール\": true}}', '{{\"メール\": true, \"email\": false, \"fax\": 1}}', NULL, '{{}}']::jsonb[])[1 + i % 4]
             FROM generate_series(0, 40) AS i;
             UPDATE people SET membership = ' ' WHERE customer_id % 10 = 7;
             CREATE SCHEMA plain;
             CREATE VIEW plain.events AS
             SELECT customer_id, CASE kind WHEN 'レビュー' THEN 'review' WHEN 'アンケート' THEN 'survey' WHEN '紹介' THEN 'referral'
                                           WHEN 'test' THEN NULL ELSE kind END AS kind, happened_at FROM events;
             CREATE VIEW plain.sent AS
             SELECT customer_id, CASE channel WHEN 'メール' THEN 'email' WHEN 'DM' THEN 'postal' WHEN 'fax' THEN NULL ELSE channel END
                 AS channel, sent_on FROM sent;
             CREATE VIEW plain.people AS
             SELECT customer_id, CASE membership WHEN '1' THEN 'continuing' WHEN '2' THEN 'paused' WHEN '退会済' THEN 'withdrawn'
                                                 WHEN '?' THEN NULL WHEN ' ' THEN NULL ELSE membership END AS membership, email,
                    CASE WHEN consents ? 'email' THEN '{{\"email\": false}}' WHEN consents ? 'メール' THEN '{{\"email\": true}}'
                         ELSE consents END AS consents FROM people"
        ),
    );
    let plain =
        "SELECT create_segmentation('plain', 'sales.orders', engagement => 'plain.events', contacts => 'plain.sent',
                                            customers => 'plain.people', as_of => '2026-06-30')";
    batch(
        &mut client,
        &format!("{plain}; SELECT create_segmentation('shop', 'sales.orders', {SOURCES}, {WORDS}, track => 'trigger')"),
    );
    let same = |client: &mut Client, what: &str| {
        for relation in ["engagement", "contacts", "profiles", "customers", "actions", "movement"] {
            let [found, expected] = ["shop", "plain"].map(|name| format!("SELECT * FROM {name}_{relation}"));
            assert_same_rows(client, &format!("{what}: {relation}"), &found, &expected, 1);
        }
        for relation in ["engagement", "contacts", "profiles"] {
            let query = format!("SELECT query FROM segmentation_sql('shop') WHERE relation = 'public.shop_{relation}'");
            let query = text(client, &query);
            assert_same_rows(client, "segmentation_sql", &query, &format!("SELECT * FROM plain_{relation}"), 1);
        }
    };
    same(&mut client, "created");
    assert!(count(&mut client, "SELECT count(*) FROM shop_profiles WHERE channels = '{email}'") > 5);
    assert!(count(&mut client, "SELECT count(DISTINCT membership) FROM shop_customers") == 4);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_engagement WHERE engagement::text ~ 'test|レビュー'"), 0);

    batch(
        &mut client,
        "INSERT INTO events VALUES (3, 'レビュー', '2026-06-01'), (3, 'test', '2026-06-01'); INSERT INTO sent VALUES (4, 'DM', '2026-06-02');
         UPDATE people SET membership = '退会済' WHERE customer_id = 5;
         INSERT INTO sales.orders VALUES (1000, 3, '2026-06-03', 5);
         SELECT refresh_segmentation('shop'), refresh_segmentation('plain')",
    );
    same(&mut client, "refreshed");

    // Another meaning by alter_segmentation, and none.
    batch(
        &mut client,
        r#"CREATE OR REPLACE VIEW plain.events AS SELECT customer_id, CASE kind WHEN 'test' THEN 'survey' ELSE kind END AS kind, happened_at FROM events;
           SELECT refresh_segmentation('plain');
           SELECT alter_segmentation('shop', engagement_kinds => '{"test": "survey"}')"#,
    );
    same(&mut client, "altered");
    batch(
        &mut client,
        "CREATE OR REPLACE VIEW plain.events AS SELECT customer_id, kind, happened_at FROM events;
         SELECT refresh_segmentation('plain'); SELECT alter_segmentation('shop', reset => '{engagement_kinds}')",
    );
    same(&mut client, "reset");
    // A list goes with its table.
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{contacts}')");
    assert!(count(&mut client, "SELECT count(*) FROM shop_settings WHERE channel_names IS NOT NULL") == 1); // of consents
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{customers}')");
    let left = "SELECT count(*) FROM shop_settings WHERE coalesce(channel_names, memberships) IS NULL";
    assert_eq!(count(&mut client, left), 1);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let (_database, mut client) = with_orders("words_refused");
    batch(&mut client, TABLES);
    batch(
        &mut client,
        r#"INSERT INTO people VALUES (1, '1', NULL, NULL), (2, '退会済', NULL, NULL), (3, '', NULL, NULL), (4, '1', NULL, '{"fax": true}'),
                                     (5, 'nobody knows', NULL, '{"メール": true}'), (6, '01', NULL, '[1]')"#,
    );
    let before = objects(&mut client);
    for (arguments, message, hint) in [
        ("engagement_kinds => '{}'", "engagement_kinds is given without engagement", "Name the table too"),
        ("memberships => '{}'", "memberships is given without customers", "Name the table too"),
        (
            "channel_names => '{\"a\": \"email\"}'",
            "channel_names is given without contacts or customers",
            "Name the table",
        ),
        ("engagement => 'events', engagement_kinds => '[]'", "engagement_kinds is a JSON array", "Give an object"),
        ("engagement => 'events', engagement_kinds => '{\"a\": 1}'", "engagement_kinds: \"a\" means 1", "in quotes"),
        (
            "engagement => 'events', engagement_kinds => '{\"a\": \"\"}'",
            "means \"\", which is no name",
            "1 to 63 bytes",
        ),
        (
            "contacts => 'sent', channel_names => '{\"a\": [\"email\"]}'",
            "channel_names: \"a\" means [\"email\"]",
            "in quotes",
        ),
        (
            "customers => 'people', memberships => '{\"1\": \"member\"}'",
            "memberships: \"1\" means \"member\", which is no membership",
            "Known are: continuing, paused, withdrawn, ad_hoc, 01, 02, 03.",
        ),
        ("test_groups => '{}'", "test_groups is given without a column of contacts with groups", "contacts => ..."),
        (
            "contacts => 'sent', test_groups => '{\"A\": \"holdout\"}'",
            "test_groups is given without a column of contacts with groups",
            r#"contacts_columns => '{"group": "..."}'"#,
        ),
        (
            "contacts => 'sent', contacts_columns => '{\"group\": \"scenario\"}', test_groups => '{\"A\": \"\"}'",
            "test_groups: \"A\" means \"\", which is no name",
            "1 to 63 bytes",
        ),
        (
            "contacts => 'sent', contacts_columns => '{\"test_group\": \"scenario\"}'",
            "contacts_columns: test_group is not known",
            "group may be meant. Known are: tenant, customer,",
        ),
        (
            "contacts => 'sent', contacts_columns => '{\"body\": \"scenario\"}'",
            "contacts_columns: body is not known",
            "Known are: tenant, customer,",
        ),
        // All that are not known at once, and the argument that says what they mean.
        (
            "customers => 'people'",
            r#"public.people has unknown memberships: "1" 2 (continuing?), "nobody knows" 1, "退会済" 1 (withdrawn?)"#,
            r#"memberships => '{"1": "continuing", "退会済": "withdrawn", "nobody knows": null}'; null is unknown."#,
        ),
        (
            r#"customers => 'people', memberships => '{"1": "continuing", "退会済": "withdrawn", "nobody knows": null}'"#,
            r#"public.people has unknown channels in consents: "fax" 1, "メール" 1 (email?)"#,
            r#"channel_names => '{"fax": null, "メール": "email"}'"#,
        ),
    ] {
        let create = format!("SELECT create_segmentation('shop', 'sales.orders', {arguments})");
        let (sqlstate, found, found_hint) = expect_error(&mut client, &create);
        assert_eq!(sqlstate, "22023", "{arguments}: {found}");
        assert!(found.contains(message), "{arguments}: {found}");
        assert!(found_hint.contains(hint), "{arguments}: {found_hint}");
        assert_eq!(objects(&mut client), before, "{arguments}");
    }
    // What is no list at all is none, as everywhere. One that becomes unknown later fails the refresh.
    batch(
        &mut client,
        r#"DELETE FROM people WHERE consents IS NOT NULL OR membership <> '';
           SELECT create_segmentation('shop', 'sales.orders', customers => 'people', memberships => 'null');
           INSERT INTO people VALUES (9, '9', NULL, NULL)"#,
    );
    let (sqlstate, message, _) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(sqlstate, "22023");
    assert_eq!(message, "segmentation \"shop\": public.people has unknown memberships: \"9\" 1");
    batch(&mut client, r#"SELECT alter_segmentation('shop', memberships => '{"9": null}')"#);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_profiles WHERE membership IS NULL"), 2);
}

/// Unknown kinds are said once with their counts, when it is made and at each refresh, until a list says what they mean.
#[test]
fn unknown_kinds_are_said_once_with_counts() {
    let (database, mut client) = with_orders("words_notices");
    batch(
        &mut client,
        &format!(
            "{TABLES}
             INSERT INTO events SELECT i % 37, ('{{レビュー,アンケート,review,stated_price}}'::text[])[1 + i % 4], '2026-05-01'
             FROM generate_series(1, 400) AS i"
        ),
    );
    let create = "SELECT rfm.create_segmentation('shop', 'sales.orders', engagement => 'public.events', as_of => '2026-06-30', schema => 'public')";
    let refresh = "SELECT rfm.refresh_segmentation('shop')";
    let alter =
        |kinds: &str| format!("SELECT rfm.alter_segmentation('shop', engagement_kinds => '{kinds}', lang => 'ja')");
    let proposed = r#"{"stated_price": "stated_price", "レビュー": "review", "アンケート": "survey"}"#;
    let unknown = format!(
        "shop: engagement: unknown kind: 200 (50.00 %); counts for nothing under this policy; say what they mean: \
         engagement_kinds => '{proposed}'; null leaves them out; for example: \"アンケート\" 100 (survey?), \"レビュー\" 100 (review?)"
    );
    for said in [database.said(create), database.said(refresh)] {
        assert_eq!(said.matches("unknown kind").count(), 1, "{said}");
        assert!(said.contains(&unknown), "{said}");
        assert_eq!(said.matches("unknown stated reason").count(), 1, "{said}");
        assert!(said.contains("for example: \"stated_price\" 100\n") && said.contains("stated_competitor"), "{said}");
    }
    // One that leaves the views in their place says it, and one that makes them anew.
    let said = database.said(&alter(r#"{"レビュー": "review"}"#));
    assert!(said.contains("\"アンケート\" 100 (survey?)") && !said.contains("\"レビュー\" 100"), "{said}");
    let said =
        database.said(&alter(r#"{"レビュー": "review", "アンケート": "survey", "stated_price": "stated_price"}"#));
    assert!(!said.contains("unknown"), "{said}");
    // The list that is proposed is the whole one.
    let said = database.said(&alter(proposed));
    assert!(!said.contains("unknown"), "{said}");
    // What the policy weighs is known.
    let policy = r#"{"relation": {"kinds": {"アンケート": {"weight": 5, "cap": 3}}}}"#;
    let policy =
        format!("SELECT rfm.alter_segmentation('shop', reset => '{{engagement_kinds}}', policy => '{policy}')");
    let said = database.said(&policy);
    assert!(said.contains("\"レビュー\" 100") && !said.contains("アンケート"), "{said}");
    // A great many are a list that ends.
    batch(&mut client, "INSERT INTO events SELECT 1, 'k' || i, '2026-05-01' FROM generate_series(1, 500) AS i");
    let said = database.said(refresh);
    assert!(said.contains(" and 481 others") && said.len() < 5000, "{said}");
}

/// A list that says what a word means by a word that is not known either is mended at the word of the shop's, so that what
/// is proposed leaves nothing to say.
#[test]
fn a_list_that_means_unknown_words_is_mended_at_its_words() {
    let (_database, mut client) = with_orders("words_chained");
    batch(
        &mut client,
        &format!(
            r#"{TABLES}
               INSERT INTO events VALUES (1, 'レビュー', '2026-05-01'), (2, 'reviews', '2026-05-01'), (3, 'cooking', '2026-05-01'), (3, 'review', '2026-05-01');
               INSERT INTO sent VALUES (1, 'メール', '2026-05-01', NULL), (2, 'push', '2026-05-01', NULL);
               INSERT INTO people VALUES (1, NULL, NULL, '{{"メール": true, "FB": false}}')"#
        ),
    );
    let lists = r#"engagement_kinds => '{"レビュー": "reviews", "cooking": "cooking_class"}', channel_names => '{"メール": "e_mail", "FB": "fb", "push": "push"}'"#;
    let found = |client: &mut Client, lists: &str| {
        text(
            client,
            &format!(
                "SELECT coalesce(string_agg(concat_ws('|', finding, example, substring(effect FROM '[{{].*[}}]')), E'\n' ORDER BY finding), '')
                 FROM audit_orders('sales.orders', {SOURCES}, {lists}) WHERE finding ~ 'unknown'"
            ),
        )
    };
    assert_eq!(
        found(&mut client, lists),
        [
            r#"contacts: unknown channel|"e_mail" 1 (email?)|{"FB": "fb", "push": "push", "メール": "email"}"#,
            r#"customers: unknown channel in consents|"e_mail" 1 (email?), "fb" 1|{"FB": null, "push": "push", "メール": "email"}"#,
            r#"engagement: unknown kind|"reviews" 2 (review?), "cooking_class" 1|{"cooking": "cooking_class", "reviews": "review", "レビュー": "review", "cooking_class": "cooking_class"}"#,
        ]
        .join("\n")
    );
    let mended = r#"engagement_kinds => '{"cooking": "cooking_class", "reviews": "review", "レビュー": "review", "cooking_class": "cooking_class"}',
                    channel_names => '{"FB": null, "push": "push", "メール": "email"}'"#;
    assert_eq!(found(&mut client, mended), "");
}

/// A holdout by another name counts as contacted until the list says what it is; then all answers are those over a table
/// in which it is called so.
#[test]
fn a_holdout_may_have_a_name_of_the_shops_own() {
    let (database, mut client) = with_orders("words_holdout");
    batch(
        &mut client,
        "CREATE TABLE sent (customer_id int, channel text, sent_on date, campaign text, test_group text);
         INSERT INTO sent SELECT i, CASE WHEN i % 3 > 0 THEN 'email' END, '2026-04-01', 'spring',
                                 (ARRAY['対照群', '手紙', 'A'])[1 + i % 3] FROM generate_series(0, 36) AS i;
         INSERT INTO sent SELECT i, 'email', '2026-05-01', 'may', CASE WHEN i % 2 = 0 THEN 'holdout' ELSE 'B' END FROM generate_series(0, 9) AS i;
         INSERT INTO sent VALUES (1, 'email', '2026-05-02', 'all', NULL), (1, 'email', '2026-05-02', NULL, 'Control');
         CREATE VIEW plain AS SELECT customer_id, channel, sent_on, campaign, CASE test_group WHEN '対照群' THEN 'holdout' WHEN 'A' THEN NULL
                                                                                            ELSE test_group END AS test_group FROM sent",
    );
    let audit = |more: &str| {
        format!(
            "SELECT string_agg(concat_ws('|', finding, rows, share, example, effect), E'\n' ORDER BY finding)
             FROM audit_orders('sales.orders', as_of => '2026-06-30', contacts => 'sent'{more}) WHERE finding ~ 'holdout|no channel'"
        )
    };
    let silent = "everybody counts as contacted, and nothing is compared";
    assert_eq!(
        text(&mut client, &audit("")),
        format!(
            "campaign without a holdout|1|0.500000|\"spring\": \"対照群\" 13 (holdout?), \"A\" 12, \"手紙\" 12|{silent}; \
             say what they mean: test_groups => '{{\"対照群\": \"holdout\"}}'\n\
             contacts: no channel|13|0.265306|(0,2026-04-01,)|a contact over no channel in particular"
        )
    );
    // Without campaigns all groups of the log are looked at together; where nothing is near, it is asked.
    batch(
        &mut client,
        "CREATE VIEW no_campaigns AS SELECT customer_id, channel, sent_on, test_group FROM sent WHERE test_group = 'B'",
    );
    let alone = audit("").replace("'sent'", "'no_campaigns'");
    assert_eq!(
        text(&mut client, &alone),
        format!(
            "contacts: groups without a holdout|1|1.000000|\"B\" 5|{silent}; if a group was sent nothing, say which: \
             test_groups => '{{\"...\": \"holdout\"}}'"
        )
    );
    let groups = r#"test_groups => '{"対照群": "holdout", "A": null}'"#;
    assert_eq!(text(&mut client, &audit(&format!(", {groups}"))), "");
    let create = "SELECT rfm.create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', schema => 'public', contacts => 'public.sent')";
    assert!(database.said(create).contains("shop: campaign without a holdout: 1 (50.00 %)"));
    let contacted = "SELECT count(*) FROM shop_customers WHERE last_contacted_on = '2026-04-01'";
    let before = count(&mut client, contacted);
    batch(
        &mut client,
        &format!(
            "SELECT create_segmentation('plain', 'sales.orders', as_of => '2026-06-30', contacts => 'plain');
             SELECT alter_segmentation('shop', {groups})"
        ),
    );
    assert!(count(&mut client, contacted) < before);
    for relation in ["contacts", "campaign_members", "customers", "campaigns", "channels"] {
        let [found, expected] = ["shop", "plain"].map(|name| format!("SELECT * FROM {name}_{relation}"));
        assert_same_rows(&mut client, relation, &found, &expected, 1);
    }
    assert!(
        count(&mut client, "SELECT count(*) FROM shop_campaigns WHERE campaign = 'spring' AND verdict IS NOT NULL") > 0
    );
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{test_groups}')");
    assert_eq!(count(&mut client, contacted), before);
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{contacts}')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_settings WHERE test_groups IS NULL"), 1);
}

/// Consents that say neither yes nor no are refused with all of them at once, the table and a customer.
#[test]
fn consents_that_cannot_be_read_are_all_named() {
    let (_database, mut client) = with_orders("words_consents");
    batch(
        &mut client,
        &format!(
            r#"{TABLES}
               INSERT INTO people SELECT i, NULL, 'a@example.com', (ARRAY['{{"email": 1}}', '{{"email": "yes", "sms": 1, "line": true}}', NULL, '{{"email": null}}']::jsonb[])[1 + i % 4]
               FROM generate_series(1, 8) AS i;
               INSERT INTO people VALUES (9, NULL, NULL, '["email"]'), (NULL, NULL, NULL, '{{"email": 2}}'), (10, NULL, NULL, '{{"fax": 7}}')"#
        ),
    );
    let create =
        r#"create_segmentation('shop', 'sales.orders', customers => 'people', channel_names => '{"fax": null}')"#;
    let (sqlstate, message, hint) = expect_error(&mut client, &format!("SELECT {create}"));
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        (
            "22023",
            r#"segmentation "shop": public.people has consents that cannot be read: {"email": "yes"} 2, {"email": 1} 2, {"sms": 1} 2, ["email"] 1; for example of customer (1)"#
        )
    );
    assert!(hint.contains(r#"{"email": true}"#), "{hint}");
    // The audit says so, and goes on.
    let found = r#"SELECT concat_ws('|', rows, share, example, effect) FROM audit_orders('sales.orders', customers => 'people', channel_names => '{"fax": null}')
                   WHERE finding = 'customers: consents that cannot be read'"#;
    assert_eq!(
        text(&mut client, found),
        r#"5|0.500000|{"email": "yes"} 2, {"email": 1} 2, {"sms": 1} 2, ["email"] 1|refused: a consent is true, false or null; a view over the table can write it so"#
    );
    batch(&mut client, &format!("DELETE FROM people WHERE customer_id % 4 < 2 OR customer_id = 9; SELECT {create}"));
    batch(&mut client, "INSERT INTO people VALUES (99, NULL, NULL, '{\"email\": 0}')");
    let (_, message, _) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert!(
        message.ends_with(
            "public.people has consents that cannot be read: {\"email\": 0} 1; for example of customer (99)"
        ),
        "{message}"
    );
}

/// With the shop's own words for kinds nobody is a VIP; the list makes them what they are.
#[test]
fn vips_are_found_by_the_shops_own_words() {
    let database = Database::new("words_vips");
    let mut client = quiet(&database);
    batch(
        &mut client,
        &format!(
            "{TABLES}
             CREATE TABLE orders (customer_id int, ordered_on date, amount numeric);
             INSERT INTO orders SELECT i % 10, date '2026-06-29' - i / 10 * 20, 9000 FROM generate_series(0, 99) AS i;
             INSERT INTO events SELECT i % 10, ('{{レビュー,アンケート,紹介}}'::text[])[1 + i / 10 % 3], '2026-05-01' FROM generate_series(0, 59) AS i"
        ),
    );
    let vips = "SELECT count(*) FROM shop_customers WHERE vip_tier = 'vip'";
    batch(&mut client, "SELECT create_segmentation('shop', 'orders', engagement => 'events', as_of => '2026-06-30')");
    assert_eq!(count(&mut client, vips), 0);
    batch(
        &mut client,
        r#"SELECT alter_segmentation('shop', engagement_kinds => '{"レビュー": "review", "アンケート": "survey", "紹介": "referral"}')"#,
    );
    assert_eq!(count(&mut client, vips), 10);
}

/// Orders that end long before the day asked for, and amounts of another currency, by the policy in force.
#[test]
fn answers_that_are_the_same_for_nearly_everybody_are_found() {
    let database = Database::new("words_answers");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_on date, amount double precision);
         INSERT INTO orders SELECT i % 40, date '2011-12-09' - i, 100 FROM generate_series(0, 199) AS i;
         INSERT INTO orders VALUES (1, '2011-12-09', 'NaN'), (1, '2011-12-09', 1e308), (2, '2011-12-09', 1e308), (1, '2012-12-01', -1)",
    );
    let found = |client: &mut Client, arguments: &str| {
        text(
            client,
            &format!(
                "SELECT coalesce(string_agg(concat_ws('; ', finding, rows, share, example), E'\\n'), '')
                 FROM audit_orders('orders'{arguments}) WHERE finding ~ '^(orders end|nearly)'"
            ),
        )
    };
    let low = "nearly everybody has m = 1; 40; 1.000000; monetary is 500.00 on average";
    assert_eq!(found(&mut client, ", as_of => '2012-01-08'"), low);
    assert_eq!(
        found(&mut client, ", as_of => '2012-01-09'"),
        format!("orders end long before as_of; 203; 1.000000; 2011-12-09\n{low}")
    );
    for (policy, expected) in [
        ("annual_365", low),
        (r#"{"lifecycle": {"at_risk_after_days": 31}}"#, low),
        (
            r#"{"lifecycle": {"cycle": "own"}, "rfm": {"monetary_cuts": [1, 2, 3, 4]}}"#,
            "nearly everybody has m = 5; 40; 1.000000; monetary is 500.00 on average",
        ),
        (
            r#"{"rfm": {"monetary_cuts": [100, 499, 600, 700]}}"#,
            "orders end long before as_of; 203; 1.000000; 2011-12-09",
        ),
    ] {
        assert_eq!(found(&mut client, &format!(", as_of => '2012-01-09', policy => '{policy}'")), expected, "{policy}");
    }
    // A few may be alike, and nobody is nobody.
    assert_eq!(found(&mut client, ", as_of => '2011-12-09', order_filter => 'customer_id < 19'"), "");
    assert_eq!(found(&mut client, ", order_filter => 'false'"), "");
    batch(&mut client, "DELETE FROM orders WHERE amount = 'NaN' OR amount > 1e300");
    let said =
        database.said("SELECT rfm.create_segmentation('shop', 'public.orders', schema => 'public', policy => 'learn')");
    assert!(said.contains("shop: orders end long before as_of: 201 (100.00 %)"), "{said}");
    assert!(said.contains("as_of => '2011-12-09'") && said.contains("(policy => 'learn')"), "{said}");
    let learned = "SELECT count(DISTINCT m_score) FROM shop_customers";
    batch(&mut client, "SELECT alter_segmentation('shop', as_of => '2011-12-09', policy => 'learn')");
    assert!(count(&mut client, learned) > 0);
}
