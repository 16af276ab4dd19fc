//! The operator of a step behind a shuffle. It gives the step its batches epoch by epoch.
//!
//! Batches of a later epoch wait until the frontier has passed the current one. So the rows that
//! the step writes at the end of an epoch hold exactly that epoch.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use flow_store::Epoch;
use timely::{
    communication::Pull,
    dataflow::{
        Scope,
        channels::{Message, pact::DistributorPact},
        operators::{
            Capability,
            generic::{InputHandleCore, builder_rc::OperatorBuilder},
        },
    },
    progress::frontier::MutableAntichain,
};

use super::{
    AbortReason, EpochRows, RunState, Task,
    container::ByAddress,
    frontier::{Time, lowest},
    outputs::{Outputs, Wires},
};
use crate::{
    chain::{Fault, InletId, OutletRef, Parcel},
    graph::StepIndex,
    time::{Mark, NEVER},
};

/// A parcel is sent when it holds this many records, or when its batch has been processed.
pub(super) const PARCEL: usize = 1024;

/// How long to wait for a stop after the reader of an output is gone. The same Ctrl-C may have
/// ended the reader and be about to stop this run.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) type SharedTask = Rc<RefCell<Box<dyn Task>>>;

pub(super) fn build<'scope>(
    scope: &Scope<'scope, Time>,
    wires: &mut Wires<'scope>,
    state: &Arc<RunState>,
    (step, name): (StepIndex, &str),
    inlet: InletId,
    task: SharedTask,
    outlets: Vec<OutletRef>,
) {
    let mut builder = OperatorBuilder::new(name.to_owned(), *scope);
    let streams = wires.parcels.remove(&inlet).unwrap_or_default();
    let mut inputs: Vec<_> = streams
        .into_iter()
        .map(|stream| builder.new_input(stream, DistributorPact(|_| ByAddress)))
        .collect();
    let place = (scope.index(), scope.peers());
    let mut in_order = InOrder {
        worker: scope.index(),
        state: state.clone(),
        task,
        ports: outlets.len() + 1,
        outputs: Outputs::new(&mut builder, step, place, outlets, wires),
        marks: vec![vec![Mark::NEVER; scope.peers()]; inputs.len()],
        watermark: NEVER,
        waiting: BTreeMap::new(),
        gave_up: false,
    };
    builder.build(move |_initial| move |frontiers| in_order.run(&mut inputs, frontiers));
}

/// Batches of an epoch that the step has not received yet.
struct Waiting {
    /// One for each output, in the order of the outputs.
    capabilities: Vec<Capability<Time>>,
    /// Each with the number of the input on which it came.
    parcels: VecDeque<(usize, Parcel)>,
}

struct InOrder {
    worker: usize,
    state: Arc<RunState>,
    task: SharedTask,
    /// The number of outputs.
    ports: usize,
    outputs: Outputs,
    /// How far each sender has come: an operator, which is an input, on each worker.
    marks: Vec<Vec<Mark>>,
    /// How far all of them have come.
    watermark: i64,
    /// The epochs that are not closed.
    waiting: BTreeMap<Epoch, Waiting>,
    /// Whether the output has no reader any more. If so, the step gets nothing more.
    gave_up: bool,
}

impl InOrder {
    /// Runs once for each activation.
    fn run<P>(
        &mut self,
        inputs: &mut [InputHandleCore<Time, Parcel, P>],
        frontiers: &[MutableAntichain<Time>],
    ) where
        P: Pull<Message<Time, Parcel>>,
    {
        if self.state.aborted() || self.gave_up {
            return;
        }
        for (number, input) in inputs.iter_mut().enumerate() {
            self.receive(number, input);
        }
        // The capabilities of the failed epoch are kept, because it must never seem complete.
        if let Err(fault) = self.process(lowest(frontiers)) {
            self.fail(fault);
        }
    }

    /// Takes the batches that have come on an input.
    fn receive<P>(&mut self, number: usize, input: &mut InputHandleCore<Time, Parcel, P>)
    where
        P: Pull<Message<Time, Parcel>>,
    {
        // `for_each_stamp` does not keep the order of the batches of one epoch.
        input.for_each(|capability, parcel| {
            let Some(epoch) = capability.least() else {
                return;
            };
            let epoch = Epoch::from_u64(*epoch);
            let entry = self.waiting.entry(epoch).or_insert_with(|| Waiting {
                capabilities: (0..self.ports)
                    .filter_map(|port| capability.retain_least(port))
                    .collect(),
                parcels: VecDeque::new(),
            });
            entry.parcels.push_back((number, std::mem::take(parcel)));
        });
    }

    /// Gives the step the batches of its current epoch, and closes epochs below `frontier`.
    fn process(&mut self, frontier: Epoch) -> Result<(), Fault> {
        while let Some(mut first) = self.waiting.first_entry() {
            let epoch = *first.key();
            if frontier < epoch {
                break; // more may come of an earlier epoch
            }
            let mut task = self.task.borrow_mut();
            let Waiting {
                capabilities,
                parcels,
            } = first.get_mut();
            while let Some((input, parcel)) = parcels.pop_front() {
                match parcel.as_mark() {
                    None => task.receive(parcel)?,
                    Some((from, mark)) => {
                        let known = self.marks.get_mut(input);
                        if let Some(known) = known.and_then(|marks| marks.get_mut(from)) {
                            *known = mark;
                        }
                        let all = Mark::all(self.marks.iter().flatten().copied());
                        if let Some(all) = all.filter(|all| all.at > self.watermark) {
                            self.watermark = all.at;
                            task.advance(all)?;
                        }
                    }
                }
                if self.state.aborted() {
                    return Ok(());
                }
                self.outputs.send(capabilities, PARCEL);
            }
            self.outputs.send(capabilities, 1);
            self.outputs.send_marks(capabilities);
            if frontier == epoch {
                break; // more may come of this epoch
            }
            let mut rows = EpochRows::default();
            task.close(epoch, &mut rows)?;
            self.outputs.send_rows(capabilities, rows);
            first.remove();
        }
        Ok(())
    }

    /// Ends the run after a failure of the step.
    fn fail(&mut self, fault: Fault) {
        let epoch = self.waiting.first_key_value().map(|(epoch, _)| *epoch);
        match epoch.filter(|_| fault.has_no_reader() && self.state.stops_within(PATIENCE)) {
            // Ctrl-C has ended the reader too. The results of earlier epochs count as written.
            Some(epoch) => {
                self.gave_up = true;
                self.state.give_up_from(epoch, fault);
            }
            None => self.state.abort(AbortReason::Step {
                worker: self.worker,
                fault,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use timely::dataflow::operators::{core::probe::Handle, probe::Probe};

    use super::*;
    use crate::chain::Plain;

    /// Fails when it gets the batch of an epoch, or when that epoch closes.
    struct Failing {
        receive: Option<u64>,
        close: Option<u64>,
        received: u64,
    }

    fn fault() -> Fault {
        Fault::new(crate::graph::StepIndex(0), "on purpose")
    }

    impl Task for Failing {
        fn receive(&mut self, _: Parcel) -> Result<(), Fault> {
            self.received += 1;
            match self.receive {
                Some(epoch) if epoch == self.received => Err(fault()),
                _ => Ok(()),
            }
        }

        fn close(&mut self, epoch: Epoch, _: &mut EpochRows) -> Result<(), Fault> {
            match self.close {
                Some(failing) if failing == epoch.to_u64() => Err(fault()),
                _ => Ok(()),
            }
        }
    }

    /// Sends a parcel in each of the epochs 1 to 3, and holds epoch 4 open.
    fn feed<'scope>(scope: &Scope<'scope, Time>) -> timely::dataflow::Stream<'scope, Time, Parcel> {
        let mut builder = OperatorBuilder::new("feed".to_owned(), *scope);
        let (mut output, stream) = builder.new_output();
        builder.build(move |mut capabilities| {
            let mut capability = capabilities.pop();
            move |_| {
                let Some(capability) = &mut capability else {
                    return;
                };
                for epoch in *capability.time() + 1..=4 {
                    if epoch > 1 {
                        let mut parcel = Parcel::new(0, Box::new(Plain::from(vec![1u64])));
                        output.activate().give(capability, &mut parcel);
                    }
                    capability.downgrade(&epoch);
                }
            }
        });
        stream
    }

    /// The lowest epoch that is open behind the step once it has come to rest, and whether the run
    /// was aborted.
    fn frontier_behind(receive: Option<u64>, close: Option<u64>) -> (u64, bool) {
        timely::execute_directly(move |worker| {
            let state = RunState::of_test();
            let task: Box<dyn Task> = Box::new(Failing {
                receive,
                close,
                received: 0,
            });
            let probe: Handle<Time> = worker.dataflow(|scope| {
                let mut wires = Wires::default();
                let inlet = InletId(0);
                wires.parcels.insert(inlet, vec![feed(&scope)]);
                let task = Rc::new(RefCell::new(task));
                let name = (StepIndex(0), "step");
                build(&scope, &mut wires, &state, name, inlet, task, Vec::new());
                wires.rows.remove(0).probe().0
            });
            for _ in 0..50 {
                worker.step();
            }
            let open = probe.with_frontier(|frontier| frontier.first().copied());
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
            (open.unwrap_or(u64::MAX), state.aborted())
        })
    }

    #[test]
    fn the_epoch_of_a_failure_never_seems_complete() {
        assert_eq!(frontier_behind(None, None), (4, false));
        for epoch in 1..=3 {
            assert_eq!(frontier_behind(Some(epoch), None), (epoch, true));
            assert_eq!(frontier_behind(None, Some(epoch)), (epoch, true));
        }
    }

    /// Records the numbers that it gets.
    struct Noting(Arc<Mutex<Vec<u64>>>);

    impl Task for Noting {
        fn receive(&mut self, parcel: Parcel) -> Result<(), Fault> {
            let batch = parcel.open::<Plain<u64>>().map_err(|_| fault())?;
            self.0.lock().unwrap().extend(batch.records);
            Ok(())
        }

        fn close(&mut self, _: Epoch, _: &mut EpochRows) -> Result<(), Fault> {
            Ok(())
        }
    }

    /// Many batches of one epoch wait at the same time, and none overtakes another.
    #[test]
    fn batches_of_one_epoch_keep_their_order() {
        const EACH: u64 = 100;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        timely::execute_directly(move |worker| {
            let state = RunState::of_test();
            worker.dataflow::<Time, _, _>(|scope| {
                let mut builder = OperatorBuilder::new("feed".to_owned(), scope);
                let (mut output, stream) = builder.new_output();
                builder.build(move |mut capabilities| {
                    let mut capability = capabilities.pop();
                    move |_| {
                        let Some(mut capability) = capability.take() else {
                            return;
                        };
                        // All of them are sent in one activation, in turn for the epochs, as from
                        // several senders.
                        capability.downgrade(&1);
                        let epochs = [1, 2, 3].map(|epoch| capability.delayed(&epoch));
                        for n in 0..EACH {
                            for capability in &epochs {
                                let number = capability.time() * EACH + n;
                                let mut parcel =
                                    Parcel::new(0, Box::new(Plain::from(vec![number])));
                                output.activate().give(capability, &mut parcel);
                            }
                        }
                    }
                });
                let mut wires = Wires::default();
                let inlet = InletId(0);
                wires.parcels.insert(inlet, vec![stream]);
                let task: Box<dyn Task> = Box::new(Noting(noted.clone()));
                let task = Rc::new(RefCell::new(task));
                let name = (StepIndex(0), "step");
                build(&scope, &mut wires, &state, name, inlet, task, Vec::new());
            });
            while worker.step() {}
        });
        let expected: Vec<u64> = (EACH..4 * EACH).collect();
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}
