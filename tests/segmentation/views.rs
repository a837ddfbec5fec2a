//! What the views hold and what they say of themselves.

use crate::common::*;
use crate::shop::*;

#[test]
fn every_view_has_a_key_and_every_column_a_comment() {
    let (_database, mut client) = with_orders("segmentation_comments");
    batch(
        &mut client,
        "CREATE TABLE members (customer_id int, membership text, email text); INSERT INTO members SELECT i, NULL, NULL FROM generate_series(30, 60) AS i;
         CREATE TABLE events (customer_id int, kind text, happened_at date);
         CREATE TABLE sent (customer_id int, channel text, contacted_at date, campaign text);
         INSERT INTO sent VALUES (1, 'email', '2026-06-01', 'summer');
         CREATE TABLE goals (kpi text, period date, target numeric); CREATE TABLE spent (period date, purpose text, amount numeric);
         SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', customers => 'members', engagement => 'events',
                                    contacts => 'sent', targets => 'goals', costs => 'spent', track => 'trigger')",
    );
    let silent = "SELECT string_agg(c.relname || coalesce('.' || a.attname, ''), ', ')
                  FROM pg_class AS c
                  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND c.relname <> 'shop_settings'
                  WHERE c.relname LIKE 'shop\\_%' AND c.relkind IN ('r', 'v', 'm')
                      AND (obj_description(c.oid, 'pg_class') IS NULL OR a.attnum IS NOT NULL AND col_description(c.oid, a.attnum) IS NULL)";
    assert_eq!(text(&mut client, silent), "");
    batch(&mut client, "SELECT obj_description('shop_note_changes'::regproc, 'pg_proc')");
    for view in VIEWS.iter().chain(&["campaigns", "kpis"]) {
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
    assert_eq!(text(&mut client, &wrong_reads("'shop'")), "");
    let texts = client.query("SELECT relation, kind, query, unique_key FROM segmentation_sql('shop')", &[]).unwrap();
    assert_eq!(texts.len(), 10);
    batch(&mut client, "SET search_path = ''");
    for row in texts {
        let [mut relation, kind, query] = [0, 1, 2].map(|i| row.get::<_, String>(i));
        if relation == "public.shop_status" {
            // The figures of a refresh are not among what the views read.
            relation = format!("(SELECT segmentation, as_of, time_zone, lang, policy FROM {relation})");
        }
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

/// Where no day is fixed, the day of the status is today by the segmentation's clock, and its policy the one in force.
#[test]
fn segmentation_sql_asks_for_today() {
    let (_database, mut client) = shop("segmentation_sql_today");
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', reset => '{as_of}', time_zone => 'Pacific/Kiritimati', policy => 'rental_90')",
    );
    let query = text(&mut client, "SELECT query FROM segmentation_sql('shop') WHERE relation = 'public.shop_status'");
    let same = format!(
        "SELECT (q.as_of - s.as_of IN (0, 1) AND q.as_of = (now() AT TIME ZONE 'Pacific/Kiritimati')::date -- midnight may pass
                 AND q.policy = s.policy AND q.policy = preset_policy('rental_90'))::text
         FROM ({query}) AS q CROSS JOIN shop_status AS s"
    );
    assert_eq!(text(&mut client, &same), "true");
}

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
         SELECT create_segmentation('shop', 'orders', as_of => '2023-06-30', views => '{movement}');
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

/// A Sankey chart takes the reports of moves as they are: labels with their months, which make chains without a cycle that lose
/// nobody from one month to the next.
#[test]
fn moves_are_chains_of_labels_with_their_months() {
    let (_database, mut client) = with_orders("segmentation_nodes");
    batch(
        &mut client,
        "CREATE TABLE people AS SELECT i AS customer_id, i % 2 AS half FROM generate_series(0, 36) AS i;
         SET DateStyle = 'German';
         SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', customers => 'people', attributes => '{half}')",
    );
    for lang in ["en", "ja"] {
        batch(&mut client, &format!("SELECT alter_segmentation('shop', lang => '{lang}')"));
        for (view, dimensions) in
            [("movement", ""), ("movement_by", "attribute, value, "), ("transitions", "dimension, ")]
        {
            let named = format!(
                "SELECT count(*) FROM shop_{view}
                 WHERE from_node <> from_label || to_char(from_day, ' YYYY-MM') OR to_node <> to_label || to_char(to_day, ' YYYY-MM')
                       OR from_node IS NULL OR to_node IS NULL"
            );
            assert_eq!(count(&mut client, &named), 0, "{view}, {lang}");
            let kept = |node: &str, months: &str| {
                format!(
                    "SELECT {dimensions}{node}, sum(customers) FROM shop_{view} WHERE {months} GROUP BY {dimensions}{node}"
                )
            };
            let arrived = kept("to_node", &format!("to_day < (SELECT max(to_day) FROM shop_{view})"));
            let left = format!(
                "{} HAVING min(from_order) > 0",
                kept("from_node", &format!("from_day > (SELECT min(from_day) FROM shop_{view})"))
            );
            assert_same_rows(&mut client, &format!("{view}, {lang}"), &left, &arrived, 30);
        }
        let circular = "
            WITH RECURSIVE moves AS (SELECT DISTINCT from_node, to_node FROM shop_movement), reached AS (
                SELECT from_node, to_node FROM moves UNION SELECT r.from_node, m.to_node FROM reached AS r JOIN moves AS m ON m.from_node = r.to_node)
            SELECT count(*) FILTER (WHERE from_node = to_node) || ' of ' || count(*) FROM reached";
        let circular = text(&mut client, circular);
        assert!(circular.starts_with("0 of ") && circular.len() > 6, "{circular}");
    }
}

/// The first column of time is the one that a tool takes which is not told: the month in which somebody moved.
#[test]
fn the_first_day_of_a_move_is_the_end_of_its_month() {
    let (_database, mut client) = shop("segmentation_first_day");
    for view in ["movement", "transitions"] {
        let first = format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'shop_{view}'::regclass AND atttypid = 'date'::regtype ORDER BY attnum LIMIT 1"
        );
        assert_eq!(text(&mut client, &first), "to_day", "{view}");
    }
}

/// What is printed can be run.
#[test]
fn the_printed_lines_run() {
    let (database, mut client) = with_orders("segmentation_printed");
    let said = database.said("SELECT create_segmentation('it''s', 'sales.orders')");
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

/// The last contact is that of the log, or the one that the customers' table knows of, whichever is later, and none of those
/// after `as_of`; a customer who waits has a step behind the wait.
#[test]
fn the_last_contact_comes_from_the_log_too() {
    let (_database, mut client) = with_orders("segmentation_last_contact");
    batch(
        &mut client,
        "CREATE TABLE people (customer_id int, last_contacted_on date);
         INSERT INTO people VALUES (1, NULL), (2, '2026-06-25'), (3, '2026-07-05'), (4, '2026-06-01');
         CREATE TABLE sent (customer_id int, channel text, contacted_at date);
         INSERT INTO sent VALUES (1, 'email', '2026-06-28'), (1, 'email', '2026-07-02'), (2, 'email', '2026-06-20'),
                                 (4, 'email', '2026-06-02');
         SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', customers => 'people', contacts => 'sent')",
    );
    let last = "SELECT string_agg(concat_ws(':', customer_id, last_contacted_on), ' ' ORDER BY customer_id)
                FROM shop_customers WHERE customer_id BETWEEN 1 AND 4";
    assert_eq!(text(&mut client, last), "1:2026-06-28 2:2026-06-25 3 4:2026-06-02");
    let behind = "SELECT string_agg(DISTINCT concat_ws(':', next_action = 'wait', action_after_wait IS NOT NULL), ' ') FROM shop_customers";
    assert_eq!(text(&mut client, behind), "f:f t:t");
}

/// Everything a shop may name, some of it of later days: who is not due stays as she is, row by row, and whoever changes was due.
#[test]
fn customers_stay_as_they_are_until_they_are_due() {
    let (_database, mut client) = with_orders("segmentation_due");
    batch(
        &mut client,
        "CREATE TABLE people (customer_id int, membership text, email text, last_contacted_on date);
         INSERT INTO people SELECT i, (ARRAY['continuing', 'paused', NULL])[1 + i % 3], CASE WHEN i % 4 > 0 THEN 'a@example.com' END,
                                   date '2026-06-20' + i % 25 FROM generate_series(1, 45) AS i;
         CREATE TABLE sent (customer_id int, channel text, contacted_at date);
         INSERT INTO sent SELECT i % 41, 'email', date '2026-05-20' + i * 31 % 60 FROM generate_series(1, 90) AS i;
         CREATE TABLE done (customer_id int, kind text, happened_at date);
         INSERT INTO done SELECT i % 43, (ARRAY['review', 'complaint', 'referral', 'survey'])[1 + i % 4], date '2026-07-15' - i * 37 % 450
         FROM generate_series(1, 200) AS i;
         CREATE TABLE members (customer_id int, membership text, changed_on date);
         INSERT INTO members SELECT i % 29, (ARRAY['continuing', 'paused', 'withdrawn'])[1 + i % 3], date '2026-07-20' - i * 11 % 90
         FROM generate_series(1, 60) AS i;
         INSERT INTO sales.orders SELECT 1000 + i, i, date '2026-06-25' + i % 30, 100 + i FROM generate_series(30, 60) AS i;
         SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-20', customers => 'people', contacts => 'sent',
                                    engagement => 'done', membership_log => 'members', first_order => '{order_no}')",
    );
    let mut seen = (0, 0);
    for later in 1..=40 {
        batch(
            &mut client,
            &format!(
                "CREATE TABLE before AS TABLE shop_customers;
                 SELECT refresh_segmentation('shop', as_of => date '2026-06-20' + {later});
                 CREATE TABLE moved AS
                 SELECT b.next_change_on <= date '2026-06-20' + {later} IS TRUE AS was_due, b.*::text IS DISTINCT FROM c.*::text AS changed
                 FROM before AS b FULL JOIN shop_customers AS c USING (customer_id)"
            ),
        );
        let of = |condition: &str| format!("SELECT count(*) FROM moved WHERE {condition}");
        assert_eq!(count(&mut client, &of("changed AND NOT was_due")), 0, "day {later}");
        seen.0 += count(&mut client, &of("was_due"));
        seen.1 += count(&mut client, &of("changed"));
        batch(&mut client, "DROP TABLE before, moved");
    }
    assert!(seen.0 < 40 * 15 && seen.1 > 100, "{seen:?} were due and changed");
    let index = "SELECT indexdef FROM pg_indexes WHERE indexname = 'shop_customers_due'";
    assert!(text(&mut client, index).ends_with("ON public.shop_customers USING btree (next_change_on)"));
}
