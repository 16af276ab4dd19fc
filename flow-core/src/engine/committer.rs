//! The thread that makes epochs durable.
//!
//! All epochs that close during one commit share the next one:
//! 1. the outputs are synced, each once,
//! 2. the rows are committed,
//! 3. the epochs are acknowledged.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use flow_store::{Epoch, Execution, FailPoint};

use super::{
    AbortReason, EpochRows, PendingSync, RunState, SyncOutput, ledger::Closed, message_of,
    threads::Threads,
};
use crate::error::{RunError, SinkError};

/// The committer's thread, which waits for the execution to commit to.
pub(super) struct Committer {
    begin: Sender<Option<Execution>>,
    ended: Receiver<Option<Execution>>,
}

impl Committer {
    /// Hands the execution to the thread. It comes back when all workers are gone; `None` if the
    /// committer panicked.
    pub(super) fn begin(self, execution: Option<Execution>) -> Receiver<Option<Execution>> {
        // The thread waits for it, so sending can't fail.
        let _ = self.begin.send(execution);
        self.ended
    }
}

/// Adds the committer to the threads of a run. It ends if it is dropped before it has begun.
pub(super) fn spawn(
    threads: &Threads,
    state: &Arc<RunState>,
    closed: Receiver<Closed>,
    workers: usize,
) -> Result<Committer, RunError> {
    let (begin, begun) = channel();
    let (end, ended) = channel();
    let state = state.clone();
    threads.spawn("flow-committer".to_owned(), move || {
        let Ok(execution) = begun.recv() else { return };
        let run = AssertUnwindSafe(|| commit_all(execution, &state, &closed, workers));
        let execution = catch_unwind(run).unwrap_or_else(|panic| {
            let message = message_of(&*panic);
            state.abort(AbortReason::Workers(format!(
                "the committer panicked: {message}"
            )));
            None
        });
        // The runner may have given up on this thread.
        let _ = end.send(execution);
    })?;
    Ok(Committer { begin, ended })
}

/// Commits until all workers are gone. Without an execution it commits nothing, but still syncs the
/// outputs.
fn commit_all(
    mut execution: Option<Execution>,
    state: &RunState,
    closed: &Receiver<Closed>,
    workers: usize,
) -> Option<Execution> {
    let mut upto = vec![Epoch::default(); workers];
    let mut pending: BTreeMap<Epoch, EpochRows> = BTreeMap::new();
    while let Ok(first) = closed.recv() {
        for news in std::iter::once(first).chain(closed.try_iter()) {
            if let Some(upto) = upto.get_mut(news.worker) {
                *upto = news.upto;
            }
            for (epoch, mut rows) in news.epochs {
                pending.entry(epoch).or_default().append(&mut rows);
            }
            let complete = upto.iter().copied().min().unwrap_or_default();
            if state.budget.closed(complete, news.at) {
                // There is room at once, before the commit.
                state.ring_waiting();
            }
        }
        let complete = upto.iter().copied().min().unwrap_or_default();
        if complete <= state.acknowledged() || state.aborted() {
            continue;
        }
        let later = pending.split_off(&complete);
        let group = std::mem::replace(&mut pending, later);
        let last = group.last_key_value().map(|(epoch, _)| *epoch);
        if let Some(last) = last
            && let Err(failed) = commit(execution.as_mut(), last, group)
        {
            state.abort(failed);
            continue;
        }
        state.acknowledge(complete, last.filter(|_| execution.is_some()));
        if last.is_some() {
            FailPoint::Acknowledged.pass();
        }
    }
    execution
}

fn commit(
    execution: Option<&mut Execution>,
    last: Epoch,
    group: BTreeMap<Epoch, EpochRows>,
) -> Result<(), AbortReason> {
    let (mut changes, mut syncs) = (Vec::new(), BTreeMap::new());
    for (_, rows) in group {
        changes.push(rows.changes);
        for pending in rows.syncs {
            // The latest sync of an output covers those before it.
            syncs.insert((pending.step, pending.shard), pending);
        }
    }
    for PendingSync { step, sync, .. } in syncs.into_values() {
        run(sync).map_err(|error| AbortReason::Sync { step, error })?;
        FailPoint::SinkSynced.pass();
    }
    let Some(execution) = execution else {
        return Ok(());
    };
    tracing::debug!(epoch = %last, epochs = changes.len(), "commit");
    execution
        .commit(last, &changes)
        .map_err(|error| AbortReason::Commit(Box::new(error)))
}

/// Runs the sync of a sink. A panic in it is a failure of the sink.
fn run(sync: SyncOutput) -> Result<(), SinkError> {
    catch_unwind(AssertUnwindSafe(|| sync.run())).unwrap_or_else(|panic| {
        let message = message_of(&*panic);
        Err(SinkError::new(format!("it panicked: {message}")))
    })
}
