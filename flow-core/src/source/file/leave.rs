//! Limits how many inputs stay open at a time.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Leave to keep an input open while others are read.
///
/// Inputs without it are closed after each turn and opened again for the next one. So neither open
/// files nor their buffers grow with the number of inputs.
#[derive(Debug)]
pub(in crate::source) struct Leave(&'static Leaves);

/// The number of inputs that are kept open.
#[derive(Debug)]
struct Leaves(AtomicUsize);

/// The inputs of this process.
static KEPT: Leaves = Leaves(AtomicUsize::new(0));

/// The most inputs that are kept open, whatever the limit of the process is.
const MOST: usize = 256;

impl Leaves {
    fn take(&'static self, most: usize) -> Option<Leave> {
        let more = |kept| (kept < most).then_some(kept + 1);
        let kept = self.0.fetch_update(SeqCst, SeqCst, more);
        kept.ok().map(|_| Leave(self))
    }
}

impl Leave {
    pub(in crate::source) fn take() -> Option<Leave> {
        KEPT.take((files_allowed() / 4).min(MOST))
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

/// The number of files that the process may have open.
#[cfg(unix)]
fn files_allowed() -> usize {
    use rustix::process::{Resource, getrlimit};

    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

#[cfg(not(unix))]
fn files_allowed() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leave_that_was_not_given_is_not_given_back() {
        static LEAVES: Leaves = Leaves(AtomicUsize::new(0));
        let kept: Vec<Leave> = std::iter::from_fn(|| LEAVES.take(5)).collect();
        assert_eq!(kept.len(), 5);
        for _ in 0..3 {
            assert!(LEAVES.take(5).is_none());
        }
        drop(kept);
        assert!(LEAVES.take(1).is_some());
    }
}
