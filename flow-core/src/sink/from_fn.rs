//! A function as a sink.

use std::{cell::RefCell, marker::PhantomData, rc::Rc};

use super::{NoResume, Shards, Sink, SinkError, Sync, Writer};
use crate::{error::Failure, record::Record};

/// Calls a function for each record, on the worker that has it.
///
/// After a crash, the records of epochs that were not durable come again.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # Runner::new(|flow| {
/// # let numbers = flow.source(source::from_iter(1..=3u64));
/// numbers.sink(sink::from_fn(|n: u64| if n < 10 { Ok(()) } else { Err(format!("{n} is too large")) }));
/// # }).run().unwrap();
/// ```
pub fn from_fn<T, E, F>(f: F) -> FnSink<T, E, F>
where
    T: Record,
    E: Failure,
    F: FnMut(T) -> Result<(), E> + 'static,
{
    FnSink {
        f: Rc::new(RefCell::new(f)),
        types: PhantomData,
    }
}

/// A function as a sink; made by [`from_fn`].
pub struct FnSink<T, E, F> {
    f: Rc<RefCell<F>>,
    types: PhantomData<fn(T) -> E>,
}

impl<T, E, F> Sink for FnSink<T, E, F>
where
    T: Record,
    E: Failure + 'static,
    F: FnMut(T) -> Result<(), E> + 'static,
{
    type Item = T;
    type Position = NoResume;
    type Writer = FnWriter<T, E, F>;

    fn kind(&self) -> String {
        "from_fn".to_owned()
    }

    fn shards(&self) -> Shards {
        Shards::PerWorker
    }

    fn open(&self, _: u32, _: Option<NoResume>) -> Result<Self::Writer, SinkError> {
        Ok(FnWriter {
            f: self.f.clone(),
            types: PhantomData,
        })
    }
}

/// Calls the function.
pub struct FnWriter<T, E, F> {
    f: Rc<RefCell<F>>,
    types: PhantomData<fn(T) -> E>,
}

impl<T, E, F> Writer for FnWriter<T, E, F>
where
    T: 'static,
    E: Failure + 'static,
    F: FnMut(T) -> Result<(), E> + 'static,
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
                .map_err(|error| SinkError::caused_by("the function failed", error.into_error()))?;
        }
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(NoResume, Option<Sync>), SinkError> {
        Ok((NoResume, None))
    }
}
