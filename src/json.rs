//! Reading JSON strictly: errors name the path, a key may stand only once.

pub mod canonical;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, ErrorKind, Result, shown};
use crate::host::Steps;

/// The longest text of a history, in bytes: more than the largest value of any type needs.
pub const MAX_BYTES: usize = 128 << 20;

/// Refuses a text of so many bytes; asked before anything reads it.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`] beyond [`MAX_BYTES`].
pub fn check_length(type_name: &str, bytes: usize) -> Result<()> {
    if bytes > MAX_BYTES {
        let message = format!("the text of a {type_name} has at most {MAX_BYTES} bytes, not {bytes}");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(())
}

/// Reads the text of a value of the SQL type `type_name`.
///
/// # Errors
/// [`ErrorKind::InvalidText`] naming the path of the offender, an error that was [`refuse`]d with, and as [`check_length`].
pub fn from_text<T: DeserializeOwned>(type_name: &str, text: &str) -> Result<T> {
    check_length(type_name, text.len())?;
    check_tokens(type_name, text)?;
    if text.trim().is_empty() {
        return Err(invalid(type_name, "the text is empty"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    REFUSED.take();
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| REFUSED.take().unwrap_or_else(|| at_path(type_name, &error)))?;
    json.end().map_err(|error| invalid(type_name, &error.to_string()))?;
    Ok(value)
}

thread_local! {
    /// Why reading stopped: serde's errors have no place for it.
    static REFUSED: Cell<Option<Error>> = const { Cell::new(None) };
}

/// An error for serde that makes [`from_text`] return this one.
fn refuse<E: serde::de::Error>(error: Error) -> E {
    let stopped = E::custom(&error.message);
    REFUSED.set(Some(error));
    stopped
}

/// The longest text or number within a long text, in bytes: names, days and amounts are far shorter. serde_json copies one
/// into memory that it asks for without asking whether it is there.
const MAX_TOKEN_BYTES: usize = canonical::MAX_BYTES;

/// Refuses what [`MAX_TOKEN_BYTES`] says, without memory.
fn check_tokens(type_name: &str, text: &str) -> Result<()> {
    if text.len() <= MAX_TOKEN_BYTES {
        return Ok(());
    }
    let (mut length, mut in_string, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        length += 1;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => (length, in_string) = (0, !in_string),
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'[' | b']' | b'{' | b'}' if !in_string => length = 0,
            _ => {}
        }
        if length > MAX_TOKEN_BYTES {
            let message = format!("a text or number within a {type_name} has at most {MAX_TOKEN_BYTES} bytes");
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
    }
    Ok(())
}

/// Reads a parsed value, which came from the text of a value of the SQL type `type_name`.
///
/// # Errors
/// As [`from_text`].
pub fn from_value<T: DeserializeOwned>(type_name: &str, value: serde_json::Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| at_path(type_name, &error))
}

fn at_path(type_name: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    match error.path().to_string().as_str() {
        "." | "?" => invalid(type_name, &error.inner().to_string()),
        path if path.len() > 200 => invalid(type_name, &error.inner().to_string()),
        path => invalid(type_name, &format!("{}: {}", path.trim_end_matches(".?"), error.inner())),
    }
}

fn invalid(type_name: &str, problem: &str) -> Error {
    Error::new(ErrorKind::InvalidText, format!("invalid {type_name}: {}", in_plain_words(problem)))
}

/// serde speaks of Rust's types, users of JSON.
fn in_plain_words(problem: &str) -> String {
    let (found, expected) = match problem.split_once(", expected ") {
        Some(parts) => parts,
        None => return problem.to_owned(),
    };
    let (expected, place) = match expected.find(" at line ") {
        Some(position) => expected.split_at(position),
        None => (expected, ""),
    };
    let expected = match expected {
        "u8" | "u32" => "a whole number from 0",
        "a sequence" => "a list",
        "a map" => "an object",
        "a string" => "a text",
        "a JSON number" => "a number",
        "a tuple of size 2" | "tuple of size 2" => "a list of two numbers",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{}, expected {expected}{place}", found.replace("map", "object").replace("sequence", "list"))
}

/// Reads an object entry by entry, so that whoever takes the entries can stop at one too many.
///
/// # Errors
/// Those of `take` come out of [`from_text`] as they are.
pub fn each_entry<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    deserializer: D,
    take: impl FnMut(&str, V) -> Result<()>,
) -> std::result::Result<(), D::Error> {
    struct Entries<F, V>(F, PhantomData<V>);

    impl<'de, F: FnMut(&str, V) -> Result<()>, V: Deserialize<'de>> Visitor<'de> for Entries<F, V> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<(), A::Error> {
            let mut steps = Steps::default();
            while let Some(key) = map.next_key::<String>()? {
                steps.step();
                let value = map.next_value()?;
                (self.0)(&key, value).map_err(refuse)?;
            }
            Ok(())
        }
    }

    deserializer.deserialize_map(Entries(take, PhantomData))
}

/// Reads a list item by item; as [`each_entry`].
///
/// # Errors
/// Those of `take` come out of [`from_text`] as they are.
pub fn each_item<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    deserializer: D,
    take: impl FnMut(V) -> Result<()>,
) -> std::result::Result<(), D::Error> {
    struct Items<F, V>(F, PhantomData<V>);

    impl<'de, F: FnMut(V) -> Result<()>, V: Deserialize<'de>> Visitor<'de> for Items<F, V> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> std::result::Result<(), A::Error> {
            let mut steps = Steps::default();
            while let Some(item) = list.next_element()? {
                steps.step();
                (self.0)(item).map_err(refuse)?;
            }
            Ok(())
        }
    }

    deserializer.deserialize_seq(Items(take, PhantomData))
}

/// The error for a key that stands twice in an object.
pub fn stands_twice(type_name: &str, key: &str) -> Error {
    invalid(type_name, &format!("key {} stands twice", shown(key)))
}

/// Any JSON in which no object has a key twice; serde_json's own `Value` would silently keep the last.
pub struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = UniqueKeys;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<UniqueKeys, A::Error> {
                let mut seen = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if seen.contains(&key) {
                        return Err(A::Error::custom(format!("key {} stands twice", shown(&key))));
                    }
                    seen.insert(key);
                    map.next_value::<UniqueKeys>()?;
                }
                Ok(UniqueKeys)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<UniqueKeys, A::Error> {
                while seq.next_element::<UniqueKeys>()?.is_some() {}
                Ok(UniqueKeys)
            }

            fn visit_bool<E>(self, _: bool) -> std::result::Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_i64<E>(self, _: i64) -> std::result::Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_u64<E>(self, _: u64) -> std::result::Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_str<E>(self, _: &str) -> std::result::Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_unit<E>(self) -> std::result::Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_key_may_stand_only_once() {
        assert!(from_text::<UniqueKeys>("test", r#"{"a": [1, {"b": 1.5, "c": null, "d": "x", "e": true}]}"#).is_ok());
        let error = from_text::<UniqueKeys>("test", r#"{"a": [{"b": 1, "b": 2}]}"#).err().unwrap();
        assert!(error.message.contains("\"b\" stands twice"), "{}", error.message);
    }

    #[test]
    fn errors_name_the_path() {
        let error = from_text::<BTreeMap<String, Vec<u8>>>("test", r#"{"a": [1, -1]}"#).err().unwrap();
        assert!(error.message.starts_with("invalid test: a[1]: "), "{}", error.message);
    }

    #[test]
    fn absurd_tokens_are_refused_before_they_are_read() {
        for (before, unit, after) in
            [("[\"", "x", "\"]"), ("[", "1", "]"), ("[\"", "\\\"", "\"]"), ("{\"", "あ", "\": 1}")]
        {
            let text = format!("{before}{}{after}", unit.repeat(MAX_TOKEN_BYTES + 1));
            let error = from_text::<UniqueKeys>("test", &text).err().unwrap();
            assert_eq!(error.kind, ErrorKind::LimitExceeded, "{}", error.message);
        }
        let short = format!("[{}\"\\\\\"]", "\"a\\\"[\", 12, ".repeat(MAX_TOKEN_BYTES / 4));
        assert!(from_text::<UniqueKeys>("test", &short).is_ok());
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let text = "[".repeat(100_000);
        assert_eq!(from_text::<UniqueKeys>("test", &text).err().unwrap().kind, ErrorKind::InvalidText);
    }
}
