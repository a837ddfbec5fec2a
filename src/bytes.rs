//! Reading and writing the canonical bytes of the stored types: shortest variable-length integers, nothing left over.

use crate::error::{Error, ErrorKind, Result};

/// Appends an unsigned integer, seven bits a byte, least significant first.
pub fn put_unsigned(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer, small magnitudes first (zigzag).
pub fn put_signed(out: &mut Vec<u8>, value: i128) {
    put_unsigned(out, ((value << 1) ^ (value >> 127)) as u128);
}

/// So many bits of a number are read as 64: nine bytes.
const SHORT_BITS: u32 = 63;

/// The error for bytes of the SQL type `type_name` that begin with another version than the one that is read here.
pub fn other_version(type_name: &str, found: u8, read: u8) -> Error {
    Error::new(
        ErrorKind::InvalidBinary,
        format!("invalid binary {type_name}: version {found}, this release reads version {read}"),
    )
    .hint(
        "Another version of pg_rfm wrote it: start a new session, and if it says the same, install the newest pg_rfm.",
    )
}

/// Reads canonical bytes from the front; every method refuses what a writer would not have written.
pub struct Reader<'a> {
    type_name: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over the bytes of a value of the SQL type `type_name`, which must begin with `version`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBinary`] for another version or no bytes at all.
    pub fn new(type_name: &'static str, version: u8, bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader { type_name, rest: bytes };
        match reader.byte()? {
            found if found == version => Ok(reader),
            found => Err(other_version(type_name, found, version)),
        }
    }

    /// A reader over a part of such bytes, which has no version.
    pub fn part(type_name: &'static str, bytes: &'a [u8]) -> Self {
        Reader { type_name, rest: bytes }
    }

    /// The error for bytes that no writer wrote.
    pub fn invalid(&self, why: &str) -> Error {
        Error::new(ErrorKind::InvalidBinary, format!("invalid binary {}: {why}", self.type_name))
            .hint("Send values of this type as they were received, or use the text format.")
    }

    /// Whether all bytes are read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        let (&first, rest) = self.rest.split_first().ok_or_else(|| self.invalid("it ends too early"))?;
        self.rest = rest;
        Ok(first)
    }

    /// The next `length` bytes.
    pub fn slice(&mut self, length: usize) -> Result<&'a [u8]> {
        let (slice, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.invalid("it ends too early"))?;
        self.rest = rest;
        Ok(slice)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(|| self.invalid("it ends too early"))?;
        self.rest = rest;
        Ok(*array)
    }

    /// The next unsigned integer, which must be written as short as possible and fit `T`.
    #[inline]
    pub fn unsigned<T: TryFrom<u128>>(&mut self) -> Result<T> {
        // Nearly all numbers are short, and shifts of 64 bits are cheaper than those of 128.
        let mut short = 0u64;
        for shift in (0..SHORT_BITS).step_by(7) {
            let byte = self.byte()?;
            short |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return self.ended(byte, shift, short.into());
            }
        }
        let mut value = u128::from(short);
        for shift in (SHORT_BITS..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(self.invalid("a number is too large"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return self.ended(byte, shift, value);
            }
        }
        Err(self.invalid("a number is too large"))
    }

    /// A number whose last byte was read.
    fn ended<T: TryFrom<u128>>(&self, last: u8, shift: u32, value: u128) -> Result<T> {
        if last == 0 && shift > 0 {
            return Err(self.invalid("a number is longer than needed"));
        }
        T::try_from(value).map_err(|_| self.invalid("a number is too large"))
    }

    /// The next signed integer.
    #[inline]
    pub fn signed(&mut self) -> Result<i128> {
        let value: u128 = self.unsigned()?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back() {
        for value in [
            0,
            1,
            -1,
            63,
            -64,
            64,
            2933,
            1 << 61,
            (1 << 62) - 1,
            1 << 62,
            -1 << 62,
            i128::from(i64::MIN),
            i128::MAX,
            i128::MIN,
        ] {
            let mut bytes = vec![1];
            put_signed(&mut bytes, value);
            let mut reader = Reader::new("test", 1, &bytes).unwrap();
            assert_eq!(reader.signed().unwrap(), value);
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn longer_forms_of_a_number_are_refused() {
        for bytes in [&[1, 0x80, 0x00][..], &[1, 0x80], &[1], &[1, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
            assert!(Reader::new("test", 1, bytes).unwrap().unsigned::<u32>().is_err());
        }
        assert!(Reader::new("test", 1, &[2]).is_err());
        assert!(Reader::new("test", 1, &[]).is_err());
    }
}
