//! The audit of the orders: what it counts, and what it neither reads nor shows.

use crate::common::*;

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
    let good = ", order_filter => 'order_no <= 60 -- the good ones'";
    assert_eq!(audit(&mut client, good), "orders end long before as_of|60|1.000000");
    let then =
        format!("SELECT count(*) FROM audit_orders('orders', as_of => '2026-01-04', time_zone => 'Asia/Tokyo'{good})");
    assert_eq!(count(&mut client, &then), 0);
    batch(&mut client, "TRUNCATE orders");
    assert_eq!(audit(&mut client, ""), "no orders|0");
    batch(&mut client, "INSERT INTO orders VALUES (1, NULL, '2026-01-01', 5, 'JPY'), (2, 1, NULL, 5, 'JPY')");
    assert!(audit(&mut client, "").contains("no orders|0"));
    batch(&mut client, "TRUNCATE orders");

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
    let said = database.said("SELECT rfm.create_segmentation('shop', 'public.orders', schema => 'public')");
    for part in [
        "shop: no customer: 1 (50.00 %); ignored; for example: (,\"2026-01-01 00:00:00+00\",5)",
        "shop: amount zero: 1 (50.00 %)",
        "shop: histories: 1 rows, ",
        "shop: actions: 1 rows, ",
        "SELECT cron.schedule('refresh shop', '15 3 * * *', 'SELECT rfm.refresh_segmentation(''shop'')');",
        "GRANT USAGE ON SCHEMA public, rfm TO reader",
        "SELECT rfm.alter_segmentation('shop', readers => '{reader}')",
    ] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
}

/// Guest orders with an empty key are one customer, and one key in several spellings is several customers: both are found,
/// and what the findings propose mends them.
#[test]
fn keys_that_are_empty_or_spelled_in_several_ways_are_found() {
    let database = Database::new("segmentation_keys");
    let mut client = quiet(&database);
    for kind in ["text", "varchar(20)", "char(12)"] {
        batch(
            &mut client,
            &format!(
                "DROP TABLE IF EXISTS orders;
                 CREATE TABLE orders (customer_id {kind}, ordered_on date, amount numeric);
                 INSERT INTO orders SELECT k, date '2026-06-01' + n, 5000
                 FROM unnest(ARRAY['', ' ', '　', NULL, 'c1', 'C1', 'Ｃ１', E'\tc1\n', 'c2', '０３', '03', 'c 3', 'c3', 'ｄ4', 'D4']) AS k,
                      generate_series(1, 2) AS n"
            ),
        );
        let found = |client: &mut Client, filter: &str| {
            text(
                client,
                &format!(
                    "SELECT coalesce(string_agg(concat_ws('|', finding, rows, share, translate(example, E'\\t\\n', '__')), E'\n' ORDER BY finding), '')
                     FROM audit_orders('orders', as_of => '2026-06-30'{filter}) WHERE finding ~ 'key|no customer'"
                ),
            )
        };
        // Of the 11 customers with a key c1 has four spellings, 03 and d4 two each; blanks within a key tell.
        let found_now = found(&mut client, "");
        let lines: Vec<&str> = found_now.lines().collect();
        assert_eq!(lines.len(), 3, "{found_now}");
        assert!(lines[0].starts_with("empty key|6|0.200000|("), "{found_now}");
        assert!(lines[1].starts_with("keys that differ only in width, case or blanks|8|0.727273|("), "{found_now}");
        assert!(lines[1].contains("_c1_") && lines[1].contains("Ｃ１"), "{found_now}");
        assert_eq!(lines[2].split('|').take(3).collect::<Vec<_>>(), ["no customer", "2", "0.066667"]);
        // The filter that is proposed leaves the empty ones out, beside one that there is.
        for filter in ["", ", order_filter => 'amount > 0 -- all of them'"] {
            let proposed = format!(
                "SELECT split_part(effect, 'order_filter => ', 2) FROM audit_orders('orders', as_of => '2026-06-30'{filter})
                 WHERE finding = 'empty key'"
            );
            let proposed = text(&mut client, &proposed);
            let after = found(&mut client, &format!(", order_filter => {proposed}"));
            assert!(!after.contains("empty key") && after.contains("|8|0.727273|"), "{proposed}: {after}");
        }
        // So does the spelling that is proposed.
        let folded = text(
            &mut client,
            "SELECT split_part(effect, 'in one way: ', 2) FROM audit_orders('orders') WHERE finding LIKE 'keys that differ%'",
        );
        batch(
            &mut client,
            &format!("CREATE VIEW alike AS SELECT {folded} AS customer_id, ordered_on, amount FROM orders"),
        );
        let left = "SELECT count(*) FROM audit_orders('alike') WHERE finding LIKE 'keys that differ%'";
        assert_eq!(count(&mut client, left), 0);
        assert_eq!(count(&mut client, "SELECT count(DISTINCT customer_id) FROM alike WHERE customer_id <> ''"), 6);
        batch(&mut client, "DROP VIEW alike");
    }

    // Numbers have no spellings, and a shop of its own tells customers apart.
    batch(
        &mut client,
        "CREATE TABLE of_shops (shop text, customer_id int, ordered_on date, amount numeric);
         INSERT INTO of_shops VALUES ('a', 1, '2026-06-01', 5), ('A', 2, '2026-06-01', 5), ('A', 1, '2026-06-01', 5), ('', 3, '2026-06-01', 5),
                                     (NULL, 1, '2026-06-01', 5), ('a', NULL, '2026-06-01', 5);
         CREATE TABLE events (shop text, customer_id int, kind text, happened_at date); INSERT INTO events VALUES (NULL, 1, 'review', '2026-06-01')",
    );
    let found = "SELECT string_agg(concat_ws('|', finding, rows, example), E'\n' ORDER BY finding)
                 FROM audit_orders('of_shops', tenant => 'shop', engagement => 'events', as_of => '2026-06-30')
                 WHERE finding ~ 'key|customer or|no customer'";
    assert_eq!(
        text(&mut client, found),
        "empty key|1|(\"\",3,2026-06-01,5)\nengagement: no customer or tenant|1|(,1,2026-06-01,review)\n\
         keys that differ only in width, case or blanks|2|(A,1) (a,1)\nno customer or tenant|2|(,1,2026-06-01,5)"
    );
    assert!(!text(&mut client, &found.replace("tenant => 'shop', ", "")).contains("differ"));
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
            "GRANT TEMPORARY ON DATABASE {} TO @analyst; {}",
            database.name,
            include_str!("secret_columns.sql")
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
    let all =
        format!("{arguments}, engagement => 'sales.events', contacts => 'sales.sent', membership_log => 'sales.log'");
    for (role, sources) in
        [(Some("analyst"), "'sales.orders', as_of => '2026-06-30'"), (Some("analyst"), &all), (None, &all)]
    {
        let created = said(role, &format!("SELECT create_segmentation('shop', {sources}, schema => 'reports')"));
        assert!(created.contains("shop: no customer: 1 (1.45 %); ignored; for example: (,2026-01-01,5)"), "{created}");
        batch(
            &mut client,
            "INSERT INTO sales.orders (number, customer_id, ordered_at, amount) VALUES (200, 3, '2026-06-30', 1)",
        );
        said(role, "SELECT refresh_segmentation('shop')");
        said(role, "SELECT alter_segmentation('shop', time_zone => 'Asia/Tokyo')");
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

/// What is odd about a log of memberships, beside what the customers' table says.
#[test]
fn a_log_of_memberships_is_audited() {
    let database = Database::new("segmentation_audit_log");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_at date, amount int);
         CREATE TABLE log (customer_id int, membership text, since timestamp);
         INSERT INTO log VALUES (1, '01', '2026-01-01 10:00'), (1, '02', '2026-01-01 11:00'), (2, '01', '2026-02-01'), (2, '03', '2026-02-01'),
             (3, NULL, '2026-01-01'), (3, 'paused', NULL), (3, 'ad_hoc', '2026-07-01'), (NULL, 'gold', '2026-01-01');
         CREATE TABLE people (customer_id int, membership text);
         INSERT INTO people VALUES (1, 'paused'), (2, '01'), (3, NULL), (4, '01')",
    );
    let found = "SELECT string_agg(concat_ws('|', finding, rows, share, example, effect), E'\\n' ORDER BY finding)
                 FROM audit_orders('orders', membership_log => 'log', customers => 'people', as_of => '2026-06-30')
                 WHERE rows IS NOT NULL";
    assert_eq!(
        text(&mut client, found),
        "customers: customer without orders|4|1.000000|(1)|prospects; if they have orders, the keys are written in another way there\n\
         entry without membership or day|2|0.285714|(3,,2026-01-01)|ignored\n\
         log and customers disagree|1|0.333333|(2,withdrawn,continuing)|the log of memberships counts\n\
         membership in the future|1|0.142857|(3,ad_hoc,2026-07-01)|invisible until that day\n\
         membership_log: no customer|1|0.125000|()|ignored\n\
         no orders|0|public.orders|nobody has bought anything; look at the table, its columns and order_filter\n\
         several memberships at one time|1|0.142857|(2,\"2026-02-01 00:00:00\")|the last of continuing, ad_hoc, paused, withdrawn counts"
    );
    batch(&mut client, "DELETE FROM log");
    assert_eq!(
        count(&mut client, "SELECT count(*) FROM audit_orders('orders', membership_log => 'log') WHERE rows > 0"),
        0
    );
}

/// Moments without a named time zone are days of the session's: said where that is UTC, which is that of a server and not of a
/// shop in Japan.
#[test]
fn days_of_utc_that_nobody_asked_for_are_found() {
    let database = Database::new("segmentation_utc");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_at timestamptz, amount numeric);
         INSERT INTO orders VALUES (1, '2026-06-01 16:00+00', 5), (1, '2026-06-02 01:00+00', 5), (1, NULL, 5);
         CREATE DOMAIN moment AS timestamptz; CREATE TABLE of_domain AS SELECT customer_id, ordered_at::moment, amount FROM orders;
         CREATE VIEW of_days AS SELECT customer_id, ordered_at::date, amount FROM orders;
         CREATE VIEW of_clocks AS SELECT customer_id, ordered_at::timestamp, amount FROM orders",
    );
    let found = |client: &mut Client, zone: &str, arguments: &str| {
        let found = format!(
            "SELECT coalesce(string_agg(concat_ws('|', rows, share, example, effect), E'\n'), '')
             FROM audit_orders({arguments}) WHERE finding = 'days are those of UTC'"
        );
        batch(client, &format!("SET TimeZone = '{zone}'"));
        text(client, &found)
    };
    let expected = "2|0.666667|2026-06-02 01:00:00+00|it is the session's time zone, and none was named; name that of the shop: \
                    time_zone => 'Asia/Tokyo'";
    // Newer releases of Debian have the old names in a package of their own.
    let old_name = text(&mut client, "SELECT coalesce(min(name), 'UTC') FROM pg_timezone_names WHERE name = 'Zulu'");
    for zone in ["UTC", "utc", "GMT", "Etc/UTC", "Etc/GMT", &old_name] {
        assert_eq!(found(&mut client, zone, "'orders'"), expected, "{zone}");
    }
    assert_eq!(found(&mut client, "UTC", "'of_domain'"), expected);
    for (zone, arguments) in [
        ("Asia/Tokyo", "'orders'"),
        ("Europe/London", "'orders'"),
        ("Etc/GMT+9", "'orders'"),
        ("UTC", "'orders', time_zone => 'Asia/Tokyo'"),
        ("UTC", "'orders', time_zone => 'UTC'"),
        ("UTC", "'of_days'"),
        ("UTC", "'of_clocks'"),
    ] {
        assert_eq!(found(&mut client, zone, arguments), "", "{zone}: {arguments}");
    }
    let said = database.said("SELECT rfm.create_segmentation('shop', 'public.orders', schema => 'public')");
    assert!(said.contains("shop: days are those of UTC: 2 (66.67 %)"), "{said}");
    let said = database.said(
        "SELECT rfm.create_segmentation('tokyo', 'public.orders', schema => 'public', time_zone => 'Asia/Tokyo')",
    );
    assert!(!said.contains("UTC"), "{said}");
    let days = "SELECT (SELECT string_agg(last_purchase_on::text, ' ') FROM shop_customers) || ' ' || (SELECT time_zone FROM tokyo_settings)";
    assert_eq!(text(&mut client, days), "2026-06-02 Asia/Tokyo");
}

/// Addresses that were typed and reach nobody are counted, each by what normalizes it.
#[test]
fn addresses_that_reach_nobody_are_found() {
    let database = Database::new("segmentation_addresses");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_at date, amount numeric); INSERT INTO orders VALUES (1, '2026-06-01', 5);
         CREATE TABLE people (customer_id int, email text, phone text, address text, line_id text);
         INSERT INTO people VALUES (1, 'a@example.com', '9012345678', '東京都足立区本木1-2-3', 'hanako.line'),
             (2, 'a@example', '090-1234-567', '東京都', 'x'), (3, '', '　', ' ', NULL), (4, 'なし', '03-1234-5678 内線5', NULL, '-'), (NULL, '?', NULL, NULL, NULL)",
    );
    let found = "SELECT string_agg(concat_ws('|', finding, rows, share, example, effect), E'\n' ORDER BY finding)
                 FROM audit_orders('orders', customers => 'people') WHERE finding LIKE '% typed but unusable'";
    assert_eq!(
        text(&mut client, found),
        "customers: LINE id typed but unusable|2|0.400000|(2)|nobody is reached by it\n\
         customers: e-mail typed but unusable|3|0.600000|()|nobody is reached by it\n\
         customers: phone typed but unusable|1|0.200000|(2)|nobody is reached by it\n\
         customers: postal address typed but unusable|1|0.200000|(2)|nobody is reached by it"
    );
    let by_hand = "SELECT count(*) FILTER (WHERE normalized_email(email) IS NULL AND btrim(email, ' 　') <> ''),
                          count(*) FILTER (WHERE normalized_phone(phone, 'JP') IS NULL AND btrim(phone, ' 　') <> '') FROM people";
    let row = client.query_one(by_hand, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 1));
    let none = "SELECT count(*) FROM audit_orders('orders', customers => 'people', customers_columns => '{\"email\": null, \"phone\": null}')
                WHERE finding ~ 'e-mail|phone'";
    assert_eq!(count(&mut client, none), 0);
}

/// A tenant is another column than the customer, in every table.
#[test]
fn a_customer_is_no_tenant() {
    let database = Database::new("segmentation_same_column");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, shop int, ordered_at date, amount numeric);
         CREATE TABLE events (customer_id int, kind text, happened_at date)",
    );
    for (arguments, message) in [
        ("tenant => 'customer_id'", "tenant and customer of public.orders are the same column: customer_id"),
        (
            "tenant => 'shop', engagement => 'events', engagement_columns => '{\"tenant\": \"customer_id\"}'",
            "tenant and customer of public.events are the same column: customer_id",
        ),
    ] {
        for call in ["create_segmentation('shop', 'orders',", "audit_orders('orders',"] {
            let (sqlstate, found, hint) = expect_error(&mut client, &format!("SELECT {call} {arguments})"));
            assert_eq!((sqlstate.as_str(), found.as_str()), ("22023", message), "{call} {arguments}");
            assert!(hint.contains("tells several shops apart"), "{hint}");
        }
    }
}

/// An order and its full refund on one day under one number are an order of nothing.
#[test]
fn orders_that_sum_to_zero_are_found() {
    let database = Database::new("segmentation_zero");
    let mut client = quiet(&database);
    for kind in ["numeric", "double precision"] {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE orders (customer_id int, order_no int, ordered_on date, amount {kind});
                 INSERT INTO orders VALUES (1, 1, '2026-01-01', 0.3), (1, 1, '2026-01-01', -0.1), (1, 1, '2026-01-01', -0.2), (1, 2, '2026-01-01', 5),
                     (1, 2, '2026-01-02', -5), (1, 3, '2026-01-01', 0), (1, NULL, '2026-01-05', 5), (1, NULL, '2026-01-05', -5), (2, 1, '2026-01-01', 'NaN'),
                     (NULL, 9, '2026-01-01', 5), (NULL, 9, '2026-01-01', -5), (2, 8, '2026-01-01', 5), (2, 8, '2026-01-01', -5)"
            ),
        );
        let found = |client: &mut Client, more: &str| {
            text(
                client,
                &format!(
                    "SELECT coalesce(string_agg(concat_ws('|', rows, share, example, effect), E'\n'), '')
                     FROM audit_orders('orders', as_of => '2026-01-31'{more}) WHERE finding = 'orders that sum to zero'"
                ),
            )
        };
        // Of the orders and days (1, 1), (1, 2) twice, (1, 3), (2, 1) and (2, 8) two.
        assert_eq!(
            found(&mut client, ", order_id => 'order_no'"),
            "2|0.333333|(1,1,2026-01-01)|an order that adds nothing to monetary; a view over the orders can leave them out",
            "{kind}"
        );
        assert_eq!(found(&mut client, ""), "");
        assert_eq!(found(&mut client, ", order_id => 'order_no', order_filter => 'amount > 0'"), "");
        batch(&mut client, "DROP TABLE orders");
    }
}

#[test]
fn amounts_that_are_no_numbers_are_found() {
    let database = Database::new("segmentation_infinite");
    let mut client = quiet(&database);
    let numeric = if client.batch_execute("SELECT 'Infinity'::numeric").is_ok() {
        3
    } else {
        eprintln!("left out: infinite amounts of type numeric: this server has none"); // PostgreSQL 14 has
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

/// Lines of a later day than the first of their order are counted: numbers may be used again.
#[test]
fn order_numbers_of_several_days_are_found() {
    let database = Database::new("segmentation_several_days");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE lines (customer_id int, order_no int, ordered_on date, amount numeric);
         INSERT INTO lines VALUES (1, 1, '2026-01-01', 5), (1, 1, '2026-01-03', -5), (1, 1, '2026-01-03', 1), (1, 2, '2026-01-01', 7),
                                  (2, 1, '2026-01-02', 7), (1, NULL, '2026-01-01', 7), (1, NULL, '2026-01-02', 7), (1, 2, NULL, 7)",
    );
    let found = |client: &mut Client, more: &str| {
        text(
            client,
            &format!(
                "SELECT string_agg(concat_ws('; ', finding, rows, share, example, effect), E'\n' ORDER BY finding)
                 FROM audit_orders('lines', as_of => '2026-06-30'{more}) WHERE finding ~ 'several|negative'"
            ),
        )
    };
    assert_eq!(
        found(&mut client, ", order_id => 'order_no'"),
        "amount negative; 1; 0.125000; (1,2026-01-03,-5); lowers its order on that day; where their sum is negative, a refund\n\
         several days an order number; 2; 0.250000; (1,2026-01-03,-4); change the amount on their own day and are no second \
         order; numbers that are used again have to be told apart"
    );
    batch(&mut client, "DELETE FROM lines WHERE ordered_on = '2026-01-03'");
    assert_eq!(found(&mut client, ", order_id => 'order_no'"), "");
}

/// What the audit asks before it groups all orders: PostgreSQL's own DISTINCT says whether the answer is right.
#[test]
fn rows_that_repeat_are_told_from_rows_that_do_not() {
    let database = Database::new("audit_differ");
    let mut client = quiet(&database);
    batch(&mut client, "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    for (rows, are_told) in [
        ("SELECT g, g % 7, g / 3.0 FROM generate_series(1, 400000) AS g", true),
        ("SELECT g % 399999, 1 FROM generate_series(1, 400000) AS g", true),
        ("SELECT 1 WHERE false", true),
        ("SELECT v, NULL::date FROM (VALUES (1.0), (1.00)) AS t (v)", true),
        ("SELECT v FROM (VALUES (NULL), (1), (0)) AS t (v)", true),
        ("SELECT v FROM (VALUES (NULL::int), (NULL)) AS t (v)", true),
        ("SELECT v FROM (VALUES (0.0::float8), (-0.0::float8)) AS t (v)", true),
        ("SELECT a, b FROM (VALUES (1, NULL), (NULL, 1)) AS t (a, b)", true),
        ("SELECT v COLLATE any_case FROM (VALUES ('a'), ('A')) AS t (v)", true),
        ("SELECT v COLLATE \"C\" FROM (VALUES ('a'), ('A')) AS t (v)", true),
        (
            "SELECT repeat(g::text, 3000), ARRAY[g, NULL], now() + g * interval '1 day' FROM generate_series(1, 500) AS g",
            true,
        ),
        ("SELECT g::bit(8) FROM generate_series(1, 9) AS g", false), // a type without hashes
    ] {
        let differ: bool = one(
            &mut client,
            &format!(
                "SELECT (SELECT count(*) FROM ({rows}) AS r) = (SELECT count(*) FROM (SELECT DISTINCT * FROM ({rows}) AS r) AS d)"
            ),
        );
        for work_mem in ["64kB", "64MB"] {
            batch(&mut client, &format!("SET work_mem = '{work_mem}'"));
            let told: bool = one(&mut client, &format!("SELECT _rows_differ($rows${rows}$rows$)"));
            assert_eq!(differ && are_told, told, "{rows}");
        }
    }
    for wrong in ["SELECT 1; SELECT 2", "DELETE FROM pg_class", "SELECT 1 / 0", "COMMIT", "", "SELECT 'x' FROM nowhere"]
    {
        expect_error(&mut client, &format!("SELECT _rows_differ($rows${wrong}$rows$)"));
    }
}
