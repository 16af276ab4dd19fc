//! Records from a function that is called at intervals.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    task::Waker,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::{At, FnToken, Next, NoResume, Reader, Source, SourceError};
use crate::{
    engine::{Clock, RunHandle},
    record::State,
};

/// The most records of one batch.
const BATCH: usize = 256;

/// The shortest interval between two polls.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest wait for a time of day, so that a changed clock or a sleep of the machine is
/// noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// Records from a function that is called at intervals: new rows, or the present weather.
///
/// The first call comes at once, each further one `every` after the one before. With
/// [`aligned`](PollSource::aligned), calls come for example at full minutes. An error fails the
/// flow, unless [`retry`](PollSource::retry) is set. The function is called on a worker, which can
/// do nothing else meanwhile. Slow work belongs on its own thread, with
/// [`from_channel`](super::from_channel).
///
/// Polled records may be gone at the next call. So a stop waits until all of them have been
/// processed, and the source can't resume: a crash loses the records that had been read and were
/// not durable. Under a store, the flow has to agree to that with [`lossy`](Source::lossy). If the
/// same records can be requested again, [`poll_with_token`] loses none.
///
/// ```
/// # use std::time::Duration;
/// # use flow::prelude::*;
/// # use flow::{Clock, sink, source};
/// # let (out, seen) = sink::collect();
/// # let clock = Clock::manual();
/// # let time = clock.clone();
/// # fn thermometer(clock: &Clock) -> Result<i64, source::SourceError> {
/// #     let celsius = clock.timestamp().as_second() / 60;
/// #     clock.advance(Duration::from_secs(60));
/// #     if celsius < 3 { Ok(celsius) } else { Err(source::SourceError::new("it is broken")) }
/// # }
/// # let error = Runner::new(move |flow| {
/// # let clock = time.clone();
/// let celsius = flow.source(source::poll(Duration::from_secs(60), move || {
/// # let clock = &clock;
///     let celsius = thermometer(clock)?;
///     Ok([celsius])
/// }));
/// # celsius.sink(out.clone());
/// # }).clock(clock).run().unwrap_err();
/// # assert!(error.to_string().contains("it is broken"));
/// # assert_eq!(seen.take(), [0, 1, 2]);
/// ```
pub fn poll<F, I>(every: Duration, mut poll: F) -> PollSource<I::Item, NoResume>
where
    F: FnMut() -> Result<I, SourceError> + 'static,
    I: IntoIterator,
    I::Item: 'static,
{
    PollSource::new(every, NoResume, move |_| {
        let records = poll()?.into_iter();
        Ok(records.map(|record| (record, NoResume)).collect())
    })
}

/// Like [`poll`], for a function that returns a token with each record. A run that resumes asks for
/// the records behind the last durable one.
///
/// The function gets the token of the last record that was read; `None` if there was none. It
/// returns `(record, token)`. With this token, it resumes *behind* that record.
///
/// ```
/// # use std::time::Duration;
/// # use flow::prelude::*;
/// # use flow::{Clock, sink, source};
/// # let (out, seen) = sink::collect();
/// # let clock = Clock::manual();
/// # let time = clock.clone();
/// # fn rows_after(id: u64, clock: &Clock) -> Result<Vec<(u64, String)>, source::SourceError> {
/// #     clock.advance(Duration::from_secs(10));
/// #     match id {
/// #         0 | 1 => Ok(vec![(id + 1, format!("row {}", id + 1))]),
/// #         _ => Err(source::SourceError::new("no more")),
/// #     }
/// # }
/// # Runner::new(move |flow| {
/// # let clock = time.clone();
/// let every = Duration::from_secs(10);
/// let rows = flow.source(source::poll_with_token(every, move |last: Option<&u64>| {
/// # let clock = &clock;
///     let rows = rows_after(last.copied().unwrap_or(0), clock)?;
///     Ok(rows.into_iter().map(|(id, row)| (row, id)))
/// }));
/// # rows.sink(out.clone());
/// # }).clock(clock).run().unwrap_err();
/// # assert_eq!(seen.take(), ["row 1", "row 2"]);
/// ```
pub fn poll_with_token<F, I, T, P>(every: Duration, mut poll: F) -> PollSource<T, FnToken<P>>
where
    F: FnMut(Option<&P>) -> Result<I, SourceError> + 'static,
    I: IntoIterator<Item = (T, P)>,
    T: 'static,
    P: Clone + Serialize + DeserializeOwned + 'static,
{
    PollSource::new(every, FnToken::Start, move |last| {
        let last = match last {
            FnToken::Start => None,
            FnToken::After(token) => Some(token),
        };
        let records = poll(last)?.into_iter();
        let records = records.map(|(record, token)| (record, FnToken::After(token)));
        Ok(records.collect())
    })
}

/// Polls for the records behind a token.
type Poll<T, P> = dyn FnMut(&P) -> Result<VecDeque<(T, P)>, SourceError>;

/// Records from a function that is called at intervals; made by [`poll`] and [`poll_with_token`].
pub struct PollSource<T, P> {
    poll: Rc<RefCell<Poll<T, P>>>,
    start: P,
    schedule: Schedule,
    retry: Retry,
}

#[derive(Clone, Copy)]
struct Schedule {
    every: Duration,
    /// A time to which polls are aligned.
    aligned_to: Option<Timestamp>,
}

#[derive(Clone, Copy, Default)]
struct Retry {
    times: u32,
    wait: Duration,
}

impl<T, P> PollSource<T, P> {
    fn new(
        every: Duration,
        start: P,
        poll: impl FnMut(&P) -> Result<VecDeque<(T, P)>, SourceError> + 'static,
    ) -> Self {
        PollSource {
            poll: Rc::new(RefCell::new(poll)),
            start,
            schedule: Schedule {
                every: every.max(SHORTEST),
                aligned_to: None,
            },
            retry: Retry::default(),
        }
    }

    /// Polls at full multiples of the interval by the wall clock, in UTC. With an interval of an
    /// hour, it polls at each full hour. The first poll comes at the first such time.
    #[must_use]
    pub fn aligned(self) -> Self {
        self.aligned_to(Timestamp::UNIX_EPOCH)
    }

    /// Polls at a time of the wall clock, and at full multiples of the interval before and after
    /// it.
    #[must_use]
    pub fn aligned_to(mut self, time: Timestamp) -> Self {
        self.schedule.aligned_to = Some(time);
        self
    }

    /// Polls again after an error: after `wait`, then after twice as long, and so on, up to the
    /// interval.
    ///
    /// The flow fails when this many retries in a row have failed too. Each failed poll is logged
    /// as a warning.
    #[must_use]
    pub fn retry(mut self, times: u32, wait: Duration) -> Self {
        self.retry = Retry { times, wait };
        self
    }
}

impl Schedule {
    /// The time until the next full multiple by the wall clock; zero if that is now.
    fn until_tick(&self, origin: Timestamp, now: Timestamp) -> Duration {
        let every = i128::try_from(self.every.as_nanos()).unwrap_or(i128::MAX);
        let left = (origin.as_nanosecond() - now.as_nanosecond()).rem_euclid(every);
        Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

impl Retry {
    /// The wait after this many failures in a row.
    fn wait(&self, failures: u32, longest: Duration) -> Duration {
        let doubled = self
            .wait
            .checked_mul(1u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
        doubled.map_or(longest, |wait| wait.min(longest.max(self.wait)))
    }
}

impl<T: 'static, P: State + Clone> Source for PollSource<T, P> {
    type Item = T;
    type Token = P;
    type Reader = PollReader<T, P>;

    fn kind(&self) -> String {
        "poll".to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["polled".to_owned()])
    }

    fn open(&self, _: &str, at: At<P>) -> Result<PollReader<T, P>, SourceError> {
        Ok(PollReader {
            poll: self.poll.clone(),
            schedule: self.schedule,
            retry: self.retry,
            clock: Clock::system(),
            due: None,
            failures: 0,
            polled: VecDeque::new(),
            tokens: vec![at.token().unwrap_or_else(|| self.start.clone())],
        })
    }
}

/// Polls when it is time.
pub struct PollReader<T, P> {
    poll: Rc<RefCell<Poll<T, P>>>,
    schedule: Schedule,
    retry: Retry,
    clock: Clock,
    /// The time of the next poll; `None` before the first one.
    due: Option<Due>,
    failures: u32,
    /// Polled records that have not been read.
    polled: VecDeque<(T, P)>,
    /// The token before the last batch, and then those of its records.
    tokens: Vec<P>,
}

/// A wait that practically never ends.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The time of a poll.
#[derive(Clone, Copy)]
enum Due {
    At(Instant),
    ByTheWallClock(Timestamp),
}

impl<T, P> PollReader<T, P> {
    /// When to check again whether it is time to poll; `None` if it is time now.
    fn waits_until(&mut self) -> Option<Instant> {
        let now = self.clock.now();
        let due = match (self.due, self.schedule.aligned_to) {
            (Some(due), _) => due,
            (None, None) => return None,
            (None, Some(origin)) => self.tick(origin, Duration::ZERO),
        };
        self.due = Some(due);
        match due {
            Due::At(time) => (time > now).then_some(time),
            Due::ByTheWallClock(time) => {
                let left = time.duration_since(self.clock.timestamp());
                let left = Duration::try_from(left)
                    .ok()
                    .filter(|left| !left.is_zero())?;
                if left > self.schedule.every {
                    // The clock has been set back.
                    self.due = None;
                    return self.waits_until();
                }
                now.checked_add(left.min(LONGEST))
            }
        }
    }

    /// The next aligned time by the wall clock, at or after `from` now.
    fn tick(&self, origin: Timestamp, from: Duration) -> Due {
        let later = |time: Timestamp, by| time.saturating_add(by).unwrap_or(Timestamp::MAX);
        let from = later(self.clock.timestamp(), from);
        Due::ByTheWallClock(later(from, self.schedule.until_tick(origin, from)))
    }

    /// Polls, and sets the time of the next poll.
    fn poll(&mut self, last: &P) -> Result<(), SourceError> {
        let now = self.clock.now();
        // A time that can't be represented is taken as a century away, so `Duration::MAX` polls
        // once.
        let later = |wait: Duration| now.checked_add(wait).or_else(|| now.checked_add(CENTURY));
        let after = |wait: Duration| later(wait).map(Due::At);
        let polled = (self.poll.borrow_mut())(last);
        match polled {
            Ok(polled) => {
                self.polled = polled;
                self.failures = 0;
                self.due = match self.schedule.aligned_to {
                    // The aligned time that has just come must not come again.
                    Some(origin) => Some(self.tick(origin, Duration::from_nanos(1))),
                    None => after(self.schedule.every),
                };
                Ok(())
            }
            Err(error) if self.failures == self.retry.times => Err(match self.failures {
                0 => error,
                retries => error.and_help(&format!("{retries} retries have failed too")),
            }),
            Err(error) => {
                self.failures += 1;
                let wait = self.retry.wait(self.failures, self.schedule.every);
                let in_ms = wait.as_millis();
                tracing::warn!(%error, retry = self.failures, in_ms, "a poll has failed");
                self.due = after(wait);
                Ok(())
            }
        }
    }
}

impl<T: 'static, P: Clone + 'static> Reader for PollReader<T, P> {
    type Item = T;
    type Token = P;

    fn set_run(&mut self, run: &RunHandle) {
        self.clock = run.clock();
    }

    fn read(&mut self, out: &mut Vec<T>, _: &Waker) -> Result<Next, SourceError> {
        self.tokens.drain(..self.tokens.len() - 1);
        if self.polled.is_empty() {
            if let Some(time) = self.waits_until() {
                return Ok(Next::IdleUntil(time));
            }
            let last = self.tokens[0].clone();
            self.poll(&last)?;
        }
        let count = self.polled.len().min(BATCH);
        for (record, token) in self.polled.drain(..count) {
            out.push(record);
            self.tokens.push(token);
        }
        // If there is no more, the next call returns the time of the next poll.
        Ok(Next::Ready)
    }

    fn has_taken(&mut self) -> bool {
        !self.polled.is_empty()
    }

    fn taken(&mut self) -> u64 {
        self.polled.len() as u64
    }

    fn token(&self, index: usize) -> P {
        let at = index.min(self.tokens.len() - 1);
        self.tokens[at].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_that_are_aligned_come_at_full_multiples() {
        let schedule = Schedule {
            every: Duration::from_secs(60),
            aligned_to: None,
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let wait = |origin, now| schedule.until_tick(at(origin), at(now)).as_millis();
        let epoch = "1970-01-01T00:00:00Z";
        assert_eq!(wait(epoch, "2026-11-26T12:00:00.5Z"), 59_500);
        assert_eq!(wait(epoch, "2026-11-26T12:00:00Z"), 0);
        // Times before the one that they are aligned to count too.
        assert_eq!(wait("2026-11-26T12:00:20Z", "2026-11-26T12:00:00Z"), 20_000);
        assert_eq!(wait("2027-11-26T12:00:20Z", "2026-11-26T12:00:30Z"), 50_000);
    }

    #[test]
    fn retries_wait_twice_as_long_each_time_up_to_the_interval() {
        let retry = Retry {
            times: 9,
            wait: Duration::from_secs(1),
        };
        let waits = |longest: u64| {
            let longest = Duration::from_secs(longest);
            let failures = [1, 2, 3, 4, 40, u32::MAX];
            failures.map(|failures| retry.wait(failures, longest).as_secs())
        };
        assert_eq!(waits(5), [1, 2, 4, 5, 5, 5]);
        assert_eq!(waits(0), [1, 1, 1, 1, 1, 1]);
    }
}
