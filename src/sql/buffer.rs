//! Growing memory for the state of an aggregate: allocated by PostgreSQL, so that work_mem counts it and it is freed with
//! the group, in one piece, so that a group costs one allocation.

use std::ptr::NonNull;

use pgrx::pg_sys;

use super::error::raise;
use crate::aggregate_state::AggregateState;
use crate::error::{Error, ErrorKind};

/// Plain data: a bytewise copy is a valid value.
///
/// # Safety
/// The type holds no pointers that the bytes own, and is aligned to 8 bytes or less: PostgreSQL's allocator gives no more.
pub unsafe trait PlainData: Copy {}

/// What a buffer begins with: says whose state it is, so that no aggregate takes that of another for its own.
///
/// # Safety
/// As [`PlainData`]; no two types have the same `KIND`.
pub unsafe trait Header: PlainData {
    /// Whose state it is.
    const KIND: AggregateState;
}

#[repr(C)]
struct Head<H> {
    len: u32,
    /// The size of the allocation in units of 8 bytes, in the lower 27 bits: it has no more. The kind of the header above
    /// them.
    kind_and_size: u32,
    header: H,
}

const KIND_SHIFT: u32 = 27;
const SIZE_UNIT: usize = 8;

impl<H: Header> Head<H> {
    /// Bytes of the whole allocation.
    fn size(&self) -> usize {
        (self.kind_and_size & ((1 << KIND_SHIFT) - 1)) as usize * SIZE_UNIT
    }

    /// Bytes after the head.
    fn capacity(&self) -> usize {
        self.size() - size_of::<Self>()
    }

    fn kind_and(size: usize) -> u32 {
        const { assert!(H::KIND as u32 > 0 && (H::KIND as u32) < 1 << (32 - KIND_SHIFT)) }
        (H::KIND as u32) << KIND_SHIFT | (size / SIZE_UNIT) as u32
    }
}

/// A header and a growing run of items after it.
pub struct Buffer<H>(NonNull<Head<H>>);

/// The most bytes of one allocation: MaxAllocSize in whole units.
const MAX_BYTES: usize = 0x3fff_fff8;

impl<H: Header> Buffer<H> {
    const HEAD: usize = size_of::<Head<H>>();

    /// A new buffer in a memory context, `bytes` long with everything: a multiple of 8.
    ///
    /// # Safety
    /// `context` must be a live memory context.
    pub unsafe fn new(context: pg_sys::MemoryContext, header: H, bytes: usize) -> Self {
        const { assert!(align_of::<Head<H>>() <= 8) }
        assert!((Self::HEAD..=MAX_BYTES).contains(&bytes) && bytes.is_multiple_of(SIZE_UNIT));
        // SAFETY: the allocation is large enough for the head, aligned to 8 bytes, and not NULL.
        unsafe {
            let head = pg_sys::MemoryContextAlloc(context, bytes).cast::<Head<H>>();
            head.write(Head { len: 0, kind_and_size: Head::<H>::kind_and(bytes), header });
            Buffer(NonNull::new_unchecked(head))
        }
    }

    /// The buffer that a datum of type `internal` points to.
    ///
    /// # Safety
    /// The datum must come from [`as_datum`](Self::as_datum) of a buffer; one with another header is an error.
    pub unsafe fn from_datum(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller promises a pointer that was not NULL; the kind lies at the same place in every buffer.
        unsafe {
            let head = NonNull::new_unchecked(datum.cast_mut_ptr::<Head<H>>());
            if (*head.as_ptr()).kind_and_size >> KIND_SHIFT != H::KIND as u32 {
                raise(
                    Error::new(ErrorKind::InvalidParameter, "this is the state of another aggregate")
                        .hint("The functions of an aggregate go together: SFUNC, COMBINEFUNC and FINALFUNC."),
                );
            }
            Buffer(head)
        }
    }

    /// The datum of type `internal` that stands for this buffer.
    pub fn as_datum(&self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.0.as_ptr())
    }

    /// The header.
    pub fn header(&mut self) -> &mut H {
        // SAFETY: the pointer is live as long as the buffer, and `&mut self` makes it the only reference.
        unsafe { &mut self.0.as_mut().header }
    }

    /// The items, all of one type since the last [`clear`](Self::clear).
    pub fn items<T: PlainData>(&self) -> &[T] {
        const { assert!(align_of::<T>() <= 8 && Self::HEAD.is_multiple_of(align_of::<T>())) }
        // SAFETY: `len` bytes after the head were written by push, aligned because head and items are.
        unsafe { std::slice::from_raw_parts(self.first().cast(), self.0.as_ref().len as usize / size_of::<T>()) }
    }

    /// A copy of the items in Rust's memory. A failed allocation there would end the server process, so it is tried first.
    pub fn to_vec<T: PlainData>(&self) -> Vec<T> {
        let items = self.items::<T>();
        let mut copy = Vec::new();
        if copy.try_reserve_exact(items.len()).is_err() {
            let bytes = size_of_val(items);
            raise(Error::new(ErrorKind::OutOfMemory, format!("no memory for a copy of {bytes} bytes")));
        }
        copy.extend_from_slice(items);
        copy
    }

    /// The items, to change them.
    pub fn items_mut<T: PlainData>(&mut self) -> &mut [T] {
        const { assert!(align_of::<T>() <= 8 && Self::HEAD.is_multiple_of(align_of::<T>())) }
        // SAFETY: as in `items`, and `&mut self` makes it the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.first().cast(), self.0.as_ref().len as usize / size_of::<T>()) }
    }

    fn first(&self) -> *mut u8 {
        // SAFETY: the head is part of the allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(Self::HEAD) }
    }

    /// Bytes of all items.
    pub fn byte_len(&self) -> usize {
        // SAFETY: the head was written in `new`.
        unsafe { self.0.as_ref() }.len as usize
    }

    /// Whether one more item of this type needs a larger allocation.
    pub fn is_full_for<T: PlainData>(&self) -> bool {
        // SAFETY: the head was written in `new`.
        let head = unsafe { self.0.as_ref() };
        head.capacity() - (head.len as usize) < size_of::<T>()
    }

    /// Appends an item.
    pub fn push<T: PlainData>(&mut self, item: T) {
        self.reserve(size_of::<T>());
        // SAFETY: there is room for one more item.
        unsafe {
            let head = self.0.as_mut();
            let len = head.len as usize;
            head.len += size_of::<T>() as u32;
            self.first().add(len).cast::<T>().write_unaligned(item);
        }
    }

    /// Appends all items.
    pub fn extend<T: PlainData>(&mut self, items: &[T]) {
        self.reserve(size_of_val(items));
        items.iter().for_each(|&item| self.push(item));
    }

    /// Keeps the first `count` items.
    pub fn truncate<T: PlainData>(&mut self, count: usize) {
        assert!(count * size_of::<T>() <= self.byte_len());
        // SAFETY: the head was written in `new`.
        unsafe { self.0.as_mut() }.len = (count * size_of::<T>()) as u32;
    }

    /// Forgets all items, so that items of another type can follow.
    pub fn clear(&mut self) {
        self.truncate::<u8>(0);
    }

    /// Makes room for `bytes` more, at least doubling the allocation where it must grow.
    pub fn reserve(&mut self, bytes: usize) {
        let (len, capacity, old_size) = {
            // SAFETY: the head was written in `new`.
            let head = unsafe { self.0.as_ref() };
            (head.len as usize, head.capacity(), head.size())
        };
        if len + bytes <= capacity {
            return;
        }
        let needed = Self::HEAD + len + bytes;
        let size = (2 * old_size).max(needed.next_power_of_two()).min(MAX_BYTES);
        if needed > size {
            raise(Error::new(ErrorKind::LimitExceeded, "a group is too large for one aggregate"));
        }
        // SAFETY: the pointer came from PostgreSQL's allocator, and repalloc returns a copy of at least the old size.
        unsafe {
            let head = pg_sys::repalloc(self.0.as_ptr().cast(), size).cast::<Head<H>>();
            (*head).kind_and_size = Head::<H>::kind_and(size);
            self.0 = NonNull::new_unchecked(head);
        }
    }
}

// SAFETY: a byte is plain.
unsafe impl PlainData for u8 {}
