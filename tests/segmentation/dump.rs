//! A dump of a segmentation restores and goes on, with and without the orders.

use crate::common::*;
use crate::shop::*;

#[test]
fn dumps_restore_and_go_on() {
    let (database, mut client) = shop("segmentation_dump");
    batch(
        &mut client,
        "CREATE TABLE people (customer_id int, email text, membership text);
         INSERT INTO people VALUES (1, 'a@example.com', 'continuing'), (999, NULL, NULL);
         CREATE TABLE events (customer_id int, kind text, happened_at date);
         INSERT INTO events VALUES (1, 'line_friend', '2026-01-01');
         CREATE TABLE sent (customer_id int, channel text, contacted_at date, campaign text);
         INSERT INTO sent VALUES (1, 'email', '2026-06-01', 'summer');
         CREATE TABLE goals (kpi text, period date, target numeric); INSERT INTO goals VALUES ('orders', '2026-06-01', 9);
         CREATE TABLE spent (period date, purpose text, amount numeric); INSERT INTO spent VALUES ('2026-06-01', 'acquisition', 9);
         CREATE TABLE log (customer_id int, membership text, since date);
         INSERT INTO log VALUES (1, 'continuing', '2026-01-01'), (1, '02', '2026-05-01'), (2, 'withdrawn', '2026-02-01');
         SELECT alter_segmentation('shop', customers => 'people', engagement => 'events', policy => 'learn', contacts => 'sent',
                                   membership_log => 'log', targets => 'goals', costs => 'spent');
         SELECT refresh_segmentation('shop');
         SELECT refresh_segmentation('shop', as_of => '2024-06-30');
         SELECT refresh_segmentation('shop');
         INSERT INTO sales.orders VALUES (1001, 1, '2026-06-01', 5)", // noted, not yet refreshed
    );
    for format in ["custom", "plain"] {
        let restored = Database::new("segmentation_restored");
        let dump = run(program("pg_dump").args(["-F", format, &database.name]));
        batch(&mut quiet(&restored), "DROP EXTENSION pg_rfm; DROP SCHEMA rfm");
        let name = &restored.name;
        match format {
            "custom" => run_with_input(program("pg_restore").args(["-d", name, "--exit-on-error"]), dump),
            _ => run_with_input(program("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", name]), dump),
        };

        let mut copy = quiet(&restored);
        let tables = [
            "histories",
            "status",
            "policies",
            "noted",
            "settings",
            "engagement",
            "memberships",
            "profiles",
            "contacts",
            "changes",
        ];
        let reports = ["campaign_members", "targets", "costs", "campaigns", "kpis"];
        for relation in VIEWS.iter().chain(&tables).chain(&reports) {
            let rows = format!("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM public.shop_{relation} AS t");
            assert_eq!(text(&mut copy, &rows), text(&mut client, &rows), "{format}: {relation}");
        }
        assert!(count(&mut copy, "SELECT count(*) FROM shop_changes") > 20);
        copy_customers(&mut copy, "customer_id");
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
        assert_replays(&mut copy, "customer_id", format);
        batch(
            &mut copy,
            "SELECT refresh_segmentation('shop', \"full\" => true); SELECT alter_segmentation('shop', time_zone => 'Asia/Tokyo')",
        );
        assert_histories(&mut copy);
        batch(&mut copy, "SELECT drop_segmentation('shop')");
    }
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
        let dump = run(program("pg_dump").args(arguments).arg(&database.name));
        let restored = Database::new("segmentation_restored");
        // The template has the extension, and a dump of everything makes it.
        let before = if arguments.is_empty() { "DROP EXTENSION pg_rfm; DROP SCHEMA rfm; " } else { "" };
        let script = String::from_utf8(dump).expect("UTF-8").replace("CREATE SCHEMA public;", "");
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
