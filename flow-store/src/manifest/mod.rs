//! Compares the steps of the flow with those of the store: pure functions and data.

mod notice;
mod reconcile;
mod rewrite;

pub use notice::Notice;
pub(crate) use reconcile::{Stored, reconcile};

use crate::schema::Difference;
use crate::step::StoredStep;
use std::collections::BTreeSet;

/// How a start must rewrite the rows of a step, because a type has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrite {
    /// The number of the present rows. The start removes all of them, and writes their replacements
    /// under the step's number in the manifest.
    pub from: u16,
    /// The index in [`Schemas::old_keys`](crate::Schemas::old_keys) of the stored keys' type;
    /// `None` if the keys are unchanged.
    pub old_key: Option<usize>,
    /// The index in [`Schemas::old_states`](crate::Schemas::old_states) of the stored states' type;
    /// `None` if they are read as the present type.
    pub old_state: Option<usize>,
    /// The differences between the stored state type and the present one.
    pub differences: Vec<Difference>,
}

/// The rows that the user has agreed to lose.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agreed {
    /// The ids of stored steps whose rows may be dropped (`--drop-state`). If the flow still has
    /// such a step, it starts empty.
    pub drop_steps: BTreeSet<String>,
}

/// What a start does to the steps of the store.
///
/// [`Look::reconcile`](crate::Look::reconcile) makes it, and [`Look::start`](crate::Look::start)
/// carries it out.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Manifest {
    /// The number of each step of the flow, in the order of the flow's list.
    pub numbers: Vec<u16>,
    /// The steps whose rows are dropped.
    pub dropped: Vec<StoredStep>,
    /// How the rows of each step are rewritten, if they are, in the order of the flow's list.
    pub rewrites: Vec<Option<Rewrite>>,
    /// What the user should be told.
    pub notices: Vec<Notice>,
    /// The steps whose rows are rewritten under another number.
    pub(crate) replaced: Vec<StoredStep>,
    /// All steps that the store will have.
    pub(crate) steps: Vec<StoredStep>,
    /// The number of the next new step; `u16::MAX + 1` if none is left.
    pub(crate) next_step: u32,
    /// The state of the store that this was made from.
    pub(crate) basis: Basis,
}

/// The state of the store that a manifest was made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Basis {
    pub(crate) store: Option<uuid::Uuid>,
    pub(crate) execution: u64,
    pub(crate) maintained: u64,
}
