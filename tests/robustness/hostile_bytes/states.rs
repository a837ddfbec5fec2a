//! States of aggregates as bytes, as another server of a cluster sends them. PostgreSQL's own aggregate of bytes carries them
//! to the functions that read them.

use super::values::*;
use super::*;

/// Of each kind of state.
const MUTANTS: usize = 200;

/// The state's name, the arguments of its aggregate, how these are given, the parts of the aggregate.
const STATES: [(&str, &str, &str, [&str; 5]); 7] = [
    (
        "orders",
        "date, numeric, date, segment_policy",
        "'2024-01-01'::date + i, i / 7.0, '2025-01-01', '{\"rfm\": {\"monetary_cuts\": [1, 2]}}'",
        ["_collect_order_until", "_serialize_orders", "_deserialize_orders", "_combine_orders", "_finish_rfm_score"],
    ),
    (
        "events",
        "text, date",
        "'kind ' || i % 3, '2024-01-01'::date + i",
        ["_collect_event", "_serialize_events", "_deserialize_events", "_combine_events", "_finish_engagement"],
    ),
    (
        "customers",
        "purchase_history, date, segment_policy",
        "h, '2025-01-01', NULL",
        ["_collect_customer", "_serialize_customers", "_deserialize_customers", "_combine_customers", "_finish_curve"],
    ),
    (
        "a fit",
        "purchase_history, date",
        "h, '2024-06-01'",
        ["_collect_for_fit", "_serialize_fit", "_deserialize_fit", "_combine_fits", "_finish_fit"],
    ),
    (
        "movements",
        "purchase_history, date, date, interval, segment_policy, engagement_history, text, membership_history",
        "h, '2024-01-01', '2024-12-01', '1 month', NULL, NULL, NULL, NULL",
        [
            "_collect_movements",
            "_serialize_movements",
            "_deserialize_movements",
            "_combine_movements",
            "_finish_movements",
        ],
    ),
    (
        "cohorts",
        "purchase_history, date, date",
        "h, '2024-12-01', NULL",
        ["_collect_cohort", "_serialize_cohorts", "_deserialize_cohorts", "_combine_cohorts", "_finish_cohorts"],
    ),
    (
        "a forecast",
        "purchase_history, date, integer, purchase_model",
        "h, '2024-06-01', 90, m",
        ["_collect_forecast", "_serialize_forecast", "_deserialize_forecast", "_combine_forecasts", "_finish_forecast"],
    ),
];

/// What may be wrong with bytes, and with numbers that they hold.
const REFUSALS: [&str; 6] = ["22P03", "22P02", "22003", "22008", "22023", "54000"];

#[test]
fn hostile_states_are_refused_or_read() {
    let database = Database::new("hostile_states");
    let mut client = database.client();
    let started = "SELECT pg_postmaster_start_time()::text || pg_backend_pid()";
    let before = text(&mut client, started);
    batch(
        &mut client,
        &format!(
            "CREATE TABLE many AS SELECT i,
                 CASE WHEN i <= 40 THEN purchase_history('2024-01-01'::date + i % 30 + d * (i % 9), i + d) END AS h,
                 '{}'::purchase_model AS m
             FROM generate_series(1, 10000) AS i, generate_series(0, 3) AS d GROUP BY i;
             ALTER TABLE many SET (parallel_workers = 2); ANALYZE many;
             SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SET parallel_leader_participation = off; SET statement_timeout = '2min'",
            MODELS[0]
        ),
    );
    let mut random = Random::new(0x51A7_E0F5_0000_0001);
    let mut other = vec![0; 40];
    for (name, arguments, values, [collect, serialize, deserialize, combine, finish]) in STATES {
        // The state of an aggregate as its result, and an aggregate that takes bytes for the state of a worker.
        batch(
            &mut client,
            &format!(
                "DROP AGGREGATE IF EXISTS read_state(bytea, bytea);
                 CREATE AGGREGATE write_state({arguments}) (SFUNC = {collect}, STYPE = internal, FINALFUNC = {serialize});
                 CREATE AGGREGATE read_state(bytea, bytea) (SFUNC = bytea_string_agg_transfn, STYPE = internal,
                     SERIALFUNC = bytea_string_agg_finalfn, DESERIALFUNC = {deserialize}, COMBINEFUNC = {combine},
                     FINALFUNC = {finish}, PARALLEL = SAFE)"
            ),
        );
        let written = format!("SELECT encode(write_state({values}), 'hex') FROM many WHERE i <= 40");
        let written = bytes_of_hex(&text(&mut client, &written));
        let read = |bytes: &[u8]| {
            format!(
                "SELECT read_state(CASE WHEN i = 1 THEN '\\x{}'::bytea END, NULL)::text AS answer FROM many",
                hex(bytes)
            )
        };
        let plan: Vec<String> =
            client.query(&format!("EXPLAIN {}", read(&written)), &[]).unwrap().iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains("Partial Aggregate")), "{plan:#?}");
        let answer = text(&mut client, &read(&written));
        assert!(!answer.is_empty(), "{name}");

        // The same answer from the aggregate itself.
        batch(
            &mut client,
            &format!(
                "DROP AGGREGATE write_state({arguments});
                 CREATE AGGREGATE write_state({arguments}) (SFUNC = {collect}, STYPE = internal, FINALFUNC = {finish})"
            ),
        );
        assert_eq!(text(&mut client, &format!("SELECT write_state({values})::text FROM many WHERE i <= 40")), answer);
        batch(&mut client, &format!("DROP AGGREGATE write_state({arguments})"));

        for (place, found) in [(0, 7), (2, 63)] {
            let mut foreign = written.clone();
            foreign[place] = found;
            let (sqlstate, message, hint) = expect_error(&mut client, &read(&foreign));
            let expected = match place {
                0 => format!("another version of pg_rfm wrote this state of {name}: its form is 7, this one reads 1"),
                _ => format!("this is the state of another aggregate, not of {name}"),
            };
            assert_eq!((sqlstate.as_str(), message), ("22P03", expected));
            assert!(!hint.is_empty());
        }
        let mut tally = Tally::default();
        for mutant in 0..MUTANTS {
            let mut bytes = written.clone();
            if mutant % 2 == 0 {
                random.mutate(&mut bytes, &other, NUMBERS);
            } else {
                // A number in it is another one: so most mutants get past the head.
                let at = 3 + random.index(bytes.len() - 3);
                bytes[at] = random.next() as u8;
            }
            match client.query(&read(&bytes), &[]) {
                Ok(_) => tally.valid += 1,
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {name} {}", hex(&bytes)));
                    assert!(REFUSALS.contains(&error.code().code()), "{name} {error:?}: {}", hex(&bytes));
                    tally.refused += 1;
                }
            }
        }
        println!("{name}: {tally:?}");
        assert!(tally.valid > MUTANTS / 50 && tally.refused > MUTANTS / 10, "{name}: {tally:?}");
        other = written;
    }
    assert_eq!(text(&mut client, started), before, "the server or the session ended");
}

fn bytes_of_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}
