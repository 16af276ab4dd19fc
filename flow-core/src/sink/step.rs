//! The step that writes a sink's outputs.

use std::any::TypeId;

use flow_store::{Checked, End, Epoch, Look, decode, encode};

use super::{NoResume, OutputId, Shards, Sink, Writer};
use crate::{
    chain::{Fault, InletId, Parcel, Plain, StepContext, recycle},
    engine::{EpochRows, Head, HeadContext, Operator, PendingSync, Task},
    error::{BuildError, Kept, NotKept, ResumeError, RunError},
    graph::StepIndex,
    record::State,
    resume::{NO_GROUP, Notice},
};

/// Makes the sink on a worker.
pub(crate) fn head<S: Sink>(index: StepIndex, inlet: InletId, sink: S) -> Head {
    Head::new(index, move |context| {
        let mut checked = Checked::default();
        let outputs = open(&sink, context, &mut checked)?;
        Ok(Operator::Step {
            inlet,
            task: Box::new(Writing::<S::Writer> {
                step: index,
                at: context.wiring.whereabouts.of(index),
                number: keeps_positions::<S>()
                    .then(|| context.store_number())
                    .flatten(),
                outputs,
                checked,
            }),
        })
    })
}

pub(crate) fn keeps_positions<S: Sink>() -> bool {
    TypeId::of::<S::Position>() != TypeId::of::<NoResume>()
}

/// Opens the outputs of this worker. It writes its own, and brings those of runs with more workers
/// only back to their positions.
fn open<S: Sink>(
    sink: &S,
    context: &mut HeadContext<'_>,
    checked: &mut Checked,
) -> Result<Vec<(u32, S::Writer)>, RunError> {
    let (worker, workers) = (context.wiring.worker, context.wiring.workers);
    let step = context.id();
    context.wiring.whereabouts.of(context.step).enter();
    let mut stored = Vec::new();
    for row in context.all_rows()? {
        let row = row.map_err(ResumeError::from)?;
        let position = decode::<u32>(&row.key)
            .and_then(|shard| Ok((shard, S::Position::decode(&row.value)?)))
            .map_err(|error| ResumeError::Token {
                step: step.clone(),
                gone: false,
                part: format!("output {}", flow_store::text_of(&row.key)),
                token: crate::names::short(std::any::type_name::<S::Position>()),
                cause: error.to_string(),
                change: Box::new(context.change()),
            })?;
        stored.push(position);
    }
    let own = match sink.shards() {
        Shards::One if worker != Shards::One.worker(worker, workers) => return Ok(Vec::new()),
        Shards::One => vec![0],
        Shards::PerWorker => {
            let left = stored.iter().map(|(shard, _)| *shard);
            let left = left.filter(|shard| {
                let shard = *shard as usize;
                shard >= workers && shard % workers == worker
            });
            #[allow(clippy::cast_possible_truncation)] // workers are far fewer than 2^32
            std::iter::once(worker as u32).chain(left).collect()
        }
    };
    let mut outputs = Vec::new();
    for shard in own {
        let resume = stored.iter().find(|(stored, _)| *stored == shard);
        let resume = resume.map(|(_, position)| position.clone());
        let resumes = resume.is_some();
        let mut output = OutputId::new(&step, shard);
        if let Some(resume) = context.resume {
            let look = &resume.look;
            output = output
                .in_store(look.uuid(), look.next_execution())
                .after(ended_cleanly(look))
                .after_others_wrote(others_wrote(look));
        }
        let writer = sink.open(&output, resume).map_err(|error| -> RunError {
            let step = step.clone();
            if resumes {
                let stored_id = context.stored_id();
                ResumeError::Sink {
                    step,
                    stored_id,
                    error,
                }
                .into()
            } else {
                let place = context.place();
                BuildError::Sink { step, place, error }.into()
            }
        })?;
        for text in writer.notices() {
            let step = step.clone();
            context.notices.push(Notice::Output { step, text });
        }
        if let (true, Some(number)) = (keeps_positions::<S>(), context.store_number()) {
            let at = context.wiring.whereabouts.of(context.step);
            let position = writer.position();
            context
                .opening
                .put(number, NO_GROUP, &shard_key(shard), |into| {
                    position.encode(checked, into)
                })
                .map_err(|error| ResumeError::NotKept {
                    step: step.clone(),
                    error: not_kept::<S::Position>(shard, error).into(),
                })?;
            at.enter();
        }
        outputs.push((shard, writer));
    }
    Ok(outputs)
}

fn not_kept<P>(shard: u32, cause: flow_store::CodecError) -> NotKept {
    NotKept::new::<P>(Kept::Position, Some(shard.to_string()), cause)
}

/// Whether the last execution left nothing behind its positions.
fn ended_cleanly(look: &Look) -> bool {
    let last = look.last_execution().and_then(|last| last.ended.as_ref());
    let ended = match last {
        Some((_, End::Finished | End::Stopped | End::Failed { .. })) => true,
        Some((_, End::Aborted { .. })) | None => false,
    };
    ended && !look.goes_back()
}

/// Whether the last execution failed because someone else wrote to an output. That may have
/// happened to this output too, because the execution ended at the first one that it found.
fn others_wrote(look: &Look) -> bool {
    let last = look.last_execution().and_then(|last| last.ended.as_ref());
    let foreign = matches!(
        last,
        Some((
            _,
            End::Aborted {
                foreign: Some(_),
                ..
            }
        ))
    );
    foreign && !look.goes_back()
}

fn shard_key(shard: u32) -> Vec<u8> {
    let mut key = Vec::new();
    // A number is always encodable, and a vector takes it.
    let _ = encode(&shard, &mut key);
    key
}

struct Writing<W> {
    step: StepIndex,
    at: StepContext,
    number: Option<u16>,
    /// The first one is written. The others are only brought back to their positions.
    outputs: Vec<(u32, W)>,
    checked: Checked,
}

impl<W: Writer<Item: crate::record::Record, Position: State>> Task for Writing<W> {
    fn start(&mut self) -> Result<(), Fault> {
        self.at.enter();
        for (_, writer) in &mut self.outputs {
            writer.start().map_err(|error| self.at.fault(error))?;
        }
        Ok(())
    }

    fn receive(&mut self, parcel: Parcel) -> Result<(), Fault> {
        self.at.enter();
        let batch = parcel.open::<Plain<W::Item>>();
        let mut batch = batch.map_err(|error| self.at.fault(error))?;
        let Some((_, writer)) = self.outputs.first_mut() else {
            return Err(self.at.fault("records came to a worker that has no output"));
        };
        writer
            .write(&mut batch.records)
            .map_err(|error| self.at.fault(error))?;
        recycle(batch);
        Ok(())
    }

    fn close(&mut self, epoch: Epoch, rows: &mut EpochRows) -> Result<(), Fault> {
        self.at.enter();
        let Some((shard, writer)) = self.outputs.first_mut() else {
            return Ok(());
        };
        writer.ends(epoch);
        let (position, sync) = writer.close_epoch().map_err(|error| self.at.fault(error))?;
        if let Some(number) = self.number {
            rows.changes
                .put(number, NO_GROUP, &shard_key(*shard), |into| {
                    position.encode(&mut self.checked, into)
                })
                .map_err(|error| self.at.fault(not_kept::<W::Position>(*shard, error)))?;
        }
        rows.syncs.extend(sync.map(|sync| PendingSync {
            step: self.step,
            shard: *shard,
            sync,
        }));
        Ok(())
    }
}
