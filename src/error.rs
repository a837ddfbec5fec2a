//! The one error type of the core: what went wrong, where, and what to do about it.

use std::fmt;

/// What kind of mistake an [`Error`] is; the SQL binding maps each kind to one SQLSTATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A value that an argument or a policy does not allow (22023).
    InvalidParameter,
    /// Text that cannot be read as the type it should be (22P02).
    InvalidText,
    /// Bytes that are not a value of the type (22P03).
    InvalidBinary,
    /// A number that does not fit (22003).
    NumberOutOfRange,
    /// A day that does not fit or is infinite (22008).
    DayOutOfRange,
    /// More than a stated maximum (54000).
    LimitExceeded,
    /// No memory for a large value (53200).
    OutOfMemory,
}

/// An error of the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Decides the SQLSTATE.
    pub kind: ErrorKind,
    /// What was wrong and where, naming the offending value.
    pub message: String,
    /// What the user can do, if there is something to say.
    pub hint: Option<String>,
}

/// Result of everything in the core that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None }
    }

    /// The same error with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with a hint, unless it has one.
    pub fn or_hint(self, hint: &str) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }
}

/// A text from outside as a message shows it: in quotes, and not much of it. A whole one could be too large to show.
pub fn shown(text: &str) -> String {
    const LENGTH: usize = 200;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
