//! Run by the tests of this project (`tests/process`): copies lines as slowly as requested, and
//! hangs at a requested place.

use std::{path::PathBuf, time::Duration};

use flow::{
    prelude::*,
    source::{At, Source, SourceError, TextLinesSource},
};

#[derive(Clone, Debug, clap::Args)]
struct Args {
    /// The lines
    input: PathBuf,

    /// How many milliseconds each line takes
    #[arg(long, default_value_t = 0)]
    pause: u64,

    /// Hang for ever there
    #[arg(long)]
    hang: Option<Hang>,

    /// How many bytes to make each line longer by
    #[arg(long, default_value_t = 0)]
    padding: usize,

    /// How many MiB of memory to hold, which a kill has to give back
    #[arg(long, default_value_t = 0)]
    ballast: usize,

    /// Where the lines go
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Hang {
    /// In the dataflow function.
    Build,
    /// Where the source lists its partitions.
    List,
    /// Where it opens one.
    Open,
    /// Where the dataflow function has failed, and a person is told why.
    Tell,
}

/// Its text never comes to an end.
#[derive(Debug)]
struct Endless;

impl std::fmt::Display for Endless {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        hang("tell")
    }
}

impl std::error::Error for Endless {}

fn first(line: &str) -> String {
    line.chars().take(1).collect()
}

fn number(n: &mut u64, line: String) -> (u64, String) {
    *n += 1;
    (*n, line)
}

#[dataflow]
fn slow(flow: &Flow, args: &Args) -> Result<(), Endless> {
    match args.hang {
        Some(Hang::Build) => hang("build"),
        Some(Hang::Tell) => return Err(Endless),
        _ => {}
    }
    let ballast = vec![1u8; args.ballast << 20];
    let (pause, padding) = (args.pause, args.padding);
    let lines = flow.source(Lines(TextLines::open(&args.input), args.hang));
    let lines = lines.inspect(move |_| {
        std::hint::black_box(&ballast);
        std::thread::sleep(Duration::from_millis(pause));
    });
    let numbered = lines.key_on(|line| first(line)).stateful_map(number);
    let lines = numbered.map(move |(_, (n, line))| format!("{line} {n}{}", "x".repeat(padding)));
    match &args.output {
        Some(path) => lines.sink(TextLines::write_to(path)),
        None => lines.sink(TextLines::stdout()),
    };
    Ok(())
}

struct Lines(TextLinesSource, Option<Hang>);

impl Source for Lines {
    type Item = String;
    type Token = <TextLinesSource as Source>::Token;
    type Reader = <TextLinesSource as Source>::Reader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        if self.1 == Some(Hang::List) {
            hang("list");
        }
        self.0.partitions()
    }

    fn open(&self, partition: &str, at: At<Self::Token>) -> Result<Self::Reader, SourceError> {
        if self.1 == Some(Hang::Open) {
            hang("open");
        }
        self.0.open(partition, at)
    }
}

fn hang(place: &str) -> ! {
    eprintln!("slow: hangs in {place}");
    loop {
        std::thread::park();
    }
}

fn main() -> ExitCode {
    flow::main(slow)
}
