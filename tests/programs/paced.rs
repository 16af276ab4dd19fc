//! Run by the tests of this project (`tests/kill`): a flow that is slow enough to be killed while
//! it works.
//!
//! Each partition of its source emits the numbers from 0 on, one per interval. Each number goes to
//! one of five keys of its partition. The running total of a key shows every number that was lost,
//! repeated or out of order.

use std::{
    path::PathBuf,
    task::Waker,
    time::{Duration, Instant},
};

use flow::{
    prelude::*,
    source::{At, Next, Reader, Source, SourceError},
};

#[derive(Clone, Debug, clap::Args)]
struct Args {
    /// How many partitions there are
    #[arg(long, default_value_t = 6)]
    partitions: usize,

    /// How many records each partition has
    #[arg(long, default_value_t = 500)]
    records: u64,

    /// How many microseconds there are between two records of a partition
    #[arg(long, default_value_t = 6000)]
    interval: u64,

    /// Wait for ever behind this many records of each partition
    #[arg(long)]
    upto: Option<u64>,

    /// Hang for ever where it opens a partition, or where it first reads one
    #[arg(long)]
    hang: Option<Hang>,

    /// How many bytes to make each line longer by
    #[arg(long, default_value_t = 0)]
    padding: usize,

    /// Where the results go
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Hang {
    Open,
    Read,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Number {
    key: String,
    n: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Totals {
    count: u64,
    sum: u64,
    /// Depends on the order too.
    hash: u64,
}

#[derive(Serialize)]
struct Line {
    key: String,
    n: u64,
    #[serde(flatten)]
    totals: Totals,
    padding: String,
}

fn key(number: &Number) -> String {
    number.key.clone()
}

fn totals(totals: &mut Totals, number: Number) -> (u64, Totals) {
    totals.count += 1;
    totals.sum += number.n;
    totals.hash = totals.hash.wrapping_mul(31).wrapping_add(number.n + 1) % (1 << 50);
    (number.n, totals.clone())
}

#[dataflow]
fn paced(flow: &Flow, args: &Args) {
    let padding = args.padding;
    let numbers = flow.source(Numbers(args.clone()));
    let lines = numbers
        .key_on(key)
        .stateful_map(totals)
        .map(move |(key, (n, totals))| Line {
            key,
            n,
            totals,
            padding: "x".repeat(padding),
        });
    match &args.output {
        Some(path) => lines.sink(JsonLines::write_to(path)),
        None => lines.sink(JsonLines::stdout()),
    };
}

struct Numbers(Args);

impl Source for Numbers {
    type Item = Number;
    type Token = u64;
    type Reader = NumbersReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok((0..self.0.partitions).map(|p| format!("p{p}")).collect())
    }

    fn open(&self, partition: &str, at: At<u64>) -> Result<NumbersReader, SourceError> {
        if self.0.hang == Some(Hang::Open) {
            hang("open");
        }
        let first = at.token().unwrap_or(0);
        Ok(NumbersReader {
            args: self.0.clone(),
            partition: partition.to_owned(),
            opened: Instant::now(),
            first,
            batch: first,
            next: first,
        })
    }
}

struct NumbersReader {
    args: Args,
    partition: String,
    opened: Instant,
    /// The number at which it was opened, the first number of the last batch, and the next number.
    first: u64,
    batch: u64,
    next: u64,
}

impl NumbersReader {
    fn due(&self, n: u64) -> Instant {
        self.opened + Duration::from_micros(self.args.interval * (n - self.first))
    }
}

impl Reader for NumbersReader {
    type Item = Number;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<Number>, _: &Waker) -> Result<Next, SourceError> {
        if self.args.hang == Some(Hang::Read) {
            hang("read");
        }
        self.batch = self.next;
        let now = Instant::now();
        let upto = self.args.upto.unwrap_or(u64::MAX);
        while self.next < self.args.records.min(upto) && self.due(self.next) <= now {
            if out.len() == 256 {
                return Ok(Next::Ready);
            }
            out.push(Number {
                key: format!("{}/{}", self.partition, self.next % 5),
                n: self.next,
            });
            self.next += 1;
        }
        Ok(if self.next >= self.args.records {
            Next::End
        } else if self.next >= upto {
            Next::Idle
        } else {
            Next::IdleUntil(self.due(self.next))
        })
    }

    fn token(&self, index: usize) -> u64 {
        self.batch + index as u64
    }
}

fn hang(place: &str) -> ! {
    eprintln!("paced: hangs in {place}");
    loop {
        std::thread::park();
    }
}

fn main() -> ExitCode {
    flow::main(paced)
}
