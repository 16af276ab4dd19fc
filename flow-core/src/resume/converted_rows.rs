//! Whether the workers together took each row of a step with converted keys exactly once.

use crate::graph::StepIndex;

/// The rows that a worker took of a step whose keys are converted.
///
/// Every worker reads all rows of such a step. It counts them and adds up the hashes of their old
/// keys. With the hashes, a row that two workers took can't hide one that no worker took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConvertedRows {
    pub(crate) step: StepIndex,
    /// The number of all rows, and the sum of their hashes.
    pub(crate) all: (u64, u64),
    /// The same of the rows that the worker took.
    pub(crate) own: (u64, u64),
}

impl ConvertedRows {
    pub(crate) fn add(sum: &mut (u64, u64), key: &[u8]) {
        sum.0 += 1;
        sum.1 = sum.1.wrapping_add(flow_store::hash(key));
    }

    /// Finds a step whose rows the workers together did not take exactly once.
    pub(crate) fn scattered(taken: &[ConvertedRows]) -> Option<ConvertedRows> {
        taken.iter().find_map(|first| {
            let mut sum = ConvertedRows {
                own: (0, 0),
                ..*first
            };
            for worker in taken.iter().filter(|worker| worker.step == first.step) {
                sum.own.0 += worker.own.0;
                sum.own.1 = sum.own.1.wrapping_add(worker.own.1);
            }
            (sum.own != sum.all).then_some(sum)
        })
    }
}
