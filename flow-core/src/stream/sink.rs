//! `sink`: the end of a stream.

use std::panic::Location;

use super::{Flow, Stream};
use crate::{
    chain::ToOne,
    error::Failure,
    graph::{Facts, Keeps, StepIndex, Trace},
    names,
    record::{KeyKind, State},
    sink::{self, IntoSink, Sink},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Ends the stream in a sink.
    ///
    /// The sink's id is its kind (`json_lines`). Of two sinks of one kind whose positions are
    /// stored, such as two files, one needs a name: [`SinkStep::named`].
    ///
    /// A record that contains a `Result` is refused when the flow is built; for functions that may
    /// fail, use [`try_map`](Stream::try_map). An `Option` that would become a line of JSON is
    /// refused too.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::source;
    /// # Runner::new(|flow| {
    /// let numbers = flow.source(source::from_iter(1..=3u64));
    /// numbers.clone().sink(JsonLines::stdout());
    /// numbers.map(|n| n * n).sink(JsonLines::stdout()).named("squares");
    /// # }).run().unwrap();
    /// ```
    #[track_caller]
    pub fn sink<S>(self, sink: S) -> SinkStep
    where
        Key: KeyKind,
        T: 'static,
        S: IntoSink<Key::Item<T>>,
    {
        let sink = sink.into_sink();
        let mut step = self.follow(&sink.kind(), Keeps::Positions, Location::caller());
        step.item = std::any::type_name::<Key::Item<T>>();
        step.state = sink::keeps_positions::<S::Sink>()
            .then(std::any::type_name::<<S::Sink as Sink>::Position>);
        step.types.state = sink::keeps_positions::<S::Sink>()
            .then_some(Trace(<<S::Sink as Sink>::Position as State>::schema));
        step.guarantee = Some(sink.guarantee());
        step.facts = Facts {
            drop: None,
            cannot_resume: false,
            inputs: Vec::new(),
            output: sink.output(),
            depth: 0,
            may_write_null: S::AS_IT_IS && names::is_option(std::any::type_name::<T>()),
            may_be_unused: false,
        };
        let index = self.flow.add_step(step);
        let inlet = self.flow.new_inlet();
        let shards = sink.shards();
        self.port.attach(move |wiring| {
            let at = wiring.whereabouts.of(index);
            let own = wiring.worker;
            let worker = shards.worker(own, wiring.workers);
            if S::FALLIBLE {
                wiring.fallible.insert(index);
            }
            let format = move |(_, pair): (Time, _)| {
                S::item_of(own, Key::item(pair)).map_err(Failure::into_error)
            };
            ToOne::attach(inlet, at, worker, format, wiring)
        });
        self.flow.add_head(sink::head(index, inlet, sink));
        SinkStep {
            flow: self.flow,
            step: index,
        }
    }
}

/// A sink at the end of a stream, which can be given a name.
pub struct SinkStep {
    flow: Flow,
    step: StepIndex,
}

impl SinkStep {
    /// Gives the sink an id of its own.
    #[allow(clippy::must_use_candidate, clippy::return_self_not_must_use)]
    pub fn named(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.flow.change_step(self.step, |step| step.set_name(id));
        self
    }

    /// Says which id the sink had before. The sink takes over the position that the store holds
    /// under that id.
    #[allow(clippy::must_use_candidate, clippy::return_self_not_must_use)]
    pub fn renamed_from(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.flow
            .change_step(self.step, |step| step.add_former_name(id));
        self
    }
}
