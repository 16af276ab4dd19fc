//! What is measured: the rows of the table, in groups whose programs take turns.

use crate::{
    compile::Compile,
    resume::{By, Resume},
    side::{Join, Program, Side},
    store::Store,
};

/// Rows whose programs take turns.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) rounds: usize,
    /// It takes long, or needs more than a Rust toolchain: only where it is asked for by name.
    pub(crate) on_request: bool,
    pub(crate) rows: Vec<Row>,
}

/// A row of the table.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) against: &'static str,
    pub(crate) value: Value,
    /// What must hold.
    pub(crate) floor: Option<f64>,
    /// What is possible.
    pub(crate) goal: Option<f64>,
    /// The limits are for the largest value, not for the median.
    pub(crate) at_all_times: bool,
    /// What the row says, in a sentence.
    pub(crate) why: &'static str,
}

/// How a ratio is made.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// The time of the first over the time of the second.
    Time(Side, Side),
    /// The most memory that the first ever had, over that of the second.
    Memory(Side, Side),
    /// What each of so many parts adds: the time of the first without that of the second, over that
    /// of the second.
    Each(Side, Side, u32),
    /// The time for each event, over so many nanoseconds.
    PerEvent(Side, f64),
    /// What the program has measured itself, by its name.
    Own(Side, &'static str),
}

impl Row {
    fn new(name: &'static str, what: &'static str, against: &'static str, value: Value) -> Self {
        Row {
            name,
            what,
            against,
            value,
            floor: None,
            goal: None,
            at_all_times: false,
            why: "",
        }
    }

    fn limits(self, floor: f64, goal: f64) -> Self {
        Row {
            floor: Some(floor),
            goal: Some(goal),
            ..self
        }
    }

    fn at_all_times(self) -> Self {
        Row {
            at_all_times: true,
            ..self
        }
    }

    fn why(self, why: &'static str) -> Self {
        Row { why, ..self }
    }
}

/// How large the inputs are.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// A tenth of the records and a quarter of the rounds, to see whether it works.
    pub(crate) quick: bool,
}

impl Size {
    fn events(self, events: u32) -> u32 {
        if self.quick { events / 20 } else { events }
    }

    fn rounds(self, rounds: usize) -> usize {
        if self.quick { 3 } else { rounds }
    }
}

const MANY: u32 = 1_000_000;

/// All groups.
pub(crate) fn groups(size: Size) -> Vec<Group> {
    vec![
        engine(size),
        engine_many(size),
        json(size),
        json_many(size),
        epochs(size),
        recovery(size),
        recovery_many(size),
        every_item(size),
        commit(size),
        store(size),
        resume(size),
        compile(size),
    ]
}

/// Typed events in memory, one worker, no store.
fn join(users: u32, events: u32) -> Join {
    Join {
        program: Program::Flow,
        json: false,
        users,
        events,
        workers: 1,
        epoch: None,
        store: false,
        repeatable: false,
        more_steps: 0,
        fallible: false,
        clones_key: false,
    }
}

impl Join {
    fn by(self, program: Program) -> Side {
        Side::Join(Join { program, ..self })
    }

    fn json(self) -> Self {
        Join { json: true, ..self }
    }

    fn workers(self, workers: u32) -> Self {
        Join { workers, ..self }
    }

    fn epoch(self, records: u64) -> Self {
        Join {
            epoch: Some(records),
            ..self
        }
    }

    fn store(self) -> Side {
        Side::Join(Join {
            store: true,
            ..self
        })
    }

    fn flow(self) -> Side {
        Side::Join(self)
    }
}

use Program::{ByHand, Plain};

fn engine(size: Size) -> Group {
    let join = join(1000, size.events(2_000_000));
    let steps = Join {
        more_steps: 50,
        ..join
    };
    let fallible = Join {
        fallible: true,
        ..join
    };
    let clones_key = Join {
        clones_key: true,
        ..join
    };
    Group {
        name: "engine",
        rounds: size.rounds(11),
        on_request: false,
        rows: vec![
            Row::new(
                "engine/timely",
                "cart join, events in memory, 1k users",
                "timely by hand",
                Value::Time(join.flow(), join.by(ByHand)),
            )
            .limits(1.15, 0.85)
            .why(
                "What typed steps, epochs, exact failure and the budget cost beside an exchange \
                 and a hash map.",
            ),
            Row::new(
                "engine/loop",
                "cart join, events in memory, 1k users",
                "plain loop",
                Value::Time(join.flow(), join.by(Plain)),
            )
            .limits(1.7, 1.25)
            .why(
                "What it costs not to write the loop. Everything is in the cache, so this is \
                 instructions.",
            ),
            Row::new(
                "engine/workers",
                "2 workers, 1k users",
                "1 worker",
                Value::Time(join.workers(2).flow(), join.flow()),
            )
            .limits(1.0 / 1.4, 1.0 / 1.8)
            .why(
                "Each worker reads a partition of its own; half of the records change the worker.",
            ),
            Row::new(
                "engine/workers-timely",
                "2 workers, 1k users",
                "timely by hand, 2 workers",
                Value::Time(join.workers(2).flow(), join.workers(2).by(ByHand)),
            )
            .why("The same beside timely, which has the same two cores."),
            Row::new(
                "engine/fallible",
                "a step before the shuffle that could fail",
                "without it",
                Value::Time(fallible.flow(), join.flow()),
            )
            .why("Records go in batches here too: each knows the source record that it came from."),
            Row::new(
                "engine/key-on",
                "`key_on`, which clones the key",
                "`into_keyed`, which moves it",
                Value::Time(clones_key.flow(), join.flow()),
            )
            .why("One text for each record, made on one worker and freed on another."),
            Row::new(
                "engine/step",
                "one more stateless step",
                "the cart join",
                Value::Each(steps.flow(), join.flow(), steps.more_steps),
            )
            .why(
                "Fifty steps that do nothing, between the source and the shuffle. The ratio is \
                 for one of them.",
            ),
        ],
    }
}

fn engine_many(size: Size) -> Group {
    let join = join(MANY, size.events(5_000_000));
    Group {
        name: "engine-1M",
        rounds: size.rounds(7),
        on_request: false,
        rows: vec![
            Row::new(
                "engine-1M/timely",
                "cart join, events in memory, 1M users",
                "timely by hand",
                Value::Time(join.flow(), join.by(ByHand)),
            )
            .why(
                "A million carts do not fit in the cache: this is how long the processor waits \
                 for memory.",
            ),
            Row::new(
                "engine-1M/loop",
                "cart join, events in memory, 1M users",
                "plain loop",
                Value::Time(join.flow(), join.by(Plain)),
            )
            .limits(1.25, 0.9)
            .why("A loop waits for each cart. flow has a batch, so it looks up several at a time."),
            Row::new(
                "engine-1M/workers",
                "2 workers, 1M users",
                "1 worker",
                Value::Time(join.workers(2).flow(), join.flow()),
            )
            .limits(1.0 / 1.4, 1.0 / 1.8)
            .why("Two cores wait for memory at the same time."),
            Row::new(
                "engine-1M/workers-timely",
                "2 workers, 1M users",
                "timely by hand, 2 workers",
                Value::Time(join.workers(2).flow(), join.workers(2).by(ByHand)),
            )
            .why("The same beside timely."),
            Row::new(
                "engine-1M/memory",
                "peak memory, 1M users",
                "plain loop",
                Value::Memory(join.flow(), join.by(Plain)),
            )
            .why("The whole process, with its events in memory: 12 bytes each, for all sides."),
            Row::new(
                "engine-1M/memory-timely",
                "peak memory, 1M users",
                "timely by hand",
                Value::Memory(join.flow(), join.by(ByHand)),
            )
            .why("The same beside timely."),
        ],
    }
}

fn json(size: Size) -> Group {
    let join = join(1000, size.events(1_000_000)).json();
    Group {
        name: "json",
        rounds: size.rounds(11),
        on_request: false,
        rows: vec![
            Row::new(
                "json/timely",
                "cart join, JSON lines from a file, 1k users",
                "timely by hand",
                Value::Time(join.flow(), join.by(ByHand)),
            )
            .why("End to end, with the same serde_json. flow also knows where each line begins."),
            Row::new(
                "json/loop",
                "cart join, JSON lines from a file, 1k users",
                "plain loop",
                Value::Time(join.flow(), join.by(Plain)),
            )
            .limits(1.3, 1.0)
            .why("The whole price of a flow in a program that reads a file."),
            Row::new(
                "json/workers",
                "2 workers, one file",
                "1 worker",
                Value::Time(join.workers(2).flow(), join.flow()),
            )
            .limits(0.9, 0.6)
            .why(
                "Lines are handed out in blocks, and any idle worker parses them. Results are \
                 sent in the order of the file.",
            ),
            Row::new(
                "json/memory",
                "peak memory, JSON lines, 1k users",
                "plain loop",
                Value::Memory(join.flow(), join.by(Plain)),
            )
            .why(
                "What flow itself needs: the loop holds one line and a thousand carts, which is \
                 next to nothing.",
            ),
        ],
    }
}

fn json_many(size: Size) -> Group {
    let join = join(MANY, size.events(2_000_000)).json();
    Group {
        name: "json-1M",
        rounds: size.rounds(7),
        on_request: false,
        rows: vec![
            Row::new(
                "json-1M/timely",
                "cart join, JSON lines from a file, 1M users",
                "timely by hand",
                Value::Time(join.flow(), join.by(ByHand)),
            )
            .why("End to end, with carts that do not fit in the cache."),
            Row::new(
                "json-1M/loop",
                "cart join, JSON lines from a file, 1M users",
                "plain loop",
                Value::Time(join.flow(), join.by(Plain)),
            )
            .limits(1.3, 1.0)
            .why("The same beside the loop."),
        ],
    }
}

fn epochs(size: Size) -> Group {
    let join = join(1000, size.events(500_000));
    Group {
        name: "epochs",
        rounds: size.rounds(7),
        on_request: false,
        rows: vec![
            Row::new(
                "epochs/1k",
                "epochs of 1k records, no store",
                "epochs of 100k records",
                Value::Time(join.epoch(1000).flow(), join.epoch(100_000).flow()),
            )
            .limits(1.1, 1.03)
            .why("What the end of an epoch costs if nothing has to become durable."),
            Row::new(
                "epochs/10",
                "epochs of 10 records, no store",
                "epochs of 100k records",
                Value::Time(join.epoch(10).flow(), join.epoch(100_000).flow()),
            )
            .why("The same with hardly any records in an epoch."),
            Row::new(
                "epochs/1",
                "an epoch per record, no store",
                "epochs of 100k records",
                Value::Time(join.epoch(1).flow(), join.epoch(100_000).flow()),
            )
            .why("The same with one record in an epoch."),
            Row::new(
                "epochs/1k-timely",
                "epochs of 1k records, no store",
                "timely by hand, the same epochs",
                Value::Time(join.epoch(1000).flow(), join.epoch(1000).by(ByHand)),
            )
            .why("By hand the join also learns that an epoch is complete."),
            Row::new(
                "epochs/10-timely",
                "epochs of 10 records, no store",
                "timely by hand, the same epochs",
                Value::Time(join.epoch(10).flow(), join.epoch(10).by(ByHand)),
            )
            .why("Timely has to announce progress for each epoch."),
            Row::new(
                "epochs/1-timely",
                "an epoch per record, no store",
                "timely by hand, the same epochs",
                Value::Time(join.epoch(1).flow(), join.epoch(1).by(ByHand)),
            )
            .why("The same with one record in an epoch."),
        ],
    }
}

fn recovery(size: Size) -> Group {
    // Long enough that the start and the end, which no epoch pays for, do not count.
    let join = join(1000, size.events(4_000_000)).json();
    let of = |name, what, records| {
        let off = join.epoch(records);
        Row::new(
            name,
            what,
            "the same without recovery",
            Value::Time(off.store(), off.flow()),
        )
    };
    Group {
        name: "recovery",
        rounds: size.rounds(9),
        on_request: false,
        rows: vec![
            of(
                "recovery/1k",
                "recovery on, JSON, 1k users, epochs of 1k",
                1000,
            )
            .limits(2.0, 1.25)
            .why(
                "Each epoch changes 630 of the thousand carts. Epochs that end during a \
                     commit share the next one.",
            ),
            of(
                "recovery/10k",
                "recovery on, JSON, 1k users, epochs of 10k",
                10_000,
            )
            .limits(1.25, 1.08)
            .why("Each epoch changes all carts."),
            of(
                "recovery/100k",
                "recovery on, JSON, 1k users, epochs of 100k",
                100_000,
            )
            .limits(1.1, 1.03)
            .why("Forty commits in the whole run."),
        ],
    }
}

fn recovery_many(size: Size) -> Group {
    let join = join(MANY, size.events(5_000_000));
    let of = |name, what, records| {
        let off = join.epoch(records);
        Row::new(
            name,
            what,
            "the same without recovery",
            Value::Time(off.store(), off.flow()),
        )
    };
    Group {
        name: "recovery-1M",
        rounds: size.rounds(3),
        on_request: false,
        rows: vec![
            of(
                "recovery-1M/10k",
                "recovery on, events in memory, 1M users, epochs of 10k",
                10_000,
            )
            .limits(2.5, 1.4)
            .why(
                "The hardest case for a store: nearly every record changes another key, \
                     anywhere among a million.",
            ),
            of(
                "recovery-1M/100k",
                "recovery on, events in memory, 1M users, epochs of 100k",
                100_000,
            )
            .limits(2.0, 1.4)
            .why("The same with fewer commits of more keys."),
        ],
    }
}

fn every_item(size: Size) -> Group {
    let join = join(1000, size.events(50_000)).epoch(1);
    Group {
        name: "every-record",
        rounds: size.rounds(5),
        on_request: false,
        rows: vec![
            Row::new(
                "every-record",
                "an epoch per record, durable: time for each event",
                "bytewax 0.21: 2.07 ms",
                Value::PerEvent(join.store(), 2.07e6),
            )
            .limits(1.0 / 5.0, 1.0 / 100.0)
            .why(
                "Bytewax commits each epoch by itself. Here closed epochs share a commit. Its \
                 figure is quoted from a measurement on two cores.",
            ),
        ],
    }
}

fn commit(size: Size) -> Group {
    let keys = u64::from(size.events(100_000));
    let side = |rows, rounds| {
        let rounds = if size.quick { 3 } else { rounds };
        Side::Store(Store::Commit { keys, rows, rounds })
    };
    let of =
        |name, what, value| Row::new(name, what, "append + fdatasync of the same bytes", value);
    Group {
        name: "commit",
        rounds: 1,
        on_request: false,
        rows: vec![
            of(
                "commit/10",
                "commit of 10 of 100k keys",
                Value::Own(side(10, 60), "commit"),
            )
            .limits(2.0, 1.3)
            .why("Making an epoch durable, beside the least that any store has to do."),
            of(
                "commit/100",
                "commit of 100 of 100k keys",
                Value::Own(side(100, 60), "commit"),
            )
            .limits(2.0, 1.3)
            .why("The same with more keys."),
            of(
                "commit/1k",
                "commit of 1k of 100k keys",
                Value::Own(side(1000, 40), "commit"),
            )
            .limits(2.0, 1.3)
            .why("The same with a hundredth of all keys."),
            of(
                "commit/10k",
                "commit of 10k of 100k keys",
                Value::Own(side(10_000, 15), "commit"),
            )
            .limits(2.0, 1.3)
            .why("The same with a tenth."),
            Row::new(
                "commit/1k-retain",
                "the same with `--retain 100`",
                "without it",
                Value::Own(side(1000, 40), "retain"),
            )
            .why(
                "What it costs to be able to go back a hundred epochs: replaced rows are stored \
                 too.",
            ),
        ],
    }
}

fn store(size: Size) -> Group {
    let keys = u64::from(size.events(200_000));
    let commits = if size.quick { 20 } else { 500 };
    let times = if size.quick { 2 } else { 15 };
    let many = u64::from(size.events(MANY));
    let grow = Side::Store(Store::Grow { keys, commits });
    let reopen = Side::Store(Store::Reopen { keys: many, times });
    Group {
        name: "store",
        rounds: 1,
        on_request: false,
        rows: vec![
            Row::new(
                "store/size",
                "store on disk",
                "live state, encoded",
                Value::Own(grow, "size"),
            )
            .limits(3.0, 2.0)
            .at_all_times()
            .why(
                "500 commits of a hundredth of 200k keys each. The file is measured after \
                     each; the largest counts.",
            ),
            Row::new(
                "store/longest",
                "the longest commit",
                "the median commit",
                Value::Own(grow, "longest"),
            )
            .why("Of the same 500 commits. No store may stop the flow to clean up."),
            Row::new(
                "store/reopen",
                "open after a kill, 1M keys",
                "10 ms",
                Value::Own(reopen, "reopen"),
            )
            .limits(1.0, 0.2)
            .at_all_times()
            .why(
                "From the file that a kill has left to the comparison of its steps, with the \
                     checksums of all pages verified. Reading the states back comes later.",
            ),
        ],
    }
}

fn resume(size: Size) -> Group {
    let keys = size.events(MANY);
    let side = |program| Side::Resume(Resume { keys, program });
    let flow = |workers| side(By::Flow { workers });
    let flat = side(By::FlatFile);
    Group {
        name: "resume",
        rounds: size.rounds(9),
        on_request: false,
        rows: vec![
            Row::new(
                "resume/1",
                "resume of 1M keys",
                "a flat file",
                Value::Time(flow(1), flat),
            )
            .limits(1.4, 1.1)
            .why(
                "A whole run with nothing to read: look, check, read the states back, record \
                     the start and the end. The loop reads key after key into a hash map of the \
                     right size.",
            ),
            Row::new(
                "resume/2",
                "resume of 1M keys, 2 workers",
                "a flat file",
                Value::Time(flow(2), flat),
            )
            .limits(1.4, 0.65)
            .why("Each worker reads its own keys."),
            Row::new(
                "resume/memory",
                "peak memory of a resume of 1M keys",
                "a flat file",
                Value::Memory(flow(1), flat),
            )
            .why("The same runs."),
        ],
    }
}

fn compile(size: Size) -> Group {
    let times = if size.quick { 3 } else { 9 };
    let side = Side::Compile(Compile { times });
    Group {
        name: "compile",
        rounds: 1,
        on_request: true,
        rows: vec![
            Row::new(
                "compile",
                "build again, a flow of 50 steps",
                "the same functions in a loop",
                Value::Own(side, "compile"),
            )
            .why(
                "`cargo build` after a change of some functions, unoptimised. Only on request: \
                 the first build of both takes minutes.",
            ),
        ],
    }
}
