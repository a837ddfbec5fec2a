//! The worked examples run on the demo's database and print what is committed beside them (sql/examples/*.out).
//! `PG_RFM_UPDATE=1 make test ARGS="--test examples"` writes the outputs.

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use common::Database;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The CDNOW sample with its segmentation, as `make demo` makes it.
fn demo() -> Database {
    let database = Database::new("examples");
    database.psql("CREATE TABLE public.orders (customer_id text NOT NULL, ordered_on date NOT NULL, amount numeric)");
    assert_eq!(database.copy_csv("public.orders", &repository("sql/demo/cdnow_sample.csv")), 6_919);
    let parts = ["policy_cdnow.sql", "segments.sql"]
        .map(|part| fs::read_to_string(repository("sql/demo").join(part)).expect("the demo's SQL can be read"));
    database.psql(&format!("\\set as_of 1998-06-30\nSET client_min_messages = warning;\n{}", parts.concat()));
    database
}

/// What psql prints for the file, as an analyst would see it; spaces at the end of lines removed.
fn run(database: &Database, example: &Path) -> String {
    let output = common::program("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-P", "pager=off", "-f"])
        .arg(example)
        .arg(&database.name)
        .env("PGCLIENTENCODING", "UTF8")
        .output()
        .expect("psql runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", example.display());
    let printed = String::from_utf8(output.stdout).expect("psql prints UTF-8");
    printed.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn they_print_what_is_committed() {
    let database = demo();
    let folder = repository("sql/examples");
    let mut examples: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("sql/examples can be read")
        .map(|entry| entry.expect("sql/examples can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    examples.sort();
    assert!(examples.len() >= 8, "sql/examples has lost examples");
    for example in &examples {
        let printed = run(&database, example);
        assert_eq!(run(&database, example), printed, "{} leaves something behind", example.display());
        let expected = example.with_extension("out");
        if env::var_os("PG_RFM_UPDATE").is_some() {
            fs::write(&expected, &printed).expect("the output can be written");
        }
        let committed = fs::read_to_string(&expected).unwrap_or_default();
        assert!(
            printed == committed,
            "{} prints\n{printed}\ninstead of\n{committed}\nPG_RFM_UPDATE=1 writes what it prints.",
            example.display()
        );
    }
}
