//! Streams and the steps that can follow on them: one file for each operator.

mod branch;
mod built;
mod dead;
mod drop_key;
mod drop_time;
mod event_time;
mod fallible;
mod filter;
mod filter_map;
mod flat_map;
mod flow;
mod inspect;
mod into_keyed;
mod key_on;
mod map;
mod merge;
mod migrate;
mod rekey_on;
mod sink;
pub mod stateful;
#[cfg(test)]
mod tests;
mod window;

use std::{panic::Location, rc::Rc};

pub use built::Built;
pub use flow::Flow;
pub use migrate::Convert;
pub use sink::SinkStep;
pub use stateful::Stateful;
pub use window::{Late, Window, Windowed, WindowedStreams, Windows};

use crate::{
    chain::{BoxConsumer, Carried, Port, StepContext, Wiring},
    graph::{Keeps, Step, StepIndex},
    record::NoKey,
    time::{NoTime, TimeKind},
};

/// Records on their way from one step to the next.
///
/// `T` is the type of the records. `Key` is [`NoKey`] until [`key_on`](Stream::key_on) gives each
/// record a key; then steps may keep a state for each key. `Time` is [`NoTime`], or
/// [`EventTime`](crate::EventTime) if records know when they happened. What a step makes of a
/// record has the time of that record. A clone is a second branch that sees the same records.
///
/// The order of records:
/// - Records of one partition of a source stay in order up to the next shuffle.
/// - Records of one key stay in order through the shuffle.
/// - Between keys or partitions no order is specified, except that with one worker nothing changes
///   places.
///
/// Each worker has a copy of every function, and processes some of the records. So a closure that
/// keeps something from one record to the next sees only the records of its worker. Use the state
/// of a stateful step instead.
#[must_use = "a stream does nothing until it reaches a sink"]
pub struct Stream<T, Key = NoKey, Time = NoTime> {
    flow: Flow,
    step: StepIndex,
    port: Rc<Port<Carried<T, Key, Time>>>,
}

/// A stream with a key. Its parameters are in the order of a map's.
pub type KeyedStream<K, V, Time = NoTime> = Stream<V, K, Time>;

impl<T: Clone, Key: Clone, Time: TimeKind> Clone for Stream<T, Key, Time> {
    fn clone(&self) -> Self {
        self.port.allow_fan_out(self.step, Clone::clone);
        Stream {
            flow: self.flow.clone(),
            step: self.step,
            port: self.port.clone(),
        }
    }
}

impl<T: 'static, Key: 'static, Time: 'static> Stream<T, Key, Time> {
    pub(crate) fn new(flow: Flow, step: StepIndex, port: Rc<Port<Carried<T, Key, Time>>>) -> Self {
        if flow.is_too_deep(step) {
            port.close();
        }
        Stream { flow, step, port }
    }
}

impl<T, Key, Time> Stream<T, Key, Time> {
    /// Gives the step that made this stream an id of its own.
    ///
    /// The store knows a step that keeps something by its id. A name:
    /// - is not empty, and has at most 255 bytes;
    /// - has no period, because periods join the names of nested dataflows;
    /// - has no invisible character, and no space at its beginning or end.
    pub fn named(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.flow.change_step(self.step, |step| step.set_name(id));
        self
    }

    /// Says which id the step that made this stream had before. The step takes over what the store
    /// holds under that id.
    ///
    /// If the step was in the same dataflow, the id is its name. Otherwise it is the whole id, as
    /// messages and `flow-store steps` print it: `carts.joiner`.
    pub fn renamed_from(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.flow
            .change_step(self.step, |step| step.add_former_name(id));
        self
    }

    /// A step that takes this stream, to be added to the graph.
    fn follow(&self, kind: &str, keeps: Keeps, at: &Location<'_>) -> Step {
        let mut step = Step::new(kind, keeps, at);
        step.inputs = vec![self.step.as_usize()];
        step
    }
}

impl<T: 'static, Key: 'static, Time: 'static> Stream<T, Key, Time> {
    /// Adds a stateless step: a consumer in the chain of this stream.
    fn chain<U: 'static, L: 'static, M: 'static, C>(
        self,
        kind: &str,
        at: &Location<'_>,
        consumer: C,
    ) -> Stream<U, L, M>
    where
        C: FnOnce(
                StepContext,
                &mut Wiring,
                BoxConsumer<Carried<U, L, M>>,
            ) -> BoxConsumer<Carried<T, Key, Time>>
            + 'static,
    {
        let mut step = self.follow(kind, Keeps::Nothing, at);
        step.item = std::any::type_name::<U>();
        step.key = key_name::<L>();
        let index = self.flow.add_step(step);
        let port: Rc<Port<Carried<U, L, M>>> = Port::new();
        let next = port.clone();
        self.port.attach(move |wiring| {
            let next = next.build(wiring);
            consumer(wiring.whereabouts.of(index), wiring, next)
        });
        Stream::new(self.flow, index, port)
    }
}

/// The name of a key type; `None` for [`NoKey`].
fn key_name<K: 'static>() -> Option<&'static str> {
    let is_key = std::any::TypeId::of::<K>() != std::any::TypeId::of::<NoKey>();
    is_key.then(std::any::type_name::<K>)
}
