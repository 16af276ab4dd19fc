//! Stateless steps on the values of a keyed stream: the key stays.

use std::panic::Location;

use super::{
    Stream,
    map::{Each, Many, Pick},
};
use crate::record::IsKeyed;

impl<T, Key> Stream<T, Key> {
    /// Replaces the value of each record and keeps its key.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=2u64));
    /// let keyed = numbers.key_on(|n| n % 2).map_values(|n| n * 10);
    /// keyed.map(|(parity, n)| (parity, n)).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 10), (0, 20)]);
    /// ```
    #[track_caller]
    pub fn map_values<U, F>(self, mut f: F) -> Stream<U, Key>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        U: 'static,
        F: FnMut(T) -> U + 'static,
    {
        self.chain("map_values", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(key, value)| (key, f(value))))
        })
    }

    /// Keeps the records for whose value the function is true, with their keys.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=4u64));
    /// let keyed = numbers.key_on(|n| n % 2).filter_values(|n| *n > 2);
    /// keyed.map(|(parity, n)| (parity, n)).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 3), (0, 4)]);
    /// ```
    #[track_caller]
    pub fn filter_values<F>(self, mut f: F) -> Stream<T, Key>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        F: FnMut(&T) -> bool + 'static,
    {
        self.chain("filter_values", Location::caller(), |at, _, next| {
            Box::new(Pick::new(at, next, move |(key, value)| {
                f(&value).then_some((key, value))
            }))
        })
    }

    /// Replaces the value of each record and keeps its key, or drops the record where the function returns `None`.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let words = flow.source(source::from_iter(["1", "x", "33"].map(String::from)));
    /// let keyed = words.key_on(|word| word.len());
    /// let keyed = keyed.filter_map_values(|word| word.parse::<u64>().ok());
    /// keyed.map(|(length, n)| (length, n)).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 1), (2, 33)]);
    /// ```
    #[track_caller]
    pub fn filter_map_values<U, F>(self, mut f: F) -> Stream<U, Key>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        U: 'static,
        F: FnMut(T) -> Option<U> + 'static,
    {
        self.chain("filter_map_values", Location::caller(), |at, _, next| {
            Box::new(Pick::new(at, next, move |(key, value)| {
                Some((key, f(value)?))
            }))
        })
    }

    /// Replaces the value of each record by any number of others, each with the record's key.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let lines = flow.source(source::from_iter(["a b", "", "c"].map(String::from)));
    /// let letters = lines.key_on(|line| line.len()).flat_map_values(|line| {
    ///     line.split_whitespace().map(String::from).collect::<Vec<_>>()
    /// });
    /// letters.map(|(length, letter)| format!("{letter} of {length}")).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), ["a of 3", "b of 3", "c of 1"]);
    /// ```
    #[track_caller]
    pub fn flat_map_values<I, F>(self, mut f: F) -> Stream<I::Item, Key>
    where
        Key: IsKeyed + Clone + 'static,
        T: 'static,
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: FnMut(T) -> I + 'static,
    {
        self.chain("flat_map_values", Location::caller(), |at, wiring, next| {
            let items = move |(key, value): (Key, T)| {
                f(value).into_iter().map(move |item| (key.clone(), item))
            };
            Box::new(Many::new(at, wiring, next, items))
        })
    }

    /// Looks at the value of each record as it passes; the record keeps its key.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=2u64));
    /// let keyed = numbers.key_on(|n| n % 2).inspect_values(|n| eprintln!("saw {n}"));
    /// keyed.map(|(parity, n)| (parity, n)).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 1), (0, 2)]);
    /// ```
    #[track_caller]
    pub fn inspect_values<F>(self, mut f: F) -> Stream<T, Key>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        F: FnMut(&T) + 'static,
    {
        self.chain("inspect_values", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(key, value)| {
                f(&value);
                (key, value)
            }))
        })
    }
}
