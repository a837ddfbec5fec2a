//! A policy as written: sparse JSON, checked for keys and types, laid over other documents.

use std::fmt;
use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

use super::Policy;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Contradiction;
use crate::json::{self, canonical};

const TYPE_NAME: &str = "segment_policy";

/// The default policy, the one source of every default.
static DEFAULT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("default.json")).expect("default.json is JSON"));

/// A policy document: an object whose keys and types are right, with keys in order and numbers in plain notation, so
/// that equal documents have equal bytes.
///
/// Whether it contradicts itself shows only where it is used, because that depends on what it is laid over.
#[derive(Debug)]
pub struct Document {
    value: Value,
    /// Bytes of the texts it was read from, by which its memory is estimated.
    size: usize,
    policy: OnceLock<Result<Policy>>,
}

impl Document {
    /// The document that changes nothing.
    pub fn empty() -> Self {
        Document { value: Value::Object(Default::default()), size: 0, policy: OnceLock::new() }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidText`] naming the path of an unknown key, a wrong type or a key that stands twice;
    /// [`ErrorKind::LimitExceeded`] beyond [`canonical::MAX_BYTES`].
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).map_err(|error| match error.hint {
            Some(_) => error,
            None if !text.trim_start().starts_with('{') => error.hint(
                "A policy is a JSON object, for example {\"lifecycle\": {\"dormant_after_days\": 90}}; preset_policy('rental_90') is a preset.",
            ),
            None => error.hint("SELECT effective_policy(NULL) shows every key with its default."),
        })
    }

    fn read(text: &str) -> Result<Self> {
        Self::from_value(canonical::read(TYPE_NAME, text)?, text.len())
    }

    fn from_value(value: Value, size: usize) -> Result<Self> {
        if !value.is_object() {
            return Err(Error::new(ErrorKind::InvalidText, "invalid segment_policy: it must be a JSON object").hint(
                "Write only what differs from the default, for example {\"lifecycle\": {\"dormant_after_days\": 90}}.",
            ));
        }
        parse_effective(&value)?;
        Ok(Document { value, size, policy: OnceLock::new() })
    }

    /// This document with `over` laid over it: objects merge key by key, everything else is replaced.
    ///
    /// # Errors
    /// As [`policy`](Self::policy), where the result contradicts itself.
    pub fn overlay(&self, over: &Document) -> Result<Self> {
        let size = self.size + over.size;
        canonical::room(size);
        let merged = Self::from_value(merge(self.value.clone(), &over.value), size)?;
        merged.policy()?;
        Ok(merged)
    }

    /// This document without what an earlier learning said of itself.
    pub fn without_learned(&self) -> Self {
        canonical::room(self.size);
        let mut value = self.value.clone();
        if let Value::Object(sections) = &mut value {
            sections.remove("learned");
        }
        Document { value, size: self.size, policy: OnceLock::new() }
    }

    /// The effective policy.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] naming the paths of a contradiction.
    pub fn policy(&self) -> Result<&Policy> {
        let policy = self.policy.get_or_init(|| {
            canonical::room(self.size);
            let policy = parse_effective(&self.value)?;
            policy.refuse_contradictions()?;
            Ok(policy)
        });
        policy.as_ref().map_err(Clone::clone)
    }

    /// Everything in the effective policy that contradicts itself.
    ///
    /// # Errors
    /// None for a document that was read.
    pub fn contradictions(&self) -> Result<Vec<Contradiction>> {
        canonical::room(self.size);
        Ok(parse_effective(&self.value)?.contradictions())
    }

    /// The document as JSON.
    pub fn json(&self) -> &Value {
        &self.value
    }

    /// The effective policy as JSON: the document laid over the default.
    pub fn effective(&self) -> Value {
        canonical::room(self.size);
        merge(DEFAULT.clone(), &self.value)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_bytes(self)
    }

    /// The document that has these canonical bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] when no document has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        canonical::from_bytes(TYPE_NAME, bytes, Self::parse)
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

fn parse_effective(value: &Value) -> Result<Policy> {
    json::from_value(TYPE_NAME, merge(DEFAULT.clone(), value))
}

fn merge(base: Value, over: &Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let merged = match base.remove(key) {
                    Some(below) => merge(below, value),
                    None => value.clone(),
                };
                base.insert(key.clone(), merged);
            }
            Value::Object(base)
        }
        (_, over) => over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = Document::parse(text).unwrap_err();
        assert_ne!(error.kind, ErrorKind::InvalidParameter);
        error.message
    }

    #[test]
    fn a_document_stays_as_written() {
        let text = r#"{"vip": {"monetary_cut": 1.50e1}, "lifecycle":{"dormant_after_days":90}}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.to_string(), r#"{"lifecycle":{"dormant_after_days":90},"vip":{"monetary_cut":15}}"#);
        assert_eq!(document.policy().unwrap().lifecycle.dormant_after_days, 90);
        assert_eq!(document.policy().unwrap().lifecycle.at_risk_after_days, 30);
        let bytes = document.to_bytes();
        assert_eq!(Document::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    }

    #[test]
    fn errors_name_the_path() {
        assert!(refused(r#"{"lifecycle": {"dormant_days": 1}}"#).contains("lifecycle.dormant_days: unknown field"));
        assert!(
            refused(r#"{"lifecycle": {"dormant_after_days": "90"}}"#)
                .contains("lifecycle.dormant_after_days: invalid type")
        );
        assert!(refused(r#"{"lifecycle": {"dormant_after_days": -1}}"#).contains("lifecycle.dormant_after_days"));
        assert!(refused(r#"{"rfm": {"recency_cuts": [1, "x"]}}"#).contains("rfm.recency_cuts[1]"));
        assert!(refused(r#"{"rfm": 5}"#).contains("rfm: invalid type"));
        assert!(
            refused(r#"{"frequency": "visits"}"#)
                .contains("unknown frequency: \"visits\". Use one of: orders, purchase_days")
        );
        assert!(refused(r#"{"vip": {"memberships": ["gold"]}}"#).contains("vip.memberships[0]"));
        assert!(refused(r#"{"a": 1, "a": 2}"#).contains("stands twice"));
        assert!(refused("[]").contains("object"));
        assert!(refused("nonsense").contains("expected"));
        assert!(refused(r#"{"lifecycle": null}"#).contains("lifecycle"));
    }

    #[test]
    fn overlays_merge_objects_and_replace_the_rest() {
        let base = Document::parse(r#"{"rfm": {"recency_cuts": [1, 2], "frequency_cuts": [1]}}"#).unwrap();
        let over = Document::parse(r#"{"rfm": {"recency_cuts": [7]}}"#).unwrap();
        assert_eq!(base.overlay(&over).unwrap().to_string(), r#"{"rfm":{"frequency_cuts":[1],"recency_cuts":[7]}}"#);
    }

    #[test]
    fn contradictions_show_at_the_overlay_and_at_use() {
        let at_risk = Document::parse(r#"{"lifecycle": {"at_risk_after_days": 90}}"#).unwrap();
        assert_eq!(at_risk.policy().unwrap_err().kind, ErrorKind::InvalidParameter);
        let error = Document::empty().overlay(&at_risk).unwrap_err();
        assert!(error.message.contains("lifecycle.at_risk_after_days"), "{}", error.message);
        let dormant = Document::parse(r#"{"lifecycle": {"dormant_after_days": 180}}"#).unwrap();
        assert!(at_risk.overlay(&dormant).is_ok());
    }

    #[test]
    fn serde_json_has_a_key_of_its_own() {
        assert!(refused(r#"{"vip": {"monetary_cut": {"$serde_json::private::Number": "5"}}}"#).contains("reserved"));
        assert!(
            refused(r#"{"vip": {"monetary_cut": {"\u0024serde_json::private::Number": "5"}}}"#).contains("reserved")
        );
        assert!(Document::parse(r#"{"learned": {"a{\"{": "{\\", "b": [{}]}}"#).is_ok());
    }

    #[test]
    fn too_much_text_is_refused() {
        let text = format!(r#"{{"learned": {{"note": "{}"}}}}"#, "x".repeat(canonical::MAX_BYTES));
        assert_eq!(Document::parse(&text).unwrap_err().kind, ErrorKind::LimitExceeded);
    }
}
