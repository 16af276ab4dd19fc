//! Every source that ships: where it stands after records that were skipped, filtered, failed or given a stream of
//! their own, and that a run after its end has nothing to do.
#![cfg(test)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flow::{OnError, Outcome, prelude::*, source};
use tempfile::TempDir;

/// The numbers of the records: some of each kind, see [`Test::run`].
const RECORDS: u64 = 13;
/// The one on which the flow fails, until that is mended.
const BUG: u64 = 8;

/// A source that gives out the numbers as text.
struct Shipped {
    name: &'static str,
    /// Makes it read numbers that it had not before, where it reads files.
    grow: Option<fn(&Path, u64)>,
    open: fn(&Flow, &Path, u64) -> Stream<String>,
}

fn text(path: &Path, n: u64) {
    append(path, &format!("{n}\n"));
}

fn json(path: &Path, n: u64) {
    append(path, &format!("{{\"n\":\"{n}\"}}\n"));
}

fn append(path: &Path, line: &str) {
    let file = fs::File::options().create(true).append(true).open(path);
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

#[derive(serde::Deserialize)]
struct Line {
    n: String,
}

const SHIPPED: [Shipped; 5] = [
    Shipped {
        name: "TextLines::open",
        grow: Some(text),
        open: |flow, path, _| flow.source(TextLines::open(path)),
    },
    Shipped {
        name: "TextLines::open_all",
        grow: Some(text),
        open: |flow, path, _| flow.source(TextLines::open_all([path])),
    },
    Shipped {
        name: "JsonLines::open",
        grow: Some(json),
        open: |flow, path, _| {
            flow.source(JsonLines::open::<Line>(path))
                .map(|line| line.n)
        },
    },
    Shipped {
        name: "from_iter",
        grow: None,
        open: |flow, _, upto| flow.source(source::from_iter((0..upto).map(|n| n.to_string()))),
    },
    Shipped {
        name: "from_fn",
        grow: None,
        open: |flow, _, upto| {
            flow.source(source::from_fn(move |resume: Option<u64>| {
                let records = resume.unwrap_or(0)..upto;
                Ok(records.map(|n| Ok((n.to_string(), n + 1))))
            }))
        },
    },
];

struct Test {
    home: TempDir,
    shipped: &'static Shipped,
    /// How many records there are.
    upto: u64,
}

impl Test {
    fn new(shipped: &'static Shipped) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut test = Test {
            home,
            shipped,
            upto: 0,
        };
        test.grow(RECORDS);
        test
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn grow(&mut self, upto: u64) {
        for n in self.upto..upto {
            if let Some(grow) = self.shipped.grow {
                grow(&self.path("in"), n);
            }
        }
        self.upto = upto;
    }

    /// Of four records the second is filtered out, the third skipped, and the fourth gets a stream of its own.
    fn run(&self, workers: usize, epochs: Epochs, is_mended: bool) -> Result<Outcome, RunError> {
        let [input, good, dead] = ["in", "good", "dead"].map(|name| self.path(name));
        let (open, upto) = (self.shipped.open, self.upto);
        let build = move |flow: &Flow| {
            let records = open(flow, &input, upto);
            let some = records.filter(|text| text.parse::<u64>().unwrap() % 4 != 1);
            let parse = |text: String| match text.parse::<u64>().unwrap() {
                n if n % 4 == 2 => Err("skipped"),
                n => Ok(n),
            };
            let (numbers, failed) = some
                .try_map_with(parse, OnError::Skip)
                .try_filter_map_or_dead(|n| match n % 4 {
                    3 => Err("dead"),
                    _ => Ok(Some(n)),
                });
            let mended = move |n| match n {
                BUG if !is_mended => Err("the bug"),
                n => Ok(n),
            };
            numbers
                .try_map(mended)
                .sink(JsonLines::write_to(&good))
                .named("good");
            failed
                .map(|dead| dead.record)
                .sink(JsonLines::write_to(&dead))
                .named("dead");
        };
        Runner::new(build)
            .workers(workers)
            .epochs(epochs)
            .recover(Recovery::at(self.path("state")))
            .run()
    }

    #[track_caller]
    fn assert_outputs(&self, upto: u64, context: &str) {
        for (file, rest) in [("good", 0), ("dead", 3)] {
            let expected = (0..upto).filter(|n| n % 4 == rest);
            let expected: String = expected.map(|n| format!("{n}\n")).collect();
            let found = fs::read_to_string(self.path(file)).unwrap();
            assert_eq!(found, expected, "{context}: {file}");
        }
    }
}

#[test]
fn every_source_that_ships_knows_where_it_stands() {
    for shipped in &SHIPPED {
        for (epochs, workers) in [
            (Epochs::every_item(), 1),
            (Epochs::items(5), 2),
            (Epochs::default(), 3),
        ] {
            let context = format!("{}, {epochs:?}", shipped.name);
            let mut test = Test::new(shipped);
            for times in 1..=2 {
                let error = test.run(workers, epochs, false).unwrap_err();
                let RunError::Record(error) = error else {
                    panic!("{context}: {error}");
                };
                assert_eq!(error.times, times, "{context}");
                assert!(error.safe.exact, "{context}");
                test.assert_outputs(BUG, &context);
            }
            let outcome = test.run(workers + 1, epochs, true).unwrap();
            assert_eq!(outcome.records, RECORDS - BUG, "{context}");
            assert_eq!(outcome.skipped(), 1, "{context}: the one after the bug");
            test.assert_outputs(RECORDS, &context);
            for workers in [1, 4] {
                let outcome = test.run(workers, epochs, true).unwrap();
                assert_eq!((outcome.records, outcome.skipped()), (0, 0), "{context}");
                test.assert_outputs(RECORDS, &context);
            }
            // And more of it is more of it.
            test.grow(RECORDS + 6);
            let outcome = test.run(workers, epochs, true).unwrap();
            assert_eq!(outcome.records, 6, "{context}");
            test.assert_outputs(RECORDS + 6, &context);
        }
    }
}
