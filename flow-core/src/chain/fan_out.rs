//! Streams that are used several times, or not at all.

use super::{Batch, BoxConsumer, Consumer, Fault, StepContext};

/// Pushes batches into branches, one after the other, and keeps the failure of the earliest record.
#[derive(Default)]
pub(crate) struct Branches(Option<Fault>);

impl Branches {
    /// Pushes a batch into a branch. If a record failed in an earlier branch, what came from it and
    /// from later ones is left out.
    pub(crate) fn push<T>(
        &mut self,
        branch: &mut BoxConsumer<T>,
        batch: &mut Batch<T>,
    ) -> Result<(), Fault> {
        if let Some(place) = self.0.as_ref().and_then(Fault::parent) {
            batch.keep_before(place);
        }
        if batch.is_empty() {
            return Ok(());
        }
        match branch.push_batch(batch) {
            // A record that failed in an earlier branch stands behind this one, so this failure is
            // the first.
            Err(fault) if fault.parent().is_some() => self.0 = Some(fault),
            other => other?,
        }
        Ok(())
    }

    pub(crate) fn end(self) -> Result<(), Fault> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Gives every record to each of several consumers.
pub(crate) struct FanOut<T> {
    /// The step that made the records. A panic of their `Clone` is attributed to it.
    at: StepContext,
    consumers: Vec<BoxConsumer<T>>,
    duplicate: fn(&T) -> T,
    copy: Batch<T>,
}

impl<T> FanOut<T> {
    pub(crate) fn new(
        at: StepContext,
        consumers: Vec<BoxConsumer<T>>,
        duplicate: fn(&T) -> T,
    ) -> Self {
        FanOut {
            at,
            consumers,
            duplicate,
            copy: Batch::new(),
        }
    }
}

impl<T> Consumer<T> for FanOut<T> {
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault> {
        let mut branches = Branches::default();
        if let Some((last, others)) = self.consumers.split_last_mut() {
            for consumer in others {
                batch.copy(&self.at, &mut self.copy, self.duplicate);
                branches.push(consumer, &mut self.copy)?;
            }
            branches.push(last, batch)?;
        }
        branches.end()
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        let mut more = false;
        for consumer in &mut self.consumers {
            more |= consumer.resume()?;
        }
        Ok(more)
    }
}

/// The end of a stream without consumers.
pub(crate) struct Nowhere;

impl<T> Consumer<T> for Nowhere {
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault> {
        batch.clear();
        Ok(())
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }
}
