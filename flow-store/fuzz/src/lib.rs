//! Shared code of the targets: what counts as a crash, operations on a store, and the initial
//! stores.

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

/// The text of the last panic. The store turns most panics into errors.
static LAST: Mutex<String> = Mutex::new(String::new());

/// How much memory an input may take.
#[derive(Clone, Copy, Debug)]
pub enum Memory {
    /// The limit of all bytes.
    Most(usize),
    /// The limit of a single allocation. A larger one panics, and the store catches the panic like
    /// others.
    AtOnce(usize),
}

/// Replaces the hook of libFuzzer, for which every panic is a crash.
pub fn init() {
    memory::init();
    // It folds every few rows, so that small inputs fold too.
    flow_store::fuzzing::fold_at(1000);
    panic::set_hook(Box::new(|info| {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = info.to_string();
    }));
}

/// Runs an input. A panic that the store does not catch is a crash, and so is the use of too much
/// memory.
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
