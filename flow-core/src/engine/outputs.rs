//! The outputs of an operator: parcels to other operators, and rows to the ledger.

use std::collections::BTreeMap;

use timely::dataflow::{
    Stream,
    channels::pushers::Output,
    operators::{Capability, generic::builder_rc::OperatorBuilder},
};

use super::{BlockTime, EpochRows, container::RowsParcel, frontier::Time};
use crate::{
    chain::{InletId, OutletRef, Parcel},
    graph::StepIndex,
    time::{ClockRef, Mark, NEVER},
};

/// The streams between the operators built so far.
#[derive(Default)]
pub(super) struct Wires<'scope> {
    pub(super) parcels: BTreeMap<InletId, Vec<Stream<'scope, Time, Parcel>>>,
    pub(super) rows: Vec<Stream<'scope, Time, RowsParcel>>,
}

/// The outputs of one operator. Its capabilities have the same order: one for each outlet, then one
/// for the rows.
pub(super) struct Outputs {
    step: StepIndex,
    worker: usize,
    workers: usize,
    outlets: Vec<(OutletRef, Output<Time, Parcel>)>,
    /// What is known of time at the outlets whose records have one.
    timed: Vec<Timed>,
    rows: Output<Time, RowsParcel>,
}

/// An outlet whose records have a time.
struct Timed {
    place: usize,
    /// The clocks by which this operator says how far it has come.
    clocks: Vec<ClockRef>,
    /// The mark that it sent last.
    sent: i64,
}

impl Outputs {
    /// The outputs of `step` on one of some workers.
    pub(super) fn new<'scope>(
        builder: &mut OperatorBuilder<'scope, Time>,
        step: StepIndex,
        (worker, workers): (usize, usize),
        outlets: Vec<OutletRef>,
        wires: &mut Wires<'scope>,
    ) -> Self {
        let clocks = |outlet: &OutletRef| -> Vec<ClockRef> {
            let outlet = outlet.borrow();
            let clocks = outlet.clocks().iter();
            // Other operators that share the outlet speak for themselves.
            let own = clocks.filter(|clock| clock.mark(step).is_some());
            own.cloned().collect()
        };
        let timed = outlets.iter().enumerate().map(|(place, outlet)| Timed {
            place,
            clocks: clocks(outlet),
            sent: NEVER,
        });
        let timed = timed.filter(|timed| !timed.clocks.is_empty()).collect();
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
        Outputs {
            step,
            worker,
            workers,
            outlets,
            timed,
            rows,
        }
    }

    /// Sends the records that the outlets hold for a worker, if they are at least `least`.
    pub(super) fn send(&mut self, capabilities: &[Capability<Time>], least: usize) {
        for ((outlet, output), capability) in self.outlets.iter_mut().zip(capabilities) {
            outlet.borrow_mut().send(least, &mut |mut parcel| {
                output.activate().give(capability, &mut parcel);
            });
        }
    }

    /// Whether records of any outlet have a time.
    pub(super) fn are_timed(&self) -> bool {
        !self.timed.is_empty()
    }

    /// Says how far this operator has come, where that is further than before. All that it has made
    /// up to there must have been sent.
    pub(super) fn send_marks(&mut self, capabilities: &[Capability<Time>]) {
        for timed in &mut self.timed {
            let marks = timed.clocks.iter();
            let marks = marks.filter_map(|clock| clock.mark(self.step));
            let Some(mark) = Mark::all(marks).filter(|mark| mark.at > timed.sent) else {
                continue;
            };
            let output = self.outlets.get_mut(timed.place);
            let (Some((_, output)), Some(capability)) = (output, capabilities.get(timed.place))
            else {
                continue;
            };
            timed.sent = mark.at;
            for to in 0..self.workers {
                let mut parcel = Parcel::mark(to, self.worker, mark);
                output.activate().give(capability, &mut parcel);
            }
        }
    }

    /// The clock of the outlet at this place, if its records have a time. A source that shares its
    /// lines has one clock at each outlet.
    fn clock(&self, place: usize) -> Option<&ClockRef> {
        let timed = self.timed.iter().find(|timed| timed.place == place);
        timed.and_then(|timed| timed.clocks.first())
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
    /// `times` are those of the block that they were made of, for each clock that it came by.
    pub(super) fn forward(
        &mut self,
        capabilities: &[Capability<Time>],
        parcels: Vec<(usize, Parcel)>,
        times: &[BlockTime],
    ) {
        for (place, mut parcel) in parcels {
            let clock = self.clock(place).map(|clock| clock.step);
            let time = times.iter().find(|time| Some(time.clock) == clock);
            if let Some(time) = time.filter(|time| time.earliest < time.watermark) {
                parcel.raise(time.watermark);
            }
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
