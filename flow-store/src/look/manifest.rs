//! What a start from this look would do to the steps of the store.

use super::Look;
use crate::error::StoreError;
use crate::manifest::{Agreed, Manifest, Notice, Stored, reconcile};
use crate::retain::Retain;
use crate::step::StepSpec;

impl Look {
    /// Finds what a start would do to the steps of the store; writes nothing.
    ///
    /// A step of the flow is found by its id, or by one it was renamed from; one that is not found
    /// gets a number that no step had before. A stored step whose id is in `agreed` is dropped with
    /// all its rows, and starts empty if the flow still has it.
    ///
    /// # Errors
    ///
    /// [`UnknownSteps`](crate::StepsError::UnknownSteps) that the flow lacks and nobody agreed to
    /// drop, a [changed kind](crate::StepsError::KindChanged), a step to drop that [is not
    /// there](crate::StepsError::NoSuchStep), one id for [two steps](crate::StepsError::SameId), a
    /// renaming that can be read in two ways ([`RenameOfTwo`](crate::StepsError::RenameOfTwo),
    /// [`RenamedTwice`](crate::StepsError::RenamedTwice),
    /// [`RenameInUse`](crate::StepsError::RenameInUse)), or [no number
    /// left](crate::StepsError::TooManySteps).
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
