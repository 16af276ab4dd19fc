//! `-- --instructions`: how many instructions the hot paths take, as callgrind counts them.
//!
//! Times on a machine that others use say little about a change of a few percent; these counts
//! differ by less than one percent from run to run. A program is run over N events and over 2 N;
//! the difference is what N events take, without the start and the end. Nothing in it depends on
//! the time: see `repeatable` in `side.rs`.

use std::{fs, process::Command};

use crate::{
    Result,
    side::{Join, Program, Scratch, Side},
};

/// Where the recorded counts are.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/flow/instructions.txt");

/// What a count may differ by: another processor has other versions of `memcpy`.
const TOLERANCE: f64 = 0.03;

/// The same for what is mostly threads that wait for each other, and may go round once more before
/// they find out.
const WAITING: f64 = 0.06;

const EVENTS: u32 = 40_000;
const EPOCH: u32 = 1000;

/// A path that is counted: its name, the program, how many of what is counted are in [`EVENTS`]
/// events, and what the count may differ by.
type Path = (&'static str, Join, u32, f64);

fn paths() -> [Path; 8] {
    let base = Join {
        program: Program::Flow,
        json: false,
        users: 1000,
        events: EVENTS,
        workers: 1,
        epoch: Some(EPOCH.into()),
        store: false,
        repeatable: true,
        more_steps: 0,
        fallible: false,
        clones_key: false,
    };
    let fallible = Join {
        fallible: true,
        ..base
    };
    let mapped = Join {
        more_steps: 1,
        ..fallible
    };
    let json = Join { json: true, ..base };
    let by = |program| Join { program, ..json };
    let epochs = Join {
        epoch: Some(10),
        ..base
    };
    let commits = Join {
        store: true,
        ..base
    };
    [
        ("event-in-a-batch", base, EVENTS, TOLERANCE),
        ("event-checked", fallible, EVENTS, TOLERANCE),
        ("event-mapped-and-checked", mapped, EVENTS, TOLERANCE),
        ("event-from-json", json, EVENTS, TOLERANCE),
        ("json-in-a-loop", by(Program::Plain), EVENTS, TOLERANCE),
        ("json-by-hand", by(Program::ByHand), EVENTS, TOLERANCE),
        ("epoch-of-10", epochs, EVENTS / 10, WAITING),
        ("commit-of-1000", commits, EVENTS / EPOCH, TOLERANCE),
    ]
}

/// Counts, and records the counts or compares them with the recorded ones.
pub(crate) fn main(names: &[String], record: bool, scratch: &Scratch) -> Result<()> {
    let recorded = fs::read_to_string(RECORDED).unwrap_or_default();
    let mut text = String::from(
        "# Instructions, as `cargo bench --bench flow -- --instructions` counts them; `--record` \
         writes this file.\n",
    );
    let mut worse = Vec::new();
    for (name, join, parts, tolerance) in paths() {
        let before = count_in(&recorded, name);
        if !names.is_empty() && !names.iter().any(|wanted| name.contains(wanted.as_str())) {
            if let Some(before) = before {
                text.push_str(&format!("{name} {before:.0}\n"));
            }
            continue;
        }
        let twice = Join {
            events: 2 * EVENTS,
            ..join
        };
        let difference = least(twice, scratch)? - least(join, scratch)?;
        let now = difference / f64::from(parts);
        text.push_str(&format!("{name} {now:.0}\n"));
        let verdict = match before.map(|before| now / before - 1.0) {
            None => "not recorded yet".to_owned(),
            Some(moved) if moved > tolerance => {
                worse.push(name);
                format!("{:+.1} %: worse", 100.0 * moved)
            }
            Some(moved) if moved < -tolerance => format!("{:+.1} %: better", 100.0 * moved),
            Some(moved) => format!("{:+.1} %", 100.0 * moved),
        };
        println!("{name:<24} {now:>10.0} instructions  {verdict}");
    }
    if record {
        fs::write(RECORDED, text)?;
        return Ok(());
    }
    match worse.as_slice() {
        [] => Ok(()),
        worse => Err(format!("more instructions than recorded: {}", worse.join(", ")).into()),
    }
}

fn count_in(recorded: &str, name: &str) -> Option<f64> {
    let mut counts = recorded.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = counts.find(|(other, _)| *other == name)?;
    count.parse().ok()
}

/// The least of a few runs: threads that wait for each other take some more instructions now and
/// then.
fn least(join: Join, scratch: &Scratch) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        least = least.min(count(join, scratch)?);
    }
    Ok(least)
}

/// The instructions of a whole run.
fn count(join: Join, scratch: &Scratch) -> Result<f64> {
    let side = Side::Join(join);
    side.prepare(scratch)?;
    let program = side.command(scratch)?;
    let profile = scratch.path().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind");
    valgrind.arg(format!("--callgrind-out-file={}", profile.display()));
    valgrind.arg(program.get_program()).args(program.get_args());
    let output = match valgrind.output() {
        Err(error) => return Err(format!("valgrind is needed, and can't be run: {error}").into()),
        Ok(output) => output,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{side:?} ended with {}:\n{said}", output.status).into());
    }
    let profile = fs::read_to_string(profile)?;
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or("callgrind counted nothing")?.trim().parse()?)
}
