//! How many bytes of deltas may stay unfolded, if a test sets it: otherwise short tests would never
//! fold.
//!
//! With the feature `fail-points` it is the environment variable `FLOW_UNFOLDED`. With the feature
//! `fuzzing` the fuzz target sets it.

/// The number of bytes, if a test has set one.
pub(crate) fn unfolded() -> Option<u64> {
    if cfg!(test) {
        return Some(400);
    }
    #[cfg(feature = "fuzzing")]
    return Some(fuzzed::unfolded());
    #[cfg(not(feature = "fuzzing"))]
    of_environment()
}

#[cfg(not(feature = "fuzzing"))]
fn of_environment() -> Option<u64> {
    if cfg!(not(feature = "fail-points")) {
        return None;
    }
    static UNFOLDED: std::sync::LazyLock<Option<u64>> =
        std::sync::LazyLock::new(|| std::env::var("FLOW_UNFOLDED").ok()?.parse().ok());
    *UNFOLDED
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    static UNFOLDED: AtomicU64 = AtomicU64::new(4 << 20);

    pub(crate) fn set(bytes: u64) {
        UNFOLDED.store(bytes, Relaxed);
    }

    pub(super) fn unfolded() -> u64 {
        UNFOLDED.load(Relaxed)
    }
}
