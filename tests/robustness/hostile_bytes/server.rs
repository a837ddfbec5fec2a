//! Values with changed bytes, sent to the server.

use super::values::*;
use super::*;
use std::io::Write as _;

/// Of each type, through the server; release code, but a round trip each.
const SENT_MUTANTS: usize = 10_000;

#[test]
fn the_server_survives_hostile_parameters_and_copies() {
    let database = Database::new("hostile");
    let mut client = database.client();
    let started = "SELECT pg_postmaster_start_time()::text || pg_backend_pid()";
    let before = text(&mut client, started);

    let mut random = Random::new(0x8EBC_6AF0_9C88_C6E3);
    for type_name in STORED_TYPES {
        let echo = format!("SELECT {type_name}_send($1), $1::{type_name}::text::{type_name} = $1");
        let echo = client.prepare(&echo).expect("the type has a send function");
        let (mut other, mut tally) = (Vec::new(), Tally::default());
        for _ in 0..SENT_MUTANTS {
            let mut bytes = match type_name {
                "purchase_history" => random.history().to_bytes(),
                "engagement_history" => random.engagement().to_bytes(),
                "contact_history" => random.contacts().to_bytes(),
                "membership_history" => random.memberships().to_bytes(),
                "scenario" => mutated_document(&mut random, SCENARIOS),
                "purchase_model" => mutated_document(&mut random, MODELS),
                _ => mutated_document(&mut random, POLICIES),
            };
            let original = bytes.clone();
            if type_name.ends_with("_history") {
                random.mutate(&mut bytes, &other, NUMBERS);
            }
            other = original;
            match client.query_one(&echo, &[&Bytes(&bytes)]) {
                Ok(row) => {
                    assert_eq!(hex(row.get(0)), hex(&bytes), "{type_name}");
                    // The known exception has a test of its own: there_is_one_empty_history.
                    if bytes.len() > 2 {
                        assert!(row.get::<_, bool>(1), "{type_name} changes on its way through text: {}", hex(&bytes));
                    }
                    tally.valid += 1;
                }
                Err(error) => {
                    let code = error.as_db_error().unwrap_or_else(|| panic!("{error}: {}", hex(&bytes))).code();
                    assert_eq!(code.code(), "22P03", "{type_name} {error:?}: {}", hex(&bytes));
                    tally.refused += 1;
                }
            }
        }
        println!("{type_name}: {tally:?}");
        assert!(tally.valid > SENT_MUTANTS / 100 && tally.refused > SENT_MUTANTS / 4, "{type_name}: {tally:?}");

        batch(&mut client, &format!("CREATE TABLE public.{type_name}_copy (v rfm.{type_name})"));
        let mut refused = 0;
        for _ in 0..300 {
            let mut bytes = random.history().to_bytes();
            random.mutate(&mut bytes, &other, NUMBERS);
            let mut copy =
                client.copy_in(&format!("COPY public.{type_name}_copy FROM STDIN BINARY")).expect("COPY starts");
            let mut message = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
            message.extend(1i16.to_be_bytes());
            message.extend((bytes.len() as i32).to_be_bytes());
            message.extend(&bytes);
            message.extend((-1i16).to_be_bytes());
            copy.write_all(&message).expect("the server takes the message");
            if let Err(error) = copy.finish() {
                assert_eq!(error.as_db_error().expect("an error of the server").code().code(), "22P03", "{error:?}");
                refused += 1;
            }
        }
        assert!(refused > 20, "{type_name}: {refused} of 300 copies were refused");
    }
    assert_eq!(before, text(&mut client, started), "the server was restarted");
}
