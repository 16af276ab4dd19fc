//! No message that can't be written changes what happens.

use std::{
    fs::File,
    io::{self, PipeReader, Write},
    process::{Command, Stdio},
};

use crate::{
    SLOW,
    support::{Ended, Workdir},
};

/// Who reads standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Gone,
    /// It is there and does not read, and the pipe is full.
    Asleep,
    /// A log on a disk that is full.
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
