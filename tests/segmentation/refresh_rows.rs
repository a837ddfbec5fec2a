//! `refresh_rows`: rows of any materialized view, brought up to date by its own definition. After every step a plain REFRESH
//! finds nothing to change among the rows that were named.

use crate::common::*;
use std::thread;

/// A shop's sums by customer, with an index of each kind, values that are stored out of line, and a function in an index that
/// finds what it calls through search_path.
const VIEW: &str = "
    CREATE TABLE orders (id serial, customer bigint, amount numeric, note text, place point DEFAULT '(1,2)');
    CREATE INDEX ON orders (customer);
    INSERT INTO orders (customer, amount, note) SELECT i % 300, i, 'note ' || i FROM generate_series(1, 3000) AS i;
    CREATE MATERIALIZED VIEW sums WITH (fillfactor = 50) AS
        SELECT customer, count(*) AS orders, sum(amount) AS amount, string_agg(note, ' ' ORDER BY id) AS notes,
               min(id) AS first_id, point(count(*), min(id)) AS place
        FROM orders GROUP BY customer;
    CREATE UNIQUE INDEX sums_key ON sums (customer);
    CREATE INDEX ON sums USING gin (to_tsvector('simple', notes));
    CREATE INDEX ON sums USING gist (place);
    CREATE INDEX ON sums USING spgist (place);
    CREATE INDEX ON sums USING brin (first_id);
    CREATE INDEX ON sums USING hash (orders);
    CREATE INDEX ON sums (lower(left(notes, 40))) WHERE orders > 5;";

const KEYS: &str = "SELECT customer FROM public.orders UNION SELECT customer FROM public.sums";

/// Inserted, updated, deleted, unchanged.
#[track_caller]
fn refresh(client: &mut Client, view: &str, keys: &str) -> [i64; 4] {
    let row = client.query_one("SELECT * FROM rfm.refresh_rows($1::text::regclass, $2)", &[&view, &keys]);
    let row = row.unwrap_or_else(|error| panic!("{error:?}: {keys}"));
    [0, 1, 2, 3].map(|column| row.get(column))
}

/// The view holds what its definition returns, and each of its indexes finds what a scan finds.
#[track_caller]
fn assert_fresh(client: &mut Client, view: &str, context: &str) {
    let definition: String = one(client, &format!("SELECT rtrim(pg_get_viewdef('{view}'), '; ')"));
    let (found, expected) =
        (format!("SELECT t::text FROM {view} AS t"), format!("SELECT t::text FROM ({definition}) AS t"));
    assert_same_rows(client, context, &found, &expected, 0);
}

#[track_caller]
fn assert_indexes(client: &mut Client, context: &str) {
    for condition in [
        "customer BETWEEN 0 AND 99999",
        "to_tsvector('simple', notes) @@ 'note'",
        "place <@ box '((-1,-1),(99999999,99999999))'",
        "first_id > 0",
        "orders = 10",
        "lower(left(notes, 40)) >= 'note' AND orders > 5",
    ] {
        let query = format!("SELECT customer FROM sums WHERE {condition} ORDER BY 1");
        let mut found = [true, false].map(|by_index| {
            batch(client, &format!("SET enable_seqscan = {}; SET enable_indexscan = {by_index}; SET enable_bitmapscan = {by_index}; SET enable_indexonlyscan = {by_index}", !by_index));
            client.query(&query, &[]).unwrap().iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>()
        });
        found[0].dedup();
        assert_eq!(found[0], found[1], "{context}: {condition}");
    }
    batch(client, "RESET ALL; SET search_path = public, rfm; SET client_min_messages = warning");
}

#[test]
fn rows_of_keys_are_inserted_updated_deleted_and_left() {
    let database = Database::new("rows_basic");
    let mut client = quiet(&database);
    batch(&mut client, VIEW);
    assert_eq!(refresh(&mut client, "sums", "SELECT bigint '7' AS customer"), [0, 0, 0, 1]);
    batch(
        &mut client,
        "INSERT INTO orders (customer, amount, note) VALUES (7, 1, 'more'), (8, 1, 'more'), (1001, 5, 'new'), (1002, 5, 'new');
         DELETE FROM orders WHERE customer IN (10, 11);
         -- Stored out of line, there and here.
         INSERT INTO orders (customer, amount, note)
         SELECT 9, 1, string_agg(md5(i::text), '') FROM generate_series(1, 3000) AS i",
    );
    // Keys twice, keys of nobody, and nothing of those that are not named.
    let some =
        "SELECT customer FROM public.orders WHERE customer IN (7, 9, 20) UNION ALL VALUES (10), (1001), (9999), (7)";
    assert_eq!(refresh(&mut client, "public.sums", some), [1, 2, 1, 1]);
    assert_eq!(refresh(&mut client, "sums", some), [0, 0, 0, 4]);
    assert_eq!(
        text(&mut client, "SELECT string_agg(customer::text, ',') FROM sums WHERE customer IN (10, 11, 1001, 1002)"),
        "11,1001"
    );
}

/// A shop's life: whatever is written, refreshing the keys that were written leaves what REFRESH would.
#[test]
fn after_any_changes_refresh_finds_nothing_to_change() {
    let database = Database::new("rows_random");
    let mut client = quiet(&database);
    batch(&mut client, VIEW);
    batch(&mut client, "CREATE TABLE touched (customer bigint)");
    let mut random = Random::new(21);
    for round in 0..60 {
        let (a, b) = (random.below(330), random.below(330));
        for sql in [
            format!(
                "WITH n AS (INSERT INTO orders (customer, amount, note) VALUES ({a}, {b}, repeat('x', {})) RETURNING customer) INSERT INTO touched TABLE n",
                random.below(9000)
            ),
            format!(
                "WITH n AS (DELETE FROM orders WHERE customer = {b} AND id % 3 < {} RETURNING customer) INSERT INTO touched TABLE n",
                random.below(4)
            ),
            format!(
                "WITH n AS (UPDATE orders SET amount = amount + 1 WHERE customer % 50 = {} RETURNING customer) INSERT INTO touched TABLE n",
                random.below(90)
            ),
        ] {
            batch(&mut client, &sql);
        }
        let end = random.of(&["COMMIT", "COMMIT", "ROLLBACK"]);
        batch(&mut client, "BEGIN");
        if random.below(3) == 0 {
            batch(&mut client, "SAVEPOINT s");
            refresh(&mut client, "sums", "SELECT customer FROM public.touched");
            batch(&mut client, random.of(&["ROLLBACK TO s", "RELEASE s"]));
        }
        refresh(&mut client, "sums", "SELECT customer FROM public.touched");
        batch(&mut client, end);
        if end == "COMMIT" {
            assert_fresh(&mut client, "sums", &format!("round {round}"));
            batch(&mut client, "TRUNCATE touched");
        }
    }
    refresh(&mut client, "sums", "SELECT customer FROM public.touched");
    assert_fresh(&mut client, "sums", "in the end");
    assert_indexes(&mut client, "in the end");
    // REFRESH itself says the same, to the last byte.
    batch(&mut client, "CREATE TABLE was AS SELECT t::text AS r FROM sums AS t; REFRESH MATERIALIZED VIEW sums");
    assert_same_rows(&mut client, "REFRESH", "SELECT t::text FROM sums AS t", "SELECT r FROM was", 1);
}

/// A row whose indexed columns stay is written into its own page, without another entry in any index.
#[test]
fn rows_are_updated_in_their_page_where_possible() {
    let database = Database::new("rows_hot");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE o (k int, v int); INSERT INTO o SELECT i, 0 FROM generate_series(1, 500) AS i;
         CREATE MATERIALIZED VIEW m WITH (fillfactor = 40) AS SELECT k, sum(v) AS v FROM o GROUP BY k; CREATE UNIQUE INDEX ON m (k)",
    );
    for round in 1..4 {
        batch(&mut client, &format!("BEGIN; UPDATE o SET v = {round} WHERE k % 50 = 0"));
        assert_eq!(refresh(&mut client, "m", "SELECT k FROM public.o WHERE k % 50 = 0"), [0, 10, 0, 0]);
        let all_in_place = "SELECT pg_stat_get_xact_tuples_updated(c.oid) = pg_stat_get_xact_tuples_hot_updated(c.oid)
                    AND pg_stat_get_xact_tuples_updated(c.oid) >= 10
             FROM pg_class AS c WHERE c.oid = 'm'::regclass";
        assert!(one::<bool>(&mut client, all_in_place), "round {round}");
        batch(&mut client, "COMMIT");
    }
    assert_fresh(&mut client, "m", "in the end");
}

/// Several columns, of which all must agree, a domain, a column that has to be quoted, and names that mean something else through
/// search_path.
#[test]
fn keys_of_several_columns_and_types() {
    let database = Database::new("rows_keys");
    let mut client = quiet(&database);
    batch(
        &mut client,
        r#"CREATE DOMAIN code AS text CHECK (VALUE <> '');
           CREATE TABLE o ("the shop" code, id uuid, v int);
           INSERT INTO o SELECT 's' || i % 3, md5((i % 7)::text)::uuid, i FROM generate_series(1, 100) AS i;
           CREATE MATERIALIZED VIEW m AS SELECT id, "the shop", sum(v) AS t, max(v) AS f FROM o GROUP BY id, "the shop";
           CREATE UNIQUE INDEX ON m (id, "the shop"); CREATE UNIQUE INDEX ON m (f) WHERE f < 0; CREATE UNIQUE INDEX ON m (abs(f));
           CREATE SCHEMA evil; SET search_path = evil, public, rfm;
           CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END';
           CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
           CREATE FUNCTION evil.count(text) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil''; END';
           UPDATE public.o SET v = v + 1000 WHERE "the shop" OPERATOR(pg_catalog.=) 's1'"#,
    );
    let keys = r#"SELECT DISTINCT "the shop", id FROM public.o WHERE "the shop" = 's1' AND id <> pg_catalog.md5('1')::pg_catalog.uuid"#;
    let stale = "SELECT count(*) FROM public.m AS m WHERE m.t <> (SELECT sum(v) FROM public.o AS o WHERE o.id = m.id AND (o.\"the shop\")::text OPERATOR(pg_catalog.=) m.\"the shop\"::text)";
    let before = count(&mut client, stale);
    let [inserted, updated, deleted, unchanged] = refresh(&mut client, "m", keys);
    assert_eq!((inserted, deleted, unchanged, count(&mut client, stale)), (0, 0, 0, before - updated));
    assert!(updated > 4 && before > updated);
    let (sqlstate, message, hint) =
        expect_error(&mut client, "SELECT rfm.refresh_rows('public.m', 'SELECT f FROM public.m')");
    assert_eq!(sqlstate, "55000", "{message}");
    assert_eq!(hint, r#"The query has to return (id, "the shop")."#);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let database = Database::new("rows_refused");
    let mut client = quiet(&database);
    batch(&mut client, VIEW);
    batch(
        &mut client,
        "CREATE MATERIALIZED VIEW empty AS SELECT 1 AS a WITH NO DATA; CREATE VIEW plain AS SELECT 1 AS a;
         CREATE MATERIALIZED VIEW no_index AS SELECT 1 AS a;
         CREATE MATERIALIZED VIEW of_arrays AS SELECT ARRAY[1] AS a; CREATE UNIQUE INDEX ON of_arrays (a);
         CREATE TABLE twice (a int, b int); CREATE MATERIALIZED VIEW twice_view AS SELECT a, b FROM twice; CREATE UNIQUE INDEX ON twice_view (a)",
    );
    let before = text(&mut client, "SELECT md5(string_agg(t::text, ',')) FROM sums AS t");
    for (view, keys, sqlstate, part) in [
        ("NULL", "'SELECT 1'", "22023", "view is NULL"),
        ("'sums'", "NULL", "22023", "keys is NULL"),
        ("'sums'", "''", "42P11", "cursor"),
        ("'sums'", "'nonsense'", "42601", "nonsense"),
        ("'sums'", "'SELECT 5 AS customer'", "42804", "integer"),
        ("'sums'", "'SELECT bigint ''5'' AS buyer'", "55000", "buyer"),
        ("'sums'", "'SELECT customer, orders FROM public.sums'", "55000", "customer, orders"),
        ("'sums'", "'SELECT customer, customer FROM public.sums'", "55000", "customer, customer"),
        ("'sums'", "'SELECT'", "55000", "unique key"),
        ("'sums'", "'SELECT NULL::bigint AS customer'", "22004", "NULL"),
        ("'sums'", "'SELECT customer FROM orders'", "42P01", "orders"),
        ("'sums'", "'SELECT customer FROM public.orders; DROP TABLE public.orders'", "42P11", "cursor"),
        ("'sums'", "'DROP TABLE public.orders'", "42P11", "cursor"),
        (
            "'sums'",
            "'INSERT INTO public.orders (customer) VALUES (1) RETURNING customer'",
            "22023",
            "more than to select",
        ),
        (
            "'sums'",
            "'WITH d AS (DELETE FROM public.orders RETURNING customer) SELECT customer FROM d'",
            "22023",
            "more than to select",
        ),
        ("'sums'", "'SELECT customer INTO public.stolen FROM public.orders'", "42P11", "cursor"),
        ("'sums'", "'SELECT customer FROM public.orders WHERE 1 / (customer - customer) = 1'", "22012", "zero"),
        ("'orders'", "'SELECT 1 AS a'", "42809", "no materialized view"),
        ("'plain'", "'SELECT 1 AS a'", "42809", "no materialized view"),
        ("'empty'", "'SELECT 1 AS a'", "55000", "populated"),
        ("'no_index'", "'SELECT 1 AS a'", "55000", "unique key"),
        ("'of_arrays'", "'SELECT ARRAY[1] AS a'", "0A000", "array"),
        ("4294967295::oid", "'SELECT 1 AS a'", "42P01", "4294967295"),
    ] {
        let (found, message, hint) = expect_error(&mut client, &format!("SELECT refresh_rows({view}, {keys})"));
        assert_eq!(found, sqlstate, "{view} {keys}: {message}");
        assert!(message.contains(part), "{view} {keys}: {message}");
        let is_ours = !matches!(sqlstate, "42P11" | "42601" | "22012") && part != "orders";
        assert!(!is_ours || !hint.is_empty(), "{view} {keys}: {message}");
    }
    assert_eq!(text(&mut client, "SELECT md5(string_agg(t::text, ',')) FROM sums AS t"), before);
    // Two rows of one key: those of the definition are no view with that index.
    batch(
        &mut client,
        "INSERT INTO twice VALUES (1, 1); REFRESH MATERIALIZED VIEW twice_view; INSERT INTO twice VALUES (1, 1)",
    );
    assert_eq!(expect_error(&mut client, "SELECT refresh_rows('twice_view', 'SELECT 1 AS a')").0, "21000");
    batch(&mut client, "INSERT INTO twice VALUES (2, 1), (2, 2)");
    assert_eq!(expect_error(&mut client, "SELECT refresh_rows('twice_view', 'SELECT 2 AS a')").0, "23505");
    // A view that is being read in this session, a transaction that may not write.
    for (before, sqlstate) in
        [("DECLARE c CURSOR FOR TABLE sums; FETCH c", "55006"), ("SET TRANSACTION READ ONLY", "25006")]
    {
        let sql = format!("BEGIN; {before}; SELECT refresh_rows('sums', '{KEYS}')");
        assert_eq!(expect_error(&mut client, &sql).0, sqlstate, "{before}");
    }
}

/// Readers read, one after the other writes, and a transaction that began before another's commit is refused with 40001.
/// What NAME_customers does with its reports: a query names the rows as they were and as they are.
#[test]
fn a_query_names_the_rows_written() {
    let database = Database::new("rows_asked");
    let mut client = quiet(&database);
    batch(&mut client, VIEW);
    batch(
        &mut client,
        "CREATE TABLE before AS SELECT * FROM sums;
         UPDATE orders SET note = repeat(note, 2000) WHERE customer = 7 AND id < 300;
         DELETE FROM orders WHERE customer = 8;
         INSERT INTO orders (customer, amount) VALUES (1000, 5)",
    );
    let write = |asked: &str| {
        format!(
            "SELECT w.* FROM rfm._write_watched_rows(
                 'sums'::regclass, rfm._changes_sql('sums'::regclass, '{{customer}}', NULL::text), NULL, '{{}}', NULL, NULL,
                 '2026-06-30', $asked${asked}$asked$) AS w"
        )
    };
    for (wrong, sqlstate) in [
        ("SELECT 'a' FROM new_rows", "22023"),
        ("SELECT count(*) FROM new_rows", "22023"),
        ("SELECT 'a'::text, 'b'::text", "22023"),
        ("SELECT 'a'::text WHERE false", "22023"),
        ("DELETE FROM public.orders RETURNING 'a'::text", "0A000"),
        ("SELECT min(t.notes) FROM newer_rows AS t", "42P01"),
        ("SELECT min(t.notes) FROM sums AS t", "42P01"),
    ] {
        assert_eq!(expect_error(&mut client, &write(wrong)).0, sqlstate, "{wrong}");
    }
    let as_text = "SELECT jsonb_agg(t ORDER BY t.customer)::text FROM";
    let row = client.query_one(
        &write(&format!("SELECT ({as_text} old_rows AS t) || ' became ' || ({as_text} new_rows AS t)")),
        &[],
    );
    let row = row.expect("it is written");
    assert_eq!([0, 1, 2, 3].map(|column| row.get::<_, i64>(column)), [1, 1, 1, 0]);
    let expected = format!(
        "SELECT ({as_text} before AS t WHERE customer IN (7, 8)) || ' became ' || ({as_text} sums AS t WHERE customer IN (7, 1000))"
    );
    assert_eq!(row.get::<_, String>(4), text(&mut client, &expected));
    assert_fresh(&mut client, "sums", "asked");
}

#[test]
fn beside_readers_and_other_refreshes() {
    let database = Database::new("rows_beside");
    let [mut first, mut second, mut reader] = [quiet(&database), quiet(&database), quiet(&database)];
    batch(&mut first, VIEW);
    let call = format!("SELECT refresh_rows('sums', '{KEYS}')");
    let sum = "SELECT sum(orders)::bigint FROM sums";
    for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        for change in [
            "UPDATE orders SET amount = amount + 1 WHERE customer = 3",
            "INSERT INTO orders (customer, amount) VALUES (2000 + (SELECT count(*) FROM orders), 1)",
            "DELETE FROM orders WHERE customer = (SELECT max(customer) FROM orders)",
        ] {
            batch(&mut first, &format!("{call}; BEGIN; {change}; {call}"));
            batch(&mut second, &format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM orders"));
            batch(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = 1");
            let before = count(&mut reader, sum);
            let backend = backend(&mut second);
            let (second, call) = (&mut second, &call);
            let ended = thread::scope(|scope| {
                let waiting = scope.spawn(move || {
                    let ended = second.batch_execute(call);
                    batch(second, "COMMIT");
                    ended
                });
                wait_until_blocked(&mut reader, backend);
                batch(&mut first, "COMMIT");
                waiting.join().unwrap()
            });
            let code = ended.err().and_then(|error| error.code().map(|code| code.code().to_owned()));
            let expected = (isolation != "READ COMMITTED").then(|| "40001".to_owned());
            assert_eq!(code, expected, "{isolation}: {change}");
            assert_eq!(count(&mut reader, sum), before, "{isolation}: {change}");
            batch(&mut reader, "COMMIT");
            assert_fresh(&mut first, "sums", change);
        }
    }
}

/// The view is dropped, renamed or replaced by another one while the refresh waits for its lock.
#[test]
fn a_view_that_changes_meanwhile() {
    let database = Database::new("rows_meanwhile");
    let [mut first, mut second, mut watcher] = [quiet(&database), quiet(&database), quiet(&database)];
    batch(&mut first, VIEW);
    for (meanwhile, sqlstate) in [
        (
            "ALTER MATERIALIZED VIEW sums RENAME TO totals; ALTER MATERIALIZED VIEW totals RENAME COLUMN amount TO total",
            None,
        ),
        ("ALTER MATERIALIZED VIEW sums RENAME TO totals; CREATE TABLE sums (customer bigint)", None),
        ("DROP INDEX sums_key", Some("55000")),
        ("REFRESH MATERIALIZED VIEW sums WITH NO DATA", Some("55000")),
        ("DROP MATERIALIZED VIEW sums", Some("42P01")),
        (
            "DROP MATERIALIZED VIEW sums; CREATE MATERIALIZED VIEW sums AS SELECT bigint '1' AS customer; CREATE UNIQUE INDEX ON sums (customer)",
            Some("42P01"),
        ),
    ] {
        batch(&mut first, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
        batch(&mut first, VIEW);
        batch(&mut first, &format!("UPDATE orders SET amount = 1 WHERE customer = 3; BEGIN; {meanwhile}"));
        let backend = backend(&mut second);
        let refreshing = &mut second;
        let ended = thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                refreshing.query_one(
                    "SELECT (refresh_rows('public.sums', 'SELECT customer FROM public.orders')).updated",
                    &[],
                )
            });
            wait_until_blocked(&mut watcher, backend);
            batch(&mut first, "COMMIT");
            waiting.join().unwrap()
        });
        match (ended, sqlstate) {
            (Ok(row), None) => assert_eq!(row.get::<_, i64>(0), 1, "{meanwhile}"),
            (Err(error), Some(sqlstate)) => {
                assert_eq!(error.code().map(|code| code.code()), Some(sqlstate), "{meanwhile}")
            }
            (ended, _) => panic!("{meanwhile}: {ended:?}"),
        }
    }
}

#[test]
fn it_is_prepared_and_committed_later() {
    let database = Database::new("rows_prepared");
    let mut client = quiet(&database);
    batch(&mut client, VIEW);
    let name = &database.name;
    for (amount, end) in [(11, "ROLLBACK"), (12, "COMMIT")] {
        let change = format!("UPDATE orders SET amount = {amount} WHERE customer < 20");
        batch(
            &mut client,
            &format!("BEGIN; {change}; SELECT refresh_rows('sums', '{KEYS}'); PREPARE TRANSACTION '{name}'"),
        );
        batch(&mut client, "SELECT count(*) FROM sums");
        batch(&mut client, &format!("{end} PREPARED '{name}'"));
        assert_fresh(&mut client, "sums", end);
    }
}

/// A condition on the key goes into the definition: only the rows of the keys are read.
#[test]
fn few_rows_are_found_by_index() {
    let database = Database::new("rows_plan");
    let mut client = quiet(&database);
    batch(&mut client, VIEW);
    batch(
        &mut client,
        "INSERT INTO orders (customer, amount) SELECT i, 1 FROM generate_series(1, 50000) AS i; REFRESH MATERIALIZED VIEW sums; ANALYZE",
    );
    let sql: String =
        one(&mut client, "SELECT _changes_sql('sums', '{customer}', _among_parameters('sums', '{customer}'))");
    batch(&mut client, "SET plan_cache_mode = force_custom_plan");
    batch(&mut client, &format!("PREPARE changes (bigint[]) AS {sql}"));
    let rows = client.query("EXPLAIN EXECUTE changes ('{1,2,3}')", &[]).unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{plan:#?}");
}
