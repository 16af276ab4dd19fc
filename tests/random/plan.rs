//! Random crash plans: a series of runs, each with its settings and its faults.

use std::time::Duration;

use flow::Epochs;
use proptest::{collection::vec, prelude::*};

use crate::{
    case::Size,
    description::{Description, Op, SinkKind},
    faults::{At, Fault},
    input::Input,
    reference::{Results, interpret},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// This many records: 1 is every record.
    Items(u64),
    /// Milliseconds of the manual clock.
    Millis(u64),
}

impl Cut {
    pub(crate) fn epochs(self) -> Epochs {
        match self {
            Cut::Items(items) => Epochs::records(items),
            Cut::Millis(millis) => Epochs::every(Duration::from_millis(millis)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) workers: usize,
    pub(crate) epochs: Cut,
    /// How many records may be read and not yet durable.
    pub(crate) in_flight: u64,
    /// How many lines of a file are in a block for another worker.
    pub(crate) block: usize,
    /// Without faults the run reaches the end of the input.
    pub(crate) faults: Vec<Fault>,
}

/// Runs that may end in any way, one that reaches the end of the input, and one that has nothing to
/// do.
pub(crate) type Plan = Vec<Run>;

/// A fault as it is drawn, before its flow is known.
#[derive(Clone, Copy, Debug)]
struct RawFault {
    kind: Kind,
    /// Which of the possible steps it happens in.
    pick: usize,
    /// At which fraction of the calls there, in thousandths.
    part: u64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bug,
    /// A fault that only needs a call.
    Step(fn(At) -> Fault),
    Source(fn(At) -> Fault),
    Tape(fn(At) -> Fault),
}

impl RawFault {
    /// The drawn fault, or a similar one that is possible in this flow. `all` is the expected
    /// result of the whole input, of which about `left` of `of` parts are unread.
    fn over(
        self,
        description: &Description,
        input: &Input,
        all: &Results,
        (left, of): (u64, u64),
    ) -> Option<Fault> {
        let reached = |is: &dyn Fn(&Op) -> bool| -> Vec<usize> {
            let nodes = description.find(is).into_iter();
            nodes.filter(|node| all.calls(*node) > 0).collect()
        };
        let at = |nodes: &[usize]| {
            let node = *nodes.get(self.pick.checked_rem(nodes.len())?)?;
            let calls = match description.nodes[node].op {
                // It is asked for batches and epochs.
                Op::Sink(_) => (all.calls(node) / 4).min(40),
                _ => all.calls(node),
            };
            let call = calls * self.part * left / of / 1000;
            Some(At { node, call })
        };
        let is_tape = |op: &Op| matches!(op, Op::Sink(SinkKind::Tape | SinkKind::TapePerWorker));
        // A file has no function of the test's.
        let is_scripted = |op: &Op| matches!(op, Op::Source(source) if !input.is_file(*source));
        let fault = match self.kind {
            Kind::Bug => {
                let nodes = 0..description.nodes.len();
                let bugs: Vec<usize> = nodes.filter(|node| all.bad(*node) > 0).collect();
                at(&bugs).map(|at| Fault::Bug(at.node))
            }
            Kind::Source(fault) => at(&reached(&is_scripted)).map(fault),
            Kind::Tape(fault) => at(&reached(&is_tape)).map(fault),
            Kind::Step(_) => None,
        };
        fault.or_else(|| {
            // The others call none of the test's functions.
            let calls = |op: &Op| match op {
                Op::Dead | Op::Merge(_) | Op::Sink(_) => false,
                Op::Source(_) => is_scripted(op),
                _ => true,
            };
            let fault = match self.kind {
                Kind::Step(fault) => fault,
                _ => Fault::Panic,
            };
            at(&reached(&calls)).map(fault)
        })
    }
}

/// A run as it is drawn, before its flow is known.
#[derive(Clone, Debug)]
struct RawRun {
    workers: usize,
    epochs: Cut,
    in_flight: u64,
    block: usize,
    faults: Vec<RawFault>,
}

impl RawRun {
    fn over(&self, faults: Vec<Fault>) -> Run {
        Run {
            workers: self.workers,
            epochs: self.epochs,
            in_flight: self.in_flight,
            block: self.block,
            faults,
        }
    }
}

/// A plan as it is drawn, before its flow is known.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    runs: Vec<RawRun>,
    last: [RawRun; 2],
}

impl Drawn {
    pub(crate) fn over(&self, description: &Description, input: &Input) -> Plan {
        let all = interpret(description, input, &input.end());
        let of = self.runs.len() as u64;
        let runs = self.runs.iter().zip(0..).map(|(run, number)| {
            let faults = run.faults.iter();
            let faults =
                faults.filter_map(|fault| fault.over(description, input, &all, (of - number, of)));
            run.over(faults.collect())
        });
        let last = self.last.iter().map(|run| run.over(Vec::new()));
        runs.chain(last).collect()
    }
}

fn fault() -> impl Strategy<Value = RawFault> {
    let kind = prop_oneof![
        5 => Just(Kind::Bug),
        3 => Just(Kind::Step(Fault::Stop)),
        3 => Just(Kind::Step(Fault::CutShort)),
        4 => Just(Kind::Step(Fault::Panic)),
        2 => Just(Kind::Source(Fault::SourceError)),
        1 => Just(Kind::Source(Fault::TokenPanic)),
        1 => Just(Kind::Tape(Fault::WriteError)),
        1 => Just(Kind::Tape(Fault::WritePanic)),
        1 => Just(Kind::Tape(Fault::CloseError)),
        2 => Just(Kind::Tape(Fault::SyncError)),
        1 => Just(Kind::Tape(Fault::SyncPanic)),
        4 => Just(Kind::Tape(Fault::Kill)),
    ];
    (kind, 0usize..32, 0u64..1000).prop_map(|(kind, pick, part)| RawFault { kind, pick, part })
}

fn run(size: Size) -> impl Strategy<Value = RawRun> {
    let epochs = match size {
        Size::Small => prop_oneof![
            2 => (1u64..2).prop_map(Cut::Items),
            3 => (2u64..12).prop_map(Cut::Items),
            2 => (1u64..40).prop_map(Cut::Millis),
        ],
        Size::Large => prop_oneof![
            1 => (200u64..400).prop_map(Cut::Items),
            1 => (400u64..4000).prop_map(Cut::Items),
            1 => (1u64..40).prop_map(Cut::Millis),
        ],
    };
    let in_flight = match size {
        Size::Small => prop_oneof![4 => 1u64..16, 1 => 16u64..64, 2 => 100_000u64..100_001],
        Size::Large => prop_oneof![2 => 300u64..1000, 1 => 1000u64..5000, 1 => 100_000u64..100_001],
    };
    let faults =
        prop_oneof![1 => vec(fault(), 0..1), 7 => vec(fault(), 1..2), 2 => vec(fault(), 2..3)];
    let block = match size {
        Size::Small => 1usize..8,
        Size::Large => 1usize..100,
    };
    let drawn = (1usize..5, epochs, in_flight, block, faults);
    drawn.prop_map(|(workers, epochs, in_flight, block, faults)| RawRun {
        workers,
        epochs,
        in_flight,
        block,
        faults,
    })
}

pub(crate) fn drawn(size: Size) -> impl Strategy<Value = Drawn> {
    let last = [run(size), run(size)];
    (vec(run(size), 0..4), last).prop_map(|(runs, last)| Drawn { runs, last })
}
