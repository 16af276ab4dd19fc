//! Finds the stored step of each step of the flow, assigns its number, and decides what happens to
//! the other stored steps.

use super::rewrite::rewrite;
use super::{Agreed, Basis, Manifest, Notice};
use crate::error::StepsError;
use crate::step::{StepKind, StepSpec, StoredStep};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The part of the store that a manifest is made from.
pub(crate) struct Stored<'a> {
    /// The directory of the store, for messages.
    pub(crate) directory: &'a Path,
    pub(crate) steps: &'a [StoredStep],
    pub(crate) next_step: u32,
    pub(crate) basis: Basis,
}

/// Decides what a start does to the steps of the store.
pub(crate) fn reconcile(
    stored: &Stored<'_>,
    flow: &[StepSpec],
    agreed: &Agreed,
) -> Result<Manifest, StepsError> {
    let in_flow = ids_of(stored, flow)?;
    let (kept, dropped) = drop_agreed(stored, agreed)?;
    let mut manifest = Manifest {
        numbers: Vec::with_capacity(flow.len()),
        notices: dropped.iter().map(Notice::dropped).collect(),
        dropped,
        rewrites: Vec::with_capacity(flow.len()),
        replaced: Vec::new(),
        steps: Vec::with_capacity(flow.len()),
        next_step: stored.next_step,
        basis: stored.basis,
    };
    let found = find(stored, flow, &in_flow, &kept, &mut manifest.notices)?;
    number(stored, flow, &found, &mut manifest)?;
    refuse_unknown(stored, flow, &kept, &found)?;
    Ok(manifest)
}

/// Splits the stored steps into those that stay, by id, and those whose rows are dropped.
fn drop_agreed<'a>(
    stored: &Stored<'a>,
    agreed: &Agreed,
) -> Result<(BTreeMap<&'a str, &'a StoredStep>, Vec<StoredStep>), StepsError> {
    let by_id = stored.steps.iter().map(|step| (step.id.as_str(), step));
    let (dropped, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
        by_id.partition(|(id, _)| agreed.drop_steps.contains(*id));
    let unknown = |id: &&String| !dropped.contains_key(id.as_str());
    if let Some(id) = agreed.drop_steps.iter().find(unknown) {
        return Err(StepsError::NoSuchStep {
            directory: stored.directory.to_path_buf(),
            id: id.clone(),
            stored: stored.steps.to_vec(),
        });
    }
    Ok((kept, dropped.into_values().cloned().collect()))
}

/// Finds for each step of the flow the stored step whose rows it resumes with: the one of the same
/// id, or the one that it was renamed from. A new step has none.
fn find<'a>(
    stored: &Stored<'_>,
    flow: &[StepSpec],
    in_flow: &BTreeSet<&str>,
    kept: &BTreeMap<&str, &'a StoredStep>,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Option<&'a StoredStep>>, StepsError> {
    let directory = || stored.directory.to_path_buf();
    let mut claims: BTreeMap<&str, &StepSpec> = BTreeMap::new();
    let mut found = Vec::with_capacity(flow.len());
    for step in flow {
        let own = kept.get(step.id.as_str());
        let olds: BTreeSet<&str> = step.renamed_from.iter().map(String::as_str).collect();
        let olds = olds.into_iter().filter(|old| *old != step.id);
        let olds = olds.filter_map(|old| kept.get(old).copied());
        // An old id that another step of the flow has now can't be renamed.
        let (taken, free): (Vec<_>, Vec<_>) =
            olds.partition(|old| in_flow.contains(old.id.as_str()));
        match (own, free.as_slice()) {
            (Some(one), [other, ..]) | (None, [one, other, ..]) => {
                return Err(StepsError::RenameOfTwo {
                    directory: directory(),
                    id: step.id.clone(),
                    stored: [one.id.clone(), other.id.clone()],
                    place: step.place.clone(),
                });
            }
            (None, [old]) => {
                if let Some(other) = claims.insert(&old.id, step) {
                    return Err(StepsError::RenamedTwice {
                        directory: directory(),
                        old: old.id.clone(),
                        ids: Box::new([other.id.clone(), step.id.clone()]),
                        places: Box::new([other.place.clone(), step.place.clone()]),
                    });
                }
                notices.push(Notice::Renamed {
                    from: old.id.clone(),
                    to: step.id.clone(),
                });
                found.push(Some(*old));
            }
            (None, []) => match taken.first() {
                Some(old) => {
                    return Err(StepsError::RenameInUse {
                        directory: directory(),
                        id: step.id.clone(),
                        old: old.id.clone(),
                        place: step.place.clone(),
                    });
                }
                None => found.push(None),
            },
            (own, []) => found.push(own.copied()),
        }
    }
    Ok(found)
}

/// Assigns the number of each step of the flow, and decides whether its rows are rewritten.
fn number(
    stored: &Stored<'_>,
    flow: &[StepSpec],
    found: &[Option<&StoredStep>],
    manifest: &mut Manifest,
) -> Result<(), StepsError> {
    for (step, found) in flow.iter().zip(found) {
        let (number, rewrite) = match found {
            None => {
                if stored.basis.store.is_some() {
                    let id = step.id.clone();
                    manifest.notices.push(Notice::NewStep { id });
                }
                (new_number(stored, manifest)?, None)
            }
            Some(found) => {
                check_kind(stored, found, step)?;
                let rewrite = rewrite(stored.directory, found, step, &mut manifest.notices)?;
                // Rewritten states get a new number, so that no old row can be mistaken for a new
                // one.
                let number = if rewrite.is_some() && step.kind == StepKind::State {
                    manifest.replaced.push((*found).clone());
                    new_number(stored, manifest)?
                } else {
                    found.number
                };
                (number, rewrite)
            }
        };
        manifest.numbers.push(number);
        manifest.rewrites.push(rewrite);
        manifest.steps.push(step.stored(number));
    }
    Ok(())
}

/// A number that no step has had before.
fn new_number(stored: &Stored<'_>, manifest: &mut Manifest) -> Result<u16, StepsError> {
    let number = u16::try_from(manifest.next_step).map_err(|_| StepsError::TooManySteps {
        directory: stored.directory.to_path_buf(),
    })?;
    manifest.next_step += 1;
    Ok(number)
}

fn check_kind(stored: &Stored<'_>, found: &StoredStep, step: &StepSpec) -> Result<(), StepsError> {
    if found.kind == step.kind {
        return Ok(());
    }
    Err(StepsError::KindChanged {
        directory: stored.directory.to_path_buf(),
        id: step.id.clone(),
        stored_id: found.id.clone(),
        stored: found.kind,
        flow: step.kind,
        place: step.place.clone(),
    })
}

/// Refuses stored steps that no step of the flow resumes with.
fn refuse_unknown(
    stored: &Stored<'_>,
    flow: &[StepSpec],
    kept: &BTreeMap<&str, &StoredStep>,
    found: &[Option<&StoredStep>],
) -> Result<(), StepsError> {
    let is_found = |step: &StoredStep| found.iter().flatten().any(|it| it.number == step.number);
    let left: Vec<StoredStep> = kept
        .values()
        .filter(|step| !is_found(step))
        .map(|step| (*step).clone())
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    // The message shows these, as an old id may be misspelled.
    let new = flow.iter().zip(found).filter(|(_, found)| found.is_none());
    let unused = new
        .flat_map(|(step, _)| step.renamed_from.iter().map(move |old| (step, old)))
        .filter(|(_, old)| stored.steps.iter().all(|step| step.id != **old))
        .map(|(step, old)| (step.id.clone(), old.clone()))
        .collect();
    Err(StepsError::UnknownSteps {
        directory: stored.directory.to_path_buf(),
        steps: left,
        unused,
    })
}

fn ids_of<'a>(stored: &Stored<'_>, flow: &'a [StepSpec]) -> Result<BTreeSet<&'a str>, StepsError> {
    let mut places = BTreeMap::new();
    for step in flow {
        if let Some(other) = places.insert(step.id.as_str(), step.place.as_str()) {
            return Err(StepsError::SameId {
                directory: stored.directory.to_path_buf(),
                id: step.id.clone(),
                places: [other.to_owned(), step.place.clone()],
            });
        }
    }
    Ok(places.into_keys().collect())
}

#[cfg(test)]
mod tests;
