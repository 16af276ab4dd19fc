//! Records from a function that returns a token with each record.

use std::{marker::PhantomData, task::Waker};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{At, Next, Reader, Source, SourceError};

/// The most records of one batch.
const BATCH: usize = 256;

/// Records from a function that returns a token with each record, such as an offset, an id, or the
/// time of a change.
///
/// `open(resume)` is called when the flow starts: the first time with `None`, later with the token
/// of the last durable record. It returns an iterator of `(record, token)`. With this token, `open`
/// resumes *behind* that record. `next` of the iterator is called on a worker and should not wait.
///
/// If the number of records is enough to resume, use [`from_fn`](super::from_fn), which counts
/// them.
///
/// # Errors
/// The flow stops exactly at a record that is an error, and the next run starts at it. If `open`
/// fails, the start is refused.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// # use std::collections::BTreeMap;
/// # let (out, seen) = sink::collect();
/// // Orders by their ids, which have gaps.
/// let orders = BTreeMap::from([(3, "a book"), (7, "a pen"), (20, "a lamp")]);
/// # Runner::new(move |flow| {
/// let orders = orders.clone();
/// let orders = flow.source(source::from_fn_with_token(move |last: Option<u64>| {
///     let unread = orders.clone().into_iter().filter(move |(id, _)| Some(*id) > last);
///     Ok(unread.map(|(id, order)| Ok((order.to_owned(), id))))
/// }));
/// # orders.sink(out.clone());
/// # }).run().unwrap();
/// # assert_eq!(seen.take(), ["a book", "a pen", "a lamp"]);
/// ```
pub fn from_fn_with_token<F, T, P, I>(open: F) -> FnTokenSource<F, T, P, I>
where
    F: Fn(Option<P>) -> Result<I, SourceError> + 'static,
    I: Iterator<Item = Result<(T, P), SourceError>> + 'static,
{
    FnTokenSource {
        open,
        types: PhantomData,
    }
}

/// Records from a function; made by [`from_fn_with_token`].
pub struct FnTokenSource<F, T, P, I> {
    open: F,
    types: PhantomData<Types<T, P, I>>,
}

type Types<T, P, I> = fn() -> (T, P, I);

/// How far a function's records have been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FnToken<P> {
    /// Nothing has been read.
    Start,
    /// Behind the record that came with this token.
    After(P),
}

impl<F, T, P, I> Source for FnTokenSource<F, T, P, I>
where
    T: 'static,
    P: Clone + Serialize + DeserializeOwned + 'static,
    F: Fn(Option<P>) -> Result<I, SourceError> + 'static,
    I: Iterator<Item = Result<(T, P), SourceError>> + 'static,
{
    type Item = T;
    type Token = FnToken<P>;
    type Reader = FnTokenReader<P, I>;

    fn kind(&self) -> String {
        "from_fn_with_token".to_owned()
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
        Ok(FnTokenReader {
            items,
            tokens: vec![start],
        })
    }
}

/// Reads the records of a function.
pub struct FnTokenReader<P, I> {
    items: I,
    /// The token before the last batch, and then those of its records.
    tokens: Vec<FnToken<P>>,
}

impl<T, P, I> Reader for FnTokenReader<P, I>
where
    P: Clone + 'static,
    I: Iterator<Item = Result<(T, P), SourceError>> + 'static,
{
    type Item = T;
    type Token = FnToken<P>;

    fn read(&mut self, out: &mut Vec<T>, _: &Waker) -> Result<Next, SourceError> {
        self.tokens.drain(..self.tokens.len() - 1);
        for _ in 0..BATCH {
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
