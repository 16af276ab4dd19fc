//! What is set before a flow runs.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use flow_store::KEY_GROUPS;

use super::{Recovery, Started};
use crate::{
    Built,
    engine::{Build, Clock, Communication, Epochs, RunHandle, STACK},
    error::BuildError,
    stream::Flow,
};

/// Runs a flow, once.
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
    /// `build` is called once to plan and check the flow and then once on each worker, and must do
    /// the same each time. A `#[dataflow]` function with only a `&Flow` can be given as it is.
    ///
    /// It returns nothing, or a `Result<(), E>`: see [`Built`]. A closure with `?` names its error
    /// at the end:
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

    /// Sets how many worker threads there are: 1 unless told otherwise. A flow with a store may be
    /// run with another number each time.
    ///
    /// A run with 0 workers is refused, and one with more than are of use: more than 1,024, the
    /// number of key groups, or more than 16 for each processor where that is more than 64. Every
    /// worker exchanges progress with every other, so time and memory grow with the square of their
    /// number. The run has one thread more than workers, which commits.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets when epochs end: each second unless told otherwise.
    pub fn epochs(mut self, epochs: Epochs) -> Self {
        self.epochs = epochs;
        self
    }

    /// Keeps the flow's state in a store, so that the next run goes on where this one ends.
    pub fn recover(mut self, recovery: Recovery) -> Self {
        self.recovery = Some(recovery);
        self
    }

    /// Sets the most records that may have been read and not yet be durable: 100,000 by default.
    /// When they are used up, the open epoch ends and the sources wait.
    ///
    /// That is the most. Below it the flow itself says how many records may be in flight: about as
    /// many as its steps get through in the time of an epoch ([`Epochs`]), or in a tenth of a
    /// second where epochs are shorter, so that a slow step has short epochs too and a stop has
    /// little to wait for. A run begins with a record for each worker and has more as fast as it
    /// turns out to be: a fast flow the whole 100,000 after five epochs of some milliseconds.
    /// Sources that wait share what there is.
    pub fn records_in_flight(mut self, most: u64) -> Self {
        self.in_flight.0 = most;
        self
    }

    /// Sets about the most bytes that may have been read and not yet be durable: 256 MiB by
    /// default. When they are used up, the open epoch ends and the sources wait. It does not follow
    /// the speed of the flow, as [the number of records](Runner::records_in_flight) does.
    pub fn bytes_in_flight(mut self, most: u64) -> Self {
        self.in_flight.1 = most;
        self
    }

    /// Sets the clock by which epochs are cut: the system's unless told otherwise.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how long the flow may take to come to rest after it was told to stop, or after a record
    /// failed: 60 seconds unless told otherwise. Then what is open is given up.
    ///
    /// What a source has taken from where it can't be taken again, as lines of standard input, is
    /// processed before the flow stops. When half of the time is over, nothing more of it is begun,
    /// so that what was processed becomes durable; the rest is counted in
    /// [`Outcome::unprocessed`](crate::Outcome::unprocessed).
    ///
    /// When a thread hangs in user code even then, the run returns without it; such a thread ends
    /// with the process.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Reads last lines that have no newline at their end, in all sources of lines, as
    /// [`take_unfinished_line`](crate::source::LinesSource::take_unfinished_line) does in one:
    /// `--take-unfinished-lines`.
    pub fn take_unfinished_lines(mut self) -> Self {
        self.take_unfinished = true;
        self
    }

    /// Has `told` called when the flow has been accepted and starts to read.
    pub fn on_start(mut self, told: impl FnOnce(&Started) + Send + 'static) -> Self {
        self.on_start = Some(Box::new(told));
        self
    }

    /// Has batches go from worker to worker as bytes, as they would between processes.
    pub(crate) fn communication(mut self, communication: Communication) -> Self {
        self.communication = communication;
        self
    }

    /// Lets as much be in flight from the beginning as the user allows, however fast or slow the
    /// flow is.
    pub(crate) fn fixed_in_flight(mut self) -> Self {
        self.follow = false;
        self
    }

    /// Has workers give each other blocks of so many lines, however few there are. For tests: what
    /// is worth it is else found out by the run.
    #[doc(hidden)]
    pub fn blocks_of(mut self, lines: usize) -> Self {
        self.block = Some(lines);
        self
    }

    /// Sets the stack of the run's threads, in bytes. For tests: none can be spawned with one that
    /// does not fit in memory.
    #[doc(hidden)]
    pub fn stack_of(mut self, bytes: usize) -> Self {
        self.stack = bytes;
        self
    }

    /// What watches and stops this run from another thread.
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

/// How many workers a processor can have where that is more than [`ALWAYS`].
const EACH: usize = 16;

/// Refuses more workers than there are key groups, or than are of use: what is wrong, and what to
/// do.
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
