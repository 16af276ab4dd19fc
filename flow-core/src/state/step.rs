//! The step behind a shuffle that keeps a state for each key.

use std::{rc::Rc, sync::Arc};

use flow_store::Epoch;

use super::{
    Table,
    restore::restore,
    table::{AT_A_TIME, Place},
};
use crate::{
    chain::{At, BoxConsumer, Fault, InletId, Keyed, Parcel, Port, recycle},
    engine::{Head, Made, Rows, Task},
    error::BoxError,
    graph::StepIndex,
    record::{Key, Record, StateCodec},
    run::Skips,
};

/// What makes the step on a worker.
pub(crate) fn head<K, V, S, W, F>(
    index: StepIndex,
    inlet: InletId,
    codec: StateCodec<S>,
    f: F,
    port: Rc<Port<(K, W)>>,
) -> Head
where
    K: Key,
    V: Record,
    S: 'static,
    W: 'static,
    F: FnMut(&K, &mut Option<S>, V) -> Result<Option<W>, BoxError> + 'static,
{
    Head::new(index, move |context| {
        let mut table = restore(&codec, context)?;
        let number = context.store_number();
        if number.is_none() {
            table.write_nothing();
        }
        let next = port.build(&mut context.wiring);
        let task = Box::new(Stateful {
            at: context.wiring.whereabouts.of(index),
            number,
            table,
            codec,
            skips: context.wiring.skips.clone(),
            f,
            places: Vec::new(),
            out: Vec::new(),
            next,
            input: std::marker::PhantomData,
        });
        Ok(Made::Step { inlet, task })
    })
}

/// A key's MessagePack bytes as a person would write them.
pub(crate) fn key_text(bytes: &[u8]) -> String {
    match flow_store::decode::<serde_json::Value>(bytes) {
        Ok(value) => value.to_string(),
        Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn key_bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    // It has been encoded to be routed.
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

struct Stateful<K, V, S, W, F> {
    at: At,
    number: Option<u16>,
    table: Table<K, S>,
    codec: StateCodec<S>,
    skips: Arc<Skips>,
    f: F,
    /// Where the records at hand have their states.
    places: Vec<Place>,
    out: Vec<(K, W)>,
    next: BoxConsumer<(K, W)>,
    input: std::marker::PhantomData<fn(V)>,
}

impl<K, V, S, W, F> Task for Stateful<K, V, S, W, F>
where
    K: Key,
    V: Record,
    F: FnMut(&K, &mut Option<S>, V) -> Result<Option<W>, BoxError>,
{
    fn receive(&mut self, parcel: Parcel) -> Result<(), Fault> {
        self.at.enter();
        let batch = parcel.open::<Keyed<K, V>>();
        let mut batch = batch.map_err(|error| self.at.fault(error))?;
        let Keyed {
            hashes, records, ..
        } = &mut *batch;
        self.out.reserve(records.len());
        let mut records = records.drain(..);
        for hashes in hashes.chunks(AT_A_TIME) {
            let found = self
                .table
                .find(hashes, records.as_slice(), &mut self.places);
            found.map_err(|error| self.at.fault(error))?;
            for (place, (key, value)) in self.places.iter().zip(&mut records) {
                let f = |state: &mut _| (self.f)(&key, state, value);
                match self.table.update(*place, f) {
                    Ok(Some(out)) => self.out.push((key, out)),
                    Ok(None) => self.skips.add(self.at.step()),
                    Err(cause) => {
                        let key = key_text(&key_bytes(&key));
                        return Err(self.at.fault(ForKey { key, cause }));
                    }
                }
            }
        }
        drop(records);
        recycle(batch);
        self.next.push_batch(&mut self.out)
    }

    fn close(&mut self, _: Epoch, rows: &mut Rows) -> Result<(), Fault> {
        self.at.enter();
        self.table
            .snapshot(self.number, &self.codec, &mut rows.changes)
            .map_err(|error| self.at.fault(error))
    }
}
