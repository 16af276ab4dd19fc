//! The verbs that modify a store, or make one.

use crate::Failure;
use crate::terminal::{Bar, Out, busy, rows};
use flow_store::Look;
use indicatif::HumanBytes;
use std::path::Path;

pub(crate) fn drop_step(look: Look, step: &str, out: &mut Out) -> Result<bool, Failure> {
    let shown = busy("dropping the rows in", look.directory());
    let dropped = look.drop_step(step)?;
    drop(shown);
    let (step, rows) = (&dropped.step, rows(dropped.rows));
    out.line(&format!(
        "dropped step `{}` ({}, {}) and its {rows}",
        step.id, step.kind, step.operator
    ))?;
    Ok(true)
}

pub(crate) fn rename(look: Look, old: &str, new: &str, out: &mut Out) -> Result<bool, Failure> {
    let step = look.rename_step(old, new)?;
    out.line(&format!(
        "renamed step `{old}` to `{}` ({}, {})",
        step.id, step.kind, step.operator
    ))?;
    Ok(true)
}

pub(crate) fn compact(look: Look, out: &mut Out) -> Result<bool, Failure> {
    let done = look.compact(&mut Bar::of_rows("compacting"))?;
    let (before, after) = (HumanBytes(done.before), HumanBytes(done.after));
    let rows = rows(done.rows);
    out.line(&format!(
        "compacted {rows}: the file had {before} and now has {after}"
    ))?;
    Ok(true)
}

pub(crate) fn backup(look: &Look, target: &Path, out: &mut Out) -> Result<bool, Failure> {
    let count = look.backup(target, &mut Bar::of_rows("backing up"))?;
    let (rows, epoch, target) = (rows(count), look.epoch(), target.display());
    out.line(&format!("backed up {rows} at epoch {epoch} to {target}"))?;
    Ok(true)
}
