//! The possible contents of the disk at each point of its tape.

use super::disk::Disk;
use super::flow::{Rows, first_steps};
use super::seen::{Kept, Seen};
use super::{Wrong, expect};
use crate::epoch::Epoch;
use std::collections::{BTreeMap, BTreeSet};

/// A store before a life: new, or as a crash left it.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) image: Vec<u8>,
    pub(super) seen: Seen,
    /// Every epoch that was ever attempted, except opening epochs.
    used: BTreeSet<Epoch>,
    /// The content at each epoch that was ever attempted.
    pub(super) past: BTreeMap<Epoch, Kept>,
}

impl Store {
    /// A new store, on which an execution has started and done nothing.
    pub(super) fn made(image: Vec<u8>) -> Store {
        Store {
            image,
            seen: Seen {
                epoch: Epoch::opening(1),
                next_execution: 2,
                steps: first_steps(),
                rows: Rows::new(),
                executions: vec![(1, Epoch::default(), false)],
                ended: false,
                retained: Vec::new(),
            },
            used: BTreeSet::new(),
            past: BTreeMap::new(),
        }
    }
}

/// The attempts and acknowledgements along the tape of a disk.
pub(super) struct History {
    attempts: Vec<Attempt>,
    used: BTreeSet<Epoch>,
    past: BTreeMap<Epoch, Kept>,
    /// The point of the tape at which the start had succeeded or failed; 0 if there was no start.
    pub(super) started: usize,
    /// The point of the tape at which everything was done, except the end or the drop of the
    /// execution.
    pub(super) done: usize,
}

struct Attempt {
    /// The point of the tape at which it began.
    began: usize,
    /// The point of the tape at which it was known to be durable.
    acknowledged: Option<usize>,
    /// The content of the store once it is durable.
    seen: Seen,
}

/// Which of the possible states was found.
pub(super) struct Found {
    /// The state was attempted, and not known to be durable.
    pub(super) ahead: bool,
    /// A later attempt is not there.
    pub(super) behind: bool,
}

impl History {
    pub(super) fn new(store: &Store) -> History {
        let attempt = Attempt {
            began: 0,
            acknowledged: Some(0),
            seen: store.seen.clone(),
        };
        History {
            attempts: vec![attempt],
            used: store.used.clone(),
            past: store.past.clone(),
            started: 0,
            done: 0,
        }
    }

    pub(super) fn last(&self) -> &Seen {
        &self.attempts[self.attempts.len() - 1].seen
    }

    /// Invariant I6: no earlier attempt had the same epoch.
    pub(super) fn attempt_commit(&mut self, disk: &Disk, seen: Seen) -> Result<(), Wrong> {
        let mut epochs = self.attempts.iter().map(|attempt| attempt.seen.epoch);
        let used = self.used.contains(&seen.epoch) || epochs.any(|epoch| epoch == seen.epoch);
        expect(
            used,
            false,
            &format!("epoch {} was there before", seen.epoch),
        )?;
        self.attempt(disk, seen);
        Ok(())
    }

    pub(super) fn attempt(&mut self, disk: &Disk, seen: Seen) {
        self.attempts.push(Attempt {
            began: disk.now(),
            acknowledged: None,
            seen,
        });
    }

    pub(super) fn acknowledge(&mut self, disk: &Disk) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.acknowledged = Some(disk.now());
        }
    }

    /// The store that a crash at a point of the tape left.
    pub(super) fn left(&self, at: usize, image: Vec<u8>, seen: Seen) -> Store {
        let attempts = self.attempts.iter();
        let before = attempts.filter(|attempt| attempt.began < at);
        let epochs = before.map(|attempt| attempt.seen.epoch);
        let mut used = self.used.clone();
        used.extend(epochs.filter(|epoch| epoch.number() > 0));
        let past = self.past(&seen);
        Store {
            image,
            seen,
            used,
            past,
        }
    }

    /// The content at each epoch, if `seen` is the present content.
    pub(super) fn past(&self, seen: &Seen) -> BTreeMap<Epoch, Kept> {
        let mut past = self.past.clone();
        for attempt in &self.attempts {
            past.insert(attempt.seen.epoch, attempt.seen.kept());
        }
        // Maintenance changes the steps without changing the epoch.
        past.insert(seen.epoch, seen.kept());
        past
    }

    /// Invariants I1 and I2: after a crash at a point of the tape, the store is in exactly one
    /// state between the last acknowledged and the last attempted one.
    pub(super) fn check(&self, at: usize, seen: &Seen) -> Result<Found, Wrong> {
        let known = |attempt: &Attempt| attempt.acknowledged.is_some_and(|then| then <= at);
        let first = self.attempts.iter().rposition(known).unwrap_or(0);
        let last = self.attempts.iter().rposition(|attempt| attempt.began < at);
        let last = last.unwrap_or(0).max(first);
        let possible = &self.attempts[first..=last];
        match possible.iter().position(|attempt| attempt.seen == *seen) {
            Some(found) => Ok(Found {
                ahead: found > 0,
                behind: found + 1 < possible.len(),
            }),
            None => {
                let possible: Vec<_> = possible.iter().map(|attempt| &attempt.seen).collect();
                Err(format!("found {seen:#?}, and possible are {possible:#?}"))
            }
        }
    }
}
