//! The step behind a shuffle that keeps a state for each key.

use flow_store::{Epoch, text_of};

use super::{
    Table,
    emit::Emit,
    restore::restore,
    table::{AT_A_TIME, SlotId},
};
use crate::{
    chain::{Fault, InletId, Keyed, Parcel, StepContext, Wiring, recycle},
    engine::{EpochRows, Head, Operator, Task},
    error::BoxError,
    graph::StepIndex,
    record::{Key, Record, StateCodec},
    time::{Clock, ClockRef, Mark, TimeKind},
};

/// The head of a stateful step: `f` processes a record, and `emit` makes what takes the results.
pub(crate) fn head<K, V, Time, S, R, E, F>(
    index: StepIndex,
    inlet: InletId,
    codec: StateCodec<S>,
    f: F,
    emit: impl FnOnce(&mut Wiring) -> E + 'static,
) -> Head
where
    K: Key,
    V: Record,
    Time: TimeKind,
    S: 'static,
    R: 'static,
    E: Emit<Time, K, R> + 'static,
    F: FnMut(&K, &mut Option<S>, V) -> Result<R, BoxError> + 'static,
{
    Head::new(index, move |context| {
        let mut table = restore(&codec, context)?;
        let number = context.store_number();
        if number.is_none() {
            table.write_nothing();
        }
        let clock = Time::IS_TIMED.then(|| clock_of_step(index, &mut context.wiring));
        let emit = emit(&mut context.wiring);
        let task = Box::new(Stateful {
            clock,
            at: context.wiring.whereabouts.of(index),
            number,
            table,
            codec,
            f,
            ids: Vec::new(),
            emit,
            types: std::marker::PhantomData,
        });
        Ok(Operator::Step { inlet, task })
    })
}

/// The clock of a step behind a shuffle, which leads to all that is attached to the step.
pub(super) fn clock_of_step(step: StepIndex, wiring: &mut Wiring) -> ClockRef {
    let clock = Clock::new(step, 0);
    clock.set_mark(step, Mark::NEVER);
    wiring.clocks.leading.push(clock.clone());
    clock
}

fn key_bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    // The key has been encoded once already, to be routed, so this does not fail.
    let _ = key.encode(&mut bytes);
    bytes
}

/// An error of a step, with the key of the record on which it failed.
#[derive(Debug, thiserror::Error)]
#[error("for key {key}: {cause}")]
struct ForKey {
    key: String,
    #[source]
    cause: BoxError,
}

struct Stateful<K, V, Time, S, R, E, F> {
    /// Its clock, if records have a time.
    clock: Option<ClockRef>,
    at: StepContext,
    number: Option<u16>,
    table: Table<K, S>,
    codec: StateCodec<S>,
    f: F,
    /// The slots of the records at hand.
    ids: Vec<SlotId>,
    emit: E,
    types: std::marker::PhantomData<fn(Time, V) -> R>,
}

impl<K, V, Time, S, R, E, F> Task for Stateful<K, V, Time, S, R, E, F>
where
    K: Key,
    V: Record,
    Time: TimeKind,
    E: Emit<Time, K, R>,
    F: FnMut(&K, &mut Option<S>, V) -> Result<R, BoxError>,
{
    fn receive(&mut self, parcel: Parcel) -> Result<(), Fault> {
        self.at.enter();
        let batch = parcel.open::<Keyed<K, V, Time>>();
        let mut batch = batch.map_err(|error| self.at.fault(error))?;
        let Keyed {
            hashes, records, ..
        } = &mut *batch;
        self.emit.reserve(records.len());
        let mut records = records.drain(..);
        for hashes in hashes.chunks(AT_A_TIME) {
            let keys = records.as_slice().iter().map(|(_, (key, _))| key);
            let found = self.table.find(hashes, keys, &mut self.ids);
            found.map_err(|error| self.at.fault(error.into_cause()))?;
            for (id, (time, (key, value))) in self.ids.iter().zip(&mut records) {
                let f = |state: &mut _| (self.f)(&key, state, value);
                match self.table.update(*id, f) {
                    Ok(result) => self.emit.emit(time, key, result),
                    Err(cause) => {
                        let key = text_of(&key_bytes(&key));
                        return Err(self.at.fault(ForKey { key, cause }));
                    }
                }
            }
        }
        drop(records);
        recycle(batch);
        self.emit.flush()
    }

    fn advance(&mut self, mark: Mark) -> Result<(), Fault> {
        if let Some(clock) = &self.clock {
            clock.set_mark(self.at.step(), mark);
        }
        Ok(())
    }

    fn close(&mut self, _: Epoch, rows: &mut EpochRows) -> Result<(), Fault> {
        self.at.enter();
        self.table
            .snapshot(self.number, &self.codec, &mut rows.changes)
            .map_err(|error| self.at.fault(error))
    }
}
