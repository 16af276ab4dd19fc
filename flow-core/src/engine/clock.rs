//! The clock by which a run ends its epochs.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::lock::{Mutex, MutexGuard};

/// The clock of a run: the system's, or one that a test moves by hand.
///
/// It decides when an epoch is old enough, when an idle reader is asked again, and when a source
/// lets other steps run.
///
/// ```
/// use std::time::Duration;
/// use flow::Clock;
///
/// let clock = Clock::manual();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now() - start, Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Manual>>);

struct Manual {
    start: Instant,
    start_time: Timestamp,
    state: Mutex<ManualState>,
}

#[derive(Default)]
struct ManualState {
    passed: Duration,
    listeners: Vec<Listener>,
}

/// Called whenever the time has changed. Returns false when it need not be called any more.
type Listener = Arc<dyn Fn() -> bool + Send + Sync>;

impl Manual {
    fn lock(&self) -> MutexGuard<'_, ManualState> {
        self.state.lock()
    }
}

impl fmt::Debug for Manual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manual")
            .field("passed", &self.lock().passed)
            .finish_non_exhaustive()
    }
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Clock(None)
    }

    /// A clock that stands still until it is advanced. Its clones are the same clock.
    #[must_use]
    pub fn manual() -> Self {
        Clock::manual_at(Timestamp::UNIX_EPOCH)
    }

    /// A manual clock that begins at a time of day.
    #[must_use]
    pub fn manual_at(time: Timestamp) -> Self {
        Clock(Some(Arc::new(Manual {
            start: Instant::now(),
            start_time: time,
            state: Mutex::default(),
        })))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(manual) => manual.start + manual.lock().passed,
        }
    }

    /// The current time of day. A manual clock begins at the start of the year 1970, in UTC, unless
    /// it was made with [`manual_at`](Clock::manual_at).
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        match &self.0 {
            None => Timestamp::now(),
            Some(manual) => {
                let passed = manual.lock().passed;
                let time = manual.start_time.saturating_add(passed);
                time.unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Advances a manual clock, and tells the time to every run that uses it. Does nothing to the
    /// system's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            let listeners = {
                let mut state = manual.lock();
                state.passed += by;
                state.listeners.clone()
            };
            for listener in listeners {
                if !listener() {
                    let mut state = manual.lock();
                    state
                        .listeners
                        .retain(|other| !Arc::ptr_eq(other, &listener));
                }
            }
        }
    }

    pub(crate) fn is_system(&self) -> bool {
        self.0.is_none()
    }

    /// Calls `listener` whenever a manual clock is advanced, until it returns false.
    pub(crate) fn on_advance(&self, listener: impl Fn() -> bool + Send + Sync + 'static) {
        if let Some(manual) = &self.0 {
            manual.lock().listeners.push(Arc::new(listener));
        }
    }
}
