//! Whether records are still to be processed.

use std::sync::{
    Arc,
    atomic::{
        AtomicU8,
        Ordering::{Relaxed, SeqCst},
    },
};

/// How the sources are to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stop {
    /// They read.
    No = 0,
    /// They stop at the next record: the user wants it.
    Asked = 1,
    /// They stop at the next record: one of them has met a record that fails.
    Failed = 2,
}

/// Whether the sources are to stop, as they look at it between two records.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopFlag(Arc<AtomicU8>);

impl StopFlag {
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Relaxed) != Stop::No as u8
    }

    pub(crate) fn get(&self) -> Stop {
        match self.0.load(SeqCst) {
            0 => Stop::No,
            1 => Stop::Asked,
            _ => Stop::Failed,
        }
    }

    /// The user wants a stop. One for a record that fails stays what it is.
    pub(crate) fn ask(&self) {
        let (no, asked) = (Stop::No as u8, Stop::Asked as u8);
        let _ = self.0.compare_exchange(no, asked, SeqCst, SeqCst);
    }

    /// A record fails.
    pub(crate) fn fail(&self) {
        self.0.store(Stop::Failed as u8, SeqCst);
    }
}
