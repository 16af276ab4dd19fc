//! The handle through which a flow is built.

use std::{
    cell::{Cell, RefCell},
    panic::Location,
    rc::Rc,
};

use super::{Built, Stream};
use crate::{
    chain::{Carried, InletId, Port},
    engine::Head,
    error::{BuildError, Dead},
    graph::{Facts, Graph, Keeps, Step, StepIndex, Trace},
    record::{NoKey, State},
    source::{self, Source, SourceOrDead},
    time::NoTime,
};

/// A flow while it is built: streams begin here.
///
/// A flow is built several times in one run: once to plan and check it, and once on each worker. It
/// must be the same each time. Building opens nothing: sources and sinks only say what they will
/// open.
#[derive(Clone)]
pub struct Flow {
    inner: Rc<Inner>,
}

struct Inner {
    graph: RefCell<Graph>,
    heads: RefCell<Vec<Head>>,
    inlets: Cell<usize>,
}

/// A step that begins a stream, and the port of the stream.
type Begun<T> = (StepIndex, Rc<Port<Carried<T, NoKey, NoTime>>>);

impl Flow {
    pub(crate) fn new() -> Self {
        Flow {
            inner: Rc::new(Inner {
                graph: RefCell::new(Graph::default()),
                heads: RefCell::new(Vec::new()),
                inlets: Cell::new(0),
            }),
        }
    }

    /// Begins a stream with the records of a source.
    ///
    /// The source's id is the name of the `let` that it is bound to. Otherwise it is made of its
    /// kind (`text_lines_source`).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// #[dataflow]
    /// fn squares(flow: &Flow) {
    ///     let numbers = flow.source(source::from_iter(1..=3u64));
    ///     numbers.map(|n| n * n).sink(sink::from_fn(|n: u64| println!("{n}")));
    /// }
    /// # Runner::new(squares).run().unwrap();
    /// ```
    #[track_caller]
    #[must_use = "a stream does nothing until it reaches a sink"]
    pub fn source<S: Source>(&self, source: S) -> Stream<S::Item> {
        let (index, port) = self.add_source(source, Location::caller());
        Stream::new(self.clone(), index, port)
    }

    /// Begins a stream with the records of a source, and a second stream with what the source can't
    /// read.
    ///
    /// The second stream is as durable as any other: a file at its end holds each such line exactly
    /// once, with its place. The line need not be UTF-8. The source's `.on_error(..)` has no effect
    /// here.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::sink;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("orders.json");
    /// std::fs::write(&path, b"1\nx\n3\n\xff\n").unwrap();
    /// # let ((out, seen), (bad, failed)) = (sink::collect(), sink::collect());
    /// # Runner::new(move |flow| {
    /// let (orders, dead) = flow.source_or_dead(JsonLines::open::<u64>(&path));
    /// orders.sink(out.clone());
    /// dead.map(|dead| format!("{}: {}", dead.record.line, dead.record.text()))
    ///     .sink(bad.clone())
    ///     .named("dead");
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1, 3]);
    /// # assert_eq!(failed.take(), ["2: x", "4: \u{fffd}"]);
    /// ```
    #[track_caller]
    #[must_use = "a stream does nothing until it reaches a sink"]
    #[allow(clippy::type_complexity)] // two streams, as `partition` returns two collections
    pub fn source_or_dead<S: SourceOrDead>(
        &self,
        source: S,
    ) -> (Stream<S::Item>, Stream<Dead<S::Raw, String>>) {
        let place = Location::caller();
        let (index, port) = self.add_source(source.or_dead(), place);
        self.change_step(index, |step| step.item = std::any::type_name::<S::Item>());
        Stream::new(self.clone(), index, port).split_dead(place)
    }

    fn add_source<S: Source>(&self, source: S, place: &Location<'_>) -> Begun<S::Item> {
        let mut step = Step::new(source.kind(), Keeps::Tokens, place);
        step.item = std::any::type_name::<S::Item>();
        step.state = Some(std::any::type_name::<S::Token>());
        step.types.state = Some(Trace(<S::Token as State>::schema));
        step.facts = Facts {
            drop: None,
            cannot_resume: source::cannot_resume::<S>() && !source.is_lossy(),
            inputs: source.files(),
            output: None,
            depth: 0,
            may_write_null: false,
            may_be_unused: false,
        };
        let (index, port) = self.add(step);
        self.add_head(source::head(index, source, port.clone()));
        (index, port)
    }

    /// Adds a step that has an output stream.
    pub(crate) fn add<T: 'static>(&self, step: Step) -> Begun<T> {
        (self.add_step(step), Port::new())
    }

    pub(crate) fn add_step(&self, step: Step) -> StepIndex {
        self.inner.graph.borrow_mut().add(step)
    }

    /// Whether more steps lead to this one than a chain may have.
    pub(crate) fn is_too_deep(&self, index: StepIndex) -> bool {
        self.inner.graph.borrow().is_too_deep(index)
    }

    pub(crate) fn add_head(&self, head: Head) {
        self.inner.heads.borrow_mut().push(head);
    }

    pub(crate) fn new_inlet(&self) -> InletId {
        let next = self.inner.inlets.get();
        self.inner.inlets.set(next + 1);
        InletId(next)
    }

    pub(crate) fn change_step(&self, index: StepIndex, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.inner.graph.borrow_mut().step_mut(index) {
            change(step);
        }
    }

    /// Changes the head of a step, if it has one.
    pub(crate) fn change_head(&self, index: StepIndex, change: impl FnOnce(&mut Head)) {
        let mut heads = self.inner.heads.borrow_mut();
        if let Some(head) = heads.iter_mut().find(|head| head.step == index) {
            change(head);
        }
    }

    /// Builds a flow: its graph, and the heads that make it run.
    pub(crate) fn built<R, M>(build: impl Fn(&Flow) -> R) -> Result<(Graph, Vec<Head>), BuildError>
    where
        R: Built<M>,
    {
        let flow = Flow::new();
        build(&flow).into_result().map_err(BuildError::Function)?;
        Ok((flow.inner.graph.take(), flow.inner.heads.take()))
    }
}
