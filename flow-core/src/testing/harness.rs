//! Runs a dataflow over given records, again and again.

use std::{path::Path, sync::Arc};

use tempfile::TempDir;

use super::{Event, TestSink, TestSource};
use crate::{
    Stream,
    engine::Communication,
    error::RunError,
    flow::Flow,
    record::Record,
    run::{Clock, Epochs, Outcome, Recovery, Runner},
};

/// Runs a dataflow from one stream to another over given records, with a store in a temporary directory.
///
/// Unless told otherwise there is one worker, each record is an epoch, and the clock stands still.
pub struct Harness<I, O> {
    build: Arc<dyn Fn(&Flow) + Send + Sync>,
    source: TestSource<I>,
    sink: TestSink<O>,
    store: TempDir,
    recovery: Recovery,
    workers: usize,
    epochs: Epochs,
    in_flight: Option<(u64, u64)>,
    clock: Clock,
    communication: Communication,
}

impl<I, O> Harness<I, O>
where
    I: Clone + Send + 'static,
    O: Record + Clone,
{
    /// Tests a dataflow. Its input is the source `input`, its output goes into the sink `output`.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn new(dataflow: impl Fn(Stream<I>) -> Stream<O> + Send + Sync + 'static) -> Self {
        let (source, sink) = (TestSource::new(), TestSink::new());
        #[allow(clippy::panic)] // a test has nobody to tell
        let store = tempfile::tempdir().unwrap_or_else(|error| panic!("no directory: {error}"));
        let recovery = Recovery::at(store.path().join("state"));
        let (fed, out) = (source.clone(), sink.clone());
        Harness {
            build: Arc::new(move |flow| {
                let input = flow.source(fed.clone()).named("input");
                dataflow(input).sink(out.clone()).named("output");
            }),
            source,
            sink,
            store,
            recovery,
            workers: 1,
            epochs: Epochs::every_item(),
            in_flight: None,
            clock: Clock::manual(),
            communication: Communication::Threads,
        }
    }

    /// Puts another dataflow in the place of the one tested so far, as a new version of the program would.
    pub fn change(
        &mut self,
        dataflow: impl Fn(Stream<I>) -> Stream<O> + Send + Sync + 'static,
    ) -> &mut Self {
        let (fed, out) = (self.source.clone(), self.sink.clone());
        self.build = Arc::new(move |flow| {
            let input = flow.source(fed.clone()).named("input");
            dataflow(input).sink(out.clone()).named("output");
        });
        self
    }

    /// Sets the number of workers of the runs from now on.
    pub fn workers(&mut self, workers: usize) -> &mut Self {
        self.workers = workers;
        self
    }

    /// Sets the epochs of the runs from now on.
    pub fn epochs(&mut self, epochs: Epochs) -> &mut Self {
        self.epochs = epochs;
        self
    }

    /// Sets the budget of the runs from now on; see [`Runner::in_flight`].
    pub fn in_flight(&mut self, records: u64, bytes: u64) -> &mut Self {
        self.in_flight = Some((records, bytes));
        self
    }

    /// Has batches go between workers as bytes, as they would between processes.
    pub fn over_bytes(&mut self) -> &mut Self {
        self.communication = Communication::Bytes;
        self
    }

    /// Changes what the runs from now on agree to give up.
    pub fn recovery(&mut self, change: impl FnOnce(Recovery) -> Recovery) -> &mut Self {
        self.recovery = change(self.recovery.clone());
        self
    }

    /// Adds records at the end of the partition `items`.
    pub fn feed(&mut self, records: impl IntoIterator<Item = I>) -> &mut Self {
        self.feed_events("items", records.into_iter().map(Event::Record))
    }

    /// Adds events at the end of a partition.
    pub fn feed_events(
        &mut self,
        partition: &str,
        events: impl IntoIterator<Item = Event<I>>,
    ) -> &mut Self {
        self.source.feed(partition, events);
        self
    }

    /// Runs the dataflow until its input ends, an event ends it, or it fails.
    ///
    /// # Errors
    /// Those of [`Runner::run`].
    pub fn run(&mut self) -> Result<Outcome, RunError> {
        let build = self.build.clone();
        let mut runner = Runner::new(move |flow| build(flow))
            .workers(self.workers)
            .epochs(self.epochs)
            .clock(self.clock.clone())
            .recover(self.recovery.clone())
            .communication(self.communication);
        if let Some((records, bytes)) = self.in_flight {
            runner = runner.in_flight(records, bytes);
        }
        self.source.attach(runner.handle(), self.clock.clone());
        runner.run()
    }

    /// What has come out of all runs so far, each result once.
    #[must_use]
    pub fn outputs(&self) -> Vec<O> {
        self.sink.items()
    }

    /// The clock of the runs.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The directory of the store.
    #[must_use]
    pub fn store(&self) -> &Path {
        self.recovery.directory()
    }

    /// A directory for files of the test, which goes when the harness goes.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.store.path()
    }
}
