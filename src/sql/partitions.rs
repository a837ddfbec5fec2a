//! Records in partitions: in memory as long as work_mem lasts, then in temporary files of PostgreSQL's.

use std::ffi::c_void;
use std::hash::{DefaultHasher, Hasher};

use pgrx::{PgMemoryContexts, pg_sys};

use super::error::raise;
use crate::error::{Error, ErrorKind};
use crate::memory;

/// So many that what is looked for in one of them stays in the processor's cache.
const PARTITIONS: usize = 256;

/// Words of a block, 8 kB: all partitions together begin with 2 MB.
const BLOCK_WORDS: usize = 1024;

/// Blocks that are held in any case, whatever work_mem says.
const LEAST_BLOCKS: usize = 2 * PARTITIONS;

/// A run of whole records.
type Block = Vec<u64>;

/// The records of a partition.
struct Partition {
    /// What is in memory; records are appended to the last one.
    blocks: Vec<Block>,
    /// What was written before: blocks, the number of words before each. NULL where nothing was.
    file: *mut pg_sys::BufFile,
    written: usize,
}

/// Records by the hash of their keys.
pub struct Partitions {
    partitions: Vec<Partition>,
    /// Words that blocks in memory have room for, and how many they may.
    held: usize,
    most: usize,
    /// Whose the files are: who adds records may be done before they are read.
    owner: pg_sys::ResourceOwner,
    context: pg_sys::MemoryContext,
}

impl Partitions {
    /// Without records; they last as long as the current memory context and the current owner of resources.
    pub fn new() -> Self {
        // SAFETY: a setting, in kB, and two pointers, which are copied.
        let (work_mem, owner, context) =
            unsafe { (pg_sys::work_mem, pg_sys::CurrentResourceOwner, pg_sys::CurrentMemoryContext) };
        let empty = || Partition { blocks: Vec::new(), file: std::ptr::null_mut(), written: 0 };
        Partitions {
            partitions: (0..PARTITIONS).map(|_| empty()).collect(),
            held: 0,
            most: (work_mem as usize * 1024 / size_of::<u64>()).max(LEAST_BLOCKS * BLOCK_WORDS),
            owner,
            context,
        }
    }

    /// Adds a record to the partition of its key: the same in every session for the same key.
    ///
    /// # Safety
    /// In a transaction.
    pub unsafe fn add(&mut self, record: &[u64], key: &[u64]) {
        let mut hasher = DefaultHasher::new();
        key.iter().for_each(|&word| hasher.write_u64(word));
        let place = hasher.finish() as usize % PARTITIONS;
        let has_room = |block: &Block| block.capacity() - block.len() >= record.len();
        if !self.partitions[place].blocks.last().is_some_and(has_room) {
            let words = BLOCK_WORDS.max(record.len());
            if self.held + words > self.most {
                // SAFETY: the caller promises the transaction.
                unsafe { self.write_all() };
            }
            memory::push(&mut self.partitions[place].blocks, memory::with_capacity(words));
            self.held += words;
        }
        if let Some(block) = self.partitions[place].blocks.last_mut() {
            block.extend_from_slice(record);
        }
    }

    /// Writes all blocks to files and forgets them.
    ///
    /// # Safety
    /// In a transaction, at whose end PostgreSQL removes the files.
    unsafe fn write_all(&mut self) {
        let (owner, context) = (self.owner, self.context);
        for partition in &mut self.partitions {
            // SAFETY: the caller promises the transaction; a file is open once it is made.
            unsafe {
                if partition.file.is_null() && !partition.blocks.is_empty() {
                    partition.file = new_file(owner, context);
                }
                for block in partition.blocks.drain(..) {
                    write_words(partition.file, &[block.len() as u64]);
                    write_words(partition.file, &block);
                    partition.written += 1;
                }
            }
        }
        self.held = 0;
    }

    /// Hands over the blocks of one partition after the other to `take`, says after each that it is complete, and forgets it.
    ///
    /// # Safety
    /// In the transaction in which they were added.
    pub unsafe fn hand_over(self, taker: &mut impl TakesPartitions) {
        let mut read = Block::new();
        for partition in self.partitions {
            if !partition.file.is_null() {
                // SAFETY: the caller promises the transaction; a file is open until it is closed here, and holds what was
                // written.
                unsafe {
                    pg_sys::BufFileSeekBlock(partition.file, 0);
                    for _ in 0..partition.written {
                        let mut length = [0];
                        read_words(partition.file, &mut length);
                        read.clear();
                        memory::reserve(&mut read, length[0] as usize);
                        read.resize(length[0] as usize, 0);
                        read_words(partition.file, &mut read);
                        taker.take(&read);
                    }
                    pg_sys::BufFileClose(partition.file);
                }
            }
            partition.blocks.iter().for_each(|block| taker.take(block));
            drop(partition.blocks);
            taker.end();
        }
    }
}

/// A temporary file.
///
/// # Safety
/// The owner and the context must be live.
unsafe fn new_file(owner: pg_sys::ResourceOwner, context: pg_sys::MemoryContext) -> *mut pg_sys::BufFile {
    // SAFETY: the caller promises both. An error ends the transaction, which sets the current owner back.
    unsafe {
        let current = pg_sys::CurrentResourceOwner;
        pg_sys::CurrentResourceOwner = owner;
        let file = PgMemoryContexts::For(context).switch_to(|_| pg_sys::BufFileCreateTemp(false));
        pg_sys::CurrentResourceOwner = current;
        file
    }
}

/// Who takes records partition by partition.
pub trait TakesPartitions {
    /// Takes records of the partition.
    fn take(&mut self, records: &[u64]);
    /// The partition has no more.
    fn end(&mut self);
}

/// # Safety
/// The file must be open.
unsafe fn write_words(file: *mut pg_sys::BufFile, words: &[u64]) {
    // SAFETY: the caller promises the file; PostgreSQL only reads the words.
    unsafe {
        pg_sys::BufFileWrite(file, words.as_ptr().cast_mut().cast::<c_void>(), size_of_val(words));
    }
}

/// # Safety
/// The file must be open.
unsafe fn read_words(file: *mut pg_sys::BufFile, words: &mut [u64]) {
    let bytes = size_of_val(words);
    // SAFETY: the caller promises the file; the words have room for as many bytes as are asked for.
    if unsafe { pg_sys::BufFileRead(file, words.as_mut_ptr().cast(), bytes) } != bytes {
        raise(Error::new(ErrorKind::InvalidBinary, "a temporary file is shorter than what was written to it"));
    }
}
