//! Standard output that is slow, non-blocking, or gone.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Command,
};

use crate::{SLOW, support::Workdir};

#[test]
fn a_non_blocking_standard_output_gets_each_line_once() {
    let work = Workdir::new();
    let lines: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    work.write("in", &lines);
    let (mut reader, writer) = io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    let non_blocking = rustix::fs::OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&writer, flags | non_blocking).unwrap();
    let mut command = Command::new(&*SLOW);
    command.args(["run", "in", "--padding", "100"]);
    let mut running = work.spawn_with(command, Some(writer.into()), None);
    // A program is not read from before it has filled the pipe.
    let mut first = [0; 1];
    reader.read_exact(&mut first).unwrap();
    let full = |r: &io::PipeReader| rustix::io::ioctl_fionread(r).unwrap() > 60_000;
    running.wait_until("the pipe is full", |_| full(&reader));
    let mut out = String::from_utf8(first.to_vec()).unwrap();
    reader.read_to_string(&mut out).unwrap();
    running.wait().expect(0);
    let read: Vec<&str> = out
        .lines()
        .map(|line| line.split_once(' ').unwrap().0)
        .collect();
    let expected: Vec<&str> = lines.lines().collect();
    assert!(read == expected, "{} lines", read.len());
}

/// `flow run .. | jq`, and Ctrl-C: the reader is gone before the flow has written its results.
#[test]
fn a_stop_whose_reader_is_gone_commits_what_it_had_read_and_no_more() {
    let mut given_up = 0;
    for (signal, status) in [("INT", 130), ("TERM", 0)] {
        for workers in ["1", "3"] {
            let work = Workdir::new();
            let lines: String = (0..60).map(|n| format!("{n}\n")).collect();
            work.write("in", &lines);
            let run = |pause, epoch, stdout| {
                let mut command = Command::new(&*SLOW);
                command.args(["run", "in", "--recover", "state", "--workers", workers]);
                command.args(["--pause", pause, "--epoch", epoch]);
                work.spawn_with(command, stdout, None)
            };
            // A socket, for what it took before the reader left can still be read.
            let (reader, writer) = UnixStream::pair().unwrap();
            let mut reader = BufReader::new(reader);
            let running = run("100", "150ms", Some(OwnedFd::from(writer).into()));
            let mut out = String::new();
            for _ in 0..10 {
                reader.read_line(&mut out).unwrap();
            }
            running.signal(signal);
            reader.get_ref().shutdown(Shutdown::Read).unwrap();
            let ended = running.wait().expect(status).says(["flow: stopped: "]);
            assert!(!ended.stderr.contains("error"), "{ended}");
            reader.read_to_string(&mut out).unwrap();
            let look = flow_store::Look::read(work.path("state")).unwrap();
            let how = &look.last_execution().unwrap().ended.as_ref().unwrap().1;
            if let flow_store::End::Aborted { failure, .. } = how {
                assert_eq!(failure.step.as_deref(), Some("text_lines"), "{failure:?}");
                given_up += 1;
            }
            drop(look);

            let ended = run("0", "1s", None).wait().expect(0);
            out += &ended.stdout;
            let number = |line: &str| line.split_once(' ').unwrap().0.to_owned();
            let read: BTreeSet<String> = out.lines().map(number).collect();
            assert_eq!(read.len(), 60, "every line came out\n{out}");
            let again = ended.stdout.lines().count();
            assert!(again < 60, "what had come out was committed");
        }
    }
    assert!(given_up > 0, "no sink gave up");
}

#[test]
fn a_reader_that_leaves_a_flow_which_nobody_stops_is_an_error() {
    let work = Workdir::new();
    work.write("in", "a\nb\n");
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(&*SLOW);
    command.args(["run", "in", "--recover", "state"]);
    let ended = work.spawn_with(command, Some(writer.into()), None).wait();
    ended.one_error(1, ["standard output can't be written", "Broken pipe"]);
    let ended = work.run(&SLOW, &["run", "in", "--recover", "state"]);
    assert_eq!(ended.expect(0).stdout, "a 1\nb 1\n");
}

/// Rust's runtime opens `/dev/null` in its place before `main`, so the two look the same.
#[test]
fn a_closed_standard_output_is_the_null_device() {
    let work = Workdir::new();
    work.write("in", "a\n");
    for to in [">&-", ">/dev/null"] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" run in {to}")]);
        command.arg(&*SLOW);
        work.spawn(command)
            .wait()
            .expect(0)
            .silent()
            .says(["1 record read"]);
    }
}
