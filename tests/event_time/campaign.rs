//! Random inputs, flows, worker numbers, failures, kills and restarts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use flow::{EventTime, NoKey, Windows, prelude::*};
use tempfile::TempDir;

use crate::{
    Event, at,
    reference::{Reference, Results, spread},
    second,
};

/// xorshift
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    Plain,
    Fallible,
    MergedBefore,
    MergedBehind,
    BehindShuffle,
    Chained,
    Many,
    /// Several of one record before their times are known, and the last may fail behind that.
    Spread,
    /// Half of them go through another step, and meet the others again.
    Across,
}

const SHAPES: [Shape; 9] = [
    Shape::Plain,
    Shape::Fallible,
    Shape::MergedBefore,
    Shape::MergedBehind,
    Shape::BehindShuffle,
    Shape::Chained,
    Shape::Many,
    Shape::Spread,
    Shape::Across,
];

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) shape: Shape,
    pub(crate) wait: i64,
    pub(crate) len: i64,
    parts: Vec<Vec<Event>>,
}

fn case(random: &mut Random, shape: Shape) -> Case {
    let mut id = 0;
    let mut part = |random: &mut Random| {
        let count = random.of(&[0, 1, 5, 30, 60]);
        let (pace, jitter) = (random.of(&[0, 1, 4]), random.of(&[1, 10, 60]));
        let begin = random.below(100);
        let each = (0..count).map(|n| {
            id += 1;
            let at = (begin + n * pace + random.below(jitter)) as i64;
            let at = at + if random.below(12) == 0 { 40 } else { 0 } - 50;
            Event {
                id,
                key: random.below(4),
                at,
            }
        });
        each.collect()
    };
    let parts = random.of(&[1, 2, 3, 5]);
    let merged = matches!(shape, Shape::MergedBefore | Shape::MergedBehind);
    let parts = if merged { parts.max(2) } else { parts };
    let parts = (0..parts).map(|_| part(random)).collect();
    Case {
        shape,
        wait: random.of(&[0, 5, 30]),
        len: random.of(&[10, 25, 60]),
        parts,
    }
}

/// Counts down, and something happens at 0.
#[derive(Clone)]
struct Countdown(Arc<AtomicI64>);

impl Countdown {
    fn new(n: i64) -> Self {
        Countdown(Arc::new(AtomicI64::new(n)))
    }
    fn is_now(&self) -> bool {
        self.0.fetch_sub(1, SeqCst) == 0
    }
}

struct World {
    directory: TempDir,
    case: Case,
    files: usize,
}

impl World {
    fn new(case: &Case) -> Self {
        World {
            directory: tempfile::tempdir_in("/dev/shm").unwrap(),
            case: case.clone(),
            files: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&mut self, parts: &[Vec<Event>]) {
        self.files = self.files.max(parts.len());
        for (n, events) in parts.iter().enumerate() {
            let mut file = fs::File::options()
                .append(true)
                .create(true)
                .open(self.path(&format!("in{n}")))
                .unwrap();
            for event in events {
                writeln!(file, "{}", serde_json::to_string(event).unwrap()).unwrap();
            }
        }
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn results(&self) -> Results {
        (self.lines("windows"), self.lines("late"))
    }

    fn runner(&self, before: Countdown, fails: Countdown, behind: Countdown) -> Runner {
        let case = self.case.clone();
        let paths: Vec<_> = (0..self.files)
            .map(|n| self.path(&format!("in{n}")))
            .collect();
        let (windows, late) = (self.path("windows"), self.path("late"));
        let one_by_one = case.parts.len().is_multiple_of(2);
        Runner::new(move |flow| {
            let (len, wait) = (case.len as u64, Duration::from_secs(case.wait as u64));
            let (before, fails, behind) = (before.clone(), fails.clone(), behind.clone());
            let look = move |event: Event| {
                assert!(!before.is_now(), "on purpose");
                event
            };
            let good = move |event: Event| match fails.is_now() {
                true => Err("on purpose"),
                false => Ok(event),
            };
            let source = |paths: &[PathBuf], name: &str| {
                let mut source = JsonLines::open_all::<Event>(paths);
                if one_by_one {
                    source = source.on_one_worker();
                }
                flow.source(source).named(name)
            };
            let (some, others) = paths.split_at(1);
            let events: Stream<Event, NoKey, EventTime> = match case.shape {
                Shape::MergedBefore => {
                    let (a, b) = (source(some, "a"), source(others, "b"));
                    a.map(look.clone()).merge(b.map(look)).event_time(at, wait)
                }
                Shape::MergedBehind => {
                    let (a, b) = (source(some, "a"), source(others, "b"));
                    let (a, b) = (a.try_map(good.clone()), b.map(look));
                    {
                        let a = a.event_time(at, wait).named("a-time");
                        a.merge(b.event_time(at, wait).named("b-time"))
                    }
                }
                Shape::Fallible => {
                    let events = source(&paths, "a").map(look);
                    events.event_time(at, wait).try_map(good)
                }
                Shape::Spread => {
                    let events = source(&paths, "a").map(look);
                    let several = events.flat_map(|event| spread(Shape::Spread, &event));
                    several.event_time(at, wait).try_map(good)
                }
                _ => source(&paths, "a").map(look).event_time(at, wait),
            };
            let keyed = match case.shape {
                Shape::BehindShuffle => {
                    let by_id = events.key_on(|event| event.id % 5);
                    let seen = |seen: &mut u64, event: Event| {
                        *seen += 1;
                        event
                    };
                    let again = by_id.stateful_map(seen).named("seen");
                    again.map(|(_, event)| event).key_on(|event| event.key)
                }
                Shape::Across => {
                    let even = events.clone().filter(|event| event.id % 2 == 0);
                    let seen = |seen: &mut u64, event: Event| {
                        *seen += 1;
                        event
                    };
                    let again = even
                        .key_on(|event| event.id % 5)
                        .stateful_map(seen)
                        .named("seen");
                    let even = again.map(|(_, event)| event);
                    let odd = events.filter(|event| event.id % 2 == 1);
                    even.merge(odd).key_on(|event| event.key)
                }
                Shape::Many => {
                    let copies = |event: Event| {
                        let id = event.id * 10;
                        (0..event.id % 3).map(move |n| Event {
                            id: id + n,
                            ..event.clone()
                        })
                    };
                    events.flat_map(copies).key_on(|event| event.key)
                }
                _ => events.key_on(|event| event.key),
            };
            let many = matches!(case.shape, Shape::Many | Shape::Spread);
            let id = move |event: &Event| if many { event.id } else { event.id * 10 };
            let gathered = keyed.fold_window(
                Windows::tumbling(Duration::from_secs(len)),
                BTreeSet::new,
                move |ids: &mut BTreeSet<u64>, event| {
                    ids.insert(id(&event));
                },
            );
            let gathered = gathered.named("gathered");
            let missed = gathered.late.map(move |(key, late)| {
                format!("{key} {} {}", id(&late.value), second(late.window.open))
            });
            missed.sink(TextLines::write_to(&late)).named("late");
            let values = gathered.values.map_values(move |value| {
                assert!(!behind.is_now(), "on purpose");
                value
            });
            let lines = match case.shape {
                Shape::Chained => {
                    let sums = values.fold_window(
                        Windows::tumbling(Duration::from_secs(3 * len + 1)),
                        || 0u64,
                        |sum, minute| *sum += minute.value.len() as u64,
                    );
                    let sums = sums.named("sums");
                    sums.late
                        .map(|_| -> String { panic!("a result is never late") })
                        .sink(flow::sink::from_fn(|_: String| ()))
                        .named("never");
                    sums.values.map(|(key, sum)| {
                        format!("{key} {} {}", second(sum.window.open), sum.value)
                    })
                }
                _ => values
                    .map(|(key, ids)| format!("{key} {} {:?}", second(ids.window.open), ids.value)),
            };
            lines.sink(TextLines::write_to(&windows)).named("windows");
        })
    }

    /// Runs to the end of the input, through failures.
    fn run(&self, random: &mut Random, faults: u64) -> String {
        let mut told = String::new();
        for left in (0..=faults).rev() {
            let count = |random: &mut Random| {
                let n = random.of(&[1, 5, 20, 60, 150]);
                let n = random.below(n) as i64;
                Countdown::new(if left > 0 && random.below(3) == 0 {
                    n
                } else {
                    -1
                })
            };
            let (before, fails, behind) = (count(random), count(random), count(random));
            let workers = 1 + random.below(3) as usize;
            let epochs = random.of(&[1, 2, 3, 7, 20, 1000]);
            let block = random.of(&[None, Some(1), Some(3), Some(10)]);
            let runner = self.runner(before, fails, behind);
            let mut runner = runner
                .workers(workers)
                .epochs(Epochs::records(epochs))
                .recover(Recovery::at(self.path("state")));
            if let Some(lines) = block {
                runner = runner.blocks_of(lines);
            }
            let bytes = random.below(4) == 0;
            if bytes {
                runner = runner.over_bytes();
            }
            let handle = runner.handle();
            let stop = left > 0 && random.below(3) == 0;
            let stopper = stop.then(|| {
                let kill = random.below(2) == 0;
                let after = random.below(60);
                std::thread::spawn(move || {
                    for _ in 0..2000 {
                        if handle
                            .progress()
                            .is_some_and(|progress| progress.records >= after)
                        {
                            break;
                        }
                        std::thread::yield_now();
                    }
                    if kill {
                        handle.stop_at_once()
                    } else {
                        handle.stop()
                    }
                })
            });
            let outcome = runner.run();
            if let Some(stopper) = stopper {
                let _ = stopper.join();
            }
            let ended = match &outcome {
                Ok(outcome) => format!("{:?}", outcome.ended),
                Err(RunError::Record(_)) => "record".to_owned(),
                Err(error) => {
                    let text = error.to_string();
                    let known = text.contains("on purpose")
                        || text.contains("at once")
                        || text.contains("cut short");
                    if !known {
                        told.push_str("UNEXPECTED ");
                    }
                    text.replace('\n', " ")
                }
            };
            told.push_str(&format!(
                "workers {workers} epochs {epochs} block {block:?} bytes {bytes}: {ended}\n"
            ));
            if matches!(&outcome, Ok(outcome) if outcome.ended == flow::Ended::Finished) {
                return told;
            }
        }
        panic!("it never came to its end: {told}");
    }
}

fn campaign(cases: u64, faults: u64, grows: u64) {
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("on purpose") {
            eprintln!("{info}");
        }
    }));
    let seed = std::env::var("FLOW_TIME_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut statistics: BTreeMap<String, u64> = BTreeMap::new();
    for n in seed.map_or(1..=cases, |seed| seed..=seed) {
        let mut random = Random(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..5 {
            random.below(2);
        }
        let shape = SHAPES[(n % 9) as usize];
        if grows > 0 && shape == Shape::Chained {
            continue;
        }
        let case = case(&mut random, shape);
        let (mut world, mut reference) = (World::new(&case), Reference::new());
        let mut parts = case.parts.clone();
        let mut told = String::new();
        for round in 0..=grows {
            world.append(&parts);
            reference.run(&case, &parts);
            told += &world.run(&mut random, faults);
            let (got, wanted) = (world.results(), reference.results());
            assert!(
                got == wanted && !told.contains("UNEXPECTED"),
                "case {n} round {round} {shape:?} wait {} len {}\n{parts:?}\n{told}\nmissing {:?}\n\
                 too much {:?}\nlate missing {:?}\nlate too much {:?}",
                case.wait,
                case.len,
                minus(&wanted.0, &got.0),
                minus(&got.0, &wanted.0),
                minus(&wanted.1, &got.1),
                minus(&got.1, &wanted.1),
            );
            *statistics.entry("windows".into()).or_default() += got.0.len() as u64;
            *statistics.entry("late".into()).or_default() += got.1.len() as u64;
            // The input grows, and a file comes.
            let mut next = self::case(&mut random, shape).parts;
            for (part, events) in next.iter_mut().enumerate() {
                for event in events.iter_mut() {
                    event.id += 1000 * (round + 1);
                    let mean = if part % 2 == 0 { 60 } else { 10 };
                    event.at += mean * (round as i64 + 1);
                }
            }
            next.resize(parts.len().max(next.len()), Vec::new());
            parts = next;
        }
        for line in told.lines() {
            let end = line.rsplit(": ").next().unwrap_or_default();
            let end: String = end.chars().take(24).collect();
            *statistics.entry(end).or_default() += 1;
        }
        *statistics.entry(format!("{shape:?}")).or_default() += 1;
    }
    eprintln!("{statistics:#?}");
}

fn minus(a: &[String], b: &[String]) -> Vec<String> {
    let mut b = b.to_vec();
    let mut rest = Vec::new();
    for line in a {
        match b.iter().position(|other| other == line) {
            Some(at) => {
                b.swap_remove(at);
            }
            None => rest.push(line.clone()),
        }
    }
    rest
}

fn cases(usual: u64) -> u64 {
    std::env::var("FLOW_TIME_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(usual)
}

#[test]
fn windows_and_late_records_are_those_of_one_thread() {
    campaign(cases(140), 0, 0);
}

#[test]
fn and_so_they_are_through_failures_and_restarts() {
    campaign(cases(140), 6, 0);
}

#[test]
fn and_when_the_input_grows() {
    campaign(cases(140), 4, 2);
}
