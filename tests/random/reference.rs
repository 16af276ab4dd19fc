//! The expected results of a description, from an interpreter with one thread, no epochs and no
//! store.
//!
//! It shares only the arithmetic of the steps with the flow.

use std::collections::BTreeMap;

use crate::{
    description::{Description, Fold, Item, Method, Op, State, copies, divides, mapped},
    input::{Input, Tokens, lane},
};

/// The expected content when the records before some tokens have been processed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    /// The states of each stateful step, by key.
    pub(crate) states: BTreeMap<usize, BTreeMap<String, State>>,
    /// The records of each sink. Lanes come one after the other, each in its order.
    pub(crate) outputs: BTreeMap<usize, Vec<Item>>,
    /// How many records each step has skipped.
    pub(crate) skipped: BTreeMap<usize, u64>,
    /// The number of records of each step on which it would fail if it had a bug.
    pub(crate) bad: BTreeMap<usize, u64>,
    /// The number of records that reached each step.
    pub(crate) calls: BTreeMap<usize, u64>,
}

impl Results {
    pub(crate) fn output(&self, sink: usize) -> &[Item] {
        self.outputs.get(&sink).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn skipped(&self, node: usize) -> u64 {
        self.skipped.get(&node).copied().unwrap_or(0)
    }

    pub(crate) fn calls(&self, node: usize) -> u64 {
        self.calls.get(&node).copied().unwrap_or(0)
    }

    pub(crate) fn bad(&self, node: usize) -> u64 {
        self.bad.get(&node).copied().unwrap_or(0)
    }
}

/// Processes the records before the tokens, one after the other.
pub(crate) fn interpret(description: &Description, input: &Input, upto: &Tokens) -> Results {
    let consumers = (0..description.nodes.len())
        .map(|node| description.consumers(node))
        .collect();
    let mut interpreter = Interpreter {
        description,
        consumers,
        results: Results::default(),
    };
    for (source, index, partition) in input.partitions() {
        let node = description.source(source);
        for n in partition.records(upto.of(source, index)) {
            let lane = lane(source, index);
            interpreter.count(node);
            interpreter.give(node, String::new(), Item { lane, n });
        }
    }
    interpreter.results
}

struct Interpreter<'a> {
    description: &'a Description,
    consumers: Vec<Vec<usize>>,
    results: Results,
}

impl Interpreter<'_> {
    /// Passes the results of a step to the steps after it.
    fn give(&mut self, node: usize, key: String, item: Item) {
        for at in 0..self.consumers[node].len() {
            let consumer = self.consumers[node][at];
            self.take(consumer, key.clone(), item.clone());
        }
    }

    fn count(&mut self, node: usize) {
        *self.results.calls.entry(node).or_default() += 1;
    }

    /// Lets a step process a record.
    fn take(&mut self, node: usize, key: String, item: Item) {
        self.count(node);
        let Item { lane, n } = item.clone();
        match self.description.nodes[node].op {
            Op::Source(_) => {}
            Op::Branch(m) if divides(m, n) => self.give(node + 1, key, item),
            Op::Map(by) | Op::MapValues(by) => {
                let n = mapped(n, by);
                self.give(node, key, Item { lane, n });
            }
            Op::Filter(m) | Op::FilterValues(m) if divides(m, n) => {}
            Op::FilterMap(m) | Op::FilterMapValues(m) if divides(m, n) => {}
            Op::FilterMap(m) | Op::FilterMapValues(m) => {
                let n = mapped(n, m);
                self.give(node, key, Item { lane, n });
            }
            Op::FlatMap => {
                for copy in 0..copies(n) {
                    let (lane, n) = (lane.clone(), mapped(n, copy));
                    self.give(node, key.clone(), Item { lane, n });
                }
            }
            Op::TryMap(m) => {
                *self.results.bad.entry(node).or_default() += u64::from(divides(m, n));
                self.give(node, key, item);
            }
            Op::SkipBad(m) if divides(m, n) => *self.results.skipped.entry(node).or_default() += 1,
            Op::OrDead(m) if divides(m, n) => {
                let (dead, n) = (node + 1, mapped(n, 1));
                self.give(dead, key, Item { lane, n });
            }
            Op::Tag(tag) => {
                let lane = format!("{lane}{tag}");
                self.give(node, key, Item { lane, n });
            }
            Op::KeyOn(by) => self.give(node, by.of(&item), item),
            Op::Unkey => self.give(node, String::new(), Item { lane: key, n }),
            Op::Fold(fold) => match (self.fold(node, fold, &key, n), fold.method) {
                (Some(n), Method::Many) => {
                    for copy in 0..copies(n) {
                        let (lane, n) = (lane.clone(), mapped(n, copy));
                        self.give(node, key.clone(), Item { lane, n });
                    }
                }
                (Some(n), _) => self.give(node, key, Item { lane, n }),
                (None, Method::Dead(_)) => {
                    let (lane, n) = (key, mapped(n, 1));
                    self.give(node + 1, String::new(), Item { lane, n });
                }
                (None, _) => {}
            },
            Op::Sink(_) => self.results.outputs.entry(node).or_default().push(item),
            Op::Inspect
            | Op::Filter(_)
            | Op::FilterValues(_)
            | Op::Branch(_)
            | Op::SkipBad(_)
            | Op::OrDead(_)
            | Op::Dead
            | Op::Merge(_) => {
                self.give(node, key, item);
            }
        }
    }

    fn fold(&mut self, node: usize, fold: Fold, key: &str, n: u64) -> Option<u64> {
        let states = self.results.states.entry(node).or_default();
        let before = states.remove(key);
        let mut state = before.clone().unwrap_or_default();
        let (after, out) = match fold.method {
            Method::Opt => {
                let mut waiting = before;
                let out = fold.pair(&mut waiting, n);
                (waiting, Some(out))
            }
            method => {
                let out = fold.add(&mut state, n);
                match method {
                    Method::WithKey => (Some(state), Some(out + key.len() as u64)),
                    Method::Dead(m) if fold.fails(m, &state, n) => (before, None),
                    Method::Skip(m) if fold.fails(m, &state, n) => {
                        *self.results.skipped.entry(node).or_default() += 1;
                        (before, None)
                    }
                    Method::Try(m) => {
                        let is_bad = fold.fails(m, &state, n);
                        *self.results.bad.entry(node).or_default() += u64::from(is_bad);
                        (Some(state), Some(out))
                    }
                    _ => (Some(state), Some(out)),
                }
            }
        };
        states.extend(after.map(|state| (key.to_owned(), state)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        description::{Key, SinkKind},
        input::Partition,
    };

    /// The results of 5, 6, 7 and 9, with the remainder by two as key.
    fn by_parity(method: Method) -> (Vec<(String, u64)>, Vec<String>, u64) {
        let in_order = true;
        let description = Description::of_line(&[
            Op::KeyOn(Key::Within(2)),
            Op::Fold(Fold { method, in_order }),
            Op::Unkey,
            Op::Sink(SinkKind::Tape),
        ]);
        let input = Input::of(Partition::of([5, 6, 7, 9]));
        let results = interpret(&description, &input, &input.end());
        let states = results.states[&2].iter();
        let states = states
            .map(|(key, state)| (key.clone(), state.sum))
            .collect();
        let output = results.output(4).iter().map(Item::to_string).collect();
        (states, output, results.skipped(2))
    }

    #[test]
    fn the_interpreter_does_what_is_done_by_hand() {
        let key = |key: &str, sum| (key.to_owned(), sum);
        let (even, odd) = ("a0.0", "a0.1");

        let (states, output, _) = by_parity(Method::Map);
        assert_eq!(states, [key(even, 6), key(odd, (5 * 31 + 7) * 31 + 9)]);
        assert_eq!(output, ["a0.1 5", "a0.0 6", "a0.1 162", "a0.1 31"]); // 5031 modulo 1000

        let (states, output, _) = by_parity(Method::Opt);
        assert_eq!(states, [key(even, 6), key(odd, 9)], "5 and 7 are a pair");
        assert_eq!(output, ["a0.1 5", "a0.0 6", "a0.1 162", "a0.1 9"]);

        let (states, output, skipped) = by_parity(Method::Skip(3));
        assert_eq!(
            states,
            [key(odd, 5 * 31 + 9)],
            "6 and 5 * 31 + 7 are multiples of 3"
        );
        assert_eq!(
            (output, skipped),
            (vec!["a0.1 5".to_owned(), "a0.1 164".to_owned()], 2)
        );
    }
}
