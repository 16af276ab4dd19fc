//! The outputs of an operator: parcels to other operators, and rows to the ledger.

use std::collections::BTreeMap;

use timely::dataflow::{
    Stream,
    channels::pushers::Output,
    operators::{Capability, generic::builder_rc::OperatorBuilder},
};

use super::{EpochRows, container::RowsParcel, frontier::Time};
use crate::chain::{InletId, OutletRef, Parcel};

/// The streams between the operators built so far.
#[derive(Default)]
pub(super) struct Wires<'scope> {
    pub(super) parcels: BTreeMap<InletId, Vec<Stream<'scope, Time, Parcel>>>,
    pub(super) rows: Vec<Stream<'scope, Time, RowsParcel>>,
}

/// The outputs of one operator. Its capabilities have the same order: one for each outlet, then one
/// for the rows.
pub(super) struct Outputs {
    outlets: Vec<(OutletRef, Output<Time, Parcel>)>,
    rows: Output<Time, RowsParcel>,
}

impl Outputs {
    pub(super) fn new<'scope>(
        builder: &mut OperatorBuilder<'scope, Time>,
        outlets: Vec<OutletRef>,
        wires: &mut Wires<'scope>,
    ) -> Self {
        let outlets = outlets
            .into_iter()
            .map(|outlet| {
                let (output, stream) = builder.new_output();
                let inlet = outlet.borrow().inlet();
                wires.parcels.entry(inlet).or_default().push(stream);
                (outlet, output)
            })
            .collect();
        let (rows, stream) = builder.new_output();
        wires.rows.push(stream);
        Outputs { outlets, rows }
    }

    /// Sends the records that the outlets hold for a worker, if they are at least `least`.
    pub(super) fn send(&mut self, capabilities: &[Capability<Time>], least: usize) {
        for ((outlet, output), capability) in self.outlets.iter_mut().zip(capabilities) {
            outlet.borrow_mut().send(least, &mut |mut parcel| {
                output.activate().give(capability, &mut parcel);
            });
        }
    }

    /// Takes what the outlets hold, without sending it. Each parcel comes with the index of its
    /// outlet.
    pub(super) fn take(&self) -> Vec<(usize, Parcel)> {
        let mut parcels = Vec::new();
        for (place, (outlet, _)) in self.outlets.iter().enumerate() {
            let mut outlet = outlet.borrow_mut();
            outlet.send(1, &mut |parcel| parcels.push((place, parcel)));
        }
        parcels
    }

    /// Sends the parcels that the same outlets of another worker held, as if they came from here.
    pub(super) fn forward(
        &mut self,
        capabilities: &[Capability<Time>],
        parcels: Vec<(usize, Parcel)>,
    ) {
        for (place, mut parcel) in parcels {
            let (Some((outlet, output)), Some(capability)) =
                (self.outlets.get_mut(place), capabilities.get(place))
            else {
                continue;
            };
            if let Some(to) = outlet.borrow().to_one() {
                parcel.redirect(to);
            }
            output.activate().give(capability, &mut parcel);
        }
    }

    /// Sends rows of an epoch.
    pub(super) fn send_rows(&mut self, capabilities: &[Capability<Time>], rows: EpochRows) {
        if let (Some(capability), false) = (capabilities.last(), rows.is_empty()) {
            self.rows.activate().give(capability, &mut RowsParcel(rows));
        }
    }
}
