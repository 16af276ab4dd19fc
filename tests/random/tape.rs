//! An exactly-once sink for tests: it keeps its output in memory, and fails at a chosen place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use flow::sink::{Guarantee, OutputId, Shards, Sink, SinkError, SyncOutput, Writer};

use crate::{description::Item, faults::Probe};

/// The written items. All clones share one tape.
#[derive(Clone, Default)]
pub(crate) struct Tape(Arc<Mutex<Written>>);

/// The content of a tape.
#[derive(Clone, Default)]
pub(crate) struct Written {
    shards: BTreeMap<u32, Shard>,
    /// The number of the next item, over all shards.
    next: u64,
}

#[derive(Clone, Default)]
struct Shard {
    items: Vec<(u64, Item)>,
    /// How many of them are durable.
    synced: usize,
}

impl Tape {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap()
    }

    /// The content that a kill would leave now.
    pub(crate) fn copy(&self) -> Written {
        self.lock().clone()
    }

    /// Restores the content of a copy.
    pub(crate) fn restore(&self, copy: Written) {
        *self.lock() = copy;
    }

    /// The items up to a position in each shard, in the order of writing, and the number of items
    /// after them.
    ///
    /// Fails if a position is after the durable items.
    pub(crate) fn upto(
        &self,
        positions: &BTreeMap<u32, u64>,
    ) -> Result<(Vec<Item>, usize), String> {
        let written = self.lock();
        let (mut items, mut behind) = (Vec::new(), 0);
        for (number, shard) in &written.shards {
            let position = positions.get(number).copied().unwrap_or(0);
            let position = usize::try_from(position).unwrap();
            if position > shard.synced {
                let synced = shard.synced;
                return Err(format!(
                    "{position} items of output {number} are committed, {synced} are durable"
                ));
            }
            items.extend_from_slice(&shard.items[..position]);
            behind += shard.items.len() - position;
        }
        items.sort_by_key(|(number, _)| *number);
        Ok((items.into_iter().map(|(_, item)| item).collect(), behind))
    }
}

/// The tape as the sink of a run.
pub(crate) struct TapeSink {
    pub(crate) tape: Tape,
    pub(crate) shards: Shards,
    pub(crate) node: usize,
    pub(crate) probe: Arc<Probe>,
}

pub(crate) struct TapeWriter {
    tape: Tape,
    node: usize,
    probe: Arc<Probe>,
    shard: u32,
    written: usize,
}

impl Sink for TapeSink {
    type Item = Item;
    type Position = u64;
    type Writer = TapeWriter;

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn shards(&self) -> Shards {
        self.shards
    }

    fn open(&self, output: &OutputId, resume: Option<u64>) -> Result<TapeWriter, SinkError> {
        let shard = output.shard();
        let there = self
            .tape
            .lock()
            .shards
            .get(&shard)
            .map_or(0, |shard| shard.items.len());
        let written = match resume {
            None if there > 0 => return Err(SinkError::new("the store does not know this tape")),
            resume => usize::try_from(resume.unwrap_or(0)).unwrap(),
        };
        if written > there {
            return Err(SinkError::new("the tape has lost items"));
        }
        Ok(TapeWriter {
            tape: self.tape.clone(),
            node: self.node,
            probe: self.probe.clone(),
            shard,
            written,
        })
    }
}

impl Writer for TapeWriter {
    type Item = Item;
    type Position = u64;

    fn position(&self) -> u64 {
        self.written as u64
    }

    fn start(&mut self) -> Result<(), SinkError> {
        let mut tape = self.tape.lock();
        let shard = tape.shards.entry(self.shard).or_default();
        shard.items.truncate(self.written);
        shard.synced = self.written;
        Ok(())
    }

    fn write(&mut self, items: &mut Vec<Item>) -> Result<(), SinkError> {
        self.probe.write(self.node).map_err(SinkError::new)?;
        self.written += items.len();
        let mut tape = self.tape.lock();
        let tape = &mut *tape;
        let shard = tape.shards.entry(self.shard).or_default();
        for item in items.drain(..) {
            shard.items.push((tape.next, item));
            tape.next += 1;
        }
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(u64, Option<SyncOutput>), SinkError> {
        self.probe.close(self.node).map_err(SinkError::new)?;
        let (tape, probe) = (self.tape.clone(), self.probe.clone());
        let (node, shard, written) = (self.node, self.shard, self.written);
        let sync = SyncOutput::new(move || {
            probe.sync(node).map_err(std::io::Error::other)?;
            let mut tape = tape.lock();
            let shard = tape.shards.entry(shard).or_default();
            shard.synced = shard.synced.max(written);
            Ok(())
        });
        Ok((written as u64, Some(sync)))
    }
}
