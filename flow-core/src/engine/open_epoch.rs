//! When an epoch ends.
//!
//! All sources of a process share one open epoch. A source reports an [`EpochEvent`]. `decide`
//! answers whether that ends the epoch, and why. Then the counter moves on, and each source follows
//! at its next record.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant},
};

use flow_store::Epoch;

use super::Epochs;
use crate::lock::{Mutex, MutexGuard};

/// What a source reports: an event that may end the open epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EpochEvent {
    /// The source is about to read, or to wait.
    Turn { now: Instant },
    /// The source has read records in the open epoch.
    Read,
    /// The budget has no room for its next record.
    NoRoom,
    /// The budget has room for only a part of its next block, with this many records in flight.
    LittleRoom { in_flight: u64 },
    /// The source has come to the end of its input. It may have read in the open epoch.
    InputEnded { has_read: bool },
    /// A test asks for the end of the epoch.
    Asked,
}

/// Why an epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// It is as old as [`Epochs`] allows.
    Age,
    /// It has as many records as [`Epochs`] allows.
    Count,
    /// It holds the budget, so only its end makes room.
    BudgetFull,
    /// A source that has read in it leaves, and no other may be awake to end it.
    EndOfInput,
    /// The run stops. Each source leaves, and the epoch ends with the last of them.
    Stop,
    /// A test asked for it.
    Asked,
}

/// What a source does with its open epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    Stays,
    /// It ends its epoch and continues in this one.
    Follows(Epoch),
    /// It ends its epoch and reads no more.
    Leaves(EndReason),
}

/// The records of the open epoch.
#[derive(Clone, Copy, Debug)]
struct Contents {
    records: u64,
    /// When the epoch before it ended.
    since: Instant,
}

impl Contents {
    /// The time until it is as old as it may become; `None` if it has no records.
    fn until_old(&self, rules: &Epochs, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.since);
        (self.records > 0).then(|| rules.max_age().saturating_sub(age))
    }
}

/// Whether an event ends an epoch, and why.
fn decide(rules: &Epochs, open: &Contents, event: EpochEvent) -> Option<EndReason> {
    let (ends, reason) = match event {
        EpochEvent::Turn { now } => {
            let is_old = open.until_old(rules, now) == Some(Duration::ZERO);
            (is_old, EndReason::Age)
        }
        EpochEvent::Read => {
            let is_full = rules.max_records().is_some_and(|most| open.records >= most);
            (is_full, EndReason::Count)
        }
        EpochEvent::NoRoom => (open.records > 0, EndReason::BudgetFull),
        // Its records may become durable while the blocks that are out are processed.
        EpochEvent::LittleRoom { in_flight } => {
            (open.records > in_flight / 2, EndReason::BudgetFull)
        }
        EpochEvent::InputEnded { has_read } => (has_read, EndReason::EndOfInput),
        EpochEvent::Asked => (true, EndReason::Asked),
    };
    ends.then_some(reason)
}

/// What a source does whose open epoch is `open`, while that of the process is `current`.
pub(crate) fn course(open: Epoch, current: Epoch, input_ended: bool, stops: bool) -> Course {
    if input_ended {
        Course::Leaves(EndReason::EndOfInput)
    } else if stops {
        Course::Leaves(EndReason::Stop)
    } else if current > open {
        Course::Follows(current)
    } else {
        Course::Stays
    }
}

/// The open epoch of a process.
pub(crate) struct OpenEpoch {
    rules: Epochs,
    number: AtomicU64,
    /// The number of records that all sources have read in all epochs.
    read: AtomicU64,
    last_end: Mutex<LastEnd>,
}

/// The end of the epoch before the open one.
struct LastEnd {
    at: Instant,
    /// The number of records that had been read then.
    read: u64,
}

impl OpenEpoch {
    pub(crate) fn new(first: Epoch, rules: Epochs, now: Instant) -> Self {
        OpenEpoch {
            rules,
            number: first.to_u64().into(),
            read: 0.into(),
            last_end: Mutex::new(LastEnd { at: now, read: 0 }),
        }
    }

    fn last_end(&self) -> MutexGuard<'_, LastEnd> {
        self.last_end.lock()
    }

    fn contents(&self) -> Contents {
        // The lock is held for both reads. Otherwise an end in between would count records that are
        // read only after `last` was.
        let last = self.last_end();
        Contents {
            records: self.read.load(SeqCst) - last.read,
            since: last.at,
        }
    }

    pub(crate) fn number(&self) -> Epoch {
        Epoch::from_u64(self.number.load(SeqCst))
    }

    /// The number of records that all sources have read in all epochs.
    pub(crate) fn records_read(&self) -> u64 {
        self.read.load(SeqCst)
    }

    /// How many more records fit into the epoch. At least one, because it may be about to end.
    pub(crate) fn room(&self) -> u64 {
        match self.rules.max_records() {
            Some(most) => most.saturating_sub(self.contents().records).max(1),
            None => u64::MAX,
        }
    }

    /// The time until the epoch is as old as it may become; `None` if it has no records.
    pub(crate) fn until_old(&self, now: Instant) -> Option<Duration> {
        self.contents().until_old(&self.rules, now)
    }

    /// Notes that records have been read in the epoch.
    pub(crate) fn add(&self, records: u64) {
        self.read.fetch_add(records, SeqCst);
    }

    /// Whether an event ends the epoch, and why.
    pub(crate) fn decide(&self, event: EpochEvent) -> Option<EndReason> {
        decide(&self.rules, &self.contents(), event)
    }

    /// Ends the epoch `open`. Returns false if it has already been ended. `now` is called when it
    /// has ended.
    pub(crate) fn end(&self, open: Epoch, now: impl FnOnce() -> Instant) -> bool {
        let mut last = self.last_end();
        // This is read before the new epoch is visible, because records that are read in that must
        // not count for this one.
        let read = self.read.load(SeqCst);
        let moved = self
            .number
            .compare_exchange(open.to_u64(), open.next().to_u64(), SeqCst, SeqCst)
            .is_ok();
        if moved {
            *last = LastEnd { at: now(), read };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn contents(records: u64, since: Instant) -> Contents {
        Contents { records, since }
    }

    #[test]
    fn an_epoch_ends_when_it_is_old_and_has_records() {
        let start = Instant::now();
        let rules = Epochs::every(SECOND);
        let after = |time: Duration, records| {
            let event = EpochEvent::Turn { now: start + time };
            decide(&rules, &contents(records, start), event)
        };
        assert_eq!(after(SECOND - Duration::from_nanos(1), 1), None);
        assert_eq!(after(SECOND, 1), Some(EndReason::Age));
        assert_eq!(after(60 * SECOND, 0), None);
        // Age ends it beside any other rule.
        let rules = Epochs::records(7).or_after(SECOND);
        let event = EpochEvent::Turn {
            now: start + SECOND,
        };
        assert_eq!(
            decide(&rules, &contents(1, start), event),
            Some(EndReason::Age)
        );
    }

    #[test]
    fn an_epoch_ends_when_it_has_its_records() {
        let now = Instant::now();
        let read =
            |rules: Epochs, records| decide(&rules, &contents(records, now), EpochEvent::Read);
        assert_eq!(read(Epochs::records(3), 2), None);
        assert_eq!(read(Epochs::records(3), 3), Some(EndReason::Count));
        // Several sources may have read at the same time.
        assert_eq!(read(Epochs::records(3), 5), Some(EndReason::Count));
        assert_eq!(read(Epochs::every_record(), 1), Some(EndReason::Count));
        assert_eq!(read(Epochs::every(SECOND), u64::MAX), None);
    }

    #[test]
    fn an_epoch_ends_when_only_that_makes_room() {
        let now = Instant::now();
        let rules = Epochs::default();
        let full = |records, event| decide(&rules, &contents(records, now), event);
        assert_eq!(full(0, EpochEvent::NoRoom), None);
        assert_eq!(full(1, EpochEvent::NoRoom), Some(EndReason::BudgetFull));
        let little = EpochEvent::LittleRoom { in_flight: 10 };
        assert_eq!(full(5, little), None);
        assert_eq!(full(6, little), Some(EndReason::BudgetFull));
    }

    #[test]
    fn an_epoch_ends_with_a_source_that_has_read_in_it() {
        let now = Instant::now();
        let ended = |has_read| {
            let event = EpochEvent::InputEnded { has_read };
            decide(&Epochs::default(), &contents(9, now), event)
        };
        assert_eq!(ended(true), Some(EndReason::EndOfInput));
        assert_eq!(ended(false), None);
    }

    #[test]
    fn a_source_follows_until_its_input_ends_or_the_run_stops() {
        let (open, next) = (Epoch::first(3), Epoch::first(3).next());
        assert_eq!(course(open, open, false, false), Course::Stays);
        assert_eq!(course(open, next, false, false), Course::Follows(next));
        let leaves = |input_ended| course(open, next, input_ended, true);
        assert_eq!(leaves(false), Course::Leaves(EndReason::Stop));
        assert_eq!(leaves(true), Course::Leaves(EndReason::EndOfInput));
    }

    #[test]
    fn what_was_read_before_an_end_does_not_count_for_the_next_epoch() {
        let now = Instant::now();
        let epoch = OpenEpoch::new(Epoch::first(3), Epochs::records(3), now);
        epoch.add(2);
        assert_eq!((epoch.room(), epoch.decide(EpochEvent::Read)), (1, None));
        epoch.add(1);
        assert_eq!(epoch.decide(EpochEvent::Read), Some(EndReason::Count));
        assert!(epoch.end(Epoch::first(3), || now + SECOND));
        // A second source is too late to end the same epoch.
        assert!(!epoch.end(Epoch::first(3), || now + 5 * SECOND));
        assert_eq!((epoch.number(), epoch.room()), (Epoch::first(3).next(), 3));
        assert_eq!(epoch.until_old(now + SECOND), None);
        epoch.add(1);
        assert_eq!(
            epoch.until_old(now + SECOND + SECOND / 4),
            Some(3 * SECOND / 4)
        );
        assert_eq!(epoch.records_read(), 4);
    }
}
