//! How bytes become lines and records: all line endings, invalid UTF-8, invalid JSON and long
//! lines, from one file, from very many, and from standard input.
#![cfg(test)]

mod support;

use std::{
    fmt,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, LazyLock, Mutex, OnceLock},
    thread,
    time::Duration,
};

use flow::{
    Dead, OnError, Outcome, RunHandle,
    prelude::*,
    sink::{self, Collected},
    source::{self, LineError, Looks, RawLine},
};
use support::{Ended, Running, Workdir, program};
use tempfile::TempDir;

static WORDS: LazyLock<PathBuf> = LazyLock::new(|| program("words"));

/// A file in a directory of its own.
struct Input {
    directory: TempDir,
}

impl Input {
    fn of(bytes: impl AsRef<[u8]>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("in"), bytes).unwrap();
        Input { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("in")
    }

    fn append(&self, bytes: impl AsRef<[u8]>) {
        let mut file = File::options().append(true).open(self.path()).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    /// Runs with the store of this file.
    fn run(
        &self,
        workers: usize,
        build: impl Fn(&Flow, &Path) + Send + Sync + 'static,
    ) -> Result<Outcome, RunError> {
        let path = self.path();
        Runner::new(move |flow| build(flow, &path))
            .workers(workers)
            .blocks_of(3)
            .recover(Recovery::at(self.directory.path().join("state")))
            .run()
    }
}

/// The records of a flow with this many workers and without a store, in the order of their numbers.
fn read_all(path: &Path, workers: usize, block: Option<usize>) -> (Outcome, Vec<Vec<u8>>) {
    let (out, seen) = sink::collect();
    let path = path.to_owned();
    let mut runner = Runner::new(move |flow| {
        // One sink, so that the order is that of the file.
        flow.source(ByteLines::open(&path)).sink(out.clone());
    })
    .workers(workers);
    if let Some(lines) = block {
        runner = runner.blocks_of(lines);
    }
    (runner.run().unwrap(), seen.take())
}

// ---- line ends

/// A short description of the lines of these bytes.
fn reference(bytes: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let whole = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines: Vec<&[u8]> = whole.split(|byte| *byte == b'\n').collect();
    let last = lines.pop().unwrap();
    let content = |line: &&[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    (lines.iter().map(content).collect(), !last.is_empty())
}

#[test]
fn lines_are_what_stands_between_newlines() {
    let long = |length: usize| vec![b'x'; length];
    // What ends at, before and behind the ends of buffers and blocks.
    let chunk = 64 << 10;
    let mut cases: Vec<Vec<u8>> = [
        &b""[..],
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n\n",
        b"a",
        b"a\n",
        b"a\r\n",
        b"a\r",
        b"a\rb\r",
        b"a\r\r\n",
        b"\ra\n",
        b"a\0b\n\0\n",
        b"\0\0\0\0",
        b"a\n\r\n\nb\n\n",
        b"\xff\xfe\n\xff\n",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n",
        b"\xef\xbb\xbf\n",
        b"\xef\xbb",
        b"\xef\xbb\n",
        b"\x1a\n",
        b"\xc2\x85\x0b\x0c\n",
        b"\xe2\x80\xa8\n",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    for length in [
        chunk - 2,
        chunk - 1,
        chunk,
        chunk + 1,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
    ] {
        for end in [&b"\n"[..], b"\r\n", b""] {
            cases.push([&long(length)[..], end, b"next\n", &long(3), end].concat());
            cases.push([b"first\r\n", &long(length - 7)[..], end].concat());
        }
    }
    // Many short lines, so that some end lies on the end of a buffer.
    cases.push(
        (0..40_000)
            .flat_map(|n| format!("{n}\r\n").into_bytes())
            .collect(),
    );
    for bytes in &cases {
        let input = Input::of(bytes);
        for (workers, block) in [(1, None), (2, Some(1)), (3, Some(7)), (2, None)] {
            let (outcome, lines) = read_all(&input.path(), workers, block);
            let (mut expected, unfinished) = reference(bytes);
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
            let context = format!("{shown:?}, {} bytes, {workers} workers", bytes.len());
            assert_eq!(outcome.records, expected.len() as u64, "{context}");
            assert_eq!(
                outcome.unfinished.len(),
                usize::from(unfinished),
                "{context}"
            );
            let mut lines = lines;
            if workers > 1 {
                lines.sort();
                expected.sort();
            }
            assert!(lines == expected, "{context}");
        }
    }
}

#[test]
fn a_file_of_an_old_macintosh_is_named() {
    let (outcome, _) = read_all(&Input::of("a\rb\rc\r").path(), 1, None);
    assert!(outcome.unfinished[0].help().contains("tr '\\r' '\\n'"));
    let (outcome, _) = read_all(&Input::of("a\n\rb\r").path(), 1, None);
    assert!(!outcome.unfinished[0].help().contains("tr "));
}

/// A blank line is no record, so nothing is missed if it has no newline.
#[test]
fn a_blank_end_of_a_json_file_is_no_unfinished_line() {
    let input = Input::of("1\n  ");
    let (out, seen) = sink::collect();
    let outcome = input.run(1, move |flow, path| {
        flow.source(JsonLines::open::<u64>(path)).sink(out.clone());
    });
    assert_eq!(
        (outcome.unwrap().unfinished.len(), seen.take()),
        (0, vec![1])
    );
    // And what was blank may become a record.
    input.append("2\n");
    let (out, seen) = sink::collect();
    let outcome = input.run(1, move |flow, path| {
        flow.source(JsonLines::open::<u64>(path)).sink(out.clone());
    });
    assert_eq!((outcome.unwrap().records, seen.take()), (1, vec![2]));
}

// ---- what is no JSON

#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(dead_code)]
struct Order {
    id: u64,
}

/// The record error with which this file ends.
fn json_error(bytes: impl AsRef<[u8]>, workers: usize) -> (String, flow::RecordError) {
    let input = Input::of(bytes);
    let result = input.run(workers, |flow, path| {
        flow.source(JsonLines::open::<Order>(path))
            .named("orders")
            .sink(sink::from_fn(|_: Order| ()));
    });
    let Err(RunError::Record(error)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(error.partition, input.path().display().to_string());
    (error.partition.clone(), *error)
}

/// How often the command in the help names the file.
fn help_names(error: &flow::RecordError, path: &str) -> usize {
    error.help().map_or(0, |help| help.matches(path).count())
}

#[test]
fn a_value_on_several_lines_is_named() {
    let utf_16: Vec<u8> = "{\"id\":1}\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let cases: [(&[u8], &str, Option<Looks>); 12] = [
        (
            b"[\n{\"id\":1},\n{\"id\":2}\n]\n",
            "line 1",
            Some(Looks::Array),
        ),
        (b"[{\"id\":1},{\"id\":2}]\n", "line 1", Some(Looks::Array)),
        (b"[ {\"id\":1},\n", "line 1", Some(Looks::Array)),
        (b"{\n  \"id\": 1\n}\n", "line 1", Some(Looks::Pretty)),
        (
            b"{ \"id\": 1,\n \"more\": 2 }\n",
            "line 1",
            Some(Looks::Pretty),
        ),
        (b"{\"id\":1}\n},\n", "line 2", Some(Looks::Pretty)),
        (
            b"{\"id\":1}\n\xef\xbb\xbf{\"id\":2}\n",
            "line 2",
            Some(Looks::Marked),
        ),
        (&utf_16, "line 1", Some(Looks::Wide)),
        (b"{\"id\":1} {\"id\":2}\n", "line 1", Some(Looks::Several)),
        (
            b"{\"id\":1}\r{\"id\":2}\r\n",
            "line 1",
            Some(Looks::Several),
        ),
        (b"{\"id\":1}\n{\"id\":\"x\"}\n", "line 2", None),
        (b"{\"id\":1}\nx\n", "line 2", None),
    ];
    for (bytes, position, expected) in cases {
        for workers in [1, 2] {
            let (path, error) = json_error(bytes, workers);
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(error.position.as_deref(), Some(position), "{shown}");
            // Once is enough.
            let text = error.to_string();
            let times = text.matches(&path).count() - help_names(&error, &path);
            assert_eq!(times, 1, "{text}");
            assert_eq!(text.matches(position).count(), 1, "{text}");
            let cause = std::error::Error::source(&*error.cause).unwrap();
            let Some(LineError::Json { looks, .. }) = cause.downcast_ref() else {
                panic!("{cause:?}");
            };
            assert_eq!(*looks, expected, "{shown}");
            let help = error.help().unwrap_or_default();
            let words = match expected {
                Some(Looks::Array) => "jq -c '.[]'",
                Some(Looks::Pretty | Looks::Several) => "jq -c .",
                Some(Looks::Marked) => "byte order mark",
                Some(Looks::Wide) => "iconv",
                _ => "",
            };
            assert!(help.contains(words) && text.contains(&help), "{text}");
            let is_command = words.contains("jq") || words.contains("iconv");
            assert_eq!(help.contains(&path), is_command, "{help}");
        }
    }
}

// ---- dead letters

type Letters = (Vec<u64>, Vec<Dead<RawLine, String>>);

fn with_letters(input: &Input, workers: usize, max_line: usize) -> (Outcome, Letters) {
    let ((out, seen), (bad, dead)): ((_, Collected<u64>), _) = (sink::collect(), sink::collect());
    let outcome = input.run(workers, move |flow, path| {
        let lines = JsonLines::open::<u64>(path).max_line(max_line);
        let (numbers, dead) = flow.source_or_dead(lines);
        numbers.named("numbers").sink(out.clone());
        dead.sink(bad.clone()).named("dead");
    });
    let (mut seen, mut dead) = (seen.take(), dead.take());
    seen.sort_unstable();
    dead.sort_by_key(|dead: &Dead<RawLine, String>| dead.record.line);
    (outcome.unwrap(), (seen, dead))
}

#[test]
fn a_line_that_cannot_be_read_goes_where_it_is_kept() {
    let bytes = b"\xef\xbb\xbfx\n1\n\n2\r\n\xff\xfe\r\n3\n\"a line that is too long\"\n4\n12";
    for workers in [1, 2, 3] {
        let input = Input::of(bytes);
        let (outcome, (seen, dead)) = with_letters(&input, workers, 10);
        assert_eq!(seen, [1, 2, 3, 4]);
        assert_eq!((outcome.records, outcome.skipped()), (7, 0));
        assert_eq!(outcome.unfinished[0].line, 9);
        let path = input.path().display().to_string();
        assert!(dead.iter().all(|dead| dead.record.partition == path));
        let letters: Vec<_> = dead
            .iter()
            .map(|Dead { record, cause, .. }| {
                (
                    record.line,
                    record.offset,
                    &record.content[..],
                    cause.as_str(),
                )
            })
            .collect();
        let expected: [(u64, u64, &[u8], &str); 3] = [
            (1, 0, b"x", "expected value, at column 1"),
            (5, 11, b"\xff\xfe", "expected value, at column 1"),
            (7, 17, b"\"a line th", "the line is longer than 10 bytes"),
        ];
        assert_eq!(letters, expected, "{workers} workers");
        // What is written with the next run is not written again.
        input.append("\ny\n");
        let (_, (seen, dead)) = with_letters(&input, workers, 10);
        assert_eq!((seen, dead.len(), dead[0].record.line), (vec![12], 1, 10));
    }
}

/// Lines of values, some with invalid UTF-8: in a value, in an ignored field, in the middle of a
/// character.
fn partly_text() -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in 0..3000_u32 {
        let text: &[u8] = match line % 500 {
            7 => b"{\"name\":\"a\xff\"}",
            130 => b"{\"name\":\"b\",\"other\":\"\xff\"}",
            131 => b"{\"name\":\"\xc3",
            132 => b"\xa9\"}",
            133 => b"{\"name\":\"a\xc3\"}\r",
            _ => "{\"name\":\"\u{e9}\u{20ac}\u{1f980}\"}".as_bytes(),
        };
        bytes.extend_from_slice(text);
        bytes.push(b'\n');
    }
    bytes
}

#[test]
fn lines_that_are_not_text_fail_as_if_each_was_read_by_itself() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Named {
        name: String,
    }
    type Letter = Dead<RawLine, String>;
    let bytes = partly_text();
    let (mut names, mut letters) = (Vec::new(), Vec::new());
    for line in bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match serde_json::from_slice::<Named>(line) {
            Ok(named) => names.push(named),
            Err(error) => {
                let cause = error
                    .to_string()
                    .replace(" at line 1 column ", ", at column ");
                letters.push((line.to_vec(), cause));
            }
        }
    }
    assert_eq!((names.len(), letters.len()), (3000 - 4 * 6, 4 * 6));
    let input = Input::of(&bytes);
    for (workers, block) in [(1, None), (3, Some(100)), (3, Some(7))] {
        let (path, (out, seen)) = (input.path(), sink::collect());
        let (bad, dead) = sink::collect::<Letter>();
        let runner = Runner::new(move |flow| {
            let (names, dead) = flow.source_or_dead(JsonLines::open::<Named>(&path));
            // One sink each, so that the order is that of the file.
            names.sink(out.clone());
            dead.named("dead").sink(bad.clone());
        });
        let runner = runner.workers(workers);
        let runner = match block {
            Some(lines) => runner.blocks_of(lines),
            None => runner,
        };
        runner.run().unwrap();
        assert_eq!(seen.take(), names);
        let dead = dead.take();
        let found = dead
            .iter()
            .map(|dead| (dead.record.content.clone(), dead.cause.clone()));
        assert_eq!(found.collect::<Vec<_>>(), letters);
        for Dead {
            record, position, ..
        } in &dead
        {
            let position = position.as_ref().unwrap();
            assert_eq!(position.line, Some(record.line));
            assert_eq!(position.partition, record.partition);
            let at = usize::try_from(record.offset).unwrap();
            assert!(bytes[at..].starts_with(&record.content));
            let before = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(record.line, before as u64 + 1);
        }
    }
}

/// A record that knows the name of its file and the number of its line.
fn numbered(line: &str) -> (String, u64) {
    let (file, number) = line.split_once(' ').unwrap();
    (file.to_owned(), number.parse().unwrap())
}

/// A dead letter with the position that it should have.
fn dead_of(dead: Dead<(String, u64), u64>) -> (Option<String>, String) {
    let (file, line) = dead.record;
    let found = dead.position.map(|position| {
        assert_eq!(position.source_step, file);
        assert_eq!(position.line, Some(line));
        position.to_string()
    });
    (found, format!("{file}, line {line}"))
}

#[test]
fn a_dead_letter_knows_the_line_of_its_record() {
    let directory = tempfile::tempdir().unwrap();
    let files = ["a", "b"].map(|name| {
        let path = directory.path().join(name);
        let lines = (1..=5000).map(|number| match number % 7 {
            0 => "\n".to_owned(),
            _ => format!("{name} {number}\n"),
        });
        fs::write(&path, lines.collect::<String>()).unwrap();
        path
    });
    for (workers, block) in [(1, None), (2, None), (3, Some(100)), (3, Some(7))] {
        let (files, (bad, dead)) = (files.clone(), sink::collect());
        let runner = Runner::new(move |flow| {
            let check = |(_, n): (String, u64)| match n % 5 {
                0 => Err(n),
                _ => Ok(n),
            };
            let [a, b] = ["a", "b"].map(|name| {
                let path = files.iter().find(|path| path.ends_with(name)).unwrap();
                let lines = flow.source(TextLines::open(path)).named(name);
                let lines = lines.filter(|line| !line.is_empty());
                lines.map(|line| numbered(&line))
            });
            // Two of each even record, in one branch; what is odd in another.
            let (even, odd) = (a.clone(), a);
            let even = even
                .filter(|(_, n)| n % 2 == 0)
                .flat_map(|item| vec![item; 2]);
            let (good, dead) = even.try_map_or_dead(check);
            let (others, more) = odd
                .filter(|(_, n)| n % 2 == 1)
                .merge(b.clone())
                .try_map_or_dead(check);
            // What rests is resumed after the source's push.
            let rests = b.filter(|(_, n)| *n == 10);
            let (long, last) = rests
                .flat_map(|item| vec![item; 20_000])
                .try_map_or_dead(check);
            let goods = good.merge(others).merge(long);
            goods.sink(sink::from_fn(|_| ()));
            let all = dead.merge(more).merge(last);
            all.map(dead_of).sink(bad.clone()).named("dead");
        });
        let runner = match block {
            Some(lines) => runner.blocks_of(lines),
            None => runner,
        };
        runner.workers(workers).run().unwrap();
        let mut counts = std::collections::BTreeMap::new();
        for (found, expected) in dead.take() {
            let expected = directory.path().join(expected).display().to_string();
            assert_eq!(found.as_ref(), Some(&expected));
            *counts.entry(expected).or_insert(0) += 1;
        }
        let of = |name: &str, line: u64| {
            let key = directory.path().join(format!("{name}, line {line}"));
            counts.get(&key.display().to_string()).copied()
        };
        assert_eq!(counts.len(), 2 * (1000 - 142));
        assert_eq!(
            (of("a", 10), of("a", 15), of("b", 20)),
            (Some(2), Some(1), Some(1))
        );
        assert_eq!((of("b", 35), of("b", 10)), (None, Some(20_001)));
    }
}

#[test]
fn a_dead_letter_needs_no_file() {
    // The blank lines behind the only record are more than a reader has in memory at the end.
    let input = Input::of(format!("\n1\n{}", "\n".repeat(20_000)));
    let path = input.path();
    let (bad, dead) = sink::collect();
    let runner = Runner::new(move |flow| {
        let numbers = flow.source(JsonLines::open::<u64>(&path));
        // The step rests, so the last of them are made when the file has been read.
        let many = numbers.flat_map(|_| 0..20_000);
        let path = path.clone();
        let (good, dead) = many.try_map_or_dead(move |n| {
            if n == 15_000 {
                fs::remove_file(&path).unwrap();
            }
            match n % 1000 {
                0 => Err(()),
                _ => Ok(n),
            }
        });
        good.sink(sink::from_fn(|_| ()));
        dead.map(|dead| dead.position.and_then(|at| at.line))
            .sink(bad.clone())
            .named("dead");
    });
    runner.run().unwrap();
    assert_eq!(dead.take(), vec![Some(2); 20]);
}

#[test]
fn behind_a_shuffle_a_dead_letter_has_no_position() {
    let (bad, dead) = sink::collect();
    let runner = Runner::new(move |flow| {
        let keyed = flow.source(source::from_iter([1_u64, 2, 3])).key_on(|n| *n);
        let counted = keyed.stateful().map(|_: &mut u64, n| n).named("counted");
        let (good, dead) = counted.drop_key().try_map_or_dead(|n| match n {
            2 => Err(()),
            n => Ok(n),
        });
        good.sink(sink::from_fn(|_| ()));
        dead.map(|dead| (dead.record, dead.position))
            .sink(bad.clone())
            .named("dead");
    });
    runner.run().unwrap();
    assert_eq!(dead.take(), [(2, None)]);
}

#[test]
fn a_raw_line_is_the_same_after_it_was_stored() {
    for content in [&b"text"[..], b"", b"\xff\0", "\u{fffd}\"".as_bytes()] {
        let record = RawLine {
            partition: "in".to_owned(),
            line: 1,
            offset: 2,
            content: content.to_vec(),
        };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<RawLine>(&json).unwrap(),
            record,
            "{json}"
        );
        let mut bytes = Vec::new();
        flow_store::encode(&record, &mut bytes).unwrap();
        assert_eq!(flow_store::decode::<RawLine>(&bytes).unwrap(), record);
    }
    let record = RawLine {
        partition: "in".to_owned(),
        line: 4,
        offset: 20,
        content: b"x,y".to_vec(),
    };
    let json = r#"{"partition":"in","line":4,"offset":20,"content":"x,y"}"#;
    assert_eq!(serde_json::to_string(&record).unwrap(), json);
}

// ---- the log

/// Keeps the log messages about lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        *self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::DEBUG
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = String::new();
        event.record(&mut Fields(&mut text));
        self.0.lock().unwrap().push(text);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn the_log_names_each_line_that_is_skipped() {
    let log = Log::default();
    // The only test of this program that asks for the log; what others log is about other files.
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    for workers in [1, 2] {
        let input = Input::of(b"1\nx\n2\n\xff\n3\n4\n5\n6\n7\ny\n8\n9\n");
        let outcome = input.run(workers, |flow, path| {
            let lines = JsonLines::open::<u64>(path).on_error(OnError::Skip);
            let numbers = flow.source(lines).named("numbers");
            let odd = |n: u64| (n != 3).then_some(n).ok_or("three");
            let odd = numbers.try_map_with(odd, OnError::Skip).named("odd");
            odd.sink(sink::from_fn(|_: u64| ()));
        });
        assert_eq!(outcome.unwrap().skipped(), 4);
        let path = input.path().display().to_string();
        let logged = log.0.lock().unwrap().clone();
        for line in [2, 4, 10] {
            let named = |text: &&String| {
                let fields = [
                    "step=\"numbers\"".to_owned(),
                    format!("partition={path:?}"),
                    format!("line={line} "),
                ];
                fields.iter().all(|field| text.contains(field)) && text.contains("expected value")
            };
            assert_eq!(
                logged.iter().filter(named).count(),
                1,
                "{line}: {logged:#?}"
            );
        }
        let steps = |text: &&String| text.contains("step=\"odd\"") && text.contains("three");
        assert_eq!(logged.iter().filter(steps).count(), workers, "{logged:#?}");
    }
}

// ---- many files

/// Runs `words` on files, with a limit of open files.
fn with_open_files(work: &Workdir, most: usize, options: &str, files: &str) -> Ended {
    let line = format!(
        "ulimit -n {most} && exec {} run --recover state --output out {options} {files}",
        WORDS.display()
    );
    work.run("/bin/sh".as_ref(), &["-c", &line])
}

#[test]
fn there_may_be_more_inputs_than_open_files() {
    let work = Workdir::new();
    fs::create_dir(work.path("f")).unwrap();
    // More than one run of lines each, so that they are read in turn.
    let words = |n: usize| (0..600).map(|k| format!("w{n}-{k}\n")).collect::<String>();
    for n in 0..90 {
        work.write(&format!("f/{n:03}"), words(n));
    }
    for workers in ["1", "3"] {
        let ended = with_open_files(&work, 60, &format!("-w {workers}"), "f/*");
        ended.expect(0);
    }
    // Those that were read to their end need no open file, nor do new ones.
    for n in 90..120 {
        work.write(&format!("f/{n:03}"), words(n));
    }
    with_open_files(&work, 60, "-w 2", "f/*")
        .expect(0)
        .says(["18000 records read"]);
    let mut seen: Vec<String> = work
        .text("out")
        .lines()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    seen.sort();
    let mut expected: Vec<String> = (0..120)
        .flat_map(|n| words(n).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    expected.sort();
    assert!(seen == expected);
}

// ---- standard input

/// Runs `words` on standard input, with a store if the options name one.
fn feed(work: &Workdir, options: &[&str], input: &[u8]) -> Ended {
    let mut running = fed(work, options);
    running.0.write_all(input).unwrap();
    let (stdin, running) = running;
    drop(stdin);
    running.wait()
}

fn fed(work: &Workdir, options: &[&str]) -> (std::io::PipeWriter, Running) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = Command::new(&*WORDS);
    command.args(["run", "--stdin"]).args(options);
    (
        writer,
        work.spawn_from(command, Stdio::from(reader), None, None),
    )
}

#[test]
fn standard_input_is_read_to_its_end_and_its_last_line_needs_no_newline() {
    let work = Workdir::new();
    let ended = feed(&work, &[], b"\xef\xbb\xbfant\r\nbee\nape").expect(0);
    assert_eq!(ended.stdout, "ant 1\nbee 1\nape 2\n");
    assert!(!ended.stderr.contains("newline"), "{ended}");
    assert_eq!(feed(&work, &[], b"").expect(0).stdout, "");
    // Much, in lines of all lengths.
    let long = "y".repeat(200_000);
    let lines: String = (0..50_000)
        .map(|n| format!("x{n}\n"))
        .chain([long.clone() + "\n"])
        .collect();
    let ended = feed(&work, &["-w", "2"], lines.as_bytes()).expect(0);
    ended.says(["50001 records read"]);
    // What is too long is no memory either.
    let ended = feed(
        &work,
        &["--skip-longer", "100"],
        format!("{lines}bee\n{long}").as_bytes(),
    );
    let ended = ended.expect(0).says(["2 skipped"]);
    assert!(ended.stdout.ends_with("bee 1\n"));
}

#[test]
fn a_bad_line_of_standard_input_is_named() {
    let work = Workdir::new();
    let ended = feed(&work, &[], b"ant\nb\xff\nape\n");
    ended.one_error(1, ["stdin, line 2", "not UTF-8, from its byte 2"]);
    let ended = feed(&work, &[], &[0x1f, 0x8b, 8, 0, b'\n']);
    ended.one_error(1, ["standard input is compressed (gzip)", "gzip -dc .. |"]);
}

/// Standard input can't resume, so a flow with a store must call it lossy.
#[test]
fn standard_input_goes_with_a_store_and_with_a_stop() {
    let work = Workdir::new();
    let options = [
        "--recover",
        "state",
        "--output",
        "out",
        "--epoch",
        "every-record",
    ];
    feed(&work, &options, b"ant\n").expect(0);
    feed(&work, &options, b"ape\n").expect(0);
    assert_eq!(work.text("out"), "ant 1\nape 2\n");
    // A writer that is silent keeps nobody waiting.
    let (mut stdin, mut running) = fed(&work, &options);
    stdin.write_all(b"asp\nbee").unwrap();
    running.wait_until("the first line is durable", |_| {
        work.text("out").contains("asp 3")
    });
    running.signal("TERM");
    running.wait().expect(0).says(["stopped: 1 record read"]);
}

/// Standard input can't be read again: a stop reads no more, and everything that was read is
/// emitted. The program is this test, with a file for its output.
#[test]
fn what_was_taken_of_standard_input_before_a_stop_comes_out() {
    const OUT: &str = "TEST_TAKES_STANDARD_INPUT";
    const LINES: usize = 3000;
    if let Some(path) = std::env::var_os(OUT) {
        let stop: Arc<OnceLock<RunHandle>> = Arc::default();
        let stops = stop.clone();
        let runner = Runner::new(move |flow| {
            let stop = stops.clone();
            let lines = flow.source(TextLines::stdin()).inspect(move |_| {
                // Once all of it has been taken.
                while rustix::io::ioctl_fionread(std::io::stdin()).unwrap() > 0 {
                    thread::yield_now();
                }
                stop.get().unwrap().stop();
            });
            lines.sink(TextLines::write_to(&path));
        });
        stop.set(runner.handle()).unwrap();
        assert_eq!(runner.run().unwrap().records, LINES as u64);
        return;
    }
    let work = Workdir::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let lines: String = (0..LINES).map(|n| format!("{n}\n")).collect();
    writer.write_all(lines.as_bytes()).unwrap();
    writer.write_all(b"not yet a li").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "what_was_taken_of_standard_input_before_a_stop_comes_out",
    ]);
    command.env(OUT, work.path("out"));
    let ended = work.spawn_from(command, Stdio::from(reader), None, None);
    ended.wait().expect(0);
    assert_eq!(work.text("out"), lines);
}

/// A stop reads no more, even while the flow waits for standard input: later input is left to the
/// next reader. The program is this test.
#[test]
fn what_comes_to_standard_input_after_a_stop_is_not_taken() {
    const OUT: &str = "TEST_LEAVES_STANDARD_INPUT";
    if let Some(path) = std::env::var_os(OUT) {
        let stop: Arc<OnceLock<RunHandle>> = Arc::default();
        let stops = stop.clone();
        let runner = Runner::new(move |flow| {
            let stop = stops.clone();
            let lines = flow.source(TextLines::stdin());
            lines.sink(sink::from_fn(move |_| stop.get().unwrap().stop()));
        });
        stop.set(runner.handle()).unwrap();
        assert_eq!(runner.run().unwrap().records, 1);
        std::fs::write(&path, "").unwrap();
        // The right program passes whatever this takes. In a wrong one the thread takes the line
        // meanwhile.
        while !Path::new(&path).with_file_name("late").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(300));
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        std::fs::write(&path, line).unwrap();
        return;
    }
    let work = Workdir::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "what_comes_to_standard_input_after_a_stop_is_not_taken",
    ]);
    command.env(OUT, work.path("out"));
    let mut running = work.spawn_from(command, Stdio::from(reader), None, None);
    writer.write_all(b"early\n").unwrap();
    running.wait_until("it has stopped", |_| work.path("out").exists());
    writer.write_all(b"late\n").unwrap();
    work.write("late", "");
    drop(writer);
    running.wait().expect(0);
    assert_eq!(work.text("out"), "late\n");
}

/// A start reads nothing yet, although the reading thread exists: `check` leaves standard input to
/// the next run.
#[test]
fn a_check_takes_nothing_of_standard_input() {
    let work = Workdir::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"ant\nbee\n").unwrap();
    drop(writer);
    for (what, out) in [("check", ""), ("run", "ant 1\nbee 1\n")] {
        let mut command = Command::new(&*WORDS);
        command.args([what, "--stdin"]);
        let stdin = Stdio::from(reader.try_clone().unwrap());
        let ended = work.spawn_from(command, stdin, None, None).wait().expect(0);
        assert!(ended.stdout.ends_with(out), "{ended}");
    }
}

#[test]
fn only_one_source_reads_standard_input() {
    let runner = Runner::new(|flow| {
        for name in ["one", "other"] {
            let lines = flow.source(TextLines::stdin()).named(name);
            lines
                .sink(sink::from_fn(|_: String| ()))
                .named(format!("{name}_out"));
        }
    });
    let error = runner.dry_run().unwrap_err().to_string();
    assert!(
        error.contains("another source reads standard input"),
        "{error}"
    );
}
