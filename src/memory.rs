//! Memory for large values. A failed allocation of a plain `Vec` or `String` ends the process, and with it all sessions of a
//! server; what grows with the size of a value is allocated here, where want of memory is an error of the one statement.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;

use crate::error::{Error, ErrorKind};
use crate::host::{self, Steps};

#[cold]
fn out_of_memory(bytes: usize) -> ! {
    host::fail(
        Error::new(ErrorKind::OutOfMemory, format!("out of memory: {bytes} more bytes are needed"))
            .hint("Work on smaller values, or allow the server process more memory."),
    )
}

/// Makes room for so many items more, or unwinds.
#[inline]
pub fn reserve<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more && items.try_reserve(more).is_err() {
        out_of_memory(more.saturating_mul(size_of::<T>()));
    }
}

/// An empty vector with room for so many items.
pub fn with_capacity<T>(count: usize) -> Vec<T> {
    let mut items = Vec::new();
    if items.try_reserve_exact(count).is_err() {
        out_of_memory(count.saturating_mul(size_of::<T>()));
    }
    items
}

/// Appends an item, or unwinds.
#[inline]
pub fn push<T>(items: &mut Vec<T>, item: T) {
    reserve(items, 1);
    items.push(item);
}

/// Adds an item to a set, or unwinds; whether it is new there.
pub fn insert<T: Hash + Eq>(set: &mut HashSet<T>, item: T) -> bool {
    if set.try_reserve(1).is_err() {
        out_of_memory(set.len().saturating_mul(2 * size_of::<T>()));
    }
    set.insert(item)
}

/// The value of a key that a map does not hold yet, or unwinds.
pub fn entry<K: Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, value: V) -> &mut V {
    if map.try_reserve(1).is_err() {
        out_of_memory(map.len().saturating_mul(2 * size_of::<(K, V)>()));
    }
    map.entry(key).or_insert(value)
}

/// All items of an iterator.
pub fn collect<T>(iterator: impl IntoIterator<Item = T>) -> Vec<T> {
    let iterator = iterator.into_iter();
    let (mut items, mut steps) = (with_capacity(iterator.size_hint().0), Steps::default());
    for item in iterator {
        steps.step();
        push(&mut items, item);
    }
    items
}

/// A copy of bytes.
pub fn copy(bytes: &[u8]) -> Vec<u8> {
    let mut copy = with_capacity(bytes.len());
    copy.extend_from_slice(bytes);
    copy
}

/// Up to so many bytes need no room to be made: a host keeps more than that for small allocations.
const SMALL: usize = 1 << 20;

/// Unwinds unless the work may go on, and so many bytes can be allocated now, in many small pieces of which each could end the process.
pub fn room(bytes: usize) {
    host::check();
    if bytes > SMALL {
        // The compiler must not find out that nobody uses it.
        std::hint::black_box(with_capacity::<u8>(bytes));
    }
}

/// Up to so many items are sorted in a few milliseconds.
const SORTED_AT_ONCE: usize = 16_384;

/// As [`slice::sort_unstable_by`], and can be interrupted where that takes long.
pub fn sort<T: Copy>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    if items.len() <= SORTED_AT_ONCE {
        return items.sort_unstable_by(compare);
    }
    let mut steps = Steps::default();
    items.sort_unstable_by(|a, b| {
        steps.step();
        compare(a, b)
    });
}

/// A text that grows, or unwinds.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    steps: Steps,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.steps.step();
        reserve(&mut self.bytes, text.len());
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// What a value prints, as UTF-8.
pub fn text(value: &impl fmt::Display) -> Vec<u8> {
    let mut text = Text::default();
    // Nothing here fails without unwinding, and a value that cannot print itself has printed what it could.
    let _ = fmt::write(&mut text, format_args!("{value}"));
    text.bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_unwinds() {
        let unwinds = |ask: fn()| std::panic::catch_unwind(ask).is_err();
        assert!(unwinds(|| room(usize::MAX / 2)));
        assert!(unwinds(|| reserve(&mut vec![0u64], usize::MAX / 16)));
        assert!(!unwinds(|| room(SMALL + 1)));
    }

    #[test]
    fn large_slices_are_sorted() {
        let mut numbers: Vec<u32> = (0..100_000u32).map(|n| n.wrapping_mul(2_654_435_761)).collect();
        sort(&mut numbers, Ord::cmp);
        assert!(numbers.is_sorted());
    }

    #[test]
    fn text_is_what_a_value_prints() {
        assert_eq!(text(&format_args!("{} {:?}", 1, "あ")), "1 \"あ\"".as_bytes());
    }
}
