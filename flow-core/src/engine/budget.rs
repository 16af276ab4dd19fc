//! How many records and bytes may be in flight: read, and not yet durable.
//!
//! Beside what the user allows there is a limit that follows the flow: as many records as the steps behind the sources get
//! through in about the time of an epoch. Without it an epoch of a slow flow would be as long as all that fits into the
//! user's budget, nothing would become durable for as long, and a stop would have to wait for all of it.
//!
//! What is measured is the time from the end of an epoch at the sources until all workers have closed it, without the commit.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// What may be in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// The first records of an execution that follows an aborted one have a smaller budget, so that good
    /// records before a poisonous one become durable: how many of them, and how many at a time.
    pub(crate) cautious: (u64, u64),
}

/// What an open epoch weighs in the budget, in bytes: its rows, messages and bookkeeping.
const EPOCH_BYTES: u64 = 8 << 10;

/// The records that are allowed before anything is known.
const FIRST: u64 = 1024;

/// However short the epochs are, this much may take so long to get through.
const LEAST: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct InFlight {
    records: u64,
    bytes: u64,
}

/// What is in flight, and what may be.
pub(crate) struct Budget {
    limits: Limits,
    in_flight: Mutex<InFlight>,
    /// The limit that follows the flow.
    adapted: AtomicU64,
    /// Whether that has held a source up since it was last changed.
    felt: AtomicBool,
    /// How long the flow may take to get through what is in flight.
    target: Duration,
    /// The epochs that have ended and are not closed, and when.
    ended: Mutex<VecDeque<(u64, Instant)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Budget {
    /// `max_age` is that of an epoch.
    pub(crate) fn new(limits: Limits, max_age: Duration) -> Self {
        Budget {
            limits,
            in_flight: Mutex::default(),
            adapted: limits.records.min(FIRST).into(),
            felt: false.into(),
            target: max_age.max(LEAST),
            ended: Mutex::default(),
        }
    }

    /// Takes as much of `records` as there is room for, when `read` have been read.
    pub(crate) fn reserve(&self, read: u64, records: u64, bytes_each: u64) -> u64 {
        let (careful, at_a_time) = self.limits.cautious;
        let adapted = self.adapted.load(SeqCst);
        let limit = match read < careful {
            true => at_a_time.min(adapted),
            false => adapted,
        };
        let mut in_flight = lock(&self.in_flight);
        let room = limit.saturating_sub(in_flight.records);
        if room < records && limit == adapted {
            self.felt.store(true, SeqCst);
        }
        let bytes = self.limits.bytes.saturating_sub(in_flight.bytes);
        let mut granted = records.min(room).min(bytes / bytes_each.max(1));
        if granted == 0 && in_flight.records == 0 {
            // A record larger than the budget goes alone.
            granted = records.min(1);
        }
        in_flight.records += granted;
        in_flight.bytes += granted * bytes_each;
        granted
    }

    /// Adds the weight of an open epoch, which goes with its records.
    pub(crate) fn weigh_epoch(&self) -> u64 {
        lock(&self.in_flight).bytes += EPOCH_BYTES;
        EPOCH_BYTES
    }

    /// Gives back what has become durable, or was not used.
    pub(crate) fn release(&self, records: u64, bytes: u64) {
        let mut in_flight = lock(&self.in_flight);
        in_flight.records -= records;
        in_flight.bytes -= bytes;
    }

    pub(crate) fn records_in_flight(&self) -> u64 {
        lock(&self.in_flight).records
    }

    /// Notes that an epoch has ended at the sources.
    pub(crate) fn ended(&self, epoch: u64, at: Instant) {
        lock(&self.ended).push_back((epoch, at));
    }

    /// Notes that all workers have closed every epoch below `upto`, and lets as much be in flight as fits that.
    pub(crate) fn closed(&self, upto: u64, at: Instant) {
        let mut ended = lock(&self.ended);
        let mut longest = None;
        while let Some((_, since)) = ended.front().filter(|(epoch, _)| *epoch < upto) {
            let took = at.saturating_duration_since(*since);
            longest = longest.max(Some(took));
            ended.pop_front();
        }
        drop(ended);
        let Some(took) = longest else { return };
        let now = self.adapted.load(SeqCst);
        let next = if took > self.target {
            // What was there took too long; that may be far less than the limit.
            now.min(self.records_in_flight().max(1)).div_ceil(2)
        } else if took < self.target / 4 && self.felt.swap(false, SeqCst) {
            now.saturating_mul(4).min(self.limits.records)
        } else {
            return;
        };
        self.adapted.store(next, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(records: u64) -> Budget {
        let limits = Limits {
            records,
            bytes: 1 << 30,
            cautious: (0, 0),
        };
        Budget::new(limits, Duration::from_secs(1))
    }

    /// An epoch of as many records as there is room for, which takes so long behind the sources.
    fn epoch(budget: &Budget, number: u64, each: Duration) -> u64 {
        let granted = budget.reserve(0, u64::MAX, 0);
        let now = Instant::now();
        budget.ended(number, now);
        let took = each * u32::try_from(granted).unwrap();
        budget.closed(number + 1, now + took);
        budget.release(granted, 0);
        granted
    }

    #[test]
    fn as_much_is_in_flight_as_the_flow_gets_through_in_an_epoch() {
        let slow = budget(100_000);
        for number in 1..30 {
            epoch(&slow, number, Duration::from_millis(10));
        }
        let granted = epoch(&slow, 30, Duration::from_millis(10));
        assert!((20..=100).contains(&granted), "{granted}");
        // and more when it is faster
        for number in 31..40 {
            epoch(&slow, number, Duration::from_nanos(100));
        }
        let granted = epoch(&slow, 40, Duration::from_nanos(100));
        assert_eq!(granted, 100_000);
    }

    #[test]
    fn the_users_limit_is_the_most() {
        let small = budget(3);
        for number in 1..10 {
            assert_eq!(epoch(&small, number, Duration::ZERO), 3);
        }
    }

    #[test]
    fn at_least_one_record_goes() {
        let slow = budget(100);
        for number in 1..20 {
            epoch(&slow, number, Duration::from_secs(5));
        }
        assert_eq!(epoch(&slow, 20, Duration::from_secs(5)), 1);
    }

    #[test]
    fn a_limit_that_nobody_felt_is_not_raised() {
        let budget = budget(100_000);
        let now = Instant::now();
        for number in 1..10 {
            let granted = budget.reserve(0, 5, 0);
            budget.ended(number, now);
            budget.closed(number + 1, now);
            budget.release(granted, 0);
        }
        assert_eq!(budget.reserve(0, u64::MAX, 0), FIRST);
    }
}
