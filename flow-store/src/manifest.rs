//! The steps that the flow has against the steps that the store has: pure functions and data.

use crate::codec::CodecError;
use crate::epoch::Epoch;
use crate::error::{AnotherType, StoreError};
use crate::schema::{Difference, Schema, list};
use crate::visible::visible_on_a_line;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// What kind of rows a step has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepKind {
    /// A source: its rows are the resume tokens of its partitions.
    Source,
    /// A stateful step: its rows are the states of its keys.
    State,
    /// A sink: its rows are the positions of its shards.
    Sink,
}

impl StepKind {
    /// The key group of the row with this key: rows of sources and sinks are all in the first.
    #[must_use]
    pub fn group(self, key: &[u8]) -> u16 {
        match self {
            StepKind::State => crate::group(crate::hash(key)),
            StepKind::Source | StepKind::Sink => 0,
        }
    }

    /// What the rows of such a step are, in the plural: `states`.
    #[must_use]
    pub fn keeps(self) -> &'static str {
        match self {
            StepKind::Source => "tokens",
            StepKind::State => "states",
            StepKind::Sink => "positions",
        }
    }

    /// Takes the value of a row apart into MessagePack values.
    ///
    /// The row of a source's partition has two: whether the partition was read to its end, and
    /// its token. Every other row has one, and the first part is `None`.
    ///
    /// # Errors
    ///
    /// [`CodecError::Decode`] if the row of a source does not begin with a bool.
    ///
    /// ```
    /// use flow_store::StepKind;
    ///
    /// assert_eq!(StepKind::State.split(&[7])?, (None, &[7][..]));
    /// assert_eq!(StepKind::Source.split(&[0xc3, 7])?, (Some(true), &[7][..]));
    /// assert!(StepKind::Source.split(&[7]).is_err());
    /// # Ok::<(), flow_store::CodecError>(())
    /// ```
    pub fn split(self, value: &[u8]) -> Result<(Option<bool>, &[u8]), CodecError> {
        match (self, value) {
            (StepKind::State | StepKind::Sink, value) => Ok((None, value)),
            (StepKind::Source, [0xc2, token @ ..]) => Ok((Some(false), token)),
            (StepKind::Source, [0xc3, token @ ..]) => Ok((Some(true), token)),
            (StepKind::Source, _) => Err(CodecError::Decode(
                "it does not say whether the partition was read to its end".to_owned(),
            )),
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StepKind::Source => "source",
            StepKind::State => "state",
            StepKind::Sink => "sink",
        })
    }
}

/// A step that the flow has and that needs rows in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepSpec {
    /// Its id, unique in the flow.
    pub id: String,
    /// What kind of rows it has.
    pub kind: StepKind,
    /// The operator, as in `stateful_map` or `text_lines`; shown, not compared.
    pub operator: String,
    /// The type of its keys; shown, not compared.
    pub key_type: String,
    /// The type of its state; shown, not compared.
    pub state_type: String,
    /// What its keys and states look like.
    pub schemas: Schemas,
    /// The ids it had before: rows under one of these become its own.
    pub renamed_from: Vec<String>,
    /// Where the flow says it, as in `src/main.rs:12:9`; for messages, not stored.
    pub place: String,
}

/// What the keys and states of a step look like, and what it can read beside them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Schemas {
    /// Its keys; `None` for a step whose keys are not the user's, which is then not compared.
    pub key: Option<Schema>,
    /// Its states, tokens or positions; `None` if they are not to be compared.
    pub state: Option<Schema>,
    /// The key types that it can make its own of.
    pub old_keys: Vec<Schema>,
    /// The state types that it can make its own of.
    pub old_states: Vec<Schema>,
}

/// A step that the store has rows for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredStep {
    /// The number its rows are under; given once, never used for another step.
    pub number: u16,
    /// Its id at the last start.
    pub id: String,
    /// What kind of rows it has.
    pub kind: StepKind,
    /// The operator at the last start.
    pub operator: String,
    /// The type of its keys at the last start.
    pub key_type: String,
    /// The type of its state at the last start.
    pub state_type: String,
    /// What its keys look like, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_schema: Option<Schema>,
    /// What its states, tokens or positions look like, if that is known: all of them, for when that
    /// changes they are all written anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_schema: Option<Schema>,
}

/// What a start has to do with the rows of a step before the flow can go on from them, because a
/// type is another one than it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrite {
    /// The number under which the rows are now. All of them go; the start writes those that take
    /// their place, under the step's number in the manifest.
    pub from: u16,
    /// Which of [`Schemas::old_keys`] the keys have; `None` if the keys are as they were.
    pub old_key: Option<usize>,
    /// Which of [`Schemas::old_states`] the states have; `None` if they are to be read as the
    /// present type.
    pub old_state: Option<usize>,
    /// What is not in the state as it was.
    pub differences: Vec<Difference>,
}

/// What the user agreed to lose.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agreed {
    /// The ids of stored steps whose rows may go (`--drop-state`), whether the flow still has a
    /// step of that id, which then starts empty, or not.
    pub drop_steps: BTreeSet<String>,
}

/// What a start will do to the steps of the store; made by
/// [`Look::reconcile`](crate::Look::reconcile), carried out by [`Look::start`](crate::Look::start).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Manifest {
    /// The number of each step, by its position in the flow's list.
    pub numbers: Vec<u16>,
    /// The steps whose rows go.
    pub dropped: Vec<StoredStep>,
    /// Those steps, by their position in the flow's list, whose rows are to be written anew.
    pub rewrites: Vec<Option<Rewrite>>,
    /// What the user should be told.
    pub notices: Vec<Notice>,
    /// The steps whose rows are written anew under another number.
    pub(crate) replaced: Vec<StoredStep>,
    /// All steps as the store will have them.
    pub(crate) steps: Vec<StoredStep>,
    /// The number of the next step that is new; `u16::MAX + 1` when none is left.
    pub(crate) next_step: u32,
    /// What this was made from.
    pub(crate) basis: Basis,
}

/// Which state of which store a manifest was made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Basis {
    pub(crate) store: Option<uuid::Uuid>,
    pub(crate) execution: u64,
    pub(crate) maintained: u64,
}

/// Something that a start does and that the user may not expect.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The flow has a step that the store does not: it starts empty. Not said of a new store.
    NewStep {
        /// Its id.
        id: String,
    },
    /// A step goes on with the rows of an id it had before.
    Renamed {
        /// The id in the store.
        from: String,
        /// The id in the flow.
        to: String,
    },
    /// The rows of a step go, as was agreed.
    Dropped {
        /// Its id.
        id: String,
    },
    /// The store goes back to an earlier epoch, as was asked for; what came after it is given up.
    GoesBack {
        /// The last epoch.
        from: Epoch,
        /// The epoch that it goes back to.
        to: Epoch,
    },
    /// The store is new, and its file system can't make the name of its file durable.
    NoDirectorySync,
    /// Earlier executions retained epochs, and this one does not.
    Forgets {
        /// How many epochs can't be gone back to any more.
        epochs: usize,
    },
    /// A partition of a source has another name now.
    Moved {
        /// The id of the source.
        id: String,
        /// The name that the partition had.
        from: String,
        /// The name that it has.
        to: String,
        /// Whether something else has its former name, which is read behind it.
        begins_anew: bool,
    },
    /// So many more partitions of a source have other names now.
    MovedToo {
        /// The id of the source.
        id: String,
        /// How many.
        partitions: usize,
    },
    /// Partitions of a source are something else now, which begins with the little that was read, and are read on as what they were.
    Replaced {
        /// The id of the source.
        id: String,
        /// One of them.
        partition: String,
        /// How many more there are.
        more: usize,
    },
    /// What a step keeps is of another type than it was, and could all be read.
    Changed {
        /// Its id.
        id: String,
        /// What kind of rows it has.
        kind: StepKind,
        /// What is not as it was.
        differences: Vec<Difference>,
    },
    /// The states of a step are converted from a type that it kept before.
    Migrated {
        /// Its id.
        id: String,
        /// What is not as it was.
        differences: Vec<Difference>,
    },
    /// The keys of a step are converted from a type that they had before.
    Rekeyed {
        /// Its id.
        id: String,
        /// What is not as it was.
        differences: Vec<Difference>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::NoDirectorySync => f.write_str(
                "the file system of the store can't make a directory durable, so a power failure may take the new store away",
            ),
            Notice::NewStep { id } => {
                write!(f, "step `{id}` is not in the store yet: it starts empty")
            }
            Notice::Renamed { from, to } => {
                write!(f, "step `{to}` goes on with the rows of `{from}`")
            }
            Notice::Dropped { id } => write!(f, "the stored rows of step `{id}` are dropped"),
            Notice::GoesBack { from, to } => write!(
                f,
                "the store was at epoch {from} and goes back to {to}: what came in between is given up"
            ),
            Notice::Forgets { epochs: 1 } => f.write_str(
                "the epoch that was retained is forgotten: this run does not say `--retain`",
            ),
            Notice::Forgets { epochs } => write!(
                f,
                "the {epochs} epochs that were retained are forgotten: this run does not say `--retain`"
            ),
            Notice::Moved {
                id,
                from,
                to,
                begins_anew,
            } => {
                let (from, to) = (visible_on_a_line(from), visible_on_a_line(to));
                write!(
                    f,
                    "what source `{id}` read as `{from}` is `{to}` now, and is read on there"
                )?;
                if *begins_anew {
                    write!(
                        f,
                        "; then `{from}`, which is another one, from its beginning"
                    )?;
                }
                Ok(())
            }
            Notice::MovedToo { id, partitions } => write!(
                f,
                "and {partitions} more partitions of source `{id}` are read on under other names"
            ),
            Notice::Replaced {
                id,
                partition,
                more,
            } => {
                let partition = visible_on_a_line(partition);
                write!(f, "`{partition}` of source `{id}`")?;
                if *more > 0 {
                    write!(f, ", with {more} more,")?;
                }
                write!(
                    f,
                    " is another file than the one that was read, and is read on as that; what was not read of that one is not read"
                )
            }
            Notice::Changed {
                id,
                kind,
                differences,
            } => {
                let what = kind.keeps();
                let (what, list) = (what, list(differences));
                write!(
                    f,
                    "the {what} of step `{id}` changed, and all could be read:{list}"
                )
            }
            Notice::Migrated { id, differences } => {
                let list = list(differences);
                write!(f, "the states of step `{id}` are migrated:{list}")
            }
            Notice::Rekeyed { id, differences } => {
                let list = list(differences);
                write!(f, "the keys of step `{id}` are converted:{list}")
            }
        }
    }
}

/// What of the store a manifest is made from.
pub(crate) struct Stored<'a> {
    /// For messages.
    pub(crate) directory: &'a Path,
    pub(crate) steps: &'a [StoredStep],
    pub(crate) next_step: u32,
    pub(crate) basis: Basis,
}

/// Finds for each step of the flow its number, and what becomes of the other stored steps.
pub(crate) fn reconcile(
    stored: &Stored<'_>,
    flow: &[StepSpec],
    agreed: &Agreed,
) -> Result<Manifest, StoreError> {
    let directory = || stored.directory.to_path_buf();
    let in_flow = ids_of(stored, flow)?;
    let in_store: BTreeMap<&str, &StoredStep> = stored
        .steps
        .iter()
        .map(|step| (step.id.as_str(), step))
        .collect();

    let unknown = |id: &&String| !in_store.contains_key(id.as_str());
    if let Some(id) = agreed.drop_steps.iter().find(unknown) {
        return Err(StoreError::NoSuchStep {
            directory: directory(),
            id: id.clone(),
            stored: stored.steps.to_vec(),
        });
    }
    let (dropped, mut left): (Vec<_>, BTreeMap<&str, &StoredStep>) = {
        let (dropped, left): (BTreeMap<_, _>, BTreeMap<_, _>) = in_store
            .into_iter()
            .partition(|(id, _)| agreed.drop_steps.contains(*id));
        (dropped.into_values().cloned().collect(), left)
    };
    let mut notices: Vec<Notice> = dropped
        .iter()
        .map(|step: &StoredStep| Notice::Dropped {
            id: step.id.clone(),
        })
        .collect();

    let mut claims: BTreeMap<&str, &StepSpec> = BTreeMap::new();
    let mut found = Vec::with_capacity(flow.len());
    for step in flow {
        let own = left.get(step.id.as_str()).copied();
        let olds: BTreeMap<&str, &StoredStep> = step
            .renamed_from
            .iter()
            .filter(|old| **old != step.id)
            .filter_map(|old| left.get_key_value(old.as_str()))
            .map(|(id, old)| (*id, *old))
            .collect();
        // An old id that the flow has given to another step since is not up for renaming.
        let mut free = olds
            .values()
            .copied()
            .filter(|old| !in_flow.contains(old.id.as_str()));
        let taken = olds
            .values()
            .copied()
            .find(|old| in_flow.contains(old.id.as_str()));
        let (first, second) = (free.next(), free.next());
        match (own, first, second) {
            (Some(one), Some(other), _) | (None, Some(one), Some(other)) => {
                return Err(StoreError::RenameOfTwo {
                    directory: directory(),
                    id: step.id.clone(),
                    stored: [one.id.clone(), other.id.clone()],
                    place: step.place.clone(),
                });
            }
            (Some(own), None, _) => found.push(Some(own)),
            (None, Some(old), None) => {
                if let Some(other) = claims.insert(&old.id, step) {
                    return Err(StoreError::RenamedTwice {
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
                found.push(Some(old));
            }
            (None, None, _) => {
                if let Some(old) = taken {
                    return Err(StoreError::RenameInUse {
                        directory: directory(),
                        id: step.id.clone(),
                        old: old.id.clone(),
                        place: step.place.clone(),
                    });
                }
                found.push(None);
            }
        }
    }

    // For messages: an old id that was misspelt, perhaps.
    let new = flow.iter().zip(&found).filter(|(_, found)| found.is_none());
    let unused: Vec<_> = new
        .flat_map(|(step, _)| step.renamed_from.iter().map(move |old| (step, old)))
        .filter(|(_, old)| stored.steps.iter().all(|step| step.id != **old))
        .map(|(step, old)| (step.id.clone(), old.clone()))
        .collect();
    let mut next_step = stored.next_step;
    let mut numbers = Vec::with_capacity(flow.len());
    let mut steps = Vec::with_capacity(flow.len());
    let mut rewrites = Vec::with_capacity(flow.len());
    let mut replaced = Vec::new();
    let mut next_number = || {
        let number = u16::try_from(next_step).map_err(|_| StoreError::TooManySteps {
            directory: directory(),
        })?;
        next_step += 1;
        Ok::<u16, StoreError>(number)
    };
    for (step, found) in flow.iter().zip(found) {
        let Some(found) = found else {
            let number = next_number()?;
            if stored.basis.store.is_some() {
                notices.push(Notice::NewStep {
                    id: step.id.clone(),
                });
            }
            numbers.push(number);
            rewrites.push(None);
            steps.push(step.stored(number));
            continue;
        };
        if found.kind != step.kind {
            return Err(StoreError::KindChanged {
                directory: directory(),
                id: step.id.clone(),
                stored_id: found.id.clone(),
                stored: found.kind,
                flow: step.kind,
                place: step.place.clone(),
            });
        }
        left.remove(found.id.as_str());
        let rewrite = rewrite(stored.directory, found, step, &mut notices)?;
        let number = match rewrite {
            // Under a number of their own, so that none of the old rows is taken for a new one.
            Some(_) if step.kind == StepKind::State => {
                replaced.push(found.clone());
                next_number()?
            }
            _ => found.number,
        };
        numbers.push(number);
        rewrites.push(rewrite);
        steps.push(step.stored(number));
    }
    if !left.is_empty() {
        return Err(StoreError::UnknownSteps {
            directory: directory(),
            steps: left.into_values().cloned().collect(),
            unused,
        });
    }
    Ok(Manifest {
        numbers,
        dropped,
        rewrites,
        notices,
        replaced,
        steps,
        next_step,
        basis: stored.basis,
    })
}

/// What has to be done with the rows of a step because a type has changed.
fn rewrite(
    directory: &Path,
    stored: &StoredStep,
    step: &StepSpec,
    notices: &mut Vec<Notice>,
) -> Result<Option<Rewrite>, StoreError> {
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
        // What can't be traced may be as it was: each stored key is tried.
        if old_key.is_none() && !is.has_bytes_of(was) {
            let another = another(was, differences, old_keys);
            return Err(StoreError::KeyChanged(another));
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
                return Err(StoreError::StateChanged(another));
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

impl StepSpec {
    /// The step as the store will have it.
    fn stored(&self, number: u16) -> StoredStep {
        StoredStep {
            number,
            id: self.id.clone(),
            kind: self.kind,
            operator: self.operator.clone(),
            key_type: self.key_type.clone(),
            state_type: self.state_type.clone(),
            key_schema: self.schemas.key.clone(),
            state_schema: self.schemas.state.clone(),
        }
    }
}

fn ids_of<'a>(stored: &Stored<'_>, flow: &'a [StepSpec]) -> Result<BTreeSet<&'a str>, StoreError> {
    let mut places = BTreeMap::new();
    for step in flow {
        if let Some(other) = places.insert(step.id.as_str(), step.place.as_str()) {
            return Err(StoreError::SameId {
                directory: stored.directory.to_path_buf(),
                id: step.id.clone(),
                places: [other.to_owned(), step.place.clone()],
            });
        }
    }
    Ok(places.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use StepKind::{Sink, Source, State};

    fn stored(number: u16, id: &str, kind: StepKind) -> StoredStep {
        StoredStep {
            number,
            id: id.to_owned(),
            kind,
            operator: format!("op_{id}"),
            key_type: "String".to_owned(),
            state_type: "Old".to_owned(),
            key_schema: None,
            state_schema: None,
        }
    }

    fn step(id: &str, kind: StepKind, renamed_from: &[&str]) -> StepSpec {
        StepSpec {
            id: id.to_owned(),
            kind,
            operator: "op".to_owned(),
            key_type: "String".to_owned(),
            state_type: "New".to_owned(),
            schemas: Schemas::default(),
            renamed_from: renamed_from.iter().map(|id| (*id).to_owned()).collect(),
            place: format!("src/main.rs:{}:9", id.len()),
        }
    }

    fn agree(ids: &[&str]) -> Agreed {
        Agreed {
            drop_steps: ids.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    fn run(
        stored: &[StoredStep],
        next_step: u32,
        flow: &[StepSpec],
        drop: &[&str],
    ) -> Result<Manifest, StoreError> {
        let stored = Stored {
            directory: Path::new("state"),
            steps: stored,
            next_step,
            basis: Basis {
                store: (next_step > 0).then(|| uuid::Uuid::from_u128(1)),
                execution: 1,
                maintained: 0,
            },
        };
        reconcile(&stored, flow, &agree(drop))
    }

    struct Case {
        name: &'static str,
        stored: Vec<StoredStep>,
        next: u32,
        flow: Vec<StepSpec>,
        drop: &'static [&'static str],
        numbers: &'static [u16],
        dropped: &'static [&'static str],
        notices: &'static [&'static str],
    }

    #[test]
    fn what_is_accepted() {
        let cases = [
            Case {
                name: "a new store gives numbers and says nothing",
                stored: vec![],
                next: 0,
                flow: vec![step("in", Source, &[]), step("s", State, &["older"])],
                drop: &[],
                numbers: &[0, 1],
                dropped: &[],
                notices: &[],
            },
            Case {
                name: "steps are found by id, in any order",
                stored: vec![stored(0, "a", State), stored(4, "b", Sink)],
                next: 5,
                flow: vec![step("b", Sink, &[]), step("a", State, &[])],
                drop: &[],
                numbers: &[4, 0],
                dropped: &[],
                notices: &[],
            },
            Case {
                name: "a new step gets a number nobody had",
                stored: vec![stored(0, "a", State)],
                next: 7,
                flow: vec![step("b", Sink, &[]), step("a", State, &[])],
                drop: &[],
                numbers: &[7, 0],
                dropped: &[],
                notices: &["step `b` is not in the store yet: it starts empty"],
            },
            Case {
                name: "a renamed step keeps its number",
                stored: vec![stored(3, "a", State)],
                next: 4,
                flow: vec![step("b", State, &["oldest", "a"])],
                drop: &[],
                numbers: &[3],
                dropped: &[],
                notices: &["step `b` goes on with the rows of `a`"],
            },
            Case {
                name: "a renaming that was done stays in the flow",
                stored: vec![stored(3, "b", State)],
                next: 4,
                flow: vec![step("b", State, &["a", "b"])],
                drop: &[],
                numbers: &[3],
                dropped: &[],
                notices: &[],
            },
            Case {
                name: "and the old id may be given to another step afterwards",
                stored: vec![stored(3, "b", State), stored(4, "a", State)],
                next: 5,
                flow: vec![step("b", State, &["a"]), step("a", State, &[])],
                drop: &[],
                numbers: &[3, 4],
                dropped: &[],
                notices: &[],
            },
            Case {
                name: "a step that is gone is dropped by agreement",
                stored: vec![stored(0, "a", State), stored(1, "b", Sink)],
                next: 2,
                flow: vec![step("a", State, &[])],
                drop: &["b"],
                numbers: &[0],
                dropped: &["b"],
                notices: &["the stored rows of step `b` are dropped"],
            },
            Case {
                name: "a dropped step that is still there starts empty, with another number",
                stored: vec![stored(0, "a", State)],
                next: 1,
                flow: vec![step("a", Sink, &[])],
                drop: &["a"],
                numbers: &[1],
                dropped: &["a"],
                notices: &[
                    "the stored rows of step `a` are dropped",
                    "step `a` is not in the store yet: it starts empty",
                ],
            },
            Case {
                name: "of two stored steps one is dropped and the other renamed",
                stored: vec![stored(0, "a", State), stored(1, "b", State)],
                next: 2,
                flow: vec![step("b", State, &["a"])],
                drop: &["b"],
                numbers: &[0],
                dropped: &["b"],
                notices: &[
                    "the stored rows of step `b` are dropped",
                    "step `b` goes on with the rows of `a`",
                ],
            },
            Case {
                name: "the last number can be given",
                stored: vec![],
                next: 65_535,
                flow: vec![step("a", State, &[])],
                drop: &[],
                numbers: &[65_535],
                dropped: &[],
                notices: &["step `a` is not in the store yet: it starts empty"],
            },
        ];
        for case in cases {
            let name = case.name;
            let manifest = run(&case.stored, case.next, &case.flow, case.drop).unwrap();
            assert_eq!(manifest.numbers, case.numbers, "{name}");
            let dropped: Vec<_> = manifest.dropped.iter().map(|step| &step.id).collect();
            assert_eq!(dropped, case.dropped, "{name}");
            let notices: Vec<_> = manifest.notices.iter().map(ToString::to_string).collect();
            assert_eq!(notices, case.notices, "{name}");
            // and what will be stored is the flow's, with those numbers
            assert_eq!(manifest.steps.len(), case.flow.len(), "{name}");
            for ((step, number), stored) in case.flow.iter().zip(case.numbers).zip(&manifest.steps)
            {
                assert_eq!((&stored.id, stored.number), (&step.id, *number), "{name}");
                assert_eq!(
                    (stored.kind, &stored.state_type[..]),
                    (step.kind, "New"),
                    "{name}"
                );
                assert!(u32::from(*number) < manifest.next_step, "{name}");
            }
        }
    }

    #[test]
    fn what_is_refused() {
        let two = || vec![stored(0, "a", State), stored(1, "b", Source)];
        /// Stored, flow, agreed to drop, message.
        type Refused = (
            Vec<StoredStep>,
            Vec<StepSpec>,
            &'static [&'static str],
            &'static str,
        );
        let cases: Vec<Refused> = vec![
            (
                two(),
                vec![step("b", Source, &[])],
                &[],
                "the store in state has a step that the flow has not: `a` (state, op_a). If a step \
                 was renamed, say `.renamed_from(\"a\")` where it is now; if what it held may go, \
                 start with `--drop-state a`",
            ),
            (
                two(),
                vec![
                    step("new", State, &["aa", "oldest"]),
                    step("b", Source, &["older"]),
                ],
                &[],
                "the store in state has a step that the flow has not: `a` (state, op_a); `new` was \
                 `aa` before, the flow says, and the store has no `aa`; `new` was `oldest` before, \
                 the flow says, and the store has no `oldest`. If a step was renamed, say \
                 `.renamed_from(\"a\")` where it is now; if what it held may go, start with \
                 `--drop-state a`",
            ),
            (
                two(),
                vec![],
                &[],
                "the store in state has steps that the flow has not: `a` (state, op_a), `b` \
                 (source, op_b). If a step was renamed, say `.renamed_from(\"a\")` where it is now; \
                 if what it held may go (of a source that is where it stood: its input would be read \
                 again), start with `--drop-state a --drop-state b`",
            ),
            (
                two(),
                vec![step("a", Sink, &[]), step("b", Source, &[])],
                &[],
                "src/main.rs:1:9: step `a` is a sink step, and the store in state has it as a state \
                 step. Give it another name with `.named(…)`, or start with `--drop-state a`",
            ),
            (
                two(),
                vec![step("new", Sink, &["a"]), step("b", Source, &[])],
                &[],
                "src/main.rs:3:9: step `new` is a sink step, and the store in state has `a`, its \
                 old name, as a state step. Give it another name with `.named(…)`, or start with \
                 `--drop-state a`",
            ),
            (
                two(),
                vec![step("a", State, &[]), step("b", Source, &[])],
                &["c"],
                "there is no step `c` to drop in the store in state: it has `a` (state, op_a), `b` \
                 (source, op_b)",
            ),
            (
                vec![],
                vec![],
                &["c"],
                "there is no step `c` to drop in the store in state: it has no steps",
            ),
            (
                vec![stored(0, "a", State), stored(1, "b", State)],
                vec![step("b", State, &["a"])],
                &[],
                "src/main.rs:1:9: the store in state has both `b` and `a`, and step `b` can go on \
                 with one only. Start with `--drop-state` for the one whose rows may go",
            ),
            (
                vec![stored(0, "a", State), stored(1, "b", State)],
                vec![step("c", State, &["b", "a"])],
                &[],
                "src/main.rs:1:9: the store in state has both `a` and `b`, and step `c` can go on \
                 with one only. Start with `--drop-state` for the one whose rows may go",
            ),
            (
                vec![stored(0, "a", State)],
                vec![step("b", State, &["a"]), step("cc", State, &["a"])],
                &[],
                "steps `b` (src/main.rs:1:9) and `cc` (src/main.rs:2:9) both say that they were \
                 `a`, and the rows in state can go to one only. Take one `.renamed_from(\"a\")` \
                 away",
            ),
            (
                vec![stored(0, "a", State)],
                vec![step("a", State, &[]), step("b", State, &["a"])],
                &[],
                "src/main.rs:1:9: step `b` says that it was `a`, and the flow still has a step `a`, \
                 which the rows in state could as well be for. Take `.renamed_from(\"a\")` away, or \
                 give the other step another name",
            ),
            (
                vec![],
                vec![step("a", State, &[]), step("a", Sink, &[])],
                &[],
                "the flow has two steps `a`, at src/main.rs:1:9 and at src/main.rs:1:9: give one \
                 another name with `.named(…)`",
            ),
        ];
        for (stored, flow, drop, message) in cases {
            let error = run(&stored, 2, &flow, drop).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let error = run(
            &[],
            65_535,
            &[step("a", State, &[]), step("b", State, &[])],
            &[],
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "the store in state has given all its 65,536 step numbers away, and none is used \
             twice: start with a new directory"
        );
    }
}
