//! Checks that must hold after every run.

use std::{collections::BTreeMap, fs};

use flow::{Ended, Epoch, Outcome, RecordError, RunError, sink::Collected};

use crate::{
    build::{Outside, file},
    case::Case,
    compare::within,
    description::{Item, Op, Side, SinkKind, id},
    durable::Durable,
    faults::Fault,
    input::{lane, lane_of},
    plan::Run,
    reference::{Results, interpret},
    world::Point,
};

/// A run that is over, and its results.
pub(crate) struct After<'a> {
    pub(crate) case: &'a Case,
    pub(crate) run: &'a Run,
    pub(crate) result: &'a Result<Outcome, RunError>,
    /// The faults of the plan that have happened.
    pub(crate) happened: &'a [Fault],
    /// The tokens from which the run resumed.
    pub(crate) before: &'a Point,
    pub(crate) durable: &'a Durable,
    /// The same at each epoch that is retained.
    pub(crate) retained: &'a [Durable],
    /// The expected results of the records before the tokens.
    pub(crate) now: &'a Results,
    /// The expected results of the whole input.
    pub(crate) full: &'a Results,
    pub(crate) outside: &'a Outside,
    pub(crate) collected: &'a BTreeMap<usize, Collected<Item>>,
}

type Holds = Result<(), String>;

impl After<'_> {
    pub(crate) fn check(&self) -> Holds {
        self.it_ended_as_planned()?;
        self.tokens_and_epoch_are_possible()?;
        self.states_are_right()?;
        for (sink, kind) in self.case.description.sinks() {
            let checked = self.output_is_right(sink, kind);
            checked.map_err(|wrong| {
                let tokens = &self.durable.tokens;
                format!("{} ({kind:?}), at {tokens:?}: {wrong}", id(sink))
            })?;
        }
        self.no_bad_record_is_durable()?;
        match self.result {
            Ok(outcome) => self.outcome_is_right(outcome),
            Err(error) => self.error_is_right(error),
        }
    }

    /// Whether open epochs were given up. Otherwise everything that had been read is durable.
    pub(crate) fn has_aborted(&self) -> bool {
        !matches!(self.result, Ok(_) | Err(RunError::Record(_)))
    }

    /// Checks that the run reached the end of its input, or ended by one of the faults that have
    /// happened.
    fn it_ended_as_planned(&self) -> Holds {
        let faults = || self.happened.iter();
        let is_as_planned = match self.result {
            Ok(outcome) if self.happened.is_empty() => outcome.ended == Ended::Finished,
            Ok(outcome) => {
                // What fails behind records that were no longer wanted is not heard: in a source,
                // or in lines of a file that were processed ahead of others.
                let are_no_more = |fault: &Fault| match fault {
                    Fault::Stop(_) | Fault::SourceError(_) => true,
                    Fault::Bug(_) => !self.aborts(*fault) && self.reads_files(),
                    _ => false,
                };
                let is_stop = |fault: &Fault| matches!(fault, Fault::Stop(_));
                outcome.ended == Ended::Stopped
                    && faults().any(is_stop)
                    && faults().all(are_no_more)
            }
            Err(RunError::WhileStopping { error, first }) => {
                faults().any(|fault| self.ends_in(*fault, error))
                    && faults().any(|fault| self.ends_in(*fault, first))
            }
            Err(error) => faults().any(|fault| self.ends_in(*fault, error)),
        };
        if is_as_planned && (self.has_aborted() || !faults().any(|fault| self.aborts(*fault))) {
            return Ok(());
        }
        Err(format!(
            "there have been {:?}, it ended in {:?}",
            self.happened, self.result
        ))
    }

    fn reads_files(&self) -> bool {
        let mut sources = 0..self.case.input.sources.len();
        sources.any(|source| self.case.input.is_file(source))
    }

    /// Whether a fault causes this error.
    fn ends_in(&self, fault: Fault, error: &RunError) -> bool {
        let side = |node: usize| self.case.description.nodes[node].side;
        match (fault, error) {
            (Fault::CutShort(_), RunError::CutShort { .. }) => true,
            (
                Fault::Panic(at) | Fault::TokenPanic(at) | Fault::WritePanic(at),
                RunError::Panicked { step, .. },
            )
            | (Fault::WriteError(at) | Fault::CloseError(at), RunError::Step { step, .. })
            | (
                Fault::SyncError(at) | Fault::SyncPanic(at) | Fault::Kill(at),
                RunError::SyncOutput { step, .. },
            ) => *step == id(at.node),
            (Fault::Bug(node), RunError::Record(error)) => {
                side(node) != Side::Behind && error.step == id(node)
            }
            (Fault::Bug(node), RunError::Step { step, .. }) => {
                side(node) != Side::Before && *step == id(node)
            }
            (Fault::SourceError(at), RunError::Record(error)) => error.step == id(at.node),
            _ => false,
        }
    }

    /// Whether a fault ends a run so that the open epoch is given up.
    fn aborts(&self, fault: Fault) -> bool {
        match fault {
            Fault::Stop(_) | Fault::SourceError(_) => false,
            Fault::Bug(node) => self.case.description.nodes[node].side == Side::Behind,
            _ => true,
        }
    }

    fn tokens_and_epoch_are_possible(&self) -> Holds {
        let (before, now) = (self.before, self.durable);
        if !now.tokens.have_reached(&before.tokens) {
            return Err(format!(
                "tokens went back from {:?} to {:?}",
                before.tokens, now.tokens
            ));
        }
        let end = self.case.input.end();
        for (source, index, _) in self.case.input.partitions() {
            let (token, end) = (now.tokens.of(source, index), end.of(source, index));
            if now.is_done(source, index) && token < end {
                let lane = lane(source, index);
                return Err(format!("{lane} is done at {token}, before its end"));
            }
        }
        if now.epoch <= before.epoch {
            return Err(format!(
                "the epoch was {} and is {}",
                before.epoch, now.epoch
            ));
        }
        Ok(())
    }

    /// Checks that the states are those of exactly the records before the tokens, now and at each
    /// retained epoch.
    fn states_are_right(&self) -> Holds {
        self.are_states_of(self.durable, self.now)?;
        for then in self.retained {
            let (description, input) = (&self.case.description, &self.case.input);
            let results = interpret(description, input, &then.tokens);
            self.are_states_of(then, &results)
                .map_err(|wrong| format!("at epoch {}, which is retained: {wrong}", then.epoch))?;
        }
        Ok(())
    }

    fn are_states_of(&self, durable: &Durable, results: &Results) -> Holds {
        for step in self.case.description.find(|op| matches!(op, Op::Fold(_))) {
            let stored = durable.states(step)?;
            let expected = results.states.get(&step).cloned().unwrap_or_default();
            if stored != expected {
                let tokens = &durable.tokens;
                return Err(format!(
                    "{}, at {tokens:?}, has the states {stored:?}\n    instead of {expected:?}",
                    id(step)
                ));
            }
        }
        Ok(())
    }

    /// Checks that the committed outputs are the results of exactly the records before the tokens.
    /// Only results that come next may follow them, and only if the run was aborted.
    fn output_is_right(&self, sink: usize, kind: SinkKind) -> Holds {
        let in_order = self.case.description.nodes[sink].in_order;
        let (now, full) = (self.now.output(sink), self.full.output(sink));
        let most = if self.has_aborted() { full } else { now };
        match kind {
            SinkKind::JsonFile | SinkKind::TextFile => {
                let bytes = usize::try_from(self.durable.bytes(sink)).unwrap();
                let content = fs::read(file(&self.outside.directory, sink)).unwrap_or_default();
                if content.len() < bytes || !self.has_aborted() && content.len() > bytes {
                    let there = content.len();
                    return Err(format!("{bytes} bytes are committed, {there} are there"));
                }
                within(in_order, now, &items(&content[..bytes], kind), now)?;
                within(in_order, now, &items(&content, kind), most)
            }
            SinkKind::Tape | SinkKind::TapePerWorker => {
                let tape = &self.outside.tapes[&sink];
                let (committed, behind) = tape.upto(&self.durable.positions(sink))?;
                if !self.has_aborted() && behind > 0 {
                    return Err(format!("{behind} items are not committed"));
                }
                within(in_order, now, &committed, now)
            }
            SinkKind::Collect => {
                // It gets everything that was not durable before, and has forgotten nothing that is
                // now.
                let before = self.before.results.output(sink);
                let got = [before, &self.collected[&sink].take()].concat();
                within(in_order, now, &got, most)
            }
        }
    }

    /// Checks that the epoch of a record on which a step failed is not durable.
    fn no_bad_record_is_durable(&self) -> Holds {
        for fault in &self.run.faults {
            if let Fault::Bug(node) = *fault
                && self.now.bad(node) != self.before.results.bad(node)
            {
                return Err(format!("records on which {} failed are durable", id(node)));
            }
        }
        Ok(())
    }

    /// Checks that a run that did not fail has committed all that it read, and says so.
    fn outcome_is_right(&self, outcome: &Outcome) -> Holds {
        let (input, durable) = (&self.case.input, self.durable);
        let mut partitions = input.partitions();
        let are_done = partitions.all(|(source, index, _)| durable.is_done(source, index));
        if outcome.ended == Ended::Finished && !are_done {
            return Err(format!("finished, and only at {:?}", durable.tokens));
        }
        let read = durable.tokens.records(input) - self.before.tokens.records(input);
        if outcome.records != read {
            let said = outcome.records;
            return Err(format!("{said} records were read, {read} are durable"));
        }
        for (node, _) in self.case.description.nodes.iter().enumerate() {
            let skipped = self.now.skipped(node) - self.before.results.skipped(node);
            let said = outcome.skipped.iter().find(|(step, _)| *step == id(node));
            let said = said.map_or(0, |(_, count)| *count);
            if said != skipped {
                return Err(format!("{} skipped {skipped}, and says {said}", id(node)));
            }
        }
        self.epoch_is_right(outcome.epoch)
    }

    fn error_is_right(&self, error: &RunError) -> Holds {
        let mut faults = self.happened.iter();
        if faults.any(|fault| matches!(fault, Fault::Kill(_))) {
            return Ok(()); // No error was returned.
        }
        let safe = error.safe().ok_or("it does not say what is safe")?;
        self.epoch_is_right(safe.epoch)?;
        match error {
            RunError::Record(error) => self.record_is_right(error),
            _ => Ok(()),
        }
    }

    fn epoch_is_right(&self, said: Option<Epoch>) -> Holds {
        // A run that made nothing durable says where it went on from.
        let expected = match self.durable.epoch.number() {
            0 => self.before.epoch,
            _ => self.durable.epoch,
        };
        if said == Some(expected) {
            return Ok(());
        }
        Err(format!("it says that {said:?} is durable, {expected:?} is"))
    }

    /// Checks that the flow stopped exactly before the record that it names, and that this record
    /// fails.
    fn record_is_right(&self, error: &RecordError) -> Holds {
        let mut partitions = self.case.input.partitions();
        let named = partitions.find(|(source, index, _)| {
            let node = self.case.description.source(*source);
            error.source_step == id(node) && lane_of(&error.partition) == lane(*source, *index)
        });
        let (source, index, _) = named.ok_or("it names no partition")?;
        let token = self.durable.tokens.of(source, index);
        let position = match self.case.input.is_file(source) {
            true => format!("line {}", token + 1),
            false => token.to_string(),
        };
        if error.position != Some(position) || !error.safe.exact {
            let said = &error.position;
            return Err(format!("it failed at {said:?}, the token is {token}"));
        }
        let mut nodes = 0..self.case.description.nodes.len();
        let node = nodes.find(|node| error.step == id(*node)).unwrap();
        if matches!(self.case.description.nodes[node].op, Op::Source(_)) {
            return Ok(());
        }
        let mut next = self.durable.tokens.clone();
        next.0[source][index] += 1;
        let next = interpret(&self.case.description, &self.case.input, &next);
        if next.bad(node) == self.now.bad(node) {
            let partition = &error.partition;
            return Err(format!("the record at {token} of {partition} is good"));
        }
        Ok(())
    }
}

/// The whole lines of a file.
fn items(content: &[u8], kind: SinkKind) -> Vec<Item> {
    let text = String::from_utf8_lossy(content);
    let lines = text.split_inclusive('\n');
    let item = |line: &str| match kind {
        SinkKind::TextFile => {
            let (lane, n) = line.trim_end().split_once(' ').unwrap();
            let (lane, n) = (lane.to_owned(), n.parse().unwrap());
            Item { lane, n }
        }
        _ => serde_json::from_str(line).unwrap(),
    };
    lines
        .filter(|line| line.ends_with('\n'))
        .map(item)
        .collect()
}
