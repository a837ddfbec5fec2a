//! A shop's life, day by day, with writers on all of its tables: after every refresh each view is what its own definition
//! returns, to the last digit, and so is every table that it stands on.

use super::shops::*;
use super::*;

const TABLES: &str = "
    CREATE INDEX ON orders (customer_id);
    CREATE TABLE members (shop text, customer_id bigint, membership text, email text, phone text, prefecture text,
        last_contacted_on date, PRIMARY KEY (shop, customer_id));
    CREATE TABLE events (shop text, customer_id bigint, kind text, happened_at date);
    CREATE TABLE contacts (shop text, customer_id bigint, channel text, contacted_at date, campaign text);
    CREATE TABLE log (shop text, customer_id bigint, membership text, since date);";

/// Where the views differ from their definitions; the definition of the first is read whole, so that nothing of the refresh's own
/// shortcuts is trusted.
const DIFFERENCES: &str = "
    CREATE FUNCTION differences() RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        view record;
        differing text;
        found text := '';
    BEGIN
        FOR view IN SELECT v.matviewname AS name, rtrim(v.definition, '; ') AS query FROM pg_matviews AS v
                    WHERE v.schemaname = 'public' ORDER BY 1 LOOP
            EXECUTE format('WITH f AS MATERIALIZED (SELECT t::text AS r FROM %I AS t),
                                 e AS MATERIALIZED (SELECT t::text AS r FROM (%s) AS t)
                            SELECT string_agg(d.r, E''\\n'') FROM (
                                (SELECT ''is '' || x.r AS r FROM (TABLE f EXCEPT ALL TABLE e) AS x LIMIT 3) UNION ALL
                                (SELECT ''not '' || x.r FROM (TABLE e EXCEPT ALL TABLE f) AS x LIMIT 3)) AS d', view.name, view.query)
                INTO differing;
            found := found || coalesce(E'\\n' || view.name || E':\\n' || differing, '');
        END LOOP;
        RETURN found;
    END $$";

/// A change of one of the tables beside the orders.
fn change_of_another(random: &mut Random, day: &str, shops: u64) -> String {
    let key = format!("'s{}', {}", random.below(shops), random.customer() + random.below(6));
    let of = format!("(shop, customer_id) = ({key})");
    let some_day = format!("date '{day}' - {} + {}", random.below(500), random.below(20));
    let membership = random.of(&["'continuing'", "'paused'", "'withdrawn'", "NULL"]);
    let email = random.of(&["'a@example.com'", "NULL", "'wrong'"]);
    let prefecture = random.of(&["'tokyo'", "'osaka'", "NULL"]);
    match random.below(12) {
        0..=2 => format!(
            "INSERT INTO members VALUES ({key}, {membership}, {email}, '090-1234-5678', {prefecture}, {some_day})
             ON CONFLICT (shop, customer_id) DO UPDATE
             SET membership = EXCLUDED.membership, email = EXCLUDED.email, prefecture = EXCLUDED.prefecture,
                 last_contacted_on = EXCLUDED.last_contacted_on"
        ),
        3 => format!("DELETE FROM members WHERE {of}"),
        4 | 5 => {
            let kind = random.of(&["line_friend", "review", "complaint", "visit"]);
            format!("INSERT INTO events VALUES ({key}, '{kind}', {some_day})")
        }
        6 => format!("DELETE FROM events WHERE {of}"),
        7 | 8 => {
            let channel = random.of(&["'email'", "'phone'", "NULL"]);
            format!("INSERT INTO contacts VALUES ({key}, {channel}, {some_day}, 'spring')")
        }
        9 => format!("DELETE FROM contacts WHERE {of}"),
        10 => format!("INSERT INTO log VALUES ({key}, coalesce({membership}, 'continuing'), {some_day})"),
        _ => format!("DELETE FROM log WHERE {of}"),
    }
}

/// So many lives as PG_RFM_LIVES says, one in CI; each from another seed.
fn live(name: &str, arguments: &str, seed: u64, rounds: u32) {
    let lives = std::env::var("PG_RFM_LIVES").map_or(1, |lives| lives.parse().expect("PG_RFM_LIVES is a number"));
    for life in 0..lives {
        live_once(&format!("{name}_{life}"), arguments, seed + 100 * life, rounds);
    }
}

fn live_once(name: &str, arguments: &str, seed: u64, rounds: u32) {
    let shops = if arguments.contains("tenant") { 2 } else { 1 };
    let database = Database::new(name);
    let mut client = quiet(&database);
    let mut random = Random::new(seed);
    batch(&mut client, &orders(""));
    batch(&mut client, TABLES);
    batch(&mut client, DIFFERENCES);
    let mut day: String = text(&mut client, "SELECT '2025-11-20'::date::text");
    for _ in 0..40 {
        let rows = random.rows();
        batch(&mut client, &format!("INSERT INTO orders SELECT * FROM {rows} ON CONFLICT DO NOTHING"));
        batch(&mut client, &change_of_another(&mut random, &day, shops));
    }
    batch(
        &mut client,
        &format!("SELECT create_segmentation('shop', 'orders', {arguments}, track => 'trigger', as_of => '{day}')"),
    );
    refresh(&mut client);
    let keys = if shops == 2 { "shop, customer_id" } else { "customer_id" };
    copy_customers(&mut client, keys);
    let mut row_by_row = 0;
    let mut story = format!("seed {seed}");
    for round in 0..rounds {
        for _ in 0..random.below(5) {
            let sql = if random.below(2) == 0 { random.change() } else { change_of_another(&mut random, &day, shops) };
            write!(story, "\n{sql};").unwrap();
            if let Err(error) = client.batch_execute(&sql) {
                assert_eq!(error.code().map(|code| code.code()), Some("23505"), "{error:?}\n{story}");
            }
        }
        // Mostly the same day or the next one, now and then a month, a year, or back.
        let step = match random.below(24) {
            0 => "40",
            1 => "400",
            2 => "-20",
            3..=12 => "1",
            _ => "0",
        };
        day = text(&mut client, &format!("SELECT (date '{day}' + {step})::text"));
        let call = format!("SELECT refresh_segmentation('shop', as_of => '{day}')");
        write!(story, "\n{call};").unwrap();
        if random.below(8) == 0 {
            // One that fails at a step, here by its last one, leaves everything for the next.
            batch(&mut client, &format!("BEGIN; {call}; ROLLBACK"));
        }
        batch(&mut client, &call);
        row_by_row += i32::from(!one::<bool>(&mut client, "SELECT rebuilt FROM shop_status"));
        let differences = text(&mut client, "SELECT differences()");
        assert!(differences.is_empty(), "round {round}: {differences}\n{story}");
        assert_replays(&mut client, keys, &story);
        if random.below(16) == 0 {
            copy_customers(&mut client, keys); // any moment does to begin with
        }
        let (counted, said) = (
            count(&mut client, "SELECT count(*) FROM shop_customers"),
            count(&mut client, "SELECT customers FROM shop_status"),
        );
        assert_eq!(counted, said, "{story}");
    }
    assert!(row_by_row > i32::try_from(rounds).unwrap() * 9 / 10, "{row_by_row}");
    let before = text(&mut client, "SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM shop_customers AS t");
    assert_nothing_left(&mut client, &story);
    batch(&mut client, &format!("SELECT refresh_segmentation('shop', as_of => '{day}', \"full\" => true)"));
    assert_eq!(
        text(&mut client, "SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM shop_customers AS t"),
        before
    );
}

#[test]
fn every_view_is_its_definition_after_every_refresh() {
    live(
        "life_shop",
        "customers => 'members', engagement => 'events', contacts => 'contacts', membership_log => 'log',
         attributes => '{prefecture}', first_order => '{discounted}', discounted => 'discounted', order_id => 'order_no'",
        31,
        100,
    );
}

/// Reports of each tenant, and movement without the transitions that it is a part of otherwise.
#[test]
fn every_view_of_tenants_is_its_definition_after_every_refresh() {
    live(
        "life_tenants",
        "tenant => 'shop', customers => 'members', engagement => 'events', attributes => '{prefecture}',
         views => '{segments,movement,cohorts,actions,segments_by,movement_by,cohorts_by}'",
        32,
        60,
    );
}

/// What a refresh makes for itself does not stay in the catalog.
#[test]
fn many_refreshes_leave_the_catalog_as_it_was() {
    let database = Database::new("life_catalog");
    let mut client = quiet(&database);
    small_shop(&mut client);
    let size = "SELECT concat_ws(' ', (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_attribute), (SELECT count(*) FROM pg_depend),
                               pg_table_size('pg_class'), pg_table_size('pg_attribute'), pg_table_size('pg_depend'))";
    batch(&mut client, "SELECT refresh_segmentation('shop')");
    let before = text(&mut client, size);
    for number in 0..200 {
        batch(
            &mut client,
            &format!(
                "INSERT INTO orders VALUES ({number} + 500000, 's', {}, '2026-06-01', 10); SELECT refresh_segmentation('shop')",
                number % 25 + 1
            ),
        );
    }
    assert_eq!(text(&mut client, size), before);
    SIMPLE.assert_rebuilt(&mut client, "in the end");
}
