//! The step behind a shuffle that keeps a state for each key.

use std::{rc::Rc, sync::Arc};

use flow_store::Epoch;

use super::Table;
use crate::{
    chain::{At, BoxConsumer, Fault, InletId, Keyed, Parcel, Port},
    engine::{Head, HeadContext, Made, Rows, Task},
    error::{BoxError, ResumeError, RunError},
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
        let mut table = Table::new();
        restore(&mut table, &codec, context)?;
        let next = port.build(&mut context.wiring);
        let task = Box::new(Stateful {
            at: context.wiring.whereabouts.of(index),
            number: context.store_number(),
            table,
            codec,
            skips: context.wiring.skips.clone(),
            f,
            out: Vec::new(),
            next,
            input: std::marker::PhantomData,
        });
        Ok(Made::Step { inlet, task })
    })
}

/// Decodes what the store holds for this worker's keys; refuses what no longer decodes.
fn restore<K: Key, S: 'static>(
    table: &mut Table<K, S>,
    codec: &StateCodec<S>,
    context: &HeadContext<'_>,
) -> Result<(), RunError> {
    let step = context.id();
    context.wiring.whereabouts.of(context.step).enter();
    let key_error = |cause: String| ResumeError::Key {
        step: step.clone(),
        key: crate::names::short(std::any::type_name::<K>()),
        cause,
    };
    let mut bytes = Vec::new();
    for row in context.state_rows()? {
        let row = row.map_err(ResumeError::from)?;
        let shown = || key_text(&row.key);
        let key = K::decode(&row.key)
            .map_err(|error| key_error(format!("the stored key {}: {error}", shown())))?;
        bytes.clear();
        key.encode(&mut bytes)
            .map_err(|error| key_error(error.to_string()))?;
        if bytes != row.key {
            return Err(key_error(format!(
                "the stored key {} would now be written as {}",
                shown(),
                key_text(&bytes)
            ))
            .into());
        }
        let state = (codec.decode)(&row.value).map_err(|error| ResumeError::State {
            step: step.clone(),
            key: shown(),
            state: crate::names::short(std::any::type_name::<S>()),
            cause: error.to_string(),
        })?;
        table
            .restore(flow_store::hash(&row.key), key, state)
            .map_err(|error| key_error(error.to_string()))?;
    }
    Ok(())
}

/// A key's MessagePack bytes as a person would write them.
pub(crate) fn key_text(bytes: &[u8]) -> String {
    match flow_store::decode::<serde_json::Value>(bytes) {
        Ok(value) => value.to_string(),
        Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

struct Stateful<K, V, S, W, F> {
    at: At,
    number: Option<u16>,
    table: Table<K, S>,
    codec: StateCodec<S>,
    skips: Arc<Skips>,
    f: F,
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
        let Keyed::<K, V>(records) = parcel.open().map_err(|error| self.at.fault(error))?;
        for record in records {
            let state = match self.table.touch(record.hash, &record.key) {
                Ok(state) => state,
                Err(error) => return Err(self.at.fault(error)),
            };
            match (self.f)(&record.key, state, record.value) {
                Ok(Some(out)) => self.out.push((record.key, out)),
                Ok(None) => self.skips.add(self.at.step()),
                Err(error) => return Err(self.at.fault(error)),
            }
        }
        self.next.push_batch(&mut self.out)
    }

    fn close(&mut self, _: Epoch, rows: &mut Rows) -> Result<(), Fault> {
        self.at.enter();
        self.table
            .snapshot(self.number, &self.codec, &mut rows.changes)
            .map_err(|error| self.at.fault(error))
    }
}
