//! How many records and bytes may be in flight: read, and not yet durable.
//!
//! Below the user's limit there is one that follows the flow: as many records as the steps behind
//! the sources process in about the time of an epoch. Without it, an epoch of a slow flow would
//! last until the user's budget is used up. Nothing would become durable before, and a stop would
//! have to wait for all of it.
//!
//! Sources that want more records than there is room for share the room. While another source
//! waits, none gets ahead of it by more than its share of the limit. So the source that is woken
//! first does not take everything.
//!
//! The budget measures the time from the end of an epoch at the sources until all workers have
//! closed it. The commit is not included.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant},
};

use flow_store::Epoch;

use crate::lock::Mutex;

/// What may be in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// The first records after an aborted execution have a smaller budget, so that good records
    /// before the one that fails become durable: how many records that is for, and how many of them
    /// may be in flight at a time.
    pub(crate) cautious: (u64, u64),
    /// Whether the limit follows the flow. If not, it is the user's limit from the beginning, so
    /// that a test does not depend on the speed of the machine.
    pub(crate) follow: bool,
    /// The limit that follows the flow is never lower: one record for each worker, so that all of
    /// them have something to do.
    pub(crate) least: u64,
}

/// The weight of an open epoch in the budget, in bytes: its rows, messages and bookkeeping.
const EPOCH_BYTES: u64 = 8 << 10;

/// The limit grows to at most this many times the records that were in flight.
const GROWTH: u128 = 16;

/// However short the epochs are, the records in flight may take this long.
const LEAST: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct InFlight {
    records: u64,
    bytes: u64,
    /// The share of each source that has asked, by its number.
    shares: Vec<Share>,
    /// Where a source begins to count if it had nothing to read for a while. It has no claim to
    /// what others took meanwhile.
    start: u64,
}

/// How much a source has taken.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// A number of records, from a start that all sources share.
    taken: u64,
    /// Whether it has records and was refused.
    waits: bool,
}

impl InFlight {
    /// How far a source has got. Makes room for its share.
    fn position(&mut self, source: usize) -> u64 {
        if source >= self.shares.len() {
            self.shares.resize(source + 1, Share::default());
        }
        self.shares[source].taken.max(self.start)
    }

    /// The sources that wait beside this one.
    fn others(&self, source: usize) -> Option<Others> {
        let waiting = |other: &(usize, &Share)| other.0 != source && other.1.waits;
        let others = self.shares.iter().enumerate().filter(waiting);
        let count = others.clone().count() as u64;
        let least = others.min_by_key(|(_, share)| share.taken);
        least.map(|(first, share)| Others {
            first,
            taken: share.taken,
            count,
        })
    }
}

/// The sources that wait beside a source.
struct Others {
    /// The source that has got the least, and how far it is.
    first: usize,
    taken: u64,
    count: u64,
}

/// What a source has been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) records: u64,
    pub(crate) wake: Wake,
}

/// The sources to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Nobody,
    /// All sources that wait. This one no longer waits, and may have been before them.
    Waiting,
    /// The source whose turn it is.
    Source(usize),
}

/// An epoch that has ended at the sources.
#[derive(Clone, Copy, Debug)]
struct EndedEpoch {
    epoch: Epoch,
    at: Instant,
    /// The number of records that were in flight then, which the flow had to process to close it.
    records: u64,
}

/// What is in flight, and what may be in flight.
pub(crate) struct Budget {
    limits: Limits,
    in_flight: Mutex<InFlight>,
    /// The limit that follows the flow.
    adapted: AtomicU64,
    /// Whether that limit has held up a source since it last changed.
    felt: AtomicBool,
    /// How long the flow may take for the records in flight.
    target: Duration,
    /// The epochs that have ended and are not closed.
    ended: Mutex<VecDeque<EndedEpoch>>,
}

impl Budget {
    /// `max_age` is that of an epoch.
    pub(crate) fn new(limits: Limits, max_age: Duration) -> Self {
        Budget {
            limits,
            in_flight: Mutex::default(),
            adapted: match limits.follow {
                // At first each record may take minutes. A fast flow processes them at once and
                // soon has more.
                true => limits.records.min(limits.least),
                false => limits.records,
            }
            .into(),
            felt: false.into(),
            target: max_age.max(LEAST),
            ended: Mutex::default(),
        }
    }

    /// How many records may be in flight after `read` records have been read.
    fn limit(&self, read: u64) -> u64 {
        let (careful, at_a_time) = self.limits.cautious;
        let adapted = self.adapted.load(SeqCst);
        match read < careful {
            true => at_a_time.min(adapted),
            false => adapted,
        }
    }

    /// How many records there is room for, without turns.
    fn room(&self, in_flight: &InFlight, limit: u64, bytes_each: u64) -> u64 {
        let bytes = self.limits.bytes.saturating_sub(in_flight.bytes);
        let room = limit.saturating_sub(in_flight.records);
        match room.min(bytes / bytes_each.max(1)) {
            // A record larger than the budget goes alone.
            0 if in_flight.records == 0 => 1,
            room => room,
        }
    }

    /// How many records a source may take before the sources that wait have had their turn.
    fn turn(&self, in_flight: &mut InFlight, source: usize, limit: u64, bytes_each: u64) -> u64 {
        let position = in_flight.position(source);
        let Some(others) = in_flight.others(source) else {
            return u64::MAX;
        };
        let most = limit.min(self.limits.bytes / bytes_each.max(1));
        let share = (most / (others.count + 1)).max(1);
        others.taken.saturating_add(share).saturating_sub(position)
    }

    /// Takes as many of `records` as there is room for after `read` records, and as is fair to
    /// other sources that wait.
    ///
    /// A source that gets nothing waits until it gets something or [withdraws](Budget::withdraw).
    pub(crate) fn reserve(&self, source: usize, read: u64, records: u64, bytes_each: u64) -> Grant {
        let limit = self.limit(read);
        let mut in_flight = self.in_flight.lock();
        if limit.saturating_sub(in_flight.records) < records && limit == self.adapted.load(SeqCst) {
            self.felt.store(true, SeqCst);
        }
        let turn = self.turn(&mut in_flight, source, limit, bytes_each);
        let room = self.room(&in_flight, limit, bytes_each);
        let granted = records.min(turn).min(room);
        let position = in_flight.position(source);
        let share = Share {
            taken: position + granted,
            waits: granted == 0,
        };
        let before = std::mem::replace(&mut in_flight.shares[source], share);
        in_flight.records += granted;
        in_flight.bytes += granted * bytes_each;
        let others = in_flight.others(source);
        if granted > 0 {
            in_flight.start = (others.as_ref()).map_or(position, |least| least.taken.min(position));
        }
        let wake = match others {
            Some(_) if granted > 0 && before.waits => Wake::Waiting,
            // That source may have missed that there is room again, or may have to end the epoch
            // that holds it up.
            Some(others) if turn == 0 => Wake::Source(others.first),
            _ => Wake::Nobody,
        };
        Grant {
            records: granted,
            wake,
        }
    }

    /// Gives back records that a source has taken and did not need. They do not count for its
    /// share.
    pub(crate) fn refund(&self, source: usize, records: u64, bytes: u64) {
        self.release(records, bytes);
        if let Some(share) = self.in_flight.lock().shares.get_mut(source) {
            share.taken = share.taken.saturating_sub(records);
        }
    }

    /// Whether there is room for a record of this size. Turns do not count here.
    pub(crate) fn has_room(&self, read: u64, bytes_each: u64) -> bool {
        self.room(&self.in_flight.lock(), self.limit(read), bytes_each) > 0
    }

    /// Whether a source would get records now.
    pub(crate) fn has_turn(&self, source: usize, read: u64, bytes_each: u64) -> bool {
        let limit = self.limit(read);
        let mut in_flight = self.in_flight.lock();
        self.room(&in_flight, limit, bytes_each) > 0
            && self.turn(&mut in_flight, source, limit, bytes_each) > 0
    }

    /// Notes that a source has nothing to read, so that others do not wait for it. Returns whether
    /// some wait.
    pub(crate) fn withdraw(&self, source: usize) -> bool {
        let mut in_flight = self.in_flight.lock();
        if let Some(share) = in_flight.shares.get_mut(source) {
            share.waits = false;
        }
        in_flight.others(source).is_some()
    }

    /// Adds the weight of an open epoch, which is given back with its records.
    pub(crate) fn weigh_epoch(&self) -> u64 {
        self.in_flight.lock().bytes += EPOCH_BYTES;
        EPOCH_BYTES
    }

    /// Gives back records that have become durable, or were not used.
    pub(crate) fn release(&self, records: u64, bytes: u64) {
        let mut in_flight = self.in_flight.lock();
        in_flight.records -= records;
        in_flight.bytes -= bytes;
    }

    pub(crate) fn records_in_flight(&self) -> u64 {
        self.in_flight.lock().records
    }

    /// Notes that an epoch has ended at the sources.
    pub(crate) fn ended(&self, epoch: Epoch, at: Instant) {
        let records = self.records_in_flight();
        self.ended
            .lock()
            .push_back(EndedEpoch { epoch, at, records });
    }

    /// Notes that all workers have closed every epoch below `upto`, and adapts the limit. Returns
    /// whether the limit has grown.
    pub(crate) fn closed(&self, upto: Epoch, at: Instant) -> bool {
        let mut ended = self.ended.lock();
        let mut closed = Vec::new();
        while let Some(epoch) = ended.front().filter(|ended| ended.epoch < upto) {
            closed.push((at.saturating_duration_since(epoch.at), epoch.records));
            ended.pop_front();
        }
        drop(ended);
        if !self.limits.follow {
            return false;
        }
        let now = self.adapted.load(SeqCst);
        // An epoch that took too long shows how many records fit, whatever the limit is by now.
        let slow = closed.iter().filter(|(took, _)| *took > self.target);
        let fitting = slow.map(|(took, records)| self.fitting(*took, *records));
        if let Some(least) = fitting.min() {
            self.adapted.store(now.min(least), SeqCst);
            self.felt.store(false, SeqCst);
            return false;
        }
        let Some((took, records)) = closed.into_iter().max() else {
            return false;
        };
        // Half of what seems to fit, because it has not been tried.
        let times = self.target.as_nanos() / (2 * took.as_nanos()).max(1);
        if times < 2 || !self.felt.swap(false, SeqCst) {
            return false;
        }
        let most = u128::from(records) * times.min(GROWTH);
        let next = u64::try_from(most).map_or(self.limits.records, |most| {
            most.clamp(now, self.limits.records)
        });
        self.adapted.store(next, SeqCst);
        next > now
    }

    /// How many records the flow processes in its target time, given that it `took` this long for
    /// `records`.
    fn fitting(&self, took: Duration, records: u64) -> u64 {
        let fitting = u128::from(records) * self.target.as_nanos() / took.as_nanos().max(1);
        u64::try_from(fitting)
            .unwrap_or(u64::MAX)
            .max(self.limits.least)
            .min(self.limits.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A budget that has been found to allow 16 records so far.
    fn budget(records: u64) -> Budget {
        let limits = Limits {
            records,
            bytes: 1 << 30,
            cautious: (0, 0),
            follow: true,
            least: 1,
        };
        let budget = Budget::new(limits, Duration::from_secs(1));
        budget.adapted.store(records.min(16), SeqCst);
        budget
    }

    /// Ends and closes an epoch of as many records as there is room for, at this time for `each`.
    fn epoch(budget: &Budget, number: u64, each: Duration) -> u64 {
        let granted = budget.reserve(0, 0, u64::MAX, 0).records;
        let now = Instant::now();
        budget.ended(Epoch::from_u64(number), now);
        let took = each * u32::try_from(granted).unwrap();
        budget.closed(Epoch::from_u64(number + 1), now + took);
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
        // The limit grows when the flow is faster.
        for number in 31..40 {
            epoch(&slow, number, Duration::from_nanos(100));
        }
        let granted = epoch(&slow, 40, Duration::from_nanos(100));
        assert_eq!(granted, 100_000);
    }

    #[test]
    fn a_fast_flow_is_held_up_for_a_few_short_epochs_only() {
        let fast = budget(100_000);
        let granted: Vec<u64> = (1..7)
            .map(|number| epoch(&fast, number, Duration::from_nanos(100)))
            .collect();
        assert_eq!(granted, [16, 256, 4096, 65_536, 100_000, 100_000]);
    }

    #[test]
    fn a_very_slow_flow_has_little_to_get_through_before_it_is_known() {
        let slow = budget(100_000);
        let second = Duration::from_secs(1);
        assert_eq!(epoch(&slow, 1, second), 16);
        assert_eq!(epoch(&slow, 2, second), 1);
        assert_eq!(epoch(&slow, 3, second), 1);
    }

    /// Epochs may have ended before a limit was known, and be closed after it.
    #[test]
    fn each_epoch_counts_for_what_was_in_flight_at_its_end() {
        let budget = budget(100_000);
        for number in 1..5 {
            epoch(&budget, number, Duration::ZERO);
        }
        let granted = budget.reserve(0, 0, 1000, 0).records;
        let now = Instant::now();
        for number in 5..10 {
            budget.ended(Epoch::from_u64(number), now);
        }
        for number in 5..10 {
            budget.closed(Epoch::from_u64(number + 1), now + Duration::from_secs(10));
        }
        budget.release(granted, 0);
        assert_eq!(budget.reserve(0, 0, 1000, 0).records, 100);
        budget.release(100, 0);

        // Nor do old short epochs make it grow again and again.
        let granted = budget.reserve(0, 0, 1000, 0).records;
        for number in 10..20 {
            budget.ended(Epoch::from_u64(number), now);
        }
        for number in 10..20 {
            assert_eq!(
                budget.closed(Epoch::from_u64(number + 1), now),
                number == 10
            );
            budget.reserve(0, 0, u64::MAX, 0);
        }
        assert_eq!(budget.records_in_flight(), 16 * granted);
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
    fn each_worker_has_a_record_from_the_beginning_and_however_slow_the_flow_is() {
        let limits = Limits {
            records: 100_000,
            bytes: 1 << 30,
            cautious: (0, 0),
            follow: true,
            least: 3,
        };
        let slow = Budget::new(limits, Duration::from_secs(1));
        for number in 1..10 {
            assert_eq!(epoch(&slow, number, Duration::from_secs(5)), 3);
        }
        let few = Limits {
            records: 2,
            ..limits
        };
        let few = Budget::new(few, Duration::from_secs(1));
        for number in 1..10 {
            assert_eq!(epoch(&few, number, Duration::from_secs(5)), 2);
        }
    }

    #[test]
    fn a_limit_that_nobody_felt_is_not_raised() {
        let budget = budget(100_000);
        let now = Instant::now();
        for number in 1..10 {
            let granted = budget.reserve(0, 0, 5, 0).records;
            budget.ended(Epoch::from_u64(number), now);
            budget.closed(Epoch::from_u64(number + 1), now);
            budget.release(granted, 0);
        }
        assert_eq!(budget.reserve(0, 0, u64::MAX, 0).records, 16);
    }

    /// Lets two sources that always have records ask in this order whenever something has been
    /// given back, each until it gets nothing more. Returns how many records they got.
    fn contend(budget: &Budget, rounds: u32, given_back: u64) -> [u64; 2] {
        let mut got = [0, 0];
        for _ in 0..rounds {
            for source in [0, 1, 0] {
                loop {
                    let granted = budget.reserve(source, 0, 1000, 1).records;
                    got[source] += granted;
                    if granted == 0 {
                        break;
                    }
                }
            }
            let back = given_back.min(budget.records_in_flight());
            budget.release(back, back);
        }
        got
    }

    #[test]
    fn sources_that_wait_have_equal_shares() {
        for (limit, given_back) in [(1, 1), (2, 1), (7, 3), (50, 50), (50, 1), (1000, 999)] {
            let budget = budget(limit);
            budget.adapted.store(limit, SeqCst);
            let [one, other] = contend(&budget, 200, given_back);
            assert!(one.abs_diff(other) <= limit, "{limit}: {one} and {other}");
            assert!(one + other >= 199 * given_back, "nothing is left lying");
        }
        // The shares are equal too if bytes are short.
        let limits = Limits {
            records: 100_000,
            bytes: 10,
            cautious: (0, 0),
            follow: true,
            least: 16,
        };
        let [one, other] = contend(&Budget::new(limits, Duration::from_secs(1)), 200, 10);
        assert!(one.abs_diff(other) <= 10, "{one} and {other}");
    }

    #[test]
    fn what_is_given_back_unused_does_not_count() {
        let budget = budget(10);
        let mut used = [0, 0];
        for _ in 0..200 {
            for source in [0, 1, 0] {
                loop {
                    let granted = budget.reserve(source, 0, 5, 1).records;
                    // The first source never needs all that it asks for.
                    let needed = if source == 0 { granted.min(1) } else { granted };
                    budget.refund(source, granted - needed, granted - needed);
                    used[source] += needed;
                    if granted == 0 {
                        break;
                    }
                }
            }
            budget.release(10, 10);
        }
        let [one, other] = used;
        assert!(one.abs_diff(other) <= 10, "{one} and {other}");
        assert_eq!((one + other, budget.records_in_flight()), (2000, 0));
    }

    #[test]
    fn a_source_that_has_nothing_to_read_keeps_no_one_waiting() {
        let budget = budget(4);
        assert_eq!(budget.reserve(0, 0, 10, 0).records, 4);
        assert_eq!(budget.reserve(1, 0, 10, 0).records, 0);
        budget.release(4, 0);
        // The first one had its turn.
        assert_eq!(budget.reserve(0, 0, 10, 0).records, 0);
        assert!(!budget.has_turn(0, 0, 0) && budget.has_turn(1, 0, 0));
        assert!(budget.has_room(0, 0));
        // It has its turn again when the other one has withdrawn.
        assert!(budget.withdraw(1));
        assert_eq!(budget.reserve(0, 0, 10, 0).records, 4);
        assert!(!budget.withdraw(1) && !budget.withdraw(2));
    }

    #[test]
    fn whoever_has_had_its_turn_lets_those_go_on_that_wait_for_it() {
        let budget = budget(2);
        assert_eq!(budget.reserve(0, 0, 10, 0).records, 2);
        assert_eq!(budget.reserve(1, 0, 10, 0).records, 0);
        assert_eq!(budget.reserve(0, 0, 10, 0).records, 0);
        budget.release(2, 0);
        let first = Grant {
            records: 2,
            wake: Wake::Waiting,
        };
        assert_eq!(budget.reserve(1, 0, 2, 0), first);
        budget.release(2, 0);
        assert_eq!(budget.reserve(0, 0, 10, 0).records, 2);
    }

    /// The one that waits may have found no room when it looked, and sleeps.
    #[test]
    fn a_source_whose_turn_it_is_not_wakes_the_one_whose_turn_it_is() {
        let limits = Limits {
            records: 100,
            bytes: 100,
            cautious: (1, 1),
            follow: true,
            least: 16,
        };
        let budget = Budget::new(limits, Duration::from_secs(1));
        assert_eq!(budget.reserve(0, 0, 100, 1).records, 1);
        let grant = budget.reserve(1, 0, 100, 90);
        assert_eq!((grant.records, grant.wake), (0, Wake::Nobody));
        // After one record the caution is over. So there is room, although nobody has given back
        // anything.
        assert_eq!(budget.reserve(0, 1, 100, 1).records, 7);
        let grant = budget.reserve(0, 8, 100, 1);
        assert_eq!((grant.records, grant.wake), (0, Wake::Source(1)));
        assert_eq!(budget.reserve(1, 8, 100, 90).records, 1);
    }

    #[test]
    fn a_source_that_was_idle_has_no_claim_to_what_others_took_meanwhile() {
        let budget = budget(10);
        for _ in 0..100 {
            assert_eq!(budget.reserve(0, 0, 10, 1).records, 10);
            budget.release(10, 10);
        }
        assert_eq!(budget.reserve(0, 0, 10, 1).records, 10);
        let [one, other] = contend(&budget, 50, 10);
        assert!(one.abs_diff(other) <= 20, "{one} and {other}");
    }
}
