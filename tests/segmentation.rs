//! Segmentations as a DBA meets them: what is found by itself, what is refused and how, whose rights count, and what survives.

mod common;

use common::{Database, batch, expect_error, program};
use postgres::Client;
use std::process::Stdio;

const VIEWS: [&str; 5] = ["customers", "segments", "movement", "cohorts", "actions"];

const ORDERS: &str = "
    CREATE SCHEMA sales;
    CREATE TABLE sales.orders (order_no int PRIMARY KEY, customer_id int, ordered_at date, amount numeric);
    CREATE INDEX ON sales.orders (customer_id);
    INSERT INTO sales.orders
    SELECT i, i * i % 37, date '2023-01-01' + i * 53 % 1200, i * 7919 % 400 + 0.25 FROM generate_series(1, 400) AS i;";

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
                filter = format!("{} || ' <> {}'", "'o.' || quote_ident(".to_owned() + &quoted("customer ") + ")", "''''"),
                schema = ident("schema "),
                schema_text = quoted("schema "),
                table = ident("table "),
                people = ident("people "),
                events = ident("events "),
                orders_text = format!("format('%I.%I', {}, {})", quoted("schema "), quoted("table ")),
                people_text = format!("format('%I.%I', {}, {})", quoted("schema "), quoted("people ")),
                events_text = format!("format('%I.%I', {}, {})", quoted("schema "), quoted("events ")),
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
            "SELECT string_agg(concat_ws(' ', orders, monetary), ', ' ORDER BY orders) FROM {}.{}",
            ident("schema "),
            format!("\"{}_customers\"", name.replace('"', "\"\""))
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

// ---- What was seen with fresh eyes ----------------------------------------------------------------------------------

/// Whoever owns the schema puts a view of hers in the place of a table: looking at the list does not run it.
#[test]
fn the_list_does_not_read_what_belongs_to_others() {
    let (database, mut client) = with_orders("segmentation_list");
    let role = format!("{}_mallory", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role}; CREATE SCHEMA hers AUTHORIZATION {role}; GRANT USAGE ON SCHEMA rfm TO {role};
             SELECT create_segmentation('shop', 'sales.orders', schema => 'hers', as_of => '2026-06-30');
             SELECT create_segmentation('other', 'sales.orders', as_of => '2026-06-30');
             SET ROLE {role};
             DROP TABLE hers.shop_status CASCADE;
             CREATE FUNCTION hers.evil() RETURNS date LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'evil runs as %', current_user; END $$;
             CREATE VIEW hers.shop_status AS SELECT hers.evil() AS as_of, 1::bigint AS customers, now() AS refreshed_at, 1::numeric AS seconds;
             RESET ROLE"
        ),
    );
    let list = "SELECT string_agg(name || ': ' || coalesce(customers::text, 'unknown'), ', ' ORDER BY name) FROM segmentations";
    assert_eq!(text(&mut client, list), "other: 19, shop: unknown");
    batch(&mut client, &format!("SET ROLE {role}; DROP VIEW hers.shop_status; RESET ROLE"));
    assert_eq!(text(&mut client, list), "other: 19, shop: unknown"); // nor where it is missing
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
    for kind in ["double precision", "real", "numeric", "numeric(10, 2)", "integer"] {
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
        assert_eq!(finding(&mut client, "not a number"), odd as i64, "{kind}");
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
    for (order, customers) in [(9002, 21), (9003, 22)] {
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
    // Where the notes are gone the refresh fails, not the shop.
    batch(&mut client, "DROP TABLE after.shop_noted; INSERT INTO sales.orders VALUES (9005, 1, '2026-06-01', 10)");
    assert_eq!(expect_error(&mut client, "SELECT refresh_segmentation('shop')").0, "42P01");
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
    database.psql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
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
