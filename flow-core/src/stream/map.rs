//! Stateless steps named as on `Iterator`.
//!
//! They see whole items: `T`, or `(K, T)` on a keyed stream, and what they give out has no key.

use std::panic::Location;

use super::Stream;
use crate::{
    chain::{At, BoxConsumer, Consumer, Fault},
    record::{KeyKind, NoKey},
};

impl<T, Key> Stream<T, Key> {
    /// Replaces each item.
    ///
    /// On a keyed stream the function sees `(key, value)`, and the result has no key; see
    /// [`map_values`](Stream::map_values). For a function that returns a `Result` there is
    /// [`try_map`](Stream::try_map).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// flow.source(source::from_iter(1..=3u64)).map(|n| n * 2).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn map<U, F>(self, f: F) -> Stream<U>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        F: FnMut(Key::Item<T>) -> U + 'static,
    {
        self.chain("map", Location::caller(), |at, _, next| {
            let mut f = f;
            Box::new(Each {
                at,
                f: move |pair| (NoKey, f(Key::item(pair))),
                out: Vec::new(),
                next,
            })
        })
    }

    /// Keeps the items for which the function is true.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// flow.source(source::from_iter(1..=4u64)).filter(|n| n % 2 == 0).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [2, 4]);
    /// ```
    #[track_caller]
    pub fn filter<F>(self, f: F) -> Stream<Key::Item<T>>
    where
        Key: KeyKind,
        T: 'static,
        F: FnMut(&Key::Item<T>) -> bool + 'static,
    {
        self.chain("filter", Location::caller(), |at, _, next| {
            let mut f = f;
            Box::new(Pick {
                at,
                f: move |pair| f(Key::item_ref(&pair)).then(|| (NoKey, Key::item(pair))),
                out: Vec::new(),
                next,
            })
        })
    }

    /// Replaces each item, or drops it where the function returns `None`.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let words = flow.source(source::from_iter(["1", "x", "3"].map(String::from)));
    /// words.filter_map(|word| word.parse::<u64>().ok()).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1, 3]);
    /// ```
    #[track_caller]
    pub fn filter_map<U, F>(self, f: F) -> Stream<U>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        F: FnMut(Key::Item<T>) -> Option<U> + 'static,
    {
        self.chain("filter_map", Location::caller(), |at, _, next| {
            let mut f = f;
            Box::new(Pick {
                at,
                f: move |pair| Some((NoKey, f(Key::item(pair))?)),
                out: Vec::new(),
                next,
            })
        })
    }

    /// Replaces each item by any number of others.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let lines = flow.source(source::from_iter(["a b", "", "c"].map(String::from)));
    /// let words = lines.flat_map(|line| line.split_whitespace().map(String::from).collect::<Vec<_>>());
    /// words.sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), ["a", "b", "c"]);
    /// ```
    #[track_caller]
    pub fn flat_map<I, F>(self, f: F) -> Stream<I::Item>
    where
        Key: KeyKind,
        T: 'static,
        I: IntoIterator,
        I::Item: 'static,
        F: FnMut(Key::Item<T>) -> I + 'static,
    {
        self.chain("flat_map", Location::caller(), |at, _, next| {
            let mut f = f;
            Box::new(Many {
                at,
                f: move |pair| f(Key::item(pair)).into_iter().map(|item| (NoKey, item)),
                out: Vec::new(),
                next,
            })
        })
    }

    /// Looks at each item as it passes.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=2u64));
    /// numbers.inspect(|n| eprintln!("saw {n}")).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn inspect<F>(self, f: F) -> Stream<Key::Item<T>>
    where
        Key: KeyKind,
        T: 'static,
        F: FnMut(&Key::Item<T>) + 'static,
    {
        self.chain("inspect", Location::caller(), |at, _, next| {
            let mut f = f;
            Box::new(Each {
                at,
                f: move |pair| {
                    f(Key::item_ref(&pair));
                    (NoKey, Key::item(pair))
                },
                out: Vec::new(),
                next,
            })
        })
    }
}

/// A step that makes one record of each.
pub(super) struct Each<F, U> {
    pub(super) at: At,
    pub(super) f: F,
    pub(super) out: Vec<U>,
    pub(super) next: BoxConsumer<U>,
}

impl<T, U, F: FnMut(T) -> U> Consumer<T> for Each<F, U> {
    fn push(&mut self, record: T) -> Result<(), Fault> {
        self.at.enter();
        let record = (self.f)(record);
        self.next.push(record)
    }

    fn push_batch(&mut self, records: &mut Vec<T>) -> Result<(), Fault> {
        self.at.enter();
        self.out.extend(records.drain(..).map(&mut self.f));
        self.next.push_batch(&mut self.out)
    }
}

/// A step that makes at most one record of each.
pub(super) struct Pick<F, U> {
    pub(super) at: At,
    pub(super) f: F,
    pub(super) out: Vec<U>,
    pub(super) next: BoxConsumer<U>,
}

impl<T, U, F: FnMut(T) -> Option<U>> Consumer<T> for Pick<F, U> {
    fn push(&mut self, record: T) -> Result<(), Fault> {
        self.at.enter();
        match (self.f)(record) {
            Some(record) => self.next.push(record),
            None => Ok(()),
        }
    }

    fn push_batch(&mut self, records: &mut Vec<T>) -> Result<(), Fault> {
        self.at.enter();
        self.out.extend(records.drain(..).filter_map(&mut self.f));
        self.next.push_batch(&mut self.out)
    }
}

/// A step that makes any number of records of each.
pub(super) struct Many<F, U> {
    pub(super) at: At,
    pub(super) f: F,
    pub(super) out: Vec<U>,
    pub(super) next: BoxConsumer<U>,
}

impl<T, U, I: Iterator<Item = U>, F: FnMut(T) -> I> Consumer<T> for Many<F, U> {
    fn push(&mut self, record: T) -> Result<(), Fault> {
        self.at.enter();
        // The iterator is user code too: whatever it gives out, the step is entered again for it.
        for record in (self.f)(record) {
            self.next.push(record)?;
            self.at.enter();
        }
        Ok(())
    }

    fn push_batch(&mut self, records: &mut Vec<T>) -> Result<(), Fault> {
        self.at.enter();
        for record in records.drain(..) {
            self.out.extend((self.f)(record));
        }
        self.next.push_batch(&mut self.out)
    }
}
