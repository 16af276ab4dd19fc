//! What a run resumes from: a look at the store, and what a start made of it.

mod conversions;
mod converted_rows;
mod keys;
mod notice;
mod partitions;
mod renames;

use std::collections::BTreeSet;

use flow_store::{Look, Manifest, Rewrite, StoredStep};

pub(crate) use conversions::{Conversion, Conversions, Read};
pub(crate) use converted_rows::ConvertedRows;
pub(crate) use keys::{AllKeys, Keys};
pub use notice::Notice;
pub(crate) use partitions::{Settled, Unsettled};
pub(crate) use renames::Renames;

use crate::{
    error::TypeChange,
    graph::{Graph, StepIndex},
};

/// The group of tokens and positions, which are not spread by key.
pub(crate) const NO_GROUP: u16 = 0;

/// What a run resumes from.
pub(crate) struct Resume {
    pub(crate) look: Look,
    pub(crate) manifest: Manifest,
    /// The place in the manifest of each step; `None` for steps that it does not hold.
    pub(crate) places: Vec<Option<usize>>,
    /// The keys on all workers.
    pub(crate) keys: AllKeys,
    /// What was settled about the partitions of each source.
    pub(crate) settled: Vec<(StepIndex, Settled)>,
    /// Partitions of which the rest of a line is left unread.
    pub(crate) skip_rest_of_line: BTreeSet<String>,
}

impl Resume {
    /// The number of a step in the store.
    pub(crate) fn number(&self, step: StepIndex) -> Option<u16> {
        let place = (*self.places.get(step.as_usize())?)?;
        self.manifest.numbers.get(place).copied()
    }

    /// How the rows of a step are to be rewritten, if at all.
    pub(crate) fn rewrite(&self, step: StepIndex) -> Option<&Rewrite> {
        let place = (*self.places.get(step.as_usize())?)?;
        self.manifest.rewrites.get(place)?.as_ref()
    }

    /// How the type of the values that a step keeps has changed.
    pub(crate) fn change(&self, graph: &Graph, step: StepIndex) -> TypeChange {
        let stored = self.stored(step);
        let id = stored.map_or_else(|| graph.id(step), |stored| stored.id.clone());
        let schema = stored.and_then(|stored| stored.state_schema.as_ref());
        let Some(rewrite) = self.rewrite(step) else {
            return match schema {
                Some(schema) if !schema.has_any() => TypeChange::none(id),
                _ => TypeChange::unknown(id),
            };
        };
        let mut change = TypeChange::of(id, rewrite, schema);
        let known = graph.steps().get(step.as_usize());
        if let (None, Some(known)) = (rewrite.old_state, known) {
            change.converted_from = known.types.schemas().old_states;
        }
        change
    }

    /// The stored step whose rows this step resumes from.
    pub(crate) fn stored(&self, step: StepIndex) -> Option<&StoredStep> {
        let number = match self.rewrite(step) {
            Some(rewrite) => rewrite.from,
            None => self.number(step)?,
        };
        let mut steps = self.look.steps().iter();
        steps.find(|stored| stored.number == number)
    }
}
