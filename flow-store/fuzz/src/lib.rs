//! What the targets share: what counts as a crash, what is done with a store, and the stores to
//! begin with.

#![feature(alloc_error_hook)]

mod cycle;
mod forge;
mod memory;
mod seal;
mod seeds;

pub use cycle::{read_all, resume, resume_whole, see_all};
pub use forge::{Chain, Chunk, Content, FIRST};
pub use seeds::{FLOW, Seeds};

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

/// What the last panic said: of most of them the store makes an error.
static LAST: Mutex<String> = Mutex::new(String::new());

/// How much memory an input may take.
#[derive(Clone, Copy, Debug)]
pub enum Memory {
    /// So many bytes in all.
    Most(usize),
    /// So many at once: to ask for more is a panic, as others that the store catches.
    AtOnce(usize),
}

/// Takes the place of libFuzzer's hook, to which every panic is a crash.
pub fn init() {
    memory::init();
    // every few rows, so that little is enough
    flow_store::fuzzing::fold_at(1000);
    panic::set_hook(Box::new(|info| {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = info.to_string();
    }));
}

/// Runs an input: a panic that the store does not catch is a crash, and so is too much memory.
pub fn run(memory: Memory, input: impl FnOnce()) {
    let (most, at_once) = match memory {
        Memory::Most(bytes) => (bytes, usize::MAX),
        Memory::AtOnce(bytes) => (usize::MAX, bytes),
    };
    let before = memory::start(at_once);
    let result = panic::catch_unwind(AssertUnwindSafe(input));
    let used = memory::peak().saturating_sub(before);
    if result.is_err() {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("{last}");
        std::process::abort();
    }
    if used > most {
        eprintln!("{used} bytes of memory, and {most} are allowed");
        std::process::abort();
    }
}
