//! The key of a customer as words that can be kept, compared and hashed, whatever its columns are.

use pgrx::pg_sys;

use super::datum::{new_varlena, varlena_bytes};
use crate::memory;

/// How values of a key column are kept.
#[derive(Clone, Copy)]
pub enum KeyColumn {
    /// In the datum itself, in so many of its bytes.
    Value(usize),
    /// So many bytes.
    Fixed(usize),
    /// Any number of bytes.
    Varlena,
}

impl KeyColumn {
    /// `None` for C strings, which no column of a table is of.
    ///
    /// # Safety
    /// `of_type` must be a type.
    pub unsafe fn new(of_type: pg_sys::Oid) -> Option<Self> {
        let (mut length, mut by_value) = (0, false);
        // SAFETY: the caller promises the type.
        unsafe { pg_sys::get_typlenbyval(of_type, &mut length, &mut by_value) };
        match usize::try_from(length) {
            Ok(length) if by_value => Some(KeyColumn::Value(length)),
            Ok(length) => Some(KeyColumn::Fixed(length)),
            Err(_) => (length == -1).then_some(KeyColumn::Varlena),
        }
    }

    /// Appends a value to the words of a key.
    ///
    /// # Safety
    /// The datum must be of the column's type, and not NULL.
    pub unsafe fn write(self, datum: pg_sys::Datum, words: &mut Vec<u64>) {
        // SAFETY: the caller promises the type.
        let bytes = unsafe {
            match self {
                KeyColumn::Value(length) => {
                    let unused = 64 - 8 * length as u32;
                    return memory::push(words, (datum.value() as u64) << unused >> unused);
                }
                KeyColumn::Fixed(length) => std::slice::from_raw_parts(datum.cast_mut_ptr::<u8>(), length),
                KeyColumn::Varlena => varlena_bytes(datum),
            }
        };
        memory::reserve(words, 1 + bytes.len().div_ceil(8));
        if matches!(self, KeyColumn::Varlena) {
            words.push(bytes.len() as u64);
        }
        words.extend(bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        }));
    }

    /// The value that begins a key, and the rest of the key.
    pub fn read(self, key: &[u64]) -> (pg_sys::Datum, &[u64]) {
        let bytes_of = |words: &[u64]| -> Vec<u8> { memory::collect(words.iter().flat_map(|word| word.to_ne_bytes())) };
        match self {
            KeyColumn::Value(_) => (pg_sys::Datum::from(key[0]), &key[1..]),
            KeyColumn::Fixed(length) => {
                let (words, rest) = key.split_at(length.div_ceil(8));
                (new_bytes(&bytes_of(words)[..length]), rest)
            }
            KeyColumn::Varlena => {
                let length = key[0] as usize;
                let (words, rest) = key[1..].split_at(length.div_ceil(8));
                (new_varlena(&bytes_of(words)[..length]), rest)
            }
        }
    }

    /// How many of these words are the key that they begin with.
    pub fn words_of_key(keys: &[KeyColumn], words: &[u64]) -> usize {
        keys.iter().fold(0, |at, column| {
            at + match column {
                KeyColumn::Value(_) => 1,
                KeyColumn::Fixed(length) => length.div_ceil(8),
                KeyColumn::Varlena => 1 + (words[at] as usize).div_ceil(8),
            }
        })
    }
}

/// A value of a type of fixed length, in the current memory context.
fn new_bytes(bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: palloc returns as many bytes as it is asked for.
    unsafe {
        let value = pg_sys::palloc(bytes.len()).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), value, bytes.len());
        pg_sys::Datum::from(value)
    }
}
