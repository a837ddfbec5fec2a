//! What an aggregate is asked besides its rows: a day and a document, which is a policy, a model or options; the same for
//! all rows of a group.

use std::ptr::NonNull;

use pgrx::{PgMemoryContexts, pg_sys};

use super::buffer::PlainData;
use super::datum::{finite_day, new_varlena, varlena_bytes};
use super::error::OrRaise;
use super::types::SegmentPolicy;
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result};
use crate::memory;

/// A document as a varlena in memory that lives as long as the query.
type KeptDocument = NonNull<pg_sys::varlena>;

/// `-infinity`, which no question can be about.
const NOT_ASKED: i32 = i32::MIN;

/// The day and the document a group is asked for. Packed to keep the state of a group small.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
pub struct Question {
    as_of: i32,
    document: Option<KeptDocument>,
}

// SAFETY: the pointer in it is not owned.
unsafe impl PlainData for Question {}

impl Question {
    /// No question: rows are collected for later.
    pub const NONE: Question = Question { as_of: NOT_ASKED, document: None };

    /// The day asked for; `None` where it is NULL.
    pub fn as_of(self) -> Option<Day> {
        (self.as_of != NOT_ASKED).then_some(Day(self.as_of))
    }

    /// The policy asked for; `None` where it is NULL.
    pub fn policy(self) -> Option<SegmentPolicy> {
        self.document().map(|bytes| SegmentPolicy::from_bytes(bytes).or_raise())
    }

    /// The bytes of the document; `None` where it is NULL.
    pub fn document<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: the pointer is to a varlena that lives as long as the query.
        self.document.map(|document| unsafe { varlena_bytes(pg_sys::Datum::from(document.as_ptr())) })
    }

    /// Appends the question to a serialized state: the day, the length of the document (plus one; 0 for none), the document.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend(self.as_of.to_ne_bytes());
        let document = self.document();
        out.extend(document.map_or(0, |document| document.len() as u32 + 1).to_ne_bytes());
        out.extend(document.unwrap_or_default());
    }
}

/// A question as it comes with a row: not yet kept.
#[derive(Clone, Copy, PartialEq)]
pub struct Asked<'a> {
    as_of: i32,
    document: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    /// The question in these arguments.
    ///
    /// # Safety
    /// The datums must be a `date` and a varlena.
    pub unsafe fn new(as_of: Option<pg_sys::Datum>, document: Option<pg_sys::Datum>) -> Self {
        let as_of = as_of.map_or(NOT_ASKED, |day| finite_day(day.value() as i32).or_raise().0);
        // SAFETY: the caller promises a varlena.
        Asked { as_of, document: document.map(|document| unsafe { varlena_bytes(document) }) }
    }

    /// The day asked for; `None` where it is NULL.
    pub fn as_of(self) -> Option<Day> {
        (self.as_of != NOT_ASKED).then_some(Day(self.as_of))
    }

    /// The bytes of the document; `None` where it is NULL.
    pub fn document(self) -> Option<&'a [u8]> {
        self.document
    }

    /// The question at the front of a serialized state, and the rest.
    pub fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (as_of, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let as_of = i32::from_ne_bytes(*as_of);
        match u32::from_ne_bytes(*length).checked_sub(1) {
            None => Some((Asked { as_of, document: None }, rest)),
            Some(length) => {
                let (document, rest) = rest.split_at_checked(length as usize)?;
                Some((Asked { as_of, document: Some(document) }, rest))
            }
        }
    }

    /// Whether the day is before or on the one asked for.
    pub fn sees(self, day: Day) -> bool {
        day.0 <= self.as_of
    }

    /// The question with a copy of the document in the current memory context.
    pub fn copied(self) -> Question {
        let copy = |bytes| NonNull::new(new_varlena(bytes).cast_mut_ptr()).expect("palloc never returns NULL");
        Question { as_of: self.as_of, document: self.document.map(copy) }
    }

    /// Checks that a group is asked the same for all of its rows; the names are what the day and the document are called.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] naming what varies.
    pub fn check_same(self, question: Question, day_name: &str, document_name: &str) -> Result<()> {
        check_same(day_name, self.as_of, question.as_of)?;
        check_same(document_name, self.document, question.document())
    }
}

impl From<Question> for Asked<'_> {
    fn from(question: Question) -> Self {
        Asked { as_of: question.as_of, document: question.document() }
    }
}

/// Checks that an argument is the same for all rows of a group.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] naming it where it varies.
pub fn check_same<T: PartialEq>(name: &str, of_row: T, of_group: T) -> Result<()> {
    if of_row == of_group {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidParameter, format!("{name} varies within a group"))
        .hint(format!("Give one {name} for all rows of a group: a constant, or a column of GROUP BY.")))
}

/// The documents that a function met in a query, the last one first, in memory that lives as long as the query: a group keeps
/// a pointer to one of them.
#[derive(Default)]
pub struct Documents(Vec<KeptDocument>);

impl Documents {
    /// The question with its document kept.
    ///
    /// # Safety
    /// `flinfo` must be the one in whose memory this lives.
    pub unsafe fn keep(&mut self, flinfo: *mut pg_sys::FmgrInfo, asked: Asked) -> Question {
        // SAFETY: the pointers are to varlenas in fn_mcxt.
        let bytes_of = |kept: &KeptDocument| unsafe { varlena_bytes(pg_sys::Datum::from(kept.as_ptr())) };
        let known = |bytes| self.0.iter().position(|kept| bytes_of(kept) == bytes);
        let Some(bytes) = asked.document else {
            return asked.copied();
        };
        match known(bytes) {
            Some(position) => self.0.swap(0, position),
            None => {
                // SAFETY: fn_mcxt is live.
                let question = unsafe { PgMemoryContexts::For((*flinfo).fn_mcxt).switch_to(|_| asked.copied()) };
                memory::reserve(&mut self.0, 1);
                self.0.splice(0..0, question.document);
            }
        }
        Question { as_of: asked.as_of, document: self.0.first().copied() }
    }
}
