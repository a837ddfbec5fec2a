//! How often something happened, by what it was and on which day: what the histories of engagement and of contacts are.

use crate::bytes::{Reader, put_signed, put_unsigned};
use crate::day::Day;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::host::Steps;
use crate::memory;

/// The most entries, each a key and a day, that one history may have.
pub const MAX_ENTRIES: usize = 1_000_000;
/// The longest name in a key, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

const VERSION: u8 = 1;

/// More than the bytes of any key: up to four names, each after its length.
const MAX_KEY_BYTES: usize = 4 * (1 + MAX_NAME_BYTES);
/// More than the bytes of a number of 64 bits.
const MAX_NUMBER_BYTES: usize = 10;

/// What happened, without the day.
pub trait Key: Sized {
    /// The SQL type of a history with such keys.
    const TYPE_NAME: &'static str;
    /// What such a history is called.
    const HISTORY: &'static str;

    /// A key that is borrowed from where it was read; keys are kept in its order.
    type Ref<'a>: Copy + Ord;

    /// Whether a key may be so.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] naming what is wrong.
    fn check(key: Self::Ref<'_>) -> Result<()>;
    /// The key with memory of its own.
    fn own(key: Self::Ref<'_>) -> Self;
    /// The key, borrowed.
    fn lend(&self) -> Self::Ref<'_>;
    /// Appends the key's canonical bytes.
    fn put(key: Self::Ref<'_>, out: &mut Vec<u8>);
    /// Reads what [`put`](Self::put) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] for what it would not have written.
    fn read<'a>(reader: &mut Reader<'a>) -> Result<Self::Ref<'a>>;
}

/// How often on which day, in order of day.
type Days = Vec<(Day, u32)>;

/// One customer's history: days and counts by key, in order of key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHistory<K> {
    keys: Vec<(K, Days)>,
}

impl<K> Default for EventHistory<K> {
    fn default() -> Self {
        EventHistory { keys: Vec::new() }
    }
}

impl<K: Key> EventHistory<K> {
    /// A history from entries in any order; counts of one key and day are added up.
    ///
    /// # Errors
    /// As [`Key::check`]; [`ErrorKind::DayOutOfRange`]; [`ErrorKind::LimitExceeded`] beyond [`MAX_ENTRIES`] entries or a
    /// count of four billion.
    pub fn new<'a>(entries: impl IntoIterator<Item = (K::Ref<'a>, Day, u32)>) -> Result<Self>
    where
        K: 'a,
    {
        Self::collected(memory::collect(entries))
    }

    /// As [`new`](Self::new), for entries that are collected already.
    pub(crate) fn collected(mut entries: Vec<(K::Ref<'_>, Day, u32)>) -> Result<Self> {
        memory::sort(&mut entries, |a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let (mut history, mut steps) = (EventHistory::default(), Steps::default());
        for of_key in entries.chunk_by(|a, b| a.0 == b.0) {
            steps.step();
            let key = of_key[0].0;
            K::check(key)?;
            let days = summed(of_key.iter().map(|&(_, day, count)| (day, count)))?;
            if !days.is_empty() {
                memory::push(&mut history.keys, (K::own(key), days));
            }
        }
        match history.keys.iter().map(|(_, days)| days.len()).sum::<usize>() {
            0..=MAX_ENTRIES => Ok(history),
            entries => Err(too_many(format!("{} holds at most {MAX_ENTRIES} entries, not {entries}", K::HISTORY))),
        }
    }

    /// All entries: key, day, how often; by key, then by day.
    pub fn entries(&self) -> impl Iterator<Item = (K::Ref<'_>, Day, u32)> {
        self.keys.iter().flat_map(|(key, days)| days.iter().map(move |&(day, count)| (key.lend(), day, count)))
    }

    /// The first day after `day` that has an entry.
    pub fn first_after(&self, day: Day) -> Option<Day> {
        let next = |days: &Days| days.get(days.partition_point(|&(on, _)| on <= day)).map(|&(on, _)| on);
        self.keys.iter().filter_map(|(_, days)| next(days)).min()
    }

    /// The last day up to `day` that has an entry.
    pub fn last_until(&self, day: Day) -> Option<Day> {
        let last = |days: &Days| days[..days.partition_point(|&(on, _)| on <= day)].last().map(|&(on, _)| on);
        self.keys.iter().filter_map(|(_, days)| last(days)).max()
    }

    /// The keys with their days, in order.
    pub(crate) fn by_key(&self) -> &[(K, Vec<(Day, u32)>)] {
        &self.keys
    }

    /// Both histories in one; what overlaps counts twice.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn merge(&self, other: &Self) -> Result<Self> {
        Self::new(self.entries().chain(other.entries()))
    }

    /// The canonical bytes: version, then for each key its own bytes, the number of days and for each day the distance to
    /// the one before and the count.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Most histories fit.
        let mut out = Vec::with_capacity(2 * MAX_KEY_BYTES);
        out.push(VERSION);
        let mut steps = Steps::default();
        for (key, days) in &self.keys {
            memory::reserve(&mut out, MAX_KEY_BYTES + MAX_NUMBER_BYTES);
            K::put(key.lend(), &mut out);
            put_unsigned(&mut out, days.len() as u128);
            let mut before = 0;
            for &(day, count) in days {
                steps.step();
                memory::reserve(&mut out, 2 * MAX_NUMBER_BYTES);
                put_signed(&mut out, i128::from(day.0) - before);
                put_unsigned(&mut out, u128::from(count));
                before = i128::from(day.0);
            }
        }
        out
    }

    /// The history that has these canonical bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] when no history has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(K::TYPE_NAME, VERSION, bytes)?;
        let (mut entries, mut steps) = (Vec::with_capacity(16), Steps::default());
        while !reader.is_empty() {
            let key = K::read(&mut reader)?;
            let mut day = 0i128;
            for _ in 0..reader.unsigned::<usize>()? {
                day = day.checked_add(reader.signed()?).ok_or_else(|| reader.invalid("a day is out of range"))?;
                let on = i32::try_from(day).map_err(|_| reader.invalid("a day is out of range"))?;
                steps.step();
                memory::push(&mut entries, (key, Day(on), reader.unsigned()?));
                if entries.len() > MAX_ENTRIES {
                    return Err(reader.invalid("too many entries"));
                }
            }
        }
        let history = Self::collected(entries).map_err(|error| reader.invalid(&error.message))?;
        if history.to_bytes() != bytes {
            return Err(reader.invalid("not in canonical order"));
        }
        Ok(history)
    }
}

/// The counts of one key in order of day, added up where a day stands several times.
fn summed(entries: impl Iterator<Item = (Day, u32)>) -> Result<Days> {
    let mut days = Days::new();
    for (day, count) in entries {
        day.checked()?;
        match days.last_mut() {
            _ if count == 0 => {}
            Some((last, sum)) if *last == day => {
                *sum = sum
                    .checked_add(count)
                    .ok_or_else(|| too_many(format!("more than {} of a kind on {day}", u32::MAX)))?;
            }
            _ => memory::push(&mut days, (day, count)),
        }
    }
    Ok(days)
}

/// Refuses the text of a history with so many entries, as soon as one too many was read; those of one key and day count each.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`] beyond [`MAX_ENTRIES`].
pub fn check_count<K: Key>(entries: usize) -> Result<()> {
    if entries > MAX_ENTRIES {
        return Err(too_many(format!("the text of a {} has at most {MAX_ENTRIES} entries", K::TYPE_NAME)));
    }
    Ok(())
}

fn too_many(message: String) -> Error {
    Error::new(ErrorKind::LimitExceeded, message).hint("Is a GROUP BY customer missing?")
}

/// Whether a part of a key may be called so; `what` says what it is.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] for an empty or too long name, or one with control characters.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        let bytes = name.len();
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("invalid {what} of {bytes} bytes, 1 to {MAX_NAME_BYTES} are allowed: {}", shown(name)),
        )
        .hint(format!("A name has 1 to {MAX_NAME_BYTES} bytes and no control characters; NULL where there is none.")));
    }
    Ok(())
}

/// Appends a name: its length, then its bytes.
pub fn put_name(name: &str, out: &mut Vec<u8>) {
    put_unsigned(out, name.len() as u128);
    out.extend(name.as_bytes());
}

/// Reads what [`put_name`] wrote; `what` says what it is.
///
/// # Errors
/// [`ErrorKind::InvalidBinary`] for what is not UTF-8 or too short.
pub fn read_name<'a>(what: &str, reader: &mut Reader<'a>) -> Result<&'a str> {
    let length = reader.unsigned()?;
    std::str::from_utf8(reader.slice(length)?).map_err(|_| reader.invalid(&format!("a {what} is not UTF-8")))
}
