//! The tasks that the engine runs.

use std::{sync::Arc, time::Instant};

use flow_store::{
    Changes, CodecError, Epoch, FileError, KEY_GROUPS, Rewrite, Row, RowRef, StoreError,
};

use super::{Block, Blocks, RunHandle, SourceBell, SyncOutput, UnfinishedLine};
use crate::{
    chain::{Fault, FaultOrigin, InletId, Parcel, StopFlag, Wiring},
    error::{BoxError, Place, ResumeError, RunError, SourceError, TypeChange},
    graph::{Graph, StepIndex},
    resume::{Conversions, ConvertedRows, Notice, Resume, Settled, Unsettled},
    time::Mark,
};

type Partitions = Box<dyn Fn() -> Result<Vec<String>, SourceError>>;
type Settle = Box<dyn Fn(&Unsettled<'_>) -> Result<Settled, ResumeError>>;
type Make = Box<dyn FnOnce(&mut HeadContext<'_>) -> Result<Operator, RunError>>;

/// A step that begins a chain: a source, or a step behind a shuffle. Made once for each worker.
pub(crate) struct Head {
    pub(crate) step: StepIndex,
    /// Lists the partitions of a source.
    pub(crate) partitions: Option<Partitions>,
    /// Settles where the partitions of a source resume.
    pub(crate) settle: Option<Settle>,
    /// How to read values that a stateful step stored as another type.
    pub(crate) conversions: Conversions,
    make: Make,
}

impl Head {
    pub(crate) fn new(
        step: StepIndex,
        make: impl FnOnce(&mut HeadContext<'_>) -> Result<Operator, RunError> + 'static,
    ) -> Self {
        Head {
            step,
            partitions: None,
            settle: None,
            conversions: Conversions::default(),
            make: Box::new(make),
        }
    }

    pub(crate) fn make(self, context: &mut HeadContext<'_>) -> Result<Operator, RunError> {
        context.conversions = self.conversions;
        (self.make)(context)
    }
}

/// The operator that a head makes on its worker.
pub(crate) enum Operator {
    Source(Box<dyn SourceTask>),
    Step { inlet: InletId, task: Box<dyn Task> },
}

/// The context in which a head is made.
pub(crate) struct HeadContext<'a> {
    pub(crate) step: StepIndex,
    pub(crate) graph: &'a Graph,
    pub(crate) wiring: Wiring,
    pub(crate) resume: Option<&'a Resume>,
    /// The partitions of each source that this worker reads.
    pub(crate) partitions: &'a [(StepIndex, Vec<String>)],
    /// Whether last lines without a newline are read.
    pub(crate) take_unfinished: bool,
    pub(crate) conversions: Conversions,
    /// Rows for the commit that opens the execution.
    pub(crate) opening: &'a mut Changes,
    /// Notices for the user before the run starts.
    pub(crate) notices: &'a mut Vec<Notice>,
    /// The rows that this worker took of steps whose keys are converted.
    pub(crate) taken: &'a mut Vec<ConvertedRows>,
}

impl HeadContext<'_> {
    pub(crate) fn id(&self) -> String {
        self.graph.id(self.step)
    }

    /// The id of this step in the store, until this start.
    pub(crate) fn stored_id(&self) -> String {
        let stored = self.resume.and_then(|resume| resume.stored(self.step));
        stored.map_or_else(|| self.id(), |stored| stored.id.clone())
    }

    /// Where the partitions of this source resume; `None` without a store.
    pub(crate) fn settled(&self) -> Option<&Settled> {
        let mut settled = self.resume?.settled.iter();
        let own = settled.find(|(step, _)| *step == self.step);
        own.map(|(_, settled)| settled)
    }

    /// Whether the user agreed to leave the rest of a line of this partition unread.
    pub(crate) fn skips_rest_of_line(&self, partition: &str) -> bool {
        let resume = self.resume;
        resume.is_some_and(|resume| resume.skip_rest_of_line.contains(partition))
    }

    pub(crate) fn place(&self) -> Place {
        self.graph.place(self.step)
    }

    /// The number of this step in the store; `None` without a store.
    pub(crate) fn store_number(&self) -> Option<u16> {
        self.resume?.number(self.step)
    }

    /// The number of another step in the store; `None` without a store.
    pub(crate) fn number_of(&self, step: StepIndex) -> Option<u16> {
        self.resume?.number(step)
    }

    /// How the type of the values that this step keeps has changed.
    pub(crate) fn change(&self) -> TypeChange {
        match self.resume {
            Some(resume) => resume.change(self.graph, self.step),
            None => TypeChange::unknown(self.id()),
        }
    }

    /// How the rows of this step are to be rewritten, if at all.
    pub(crate) fn rewrite(&self) -> Option<&Rewrite> {
        self.resume?.rewrite(self.step)
    }

    /// Whether the store knew this step before this start.
    pub(crate) fn is_known(&self) -> bool {
        let stored = self.resume.and_then(|resume| resume.stored(self.step));
        stored.is_some()
    }

    /// The partitions that this worker reads for this source.
    pub(crate) fn partitions(&self) -> &[String] {
        let own = self.partitions.iter().find(|(step, _)| *step == self.step);
        own.map_or(&[], |(_, partitions)| partitions)
    }

    /// All rows of this step. For tokens and positions, which every worker reads.
    pub(crate) fn all_rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<Row, StoreError>>, ResumeError> {
        Ok(self.rows(0..KEY_GROUPS)?.into_iter().flatten())
    }

    /// The stored rows of some key groups.
    pub(crate) fn rows(
        &self,
        groups: std::ops::Range<u16>,
    ) -> Result<Option<flow_store::Rows<'_>>, ResumeError> {
        let stored = self.resume.and_then(|resume| {
            let step = resume.stored(self.step)?;
            Some((&resume.look, step.number))
        });
        Ok(match stored {
            Some((look, number)) => Some(look.rows(number, groups)?),
            None => None,
        })
    }

    /// The error of a row in which flow keeps something of its own, and which it can't read.
    pub(crate) fn damaged(&self, row: RowRef<'_>, error: &CodecError) -> ResumeError {
        let resume = self.resume;
        let stored = resume.and_then(|resume| resume.stored(self.step));
        let about = resume.and_then(|resume| resume.look.about());
        let name = stored.map(|stored| row.name(stored)).unwrap_or_default();
        let damaged = FileError::Damaged {
            path: about.map(|about| about.path).unwrap_or_default(),
            what: format!("{name}: its value: {error}"),
        };
        StoreError::File(damaged).into()
    }
}

/// What a task writes at the end of an epoch.
#[derive(Default)]
pub(crate) struct EpochRows {
    pub(crate) changes: Changes,
    pub(crate) syncs: Vec<PendingSync>,
}

impl EpochRows {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.syncs.is_empty()
    }

    pub(crate) fn append(&mut self, other: &mut EpochRows) {
        self.changes.append(&mut other.changes);
        self.syncs.append(&mut other.syncs);
    }
}

/// A sync that the committer runs before it commits.
pub(crate) struct PendingSync {
    pub(crate) step: StepIndex,
    pub(crate) shard: u32,
    pub(crate) sync: SyncOutput,
}

/// A step behind a shuffle. It gets all batches of one epoch, then the end of that epoch, then the
/// next epoch.
pub(crate) trait Task {
    /// Called when the execution has been recorded. From now on the task may change the outside
    /// world.
    fn start(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Takes a batch of the current epoch.
    fn receive(&mut self, parcel: Parcel) -> Result<(), Fault>;

    /// Notes that the watermark of the input has risen.
    fn advance(&mut self, mark: Mark) -> Result<(), Fault> {
        let _ = mark;
        Ok(())
    }

    /// Ends an epoch in which the task has received something.
    fn close(&mut self, epoch: Epoch, rows: &mut EpochRows) -> Result<(), Fault>;
}

/// The partitions of a source on one worker, and the chain behind them.
pub(crate) trait SourceTask {
    /// Connects the waker of each partition with the operator, and gives the readers a handle to
    /// their run.
    fn attach(&mut self, bell: &Arc<SourceBell>, run: &RunHandle);

    /// Makes sure that there are records to push, and returns how many. An idle partition is asked
    /// again when its time has come or its waker was woken.
    fn fill(&mut self, now: Instant) -> Result<Filled, RecordFailure>;

    /// Pushes the next `count` records through the chain, at most as many as `fill` announced.
    /// Returns how many were pushed. They are fewer if a stop comes between two records that are
    /// pushed one at a time.
    ///
    /// After a failure, nothing of the failed record has left the chain, and the tokens point at
    /// it.
    fn push(&mut self, count: usize, stop: &StopFlag) -> Result<usize, SourceFault>;

    /// Whether the source has taken records from an input that can't be read again, while the run
    /// stops. These are filled and pushed before the source ends. From the first call on, nothing
    /// else is read.
    fn has_taken(&mut self) -> bool;

    /// Leaves the records that it has taken. Returns their number, as far as it is known, and a
    /// failure that came behind some of them.
    fn leave(&mut self) -> (u64, Option<RecordFailure>);

    /// Whether a push may have paused before its end. [`resume`](SourceTask::resume) continues it.
    fn rests(&self) -> bool;

    /// Continues a paused push by a bounded part. Returns false when it is done. Until then nothing
    /// else may be pushed, and the epoch may not end.
    fn resume(&mut self) -> Result<bool, Fault>;

    /// The origin of the records in hand: those of a block, or those that were being read or
    /// pushed. It is called after a failure or a panic in the chain, so it enters no step.
    fn origin(&mut self, block: Option<&Block>) -> Option<FaultOrigin>;

    /// Tells the clocks of the chain how far the partitions have come.
    fn set_marks(&mut self);

    /// Writes the tokens of all partitions that have been read since the last call.
    fn write_tokens(&mut self, rows: &mut EpochRows) -> Result<(), Fault>;

    /// The last lines that were left unread, of partitions at their end.
    fn unfinished(&mut self) -> Vec<UnfinishedLine>;

    /// The blocks of lines that can be shared with other workers, if the source has any.
    fn blocks(&mut self) -> Option<&mut dyn Blocks>;
}

/// The result of filling a source.
#[derive(Debug)]
pub(crate) enum Filled {
    Records {
        /// The number of records that can be pushed, at least one.
        count: usize,
        /// The approximate size of one record, in bytes.
        bytes_each: usize,
    },
    /// There is nothing yet. Ask again after the other operators have had their turn.
    Again,
    /// There is nothing now. Ask again when woken, or at this time.
    Idle(Option<Instant>),
    /// There will be no more records.
    End,
}

/// A push that failed before its end.
pub(crate) enum SourceFault {
    /// A record failed after `pushed` others, and the flow can stop exactly before it.
    Record {
        pushed: usize,
        failure: RecordFailure,
    },
    /// A step failed at a point that can't be taken back.
    Step(Fault),
}

impl SourceFault {
    /// The same fault, after `others` records of the same push.
    pub(crate) fn behind(self, others: usize) -> Self {
        match self {
            SourceFault::Record { pushed, failure } => SourceFault::Record {
                pushed: others + pushed,
                failure,
            },
            step => step,
        }
    }
}

/// A record that failed, described by its source.
#[derive(Debug)]
pub(crate) struct RecordFailure {
    pub(crate) step: StepIndex,
    pub(crate) source_step: StepIndex,
    pub(crate) partition: String,
    pub(crate) position: Option<String>,
    pub(crate) line: Option<u64>,
    pub(crate) excerpt: Option<String>,
    pub(crate) cause: BoxError,
}
