//! Everything that a start does before it changes the store: plan, check, look, and build the
//! workers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
};

use flow_store::{Epoch, FailureRecord};

use super::{
    Recovery, Runner, Started,
    start::{self, As},
};
use crate::{
    chain::{Skips, Whereabouts},
    engine::{Crew, Head, Launch, Limits, News, NoCrew, RunState, launch, message_of},
    error::{BuildError, ResumeError, RunError, Safe},
    graph::Graph,
    resume::{Notice, Resume},
};

/// A run that is ready to start: all workers are built, and nothing has been changed yet.
pub(super) struct Prepared {
    pub(super) graph: Graph,
    pub(super) resume: Option<Arc<Resume>>,
    pub(super) dropped: flow_store::Changes,
    pub(super) started: Started,
    pub(super) number: u64,
    pub(super) failed_before: Option<(FailureRecord, u64)>,
    pub(super) news: Receiver<News>,
    pub(super) state: Arc<RunState>,
    pub(super) skips: Vec<Arc<Skips>>,
    pub(super) whereabouts: Vec<Whereabouts>,
    pub(super) crew: Crew,
}

impl Runner {
    /// Builds and checks the flow, and returns its graph. Opens nothing.
    ///
    /// # Errors
    /// Everything that is wrong with the flow.
    pub fn graph(&self) -> Result<Graph, BuildError> {
        Ok(self.plan()?.0)
    }

    fn plan(&self) -> Result<(Graph, Vec<Head>), BuildError> {
        let store = self.recovery.as_ref().map(Recovery::directory);
        plan(&*self.build, store)
    }

    /// Checks whether a run would start, and changes nothing.
    ///
    /// It does everything that a start does before it changes the store:
    /// - opens inputs and outputs,
    /// - compares steps and types,
    /// - reads every stored state,
    /// - converts keys and states where the flow says so.
    ///
    /// It does not even change the text of the store's lock file, and others may read the store
    /// meanwhile. It returns what [`on_start`](Runner::on_start) of a run would get.
    ///
    /// # Errors
    /// Those with which [`run`](Runner::run) would refuse to start.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let state = dir.path().join("state");
    /// let runner = Runner::new(|flow| {
    ///     flow.source(source::from_iter(0..3u64)).sink(sink::from_fn(|_| ()));
    /// });
    /// let started = runner.recover(Recovery::at(&state)).dry_run()?;
    /// assert!(started.notices.is_empty() && !state.exists());
    /// # Ok::<(), RunError>(())
    /// ```
    pub fn dry_run(self) -> Result<Started, RunError> {
        let Prepared {
            graph,
            resume,
            dropped,
            started,
            news,
            mut crew,
            ..
        } = self.prepare(As::Check).map_err(Unready::into_error)?;
        let mut opening = dropped;
        opening.append(&mut crew.opening);
        crew.dismiss(&news, self.drain);
        if let Some(resume) = resume {
            let checked = start::check(&resume, &graph, self.workers, &opening);
            checked.map_err(ResumeError::from)?;
        }
        Ok(started)
    }

    /// Does everything that a start does before it changes the store.
    pub(super) fn prepare(&self, how: As) -> Result<Prepared, Unready> {
        self.check()?;
        let (graph, heads) = self.plan()?;
        self.go_on(how, None)?;
        let mut listed = Vec::new();
        let resume = start::list_partitions(&graph, &heads)
            .map_err(Unready::from)
            .and_then(|found| {
                listed = found;
                self.go_on(how, None)?;
                let recovery = self.recovery.as_ref();
                let look = |recovery| start::look(&graph, recovery, &mut listed, &heads, how);
                Ok(recovery.map(look).transpose()?)
            });
        forget(heads)?;
        let resume = resume?;
        let (resume, dropped) = match resume {
            Some((resume, dropped)) => (Some(Arc::new(resume)), dropped),
            None => (None, flow_store::Changes::new()),
        };
        let looked = resume.as_deref().map(|resume| &resume.look);
        let number = looked.map_or(1, flow_store::Look::next_execution);
        let cautious = looked.and_then(start::caution).unwrap_or((0, 0));
        let failed_before = looked.map_or(Ok(None), start::failures_in_a_row);
        let failed_before = failed_before.map_err(ResumeError::from)?;
        let mut started = Started {
            resumed_from: looked
                .filter(|look| !look.is_new())
                .map(flow_store::Look::epoch),
            notices: (resume.iter())
                .flat_map(|resume| resume.manifest.notices.iter().cloned())
                .map(Notice::Store)
                .collect(),
        };
        let (records, bytes) = self.in_flight;
        let limits = Limits {
            records,
            bytes,
            cautious,
            follow: self.follow,
            least: self.workers as u64,
        };
        let (teller, news) = channel();
        let first = Epoch::first(number);
        let state = RunState::new(first, limits, self.epochs, self.clock.clone(), teller);
        let skips = Skips::tables(&graph, self.workers);
        let whereabouts: Vec<_> = (0..self.workers).map(|_| Whereabouts::new()).collect();
        if how == As::Start {
            self.handle.attach(&state);
        }
        self.go_on(how, started.resumed_from)?;
        let crew = launch(
            Launch {
                build: self.build.clone(),
                plan: graph.clone(),
                workers: self.workers,
                communication: self.communication,
                state: state.clone(),
                resume: resume.clone(),
                partitions: start::deal(&listed, self.workers),
                whereabouts: whereabouts.clone(),
                skips: skips.clone(),
                block: self.block,
                take_unfinished: self.take_unfinished,
                stack: self.stack,
            },
            &news,
        );
        let crew = crew.map_err(|none| match none {
            NoCrew::Stopped => Unready::Stopped(started.resumed_from),
            NoCrew::Failed(error) => Unready::Failed(error),
        })?;
        started.notices.extend(crew.notices.iter().cloned());
        Ok(Prepared {
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
            crew,
        })
    }

    /// Ends a start that was told to stop.
    fn go_on(&self, how: As, resumed_from: Option<Epoch>) -> Result<(), Unready> {
        match how == As::Start && self.handle.is_stopped() {
            true => Err(Unready::Stopped(resumed_from)),
            false => Ok(()),
        }
    }
}

/// Why a run did not get ready.
pub(super) enum Unready {
    /// It was told to stop. Holds the epoch that it would have resumed from, if that was known.
    Stopped(Option<Epoch>),
    Failed(RunError),
}

impl Unready {
    fn into_error(self) -> RunError {
        match self {
            Unready::Failed(error) => error,
            Unready::Stopped(epoch) => RunError::CutShort {
                safe: Safe {
                    epoch,
                    exact: false,
                    unprocessed: 0,
                },
            },
        }
    }
}

impl<E: Into<RunError>> From<E> for Unready {
    fn from(error: E) -> Self {
        Unready::Failed(error.into())
    }
}

/// Builds and checks a flow without running it.
pub(crate) fn plan(
    build: &dyn Fn() -> Result<(Graph, Vec<Head>), BuildError>,
    store: Option<&Path>,
) -> Result<(Graph, Vec<Head>), BuildError> {
    let built = catch_unwind(AssertUnwindSafe(build));
    let (graph, heads) = built.map_err(|panic| BuildError::Panicked {
        step: None,
        message: message_of(&*panic),
    })??;
    match BuildError::from_all(graph.check(store)) {
        Some(error) => Err(error),
        None => Ok((graph, heads)),
    }
}

/// Drops what the plan was made of. Its sources and sinks are user code, so this may panic.
fn forget(heads: Vec<Head>) -> Result<(), BuildError> {
    catch_unwind(AssertUnwindSafe(|| drop(heads))).map_err(|panic| BuildError::Panicked {
        step: None,
        message: message_of(&*panic),
    })
}
