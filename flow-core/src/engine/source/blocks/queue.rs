//! Where the workers of a process leave blocks for each other, and return the results.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use super::{Block, Processed};
use crate::{engine::SourceBell, graph::StepIndex, lock::Mutex};

/// What the sources of all workers share.
pub(crate) struct Queues {
    /// The number of sources on each worker that have something to read of their own.
    busy: Arc<[AtomicUsize]>,
    of_steps: Mutex<BTreeMap<StepIndex, Arc<Queue>>>,
    /// The number of lines of each block, if a test fixes it.
    fixed: Option<usize>,
}

/// The blocks of one source step that wait for a worker.
pub(in crate::engine::source) struct Queue {
    busy: Arc<[AtomicUsize]>,
    jobs: Mutex<VecDeque<Job>>,
    helpers: Mutex<Vec<Arc<Helper>>>,
}

/// A block that waits for a worker.
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) block: Block,
    pub(super) returns: Arc<Returns>,
}

/// The results of the blocks of one owner, until it accepts them.
pub(super) struct Returns {
    processed: Mutex<Option<BTreeMap<u64, (Processed, Block)>>>,
    bell: Arc<SourceBell>,
}

/// The operator of the source step on a worker that may process blocks of others.
pub(super) struct Helper {
    worker: usize,
    bell: Arc<SourceBell>,
    /// Whether it has looked for a block and found none.
    waits: AtomicBool,
}

impl Queues {
    pub(crate) fn new(workers: usize, fixed: Option<usize>) -> Self {
        Queues {
            busy: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            of_steps: Mutex::default(),
            fixed,
        }
    }

    pub(in crate::engine::source) fn fixed(&self) -> Option<usize> {
        self.fixed
    }

    /// The queue of a step; `None` if there is only one worker.
    pub(in crate::engine::source) fn of(&self, step: StepIndex) -> Option<Arc<Queue>> {
        let new = || Queue {
            busy: self.busy.clone(),
            jobs: Mutex::default(),
            helpers: Mutex::default(),
        };
        let mut queues = self.of_steps.lock();
        let queue = queues.entry(step).or_insert_with(|| Arc::new(new()));
        (self.busy.len() > 1).then(|| queue.clone())
    }

    /// Notes whether a source of a worker has something to read.
    pub(in crate::engine::source) fn set_busy(&self, worker: usize, is: bool) {
        if let Some(busy) = self.busy.get(worker) {
            match is {
                true => busy.fetch_add(1, SeqCst),
                false => busy.fetch_sub(1, SeqCst),
            };
        }
    }
}

impl Queue {
    pub(super) fn workers(&self) -> usize {
        self.busy.len()
    }

    /// Adds the operator of a worker to those that are woken when there is a block.
    pub(super) fn join(&self, worker: usize, bell: Arc<SourceBell>) -> Arc<Helper> {
        let helper = Arc::new(Helper {
            worker,
            bell,
            waits: AtomicBool::new(false),
        });
        self.helpers.lock().push(helper.clone());
        helper
    }

    fn is_idle(&self, worker: usize) -> bool {
        let busy = self.busy.get(worker);
        busy.is_some_and(|busy| busy.load(SeqCst) == 0)
    }

    /// Whether some worker has nothing to read of its own.
    pub(super) fn has_idle(&self) -> bool {
        (0..self.busy.len()).any(|worker| self.is_idle(worker))
    }

    /// Adds a block, and wakes a worker that waits for one.
    pub(super) fn put(&self, job: Job) {
        self.jobs.lock().push_back(job);
        let waits =
            |helper: &&Arc<Helper>| self.is_idle(helper.worker) && helper.waits.swap(false, SeqCst);
        if let Some(helper) = self.helpers.lock().iter().find(waits) {
            helper.bell.ring();
        }
    }

    /// Takes the oldest block.
    pub(super) fn pop(&self) -> Option<Job> {
        self.jobs.lock().pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.lock().is_empty()
    }

    /// Removes the blocks of an owner that have not been begun.
    pub(super) fn remove(&self, returns: &Arc<Returns>) {
        self.jobs
            .lock()
            .retain(|job| !Arc::ptr_eq(&job.returns, returns));
    }
}

impl Helper {
    /// Asks to be woken for the next block.
    pub(super) fn wait(&self) {
        self.waits.store(true, SeqCst);
    }
}

impl Returns {
    pub(super) fn new(bell: Arc<SourceBell>) -> Self {
        Returns {
            processed: Mutex::new(Some(BTreeMap::new())),
            bell,
        }
    }

    /// Adds the results of a block, with its buffer.
    pub(super) fn put(&self, number: u64, processed: Processed, block: Block) {
        let refused = match &mut *self.processed.lock() {
            Some(there) => there.insert(number, (processed, block)),
            None => Some((processed, block)),
        };
        // The user's records must not be dropped under the lock.
        drop(refused);
        self.bell.ring_if_waiting();
    }

    pub(super) fn has(&self, number: u64) -> bool {
        let processed = self.processed.lock();
        processed
            .as_ref()
            .is_some_and(|there| there.contains_key(&number))
    }

    pub(super) fn take(&self, number: u64) -> Option<(Processed, Block)> {
        self.processed.lock().as_mut()?.remove(&number)
    }

    /// Drops all results, including those still to come.
    pub(super) fn close(&self) {
        let there = self.processed.lock().take();
        drop(there);
    }
}
