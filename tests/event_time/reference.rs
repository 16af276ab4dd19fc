//! What must come out of a flow, in one thread that reads one partition after the other.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Event,
    campaign::{Case, Shape},
};

pub(crate) type Results = (Vec<String>, Vec<String>);

/// What must come out: the windows, and what is late. Each window's state goes on from `open`.
pub(crate) struct Reference {
    max: Vec<Option<i64>>,
    open: BTreeMap<(u64, i64), BTreeSet<u64>>,
    windows: Vec<String>,
    late: Vec<String>,
}

impl Reference {
    pub(crate) fn new() -> Self {
        Reference {
            max: Vec::new(),
            open: BTreeMap::new(),
            windows: Vec::new(),
            late: Vec::new(),
        }
    }

    /// The end of the input before: everybody has seen everything.
    pub(crate) fn run(&mut self, case: &Case, parts: &[Vec<Event>]) {
        let all = self.max.iter().flatten().copied().max();
        let mut touched = BTreeSet::new();
        self.max.resize(parts.len(), None);
        for (max, events) in self.max.iter_mut().zip(parts) {
            *max = (*max).max(all);
            let spread = events.iter().flat_map(|event| spread(case.shape, event));
            for event in spread {
                let mark = max.map(|max| max - case.wait);
                *max = (*max).max(Some(event.at));
                let open = event.at.div_euclid(case.len) * case.len;
                let times = if case.shape == Shape::Many {
                    event.id % 3
                } else {
                    1
                };
                for copy in 0..times {
                    let ten = if case.shape == Shape::Spread { 1 } else { 10 };
                    if mark.is_some_and(|mark| open + case.len <= mark) {
                        self.late
                            .push(format!("{} {} {open}", event.key, event.id * ten + copy));
                    } else {
                        let key = (event.key, open);
                        self.open
                            .entry(key)
                            .or_default()
                            .insert(event.id * ten + copy);
                        touched.insert(key);
                    }
                }
            }
        }
        if case.shape == Shape::Chained {
            let mut chained: BTreeMap<(u64, i64), u64> = BTreeMap::new();
            for (key, open) in touched {
                let at = open + case.len - 1;
                let wide = 3 * case.len + 1;
                *chained
                    .entry((key, at.div_euclid(wide) * wide))
                    .or_default() += self.open[&(key, open)].len() as u64;
            }
            let lines = chained
                .iter()
                .map(|((key, open), sum)| format!("{key} {open} {sum}"));
            self.windows.extend(lines);
            return;
        }
        for (key, open) in touched {
            self.windows
                .push(format!("{key} {open} {:?}", self.open[&(key, open)]));
        }
    }

    pub(crate) fn results(&self) -> Results {
        let (mut windows, mut late) = (self.windows.clone(), self.late.clone());
        windows.sort();
        late.sort();
        (windows, late)
    }
}

pub(crate) fn spread(shape: Shape, event: &Event) -> Vec<Event> {
    let with = |n: u64, at| Event {
        id: event.id * 10 + n,
        at,
        ..event.clone()
    };
    match shape {
        Shape::Spread => vec![
            with(0, event.at),
            with(1, event.at + 45),
            with(2, event.at - 5),
        ],
        _ => vec![event.clone()],
    }
}
