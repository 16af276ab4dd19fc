//! Records from a function that is told where to start: the smallest source that can resume.

use std::task::Waker;

use super::{At, Excerpt, Next, Reader, Source, SourceError};

/// The most records of one batch.
const BATCH: usize = 256;

/// Records from a function that gets the number of records already read, and returns an iterator
/// over the rest.
///
/// `open(read)` is called when the flow starts: the first time with 0, later with the number of
/// durable records, which flow counts. `next` of the iterator is called on a worker. If it waits,
/// for example for a socket, it holds up its epoch. [`from_channel`](super::from_channel) takes
/// records from a thread that may wait.
///
/// [`try_from_fn`] is for a function that may fail.
/// [`from_fn_with_token`](super::from_fn_with_token) is for one that needs more than a number to
/// find its place.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # let (out, seen) = sink::collect();
/// # Runner::new(move |flow| {
/// let squares = flow.source(source::from_fn(|read: u64| (read..3).map(|n| n * n)));
/// # squares.sink(out.clone());
/// # }).run().unwrap();
/// # assert_eq!(seen.take(), [0, 1, 4]);
/// ```
pub fn from_fn<F, I>(open: F) -> FnSource<F>
where
    F: Fn(u64) -> I + 'static,
    I: IntoIterator + 'static,
    I::Item: 'static,
{
    FnSource(open)
}

/// Like [`from_fn`], for a function that may fail when it opens its input, or at a record.
///
/// # Errors
/// The flow stops exactly at a record that is an error, and the next run starts at it. If `open`
/// fails, the start is refused.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # let (out, seen) = sink::collect();
/// # let home = tempfile::tempdir().unwrap();
/// # let path = home.path().join("pages");
/// # std::fs::write(&path, "title\ntext\n").unwrap();
/// # Runner::new(move |flow| {
/// # let path = path.clone();
/// let lines = flow.source(source::try_from_fn(move |read: u64| {
///     let text = std::fs::read_to_string(&path)?;
///     let lines: Vec<_> = text.lines().map(String::from).collect();
///     Ok(lines.into_iter().skip(read as usize).map(Ok))
/// }));
/// # lines.sink(out.clone());
/// # }).run().unwrap();
/// # assert_eq!(seen.take(), ["title", "text"]);
/// ```
pub fn try_from_fn<F, I, T>(open: F) -> TryFnSource<F>
where
    F: Fn(u64) -> Result<I, SourceError> + 'static,
    I: IntoIterator<Item = Result<T, SourceError>> + 'static,
    T: 'static,
{
    TryFnSource(open)
}

/// Records from a function; made by [`from_fn`].
#[derive(Clone)]
pub struct FnSource<F>(F);

/// Records from a function that may fail; made by [`try_from_fn`].
#[derive(Clone)]
pub struct TryFnSource<F>(F);

impl<F, I> Source for FnSource<F>
where
    F: Fn(u64) -> I + 'static,
    I: IntoIterator + 'static,
    I::Item: 'static,
{
    type Item = I::Item;
    type Token = u64;
    type Reader = FnReader<I::Item>;

    fn kind(&self) -> String {
        "from_fn".to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["items".to_owned()])
    }

    fn open(&self, _: &str, at: At<u64>) -> Result<FnReader<I::Item>, SourceError> {
        let read = at.token().unwrap_or(0);
        Ok(FnReader::new(read, (self.0)(read).into_iter().map(Ok)))
    }
}

impl<F, I, T> Source for TryFnSource<F>
where
    F: Fn(u64) -> Result<I, SourceError> + 'static,
    I: IntoIterator<Item = Result<T, SourceError>> + 'static,
    T: 'static,
{
    type Item = T;
    type Token = u64;
    type Reader = FnReader<T>;

    fn kind(&self) -> String {
        "try_from_fn".to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["items".to_owned()])
    }

    fn open(&self, _: &str, at: At<u64>) -> Result<FnReader<T>, SourceError> {
        let read = at.token().unwrap_or(0);
        Ok(FnReader::new(read, (self.0)(read)?.into_iter()))
    }
}

/// Reads the records of a function, and counts them.
pub struct FnReader<T> {
    items: Box<dyn Iterator<Item = Result<T, SourceError>>>,
    /// The number of records read before the last batch, and by the last batch.
    before: u64,
    batch: u64,
}

impl<T> FnReader<T> {
    fn new(read: u64, items: impl Iterator<Item = Result<T, SourceError>> + 'static) -> Self {
        FnReader {
            items: Box::new(items),
            before: read,
            batch: 0,
        }
    }
}

impl<T: 'static> Reader for FnReader<T> {
    type Item = T;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<T>, _: &Waker) -> Result<Next, SourceError> {
        self.before += std::mem::take(&mut self.batch);
        while out.len() < BATCH {
            let Some(item) = self.items.next() else {
                return Ok(Next::End);
            };
            out.push(item?);
            self.batch += 1;
        }
        Ok(Next::Ready)
    }

    fn token(&self, index: usize) -> u64 {
        self.before + index as u64
    }

    fn excerpt(&mut self, at: &u64) -> Option<Excerpt> {
        Some(Excerpt {
            position: format!("item {}", at + 1),
            line: None,
            text: None,
        })
    }
}
