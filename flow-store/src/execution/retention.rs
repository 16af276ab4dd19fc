//! Decides which epochs an execution retains, and which it forgets.

use crate::clock::now;
use crate::epoch::Epoch;
use crate::format::delta::Delta;
use crate::retain::Retain;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time that decides when an execution forgets epochs, in milliseconds.
///
/// A forgotten epoch does not come back, so setting the clock must not make epochs old.
///
/// - During an execution the time advances as the process measures it, whatever the clock says.
/// - At a start the time moves, forward or back, by what the clock says has passed since the last
///   commit.
/// - At a start a clock that is ahead looks like a pause, so it is not *believed* at first. For
///   epochs of earlier executions, the believed time begins at the last commit. It advances twice
///   as fast as the process measures, until it reaches the time.
/// - The age of its own epochs is measured by the execution itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    /// The time of the last commit before the start.
    before: i64,
    /// The time of the start.
    start: i64,
    started: Instant,
}

impl Time {
    /// The time at the start of an execution that resumes from these deltas.
    pub(super) fn after(deltas: &VecDeque<Delta>) -> Time {
        Time::at(now().as_millisecond(), deltas.back())
    }

    fn at(clock: i64, last: Option<&Delta>) -> Time {
        let (at, before) = last.map_or((clock, clock), |last| (last.at, last.time));
        Time {
            before,
            start: before.saturating_add(clock.saturating_sub(at)),
            started: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.later(self.started.elapsed())
    }

    fn later(&self, elapsed: Duration) -> i64 {
        self.start.saturating_add(milliseconds(elapsed))
    }

    /// The believed part of a time of this execution.
    fn believed(&self, time: i64) -> i64 {
        let elapsed = time.saturating_sub(self.start);
        time.min(self.before.saturating_add(elapsed.saturating_mul(2)))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The oldest epoch to retain, given all unfolded deltas, the last of which has just been written.
/// `oldest` is the oldest epoch that was restorable before.
pub(super) fn oldest(
    deltas: &VecDeque<Delta>,
    oldest: Epoch,
    retain: Retain,
    time: &Time,
) -> Epoch {
    let Some(last) = deltas.back() else {
        return oldest;
    };
    let start = deltas.partition_point(|delta| delta.before < oldest);
    let mut restorable = deltas.range(start..);
    let first = match retain {
        Retain::Nothing => None,
        Retain::Epochs(most) => {
            let extra = (restorable.len() as u64).saturating_sub(most);
            restorable.nth(usize::try_from(extra).unwrap_or(usize::MAX))
        }
        Retain::For(duration) => {
            let duration = milliseconds(duration);
            let own = |delta: &Delta| delta.epoch.execution() == last.epoch.execution();
            let measured = last.time.saturating_sub(duration);
            let first_own = deltas.partition_point(|delta| !own(delta));
            let young = deltas.partition_point(|delta| !own(delta) || delta.time < measured);
            let old = match young > first_own {
                // All earlier deltas are older still.
                true => young.saturating_sub(start),
                false => {
                    let now = time.believed(last.time);
                    let earlier = deltas.range(start.min(first_own)..first_own);
                    old(earlier, now.saturating_sub(duration), now)
                }
            };
            restorable.nth(old)
        }
    };
    first.map_or(last.epoch, |delta| delta.before)
}

/// How many of these deltas of earlier executions, oldest first, are older than `since`.
///
/// Each delta is at least as old as those after it. So a delta with a time in the future, from a
/// clock that was ahead, counts as old as the next one. And a delta from before `since` is not old
/// if it comes after one from after `since`: its clock was behind.
fn old<'a>(deltas: impl Iterator<Item = &'a Delta>, since: i64, now: i64) -> usize {
    let times = deltas.map(|delta| delta.time);
    let before = times.take_while(|time| *time < since || *time > now);
    let old = before.enumerate().filter(|(_, time)| *time < since);
    old.last().map_or(0, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Epoch = Epoch::opening(1);

    /// Deltas with these times, both by the clock and by the execution.
    fn deltas_at(times: &[i64]) -> VecDeque<Delta> {
        let mut deltas = VecDeque::new();
        for time in times {
            add(&mut deltas, *time, *time);
        }
        deltas
    }

    fn add(deltas: &mut VecDeque<Delta>, at: i64, time: i64) {
        let before = deltas.back().map_or(FIRST, |last| last.epoch);
        push(deltas, before.next(), at, time);
    }

    /// The delta that opens the next execution.
    fn open(deltas: &mut VecDeque<Delta>, at: i64, time: i64) {
        let before = deltas.back().map_or(FIRST, |last| last.epoch);
        push(deltas, Epoch::opening(before.execution() + 1), at, time);
    }

    fn push(deltas: &mut VecDeque<Delta>, epoch: Epoch, at: i64, time: i64) {
        let before = deltas.back().map_or(FIRST, |last| last.epoch);
        deltas.push_back(Delta {
            epoch,
            before,
            at,
            time,
            bytes: 1,
        });
    }

    /// How many of the deltas are retained.
    fn kept(deltas: &VecDeque<Delta>, seconds: u64, time: &Time) -> usize {
        let retain = Retain::For(Duration::from_secs(seconds));
        let oldest = oldest(deltas, FIRST, retain, time);
        deltas.iter().filter(|delta| delta.before >= oldest).count()
    }

    #[test]
    fn what_stays_restorable() {
        let deltas = deltas_at(&[1_000, 2_000, 3_000, 4_000, 5_000]);
        let epochs = |n: usize| {
            [FIRST]
                .into_iter()
                .chain(deltas.iter().map(|it| it.epoch))
                .nth(n)
                .unwrap()
        };
        let seconds = |n| Retain::For(Duration::from_secs(n));
        for (retain, since, expected) in [
            (Retain::Nothing, 0, 5),
            (Retain::Epochs(2), 0, 3),
            (Retain::Epochs(100), 0, 0),
            // An epoch that was given up does not come back.
            (Retain::Epochs(100), 2, 2),
            (Retain::Epochs(1), 5, 5),
            (seconds(1), 0, 3),
            (seconds(60), 0, 0),
            (seconds(60), 4, 4),
        ] {
            assert_eq!(
                oldest(
                    &deltas,
                    epochs(since),
                    retain,
                    &Time::at(5_000, deltas.back())
                ),
                epochs(expected),
                "{retain:?}"
            );
        }
    }

    /// Simulates consecutive executions. Each has the clock at its start, and for each commit the
    /// seconds that have passed and the seconds by which the clock was set. Returns the number of
    /// epochs that are retained at the end of each.
    fn executions(retain: u64, all: &[(i64, &[(u64, i64)])]) -> Vec<usize> {
        let (mut deltas, mut counts) = (VecDeque::new(), Vec::new());
        for (start, commits) in all {
            let time = Time::at(1_000 * start, deltas.back());
            for (n, (elapsed, set)) in [(0, 0)].iter().chain(*commits).enumerate() {
                let at = 1_000 * (start + i64::try_from(*elapsed).unwrap() + set);
                let add = if n == 0 { open } else { add };
                add(&mut deltas, at, time.later(Duration::from_secs(*elapsed)));
                let kept = kept(&deltas, retain, &time);
                deltas.drain(..deltas.len() - kept);
            }
            counts.push(deltas.len());
        }
        counts
    }

    const RUN: &[(u64, i64)] = &[(1, 0), (2, 0), (3, 0)];

    #[test]
    fn a_clock_that_was_behind_forgets_nothing_when_it_is_right_again() {
        // The clock is set back and forth again.
        let set: &[_] = &[(10, 0), (20, -9_500), (30, -9_500), (40, 0)];
        let counts = executions(100, &[(10_000, set), (10_050, RUN), (10_060, RUN)]);
        assert_eq!(counts, [5, 9, 13]);
        // The clock is wrong at a start and corrected later, in the first execution and in another
        // one.
        let behind: &[_] = &[(1, 0), (2, 10_000), (3, 10_000)];
        let all = [
            (0, behind),
            (10_010, RUN),
            (20, behind),
            (10_030, RUN),
            (10_040, RUN),
        ];
        assert_eq!(executions(100, &all), [4, 8, 12, 16, 20]);
        // The clock is wrong during a whole execution.
        let all = [(10_000, RUN), (10, RUN), (10_020, RUN), (10_030, RUN)];
        assert_eq!(executions(100, &all), [4, 8, 12, 16]);
        // Old epochs are forgotten nevertheless.
        let all = [
            (0, behind),
            (10_050, RUN),
            (10_102, RUN),
            (10_200, RUN),
            (10_310, RUN),
        ];
        assert_eq!(executions(100, &all), [4, 8, 12, 12, 8]);
    }

    #[test]
    fn a_clock_that_was_ahead_once_keeps_nothing_for_ever() {
        let all = [(1_000, RUN), (900_000, RUN), (1_010, RUN), (1_020, RUN)];
        assert_eq!(executions(2, &all), [3, 3, 3, 3]);
        let mut deltas = deltas_at(&[1_000, 2_000]);
        open(&mut deltas, 900_000, 900_000);
        open(&mut deltas, 2_500, 2_500);
        add(&mut deltas, 4_000, 4_000);
        let time = Time::at(5_000, deltas.back());
        open(&mut deltas, 5_000, 5_000);
        assert_eq!(kept(&deltas, 1, &time), 2);
    }

    /// After a pause of any length, epochs whose age the execution has measured itself are
    /// forgotten in time.
    #[test]
    fn after_a_pause_an_execution_forgets_its_own_epochs_in_time() {
        let seconds: Vec<(u64, i64)> = (1..=100).map(|second| (second, 0)).collect();
        let all = [(0, RUN), (1_000_000, &seconds[..])];
        assert_eq!(executions(10, &all), [4, 11]);
        // Epochs of earlier executions are older, and are forgotten too.
        assert_eq!(executions(100, &all), [4, 101]);
        // Epochs of earlier executions are forgotten only once they are old beyond doubt.
        assert_eq!(executions(1_000, &all), [4, 105]);
    }

    #[test]
    fn a_clock_that_is_ahead_at_a_start_does_not_forget_at_once() {
        let mut deltas = deltas_at(&[1_000, 2_000, 3_000]);
        let ahead = 3_000 + 1_000_000;
        let time = Time::at(ahead, deltas.back());
        let believed = |elapsed| time.believed(time.later(Duration::from_millis(elapsed)));
        assert_eq!(believed(0), 3_000);
        assert_eq!(believed(500), 4_000);
        // The believed time reaches the time of the clock, and never exceeds it.
        assert_eq!(believed(1_000_000), ahead + 1_000_000);
        assert_eq!(believed(2_000_000), ahead + 2_000_000);
        open(&mut deltas, ahead, ahead);
        assert_eq!(kept(&deltas, 60, &time), 4);
    }

    #[test]
    fn a_pause_counts_from_the_next_start_on() {
        let all: Vec<_> = (0..10).map(|hour| (3_600 * hour, RUN)).collect();
        assert_eq!(executions(2 * 3_600, &all)[5..], [12; 5]);
    }
}
