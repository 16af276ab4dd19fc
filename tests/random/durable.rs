//! The content of a store, read through the public API.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use flow::{sink::FilePosition, source::FileToken};
use flow_store::{Epoch, KEY_GROUPS, Look, Row, StoredStep, TokenRow, decode, group, hash};

use crate::{
    description::{State, id},
    input::{Input, Tokens, lane, lane_of},
};

pub(crate) struct Durable {
    pub(crate) epoch: Epoch,
    pub(crate) tokens: Tokens,
    /// The partitions that were read to their end, according to the store.
    done: BTreeSet<(usize, usize)>,
    steps: BTreeMap<String, Vec<Row>>,
}

impl Durable {
    pub(crate) fn read(store: &Path, input: &Input) -> Self {
        Durable::of(&Look::read(store).unwrap(), input)
    }

    /// The content at each retained epoch.
    pub(crate) fn retained(store: &Path, input: &Input) -> Vec<Self> {
        let look = || Look::read(store).unwrap();
        let epochs = look().retained().into_iter().map(|it| it.epoch);
        epochs
            .map(|epoch| Durable::of(&look().see(epoch).unwrap(), input))
            .collect()
    }

    fn of(look: &Look, input: &Input) -> Self {
        let rows = |step: &StoredStep| -> Vec<Row> {
            let rows = look.rows(step.number, 0..KEY_GROUPS).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let steps = look.steps().iter();
        let mut durable = Durable {
            epoch: look.epoch(),
            tokens: Tokens::start(input),
            done: BTreeSet::new(),
            steps: steps.map(|step| (step.id.clone(), rows(step))).collect(),
        };
        for (source, index, _) in input.partitions() {
            let rows = durable.rows(source).iter();
            let mut named = rows.filter(|row| lane_of(&name(row)) == lane(source, index));
            let Some(row) = named.next() else {
                continue; // It has not been read.
            };
            let row = TokenRow::read(&row.value).unwrap();
            let token: u64 = match input.is_file(source) {
                true => decode::<FileToken>(row.token).unwrap().line,
                false => decode(row.token).unwrap(),
            };
            if row.finished {
                durable.done.insert((source, index));
            }
            durable.tokens.0[source][index] = usize::try_from(token).unwrap();
        }
        durable
    }

    pub(crate) fn is_done(&self, source: usize, partition: usize) -> bool {
        self.done.contains(&(source, partition))
    }

    fn rows(&self, node: usize) -> &[Row] {
        self.steps.get(&id(node)).map_or(&[], Vec::as_slice)
    }

    /// The states of a step, each in the key group where the next run will look for it.
    pub(crate) fn states(&self, node: usize) -> Result<BTreeMap<String, State>, String> {
        let mut states = BTreeMap::new();
        for row in self.rows(node) {
            let key = name(row);
            if row.group != group(hash(&row.key)) {
                return Err(format!("{key} of {} is in another group", id(node)));
            }
            states.insert(key, decode(&row.value).unwrap());
        }
        Ok(states)
    }

    /// How many bytes of a sink's file are committed.
    pub(crate) fn bytes(&self, node: usize) -> u64 {
        let rows = self.rows(node).iter();
        let positions = rows.map(|row| decode::<FilePosition>(&row.value).unwrap().bytes);
        positions.sum()
    }

    /// How many items of each output of a tape are committed.
    pub(crate) fn positions(&self, node: usize) -> BTreeMap<u32, u64> {
        let rows = self.rows(node).iter();
        rows.map(|row| (decode(&row.key).unwrap(), decode(&row.value).unwrap()))
            .collect()
    }
}

/// The key of a row, if it is a text: that of a state or a token.
fn name(row: &Row) -> String {
    decode(&row.key).unwrap()
}
