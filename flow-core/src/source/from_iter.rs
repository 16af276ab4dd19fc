//! Records from an iterator.

use std::task::Waker;

use super::{At, Excerpt, Next, Reader, Source, SourceError};

/// The most records of one batch.
const BATCH: usize = 256;

/// Records from a value that can be iterated again from the start: a range, a vector, an array.
///
/// The token is the number of records that have been read. A run that resumes skips that many.
/// `next` is called on a worker. If it waits, for example for a socket, it holds up its epoch.
/// [`from_channel`](super::from_channel) takes records from a thread that may wait.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # let (out, seen) = sink::collect();
/// # Runner::new(move |flow| {
/// let numbers = flow.source(source::from_iter(0..3u64));
/// # numbers.sink(out.clone());
/// # }).run().unwrap();
/// # assert_eq!(seen.take(), [0, 1, 2]);
/// ```
pub fn from_iter<I>(items: I) -> IterSource<I>
where
    I: IntoIterator + Clone,
{
    IterSource(items)
}

/// Records from an iterator; made by [`from_iter`].
#[derive(Clone, Debug)]
pub struct IterSource<I>(I);

impl<I> Source for IterSource<I>
where
    I: IntoIterator + Clone + 'static,
    I::Item: 'static,
{
    type Item = I::Item;
    type Token = u64;
    type Reader = IterReader<I::IntoIter>;

    fn kind(&self) -> String {
        "from_iter".to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["items".to_owned()])
    }

    fn open(&self, _: &str, at: At<u64>) -> Result<Self::Reader, SourceError> {
        let read = at.token().unwrap_or(0);
        let mut items = self.0.clone().into_iter();
        for skipped in 0..read {
            if items.next().is_none() {
                return Err(SourceError::new(format!(
                    "the iterator has {skipped} items, but {read} had been read"
                )));
            }
        }
        Ok(IterReader {
            items,
            read,
            batch: 0,
        })
    }
}

/// Reads an iterator.
#[derive(Debug)]
pub struct IterReader<I> {
    items: I,
    read: u64,
    batch: u64,
}

impl<I: Iterator + 'static> Reader for IterReader<I> {
    type Item = I::Item;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<I::Item>, _: &Waker) -> Result<Next, SourceError> {
        out.extend(self.items.by_ref().take(BATCH));
        self.batch = out.len() as u64;
        self.read += self.batch;
        Ok(if out.len() < BATCH {
            Next::End
        } else {
            Next::Ready
        })
    }

    fn token(&self, index: usize) -> u64 {
        self.read - self.batch + index as u64
    }

    fn excerpt(&mut self, at: &u64) -> Option<Excerpt> {
        Some(Excerpt {
            position: format!("item {}", at + 1),
            line: None,
            text: None,
        })
    }
}
