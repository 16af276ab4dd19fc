//! A crate of a user's own, outside of this workspace: written, compiled, run, broken and run again.
#![cfg(test)]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::Workdir;

/// A program as somebody writes it who has read the documentation.
const MAIN: &str = r#"//! Counts how long visitors stay on the pages of a site.

use std::path::PathBuf;

use flow::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Visit {
    page: String,
    seconds: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stay {
    visits: u64,
    seconds: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    page: String,
    #[serde(flatten)]
    stay: Stay,
}

fn page(visit: &Visit) -> String {
    visit.page.clone()
}

fn add_up(stay: &mut Stay, visit: Visit) -> Stay {
    stay.visits += 1;
    stay.seconds += visit.seconds;
    stay.clone()
}

fn report((page, stay): (String, Stay)) -> Report {
    Report { page, stay }
}

/// A piece on its own, to be tested as it is.
#[dataflow]
fn stays(visits: Stream<Visit>) -> Stream<Stay, String> {
    visits.key_on(page).stateful_map(add_up)
}

#[derive(Clone, clap::Args)]
struct Args {
    /// Visits, a JSON object on each line
    input: PathBuf,
    /// Where the reports go
    output: PathBuf,
}

#[dataflow]
fn site(flow: &Flow, args: &Args) {
    let visits = flow.source(JsonLines::open::<Visit>(&args.input));
    stays(visits).map(report).sink(JsonLines::write_to(&args.output));
}

fn main() -> ExitCode {
    flow::main(site)
}

#[cfg(test)]
mod tests {
    use flow::testing::{Event, Harness};

    use super::*;

    #[test]
    fn stays_survive_a_crash() {
        let visit = |seconds| Visit { page: "home".into(), seconds };
        let mut test = Harness::new(|visits| stays(visits).map(|(_, stay)| stay.seconds));
        test.feed([visit(1), visit(2)]).feed_events("more", [Event::Abort]).feed([visit(4)]);
        test.run().unwrap_err();
        test.workers(2).run().unwrap();
        assert_eq!(test.outputs(), [1, 3, 7]);
    }
}
"#;

/// The same library under another name, as a workspace with two versions of it would have it.
const RENAMED: &str = r#"//! Sums up numbers.

use renamed::prelude::*;

mod sums {
    use renamed::Stream;

    fn total(sum: &mut u64, n: u64) -> u64 {
        *sum += n;
        *sum
    }

    #[renamed::dataflow(crate = ::renamed)]
    pub fn sums(numbers: Stream<u64>) -> Stream<u64, bool> {
        numbers.key_on(|n| n % 2 == 0).stateful_map(total)
    }
}

fn number(line: String) -> Result<u64, std::num::ParseIntError> {
    line.parse()
}

#[derive(clap::Args)]
struct Args {
    input: std::path::PathBuf,
}

#[dataflow(crate = renamed)]
fn numbers(flow: &Flow, args: &Args) {
    let lines = flow.source(TextLines::open(&args.input));
    let totals = sums::sums(lines.try_map(number));
    totals.map(|(_, total)| total).sink(TextLines::stdout());
}

fn main() -> ExitCode {
    renamed::main(numbers)
}
"#;

/// A crate of its own in a directory of its own.
struct Crate {
    directory: Workdir,
    name: &'static str,
}

impl Crate {
    fn new(name: &'static str, library: &str, main: &str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let directory = Workdir::new();
        fs::create_dir(directory.path("src")).unwrap();
        directory.write("src/main.rs", main);
        directory.write(
            "Cargo.toml",
            format!(
                r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[dependencies]
{library} = {{ package = "flow-dataflow", path = {root:?} }}
clap = {{ version = "4", features = ["derive"] }}
serde = {{ version = "1", features = ["derive"] }}
serde_json = "1"

[workspace]
"#
            ),
        );
        fs::copy(
            Path::new(root).join("Cargo.lock"),
            directory.path("Cargo.lock"),
        )
        .unwrap();
        Crate { directory, name }
    }

    /// Tests it, builds it, and gives out its program.
    fn build(&self) -> PathBuf {
        self.cargo(&["test"]);
        self.cargo(&["build"]);
        let program = self.directory.path("program");
        fs::copy(target().join("debug").join(self.name), &program).unwrap();
        // The next run of this test has it in another directory: what was built of it would only pile up.
        self.cargo(&["clean", "--package", self.name]);
        program
    }

    /// Runs cargo in it; its warnings are errors.
    fn cargo(&self, command: &[&str]) {
        let output = Command::new(env!("CARGO"))
            .args(command)
            .args(["--quiet", "--offline"])
            .current_dir(self.directory.path(""))
            .env("CARGO_TARGET_DIR", target())
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("CARGO_MANIFEST_DIR")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{printed}");
        assert!(!said.contains("warning"), "{said}");
    }
}

/// Kept from run to run, inside of the target directory of this test.
fn target() -> PathBuf {
    support::target_dir().join("user-crate")
}

const PAGES: u64 = 7;

fn visits(of: std::ops::Range<u64>) -> String {
    of.map(|n| format!("{{\"page\": \"page-{}\", \"seconds\": {n}}}\n", n % PAGES))
        .collect()
}

/// What comes out for the first visits, for each page in order.
fn expected(count: u64) -> BTreeMap<String, Vec<(u64, u64)>> {
    let mut pages: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for n in 0..count {
        let page = pages.entry(format!("page-{}", n % PAGES)).or_default();
        let (visits, seconds) = page.last().copied().unwrap_or_default();
        page.push((visits + 1, seconds + n));
    }
    pages
}

fn reports(text: &str) -> BTreeMap<String, Vec<(u64, u64)>> {
    let mut pages: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for line in text.lines() {
        let report: Value = serde_json::from_str(line).unwrap();
        let number = |field: &str| report[field].as_u64().unwrap();
        let page = report["page"].as_str().unwrap().to_owned();
        let row = (number("visits"), number("seconds"));
        pages.entry(page).or_default().push(row);
    }
    pages
}

#[test]
fn a_crate_outside_of_the_workspace() {
    let site = Crate::new("site", "flow", MAIN);
    let (program, work) = (site.build(), Workdir::new());
    let run = |workers, epochs| {
        let args = ["run", "visits.json", "out.json", "--recover", "state"];
        let options = ["--workers", workers, "--epoch", epochs];
        work.start(&program, &[&args[..], &options].concat())
    };

    // A line is broken in the middle of the input.
    let good = visits(0..1000);
    work.write(
        "visits.json",
        [&good, "{\"page\": \n", &visits(1000..1500)].concat(),
    );
    for workers in ["1", "2"] {
        let ended = run(workers, "1s").wait();
        let says = [
            "step `visits`",
            "visits.json",
            "line 1001",
            "EOF",
            "is safe",
        ];
        ended.one_error(1, says).silent();
        assert_eq!(reports(&work.text("out.json")), expected(1000));
    }
    // It is put right, and much more has come.
    work.write("visits.json", [good, visits(1000..200_000)].concat());
    let mut kills = 0;
    for workers in ["2", "1", "4"] {
        let there = work.len("out.json");
        let mut running = run(workers, "1ms");
        running.wait_until("it writes", |_| work.len("out.json") > there);
        kills += usize::from(running.kill());
    }
    assert_eq!(kills, 3);
    run("2", "1s").wait().expect(0);
    assert!(reports(&work.text("out.json")) == expected(200_000));
    let out = work.snapshot("out.json");
    run("1", "1s").wait().expect(0).says(["0 records read"]);
    out.assert_same(&work.snapshot("out.json"));

    let graph = work.run(&program, &["graph", "visits.json", "out.json"]);
    let graph = graph.expect(0).stdout;
    for text in [
        "visits",
        "stays.add_up",
        "json_lines",
        "src/main.rs:",
        "exactly once",
    ] {
        assert!(graph.contains(text), "{text}\n{graph}");
    }
}

#[test]
fn a_crate_that_calls_the_library_by_another_name() {
    let numbers = Crate::new("numbers", "renamed", RENAMED);
    let (program, work) = (numbers.build(), Workdir::new());
    let run = |options: &[&str]| {
        let args = [&["run", "in", "--recover", "state"], options].concat();
        work.run(&program, &args)
    };
    work.write("in", "1\n2\nthree\n4\n");
    let ended = run(&[]).one_error(1, ["step `number`", "in, line 3", "three", "invalid digit"]);
    assert_eq!(ended.stdout, "1\n2\n");
    work.write("in", "1\n2\n3\n4\n");
    assert_eq!(run(&[]).expect(0).stdout, "4\n6\n");
    run(&[]).expect(0).silent();
    let graph = work.run(&program, &["graph", "in"]).expect(0).stdout;
    for id in ["lines", "number", "sums.total"] {
        assert!(graph.contains(id), "{id}\n{graph}");
    }
}
