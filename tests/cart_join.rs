//! The story that this project grew from, with its program: a bad line, the fix, one more run, more
//! input.
#![cfg(test)]

mod support;

use std::{path::PathBuf, sync::LazyLock};

use flow_store::Look;
use serde_json::Value;
use support::{Ended, Workdir, program};

const EPOCHS: [&str; 6] = ["every-record", "3", "200", "1ms", "1s", "1h"];
const WORKERS: [&str; 3] = ["1", "2", "4"];

const BEFORE: [&str; 5] = [
    r#"{"user_id":"a","paid_order_ids":[],"unpaid_order_ids":[1]}"#,
    r#"{"user_id":"a","paid_order_ids":[],"unpaid_order_ids":[1,2]}"#,
    r#"{"user_id":"b","paid_order_ids":[],"unpaid_order_ids":[3]}"#,
    r#"{"user_id":"a","paid_order_ids":[2],"unpaid_order_ids":[1]}"#,
    r#"{"user_id":"b","paid_order_ids":[],"unpaid_order_ids":[3,4]}"#,
];
const BEHIND: [&str; 2] = [
    r#"{"user_id":"a","paid_order_ids":[2,1],"unpaid_order_ids":[]}"#,
    r#"{"user_id":"b","paid_order_ids":[4],"unpaid_order_ids":[3]}"#,
];
const APPENDED: &str = r#"{"user_id": "c", "type": "order", "order_id": 5}
{"user_id": "b", "type": "payment", "order_id": 3}
"#;
const OF_APPENDED: [&str; 2] = [
    r#"{"user_id":"c","paid_order_ids":[],"unpaid_order_ids":[5]}"#,
    r#"{"user_id":"b","paid_order_ids":[4,3],"unpaid_order_ids":[]}"#,
];

static CART_JOIN: LazyLock<PathBuf> = LazyLock::new(|| program("cart_join"));

fn sample() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/cart-join.json");
    std::fs::read(path).unwrap()
}

fn parse<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> Vec<Value> {
    let parse = |line: S| serde_json::from_str(line.as_ref()).unwrap();
    lines.into_iter().map(parse).collect()
}

/// The results are the expected ones, in order with one worker, otherwise in the order of each
/// user.
#[track_caller]
fn assert_results(results: &str, expected: &[&str], workers: &str) {
    let (mut results, mut expected) = (parse(results.lines()), parse(expected));
    if workers != "1" {
        for values in [&mut results, &mut expected] {
            values.sort_by_key(|value| value["user_id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(results, expected);
}

/// Where the results go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Stdout,
    File,
}

struct Story {
    work: Workdir,
    to: To,
    /// All results so far.
    so_far: Vec<&'static str>,
}

impl Story {
    fn new(to: To) -> Self {
        let work = Workdir::new();
        work.write("cart-join.json", sample());
        Story {
            work,
            to,
            so_far: Vec::new(),
        }
    }

    fn run(&self, epochs: &str, workers: &str, skip_invalid: bool) -> Ended {
        let mut args = vec!["run", "cart-join.json", "--recover", "state"];
        args.extend(["--epoch", epochs, "--workers", workers]);
        if skip_invalid {
            args.push("--skip-invalid");
        }
        if self.to == To::File {
            args.extend(["--output", "carts.json"]);
        }
        self.work.run(&CART_JOIN, &args)
    }

    /// Exactly these results are new.
    #[track_caller]
    fn assert_new(&mut self, ended: &Ended, new: &[&'static str], workers: &str) {
        self.so_far.extend(new);
        if self.to == To::Stdout {
            assert_results(&ended.stdout, new, workers);
        } else {
            assert_eq!(ended.stdout, "");
            assert_results(&self.work.text("carts.json"), &self.so_far, workers);
        }
    }

    fn durable(&self) -> String {
        let epoch = |look: &Look| look.epoch().to_string();
        support::look(&self.work.path("state"), epoch)
    }
}

/// All of the story, each run with the settings that `settings` gives for it.
fn tell<'a>(to: To, mut settings: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut story = Story::new(to);
    let mut setting = || settings.next().unwrap();
    let said = [
        "step `parse`",
        "cart-join.json",
        "line 6",
        "FAIL HERE",
        "expected value",
    ];

    let (epochs, workers) = setting();
    let ended = story.run(epochs, workers, false).expect(1).says(said);
    let safe = format!(
        "Everything before it is safe, up to epoch {}",
        story.durable()
    );
    let ended = ended.says([safe.as_str(), "the next run starts at it"]);
    story.assert_new(&ended, &BEFORE, workers);

    for _ in 0..2 {
        let (epochs, workers) = setting();
        let ended = story.run(epochs, workers, false).expect(1).says(said);
        let ended = ended.says(["Everything before it is safe, up to epoch "]);
        story.assert_new(&ended, &[], workers);
    }

    let (epochs, workers) = setting();
    let ended = story.run(epochs, workers, true).expect(0);
    let ended = ended.says(["3 records read, 1 skipped in `parse`"]);
    story.assert_new(&ended, &BEHIND, workers);

    for _ in 0..2 {
        let (epochs, workers) = setting();
        let ended = story.run(epochs, workers, true).expect(0);
        let ended = ended.says(["0 records read"]);
        story.assert_new(&ended, &[], workers);
    }

    story.work.append("cart-join.json", APPENDED);
    let (epochs, workers) = setting();
    let ended = story.run(epochs, workers, true).expect(0);
    story.assert_new(&ended.says(["2 records read"]), &OF_APPENDED, workers);

    let (epochs, workers) = setting();
    let ended = story.run(epochs, workers, true).expect(0);
    story.assert_new(&ended, &[], workers);
}

fn tell_with_every_setting(to: To, workers: &str) {
    for epochs in EPOCHS {
        tell(to, std::iter::repeat((epochs, workers)));
    }
}

#[test]
fn the_story_on_standard_output_with_1_worker() {
    tell_with_every_setting(To::Stdout, WORKERS[0]);
}

#[test]
fn the_story_on_standard_output_with_2_workers() {
    tell_with_every_setting(To::Stdout, WORKERS[1]);
}

#[test]
fn the_story_on_standard_output_with_4_workers() {
    tell_with_every_setting(To::Stdout, WORKERS[2]);
}

#[test]
fn the_story_in_a_file_with_1_worker() {
    tell_with_every_setting(To::File, WORKERS[0]);
}

#[test]
fn the_story_in_a_file_with_2_workers() {
    tell_with_every_setting(To::File, WORKERS[1]);
}

#[test]
fn the_story_in_a_file_with_4_workers() {
    tell_with_every_setting(To::File, WORKERS[2]);
}

/// Each run has other epochs and another number of workers than the one before.
#[test]
fn the_story_with_settings_that_change_from_run_to_run() {
    for first in 0..EPOCHS.len() {
        for to in [To::Stdout, To::File] {
            let epochs = EPOCHS.iter().cycle().skip(first);
            // Several workers only: an order that one worker gives is not asked of the runs before
            // it.
            let workers = ["2", "4", "3"].iter().cycle().skip(first);
            tell(
                to,
                epochs
                    .zip(workers)
                    .map(|(epochs, workers)| (*epochs, *workers)),
            );
        }
    }
}

#[test]
fn without_a_store_each_run_is_the_first() {
    let work = Workdir::new();
    work.write("cart-join.json", sample());
    for _ in 0..2 {
        let ended = work.run(&CART_JOIN, &["run", "cart-join.json", "--epoch", "1h"]);
        let ended = ended
            .expect(1)
            .says(["line 6", "FAIL HERE", "Nothing is kept"]);
        assert_results(&ended.stdout, &BEFORE, "1");
    }
    let ended = work.run(&CART_JOIN, &["run", "cart-join.json", "--skip-invalid"]);
    assert_results(
        &ended.expect(0).stdout,
        &[&BEFORE[..], &BEHIND].concat(),
        "1",
    );
}

#[test]
fn the_graph_shows_what_the_store_will_know_the_steps_by() {
    let work = Workdir::new();
    let ended = work.run(&CART_JOIN, &["graph", "not-there.json"]).expect(0);
    for id in ["lines", "parse", "user_id", "joiner", "json_lines"] {
        let has = |line: &str| line.split_whitespace().any(|word| word == id);
        assert!(ended.stdout.lines().any(has), "{id}\n{ended}");
    }
    assert!(ended.stdout.contains("examples/cart_join.rs:"), "{ended}");
    assert_eq!(ended.stderr, "");
}

#[test]
fn without_arguments_the_example_tells_the_story() {
    let work = Workdir::new();
    let ended = work.run::<&str>(&CART_JOIN, &[]).expect(0);
    let is_result = |line: &&str| line.starts_with('{');
    let results: Vec<_> = ended.stdout.lines().filter(is_result).collect();
    let expected = [&BEFORE[..], &BEHIND].concat();
    assert_results(&results.join("\n"), &expected, "1");
    ended.says(["line 6", "FAIL HERE"]);
    assert!(
        work.snapshot("") == Workdir::new().snapshot(""),
        "it leaves nothing behind"
    );
}

/// Stops a flow in the middle of its input by a signal, and resumes it.
fn stopped_by(signal: &str, status: i32, workers: &str, epochs: &str) {
    let paced = program("paced");
    let work = Workdir::new();
    let run = |interval: &str| {
        let mut args = vec!["run", "--records", "300", "--interval", interval];
        args.extend(["--output", "out", "--recover", "state", "--epoch", epochs]);
        // With lines as long as these the file grows before the first epoch ends.
        args.extend(["--workers", workers, "--padding", "4000"]);
        work.start(&paced, &args)
    };
    let records = |ended: &Ended| -> usize {
        let (_, rest) = ended.stderr.split_once("ed: ").unwrap();
        rest.split_once(' ').unwrap().0.parse().unwrap()
    };
    let mut running = run("5000");
    running.wait_until("it is at work", |_| work.len("out") > 0);
    running.signal(signal);
    let ended = running.wait().expect(status).says(["flow: stopped: "]);
    let first = records(&ended);
    assert!(first > 0 && first < 1800, "{ended}");
    assert_eq!(
        work.text("out").lines().count(),
        first,
        "all that was read is there"
    );
    support::look(&work.path("state"), |look| {
        let durable = format!("durable up to epoch {}", look.epoch());
        assert!(ended.stderr.contains(&durable), "{ended}");
        let last = look.last_execution().unwrap().ended.as_ref().unwrap();
        assert_eq!(last.1, flow_store::End::Stopped);
    });

    let ended = run("0").wait().expect(0).says(["flow: finished: "]);
    assert_eq!(
        records(&ended),
        1800 - first,
        "it reads on where it was stopped"
    );
    let out = work.text("out");
    let values = parse(out.lines());
    assert_eq!(values.len(), 1800);
    let last_of_keys = values.iter().filter(|value| value["count"] == 60);
    assert_eq!(
        last_of_keys.count(),
        30,
        "each of the 30 keys has counted to 60"
    );
}

#[test]
fn a_first_sigterm_commits_what_was_read_and_is_no_failure() {
    stopped_by("TERM", 0, "1", "every-record");
    stopped_by("TERM", 0, "2", "20ms");
    stopped_by("TERM", 0, "4", "1h");
}

#[test]
fn a_first_ctrl_c_commits_what_was_read_and_says_130() {
    stopped_by("INT", 130, "1", "20ms");
    stopped_by("INT", 130, "3", "1h");
}

#[test]
fn usage_errors_are_status_2_and_start_nothing() {
    let work = Workdir::new();
    work.write("cart-join.json", sample());
    let cases: [&[&str]; 8] = [
        &["run"],
        &["fly", "cart-join.json"],
        &["run", "cart-join.json", "--no-such-option"],
        &[
            "run",
            "cart-join.json",
            "--recover",
            "state",
            "--epoch",
            "0",
        ],
        &[
            "run",
            "cart-join.json",
            "--recover",
            "state",
            "--epoch",
            "often",
        ],
        &[
            "run",
            "cart-join.json",
            "--recover",
            "state",
            "--workers",
            "0",
        ],
        &[
            "run",
            "cart-join.json",
            "--recover",
            "state",
            "--workers",
            "some",
        ],
        &["run", "cart-join.json", "--drop-state", "joiner"],
    ];
    for args in cases {
        work.run(&CART_JOIN, args).silent().one_error(2, [""; 0]);
        assert!(!work.path("state").exists(), "{args:?}");
    }
}
