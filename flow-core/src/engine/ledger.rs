//! Collects the rows of a worker's epochs, and tells its sources what is durable.
//!
//! The ledger hands closed epochs to the committer. It holds one capability at the lowest epoch
//! that is open or not acknowledged. So the frontier of its output says which epochs are durable,
//! over all workers and processes. The second operator follows that frontier and gives back the
//! budget.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::{Arc, mpsc::Sender},
    time::Instant,
};

use flow_store::Epoch;
use timely::{
    dataflow::{
        Scope,
        channels::pact::{ParallelizationContract, Pipeline},
        operators::{
            Capability,
            generic::{InputHandleCore, builder_rc::OperatorBuilder},
        },
    },
    progress::frontier::MutableAntichain,
};

use super::{
    EpochRows, RunState,
    container::RowsParcel,
    frontier::{END, Time, lowest},
    outputs::Wires,
    run_state::Landed,
};

/// Epochs that a worker has closed.
pub(crate) struct Closed {
    pub(crate) worker: usize,
    /// All epochs below are closed on this worker.
    pub(crate) upto: Epoch,
    /// When the last of them was closed.
    pub(crate) at: Instant,
    /// The rows of those epochs that have rows, in order.
    pub(crate) epochs: Vec<(Epoch, EpochRows)>,
}

/// The records and bytes that the sources of a worker have read and that are not known to be
/// durable.
#[derive(Default)]
pub(super) struct Flight {
    epochs: VecDeque<(Epoch, u64, u64)>,
}

pub(super) type SharedFlight = Rc<RefCell<Flight>>;

impl Flight {
    /// Notes records and bytes that were read in an epoch.
    pub(super) fn add(&mut self, epoch: Epoch, records: u64, bytes: u64) {
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

    /// Takes out the records and bytes of epochs below `durable`.
    fn landed(&mut self, durable: Epoch) -> (u64, u64) {
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
    scope: &Scope<'scope, Time>,
    wires: &mut Wires<'scope>,
    state: &Arc<RunState>,
    committer: Sender<Closed>,
    flight: SharedFlight,
) {
    let mut builder = OperatorBuilder::new("ledger".to_owned(), *scope);
    let rows = std::mem::take(&mut wires.rows);
    let inputs = rows
        .into_iter()
        .map(|stream| builder.new_input(stream, Pipeline))
        .collect();
    let (_output, durable) = builder.new_output::<Vec<()>>();
    let address = builder.operator_info().address.to_vec();
    let landed = state.add_ledger(scope.worker().sync_activator_for(address));
    let mut ledger = Ledger {
        worker: scope.index(),
        alone: scope.peers() == 1,
        state: state.clone(),
        committer,
        inputs,
        capability: None,
        open: BTreeMap::new(),
        sent: VecDeque::new(),
        closed: Epoch::default(),
    };
    builder.build(move |capabilities| {
        ledger.capability = capabilities.into_iter().next();
        move |frontiers| ledger.run(frontiers)
    });

    let mut builder = OperatorBuilder::new("durable".to_owned(), *scope);
    let mut input = builder.new_input(durable, Pipeline);
    let mut durable = Durable {
        state: state.clone(),
        flight,
        landed,
        seen: Epoch::default(),
    };
    builder.build(move |_| {
        move |frontiers| {
            input.for_each(|_, _| {});
            durable.run(frontiers);
        }
    });
}

type Puller = <Pipeline as ParallelizationContract<Time, RowsParcel>>::Puller;

/// The operator that collects the rows of a worker's epochs.
struct Ledger {
    worker: usize,
    /// Whether there is no other worker.
    alone: bool,
    state: Arc<RunState>,
    committer: Sender<Closed>,
    inputs: Vec<InputHandleCore<Time, RowsParcel, Puller>>,
    /// Stands at the lowest epoch that is open or not acknowledged. `None` at the end.
    capability: Option<Capability<Time>>,
    /// The rows of epochs that are not closed.
    open: BTreeMap<Epoch, EpochRows>,
    /// The epochs that the committer has and has not acknowledged.
    sent: VecDeque<Epoch>,
    /// All epochs below are closed.
    closed: Epoch,
}

impl Ledger {
    /// Runs once for each activation.
    fn run(&mut self, frontiers: &[MutableAntichain<Time>]) {
        if self.state.aborted() {
            return;
        }
        self.receive();
        let upto = lowest(frontiers);
        if upto > self.closed {
            self.close(upto);
        }
        self.hold(upto);
    }

    fn receive(&mut self) {
        for input in &mut self.inputs {
            input.for_each(|capability, rows| {
                if let Some(epoch) = capability.least() {
                    let epoch = Epoch::from_u64(*epoch);
                    self.open.entry(epoch).or_default().append(&mut rows.0);
                }
            });
        }
    }

    /// Hands the epochs below `upto` to the committer.
    fn close(&mut self, upto: Epoch) {
        let later = self.open.split_off(&upto);
        let epochs: Vec<_> = std::mem::replace(&mut self.open, later)
            .into_iter()
            .collect();
        // All of them are held. An epoch that only a later one held back would seem durable, and
        // its budget would be given back.
        self.sent.extend(epochs.iter().map(|(epoch, _)| *epoch));
        self.closed = upto;
        let at = Instant::now();
        if self.alone && epochs.is_empty() {
            // There is nothing to commit and no other worker to wait for. The committer would only
            // wake this worker.
            self.state.budget.closed(upto, at);
        } else {
            // The committer ends before the workers only if it failed, and then it has aborted the
            // run.
            let _ = self.committer.send(Closed {
                worker: self.worker,
                upto,
                at,
                epochs,
            });
        }
    }

    /// Moves the frontier behind the ledger to the lowest epoch that is open or not acknowledged.
    fn hold(&mut self, open: Epoch) {
        let acknowledged = self.state.acknowledged();
        while self.sent.front().is_some_and(|epoch| *epoch < acknowledged) {
            self.sent.pop_front();
        }
        let lowest = self.sent.front().map_or(open, |epoch| open.min(*epoch));
        if lowest == END {
            self.capability = None;
        } else if let Some(capability) = &mut self.capability
            && lowest.to_u64() > *capability.time()
        {
            capability.downgrade(&lowest.to_u64());
        }
    }
}

/// The operator behind the ledgers of all workers, which follows what is durable.
struct Durable {
    state: Arc<RunState>,
    flight: SharedFlight,
    landed: Arc<Landed>,
    /// All epochs below are known to be durable.
    seen: Epoch,
}

impl Durable {
    /// Gives back the budget of epochs that have become durable. Runs once for each activation.
    fn run(&mut self, frontiers: &[MutableAntichain<Time>]) {
        let durable = lowest(frontiers);
        if durable <= self.seen || self.state.aborted() {
            return;
        }
        self.seen = durable;
        let (records, bytes) = self.flight.borrow_mut().landed(durable);
        if bytes > 0 {
            self.state.budget.release(records, bytes);
            self.state.ring_waiting();
        }
        self.landed.note(durable);
        self.state.landed();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Rows of the epochs 1 and 2, which end at the same time.
    fn rows<'scope>(
        scope: &Scope<'scope, Time>,
    ) -> timely::dataflow::Stream<'scope, Time, RowsParcel> {
        let mut builder = OperatorBuilder::new("rows".to_owned(), *scope);
        let (mut output, stream) = builder.new_output();
        builder.build(move |mut capabilities| {
            let mut capability = capabilities.pop();
            move |_| {
                for epoch in [1, 2] {
                    let mut rows = EpochRows::default();
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
            let (committer, _closed) = channel();
            let state = RunState::of_test();
            let flight = SharedFlight::default();
            worker.dataflow::<Time, _, _>(|scope| {
                let mut wires = Wires::default();
                wires.rows.push(rows(&scope));
                build(&scope, &mut wires, &state, committer, flight.clone());
            });
            let source = state.add_source(worker.sync_activator_for(Vec::new()));
            assert_eq!(state.reserve(&source, 15, 1), 15);
            flight.borrow_mut().add(Epoch::from_u64(1), 10, 10);
            flight.borrow_mut().add(Epoch::from_u64(2), 5, 5);
            let mut in_flight = || {
                for _ in 0..20 {
                    worker.step();
                }
                state.budget.records_in_flight()
            };
            assert_eq!(in_flight(), 15);
            state.acknowledge(Epoch::from_u64(2), Some(Epoch::from_u64(1)));
            assert_eq!(in_flight(), 5);
            state.acknowledge(Epoch::from_u64(3), Some(Epoch::from_u64(2)));
            assert_eq!(in_flight(), 0);
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        });
    }

    #[test]
    fn what_is_below_the_durable_epoch_lands() {
        let mut flight = Flight::default();
        flight.add(Epoch::from_u64(2), 1, 10);
        flight.add(Epoch::from_u64(1), 2, 20);
        flight.add(Epoch::from_u64(2), 3, 30);
        assert_eq!(flight.landed(Epoch::from_u64(1)), (0, 0));
        assert_eq!(flight.landed(Epoch::from_u64(2)), (2, 20));
        assert_eq!(flight.landed(END), (4, 40));
        assert_eq!(flight.landed(END), (0, 0));
    }
}
