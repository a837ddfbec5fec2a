//! The row of settings and the relations that it asks for.

use crate::common::*;
use crate::shop::*;

/// Every argument but the lists of columns of other sources is a setting, and every column of a source is one.
#[test]
fn every_argument_is_a_setting() {
    let database = Database::new("settings_arguments");
    let mut client = quiet(&database);
    let settings = "SELECT attname::text AS setting FROM pg_attribute
                    WHERE attrelid = (SELECT typrelid FROM pg_type WHERE oid = 'segmentation_settings'::regtype) AND attnum > 0";
    let listed = "SELECT argument AS setting FROM segmentation_arguments() WHERE argument NOT LIKE '%\\_columns'
                  UNION SELECT setting FROM _source_columns() UNION SELECT 'settings_version'";
    assert_same_rows(&mut client, "settings", settings, listed, 40);
    // Everything can be altered but the name and the place; what leaves the views in their place is among it.
    let odd =
        "SELECT string_agg(argument, ',' ORDER BY argument) FROM segmentation_arguments() WHERE NOT can_be_altered";
    assert_eq!(text(&mut client, odd), "internals,name,schema");
    let odd = "SELECT count(*) FROM segmentation_arguments()
               WHERE NOT can_be_altered AND (can_be_reset OR leaves_views) OR coalesce(meaning, '') = ''";
    assert_eq!(count(&mut client, odd), 0);
    for (function, flag, others) in [
        ("create_segmentation", "true", "{}"),
        ("alter_segmentation", "can_be_altered", "{name,reset}"),
        ("audit_orders", "is_audited", "{finding,rows,share,example,effect}"),
    ] {
        let found = format!("SELECT unnest(proargnames) AS name FROM pg_proc WHERE proname = '{function}'");
        let listed = format!(
            "SELECT argument AS name FROM segmentation_arguments() WHERE {flag} UNION ALL SELECT unnest('{others}'::text[])"
        );
        assert_same_rows(&mut client, function, &found, &listed, 10);
    }
}

/// Nothing that is no setting is taken for NULL.
#[test]
fn a_setting_that_there_is_not_is_refused() {
    let (_database, mut client) = shop("settings_unknown");
    for (sql, sqlstate, part) in [
        ("UPDATE shop_settings SET time_zon = 'UTC'", "42703", "time_zon"),
        ("SELECT s.time_zon FROM shop_settings AS s", "42703", "time_zon"),
        ("SELECT alter_segmentation('shop', time_zon => 'UTC')", "42883", "time_zon"),
        (
            "SELECT _with_changes(NULL::segmentation_settings, '{\"time_zon\": \"UTC\", \"lang\": \"ja\"}')",
            "22023",
            "settings of a segmentation have no time_zon",
        ),
        ("UPDATE shop_settings SET as_of = 'yesterday or so'", "22007", "yesterday or so"),
        ("UPDATE shop_settings SET settings_version = NULL", "23502", "settings_version"),
    ] {
        let (found, message, _) = expect_error(&mut client, sql);
        assert_eq!(found, sqlstate, "{sql}: {message}");
        assert!(message.contains(part), "{sql}: {message}");
    }
    let row = "SELECT concat_ws(' ', name, schema, settings_version, orders, customer, ordered_at, amount, time_zone, as_of, lang, track)
               FROM shop_settings";
    assert_eq!(
        text(&mut client, row),
        "shop public 1 sales.orders customer_id ordered_at amount UTC 2026-06-30 en trigger"
    );
}

/// Settings that a later version wrote are not read as if they were known: every call says so, and nothing is changed.
#[test]
fn settings_of_another_version_are_refused() {
    let (_database, mut client) = shop("settings_version");
    batch(&mut client, "SELECT create_segmentation('other', 'sales.orders', as_of => '2026-06-30')");
    batch(&mut client, "UPDATE shop_settings SET settings_version = 2");
    let before = objects(&mut client);
    for call in [
        "refresh_segmentation('shop')",
        "alter_segmentation('shop', time_zone => 'Asia/Tokyo')",
        "drop_segmentation('shop')",
        "segmentation_sql('shop')",
    ] {
        let (sqlstate, message, hint) = expect_error(&mut client, &format!("SELECT {call}"));
        assert_eq!(sqlstate, "0A000", "{call}: {message}");
        assert_eq!(
            message,
            "segmentation \"shop\" has settings of version 2, of which this version of pg_rfm knows nothing"
        );
        assert!(hint.contains("ALTER EXTENSION pg_rfm UPDATE"), "{hint}");
        assert_eq!(objects(&mut client), before, "{call}");
    }
    // The lists go on with the others.
    let figures = "SELECT string_agg(concat_ws(' ', name, customers), ', ' ORDER BY name) FROM segmentations";
    assert_eq!(text(&mut client, figures), "other 37, shop");
    let listed = "SELECT string_agg(DISTINCT segmentation, ', ') FROM segmentation_relations";
    assert_eq!(text(&mut client, listed), "other");
    batch(&mut client, "UPDATE shop_settings SET settings_version = 1");
    refresh(&mut client);
    assert_eq!(text(&mut client, figures), "other 37, shop 37");
}

/// What the list says is there, is there, and nothing else.
#[track_caller]
fn assert_listed(client: &mut Client, expected: &[&str]) {
    let listed = "SELECT schema, relation, kind FROM segmentation_relations WHERE segmentation = 'shop'";
    let there = "SELECT n.nspname::text, c.relname::text,
                        CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' END
                 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                 WHERE c.relname LIKE 'shop\\_%' AND c.relkind IN ('r', 'v', 'm')";
    assert_same_rows(client, "relations", listed, there, 7);
    let chosen = "SELECT coalesce(string_agg(concat_ws(': ', substr(relation, 6), reason), '; '), '') FROM segmentation_relations
                  WHERE segmentation = 'shop' AND reason <> 'every segmentation has it'";
    assert_eq!(text(client, chosen), expected.join("; "));
    let silent =
        "SELECT count(*) FROM segmentation_relations WHERE coalesce(reason, '') = '' OR coalesce(comment, '') = ''";
    assert_eq!(count(client, silent), 0);
}

#[test]
fn relations_are_those_that_are_asked_for() {
    let (_database, mut client) = with_orders("settings_relations");
    batch(
        &mut client,
        "CREATE TABLE people (customer_id int, email text); INSERT INTO people VALUES (1, 'a@example.com');
         CREATE TABLE events (customer_id int, kind text, happened_at date);
         CREATE TABLE sent (customer_id int, channel text, contacted_at date);
         CREATE TABLE log (customer_id int, membership text, since date);
         SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', views => '{}')",
    );
    let changes = "changes: keep_changes => 400";
    assert_listed(&mut client, &[changes]);
    assert_eq!(count(&mut client, "SELECT count(*) FROM segmentation_relations"), 8);
    assert_eq!(count(&mut client, "SELECT count(*) FROM segmentation_sql('shop')"), 5);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_customers"), 37);

    batch(&mut client, "SELECT alter_segmentation('shop', views => '{movement,segments}')");
    assert_listed(
        &mut client,
        &["segments: views => '{movement,segments}'", "movement: views => '{movement,segments}'", changes],
    );
    assert!(count(&mut client, "SELECT count(*) FROM shop_segments") > 0);
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', reset => '{views}', customers => 'people', engagement => 'events', contacts => 'sent',
                                   membership_log => 'log', track => 'trigger')",
    );
    let usual = "made unless views leaves it out";
    let all = ["segments", "transitions", "movement", "cohorts", "actions", "channels", "dormant_response"]
        .map(|view| format!("{view}: {usual}"));
    let sources = [
        "engagement: engagement => 'public.events'",
        "contacts: contacts => 'public.sent'",
        "memberships: membership_log => 'public.log'",
        "profiles: customers => 'public.people'",
    ];
    let mut expected = sources.to_vec();
    expected.push("noted: track => 'trigger'");
    expected.extend(all.iter().map(String::as_str));
    expected.push(changes);
    assert_listed(&mut client, &expected);
    refresh(&mut client);
    assert_eq!(count(&mut client, "SELECT count(*) FROM segmentation_sql('shop')"), 16);

    batch(
        &mut client,
        "SELECT alter_segmentation('shop', views => '{customers}', track => 'none', reset => '{customers,engagement,contacts,membership_log}', keep_changes => 0)",
    );
    assert_listed(&mut client, &[]);
    assert_eq!(count(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.orders'::regclass"), 0);
    refresh(&mut client);

    for (views, part) in [("{nothing}", "'nothing'"), ("{histories}", "'histories'"), ("{NULL}", "NULL")] {
        for call in ["alter_segmentation('shop'", "create_segmentation('s', 'sales.orders'"] {
            let (sqlstate, message, hint) = expect_error(&mut client, &format!("SELECT {call}, views => '{views}')"));
            assert_eq!((sqlstate.as_str(), message), ("22023", format!("there is no view {part}")), "{call}");
            assert_eq!(
                hint,
                "views can have: customers, segments, transitions, movement, cohorts, actions, channels, dormant_response, campaigns, \
                 kpis, attributes, segments_by, movement_by, cohorts_by, forecast."
            );
        }
    }
    for view in ["channels", "dormant_response"] {
        let call = format!("SELECT alter_segmentation('shop', views => '{{{view}}}')");
        let (sqlstate, message, hint) = expect_error(&mut client, &call);
        let expected = format!("the view '{view}' is of contacts, and there are none");
        assert_eq!((sqlstate.as_str(), message), ("22023", expected));
        assert_eq!(hint, "Name the log of contacts: contacts => '...'.");
    }
    batch(&mut client, "SELECT drop_segmentation('shop')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM segmentation_relations"), 0);
}

/// A part of the key is needed in every source.
#[test]
fn a_tenant_of_the_orders_is_needed_in_all_sources() {
    let (_database, mut client) = with_orders("settings_tenant");
    batch(
        &mut client,
        "CREATE TABLE people (customer_id int, email text);
         SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', customers => 'people')",
    );
    for columns in ["", ", customers_columns => '{\"tenant\": null}'"] {
        let alter = format!("SELECT alter_segmentation('shop', tenant => 'order_no'{columns})");
        let (sqlstate, message, hint) = expect_error(&mut client, &alter);
        assert_eq!(
            (sqlstate.as_str(), message.as_str(), hint.as_str()),
            (
                "42703",
                "public.people has no column that is known to be customers.tenant",
                "Name one of its columns: customer_id, email."
            )
        );
    }
    refresh(&mut client);
}

/// What is not asked for is not the segmentation's: a table of that name stays.
#[test]
fn what_is_not_asked_for_is_not_touched() {
    let (_database, mut client) = with_orders("settings_bystander");
    batch(
        &mut client,
        "SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', views => '{segments}');
         CREATE TABLE shop_actions AS SELECT 1 AS mine; CREATE TRIGGER mine BEFORE UPDATE ON shop_actions
             FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger();
         SELECT refresh_segmentation('shop'); SELECT alter_segmentation('shop', time_zone => 'Asia/Tokyo')",
    );
    let before = objects(&mut client);
    assert_eq!(expect_error(&mut client, "SELECT alter_segmentation('shop', reset => '{views}')").0, "42P07");
    assert_eq!(objects(&mut client), before);
    batch(&mut client, "SELECT drop_segmentation('shop')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_actions"), 1);
}

/// Others see nothing of it in the list, and readers read what there is.
#[test]
fn readers_of_less_read_what_there_is() {
    let database = Database::new("settings_readers");
    let roles = company(&database);
    let mut analyst = roles.client("analyst");
    let create = CREATE_REPORTS
        .replace(", as_of", &format!(", readers => ARRAY['{}'], views => '{{actions}}', as_of", roles.name("reader")));
    batch(&mut analyst, &create);
    batch(&mut quiet(&database), &roles.say("GRANT USAGE ON SCHEMA reports, rfm TO @reader"));
    let mut reader = roles.client("reader");
    for relation in ["customers", "customers_today", "actions", "facts", "status"] {
        assert!(count(&mut reader, &format!("SELECT count(*) FROM reports.shop_{relation}")) > 0, "{relation}");
    }
    assert_eq!(count(&mut reader, "SELECT count(*) FROM rfm.segmentation_relations"), 0);
    assert_eq!(count(&mut analyst, "SELECT count(*) FROM rfm.segmentation_relations"), 10);
    batch(&mut analyst, "SELECT rfm.alter_segmentation('shop', reset => '{readers}')");
    assert_eq!(expect_error(&mut reader, "SELECT FROM reports.shop_actions").0, "42501");
}
