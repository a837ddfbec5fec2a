//! Whose rights count, and who may read, refresh, alter and drop a segmentation.

use crate::common::*;
use crate::shop::*;

#[test]
fn a_plain_role_segments_and_an_application_without_rights_writes() {
    let database = Database::new("segmentation_plain");
    let roles = company(&database);
    let mut analyst = roles.client("analyst");
    batch(&mut analyst, CREATE_REPORTS);
    refresh(&mut analyst);
    let mut app = roles.client("app");
    for sql in [
        "INSERT INTO sales.orders VALUES (1001, 999, '2026-01-01', 10)",
        "UPDATE sales.orders SET customer_id = 998 WHERE order_no < 10",
        "DELETE FROM sales.orders WHERE order_no < 20",
        "TRUNCATE sales.orders",
        "INSERT INTO sales.orders VALUES (1, 1, '2026-01-01', 10)",
    ] {
        batch(&mut app, sql);
        refresh(&mut analyst);
        let orders = count(&mut analyst, "SELECT coalesce(sum(orders), 0)::bigint FROM reports.shop_customers");
        assert_eq!(orders, count(&mut app, "SELECT count(*) FROM sales.orders"), "{sql}");
    }
    for sql in [
        "SELECT * FROM reports.shop_customers",
        "INSERT INTO reports.shop_noted VALUES (1)",
        "SELECT reports.shop_note_changes()",
    ] {
        assert_eq!(expect_error(&mut app, sql).0, "42501", "{sql}");
    }
    batch(
        &mut analyst,
        "SELECT rfm.alter_segmentation('shop', time_zone => 'Asia/Tokyo'); SELECT rfm.segmentation_sql('shop'); SELECT rfm.drop_segmentation('shop')",
    );
    assert_eq!(count(&mut analyst, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.orders'::regclass"), 0);

    // What is missing is said; nothing is left behind.
    let mut owner = quiet(&database);
    for (revoke, part) in [
        ("TRIGGER ON sales.orders", "permission denied to put triggers on sales.orders"),
        ("SELECT ON sales.orders", "permission denied for table orders"),
        ("CREATE ON SCHEMA reports", "permission denied for schema reports"),
    ] {
        batch(&mut owner, &roles.say(&format!("REVOKE {revoke} FROM @analyst")));
        let before = objects(&mut analyst);
        let (sqlstate, message, _) = expect_error(&mut analyst, CREATE_REPORTS);
        assert_eq!(sqlstate, "42501", "{revoke}: {message}");
        assert!(message.contains(part), "{revoke}: {message}");
        assert_eq!(objects(&mut analyst), before, "{revoke}");
        batch(&mut owner, &roles.say(&format!("GRANT {revoke} TO @analyst")));
    }
}

/// Whoever segments may not grant on schemas: what readers lack is said, as a line that gives it.
#[test]
fn readers_learn_which_schemas_they_lack() {
    let database = Database::new("segmentation_lacking");
    let roles = company(&database);
    let as_analyst = |sql: &str| database.said(&roles.say(&format!("SET ROLE @analyst; {sql}")));
    let said = as_analyst(&CREATE_REPORTS.replace("track =>", "readers => '{@reader}', track =>"));
    let grant = roles.say("GRANT USAGE ON SCHEMA reports, rfm TO @reader;");
    assert!(said.contains(&format!("shop: a reader still needs:\n  {grant}")), "{said}");
    let mut owner = quiet(&database);
    batch(&mut owner, &grant);
    let mut reader = roles.client("reader");
    batch(
        &mut reader,
        "SELECT rfm.explain_customer(history, as_of, policy) FROM reports.shop_facts; SELECT FROM reports.shop_customers_today",
    );
    let again = "SELECT rfm.alter_segmentation('shop', readers => '{@reader,public}')";
    let said = as_analyst(again);
    assert!(said.contains("needs:\n  GRANT USAGE ON SCHEMA reports, rfm TO public;"), "{said}");
    assert!(!said.contains("_reader;"), "{said}");
    batch(&mut owner, &roles.say("REVOKE USAGE ON SCHEMA rfm FROM @reader"));
    let said = as_analyst(again);
    assert!(said.contains(&roles.say("needs:\n  GRANT USAGE ON SCHEMA rfm TO @reader;")), "{said}");
}

/// Settings hold SQL: only its owner makes it run, and only she writes it.
#[test]
fn a_segmentation_is_its_owners_alone() {
    let database = Database::new("segmentation_owner");
    let roles = company(&database);
    let mut analyst = roles.client("analyst");
    batch(&mut analyst, CREATE_REPORTS);
    batch(
        &mut analyst,
        &roles.say(
            "GRANT ALL ON ALL TABLES IN SCHEMA reports TO @other; GRANT SELECT ON reports.shop_settings TO @reader",
        ),
    );
    let mut superuser = quiet(&database);
    batch(
        &mut superuser,
        &roles.say(
            "GRANT USAGE ON SCHEMA reports TO @other; GRANT @analyst TO @reader; GRANT USAGE ON SCHEMA rfm TO @reader",
        ),
    );
    // PostgreSQL 14
    if server_has(
        "to_regrole('pg_write_all_data') IS NOT NULL",
        "that whoever may write all data does not write settings",
    ) {
        batch(&mut superuser, &roles.say("GRANT pg_write_all_data, pg_read_all_data TO @other"));
    }
    let analyst_name = roles.name("analyst");
    for role in ["other", "owner", "reader", "postgres"] {
        let mut client = if role == "postgres" { quiet(&database) } else { roles.client(role) };
        for call in ["refresh_segmentation", "alter_segmentation", "drop_segmentation", "segmentation_sql"] {
            let (sqlstate, message, hint) = expect_error(&mut client, &format!("SELECT rfm.{call}('shop')"));
            assert_eq!(sqlstate, "42501", "{role} {call}: {message}");
            assert!(
                message.starts_with(&format!("segmentation \"shop\" belongs to {analyst_name}, not to ")),
                "{message}"
            );
            assert_eq!(hint, format!("SET ROLE {analyst_name} first."));
        }
        let own = "SELECT concat_ws('|', name, schema, owner, source, policy, track, as_of, customers, refreshed_at, age) FROM rfm.segmentations";
        assert_eq!(text(&mut client, own), format!("shop|reports|{analyst_name}"), "{role}: no figures of others");
    }
    let own = "SELECT concat_ws('|', name, schema, owner, source, policy, track, as_of, customers, notes_waiting) FROM rfm.segmentations";
    assert_eq!(
        text(&mut analyst, own),
        format!("shop|reports|{analyst_name}|sales.orders|default|trigger|2026-06-30|37|1")
    );

    let settings = "SELECT s::text FROM reports.shop_settings AS s";
    let before = text(&mut analyst, settings);
    let mut other = roles.client("other");
    for write in [
        "UPDATE reports.shop_settings SET order_filter = 'true'",
        "DELETE FROM reports.shop_settings",
        "INSERT INTO reports.shop_settings (name, settings_version) VALUES ('x', 1)",
    ] {
        assert_eq!(expect_error(&mut other, write).0, "42501", "{write}");
    }
    assert_eq!(text(&mut analyst, settings), before);
    // A member takes the owner's place only by saying so.
    let mut reader = roles.client("reader");
    batch(&mut reader, &format!("SET ROLE {analyst_name}; SELECT rfm.refresh_segmentation('shop')"));
    // Others may have one of the same name elsewhere.
    batch(
        &mut superuser,
        "CREATE SCHEMA mine; SELECT rfm.create_segmentation('shop', 'sales.orders', schema => 'mine')",
    );
    refresh(&mut superuser);
    refresh(&mut analyst);
    batch(&mut superuser, "SELECT rfm.drop_segmentation('shop')");
    // Emptied settings are an error, and can be dropped.
    batch(&mut analyst, "DELETE FROM reports.shop_settings; TABLE rfm.segmentations");
    assert_eq!(expect_error(&mut analyst, "SELECT rfm.refresh_segmentation('shop')").0, "22023");
    batch(&mut analyst, "SELECT rfm.drop_segmentation('shop')");
}

/// Whoever owns the schema may drop what is in it, and put something of hers there. It is not used.
#[test]
fn the_owner_of_the_schema_cannot_put_her_own_in_place() {
    let database = Database::new("segmentation_swap");
    let roles = company(&database);
    // The analyst trusts the schema's owner, a role that she is a member of.
    let mut superuser = quiet(&database);
    batch(&mut superuser, &roles.say("ALTER SCHEMA reports OWNER TO @owner; GRANT @owner TO @analyst"));
    let mut analyst = roles.client("analyst");
    let mut owner = roles.client("owner");
    for swap in [
        "DROP TABLE reports.shop_noted; CREATE TABLE reports.shop_noted (customer_id int); GRANT ALL ON reports.shop_noted TO PUBLIC",
        "DROP VIEW reports.shop_customers_today; CREATE VIEW reports.shop_customers_today AS SELECT 1 AS x; GRANT ALL ON reports.shop_customers_today TO PUBLIC",
        "DROP MATERIALIZED VIEW reports.shop_actions; CREATE MATERIALIZED VIEW reports.shop_actions AS SELECT 1 AS x; GRANT ALL ON reports.shop_actions TO PUBLIC",
        "DROP FUNCTION reports.shop_note_changes() CASCADE;
         CREATE FUNCTION reports.shop_note_changes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END'",
    ] {
        batch(&mut analyst, CREATE_REPORTS);
        batch(&mut owner, swap);
        for call in [
            "refresh_segmentation('shop')",
            "alter_segmentation('shop', time_zone => 'Asia/Tokyo')",
            "drop_segmentation('shop')",
        ] {
            let (sqlstate, message, _) = expect_error(&mut analyst, &format!("SELECT rfm.{call}"));
            assert_eq!(sqlstate, "42501", "{call}: {swap}");
            assert!(
                message.starts_with("segmentation \"shop\": reports.shop_")
                    && message.ends_with("belongs to somebody else"),
                "{message}"
            );
        }
        batch(
            &mut owner,
            "DROP SCHEMA reports CASCADE; INSERT INTO sales.orders SELECT max(order_no) + 1, 1, '2026-01-01', 1 FROM sales.orders",
        );
        batch(
            &mut superuser,
            &roles.say("CREATE SCHEMA reports AUTHORIZATION @owner; GRANT ALL ON SCHEMA reports TO @analyst"),
        );
    }
    // A settings table of hers is no segmentation of the analyst's.
    batch(
        &mut owner,
        "CREATE TABLE reports.shop_settings OF rfm.segmentation_settings; INSERT INTO reports.shop_settings (name, settings_version) VALUES ('shop', 1)",
    );
    assert_eq!(expect_error(&mut analyst, "SELECT rfm.refresh_segmentation('shop')").0, "42501");
}

#[test]
fn row_level_security_of_the_orders_holds() {
    let database = Database::new("segmentation_rls");
    let roles = company(&database);
    let mut owner = roles.client("owner");
    batch(
        &mut owner,
        &roles.say(
            "ALTER TABLE sales.orders ENABLE ROW LEVEL SECURITY;
             CREATE POLICY part ON sales.orders FOR SELECT TO @analyst USING (customer_id < 10);
             CREATE POLICY everything ON sales.orders TO @app USING (true)",
        ),
    );
    let mut analyst = roles.client("analyst");
    batch(&mut analyst, CREATE_REPORTS);
    let seen = "SELECT coalesce(string_agg(customer_id || ':' || orders, ' ' ORDER BY customer_id), '') FROM reports.shop_customers";
    let by_hand = "SELECT string_agg(customer_id || ':' || n, ' ' ORDER BY customer_id) FROM
                   (SELECT customer_id, count(*) AS n FROM sales.orders WHERE customer_id < 10 GROUP BY 1) AS o";
    assert_eq!(text(&mut analyst, seen), text(&mut owner, by_hand));
    refresh(&mut analyst);
    let mut app = roles.client("app");
    batch(
        &mut app,
        "UPDATE sales.orders SET customer_id = 30 WHERE customer_id = 1; UPDATE sales.orders SET customer_id = 2 WHERE customer_id = 31; INSERT INTO sales.orders VALUES (2000, 50, '2026-01-01', 1)",
    );
    refresh(&mut analyst);
    assert_eq!(text(&mut analyst, seen), text(&mut owner, by_hand));
    batch(&mut owner, "DROP POLICY part ON sales.orders");
    batch(&mut analyst, "SELECT rfm.refresh_segmentation('shop', \"full\" => true)");
    assert_eq!(text(&mut analyst, seen), "");
}

#[test]
fn readers_read_the_views_and_nothing_else() {
    let database = Database::new("segmentation_readers");
    let roles = company(&database);
    let mut analyst = roles.client("analyst");
    let create = CREATE_REPORTS.replace(", as_of", &format!(", readers => ARRAY['{}'], as_of", roles.name("reader")));
    batch(&mut analyst, &create);
    batch(&mut quiet(&database), &roles.say("GRANT USAGE ON SCHEMA reports TO @reader"));
    let mut reader = roles.client("reader");
    let readable =
        ["customers", "customers_today", "segments", "movement", "cohorts", "actions", "status", "facts", "changes"];
    let check = |reader: &mut Client| {
        for view in readable {
            batch(reader, &format!("SELECT count(*) FROM reports.shop_{view}"));
        }
        for table in ["settings", "policies", "histories", "noted"] {
            assert_eq!(
                expect_error(reader, &format!("SELECT count(*) FROM reports.shop_{table}")).0,
                "42501",
                "{table}"
            );
        }
    };
    check(&mut reader);
    refresh(&mut analyst);
    check(&mut reader);
    batch(&mut analyst, "SELECT rfm.alter_segmentation('shop', time_zone => 'Asia/Tokyo')");
    check(&mut reader);
    batch(&mut analyst, "SELECT rfm.alter_segmentation('shop', reset => '{readers}')");
    assert_eq!(expect_error(&mut reader, "SELECT count(*) FROM reports.shop_customers").0, "42501");
    batch(&mut analyst, "SELECT rfm.alter_segmentation('shop', readers => '{public}')");
    check(&mut reader);
}

/// Other readers do not make the views anew: what else stands on them, and was granted by hand, stays.
#[test]
fn readers_come_and_go() {
    let (database, mut client) = shop("segmentation_readers");
    let [one, two, three] = ["one", "two", "three"].map(|name| format!("{}_{name}", database.name));
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {one}; CREATE ROLE {two}; CREATE ROLE {three};
             GRANT SELECT ON shop_segments TO {three}; CREATE VIEW mine AS SELECT * FROM shop_customers"
        ),
    );
    let reads = |client: &mut Client| {
        let readers = [&one, &two, &three].map(|role| {
            text(client, &format!("SELECT coalesce(string_agg(v, ',' ORDER BY v), '') FROM unnest('{{customers,segments,status,facts,histories}}'::text[]) AS v
                                   WHERE has_table_privilege('{role}', 'shop_' || v, 'SELECT')"))
        });
        readers.join(" ")
    };
    let all = "customers,facts,segments,status";
    for (readers, expected) in [
        (format!("{{{one}}}"), format!("{all}  segments")),
        (format!("{{{two},{one}}}"), format!("{all} {all} segments")),
        (format!("{{{two}}}"), format!(" {all} segments")),
        ("{public}".to_owned(), format!("{all} {all} {all}")),
        ("{}".to_owned(), "  segments".to_owned()),
        (format!("{{{one}}}"), format!("{all}  segments")),
    ] {
        batch(&mut client, &format!("SELECT alter_segmentation('shop', readers => '{readers}')"));
        assert_eq!(reads(&mut client), expected, "{readers}");
    }
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{readers}')");
    assert_eq!(reads(&mut client), "  segments");
    drop(client);
    database.psql(&format!("DROP OWNED BY {one}, {two}, {three}; DROP ROLE {one}, {two}, {three}"));
}

#[test]
fn a_read_only_transaction_is_told_so() {
    let (_database, mut client) = shop("segmentation_read_only");
    for call in ["refresh_segmentation('shop')", "alter_segmentation('shop')", "drop_segmentation('shop')"] {
        let (sqlstate, message, hint) = expect_error(&mut client, &format!("BEGIN READ ONLY; SELECT {call}"));
        assert_eq!(
            (sqlstate.as_str(), message.as_str(), hint.as_str()),
            (
                "25006",
                "segmentation \"shop\" cannot be changed here: the transaction is read-only",
                "Refresh it on the primary, in a transaction that may write."
            ),
            "{call}"
        );
    }
    let create = "BEGIN READ ONLY; SELECT create_segmentation('other', 'sales.orders')";
    assert_eq!(expect_error(&mut client, create).0, "25006");
    batch(
        &mut client,
        "BEGIN READ ONLY; SELECT segmentation_sql('shop'); TABLE segmentations; SELECT audit_orders('sales.orders'); COMMIT",
    );
}

/// Whoever owns the schema puts a view of hers in the place of a table: looking at the list does not run it.
#[test]
fn the_list_does_not_read_what_belongs_to_others() {
    let (database, mut client) = with_orders("segmentation_list");
    let role = format!("{}_mallory", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role}; CREATE SCHEMA hers; GRANT USAGE ON SCHEMA rfm TO {role};
             SELECT create_segmentation('shop', 'sales.orders', schema => 'hers', as_of => '2026-06-30');
             SELECT create_segmentation('other', 'sales.orders', as_of => '2026-06-30');
             ALTER SCHEMA hers OWNER TO {role};
             SET ROLE {role};
             DROP TABLE hers.shop_status CASCADE;
             CREATE FUNCTION hers.evil() RETURNS date LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'evil runs as %', current_user; END $$;
             CREATE VIEW hers.shop_status AS SELECT hers.evil() AS as_of, 1::bigint AS customers, now() AS refreshed_at, 1::numeric AS seconds;
             RESET ROLE"
        ),
    );
    let list = "SELECT string_agg(name || ': ' || coalesce(customers::text, 'unknown'), ', ' ORDER BY name) FROM segmentations";
    assert_eq!(text(&mut client, list), "other: 37, shop: unknown");
    batch(&mut client, &format!("SET ROLE {role}; DROP VIEW hers.shop_status; RESET ROLE"));
    assert_eq!(text(&mut client, list), "other: 37, shop: unknown"); // nor where it is missing
    batch(&mut client, "SELECT drop_segmentation('shop')");
    drop(client);
    database.psql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

/// A role that may read everything dumps it; a role that was granted everything still does not write the settings.
#[test]
fn settings_are_dumped_by_readers_and_written_by_the_owner_alone() {
    let (database, mut client) = shop("segmentation_settings");
    let role = format!("{}_backup", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA public, sales, rfm TO {role};
             GRANT ALL ON ALL TABLES IN SCHEMA public, sales TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA rfm TO {role};
             GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}" // as for any table with an identity column
        ),
    );
    run(program("pg_dump").args(["-U", &role, &database.name]));
    batch(&mut client, &format!("SET ROLE {role}"));
    for write in [
        "UPDATE shop_settings SET name = name",
        "INSERT INTO shop_settings (name, settings_version) VALUES ('x', 1)",
        "DELETE FROM shop_settings",
        "TRUNCATE shop_settings",
    ] {
        assert_eq!(expect_error(&mut client, write).0, "42501", "{write}");
    }
    batch(&mut client, "RESET ROLE; SELECT alter_segmentation('shop', time_zone => 'Asia/Tokyo')");
    drop(client);
    database.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// Whoever owns the schema cannot put a view of hers in the place of a table while a refresh reads the orders.
#[test]
fn no_table_is_replaced_during_a_refresh() {
    let (database, mut client) = with_orders("segmentation_replaced");
    let (mut gate, mut mallory) = (quiet(&database), quiet(&database));
    let role = format!("{}_mallory", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role}; CREATE SCHEMA hers AUTHORIZATION {role}; GRANT USAGE ON SCHEMA rfm TO {role};
             CREATE ROLE {role}_friend IN ROLE {role}; GRANT USAGE ON SCHEMA rfm, sales TO {role}_friend;
             GRANT SELECT ON sales.orders TO {role}_friend; SET ROLE {role}_friend;
             SELECT create_segmentation('shop', 'sales.orders', schema => 'hers', as_of => '2026-06-30',
                                        order_filter => 'pg_catalog.pg_advisory_xact_lock_shared(7) IS NOT NULL')"
        ),
    );
    // Reading the orders stops at a lock that we hold.
    batch(&mut gate, "SELECT pg_advisory_lock(7)");
    let refreshing = backend(&mut client);
    let refreshed = std::thread::spawn(move || refresh(&mut client));
    wait_until_blocked(&mut gate, refreshing);
    batch(&mut mallory, &format!("SET ROLE {role}; SET lock_timeout = '200ms'"));
    assert_eq!(expect_error(&mut mallory, "DROP TABLE hers.shop_policies").0, "55P03");
    batch(&mut gate, "SELECT pg_advisory_unlock(7)");
    refreshed.join().expect("refreshed");
    drop(mallory);
    database.psql(&format!("DROP OWNED BY {role}, {role}_friend CASCADE; DROP ROLE {role}_friend, {role}"));
}
