//! Running a flow: plan it, check it, resume it, run it, end it.

mod failure;
mod outcome;
mod recovery;
mod skips;
mod start;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use flow_store::{End, Epoch, Execution, KEY_GROUPS};
pub use outcome::{Ended, Outcome, Started};
pub use recovery::Recovery;
pub(crate) use skips::Skips;
use start::As;

use crate::{
    Built,
    chain::Whereabouts,
    engine::{
        Clock, Communication, Crew, Epochs, Failed, Head, Launch, Limits, News, NoCrew, RunHandle,
        RunState, STACK, Stop, launch, message_of,
    },
    error::{BoxError, BuildError, ResumeError, RunError, Safe},
    flow::Flow,
    graph::Graph,
    resume::{Notice, Resume},
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
    build: Build,
    workers: usize,
    epochs: Epochs,
    recovery: Option<Recovery>,
    in_flight: (u64, u64),
    clock: Clock,
    drain: Duration,
    handle: RunHandle,
    on_start: Option<Told>,
    communication: Communication,
    follow: bool,
    block: Option<usize>,
    take_unfinished: bool,
    stack: usize,
}

/// Builds the flow.
pub(crate) type Build = Arc<dyn Fn(&Flow) -> Result<(), BoxError> + Send + Sync>;

type Told = Box<dyn FnOnce(&Started) + Send>;

/// A run that is ready to start: all workers are built, and nothing has been changed.
struct Prepared {
    graph: Graph,
    resume: Option<Arc<Resume>>,
    dropped: flow_store::Changes,
    started: Started,
    number: u64,
    failed_before: Option<(String, u64)>,
    news: Receiver<News>,
    state: Arc<RunState>,
    skips: Vec<Arc<Skips>>,
    whereabouts: Vec<Whereabouts>,
    crew: Crew,
}

/// How long the threads of a run may still take once it has been given up.
const GRACE: Duration = Duration::from_secs(2);

impl Runner {
    /// Runs the flow that `build` makes.
    ///
    /// `build` is called once to plan and check the flow and then once on each worker, and must do the same each
    /// time. A `#[dataflow]` function with only a `&Flow` can be given as it is.
    ///
    /// It returns nothing, or a `Result<(), E>`: see [`Built`]. A closure with `?` names its error at the end:
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
            build: Arc::new(move |flow| build(flow).into_result()),
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

    /// Sets how many worker threads there are: 1 unless told otherwise. A flow with a store may be run with another
    /// number each time.
    ///
    /// A run with 0 workers is refused, and one with more than are of use: more than 1,024, the number of key groups, or
    /// more than 16 for each processor where that is more than 64. Every worker exchanges progress with every other, so
    /// time and memory grow with the square of their number. The run has one thread more than workers, which commits.
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

    /// Sets how many records, and about how many bytes, may be read and not yet durable: 100,000 records and
    /// 256 MiB unless told otherwise. When they are used up, the open epoch ends and the sources wait.
    ///
    /// That is the most. Below it the flow itself says how many records may be in flight: about as many as its steps get
    /// through in the time of an epoch ([`Epochs`]), or in a tenth of a second where epochs are shorter, so that a slow
    /// step has short epochs too and a stop has little to wait for. A run begins with a record for each worker and has more as fast as it
    /// turns out to be: a fast flow the whole 100,000 after five epochs of some milliseconds. Sources that wait share what
    /// there is. How many bytes may be in flight does not follow the flow.
    pub fn in_flight(mut self, records: u64, bytes: u64) -> Self {
        self.in_flight = (records, bytes);
        self
    }

    /// Sets the clock by which epochs are cut: the system's unless told otherwise.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how long the flow may take to come to rest after it was told to stop, or after a record failed: 60 seconds
    /// unless told otherwise. Then what is open is given up.
    ///
    /// What a source has taken from where it can't be taken again, as lines of standard input, is processed before the flow stops.
    /// When half of the time is over, nothing more of it is begun, so that what was processed becomes durable; the rest is
    /// counted in [`Outcome::unprocessed`].
    ///
    /// When a thread hangs in user code even then, the run returns without it; such a thread ends with the
    /// process.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Reads last lines that have no newline at their end, in all sources of lines, as
    /// [`take_unfinished_line`](crate::source::LinesSource::take_unfinished_line) does in one: `--take-unfinished-lines`.
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

    /// Lets as much be in flight from the beginning as the user allows, however fast or slow the flow is.
    pub(crate) fn fixed_in_flight(mut self) -> Self {
        self.follow = false;
        self
    }

    /// Has workers give each other blocks of so many lines, however few there are. For tests: what is worth it is else
    /// found out by the run.
    #[doc(hidden)]
    pub fn blocks_of(mut self, lines: usize) -> Self {
        self.block = Some(lines);
        self
    }

    /// Sets the stack of the run's threads, in bytes. For tests: none can be spawned with one that does not fit in memory.
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

    /// The flow as it would be run: built and checked, nothing opened.
    ///
    /// # Errors
    /// Everything that is wrong with the flow.
    pub fn graph(&self) -> Result<Graph, BuildError> {
        Ok(self.plan()?.0)
    }

    fn plan(&self) -> Result<(Graph, Vec<Head>), BuildError> {
        plan(
            &*self.build,
            self.recovery.as_ref().map(Recovery::directory),
        )
    }

    fn check(&self) -> Result<(), BuildError> {
        let setting = |text: String| Err(BuildError::Setting(text));
        if self.workers == 0 {
            return setting("a flow needs at least one worker".to_owned());
        }
        if let Err(text) = few_enough(self.workers) {
            return setting(text);
        }
        if self.in_flight.0 == 0 || self.in_flight.1 == 0 {
            return setting("at least one record must be allowed in flight".to_owned());
        }
        self.epochs.check().or_else(setting)
    }

    /// Does all that a start does before the store is changed, and then stops: opens inputs and outputs, compares steps and
    /// types, reads every stored state, converts what has to be converted. Nothing is changed, not even the text of the store's
    /// lock file, and others may read the store meanwhile.
    ///
    /// What a run would be told when it starts is returned: what is different, and was accepted.
    ///
    /// # Errors
    /// Those with which [`run`](Runner::run) would not start.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let state = dir.path().join("state");
    /// let runner = Runner::new(|flow| {
    ///     flow.source(source::from_iter(0..3u64)).sink(sink::from_fn(|_| ()));
    /// });
    /// let started = runner.recover(Recovery::at(&state)).dry_run()?;
    /// assert!(started.notices.is_empty() && !state.exists());
    /// # Ok::<(), RunError>(())
    /// ```
    pub fn dry_run(self) -> Result<Started, RunError> {
        let Prepared {
            graph,
            resume,
            dropped,
            started,
            news,
            mut crew,
            ..
        } = self.prepare(As::Check).map_err(Unready::into_error)?;
        let mut opening = dropped;
        opening.append(&mut crew.opening);
        crew.dismiss(&news, self.drain);
        if let Some(resume) = resume {
            let checked = start::check(&resume, &graph, self.workers, &opening);
            checked.map_err(ResumeError::from)?;
        }
        Ok(started)
    }

    /// All that a start does before the store is changed.
    fn prepare(&self, how: As) -> Result<Prepared, Unready> {
        self.check()?;
        let (graph, heads) = self.plan()?;
        self.go_on(how, None)?;
        let mut listed = Vec::new();
        let resume = start::list_partitions(&graph, &heads)
            .map_err(Unready::from)
            .and_then(|found| {
                listed = found;
                self.go_on(how, None)?;
                let recovery = self.recovery.as_ref();
                let look = |recovery| start::look(&graph, recovery, &mut listed, &heads, how);
                Ok(recovery.map(look).transpose()?)
            });
        forget(heads)?;
        let resume = resume?;
        let (resume, dropped) = match resume {
            Some((resume, dropped)) => (Some(Arc::new(resume)), dropped),
            None => (None, flow_store::Changes::new()),
        };
        let looked = resume.as_deref().map(|resume| &resume.look);
        let number = looked.map_or(1, flow_store::Look::next_execution);
        let cautious = looked.and_then(start::caution).unwrap_or((0, 0));
        let failed_before = looked.map_or(Ok(None), start::failures_in_a_row);
        let failed_before = failed_before.map_err(ResumeError::from)?;
        let mut started = Started {
            resumed_from: looked
                .filter(|look| !look.is_new())
                .map(flow_store::Look::epoch),
            notices: (resume.iter())
                .flat_map(|resume| resume.manifest.notices.iter().cloned())
                .map(Notice::Store)
                .collect(),
        };
        let (records, bytes) = self.in_flight;
        let limits = Limits {
            records,
            bytes,
            cautious,
            follow: self.follow,
            least: self.workers as u64,
        };
        let (teller, news) = channel();
        let first = Epoch::first(number);
        let state = RunState::new(first, limits, self.epochs, self.clock.clone(), teller);
        let skips = Skips::tables(&graph, self.workers);
        let whereabouts: Vec<_> = (0..self.workers).map(|_| Whereabouts::new()).collect();
        if how == As::Start {
            self.handle.attach(&state);
        }
        self.go_on(how, started.resumed_from)?;
        let crew = launch(
            Launch {
                build: self.build.clone(),
                plan: graph.clone(),
                workers: self.workers,
                communication: self.communication,
                state: state.clone(),
                resume: resume.clone(),
                partitions: start::deal(&listed, self.workers),
                whereabouts: whereabouts.clone(),
                skips: skips.clone(),
                block: self.block,
                take_unfinished: self.take_unfinished,
                stack: self.stack,
            },
            &news,
        );
        let crew = crew.map_err(|none| match none {
            NoCrew::Stopped => Unready::Stopped(started.resumed_from),
            NoCrew::Failed(error) => Unready::Failed(error),
        })?;
        started.notices.extend(crew.notices.iter().cloned());
        Ok(Prepared {
            graph,
            resume,
            dropped,
            started,
            number,
            failed_before,
            news,
            state,
            skips,
            whereabouts,
            crew,
        })
    }

    /// Leaves a start that was told to stop.
    fn go_on(&self, how: As, resumed_from: Option<Epoch>) -> Result<(), Unready> {
        match how == As::Start && self.handle.is_stopped() {
            true => Err(Unready::Stopped(resumed_from)),
            false => Ok(()),
        }
    }

    /// Runs the flow until its input ends, it is stopped, or it fails.
    ///
    /// A run that is stopped while it starts has read nothing and changed nothing.
    ///
    /// # Errors
    /// See [`RunError`]. Before anything is read, everything that could be wrong is checked: an error then has changed
    /// nothing.
    pub fn run(mut self) -> Result<Outcome, RunError> {
        let prepared = match self.prepare(As::Start) {
            Ok(prepared) => prepared,
            Err(Unready::Failed(error)) => return Err(error),
            Err(Unready::Stopped(epoch)) => return Ok(Outcome::before_it_began(epoch)),
        };
        let Prepared {
            graph,
            resume,
            dropped,
            started,
            number,
            failed_before,
            news,
            state,
            skips,
            whereabouts,
            mut crew,
        } = prepared;
        flow_store::FailPoint::Restored.pass();
        // From here on the store may be changed.
        if !self.handle.begin() {
            crew.dismiss(&news, GRACE);
            return Ok(Outcome::before_it_began(started.resumed_from));
        }
        // What goes goes first: a partition that was given up may begin anew.
        let mut opening = dropped;
        opening.append(&mut crew.opening);
        let execution = match resume.map(Arc::try_unwrap) {
            None => None,
            Some(Err(_)) => {
                crew.dismiss(&news, self.drain);
                return Err(RunError::Workers(
                    "a worker still holds the store".to_owned(),
                ));
            }
            Some(Ok(resume)) => match start::open(resume, &graph, self.workers, &opening) {
                Ok(execution) => Some(execution),
                Err(error) => {
                    crew.dismiss(&news, self.drain);
                    return Err(ResumeError::from(error).into());
                }
            },
        };
        let before = execution.as_ref().map(Execution::resumed_from);
        for notice in &started.notices {
            tracing::warn!("{notice}");
        }
        tracing::info!(
            flow = graph.name(),
            execution = number,
            workers = self.workers,
            resumed_from = started.resumed_from.map(tracing::field::display),
            "the flow starts"
        );
        if let Some(on_start) = self.on_start.take() {
            on_start(&started);
        }
        let committed = crew.go(execution);
        let hung = !wait(&state, &news, self.drain);
        // Workers that have come to rest by themselves have seen everything committed. Others may have left a commit
        // under way, which may hang as anything may.
        let execution = match (hung, state.aborted()) {
            (true, _) => None,
            (false, true) => committed.recv_timeout(self.drain).unwrap_or_default(),
            (false, false) => committed.recv().unwrap_or_default(),
        };
        let durable = state.durable().or(before);
        let run = Finished {
            graph: &graph,
            state: &state,
            whereabouts: &whereabouts,
            durable: before.and(durable),
            drain: self.drain,
            failed_before,
        };
        let ended = run.end(execution, &skips);
        self.handle.end(&state, Skips::of_sources(&skips, &graph));
        ended
    }
}

/// Why a run did not get ready.
enum Unready {
    /// It was told to stop; what it would have gone on from, where that was known.
    Stopped(Option<Epoch>),
    Failed(RunError),
}

impl Unready {
    fn into_error(self) -> RunError {
        match self {
            Unready::Failed(error) => error,
            Unready::Stopped(epoch) => RunError::CutShort {
                safe: Safe {
                    epoch,
                    exact: false,
                    unprocessed: 0,
                },
            },
        }
    }
}

impl<E: Into<RunError>> From<E> for Unready {
    fn from(error: E) -> Self {
        Unready::Failed(error.into())
    }
}

/// Workers up to this number are allowed on any machine.
const ALWAYS: usize = 64;

/// How many workers a processor can have where that is more than [`ALWAYS`].
const EACH: usize = 16;

/// Refuses more workers than there are key groups, or than are of use.
fn few_enough(workers: usize) -> Result<(), String> {
    let groups = usize::from(KEY_GROUPS);
    if workers > groups {
        return Err(format!(
            "{workers} workers are too many: keys are spread over {groups} groups, so a worker beyond that would never have a key\nhelp: run it with about as many workers as there are processors"
        ));
    }
    let processors = available_parallelism().map_or(1, usize::from);
    let most = ALWAYS.max(EACH * processors);
    if workers > most {
        return Err(format!(
            "{workers} workers are too many for {processors} processor{}: the time and memory that workers need to agree grow with the square of their number\nhelp: run it with about as many workers as there are processors; {most} is the most",
            if processors == 1 { "" } else { "s" }
        ));
    }
    Ok(())
}

/// Builds a flow without running it, and checks it.
pub(crate) fn plan(
    build: &dyn Fn(&Flow) -> Result<(), BoxError>,
    store: Option<&Path>,
) -> Result<(Graph, Vec<Head>), BuildError> {
    let flow = Flow::new();
    let built = catch_unwind(AssertUnwindSafe(|| build(&flow)));
    let built = built.map_err(|panic| BuildError::Panicked {
        step: None,
        message: message_of(&*panic),
    })?;
    built.map_err(BuildError::Function)?;
    let (graph, heads) = flow.take();
    match BuildError::from_all(graph.check(store)) {
        Some(error) => Err(error),
        None => Ok((graph, heads)),
    }
}

/// Drops what the plan was made of: sources and sinks, which are user code.
fn forget(heads: Vec<Head>) -> Result<(), BuildError> {
    catch_unwind(AssertUnwindSafe(|| drop(heads))).map_err(|panic| BuildError::Panicked {
        step: None,
        message: message_of(&*panic),
    })
}

/// Waits until the workers are done; false if they are not in spite of all.
fn wait(state: &RunState, news: &Receiver<News>, drain: Duration) -> bool {
    let mut deadline: Option<Instant> = None;
    // Until when sources may begin something that they had taken before the stop.
    let mut late: Option<Instant> = None;
    let mut timed_out = false;
    loop {
        let told = match late.or(deadline) {
            None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => news.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        };
        match told {
            Ok(News::Built) => {}
            Ok(News::Done) | Err(RecvTimeoutError::Disconnected) => return true,
            Ok(News::Stopping) => {
                if deadline.is_none() {
                    let now = Instant::now();
                    deadline = now.checked_add(drain);
                    late = deadline.and_then(|_| now.checked_add(drain / 2));
                }
            }
            Err(RecvTimeoutError::Timeout) if late.take().is_some() => state.be_late(),
            // Whoever is in the middle of something may finish it; what was too slow already gets little.
            Ok(News::Aborted) if timed_out => deadline = Some(Instant::now() + GRACE),
            Ok(News::Aborted) => {
                late = None;
                deadline = Instant::now().checked_add(drain);
            }
            Err(RecvTimeoutError::Timeout) if state.aborted() => return false,
            Err(RecvTimeoutError::Timeout) => {
                timed_out = true;
                state.abort(Failed::TimedOut);
            }
        }
    }
}

/// A run whose workers are done.
struct Finished<'a> {
    graph: &'a Graph,
    state: &'a RunState,
    whereabouts: &'a [Whereabouts],
    /// The last durable epoch, with a store.
    durable: Option<Epoch>,
    drain: Duration,
    /// How the runs before this one failed, and how many in a row.
    failed_before: Option<(String, u64)>,
}

impl Finished<'_> {
    fn end(&self, execution: Option<Execution>, skips: &[Arc<Skips>]) -> Result<Outcome, RunError> {
        let (aborted, record) = self.state.take_failures();
        // Nobody read the output any more when the run was stopped, which is no failure.
        let (aborted, given_up) = match (aborted, &record) {
            (Some(Failed::GaveUp(fault)), None) => (None, Some(fault)),
            (aborted, _) => (aborted, None),
        };
        let in_flight = self.state.budget.records_in_flight();
        let ended = match self.state.stop() {
            Stop::No => Ended::Finished,
            _ => Ended::Stopped,
        };
        let is_aborted = aborted.is_some();
        let exact = !is_aborted;
        let record = record.map(|record| self.record_error(record, self.safe(exact)));
        let error = match (aborted.map(|failed| self.abort_error(failed)), record) {
            (Some(error), Some(first)) => Some(RunError::WhileStopping {
                error: Box::new(error),
                first: Box::new(first),
            }),
            (error, record) => error.or(record),
        };
        let how = match &error {
            Some(error) if is_aborted => End::Aborted {
                error: error.to_string(),
                in_flight,
                foreign: failure::written_by_others(error),
            },
            Some(error) => End::Failed {
                position: failure::position(error),
                error: error.to_string(),
            },
            // Not `Stopped`: outputs may hold more than is durable. No record is suspected.
            None if let Some(fault) = &given_up => End::Aborted {
                error: format!("it was stopped, and {}", fault.cause()),
                in_flight: 0,
                foreign: None,
            },
            None if ended == Ended::Finished => End::Finished,
            None => End::Stopped,
        };
        tracing::info!(
            records = self.state.records_read(),
            durable = self.durable.map(tracing::field::display),
            ?how,
            "the flow has ended"
        );
        let closed = execution.map_or(Ok(()), |execution| execution.end(how));
        match (error, closed) {
            (Some(error), closed) => {
                if let Err(closing) = closed {
                    tracing::warn!("how the run ended could not be stored: {closing}");
                }
                Err(error)
            }
            (None, Err(error)) => Err(RunError::Close {
                error: Box::new(error),
                safe: self.safe(false),
            }),
            (None, Ok(())) => Ok(Outcome {
                ended,
                records: self.state.records_read() + Skips::of_sources(skips, self.graph),
                skipped: Skips::by_step(skips, self.graph),
                unfinished: self.state.take_unfinished(),
                given_up: given_up.map_or(0, |_| in_flight),
                unprocessed: self.state.unprocessed(),
                epoch: self.durable,
            }),
        }
    }

    fn safe(&self, exact: bool) -> Safe {
        Safe {
            epoch: self.durable,
            exact,
            unprocessed: self.state.unprocessed(),
        }
    }
}
