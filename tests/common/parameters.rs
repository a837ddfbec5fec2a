//! Binary parameters as no type of Rust writes them.

use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type};
use std::error::Error;

/// The types of the extension: each of their values is a row of bytes.
pub const STORED_TYPES: [&str; 7] = [
    "purchase_history",
    "engagement_history",
    "contact_history",
    "membership_history",
    "segment_policy",
    "purchase_model",
    "scenario",
];

/// Bytes as they are, for a parameter of any type.
#[derive(Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl ToSql for Bytes<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
