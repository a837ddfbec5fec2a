//! The extension in a database: its install script, what the catalog says of it, dump and restore, any search path,
//! what building it needs.

#[path = "../common/mod.rs"]
mod common;

mod catalog;
mod dependencies;
mod dump_restore;
mod install_script;
mod search_path;
mod smoke;
mod upgrade;
