//! Run with `cargo run --example custom_source`: a custom source and a custom sink, both of which
//! resume where they stopped.
//!
//! The source reads a queue of readings; the sink keeps the highest reading of each sensor in a
//! file that is replaced as a whole. The flow is stopped in the middle and run again.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

use flow::{
    prelude::*,
    sink::{Guarantee, Output, OutputId, Shards, Sink, SinkError, SyncOutput, Writer},
    source::{At, Excerpt, Next, Reader, Source, SourceError},
};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reading {
    sensor: String,
    celsius: f64,
}

/// A queue that keeps its messages and lets a consumer read from any offset, as brokers do. Each
/// topic is a partition.
#[derive(Clone, Default)]
struct Broker(Arc<Mutex<BTreeMap<String, Vec<Reading>>>>);

impl Broker {
    fn send(&self, topic: &str, sensor: &str, celsius: f64) {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic.to_owned()).or_default().push(Reading {
            sensor: sensor.to_owned(),
            celsius,
        });
    }

    /// Up to `most` messages of a topic from an offset on.
    fn fetch(&self, topic: &str, offset: usize, most: usize) -> Vec<Reading> {
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = topics.get(topic).map_or(&[][..], Vec::as_slice);
        messages.iter().skip(offset).take(most).cloned().collect()
    }

    fn topics(&self) -> Vec<String> {
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.keys().cloned().collect()
    }
}

/// The readings of a broker. Its token is the offset of the next message.
#[derive(Clone)]
struct BrokerSource {
    broker: Broker,
}

impl Source for BrokerSource {
    type Item = Reading;
    type Token = usize;
    type Reader = TopicReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.broker.topics())
    }

    fn open(&self, topic: &str, at: At<usize>) -> Result<TopicReader, SourceError> {
        Ok(TopicReader {
            broker: self.broker.clone(),
            topic: topic.to_owned(),
            next: at.token().unwrap_or(0),
            batch: 0,
        })
    }
}

struct TopicReader {
    broker: Broker,
    topic: String,
    /// The offset of the next unread message.
    next: usize,
    /// The size of the last batch.
    batch: usize,
}

impl Reader for TopicReader {
    type Item = Reading;
    type Token = usize;

    fn read(&mut self, out: &mut Vec<Reading>, _: &Waker) -> Result<Next, SourceError> {
        out.extend(self.broker.fetch(&self.topic, self.next, 100));
        self.batch = out.len();
        self.next += self.batch;
        // A source that waits for more would return `Next::Idle` and wake the waker.
        Ok(if self.batch == 0 {
            Next::End
        } else {
            Next::Ready
        })
    }

    fn token(&self, index: usize) -> usize {
        self.next - self.batch + index
    }

    fn excerpt(&mut self, offset: &usize) -> Option<Excerpt> {
        let message = self.broker.fetch(&self.topic, *offset, 1).pop()?;
        Some(Excerpt {
            position: format!("offset {offset}"),
            line: None,
            text: Some(format!("{message:?}")),
        })
    }
}

/// A file with the latest record of each sensor. Its position is the whole table. So a run resumes
/// with the table of the last durable epoch, whatever the file shows.
#[derive(Clone)]
struct TableFile {
    path: PathBuf,
}

type Table = BTreeMap<String, f64>;

impl Sink for TableFile {
    type Item = (String, f64);
    type Position = Table;
    type Writer = TableWriter;

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn output(&self) -> Option<Output> {
        Some(Output::File(self.path.clone()))
    }

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, resume: Option<Table>) -> Result<TableWriter, SinkError> {
        Ok(TableWriter {
            path: self.path.clone(),
            table: resume.unwrap_or_default(),
        })
    }
}

struct TableWriter {
    path: PathBuf,
    table: Table,
}

impl Writer for TableWriter {
    type Item = (String, f64);
    type Position = Table;

    fn position(&self) -> Table {
        self.table.clone()
    }

    fn start(&mut self) -> Result<(), SinkError> {
        write_table(&self.path, &self.table)
            .map_err(|error| SinkError::caused_by(self.path.display(), error))
    }

    fn write(&mut self, items: &mut Vec<(String, f64)>) -> Result<(), SinkError> {
        self.table.extend(items.drain(..));
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(Table, Option<SyncOutput>), SinkError> {
        // Writing and syncing are slow, so the thread that commits does them.
        let (path, table) = (self.path.clone(), self.table.clone());
        let sync = SyncOutput::new(move || write_table(&path, &table));
        Ok((self.table.clone(), Some(sync)))
    }
}

/// Replaces the file as a whole: a reader sees one table or the next.
fn write_table(path: &Path, table: &Table) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    for (sensor, celsius) in table {
        writeln!(file, "{sensor} {celsius}")?;
    }
    file.sync_all()?;
    fs::rename(new, path)
}

fn sensor(reading: &Reading) -> String {
    reading.sensor.clone()
}

fn highest(so_far: &mut Option<f64>, reading: Reading) -> f64 {
    let highest = so_far.map_or(reading.celsius, |so_far| so_far.max(reading.celsius));
    *so_far = Some(highest);
    highest
}

#[dataflow]
fn highest_readings(flow: &Flow, broker: &Broker, path: &Path) {
    let readings = flow.source(BrokerSource {
        broker: broker.clone(),
    });
    let highest = readings.key_on(sensor).stateful_map_opt(highest);
    highest.map(|pair| pair).sink(TableFile {
        path: path.to_owned(),
    });
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("highest.txt");
    let broker = Broker::default();
    let run = |workers: usize| -> Result<(), Box<dyn std::error::Error>> {
        let (broker, output) = (broker.clone(), path.clone());
        let outcome = Runner::new(move |flow| highest_readings(flow, &broker, &output))
            .workers(workers)
            .recover(Recovery::at(directory.path().join("state")))
            .run()?;
        println!("{outcome}\n{}", fs::read_to_string(&path)?);
        Ok(())
    };

    for (topic, sensor, celsius) in [
        ("north", "roof", 21.5),
        ("south", "cellar", 12.0),
        ("north", "roof", 24.0),
    ] {
        broker.send(topic, sensor, celsius);
    }
    run(1)?;

    println!("There are new readings. The run resumes after the old ones, now with two workers:");
    broker.send("south", "cellar", 11.0);
    broker.send("north", "roof", 23.0);
    broker.send("south", "attic", 30.5);
    run(2)
}
