//! What an aggregate is asked besides its rows: a day and a policy, the same for all rows of a group.

use std::ptr::NonNull;

use pgrx::{PgMemoryContexts, pg_sys};

use super::buffer::PlainData;
use super::datum::{finite_day, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::types::SegmentPolicy;
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;

/// A policy as a varlena in memory that lives as long as the query.
type KeptPolicy = NonNull<pg_sys::varlena>;

/// `-infinity`, which no question can be about.
const NOT_ASKED: i32 = i32::MIN;

/// The day and the policy a group is asked for. Packed to keep the state of a group small.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
pub struct Question {
    as_of: i32,
    policy: Option<KeptPolicy>,
}

// SAFETY: the pointer in it is not owned.
unsafe impl PlainData for Question {}

impl Question {
    /// No question: rows are collected for later.
    pub const NONE: Question = Question { as_of: NOT_ASKED, policy: None };

    /// The day asked for; `None` where it is NULL.
    pub fn as_of(self) -> Option<Day> {
        (self.as_of != NOT_ASKED).then_some(Day(self.as_of))
    }

    /// The policy asked for; `None` where it is NULL.
    pub fn policy(self) -> Option<SegmentPolicy> {
        self.policy_bytes().map(|bytes| SegmentPolicy::from_bytes(bytes).or_raise())
    }

    fn policy_bytes<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: the pointer is to a varlena that lives as long as the query.
        self.policy.map(|policy| unsafe { varlena_bytes(pg_sys::Datum::from(policy.as_ptr())) })
    }

    /// Appends the question to a serialized state: the day, the length of the policy (plus one; 0 for none), the policy.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend(self.as_of.to_ne_bytes());
        let policy = self.policy_bytes();
        out.extend(policy.map_or(0, |policy| policy.len() as u32 + 1).to_ne_bytes());
        out.extend(policy.unwrap_or_default());
    }
}

/// A question as it comes with a row: not yet kept.
#[derive(Clone, Copy, PartialEq)]
pub struct Asked<'a> {
    as_of: i32,
    policy: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    /// The question in these arguments.
    ///
    /// # Safety
    /// The datums must be a `date` and a `segment_policy`.
    pub unsafe fn new(as_of: Option<pg_sys::Datum>, policy: Option<pg_sys::Datum>) -> Self {
        let as_of = as_of.map_or(NOT_ASKED, |day| finite_day(day.value() as i32).or_raise().0);
        // SAFETY: a segment_policy is a varlena.
        Asked { as_of, policy: policy.map(|policy| unsafe { varlena_bytes(policy) }) }
    }

    /// The question at the front of a serialized state, and the rest.
    pub fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (as_of, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let as_of = i32::from_ne_bytes(*as_of);
        match u32::from_ne_bytes(*length).checked_sub(1) {
            None => Some((Asked { as_of, policy: None }, rest)),
            Some(length) => {
                let (policy, rest) = rest.split_at_checked(length as usize)?;
                Some((Asked { as_of, policy: Some(policy) }, rest))
            }
        }
    }

    /// Whether the day is before or on the one asked for.
    pub fn sees(self, day: Day) -> bool {
        day.0 <= self.as_of
    }

    /// The question with a copy of the policy in the current memory context.
    pub fn copied(self) -> Question {
        let copy = |bytes| NonNull::new(new_varlena(bytes).cast_mut_ptr()).expect("palloc never returns NULL");
        Question { as_of: self.as_of, policy: self.policy.map(copy) }
    }

    /// Checks that a group is asked the same for all of its rows; `policy_name` is what the policy argument is called.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] naming what varies.
    pub fn check_same(self, question: Question, policy_name: &str) -> Result<()> {
        let what = if self.as_of != question.as_of {
            "as_of"
        } else if self.policy != question.policy_bytes() {
            policy_name
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidParameter, format!("{what} varies within a group"))
            .hint(format!("Give one {what} for all rows of a group: a constant, or a column of GROUP BY.")))
    }
}

impl From<Question> for Asked<'_> {
    fn from(question: Question) -> Self {
        Asked { as_of: question.as_of, policy: question.policy_bytes() }
    }
}

/// The policies that a function met in a query, the last one first, in memory that lives as long as the query: a group keeps
/// a pointer to one of them.
#[derive(Default)]
pub struct Policies(Vec<KeptPolicy>);

impl Policies {
    /// The question with its policy kept.
    ///
    /// # Safety
    /// `flinfo` must be the one in whose memory this lives.
    pub unsafe fn keep(&mut self, flinfo: *mut pg_sys::FmgrInfo, asked: Asked) -> Question {
        // SAFETY: the pointers are to varlenas in fn_mcxt.
        let bytes_of = |policy: &KeptPolicy| unsafe { varlena_bytes(pg_sys::Datum::from(policy.as_ptr())) };
        let known = |bytes| self.0.iter().position(|policy| bytes_of(policy) == bytes);
        let Some(bytes) = asked.policy else {
            return asked.copied();
        };
        match known(bytes) {
            Some(position) => self.0.swap(0, position),
            None => {
                // SAFETY: fn_mcxt is live.
                let question = unsafe { PgMemoryContexts::For((*flinfo).fn_mcxt).switch_to(|_| asked.copied()) };
                memory::reserve(&mut self.0, 1);
                self.0.splice(0..0, question.policy);
            }
        }
        Question { as_of: asked.as_of, policy: self.0.first().copied() }
    }
}
