//! A case: one flow, one input, one crash plan.

use std::{fmt, sync::Arc};

use proptest::prelude::*;

use crate::{
    description::{self, Description},
    input::{self, Input},
    plan::{self, Plan},
};

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) description: Arc<Description>,
    pub(crate) input: Arc<Input>,
    pub(crate) plan: Plan,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n    flow:{:?}\n    input:", self.description)?;
        for (source, index, partition) in self.input.partitions() {
            let lane = input::lane(source, index);
            let kind = if self.input.is_file(source) {
                "file "
            } else {
                ""
            };
            write!(f, "\n        {kind}{lane}: {partition:?}")?;
        }
        write!(f, "\n    runs:")?;
        for run in &self.plan {
            write!(f, "\n        {run:?}")?;
        }
        Ok(())
    }
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// A few records in a partition; each counts, in epochs of all kinds.
    Small,
    /// Thousands of records in a partition, in large epochs.
    Large,
}

/// Any case of a size.
pub(crate) fn cases(size: Size) -> impl Strategy<Value = Case> {
    let drawn = (description::drawn(), input::input(size), plan::drawn(size));
    drawn.prop_map(|(flow, input, plan)| {
        let description = flow.over(input.sources.len());
        Case {
            plan: plan.over(&description, &input),
            description: Arc::new(description),
            input: Arc::new(input),
        }
    })
}
