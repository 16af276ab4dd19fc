//! Run with `cargo bench -p flow-store`: what the commit of an epoch costs beside appending the same bytes to a file and
//! syncing it, which is the least that any store can do; and what it costs to retain older epochs.
//!
//! All three take turns, so the ratios hold on a machine whose speed changes. Each is the median of its rounds.

use std::{
    fs::File,
    io::{self, Write},
    time::{Duration, Instant},
};

use flow_store::{
    Agreed, Changes, Execution, Look, Retain, Start, StepKind, StepSpec, encode, group, hash,
};

const KEYS: u64 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("a commit of so many of {KEYS} keys, 60 bytes each, in times append + fdatasync");
    println!(
        "{:>8} {:>14} {:>10} {:>12}",
        "rows", "append+sync", "commit", "--retain 100"
    );
    for (rows, rounds) in [(10, 60), (100, 60), (1_000, 40), (10_000, 15)] {
        let directory = tempfile::tempdir_in(".")?;
        let mut file = File::create(directory.path().join("append"))?;
        let mut plain = start(&directory.path().join("plain"), Retain::Nothing)?;
        let mut retaining = start(&directory.path().join("retaining"), Retain::Epochs(100))?;
        let mut random = 1;
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            let changes = changes(rows, &mut random)?;
            times[0].push(timed(|| append(&mut file, &changes))?);
            for (execution, times) in [&mut plain, &mut retaining]
                .into_iter()
                .zip(&mut times[1..])
            {
                let epoch = execution.epoch().next();
                times.push(timed(|| execution.commit(epoch, [&changes]))?);
            }
        }
        let [append, commit, retain] = times.map(median);
        let ratio = |time: Duration| time.as_secs_f64() / append.as_secs_f64();
        println!(
            "{rows:>8} {:>14} {:>10.2} {:>12.2}",
            format!("1 ({append:.1?})"),
            ratio(commit),
            ratio(retain)
        );
    }
    Ok(())
}

/// A store that has all keys.
fn start(
    directory: &std::path::Path,
    retain: Retain,
) -> Result<Execution, Box<dyn std::error::Error>> {
    let look = Look::at(directory)?.retaining(retain);
    let step = StepSpec {
        id: "carts".to_owned(),
        kind: StepKind::State,
        operator: "stateful_map".to_owned(),
        key_type: "u64".to_owned(),
        state_type: "String".to_owned(),
        schemas: Default::default(),
        renamed_from: vec![],
        place: String::new(),
    };
    let manifest = look.reconcile(&[step], &Agreed::default())?;
    let mut all = Changes::new();
    for key in 0..KEYS {
        put(&mut all, key, 'a')?;
    }
    let start = Start {
        manifest: &manifest,
        flow_name: "bench",
        workers: 1,
        build: "",
        changes: &all,
    };
    Ok(look.start(start)?)
}

fn put(changes: &mut Changes, key: u64, letter: char) -> Result<(), flow_store::CodecError> {
    let mut bytes = Vec::new();
    encode(&key, &mut bytes)?;
    let state = letter.to_string().repeat(55);
    changes.put(0, group(hash(&bytes)), &bytes, |into| encode(&state, into))
}

/// Random keys, each of which gets another state.
fn changes(rows: u64, random: &mut u64) -> Result<Changes, flow_store::CodecError> {
    let mut changes = Changes::new();
    for _ in 0..rows {
        *random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let letter = char::from(b'b' + u8::try_from(*random >> 60).unwrap_or_default());
        put(&mut changes, (*random >> 20) % KEYS, letter)?;
    }
    Ok(changes)
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

fn timed<E>(work: impl FnOnce() -> Result<(), E>) -> Result<Duration, E> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
