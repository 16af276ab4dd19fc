//! A thousand panics in user code, at every place of a call. No run hangs, each ends with an error
//! that names the step, and later runs reach the same results.
//!
//! One panic is never injected: one in a `Drop` that runs because of another panic. It aborts the
//! process, as everywhere in Rust, which is a kill (`tests/kill`).
#![cfg(test)]

use std::{
    any::Any,
    collections::BTreeMap,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Once, PoisonError, mpsc},
    task::Waker,
    thread,
    time::Duration,
};

use flow::{
    BuildError, Epochs, Flow, Outcome, Recovery, RunError, Runner, Stream,
    prelude::{Deserialize, JsonLines, OnError, Serialize, TextLines},
    sink::{Guarantee, OutputId, Shards, Sink, SinkError, SyncOutput, Writer},
    source::{self, At, Next, Reader, Source, SourceError},
    testing::Harness,
};
use tempfile::TempDir;

/// The least number of panics. `FLOW_PANICS=10000` sets another number.
const PANICS: usize = 1000;

fn panics() -> usize {
    let panics = std::env::var("FLOW_PANICS").ok();
    panics.map_or(PANICS, |panics| panics.parse().unwrap())
}

/// The number of concurrent series of runs.
const LANES: usize = 4;

/// How long a run may take before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(60);

// ---- where it panics

/// The place of a lane's panic, and at which passing it happens.
#[derive(Default)]
struct Fuse {
    armed: Option<(&'static str, u64)>,
    passed: BTreeMap<&'static str, u64>,
}

static FUSES: [Mutex<Fuse>; LANES + 1] = [const {
    Mutex::new(Fuse {
        armed: None,
        passed: BTreeMap::new(),
    })
}; LANES + 1];

/// A series of runs, with its fuse. A value that was decoded from garbage belongs to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lane(usize);

impl Lane {
    const FIRST: usize = 7000;

    fn new(number: usize) -> Self {
        Lane(Lane::FIRST + number)
    }

    fn fuse(self) -> Option<&'static Mutex<Fuse>> {
        FUSES.get(self.0.checked_sub(Lane::FIRST)?)
    }

    /// Panics, if this is the place and the time.
    fn pass(self, place: &'static str) {
        let Some(fuse) = self.fuse() else { return };
        // A second panic would end the process.
        if thread::panicking() {
            return;
        }
        let mut fuse = fuse.lock().unwrap();
        *fuse.passed.entry(place).or_default() += 1;
        let blows = match &mut fuse.armed {
            Some((armed, left)) if *armed == place => {
                *left -= 1;
                *left == 0
            }
            _ => false,
        };
        if blows {
            fuse.armed = None;
            drop(fuse);
            panic!("injected: {place}");
        }
    }

    fn arm(self, place: &'static str, passing: u64) {
        self.fuse().unwrap().lock().unwrap().armed = Some((place, passing));
    }

    /// True if the panic had not come yet.
    fn disarm(self) -> bool {
        self.fuse().unwrap().lock().unwrap().armed.take().is_some()
    }

    /// How often each place was passed since this was last asked.
    fn take_passed(self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.fuse().unwrap().lock().unwrap().passed)
    }
}

/// A value that panics in the traits of its type.
struct Bomb<K: Kind, T> {
    lane: Lane,
    value: T,
    kind: PhantomData<fn() -> K>,
}

trait Kind: 'static {
    const CLONE: &'static str;
    const DROP: &'static str;
    const SERIALIZE: &'static str;
    const DESERIALIZE: &'static str;
    const HASH: &'static str;
    const EQ: &'static str;
}

macro_rules! kinds {
    ($($kind:ident $name:literal),*) => { $(
        struct $kind;
        impl Kind for $kind {
            const CLONE: &'static str = concat!("clone of a ", $name);
            const DROP: &'static str = concat!("drop of a ", $name);
            const SERIALIZE: &'static str = concat!("serialize of a ", $name);
            const DESERIALIZE: &'static str = concat!("deserialize of a ", $name);
            const HASH: &'static str = concat!("hash of a ", $name);
            const EQ: &'static str = concat!("eq of a ", $name);
        }
    )* };
}
kinds!(
    OfRecord "record",
    OfKey "key",
    OfState "state",
    OfResult "result",
    OfToken "token",
    OfPosition "position"
);

type Record = Bomb<OfRecord, (u64, u64)>;
type Key = Bomb<OfKey, (u64, u64)>;
type State = Bomb<OfState, (u64, u64)>;
type Total = Bomb<OfResult, ((u64, u64), u64, u64)>;
type Token = Bomb<OfToken, u64>;
type Position = Bomb<OfPosition, u64>;

impl<K: Kind, T> Bomb<K, T> {
    fn new(lane: Lane, value: T) -> Self {
        Bomb {
            lane,
            value,
            kind: PhantomData,
        }
    }
}

impl<K: Kind, T: Clone> Clone for Bomb<K, T> {
    fn clone(&self) -> Self {
        self.lane.pass(K::CLONE);
        Bomb::new(self.lane, self.value.clone())
    }
}

impl<K: Kind, T> Drop for Bomb<K, T> {
    fn drop(&mut self) {
        self.lane.pass(K::DROP);
    }
}

impl<K: Kind, T: Default> Default for Bomb<K, T> {
    fn default() -> Self {
        Bomb::new(Lane(0), T::default())
    }
}

impl<K: Kind, T: Serialize> Serialize for Bomb<K, T> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.lane.pass(K::SERIALIZE);
        (self.lane, &self.value).serialize(to)
    }
}

impl<'de, K: Kind, T: Deserialize<'de>> Deserialize<'de> for Bomb<K, T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (lane, value): (Lane, T) = Deserialize::deserialize(from)?;
        lane.pass(K::DESERIALIZE);
        Ok(Bomb::new(lane, value))
    }
}

impl<K: Kind, T: PartialEq> PartialEq for Bomb<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.lane.pass(K::EQ);
        self.value == other.value
    }
}

impl<K: Kind, T: Eq> Eq for Bomb<K, T> {}

impl<K: Kind, T: Hash> Hash for Bomb<K, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lane.pass(K::HASH);
        self.value.hash(state);
    }
}

// ---- the flow

/// How many records each partition has.
const RECORDS: u64 = 20;

/// Two partitions of numbers.
struct Numbers(Lane);

impl Drop for Numbers {
    fn drop(&mut self) {
        self.0.pass("drop of a source");
    }
}

impl Source for Numbers {
    type Item = Record;
    type Token = Token;
    type Reader = NumbersReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        self.0.pass("partitions");
        Ok(vec!["0".to_owned(), "1".to_owned()])
    }

    fn open(&self, partition: &str, at: At<Token>) -> Result<NumbersReader, SourceError> {
        self.0.pass("open of a partition");
        let next = at.token().map_or(0, |token| token.value);
        Ok(NumbersReader {
            lane: self.0,
            partition: partition.parse().unwrap(),
            next,
            batch: next,
        })
    }
}

struct NumbersReader {
    lane: Lane,
    partition: u64,
    next: u64,
    batch: u64,
}

impl Reader for NumbersReader {
    type Item = Record;
    type Token = Token;

    fn read(&mut self, out: &mut Vec<Record>, _: &Waker) -> Result<Next, SourceError> {
        self.lane.pass("read");
        self.batch = self.next;
        self.next = (self.next + 7).min(RECORDS);
        let record = |n| Record::new(self.lane, (self.partition, n));
        out.extend((self.batch..self.next).map(record));
        Ok(match self.next {
            RECORDS => Next::End,
            _ => Next::Ready,
        })
    }

    fn token(&self, index: usize) -> Token {
        self.lane.pass("token");
        Token::new(self.lane, self.batch + index as u64)
    }
}

impl Drop for NumbersReader {
    fn drop(&mut self) {
        self.lane.pass("drop of a reader");
    }
}

/// A third partition, as an iterator.
#[derive(Clone)]
struct Items {
    lane: Lane,
    next: u64,
}

impl Iterator for Items {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.lane.pass("next of an iterator");
        let n = self.next;
        self.next += 1;
        (n < RECORDS).then(|| Record::new(self.lane, (2, n)))
    }
}

/// The outputs, which outlive the runs.
type Kept = Arc<Mutex<Vec<((u64, u64), u64, u64)>>>;

#[derive(Clone)]
struct Shaky {
    lane: Lane,
    kept: Kept,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Shaky {
    fn drop(&mut self) {
        self.lane.pass("drop of a sink");
    }
}

impl Sink for Shaky {
    type Item = Total;
    type Position = Position;
    type Writer = ShakyWriter;

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, resume: Option<Position>) -> Result<ShakyWriter, SinkError> {
        self.lane.pass("open of an output");
        Ok(ShakyWriter {
            written: resume.map_or(0, |position| position.value),
            shaky: self.clone(),
        })
    }
}

struct ShakyWriter {
    shaky: Shaky,
    written: u64,
}

impl Writer for ShakyWriter {
    type Item = Total;
    type Position = Position;

    fn position(&self) -> Position {
        self.shaky.lane.pass("position");
        Position::new(self.shaky.lane, self.written)
    }

    fn start(&mut self) -> Result<(), SinkError> {
        self.shaky.lane.pass("start of an output");
        let written = usize::try_from(self.written).unwrap();
        lock(&self.shaky.kept).truncate(written);
        Ok(())
    }

    fn write(&mut self, items: &mut Vec<Total>) -> Result<(), SinkError> {
        self.shaky.lane.pass("write");
        for item in items.drain(..) {
            self.written += 1;
            lock(&self.shaky.kept).push(item.value);
        }
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(Position, Option<SyncOutput>), SinkError> {
        self.shaky.lane.pass("end of an epoch");
        let lane = self.shaky.lane;
        let sync = SyncOutput::new(move || {
            lane.pass("sync");
            Ok(())
        });
        Ok((Position::new(lane, self.written), Some(sync)))
    }
}

impl Drop for ShakyWriter {
    fn drop(&mut self) {
        self.shaky.lane.pass("drop of a writer");
    }
}

/// A flow with a step of each kind, and the files that it writes.
fn build(flow: &Flow, lane: Lane, kept: &Kept, directory: &Path) {
    lane.pass("build");
    let numbers = flow.source(Numbers(lane)).named("numbers");
    let items = flow.source(source::from_iter(Items { lane, next: 0 }));
    let all = numbers.merge(items.named("items"));
    let mapped = all.map(move |record| {
        lane.pass("map");
        record
    });
    let filtered = mapped.named("mapped").filter(move |_| {
        lane.pass("filter");
        true
    });
    let twice = filtered.named("filtered").flat_map(move |record| {
        lane.pass("flat_map");
        [record.clone(), record]
    });
    let (good, dead) = twice.named("twice").try_map_or_dead(move |record| {
        lane.pass("try_map");
        match record.value.1 % 7 {
            3 => Err(record.value.1),
            _ => Ok(record),
        }
    });
    let letters = dead.map(|dead| format!("{:?} {}", dead.record.value, dead.cause));
    letters
        .named("letters")
        .sink(TextLines::write_to(directory.join("dead")))
        .named("dead_letters");
    let keyed = good.named("good").key_on(move |record| {
        lane.pass("key_on");
        Key::new(lane, (record.value.0, record.value.1 % 3))
    });
    let add = move |state: &mut State, record: Record| -> Result<(u64, u64), String> {
        lane.pass("stateful_map");
        state.lane = lane;
        state.value.0 += 1;
        state.value.1 = (state.value.1 * 31 + record.value.1) % (1 << 40);
        Ok(state.value)
    };
    let added = keyed
        .named("keyed")
        .try_stateful_map_with(add, OnError::Skip);
    let totals = added.named("added").map(move |(key, (count, hash))| {
        lane.pass("map behind a shuffle");
        Total::new(lane, (key.value, count, hash))
    });
    let totals = totals.named("totals");
    let file = JsonLines::write_to(directory.join("totals"));
    totals.clone().sink(file).named("file");
    let kept = kept.clone();
    totals.sink(Shaky { lane, kept }).named("shaky");
}

/// The name in the error if the code belongs to no step.
const NONE: &str = "";

/// The steps that own values of the flow.
const STEPS: &[&str] = ANYWHERE.split_at(1).1;

const ANYWHERE: &[&str] = &[
    NONE,
    "numbers",
    "items",
    "mapped",
    "filtered",
    "twice",
    "good",
    "letters",
    "dead_letters",
    "keyed",
    "added",
    "totals",
    "file",
    "shaky",
];

/// A place, and the steps that may be named.
type Place = (&'static str, &'static [&'static str]);

/// Each place, and the steps that the error may name. Code of a step has one; a trait of a type has
/// several, because it is called wherever there is a value.
const PLACES: [Place; 45] = [
    ("build", &[NONE]),
    ("partitions", &["numbers"]),
    ("open of a partition", &["numbers"]),
    ("read", &["numbers"]),
    ("token", &["numbers"]),
    ("drop of a reader", STEPS),
    ("drop of a source", ANYWHERE),
    ("drop of a sink", ANYWHERE),
    ("next of an iterator", &["items"]),
    ("map", &["mapped"]),
    ("filter", &["filtered"]),
    ("flat_map", &["twice"]),
    ("try_map", &["good"]),
    ("key_on", &["keyed"]),
    ("stateful_map", &["added"]),
    ("map behind a shuffle", &["totals"]),
    ("open of an output", &["shaky"]),
    ("position", &["shaky"]),
    ("start of an output", &["shaky"]),
    ("write", &["shaky"]),
    ("end of an epoch", &["shaky"]),
    ("sync", &["shaky"]),
    ("drop of a writer", STEPS),
    ("clone of a record", &["twice", "good"]),
    ("drop of a record", STEPS),
    ("clone of a key", STEPS),
    ("drop of a key", STEPS),
    ("serialize of a key", &["keyed", "added"]),
    ("deserialize of a key", &["added"]),
    ("hash of a key", &["added"]),
    ("eq of a key", &["added"]),
    ("clone of a state", &["added"]),
    ("drop of a state", STEPS),
    ("serialize of a state", &["added"]),
    ("deserialize of a state", &["added"]),
    ("clone of a result", STEPS),
    ("drop of a result", STEPS),
    ("serialize of a result", &["file"]),
    ("drop of a token", &["numbers"]),
    ("serialize of a token", &["numbers"]),
    ("deserialize of a token", &["numbers"]),
    ("clone of a position", &["shaky"]),
    ("drop of a position", &["shaky"]),
    ("serialize of a position", &["shaky"]),
    ("deserialize of a position", &["shaky"]),
];

// ---- the runs

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

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// A directory for store and outputs, in memory if possible: these tests are not about the disk.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// A flow with its store and its outputs.
struct Job {
    lane: Lane,
    directory: TempDir,
    kept: Kept,
}

/// The outputs, in the order of each key.
#[derive(Debug, PartialEq, Eq)]
struct Outputs {
    kept: Vec<((u64, u64), u64, u64)>,
    totals: Vec<String>,
    dead: Vec<String>,
}

impl Job {
    fn new(lane: Lane) -> Self {
        Job {
            lane,
            directory: directory(),
            kept: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().to_path_buf()
    }

    /// Runs it, with a time limit.
    fn run(&self, workers: usize, epochs: Epochs, what: &str) -> Result<Outcome, RunError> {
        let (lane, kept, directory) = (self.lane, self.kept.clone(), self.path());
        let runner = Runner::new(move |flow| build(flow, lane, &kept, &directory))
            .workers(workers)
            .epochs(epochs)
            .recover(Recovery::at(self.path().join("state")));
        within_limit(what, move || runner.run())
    }

    fn outputs(&self) -> Outputs {
        let lines = |name: &str| {
            let text = std::fs::read_to_string(self.path().join(name)).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let mut kept = lock(&self.kept).clone();
        // The counts of a key grow, so they must come in this order.
        let mut last = BTreeMap::new();
        for (key, count, _) in &kept {
            let before = last.insert(*key, *count).unwrap_or(0);
            assert_eq!(*count, before + 1, "key {key:?} is out of order");
        }
        kept.sort_unstable();
        Outputs {
            kept,
            totals: lines("totals"),
            dead: lines("dead"),
        }
    }
}

/// Does something that must neither hang nor panic.
fn within_limit<R: Send + 'static>(what: &str, run: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, result) = mpsc::channel();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(run));
        sender.send(result).unwrap();
    });
    match result.recv_timeout(LIMIT) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => panic!("{what}: the panic came through: {}", message(&*panic)),
        Err(_) => panic!("{what}: it hangs"),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_default()
}

/// Keeps the tests' own panics off the screen.
fn be_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !message(panic.payload()).starts_with("injected: ") {
                usual(panic);
            }
        }));
    });
}

fn seed() -> u64 {
    let seed = std::env::var("FLOW_PANIC_SEED").ok();
    let seed = seed.map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("FLOW_PANIC_SEED={seed}");
    seed
}

/// The error is the one for a panic, and names the step.
fn check(error: &RunError, place: &str, steps: &[&str], context: &str) {
    let (step, message) = match error {
        RunError::Build(BuildError::Panicked { step, message }) => (step.clone(), message.clone()),
        RunError::Panicked { step, message, .. } => (Some(step.clone()), message.clone()),
        RunError::SyncOutput { step, error, .. } => (Some(step.clone()), error.to_string()),
        other => panic!("{context}: {other}"),
    };
    assert!(
        message.contains(&format!("injected: {place}")),
        "{context}: {error}"
    );
    let step = step.as_deref().unwrap_or(NONE);
    assert!(steps.contains(&step), "{context}: {error}");
}

/// How many panics each place had.
type Counts = BTreeMap<&'static str, usize>;

/// One lane of the campaign.
struct Campaign {
    lane: Lane,
    random: Random,
    expected: Outputs,
    /// How often a run that is left alone passes each place.
    usual: BTreeMap<&'static str, u64>,
    /// The places that are next, in random order.
    places: Vec<Place>,
    counts: Counts,
}

impl Campaign {
    fn new(number: usize, seed: u64) -> Self {
        let lane = Lane::new(number);
        // Two runs, so that all that happens in a resume happens too.
        let job = Job::new(lane);
        for run in ["a first run", "one that has nothing to do"] {
            job.run(2, Epochs::records(5), run).unwrap();
        }
        Campaign {
            lane,
            random: Random(seed.wrapping_add((number as u64) << 32)),
            expected: job.outputs(),
            usual: lane.take_passed(),
            places: Vec::new(),
            counts: Counts::new(),
        }
    }

    fn epochs(&mut self) -> Epochs {
        Epochs::records(self.random.one_of(&[2, 5, 10, 30]))
    }

    /// A place at random; all have their turn before one comes again.
    fn place(&mut self) -> Place {
        if self.places.is_empty() {
            self.places = PLACES.to_vec();
            for at in (1..self.places.len()).rev() {
                let other = self.random.below(at as u64 + 1);
                self.places.swap(at, usize::try_from(other).unwrap());
            }
        }
        self.places.pop().unwrap()
    }

    /// Runs a flow with a panic in each run, and then without.
    fn series(&mut self) {
        let job = Job::new(self.lane);
        for _ in 0..5 {
            let (place, steps) = self.place();
            let usual = self.usual[place];
            let most = self.random.one_of(&[2, usual / 4 + 1, usual]);
            let passing = 1 + self.random.below(most);
            let workers = 1 + self.random.below(4);
            let epochs = self.epochs();
            let context = format!("{place}:{passing}, {workers} workers");
            self.lane.arm(place, passing);
            let result = job.run(usize::try_from(workers).unwrap(), epochs, &context);
            let unused = self.lane.disarm();
            match result {
                Ok(_) => assert!(unused, "{context}: nobody was told of it"),
                Err(error) => {
                    check(&error, place, steps, &context);
                    *self.counts.entry(place).or_default() += 1;
                }
            }
        }
        let epochs = self.epochs();
        job.run(2, epochs, "the last run").unwrap();
        assert_eq!(job.outputs(), self.expected);
    }
}

#[test]
fn no_panic_shows_in_what_comes_out() {
    be_quiet();
    let seed = seed();
    let mut counts = Counts::new();
    thread::scope(|scope| {
        let lane = |number| {
            scope.spawn(move || {
                let mut campaign = Campaign::new(number, seed);
                while campaign.counts.values().sum::<usize>() < panics().div_ceil(LANES) {
                    campaign.series();
                }
                campaign.counts
            })
        };
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
        for lane in lanes {
            let lane = lane.join();
            for (place, count) in lane.expect("see above; FLOW_PANIC_SEED is there too") {
                *counts.entry(place).or_default() += count;
            }
        }
    });
    let all: usize = counts.values().sum();
    println!("{all} panics: {counts:?}");
    assert!(all >= PANICS);
    for (place, _) in PLACES {
        let count = counts.get(place).copied().unwrap_or(0);
        assert!(
            count >= PANICS / PLACES.len() / 4,
            "only {count} in {place}"
        );
    }
}

/// The types in batches between workers that travel as bytes, as between processes.
#[test]
fn no_panic_in_a_batch_of_bytes_shows_in_what_comes_out() {
    be_quiet();
    let mut random = Random(seed());
    let lane = Lane::new(LANES);
    let sums = move |numbers: Stream<u64>| {
        let records = numbers.map(move |n| Record::new(lane, (n % 4, n)));
        let keyed = records.key_on(move |record| Key::new(lane, (record.value.0, 0)));
        let sum = move |sum: &mut u64, record: Record| {
            *sum += record.value.1;
            Total::new(lane, (record.value, *sum, 0))
        };
        let sums = keyed.named("keyed").stateful_map(sum).named("sum");
        sums.map(|(_, total)| total).named("totals")
    };
    let sum = |n: u64| (0..=n).filter(|m| m % 4 == n % 4).sum();
    let expected: Vec<_> = (0..60).map(|n| ((n % 4, n), sum(n), 0)).collect();
    for place in [
        "serialize of a record",
        "deserialize of a record",
        "serialize of a key",
        "deserialize of a key",
        "serialize of a result",
        "deserialize of a result",
    ] {
        let mut blown = 0;
        while blown < 10 {
            let mut test = Harness::new(sums);
            test.over_bytes().feed(0..60);
            test.workers(1 + usize::try_from(random.below(4)).unwrap());
            test.epochs(Epochs::records([5, 20][usize::from(random.below(2) > 0)]));
            let passing = 1 + random.below(40);
            lane.arm(place, passing);
            let context = format!("{place}:{passing}");
            let seen = within_limit(&context.clone(), move || {
                let first = test.run();
                let unused = lane.disarm();
                let second = test.run();
                let mut seen: Vec<_> = test.outputs().iter().map(|total| total.value).collect();
                seen.sort_unstable_by_key(|((_, n), ..)| *n);
                (first, unused, second, seen)
            });
            let (first, unused, second, seen) = seen;
            match first {
                Ok(_) => assert!(unused, "{context}: nobody was told of it"),
                Err(error) => {
                    let steps = ["keyed", "sum", "totals", "output"];
                    check(&error, place, &steps, &context);
                    blown += 1;
                }
            }
            second.unwrap();
            assert_eq!(seen, expected, "{context}");
        }
    }
}
