//! Random input and its source. The source has partitions, pauses, and an index as its token.
//! Alternatively the input is files with a line for each moment, which is blank if there is no
//! record.

use std::{fs, path::Path, sync::Arc, task::Waker, thread, time::Duration};

use flow::{
    Clock,
    source::{self, Excerpt, Next, Reader, Source, SourceError},
};
use proptest::{collection::vec, prelude::*};

use crate::{case::Size, description::Item, faults::Probe};

/// A record or an action of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Record(u64),
    /// There is nothing to read until the waker is woken by another thread.
    Idle,
    /// There is nothing to read for this many milliseconds.
    Wait(u64),
    /// This many milliseconds pass.
    Tick(u64),
    /// The reader asks to be read again.
    Again,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    moments: Vec<Moment>,
    /// How often all of them are repeated.
    times: usize,
    /// How many records are read at a time.
    batch: usize,
}

impl Partition {
    /// Only these records.
    pub(crate) fn of(records: impl IntoIterator<Item = u64>) -> Self {
        Partition {
            moments: records.into_iter().map(Moment::Record).collect(),
            times: 1,
            batch: 1,
        }
    }

    fn len(&self) -> usize {
        self.moments.len() * self.times
    }

    fn moment(&self, index: usize) -> Option<Moment> {
        (index < self.len()).then(|| self.moments[index % self.moments.len()])
    }

    /// The records before a token.
    pub(crate) fn records(&self, token: usize) -> impl Iterator<Item = u64> {
        let moments = self.moments.iter().cycle().take(token);
        moments.filter_map(|moment| match moment {
            Moment::Record(n) => Some(*n),
            _ => None,
        })
    }
}

/// The partitions of each source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) sources: Vec<Vec<Partition>>,
    /// Which of the sources read files.
    files: Vec<bool>,
}

impl Input {
    /// One source with one partition.
    pub(crate) fn of(partition: Partition) -> Self {
        Input {
            sources: vec![vec![partition]],
            files: vec![false],
        }
    }

    pub(crate) fn is_file(&self, source: usize) -> bool {
        self.files[source]
    }

    /// Writes the files.
    pub(crate) fn write(&self, directory: &Path) {
        for (source, index, partition) in self.partitions() {
            if !self.is_file(source) {
                continue;
            }
            let lane = lane(source, index);
            let moments = (0..partition.len()).filter_map(|at| partition.moment(at));
            let lines = moments.map(|moment| match moment {
                Moment::Record(n) => {
                    let lane = lane.clone();
                    serde_json::to_string(&Item { lane, n }).unwrap() + "\n"
                }
                _ => "\n".to_owned(),
            });
            fs::write(directory.join(&lane), lines.collect::<String>()).unwrap();
        }
    }

    /// Every partition, with its index.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (usize, usize, &Partition)> {
        let sources = self.sources.iter().enumerate();
        sources.flat_map(|(source, partitions)| {
            let partitions = partitions.iter().enumerate();
            partitions.map(move |(index, partition)| (source, index, partition))
        })
    }

    /// The tokens of the end.
    pub(crate) fn end(&self) -> Tokens {
        let ends = |partitions: &Vec<Partition>| partitions.iter().map(Partition::len).collect();
        Tokens(self.sources.iter().map(ends).collect())
    }
}

/// How far each partition of each source has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens(pub(crate) Vec<Vec<usize>>);

impl Tokens {
    pub(crate) fn start(input: &Input) -> Self {
        Tokens(
            input
                .sources
                .iter()
                .map(|source| vec![0; source.len()])
                .collect(),
        )
    }

    pub(crate) fn of(&self, source: usize, partition: usize) -> usize {
        self.0[source][partition]
    }

    pub(crate) fn have_reached(&self, other: &Tokens) -> bool {
        let (ours, theirs) = (self.0.iter().flatten(), other.0.iter().flatten());
        ours.zip(theirs).all(|(ours, theirs)| ours >= theirs)
    }

    /// The number of records before them.
    pub(crate) fn records(&self, input: &Input) -> u64 {
        let partitions = input.partitions();
        let records = partitions
            .map(|(source, index, partition)| partition.records(self.of(source, index)).count());
        records.sum::<usize>() as u64
    }
}

/// The name of a partition, which is the lane of its records.
pub(crate) fn lane(source: usize, partition: usize) -> String {
    let source = ["a", "b", "c"][source];
    format!("{source}{partition}")
}

/// The lane of the records of a partition: a file's is its name.
pub(crate) fn lane_of(partition: &str) -> &str {
    partition.rsplit('/').next().unwrap_or_default()
}

pub(crate) struct Scripted {
    pub(crate) source: usize,
    pub(crate) node: usize,
    pub(crate) input: Arc<Input>,
    pub(crate) clock: Clock,
    pub(crate) probe: Arc<Probe>,
}

pub(crate) struct ScriptedReader {
    lane: String,
    script: Partition,
    node: usize,
    clock: Clock,
    probe: Arc<Probe>,
    /// The positions of the records of the last batch.
    starts: Vec<usize>,
    next: usize,
    /// Whether the run has begun: a token that panics before is a start that is refused.
    reads: bool,
}

impl Source for Scripted {
    type Item = Item;
    type Token = u64;
    type Reader = ScriptedReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        let partitions = 0..self.input.sources[self.source].len();
        Ok(partitions.map(|index| lane(self.source, index)).collect())
    }

    fn open(&self, name: &str, at: source::At<u64>) -> Result<ScriptedReader, SourceError> {
        let partitions = &self.input.sources[self.source];
        let index = (0..partitions.len()).find(|index| lane(self.source, *index) == name);
        let script = &partitions[index.ok_or_else(|| SourceError::new("no such partition"))?];
        let next = usize::try_from(at.token().unwrap_or(0)).unwrap();
        if next > script.len() {
            return Err(SourceError::new("the token is behind the end"));
        }
        Ok(ScriptedReader {
            lane: name.to_owned(),
            script: script.clone(),
            node: self.node,
            clock: self.clock.clone(),
            probe: self.probe.clone(),
            starts: Vec::new(),
            next,
            reads: false,
        })
    }
}

impl Reader for ScriptedReader {
    type Item = Item;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<Item>, waker: &Waker) -> Result<Next, SourceError> {
        self.starts.clear();
        self.reads = true;
        while let Some(moment) = self.script.moment(self.next) {
            match moment {
                Moment::Record(_) if self.starts.len() == self.script.batch => {
                    return Ok(Next::Ready);
                }
                Moment::Record(n) => {
                    self.probe.read(self.node)?;
                    self.starts.push(self.next);
                    let lane = self.lane.clone();
                    out.push(Item { lane, n });
                }
                Moment::Idle => {
                    self.next += 1;
                    let waker = waker.clone();
                    thread::spawn(move || waker.wake());
                    return Ok(Next::Idle);
                }
                Moment::Wait(millis) => {
                    self.next += 1;
                    let (clock, by) = (self.clock.clone(), Duration::from_millis(millis));
                    let until = clock.now() + by;
                    thread::spawn(move || clock.advance(by));
                    return Ok(Next::IdleUntil(until));
                }
                Moment::Tick(millis) => self.clock.advance(Duration::from_millis(millis)),
                Moment::Again => {
                    self.next += 1;
                    return Ok(Next::Ready);
                }
            }
            self.next += 1;
        }
        Ok(Next::End)
    }

    fn token(&self, index: usize) -> u64 {
        if self.reads {
            self.probe.token(self.node);
        }
        self.starts.get(index).copied().unwrap_or(self.next) as u64
    }

    fn excerpt(&mut self, at: &u64) -> Option<Excerpt> {
        Some(Excerpt {
            position: at.to_string(),
            line: None,
            text: None,
        })
    }
}

fn moment(size: Size) -> impl Strategy<Value = Moment> {
    let records = match size {
        Size::Small => 16,
        Size::Large => 400, // long ways without a pause
    };
    prop_oneof![
        records => (0u64..40).prop_map(Moment::Record),
        1 => Just(Moment::Idle),
        1 => (1u64..30).prop_map(Moment::Wait),
        1 => (1u64..30).prop_map(Moment::Tick),
        1 => Just(Moment::Again),
    ]
}

/// Input of one to three sources.
pub(crate) fn input(size: Size) -> impl Strategy<Value = Input> {
    let (moments, times, batch) = match size {
        Size::Small => (
            0usize..16,
            1usize..2,
            prop_oneof![1usize..2, 1usize..6, 32usize..33],
        ),
        Size::Large => (
            0usize..24,
            20usize..120,
            prop_oneof![32usize..33, 500usize..501, 4000usize..4001],
        ),
    };
    let partition = (vec(moment(size), moments), times, batch);
    let partition = partition.prop_map(|(moments, times, batch)| Partition {
        moments,
        times,
        batch,
    });
    let source = (vec(partition, 1..4), proptest::bool::weighted(0.3));
    vec(source, 1..4).prop_map(|sources| {
        let (sources, files) = sources.into_iter().unzip();
        Input { sources, files }
    })
}
