//! Segmentations as a DBA meets them: what is found by itself, what is refused and how, whose rights count, and what survives.

mod common;

use common::{Database, batch, expect_error, program, server_has, server_has_extension};
use postgres::Client;
use std::process::Stdio;

const VIEWS: [&str; 5] = ["customers", "segments", "movement", "cohorts", "actions"];

const ORDERS: &str = "
    CREATE SCHEMA sales;
    CREATE TABLE sales.orders (order_no int PRIMARY KEY, customer_id int, ordered_at date, amount numeric);
    CREATE INDEX ON sales.orders (customer_id);
    INSERT INTO sales.orders
    SELECT i, i % 37, date '2023-01-01' + i * 53 % 1200, i * 7919 % 400 + 0.25 FROM generate_series(1, 400) AS i;";

const CREATE: &str =
    "SELECT create_segmentation('shop', orders => 'sales.orders', as_of => '2026-06-30', track => 'trigger')";

fn quiet(database: &Database) -> Client {
    let mut client = database.client();
    batch(&mut client, "SET client_min_messages = warning");
    client
}

/// With orders, and the segmentation `shop` in public.
fn shop(name: &str) -> (Database, Client) {
    let (database, mut client) = with_orders(name);
    batch(&mut client, CREATE);
    (database, client)
}

fn with_orders(name: &str) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = quiet(&database);
    batch(&mut client, ORDERS);
    (database, client)
}

fn text(client: &mut Client, sql: &str) -> String {
    let row = client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{error}: {sql}"));
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

fn count(client: &mut Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{error}: {sql}")).get(0)
}

fn refresh(client: &mut Client) {
    batch(client, "SELECT rfm.refresh_segmentation('shop')");
}

/// The histories are those of the orders, by hand.
#[track_caller]
fn assert_histories(client: &mut Client) {
    let by_hand =
        "SELECT customer_id, rfm.purchase_history(ordered_at, amount) AS history FROM sales.orders GROUP BY 1";
    let differences = format!(
        "SELECT count(*) FROM ((SELECT t::text FROM public.shop_histories AS t EXCEPT ALL SELECT t::text FROM ({by_hand}) AS t)
         UNION ALL (SELECT t::text FROM ({by_hand}) AS t EXCEPT ALL SELECT t::text FROM public.shop_histories AS t)) AS d"
    );
    assert_eq!(count(client, &differences), 0);
}

/// What is in the database, so that nothing half-done is left behind.
fn objects(client: &mut Client) -> String {
    text(
        client,
        "SELECT string_agg(o, E'\\n' ORDER BY o) FROM (
             SELECT pg_describe_object('pg_class'::regclass, oid, 0) AS o FROM pg_class WHERE oid >= 16384
             UNION ALL SELECT pg_describe_object('pg_proc'::regclass, oid, 0) FROM pg_proc WHERE oid >= 16384
             UNION ALL SELECT pg_describe_object('pg_trigger'::regclass, oid, 0) FROM pg_trigger WHERE NOT tgisinternal) AS t",
    )
}

// ---- What is found, and what is refused ---------------------------------------------------------------------------

#[test]
fn columns_are_found_by_their_names() {
    let database = Database::new("segmentation_found");
    let mut client = quiet(&database);
    for (columns, found) in [
        ("customer_id int, ordered_at date, amount numeric", "customer_id ordered_at amount"),
        ("note text, \"User_ID\" uuid, \"Order_Date\" timestamp, \"TOTAL\" int", "User_ID Order_Date TOTAL"),
        ("\"顧客ID\" text, \"注文日\" timestamptz, \"合計金額\" bigint", "顧客ID 注文日 合計金額"),
        // A column of another type is not what is meant.
        (
            "customer_id int, order_date text, ordered_at date, total text, amount float8",
            "customer_id ordered_at amount",
        ),
    ] {
        batch(&mut client, &format!("CREATE TABLE t ({columns}); SELECT create_segmentation('s', 't')"));
        let settings = "SELECT concat_ws(' ', c ->> 'customer', c ->> 'ordered_at', c ->> 'amount') FROM (
                            SELECT settings #> '{columns,orders}' AS c FROM s_settings) AS s";
        assert_eq!(text(&mut client, settings), found);
        batch(&mut client, "SELECT drop_segmentation('s'); DROP TABLE t");
    }

    for (columns, arguments, sqlstate, message, hint) in [
        (
            "customer_id int, user_id int, ordered_at date, amount int",
            "",
            "42702",
            "public.t has several columns that could be customer: customer_id, user_id",
            "Name the one that is meant.",
        ),
        (
            "customer_id int, ordered_at date, \"Ordered_On\" date, amount int",
            "",
            "42702",
            "public.t has several columns that could be ordered_at: \"Ordered_On\", ordered_at",
            "Name the one that is meant.",
        ),
        (
            "customer_id int, ordered_at date, \"the sum\" int",
            "",
            "42703",
            "public.t has no column that is known to be amount",
            "Name one of its columns: customer_id, ordered_at, \"the sum\".",
        ),
        (
            "customer_id int, ordered_at date, amount int",
            ", amount => 'Amount'",
            "42703",
            "public.t has no column \"Amount\", which is named as amount",
            "Its columns: customer_id, ordered_at, amount.",
        ),
        (
            "customer_id int, ordered_at text, amount int",
            ", ordered_at => 'ordered_at'",
            "42804",
            "column ordered_at of public.t is text, which cannot be ordered_at",
            "It must be a date, timestamp or timestamptz. A view over the table can cast it.",
        ),
        (
            "customer_id int, ordered_at date, amount money",
            ", amount => 'amount'",
            "42804",
            "column amount of public.t is money, which cannot be amount",
            "It must be a number: integer, numeric or double precision. A view over the table can cast it.",
        ),
        (
            "customer_id int, ordered_at date, amount int, d int",
            ", discounted => 'd'",
            "42804",
            "column d of public.t is integer, which cannot be discounted",
            "It must be a boolean. A view over the table can cast it.",
        ),
        (
            "membership int, ordered_at date, amount int",
            ", customer => 'membership'",
            "22023",
            "a key column is called like a column of ours: membership",
            "A view over the orders can give it another name.",
        ),
    ] {
        batch(&mut client, &format!("CREATE TABLE t ({columns})"));
        let before = objects(&mut client);
        let error = expect_error(&mut client, &format!("SELECT create_segmentation('s', 't'{arguments})"));
        assert_eq!((error.0.as_str(), error.1.as_str(), error.2.as_str()), (sqlstate, message, hint));
        assert_eq!(objects(&mut client), before, "{message}");
        batch(&mut client, "DROP TABLE t");
    }
}

/// Each wrong argument: its SQLSTATE, and a word that the message or hint must have. Nothing is left behind.
#[test]
fn every_wrong_argument_is_refused() {
    let (database, mut client) = with_orders("segmentation_wrong");
    batch(
        &mut client,
        "CREATE TABLE people (customer_id int, email text); CREATE TABLE double (customer_id int);
         INSERT INTO double VALUES (5), (5); CREATE TABLE events (customer_id int, kind text, happened_at date);
         CREATE INDEX an_index ON people (email); CREATE SEQUENCE a_sequence; CREATE VIEW a_view AS TABLE sales.orders;
         CREATE TEMP TABLE mine AS TABLE sales.orders; CREATE TABLE texts (customer_id text, email text); INSERT INTO texts VALUES ('x')",
    );
    let before = objects(&mut client);
    for (arguments, sqlstate, part) in [
        ("NULL, 'sales.orders'", "22023", "cannot be called NULL"),
        ("'', 'sales.orders'", "22023", "1 to 47 bytes"),
        ("repeat('x', 48), 'sales.orders'", "22023", "1 to 47 bytes"),
        ("repeat('顧', 16), 'sales.orders'", "22023", "1 to 47 bytes"),
        ("'s', NULL", "22023", "orders is NULL"),
        ("'s', 'nothing'", "42P01", "nothing"),
        ("'s', 0", "42P01", "orders"),
        ("'s', 'an_index'", "42809", "no table or view"),
        ("'s', 'a_sequence'", "42809", "no table or view"),
        ("'s', 'mine'", "22023", "temporary"),
        ("'s', 'a_view', track => 'trigger'", "22023", "track => 'none'"),
        ("'s', 'sales.orders', schema => 'nowhere'", "22023", "nowhere"),
        ("'s', 'sales.orders', schema => NULL", "22023", "no schema"),
        ("'s', 'sales.orders', customer => ''", "42703", "customer"),
        ("'s', 'sales.orders', tenant => 'shop'", "42703", "tenant"),
        ("'s', 'sales.orders', customer => 'amount'", "22023", "column of ours"),
        ("'s', 'sales.orders', order_id => 'x'", "42703", "order_id"),
        ("'s', 'sales.orders', currency => 'x'", "42703", "currency"),
        ("'s', 'sales.orders', order_filter => 'nothing > 1'", "42703", "nothing"),
        ("'s', 'sales.orders', order_filter => 'amount'", "42804", "boolean"),
        ("'s', 'sales.orders', order_filter => 'true) x'", "42601", "syntax error"),
        ("'s', 'sales.orders', order_filter => '/* x'", "42601", "comment"),
        ("'s', 'sales.orders', order_filter => 'true) OR (true'", "42601", "syntax error"),
        ("'s', 'sales.orders', time_zone => 'Mars/Base'", "22023", "Mars/Base"),
        ("'s', 'sales.orders', policy => 'nobody'", "22023", "nobody"),
        ("'s', 'sales.orders', policy => '{'", "22P02", "policy"),
        ("'s', 'sales.orders', policy => '{\"x\": 1}'", "22P02", "x"),
        (
            "'s', 'sales.orders', policy => '{\"lifecycle\": {\"dormant_after_days\": 1}}'",
            "22023",
            "at_risk_after_days",
        ),
        ("'s', 'sales.orders', as_of => 'infinity'", "22023", "as_of"),
        ("'s', 'sales.orders', lang => 'fr'", "22023", "lang"),
        ("'s', 'sales.orders', track => 'guess'", "22023", "track"),
        ("'s', 'sales.orders', readers => '{nobody_here}'", "42704", "nobody_here"),
        ("'s', 'sales.orders', readers => '{NULL}'", "22023", "reader"),
        ("'s', 'sales.orders', customers_columns => '{\"email\": \"x\"}'", "22023", "customers => ..."),
        ("'s', 'sales.orders', engagement_columns => '{\"kind\": \"x\"}'", "22023", "engagement => ..."),
        ("'s', 'sales.orders', customers => 'people', customers_columns => '{\"mail\": \"email\"}'", "22023", "mail"),
        (
            "'s', 'sales.orders', customers => 'people', customers_columns => '{\"email\": \"mail\"}'",
            "42703",
            "customers.email",
        ),
        ("'s', 'sales.orders', customers => 'people', customers_columns => '[]'", "22023", "is a JSON array"),
        ("'s', 'sales.orders', customers => 'people', customers_columns => 'null'", "22023", "is a JSON null"),
        ("'s', 'sales.orders', customers => 'double'", "23505", "customer 5"),
        ("'s', 'sales.orders', customers => 'texts'", "22P02", "\"x\""),
        ("'s', 'sales.orders', customers => 'a_sequence'", "42809", "customers"),
        ("'s', 'sales.orders', engagement => 'people'", "42703", "engagement.kind"),
        (
            "'s', 'sales.orders', engagement => 'events', engagement_columns => '{\"happened_at\": \"kind\"}'",
            "42804",
            "engagement.happened_at",
        ),
    ] {
        let (found, message, hint) = expect_error(&mut client, &format!("SELECT create_segmentation({arguments})"));
        assert_eq!(found, sqlstate, "{arguments}: {message}");
        assert!(message.contains(part) || hint.contains(part), "{arguments}: {message} / {hint}");
        assert_eq!(objects(&mut client), before, "{arguments}");
    }

    batch(&mut client, CREATE);
    let (sqlstate, message, _) = expect_error(&mut client, CREATE);
    assert_eq!((sqlstate.as_str(), message.as_str()), ("42710", "segmentation \"shop\" exists"));
    for call in ["refresh_segmentation", "alter_segmentation", "drop_segmentation", "segmentation_sql"] {
        for name in ["'Shop'", "NULL", "'shop; DROP TABLE sales.orders'", "''"] {
            let (sqlstate, message, hint) = expect_error(&mut client, &format!("SELECT {call}({name})"));
            assert_eq!(sqlstate, "42704", "{call}({name}): {message}");
            assert_eq!(hint, "Yours are: shop.");
        }
    }
    for (call, sqlstate, part) in [
        ("refresh_segmentation('shop', as_of => 'infinity')", "22023", "as_of"),
        ("refresh_segmentation('shop', as_of => '-infinity')", "22023", "as_of"),
        ("alter_segmentation('shop', as_of => 'infinity')", "22023", "as_of"),
        ("alter_segmentation('shop', lang => 'x')", "22023", "lang"),
        ("alter_segmentation('shop', policy => 'nobody')", "22023", "nobody"),
        ("alter_segmentation('shop', customer => 'buyer')", "42703", "buyer"),
        ("alter_segmentation('shop', reset => '{track}')", "22023", "cannot be reset"),
        ("alter_segmentation('shop', reset => '{NULL}')", "22023", "cannot be reset"),
        ("alter_segmentation('shop', order_filter => '1')", "42804", "boolean"),
        ("alter_segmentation('shop', customers => 'double')", "23505", "customer 5"),
    ] {
        let before = (objects(&mut client), text(&mut client, "SELECT settings::text FROM shop_settings"));
        let (found, message, hint) = expect_error(&mut client, &format!("SELECT {call}"));
        assert_eq!(found, sqlstate, "{call}: {message}");
        assert!(message.contains(part) || hint.contains(part), "{call}: {message} / {hint}");
        let after = (objects(&mut client), text(&mut client, "SELECT settings::text FROM shop_settings"));
        assert_eq!(after, before, "{call}");
    }
    drop(database);
}

/// Every name and string is taken as it is. The table `bystander` is what an injection would drop.
#[test]
fn hostile_names_are_only_names() {
    let database = Database::new("segmentation_hostile");
    let mut client = quiet(&database);
    batch(&mut client, "CREATE TABLE bystander (x int)");
    let longest = format!("{}'\"", "x".repeat(45));
    for name in [
        "Order\"s",
        "select",
        "日本語",
        "a'b",
        "a''; DROP TABLE public.bystander; --",
        "a\"; DROP TABLE public.bystander; --",
        "$$x$$ $sql$ $body$",
        "back\\slash %s %I %1$s",
        "{\"a\": [1]}",
        "line\nbreak",
        "/* a comment",
        &longest,
    ] {
        let literal = format!("E'{}'", name.replace('\\', "\\\\").replace('\'', "''"));
        let ident = |prefix: &str| format!("\"{}{}\"", prefix, name.replace('"', "\"\""));
        let quoted = |prefix: &str| literal.replacen("E'", &format!("E'{prefix}"), 1);
        // The filter is SQL: the column is quoted in it.
        let filter = format!("'o.' || quote_ident({}) || ' <> '''''", quoted("customer "));
        let both = |schema: &str, table: &str| format!("format('%I.%I', {}, {})", quoted(schema), quoted(table));
        batch(
            &mut client,
            &format!(
                "CREATE SCHEMA {schema};
                 CREATE TABLE {schema}.{table} ({customer} text, {day} date, {amount} numeric, {discounted} bool, {id} text, {tenant} text,
                     {currency} text);
                 CREATE TABLE {schema}.{people} ({customer} text, {tenant} text, {email} text, {member} text);
                 CREATE TABLE {schema}.{events} ({customer} text, {tenant} text, {kind} text, {day} date);
                 INSERT INTO {schema}.{table} VALUES ({value}, '2026-01-01', 10, false, {value}, {value}, {value});
                 INSERT INTO {schema}.{people} VALUES ({value}, {value}, {value}, 'paused'), ({value} || 2, {value}, NULL, NULL);
                 INSERT INTO {schema}.{events} VALUES ({value}, {value}, 'line_friend', '2026-01-01');
                 SELECT create_segmentation({value}, {orders_text}::regclass, customer => {customer_text}, ordered_at => {day_text},
                     amount => {amount_text}, tenant => {tenant_text}, discounted => {discounted_text}, order_id => {id_text},
                     currency => {currency_text}, track => 'trigger', schema => {schema_text}, as_of => '2026-06-30',
                     order_filter => {filter} || '-- ; DROP TABLE public.bystander',
                     customers => {people_text}::regclass,
                     customers_columns => jsonb_build_object('email', {email_text}, 'membership', {member_text}),
                     engagement => {events_text}::regclass,
                     engagement_columns => jsonb_build_object('kind', {kind_text}, 'happened_at', {day_text}));
                 SELECT refresh_segmentation({value});
                 INSERT INTO {schema}.{table} VALUES ({value}, '2026-02-01', 10, false, {value} || 2, {value}, {value});
                 UPDATE {schema}.{table} SET {amount} = 20;
                 SELECT refresh_segmentation({value});
                 SELECT alter_segmentation({value}, lang => 'ja');
                 SELECT count(*) FROM audit_orders({orders_text}::regclass, {customer_text}, {day_text}, {amount_text}, {tenant_text},
                     {discounted_text}, {id_text}, {currency_text}, {filter}, customers => {people_text}::regclass)",
                value = literal,
                schema = ident("schema "),
                schema_text = quoted("schema "),
                table = ident("table "),
                people = ident("people "),
                events = ident("events "),
                orders_text = both("schema ", "table "),
                people_text = both("schema ", "people "),
                events_text = both("schema ", "events "),
                customer = ident("customer "),
                customer_text = quoted("customer "),
                day = ident("day "),
                day_text = quoted("day "),
                amount = ident("amount "),
                amount_text = quoted("amount "),
                discounted = ident("discounted "),
                discounted_text = quoted("discounted "),
                id = ident("id "),
                id_text = quoted("id "),
                tenant = ident("tenant "),
                tenant_text = quoted("tenant "),
                currency = ident("currency "),
                currency_text = quoted("currency "),
                email = ident("email "),
                email_text = quoted("email "),
                member = ident("member "),
                member_text = quoted("member "),
                kind = ident("kind "),
                kind_text = quoted("kind "),
            ),
        );
        let customers = format!(
            "SELECT string_agg(concat_ws(' ', orders, monetary), ', ' ORDER BY orders) FROM {}.\"{}_customers\"",
            ident("schema "),
            name.replace('"', "\"\"")
        );
        assert_eq!(text(&mut client, &customers), "0 0, 2 40", "{name}");
        let listed = format!(
            "SELECT count(*) FROM segmentations WHERE name = {literal} AND customers = 2 AND notes_waiting = 1"
        );
        assert_eq!(count(&mut client, &listed), 1, "{name}");
        assert_eq!(count(&mut client, &format!("SELECT count(*) FROM segmentation_sql({literal})")), 10, "{name}");
        batch(&mut client, &format!("SELECT drop_segmentation({literal}); DROP SCHEMA {} CASCADE", ident("schema ")));
        assert_eq!(count(&mut client, "SELECT count(*) FROM pg_class WHERE relname = 'bystander'"), 1, "{name}");
        assert_eq!(count(&mut client, "SELECT count(*) FROM segmentations"), 0, "{name}");
    }
}

/// Strings that are no names: they end as an error or as a value.
#[test]
fn hostile_strings_in_every_argument() {
    let (_database, mut client) = with_orders("segmentation_strings");
    batch(&mut client, "CREATE TABLE bystander (x int); CREATE TABLE people (customer_id int, email text)");
    let attack = "E'x'' || \"; DROP TABLE public.bystander; -- $$ $sql$ \\\\'";
    let before = objects(&mut client);
    for argument in [
        "customer",
        "ordered_at",
        "amount",
        "tenant",
        "discounted",
        "order_id",
        "currency",
        "time_zone",
        "policy",
        "schema",
        "lang",
        "track",
    ] {
        let (sqlstate, ..) = expect_error(
            &mut client,
            &format!("SELECT create_segmentation('s', 'sales.orders', {argument} => {attack})"),
        );
        assert!(["22023", "42703", "22P02"].contains(&sqlstate.as_str()), "{argument}: {sqlstate}");
        assert_eq!(objects(&mut client), before, "{argument}");
    }
    for call in [
        format!("create_segmentation('s', 'sales.orders', readers => ARRAY[{attack}])"),
        format!(
            "create_segmentation('s', 'sales.orders', customers => 'people', customers_columns => jsonb_build_object('email', {attack}))"
        ),
        format!(
            "create_segmentation('s', 'sales.orders', customers => 'people', customers_columns => jsonb_build_object({attack}, 'email'))"
        ),
        format!("create_segmentation('s', {attack})"),
        format!("alter_segmentation({attack})"),
        format!("audit_orders('sales.orders', customer => {attack})"),
        format!("audit_orders('sales.orders', time_zone => {attack})"),
    ] {
        expect_error(&mut client, &format!("SELECT {call}"));
        assert_eq!(objects(&mut client), before, "{call}");
    }
    batch(&mut client, CREATE);
    let before = objects(&mut client);
    expect_error(&mut client, &format!("SELECT alter_segmentation('shop', reset => ARRAY[{attack}])"));
    expect_error(&mut client, &format!("SELECT alter_segmentation('shop', policy => {attack})"));
    assert_eq!(objects(&mut client), before);
    // The filter is SQL; comments in it end with it, and quotes are its own.
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', order_filter => E'amount > 100 -- only )these\\n AND /* and ) these */ order_no::text <> $$''; --$$ --')",
    );
    let found = count(&mut client, "SELECT sum(orders)::bigint FROM shop_customers");
    assert_eq!(found, count(&mut client, "SELECT count(*) FROM sales.orders WHERE amount > 100"));
}

/// With no search path, with a hostile one, and in other time zones than that of the segmentation.
#[test]
fn search_paths_and_time_zones_of_the_session_do_not_matter() {
    let database = Database::new("segmentation_path");
    let mut client = quiet(&database);
    let mut evil = String::from("CREATE SCHEMA evil; SET check_function_bodies = off;");
    for (name, arguments) in [
        ("format", "text, VARIADIC \"any\""),
        ("quote_ident", "text"),
        ("count", "integer"),
        ("coalesce_", "integer"),
        ("now", ""),
        ("clock_timestamp", ""),
        ("to_regclass", "text"),
        ("round", "numeric, integer"),
        ("date_trunc", "text, timestamp"),
        ("array_to_string", "text[], text"),
        ("string_agg_", "text"),
        ("purchase_history", "date, numeric"),
        ("segment_customer", "integer"),
        ("refresh_segmentation", "text, boolean, boolean, date"),
        ("_open", "text, boolean"),
        ("_refresh", "jsonb, boolean, date, boolean"),
    ] {
        if name == "format" {
            for n in 1..8 {
                evil += &format!(
                    "CREATE FUNCTION evil.format({}) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END';",
                    vec!["text"; n].join(", ")
                );
            }
            continue;
        }
        evil += &format!(
            "CREATE FUNCTION evil.{name}({arguments}) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END';"
        );
    }
    for (operator, left, right, result) in [
        ("=", "text", "text", "boolean"),
        ("=", "integer", "integer", "boolean"),
        ("<>", "text", "text", "boolean"),
        (">", "date", "date", "boolean"),
        ("||", "text", "text", "text"),
        ("->>", "jsonb", "text", "text"),
        ("*=", "record", "record", "boolean"),
        ("-", "date", "date", "integer"),
    ] {
        let function =
            format!("evil.op_{left}_{right}_{result}_{}", operator.bytes().map(|b| b.to_string()).collect::<String>());
        evil += &format!(
            "CREATE FUNCTION {function}({left}, {right}) RETURNS {result} LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END';
             CREATE OPERATOR evil.{operator} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {function});"
        );
    }
    evil += "CREATE DOMAIN evil.date AS text; CREATE DOMAIN evil.numeric AS text; CREATE DOMAIN evil.regclass AS text;
             CREATE DOMAIN evil.jsonb AS text; CREATE TABLE evil.pg_class (x int); CREATE TABLE evil.segment_policies (x int);";
    batch(&mut client, &evil);
    batch(
        &mut client,
        "CREATE TABLE public.orders (customer_id int, ordered_at timestamptz, amount numeric);
         INSERT INTO orders VALUES (1, '2026-01-31 20:00+00', 10), (2, '2026-02-01 14:59+00', 20), (2, '2026-02-01 15:00+00', 30)",
    );
    let paths = ["''", "evil, pg_catalog, rfm, public", "pg_catalog", "rfm, evil, public, pg_catalog"];
    for (path, zone) in paths.iter().zip(["UTC", "America/Los_Angeles", "Asia/Tokyo", "Pacific/Kiritimati"]) {
        let mut client = quiet(&database);
        // Domains in the way of the test's own text: only what the functions do is tested.
        batch(
            &mut client,
            &format!(
                "SET TimeZone = '{zone}'; SET DateStyle = 'SQL, DMY'; SET search_path = {path};
                 SELECT rfm.create_segmentation('shop', 'public.orders', time_zone => 'Asia/Tokyo', schema => 'public', as_of => '2026-06-30',
                                                track => 'trigger', order_filter => 'amount OPERATOR(pg_catalog.>) 0');
                 SELECT rfm.refresh_segmentation('shop');
                 INSERT INTO public.orders VALUES (3, '2026-03-01 15:00+00', 10);
                 SELECT rfm.refresh_segmentation('shop');
                 SELECT rfm.alter_segmentation('shop', lang => 'ja');
                 SELECT rfm.segmentation_sql('shop'); TABLE rfm.segmentations; SELECT rfm.audit_orders('public.orders')"
            ),
        );
        let mut plain = quiet(&database);
        let days = text(
            &mut plain,
            "SELECT string_agg(concat_ws(' ', customer_id, first_purchase_on, last_purchase_on, purchase_days), ', ' ORDER BY customer_id)
             FROM shop_customers",
        );
        assert_eq!(days, "1 2026-02-01 2026-02-01 1, 2 2026-02-01 2026-02-02 2, 3 2026-03-02 2026-03-02 1", "{path}");
        batch(&mut client, "SELECT rfm.drop_segmentation('shop')");
        batch(&mut plain, "DELETE FROM orders WHERE customer_id = 3");
    }
}

/// Without as_of it is today by the segmentation's clock: the two zones are 26 hours apart.
#[test]
fn today_is_the_segmentations_day() {
    let (_database, mut client) = with_orders("segmentation_today");
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12"] {
        for session in ["Pacific/Kiritimati", "Etc/GMT+12"] {
            batch(
                &mut client,
                &format!(
                    "SET TimeZone = '{session}'; SELECT create_segmentation('s', 'sales.orders', time_zone => '{zone}');
                     SELECT refresh_segmentation('s')"
                ),
            );
            let same = format!("SELECT (as_of = (refreshed_at AT TIME ZONE '{zone}')::date)::text FROM s_status");
            assert_eq!(text(&mut client, &same), "true", "{zone} {session}");
            assert_eq!(count(&mut client, "SELECT days_behind::bigint FROM segmentations"), 0, "{zone} {session}");
            batch(&mut client, "SELECT drop_segmentation('s')");
        }
    }
}

// ---- Rights -------------------------------------------------------------------------------------------------------

/// Roles of a test, dropped with it; roles belong to the whole server, so that their names begin with the database's.
struct Roles<'a> {
    database: &'a Database,
}

impl Roles<'_> {
    fn name(&self, role: &str) -> String {
        format!("{}_{role}", self.database.name)
    }

    fn create<'a>(database: &'a Database, roles: &[&str]) -> Roles<'a> {
        let names = Roles { database };
        let mut client = database.client();
        for role in roles {
            batch(&mut client, &format!("CREATE ROLE {}", names.name(role)));
        }
        batch(&mut client, &format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", database.name));
        names
    }

    /// `sql` with `@role` for the roles' names.
    fn say(&self, sql: &str) -> String {
        sql.replace('@', &format!("{}_", self.database.name))
    }

    fn client(&self, role: &str) -> Client {
        let mut client = quiet(self.database);
        batch(&mut client, &format!("SET ROLE {}", self.name(role)));
        client
    }
}

impl Drop for Roles<'_> {
    fn drop(&mut self) {
        let mut client = quiet(self.database);
        let roles = format!(
            "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE rolname LIKE '{}\\_%'",
            self.database.name
        );
        let roles = text(&mut client, &roles);
        let _ = client.batch_execute(&format!("DROP OWNED BY {roles} CASCADE; DROP ROLE {roles}"));
    }
}

/// The shop's: @owner. Who segments: @analyst. Who writes orders: @app. Who reads: @reader. Anybody else: @other.
fn company(database: &Database) -> Roles<'_> {
    let roles = Roles::create(database, &["owner", "analyst", "app", "reader", "other"]);
    let mut client = quiet(database);
    batch(&mut client, ORDERS);
    batch(
        &mut client,
        &roles.say(&format!(
            "GRANT TEMPORARY ON DATABASE {} TO @analyst;
             GRANT USAGE ON SCHEMA rfm TO @analyst, @other, @owner;
             ALTER SCHEMA sales OWNER TO @owner; ALTER TABLE sales.orders OWNER TO @owner;
             CREATE SCHEMA reports; REVOKE ALL ON SCHEMA public FROM PUBLIC;
             GRANT USAGE ON SCHEMA sales TO @analyst, @app;
             GRANT SELECT, TRIGGER ON sales.orders TO @analyst;
             GRANT USAGE, CREATE ON SCHEMA reports TO @analyst;
             GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON sales.orders TO @app",
            database.name
        )),
    );
    roles
}

const CREATE_REPORTS: &str = "SELECT rfm.create_segmentation('shop', 'sales.orders', schema => 'reports', as_of => '2026-06-30', track => 'trigger')";

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
        "SELECT reports.shop_note_orders()",
    ] {
        assert_eq!(expect_error(&mut app, sql).0, "42501", "{sql}");
    }
    batch(
        &mut analyst,
        "SELECT rfm.alter_segmentation('shop', lang => 'ja'); SELECT rfm.segmentation_sql('shop'); SELECT rfm.drop_segmentation('shop')",
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

    let settings = "SELECT settings::text FROM reports.shop_settings";
    let before = text(&mut analyst, settings);
    let mut other = roles.client("other");
    for write in [
        "UPDATE reports.shop_settings SET settings = '{}'",
        "DELETE FROM reports.shop_settings",
        "INSERT INTO reports.shop_settings VALUES ('x', '{}')",
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
        "DROP FUNCTION reports.shop_note_orders() CASCADE;
         CREATE FUNCTION reports.shop_note_orders() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END'",
    ] {
        batch(&mut analyst, CREATE_REPORTS);
        batch(&mut owner, swap);
        for call in
            ["refresh_segmentation('shop')", "alter_segmentation('shop', lang => 'ja')", "drop_segmentation('shop')"]
        {
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
        "CREATE TABLE reports.shop_settings OF rfm.segmentation_settings; INSERT INTO reports.shop_settings VALUES ('shop', '{}')",
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
    let readable = ["customers", "customers_today", "segments", "movement", "cohorts", "actions", "status", "facts"];
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

// ---- What survives ------------------------------------------------------------------------------------------------

#[test]
fn dumps_restore_and_go_on() {
    let (database, mut client) = shop("segmentation_dump");
    batch(
        &mut client,
        "CREATE TABLE people (customer_id int, email text, membership text);
         INSERT INTO people VALUES (1, 'a@example.com', 'continuing'), (999, NULL, NULL);
         CREATE TABLE events (customer_id int, kind text, happened_at date);
         INSERT INTO events VALUES (1, 'line_friend', '2026-01-01');
         SELECT alter_segmentation('shop', customers => 'people', engagement => 'events', policy => 'learn');
         SELECT refresh_segmentation('shop');
         INSERT INTO sales.orders VALUES (1001, 1, '2026-06-01', 5)", // noted, not yet refreshed
    );
    for format in ["custom", "plain"] {
        let restored = Database::new("segmentation_restored");
        let dump = program("pg_dump").args(["-F", format, &database.name]).output().expect("pg_dump starts");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        batch(&mut quiet(&restored), "DROP EXTENSION pg_rfm; DROP SCHEMA rfm");
        let mut restore = match format {
            "custom" => program("pg_restore"),
            _ => program("psql"),
        };
        match format {
            "custom" => restore.args(["-d", &restored.name, "--exit-on-error"]),
            _ => restore.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &restored.name]),
        };
        let mut child =
            restore.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().unwrap();
        std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &dump.stdout).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));

        let mut copy = quiet(&restored);
        for relation in
            VIEWS.iter().chain(&["histories", "status", "policies", "noted", "settings", "engagement", "profiles"])
        {
            let rows = format!("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM public.shop_{relation} AS t");
            assert_eq!(text(&mut copy, &rows), text(&mut client, &rows), "{format}: {relation}");
        }
        // The tables are others than those that were noted, so all orders are read once.
        for rebuilt in ["true", "true", "false"] {
            refresh(&mut copy);
            assert_eq!(text(&mut copy, "SELECT rebuilt::text FROM shop_status"), rebuilt, "{format}");
        }
        assert_histories(&mut copy);
        batch(
            &mut copy,
            "UPDATE sales.orders SET customer_id = 2 WHERE order_no = 1001; DELETE FROM sales.orders WHERE customer_id = 3",
        );
        refresh(&mut copy);
        assert_histories(&mut copy);
        batch(
            &mut copy,
            "SELECT refresh_segmentation('shop', \"full\" => true); SELECT alter_segmentation('shop', lang => 'ja')",
        );
        assert_histories(&mut copy);
        batch(&mut copy, "SELECT drop_segmentation('shop')");
    }
}

#[test]
fn the_extension_is_not_dropped_under_a_segmentation() {
    let (_database, mut client) = shop("segmentation_extension");
    let error = client.batch_execute("DROP EXTENSION pg_rfm").expect_err("something depends on it");
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "2BP01");
    for relation in ["table shop_settings", "table shop_histories", "materialized view shop_customers"] {
        assert!(error.detail().unwrap().contains(relation), "{relation}: {error:?}");
    }
    refresh(&mut client);
    batch(&mut client, "SELECT drop_segmentation('shop')");
    batch(&mut client, "DROP EXTENSION pg_rfm");
}

/// A view that somebody has put on ours is neither lost nor left hanging.
#[test]
fn what_stands_on_a_segmentation_is_not_dropped_by_the_way() {
    let (_database, mut client) = shop("segmentation_standing");
    batch(&mut client, "CREATE VIEW report AS SELECT customer_id FROM shop_customers");
    for call in ["drop_segmentation('shop')", "alter_segmentation('shop', lang => 'ja')"] {
        let before = objects(&mut client);
        assert_eq!(expect_error(&mut client, &format!("SELECT {call}")).0, "2BP01", "{call}");
        assert_eq!(objects(&mut client), before);
    }
    refresh(&mut client);
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', policy => 'occasional'); DROP VIEW report; SELECT drop_segmentation('shop')",
    );
}

/// A renamed or dropped column stops no writer; the next refresh says which one is missing, and changes nothing.
#[test]
fn source_columns_that_go() {
    let (_database, mut client) = shop("segmentation_columns");
    refresh(&mut client);
    let rows = "SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM shop_customers AS t";
    for (sql, write, missing, again) in [
        (
            "RENAME customer_id TO buyer",
            "INSERT INTO sales.orders (order_no, buyer, ordered_at, amount) VALUES (1001, 1, '2026-01-01', 10)",
            "sales.orders has no column customer_id, which is named as customer",
            "customer => 'buyer'",
        ),
        (
            "RENAME amount TO price",
            "UPDATE sales.orders SET price = 11 WHERE order_no = 1001",
            "sales.orders has no column amount, which is named as amount",
            "amount => 'price'",
        ),
        (
            "DROP ordered_at",
            "UPDATE sales.orders SET buyer = 2 WHERE order_no = 1001",
            "sales.orders has no column ordered_at, which is named as ordered_at",
            "ordered_at => 'day'",
        ),
    ] {
        let before = text(&mut client, rows);
        batch(&mut client, &format!("ALTER TABLE sales.orders {sql}"));
        batch(&mut client, write);
        let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
        assert_eq!((sqlstate.as_str(), message), ("42703", format!("segmentation \"shop\": {missing}")));
        assert!(hint.starts_with("Its columns: order_no, "), "{hint}");
        assert_eq!(text(&mut client, rows), before);
        if sql == "DROP ordered_at" {
            batch(
                &mut client,
                "ALTER TABLE sales.orders ADD day date DEFAULT '2026-02-02'; DELETE FROM sales.orders WHERE order_no = 3",
            );
        }
        batch(
            &mut client,
            &format!("SELECT alter_segmentation('shop', {again}); DELETE FROM sales.orders WHERE order_no = 2"),
        );
        refresh(&mut client);
        let orders = count(&mut client, "SELECT sum(orders)::bigint FROM shop_customers");
        assert_eq!(orders, count(&mut client, "SELECT count(*) FROM sales.orders"), "{sql}");
    }

    // The table itself.
    batch(&mut client, "ALTER TABLE sales.orders RENAME TO invoices; INSERT INTO sales.invoices VALUES (3001, 1, 1)");
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("42P01", "segmentation \"shop\": there is no relation sales.orders (orders)")
    );
    assert_eq!(hint, "Was it renamed or dropped? alter_segmentation('shop', orders => ...) names another one.");
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', orders => 'sales.invoices', customer => 'buyer', ordered_at => 'day', amount => 'price')",
    );
    refresh(&mut client);
    batch(&mut client, "DROP TABLE sales.invoices");
    assert_eq!(expect_error(&mut client, "SELECT refresh_segmentation('shop')").0, "42P01");
    batch(&mut client, "SELECT count(*) FROM shop_customers; SELECT drop_segmentation('shop')");
}

/// The type of the key, renamed or moved: the shop goes on writing.
#[test]
fn key_types_that_are_renamed() {
    let database = Database::new("segmentation_types");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE SCHEMA kinds; CREATE TYPE kinds.k AS ENUM ('a', 'b', 'c'); CREATE SCHEMA sales;
         CREATE TABLE sales.orders (customer_id kinds.k, ordered_at date, amount numeric);
         INSERT INTO sales.orders VALUES ('a', '2026-01-01', 1)",
    );
    batch(&mut client, CREATE);
    refresh(&mut client);
    for sql in [
        "ALTER TYPE kinds.k RENAME TO key",
        "ALTER SCHEMA kinds RENAME TO sorts",
        "ALTER TYPE sorts.key SET SCHEMA public",
    ] {
        batch(&mut client, sql);
        let mut app = quiet(&database);
        batch(
            &mut app,
            "INSERT INTO sales.orders VALUES ('b', '2026-01-01', 1); UPDATE sales.orders SET customer_id = 'c' WHERE customer_id = 'b'",
        );
        refresh(&mut client);
        assert_histories(&mut client);
    }
}

// ---- What can be segmented ----------------------------------------------------------------------------------------

#[test]
fn views_foreign_tables_and_materialized_views_are_read_anew() {
    let (database, mut client) = with_orders("segmentation_sources");
    let mut sources = vec!["seen", "kept"];
    if server_has_extension("postgres_fdw", "orders in a foreign table") {
        batch(
            &mut client,
            &format!(
                "CREATE EXTENSION postgres_fdw;
                 CREATE SERVER self FOREIGN DATA WRAPPER postgres_fdw
                     OPTIONS (host '{}', port '{}', dbname '{}');
                 CREATE USER MAPPING FOR CURRENT_USER SERVER self OPTIONS (user '{}');
                 CREATE SCHEMA far; IMPORT FOREIGN SCHEMA sales FROM SERVER self INTO far",
                std::env::var("PGHOST").unwrap(),
                std::env::var("PGPORT").unwrap(),
                database.name,
                std::env::var("PGUSER").unwrap(),
            ),
        );
        sources.push("far.orders");
    }
    batch(
        &mut client,
        "CREATE VIEW seen AS SELECT customer_id, ordered_at, amount FROM sales.orders;
         CREATE MATERIALIZED VIEW kept AS TABLE sales.orders",
    );
    for source in sources {
        let (sqlstate, message, hint) =
            expect_error(&mut client, &format!("SELECT create_segmentation('shop', '{source}', track => 'trigger')"));
        assert_eq!(sqlstate, "22023", "{message}");
        assert_eq!(hint, "Use track => 'none': each refresh reads all orders.");
        batch(&mut client, &format!("SELECT create_segmentation('shop', '{source}', as_of => '2026-06-30')"));
        assert_histories(&mut client);
        let number = count(&mut client, "SELECT max(order_no) + 1::bigint FROM sales.orders");
        batch(
            &mut client,
            &format!(
                "INSERT INTO sales.orders VALUES ({number}, 77, '2026-01-01', 5); DELETE FROM sales.orders WHERE order_no = {number} % 300"
            ),
        );
        batch(&mut client, "REFRESH MATERIALIZED VIEW kept");
        refresh(&mut client);
        assert_histories(&mut client);
        assert_eq!(text(&mut client, "SELECT rebuilt::text FROM shop_status"), "true");
        batch(&mut client, "SELECT drop_segmentation('shop')");
    }
}

#[test]
fn currencies_are_never_added_up() {
    let database = Database::new("segmentation_currency");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_at date, amount numeric, currency text);
         INSERT INTO orders VALUES (1, '2026-01-01', 10, 'JPY'), (2, '2026-01-01', 10, 'EUR')",
    );
    let create = "SELECT create_segmentation('shop', 'orders', currency => 'currency', track => 'trigger')";
    let (sqlstate, message, hint) = expect_error(&mut client, create);
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("22000", "segmentation \"shop\": the orders have several currencies: EUR, JPY")
    );
    assert!(hint.contains("order_filter"), "{hint}");
    batch(&mut client, "UPDATE orders SET currency = NULL WHERE currency = 'EUR'");
    assert!(expect_error(&mut client, create).1.ends_with("(none), JPY"));
    // Only one of them counts, or only one is there.
    batch(&mut client, &create.replace("currency =>", "order_filter => 'currency = ''JPY''', currency =>"));
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers) FROM shop_status"), "JPY 1");
    batch(&mut client, "SELECT alter_segmentation('shop', order_filter => 'customer_id = 2')");
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers) FROM shop_status"), "(none) 1");
    batch(
        &mut client,
        "UPDATE orders SET currency = 'JPY'; SELECT alter_segmentation('shop', reset => '{order_filter}'); SELECT refresh_segmentation('shop')",
    );
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers) FROM shop_status"), "JPY 2");
    // A note of one customer is enough to see it.
    batch(&mut client, "INSERT INTO orders VALUES (1, '2026-02-01', 10, 'USD')");
    assert!(expect_error(&mut client, "SELECT refresh_segmentation('shop')").1.ends_with("JPY, USD"));
    // All change over: what was known before is gone.
    batch(&mut client, "UPDATE orders SET currency = 'USD'; SELECT refresh_segmentation('shop')");
    assert_eq!(text(&mut client, "SELECT concat_ws(' ', currency, customers, rebuilt) FROM shop_status"), "USD 2 f");
}

#[test]
fn policies_by_name_document_or_learned() {
    let (_database, mut client) = with_orders("segmentation_policy");
    let versions = "SELECT string_agg(concat_ws(' ', valid_from, policy), ', ' ORDER BY valid_from) FROM shop_policies";
    let in_force = "SELECT policy::text FROM shop_status";
    batch(&mut client, CREATE);
    assert_eq!(text(&mut client, versions), "2026-06-30 {}");

    // A preset, a document, a stored name with two versions.
    let preset = text(&mut client, "SELECT preset_policy('occasional')::text");
    batch(&mut client, "SELECT alter_segmentation('shop', policy => 'occasional')");
    assert_eq!(text(&mut client, in_force), preset);
    let document = "{\"lifecycle\":{\"dormant_after_days\":77,\"at_risk_after_days\":33}}";
    batch(&mut client, &format!("SELECT alter_segmentation('shop', policy => '{document}', as_of => '2026-07-01')"));
    assert_eq!(text(&mut client, &format!("SELECT (policy = '{document}')::text FROM shop_status")), "true");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_policies"), 2);
    refresh(&mut client);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_policies"), 2, "the same policy is no new version");
    batch(
        &mut client,
        "INSERT INTO segment_policies VALUES ('ours', '{\"frequency\": \"orders\"}', '2020-01-01');
         INSERT INTO segment_policies VALUES ('ours', '{}', CURRENT_DATE + 1);
         SELECT alter_segmentation('shop', policy => 'ours', as_of => '2026-07-02')",
    );
    assert_eq!(text(&mut client, in_force), "{\"frequency\":\"orders\"}");
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => CURRENT_DATE + 1)");
    assert_eq!(text(&mut client, in_force), "{}");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_policies"), 4);
    // Names that could mean two things are refused.
    for name in ["learn", "occasional"] {
        batch(&mut client, &format!("INSERT INTO segment_policies VALUES ('{name}', '{{}}', CURRENT_DATE + 1)"));
        let (sqlstate, message, _) =
            expect_error(&mut client, &format!("SELECT alter_segmentation('shop', policy => '{name}')"));
        assert!(sqlstate == "22023" && message.contains("ambiguous"), "{message}");
        batch(&mut client, &format!("DELETE FROM segment_policies WHERE name = '{name}'"));
    }
    batch(&mut client, "SELECT drop_segmentation('shop')");

    // Learned once; a refresh keeps it, alter learns anew. An earlier day has its own.
    batch(&mut client, &CREATE.replace("as_of", "policy => 'learn', as_of"));
    let by_hand = |day: &str| {
        format!(
            "SELECT learn_policy(history, '{day}', default_policy())::text FROM shop_histories WHERE orders(history, '{day}') > 0"
        )
    };
    let learned = text(&mut client, in_force);
    assert_eq!(learned, text(&mut client, &by_hand("2026-06-30")));
    batch(&mut client, "DELETE FROM sales.orders WHERE order_no % 3 = 0");
    refresh(&mut client);
    assert_eq!(text(&mut client, in_force), learned);
    batch(&mut client, "SELECT alter_segmentation('shop', lang => 'ja')");
    assert_eq!(text(&mut client, in_force), learned);
    batch(&mut client, "SELECT alter_segmentation('shop', policy => 'learn', as_of => '2025-06-30')");
    let anew = text(&mut client, in_force);
    assert_eq!(anew, text(&mut client, &by_hand("2025-06-30")));
    assert_ne!(anew, learned);
    refresh(&mut client);
    assert_eq!(text(&mut client, in_force), anew);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_policies"), 2);
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{policy}')");
    assert_eq!(text(&mut client, in_force), "{}");
}

/// Members, addresses, events and customers without an order, by the functions that answer for one customer.
#[test]
fn customers_and_events() {
    let (_database, mut client) = with_orders("segmentation_people");
    batch(
        &mut client,
        r#"CREATE TABLE members (id int, membership text, email text, phone text, address text, consents jsonb, last_contacted_on timestamptz);
           INSERT INTO members VALUES
               (1, 'continuing', 'a@example.com', NULL, NULL, '{"email": true}', '2026-06-28 20:00+00'),
               (2, 'paused', 'nonsense', NULL, NULL, NULL, NULL),
               (3, NULL, NULL, NULL, NULL, NULL, '2026-06-01'),
               (500, NULL, 'p@example.com', '+81312345678', NULL, NULL, NULL),
               (501, NULL, NULL, NULL, '', NULL, NULL),
               (NULL, NULL, 'nobody@example.com', NULL, NULL, NULL, NULL);
           CREATE TABLE log (customer_id bigint, type text, occurred_at timestamptz);
           INSERT INTO log VALUES (1, 'line_friend', '2026-01-01 16:00+00'), (1, 'visit', '2026-02-01'), (502, 'visit', '2026-03-01');
           SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', time_zone => 'Asia/Tokyo', lang => 'ja', track => 'trigger',
               customers => 'members', customers_columns => '{"customer": "id"}', engagement => 'log')"#,
    );
    refresh(&mut client);
    let expected = "SELECT string_agg(concat_ws('|', c.customer_id, s.lifecycle_state, l.label_ja, s.rfm_score, s.vip_tier, s.next_action, s.action_channel,
                           s.relation_score, array_to_string(p.channels, ','), s.action_due_on), E'\\n' ORDER BY c.customer_id)
         FROM (SELECT customer_id FROM sales.orders UNION SELECT id FROM members WHERE id IS NOT NULL) AS c (customer_id)
         LEFT JOIN (SELECT customer_id, purchase_history(ordered_at, amount) AS h FROM sales.orders GROUP BY 1) AS h USING (customer_id)
         LEFT JOIN (SELECT customer_id, engagement_history(type, (occurred_at AT TIME ZONE 'Asia/Tokyo')::date) AS e FROM log GROUP BY 1) AS e
             ON e.customer_id = c.customer_id
         LEFT JOIN (SELECT id, membership, reachable_channels(email, phone, address, NULL, consents) AS channels,
                           (last_contacted_on AT TIME ZONE 'Asia/Tokyo')::date AS contacted FROM members) AS p ON p.id = c.customer_id
         CROSS JOIN LATERAL segment_customer(h.h, '2026-06-30', default_policy(), coalesce(e.e, no_engagement()), p.membership, p.channels, p.contacted) AS s
         LEFT JOIN lifecycle_states() AS l ON l.state = s.lifecycle_state";
    let found = "SELECT string_agg(concat_ws('|', customer_id, lifecycle_state, lifecycle_label, rfm_score, vip_tier, next_action, action_channel,
                           relation_score, reachable_by, action_due_on), E'\\n' ORDER BY customer_id) FROM shop_customers_today";
    assert_eq!(text(&mut client, found), text(&mut client, expected));
    let state = |customer: i32| {
        format!(
            "SELECT concat_ws(' ', lifecycle_state, next_action, reachable_by) FROM shop_customers WHERE customer_id = {customer}"
        )
    };
    assert!(text(&mut client, &state(500)).starts_with("prospect "));
    assert_eq!(text(&mut client, &state(501)), "prospect complete_contact ");
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM shop_customers WHERE customer_id IN (502, 77777) OR customer_id IS NULL"
        ),
        0
    );
    assert_eq!(count(&mut client, "SELECT customers FROM shop_segments WHERE rfm_segment = 'prospect'"), 2);

    // Both are read by every refresh.
    batch(
        &mut client,
        "UPDATE members SET email = NULL WHERE id = 1; DELETE FROM members WHERE id = 500; INSERT INTO members (id) VALUES (600);
         INSERT INTO log VALUES (2, 'visit', '2026-05-05'); DELETE FROM log WHERE customer_id = 1",
    );
    refresh(&mut client);
    assert_eq!(text(&mut client, found), text(&mut client, expected));
    // Double customers are refused, and change nothing.
    batch(&mut client, "INSERT INTO members (id) VALUES (600)");
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("23505", "segmentation \"shop\": public.members has several rows of customer 600")
    );
    assert_eq!(hint, "It must have one row a customer; a view over it can choose which one.");
    assert_eq!(text(&mut client, "SELECT count(*)::text FROM shop_customers WHERE customer_id = 600"), "1");
    // Without the tables again.
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{customers,engagement}')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_customers"), 37);
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM shop_customers WHERE relation_score IS NOT NULL OR reachable_by IS NOT NULL"
        ),
        0
    );
}

#[test]
fn alter_changes_what_is_given_and_nothing_else() {
    let (_database, mut client) = shop("segmentation_alter");
    let settings = |client: &mut Client| text(client, "SELECT settings::text FROM shop_settings");
    let place = "SELECT string_agg(c.oid::text, ',' ORDER BY relname) FROM pg_class AS c WHERE relname LIKE 'shop\\_%' AND relkind = 'm'";
    let (before, stands) = (settings(&mut client), text(&mut client, place));
    batch(&mut client, "SELECT alter_segmentation('shop')");
    assert_eq!(settings(&mut client), before);
    // In place: another policy, day or filter; and back.
    for (change, reset) in [
        ("policy => 'occasional'", "policy"),
        ("order_filter => 'amount > 50'", "order_filter"),
        ("as_of => '2026-01-31'", "as_of"),
    ] {
        batch(&mut client, &format!("SELECT alter_segmentation('shop', {change})"));
        assert_ne!(settings(&mut client), before, "{change}");
        assert_eq!(text(&mut client, place), stands, "{change}: the views stand where they stood");
        batch(&mut client, &format!("SELECT alter_segmentation('shop', reset => '{{{reset}}}')"));
    }
    batch(&mut client, "SELECT alter_segmentation('shop', as_of => '2026-06-30')");
    assert_eq!(settings(&mut client), before);
    assert_histories(&mut client);
    // With what decides what a row is, everything is made anew, and tracked again.
    for change in [
        "time_zone => 'Asia/Tokyo'",
        "order_id => 'order_no'",
        "lang => 'ja'",
        "track => 'none'",
        "track => 'trigger'",
        "tenant => 'order_no'",
        "reset => '{tenant,order_id}'",
    ] {
        let stood = text(&mut client, place);
        batch(&mut client, &format!("SELECT alter_segmentation('shop', {change})"));
        assert_ne!(text(&mut client, place), stood, "{change}");
        batch(&mut client, "UPDATE sales.orders SET customer_id = customer_id + 1 WHERE order_no % 5 = 0");
        refresh(&mut client);
        let orders = count(&mut client, "SELECT sum(orders)::bigint FROM shop_customers");
        assert_eq!(orders, count(&mut client, "SELECT count(*) FROM sales.orders"), "{change}");
    }
    assert_histories(&mut client);
    assert_eq!(count(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.orders'::regclass"), 4);
}

// ---- What a view says of itself -----------------------------------------------------------------------------------

#[test]
fn every_view_has_a_key_and_every_column_a_comment() {
    let (_database, mut client) = with_orders("segmentation_comments");
    batch(
        &mut client,
        "CREATE TABLE members (customer_id int, membership text, email text); INSERT INTO members SELECT i, NULL, NULL FROM generate_series(30, 60) AS i;
         CREATE TABLE events (customer_id int, kind text, happened_at date);
         SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', customers => 'members', engagement => 'events', track => 'trigger')",
    );
    let silent = "SELECT string_agg(c.relname || coalesce('.' || a.attname, ''), ', ')
                  FROM pg_class AS c
                  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND c.relname <> 'shop_settings'
                  WHERE c.relname LIKE 'shop\\_%' AND c.relkind IN ('r', 'v', 'm')
                      AND (obj_description(c.oid, 'pg_class') IS NULL OR a.attnum IS NOT NULL AND col_description(c.oid, a.attnum) IS NULL)";
    assert_eq!(text(&mut client, silent), "");
    batch(&mut client, "SELECT obj_description('shop_note_orders'::regproc, 'pg_proc')");
    for view in VIEWS {
        let columns = format!(
            "SELECT string_agg(quote_ident(a.attname), ',' ORDER BY k.n) FROM pg_index AS i CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k (attnum, n)
             JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE i.indrelid = 'shop_{view}'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL"
        );
        let columns = text(&mut client, &columns);
        assert_ne!(columns, "", "{view}");
        assert!(count(&mut client, &format!("SELECT count(*) FROM shop_{view}")) > 0, "{view}");
        let nulls = format!("SELECT count(*) FROM shop_{view} WHERE num_nulls({columns}) > 0");
        assert_eq!(count(&mut client, &nulls), 0, "{view} ({columns})");
        // Flat: scalars only.
        let kinds = format!(
            "SELECT count(*) FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
             WHERE a.attrelid = 'shop_{view}'::regclass AND a.attnum > 0 AND (t.typcategory NOT IN ('N', 'S', 'D', 'B'))"
        );
        assert_eq!(count(&mut client, &kinds), 0, "{view}");
    }
    let daily = "SELECT count(*) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                 WHERE c.relname LIKE 'shop\\_%' AND c.relkind = 'm' AND a.attname IN ('as_of', 'refreshed_at', 'recency_days')";
    assert_eq!(count(&mut client, daily), 0);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_status"), 1);
}

/// Each text is a SELECT that runs as it is, without any search path, and returns what the relation holds.
#[test]
fn segmentation_sql_is_what_the_views_are_made_of() {
    let (_database, mut client) = shop("segmentation_sql");
    refresh(&mut client);
    let texts = client.query("SELECT relation, kind, query, unique_key FROM segmentation_sql('shop')", &[]).unwrap();
    assert_eq!(texts.len(), 8);
    batch(&mut client, "SET search_path = ''");
    for row in texts {
        let [relation, kind, query] = [0, 1, 2].map(|i| row.get::<_, String>(i));
        let differences = format!(
            "SELECT pg_catalog.count(*) FROM ((SELECT CAST(t AS text) FROM {relation} AS t EXCEPT ALL SELECT CAST(t AS text) FROM ({query}) AS t)
             UNION ALL (SELECT CAST(t AS text) FROM ({query}) AS t EXCEPT ALL SELECT CAST(t AS text) FROM {relation} AS t)) AS d"
        );
        assert_eq!(count(&mut client, &differences), 0, "{relation}");
        if kind == "MATERIALIZED VIEW" {
            let key = row.get::<_, String>(3);
            batch(
                &mut client,
                &format!(
                    "BEGIN; CREATE MATERIALIZED VIEW public.model AS {query}; CREATE UNIQUE INDEX ON public.model ({key}); REFRESH MATERIALIZED VIEW CONCURRENTLY public.model; ROLLBACK"
                ),
            );
        }
    }
}

// ---- Movement ------------------------------------------------------------------------------------------------------

/// Whatever day is asked for, the last twelve months that are over, from month end to month end, and everybody who was no
/// prospect at the later one, counted by plain SQL.
#[test]
fn movement_is_the_last_twelve_months_that_are_over() {
    let database = Database::new("segmentation_movement");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_at date, amount numeric);
         INSERT INTO orders SELECT i % 23, date '2021-06-01' + (i % 23) * 40 + i * 67 % 700, i FROM generate_series(1, 300) AS i;
         SELECT create_segmentation('shop', 'orders', as_of => '2023-06-30');
         CREATE TABLE months AS
         SELECT * FROM (
             SELECT lag(day::date) OVER (ORDER BY day) AS from_day, day::date AS to_day
             FROM generate_series(timestamp '2021-12-31', '2025-06-30', '1 day') AS day WHERE extract(day FROM day + interval '1 day') = 1
         ) AS m WHERE from_day IS NOT NULL;
         CREATE TABLE expected AS
         SELECT m.from_day, m.to_day, lifecycle_state(f.history, m.from_day, f.policy) AS from_state,
                lifecycle_state(f.history, m.to_day, f.policy) AS to_state, count(*) AS customers
         FROM months AS m CROSS JOIN shop_facts AS f
         WHERE orders(f.history, m.to_day) > 0
         GROUP BY 1, 2, 3, 4",
    );
    let query = text(&mut client, "SELECT query FROM segmentation_sql('shop') WHERE relation = 'public.shop_movement'");
    let of_day = "SELECT * FROM expected WHERE to_day IN (SELECT to_day FROM months WHERE to_day <= d.as_of ORDER BY 1 DESC LIMIT 12)";
    let wrong = format!(
        "SELECT (SELECT count(DISTINCT (from_day, to_day)) FROM shown), count(*) FROM (
             (SELECT from_day, to_day, from_state, to_state, customers FROM shown
              EXCEPT SELECT e.from_day, e.to_day, e.from_state, e.to_state, e.customers FROM shop_status AS d CROSS JOIN LATERAL ({of_day}) AS e)
             UNION ALL
             (SELECT e.from_day, e.to_day, e.from_state, e.to_state, e.customers FROM shop_status AS d CROSS JOIN LATERAL ({of_day}) AS e
              EXCEPT SELECT from_day, to_day, from_state, to_state, customers FROM shown)
         ) AS w"
    );
    let wrong = format!("WITH shown AS MATERIALIZED ({query}) {wrong}");
    let (mut asked, mut off) = (0, Vec::new());
    for row in client
        .query("SELECT d::date::text FROM generate_series(date '2023-03-01', '2025-03-01', '1 day') AS d", &[])
        .unwrap()
    {
        let day: String = row.get(0);
        batch(&mut client, &format!("UPDATE shop_status SET as_of = '{day}'"));
        let row = client.query_one(&wrong, &[]).unwrap_or_else(|error| panic!("{error}: {wrong}"));
        let (months, differences): (i64, i64) = (row.get(0), row.get(1));
        asked += 1;
        if (months, differences) != (12, 0) {
            off.push(format!("{day}: {months} months, {differences} differences"));
        }
    }
    assert_eq!(asked, 732);
    assert!(off.is_empty(), "{} of {asked} days: {off:?}", off.len());
}

// ---- Audit --------------------------------------------------------------------------------------------------------

/// Each finding with its count and share, by plain SQL.
#[test]
fn audit_counts_what_is_odd() {
    let database = Database::new("segmentation_audit");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (order_no int, customer_id int, ordered_at timestamptz, amount numeric, currency text);
         INSERT INTO orders SELECT i, i % 7, timestamptz '2026-01-01' + i * interval '1 hour', i, 'JPY' FROM generate_series(1, 60) AS i;
         INSERT INTO orders VALUES
             (101, NULL, '2026-01-01', 5, 'JPY'), (102, 1, NULL, 5, 'JPY'), (103, 1, 'infinity', 5, 'JPY'), (104, 1, '2026-06-30 16:00+00', 5, 'JPY'),
             (105, 1, '2026-06-30 14:00+00', 5, 'JPY'), (106, 1, '2026-02-01', NULL, 'JPY'), (107, 1, '2026-02-02', 'NaN', 'JPY'),
             (108, 1, '2026-02-03', 0, 'JPY'), (109, 1, '2026-02-03', -5, 'JPY'), (110, 1, '2026-02-04', 7, 'EUR'), (110, 1, '2026-02-04', 7, NULL),
             (110, 1, '2026-02-04', 7, 'EUR'), (NULL, 2, '2026-02-05', 8, 'JPY'), (NULL, NULL, '-infinity', -0.0, 'JPY');
         CREATE TABLE people (customer_id int, email text); INSERT INTO people VALUES (1, 'a@example.com'), (2, 'nonsense'), (3, NULL)",
    );
    let audit = |client: &mut Client, arguments: &str| {
        let sql = format!(
            "SELECT string_agg(concat_ws('|', finding, rows, share), E'\\n' ORDER BY finding COLLATE \"C\")
             FROM audit_orders('orders', time_zone => 'Asia/Tokyo', as_of => '2026-06-30'{arguments})"
        );
        text(client, &sql)
    };
    let by_hand = |client: &mut Client, findings: &[(&str, &str)]| {
        let rows: Vec<String> = findings
            .iter()
            .map(|(finding, condition)| {
                format!("SELECT '{finding}' AS finding, count(*) FILTER (WHERE {condition}) AS n, count(*) AS total FROM orders")
            })
            .collect();
        text(
            client,
            &format!(
                "SELECT string_agg(concat_ws('|', finding, n, round(n::numeric / total, 6)), E'\\n' ORDER BY finding COLLATE \"C\") FROM ({}) AS f",
                rows.join(" UNION ALL ")
            ),
        )
    };
    let rows = [
        ("amount negative", "amount < 0"),
        ("amount zero", "amount = 0"),
        ("date in the future", "isfinite(ordered_at) AND (ordered_at AT TIME ZONE 'Asia/Tokyo')::date > '2026-06-30'"),
        ("infinite date", "ordered_at IN ('infinity', '-infinity')"),
        ("no amount", "amount IS NULL"),
        ("no customer", "customer_id IS NULL"),
        ("no date", "ordered_at IS NULL"),
        ("not a number", "amount = 'NaN'"),
    ];
    let mut expected = by_hand(&mut client, &rows);
    let share = |n: i64| format!("{:.6}", n as f64 / 74.0);
    expected = expected.replace("infinite date", &format!("duplicate|2|{}\ninfinite date", share(2)));
    expected += &format!("\nseveral rows an order number|2|{:.6}", 2.0 / 72.0);
    let mut lines: Vec<String> = expected.lines().map(str::to_owned).collect();
    lines.push("no index leads with the customer".into());
    lines.sort();
    assert_eq!(audit(&mut client, ""), lines.join("\n"));

    let with_number = audit(&mut client, ", order_id => 'order_no', currency => 'currency', customers => 'people'");
    for line in [
        format!("no order number|2|{}", share(2)),
        "several currencies|74|1.000000".into(),
        "customer without contact address|2|0.666667".into(),
        format!("duplicate|2|{}", share(2)),
    ] {
        assert!(with_number.lines().any(|l| l == line), "{line} is missing:\n{with_number}");
    }
    assert!(!with_number.contains("several rows an order number"));
    let currencies =
        "SELECT example FROM audit_orders('orders', currency => 'currency') WHERE finding = 'several currencies'";
    assert_eq!(text(&mut client, currencies), "JPY, EUR, (none)");
    let all = count(
        &mut client,
        "SELECT count(*) FROM audit_orders('orders') WHERE effect IS NULL OR effect = '' OR example IS NULL",
    );
    assert_eq!(all, 0, "every finding has an effect and an example");

    // The filter counts; an index silences its finding; nothing odd, nothing found.
    batch(&mut client, "CREATE INDEX ON orders (customer_id, ordered_at)");
    assert_eq!(audit(&mut client, ", order_filter => 'order_no <= 60 -- the good ones'"), "");
    batch(&mut client, "TRUNCATE orders");
    assert_eq!(audit(&mut client, ""), "");

    // Order numbers by any of their names.
    for name in ["Invoice_No", "注文ID", "伝票番号"] {
        batch(
            &mut client,
            &format!("CREATE TABLE lines (customer_id int, ordered_at date, amount int, \"{name}\" text)"),
        );
        batch(&mut client, "INSERT INTO lines VALUES (1, '2026-01-01', 1, 'x'), (1, '2026-01-01', 2, 'x')");
        let found =
            "SELECT concat_ws('|', rows, share, effect) FROM audit_orders('lines') WHERE finding LIKE 'several rows%'";
        let found = text(&mut client, found);
        assert!(found.starts_with("1|0.500000|") && found.ends_with(&format!("order_id => '{name}'")), "{found}");
        batch(&mut client, "DROP TABLE lines");
    }

    // create_segmentation says the same before it begins.
    batch(&mut client, "INSERT INTO orders VALUES (1, NULL, '2026-01-01', 5, 'JPY'), (2, 1, '2026-01-01', 0, 'JPY')");
    let said = program("psql")
        .args([
            "-X",
            "-q",
            "-d",
            &database.name,
            "-c",
            "SELECT rfm.create_segmentation('shop', 'public.orders', schema => 'public')",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stderr);
    for part in [
        "shop: no customer: 1 (50.00 %); ignored; for example (,\"2026-01-01 00:00:00+00\",5)",
        "shop: amount zero: 1 (50.00 %)",
        "shop: histories: 1 rows, ",
        "shop: actions: 1 rows, ",
        "SELECT cron.schedule('refresh shop', '15 3 * * *', 'SELECT rfm.refresh_segmentation(''shop'')');",
        "GRANT USAGE ON SCHEMA public TO reader",
        "SELECT rfm.alter_segmentation('shop', readers => '{reader}')",
    ] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
}

/// Whoever may read only the columns that are needed segments all the same, and nobody sees any other column: not in a
/// finding, not in a notice.
#[test]
fn columns_that_are_not_named_are_neither_read_nor_shown() {
    let database = Database::new("segmentation_columns");
    let roles = Roles::create(&database, &["analyst"]);
    let mut client = quiet(&database);
    batch(
        &mut client,
        &roles.say(&format!(
            "GRANT TEMPORARY ON DATABASE {} TO @analyst;
             CREATE SCHEMA sales;
             CREATE TABLE sales.orders (card text DEFAULT 'SECRET', invoice_no text DEFAULT 'SECRET', number int, customer_id int,
                 ordered_at date, amount numeric, currency text DEFAULT 'JPY', note text DEFAULT 'SECRET');
             INSERT INTO sales.orders (number, customer_id, ordered_at, amount)
                 SELECT i, i % 7, date '2026-01-01' + i, i FROM generate_series(1, 60) AS i;
             INSERT INTO sales.orders (number, customer_id, ordered_at, amount) VALUES
                 (101, NULL, '2026-01-01', 5), (102, 1, NULL, 5), (103, 1, 'infinity', 5), (104, 1, '2026-07-01', 5), (106, 1, '2026-02-01', NULL),
                 (107, 1, '2026-02-02', 'NaN'), (108, 1, '2026-02-03', 0), (109, 1, '2026-02-03', -5), (110, 1, '2026-02-04', 7),
                 (110, 1, '2026-02-04', 7), (NULL, 2, '2026-02-05', 8);
             CREATE TABLE sales.people (customer_id int, membership text, email text DEFAULT 'SECRET', phone text, pin text DEFAULT 'SECRET');
             INSERT INTO sales.people (customer_id, membership) VALUES (1, 'continuing'), (2, NULL);
             CREATE TABLE sales.events (customer_id int, kind text, happened_at date, words text DEFAULT 'SECRET');
             INSERT INTO sales.events VALUES (1, 'review', '2026-03-01');
             CREATE TABLE sales.sent (customer_id int, channel text, contacted_at date, body text DEFAULT 'SECRET', step text DEFAULT 'SECRET');
             INSERT INTO sales.sent VALUES (1, 'email', '2026-03-01');
             CREATE SCHEMA reports; GRANT ALL ON SCHEMA reports TO @analyst;
             GRANT USAGE ON SCHEMA sales, rfm TO @analyst;
             GRANT SELECT (number, customer_id, ordered_at, amount, currency) ON sales.orders TO @analyst;
             GRANT SELECT (customer_id, membership, phone) ON sales.people TO @analyst;
             GRANT SELECT (customer_id, kind, happened_at) ON sales.events TO @analyst;
             GRANT SELECT (customer_id, channel, contacted_at) ON sales.sent TO @analyst",
            database.name
        )),
    );
    let said = |role: Option<&str>, sql: &str| {
        let role = role.map_or_else(|| "RESET ROLE".to_owned(), |role| format!("SET ROLE {}", roles.name(role)));
        let output = program("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &database.name, "-c", &role, "-c", sql])
            .output()
            .expect("psql runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{sql}: {said}");
        assert!(!said.contains("SECRET"), "{sql}: {said}");
        said
    };
    let arguments = "'sales.orders', as_of => '2026-06-30', customers => 'sales.people', currency => 'currency'";
    let found = |role| {
        let without = said(role, &format!("SELECT * FROM audit_orders({arguments})"));
        let with = said(role, &format!("SELECT * FROM audit_orders({arguments}, order_id => 'number')"));
        for finding in [
            "no customer",
            "no date",
            "infinite date",
            "date in the future",
            "no amount",
            "not a number",
            "amount zero",
        ] {
            assert!(without.contains(finding) && with.contains(finding), "{finding}: {without}{with}");
        }
        for finding in ["amount negative", "no order number", "duplicate", "customer without contact address"] {
            assert!(with.contains(finding), "{finding}: {with}");
        }
        assert!(with.contains("no order number|1|0.014085|(2,2026-02-05,8)|"), "{with}");
        without
    };
    // The number of an order that she may not read is not counted.
    assert!(!found(Some("analyst")).contains("invoice_no"));
    assert!(found(None).contains("invoice_no"));

    batch(&mut client, "DELETE FROM sales.orders WHERE amount = 'NaN' OR ordered_at = 'infinity'");
    let all = format!("{arguments}, engagement => 'sales.events', contacts => 'sales.sent'");
    for (role, sources) in
        [(Some("analyst"), "'sales.orders', as_of => '2026-06-30'"), (Some("analyst"), &all), (None, &all)]
    {
        let created = said(role, &format!("SELECT create_segmentation('shop', {sources}, schema => 'reports')"));
        assert!(created.contains("shop: no customer: 1 (1.45 %); ignored; for example (,2026-01-01,5)"), "{created}");
        batch(
            &mut client,
            "INSERT INTO sales.orders (number, customer_id, ordered_at, amount) VALUES (200, 3, '2026-06-30', 1)",
        );
        said(role, "SELECT refresh_segmentation('shop')");
        said(role, "SELECT alter_segmentation('shop', lang => 'ja')");
        let seen = said(role, "SELECT customer_id, last_purchase_on FROM reports.shop_customers WHERE customer_id = 3");
        assert_eq!(seen.trim(), "3|2026-06-30");
        said(role, "SELECT drop_segmentation('shop')");
        batch(&mut client, "DELETE FROM sales.orders WHERE number = 200");
    }

    // What is needed and may not be read is refused as everywhere in PostgreSQL.
    batch(&mut client, &roles.say("REVOKE SELECT (amount) ON sales.orders FROM @analyst; SET ROLE @analyst"));
    assert_eq!(expect_error(&mut client, "SELECT * FROM audit_orders('sales.orders')").0, "42501");
    let create = "SELECT create_segmentation('shop', 'sales.orders', schema => 'reports')";
    assert_eq!(expect_error(&mut client, create).0, "42501");
}

/// What is printed can be run.
#[test]
fn the_printed_lines_run() {
    let (database, mut client) = with_orders("segmentation_printed");
    let said = program("psql")
        .args(["-X", "-q", "-d", &database.name, "-c", "SELECT create_segmentation('it''s', 'sales.orders')"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let line = |start: &str| {
        said.lines()
            .find_map(|line| line.trim().strip_prefix(start))
            .unwrap_or_else(|| panic!("{start}: {said}"))
            .to_owned()
    };
    // pg_cron's function, as far as it matters here: it keeps the command.
    batch(
        &mut client,
        "CREATE SCHEMA cron; CREATE TABLE cron.job (command text);
         CREATE FUNCTION cron.schedule(text, text, text) RETURNS void LANGUAGE sql AS 'INSERT INTO cron.job VALUES ($3)'",
    );
    batch(&mut client, &format!("SELECT cron.schedule{}", line("SELECT cron.schedule")));
    let command = text(&mut client, "SELECT command FROM cron.job");
    batch(&mut client, &format!("SET search_path = ''; {command}"));
    let reader = format!("{}_reader", database.name);
    for start in ["GRANT USAGE", "SELECT rfm.alter_segmentation"] {
        let grant = format!("{start}{}", line(start)).replace("TO reader", &format!("TO {reader}"));
        let grant = grant.replace("{reader}", &format!("{{{reader}}}")).replace("SELECT rfm", "PERFORM rfm");
        batch(
            &mut client,
            &format!(
                "DO $$ BEGIN CREATE ROLE {reader}; EXCEPTION WHEN duplicate_object THEN NULL; END $$; DO $$ BEGIN {grant} END $$"
            ),
        );
    }
    batch(
        &mut client,
        &format!(
            "SET ROLE {reader}; SELECT count(*) FROM public.\"it's_customers\"; RESET ROLE; DROP OWNED BY {reader}; DROP ROLE {reader}"
        ),
    );
}

// ---- What happens to triggers and keys ----------------------------------------------------------------------------

/// Whatever a trigger did not see, the next refresh reads all orders; one that is gone comes back.
#[test]
fn a_trigger_that_does_not_see_is_noticed() {
    let (_database, mut client) = shop("segmentation_triggers");
    batch(&mut client, "SELECT alter_segmentation('shop', track => 'trigger')");
    let triggers =
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.orders'::regclass AND tgname LIKE 'pg\\_rfm\\_%'";
    assert_eq!(count(&mut client, triggers), 4);
    for (blind, seeing) in [
        ("ALTER TABLE sales.orders DISABLE TRIGGER pg_rfm_shop_insert", "ENABLE TRIGGER pg_rfm_shop_insert"),
        ("ALTER TABLE sales.orders ENABLE REPLICA TRIGGER pg_rfm_shop_insert", "ENABLE TRIGGER pg_rfm_shop_insert"),
        ("DROP TRIGGER pg_rfm_shop_insert ON sales.orders", "ENABLE TRIGGER pg_rfm_shop_insert"),
    ] {
        refresh(&mut client);
        refresh(&mut client);
        assert_eq!(text(&mut client, "SELECT rebuilt::text FROM shop_status"), "false", "{blind}");
        batch(&mut client, blind);
        batch(&mut client, "INSERT INTO sales.orders SELECT max(order_no) + 1, 2, '2026-06-03', 77 FROM sales.orders");
        refresh(&mut client);
        assert_eq!(text(&mut client, "SELECT rebuilt::text FROM shop_status"), "true", "{blind}");
        assert_histories(&mut client);
        assert_eq!(count(&mut client, triggers), 4, "{blind}");
        batch(&mut client, &format!("ALTER TABLE sales.orders {seeing}"));
    }
}

#[test]
fn a_rule_may_be_called_none() {
    let (_database, mut client) = shop("segmentation_rule_none");
    let policy = r#"{"next_action": {"rules": [{"id": "none", "action": "greet", "behavior": "care", "title": "Greet", "when": {"orders": {"at_least": 2}}}]}}"#;
    batch(&mut client, &format!("SELECT alter_segmentation('shop', policy => '{policy}')"));
    let rules = text(
        &mut client,
        "SELECT string_agg(format('%s:%s', action_rule, next_action), ' ' ORDER BY 1) FROM shop_actions",
    );
    assert!(rules.contains("none:greet"), "{rules}");
}

/// PostgreSQL's own REFRESH CONCURRENTLY builds a name of a quoted one there.
#[test]
fn identifiers_may_all_be_quoted() {
    let (_database, mut client) = shop("segmentation_quoted");
    batch(&mut client, "SET quote_all_identifiers = on");
    batch(&mut client, "INSERT INTO sales.orders SELECT max(order_no) + 1, 2, '2026-06-03', 77 FROM sales.orders");
    refresh(&mut client);
    assert_histories(&mut client);
}

// ---- Rights, locks, restores and early refusals --------------------------------------------------------------------

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
             GRANT ALL ON ALL TABLES IN SCHEMA public, sales TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA rfm TO {role}"
        ),
    );
    let dump =
        program("pg_dump").args(["-U", &role, &database.name]).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let dump = dump.expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    batch(&mut client, &format!("SET ROLE {role}"));
    for write in [
        "UPDATE shop_settings SET name = name",
        "INSERT INTO shop_settings VALUES ('x', '{}')",
        "DELETE FROM shop_settings",
        "TRUNCATE shop_settings",
    ] {
        assert_eq!(expect_error(&mut client, write).0, "42501", "{write}");
    }
    batch(&mut client, "RESET ROLE; SELECT alter_segmentation('shop', lang => 'ja')");
    drop(client);
    database.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn notes_are_taken_where_all_tables_are_published() {
    let (database, mut client) = shop("segmentation_published");
    refresh(&mut client);
    batch(&mut client, "SET client_min_messages = error; CREATE PUBLICATION everything FOR ALL TABLES");
    batch(&mut client, "INSERT INTO sales.orders VALUES (9001, 1, '2026-06-01', 10)");
    refresh(&mut client);
    assert_histories(&mut client);
    drop(database);
}

/// A longer key in the customers' table is another customer, not one whose key is cut off.
#[test]
fn keys_of_other_sources_are_not_cut() {
    let database = Database::new("segmentation_lengths");
    let mut client = quiet(&database);
    for (kind, other) in
        [("varchar(3)", "varchar(20)"), ("char(3)", "char(8)"), ("char(3)", "text"), ("text", "char(8)")]
    {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders (customer_id {kind}, ordered_on date, amount numeric);
                 INSERT INTO orders VALUES ('abc', '2026-01-01', 1), ('xyz', '2026-01-01', 1);
                 CREATE TABLE people (customer_id {other}, membership text);
                 INSERT INTO people VALUES ('abcd', 'continuing'), ('xyz', 'paused');
                 SELECT create_segmentation('s', 'orders', customers => 'people', as_of => '2026-02-01');
                 SELECT refresh_segmentation('s')"
            ),
        );
        let found = "SELECT string_agg(concat_ws(' ', rtrim(customer_id), membership, orders), ', ' ORDER BY customer_id) FROM s_customers";
        assert_eq!(text(&mut client, found), "abc 1, abcd continuing 0, xyz paused 1", "{kind}, {other}");
        batch(&mut client, "SELECT drop_segmentation('s'); DROP TABLE orders, people");
    }
}

#[test]
fn amounts_that_are_no_numbers_are_found() {
    let database = Database::new("segmentation_infinite");
    let mut client = quiet(&database);
    let numeric = if client.batch_execute("SELECT 'Infinity'::numeric").is_ok() {
        3
    } else {
        eprintln!("SKIPPED: infinite amounts of type numeric: this server has none"); // PostgreSQL 14 has
        1
    };
    for (kind, not_numbers) in
        [("double precision", 3), ("real", 3), ("numeric", numeric), ("numeric(10, 2)", 1), ("integer", 0)]
    {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders (customer_id int, ordered_on date, amount {kind}); INSERT INTO orders VALUES (1, '2026-01-01', 5), (1, '2026-01-02', 0), (1, '2026-01-02', -1), (1, NULL, NULL)"
            ),
        );
        let mut odd = 0;
        for value in ["NaN", "Infinity", "-Infinity"] {
            odd += client
                .execute(&format!("INSERT INTO orders SELECT 1, '2026-02-01', '{value}'::{kind}"), &[])
                .unwrap_or(0);
        }
        let finding = |client: &mut Client, name: &str| {
            count(
                client,
                &format!("SELECT coalesce(sum(rows), 0)::bigint FROM audit_orders('orders') WHERE finding = '{name}'"),
            )
        };
        assert_eq!((finding(&mut client, "not a number"), odd), (not_numbers, not_numbers as u64), "{kind}");
        assert_eq!(finding(&mut client, "amount zero"), 1, "{kind}");
        assert_eq!(finding(&mut client, "no amount"), 1, "{kind}");
        batch(&mut client, "DROP TABLE orders");
    }
}

#[test]
fn lines_that_are_alike_are_told_from_orders_that_are() {
    let database = Database::new("segmentation_alike");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE lines (customer_id int, order_no int, ordered_on date, amount numeric);
         INSERT INTO lines VALUES (1, 1, '2026-01-01', 5), (1, 1, '2026-01-01', 5), (1, 2, '2026-01-01', 7)",
    );
    let effect = |client: &mut Client, more: &str| {
        text(
            client,
            &format!("SELECT rows || ': ' || effect FROM audit_orders('lines'{more}) WHERE finding = 'duplicate'"),
        )
    };
    assert_eq!(
        effect(&mut client, ""),
        "1: each is an order of its own; if they are lines of one order, name order_id"
    );
    assert_eq!(
        effect(&mut client, ", order_id => 'order_no'"),
        "1: lines of one order that are alike: all of them are summed"
    );
}

/// Whoever renames the schema does not stop the shop from writing, and the next refresh finds what was not noted.
#[test]
fn the_shop_writes_on_when_the_schema_is_renamed() {
    let (database, mut client) = with_orders("segmentation_renamed");
    batch(
        &mut client,
        "SET client_min_messages = error; CREATE SCHEMA before;
         SELECT create_segmentation('shop', 'sales.orders', schema => 'before', as_of => '2026-06-30', track => 'trigger');
         SELECT refresh_segmentation('shop');
         ALTER SCHEMA before RENAME TO after;
         INSERT INTO sales.orders VALUES (9001, 1000, '2026-06-01', 10)",
    );
    for (order, customers) in [(9002, 39), (9003, 40)] {
        refresh(&mut client);
        assert_eq!(count(&mut client, "SELECT count(*) FROM after.shop_customers"), customers - 1);
        batch(&mut client, &format!("INSERT INTO sales.orders VALUES ({order}, {order}, '2026-06-01', 10)"));
        refresh(&mut client);
        assert_eq!(count(&mut client, "SELECT count(*) FROM after.shop_customers"), customers);
    }
    batch(
        &mut client,
        "INSERT INTO sales.orders VALUES (9004, 1, '2026-06-01', 10); SELECT refresh_segmentation('shop')",
    );
    assert_eq!(text(&mut client, "SELECT rebuilt || ' ' || histories_written FROM after.shop_status"), "false 1");
    // Where the notes are gone the shop writes on too, and the next refresh reads all orders and takes notes again.
    for (order, rebuilt) in [(9005, "true"), (9006, "true"), (9007, "false")] {
        if order == 9005 {
            batch(&mut client, "DROP TABLE after.shop_noted");
        }
        batch(&mut client, &format!("INSERT INTO sales.orders VALUES ({order}, {order}, '2026-06-01', 10)"));
        refresh(&mut client);
        assert_eq!(text(&mut client, "SELECT rebuilt::text FROM after.shop_status"), rebuilt);
        let found = format!("SELECT count(*) FROM after.shop_customers WHERE customer_id = {order}");
        assert_eq!(count(&mut client, &found), 1);
    }
    batch(&mut client, "SELECT alter_segmentation('shop', track => 'none')");
    drop(database);
}

/// Without the right to put triggers on the orders, or a policy of that name, they are not read first.
#[test]
fn what_is_refused_is_refused_before_the_orders_are_read() {
    let (database, mut client) = with_orders("segmentation_early");
    let role = format!("{}_ana", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role}; CREATE SCHEMA hers AUTHORIZATION {role}; GRANT USAGE ON SCHEMA rfm, sales TO {role};
             GRANT SELECT ON sales.orders TO {role};
             CREATE FUNCTION public.read() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'orders are read'; END $$;
             SET ROLE {role}"
        ),
    );
    for (arguments, sqlstate, part) in [
        ("track => 'trigger'", "42501", "GRANT TRIGGER ON sales.orders"),
        ("policy => 'nobody'", "22023", "there is no policy"),
        ("readers => '{nobody_here}'", "42704", "nobody_here"),
    ] {
        let call = format!(
            "SELECT create_segmentation('s', 'sales.orders', schema => 'hers', order_filter => 'public.read()', {arguments})"
        );
        let (found, message, hint) = expect_error(&mut client, &call);
        assert_eq!(found, sqlstate, "{message}");
        assert!(message.contains(part) || hint.contains(part), "{arguments}: {message} / {hint}");
    }
    drop(client);
    database.psql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

#[test]
fn a_key_that_gets_another_type_is_told_and_mended() {
    let (database, mut client) = shop("segmentation_key_type");
    refresh(&mut client);
    batch(&mut client, "ALTER TABLE sales.orders ALTER customer_id TYPE text USING 'C' || customer_id");
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(sqlstate, "42804", "{message}");
    assert!(message.contains("customer_id") && hint.contains("alter_segmentation('shop')"), "{message} / {hint}");
    batch(&mut client, "SELECT alter_segmentation('shop')");
    assert_histories(&mut client);
    batch(&mut client, "INSERT INTO sales.orders VALUES (9001, 'C1', '2026-06-01', 10)");
    refresh(&mut client);
    assert_histories(&mut client);
    drop(database);
}

/// Functions of other types in the extension's schema are never called by ours.
#[test]
fn functions_of_our_names_are_not_taken_for_ours() {
    let (database, mut client) = with_orders("segmentation_overloads");
    // Each of ours with text in the place of every type but jsonb: what a bare NULL or literal is taken for.
    batch(
        &mut client,
        "DO $do$
         DECLARE f record;
         BEGIN
             FOR f IN
                 SELECT p.proname, string_agg(CASE t.type WHEN 'jsonb'::regtype THEN 'jsonb' ELSE 'text' END, ', ' ORDER BY t.place) AS types
                 FROM pg_proc AS p CROSS JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (type, place)
                 WHERE p.pronamespace = 'rfm'::regnamespace AND (p.proname LIKE '\\_%' OR p.proname = 'reachable_channels') AND p.prokind = 'f'
                 GROUP BY p.oid, p.proname HAVING bool_or(t.type NOT IN ('jsonb'::regtype, 'text'::regtype))
             LOOP
                 BEGIN
                     EXECUTE format($f$CREATE FUNCTION rfm.%I(%s) RETURNS text LANGUAGE plpgsql AS $b$BEGIN RAISE 'hijacked: %1$s'; END$b$$f$, f.proname, f.types);
                 EXCEPTION WHEN duplicate_function THEN NULL;
                 END;
             END LOOP;
             CREATE FUNCTION rfm.reachable_channels(text, text, text, text, text) RETURNS text[]
                 LANGUAGE plpgsql AS $b$BEGIN RAISE 'hijacked'; END$b$;
         EXCEPTION WHEN duplicate_function THEN NULL;
         END $do$;
         CREATE TABLE people (customer_id int, email text);
         INSERT INTO people VALUES (1, 'a@example.com')",
    );
    batch(&mut client, CREATE);
    for call in [
        "refresh_segmentation('shop')",
        "refresh_segmentation('shop', as_of => '2026-05-31')",
        "alter_segmentation('shop', customers => 'people', policy => 'learn')",
        "alter_segmentation('shop', currency => 'customer_id', order_filter => 'customer_id = 1')",
        "alter_segmentation('shop', reset => '{currency,order_filter,policy}')",
        "drop_segmentation('shop')",
    ] {
        batch(
            &mut client,
            &format!(
                "SELECT {call}; SELECT count(customers) FROM segmentations; SELECT FROM audit_orders('sales.orders', customers => 'people')"
            ),
        );
    }
    drop(database);
}

/// Only `public` in lower case is everybody; a role called "PUBLIC" is a role like others.
#[test]
fn a_role_called_public_is_not_everybody() {
    let (database, mut client) = with_orders("segmentation_public");
    let roles = Roles::create(&database, &["other"]);
    batch(&mut client, "DROP ROLE IF EXISTS \"PUBLIC\"");
    let create = |readers: &str| {
        format!("SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', readers => '{readers}')")
    };
    for readers in ["{PUBLIC}", "{public,Public}"] {
        let (sqlstate, message, hint) = expect_error(&mut client, &create(readers));
        assert_eq!(sqlstate, "42704");
        assert!(
            message.contains("does not exist") && hint.contains("Only public in lower case is everybody"),
            "{hint}"
        );
    }
    let may_read = |role: &str| {
        let sql = format!(
            "SELECT CASE WHEN has_table_privilege('{role}', 'shop_customers', 'SELECT') THEN 'yes' ELSE 'no' END"
        );
        text(&mut quiet(&database), &sql)
    };
    batch(&mut client, "CREATE ROLE \"PUBLIC\"");
    batch(&mut client, &create("{PUBLIC}"));
    assert_eq!([may_read("PUBLIC"), may_read(&roles.name("other"))], ["yes", "no"]);
    batch(&mut client, "SELECT alter_segmentation('shop', readers => '{public}')");
    assert_eq!([may_read("PUBLIC"), may_read(&roles.name("other"))], ["yes", "yes"]);
    batch(&mut client, "SELECT alter_segmentation('shop', readers => '{PUBLIC}')");
    assert_eq!([may_read("PUBLIC"), may_read(&roles.name("other"))], ["yes", "no"]);
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{readers}')");
    assert_eq!([may_read("PUBLIC"), may_read(&roles.name("other"))], ["no", "no"]);
    batch(&mut client, "DROP ROLE \"PUBLIC\"");
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
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).expect("a pid").get::<_, i32>(0);
    let refreshed = std::thread::spawn(move || refresh(&mut client));
    let waits = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'advisory'");
    while count(&mut gate, &waits) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    batch(&mut mallory, &format!("SET ROLE {role}; SET lock_timeout = '200ms'"));
    assert_eq!(expect_error(&mut mallory, "DROP TABLE hers.shop_policies").0, "55P03");
    batch(&mut gate, "SELECT pg_advisory_unlock(7)");
    refreshed.join().expect("refreshed");
    drop(mallory);
    database.psql(&format!("DROP OWNED BY {role}, {role}_friend CASCADE; DROP ROLE {role}_friend, {role}"));
}

/// Dumped whole or without the orders, it is restored whole; then the orders are read once.
#[test]
fn a_segmentation_is_dumped_with_and_without_the_orders() {
    let (database, mut client) = shop("segmentation_dump");
    refresh(&mut client);
    let contents = VIEWS.map(|view| {
        format!("SELECT count(*) || ' ' || md5(string_agg(t::text, ',' ORDER BY t::text)) FROM public.shop_{view} AS t")
    });
    let expected = contents.each_ref().map(|sql| text(&mut client, sql));
    for arguments in [&[][..], &["-n", "public"][..]] {
        let dump = program("pg_dump").args(arguments).arg(&database.name).output().expect("pg_dump runs");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let restored = Database::new("segmentation_restored");
        // The template has the extension, and a dump of everything makes it.
        let before = if arguments.is_empty() { "DROP EXTENSION pg_rfm; DROP SCHEMA rfm; " } else { "" };
        let script = String::from_utf8(dump.stdout).expect("UTF-8").replace("CREATE SCHEMA public;", "");
        restored.psql(&format!("{before}{script}"));
        let mut other = quiet(&restored);
        assert_eq!(contents.each_ref().map(|sql| text(&mut other, sql)), expected, "{arguments:?}");
        if !arguments.is_empty() {
            batch(&mut other, ORDERS);
        }
        refresh(&mut other);
        batch(&mut other, "INSERT INTO sales.orders VALUES (9001, 1, '2026-06-01', 10)");
        refresh(&mut other);
        assert_histories(&mut other);
    }
}

#[test]
fn orders_that_cannot_be_tracked_are_refused_early() {
    let (database, mut client) = shop("segmentation_untracked");
    let role = format!("{}_ana", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role}; CREATE SCHEMA hers AUTHORIZATION {role}; GRANT USAGE ON SCHEMA rfm, sales TO {role};
             GRANT SELECT, TRIGGER ON sales.orders TO {role};
             CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
             CREATE TABLE parts (customer_id int, ordered_on date, amount numeric) PARTITION BY LIST (customer_id);
             CREATE FOREIGN TABLE archive PARTITION OF parts FOR VALUES IN (1) SERVER nowhere"
        ),
    );
    let (sqlstate, message, hint) =
        expect_error(&mut client, "SELECT create_segmentation('s', 'parts', track => 'trigger')");
    assert_eq!(sqlstate, "22023", "{message}");
    assert!(message.contains("archive is a foreign table") && hint.contains("track => 'none'"), "{message} / {hint}");
    batch(&mut client, &format!("SET ROLE {role}"));
    let again = "SELECT create_segmentation('shop', 'sales.orders', schema => 'hers', track => 'trigger')";
    let (sqlstate, message, _) = expect_error(&mut client, again);
    assert_eq!(sqlstate, "22023", "{message}");
    assert!(message.contains("another segmentation of this name"), "{message}");
    batch(&mut client, "SELECT create_segmentation('other', 'sales.orders', schema => 'hers', track => 'trigger')");
    drop(client);
    database.psql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

/// Two of a name, each its owner's, become one owner's: none of them is taken for the other.
#[test]
fn two_of_a_name_are_not_taken_for_each_other() {
    let (database, mut client) = with_orders("segmentation_twice");
    let role = format!("{}_left", database.name);
    batch(
        &mut client,
        &format!(
            "{CREATE}; CREATE ROLE {role}; CREATE SCHEMA theirs AUTHORIZATION {role}; GRANT USAGE ON SCHEMA rfm, sales TO {role};
             GRANT SELECT ON sales.orders TO {role}; SET ROLE {role};
             SELECT create_segmentation('shop', 'sales.orders', schema => 'theirs', as_of => '2026-05-31'); RESET ROLE;
             REASSIGN OWNED BY {role} TO CURRENT_USER"
        ),
    );
    for call in ["refresh_segmentation", "alter_segmentation", "drop_segmentation"] {
        let (sqlstate, message, _) = expect_error(&mut client, &format!("SELECT {call}('shop')"));
        assert_eq!(
            (sqlstate.as_str(), message.as_str()),
            ("42P09", "you own several segmentations \"shop\": public.shop_settings, theirs.shop_settings")
        );
    }
    assert_eq!(
        text(&mut client, "SELECT string_agg(as_of::text, ' ' ORDER BY schema) FROM segmentations"),
        "2026-06-30 2026-05-31"
    );
    drop(client);
    database.psql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}
