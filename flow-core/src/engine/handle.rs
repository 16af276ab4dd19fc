//! A handle to a run from another thread: it shows the progress and ends the run.

use std::{
    fmt,
    sync::{Arc, Weak},
    task::Waker,
};

use flow_store::Epoch;

use super::{AbortReason, Clock, EpochEvent, RunState};
use crate::lock::{Mutex, MutexGuard};

/// Watches and stops a run from another thread.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # let (out, _seen) = sink::collect();
/// let runner = Runner::new(move |flow| {
///     flow.source(source::from_iter(0u64..)).sink(out.clone());
/// });
/// let handle = runner.handle();
/// let run = std::thread::spawn(move || runner.run());
/// handle.stop();
/// assert_eq!(run.join().unwrap().unwrap().ended, flow::Ended::Stopped);
/// ```
#[derive(Clone, Default)]
pub struct RunHandle(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    stop: bool,
    stop_at_once: bool,
    /// Whether the run may have changed its store.
    has_begun: bool,
    run: Weak<RunState>,
    /// How far the run had got when it ended.
    ended: Option<Progress>,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Number of records that its sources have read. Records that a source has skipped are added
    /// when the run has ended.
    pub records: u64,
    /// The last epoch that this run has made durable.
    pub durable: Option<Epoch>,
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle").finish_non_exhaustive()
    }
}

impl RunHandle {
    /// Stops the run: the sources stop at their next record, and the last epoch is committed.
    ///
    /// A run that is still starting, or has not been started yet, ends before it reads or changes
    /// anything.
    pub fn stop(&self) {
        self.lock().stop = true;
        self.tell();
    }

    /// Like [`stop`](RunHandle::stop), but calls `leave` if the run has changed nothing yet. The
    /// run can't begin to change anything while `leave` runs. So a program may exit there, whatever
    /// holds up the start.
    #[doc(hidden)]
    pub fn stop_or_leave(&self, leave: impl FnOnce()) {
        let mut inner = self.lock();
        inner.stop = true;
        if !inner.has_begun {
            leave();
        }
        drop(inner);
        self.tell();
    }

    /// Ends the run without committing the open epochs. That is as safe as a kill.
    pub fn stop_at_once(&self) {
        self.lock().stop_at_once = true;
        self.tell();
    }

    /// The progress of the run, or its last progress if it has ended. `None` before it begins to
    /// read.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let inner = self.lock();
        match (inner.ended, inner.has_begun) {
            (Some(ended), _) => Some(ended),
            (None, true) => inner.run.upgrade().map(|run| progress(&run)),
            (None, false) => None,
        }
    }

    /// The clock of the run. The system's if the run has not started or is over.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let run = self.lock().run.upgrade();
        run.map_or_else(Clock::system, |run| run.clock.clone())
    }

    /// The handle of a run that is being built.
    pub(crate) fn of(run: &Arc<RunState>) -> Self {
        let handle = RunHandle::default();
        handle.lock().run = Arc::downgrade(run);
        handle
    }

    /// Whether the caller is the first one to end the run.
    pub(crate) fn claim_end(&self) -> bool {
        let run = self.lock().run.upgrade();
        run.is_some_and(|run| run.claim_end())
    }

    /// The open epoch; `None` if the run is over.
    pub(crate) fn open_epoch(&self) -> Option<Epoch> {
        Some(self.lock().run.upgrade()?.epoch())
    }

    /// Ends the open epoch, even if nothing has been read in it.
    pub(crate) fn end_epoch(&self) {
        if let Some(run) = self.lock().run.upgrade() {
            run.end_epoch(run.epoch(), EpochEvent::Asked);
        }
    }

    /// Whether every epoch below `epoch` has become durable. If not, `waker` is woken when more of
    /// them have.
    pub(crate) fn is_durable_below(&self, epoch: Epoch, waker: &Waker) -> bool {
        let run = self.lock().run.upgrade();
        run.is_none_or(|run| run.has_landed(epoch, waker))
    }

    /// Lets the handle stop a run that is about to be built.
    pub(crate) fn attach(&self, run: &Arc<RunState>) {
        self.lock().run = Arc::downgrade(run);
        self.tell();
    }

    /// Whether the run has been told to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        let inner = self.lock();
        inner.stop || inner.stop_at_once
    }

    /// Notes that the run may change its store from now on. Returns false if it has been told to
    /// stop.
    pub(crate) fn begin(&self) -> bool {
        let mut inner = self.lock();
        inner.has_begun = !inner.stop && !inner.stop_at_once;
        inner.has_begun
    }

    /// Notes the progress of a run that has ended.
    pub(crate) fn end(&self, run: &RunState, skipped_by_sources: u64) {
        let mut ended = progress(run);
        ended.records += skipped_by_sources;
        self.lock().ended = Some(ended);
    }

    fn tell(&self) {
        let (run, stop, at_once) = {
            let inner = self.lock();
            (inner.run.upgrade(), inner.stop, inner.stop_at_once)
        };
        let Some(run) = run else { return };
        if stop {
            run.ask_to_stop();
        }
        if at_once {
            run.abort(AbortReason::CutShort);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

fn progress(run: &RunState) -> Progress {
    Progress {
        records: run.records_read(),
        durable: run.durable(),
    }
}
