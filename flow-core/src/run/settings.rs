//! The settings of a run.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use flow_store::KEY_GROUPS;

use super::{Recovery, Started};
use crate::{
    Built,
    engine::{Build, Clock, Communication, Epochs, RunHandle, STACK},
    error::BuildError,
    stream::Flow,
};

/// Runs a flow once.
///
/// ```
/// use std::time::Duration;
/// use flow::prelude::*;
/// use flow::{sink, source};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let state = dir.path().join("state");
/// let (out, seen) = sink::collect();
/// let outcome = Runner::new(move |flow| {
///     let numbers = flow.source(source::from_iter(1..=3u64));
///     numbers.map(|n| n * n).sink(out.clone());
/// })
/// .workers(2)
/// .epochs(Epochs::every(Duration::from_millis(100)))
/// .recover(Recovery::at(state))
/// .run()?;
/// assert_eq!(outcome.records, 3);
/// # let mut seen = seen.take(); seen.sort();
/// # assert_eq!(seen, [1, 4, 9]);
/// # Ok::<(), RunError>(())
/// ```
#[must_use = "a runner does nothing until `run` is called"]
pub struct Runner {
    pub(super) build: Build,
    pub(super) workers: usize,
    pub(super) epochs: Epochs,
    pub(super) recovery: Option<Recovery>,
    pub(super) in_flight: (u64, u64),
    pub(super) clock: Clock,
    pub(super) drain: Duration,
    pub(super) handle: RunHandle,
    pub(super) on_start: Option<Told>,
    pub(super) communication: Communication,
    pub(super) follow: bool,
    pub(super) block: Option<usize>,
    pub(super) take_unfinished: bool,
    pub(super) stack: usize,
}

pub(super) type Told = Box<dyn FnOnce(&Started) + Send>;

impl Runner {
    /// Runs the flow that `build` makes.
    ///
    /// `build` is called once to plan and check the flow, and then once on each worker. It must do
    /// the same each time. A `#[dataflow]` function that takes only a `&Flow` can be passed as it
    /// is.
    ///
    /// `build` returns nothing, or a `Result<(), E>`: see [`Built`]. A closure with `?` names its
    /// error type at the end:
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{BoxError, sink, source};
    /// let runner = Runner::new(|flow| {
    ///     let upto: u64 = "3".parse()?;
    ///     flow.source(source::from_iter(0..upto)).sink(sink::from_fn(|_| ()));
    ///     Ok::<_, BoxError>(())
    /// });
    /// assert_eq!(runner.run()?.records, 3);
    /// # Ok::<(), RunError>(())
    /// ```
    pub fn new<R, M>(build: impl Fn(&Flow) -> R + Send + Sync + 'static) -> Self
    where
        R: Built<M>,
    {
        Runner {
            build: Arc::new(move || Flow::built(&build)),
            workers: 1,
            epochs: Epochs::default(),
            recovery: None,
            in_flight: (100_000, 256 << 20),
            clock: Clock::system(),
            drain: Duration::from_secs(60),
            handle: RunHandle::default(),
            on_start: None,
            communication: Communication::Threads,
            follow: true,
            block: None,
            take_unfinished: false,
            stack: STACK,
        }
    }

    /// Sets the number of worker threads, by default 1. With a store, each run may have another
    /// number.
    ///
    /// A run is refused with
    /// - 0 workers,
    /// - more than 1,024 workers, the number of key groups,
    /// - more than 64 workers, unless there are at most 16 for each processor.
    ///
    /// Every worker exchanges progress with every other, so time and memory grow with the square of
    /// their number. The run has one more thread, which commits.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets when epochs end, by default every second.
    pub fn epochs(mut self, epochs: Epochs) -> Self {
        self.epochs = epochs;
        self
    }

    /// Keeps the flow's state in a store, so that the next run resumes where this one ends.
    pub fn recover(mut self, recovery: Recovery) -> Self {
        self.recovery = Some(recovery);
        self
    }

    /// Sets the most records that may be in flight (read, and not yet durable): 100,000 by default.
    /// When they are used up, the open epoch ends and the sources wait.
    ///
    /// Below this limit the flow adapts to its own speed. It allows about as many records as its
    /// steps process in the time of one epoch ([`Epochs`]), or in a tenth of a second if epochs are
    /// shorter. So a slow step has short epochs too, and a stop is quick.
    ///
    /// A run begins with one record for each worker, and gets more as it proves to be fast. A fast
    /// flow has all 100,000 after five epochs of some milliseconds each. Sources that wait share
    /// what is free.
    pub fn records_in_flight(mut self, most: u64) -> Self {
        self.in_flight.0 = most;
        self
    }

    /// Sets about the most bytes that may be in flight (read, and not yet durable): 256 MiB by
    /// default. When they are used up, the open epoch ends and the sources wait.
    ///
    /// Unlike [the number of records](Runner::records_in_flight), it does not follow the speed of
    /// the flow.
    pub fn bytes_in_flight(mut self, most: u64) -> Self {
        self.in_flight.1 = most;
        self
    }

    /// Sets the clock that decides when epochs end, by default the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how long the flow may take to come to rest after it was told to stop, or after a record
    /// failed: 60 seconds by default. Then the open epochs are given up.
    ///
    /// Records that a source has taken from an input that can't be read again, such as standard
    /// input, are processed before the flow stops. After half of the time no more of them are
    /// begun, so that those already processed become durable. The others are counted in
    /// [`Outcome::unprocessed`](crate::Outcome::unprocessed).
    ///
    /// If a thread hangs in user code even then, the run returns without it. Such a thread ends
    /// with the process.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Makes all sources of lines read a last line that does not end with a newline, as
    /// [`take_unfinished_line`](crate::source::LinesSource::take_unfinished_line) does for one
    /// source: `--take-unfinished-lines`.
    pub fn take_unfinished_lines(mut self) -> Self {
        self.take_unfinished = true;
        self
    }

    /// Calls `told` when the flow has been accepted and starts to read.
    pub fn on_start(mut self, told: impl FnOnce(&Started) + Send + 'static) -> Self {
        self.on_start = Some(Box::new(told));
        self
    }

    /// Sends batches between workers as bytes, as they would travel between processes.
    pub(crate) fn communication(mut self, communication: Communication) -> Self {
        self.communication = communication;
        self
    }

    /// Allows the whole limit in flight from the beginning, whatever the speed of the flow.
    pub(crate) fn fixed_in_flight(mut self) -> Self {
        self.follow = false;
        self
    }

    /// Sends batches between workers as bytes, as they would travel between processes. For tests.
    #[doc(hidden)]
    pub fn over_bytes(self) -> Self {
        self.communication(Communication::Bytes)
    }

    /// Makes workers share blocks of this many lines, however few there are. For tests: by default
    /// the run finds out when sharing pays.
    #[doc(hidden)]
    pub fn blocks_of(mut self, lines: usize) -> Self {
        self.block = Some(lines);
        self
    }

    /// Sets the stack of the run's threads, in bytes. For tests: no thread can be spawned with a
    /// stack that does not fit in memory.
    #[doc(hidden)]
    pub fn stack_of(mut self, bytes: usize) -> Self {
        self.stack = bytes;
        self
    }

    /// The handle that watches and stops this run from another thread.
    #[must_use]
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Refuses settings that make no sense.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        let setting = |message: String, help| Err(BuildError::Setting { message, help });
        if self.workers == 0 {
            return setting("a flow needs at least one worker".to_owned(), None);
        }
        if let Err((message, help)) = few_enough(self.workers) {
            return setting(message, Some(help));
        }
        if self.in_flight.0 == 0 || self.in_flight.1 == 0 {
            let message = "at least one record must be allowed in flight".to_owned();
            return setting(message, None);
        }
        let epochs = self.epochs.check();
        epochs.or_else(|message| setting(message, None))
    }
}

/// Workers up to this number are allowed on any machine.
const ALWAYS: usize = 64;

/// Number of workers that each processor can have, if that makes more than [`ALWAYS`].
const EACH: usize = 16;

/// Refuses more workers than there are key groups, or than are of use. The error is a message and a
/// help text.
fn few_enough(workers: usize) -> Result<(), (String, String)> {
    let help = "run it with about as many workers as there are processors".to_owned();
    let groups = usize::from(KEY_GROUPS);
    if workers > groups {
        let message = format!(
            "{workers} workers are too many: keys are spread over {groups} groups, so a worker \
             beyond that would never have a key"
        );
        return Err((message, help));
    }
    let processors = available_parallelism().map_or(1, usize::from);
    let most = ALWAYS.max(EACH * processors);
    if workers > most {
        let message = format!(
            "{workers} workers are too many for {processors} processor{}: the time and memory that \
             workers need to agree grow with the square of their number",
            if processors == 1 { "" } else { "s" }
        );
        return Err((message, format!("{help}; {most} is the most")));
    }
    Ok(())
}
