//! Files as inputs and outputs that change while a flow runs, or between its runs.
#![cfg(test)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use flow::{
    BuildError, OnError, Outcome, Recovery, ResumeError, RunError, RunHandle, Runner, TextLines,
    sink, sink::Collected, source,
};

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Copies lines into a collection, calling `seen` for each.
fn read_with(
    path: &Path,
    store: &Path,
    seen: impl Fn(&str) + Clone + Send + Sync + 'static,
) -> (Result<Outcome, RunError>, Collected<String>) {
    let (out, collected) = sink::collect();
    let path = path.to_owned();
    let runner = Runner::new(move |flow| {
        let seen = seen.clone();
        let lines = flow.source(TextLines::open(&path)).named("lines");
        lines.inspect(move |line| seen(line)).sink(out.clone());
    });
    (runner.recover(Recovery::at(store)).run(), collected)
}

#[test]
fn a_line_that_is_still_being_written_is_read_when_it_is_finished() {
    for rest in ["\nc\n", "BB\nc\n"] {
        let directory = tempfile::tempdir().unwrap();
        let (path, store) = (directory.path().join("in"), directory.path().join("state"));
        fs::write(&path, "a\nb").unwrap();
        let grows = path.clone();
        let (result, seen) = read_with(&path, &store, move |line| {
            if line == "a" {
                append(&grows, rest);
            }
        });
        // The file was at its end before its first record went through the flow.
        let outcome = result.unwrap();
        assert_eq!((outcome.records, seen.take()), (1, vec!["a".to_owned()]));
        let [unfinished] = &outcome.unfinished[..] else {
            panic!("{outcome:?}");
        };
        assert_eq!((unfinished.step.as_str(), unfinished.line), ("lines", 2));
        assert_eq!(unfinished.partition, path.display().to_string());
        assert_eq!(unfinished.text, "b");
        let (result, seen) = read_with(&path, &store, |_| ());
        let outcome = result.unwrap();
        let whole = format!("b{rest}");
        assert_eq!(seen.take(), whole.lines().collect::<Vec<_>>());
        assert!(outcome.unfinished.is_empty());
    }
}

/// The file changes between the look at the start and the first read.
#[test]
fn a_line_that_was_taken_and_grows_as_the_run_starts_is_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = (directory.path().join("in"), directory.path().join("state"));
    fs::write(&path, "a\nb").unwrap();
    let run = |rest: &'static str| {
        let (out, seen) = sink::collect();
        let (input, grows) = (path.clone(), path.clone());
        let runner = Runner::new(move |flow| {
            let lines = flow.source(TextLines::open(&input).take_unfinished_line());
            lines.named("lines").sink(out.clone());
        });
        let runner = runner.recover(Recovery::at(&store));
        let result = runner.on_start(move |_| append(&grows, rest)).run();
        (result, seen.take())
    };
    assert_eq!(run("").1, ["a", "b"]);
    // What comes is the end of the line, and another one.
    let (result, seen) = run("\nc");
    assert_eq!((result.unwrap().records, seen), (1, vec!["c".to_owned()]));
    // What comes belongs to the line.
    let (result, seen) = run("CC\nd\n");
    let Err(RunError::Record(error)) = result else {
        panic!("{result:?}");
    };
    let text = error.to_string();
    assert!(
        text.contains("has grown since") && text.contains("--skip-rest-of-line"),
        "{text}"
    );
    assert_eq!(seen, Vec::<String>::new());
    let error = run("").0.unwrap_err();
    assert!(
        matches!(error, RunError::Resume(ResumeError::Source { .. })),
        "{error}"
    );
}

/// Reads with a limit of five bytes, skips longer lines, and returns what was skipped and seen.
fn skip_long(path: &Path, store: &Path, take: bool) -> (u64, Vec<String>, usize) {
    let (out, seen) = sink::collect();
    let path = path.to_owned();
    let runner = Runner::new(move |flow| {
        let lines = TextLines::open(&path).max_line(5).on_error(OnError::Skip);
        flow.source(lines).named("lines").sink(out.clone());
    });
    let runner = match take {
        true => runner.take_unfinished_lines(),
        false => runner,
    };
    let outcome = runner.recover(Recovery::at(store)).run().unwrap();
    (outcome.skipped(), seen.take(), outcome.unfinished.len())
}

/// A line that is too long is skipped as a whole, even if its end arrives late.
#[test]
fn the_rest_of_a_long_last_line_is_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = (directory.path().join("in"), directory.path().join("state"));
    let long = "x".repeat(200_000);
    fs::write(&path, format!("a\n{long}")).unwrap();
    assert_eq!(
        skip_long(&path, &store, false),
        (0, vec!["a".to_owned()], 1)
    );
    append(&path, "and more");
    assert_eq!(skip_long(&path, &store, false), (0, vec![], 1));
    append(&path, "y\nb\n");
    assert_eq!(
        skip_long(&path, &store, false),
        (1, vec!["b".to_owned()], 0)
    );
    // And where it is taken as it is, its rest is not taken for another one.
    append(&path, &long);
    assert_eq!(skip_long(&path, &store, true), (1, vec![], 0));
    append(&path, "z\nc\n");
    let (result, _) = read_with(&path, &store, |_| ());
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("line 4") && error.contains("has grown"),
        "{error}"
    );
}

#[test]
fn a_line_limit_without_end_is_a_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("in");
    fs::write(&path, "hello\nworld\n").unwrap();
    let (out, seen) = sink::collect();
    let runner = Runner::new(move |flow| {
        flow.source(TextLines::open(&path).max_line(usize::MAX))
            .sink(out.clone());
    });
    runner.run().unwrap();
    assert_eq!(seen.take(), ["hello", "world"]);
}

#[test]
fn a_source_skips_lines_that_it_cannot_read_where_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = (directory.path().join("in"), directory.path().join("state"));
    fs::write(&path, b"a\n\xff\xfe\nmuch too long a line\nb\r\nc\xff").unwrap();
    let run = || {
        let (out, seen) = sink::collect();
        let path = path.clone();
        let runner = Runner::new(move |flow| {
            let lines = TextLines::open(&path).max_line(5).on_error(OnError::Skip);
            flow.source(lines).named("lines").sink(out.clone());
        });
        let outcome = runner.recover(Recovery::at(&store)).run().unwrap();
        (outcome.skipped, seen.take())
    };
    let (skipped, seen) = run();
    assert_eq!(skipped, [("lines".to_owned(), 2)]);
    assert_eq!(seen, ["a", "b"]);
    append(&path, "\nd\n");
    let (skipped, seen) = run();
    assert_eq!(skipped, [("lines".to_owned(), 1)]);
    assert_eq!(seen, ["d"]);
}

#[test]
fn a_file_whose_last_line_failed_is_not_finished() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("state");
    let (bad, good) = (directory.path().join("bad"), directory.path().join("good"));
    fs::write(&bad, "1\nx\n").unwrap();
    fs::write(&good, "2\n").unwrap();
    let run = |files: Vec<PathBuf>| {
        let runner = Runner::new(move |flow| {
            let lines = flow
                .source(TextLines::open_all(files.clone()))
                .named("lines");
            let numbers = lines.try_map(|line| line.parse::<u64>());
            numbers.sink(sink::from_fn(|_: u64| ()));
        });
        runner.recover(Recovery::at(&store)).run()
    };
    let error = run(vec![bad.clone(), good.clone()]).unwrap_err();
    assert!(matches!(error, RunError::Record(_)), "{error}");
    fs::remove_file(&bad).unwrap();
    let error = run(vec![good]).unwrap_err();
    let RunError::Resume(ResumeError::PartitionGone { partitions, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(partitions, [bad.display().to_string()]);
}

#[test]
fn one_new_output_under_two_spellings_is_refused_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let (output, store) = (directory.path().join("out"), directory.path().join("state"));
    let twice = output.clone();
    let runner = Runner::new(move |flow| {
        let numbers = flow.source(source::from_iter(0..3u64)).named("numbers");
        let other = twice.parent().unwrap().join(".").join("out");
        numbers
            .clone()
            .sink(TextLines::write_to(&twice))
            .named("one");
        numbers.sink(TextLines::write_to(other)).named("other");
    });
    let error = runner.recover(Recovery::at(&store)).run().unwrap_err();
    assert!(
        matches!(error, RunError::Build(BuildError::DoubleOutput { .. })),
        "{error}"
    );
    assert!(!output.exists() && !store.exists());
}

/// One file is one partition, whatever its names: if it were read twice, its records would count
/// twice.
#[test]
fn a_file_under_another_name_is_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = (directory.path().join("in"), directory.path().join("state"));
    let line = "a line that is long enough to tell one file from another, and then some\n";
    fs::write(&path, line).unwrap();
    let run = |path: &Path| read_with(path, &store, |_| ());
    assert_eq!(run(&path).0.unwrap().records, 1);
    // The same name in other words.
    let dotted = directory.path().join("./in");
    assert_eq!(run(&dotted).0.unwrap().records, 0);
    // The same file by another name: a link, and one that was moved.
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(run(&link).0.unwrap().records, 0);
    let moved = directory.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    assert_eq!(run(&moved).0.unwrap().records, 0);
    // And another file is another file.
    let other = directory.path().join("other");
    fs::write(
        &other,
        "another line, of another file, which is long enough as well as the first\n",
    )
    .unwrap();
    assert_eq!(run(&other).0.unwrap().records, 1);
}

/// Files of one kind begin alike: only a file with all of the content that was read is the same.
#[test]
fn a_file_that_only_begins_like_one_that_was_read_is_another() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = (directory.path().join("in"), directory.path().join("state"));
    let head = format!("{}\n", "the same header of every file, ".repeat(50));
    let read = |name: &str, lines: &str| {
        let path = directory.path().join(name);
        fs::write(&path, format!("{head}{lines}")).unwrap();
        read_with(&path, &store, |_| ()).0
    };
    assert_eq!(read("in", "one\ntwo\n").unwrap().records, 3);
    fs::remove_file(&path).unwrap();
    // Shorter, of the same length, longer.
    assert_eq!(read("a", "one\n").unwrap().records, 2);
    fs::remove_file(directory.path().join("a")).unwrap();
    assert_eq!(read("b", "uno\ndue\n").unwrap().records, 3);
    fs::remove_file(directory.path().join("b")).unwrap();
    assert_eq!(read("c", "un\ndeux\ntrois\n").unwrap().records, 4);
    fs::remove_file(directory.path().join("c")).unwrap();
    // A file that has grown is the same.
    let error = read("moved", "one\ntwo\nthree\n").unwrap_err();
    assert!(
        matches!(
            &error,
            RunError::Resume(ResumeError::PartitionRenamed { .. })
        ),
        "{error}"
    );
    let text = "it is the same, or begins with all that was read of that one";
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn one_file_under_two_names_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (path, link) = (directory.path().join("in"), directory.path().join("link"));
    fs::write(&path, "a\n").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let hard = directory.path().join("hard");
    fs::hard_link(&path, &hard).unwrap();
    for other in [link, hard] {
        let path = path.clone();
        let runner = Runner::new(move |flow| {
            let lines = flow.source(TextLines::open_all([&path, &other]));
            lines.sink(sink::from_fn(|_: String| ()));
        });
        let error = runner.run().unwrap_err().to_string();
        assert!(error.contains("are one file"), "{error}");
    }
}

/// All partitions are known from the start, even those that were not read.
#[test]
fn a_file_that_is_gone_before_anything_of_it_was_read_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("state");
    let [first, later] = ["first", "later"].map(|name| directory.path().join(name));
    fs::write(&first, "x\n").unwrap();
    fs::write(&later, "2\n").unwrap();
    let run = |files: Vec<PathBuf>, recovery: Recovery| {
        let runner = Runner::new(move |flow| {
            let lines = flow.source(TextLines::open_all(files.clone()));
            let numbers = lines.named("lines").try_map(|line| line.parse::<u64>());
            numbers.sink(sink::from_fn(|_: u64| ()));
        });
        runner.recover(recovery).run()
    };
    let error = run(vec![first.clone(), later.clone()], Recovery::at(&store)).unwrap_err();
    assert!(matches!(error, RunError::Record(_)), "{error}");
    fs::remove_file(&later).unwrap();
    fs::write(&first, "1\n").unwrap();
    let error = run(vec![first.clone()], Recovery::at(&store)).unwrap_err();
    let RunError::Resume(ResumeError::PartitionGone { partitions, .. }) = error else {
        panic!("{error}");
    };
    let later = later.display().to_string();
    assert_eq!(partitions, std::slice::from_ref(&later));
    let agreed = Recovery::at(&store).drop_partition(later);
    assert_eq!(run(vec![first], agreed).unwrap().records, 1);
}

/// What comes before the next line is known from when the file was read, also where a stop cuts
/// what was read of it.
#[test]
fn a_file_that_moves_during_its_last_lines_does_not_fail_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let [path, moved] = ["in", "moved"].map(|name| directory.path().join(name));
    // The lines behind the stop are longer than what is kept of a file at its end.
    let line = |n| format!("{n} {}", "x".repeat(300));
    let lines: Vec<String> = (0..100).map(line).collect();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let run = |stops: bool| {
        let (out, seen) = sink::collect();
        let (path, moved) = (path.clone(), moved.clone());
        let stop: Arc<OnceLock<RunHandle>> = Arc::default();
        let handle = stop.clone();
        let runner = Runner::new(move |flow| {
            let (from, to, stop) = (path.clone(), moved.clone(), stop.clone());
            let lines = flow.source(TextLines::open(&path)).named("lines");
            let passed = lines.try_map(move |line| {
                if stops && line.starts_with("97 ") {
                    fs::rename(&from, &to)?;
                    stop.get().unwrap().stop();
                }
                Ok::<_, std::io::Error>(line)
            });
            passed.sink(out.clone());
        });
        let runner = runner.recover(Recovery::at(directory.path().join("state")));
        handle.set(runner.handle()).unwrap();
        runner.run().unwrap();
        seen.take()
    };
    assert_eq!(run(true), lines[..98]);
    fs::rename(&moved, &path).unwrap();
    assert_eq!(run(false), lines[98..]);
}
