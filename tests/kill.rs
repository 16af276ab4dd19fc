//! `kill -9`, for real: a flow is killed again and again, and what comes out is what comes out without any kill.
#![cfg(test)]

mod support;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::LazyLock,
    thread,
    time::Duration,
};

use flow_store::{End, Epoch, ExecutionRecord, KEY_GROUPS, Look};
use serde::Deserialize;
use support::{Ended, Running, Workdir, program};

static PACED: LazyLock<PathBuf> = LazyLock::new(|| program("paced"));

/// The settings of the flow, and the directory it runs in.
struct Paced {
    work: Workdir,
    /// Those that stay: how much there is to read, and how fast.
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

    /// The length of the output that the store knows of.
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

/// The lines of each key, in order.
fn by_key(out: &[u8]) -> BTreeMap<String, Vec<&str>> {
    #[derive(Deserialize)]
    struct Line {
        key: String,
    }
    let mut keys: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let out = std::str::from_utf8(out).unwrap();
    assert!(out.is_empty() || out.ends_with('\n'), "cut in a line");
    for line in out.lines() {
        let Line { key } = serde_json::from_str(line).unwrap();
        keys.entry(key).or_default().push(line);
    }
    keys
}

/// Each key has the first ones of its lines, and no other.
#[track_caller]
fn assert_beginning(out: &[u8], whole: &[u8], context: &str) {
    let whole = by_key(whole);
    for (key, lines) in by_key(out) {
        let expected = &whole[&key];
        let wrong = lines.iter().zip(expected).find(|(a, b)| a != b);
        assert_eq!(
            wrong, None,
            "{context}: key {key} has the left line for the right one"
        );
        assert!(
            lines.len() <= expected.len(),
            "{context}: key {key} has too many lines"
        );
    }
}

#[track_caller]
fn assert_whole(out: &[u8], whole: &[u8], context: &str) {
    assert_beginning(out, whole, context);
    let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(count(out), count(whole), "{context}: lines");
}

/// Random numbers, the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// What the kills of a series met.
#[derive(Clone, Copy, Debug, Default)]
struct Kills {
    all: usize,
    /// Those between the first and the last commit of an epoch of their execution.
    amid: usize,
    /// Those that left a tail behind what is committed.
    tails: usize,
}

const EPOCHS: [&str; 6] = ["every-item", "3", "50", "1ms", "20ms", "200ms"];

/// Kills a flow until it comes to the end of its input.
fn series(name: usize, seed: u64, input: &[&'static str], whole: &[u8]) -> Kills {
    let paced = Paced::new(input);
    let mut random = Random(seed);
    let mut kills = Kills::default();
    let mut before = Epoch::default();
    let ended: Ended = loop {
        let (workers, epochs) = (1 + random.below(4), random.one_of(&EPOCHS));
        let context = format!("series {name}, kill {}, -w {workers} {epochs}", kills.all);
        let there = paced.work.len("out");
        let mut running = paced.start(&["--workers", &workers.to_string(), "--epoch", epochs]);
        // Mostly when it has written more than its predecessor, so that a slow start is not all that is killed.
        if random.below(16) > 0 {
            support::wait_until("it writes or ends", || {
                !running.is_running() || paced.work.len("out") > there
            });
            thread::sleep(Duration::from_micros(random.below(250_000)));
        } else {
            thread::sleep(Duration::from_micros(random.below(100_000)));
        }
        if !running.kill() {
            break running.wait();
        }
        kills.all += 1;

        // I1, I2, I6: the store is at an epoch of this execution, or as it was.
        let (durable, last) = paced.durable();
        assert!(
            durable >= before,
            "{context}: from {before} back to {durable}"
        );
        if let Some(last) = last.filter(|last| last.number > before.execution()) {
            assert_eq!(durable.execution(), last.number, "{context}");
            match last.ended {
                None => kills.amid += usize::from(durable.number() > 0),
                Some((_, ended)) => assert_eq!(ended, End::Finished, "{context}"),
            }
        }
        before = durable;
        // The output is never behind the store, and up to there it is right.
        let (out, committed) = (paced.out(), paced.committed());
        assert!(committed <= out.len(), "{context}: output is lost");
        assert_beginning(&out[..committed], whole, &context);
        kills.tails += usize::from(committed < out.len());
    };
    ended.expect(0).says(["flow: finished: "]);
    let out = paced.out();
    assert_whole(&out, whole, &format!("series {name}"));

    let workers = (1 + random.below(4)).to_string();
    let again = paced.start(&["--workers", &workers]).wait().expect(0);
    again.says(["flow: finished: 0 records read"]);
    assert!(
        paced.out() == out,
        "series {name}: nothing is given out again"
    );
    kills
}

#[test]
fn no_kill_shows_in_what_comes_out() {
    // 6 × 600 records, which take 3.6 seconds.
    const INPUT: [&str; 6] = [
        "--partitions",
        "6",
        "--records",
        "600",
        "--interval",
        "6000",
    ];
    const SERIES: u64 = 4;
    let seed = std::env::var("FLOW_KILL_SEED").ok();
    let seed = seed.map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("FLOW_KILL_SEED={seed}");
    let uninterrupted = Paced::new(&INPUT);
    let ended = uninterrupted.start(&[]).wait().expect(0);
    ended.says(["finished: 3600 records read"]);
    let whole = uninterrupted.out();
    assert_eq!(by_key(&whole).len(), 30);

    let kills: Vec<Kills> = thread::scope(|scope| {
        let series = |name| {
            let whole = &whole;
            let seed = seed.wrapping_add(name << 32);
            scope.spawn(move || series(name as usize, seed, &INPUT, whole))
        };
        let series: Vec<_> = (0..SERIES).map(series).collect();
        let done = series.into_iter().map(|series| series.join());
        done.map(|kills| kills.expect("see above; FLOW_KILL_SEED is there too"))
            .collect()
    });
    let all: usize = kills.iter().map(|kills| kills.all).sum();
    let amid: usize = kills.iter().map(|kills| kills.amid).sum();
    let tails: usize = kills.iter().map(|kills| kills.tails).sum();
    println!("{all} kills, {amid} of them between two commits, {tails} left a tail");
    assert!(all >= 50, "only {all} kills");
    assert!(
        amid * 5 >= all * 4,
        "only {amid} of {all} kills met a flow at work"
    );
}

/// Two partitions of 200 records; 10 keys.
const SMALL: [&str; 6] = ["--partitions", "2", "--records", "200", "--interval", "0"];

fn whole_small() -> Vec<u8> {
    let paced = Paced::new(&SMALL);
    paced.start(&[]).wait().expect(0);
    paced.out()
}

/// Kills it at a certain place in its life.
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

/// Runs up to a record of each partition and stops there, all of it committed.
fn stop_at(paced: &Paced, upto: &str, workers: &str) {
    let options = ["--upto", upto, "--workers", workers, "--epoch", "1ms"];
    let mut running = paced.start(&options);
    let lines = 2 * upto.parse::<usize>().unwrap();
    running.wait_until("all is written", |_| {
        paced.out().iter().filter(|byte| **byte == b'\n').count() == lines
    });
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
        let paced = Paced::new(&long);
        for committed_before in [false, true] {
            if committed_before {
                stop_at(&paced, "20", workers);
            }
            let committed = paced.out();
            // The epoch stays open, and 200 records of 1 KB are more than the file's buffer holds.
            let options = ["--upto", "120", "--epoch", "1h", "--workers", workers];
            let mut running = paced.start(&options);
            running.wait_until("it has written a tail", |_| {
                paced.work.len("out") > committed.len() as u64 + 50_000
            });
            assert!(running.kill());
            assert_eq!(
                paced.committed(),
                committed.len(),
                "nothing of it is committed"
            );
            assert!(paced.out().starts_with(&committed) && paced.out().len() > committed.len());

            // The next run reads nothing new: what it leaves is what was committed.
            let upto = if committed_before { "20" } else { "0" };
            let mut running = paced.start(&["--upto", upto, "--workers", workers]);
            running.wait_until("the tail is gone", |_| paced.out() == committed);
            running.signal("TERM");
            running.wait().expect(0).says(["stopped: 0 records read"]);
            assert!(paced.out() == committed);
        }
        paced.start(&["--workers", workers]).wait().expect(0);
        assert_whole(&paced.out(), &whole, "after a tail");
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
