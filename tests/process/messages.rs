//! A message that can't be written has no effect on the run.

use std::{
    fs::File,
    io::{self, PipeReader, Write},
    process::{Command, Stdio},
};

use flow::{prelude::*, sink, source};

use crate::{
    SLOW, WORDS,
    support::{Ended, Workdir, program},
};

/// The reader of standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Gone,
    /// It does not read, and the pipe is full.
    Asleep,
    /// A log on a full disk.
    Full,
}

const READERS: [Reader; 3] = [Reader::Gone, Reader::Asleep, Reader::Full];

impl Reader {
    fn stderr(self) -> (Stdio, Option<PipeReader>) {
        if self == Reader::Full {
            return (File::create("/dev/full").unwrap().into(), None);
        }
        let (reader, mut writer) = io::pipe().unwrap();
        if self == Reader::Gone {
            return (writer.into(), None);
        }
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        let non_blocking = rustix::fs::OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(&writer, flags | non_blocking).unwrap();
        while writer.write(&[b'.'; 512]).is_ok() {}
        rustix::fs::fcntl_setfl(&writer, flags).unwrap();
        (writer.into(), Some(reader))
    }

    fn run(self, work: &Workdir, args: &[&str]) -> Ended {
        let mut command = Command::new(&*SLOW);
        command.args(args);
        let (stderr, asleep) = self.stderr();
        let ended = work.spawn_with(command, None, Some(stderr)).wait();
        drop(asleep);
        ended
    }
}

#[test]
fn a_flow_runs_and_resumes_whoever_reads_its_messages() {
    for reader in READERS {
        let work = Workdir::new();
        let run = ["run", "in", "--output", "out", "--recover", "state"];
        for lines in ["a\nb\n", "a\nb\na\n", "a\nb\na\nb\n"] {
            work.write("in", lines);
            reader.run(&work, &run).expect(0);
            let written = work.text("out").lines().count();
            assert_eq!(written, lines.lines().count(), "{reader:?}");
        }
        assert_eq!(work.text("out"), "a 1\nb 1\na 2\nb 2\n", "{reader:?}");
        reader
            .run(
                &work,
                &["check", "in", "--output", "out", "--recover", "state"],
            )
            .expect(0);
    }
}

#[test]
fn the_exit_status_of_a_failure_is_the_same() {
    for reader in READERS {
        let work = Workdir::new();
        reader.run(&work, &["run", "not-there"]).expect(2);
        reader.run(&work, &["run"]).expect(2);
        reader
            .run(&work, &["run", "in", "--workers", "0"])
            .expect(2);
        reader.run(&work, &["--help"]).expect(0);
        work.write("in", "a\n");
        reader
            .run(&work, &["run", "in", "--recover", "in"])
            .expect(3);
    }
}

/// Clears the screen, sets the title, changes the colour, rings the bell, and turns the text round.
const OBEYED: &str = "\u{1b}[2J\u{1b}]0;a title\u{7}\u{1b}[31m\u{9b}1m\r\u{202e}";

#[track_caller]
fn assert_harmless(text: &str) {
    let obeyed = |c: &char| (c.is_control() && !matches!(c, '\n' | '\t')) || *c == '\u{202e}';
    assert_eq!(text.chars().find(obeyed), None, "{text:?}");
    assert!(text.contains("\\u{1b}[2J"), "{text}");
}

#[test]
fn no_text_of_an_input_is_obeyed_by_a_terminal() {
    let work = Workdir::new();
    let cart_join = program("cart_join");
    // The text of a line, and its key.
    let line = format!("{OBEYED}{{\"user_id\":\n");
    work.write("in", line);
    let args = ["run", "in", "--recover", "state"];
    let ended = work.run(&cart_join, &args).expect(1);
    assert_harmless(&ended.stderr);
    // The name of a file, as an argument, and as a partition that is gone.
    let name = format!("{OBEYED}.json");
    let ended = work.run(&cart_join, &["run", &name, "--recover", "new"]);
    assert_harmless(&ended.expect(2).stderr);
    work.write(&name, "no event\n");
    let ended = work.run(&cart_join, &["run", &name, "--recover", "new"]);
    assert_harmless(&ended.expect(1).stderr);
    let ended = work.run(&cart_join, &["run", "in", "--recover", "new"]);
    assert_harmless(&ended.expect(3).stderr);
    let ended = work.run(&cart_join, &["run", "in", "--no-such-option", OBEYED]);
    assert!(!ended.expect(2).stderr.contains('\u{1b}'));
}

/// A line break in a file name can't start a new line of a message.
#[test]
fn a_notice_that_quotes_a_name_is_one_line() {
    let work = Workdir::new();
    let forged = "in\nflow: all is well";
    work.write(forged, "a\n");
    let run = |input: &str, store: &str| {
        let output = format!("out of\n{store}");
        let args = ["run", input, "--output", &output, "--recover", store];
        work.run(&WORDS, &args)
    };
    run(forged, "state").expect(0);
    std::fs::rename(work.path(forged), work.path("moved\nflow: too")).unwrap();
    let moved = run("moved\nflow: too", "state").expect(0);
    let moved = moved.says(["in\\nflow: all is well", "moved\\nflow: too"]);
    let lines = moved.stderr.lines();
    assert!(
        lines.clone().all(|line| !line.starts_with("flow: all")),
        "{moved}"
    );
    assert!(
        lines.clone().all(|line| !line.starts_with("flow: too")),
        "{moved}"
    );
}

#[test]
fn errors_are_harmless_where_their_text_is_made() {
    let fails = |how: u64| {
        let (out, _) = sink::collect();
        let runner = Runner::new(move |flow| {
            let lines = flow.source(source::from_iter([OBEYED.to_owned()]));
            let lines = lines.try_map(move |line| match how {
                0 => Err(format!("bad: {line}")),
                1 => panic!("bad: {line}"),
                _ => Ok(line),
            });
            let counted = lines.key_on(|line| line.clone());
            let counted = counted.try_stateful_map(|_: &mut u64, line: String| {
                Err::<String, String>(format!("bad: {line}"))
            });
            counted
                .named("count")
                .map(|(_, line)| line)
                .sink(out.clone());
        });
        runner.run().unwrap_err().to_string()
    };
    for how in 0..3 {
        assert_harmless(&fails(how));
    }
}
