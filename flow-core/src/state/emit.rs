//! The output of a stateful step.

use std::sync::Arc;

use crate::{
    chain::{Batch, BoxConsumer, Carried, Fault, Port, Skips, Wiring},
    error::Dead,
    graph::StepIndex,
    record::NoKey,
    time::TimeKind,
};

/// Takes the results of a step's function, and passes them on in batches.
pub(crate) trait Emit<Time, K, R> {
    /// Makes room for this many results.
    fn reserve(&mut self, results: usize);

    /// Takes the result of the function for a record with this time and key.
    fn emit(&mut self, time: Time, key: K, result: R);

    /// Passes on the results that it has taken.
    fn flush(&mut self) -> Result<(), Fault>;
}

/// A result that is one record.
pub(crate) struct One<W>(pub(crate) W);

/// A result that is any number of records.
pub(crate) struct Many<I>(pub(crate) I);

/// The stream of a step's results.
pub(crate) struct Results<Time, K, W> {
    step: StepIndex,
    skips: Arc<Skips>,
    out: Vec<Carried<W, K, Time>>,
    next: BoxConsumer<Carried<W, K, Time>>,
}

impl<Time: 'static, K: 'static, W: 'static> Results<Time, K, W> {
    pub(crate) fn build(
        step: StepIndex,
        port: &Port<Carried<W, K, Time>>,
        wiring: &mut Wiring,
    ) -> Self {
        Results {
            step,
            skips: wiring.skips.clone(),
            out: Vec::new(),
            next: port.build(wiring),
        }
    }
}

impl<Time, K, W> Emit<Time, K, One<W>> for Results<Time, K, W> {
    #[inline]
    fn reserve(&mut self, results: usize) {
        self.out.reserve(results);
    }

    #[inline]
    fn emit(&mut self, time: Time, key: K, One(result): One<W>) {
        self.out.push((time, (key, result)));
    }

    fn flush(&mut self) -> Result<(), Fault> {
        push(&mut self.next, &mut self.out)
    }
}

impl<Time: TimeKind, K: Clone, I: IntoIterator> Emit<Time, K, Many<I>>
    for Results<Time, K, I::Item>
{
    fn reserve(&mut self, _: usize) {}

    fn emit(&mut self, time: Time, key: K, Many(results): Many<I>) {
        let mut results = results.into_iter();
        let Some(mut last) = results.next() else {
            return;
        };
        for next in results {
            self.out.push((time, (key.clone(), last)));
            last = next;
        }
        self.out.push((time, (key, last)));
    }

    fn flush(&mut self) -> Result<(), Fault> {
        push(&mut self.next, &mut self.out)
    }
}

/// `None` is a record that was skipped.
impl<Time, K, W, R> Emit<Time, K, Option<R>> for Results<Time, K, W>
where
    Results<Time, K, W>: Emit<Time, K, R>,
{
    #[inline]
    fn reserve(&mut self, results: usize) {
        Emit::<Time, K, R>::reserve(self, results);
    }

    #[inline]
    fn emit(&mut self, time: Time, key: K, result: Option<R>) {
        match result {
            Some(result) => self.emit(time, key, result),
            None => self.skips.add(self.step),
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        Emit::<Time, K, R>::flush(self)
    }
}

/// A record on which a stateful step failed.
pub(crate) type DeadRecord<K, V, E> = Dead<(K, V), E>;

/// The two streams of a step: its results, and the records that failed.
pub(crate) struct ResultsAndDead<Time, K, V, W, E> {
    results: Results<Time, K, W>,
    dead: Vec<Carried<DeadRecord<K, V, E>, NoKey, Time>>,
    next: BoxConsumer<Carried<DeadRecord<K, V, E>, NoKey, Time>>,
}

impl<Time, K, V, W, E> ResultsAndDead<Time, K, V, W, E>
where
    Time: 'static,
    K: 'static,
    V: 'static,
    W: 'static,
    E: 'static,
{
    pub(crate) fn build(
        step: StepIndex,
        port: &Port<Carried<W, K, Time>>,
        dead: &Port<Carried<DeadRecord<K, V, E>, NoKey, Time>>,
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
impl<Time, K, V, W, E, R> Emit<Time, K, Result<R, (V, E)>> for ResultsAndDead<Time, K, V, W, E>
where
    Results<Time, K, W>: Emit<Time, K, R>,
{
    fn reserve(&mut self, results: usize) {
        self.results.reserve(results);
    }

    fn emit(&mut self, time: Time, key: K, result: Result<R, (V, E)>) {
        match result {
            Ok(result) => self.results.emit(time, key, result),
            Err((value, cause)) => {
                let record = (key, value);
                let dead = Dead {
                    record,
                    cause,
                    position: None,
                };
                self.dead.push((time, (NoKey, dead)));
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
