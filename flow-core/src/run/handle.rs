//! A run as seen from another thread: how far it is, and ending it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use flow_store::Epoch;

use crate::engine::{Failed, RunState};

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
    run: Weak<RunState>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many records its sources have read.
    pub records: u64,
    /// The last epoch that it has made durable.
    pub durable: Option<Epoch>,
}

impl RunHandle {
    /// Lets the sources stop at their next record, ends and commits the last epoch, and ends the run.
    pub fn stop(&self) {
        self.lock().stop = true;
        self.tell();
    }

    /// Ends the run without committing what is open, as safely as a kill.
    pub fn stop_at_once(&self) {
        self.lock().stop_at_once = true;
        self.tell();
    }

    /// How far the run is; `None` before it has started and after it has ended.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let run = self.lock().run.upgrade()?;
        Some(Progress {
            records: run.records_read(),
            durable: run.durable().map(Epoch::from_u64),
        })
    }

    pub(crate) fn attach(&self, run: &Arc<RunState>) {
        self.lock().run = Arc::downgrade(run);
        self.tell();
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
            run.abort(Failed::CutShort);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
