//! A wrapper that slows down any source: a given number of microseconds between two records of a
//! partition.

use std::{
    collections::VecDeque,
    task::Waker,
    time::{Duration, Instant},
};

use flow::source::{At, Excerpt, Next, Reader, Source, SourceError, UnfinishedLine};

/// A source whose partitions emit one record per interval, from the time when they are opened.
pub(crate) struct Throttled<S> {
    source: S,
    interval: Duration,
}

impl<S> Throttled<S> {
    pub(crate) fn new(source: S, micros: u64) -> Self {
        Throttled {
            source,
            interval: Duration::from_micros(micros),
        }
    }
}

impl<S: Source> Source for Throttled<S> {
    type Item = S::Item;
    type Token = S::Token;
    type Reader = ThrottledReader<S::Reader>;

    fn kind(&self) -> String {
        self.source.kind()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        self.source.partitions()
    }

    fn open(&self, partition: &str, at: At<S::Token>) -> Result<Self::Reader, SourceError> {
        Ok(ThrottledReader {
            reader: self.source.open(partition, at)?,
            interval: self.interval,
            due: Instant::now() + self.interval,
            held: VecDeque::new(),
            given: 0,
            batch: 0,
            ended: false,
        })
    }
}

pub(crate) struct ThrottledReader<R: Reader> {
    reader: R,
    interval: Duration,
    /// When the next record comes.
    due: Instant,
    /// The records that are left of the inner reader's last batch.
    held: VecDeque<R::Item>,
    /// How many records of that batch had been emitted before the last batch of this reader.
    given: usize,
    /// The size of this reader's last batch.
    batch: usize,
    ended: bool,
}

impl<R: Reader<Item: 'static, Token: 'static>> Reader for ThrottledReader<R> {
    type Item = R::Item;
    type Token = R::Token;

    fn read(&mut self, out: &mut Vec<R::Item>, waker: &Waker) -> Result<Next, SourceError> {
        self.given += std::mem::take(&mut self.batch);
        if self.held.is_empty() && !self.ended {
            let mut batch = Vec::new();
            let next = self.reader.read(&mut batch, waker)?;
            (self.held, self.given) = (batch.into(), 0);
            self.ended = next == Next::End;
            if self.held.is_empty() {
                return Ok(next);
            }
        }
        let now = Instant::now();
        while self.due <= now
            && let Some(record) = self.held.pop_front()
        {
            out.push(record);
            self.batch += 1;
            self.due += self.interval;
        }
        Ok(match (self.held.is_empty(), self.ended) {
            (false, _) => Next::IdleUntil(self.due),
            (true, false) => Next::Ready,
            (true, true) => Next::End,
        })
    }

    fn unfinished(&mut self) -> Option<UnfinishedLine> {
        self.reader.unfinished()
    }

    fn check(&mut self) -> Result<(), SourceError> {
        self.reader.check()
    }

    fn token(&self, index: usize) -> R::Token {
        self.reader.token(self.given + index)
    }

    fn excerpt(&mut self, at: &R::Token) -> Option<Excerpt> {
        self.reader.excerpt(at)
    }
}
