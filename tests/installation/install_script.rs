//! The committed install script is what the code generates; `make schema` writes it again.
//!
//! The built library (env PG_RFM_SO) carries its SQL in the section `.pgrxsc`. This decodes it the way
//! `cargo pgrx schema` does, so that nobody has to compile cargo-pgrx.

use crate::common::*;
use object::{Object, ObjectSection};
use pgrx_sql_entity_graph::section::{decode_entities, is_schema_section_name};
use pgrx_sql_entity_graph::{ControlFile, PgrxSql, SqlGraphEntity};
use std::path::Path;
use std::{env, fs};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The versions that were released, each with the SHA-256 of its install script, which nobody may change any more: what was
/// created by it is changed by the upgrade scripts alone. A release adds its line (docs/release.md).
pub const RELEASED: &[(&str, &str)] = &[];

fn control() -> ControlFile {
    ControlFile::try_from(file("pg_rfm.control")).expect("pg_rfm.control can be read")
}

/// The install script that a library carries.
pub fn generated(library: &Path) -> String {
    let library = fs::read(library).unwrap_or_else(|error| panic!("{}: {error}", library.display()));
    let library = object::File::parse(&*library).expect("PG_RFM_SO is a library");
    let section = library.sections().find(|section| section.name().is_ok_and(is_schema_section_name)).expect(
        "the library has a section .pgrxsc: build it with `make build`, which keeps the linker from dropping it",
    );

    let mut entities =
        decode_entities(section.data().expect("the section can be read")).expect("the section is pgrx 0.18's");
    entities.push(SqlGraphEntity::ExtensionRoot(control()));
    let mut sql =
        PgrxSql::build(entities.into_iter(), "pg_rfm".to_owned(), false).expect("the entities form an install script");

    // pgrx links the objects in the order of a hash map, and that order decides between all orders that would do.
    // Linked in a fixed order, the same code always gives the same script.
    let mut links: Vec<_> = (sql.graph.edge_indices())
        .map(|link| (sql.graph.edge_endpoints(link), sql.graph.edge_weight(link).copied()))
        .collect();
    links.sort();
    sql.graph.clear_edges();
    for (ends, requires) in links {
        let ((from, to), requires) = ends.zip(requires).expect("every link has ends and a reason");
        sql.graph.add_edge(from, to, requires);
    }
    let script = sql.to_sql().expect("the entities form an install script");

    // Each object is preceded by `-- src/file.rs:line`: the line would change with every edit above it.
    script.lines().fold(String::new(), |script, line| {
        let place = line.strip_prefix("-- src/").and_then(|_| line.rsplit_once(".rs:"));
        let line = match place {
            Some((file, number)) if number.parse::<u32>().is_ok() => format!("{file}.rs"),
            _ => line.to_owned(),
        };
        script + &line + "\n"
    })
}

#[test]
fn is_what_the_code_generates() {
    let file = file(&format!("sql/pg_rfm--{VERSION}.sql"));
    let library = env::var_os("PG_RFM_SO").expect("PG_RFM_SO is not set: run `make test` or `make schema`");
    let generated = generated(Path::new(&library));
    if env::var_os("PG_RFM_UPDATE").is_some() {
        fs::write(&file, &generated).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let committed = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let difference = committed.lines().zip(generated.lines()).position(|(old, new)| old != new);
    assert!(
        committed == generated,
        "{} differs from what the code generates, from line {} on: run `make schema` and commit it",
        file.display(),
        1 + difference.unwrap_or(committed.lines().count().min(generated.lines().count()))
    );
}

#[test]
fn released_scripts_stay_as_they_are() {
    let mut client = Database::empty("released").client();
    for (version, hash) in RELEASED {
        let script = read(&format!("sql/pg_rfm--{version}.sql"));
        let found: String = client
            .query_one("SELECT encode(sha256($1), 'hex')", &[&script.as_bytes()])
            .expect("the server hashes")
            .get(0);
        assert_eq!(&found, hash, "sql/pg_rfm--{version}.sql was released: put it back, and write an upgrade script");
    }
}

#[test]
fn versions_agree() {
    assert_eq!(control().default_version, VERSION, "pg_rfm.control and Cargo.toml name different versions");
    assert_eq!(control().module_pathname.as_deref(), Some("$libdir/pg_rfm"));

    let meta: serde_json::Value = serde_json::from_str(&read("META.json")).expect("META.json can be read");
    let provided = &meta["provides"]["pg_rfm"];
    assert_eq!(meta["version"], VERSION, "META.json");
    assert_eq!(provided["version"], VERSION, "META.json");
    assert_eq!(provided["file"], format!("sql/pg_rfm--{VERSION}.sql"), "META.json");
    let spec = read("packaging/pg_rfm.spec");
    let in_spec = spec.lines().find_map(|line| line.strip_prefix("Version:")).map(str::trim);
    assert_eq!(in_spec, Some(VERSION), "packaging/pg_rfm.spec");
}
