//! The faults of a run and their places. Each call of user code asks here.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use flow::{RunHandle, SourceError};

/// The beginning of the texts of planned panics, which are not shown.
pub(crate) const PLANNED: &str = "planned:";

/// A step, and which of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) node: usize,
    pub(crate) call: u64,
}

/// What happens in a run, if it gets that far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The function of a step, or a source at a record, asks the run to stop.
    Stop(At),
    /// The same asks it to stop at once.
    CutShort(At),
    /// The same panics.
    Panic(At),
    /// A step fails on bad records.
    Bug(usize),
    /// A source fails at a record.
    SourceError(At),
    /// A source panics when it returns its token.
    TokenPanic(At),
    /// A tape fails in one of these ways.
    WriteError(At),
    WritePanic(At),
    CloseError(At),
    SyncError(At),
    SyncPanic(At),
    /// The process is killed while a tape is synced: the next run finds what is there then.
    Kill(At),
}

/// How many kinds of faults there are.
pub(crate) const KINDS: usize = 12;

impl Fault {
    /// Its name in statistics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::Stop(_) => "stops",
            Fault::CutShort(_) => "cut short",
            Fault::Panic(_) => "panics in steps",
            Fault::Bug(_) => "bad records",
            Fault::SourceError(_) => "source errors",
            Fault::TokenPanic(_) => "panics in tokens",
            Fault::WriteError(_) => "write errors",
            Fault::WritePanic(_) => "panics in writes",
            Fault::CloseError(_) => "close errors",
            Fault::SyncError(_) => "sync errors",
            Fault::SyncPanic(_) => "panics in syncs",
            Fault::Kill(_) => "kills",
        }
    }
}

/// A fault, and how far it is.
struct Armed {
    fault: Fault,
    calls: AtomicU64,
    has_happened: AtomicBool,
}

impl Armed {
    fn is_at(&self, at: At, node: usize) -> bool {
        let is = at.node == node && self.calls.fetch_add(1, SeqCst) == at.call;
        if is {
            self.has_happened.store(true, SeqCst);
        }
        is
    }
}

/// User code asks this whether it should fail.
pub(crate) struct Probe {
    faults: Vec<Armed>,
    handle: OnceLock<RunHandle>,
    /// Copies everything that a kill would leave.
    copy: Mutex<Box<dyn FnMut() + Send>>,
}

impl Probe {
    pub(crate) fn new(faults: &[Fault], copy: impl FnMut() + Send + 'static) -> Arc<Self> {
        let armed = faults.iter().map(|fault| Armed {
            fault: *fault,
            calls: AtomicU64::new(0),
            has_happened: AtomicBool::new(false),
        });
        Arc::new(Probe {
            faults: armed.collect(),
            handle: OnceLock::new(),
            copy: Mutex::new(Box::new(copy)),
        })
    }

    /// Says which run is to be stopped.
    pub(crate) fn attach(&self, run: RunHandle) {
        assert!(self.handle.set(run).is_ok());
    }

    /// The faults that have happened.
    pub(crate) fn happened(&self) -> Vec<Fault> {
        let faults = self.faults.iter();
        let happened = faults.filter(|armed| armed.has_happened.load(SeqCst));
        happened.map(|armed| armed.fault).collect()
    }

    /// The function of a step has been called.
    pub(crate) fn pass(&self, node: usize) {
        for armed in &self.faults {
            match armed.fault {
                Fault::Stop(at) if armed.is_at(at, node) => self.run().stop(),
                Fault::CutShort(at) if armed.is_at(at, node) => self.run().stop_at_once(),
                Fault::Panic(at) if armed.is_at(at, node) => panics(node),
                _ => {}
            }
        }
    }

    /// A step gets a bad record. Returns whether it should fail.
    pub(crate) fn has_bug(&self, node: usize) -> bool {
        let mut faults = self.faults.iter();
        let bug = faults.find(|armed| armed.fault == Fault::Bug(node));
        if let Some(bug) = bug {
            bug.has_happened.store(true, SeqCst);
        }
        bug.is_some()
    }

    /// A source is about to read a record.
    pub(crate) fn read(&self, node: usize) -> Result<(), SourceError> {
        self.pass(node);
        for armed in &self.faults {
            match armed.fault {
                Fault::SourceError(at) if armed.is_at(at, node) => {
                    return Err(SourceError::new(PLANNED));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A source is asked for a token.
    pub(crate) fn token(&self, node: usize) {
        for armed in &self.faults {
            match armed.fault {
                Fault::TokenPanic(at) if armed.is_at(at, node) => panics(node),
                _ => {}
            }
        }
    }

    /// A tape is written to.
    pub(crate) fn write(&self, node: usize) -> Result<(), &'static str> {
        for armed in &self.faults {
            match armed.fault {
                Fault::WriteError(at) if armed.is_at(at, node) => return Err(PLANNED),
                Fault::WritePanic(at) if armed.is_at(at, node) => panics(node),
                _ => {}
            }
        }
        Ok(())
    }

    /// A tape's epoch ends.
    pub(crate) fn close(&self, node: usize) -> Result<(), &'static str> {
        for armed in &self.faults {
            match armed.fault {
                Fault::CloseError(at) if armed.is_at(at, node) => return Err(PLANNED),
                _ => {}
            }
        }
        Ok(())
    }

    /// A tape is made durable. This happens on the committer's thread, so nothing is written to the
    /// store meanwhile.
    pub(crate) fn sync(&self, node: usize) -> Result<(), &'static str> {
        for armed in &self.faults {
            match armed.fault {
                Fault::SyncError(at) if armed.is_at(at, node) => {
                    // The workers may close more epochs meanwhile.
                    thread::sleep(Duration::from_millis(3));
                    return Err(PLANNED);
                }
                Fault::SyncPanic(at) if armed.is_at(at, node) => panics(node),
                Fault::Kill(at) if armed.is_at(at, node) => {
                    (self.copy.lock().unwrap())();
                    return Err(PLANNED);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn run(&self) -> &RunHandle {
        self.handle.get().unwrap()
    }
}

fn panics(node: usize) -> ! {
    panic!("{PLANNED} in step {node}")
}
