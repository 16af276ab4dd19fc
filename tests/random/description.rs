//! Random flows as data: a list of steps, each after an earlier one, and the computations of their
//! functions.
//!
//! A description yields two things: the flow itself (`build`) and its expected results
//! (`reference`). The results of every description depend neither on time nor on the number of
//! workers. To ensure this, a record carries its *lane*, the path that it took. Records of one lane
//! have one order. A key that is made from the lane keeps them in order. After a key that combines
//! lanes, the work of steps does not depend on the order.

use std::fmt;

use flow::prelude::{Deserialize, Serialize};
use proptest::{collection::vec, prelude::*};

/// A record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) lane: String,
    pub(crate) n: u64,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.lane, self.n)
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The state of every stateful step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

/// Numbers stay small, so that they are readable.
const MODULUS: u64 = 1000;

pub(crate) fn mapped(n: u64, by: u64) -> u64 {
    (n * 3 + by) % MODULUS
}

pub(crate) fn divides(m: u64, n: u64) -> bool {
    n.is_multiple_of(m)
}

/// How often a `flat_map` emits a record.
pub(crate) fn copies(n: u64) -> u64 {
    n % 3
}

/// How records get their key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The lane and a remainder: the records of a key have one order.
    Within(u64),
    /// Only a remainder: a key has records of many lanes.
    Across(u64),
}

impl Key {
    pub(crate) fn of(self, item: &Item) -> String {
        match self {
            Key::Within(m) => format!("{}.{}", item.lane, item.n % m),
            Key::Across(m) => format!("{}", item.n % m),
        }
    }
}

/// A stateful step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(crate) method: Method,
    /// Whether state and results depend on the order of the records.
    pub(crate) in_order: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Map,
    WithKey,
    /// Forgets the key at every second record.
    Opt,
    /// Emits a number of results that depends on the first.
    Many,
    /// Fails, and skips the record.
    Skip(u64),
    /// Fails, and sends the record to a second stream.
    Dead(u64),
    /// Fails in runs with a bug in this step.
    Try(u64),
}

impl Fold {
    /// Adds a number to the state, and returns the result.
    pub(crate) fn add(self, state: &mut State, n: u64) -> u64 {
        state.count += 1;
        if self.in_order {
            state.sum = (state.sum * 31 + n) % 1_000_003;
            state.sum % MODULUS
        } else {
            state.sum += n;
            n
        }
    }

    /// Whether `add` of a number, which has led to this state, was a failure.
    pub(crate) fn fails(self, m: u64, state: &State, n: u64) -> bool {
        divides(m, if self.in_order { state.sum } else { n })
    }

    /// Keeps every other number until the next one comes.
    pub(crate) fn pair(self, waiting: &mut Option<State>, n: u64) -> u64 {
        let sum = if self.in_order { n } else { 0 };
        match waiting.take() {
            None => {
                *waiting = Some(State { count: 1, sum });
                n
            }
            Some(first) if self.in_order => (first.sum * 31 + n) % MODULUS,
            Some(_) => n,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SinkKind {
    JsonFile,
    TextFile,
    /// The sink of the tests: exactly once, in memory.
    Tape,
    /// The same with an output for each worker.
    TapePerWorker,
    /// `sink::collect`: at least once.
    Collect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Source(usize),
    Map(u64),
    Inspect,
    Filter(u64),
    FilterMap(u64),
    FlatMap,
    /// Fails in runs with a bug in this step.
    TryMap(u64),
    SkipBad(u64),
    OrDead(u64),
    Branch(u64),
    /// The second stream of the step before it, an `OrDead`, `Branch` or `Fold`.
    Dead,
    Merge(usize),
    /// Splits a lane in two, for branches that are merged again.
    Tag(char),
    KeyOn(Key),
    MapValues(u64),
    FilterValues(u64),
    FilterMapValues(u64),
    /// Lets the key be the lane.
    Unkey,
    Fold(Fold),
    Sink(SinkKind),
}

/// Where the records of a step come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Straight from sources.
    Before,
    /// From a step behind a shuffle.
    Behind,
    Both,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) op: Op,
    /// The step before it; of a source, itself.
    pub(crate) of: usize,
    pub(crate) keyed: bool,
    /// Whether the records of a lane have one order.
    pub(crate) in_order: bool,
    pub(crate) side: Side,
    /// The sources that lead here, a bit each.
    sources: u8,
}

/// A flow: its steps in the order in which they are built.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) nodes: Vec<Node>,
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.nodes.iter().enumerate() {
            write!(f, "\n        {}: {:?}", id(index), node.op)?;
            if node.of != index {
                write!(f, " of {}", id(node.of))?;
            }
        }
        Ok(())
    }
}

/// The id of a step, in the flow as in its store.
pub(crate) fn id(node: usize) -> String {
    format!("n{node}")
}

impl Description {
    /// The steps that take the records of a step, in the order in which they are attached; a merge
    /// with itself twice.
    pub(crate) fn consumers(&self, of: usize) -> Vec<usize> {
        let mut consumers = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let times = match node.op {
                // It has a stream of its own.
                Op::Source(_) | Op::Dead => 0,
                Op::Merge(with) => usize::from(node.of == of) + usize::from(with == of),
                _ => usize::from(node.of == of),
            };
            consumers.extend(std::iter::repeat_n(index, times));
        }
        consumers
    }

    pub(crate) fn find(&self, is: impl Fn(&Op) -> bool) -> Vec<usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(|(_, node)| is(&node.op))
            .map(|(index, _)| index)
            .collect()
    }

    pub(crate) fn sinks(&self) -> impl Iterator<Item = (usize, SinkKind)> + '_ {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| match node.op {
            Op::Sink(kind) => Some((index, kind)),
            _ => None,
        })
    }

    /// The node of a source.
    pub(crate) fn source(&self, source: usize) -> usize {
        source // they come first
    }

    // ---- making one

    fn of_sources(sources: usize) -> Self {
        let node = |source| Node {
            op: Op::Source(source),
            of: source,
            keyed: false,
            in_order: true,
            side: Side::Before,
            sources: 1 << source,
        };
        Description {
            nodes: (0..sources).map(node).collect(),
        }
    }

    /// A source, and these steps one after the other.
    pub(crate) fn of_line(steps: &[Op]) -> Self {
        let mut made = Description::of_sources(1);
        for (before, step) in steps.iter().enumerate() {
            made.add(*step, before);
        }
        made
    }

    fn of_drawn(sources: usize, raw: &[RawStep], ends: &[SinkKind]) -> Self {
        let mut made = Description::of_sources(sources);
        for step in raw {
            let of = made.nth_last_stream(step.back);
            made.add_raw(of, step.op);
        }
        let mut ends = ends.iter().cycle();
        for stream in 0..made.nodes.len() {
            if made.is_stream(stream) && made.consumers(stream).is_empty() {
                made.end(stream, *ends.next().unwrap());
            }
        }
        made
    }

    fn is_stream(&self, node: usize) -> bool {
        !matches!(self.nodes[node].op, Op::Sink(_))
    }

    fn nth_last_stream(&self, back: usize) -> usize {
        let streams: Vec<usize> = (0..self.nodes.len())
            .rev()
            .filter(|node| self.is_stream(*node))
            .collect();
        streams[back % streams.len()]
    }

    fn count(&self, is: impl Fn(&Op) -> bool) -> usize {
        self.find(is).len()
    }

    /// Adds the drawn step, or a similar one that is possible here.
    fn add_raw(&mut self, of: usize, op: RawOp) {
        match op {
            RawOp::FlatMap if self.count(|op| *op == Op::FlatMap) == 2 => {}
            RawOp::Merge(_) if self.count(|op| matches!(op, Op::Merge(_))) == 3 => {}
            RawOp::Map(by) => self.stateless(of, Op::Map(by)),
            RawOp::Inspect => self.stateless(of, Op::Inspect),
            RawOp::Filter(m) => self.stateless(of, Op::Filter(m)),
            RawOp::FilterMap(m) => self.stateless(of, Op::FilterMap(m)),
            RawOp::FlatMap => self.stateless(of, Op::FlatMap),
            RawOp::TryMap(m) => self.stateless(of, Op::TryMap(m)),
            RawOp::SkipBad(m) => self.stateless(of, Op::SkipBad(m)),
            RawOp::OrDead(m) => {
                self.stateless(of, Op::OrDead(m));
                self.add(Op::Dead, self.nodes.len() - 1);
            }
            RawOp::Branch(m) => {
                self.stateless(of, Op::Branch(m));
                self.add(Op::Dead, self.nodes.len() - 1);
            }
            RawOp::MapValues(by) if self.nodes[of].keyed => {
                self.add(Op::MapValues(by), of);
            }
            RawOp::MapValues(by) => self.stateless(of, Op::Map(by)),
            RawOp::FilterValues(m) if self.nodes[of].keyed => {
                self.add(Op::FilterValues(m), of);
            }
            RawOp::FilterValues(m) => self.stateless(of, Op::Filter(m)),
            RawOp::FilterMapValues(m) if self.nodes[of].keyed => {
                self.add(Op::FilterMapValues(m), of);
            }
            RawOp::FilterMapValues(m) => self.stateless(of, Op::FilterMap(m)),
            RawOp::KeyOn(key) => self.stateless(of, Op::KeyOn(key)),
            RawOp::Fold { key, method } => {
                let of = if self.nodes[of].keyed && key.is_none() {
                    of // a step behind a step, by the same key
                } else {
                    self.stateless(of, Op::KeyOn(key.unwrap_or(Key::Within(2))));
                    self.nodes.len() - 1
                };
                let in_order = self.nodes[of].in_order;
                let fold = self.add(Op::Fold(Fold { method, in_order }), of);
                if matches!(method, Method::Dead(_)) {
                    self.add(Op::Dead, fold);
                }
            }
            RawOp::Merge(back) => self.merge(of, back),
            RawOp::End(kind) => self.end(of, kind),
        }
    }

    fn stateless(&mut self, of: usize, op: Op) {
        let of = self.unkeyed(of);
        self.add(op, of);
    }

    fn unkeyed(&mut self, of: usize) -> usize {
        if self.nodes[of].keyed {
            self.add(Op::Unkey, of)
        } else {
            of
        }
    }

    fn end(&mut self, of: usize, kind: SinkKind) {
        let of = self.unkeyed(of);
        self.add(Op::Sink(kind), of);
    }

    /// Merges a stream with another one, rather with one that leads nowhere yet.
    fn merge(&mut self, of: usize, back: usize) {
        let loose: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.is_stream(*node) && *node != of)
            .filter(|node| self.consumers(*node).is_empty())
            .collect();
        let with = match loose.len() {
            0 => self.nth_last_stream(back),
            many => loose[back % many],
        };
        let (mut of, mut with) = if self.nodes[of].keyed && self.nodes[with].keyed {
            (of, with)
        } else {
            (self.unkeyed(of), self.unkeyed(with))
        };
        let (one, other) = (&self.nodes[of], &self.nodes[with]);
        let in_order = one.in_order && other.in_order;
        if in_order && one.sources & other.sources != 0 {
            // Both have records of the same lanes, and which come first is not known.
            (of, with) = (self.unkeyed(of), self.unkeyed(with));
            of = self.add(Op::Tag('x'), of);
            with = self.add(Op::Tag('y'), with);
        }
        self.add(Op::Merge(with), of);
    }

    fn add(&mut self, op: Op, of: usize) -> usize {
        let before = &self.nodes[of];
        let mut node = Node {
            op,
            of,
            ..before.clone()
        };
        match op {
            Op::Merge(with) => {
                let other = &self.nodes[with];
                node.in_order &= other.in_order;
                node.sources |= other.sources;
                if node.side != other.side {
                    node.side = Side::Both;
                }
            }
            Op::KeyOn(key) => {
                node.keyed = true;
                node.in_order &= matches!(key, Key::Within(_));
            }
            Op::Unkey | Op::Dead => node.keyed = false,
            Op::Fold(_) => node.side = Side::Behind,
            _ => {}
        }
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

/// A step as it is drawn, before the step before it is known.
#[derive(Clone, Copy, Debug)]
struct RawStep {
    /// How many streams back it is attached: 0 is the newest.
    back: usize,
    op: RawOp,
}

#[derive(Clone, Copy, Debug)]
enum RawOp {
    Map(u64),
    Inspect,
    Filter(u64),
    FilterMap(u64),
    FlatMap,
    TryMap(u64),
    SkipBad(u64),
    OrDead(u64),
    Branch(u64),
    MapValues(u64),
    FilterValues(u64),
    FilterMapValues(u64),
    KeyOn(Key),
    Fold { key: Option<Key>, method: Method },
    Merge(usize),
    End(SinkKind),
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        2 => (1u64..6).prop_map(Key::Within),
        1 => (1u64..8).prop_map(Key::Across),
    ]
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        3 => Just(Method::Map),
        1 => Just(Method::WithKey),
        2 => Just(Method::Opt),
        1 => Just(Method::Many),
        1 => (2u64..6).prop_map(Method::Skip),
        1 => (2u64..6).prop_map(Method::Dead),
        2 => (4u64..16).prop_map(Method::Try),
    ]
}

fn sink_kind() -> impl Strategy<Value = SinkKind> {
    prop_oneof![
        2 => Just(SinkKind::JsonFile),
        2 => Just(SinkKind::TextFile),
        2 => Just(SinkKind::Tape),
        1 => Just(SinkKind::TapePerWorker),
        1 => Just(SinkKind::Collect),
    ]
}

fn raw_op() -> impl Strategy<Value = RawOp> {
    prop_oneof![
        2 => (0u64..9).prop_map(RawOp::Map),
        1 => Just(RawOp::Inspect),
        1 => (2u64..6).prop_map(RawOp::Filter),
        1 => (2u64..6).prop_map(RawOp::FilterMap),
        1 => Just(RawOp::FlatMap),
        3 => (4u64..16).prop_map(RawOp::TryMap),
        1 => (2u64..6).prop_map(RawOp::SkipBad),
        1 => (2u64..6).prop_map(RawOp::OrDead),
        1 => (2u64..6).prop_map(RawOp::Branch),
        1 => (0u64..9).prop_map(RawOp::MapValues),
        1 => (2u64..6).prop_map(RawOp::FilterValues),
        1 => (2u64..6).prop_map(RawOp::FilterMapValues),
        1 => key().prop_map(RawOp::KeyOn),
        7 => (proptest::option::weighted(0.8, key()), method())
            .prop_map(|(key, method)| RawOp::Fold { key, method }),
        3 => (0usize..8).prop_map(RawOp::Merge),
        1 => sink_kind().prop_map(RawOp::End),
    ]
}

/// The parts of a flow, given the number of sources.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    steps: Vec<RawStep>,
    ends: Vec<SinkKind>,
}

impl Drawn {
    pub(crate) fn over(&self, sources: usize) -> Description {
        Description::of_drawn(sources, &self.steps, &self.ends)
    }
}

pub(crate) fn drawn() -> impl Strategy<Value = Drawn> {
    let back = prop_oneof![5 => Just(0usize), 2 => 0usize..8];
    let step = (back, raw_op()).prop_map(|(back, op)| RawStep { back, op });
    (vec(step, 0..9), vec(sink_kind(), 4)).prop_map(|(steps, ends)| Drawn { steps, ends })
}
