//! Records from a function: the smallest source that can resume.

use std::{marker::PhantomData, task::Waker};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{At, Next, Reader, Source, SourceError};

/// How many records are read in one run.
const RUN: usize = 256;

/// Records from a function that says, with each record, where to go on after it.
///
/// `open(resume)` is called when the flow starts, with `None` the first time and then with the token of the
/// last durable record. It returns an iterator of `(record, token)`, where the token is what `open` needs to
/// go on *behind* that record. `next` is called on a worker and should not wait.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # let (out, seen) = sink::collect();
/// # Runner::new(move |flow| {
/// let squares = flow.source(source::from_fn(|resume: Option<u64>| {
///     let first = resume.unwrap_or(0);
///     Ok((first..3).map(|n| Ok((n * n, n + 1))))
/// }));
/// # squares.sink(out.clone());
/// # }).run().unwrap();
/// # assert_eq!(seen.take(), [0, 1, 4]);
/// ```
pub fn from_fn<F, T, P, I>(open: F) -> FnSource<F, T, P, I>
where
    F: Fn(Option<P>) -> Result<I, SourceError> + 'static,
    I: Iterator<Item = Result<(T, P), SourceError>> + 'static,
{
    FnSource {
        open,
        types: PhantomData,
    }
}

/// Records from a function; made by [`from_fn`].
pub struct FnSource<F, T, P, I> {
    open: F,
    types: PhantomData<Types<T, P, I>>,
}

type Types<T, P, I> = fn() -> (T, P, I);

/// Where a function's records have been read to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FnToken<P> {
    /// Nothing has been read.
    Start,
    /// Behind the record that came with this token.
    After(P),
}

impl<F, T, P, I> Source for FnSource<F, T, P, I>
where
    T: 'static,
    P: Clone + Serialize + DeserializeOwned + 'static,
    F: Fn(Option<P>) -> Result<I, SourceError> + 'static,
    I: Iterator<Item = Result<(T, P), SourceError>> + 'static,
{
    type Item = T;
    type Token = FnToken<P>;
    type Reader = FnReader<P, I>;

    fn kind(&self) -> String {
        "from_fn".to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["items".to_owned()])
    }

    fn open(&self, _: &str, at: At<FnToken<P>>) -> Result<Self::Reader, SourceError> {
        let start = at.token().unwrap_or(FnToken::Start);
        let items = (self.open)(match &start {
            FnToken::Start => None,
            FnToken::After(token) => Some(token.clone()),
        })?;
        Ok(FnReader {
            items,
            tokens: vec![start],
        })
    }
}

/// Reads what a function gives out.
pub struct FnReader<P, I> {
    items: I,
    /// Where the last run started, and then behind each of its records.
    tokens: Vec<FnToken<P>>,
}

impl<T, P, I> Reader for FnReader<P, I>
where
    P: Clone + 'static,
    I: Iterator<Item = Result<(T, P), SourceError>> + 'static,
{
    type Item = T;
    type Token = FnToken<P>;

    fn read(&mut self, out: &mut Vec<T>, _: &Waker) -> Result<Next, SourceError> {
        self.tokens.drain(..self.tokens.len() - 1);
        for _ in 0..RUN {
            let Some(item) = self.items.next() else {
                return Ok(Next::End);
            };
            let (record, token) = item?;
            out.push(record);
            self.tokens.push(FnToken::After(token));
        }
        Ok(Next::Ready)
    }

    fn token(&self, index: usize) -> FnToken<P> {
        let at = index.min(self.tokens.len() - 1);
        self.tokens[at].clone()
    }
}
