//! Ending a run from outside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::engine::{Failed, RunState};

/// Stops a run from another thread or a signal handler's.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # let (out, _seen) = sink::collect();
/// let runner = Runner::new(move |flow| {
///     flow.source(source::from_iter(0u64..)).sink(out.clone());
/// });
/// let stop = runner.stop_handle();
/// let run = std::thread::spawn(move || runner.run());
/// stop.stop();
/// assert_eq!(run.join().unwrap().unwrap().ended, flow::Ended::Stopped);
/// ```
#[derive(Clone, Default)]
pub struct StopHandle(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    asked: bool,
    at_once: bool,
    run: Weak<RunState>,
}

impl StopHandle {
    /// Lets the sources stop at their next record, ends and commits the last epoch, and ends the run.
    pub fn stop(&self) {
        self.lock().asked = true;
        self.tell();
    }

    /// Ends the run without committing what is open, as safely as a kill.
    pub fn stop_at_once(&self) {
        self.lock().at_once = true;
        self.tell();
    }

    pub(crate) fn attach(&self, run: &Arc<RunState>) {
        self.lock().run = Arc::downgrade(run);
        self.tell();
    }

    fn tell(&self) {
        let (run, asked, at_once) = {
            let inner = self.lock();
            (inner.run.upgrade(), inner.asked, inner.at_once)
        };
        if let Some(run) = run {
            if asked {
                run.ask_to_stop();
            }
            if at_once {
                run.abort(Failed::CutShort);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
