//! The world outside the runs of a case: the store and the outputs, as the last run left them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc::channel},
    thread,
    time::Duration,
};

use flow::{
    Clock, Epoch, Outcome, Recovery, Retain, RunError, Runner,
    sink::{Collected, collect},
};
use tempfile::TempDir;

use crate::{
    build::{Outside, build},
    case::Case,
    checks::After,
    description::{Item, SinkKind},
    durable::Durable,
    faults::Probe,
    input::Tokens,
    plan::Run,
    reference::{Results, interpret},
    statistics::Statistics,
    tape::{Tape, Written},
};

/// A run that takes longer counts as hanging.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs a case. The error says what is wrong.
pub(crate) fn check(case: &Case, statistics: &Statistics) -> Result<(), String> {
    let mut world = World::new(case);
    for (number, run) in case.plan.iter().enumerate() {
        let checked = world.run(run, statistics);
        checked
            .map_err(|wrong| format!("after run {} of {}: {wrong}", number + 1, case.plan.len()))?;
    }
    Ok(())
}

/// The tokens from which a run resumes.
pub(crate) struct Point {
    pub(crate) epoch: Epoch,
    pub(crate) tokens: Tokens,
    /// The expected results of the records before the tokens.
    pub(crate) results: Results,
}

struct World<'a> {
    case: &'a Case,
    directory: TempDir,
    outside: Outside,
    collected: BTreeMap<usize, Collected<Item>>,
    /// The expected results of the whole input.
    full: Results,
    point: Point,
}

/// The content that a kill of the process would leave now.
struct Left {
    directory: PathBuf,
    tapes: BTreeMap<usize, Written>,
}

impl<'a> World<'a> {
    fn new(case: &'a Case) -> Self {
        let directory = directory();
        let mut outside = Outside {
            input: case.input.clone(),
            directory: directory.path().join("now"),
            tapes: BTreeMap::new(),
            collects: BTreeMap::new(),
        };
        let mut collected = BTreeMap::new();
        for (node, kind) in case.description.sinks() {
            match kind {
                SinkKind::JsonFile | SinkKind::TextFile => {}
                SinkKind::Tape | SinkKind::TapePerWorker => {
                    outside.tapes.insert(node, Tape::default());
                }
                SinkKind::Collect => {
                    let (into, seen) = collect();
                    outside.collects.insert(node, into);
                    collected.insert(node, seen);
                }
            }
        }
        fs::create_dir(&outside.directory).unwrap();
        case.input.write(&outside.directory);
        World {
            case,
            directory,
            outside,
            collected,
            full: interpret(&case.description, &case.input, &case.input.end()),
            point: Point {
                epoch: Epoch::default(),
                tokens: Tokens::start(&case.input),
                results: Results::default(),
            },
        }
    }

    /// One run, and what holds after it.
    fn run(&mut self, run: &Run, statistics: &Statistics) -> Result<(), String> {
        let left = Arc::new(Mutex::new(None));
        let probe = Probe::new(&run.faults, self.kill(left.clone()));
        let result = self.execute(run, &probe)?;
        if let Some(left) = left.lock().unwrap().take() {
            self.go_back_to(left);
        }
        let durable = Durable::read(&self.store(), &self.case.input);
        let now = interpret(&self.case.description, &self.case.input, &durable.tokens);
        let happened = probe.happened();
        let after = After {
            case: self.case,
            run,
            result: &result,
            happened: &happened,
            before: &self.point,
            durable: &durable,
            retained: &Durable::retained(&self.store(), &self.case.input),
            now: &now,
            full: &self.full,
            outside: &self.outside,
            collected: &self.collected,
        };
        after.check()?;
        let has_moved = durable.tokens != self.point.tokens;
        statistics.count(&happened, after.has_aborted(), has_moved);
        self.point = Point {
            epoch: durable.epoch,
            tokens: durable.tokens,
            results: now,
        };
        Ok(())
    }

    fn execute(&self, run: &Run, probe: &Arc<Probe>) -> Result<Result<Outcome, RunError>, String> {
        let clock = Clock::manual();
        let (description, outside) = (self.case.description.clone(), self.outside.clone());
        let (built, asked) = (clock.clone(), probe.clone());
        let runner = Runner::new(move |flow| build(flow, &description, &outside, &built, &asked))
            .workers(run.workers)
            .epochs(run.epochs.epochs())
            .records_in_flight(run.in_flight)
            .bytes_in_flight(256 << 20)
            .blocks_of(run.block)
            .clock(clock)
            .recover(Recovery::at(self.store()).retain(match run.workers {
                4 => Retain::Nothing,
                _ => Retain::Epochs(3),
            }));
        probe.attach(runner.handle());
        let (sender, ended) = channel();
        thread::spawn(move || sender.send(runner.run()));
        let result = ended.recv_timeout(LIMIT);
        result.map_err(|_| format!("the run hangs: it is not over within {LIMIT:?}"))
    }

    fn store(&self) -> PathBuf {
        self.outside.directory.join("state")
    }

    /// A function that copies everything that a kill would leave.
    fn kill(&self, slot: Arc<Mutex<Option<Left>>>) -> impl FnMut() + Send + 'static {
        let (from, to) = (
            self.outside.directory.clone(),
            self.directory.path().join("left"),
        );
        let tapes = self.outside.tapes.clone();
        move || {
            // The store first: nobody writes to it now, but outputs may still grow behind what is
            // committed.
            copy(&from.join("state"), &to.join("state"));
            copy(&from, &to);
            let tapes = tapes.iter().map(|(node, tape)| (*node, tape.copy()));
            *slot.lock().unwrap() = Some(Left {
                directory: to.clone(),
                tapes: tapes.collect(),
            });
        }
    }

    fn go_back_to(&self, left: Left) {
        fs::remove_dir_all(&self.outside.directory).unwrap();
        fs::rename(&left.directory, &self.outside.directory).unwrap();
        for (node, written) in left.tapes {
            self.outside.tapes[&node].restore(written);
        }
    }
}

/// A directory in memory, if possible: the store syncs each of its commits.
fn directory() -> TempDir {
    const MEMORY: &str = "/dev/shm";
    tempfile::tempdir_in(MEMORY).unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Copies a directory. Subdirectories that were copied before stay.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to).unwrap();
        } else if !to.exists() {
            copy(&entry.path(), &to);
        }
    }
}
