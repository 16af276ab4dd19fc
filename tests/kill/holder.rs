//! A second run on the store of a run that is suspended (`kill -STOP`) and continues later.

use std::fs;

use crate::{
    compare::lines,
    flows::{FLOWS, Job},
    random::{self, Random},
    support::{self, Running, Snapshot, Workdir, program},
};

pub(crate) const PART: &str = "state/part-00000-of-00001.redb";

/// Suspends a run at an arbitrary point.
fn stop(running: &Running) {
    running.signal("STOP");
    wait_until_stopped(running);
}

/// Waits until no thread of it runs.
pub(crate) fn wait_until_stopped(running: &Running) {
    support::wait_until("it is stopped", || {
        // Where there is nothing to read, the signal has to do.
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", running.pid())) else {
            return true;
        };
        let stats = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")));
        stats.flatten().all(|stat| stat.contains(") T "))
    });
}

/// Store and outputs, to the byte.
fn bytes(job: &Job<'_>) -> (Snapshot, Option<Vec<u8>>, Vec<Vec<u8>>) {
    let lock = job.work.path("state/lock");
    (
        job.work.snapshot("state"),
        fs::read(lock).ok(),
        job.outputs().into_values().collect(),
    )
}

/// Waits until it has written more than it had.
fn wait_for_more(job: &Job<'_>, running: &mut Running) {
    let there = job.written();
    running.wait_until("it writes", |_| job.written() > there);
}

#[test]
fn a_second_run_is_refused_while_the_holder_is_stopped() {
    let mut random = Random::new(random::seed(), 200);
    for (flow, workers) in FLOWS.iter().zip(["1", "3", "2", "4", "2", "3"]) {
        let job = Job::new(flow);
        let before = job.stored();
        let mut first = job.start(&["--workers", workers, "--epoch", "20ms"]);
        for _ in 0..3 {
            wait_for_more(&job, &mut first);
            stop(&first);
            let (store, lock, outputs) = bytes(&job);
            let pid = first.pid();
            let others = (1 + random.below(4)).to_string();
            let second = job.start(&["--workers", &others]).wait();
            second
                .one_error(3, [format!("in use by process {pid} on ")])
                .silent();
            // With another store, it is the outputs that are taken.
            let third = job.start(&["--recover", "other", "--workers", &others]);
            let third = third
                .wait()
                .one_error(2, ["is being written by another run"]);
            third.silent();
            assert!(!job.work.path("other").exists());
            let now = bytes(&job);
            store.assert_same(&now.0);
            assert_eq!(lock, now.1, "the lock file");
            assert!(outputs == now.2, "the outputs");
            first.signal("CONT");
        }
        let ended = first.wait();
        let (stored, tail) = job.check(&before, flow.name);
        assert_eq!(stored.executions(), 1, "nobody else has started");
        assert!(!tail);
        job.check_end(ended, flow.name);
    }
}

/// Removes the lock file, or replaces it.
fn lose_lock(work: &Workdir, replace: bool) {
    let text = work.text("state/lock");
    fs::remove_file(work.path("state/lock")).unwrap();
    if replace {
        work.write("state/lock", text);
    }
}

/// If the lock file does not keep two runs apart, the lock on an output does.
#[test]
fn a_second_run_without_the_lock_file_finds_the_output_taken() {
    let flow = &FLOWS[1];
    let job = Job::new(flow);
    let before = job.stored();
    let mut first = job.start(&["--workers", "2", "--epoch", "20ms"]);
    for replace in [false, true] {
        wait_for_more(&job, &mut first);
        stop(&first);
        lose_lock(&job.work, replace);
        let part = job.work.read(PART);
        let (_, _, outputs) = bytes(&job);
        for _ in 0..2 {
            let second = job.start(&[]).wait();
            let second = second.one_error(3, ["out is being written by another run"]);
            second.silent();
            assert!(part == job.work.read(PART), "the store");
            assert!(outputs == bytes(&job).2, "the outputs");
        }
        first.signal("CONT");
    }
    let ended = first.wait();
    let (stored, _) = job.check(&before, flow.name);
    assert_eq!(stored.executions(), 1, "nobody else has started");
    job.check_end(ended, flow.name);
}

/// Without a lock on an output, redb's own lock on its file does.
#[test]
fn a_second_run_without_the_lock_file_finds_the_store_taken() {
    const RUN: [&str; 9] = [
        "run",
        "--recover",
        "state",
        "--records",
        "300",
        "--interval",
        "5000",
        "--epoch",
        "20ms",
    ];
    let (work, paced) = (Workdir::new(), program("paced"));
    let mut first = work.start(&paced, &RUN);
    for replace in [false, true] {
        let there = first.stdout().len();
        first.wait_until("it writes", |first| first.stdout().len() > there);
        stop(&first);
        lose_lock(&work, replace);
        let part = work.read(PART);
        for _ in 0..2 {
            let second = work.start(&paced, &RUN).wait();
            let second = second.one_error(3, ["is in use by an unknown process"]);
            second.silent();
            assert!(part == work.read(PART), "the store");
        }
        first.signal("CONT");
    }
    let ended = first.wait().expect(0);
    let ended = ended.says(["finished: 1800 records read, durable up to epoch 1."]);
    assert_eq!(lines(ended.stdout.as_bytes()), 1800);
    let again = work.start(&paced, &RUN).wait().expect(0);
    again.says(["finished: 0 records read"]).silent();
}
