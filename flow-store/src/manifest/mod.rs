//! The steps that the flow has against the steps that the store has: pure functions and data.

mod notice;
mod reconcile;
mod rewrite;

pub use notice::Notice;
pub(crate) use reconcile::{Stored, reconcile};

use crate::schema::Difference;
use crate::step::StoredStep;
use std::collections::BTreeSet;

/// What a start has to do with the rows of a step before the flow can go on from them, because a
/// type is another one than it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrite {
    /// The number under which the rows are now. All of them go; the start writes those that take
    /// their place, under the step's number in the manifest.
    pub from: u16,
    /// Which of [`Schemas::old_keys`](crate::Schemas::old_keys) the keys have; `None` if the keys
    /// are as they were.
    pub old_key: Option<usize>,
    /// Which of [`Schemas::old_states`](crate::Schemas::old_states) the states have; `None` if they
    /// are to be read as the present type.
    pub old_state: Option<usize>,
    /// What is not in the state as it was.
    pub differences: Vec<Difference>,
}

/// What the user agreed to lose.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agreed {
    /// The ids of stored steps whose rows may go (`--drop-state`), whether the flow still has a
    /// step of that id, which then starts empty, or not.
    pub drop_steps: BTreeSet<String>,
}

/// What a start will do to the steps of the store; made by
/// [`Look::reconcile`](crate::Look::reconcile), carried out by [`Look::start`](crate::Look::start).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Manifest {
    /// The number of each step, by its position in the flow's list.
    pub numbers: Vec<u16>,
    /// The steps whose rows go.
    pub dropped: Vec<StoredStep>,
    /// Those steps, by their position in the flow's list, whose rows are to be written anew.
    pub rewrites: Vec<Option<Rewrite>>,
    /// What the user should be told.
    pub notices: Vec<Notice>,
    /// The steps whose rows are written anew under another number.
    pub(crate) replaced: Vec<StoredStep>,
    /// All steps as the store will have them.
    pub(crate) steps: Vec<StoredStep>,
    /// The number of the next step that is new; `u16::MAX + 1` when none is left.
    pub(crate) next_step: u32,
    /// What this was made from.
    pub(crate) basis: Basis,
}

/// Which state of which store a manifest was made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Basis {
    pub(crate) store: Option<uuid::Uuid>,
    pub(crate) execution: u64,
    pub(crate) maintained: u64,
}
