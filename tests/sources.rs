//! Every source of the library: its position after records that were skipped, filtered, failed or
//! sent to a dead stream, and a run after its end, which has nothing to do.
#![cfg(test)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    task::Waker,
};

use flow::{
    OnError, Outcome, Recovery, ResumeError, RunError,
    prelude::*,
    sink,
    source::{
        self, At, FileToken, LinesReader, Next, Reader, Source, SourceError, TextLinesSource,
        UnfinishedLine,
    },
};
use tempfile::TempDir;

/// The numbers of the records: some of each kind, see [`Test::run`].
const RECORDS: u64 = 13;
/// The record on which the flow fails, until it is fixed.
const BUG: u64 = 8;

/// A source of the numbers as text.
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

const SHIPPED: [Shipped; 9] = [
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
        name: "ByteLines::open",
        grow: Some(text),
        open: |flow, path, _| {
            let lines = flow.source(ByteLines::open(path));
            lines.map(|line| String::from_utf8(line).unwrap())
        },
    },
    Shipped {
        name: "source_or_dead",
        grow: Some(json),
        open: |flow, path, _| {
            let (lines, dead) = flow.source_or_dead(JsonLines::open::<Line>(path));
            dead.map(|dead| panic!("{dead:?}"))
                .sink(sink::from_fn(|(): ()| ()))
                .named("unread");
            lines.named("lines").map(|line| line.n)
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
            let rest = move |read: u64| (read..upto).map(|n| n.to_string());
            flow.source(source::from_fn(rest))
        },
    },
    Shipped {
        name: "try_from_fn",
        grow: None,
        open: |flow, _, upto| {
            let rest = move |read: u64| Ok((read..upto).map(|n| Ok(n.to_string())));
            flow.source(source::try_from_fn(rest))
        },
    },
    Shipped {
        name: "from_fn_with_token",
        grow: None,
        open: |flow, _, upto| {
            flow.source(source::from_fn_with_token(move |resume: Option<u64>| {
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

    /// Of four records the second is filtered out, the third skipped, and the fourth gets a stream
    /// of its own.
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
            (Epochs::every_record(), 1),
            (Epochs::records(5), 2),
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

/// A partition, and the position at which it is opened.
type Opening = (String, At<u64>);

/// Begins at 10 in a new flow, and records how its partitions are opened.
#[derive(Clone)]
struct Noted {
    partitions: &'static [&'static str],
    /// Its reader fails before its first record.
    fails: bool,
    openings: Arc<Mutex<Vec<Opening>>>,
}

struct NotedReader {
    next: u64,
    fails: bool,
}

impl Source for Noted {
    type Item = u64;
    type Token = u64;
    type Reader = NotedReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.partitions.iter().map(|name| (*name).into()).collect())
    }

    fn open(&self, partition: &str, at: At<u64>) -> Result<NotedReader, SourceError> {
        self.openings.lock().unwrap().push((partition.into(), at));
        let next = match at {
            At::Start => 10,
            At::New => 0,
            At::Token(next) => next,
        };
        let fails = self.fails;
        Ok(NotedReader { next, fails })
    }
}

impl Reader for NotedReader {
    type Item = u64;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<u64>, _: &Waker) -> Result<Next, SourceError> {
        if self.fails {
            return Err(SourceError::new("not now"));
        }
        out.extend(self.next..12);
        self.next = 12;
        Ok(Next::End)
    }

    fn token(&self, _: usize) -> u64 {
        self.next
    }
}

#[test]
fn an_opening_tells_a_first_run_a_new_partition_and_a_resume_apart() {
    let home = tempfile::tempdir().unwrap();
    let run = |partitions, fails, recovery: Option<Recovery>| {
        let source = Noted {
            partitions,
            fails,
            openings: Arc::default(),
        };
        let openings = source.openings.clone();
        let runner = Runner::new(move |flow| {
            let numbers = flow.source(source.clone()).named("numbers");
            numbers.sink(flow::sink::from_fn(|_: u64| ()));
        });
        let result = match recovery {
            Some(recovery) => runner.recover(recovery).run(),
            None => runner.run(),
        };
        let openings = std::mem::take(&mut *openings.lock().unwrap());
        let records = result.map(|outcome| outcome.records);
        (records.map_err(|error| error.to_string()), openings)
    };
    let of = |name: &str, at| (name.to_owned(), at);
    let store = || Some(Recovery::at(home.path().join("state")));
    // Without a store each run is the first one.
    for _ in 0..2 {
        let (read, openings) = run(&["a"], false, None);
        assert_eq!((read, openings), (Ok(2), vec![of("a", At::Start)]));
    }
    // Nothing is read, and all the same the flow has begun with it: where, stands in the store.
    let (read, openings) = run(&["a"], true, store());
    assert!(read.unwrap_err().contains("not now"));
    assert_eq!(openings, [of("a", At::Start)]);
    let (read, openings) = run(&["a", "b"], true, store());
    assert!(read.unwrap_err().contains("not now"));
    assert_eq!(openings, [of("a", At::Token(10)), of("b", At::New)]);
    let (read, openings) = run(&["a", "b"], false, store());
    assert_eq!(read, Ok(2 + 12));
    assert_eq!(openings, [of("a", At::Token(10)), of("b", At::Token(0))]);
    // A partition that was given up and is back is new, a source whose state was given up begins.
    let given_up = store().map(|recovery| recovery.drop_partition("b"));
    let (read, openings) = run(&["a"], false, given_up);
    assert_eq!((read, openings), (Ok(0), vec![of("a", At::Token(12))]));
    let (_, openings) = run(&["a", "b"], false, store());
    assert_eq!(openings, [of("a", At::Token(12)), of("b", At::New)]);
    let anew = store().map(|recovery| recovery.drop_state("numbers"));
    let (_, openings) = run(&["a"], false, anew);
    assert_eq!(openings, [of("a", At::Start)]);
}

/// Lines through a custom reader.
struct Wrapped(TextLinesSource);

struct WrappedReader(LinesReader<String>);

impl Source for Wrapped {
    type Item = String;
    type Token = FileToken;
    type Reader = WrappedReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        self.0.partitions()
    }

    fn open(&self, partition: &str, at: At<FileToken>) -> Result<WrappedReader, SourceError> {
        self.0.open(partition, at).map(WrappedReader)
    }
}

impl Reader for WrappedReader {
    type Item = String;
    type Token = FileToken;

    fn read(&mut self, out: &mut Vec<String>, waker: &Waker) -> Result<Next, SourceError> {
        self.0.read(out, waker)
    }

    fn token(&self, index: usize) -> FileToken {
        self.0.token(index)
    }

    fn unfinished(&mut self) -> Option<UnfinishedLine> {
        self.0.unfinished()
    }
}

#[test]
fn a_file_whose_reader_is_wrapped_is_not_finished_before_its_last_line_is() {
    let home = tempfile::tempdir().unwrap();
    let [whole, open, state] = ["whole", "open", "state"].map(|name| home.path().join(name));
    fs::write(&whole, "a\n").unwrap();
    fs::write(&open, "b\nc").unwrap();
    let run = |files: Vec<PathBuf>| {
        let runner = Runner::new(move |flow| {
            let lines = Wrapped(TextLines::open_all(files.clone()));
            let lines = flow.source(lines).named("lines");
            lines.sink(sink::from_fn(|_: String| ()));
        });
        runner.recover(Recovery::at(&state)).run()
    };
    let outcome = run(vec![whole.clone(), open.clone()]).unwrap();
    let [line] = &outcome.unfinished[..] else {
        panic!("{outcome:?}");
    };
    assert_eq!((&*line.step, &*line.text, line.line), ("lines", "c", 2));
    fs::remove_file(&open).unwrap();
    let error = run(vec![whole]).unwrap_err();
    let gone = matches!(error, RunError::Resume(ResumeError::PartitionGone { .. }));
    assert!(gone, "{error}");
}

/// A token identifies the file by the content that was read, not by its present content.
#[test]
fn the_token_of_a_file_tells_what_was_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("in");
    let lines: Vec<String> = (0..600).map(|n| format!("line {n}\n")).collect();
    fs::write(&path, lines.concat()).unwrap();
    let source = TextLines::open(&path);
    let name = source.partitions().unwrap().remove(0);
    let mut reader = source.open(&name, At::Start).unwrap();
    let mut read = 0;
    for _ in 0..2 {
        let mut out = Vec::new();
        assert_eq!(reader.read(&mut out, Waker::noop()).unwrap(), Next::Ready);
        fs::write(&path, lines.concat().to_uppercase()).unwrap();
        for at in [0, 1, 100, out.len()] {
            let before = lines[..read + at].concat();
            let tail = &before.as_bytes()[before.len().saturating_sub(256)..];
            let token = reader.token(at);
            assert_eq!(token.offset, before.len() as u64);
            assert_eq!(token.tail_hash, Some(flow_store::hash(tail)), "line {at}");
        }
        assert!(reader.check().is_err());
        fs::write(&path, lines.concat()).unwrap();
        read += out.len();
    }
}

/// What may happen to a file while its last records are processed.
type Rotation = fn(&Path, &Path);

fn move_away(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}

/// As with log rotation that copies and truncates, and a busy writer.
fn copy_and_truncate(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    fs::write(from, "new\n".repeat(5_000)).unwrap();
}

/// A file that was read to its end may be rotated before the last of its records have been
/// processed.
#[test]
fn a_file_may_go_when_it_has_been_read_and_not_processed() {
    let rotations: [Rotation; 2] = [move_away, copy_and_truncate];
    // One run of lines; and two, of which the last one is more than what is read at a time, with
    // what is before it.
    let lengths: [(usize, usize); 2] = [(200, 0), (256, 64)];
    for ((rotate, (short, long)), fallible) in rotations
        .into_iter()
        .flat_map(|rotate| lengths.map(|length| (rotate, length)))
        .flat_map(|case| [(case, false), (case, true)])
    {
        let directory = tempfile::tempdir().unwrap();
        let [path, moved, store] = ["in", "in.1", "store"].map(|name| directory.path().join(name));
        let line = |n| format!("{n:0length$}", length = if n < short { 10 } else { 1_000 });
        let expected: Vec<String> = (0..short + long).map(line).collect();
        fs::write(&path, expected.join("\n") + "\n").unwrap();
        let run = |rotate: Option<Rotation>| {
            let (out, seen) = sink::collect();
            let (path, moved) = (path.clone(), moved.clone());
            let runner = Runner::new(move |flow| {
                let (path, moved) = (path.clone(), moved.clone());
                let lines = flow.source(TextLines::open(&path)).named("lines");
                let mut count = 0;
                let mut at = move || {
                    count += 1;
                    if let Some(rotate) = rotate.filter(|_| count == short + long - 44) {
                        rotate(&path, &moved);
                    }
                };
                match fallible {
                    true => lines
                        .try_map(move |line| {
                            at();
                            Ok::<_, String>(line)
                        })
                        .sink(out.clone()),
                    false => lines.inspect(move |_| at()).sink(out.clone()),
                };
            });
            let runner = runner.epochs(Epochs::records(1)).workers(1);
            let outcome = runner.recover(Recovery::at(&store)).run();
            (
                outcome.map(|_| ()).map_err(|error| error.to_string()),
                seen.take(),
            )
        };
        let (result, seen) = run(Some(rotate));
        assert_eq!(result, Ok(()));
        assert!(seen == expected);
        if fs::exists(&path).unwrap() {
            fs::remove_file(&path).unwrap();
        }
        fs::rename(&moved, &path).unwrap();
        append(&path, "last\n");
        assert_eq!(run(None), (Ok(()), vec!["last".to_owned()]));
    }
}

/// A file that was closed while others are read must be opened again to see whether it is still the
/// same.
#[test]
fn a_file_that_went_while_it_rested_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("in");
    fs::write(&path, "line\n".repeat(600)).unwrap();
    let source = TextLines::open(&path);
    let name = source.partitions().unwrap().remove(0);
    let open = |_| source.open(&name, At::Start).unwrap();
    // No more than 256 stay open.
    let mut readers: Vec<_> = (0..257).map(open).collect();
    let mut reader = readers.pop().unwrap();
    let next = reader.read(&mut Vec::new(), Waker::noop());
    assert_eq!(next.unwrap(), Next::Ready);
    fs::remove_file(&path).unwrap();
    assert!(reader.token(100).tail_hash.is_some());
    let error = reader.check().unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert!(error.contains("\nhelp: start again"), "{error}");
}
