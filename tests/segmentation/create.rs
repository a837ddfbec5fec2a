//! Making a segmentation: what it finds by itself, what it refuses, and what of the session does not matter to it.

use crate::common::*;
use crate::shop::*;

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
        let settings = "SELECT concat_ws(' ', customer, ordered_at, amount) FROM s_settings";
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
            "customer_id int, ordered_at date, amount int, d text",
            ", discounted => 'd'",
            "42804",
            "column d of public.t is text, which cannot be discounted",
            "It must be a boolean, or a number: above 0 is a discount. A view over the table can cast it.",
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
        let before = (objects(&mut client), text(&mut client, "SELECT s::text FROM shop_settings AS s"));
        let (found, message, hint) = expect_error(&mut client, &format!("SELECT {call}"));
        assert_eq!(found, sqlstate, "{call}: {message}");
        assert!(message.contains(part) || hint.contains(part), "{call}: {message} / {hint}");
        let after = (objects(&mut client), text(&mut client, "SELECT s::text FROM shop_settings AS s"));
        assert_eq!(after, before, "{call}");
    }
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
        ("_lock_own", "text, boolean"),
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
                 SELECT rfm.alter_segmentation('shop', time_zone => 'Asia/Tokyo');
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
