//! Runs a dataflow over given records, as often as a test needs.

use std::{path::Path, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;

use super::{Event, Inputs, Outputs, Seen};
use crate::{
    Stream,
    engine::{Clock, Communication, Epochs},
    error::RunError,
    record::KeyKind,
    run::{Outcome, Recovery, Runner},
    stream::Flow,
    time::TimeKind,
};

/// Runs a dataflow over given records, with a store in a temporary directory.
///
/// By default there is one worker, each record is an epoch, and the clock stands still. So nothing
/// depends on the speed of the machine: an epoch ends where [`epochs`](Harness::epochs) or an
/// [`Event`] says, and one worker reads and writes in the same order each time.
///
/// The harness feeds the input of a dataflow and keeps its output. If there are several, they are
/// tuples:
///
/// ```
/// use flow::{Stream, testing::Harness};
///
/// /// Orders and refunds, by whether they are large.
/// fn split(orders: Stream<i64>, refunds: Stream<i64>) -> (Stream<i64>, Stream<i64>) {
///     let all = orders.merge(refunds.map(|n| -n));
///     (all.clone().filter(|n| n.abs() >= 100), all.filter(|n| n.abs() < 100))
/// }
///
/// let mut test = Harness::new(|(orders, refunds)| split(orders, refunds));
/// let (orders, refunds) = test.sources();
/// orders.feed([5, 500]);
/// refunds.feed([50]);
/// test.run().unwrap();
/// let (large, small) = test.sinks();
/// assert_eq!(large.items(), [500]);
/// assert_eq!(small.items(), [5, -50]);
/// ```
///
/// [`Harness::flow`] tests a whole flow, with sources and sinks of its own.
pub struct Harness<I: Inputs, O: Outputs> {
    build: Arc<dyn Fn(&Flow) + Send + Sync>,
    sources: I::Sources,
    sinks: O::Sinks,
    store: TempDir,
    recovery: Recovery,
    workers: usize,
    epochs: Epochs,
    records_in_flight: Option<u64>,
    clock: Clock,
    communication: Communication,
}

impl<I: Inputs, O: Outputs> Harness<I, O> {
    /// Tests a dataflow. Its input is the source `input`, and its output goes into the sink
    /// `output`. If there are several, they are `input_1`, `input_2` and so on.
    ///
    /// # Panics
    /// If no temporary directory can be created.
    pub fn new(dataflow: impl Fn(I) -> O + Send + Sync + 'static) -> Self {
        let mut test = Harness::building(Arc::new(|_: &Flow| ()));
        test.change(dataflow);
        test
    }

    fn building(build: Arc<dyn Fn(&Flow) + Send + Sync>) -> Self {
        #[allow(clippy::panic)] // a test has nobody to tell
        let store = tempfile::tempdir().unwrap_or_else(|error| panic!("no directory: {error}"));
        let recovery = Recovery::at(store.path().join("state"));
        Harness {
            build,
            sources: I::Sources::default(),
            sinks: O::Sinks::default(),
            store,
            recovery,
            workers: 1,
            epochs: Epochs::every_record(),
            records_in_flight: None,
            clock: Clock::manual(),
            communication: Communication::Threads,
        }
    }

    /// Replaces the dataflow under test, as a new version of the program would.
    pub fn change(&mut self, dataflow: impl Fn(I) -> O + Send + Sync + 'static) -> &mut Self {
        let (sources, sinks) = (self.sources.clone(), self.sinks.clone());
        self.build = Arc::new(move |flow| dataflow(I::open(flow, &sources)).keep(&sinks));
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

    /// Gives each record of the runs from now on an epoch of its own, whatever the number of
    /// workers. The next record is read when the one before it is durable.
    pub fn epoch_per_record(&mut self) -> &mut Self {
        self.epochs(Epochs::every_record()).records_in_flight(1)
    }

    /// Sets the most records in flight in the runs from now on; see
    /// [`Runner::records_in_flight`].
    pub fn records_in_flight(&mut self, most: u64) -> &mut Self {
        self.records_in_flight = Some(most);
        self
    }

    /// Sets the most records that a source reads at a time; 32 by default.
    pub fn batch(&mut self, records: usize) -> &mut Self {
        I::batch(&self.sources, records);
        self
    }

    /// Makes the runs from now on use the system's clock, so that an [`Event::Pause`] takes its
    /// time.
    pub fn system_clock(&mut self) -> &mut Self {
        self.clock = Clock::system();
        self
    }

    /// Sends batches between workers as bytes, as they would travel between processes.
    pub fn over_bytes(&mut self) -> &mut Self {
        self.communication = Communication::Bytes;
        self
    }

    /// Changes the recovery settings of the runs from now on, such as what they give up.
    pub fn recovery(&mut self, change: impl FnOnce(Recovery) -> Recovery) -> &mut Self {
        self.recovery = change(self.recovery.clone());
        self
    }

    /// Runs the dataflow until its input ends, an event ends it, or it fails.
    ///
    /// # Errors
    /// Those of [`Runner::run`].
    pub fn run(&mut self) -> Result<Outcome, RunError> {
        self.runner().run()
    }

    /// The next run, to be started by hand: for example on another thread, with its
    /// [handle](Runner::handle) on this one.
    pub fn runner(&mut self) -> Runner {
        O::begin(&self.sinks);
        let build = self.build.clone();
        let mut runner = Runner::new(move |flow| build(flow))
            .workers(self.workers)
            .epochs(self.epochs)
            .clock(self.clock.clone())
            .recover(self.recovery.clone())
            .communication(self.communication);
        if let Some(most) = self.records_in_flight {
            runner = runner.records_in_flight(most);
        }
        match self.clock.is_system() {
            true => runner,
            false => runner.fixed_in_flight(),
        }
    }

    /// The sources that feed the inputs: a [`TestSource`](super::TestSource) for each.
    #[must_use]
    pub fn sources(&self) -> I::Sources {
        self.sources.clone()
    }

    /// The sinks that keep the outputs: a [`TestSink`](super::TestSink) for each.
    #[must_use]
    pub fn sinks(&self) -> O::Sinks {
        self.sinks.clone()
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

    /// A directory for files of the test. It is removed with the harness.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.store.path()
    }
}

impl<T: Clone + Send + 'static, O: Outputs> Harness<Stream<T>, O> {
    /// Adds records at the end of the partition `items`.
    pub fn feed(&mut self, records: impl IntoIterator<Item = T>) -> &mut Self {
        self.sources.feed(records);
        self
    }

    /// Adds events at the end of a partition.
    pub fn feed_events(
        &mut self,
        partition: &str,
        events: impl IntoIterator<Item = Event<T>>,
    ) -> &mut Self {
        self.sources.feed_events(partition, events);
        self
    }
}

impl<I: Inputs, T: 'static, Key, Time: TimeKind> Harness<I, Stream<T, Key, Time>>
where
    Key: KeyKind + 'static,
    Key::Item<T>: Serialize + DeserializeOwned + Send + Clone,
{
    /// The output of all runs so far, each item once.
    ///
    /// After an aborted run, this includes items of epochs that had not become durable. The next
    /// run takes them back when it starts.
    #[must_use]
    pub fn outputs(&self) -> Vec<Key::Item<T>> {
        self.sinks.items()
    }

    /// The output of the last run: nothing, if it was refused.
    #[must_use]
    pub fn run_outputs(&self) -> Vec<Key::Item<T>> {
        self.sinks.run_items()
    }

    /// The output of all runs so far, with the epoch, worker and run of each item.
    ///
    /// ```
    /// use flow::{Epochs, testing::Harness};
    ///
    /// let mut test = Harness::new(|numbers: flow::Stream<u64>| numbers.map(|n| n * 10));
    /// test.epochs(Epochs::records(2)).feed([1, 2, 3]).run().unwrap();
    /// let seen = test.seen().into_iter();
    /// let epochs: Vec<_> = seen.map(|seen| (seen.item, seen.epoch.unwrap().number())).collect();
    /// assert_eq!(epochs, [(10, 1), (20, 1), (30, 2)]);
    /// ```
    #[must_use]
    pub fn seen(&self) -> Vec<Seen<Key::Item<T>>> {
        self.sinks.seen()
    }
}

impl Harness<(), ()> {
    /// Tests a flow that has sources and sinks of its own: files in
    /// [`directory`](Harness::directory), or a [`TestSource`](super::TestSource) and a
    /// [`TestSink`](super::TestSink).
    ///
    /// ```
    /// use flow::{prelude::*, testing::Harness};
    ///
    /// let home = tempfile::tempdir().unwrap();
    /// let [input, output] = ["in.txt", "out.txt"].map(|name| home.path().join(name));
    /// std::fs::write(&input, "a\nb\n").unwrap();
    /// let read_from = input.clone();
    /// let written_to = output.clone();
    /// let mut test = Harness::flow(move |flow| {
    ///     let lines = flow.source(TextLines::open(&read_from)).named("lines");
    ///     lines.map(|line| line.to_uppercase()).sink(TextLines::write_to(&written_to));
    /// });
    /// test.run().unwrap();
    /// std::fs::write(&input, "a\nb\nc\n").unwrap();
    /// assert_eq!(test.workers(2).run().unwrap().records, 1);
    /// assert_eq!(std::fs::read_to_string(output).unwrap(), "A\nB\nC\n");
    /// ```
    ///
    /// # Panics
    /// If no temporary directory can be created.
    pub fn flow(build: impl Fn(&Flow) + Send + Sync + 'static) -> Self {
        Harness::building(Arc::new(build))
    }

    /// Replaces the flow under test.
    pub fn change_flow(&mut self, build: impl Fn(&Flow) + Send + Sync + 'static) -> &mut Self {
        self.build = Arc::new(build);
        self
    }
}
