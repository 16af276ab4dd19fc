//! Standard output that is slow, non-blocking, or gone.

use std::{
    io::{self, Read},
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
