//! Stores for the tests, and the command as users run it.

use flow_store::{
    Agreed, Changes, End, Epoch, Execution, KEY_GROUPS, Look, Retain, Row, Start, StepKind,
    StepSpec, TokenRow, encode,
};
use serde::Serialize;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub(crate) const PART: &str = "part-00000-of-00001.redb";

/// A directory that is removed when the test ends. It has the directories of stores, and the
/// command runs in it.
pub(crate) struct Home(tempfile::TempDir);

/// The result of the command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its output, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (0, ""),
            "{}",
            self.stdout
        );
        self.stdout
    }

    /// Its message, if it ended with this status and printed nothing else.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!(
            (self.code, self.stdout.as_str()),
            (code, ""),
            "{}",
            self.stderr
        );
        self.message()
    }

    /// Its message: exactly one line, and the help on another.
    #[track_caller]
    pub(crate) fn message(self) -> String {
        let message = self.stderr.strip_prefix("error: ").unwrap();
        let message = message.strip_suffix('\n').unwrap();
        let (first, help) = message.split_once("\nhelp: ").unwrap_or((message, ""));
        assert!(!first.contains('\n') && !help.contains('\n'), "{message}");
        message.to_owned()
    }
}

impl Home {
    pub(crate) fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn part(&self, store: &str) -> PathBuf {
        self.path(store).join(PART)
    }

    pub(crate) fn look(&self, store: &str) -> Look {
        Look::at(self.path(store)).unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-store"));
        command.current_dir(self.0.path()).args(args);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the flow of the tests in a store.
    pub(crate) fn start(&self, store: &str) -> Execution {
        self.start_retaining(store, Retain::Nothing)
    }

    pub(crate) fn start_retaining(&self, store: &str, retain: Retain) -> Execution {
        let look = self.look(store).retaining(retain);
        let manifest = look.reconcile(&flow(), &Agreed::default()).unwrap();
        assert_eq!(manifest.numbers, [0, 1, 2]);
        look.start(Start {
            manifest: &manifest,
            flow_name: "words",
            workers: 2,
            build: "1.0",
            changes: &Changes::new(),
        })
        .unwrap()
    }

    /// A store `clean` that was closed, and the same `killed`.
    pub(crate) fn stores() -> Home {
        let home = Home::new();
        let mut execution = home.start("clean");
        execution.commit(epoch(1, 1), [&some_words()]).unwrap();
        execution.commit(epoch(1, 2), [&later_words()]).unwrap();
        home.copy("clean", "killed");
        execution.end(End::Stopped).unwrap();
        home
    }

    /// The files that a kill leaves: those of the running flow.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        fs::create_dir(self.path(to)).unwrap();
        for name in [PART, "lock"] {
            fs::copy(self.path(from).join(name), self.path(to).join(name)).unwrap();
        }
    }

    pub(crate) fn bytes(&self, store: &str) -> Vec<u8> {
        fs::read(self.part(store)).unwrap()
    }

    /// All steps, and all rows by step.
    pub(crate) fn contents(&self, store: &str) -> Contents {
        let look = self.look(store);
        let rows = |number| -> Vec<Row> {
            let rows = look.rows(number, 0..KEY_GROUPS).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let steps = look.steps().iter();
        Contents {
            epoch: look.epoch(),
            next_execution: look.next_execution(),
            executions: look.executions().unwrap(),
            rows: steps
                .map(|step| (step.id.clone(), rows(step.number)))
                .collect(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contents {
    pub(crate) epoch: Epoch,
    pub(crate) next_execution: u64,
    pub(crate) executions: Vec<flow_store::ExecutionRecord>,
    pub(crate) rows: Vec<(String, Vec<Row>)>,
}

/// A source, a state and a sink.
fn flow() -> Vec<StepSpec> {
    let step = |id: &str, kind, operator: &str, key: &str, state: &str| StepSpec {
        id: id.to_owned(),
        kind,
        operator: operator.to_owned(),
        key_type: key.to_owned(),
        state_type: state.to_owned(),
        schemas: Default::default(),
        renamed_from: Vec::new(),
        place: "src/main.rs:12:9".to_owned(),
    };
    vec![
        step(
            "lines",
            StepKind::Source,
            "text_lines",
            "String",
            "FileToken",
        ),
        step("counts", StepKind::State, "stateful_map", "String", "Count"),
        step("out", StepKind::Sink, "json_lines", "u32", "u64"),
    ]
}

#[derive(Serialize)]
struct Count {
    words: u64,
    last: &'static str,
}

#[derive(Serialize)]
struct FileToken {
    offset: u64,
    line: u64,
}

/// Puts a row as the engine does.
pub(crate) fn put<K: Serialize, V: Serialize>(
    changes: &mut Changes,
    step: u16,
    kind: StepKind,
    key: &K,
    value: &V,
) {
    let mut bytes = Vec::new();
    encode(key, &mut bytes).unwrap();
    changes
        .put(step, kind.group(&bytes), &bytes, |into| encode(value, into))
        .unwrap();
}

fn token(changes: &mut Changes, partition: &str, done: bool, offset: u64, line: u64) {
    changes
        .put(0, 0, &TokenRow::key(partition), |into| {
            TokenRow::begin(done, &[].into(), into);
            encode(&FileToken { offset, line }, into)
        })
        .unwrap();
}

pub(crate) fn some_words() -> Changes {
    let mut changes = Changes::new();
    token(&mut changes, "a.txt", true, 120, 9);
    token(&mut changes, "b.txt", false, 60, 4);
    for (word, words) in [("anna", 1), ("bert", 2), ("7", 3)] {
        let count = Count {
            words,
            last: "a.txt:9",
        };
        put(&mut changes, 1, StepKind::State, &word, &count);
    }
    put(&mut changes, 2, StepKind::Sink, &0u32, &100u64);
    changes
}

/// One row added, one changed, one removed.
pub(crate) fn later_words() -> Changes {
    let mut changes = Changes::new();
    let count = Count {
        words: 4,
        last: "b.txt:5",
    };
    put(&mut changes, 1, StepKind::State, &"anna", &count);
    put(&mut changes, 1, StepKind::State, &"carla", &count);
    let mut key = Vec::new();
    encode("bert", &mut key).unwrap();
    changes.remove(1, StepKind::State.group(&key), &key);
    token(&mut changes, "b.txt", false, 75, 5);
    put(&mut changes, 2, StepKind::Sink, &0u32, &180u64);
    changes
}

pub(crate) fn epoch(execution: u64, number: u64) -> Epoch {
    Epoch::from_u64(Epoch::opening(execution).to_u64() + number)
}
