//! Files of the repository, and the large data sets beside it.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A file or folder by its path in the repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What is printed is what is recorded in a file of the repository. `PG_RFM_UPDATE=1` records it anew.
#[track_caller]
pub fn assert_recorded(path: &str, printed: &str) {
    if env::var_os("PG_RFM_UPDATE").is_some() {
        fs::write(file(path), printed).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let recorded = fs::read_to_string(file(path)).unwrap_or_default();
    assert!(
        printed == recorded,
        "not what {path} says, which was\n{recorded}\nbut\n{printed}\nPG_RFM_UPDATE=1 records it."
    );
}

/// Without the spaces at the end of lines that psql prints.
pub fn trimmed(printed: &str) -> String {
    printed.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A file or folder of the large data sets, which are not in the repository. Where it is not there, says in words that
/// the test is skipped.
pub fn data(path: &str) -> Option<PathBuf> {
    shared(&format!("data/{path}"))
}

/// The same of what else lies beside the repository.
pub fn shared(path: &str) -> Option<PathBuf> {
    let shared = env::var_os("PG_RFM_SHARED").map_or_else(|| file("../shared"), PathBuf::from);
    let found = Some(shared.join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: {path} is not in $PG_RFM_SHARED");
    }
    found
}
