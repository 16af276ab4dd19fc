//! The full content of a store, as one value that can be compared.

use super::flow::{Rows, Step};
use super::{Wrong, expect};
use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::key::KEY_GROUPS;
use crate::look::Look;
use crate::retain::Retain;

/// The full content of a store.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Seen {
    pub(super) epoch: Epoch,
    pub(super) next_execution: u64,
    pub(super) steps: Vec<Step>,
    /// The rows of all steps.
    pub(super) rows: Rows,
    /// For each execution: its number, the epoch that it resumed from, and whether its end is
    /// recorded.
    pub(super) executions: Vec<(u64, Epoch, bool)>,
    pub(super) ended: bool,
    /// The epochs that it can go back to.
    pub(super) retained: Vec<Epoch>,
}

/// The steps and their rows.
pub(super) type Kept = (Vec<Step>, Rows);

pub(super) fn kept(look: &Look) -> Result<Kept, StoreError> {
    let steps = look.steps().iter().map(|step| Step {
        number: step.number,
        id: step.id.clone(),
        state: step.state_schema.clone(),
    });
    let steps: Vec<Step> = steps.collect();
    let mut rows = Rows::new();
    for Step { number, .. } in &steps {
        for row in look.rows(*number, 0..KEY_GROUPS)? {
            let row = row?;
            rows.insert((*number, row.group, row.key), row.value);
        }
    }
    Ok((steps, rows))
}

impl Seen {
    pub(super) fn kept(&self) -> Kept {
        (self.steps.clone(), self.rows.clone())
    }

    /// Updates the retained epochs for a new commit.
    pub(super) fn retain(&mut self, retain: Retain) {
        match retain {
            Retain::Nothing => self.retained.clear(),
            Retain::Epochs(most) => {
                self.retained.push(self.epoch);
                let over = self.retained.len().saturating_sub(most as usize);
                self.retained.drain(..over);
            }
            Retain::For(_) => self.retained.push(self.epoch),
        }
    }

    /// Reads everything. Damage is an error.
    pub(super) fn in_store(look: &Look) -> Result<Seen, Wrong> {
        let read = |error: StoreError| format!("it cannot be read: {error}");
        let (steps, rows) = kept(look).map_err(read)?;
        let verified = look.verify(&mut |_, _| ()).map_err(read)?;
        expect(verified.damage, vec![], "damage")?;
        expect(
            verified.rows,
            rows.len() as u64,
            "rows of steps that it does not have",
        )?;
        let executions = look.executions().map_err(read)?;
        let executions = executions.iter().map(|record| {
            let ended = record.ended.is_some();
            (record.number, record.resumed_from, ended)
        });
        Ok(Seen {
            epoch: look.epoch(),
            next_execution: look.next_execution(),
            steps,
            rows,
            executions: executions.collect(),
            ended: look.about().is_some_and(|about| about.ended),
            retained: look.retained().iter().map(|it| it.epoch).collect(),
        })
    }

    pub(super) fn remove_step(&mut self, number: u16) {
        self.steps.retain(|step| step.number != number);
        self.rows.retain(|(step, ..), _| *step != number);
    }
}
