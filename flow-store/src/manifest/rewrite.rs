//! Decides how the rows of a step are rewritten if its types have changed.

use super::{Notice, Rewrite};
use crate::error::{AnotherType, StepsError};
use crate::schema::{Difference, Schema};
use crate::step::{Schemas, StepSpec, StoredStep};
use std::path::Path;

/// How the rows of a step must be rewritten; `None` if they can stay.
pub(super) fn rewrite(
    directory: &Path,
    stored: &StoredStep,
    step: &StepSpec,
    notices: &mut Vec<Notice>,
) -> Result<Option<Rewrite>, StepsError> {
    let Schemas {
        key,
        state,
        old_keys,
        old_states,
    } = &step.schemas;
    let find = |known: &[Schema], old: &Schema| {
        let same = |known: &Schema| known.differences(old).is_empty();
        known.iter().position(same)
    };
    let another = |was: &Schema, differences, converted_from: &[Schema]| {
        Box::new(AnotherType {
            directory: directory.to_path_buf(),
            id: step.id.clone(),
            place: step.place.clone(),
            kind: step.kind,
            stored_id: stored.id.clone(),
            stored: was.clone(),
            differences,
            converted_from: converted_from.to_vec(),
        })
    };
    let mut old_key = None;
    if let (Some(was), Some(is)) = (&stored.key_schema, key) {
        let differences = is.differences(was);
        if !differences.is_empty() {
            old_key = find(old_keys, was);
        }
        // Parts that can't be traced may be unchanged: each stored key is tried later.
        if old_key.is_none() && !is.has_bytes_of(was) {
            let another = another(was, differences, old_keys);
            return Err(StepsError::KeyChanged(another));
        }
        if old_key.is_some() {
            notices.push(Notice::Rekeyed {
                id: step.id.clone(),
                differences,
            });
        }
    }
    let (mut old_state, mut differences) = (None, Vec::new());
    if let (Some(was), Some(is)) = (&stored.state_schema, state) {
        differences = is.differences(was);
        if !differences.is_empty() {
            old_state = find(old_states, was);
            if old_state.is_none() && !differences.iter().all(Difference::is_readable) {
                let another = another(was, differences, old_states);
                return Err(StepsError::StateChanged(another));
            }
            let (id, differences) = (step.id.clone(), differences.clone());
            notices.push(match old_state {
                Some(_) => Notice::Migrated { id, differences },
                None => Notice::Changed {
                    id,
                    kind: step.kind,
                    differences,
                },
            });
        }
    }
    let changed = old_key.is_some() || !differences.is_empty();
    Ok(changed.then_some(Rewrite {
        from: stored.number,
        old_key,
        old_state,
        differences,
    }))
}
