//! Whether the workers, together, took each row of a step whose keys are converted once.

use crate::graph::StepIndex;

/// What a worker took of a step whose keys are converted, of which every worker reads all rows.
///
/// Rows are counted, and the hashes of their old keys are added up, so that one which two workers
/// took does not make up for one that none did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConvertedRows {
    pub(crate) step: StepIndex,
    /// Of all rows that there are.
    pub(crate) all: (u64, u64),
    /// Of those that the worker took.
    pub(crate) own: (u64, u64),
}

impl ConvertedRows {
    pub(crate) fn add(sum: &mut (u64, u64), key: &[u8]) {
        sum.0 += 1;
        sum.1 = sum.1.wrapping_add(flow_store::hash(key));
    }

    /// The step of which the workers, together, did not take each row once.
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
