//! What values of closed lists are called, in English and Japanese, and the order in which reports sort them; what the
//! audit says in both.

use pgrx::prelude::*;

use super::error::OrRaise;
use super::memory::ensure_reserve;
use super::set::{ListLabel, RfmSegmentLabel, SetOf};
use super::types::{SegmentPolicy, policy_of};
use crate::audit;
use crate::rfm::Segment;
use crate::vocabulary::{LISTS, Language, List};

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn labels() -> SetOf<ListLabel> {
    SetOf::new(LISTS.iter().flat_map(|list| {
        (1..).zip(list.labels()).map(|(order, label)| (list.name, label.name, order, label.en, label.ja))
    }))
}

/// What is in none of the lists is called by its name: segments and channels of a shop's own policy.
#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn label<'a>(list: &str, name: &'a str, lang: &str) -> &'a str {
    ensure_reserve();
    let (list, language) = (List::from_name(list).or_raise(), Language::from_name(lang).or_raise());
    list.find(name).map_or(name, |(_, label)| language.choose(label.en, label.ja))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn label_order(list: &str, name: &str) -> Option<i32> {
    ensure_reserve();
    List::from_name(list).or_raise().find(name).map(|(order, _)| order)
}

#[pg_extern(name = "_audit_text", immutable, strict, parallel_safe, cost = 10)]
fn audit_text(english: &str, lang: &str) -> String {
    ensure_reserve();
    audit::said(english, Language::from_name(lang).or_raise())
}

#[pg_extern(immutable, parallel_safe, cost = 1000)]
fn rfm_segments(policy: default!(Option<SegmentPolicy>, "NULL")) -> SetOf<RfmSegmentLabel> {
    let rows: Vec<_> = (1..)
        .zip(policy_of(&policy).segments.names())
        .map(|(order, name)| {
            let (en, ja) = Segment::from_name(name).map_or((name, name), |known| (known.label_en(), known.label_ja()));
            (name.to_owned(), order, en.to_owned(), ja.to_owned())
        })
        .collect();
    SetOf::new(rows)
}
