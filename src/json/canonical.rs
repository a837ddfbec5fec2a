//! JSON documents as stored values: checked, with keys in order and numbers in plain notation, so that equal documents have
//! equal bytes.

use std::fmt;

use serde_json::Value;

use super::{UniqueKeys, from_text};
use crate::bytes::other_version;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;

/// The longest text of a document, in bytes.
pub const MAX_BYTES: usize = 262_144;

const VERSION: u8 = 1;

/// Refuses a document of so many bytes; asked before anything reads it.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`] beyond [`MAX_BYTES`].
pub fn check_length(type_name: &str, bytes: usize) -> Result<()> {
    if bytes > MAX_BYTES {
        let message = format!("a {type_name} has at most {MAX_BYTES} bytes, not {bytes}");
        return Err(Error::new(ErrorKind::LimitExceeded, message).hint("Write only what is needed."));
    }
    Ok(())
}

/// Makes sure of the memory that a document of so many bytes takes when it is read, changed or checked: a tree of small pieces,
/// at worst an object with one key of one letter after the other, and some copies of it.
pub fn room(bytes: usize) {
    memory::room(bytes * 400);
}

/// Reads a document of the SQL type `type_name`.
///
/// # Errors
/// [`ErrorKind::InvalidText`] naming the path of the offender; [`ErrorKind::LimitExceeded`] beyond [`MAX_BYTES`].
pub fn read(type_name: &str, text: &str) -> Result<Value> {
    check_length(type_name, text.len())?;
    room(text.len());
    from_text::<UniqueKeys>(type_name, text)?;
    let value = from_text(type_name, text)?;
    if objects_in(&value) != objects_written(text) {
        // serde_json reads an object with a certain key of its own as a number.
        return Err(Error::new(ErrorKind::InvalidText, format!("invalid {type_name}: a key is reserved")));
    }
    plain(type_name, value, &mut Vec::new())
}

/// The canonical bytes of a document: a version and its canonical text.
pub fn to_bytes(document: &impl fmt::Display) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(document.to_string().as_bytes());
    out
}

/// The document of the SQL type `type_name` that has these canonical bytes.
///
/// # Errors
/// [`ErrorKind::InvalidBinary`] when no document has them.
pub fn from_bytes<T: fmt::Display>(type_name: &str, bytes: &[u8], parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let invalid = |why: String| Error::new(ErrorKind::InvalidBinary, format!("invalid binary {type_name}: {why}"));
    let text = match bytes.split_first() {
        Some((&VERSION, text)) => std::str::from_utf8(text).map_err(|_| invalid("not UTF-8".to_owned()))?,
        Some((version, _)) => {
            return Err(other_version(type_name, *version, VERSION));
        }
        None => return Err(invalid("it ends too early".to_owned())),
    };
    let document = parse(text).map_err(|error| invalid(error.message))?;
    if document.to_string() != text {
        return Err(invalid("not in canonical form".to_owned()));
    }
    Ok(document)
}

fn objects_in(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(objects_in).sum(),
        Value::Object(entries) => 1 + entries.values().map(objects_in).sum::<usize>(),
        _ => 0,
    }
}

/// Opening braces outside strings, in text that is JSON.
fn objects_written(text: &str) -> usize {
    let (mut objects, mut in_string, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => objects += 1,
            _ => {}
        }
    }
    objects
}

/// The value with every number in plain notation and no more decimals than it needs, so that 1e1, 10 and 10.0 are one
/// number; `path` leads to it.
///
/// # Errors
/// [`ErrorKind::InvalidText`] naming the path of a number that does not fit, or of a zero byte, which SQL text cannot hold.
fn plain(type_name: &str, value: Value, path: &mut Vec<String>) -> Result<Value> {
    let invalid = |path: &[String], problem: String| {
        Error::new(ErrorKind::InvalidText, format!("invalid {type_name}: {}: {problem}", path.join("")))
    };
    Ok(match value {
        Value::Number(number) => match Decimal::parse(number.as_str()) {
            Ok(decimal) => Value::Number(serde_json::Number::from_string_unchecked(decimal.normalized().to_string())),
            Err(_) => return Err(invalid(path, format!("{number} has more than 38 digits or 20 decimals"))),
        },
        Value::String(text) if text.contains('\0') => return Err(invalid(path, "a text with a zero byte".to_owned())),
        Value::Array(items) => {
            let item = |(position, item)| at(path, format!("[{position}]"), |path| plain(type_name, item, path));
            Value::Array(items.into_iter().enumerate().map(item).collect::<Result<_>>()?)
        }
        Value::Object(entries) => {
            let entry = |(key, value): (String, Value)| {
                if key.contains('\0') {
                    return Err(invalid(path, "a key with a zero byte".to_owned()));
                }
                let step = if path.is_empty() { key.clone() } else { format!(".{key}") };
                at(path, step, |path| plain(type_name, value, path)).map(|value| (key, value))
            };
            Value::Object(entries.into_iter().map(entry).collect::<Result<_>>()?)
        }
        other => other,
    })
}

/// What `read` makes of what lies a step further down the path.
fn at<T>(path: &mut Vec<String>, step: String, read: impl FnOnce(&mut Vec<String>) -> T) -> T {
    path.push(step);
    let result = read(path);
    path.pop();
    result
}
