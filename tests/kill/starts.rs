//! Kills and signals at certain points in the life of a flow: before its start, before its first
//! epoch, and after uncommitted output.

use std::{path::PathBuf, sync::LazyLock};

use flow_store::{End, Epoch, ExecutionRecord, KEY_GROUPS, Look};
use serde::Deserialize;

use crate::{
    compare::{assert_whole, lines},
    support::{self, Running, Workdir, program},
};

static PACED: LazyLock<PathBuf> = LazyLock::new(|| program("paced"));

/// The settings of the flow, and the directory in which it runs.
struct Paced {
    work: Workdir,
    /// The settings that stay the same: how much there is to read, and how fast.
    input: Vec<&'static str>,
}

impl Paced {
    fn new(input: &[&'static str]) -> Self {
        Paced {
            work: Workdir::new(),
            input: input.to_vec(),
        }
    }

    fn start(&self, options: &[&str]) -> Running {
        let mut args = vec!["run", "--output", "out", "--recover", "state"];
        args.extend(&self.input);
        args.extend(options);
        self.work.start(&PACED, &args)
    }

    fn out(&self) -> Vec<u8> {
        if self.work.path("out").exists() {
            self.work.read("out")
        } else {
            Vec::new()
        }
    }

    /// The last durable epoch, and the last execution.
    fn durable(&self) -> (Epoch, Option<ExecutionRecord>) {
        let last = |look: &Look| (look.epoch(), look.last_execution().cloned());
        support::look(&self.work.path("state"), last)
    }

    /// The length of the output according to the store.
    fn committed(&self) -> usize {
        #[derive(Deserialize)]
        struct Position {
            bytes: usize,
        }
        support::look(&self.work.path("state"), |look| {
            let sink = look.steps().iter().find(|step| step.id == "json_lines");
            let Some(sink) = sink else { return 0 };
            let mut rows = look.rows(sink.number, 0..KEY_GROUPS).unwrap();
            let row = rows.next().unwrap().unwrap();
            assert!(rows.next().is_none());
            flow_store::decode::<Position>(&row.value).unwrap().bytes
        })
    }
}

/// Two partitions of 200 records; 10 keys.
const SMALL: [&str; 6] = ["--partitions", "2", "--records", "200", "--interval", "0"];

fn whole_small() -> Vec<u8> {
    let paced = Paced::new(&SMALL);
    paced.start(&[]).wait().expect(0);
    paced.out()
}

/// Kills it at a certain point of its life.
fn kill_hanging(paced: &Paced, place: &str, workers: &str) {
    let mut running = paced.start(&["--hang", place, "--workers", workers]);
    let hangs = format!("paced: hangs in {place}");
    running.wait_until(&hangs, |running| running.stderr().contains(&hangs));
    assert!(running.kill());
}

#[test]
fn a_kill_before_the_start_is_recorded_changes_nothing() {
    let whole = whole_small();
    for workers in ["1", "3"] {
        let paced = Paced::new(&SMALL);
        for _ in 0..2 {
            kill_hanging(&paced, "open", workers);
            assert!(!paced.work.path("state").exists(), "there is no store yet");
            assert!(!paced.work.path("out").exists());
        }
        stop_at(&paced, "70", workers);
        let (store, out) = (paced.work.snapshot("state"), paced.out());
        for _ in 0..2 {
            kill_hanging(&paced, "open", workers);
            store.assert_same(&paced.work.snapshot("state"));
            assert!(paced.out() == out);
        }
        paced.start(&["--workers", workers]).wait().expect(0);
        assert_whole(&paced.out(), &whole, "killed before the start");
    }
}

#[test]
fn a_kill_between_the_start_and_the_first_epoch_loses_nothing() {
    let whole = whole_small();
    for workers in ["1", "3"] {
        let paced = Paced::new(&SMALL);
        for execution in 1..=3 {
            kill_hanging(&paced, "read", workers);
            let (durable, last) = paced.durable();
            assert_eq!(durable, Epoch::opening(execution));
            assert_eq!(last.unwrap().ended, None);
        }
        assert_eq!(
            paced.committed(),
            0,
            "the start knows where the output begins"
        );
        stop_at(&paced, "70", workers);
        let out = paced.out();
        for execution in 5..=6 {
            kill_hanging(&paced, "read", workers);
            assert_eq!(paced.durable().0, Epoch::opening(execution));
            assert_eq!(paced.committed(), out.len());
            assert!(paced.out() == out);
        }
        let ended = paced.start(&["--workers", workers]).wait().expect(0);
        ended.says(["finished: 260 records read"]);
        assert_whole(&paced.out(), &whole, "killed after the start");
    }
}

/// Runs up to a record of each partition and stops there, with everything committed.
fn stop_at(paced: &Paced, upto: &str, workers: &str) {
    let options = ["--upto", upto, "--workers", workers, "--epoch", "1ms"];
    let mut running = paced.start(&options);
    let written = 2 * upto.parse::<usize>().unwrap();
    running.wait_until("all is written", |_| lines(&paced.out()) == written);
    running.signal("TERM");
    running.wait().expect(0).says(["flow: stopped: "]);
    let (_, last) = paced.durable();
    assert_eq!(last.unwrap().ended.unwrap().1, End::Stopped);
    assert_eq!(
        paced.committed(),
        paced.out().len(),
        "a stop leaves no tail"
    );
}

#[test]
fn the_tail_that_a_kill_leaves_goes_when_the_next_run_starts() {
    let long = [&SMALL[..], &["--padding", "1000"]].concat();
    let whole = {
        let paced = Paced::new(&long);
        paced.start(&[]).wait().expect(0);
        paced.out()
    };
    for workers in ["1", "4"] {
        for committed_before in [false, true] {
            let paced = Paced::new(&long);
            if committed_before {
                stop_at(&paced, "20", workers);
            }
            let committed = paced.out();
            // After two of some 70 records together the epoch stays open, and the records of 1 KB
            // that are left are more than the file's buffer holds.
            let options = ["--upto", "120", "--epoch", "1h", "--workers", workers];
            let mut running = paced.start(&options);
            running.wait_until("it has written a tail", |_| {
                paced.work.len("out") > committed.len() as u64 + 100_000
            });
            assert!(running.kill());
            let (out, kept) = (paced.out(), paced.committed());
            assert!(
                kept >= committed.len() && out.len() > kept,
                "a tail of it is not committed"
            );
            assert!(out.starts_with(&committed));
            let committed = out[..kept].to_vec();

            // The next run reads nothing new: what it leaves is what was committed.
            let upto = if committed_before { "20" } else { "0" };
            let mut running = paced.start(&["--upto", upto, "--workers", workers]);
            running.wait_until("the tail is gone", |_| paced.out() == committed);
            running.signal("TERM");
            running.wait().expect(0).says(["stopped: 0 records read"]);
            assert!(paced.out() == committed);
            paced.start(&["--workers", workers]).wait().expect(0);
            assert_whole(&paced.out(), &whole, "after a tail");
        }
    }
}

#[test]
fn a_second_signal_ends_even_a_flow_that_hangs() {
    let paced = Paced::new(&SMALL);
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let mut running = paced.start(&["--hang", "read"]);
        running.wait_until("it hangs", |running| running.stderr().contains("hangs"));
        support::wait_until("it ends", || {
            running.signal(signal);
            !running.is_running()
        });
        running.wait().expect(status);
    }
    paced.start(&[]).wait().expect(0);
    assert_whole(&paced.out(), &whole_small(), "after a hang");
}
