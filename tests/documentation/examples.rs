//! The worked examples and reports run on the demo's database and print what is committed beside them (files .out).
//! `PG_RFM_UPDATE=1 make test ARGS="--test documentation examples"` writes the outputs.

use crate::common::{Database, assert_recorded, file, program, read, trimmed};
use std::fs;

/// The CDNOW sample with its segmentation, as `make demo` makes it.
fn demo() -> Database {
    let database = Database::new("examples");
    database.psql(
        "CREATE TABLE public.csv (line bigint GENERATED ALWAYS AS IDENTITY (START 2), c1 text, c2 text, c3 text, c0 text)",
    );
    assert_eq!(database.copy_csv("public.csv (c1, c2, c3)", &file("sql/demo/cdnow_sample.csv")), 6_919);
    let parts = ["sql/demo/load.sql", "sql/demo/policy_cdnow.sql", "sql/demo/segments.sql"].map(read);
    database.psql(&format!(
        "\\set customer c1\n\\set date c2\n\\set amount c3\n\\set order c0\n\\set as_of 1998-06-30\n\
         SET client_min_messages = warning;\n{}",
        parts.concat()
    ));
    database
}

/// What psql prints for the file, as an analyst would see it; spaces at the end of lines removed.
fn run(database: &Database, example: &str) -> String {
    let output = program("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-P", "pager=off", "-f"])
        .arg(file(example))
        .arg(&database.name)
        .env("PGCLIENTENCODING", "UTF8")
        .output()
        .expect("psql runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{example}: {errors}");
    trimmed(&String::from_utf8(output.stdout).expect("psql prints UTF-8"))
}

/// The examples of a folder, in order of their names.
fn examples(folder: &str) -> Vec<String> {
    let names = fs::read_dir(file(folder)).expect("the folder can be read");
    let names = names.map(|entry| entry.expect("the folder can be read").file_name().into_string().expect("UTF-8"));
    let mut examples: Vec<_> =
        names.filter_map(|name| Some(format!("{folder}/{}", name.strip_suffix(".sql")?))).collect();
    examples.sort();
    examples
}

#[test]
fn they_print_what_is_committed() {
    let database = demo();
    let reports = examples("sql/examples/report");
    assert_eq!(reports.len(), 10, "{reports:?}");
    for report in &reports {
        // One SELECT of plain SQL, for any program and a role that only reads.
        let sql = read(&format!("{report}.sql"));
        assert!(!sql.contains('\\') && sql.matches(';').count() == 1, "{report}");
    }
    let examples = examples("sql/examples");
    assert!(examples.len() >= 8, "sql/examples has lost examples");
    for example in reports.iter().chain(&examples) {
        let script = format!("{example}.sql");
        let printed = run(&database, &script);
        assert_eq!(run(&database, &script), printed, "{script} leaves something behind");
        assert_recorded(&format!("{example}.out"), &printed);
    }
}
