//! The threads of a run. All of them exist before any of them begins.
//!
//! Containers limit threads (`pids.max`, `RLIMIT_NPROC`). So each thread waits at a gate until the
//! last one has been spawned. If one can't be spawned, the others leave, nothing has been opened,
//! and the start is refused.

use std::{io, sync::Arc, thread};

use super::{News, RunState};
use crate::{
    error::RunError,
    lock::{Condvar, Mutex},
};

/// The stack of a thread of a run, in bytes. The steps of a chain call each other. So a chain of
/// `MOST_STEPS`, and user code behind it, must fit in a debug build too. The system gives memory
/// only for the part that is used.
pub(crate) const STACK: usize = 16 << 20;

/// Where threads wait until they may continue, or have to leave.
#[derive(Default)]
pub(super) struct Gate {
    go: Mutex<Option<bool>>,
    opened: Condvar,
}

impl Gate {
    /// Opens the gate once. If `go`, the threads continue; otherwise they leave.
    pub(super) fn open(&self, go: bool) {
        let mut opened = self.go.lock();
        opened.get_or_insert(go);
        drop(opened);
        self.opened.notify_all();
    }

    /// Waits until the gate is open. Returns whether the thread may continue.
    pub(super) fn wait(&self) -> bool {
        let mut go = self.go.lock();
        loop {
            match *go {
                Some(go) => return go,
                None => go = self.opened.wait(go),
            }
        }
    }
}

/// Opens a gate when it is dropped. The threads then leave, unless the gate was opened before.
pub(super) struct Keeper(pub(super) Arc<Gate>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.open(false);
    }
}

/// The threads of a run while they are spawned.
pub(super) struct Threads {
    /// The number of threads that there will be.
    needs: usize,
    stack: usize,
    spawned: Keeper,
}

impl Threads {
    pub(super) fn new(needs: usize, stack: usize) -> Self {
        Threads {
            needs,
            stack,
            spawned: Keeper(Arc::default()),
        }
    }

    /// Adds a thread. It begins when all threads exist.
    pub(super) fn spawn(
        &self,
        name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), RunError> {
        let spawned = self.spawned.0.clone();
        let thread = thread::Builder::new().name(name).stack_size(self.stack);
        let handle = thread.spawn(move || {
            if spawned.wait() {
                run();
            }
        });
        match handle {
            Ok(_) => Ok(()),
            Err(cause) => Err(self.refused(cause)),
        }
    }

    fn refused(&self, cause: io::Error) -> RunError {
        RunError::Threads {
            needs: self.needs,
            cause,
        }
    }

    /// Lets all threads begin.
    pub(super) fn begin(self) {
        self.spawned.0.open(true);
    }
}

/// Tells the runner that the workers are done, when the last of them drops it.
pub(super) struct Done(pub(super) Arc<RunState>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.tell(News::Done);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn no_thread_begins_unless_all_of_them_exist() {
        for all in [true, false] {
            let (ran, runs) = channel();
            let threads = Threads::new(3, STACK);
            for n in 0..3 {
                let ran = ran.clone();
                // The last one does not fit in memory.
                let threads = match n {
                    2 if !all => &Threads {
                        needs: 3,
                        stack: 1 << 60,
                        spawned: Keeper(threads.spawned.0.clone()),
                    },
                    _ => &threads,
                };
                let spawned = threads.spawn(format!("thread {n}"), move || ran.send(n).unwrap());
                assert_eq!(spawned.is_ok(), all || n < 2);
            }
            drop(ran);
            if all {
                threads.begin();
            } else {
                drop(threads);
            }
            let mut ran: Vec<_> = runs.iter().collect();
            ran.sort_unstable();
            assert_eq!(ran, if all { vec![0, 1, 2] } else { Vec::new() });
        }
    }
}
