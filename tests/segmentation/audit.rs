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
         several memberships at one time|1|0.142857|(2,\"2026-02-01 00:00:00\")|the last of continuing, ad_hoc, paused, withdrawn counts"
    );
    batch(&mut client, "DELETE FROM log");
    assert_eq!(
        count(&mut client, "SELECT count(*) FROM audit_orders('orders', membership_log => 'log') WHERE rows > 0"),
        0
    );
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
