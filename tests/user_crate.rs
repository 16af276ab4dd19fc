//! A user's crate, outside this workspace: written, compiled, run, broken and run again.
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

/// A program of a user who has read the documentation.
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
fn stays(visits: Stream<Visit>) -> KeyedStream<String, Stay> {
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

/// The same library under another name, as in a workspace with two versions of it.
const RENAMED: &str = r#"//! Sums up numbers.

use renamed::prelude::*;

mod sums {
    use renamed::{KeyedStream, Stream};

    fn total(sum: &mut u64, n: u64) -> u64 {
        *sum += n;
        *sum
    }

    #[renamed::dataflow(crate = ::renamed)]
    pub fn sums(numbers: Stream<u64>) -> KeyedStream<bool, u64> {
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

/// Keeps values of JSON, as a dependency lets it read their numbers.
const VALUES: &str = r#"//! Keeps the last value of each line's first letter.

use flow::prelude::*;
use serde_json::Value;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: u64,
    #[serde(flatten)]
    price: Price,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Price {
    amount: f64,
}

fn last(last: &mut Option<Value>, value: Value) -> String {
    let before = last.replace(value);
    before.map_or_else(|| "nothing".to_owned(), |before| before.to_string())
}

fn count(count: &mut u64, _: Value) -> String {
    *count += 1;
    count.to_string()
}

#[derive(clap::Args)]
struct Args {
    mode: String,
    input: std::path::PathBuf,
}

#[dataflow]
fn values(flow: &Flow, args: &Args) {
    let input = &args.input;
    let texts = match args.mode.as_str() {
        "orders" => {
            let orders = flow.source(JsonLines::open::<Order>(input)).named("orders");
            orders.map(|order| order.price.amount.to_string())
        }
        "states" => {
            let values = flow.source(JsonLines::open::<Value>(input)).named("values");
            values.key_on(|_| 1u8).stateful_map_opt(last).map(|(_, before)| before)
        }
        _ => {
            let values = flow.source(JsonLines::open::<Value>(input)).named("values");
            values.key_on(Value::clone).stateful_map(count).map(|(_, count)| count)
        }
    };
    texts.sink(TextLines::stdout());
}

fn main() -> ExitCode {
    flow::main(values)
}
"#;

/// A crate in its own directory.
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

[features]
exact = ["serde_json/arbitrary_precision"]

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
        self.build_with("")
    }

    /// Builds it with a feature, and gives out its program.
    fn build_with(&self, feature: &str) -> PathBuf {
        self.cargo(&["build", "--features", feature]);
        let program = self.directory.path(&format!("program {feature}"));
        fs::copy(target().join("debug").join(self.name), &program).unwrap();
        // The next run of this test has it in another directory: what was built of it would only
        // pile up.
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

/// The target directory, kept from run to run inside that of this test.
fn target() -> PathBuf {
    support::target_dir().join("user-crate")
}

const PAGES: u64 = 7;

fn visits(of: std::ops::Range<u64>) -> String {
    of.map(|n| format!("{{\"page\": \"page-{}\", \"seconds\": {n}}}\n", n % PAGES))
        .collect()
}

/// The results for the first visits, in order for each page.
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

/// A dependency that switches on `arbitrary_precision` of serde_json, or no longer does, changes
/// how every number of the program is read and written.
#[test]
fn numbers_of_a_program_that_keeps_them_as_text() {
    let values = Crate::new("values", "flow", VALUES);
    let (plain, exact) = (values.build_with(""), values.build_with("exact"));
    let work = Workdir::new();
    let run = |program: &Path, mode: &str, state: &str| {
        work.run(program, &["run", mode, "in", "--recover", state])
    };
    // What is a number either way is the same state, and the same key, either way.
    for (mode, outputs) in [("states", ["nothing", "1.5"]), ("keys", ["1", "2"])] {
        for (from, programs) in [("plain", [&plain, &exact]), ("exact", [&exact, &plain])] {
            let state = format!("{mode} of {from}");
            work.write("in", "1.5\n");
            for (program, output) in programs.into_iter().zip(outputs) {
                let ended = run(program, mode, &state).expect(0);
                assert_eq!(ended.stdout, format!("{output}\n"), "{state}");
                work.append("in", "1.5\n");
            }
        }
    }
    // What only text can hold would be an object in a program that does not know of it.
    for mode in ["states", "keys"] {
        let state = format!("{mode} of text");
        work.write("in", "1.50\n");
        run(&exact, mode, &state).expect(0);
        let before = work.snapshot(&state);
        work.append("in", "2\n");
        let ended = run(&plain, mode, &state).one_error(3, ["arbitrary_precision", "serde_json"]);
        ended.silent();
        before.assert_same(&work.snapshot(&state));
        run(&exact, mode, &state).expect(0);
    }
    // serde reads what is flattened into a form of its own, which has no such numbers.
    work.write("in", "{\"id\": 1, \"amount\": 1.5}\n");
    assert_eq!(run(&plain, "orders", "a").expect(0).stdout, "1.5\n");
    run(&exact, "orders", "b")
        .one_error(1, ["in, line 1", "arbitrary_precision"])
        .silent();
}
