//! Starts the workers and builds the flow on each.
//!
//! A worker builds its part of the flow and reports. Building opens inputs and outputs and decodes
//! stored state. When all workers are ready, the runner records the execution in the store and lets
//! them run. If one fails, nothing has been changed anywhere.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use flow_store::{Changes, Execution};
use timely::{
    CommunicationConfig, WorkerConfig,
    communication::allocator::{Allocator, AllocatorBuilder, Thread},
    worker::Worker,
};

use super::{
    AbortReason, Head, HeadContext, News, Operator, RunState,
    committer::{self, Committer},
    frontier::Time,
    in_order::{self, SharedTask},
    ledger::{self, Closed, SharedFlight},
    outputs::Wires,
    source::{self, Queues},
    threads::{Done, Gate, Keeper, Threads},
};
use crate::{
    chain::{FaultOrigin, Locator, Skips, Whereabouts, Wiring},
    error::{BuildError, ResumeError, RunError},
    graph::{Graph, StepIndex},
    lock::Mutex,
    resume::{Conversions, ConvertedRows, Notice, Resume},
};

/// Builds the flow: once for the plan, and once on each worker.
pub(crate) type Build = Arc<dyn Fn() -> Result<(Graph, Vec<Head>), BuildError> + Send + Sync>;

/// How batches get from one worker to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Communication {
    /// As values in memory.
    #[default]
    Threads,
    /// As bytes, as between processes.
    Bytes,
}

/// What the workers need.
pub(crate) struct Launch {
    pub(crate) build: Build,
    pub(crate) plan: Graph,
    pub(crate) workers: usize,
    pub(crate) communication: Communication,
    pub(crate) state: Arc<RunState>,
    pub(crate) resume: Option<Arc<Resume>>,
    /// The partitions of each source, for each worker.
    pub(crate) partitions: Vec<Vec<(StepIndex, Vec<String>)>>,
    pub(crate) whereabouts: Vec<Whereabouts>,
    /// One table for each worker.
    pub(crate) skips: Vec<Arc<Skips>>,
    /// The number of lines in a block that workers share, if a test fixes it.
    pub(crate) block: Option<usize>,
    /// Whether last lines without a newline are read.
    pub(crate) take_unfinished: bool,
    /// The stack of a thread, in bytes.
    pub(crate) stack: usize,
}

/// The threads of a run, ready to go.
pub(crate) struct Crew {
    /// Rows for the commit that opens the execution.
    pub(crate) opening: Changes,
    /// Notices for the user before the run starts.
    pub(crate) notices: Vec<Notice>,
    committer: Committer,
    gate: Keeper,
}

impl Crew {
    /// Lets the workers run. The messages of the run tell when they are done. The execution comes
    /// back then, so that it can be ended.
    pub(crate) fn go(self, execution: Option<Execution>) -> Receiver<Option<Execution>> {
        let ended = self.committer.begin(execution);
        self.gate.0.open(true);
        ended
    }

    /// Makes the workers leave, and waits until they have closed everything that they had opened.
    /// Waits at most this long.
    pub(crate) fn dismiss(self, news: &Receiver<News>, within: Duration) {
        self.gate.0.open(false);
        let deadline = Instant::now().checked_add(within);
        loop {
            let told = match deadline {
                Some(at) => news
                    .recv_timeout(at.saturating_duration_since(Instant::now()))
                    .ok(),
                None => news.recv().ok(),
            };
            if told.is_none_or(|told| told == News::Done) {
                return;
            }
        }
    }
}

/// Why there is no crew.
pub(crate) enum NoCrew {
    /// The run was told to stop before the workers were ready.
    Stopped,
    Failed(RunError),
}

impl From<RunError> for NoCrew {
    fn from(error: RunError) -> Self {
        NoCrew::Failed(error)
    }
}

/// How long workers that have to leave may take to close what they had opened.
const LEAVING: Duration = Duration::from_secs(60);

/// The same for a run that was told to stop while it started, because its user is waiting.
const LEAVING_AT_ONCE: Duration = Duration::from_secs(2);

/// Starts the threads and waits until each worker has built its part of the flow.
pub(crate) fn launch(launch: Launch, news: &Receiver<News>) -> Result<Crew, NoCrew> {
    let Launch {
        workers,
        communication,
        ..
    } = launch;
    let (ready, reports) = channel();
    let (closed_sender, closed) = channel();
    let gate = Arc::new(Gate::default());
    let (state, plan) = (launch.state.clone(), launch.plan.clone());
    let shared = Arc::new(Shared {
        build: launch.build,
        plan: launch.plan,
        state: launch.state,
        // One reference for each worker, which drops it when it has been built.
        resume: Mutex::new(vec![launch.resume; workers]),
        partitions: launch.partitions,
        whereabouts: launch.whereabouts,
        skips: launch.skips,
        queues: Arc::new(Queues::new(workers, launch.block)),
        take_unfinished: launch.take_unfinished,
        gate: gate.clone(),
        channels: Mutex::new(vec![Some((ready, closed_sender)); workers]),
    });
    let communication = match communication {
        _ if workers == 1 && communication == Communication::Threads => CommunicationConfig::Thread,
        Communication::Threads => CommunicationConfig::Process(workers),
        Communication::Bytes => CommunicationConfig::ProcessBinary(workers),
    };
    let (builders, _) = communication.try_build().map_err(RunError::Workers)?;
    let threads = Threads::new(workers + 1, launch.stack);
    let committer = committer::spawn(&threads, &state, closed, workers)?;
    let done = Arc::new(Done(state.clone()));
    for (index, builder) in builders.into_iter().enumerate() {
        let (shared, done) = (shared.clone(), done.clone());
        threads.spawn(format!("flow-worker-{index}"), move || {
            shared.live(builder);
            // This may drop the last of the user's closures, which must happen before the runner
            // continues.
            drop(shared);
            drop(done);
        })?;
    }
    drop((shared, done));
    threads.begin();

    let mut crew = Crew {
        opening: Changes::new(),
        notices: Vec::new(),
        committer,
        gate: Keeper(gate),
    };
    let (mut errors, mut taken) = (Vec::new(), Vec::new());
    let mut built = 0;
    while built < workers {
        match news.recv() {
            Ok(News::Built) => {}
            Ok(News::Stopping | News::Aborted) => {
                crew.dismiss(news, LEAVING_AT_ONCE);
                return Err(match state.take_failures().0 {
                    Some(AbortReason::Workers(lost)) => RunError::Workers(lost).into(),
                    _ => NoCrew::Stopped,
                });
            }
            Ok(News::Done) | Err(_) => {
                let lost = "a worker was lost while it was built".to_owned();
                errors.push((workers, RunError::Workers(lost)));
                break;
            }
        }
        built += 1;
        match reports.try_recv() {
            Ok((_, Ok(mut report))) => {
                crew.opening.append(&mut report.opening);
                crew.notices.append(&mut report.notices);
                taken.append(&mut report.taken);
            }
            Ok((worker, Err(error))) => errors.push((worker, error)),
            Err(_) => {}
        }
    }
    // Every worker may have failed for the same reason, so only the first one is reported.
    errors.sort_by_key(|(worker, _)| *worker);
    let error = errors.into_iter().next();
    let scattered = || {
        let taken = ConvertedRows::scattered(&taken)?;
        let error = ResumeError::KeysScattered {
            step: plan.id(taken.step),
            all: taken.all.0,
            kept: taken.own.0,
        };
        Some((0, error.into()))
    };
    match error.or_else(scattered) {
        None => Ok(crew),
        Some((_, error)) => {
            crew.dismiss(news, LEAVING);
            Err(error.into())
        }
    }
}

/// The report of a worker that has been built.
#[derive(Default)]
struct Report {
    /// Rows for the commit that opens the execution.
    opening: Changes,
    notices: Vec<Notice>,
    taken: Vec<ConvertedRows>,
}

type Channels = (Sender<(usize, Result<Report, RunError>)>, Sender<Closed>);

struct Shared {
    build: Build,
    plan: Graph,
    state: Arc<RunState>,
    resume: Mutex<Vec<Option<Arc<Resume>>>>,
    partitions: Vec<Vec<(StepIndex, Vec<String>)>>,
    whereabouts: Vec<Whereabouts>,
    skips: Vec<Arc<Skips>>,
    queues: Arc<Queues>,
    take_unfinished: bool,
    gate: Arc<Gate>,
    channels: Mutex<Vec<Option<Channels>>>,
}

impl Shared {
    /// The whole life of a worker. A panic here is not one of user code, which runs under
    /// [`guard`](Shared::guard).
    fn live(&self, builder: AllocatorBuilder) {
        let live = || {
            let allocator = match builder {
                AllocatorBuilder::Thread(_) => Allocator::Thread(Thread::default()),
                AllocatorBuilder::Process(process) => Allocator::Process(process.build()),
                // No `Communication` makes this builder.
                AllocatorBuilder::Tcp(_) => return,
            };
            let now = Some(Instant::now());
            self.run(&mut Worker::new(WorkerConfig::default(), allocator, now));
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(live)) {
            self.state.abort(AbortReason::Workers(message_of(&*panic)));
        }
    }

    fn run(&self, worker: &mut Worker) {
        let index = worker.index();
        let _span = tracing::info_span!("worker", index).entered();
        let Some((ready, committer)) = take(&self.channels, index).flatten() else {
            return;
        };
        let built = {
            let resume = take(&self.resume, index).flatten();
            catch_unwind(AssertUnwindSafe(|| self.build(worker, resume, committer)))
        };
        let (report, tasks) = match built {
            Ok(Ok((report, tasks))) => (Ok(report), tasks),
            Ok(Err(error)) => (Err(error), Vec::new()),
            Err(panic) => {
                let at = self.whereabouts.get(index).and_then(Whereabouts::get);
                let error = BuildError::Panicked {
                    step: at.map(|step| self.plan.id(step)),
                    message: message_of(&*panic),
                };
                (Err(error.into()), Vec::new())
            }
        };
        // The runner may have given up on this worker.
        let _ = ready.send((index, report));
        drop(ready);
        self.state.tell(News::Built);
        if self.gate.wait() {
            self.work(worker, &tasks);
        }
        // Dropping a dataflow drops user code too.
        self.guard(index, || {
            drop(tasks);
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        });
    }

    fn work(&self, worker: &mut Worker, tasks: &[SharedTask]) {
        let index = worker.index();
        let started = self.guard(index, || {
            tasks.iter().try_for_each(|task| task.borrow_mut().start())
        });
        if let Some(Err(fault)) = started {
            self.state.abort(AbortReason::Step {
                worker: index,
                fault,
            });
        }
        flow_store::FailPoint::SinksStarted.pass();
        // After an abort, no operator may run and no progress may be sent. Otherwise a peer would
        // take the failed epoch for complete.
        while !self.state.aborted() {
            if self.guard(index, || worker.step_or_park(None)) == Some(false) {
                break;
            }
        }
    }

    /// Runs user code. A panic in it aborts the run.
    fn guard<R>(&self, worker: usize, run: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => Some(result),
            Err(panic) => {
                let step = self.whereabouts.get(worker).and_then(Whereabouts::get);
                let (panic, origin) = match panic.downcast::<Traced>() {
                    Ok(traced) => (traced.panic, traced.origin.map(Box::new)),
                    Err(panic) => (panic, None),
                };
                let message = message_of(&*panic);
                self.state.abort(AbortReason::Panicked {
                    worker,
                    step,
                    message,
                    origin,
                });
                None
            }
        }
    }

    fn build(
        &self,
        worker: &mut Worker,
        resume: Option<Arc<Resume>>,
        committer: Sender<Closed>,
    ) -> Result<(Report, Vec<SharedTask>), RunError> {
        let index = worker.index();
        let (graph, heads) = (self.build)()?;
        if let Some(difference) = difference(&self.plan, &graph) {
            return Err(BuildError::NotDeterministic {
                worker: index,
                difference,
            }
            .into());
        }
        let whereabouts = self.whereabouts.get(index).cloned();
        let whereabouts = whereabouts.unwrap_or_else(Whereabouts::new);
        let partitions = self.partitions.get(index).map_or(&[][..], Vec::as_slice);
        let mut report = Report::default();
        let mut tasks: Vec<SharedTask> = Vec::new();
        let flight = SharedFlight::default();
        let locator = Locator::default();
        let workers = worker.peers();
        let skips = self.skips.get(index).cloned();
        let skips = skips.unwrap_or_else(|| Arc::new(Skips::none()));
        worker.dataflow::<Time, _, _>(|scope| {
            let mut wires = Wires::default();
            // Heads are in the order in which they were made, so the chains that lead to a step
            // come before it.
            for head in heads {
                let step = head.step;
                let mut context = HeadContext {
                    step,
                    graph: &graph,
                    wiring: Wiring::new(
                        index,
                        workers,
                        whereabouts.clone(),
                        locator.clone(),
                        skips.clone(),
                    ),
                    resume: resume.as_deref(),
                    partitions,
                    take_unfinished: self.take_unfinished,
                    conversions: Conversions::default(),
                    opening: &mut report.opening,
                    notices: &mut report.notices,
                    taken: &mut report.taken,
                };
                let made = head.make(&mut context)?;
                let outlets = context.wiring.outlets;
                let (state, name) = (&self.state, graph.id(step));
                match made {
                    Operator::Source(task) => {
                        let parts = source::Parts {
                            step,
                            task,
                            outlets,
                        };
                        let (queues, flight) = (&self.queues, flight.clone());
                        source::build(&scope, &mut wires, state, queues, &name, parts, flight);
                    }
                    Operator::Step { inlet, task } => {
                        let task: SharedTask = Rc::new(RefCell::new(task));
                        tasks.push(task.clone());
                        let name = (step, name.as_str());
                        in_order::build(&scope, &mut wires, state, name, inlet, task, outlets);
                    }
                }
            }
            ledger::build(&scope, &mut wires, &self.state, committer, flight);
            Ok((report, tasks))
        })
    }
}

fn take<T: Default>(slots: &Mutex<Vec<T>>, index: usize) -> Option<T> {
    let mut slots = slots.lock();
    slots.get_mut(index).map(std::mem::take)
}

/// The first difference between two graphs, in words.
fn difference(plan: &Graph, built: &Graph) -> Option<String> {
    let (planned, made) = (plan.steps(), built.steps());
    for (index, (plan, built)) in planned.iter().zip(made).enumerate() {
        if plan != built {
            return Some(format!(
                "step {index} is `{}` ({}) in the plan and `{}` ({}) there",
                plan.id(),
                plan.place,
                built.id(),
                built.place
            ));
        }
    }
    (planned.len() != made.len()).then(|| {
        format!(
            "the plan has {} steps, it has {}",
            planned.len(),
            made.len()
        )
    })
}

/// A panic on its way to its worker, with the origin of the records that the step was processing.
pub(super) struct Traced {
    pub(super) panic: Box<dyn Any + Send>,
    pub(super) origin: Option<FaultOrigin>,
}

/// The message of a panic.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    }
}
