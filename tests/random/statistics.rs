//! Counts what happened in a campaign: cases in which nothing goes wrong prove nothing.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
};

use crate::faults::Fault;

#[derive(Default)]
pub(crate) struct Statistics(Mutex<Counts>);

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) runs: u64,
    /// How many faults of each kind have happened.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) aborted: u64,
    /// How many of those had made something durable.
    pub(crate) aborted_halfway: u64,
}

impl Statistics {
    /// Counts a run.
    pub(crate) fn count(&self, happened: &[Fault], has_aborted: bool, has_moved: bool) {
        let mut counts = self.lock();
        counts.runs += 1;
        for fault in happened {
            *counts.faults.entry(fault.name()).or_default() += 1;
        }
        counts.aborted += u64::from(has_aborted);
        counts.aborted_halfway += u64::from(has_aborted && has_moved);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap()
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.lock();
        let (runs, aborted, halfway) = (counts.runs, counts.aborted, counts.aborted_halfway);
        write!(
            f,
            "{runs} runs, {aborted} aborted, {halfway} of them halfway"
        )?;
        for (fault, count) in &counts.faults {
            write!(f, "; {count} {fault}")?;
        }
        Ok(())
    }
}
