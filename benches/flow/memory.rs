//! `-- --memory-over-time`: backpressure shown. The memory of three flows in which records can pile
//! up, over the records that have been read, as a picture.

use std::{
    fmt::Write as _,
    fs,
    hint::black_box,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
    time::{Duration, Instant},
};

use flow::{
    prelude::*,
    sink::{NoResume, OutputId, Shards, Sink, SinkError, SyncOutput, Writer},
    source::{At, Next, Reader, Source, SourceError},
};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    side::{Report, Scratch, Side, memory},
};

/// A flow in which records can pile up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Pile {
    /// One worker reads, the other writes, and is the slower one.
    SlowSink,
    /// The step behind the shuffle is slower than the source.
    SlowStep,
    /// All records are in one epoch.
    HugeEpoch,
}

/// A run over so many records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Piling {
    pub(crate) pile: Pile,
    pub(crate) records: u64,
}

/// What is slow takes so much for each record, several times what it takes to read one.
const SLOW: Duration = Duration::from_nanos(1000);

/// What a record holds beside its number.
const PAYLOAD: usize = 1000;

/// What may be in flight by default, as `Runner::in_flight` says: records.
const BUDGET: f64 = 100_000.0;

/// How often the memory is looked at in a run.
const SAMPLES: u64 = 200;

const MB: f64 = 1e6;

/// Runs the three flows and draws the picture.
pub(crate) fn draw(records: u64, picture: &Path, scratch: &Scratch) -> Result<()> {
    let mut lines = Vec::new();
    for (pile, label) in [
        (Pile::SlowSink, "slow sink"),
        (Pile::SlowStep, "slow stateful step"),
        (Pile::HugeEpoch, "one huge epoch"),
    ] {
        let report = Side::Piling(Piling { pile, records }).run(scratch)?;
        let own = |name| report.own.get(name).cloned().unwrap_or_default();
        let points: Vec<_> = own("records").into_iter().zip(own("memory")).collect();
        println!(
            "{label}: {records} records in {:.1} s, {:.0} MB at first, {:.0} MB at the end, {:.0} \
             MB at most",
            report.nanoseconds / 1e9,
            points.first().map_or(0.0, |(_, memory)| memory / MB),
            points.last().map_or(0.0, |(_, memory)| memory / MB),
            report.peak / MB,
        );
        lines.push((label, points));
    }
    fs::write(picture, svg(&lines, records as f64))?;
    println!("drawn in {}", picture.display());
    Ok(())
}

impl Piling {
    pub(crate) fn work(self, _: &Scratch) -> Result<Report> {
        let source = Numbers {
            to: self.records,
            samples: Arc::default(),
        };
        let samples = source.samples.clone();
        let runner = Runner::new(move |flow| piling(flow, self.pile, &source)).workers(2);
        let runner = match self.pile {
            Pile::HugeEpoch => runner.epochs(Epochs::every(Duration::from_secs(24 * 3600))),
            Pile::SlowSink | Pile::SlowStep => runner,
        };
        let start = Instant::now();
        let outcome = runner.run()?;
        let nanoseconds = start.elapsed().as_nanos() as f64;
        if outcome.records != self.records {
            return Err(format!("only {} records", outcome.records).into());
        }
        let mut report = Report {
            nanoseconds,
            ..Report::default()
        };
        let samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
        for (records, memory) in samples.iter() {
            for (name, value) in [("records", records), ("memory", memory)] {
                report.own.entry(name.to_owned()).or_default().push(*value);
            }
        }
        Ok(report)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Numbered {
    number: u64,
    payload: Vec<u8>,
}

fn key(numbered: &Numbered) -> u64 {
    numbered.number % 1000
}

fn count(count: &mut u64, numbered: Numbered) -> Numbered {
    *count += 1;
    numbered
}

fn slow_count(count: &mut u64, numbered: Numbered) -> Numbered {
    spin();
    *count += 1;
    numbered
}

fn spin() {
    let start = Instant::now();
    while start.elapsed() < SLOW {
        std::hint::spin_loop();
    }
}

#[dataflow]
fn piling(flow: &Flow, pile: Pile, source: &Numbers) {
    let numbers = flow.source(source.clone()).named("numbers").key_on(key);
    let counted = match pile {
        Pile::SlowStep => numbers.stateful_map(slow_count),
        Pile::SlowSink | Pile::HugeEpoch => numbers.stateful_map(count),
    };
    let slow = pile == Pile::SlowSink;
    counted.map(|(_, numbered)| numbered).sink(Drain { slow });
}

/// Numbers with a payload; notes what memory the process has.
#[derive(Clone)]
struct Numbers {
    to: u64,
    samples: Arc<Mutex<Vec<(f64, f64)>>>,
}

impl Source for Numbers {
    type Item = Numbered;
    type Token = u64;
    type Reader = NumbersReader;

    fn partitions(&self) -> std::result::Result<Vec<String>, SourceError> {
        Ok(vec!["numbers".to_owned()])
    }

    fn open(&self, _: &str, at: At<u64>) -> std::result::Result<NumbersReader, SourceError> {
        Ok(NumbersReader {
            numbers: self.clone(),
            next: at.token().unwrap_or(0),
            run: 0,
            sample: 0,
        })
    }
}

struct NumbersReader {
    numbers: Numbers,
    next: u64,
    run: u64,
    /// Where the next sample is due.
    sample: u64,
}

impl Reader for NumbersReader {
    type Item = Numbered;
    type Token = u64;

    fn read(
        &mut self,
        out: &mut Vec<Numbered>,
        _: &Waker,
    ) -> std::result::Result<Next, SourceError> {
        let Numbers { to, samples } = &self.numbers;
        if self.next >= self.sample {
            let memory =
                memory("VmRSS:").map_err(|error| SourceError::caused_by("memory", error))?;
            let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
            samples.push((self.next as f64, memory));
            self.sample += (to / SAMPLES).max(1);
        }
        self.run = (to - self.next).min(256);
        out.extend((self.next..self.next + self.run).map(|number| Numbered {
            number,
            payload: vec![1; PAYLOAD],
        }));
        self.next += self.run;
        Ok(if self.next == *to {
            Next::End
        } else {
            Next::Ready
        })
    }

    fn token(&self, index: usize) -> u64 {
        self.next - self.run + index as u64
    }

    fn batch_bytes(&self) -> usize {
        PAYLOAD * self.run as usize
    }
}

/// One output, which is on the worker that does not read.
struct Drain {
    slow: bool,
}

impl Sink for Drain {
    type Item = Numbered;
    type Position = NoResume;
    type Writer = DrainWriter;

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(
        &self,
        _: &OutputId,
        _: Option<NoResume>,
    ) -> std::result::Result<DrainWriter, SinkError> {
        Ok(DrainWriter { slow: self.slow })
    }
}

struct DrainWriter {
    slow: bool,
}

impl Writer for DrainWriter {
    type Item = Numbered;
    type Position = NoResume;

    fn position(&self) -> NoResume {
        NoResume
    }

    fn write(&mut self, items: &mut Vec<Numbered>) -> std::result::Result<(), SinkError> {
        for item in items.drain(..) {
            black_box(&item.payload);
            if self.slow {
                spin();
            }
        }
        Ok(())
    }

    fn close_epoch(&mut self) -> std::result::Result<(NoResume, Option<SyncOutput>), SinkError> {
        Ok((NoResume, None))
    }
}

type Line = (&'static str, Vec<(f64, f64)>);

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
/// The axes end here.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 480.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 235.0;
const COLORS: [&str; 3] = ["#1f77b4", "#d62728", "#2ca02c"];

/// Draws the lines, and what the budget allows above the memory at the start.
fn svg(lines: &[Line], records: f64) -> String {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let first = lines.iter().filter_map(|(_, points)| points.first());
    let start = first
        .map(|(_, memory)| *memory)
        .fold(f64::INFINITY, f64::min);
    let budget = start + BUDGET * (PAYLOAD + size_of::<Numbered>()) as f64;
    let most = points().map(|(_, memory)| *memory).fold(budget, f64::max);
    let step = [
        10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0,
    ]
    .map(|step| step * MB)
    .into_iter()
    .find(|step| most / step <= 5.0)
    .unwrap_or(most);
    let top = (most / step).ceil() * step;
    let x = |at: f64| LEFT + (RIGHT - LEFT) * at / records;
    let y = |memory: f64| BOTTOM - (BOTTOM - TOP) * memory / top;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let mut put = |text: String| {
        // A text takes everything.
        let _ = writeln!(svg, "{text}");
    };
    let mut height = 0.0;
    while height <= top {
        let (at, label) = (y(height), height / MB);
        put(format!(
            "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label:.0}</text>",
            LEFT - 6.0,
            at + 4.0
        ));
        height += step;
    }
    for part in 0..=4 {
        let at = records * f64::from(part) / 4.0;
        put(format!(
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(at),
            BOTTOM + 18.0,
            at / 1e6
        ));
    }
    put(format!(
        "<path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" fill=\"none\" stroke=\"black\"/>"
    ));
    put(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">millions of records read</text>",
        f64::midpoint(LEFT, RIGHT),
        HEIGHT - 8.0
    ));
    let middle = f64::midpoint(TOP, BOTTOM);
    put(format!(
        "<text transform=\"translate(16 {middle}) rotate(-90)\" text-anchor=\"middle\">resident \
         memory, MB</text>"
    ));
    let at = y(budget);
    put(format!(
        "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"black\" stroke-dasharray=\"5 4\"/>\
         <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">100,000 records in flight</text>",
        RIGHT - 6.0,
        at - 6.0
    ));
    let mut ends: Vec<f64> = Vec::new();
    for ((label, points), color) in lines.iter().zip(COLORS) {
        let path: Vec<String> = points
            .iter()
            .map(|(at, memory)| format!("{:.1} {:.1}", x(*at), y(*memory)))
            .collect();
        // Labels that would lie on each other go up.
        let mut end = points.last().map_or(BOTTOM, |(_, memory)| y(*memory));
        while let Some(other) = ends.iter().find(|other| (**other - end).abs() < 14.0) {
            end = other - 14.0;
        }
        ends.push(end);
        put(format!(
            "<path d=\"M{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>\
             <text x=\"{}\" y=\"{:.1}\" fill=\"{color}\">{label}</text>",
            path.join("L"),
            RIGHT + 6.0,
            end + 4.0
        ));
    }
    svg + "</svg>\n"
}
