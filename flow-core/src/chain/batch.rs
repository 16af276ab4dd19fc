//! Batches of records, each of which knows the source record that it came from.
//!
//! A step may make any number of records of one, so a place in a batch says little about the
//! source. Therefore each record carries its *parent*: the place, within the source's push, of the
//! record that it came from. When a step fails, everything that came from earlier parents leaves,
//! and the rest is dropped. A step gets records only together with their parents, so it can't lose
//! them.

use std::thread;

use super::{Fault, StepContext, StopFlag};

/// The source record that a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent(Option<u32>);

impl Parent {
    /// Its place within the source's push; `None` where parents are not tracked.
    pub(crate) fn place(self) -> Option<u32> {
        self.0
    }

    /// Whether it comes before the source's record at `place`; true if parents are not tracked.
    pub(crate) fn is_before(self, place: u32) -> bool {
        self.0.is_none_or(|own| own < place)
    }
}

/// The parents of some records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parents {
    /// Not tracked, as behind a shuffle.
    Unknown,
    /// The record at place n came from the source's record n.
    Same,
    /// One for each record.
    Listed(Vec<u32>),
}

impl Parents {
    #[inline]
    pub(super) fn get(&self, place: usize) -> Parent {
        Parent(match self {
            Parents::Unknown => None,
            #[allow(clippy::cast_possible_truncation)] // a push has a few thousand records
            Parents::Same => Some(place as u32),
            Parents::Listed(list) => list.get(place).copied(),
        })
    }

    /// Moves all of them to `to`. `self` becomes empty and stays of the same kind.
    fn move_to(&mut self, to: &mut Parents) {
        match self {
            Parents::Listed(list) => {
                let rest = to.take_list();
                *to = Parents::Listed(std::mem::replace(list, rest));
            }
            kind => to.clone_from(kind),
        }
    }

    fn clear(&mut self) {
        if let Parents::Listed(list) = self {
            list.clear();
        }
    }

    /// An empty list: that of `self` if it has one, to reuse its memory.
    fn take_list(&mut self) -> Vec<u32> {
        let mut list = match std::mem::replace(self, Parents::Unknown) {
            Parents::Listed(list) => list,
            Parents::Unknown | Parents::Same => Vec::new(),
        };
        list.clear();
        list
    }

    /// Appends the first `len` of them to `list`. Returns false if they are not tracked.
    #[cold]
    fn list(&self, len: usize, list: &mut Vec<u32>) -> bool {
        list.extend((0..len).filter_map(|place| self.get(place).place()));
        *self != Parents::Unknown
    }

    /// Adds the parents of `more` records behind those of the first `len`.
    pub(super) fn append(&mut self, len: usize, parents: &Parents, more: usize) {
        if len == 0 {
            self.clone_from(parents);
            return;
        }
        if *self == Parents::Same {
            let all = (0..len).filter_map(|place| self.get(place).place());
            *self = Parents::Listed(all.collect());
        }
        let Parents::Listed(list) = self else {
            return;
        };
        list.truncate(len);
        list.extend((0..more).filter_map(|place| parents.get(place).place()));
    }
}

/// Records on their way through a chain.
///
/// Their parents never decrease from one record to the next.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    pub(super) records: Vec<T>,
    pub(super) parents: Parents,
    /// A stop that cuts the batch between two records, in a step that may fail.
    stop: Option<StopFlag>,
}

impl<T> Batch<T> {
    /// An empty batch, for the results of a step.
    pub(crate) fn new() -> Self {
        Batch::untracked(Vec::new())
    }

    /// The records of a source's push: each is its own parent.
    pub(crate) fn of_source(records: Vec<T>) -> Self {
        Batch {
            records,
            parents: Parents::Same,
            stop: None,
        }
    }

    /// Lets a stop cut the batch between two records, in a step that may fail; see
    /// [`StepContext::cut`].
    pub(crate) fn until(mut self, stop: &StopFlag) -> Self {
        self.stop = Some(stop.clone());
        self
    }

    /// Records whose failure is not exact, because their parents are not tracked.
    pub(crate) fn untracked(records: Vec<T>) -> Self {
        Batch {
            records,
            parents: Parents::Unknown,
            stop: None,
        }
    }

    /// Returns the vector that the batch was made of.
    pub(crate) fn into_records(self) -> Vec<T> {
        self.records
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn is_tracked(&self) -> bool {
        self.parents != Parents::Unknown
    }

    /// Drops the rest of an earlier batch, and prepares for records made of those in `from`.
    pub(crate) fn restart<U>(&mut self, from: &Batch<U>) {
        self.records.clear();
        self.stop.clone_from(&from.stop);
        match (from.is_tracked(), &mut self.parents) {
            (true, Parents::Listed(list)) => list.clear(),
            (true, parents) => *parents = Parents::Listed(Vec::new()),
            (false, parents) => *parents = Parents::Unknown,
        }
    }

    /// Adds a record that was made of one with this parent.
    #[inline]
    pub(crate) fn push(&mut self, record: T, parent: Parent) {
        self.records.push(record);
        if let (Parents::Listed(list), Some(place)) = (&mut self.parents, parent.0) {
            list.push(place);
        }
    }

    /// Adds records that were made of one with this parent, at most `most`.
    pub(crate) fn extend(
        &mut self,
        records: &mut impl Iterator<Item = T>,
        most: usize,
        parent: Parent,
    ) {
        self.records.extend(records.take(most));
        if let (Parents::Listed(list), Some(place)) = (&mut self.parents, parent.0) {
            list.resize(self.records.len(), place);
        }
    }

    /// Takes all records out, for the step `at` to process.
    pub(crate) fn drain<'a>(&'a mut self, at: &'a StepContext) -> Drain<'a, T> {
        at.enter();
        Drain {
            at,
            place: 0,
            records: self.records.drain(..),
            parents: &mut self.parents,
        }
    }

    /// Puts the result of `f` for each record into `out`.
    pub(crate) fn map<U>(&mut self, at: &StepContext, out: &mut Batch<U>, f: impl FnMut(T) -> U) {
        at.enter();
        out.records.clear();
        out.stop.clone_from(&self.stop);
        self.parents.move_to(&mut out.parents);
        let made = Made { at, out };
        made.out.records.extend(self.records.drain(..).map(f));
    }

    /// Puts the result of `f` for each record and its parent into `out`.
    pub(crate) fn map_with_parents<U>(
        &mut self,
        at: &StepContext,
        out: &mut Batch<U>,
        mut f: impl FnMut(T, Parent) -> U,
    ) {
        at.enter();
        out.records.clear();
        out.stop.clone_from(&self.stop);
        self.parents.move_to(&mut out.parents);
        let made = Made { at, out };
        let Batch {
            records, parents, ..
        } = &mut *made.out;
        for (place, record) in self.records.drain(..).enumerate() {
            records.push(f(record, parents.get(place)));
        }
    }

    /// Puts the result of `f` for each record into `out`, if there is one.
    ///
    /// Errors of `f` go to `failed`. The first error that `failed` returns ends the batch. A stop
    /// may cut the batch.
    pub(crate) fn try_filter_map<U, E>(
        &mut self,
        at: &StepContext,
        out: &mut Batch<U>,
        mut f: impl FnMut(T) -> Result<Option<U>, E>,
        mut failed: impl FnMut(E, Parent) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        at.enter();
        out.records.clear();
        out.records.reserve(self.records.len());
        out.stop.clone_from(&self.stop);
        let mut hand = InHand {
            at,
            parents: &self.parents,
            place: 0,
        };
        let mut list = out.parents.take_list();
        // Parents are listed from the first record that is left out.
        let mut is_listed = matches!(self.parents, Parents::Listed(_));
        let stop = self.stop.as_ref();
        let stops = || stop.is_some_and(StopFlag::is_set);
        let mut result = Ok(());
        for record in self.records.drain(..) {
            if stops() && at.cuts(Some(hand.parents.get(hand.place))) {
                break;
            }
            match f(record) {
                Ok(Some(record)) => {
                    out.records.push(record);
                    if is_listed {
                        list.extend(hand.parents.get(hand.place).0);
                    }
                }
                left_out => {
                    if let Err(error) = left_out {
                        result = failed(error, hand.parents.get(hand.place));
                        if result.is_err() {
                            break;
                        }
                    }
                    if !is_listed {
                        is_listed = hand.parents.list(hand.place, &mut list);
                    }
                }
            }
            hand.place += 1;
        }
        if stops() {
            at.cuts(None);
        }
        std::mem::forget(hand);
        out.parents = match is_listed {
            true => Parents::Listed(list),
            false => self.parents.clone(),
        };
        self.parents.clear();
        result
    }

    /// Calls `f` with each record, up to the first one on which it fails. That record and those
    /// behind it are dropped.
    pub(super) fn look(
        &mut self,
        at: &StepContext,
        mut f: impl FnMut(&T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut looking = InHand {
            at,
            parents: &self.parents,
            place: 0,
        };
        let mut failure = Ok(());
        for record in &self.records {
            failure = f(record);
            if failure.is_err() {
                break;
            }
            looking.place += 1;
        }
        let (place, parent) = (looking.place, looking.parents.get(looking.place));
        std::mem::forget(looking);
        failure.map_err(|fault| {
            self.truncate(place);
            fault.of(parent)
        })
    }

    pub(crate) fn clear(&mut self) {
        self.truncate(0);
    }

    fn truncate(&mut self, len: usize) {
        self.records.truncate(len);
        if let Parents::Listed(list) = &mut self.parents {
            list.truncate(len);
        }
    }

    /// Drops all records that came from the source's record at `place` or from later ones.
    pub(crate) fn keep_before(&mut self, place: u32) {
        let keep = match &self.parents {
            Parents::Unknown => return,
            Parents::Same => place as usize,
            Parents::Listed(list) => list.partition_point(|parent| *parent < place),
        };
        self.truncate(keep);
    }

    /// Moves all records of `from` behind its own.
    pub(super) fn append(&mut self, from: &mut Batch<T>) {
        if self.is_empty() {
            std::mem::swap(&mut self.records, &mut from.records);
            from.parents.move_to(&mut self.parents);
            self.stop = None;
        } else {
            let (len, more) = (self.len(), from.len());
            self.parents.append(len, &from.parents, more);
            self.records.append(&mut from.records);
        }
        from.clear();
    }

    /// Like [`keep_before`](Batch::keep_before), for parents in any order. Returns for each record
    /// whether it was kept.
    pub(super) fn retain_before(&mut self, place: u32) -> Vec<bool> {
        let parents = (0..self.len()).map(|index| self.parents.get(index));
        let kept: Vec<bool> = parents.map(|parent| parent.is_before(place)).collect();
        let mut keep = kept.iter();
        self.records
            .retain(|_| keep.next().copied().unwrap_or(false));
        if let Parents::Listed(list) = &mut self.parents {
            list.retain(|parent| *parent < place);
        }
        kept
    }

    /// Copies all records into `copy`, for a fork behind the step `at`.
    pub(crate) fn copy(&self, at: &StepContext, copy: &mut Batch<T>, duplicate: fn(&T) -> T) {
        at.enter();
        copy.records.clear();
        copy.parents.clone_from(&self.parents);
        copy.stop.clone_from(&self.stop);
        let made = Made { at, out: copy };
        made.out.records.extend(self.records.iter().map(duplicate));
    }
}

/// The records of a batch on their way into a step, with their parents.
///
/// If the step panics, the parent of the record in hand is noted.
pub(crate) struct Drain<'a, T> {
    at: &'a StepContext,
    records: std::vec::Drain<'a, T>,
    /// The place of the next record.
    place: usize,
    parents: &'a mut Parents,
}

impl<T> Iterator for Drain<'_, T> {
    type Item = (T, Parent);

    #[inline]
    fn next(&mut self) -> Option<(T, Parent)> {
        let record = self.records.next()?;
        let parent = self.parents.get(self.place);
        self.place += 1;
        Some((record, parent))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl<T> Drop for Drain<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.at.note(self.parents.get(self.place.saturating_sub(1)));
        }
        self.parents.clear();
    }
}

/// The results of a step so far. If the step panics, the parent of the record in hand is noted.
struct Made<'a, T> {
    at: &'a StepContext,
    out: &'a mut Batch<T>,
}

impl<T> Drop for Made<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.at.note(self.out.parents.get(self.out.records.len()));
        }
    }
}

/// The record that a step has in hand. If the step panics, its parent is noted.
struct InHand<'a> {
    at: &'a StepContext,
    parents: &'a Parents,
    place: usize,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.at.note(self.parents.get(self.place));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::{chain::Whereabouts, graph::StepIndex};

    fn at() -> StepContext {
        Whereabouts::new().of(StepIndex(0))
    }

    fn pairs(batch: &mut Batch<u64>) -> Vec<(u64, Option<u32>)> {
        let at = at();
        let pairs = batch.drain(&at);
        pairs.map(|(n, parent)| (n, parent.place())).collect()
    }

    /// Makes one record of each odd one, and two of each even one.
    fn twice(from: &mut Batch<u64>, out: &mut Batch<u64>) {
        out.restart(from);
        for (n, parent) in from.drain(&at()) {
            out.extend(&mut vec![n; 2 - n as usize % 2].into_iter(), 9, parent);
        }
    }

    #[test]
    fn each_record_keeps_its_parent_through_all_kinds_of_steps() {
        let (mut out, mut mapped) = (Batch::new(), Batch::new());
        for _ in 0..2 {
            let mut batch = Batch::of_source((0..6).collect());
            twice(&mut batch, &mut out);
            out.map(&at(), &mut mapped, |n| n * 10);
            assert!(out.is_empty() && out.is_tracked());
            // It is filled again before the push ends.
            out.push(7, Parent(Some(5)));
            assert_eq!(pairs(&mut out), [(7, Some(5))]);
            mapped.keep_before(4);
            let mut all = Batch::of_source(vec![100]);
            let mut copy = Batch::new();
            mapped.copy(&at(), &mut copy, Clone::clone);
            all.append(&mut mapped);
            all.append(&mut copy);
            assert_eq!(
                all.retain_before(2).iter().filter(|kept| !**kept).count(),
                6
            );
            let expected = [(100, 0), (0, 0), (0, 0), (10, 1), (0, 0), (0, 0), (10, 1)];
            assert_eq!(pairs(&mut all), expected.map(|(n, place)| (n, Some(place))));
            mapped.push(1, Parent(Some(3)));
            assert_eq!(pairs(&mut mapped), [(1, Some(3))]);
        }
        let mut untracked = Batch::untracked(vec![1, 2]);
        twice(&mut untracked, &mut out);
        assert!(!out.is_tracked());
        assert_eq!(pairs(&mut out), [(1, None), (2, None), (2, None)]);
    }

    #[test]
    fn a_stop_cuts_a_push_once_and_nothing_behind_the_cut_is_begun() {
        let (at, stop) = (at(), StopFlag::default());
        let step = |stops_at: Option<u64>| {
            let (mut begun, mut out) = (Vec::new(), Batch::new());
            let mut batch = Batch::of_source((0..10).collect()).until(&stop);
            let f = |n| {
                begun.push(n);
                if stops_at == Some(n) {
                    stop.ask();
                }
                Ok::<_, Infallible>(Some(n))
            };
            let made = batch.try_filter_map(&at, &mut out, f, |never, _| match never {});
            made.unwrap();
            begun
        };
        at.begin();
        assert_eq!(step(Some(3)), [0, 1, 2, 3]);
        assert_eq!(at.cut(), Some(4));
        // Another branch, which gets the same records.
        assert_eq!(step(None), [0, 1, 2, 3]);
        assert_eq!(at.cut(), Some(4));
    }

    #[test]
    fn a_panic_notes_the_record_in_hand() {
        fn noted(step: impl FnOnce(&StepContext, &mut Batch<u64>)) -> Option<u32> {
            let (at, mut batch) = (at(), Batch::of_source((3..9).collect()));
            let run = std::panic::AssertUnwindSafe(|| step(&at, &mut batch));
            assert!(std::panic::catch_unwind(run).is_err());
            at.record()
        }
        fn poison(n: u64) -> u64 {
            assert!(n != 5, "poison");
            n
        }
        let map = noted(|at, batch| batch.map(at, &mut Batch::new(), poison));
        let drain = noted(|at, batch| {
            let _: u64 = batch.drain(at).map(|(n, _)| poison(n)).sum();
        });
        let look = noted(|at, batch| {
            let _ = batch.look(at, |n| {
                poison(*n);
                Ok(())
            });
        });
        assert_eq!([map, drain, look], [Some(2); 3]);
    }
}
