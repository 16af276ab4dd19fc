//! How long a user waits for the compiler: a crate with a flow of fifty steps, beside the same
//! functions in a plain loop. Each is built again after one of its functions has changed.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    side::{Report, Scratch},
};

/// Builds both, so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Compile {
    pub(crate) times: u32,
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// With five that keep a state, each of which needs a key before and a map behind, these are fifty
/// steps.
const MAPS: u32 = 35;
const STATES: u32 = 5;

impl Compile {
    pub(crate) fn work(self, scratch: &Scratch) -> Result<Report> {
        let flow = Crate::new(scratch, "steps-in-a-flow")?;
        let plain = Crate::new(scratch, "steps-in-a-loop")?;
        let mut ratios = Vec::new();
        for time in 0..=self.times {
            let functions = functions(time)?;
            let flow = flow.build(&[&functions, &flow_main()?])?;
            let plain = plain.build(&[&functions, &loop_main()?])?;
            // The first time everything that they depend on is built too.
            if time > 0 {
                ratios.push(flow / plain);
            }
        }
        Ok(Report {
            own: BTreeMap::from([("compile".to_owned(), ratios)]),
            ..Report::default()
        })
    }
}

struct Crate(PathBuf);

impl Crate {
    fn new(scratch: &Scratch, name: &str) -> Result<Self> {
        let directory = scratch.path().join(name);
        fs::create_dir_all(directory.join("src"))?;
        let manifest = format!(
            r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[dependencies]
flow = {{ package = "flow-dataflow", path = {ROOT:?} }}
clap = {{ version = "4", features = ["derive"] }}
serde = {{ version = "1", features = ["derive"] }}
serde_json = "1"

[workspace]
"#
        );
        fs::write(directory.join("Cargo.toml"), manifest)?;
        fs::copy(
            Path::new(ROOT).join("Cargo.lock"),
            directory.join("Cargo.lock"),
        )?;
        Ok(Crate(directory))
    }

    /// The seconds that it takes.
    fn build(&self, source: &[&str]) -> Result<f64> {
        fs::write(self.0.join("src/main.rs"), source.concat())?;
        let start = Instant::now();
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline"])
            .current_dir(&self.0)
            // Kept from run to run.
            .env(
                "CARGO_TARGET_DIR",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/compile"),
            )
            .env_remove("CARGO_MANIFEST_DIR")
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

/// What both programs have.
fn functions(change: u32) -> Result<String> {
    let mut text = String::from(
        "use std::path::PathBuf;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Reading {
    sensor: String,
    value: i64,
}

#[derive(clap::Args)]
struct Args {
    input: PathBuf,
}

fn sensor(reading: &Reading) -> String {
    reading.sensor.clone()
}
",
    );
    for number in 0..MAPS {
        write!(
            text,
            "
fn map_{number}(mut reading: Reading) -> Reading {{
    reading.value = reading.value.wrapping_mul({number}) + {change};
    reading
}}
"
        )?;
    }
    for number in 0..STATES {
        write!(
            text,
            "
#[derive(Clone, Default, Serialize, Deserialize)]
struct Seen{number} {{
    readings: u64,
    sum: i64,
}}

fn state_{number}(seen: &mut Seen{number}, mut reading: Reading) -> Reading {{
    seen.readings += {number};
    seen.sum += reading.value;
    reading.value = seen.sum;
    reading
}}
"
        )?;
    }
    Ok(text)
}

fn flow_main() -> Result<String> {
    let mut text = String::from(
        "
use flow::prelude::{dataflow, ExitCode, Flow, JsonLines};

#[dataflow]
fn steps(flow: &Flow, args: &Args) {
    let readings = flow.source(JsonLines::open::<Reading>(&args.input));
    let readings = readings",
    );
    for number in 0..MAPS {
        write!(text, "\n        .map(map_{number})")?;
    }
    text.push(';');
    for number in 0..STATES {
        write!(
            text,
            "
    let readings = readings.key_on(sensor).stateful_map(state_{number});
    let readings = readings.map(|(_, reading)| reading);"
        )?;
    }
    text.push_str(
        "
    readings.sink(JsonLines::stdout());
}

fn main() -> ExitCode {
    flow::main(steps)
}
",
    );
    Ok(text)
}

fn loop_main() -> Result<String> {
    let mut text = String::from(
        "
use std::{collections::HashMap, fs::File, io::{self, BufRead, BufReader, Write}};
use clap::Parser;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn main() -> io::Result<()> {
    let args = Command::parse().args;
    let mut out = io::stdout().lock();
",
    );
    for number in 0..STATES {
        writeln!(
            text,
            "    let mut states_{number}: HashMap<String, Seen{number}> = HashMap::new();"
        )?;
    }
    text.push_str(
        "    for line in BufReader::new(File::open(args.input)?).lines() {
        let reading: Reading = serde_json::from_str(&line?)?;
",
    );
    for number in 0..MAPS {
        writeln!(text, "        let reading = map_{number}(reading);")?;
    }
    for number in 0..STATES {
        writeln!(
            text,
            "        let state = states_{number}.entry(sensor(&reading)).or_default();
        let reading = state_{number}(state, reading);"
        )?;
    }
    text.push_str(
        "        serde_json::to_writer(&mut out, &reading)?;
        out.write_all(b\"\\n\")?;
    }
    Ok(())
}
",
    );
    Ok(text)
}
