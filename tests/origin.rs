//! A panic before the first shuffle is reported with the place of its record: source, partition and
//! position.
#![cfg(test)]

use std::{fs, task::Waker};

use flow::{
    Epochs, NotKept, Origin, Recovery, RunError, Runner, Stream,
    prelude::*,
    sink,
    source::{At, Next, Reader, Source, SourceError},
    testing::Harness,
};

#[track_caller]
fn origin(error: &RunError) -> Origin {
    let origin = error.origin();
    origin.unwrap_or_else(|| panic!("it does not say where: {error}"))
}

/// The positions of the first and the last record that may be the cause.
#[track_caller]
fn range(error: &RunError) -> [String; 2] {
    let Origin { first, last, .. } = origin(error);
    [first, last].map(Option::unwrap)
}

fn poison(n: u64) -> u64 {
    assert!(n != 55, "55 is poison");
    n
}

fn batches(dataflow: fn(Stream<u64>) -> Stream<u64>) -> Harness<Stream<u64>, Stream<u64>> {
    let mut test = Harness::new(dataflow);
    test.epochs(Epochs::records(1000)).batch(10).feed(0..100);
    test
}

#[test]
fn the_record_at_which_a_step_panics_is_named() {
    let mut test = batches(|numbers| numbers.map(|n| n).map(poison).named("check"));
    let error = test.run().unwrap_err();
    assert_eq!(
        error.to_string(),
        "step `check` panicked: 55 is poison\n\
         The record is items, event 56 (source `input`).\n\
         No epoch of this run was durable; the next run starts where this one did."
    );
    assert_eq!(range(&error), ["event 56", "event 56"]);
    assert_eq!(origin(&error).source_step, "input");
    // A run behind one that was aborted goes in small steps.
    for times in 2..=3 {
        let error = test.run().unwrap_err();
        assert_eq!(range(&error), ["event 56", "event 56"]);
        let text = "The record is items, event 56 (source `input`).\n";
        assert!(error.to_string().contains(text), "{error}");
        let RunError::Panicked { times: counted, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(
            counted, times,
            "wherever the batch begins, it is the same panic"
        );
    }
}

#[test]
fn chains_of_all_kinds_name_the_record() {
    let mut test = batches(|numbers| numbers.map(poison));
    assert_eq!(
        range(&test.batch(1).run().unwrap_err()),
        ["event 56", "event 56"]
    );
    let chain: fn(Stream<u64>) -> Stream<u64> = |numbers| {
        let good = |n| if n < 1000 { Ok(n) } else { Err("large") };
        numbers.map(poison).try_map(good)
    };
    assert_eq!(
        range(&batches(chain).run().unwrap_err()),
        ["event 56", "event 56"]
    );
    let merged: fn(Stream<u64>) -> Stream<u64> = |numbers| {
        numbers
            .clone()
            .filter(|n| n % 2 == 0)
            .merge(numbers)
            .map(poison)
    };
    assert_eq!(
        range(&batches(merged).run().unwrap_err()),
        ["event 56", "event 56"]
    );
    let many: fn(Stream<u64>) -> Stream<u64> =
        |numbers| numbers.flat_map(|n| [n, n]).filter(|n| *n > 9).map(poison);
    assert_eq!(
        range(&batches(many).run().unwrap_err()),
        ["event 56", "event 56"]
    );
}

#[test]
fn behind_a_shuffle_nothing_is_known() {
    let mut test = batches(|numbers| {
        let keyed = numbers.key_on(|n| n % 3);
        let sum = |sum: &mut u64, n| {
            *sum += poison(n);
            *sum
        };
        keyed.stateful_map(sum).named("sum").map(|(_, sum)| sum)
    });
    let error = test.run().unwrap_err();
    assert!(matches!(error, RunError::Panicked { .. }), "{error}");
    assert_eq!(error.origin(), None);
}

/// A key that can't be encoded fails as its record does.
#[test]
fn a_key_that_cannot_be_encoded_names_its_record() {
    #[derive(Clone, Debug, Hash, PartialEq, Eq, Deserialize)]
    struct Odd(u64);
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                55 => Err(serde::ser::Error::custom("55 has no form")),
                n => n.serialize(to),
            }
        }
    }
    let mut test = batches(|numbers| {
        let keyed = numbers.key_on(|n| Odd(*n));
        let count = |count: &mut u64, _: u64| {
            *count += 1;
            *count
        };
        keyed.stateful_map(count).named("count").map(|(_, n)| n)
    });
    let error = test.run().unwrap_err();
    let RunError::Record(record) = &error else {
        panic!("{error}");
    };
    assert!(record.cause.downcast_ref::<NotKept>().is_some(), "{error}");
    assert!(error.to_string().contains("items, event 56"), "{error}");
    // All before it is durable.
    assert_eq!(test.outputs().len(), 55);
}

/// A number that can't be copied if it is 55.
#[derive(Serialize, Deserialize)]
struct Single(u64);

impl Clone for Single {
    fn clone(&self) -> Self {
        Single(poison(self.0))
    }
}

/// The step is the one whose records are copied, also behind a branch that has had its copy.
#[test]
fn a_record_that_panics_when_it_is_copied_is_named() {
    fn three(numbers: Stream<Single>) -> Stream<u64> {
        let numbers = numbers.named("single");
        let small = numbers.clone().filter(|Single(n)| *n < 10);
        let even = numbers.clone().filter(|Single(n)| n % 2 == 0);
        small.merge(even).merge(numbers).map(|Single(n)| n)
    }
    let chains: [fn(Stream<u64>) -> Stream<u64>; 3] = [
        |numbers| three(numbers.map(Single)),
        |numbers| three(numbers.flat_map(|n| [Single(n), Single(n)])),
        |numbers| {
            let (small, large) = numbers.branch(|n| *n < 10);
            small.map(|n| n).merge(three(large.map(Single)))
        },
    ];
    for chain in chains {
        let error = batches(chain).run().unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("step `single` panicked"), "{text}");
        assert_eq!(range(&error), ["event 56", "event 56"]);
    }
}

/// A number that can't be read from 55.
#[derive(Deserialize)]
#[serde(from = "u64")]
struct Checked(u64);

impl From<u64> for Checked {
    fn from(n: u64) -> Self {
        Checked(poison(n))
    }
}

/// The lines of a file, processed by the worker that has it or, in blocks, by any worker.
#[test]
fn the_lines_of_a_file_are_named_whichever_worker_has_them() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("in.json");
    let lines: Vec<_> = (0..400).map(|n| format!("{}\n", n % 100)).collect();
    // The first 55 is on line 56.
    fs::write(&path, lines.concat()).unwrap();
    type Build = fn(&Flow, std::path::PathBuf);
    let batch: Build = |flow, path| {
        let numbers = flow.source(JsonLines::open::<u64>(path)).named("numbers");
        numbers.map(poison).sink(sink::from_fn(|_: u64| ()));
    };
    let fallible: Build = |flow, path| {
        let numbers = flow.source(TextLines::open(path)).named("numbers");
        let numbers = numbers.map(|line| line).try_map(|line| line.parse());
        numbers.map(poison).sink(sink::from_fn(|_: u64| ()));
    };
    let reading: Build = |flow, path| {
        let numbers = flow.source(JsonLines::open::<Checked>(path));
        let numbers = numbers.named("numbers").map(|Checked(n)| n);
        numbers.sink(sink::from_fn(|_: u64| ()));
    };
    let fork: Build = |flow, path| {
        let singles = flow.source(JsonLines::open::<Single>(path));
        let singles = singles.named("numbers");
        let odd = singles.clone().filter(|Single(n)| n % 2 == 1);
        odd.merge(singles).sink(sink::from_fn(|_: Single| ()));
    };
    for build in [batch, fallible, reading, fork] {
        for workers in [1, 2, 3] {
            for block in [1, 7, 64] {
                let input = path.clone();
                let runner = Runner::new(move |flow| build(flow, input.clone()))
                    .workers(workers)
                    .blocks_of(block)
                    .records_in_flight(1000)
                    .bytes_in_flight(1 << 20);
                let error = runner.run().unwrap_err();
                let context = format!("{workers} workers, blocks of {block}: {error}");
                let origin = origin(&error);
                assert_eq!(origin.source_step, "numbers");
                assert_eq!(origin.partition, path.display().to_string());
                let line = |position: &Option<String>| -> u64 {
                    let position = position.as_deref().expect(&context);
                    position.strip_prefix("line ").unwrap().parse().unwrap()
                };
                let (first, last) = (line(&origin.first), line(&origin.last));
                // Another worker may be at a later block.
                assert_eq!((first, first % 100), (last, 56), "{context}");
                assert_eq!(origin.excerpt.as_deref(), Some("55"), "{context}");
            }
        }
    }
}

/// A reader that panics when it is asked for the place of a record.
struct Silent {
    token_panics: bool,
    read_panics: bool,
}

struct SilentReader(Silent, u64);

impl Source for Silent {
    type Item = u64;
    type Token = u64;
    type Reader = SilentReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["somewhere".to_owned()])
    }

    fn open(&self, _: &str, at: At<u64>) -> Result<SilentReader, SourceError> {
        let silent = Silent { ..*self };
        Ok(SilentReader(silent, at.token().unwrap_or(0)))
    }
}

impl Reader for SilentReader {
    type Item = u64;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<u64>, _: &Waker) -> Result<Next, SourceError> {
        assert!(!self.0.read_panics || self.1 == 0, "no more");
        out.push(self.1 * 55);
        self.1 += 1;
        Ok(Next::Ready)
    }

    fn token(&self, index: usize) -> u64 {
        assert!(!self.0.token_panics || self.1 == 0, "no token");
        (self.1 + index as u64).saturating_sub(1)
    }
}

#[test]
fn a_source_that_shows_no_position_is_named_with_its_partition() {
    for (token_panics, read_panics) in [(false, false), (true, false), (false, true)] {
        let home = tempfile::tempdir().unwrap();
        let runner = Runner::new(move |flow| {
            let silent = Silent {
                token_panics,
                read_panics,
            };
            let numbers = flow.source(silent).named("numbers");
            numbers
                .map(poison)
                .named("check")
                .sink(sink::from_fn(|_: u64| ()));
        });
        let runner = runner.epochs(Epochs::records(1000));
        // Without a store no token is asked for.
        let error = match token_panics {
            true => runner.run(),
            false => runner
                .recover(Recovery::at(home.path().join("state")))
                .run(),
        };
        let error = error.unwrap_err();
        let text = error.to_string();
        if token_panics {
            // Where the panic was is told even if where the record was can't be.
            assert!(
                text.starts_with("step `check` panicked: 55 is poison\nNothing"),
                "{text}"
            );
            continue;
        }
        let Origin { first, excerpt, .. } = origin(&error);
        assert_eq!((first, excerpt), (None, None));
        let place = "\nThe record is one of somewhere (source `numbers`).\n";
        assert!(text.contains(place), "{text}");
        let step = if read_panics { "numbers" } else { "check" };
        assert!(
            text.starts_with(&format!("step `{step}` panicked")),
            "{text}"
        );
    }
}
