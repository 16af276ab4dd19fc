//! The flag that stops the sources.

use std::sync::{
    Arc,
    atomic::{
        AtomicU8,
        Ordering::{Relaxed, SeqCst},
    },
};

/// Whether the sources go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stop {
    /// They read on.
    No = 0,
    /// They stop at the next record, because the user asked for it.
    Asked = 1,
    /// They stop at the next record, because one of them has met a record that fails.
    Failed = 2,
}

/// A [`Stop`] that all sources share, and check between two records.
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

    /// Stops the sources because the user asked for it. A stop for a record that fails stays one.
    pub(crate) fn ask(&self) {
        let (no, asked) = (Stop::No as u8, Stop::Asked as u8);
        let _ = self.0.compare_exchange(no, asked, SeqCst, SeqCst);
    }

    /// Stops the sources because a record fails.
    pub(crate) fn fail(&self) {
        self.0.store(Stop::Failed as u8, SeqCst);
    }
}
