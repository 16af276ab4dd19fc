//! A stream that is used several times, and one that is not used.

use super::{BoxConsumer, Consumer, Fault};

/// Gives every record to each of several consumers.
pub(crate) struct FanOut<T> {
    consumers: Vec<BoxConsumer<T>>,
    duplicate: fn(&T) -> T,
    copies: Vec<T>,
}

impl<T> FanOut<T> {
    pub(crate) fn new(consumers: Vec<BoxConsumer<T>>, duplicate: fn(&T) -> T) -> Self {
        FanOut {
            consumers,
            duplicate,
            copies: Vec::new(),
        }
    }
}

impl<T> Consumer<T> for FanOut<T> {
    fn push(&mut self, record: T) -> Result<(), Fault> {
        if let Some((last, others)) = self.consumers.split_last_mut() {
            for consumer in others {
                consumer.push((self.duplicate)(&record))?;
            }
            last.push(record)?;
        }
        Ok(())
    }

    fn push_batch(&mut self, records: &mut Vec<T>) -> Result<(), Fault> {
        if let Some((last, others)) = self.consumers.split_last_mut() {
            for consumer in others {
                self.copies.extend(records.iter().map(self.duplicate));
                consumer.push_batch(&mut self.copies)?;
            }
            last.push_batch(records)?;
        }
        Ok(())
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
    fn push(&mut self, _: T) -> Result<(), Fault> {
        Ok(())
    }

    fn push_batch(&mut self, records: &mut Vec<T>) -> Result<(), Fault> {
        records.clear();
        Ok(())
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }
}
