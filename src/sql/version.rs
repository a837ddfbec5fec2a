//! Which version the library is: a script of a newer one refuses to go on with it.

use pgrx::prelude::*;

#[pg_extern(name = "_library_version", immutable, strict, parallel_safe, cost = 1)]
fn library_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

extension_sql_file!("version.sql", name = "version", requires = [library_version]);
