//! Kills at named places. The content of the store shows each place.

use std::{collections::BTreeSet, thread};

use flow_store::{End, FailPoint};

use crate::{
    flows::{FLOWS, Flow, Job, Stored},
    random::{self, Random},
    support::Workdir,
};

/// Points that a run passes again and again.
const OFTEN: [&str; 7] = [
    "sinks-started",
    "sink-flushed",
    "sink-synced",
    "folded",
    "before-commit",
    "after-commit",
    "acknowledged",
];

/// A series of kills of one flow, each at a fail point.
struct Series<'a> {
    job: Job<'a>,
    random: Random,
    stored: Stored,
    reached: BTreeSet<&'static str>,
}

impl Series<'_> {
    /// Kills the flow when it passes a point for the `passing`th time. Returns what the store knew
    /// before and knows now.
    fn kill(&mut self, point: &'static str, passing: u64, interval: &str) -> Stored {
        let epochs = self.random.one_of(&["every-record", "3", "1ms", "20ms"]);
        let workers = match point {
            // Each worker passes it once.
            "sinks-started" => passing + self.random.below(3),
            _ => 1 + self.random.below(4),
        };
        let flow = self.job.flow.name;
        let context = format!("{flow}, {point}:{passing}, -w {workers} {epochs}");
        let workers = workers.to_string();
        let options = ["--workers", &workers, "--epoch", epochs, "--retain", "7"];
        let fatal = format!("{point}:{passing}");
        let running = self.job.start_fatally(interval, &options, &fatal);
        let ended = running.wait();
        assert_eq!(ended.signal, Some(9), "{context}: {ended}");
        let ended = ended.says([format!("fail point {point}\n")]);
        assert!(!ended.stderr.contains("finished"), "{context}: {ended}");
        self.reached.insert(point);

        let (stored, _) = self.job.check(&self.stored, &context);
        let before = std::mem::replace(&mut self.stored, stored);
        let stored = &self.stored;
        let started = stored.executions() > before.executions();
        let number = stored.epoch.number();
        match point {
            "looked" | "restored" | "before-start-commit" => {
                assert!(!started, "{context}: it has not started");
            }
            // A new store has its start in it before it has its name.
            "after-start-commit" | "store-made" if before.is_new => {
                assert!(stored.is_new, "{context}: it has no name yet");
            }
            "after-start-commit" | "store-named" | "output-made" | "sinks-started" => {
                assert!(started, "{context}: the start is committed");
                assert_eq!(number, 0, "{context}: and nothing else");
            }
            "sink-flushed" | "sink-synced" | "before-commit" if passing == 1 => {
                assert_eq!(number, 0, "{context}: no epoch is committed");
            }
            "after-commit" | "acknowledged" => {
                assert!(number >= passing, "{context}: {number} epochs are durable");
            }
            "before-end" => assert_eq!(stored.last.as_ref().unwrap().ended, None, "{context}"),
            "after-end" | "closed" => {
                let (_, ended) = stored.last.clone().unwrap().ended.unwrap();
                assert_eq!(ended, End::Finished, "{context}");
            }
            _ => {}
        }
        before
    }
}

/// Kills a flow at each point, until nothing is left to read.
fn through_all_points(flow: &Flow, random: Random) {
    const SLOWLY: &str = "6000";
    let job = Job::new(flow);
    let mut series = Series {
        stored: job.stored(),
        job,
        random,
        reached: BTreeSet::new(),
    };
    // A store that is being made.
    for point in [
        "looked",
        "restored",
        "before-start-commit",
        "after-start-commit",
        "store-made",
        "store-named",
        "output-made",
        "sinks-started",
    ] {
        series.kill(point, 1, SLOWLY);
    }
    // One that is gone on from.
    for _ in 0..2 {
        let mut points = vec![
            "looked",
            "restored",
            "before-start-commit",
            "after-start-commit",
        ];
        points.extend(OFTEN);
        series.random.shuffle(&mut points);
        for point in points {
            let passing = match point {
                point if OFTEN.contains(&point) => 1 + series.random.below(4),
                _ => 1,
            };
            series.kill(point, passing, SLOWLY);
        }
    }
    // One that comes to its end: the first of them reads the rest.
    for point in ["before-end", "after-end", "closed"] {
        series.kill(point, 1, "0");
    }
    let all = FailPoint::ALL.iter().map(|(_, name)| *name);
    assert_eq!(series.reached, all.collect(), "{}: the points", flow.name);
    let ended = series.job.start(&[]).wait();
    let ended = ended.says(["finished: 0 records read"]);
    let name = format!("{}, all fail points", flow.name);
    series.job.check_end(ended, &name);
}

#[test]
fn no_kill_at_a_fail_point_shows_in_what_comes_out() {
    let seed = random::seed();
    thread::scope(|scope| {
        for (lane, flow) in FLOWS.iter().enumerate() {
            let random = Random::new(seed, 100 + lane);
            scope.spawn(move || through_all_points(flow, random));
        }
    });
}

#[test]
fn a_misspelled_fail_point_is_an_error() {
    let work: Job<'_> = Job::new(&FLOWS[3]);
    let nothing = |work: &Workdir| !work.path("state").exists() && !work.path("out").exists();
    for fail_point in ["after-comit", "after-commit:0", "after-commit:", ""] {
        let ended = work.start_fatally("0", &[], fail_point).wait().expect(2);
        ended.says(["error: FLOW_FAIL_POINT: "]);
        assert!(nothing(&work.work), "{fail_point}");
    }
}
