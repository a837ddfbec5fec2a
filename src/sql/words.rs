//! Which words of a shop's are known under a policy, and what the others may mean.

use pgrx::prelude::*;

use super::error::OrRaise;
use super::types::{SegmentPolicy, policy_of};
use crate::event_history::check_name;
use crate::words::Vocabulary;

/// `argument` is what the words are for: the argument that says what a shop's own words mean, or a column that has none
/// ([`Vocabulary::named`]).
#[pg_extern(name = "_known_words", immutable, parallel_safe, cost = 1000)]
fn known_words(argument: Option<&str>, policy: Option<SegmentPolicy>) -> SetOfIterator<'static, String> {
    let vocabulary = Vocabulary::named(argument.unwrap_or_default()).or_raise();
    SetOfIterator::new(vocabulary.known(policy_of(&policy)).or_raise())
}

#[pg_extern(name = "_nearest_word", immutable, parallel_safe, cost = 1000)]
fn nearest_word(argument: Option<&str>, word: Option<&str>, policy: Option<SegmentPolicy>) -> Option<String> {
    let vocabulary = Vocabulary::named(argument.unwrap_or_default()).or_raise();
    vocabulary.nearest(word?, policy_of(&policy)).or_raise()
}

/// Whether a history can keep it as the name of a kind, channel, scenario, step or group.
#[pg_extern(name = "_is_name", immutable, strict, parallel_safe, cost = 10)]
fn is_name(word: &str) -> bool {
    check_name("name", word).is_ok()
}
