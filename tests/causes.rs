//! The causes of an error: each is printed once, and returned as the user's own error.
#![cfg(test)]

mod support;

use std::{error::Error, fmt, num::ParseIntError};

use flow::{
    BuildError, RunError,
    prelude::*,
    sink,
    source::{At, Next, Reader, Source, SourceError},
};
use support::Workdir;

/// An error whose text does not mention its cause.
#[derive(Debug, PartialEq)]
struct BadLine(ParseIntError);

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad line")
    }
}

impl Error for BadLine {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn bad() -> BadLine {
    BadLine("x".parse::<u64>().unwrap_err())
}

const SAID: &str = "bad line: invalid digit found in string";

/// The place of the error.
#[derive(Clone, Copy, Debug, PartialEq)]
enum In {
    Function,
    Partitions,
    Open,
    Read,
    Step,
    StepBehindShuffle,
    Sink,
    /// While a record that failed has the flow stopped.
    Stopping,
}

struct Numbers(In);

impl Source for Numbers {
    type Item = u64;
    type Token = u64;
    type Reader = NumbersReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        match self.0 {
            In::Partitions => Err(SourceError::caused_by("no partitions", bad())),
            _ => Ok(vec!["all".to_owned()]),
        }
    }

    fn open(&self, _: &str, at: At<u64>) -> Result<NumbersReader, SourceError> {
        let next = match at {
            At::Token(next) => next,
            _ => 0,
        };
        match self.0 {
            In::Open => Err(SourceError::caused_by("not open", bad())),
            _ => Ok(NumbersReader(self.0, next)),
        }
    }
}

struct NumbersReader(In, u64);

impl Reader for NumbersReader {
    type Item = u64;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<u64>, _: &std::task::Waker) -> Result<Next, SourceError> {
        match self.1 {
            3 if self.0 == In::Read => Err(SourceError::caused_by("not read", bad())),
            5 => Ok(Next::End),
            n => {
                out.push(n);
                self.1 += 1;
                Ok(Next::Ready)
            }
        }
    }

    fn token(&self, unread: usize) -> u64 {
        self.1 - unread as u64
    }
}

fn run(place: In, store: Option<&Workdir>) -> RunError {
    let fails = move |here: In, n: u64| match n {
        3 if place == here => Err(bad()),
        n => Ok(n),
    };
    let runner = Runner::new(move |flow| {
        if place == In::Function {
            return Err(bad());
        }
        let numbers = flow.source(Numbers(place)).named("numbers");
        let first = numbers.try_map(move |n| match (place, n) {
            (In::Stopping, 4) => Err(bad()),
            _ => fails(In::Step, n),
        });
        let sums = first.key_on(|_| ()).stateful().or_fail();
        let sums = sums.map(move |_: &mut u64, n| fails(In::StepBehindShuffle, n));
        let sums = sums.named("sums").drop_key();
        sums.sink(sink::from_fn(move |n| match (place, n) {
            (In::Stopping, 3) => Err(bad()),
            _ => fails(In::Sink, n).map(|_| ()),
        }));
        Ok(())
    });
    let runner = runner.epochs(Epochs::records(100));
    match store {
        Some(store) => runner
            .recover(Recovery::at(store.path("state")))
            .run()
            .unwrap_err(),
        None => runner.run().unwrap_err(),
    }
}

#[test]
fn every_failure_says_its_causes_once_and_gives_the_error_back() {
    for place in [
        In::Function,
        In::Partitions,
        In::Open,
        In::Read,
        In::Step,
        In::StepBehindShuffle,
        In::Sink,
        In::Stopping,
    ] {
        let store = Workdir::new();
        for store in [None, Some(&store)] {
            let error = run(place, store);
            let text = error.to_string();
            let times = if matches!(error, RunError::WhileStopping { .. }) {
                2
            } else {
                1
            };
            assert_eq!(text.matches(SAID).count(), times, "{place:?}: {text}");
            assert_eq!(
                text.matches("invalid digit").count(),
                times,
                "{place:?}: {text}"
            );
            assert_eq!(error.caused_by::<BadLine>(), Some(&bad()), "{place:?}");
            assert_eq!(
                error.caused_by::<ParseIntError>(),
                Some(&bad().0),
                "{place:?}"
            );
            assert!(error.caused_by::<fmt::Error>().is_none(), "{place:?}");
        }
    }
}

/// If a build has several errors, any of them may be the cause.
#[test]
fn errors_of_a_build_are_looked_through() {
    let error = Runner::new(|flow| {
        flow.source(Numbers(In::Step))
            .map(|n| n)
            .named("a.b")
            .sink(JsonLines::stdout());
        flow.source(Numbers(In::Step))
            .map(Some)
            .sink(JsonLines::stdout());
    });
    let error = error.run().unwrap_err();
    assert!(
        matches!(error, RunError::Build(BuildError::Several(_))),
        "{error}"
    );
    assert_eq!(error.caused_by::<flow::BadName>(), None);
    assert!(error.caused_by::<BuildError>().is_some());
    let RunError::Build(error) = error else {
        panic!("{error}");
    };
    assert_eq!(
        (error.kind(), error.help(), error.step()),
        ("several", None, None)
    );
}

#[test]
fn what_the_system_said_is_given_back() {
    let work = Workdir::new();
    let path = work.path("no/such/file");
    let run = move || {
        let path = path.clone();
        let runner = Runner::new(move |flow| {
            flow.source(TextLines::open(&path))
                .sink(TextLines::stdout());
        });
        runner.run().unwrap_err()
    };
    let error = run();
    let cause = error.caused_by::<std::io::Error>();
    let cause = cause.unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(
        error.to_string().matches(&cause.to_string()).count(),
        1,
        "{error}"
    );
}
