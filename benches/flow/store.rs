//! What the recovery store costs by itself, without a flow: programs that measure for themselves
//! and give out ratios.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use flow_store::{
    Agreed, Changes, CodecError, Execution, Look, Retain, Start, StepKind, StepSpec, encode, group,
    hash,
};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    side::{Report, Scratch, Side},
};

/// A program about the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Store {
    /// Commits of so many of the keys, beside append and sync of the same bytes.
    Commit { keys: u64, rows: u64, rounds: u32 },
    /// So many commits one after the other: how large the file becomes, and how long the longest
    /// takes.
    Grow { keys: u64, commits: u32 },
    /// Opens what a kill has left, so many times.
    Reopen { keys: u64, times: u32 },
    /// Opens the store, commits a few epochs, and dies.
    Die { keys: u64 },
}

impl Store {
    pub(crate) fn work(self, scratch: &Scratch) -> Result<Report> {
        let own = match self {
            Store::Commit { keys, rows, rounds } => commit(keys, rows, rounds, scratch)?,
            Store::Grow { keys, commits } => grow(keys, commits, scratch)?,
            Store::Reopen { keys, times } => reopen(keys, times, scratch)?,
            Store::Die { keys } => die(keys, scratch)?,
        };
        Ok(Report {
            own,
            ..Report::default()
        })
    }
}

type Own = BTreeMap<String, Vec<f64>>;

fn commit(keys: u64, rows: u64, rounds: u32, scratch: &Scratch) -> Result<Own> {
    let mut file = File::create(scratch.path().join("append"))?;
    let mut plain = start(&scratch.fresh("plain")?, Retain::Nothing, keys)?;
    let mut retaining = start(&scratch.fresh("retaining")?, Retain::Epochs(100), keys)?;
    let mut random = Random::new();
    let mut own = Own::new();
    for _ in 0..rounds {
        let changes = random.changes(keys, rows)?;
        let least = timed(|| append(&mut file, &changes))?;
        let [commit, retaining] = [&mut plain, &mut retaining].map(|execution| {
            let epoch = execution.epoch().next();
            timed(|| execution.commit(epoch, [&changes]))
        });
        let (commit, retaining) = (commit?, retaining?);
        for (name, time, against) in [("commit", commit, least), ("retain", retaining, commit)] {
            let ratio = time.as_secs_f64() / against.as_secs_f64();
            own.entry(name.to_owned()).or_default().push(ratio);
        }
    }
    Ok(own)
}

/// The least that makes them durable.
fn append(file: &mut File, changes: &Changes) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(changes.byte_len());
    for change in changes.iter() {
        bytes.extend_from_slice(change.key);
        bytes.extend_from_slice(change.value.unwrap_or_default());
    }
    file.write_all(&bytes)?;
    file.sync_data()
}

fn grow(keys: u64, commits: u32, scratch: &Scratch) -> Result<Own> {
    let directory = scratch.fresh("growing")?;
    let mut execution = start(&directory, Retain::Nothing, keys)?;
    let live = all(keys)?.byte_len() as f64;
    let mut random = Random::new();
    let (mut sizes, mut times) = (Vec::new(), Vec::new());
    for _ in 0..commits {
        let changes = random.changes(keys, keys / 100)?;
        let epoch = execution.epoch().next();
        let time = timed(|| execution.commit(epoch, [&changes]))?;
        times.push(time.as_secs_f64());
        sizes.push(size(&directory)? as f64 / live);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let longest = times.last().map(|longest| longest / median);
    Ok(Own::from([
        ("size".to_owned(), sizes),
        ("longest".to_owned(), longest.into_iter().collect()),
    ]))
}

/// What all files of a directory take of the disk; redb leaves holes in its file, so its length
/// says more than that.
fn size(directory: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in directory.read_dir()? {
        let metadata = entry?.metadata()?;
        #[cfg(unix)]
        let bytes = 512 * std::os::unix::fs::MetadataExt::blocks(&metadata);
        #[cfg(not(unix))]
        let bytes = metadata.len();
        size += bytes;
    }
    Ok(size)
}

fn reopen(keys: u64, times: u32, scratch: &Scratch) -> Result<Own> {
    let opened = scratch.fresh("killed")?.join("opened");
    let mut own = Own::new();
    for time in 0..=times {
        let status = Side::Store(Store::Die { keys })
            .command(scratch)?
            .status()?;
        if status.success() {
            return Err("it has not died".into());
        }
        // The first one made the store.
        if time > 0 {
            let nanoseconds: f64 = std::fs::read_to_string(&opened)?.parse()?;
            let in_10_ms = nanoseconds / 10e6;
            own.entry("reopen".to_owned()).or_default().push(in_10_ms);
        }
    }
    Ok(own)
}

/// Says in a file how long the opening took, without the commit of the start, and dies without
/// ending anything. What is not there yet is made.
fn die(keys: u64, scratch: &Scratch) -> Result<Own> {
    let directory = scratch.path().join("killed");
    let began = Instant::now();
    let look = Look::at(&directory)?;
    let manifest = look.reconcile(&[step()], &Agreed::default())?;
    let took = began.elapsed().as_nanos();
    let changes = match look.is_new() {
        true => all(keys)?,
        false => Changes::new(),
    };
    let mut execution = look.start(Start::new("bench", &manifest, &changes))?;
    let mut random = Random::new();
    for _ in 0..3 {
        let changes = random.changes(keys, 1000)?;
        execution.commit(execution.epoch().next(), [&changes])?;
    }
    std::fs::write(directory.join("opened"), took.to_string())?;
    std::process::abort();
}

fn step() -> StepSpec {
    StepSpec {
        id: "carts".to_owned(),
        kind: StepKind::State,
        operator: "stateful_map".to_owned(),
        key_type: "u64".to_owned(),
        state_type: "String".to_owned(),
        schemas: Default::default(),
        renamed_from: vec![],
        place: String::new(),
    }
}

/// A new store that has all keys.
fn start(directory: &Path, retain: Retain, keys: u64) -> Result<Execution> {
    let look = Look::at(directory)?.retaining(retain);
    let manifest = look.reconcile(&[step()], &Agreed::default())?;
    let rows = all(keys)?;
    Ok(look.start(Start::new("bench", &manifest, &rows))?)
}

fn all(keys: u64) -> std::result::Result<Changes, CodecError> {
    let mut all = Changes::new();
    for key in 0..keys {
        put(&mut all, key, 'a')?;
    }
    Ok(all)
}

/// A row of about 60 bytes.
fn put(changes: &mut Changes, key: u64, letter: char) -> std::result::Result<(), CodecError> {
    let mut bytes = Vec::new();
    encode(&key, &mut bytes)?;
    let state = letter.to_string().repeat(55);
    changes.put(0, group(hash(&bytes)), &bytes, |into| encode(&state, into))
}

struct Random(u64);

impl Random {
    fn new() -> Self {
        Random(1)
    }

    /// So many random keys, each of which gets another state.
    fn changes(&mut self, keys: u64, rows: u64) -> std::result::Result<Changes, CodecError> {
        let mut changes = Changes::new();
        let mut chosen = BTreeSet::new();
        while (chosen.len() as u64) < rows.min(keys) {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let key = (self.0 >> 20) % keys;
            if chosen.insert(key) {
                let letter = char::from(b'b' + u8::try_from(self.0 >> 60).unwrap_or_default());
                put(&mut changes, key, letter)?;
            }
        }
        Ok(changes)
    }
}

fn timed<E>(work: impl FnOnce() -> std::result::Result<(), E>) -> std::result::Result<Duration, E> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}
