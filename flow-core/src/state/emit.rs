//! The output of a stateful step.

use std::sync::Arc;

use crate::{
    chain::{Batch, BoxConsumer, Fault, Port, Skips, Wiring},
    error::Dead,
    graph::StepIndex,
    record::NoKey,
};

/// Takes the results of a step's function, and passes them on in batches.
pub(crate) trait Emit<K, R> {
    /// Makes room for this many results.
    fn reserve(&mut self, results: usize);

    /// Takes the result of the function for a record with this key.
    fn emit(&mut self, key: K, result: R);

    /// Passes on the results that it has taken.
    fn flush(&mut self) -> Result<(), Fault>;
}

/// A result that is one record.
pub(crate) struct One<W>(pub(crate) W);

/// A result that is any number of records.
pub(crate) struct Many<I>(pub(crate) I);

/// The stream of a step's results.
pub(crate) struct Results<K, W> {
    step: StepIndex,
    skips: Arc<Skips>,
    out: Vec<(K, W)>,
    next: BoxConsumer<(K, W)>,
}

impl<K: 'static, W: 'static> Results<K, W> {
    pub(crate) fn build(step: StepIndex, port: &Port<(K, W)>, wiring: &mut Wiring) -> Self {
        Results {
            step,
            skips: wiring.skips.clone(),
            out: Vec::new(),
            next: port.build(wiring),
        }
    }
}

impl<K, W> Emit<K, One<W>> for Results<K, W> {
    #[inline]
    fn reserve(&mut self, results: usize) {
        self.out.reserve(results);
    }

    #[inline]
    fn emit(&mut self, key: K, One(result): One<W>) {
        self.out.push((key, result));
    }

    fn flush(&mut self) -> Result<(), Fault> {
        push(&mut self.next, &mut self.out)
    }
}

impl<K: Clone, I: IntoIterator> Emit<K, Many<I>> for Results<K, I::Item> {
    fn reserve(&mut self, _: usize) {}

    fn emit(&mut self, key: K, Many(results): Many<I>) {
        let mut results = results.into_iter();
        let Some(mut last) = results.next() else {
            return;
        };
        for next in results {
            self.out.push((key.clone(), last));
            last = next;
        }
        self.out.push((key, last));
    }

    fn flush(&mut self) -> Result<(), Fault> {
        push(&mut self.next, &mut self.out)
    }
}

/// `None` is a record that was skipped.
impl<K, W, R> Emit<K, Option<R>> for Results<K, W>
where
    Results<K, W>: Emit<K, R>,
{
    #[inline]
    fn reserve(&mut self, results: usize) {
        Emit::<K, R>::reserve(self, results);
    }

    #[inline]
    fn emit(&mut self, key: K, result: Option<R>) {
        match result {
            Some(result) => self.emit(key, result),
            None => self.skips.add(self.step),
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        Emit::<K, R>::flush(self)
    }
}

/// A record on which a stateful step failed.
pub(crate) type DeadRecord<K, V, E> = Dead<(K, V), E>;

/// The two streams of a step: its results, and the records that failed.
pub(crate) struct ResultsAndDead<K, V, W, E> {
    results: Results<K, W>,
    dead: Vec<(NoKey, DeadRecord<K, V, E>)>,
    next: BoxConsumer<(NoKey, DeadRecord<K, V, E>)>,
}

impl<K: 'static, V: 'static, W: 'static, E: 'static> ResultsAndDead<K, V, W, E> {
    pub(crate) fn build(
        step: StepIndex,
        port: &Port<(K, W)>,
        dead: &Port<(NoKey, DeadRecord<K, V, E>)>,
        wiring: &mut Wiring,
    ) -> Self {
        ResultsAndDead {
            results: Results::build(step, port, wiring),
            dead: Vec::new(),
            next: dead.build(wiring),
        }
    }
}

/// An error comes with the value on which the function failed.
impl<K, V, W, E, R> Emit<K, Result<R, (V, E)>> for ResultsAndDead<K, V, W, E>
where
    Results<K, W>: Emit<K, R>,
{
    fn reserve(&mut self, results: usize) {
        self.results.reserve(results);
    }

    fn emit(&mut self, key: K, result: Result<R, (V, E)>) {
        match result {
            Ok(result) => self.results.emit(key, result),
            Err((value, cause)) => {
                let record = (key, value);
                self.dead.push((
                    NoKey,
                    Dead {
                        record,
                        cause,
                        position: None,
                    },
                ));
            }
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.results.flush()?;
        push(&mut self.next, &mut self.dead)
    }
}

/// Pushes records, and keeps the emptied vector. Parents are not tracked, because no failure behind
/// a shuffle is exact.
fn push<T>(next: &mut BoxConsumer<T>, records: &mut Vec<T>) -> Result<(), Fault> {
    let mut batch = Batch::untracked(std::mem::take(records));
    next.push_batch(&mut batch)?;
    *records = batch.into_records();
    Ok(())
}
