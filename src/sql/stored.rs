//! The tables of named policies and models and the functions that read them: all in `stored.sql`.

use pgrx::prelude::*;

extension_sql_file!("stored.sql", name = "stored", requires = ["types", "prediction"]);
