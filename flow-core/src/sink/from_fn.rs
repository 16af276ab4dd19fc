//! A function as a sink.

use std::{cell::RefCell, marker::PhantomData, rc::Rc};

use super::{NoResume, OutputId, Shards, Sink, SinkError, SyncOutput, Writer};
use crate::{
    error::{BoxError, Failure},
    record::Record,
};

/// The result of a function that is a sink: nothing, or a `Result`.
#[diagnostic::on_unimplemented(
    message = "a function that is a sink can't return `{Self}`",
    label = "this function returns `{Self}`",
    note = "let it return nothing, or a `Result<(), E>` where it can fail"
)]
pub trait Written {
    /// Whether the record was written.
    #[doc(hidden)]
    fn written(self) -> Result<(), BoxError>;
}

impl Written for () {
    fn written(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Failure> Written for Result<(), E> {
    fn written(self) -> Result<(), BoxError> {
        self.map_err(Failure::into_error)
    }
}

/// Calls a function for each record, on the worker that has it.
///
/// The function returns nothing, or a `Result<(), E>`. An error aborts the run. After a crash,
/// records of epochs that were not durable are passed to it again.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # Runner::new(|flow| {
/// # let numbers = flow.source(source::from_iter(1..=3u64));
/// numbers.clone().sink(sink::from_fn(|n: u64| println!("{n}")));
/// numbers.sink(sink::from_fn(small)).named("small");
///
/// fn small(n: u64) -> Result<(), String> {
///     if n < 10 { Ok(()) } else { Err(format!("{n} is too large")) }
/// }
/// # }).run().unwrap();
/// ```
pub fn from_fn<T, R, F>(f: F) -> FnSink<T, R, F>
where
    T: Record,
    R: Written,
    F: FnMut(T) -> R + 'static,
{
    FnSink {
        f: Rc::new(RefCell::new(f)),
        types: PhantomData,
    }
}

/// A function as a sink; made by [`from_fn`].
pub struct FnSink<T, R, F> {
    f: Rc<RefCell<F>>,
    types: PhantomData<fn(T) -> R>,
}

impl<T, R, F> Sink for FnSink<T, R, F>
where
    T: Record,
    R: Written + 'static,
    F: FnMut(T) -> R + 'static,
{
    type Item = T;
    type Position = NoResume;
    type Writer = FnWriter<T, R, F>;

    fn kind(&self) -> String {
        "from_fn".to_owned()
    }

    fn shards(&self) -> Shards {
        Shards::PerWorker
    }

    fn open(&self, _: &OutputId, _: Option<NoResume>) -> Result<Self::Writer, SinkError> {
        Ok(FnWriter {
            f: self.f.clone(),
            types: PhantomData,
        })
    }
}

/// Calls the function.
pub struct FnWriter<T, R, F> {
    f: Rc<RefCell<F>>,
    types: PhantomData<fn(T) -> R>,
}

impl<T, R, F> Writer for FnWriter<T, R, F>
where
    T: 'static,
    R: Written + 'static,
    F: FnMut(T) -> R + 'static,
{
    type Item = T;
    type Position = NoResume;

    fn position(&self) -> NoResume {
        NoResume
    }

    fn write(&mut self, items: &mut Vec<T>) -> Result<(), SinkError> {
        let mut f = self.f.borrow_mut();
        for item in items.drain(..) {
            f(item)
                .written()
                .map_err(|error| SinkError::caused_by("the function failed", error))?;
        }
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(NoResume, Option<SyncOutput>), SinkError> {
        Ok((NoResume, None))
    }
}
