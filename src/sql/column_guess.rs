//! Which column of a shop's table is what, for segmentations. The columns of a table are read by SQL; what they are called
//! and of what types they are decides.

use pgrx::prelude::*;

use super::error::{OrRaise, raise};
use super::set::{ChosenColumn, SetOf, SourceColumn};
use crate::column_guess::{Choice, ROLES, Role, TableColumn, Wanted, is_called_like_an_order_number};
use crate::error::{Error, ErrorKind, shown};
use crate::memory;

/// As many columns as a table of PostgreSQL can have.
const MAX_COLUMNS: usize = 1600;

#[pg_extern(name = "_source_columns", immutable, strict, parallel_safe, cost = 10)]
fn source_columns() -> SetOf<SourceColumn> {
    SetOf::new(
        ROLES.iter().map(|role| (role.source.name(), role.name, role.setting(), role.is_required, role.kind.types())),
    )
}

/// Which of a table's columns, given as lists of equal length, has a role; `is_named`: `named` says it. The outcome is found,
/// absent, ambiguous, missing, unknown or unfit; the places count from 1.
#[pg_extern(name = "_choose_column", immutable, parallel_safe, cost = 100)]
#[allow(clippy::too_many_arguments)] // they are one call from SQL
fn choose_column(
    source: Option<&str>,
    role: Option<&str>,
    names: Option<Array<&str>>,
    types: Option<Array<&str>>,
    is_readable: Option<Array<bool>>,
    is_named: Option<bool>,
    named: Option<&str>,
    like_orders: Option<&str>,
) -> SetOf<ChosenColumn> {
    let (source, name) = (source.unwrap_or_default(), role.unwrap_or_default());
    let role = Role::find(source, name)
        .ok_or_else(|| refused(format!("a column of {} cannot be {}", shown(source), shown(name))))
        .or_raise();
    let (Some(names), Some(types), Some(is_readable)) = (names, types, is_readable) else {
        raise(refused("the columns are NULL".to_owned()))
    };
    let count = names.len();
    if count > MAX_COLUMNS || types.len() != count || is_readable.len() != count {
        raise(refused(format!(
            "a table has at most {MAX_COLUMNS} columns, each with a name, a type and a right to read it"
        )));
    }
    let columns =
        names.iter().zip(types.iter()).zip(is_readable.iter()).map(|((name, type_name), is_readable)| TableColumn {
            name: name.unwrap_or_default(),
            type_name: type_name.unwrap_or_default(),
            is_readable: is_readable.unwrap_or_default(),
        });
    let columns = memory::collect(columns);
    let wanted = match named {
        _ if !is_named.unwrap_or_default() => Wanted::Guess,
        Some(name) => Wanted::Named(name),
        None => Wanted::Nothing,
    };
    let (outcome, places) = match role.choose(&columns, wanted, like_orders) {
        Choice::Column(place) => ("found", vec![place]),
        Choice::None => ("absent", vec![]),
        Choice::Ambiguous(places) => ("ambiguous", places),
        Choice::Missing => ("missing", vec![]),
        Choice::Unknown => ("unknown", vec![]),
        Choice::Unfit(place) => ("unfit", vec![place]),
    };
    SetOf::once((outcome, places.into_iter().map(|place| place as i32 + 1).collect()))
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidParameter, message)
        .hint("_choose_column is a part of segmentations, and called by create_segmentation and its like only.")
}

#[pg_extern(name = "_is_called_like_an_order_number", immutable, strict, parallel_safe, cost = 10)]
fn is_called_like_order_number(name: &str) -> bool {
    is_called_like_an_order_number(name)
}

/// What in a source a column of this name usually is.
#[pg_extern(name = "_role_of_name", immutable, strict, parallel_safe, cost = 10)]
fn role_of_name(source: &str, name: &str) -> Option<&'static str> {
    Role::called(source, name).map(|role| role.name)
}
