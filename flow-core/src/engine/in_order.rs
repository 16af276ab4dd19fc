//! The operator of a step behind a shuffle: gives it its batches epoch by epoch.
//!
//! Batches of a later epoch wait until the frontier has passed the current one, so that what the step writes
//! at the end of an epoch holds exactly that epoch.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
};

use flow_store::Epoch;
use timely::dataflow::{
    Scope,
    channels::pact::DistributorPact,
    operators::{Capability, generic::builder_rc::OperatorBuilder},
};

use super::{
    Failed, Rows, RunState, Task,
    container::ByAddress,
    outputs::{Outputs, Wires},
};
use crate::chain::{Fault, InletId, OutletRef, Parcel};

/// A parcel is sent when it holds this many records, or when its batch has been worked off.
pub(super) const PARCEL: usize = 1024;

pub(super) type SharedTask = Rc<RefCell<Box<dyn Task>>>;

struct Waiting {
    capabilities: Vec<Capability<u64>>,
    parcels: VecDeque<Parcel>,
}

pub(super) fn build<'scope>(
    scope: &Scope<'scope, u64>,
    wires: &mut Wires<'scope>,
    state: &Arc<RunState>,
    name: &str,
    inlet: InletId,
    task: SharedTask,
    outlets: Vec<OutletRef>,
) {
    let worker = scope.index();
    let mut builder = OperatorBuilder::new(name.to_owned(), *scope);
    let streams = wires.parcels.remove(&inlet).unwrap_or_default();
    let mut inputs: Vec<_> = streams
        .into_iter()
        .map(|stream| builder.new_input(stream, DistributorPact(|_| ByAddress)))
        .collect();
    let ports = outlets.len() + 1;
    let mut outputs = Outputs::new(&mut builder, outlets, wires);
    let state = state.clone();
    let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
    builder.build(move |_initial| {
        move |frontiers| {
            if state.aborted() {
                return;
            }
            for input in &mut inputs {
                // Not `for_each_stamp`: that sorts batches of one epoch out of their order.
                input.for_each(|capability, parcel| {
                    let Some(epoch) = capability.least() else {
                        return;
                    };
                    let entry = waiting.entry(*epoch).or_insert_with(|| Waiting {
                        capabilities: (0..ports)
                            .filter_map(|port| capability.retain_least(port))
                            .collect(),
                        parcels: VecDeque::new(),
                    });
                    entry.parcels.push_back(std::mem::take(parcel));
                });
            }
            let frontier = frontiers
                .iter()
                .filter_map(|frontier| frontier.frontier().first().copied())
                .min()
                .unwrap_or(u64::MAX);
            let mut work = || -> Result<(), Fault> {
                while let Some(mut first) = waiting.first_entry() {
                    let epoch = *first.key();
                    if frontier < epoch {
                        break; // more may come of an earlier epoch
                    }
                    let mut task = task.borrow_mut();
                    let Waiting {
                        capabilities,
                        parcels,
                    } = first.get_mut();
                    while let Some(parcel) = parcels.pop_front() {
                        task.receive(parcel)?;
                        if state.aborted() {
                            return Ok(());
                        }
                        outputs.send(capabilities, PARCEL);
                    }
                    outputs.send(capabilities, 1);
                    if frontier == epoch {
                        break; // more may come of this epoch
                    }
                    let mut rows = Rows::default();
                    task.close(Epoch::from_u64(epoch), &mut rows)?;
                    outputs.send_rows(capabilities, rows);
                    first.remove();
                }
                Ok(())
            };
            // The capabilities of the failed epoch stay where they are: it must never seem complete.
            if let Err(fault) = work() {
                state.abort(Failed::Step { worker, fault });
            }
        }
    });
}
