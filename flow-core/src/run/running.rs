//! Runs a flow that is ready, and waits for it.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use flow_store::Execution;

use super::{
    Outcome, Runner,
    ending::Finished,
    preparing::{Prepared, Unready},
    start::{self, As},
};
use crate::{
    chain::Skips,
    engine::{AbortReason, News, RunState},
    error::{ResumeError, RunError},
};

/// How long the threads of a run may still take after the run has been given up.
const GRACE: Duration = Duration::from_secs(2);

impl Runner {
    /// Runs the flow until its input ends, it is stopped, or it fails.
    ///
    /// A run that is stopped while it starts has read nothing and changed nothing.
    ///
    /// # Errors
    /// See [`RunError`]. Everything that can be checked is checked before anything is read. An
    /// error of these checks has changed nothing.
    pub fn run(mut self) -> Result<Outcome, RunError> {
        let prepared = match self.prepare(As::Start) {
            Ok(prepared) => prepared,
            Err(Unready::Failed(error)) => return Err(error),
            Err(Unready::Stopped(epoch)) => return Ok(Outcome::before_it_began(epoch)),
        };
        let Prepared {
            graph,
            resume,
            dropped,
            started,
            number,
            failed_before,
            news,
            state,
            skips,
            whereabouts,
            mut crew,
        } = prepared;
        flow_store::FailPoint::Restored.pass();
        // From here on, the store may be changed.
        if !self.handle.begin() {
            crew.dismiss(&news, GRACE);
            return Ok(Outcome::before_it_began(started.resumed_from));
        }
        // Removals go first, because a partition that was given up may begin anew.
        let mut opening = dropped;
        opening.append(&mut crew.opening);
        let execution = match resume.map(Arc::try_unwrap) {
            None => None,
            Some(Err(_)) => {
                crew.dismiss(&news, self.drain);
                return Err(RunError::Workers(
                    "a worker still holds the store".to_owned(),
                ));
            }
            Some(Ok(resume)) => match start::open(resume, &graph, self.workers, &opening) {
                Ok(execution) => Some(execution),
                Err(error) => {
                    crew.dismiss(&news, self.drain);
                    return Err(ResumeError::from(error).into());
                }
            },
        };
        let before = execution.as_ref().map(Execution::resumed_from);
        for notice in &started.notices {
            tracing::warn!("{notice}");
        }
        tracing::info!(
            flow = graph.name(),
            execution = number,
            workers = self.workers,
            resumed_from = started.resumed_from.map(tracing::field::display),
            "the flow starts"
        );
        if let Some(on_start) = self.on_start.take() {
            on_start(&started);
        }
        let committed = crew.go(execution);
        let hung = !wait(&state, &news, self.drain);
        // Workers that came to rest by themselves have seen every commit. After an abort a commit
        // may still be under way, and it may hang.
        let execution = match (hung, state.aborted()) {
            (true, _) => None,
            (false, true) => committed.recv_timeout(self.drain).unwrap_or_default(),
            (false, false) => committed.recv().unwrap_or_default(),
        };
        let durable = state.durable().or(before);
        let run = Finished {
            graph: &graph,
            state: &state,
            whereabouts: &whereabouts,
            durable: before.and(durable),
            drain: self.drain,
            failed_before,
        };
        let ended = run.end(execution, &skips);
        self.handle.end(&state, Skips::of_sources(&skips, &graph));
        ended
    }
}

/// Waits until the workers are done. Returns false if they hang even after an abort.
fn wait(state: &RunState, news: &Receiver<News>, drain: Duration) -> bool {
    let mut deadline: Option<Instant> = None;
    // Until then, sources may begin to process records that they had taken before the stop.
    let mut late: Option<Instant> = None;
    let mut timed_out = false;
    loop {
        let told = match late.or(deadline) {
            None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => news.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        };
        match told {
            Ok(News::Built) => {}
            Ok(News::Done) | Err(RecvTimeoutError::Disconnected) => return true,
            Ok(News::Stopping) => {
                if deadline.is_none() {
                    let now = Instant::now();
                    deadline = now.checked_add(drain);
                    late = deadline.and_then(|_| now.checked_add(drain / 2));
                }
            }
            Err(RecvTimeoutError::Timeout) if late.take().is_some() => state.be_late(),
            // Work that is under way may be finished. A run that was too slow already gets little
            // time.
            Ok(News::Aborted) if timed_out => deadline = Some(Instant::now() + GRACE),
            Ok(News::Aborted) => {
                late = None;
                deadline = Instant::now().checked_add(drain);
            }
            Err(RecvTimeoutError::Timeout) if state.aborted() => return false,
            Err(RecvTimeoutError::Timeout) => {
                timed_out = true;
                state.abort(AbortReason::TimedOut);
            }
        }
    }
}
