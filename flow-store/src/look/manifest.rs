//! Finds out what a start from this look would do to the steps of the store.

use super::Look;
use crate::error::StoreError;
use crate::manifest::{Agreed, Manifest, Notice, Stored, reconcile};
use crate::retain::Retain;
use crate::step::StepSpec;

impl Look {
    /// Finds out what a start would do to the steps of the store, without writing anything.
    ///
    /// A step of the flow is found by its id, or by an id that it was renamed from. Otherwise it is
    /// new, and gets a number that no step had before. A stored step whose id is in `agreed` is
    /// dropped with all its rows. If the flow still has it, it starts empty.
    ///
    /// # Errors
    ///
    /// - [`UnknownSteps`](crate::StepsError::UnknownSteps): steps of the store that the flow does
    ///   not have, and that are not to be dropped.
    /// - [`KindChanged`](crate::StepsError::KindChanged): a step is of another kind.
    /// - [`KeyChanged`](crate::StepsError::KeyChanged),
    ///   [`StateChanged`](crate::StepsError::StateChanged): a type has changed and can't be read or
    ///   converted.
    /// - [`NoSuchStep`](crate::StepsError::NoSuchStep): a step to drop is not in the store.
    /// - [`SameId`](crate::StepsError::SameId): two steps of the flow have one id.
    /// - [`RenameOfTwo`](crate::StepsError::RenameOfTwo),
    ///   [`RenamedTwice`](crate::StepsError::RenamedTwice),
    ///   [`RenameInUse`](crate::StepsError::RenameInUse): a renaming is ambiguous.
    /// - [`TooManySteps`](crate::StepsError::TooManySteps): no number is left for a new step.
    pub fn reconcile(&self, flow: &[StepSpec], agreed: &Agreed) -> Result<Manifest, StoreError> {
        let stored = Stored {
            directory: &self.place.directory,
            steps: self.steps(),
            next_step: self
                .contents
                .as_ref()
                .map_or(0, |contents| contents.meta.next_step),
            basis: self.basis(),
        };
        let mut manifest = reconcile(&stored, flow, agreed)?;
        if let (Some(to), Some(contents)) = (self.back_to, &self.contents) {
            let from = contents.meta.epoch;
            if from != to {
                manifest.notices.push(Notice::GoesBack { from, to });
            }
        }
        if self.is_new() && !self.place.has_durable_names() {
            manifest.notices.push(Notice::NoDirectorySync);
        }
        let epochs = self.retained().len();
        if self.retain == Retain::Nothing && epochs > 0 {
            manifest.notices.push(Notice::Forgets { epochs });
        }
        Ok(manifest)
    }
}
