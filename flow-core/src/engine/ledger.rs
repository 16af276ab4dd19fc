//! Where the rows of a worker's epochs come together, and where its sources learn what is durable.
//!
//! The ledger hands closed epochs to the committer and holds one capability at the lowest epoch that is
//! open or not acknowledged. So the frontier of its output says, over all workers and processes, which
//! epochs are durable; the second operator follows that frontier and gives the budget back.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::{Arc, atomic::Ordering::SeqCst, mpsc::Sender},
    time::Instant,
};

use timely::dataflow::{
    Scope, channels::pact::Pipeline, operators::generic::builder_rc::OperatorBuilder,
};

use super::{Rows, RunState, outputs::Wires};

/// Epochs that a worker has closed.
pub(crate) struct Closed {
    pub(crate) worker: usize,
    /// All epochs below are closed on this worker.
    pub(crate) upto: u64,
    /// When the last of them was.
    pub(crate) at: Instant,
    /// The rows of those that had some, in order.
    pub(crate) epochs: Vec<(u64, Rows)>,
}

/// What the sources of a worker have read and not yet seen durable.
#[derive(Default)]
pub(super) struct Flight {
    epochs: VecDeque<(u64, u64, u64)>,
}

pub(super) type SharedFlight = Rc<RefCell<Flight>>;

impl Flight {
    /// Notes records and bytes that were read in an epoch.
    pub(super) fn add(&mut self, epoch: u64, records: u64, bytes: u64) {
        match self.epochs.iter_mut().find(|(known, ..)| *known == epoch) {
            Some((_, r, b)) => {
                *r += records;
                *b += bytes;
            }
            None => {
                let at = self.epochs.partition_point(|(known, ..)| *known < epoch);
                self.epochs.insert(at, (epoch, records, bytes));
            }
        }
    }

    /// Takes out what was read in epochs below `durable`.
    fn landed(&mut self, durable: u64) -> (u64, u64) {
        let mut sum = (0, 0);
        while let Some((epoch, records, bytes)) = self.epochs.front().copied() {
            if epoch >= durable {
                break;
            }
            self.epochs.pop_front();
            sum = (sum.0 + records, sum.1 + bytes);
        }
        sum
    }
}

pub(super) fn build<'scope>(
    scope: &Scope<'scope, u64>,
    wires: &mut Wires<'scope>,
    state: &Arc<RunState>,
    committer: Sender<Closed>,
    flight: SharedFlight,
) {
    let (worker, alone) = (scope.index(), scope.peers() == 1);
    let mut builder = OperatorBuilder::new("ledger".to_owned(), *scope);
    let rows = std::mem::take(&mut wires.rows);
    let mut inputs: Vec<_> = rows
        .into_iter()
        .map(|stream| builder.new_input(stream, Pipeline))
        .collect();
    let (_output, durable) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address.to_vec();
    let landed = state.add_ledger(scope.worker().sync_activator_for(address));
    let ledger_state = state.clone();
    builder.build(move |capabilities| {
        let state = ledger_state;
        let mut capability = capabilities.into_iter().next();
        let mut open: BTreeMap<u64, Rows> = BTreeMap::new();
        let mut sent: VecDeque<u64> = VecDeque::new();
        let mut closed = 0;
        move |frontiers| {
            if state.aborted() {
                return;
            }
            for input in &mut inputs {
                input.for_each(|capability, rows| {
                    if let Some(epoch) = capability.least() {
                        open.entry(*epoch).or_default().append(&mut rows.0);
                    }
                });
            }
            let upto = frontiers
                .iter()
                .filter_map(|frontier| frontier.frontier().first().copied())
                .min()
                .unwrap_or(u64::MAX);
            if upto > closed {
                let later = open.split_off(&upto);
                let epochs: Vec<_> = std::mem::replace(&mut open, later).into_iter().collect();
                // Each of them: one that is only held by a later one would seem durable, and its budget be given back.
                sent.extend(epochs.iter().map(|(epoch, _)| *epoch));
                closed = upto;
                if alone && epochs.is_empty() {
                    // There is nothing to commit and nobody to wait for. The committer would only wake this worker.
                    state.budget.closed(upto, Instant::now());
                } else {
                    // The committer outlives the workers, unless it failed: then it has aborted the run.
                    let _ = committer.send(Closed {
                        worker,
                        upto,
                        at: Instant::now(),
                        epochs,
                    });
                }
            }
            let acknowledged = state.acknowledged();
            while sent.front().is_some_and(|epoch| *epoch < acknowledged) {
                sent.pop_front();
            }
            let lowest = sent.front().map_or(upto, |epoch| upto.min(*epoch));
            if lowest == u64::MAX {
                capability = None;
            } else if let Some(capability) = &mut capability
                && lowest > *capability.time()
            {
                capability.downgrade(&lowest);
            }
        }
    });

    let mut builder = OperatorBuilder::new("durable".to_owned(), *scope);
    let mut input = builder.new_input(durable, Pipeline);
    let state = state.clone();
    builder.build(move |_| {
        let mut seen = 0;
        move |frontiers| {
            input.for_each(|_, _| {});
            let frontier = frontiers
                .first()
                .and_then(|f| f.frontier().first().copied());
            let durable = frontier.unwrap_or(u64::MAX);
            if durable > seen && !state.aborted() {
                seen = durable;
                let (records, bytes) = flight.borrow_mut().landed(durable);
                if bytes > 0 {
                    state.budget.release(records, bytes);
                    state.ring_waiting();
                }
                landed.store(durable, SeqCst);
                state.landed();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::{
        engine::{Limits, container::RowsParcel},
        run::{Clock, Epochs},
    };

    /// Rows of the epochs 1 and 2, which end at the same time.
    fn rows<'scope>(
        scope: &Scope<'scope, u64>,
    ) -> timely::dataflow::Stream<'scope, u64, RowsParcel> {
        let mut builder = OperatorBuilder::new("rows".to_owned(), *scope);
        let (mut output, stream) = builder.new_output();
        builder.build(move |mut capabilities| {
            let mut capability = capabilities.pop();
            move |_| {
                for epoch in [1, 2] {
                    let mut rows = Rows::default();
                    rows.changes.remove(1, 0, b"key");
                    if let Some(capability) = &mut capability {
                        capability.downgrade(&epoch);
                        output.activate().give(capability, &mut RowsParcel(rows));
                    }
                }
                if let Some(capability) = &mut capability {
                    capability.downgrade(&3);
                }
            }
        });
        stream
    }

    #[test]
    fn an_epoch_that_closes_with_a_later_one_is_not_durable_before_it_is_acknowledged() {
        timely::execute_directly(|worker| {
            let limits = Limits {
                records: 100,
                bytes: 100,
                cautious: (0, 0),
                follow: true,
                least: 16,
            };
            let (news, _listener) = channel();
            let (committer, _closed) = channel();
            let state = RunState::new(1, limits, Epochs::default(), Clock::system(), news);
            let flight = SharedFlight::default();
            worker.dataflow::<u64, _, _>(|scope| {
                let mut wires = Wires::default();
                wires.rows.push(rows(&scope));
                build(&scope, &mut wires, &state, committer, flight.clone());
            });
            let source = state.add_source(worker.sync_activator_for(Vec::new()));
            assert_eq!(state.reserve(&source, 15, 1), 15);
            flight.borrow_mut().add(1, 10, 10);
            flight.borrow_mut().add(2, 5, 5);
            let mut in_flight = || {
                for _ in 0..20 {
                    worker.step();
                }
                state.budget.records_in_flight()
            };
            assert_eq!(in_flight(), 15);
            state.acknowledge(2, Some(1));
            assert_eq!(in_flight(), 5);
            state.acknowledge(3, Some(2));
            assert_eq!(in_flight(), 0);
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        });
    }

    #[test]
    fn what_is_below_the_durable_epoch_lands() {
        let mut flight = Flight::default();
        flight.add(2, 1, 10);
        flight.add(1, 2, 20);
        flight.add(2, 3, 30);
        assert_eq!(flight.landed(1), (0, 0));
        assert_eq!(flight.landed(2), (2, 20));
        assert_eq!(flight.landed(u64::MAX), (4, 40));
        assert_eq!(flight.landed(u64::MAX), (0, 0));
    }
}
