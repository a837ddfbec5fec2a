//! The table of named policies and the functions that read it: all in `stored.sql`.

use pgrx::prelude::*;

extension_sql_file!("stored.sql", name = "stored", requires = ["types"]);
