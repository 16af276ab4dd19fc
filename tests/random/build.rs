//! Builds the flow of a description, with the API of users.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use flow::{
    Clock, Flow, JsonLines, KeyedStream, OnError, Stream, TextLines,
    sink::{CollectSink, Shards},
};

use crate::{
    description::{
        Description, Fold, Item, Method, Op, SinkKind, State, copies, divides, id, mapped,
    },
    faults::Probe,
    input::{Input, Scripted, lane},
    tape::{Tape, TapeSink},
};

/// The inputs and outputs of a flow.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) input: Arc<Input>,
    /// The directory of its files, inputs included.
    pub(crate) directory: PathBuf,
    pub(crate) tapes: BTreeMap<usize, Tape>,
    pub(crate) collects: BTreeMap<usize, CollectSink<Item>>,
}

/// The file of a sink.
pub(crate) fn file(directory: &Path, node: usize) -> PathBuf {
    directory.join(id(node))
}

/// Why a step fails.
fn bad(n: u64) -> String {
    format!("{n} is bad")
}

enum Made {
    Plain(Stream<Item>),
    Keyed(KeyedStream<String, Item>),
}

impl Made {
    fn plain(self) -> Stream<Item> {
        match self {
            Made::Plain(stream) => stream,
            Made::Keyed(_) => panic!("a description takes the key away first"),
        }
    }

    fn keyed(self) -> KeyedStream<String, Item> {
        match self {
            Made::Keyed(stream) => stream,
            Made::Plain(_) => panic!("a description gives a key first"),
        }
    }
}

/// Streams that wait for their consumers, and how many each still gets.
#[derive(Default)]
struct Streams(BTreeMap<usize, (Made, usize)>);

impl Streams {
    /// A stream for one of its consumers: a clone for all but the last.
    fn take(&mut self, node: usize) -> Made {
        let (made, left) = self.0.get_mut(&node).unwrap();
        *left -= 1;
        match made {
            Made::Plain(stream) if *left > 0 => Made::Plain(stream.clone()),
            Made::Keyed(stream) if *left > 0 => Made::Keyed(stream.clone()),
            _ => self.0.remove(&node).unwrap().0,
        }
    }
}

pub(crate) fn build(
    flow: &Flow,
    description: &Description,
    outside: &Outside,
    clock: &Clock,
    probe: &Arc<Probe>,
) {
    let mut streams = Streams::default();
    for (node, step) in description.nodes.iter().enumerate() {
        let asked = probe.clone();
        let mut input = || streams.take(step.of);
        let made = match step.op {
            Op::Source(source) if outside.input.is_file(source) => {
                let files = 0..outside.input.sources[source].len();
                let files = files.map(|index| outside.directory.join(lane(source, index)));
                Made::Plain(flow.source(JsonLines::open_all::<Item>(files)))
            }
            Op::Source(source) => Made::Plain(flow.source(Scripted {
                source,
                node,
                input: outside.input.clone(),
                clock: clock.clone(),
                probe: asked,
            })),
            Op::Map(by) => Made::Plain(input().plain().map(move |item: Item| {
                asked.pass(node);
                let n = mapped(item.n, by);
                Item { n, ..item }
            })),
            Op::Inspect => Made::Plain(input().plain().inspect(move |_| asked.pass(node))),
            Op::Filter(m) => Made::Plain(input().plain().filter(move |item| {
                asked.pass(node);
                !divides(m, item.n)
            })),
            Op::FilterMap(m) => Made::Plain(input().plain().filter_map(move |item| {
                asked.pass(node);
                let n = mapped(item.n, m);
                (!divides(m, item.n)).then_some(Item { n, ..item })
            })),
            Op::FlatMap => Made::Plain(input().plain().flat_map(move |item| {
                asked.pass(node);
                (0..copies(item.n)).map(move |copy| Item {
                    n: mapped(item.n, copy),
                    ..item.clone()
                })
            })),
            Op::TryMap(m) => Made::Plain(input().plain().try_map(move |item| {
                asked.pass(node);
                if divides(m, item.n) && asked.has_bug(node) {
                    return Err(bad(item.n));
                }
                Ok(item)
            })),
            Op::SkipBad(m) => {
                let check = move |item: Item| {
                    asked.pass(node);
                    (!divides(m, item.n)).then_some(item).ok_or("skipped")
                };
                Made::Plain(input().plain().try_map_with(check, OnError::Skip))
            }
            Op::OrDead(m) => {
                let check = move |item: Item| {
                    asked.pass(node);
                    let is_bad = divides(m, item.n);
                    if is_bad { Err(item.n) } else { Ok(item) }
                };
                let (good, dead) = input().plain().try_map_or_dead(check);
                let dead = dead.map(|dead| Item {
                    n: mapped(dead.cause, 1),
                    ..dead.record
                });
                let takers = description.consumers(node + 1).len();
                streams.0.insert(node + 1, (Made::Plain(dead), takers));
                Made::Plain(good)
            }
            Op::Branch(m) => {
                let (good, bad) = input().plain().branch(move |item| {
                    asked.pass(node);
                    !divides(m, item.n)
                });
                let takers = description.consumers(node + 1).len();
                streams.0.insert(node + 1, (Made::Plain(bad), takers));
                Made::Plain(good)
            }
            Op::Dead => continue,
            Op::Merge(with) => {
                let (one, other) = (streams.take(step.of), streams.take(with));
                match (one, other) {
                    (Made::Keyed(one), Made::Keyed(other)) => Made::Keyed(one.merge(other)),
                    (one, other) => Made::Plain(one.plain().merge(other.plain())),
                }
            }
            Op::Tag(tag) => Made::Plain(input().plain().map(move |item: Item| {
                asked.pass(node);
                let lane = format!("{}{tag}", item.lane);
                Item { lane, ..item }
            })),
            Op::KeyOn(key) => Made::Keyed(input().plain().key_on(move |item| {
                asked.pass(node);
                key.of(item)
            })),
            Op::MapValues(by) => Made::Keyed(input().keyed().map_values(move |item: Item| {
                asked.pass(node);
                let n = mapped(item.n, by);
                Item { n, ..item }
            })),
            Op::FilterValues(m) => Made::Keyed(input().keyed().filter_values(move |item| {
                asked.pass(node);
                !divides(m, item.n)
            })),
            Op::FilterMapValues(m) => {
                Made::Keyed(input().keyed().filter_map_values(move |item: Item| {
                    asked.pass(node);
                    let n = mapped(item.n, m);
                    (!divides(m, item.n)).then_some(Item { n, ..item })
                }))
            }
            Op::Unkey => Made::Plain(input().keyed().map(move |(lane, item): (String, Item)| {
                asked.pass(node);
                Item { lane, n: item.n }
            })),
            Op::Fold(
                fold @ Fold {
                    method: Method::Dead(m),
                    ..
                },
            ) => {
                let add = move |state: &mut State, item: Item| {
                    asked.pass(node);
                    let n = fold.add(state, item.n);
                    if fold.fails(m, state, item.n) {
                        return Err(item.n);
                    }
                    Ok(Item { n, ..item })
                };
                let (good, dead) = input().keyed().stateful().or_dead().map(add);
                let dead = dead.map(|dead| Item {
                    lane: dead.record.0,
                    n: mapped(dead.cause, 1),
                });
                let takers = description.consumers(node + 1).len();
                streams.0.insert(node + 1, (Made::Plain(dead), takers));
                Made::Keyed(good)
            }
            Op::Fold(fold) => Made::Keyed(stateful(input().keyed(), fold, node, asked)),
            Op::Sink(kind) => {
                sink(input().plain(), kind, node, outside, asked);
                continue;
            }
        };
        let made = match made {
            Made::Plain(stream) => Made::Plain(stream.named(id(node))),
            Made::Keyed(stream) => Made::Keyed(stream.named(id(node))),
        };
        let takers = description.consumers(node).len();
        streams.0.insert(node, (made, takers));
    }
}

fn stateful(
    stream: KeyedStream<String, Item>,
    fold: Fold,
    node: usize,
    asked: Arc<Probe>,
) -> KeyedStream<String, Item> {
    match fold.method {
        Method::Map => stream.stateful_map(move |state: &mut State, item: Item| {
            asked.pass(node);
            let n = fold.add(state, item.n);
            Item { n, ..item }
        }),
        Method::WithKey => {
            stream.stateful_map_with_key(move |key: &String, state: &mut State, item: Item| {
                asked.pass(node);
                let n = fold.add(state, item.n) + key.len() as u64;
                Item { n, ..item }
            })
        }
        Method::Opt => stream.stateful_map_opt(move |state: &mut Option<State>, item: Item| {
            asked.pass(node);
            let n = fold.pair(state, item.n);
            Item { n, ..item }
        }),
        Method::Many => stream.stateful_flat_map(move |state: &mut State, item: Item| {
            asked.pass(node);
            let n = fold.add(state, item.n);
            (0..copies(n)).map(move |copy| Item {
                n: mapped(n, copy),
                ..item.clone()
            })
        }),
        // It has two streams.
        Method::Dead(_) => unreachable!(),
        Method::Skip(m) => {
            let add = move |state: &mut State, item: Item| {
                asked.pass(node);
                let n = fold.add(state, item.n);
                if fold.fails(m, state, item.n) {
                    return Err("skipped");
                }
                Ok(Item { n, ..item })
            };
            stream.try_stateful_map_with(add, OnError::Skip)
        }
        Method::Try(m) => stream.try_stateful_map(move |state: &mut State, item: Item| {
            asked.pass(node);
            let n = fold.add(state, item.n);
            if fold.fails(m, state, item.n) && asked.has_bug(node) {
                return Err(bad(item.n));
            }
            Ok(Item { n, ..item })
        }),
    }
}

fn sink(stream: Stream<Item>, kind: SinkKind, node: usize, outside: &Outside, asked: Arc<Probe>) {
    let path = file(&outside.directory, node);
    let tape = |shards| TapeSink {
        tape: outside.tapes[&node].clone(),
        shards,
        node,
        probe: asked,
    };
    let step = match kind {
        SinkKind::JsonFile => stream.sink(JsonLines::write_to(path)),
        SinkKind::TextFile => stream.sink(TextLines::write_to(path)),
        SinkKind::Tape => stream.sink(tape(Shards::One)),
        SinkKind::TapePerWorker => stream.sink(tape(Shards::PerWorker)),
        SinkKind::Collect => stream.sink(outside.collects[&node].clone()),
    };
    step.named(id(node));
}
