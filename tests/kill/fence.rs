//! Two runs on one store, past all locks: the earlier one, which was suspended, does no harm when
//! it continues.
#![cfg(target_os = "linux")]

use std::{path::Path, process::Command, thread};

use crate::{
    flows::{FLOWS, Flow, Job},
    holder::{PART, wait_until_stopped},
    support::{self, Workdir},
};

/// Makes a program find every lock free.
fn without_locks(directory: &Path) -> impl Fn(&mut Command) {
    let library = directory.join("no_locks.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kill/no_locks.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status();
    assert!(compiled.unwrap().success(), "a C compiler is needed");
    move |command| {
        command.env("LD_PRELOAD", &library);
    }
}

/// A run is suspended, another one replaces it, and the first one continues: while the other runs,
/// or after it.
fn replace(flow: &Flow, workers: &str, is_over: bool, without_locks: impl Fn(&mut Command)) {
    let context = format!("{}, the other is over: {is_over}", flow.name);
    // Where a commit takes no time, none is under way when the run stops.
    let job = Job::in_directory(flow, Workdir::in_memory());
    let start = |workers: &str, fail_point: Option<&str>| {
        let mut command = job.command("3000", &["--workers", workers, "--epoch", "150ms"]);
        without_locks(&mut command);
        if let Some(fail_point) = fail_point {
            command.env("FLOW_FAIL_POINT", fail_point);
        }
        job.work.spawn(command)
    };
    // Not at any moment: between a look at the file and the write behind it no fence can stand.
    let mut first = start(workers, Some("sink-flushed:6:stop"));
    first.wait_until("it comes there", |first| {
        first.stderr().contains("fail point sink-flushed")
    });
    wait_until_stopped(&first);
    let before = job.stored();
    let mut second = start("2", None);
    let there = job.written();
    support::wait_until("the second is further", || {
        !second.is_running() || (!is_over && job.written() > there + 2000)
    });
    let part = job.work.read(PART);
    first.signal("CONT");
    let replaced = first.wait().expect(1);
    let told = ["was changed by someone else", "another process has written"];
    assert!(
        told.iter().any(|text| replaced.stderr.contains(text)),
        "{context}: {replaced}"
    );
    if is_over {
        assert!(part == job.work.read(PART), "{context}: the store");
    }
    let ended = second.wait();
    job.check(&before, &context);
    job.check_end(ended, &context);
}

#[test]
fn a_run_that_was_replaced_touches_neither_store_nor_output() {
    let directory = tempfile::tempdir().unwrap();
    let without_locks = &without_locks(directory.path());
    thread::scope(|scope| {
        for (flow, workers) in FLOWS.iter().zip(["1", "3", "2", "4", "2", "3"]) {
            for is_over in [false, true] {
                scope.spawn(move || replace(flow, workers, is_over, without_locks));
            }
        }
    });
}
