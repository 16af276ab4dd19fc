//! What the engine runs.

use std::{sync::Arc, time::Instant};

use flow_store::{Changes, Epoch, KEY_GROUPS, Rewrite, Row, StoreError};

use super::{Block, Blocks, RunHandle, SourceBell, SyncOutput, UnfinishedLine};
use crate::{
    chain::{Fault, FaultOrigin, InletId, Parcel, StopFlag, Wiring},
    error::{BoxError, Place, ResumeError, RunError, SourceError, TypeChange},
    graph::{Graph, StepIndex},
    resume::{Conversions, ConvertedRows, Notice, Resume, Settled, Unsettled},
};

type Partitions = Box<dyn Fn() -> Result<Vec<String>, SourceError>>;
type Settle = Box<dyn Fn(&Unsettled<'_>) -> Result<Settled, ResumeError>>;
type Make = Box<dyn FnOnce(&mut HeadContext<'_>) -> Result<Operator, RunError>>;

/// A step that begins a chain: a source, or a step behind a shuffle. Made once for each worker.
pub(crate) struct Head {
    pub(crate) step: StepIndex,
    /// Lists the partitions, for a source.
    pub(crate) partitions: Option<Partitions>,
    /// Settles where each of them goes on, for a source.
    pub(crate) settle: Option<Settle>,
    /// How to read what the step kept before, for a step with a state.
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

/// What a head makes on its worker.
pub(crate) enum Operator {
    Source(Box<dyn SourceTask>),
    Step { inlet: InletId, task: Box<dyn Task> },
}

/// What a head may ask while it is made.
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
    /// EpochRows for the commit that opens the execution.
    pub(crate) opening: &'a mut Changes,
    /// What a person should know before the run starts.
    pub(crate) notices: &'a mut Vec<Notice>,
    /// What this worker took of steps whose keys are converted.
    pub(crate) taken: &'a mut Vec<ConvertedRows>,
}

impl HeadContext<'_> {
    pub(crate) fn id(&self) -> String {
        self.graph.id(self.step)
    }

    /// The id under which the store knows this step until the start.
    pub(crate) fn stored_id(&self) -> String {
        let stored = self.resume.and_then(|resume| resume.stored(self.step));
        stored.map_or_else(|| self.id(), |stored| stored.id.clone())
    }

    /// What has been made of the partitions of this source, with a store.
    pub(crate) fn settled(&self) -> Option<&Settled> {
        let mut settled = self.resume?.settled.iter();
        let own = settled.find(|(step, _)| *step == self.step);
        own.map(|(_, settled)| settled)
    }

    /// Whether the user agreed that the rest of a line of this partition is not read.
    pub(crate) fn skips_rest_of_line(&self, partition: &str) -> bool {
        let resume = self.resume;
        resume.is_some_and(|resume| resume.skip_rest_of_line.contains(partition))
    }

    pub(crate) fn place(&self) -> Place {
        self.graph.place(self.step)
    }

    /// The number by which the store knows this step; `None` without a store.
    pub(crate) fn store_number(&self) -> Option<u16> {
        self.resume?.number(self.step)
    }

    /// How the type of what this step keeps has changed.
    pub(crate) fn change(&self) -> TypeChange {
        match self.resume {
            Some(resume) => resume.change(self.graph, self.step),
            None => TypeChange::unknown(self.id()),
        }
    }

    /// How the rows of this step are to be written anew, if they are.
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

    /// All rows of this step: tokens and positions, which every worker reads.
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
}

/// What a task has to write at the end of an epoch.
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

/// What the committer has to run before it commits.
pub(crate) struct PendingSync {
    pub(crate) step: StepIndex,
    pub(crate) shard: u32,
    pub(crate) sync: SyncOutput,
}

/// A step behind a shuffle.
///
/// Gets the batches of its epochs strictly in order: all of one, then its end, then the next.
pub(crate) trait Task {
    /// The execution has been recorded: now the outside world may be changed.
    fn start(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Takes a batch of the current epoch.
    fn receive(&mut self, parcel: Parcel) -> Result<(), Fault>;

    /// The end of an epoch in which something was received.
    fn close(&mut self, epoch: Epoch, rows: &mut EpochRows) -> Result<(), Fault>;
}

/// The partitions of a source on one worker, and the chain behind them.
pub(crate) trait SourceTask {
    /// Connects the waker of each partition with the operator, and tells the readers of their run.
    fn attach(&mut self, bell: &Arc<SourceBell>, run: &RunHandle);

    /// Makes sure that there are records to push, and says how many. A partition that is idle is
    /// asked again when its time has come or its own waker was woken.
    fn fill(&mut self, now: Instant) -> Result<Filled, RecordFailure>;

    /// Pushes the next `count` records, at most as many as `fill` announced, through the chain.
    /// Returns how many have been pushed: fewer, where a stop comes between two records that go
    /// alone.
    ///
    /// On a failure nothing of the failed record has left the chain, and the tokens point at it.
    fn push(&mut self, count: usize, stop: &StopFlag) -> Result<usize, SourceFault>;

    /// Whether it has records, now that the run stops, that were taken from where they can't be
    /// taken again: they are filled and pushed before the source ends. From the first call on
    /// nothing else is read.
    fn has_taken(&mut self) -> bool;

    /// Leaves what it has taken. Returns how many records that are, as far as it knows, and a
    /// failure that came behind some of them.
    fn leave(&mut self) -> (u64, Option<RecordFailure>);

    /// Whether a push may leave something behind, which [`resume`](SourceTask::resume) goes on
    /// with.
    fn rests(&self) -> bool;

    /// Goes on with what a push has left behind, a bounded part of it; false when there is nothing
    /// more. Only then may anything else be pushed, or the epoch end.
    fn resume(&mut self) -> Result<bool, Fault>;

    /// Where the records come from that are being worked on: those of a block, or what was being
    /// read or pushed. Asked after a failure or a panic in the chain, so it enters no step.
    fn origin(&mut self, block: Option<&Block>) -> Option<FaultOrigin>;

    /// Writes the tokens of all partitions that have been read further since the last call.
    fn write_tokens(&mut self, rows: &mut EpochRows) -> Result<(), Fault>;

    /// The last lines of partitions at their end that were left unread.
    fn unfinished(&mut self) -> Vec<UnfinishedLine>;

    /// The blocks of lines that it can share with other workers, if it reads such lines.
    fn blocks(&mut self) -> Option<&mut dyn Blocks>;
}

/// What a source has to offer.
#[derive(Debug)]
pub(crate) enum Filled {
    Records {
        /// How many records can be pushed, at least one.
        count: usize,
        /// About how large one of them is, in bytes.
        bytes_each: usize,
    },
    /// Nothing yet; look again when the others have had their turn.
    Again,
    /// Nothing now; look again when woken, or at this time.
    Idle(Option<Instant>),
    /// Nothing any more.
    End,
}

/// A push that did not come to its end.
pub(crate) enum SourceFault {
    /// A record failed, after `pushed` others: the flow can stop exactly before it.
    Record {
        pushed: usize,
        failure: RecordFailure,
    },
    /// A step failed where it can't be taken back.
    Step(Fault),
}

impl SourceFault {
    /// The same, behind so many other records of the push.
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

/// A record that failed, in the words of its source.
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
