//! The flows that are killed, each in a directory of its own.

use std::{collections::BTreeMap, fs, process::Command, sync::OnceLock, time::SystemTime};

use flow_store::{Epoch, ExecutionRecord, KEY_GROUPS, Look};
use serde::Deserialize;

use crate::{
    compare::{assert_beginning, assert_whole, lines},
    support::{self, Ended, Running, Workdir, program},
};

/// A flow with its input.
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    program: &'static str,
    /// Its own arguments.
    args: &'static [&'static str],
    /// A line of its input, by file and number; `None` for a flow that makes its records itself.
    input: Option<fn(usize, usize) -> String>,
    files: usize,
    /// The sinks with their files, and the number of their lines.
    outputs: &'static [(&'static str, &'static str, usize)],
    /// The results of a run that is not killed.
    whole: OnceLock<Outputs>,
}

type Outputs = BTreeMap<&'static str, Vec<u8>>;

/// The number of files that most flows read.
const FILES: usize = 4;

/// The number of records that each flow reads, from all of its files.
const RECORDS: usize = 2400;

/// Microseconds between two records of each of four files: a run that is not killed takes 3.6
/// seconds.
const INTERVAL: &str = "6000";

pub(crate) const EPOCHS: [&str; 6] = ["every-record", "3", "50", "1ms", "20ms", "200ms"];

pub(crate) static FLOWS: [Flow; 6] = [
    Flow {
        name: "carts",
        program: "flows",
        args: &["carts", "in0", "in1", "in2", "in3"],
        input: Some(cart_event),
        files: FILES,
        outputs: &[("results", "out", RECORDS)],
        whole: OnceLock::new(),
    },
    // Words are counted over all files, so the counts of a word show each one that is lost or comes
    // twice.
    Flow {
        name: "words",
        program: "flows",
        args: &["words", "in0", "in1", "in2", "in3"],
        input: Some(|file, n| format!("the w{} w{} f{file}", n % 13, n * n % 17)),
        files: FILES,
        outputs: &[("results", "out", 4 * RECORDS)],
        whole: OnceLock::new(),
    },
    Flow {
        name: "dead letters",
        program: "flows",
        args: &["dead-letters", "in0", "in1", "in2", "in3"],
        input: Some(|file, n| match n % 5 {
            3 => format!("place{file}-{} no number {n}", n % 4),
            _ => format!("place{file}-{} {}", n % 4, n * 31 % 1000),
        }),
        files: FILES,
        outputs: &[
            ("results", "out", RECORDS / 5 * 4),
            ("dead_letters", "dead", RECORDS / 5),
        ],
        whole: OnceLock::new(),
    },
    Flow {
        name: "copy",
        program: "flows",
        args: &["copy", "in0", "in1", "in2", "in3"],
        input: Some(|file, n| format!("in{file} line {n}")),
        files: FILES,
        outputs: &[("results", "out", RECORDS)],
        whole: OnceLock::new(),
    },
    // A source of its own kind, and totals that depend on the order of the records.
    Flow {
        name: "totals",
        program: "paced",
        args: &["--partitions", "4", "--records", "600"],
        input: None,
        files: FILES,
        outputs: &[("json_lines", "out", RECORDS)],
        whole: OnceLock::new(),
    },
    // One file, whose lines workers give each other.
    Flow {
        name: "one file",
        program: "flows",
        args: &["one-file", "in0"],
        input: Some(cart_event),
        files: 1,
        outputs: &[("results", "out", RECORDS)],
        whole: OnceLock::new(),
    },
];

fn cart_event(file: usize, n: usize) -> String {
    let user = format!("u{file}-{}", n / 3 % 5);
    match n % 3 {
        2 => format!(
            r#"{{"user_id":"{user}","type":"payment","order_id":{}}}"#,
            n - 2
        ),
        _ => format!(r#"{{"user_id":"{user}","type":"order","order_id":{n}}}"#),
    }
}

impl Flow {
    /// The results of a run that is not killed.
    pub(crate) fn whole(&self) -> &Outputs {
        self.whole.get_or_init(|| {
            let job = Job::new(self);
            let ended = job.start_fast(&[]).wait().expect(0);
            ended.says([format!("finished: {RECORDS} records read")]);
            for (_, file, count) in self.outputs {
                assert_eq!(lines(&job.work.read(file)), *count, "{}: {file}", self.name);
            }
            job.outputs()
        })
    }
}

/// A flow in its directory.
pub(crate) struct Job<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) work: Workdir,
}

impl<'a> Job<'a> {
    pub(crate) fn new(flow: &'a Flow) -> Self {
        Job::in_directory(flow, Workdir::new())
    }

    pub(crate) fn in_directory(flow: &'a Flow, work: Workdir) -> Self {
        if let Some(line) = flow.input {
            for file in 0..flow.files {
                let lines = (0..RECORDS / flow.files).map(|n| line(file, n) + "\n");
                work.write(&format!("in{file}"), lines.collect::<String>());
            }
        }
        Job { flow, work }
    }

    /// A run. Options replace the usual ones.
    pub(crate) fn command(&self, interval: &str, options: &[&str]) -> Command {
        let mut command = Command::new(program(self.flow.program));
        command.arg("run").args(self.flow.args);
        for usual in [
            ["--output", "out"],
            ["--recover", "state"],
            ["--interval", interval],
        ] {
            if !options.contains(&usual[0]) {
                command.args(usual);
            }
        }
        command.args(options);
        // These runs are short: with this they fold what is older with every few commits.
        command.env("FLOW_UNFOLDED", "1000");
        command
    }

    pub(crate) fn start(&self, options: &[&str]) -> Running {
        self.work.spawn(self.command(INTERVAL, options))
    }

    /// Starts it at full speed.
    pub(crate) fn start_fast(&self, options: &[&str]) -> Running {
        self.work.spawn(self.command("0", options))
    }

    /// Starts it to die at a fail point, given as `name:n`.
    pub(crate) fn start_fatally(
        &self,
        interval: &str,
        options: &[&str],
        fail_point: &str,
    ) -> Running {
        let mut command = self.command(interval, options);
        command.env("FLOW_FAIL_POINT", fail_point);
        self.work.spawn(command)
    }

    /// The content of each output file that is there.
    pub(crate) fn outputs(&self) -> Outputs {
        let files = self.flow.outputs.iter().map(|(_, file, _)| *file);
        let there = files.filter(|file| self.work.path(file).exists());
        there.map(|file| (file, self.work.read(file))).collect()
    }

    /// The total length of all outputs in bytes.
    pub(crate) fn written(&self) -> u64 {
        let files = self.flow.outputs.iter();
        files.map(|(_, file, _)| self.work.len(file)).sum()
    }

    /// When the store's file was last written to.
    pub(crate) fn store_changed(&self) -> Option<SystemTime> {
        let part = self.work.path("state/part-00000-of-00001.redb");
        fs::metadata(part).and_then(|part| part.modified()).ok()
    }

    /// What the store knows.
    pub(crate) fn stored(&self) -> Stored {
        support::look(&self.work.path("state"), |look| Stored {
            is_new: look.is_new(),
            epoch: look.epoch(),
            last: look.last_execution().cloned(),
            committed: (self.flow.outputs.iter())
                .map(|(step, file, _)| (*file, committed(look, step)))
                .collect(),
        })
    }

    /// Checks that must hold whenever the flow is not running, after it was at `before`. Returns
    /// what the store knows now, and whether there is output that it does not know.
    pub(crate) fn check(&self, before: &Stored, context: &str) -> (Stored, bool) {
        let stored = self.stored();
        // I1, I2, I6: the store is at an epoch of the last execution, or as it was.
        assert!(
            stored.epoch >= before.epoch,
            "{context}: from {} back to {}",
            before.epoch,
            stored.epoch
        );
        if stored.executions() > before.executions() {
            assert_eq!(stored.executions(), before.executions() + 1, "{context}");
            assert_eq!(
                stored.epoch.execution(),
                stored.executions(),
                "{context}: the start moves the epoch"
            );
        } else {
            assert_eq!(stored.epoch, before.epoch, "{context}");
            assert_eq!(stored.committed, before.committed, "{context}");
        }
        // The outputs are never behind the store, and up to there they are right.
        let (outputs, mut tail) = (self.outputs(), false);
        for (file, committed) in &stored.committed {
            let out = outputs.get(file).map_or(&[][..], Vec::as_slice);
            let context = format!("{context}: {file}");
            assert!(*committed <= out.len(), "{context}: output is lost");
            assert!(
                *committed >= before.committed[file],
                "{context}: taken back"
            );
            assert_beginning(&out[..*committed], &self.flow.whole()[file], &context);
            tail |= *committed < out.len();
        }
        (stored, tail)
    }

    /// Checks that the flow has reached the end of its input: the output is that of a run that was
    /// not killed, and one more run has nothing to do.
    pub(crate) fn check_end(&self, ended: Ended, context: &str) {
        ended.expect(0).says(["flow: finished: "]);
        let outputs = self.outputs();
        for (file, whole) in self.flow.whole() {
            assert_whole(&outputs[file], whole, &format!("{context}: {file}"));
        }
        let again = self.start(&["--workers", "3"]).wait().expect(0);
        again.says(["flow: finished: 0 records read"]);
        assert!(
            self.outputs() == outputs,
            "{context}: nothing is given out again"
        );
    }
}

/// What a store knows.
#[derive(Debug)]
pub(crate) struct Stored {
    /// There is no store yet.
    pub(crate) is_new: bool,
    pub(crate) epoch: Epoch,
    pub(crate) last: Option<ExecutionRecord>,
    /// The length of each output.
    pub(crate) committed: BTreeMap<&'static str, usize>,
}

impl Stored {
    /// The number of the last execution.
    pub(crate) fn executions(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.number)
    }
}

/// The length of a sink's output.
fn committed(look: &Look, step: &str) -> usize {
    #[derive(Deserialize)]
    struct Position {
        bytes: usize,
    }
    let Ok(sink) = look.step(step) else { return 0 };
    let mut rows = look.rows(sink.number, 0..KEY_GROUPS).unwrap();
    let row = rows.next().unwrap().unwrap();
    assert!(rows.next().is_none());
    flow_store::decode::<Position>(&row.value).unwrap().bytes
}
