//! Effects of a start that the user may not expect, in words.

use crate::epoch::Epoch;
use crate::schema::{Difference, list};
use crate::step::{StepKind, StoredStep};
use crate::visible::visible_on_a_line;
use std::fmt;

/// An effect of a start that the user may not expect.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The flow has a step that is not in the store, so it starts empty. There is no such notice
    /// for a new store.
    NewStep {
        /// Its id.
        id: String,
    },
    /// A step resumes with the rows of an id that it had before.
    Renamed {
        /// The id in the store.
        from: String,
        /// The id in the flow.
        to: String,
    },
    /// The rows of a step are dropped, as agreed.
    Dropped {
        /// Its id.
        id: String,
    },
    /// The store goes back to an earlier epoch, as requested. Everything after it is given up.
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
        /// How many epochs the store can no longer go back to.
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
        /// Whether another input has the former name now. It is read after the moved one.
        begins_anew: bool,
    },
    /// More partitions of a source have other names now.
    MovedToo {
        /// The id of the source.
        id: String,
        /// How many.
        partitions: usize,
    },
    /// Partitions of a source are other inputs now, which begin with the little that was read. They
    /// are read as a continuation of the old ones.
    Replaced {
        /// The id of the source.
        id: String,
        /// One of them.
        partition: String,
        /// How many more there are.
        more: usize,
    },
    /// The type of a step's values has changed, and all values could be read.
    Changed {
        /// Its id.
        id: String,
        /// What kind of rows it has.
        kind: StepKind,
        /// The differences from the stored type.
        differences: Vec<Difference>,
    },
    /// The states of a step are converted from their former type.
    Migrated {
        /// Its id.
        id: String,
        /// The differences from the stored type.
        differences: Vec<Difference>,
    },
    /// The keys of a step are converted from their former type.
    Rekeyed {
        /// Its id.
        id: String,
        /// The differences from the stored type.
        differences: Vec<Difference>,
    },
}

impl Notice {
    pub(super) fn dropped(step: &StoredStep) -> Notice {
        Notice::Dropped {
            id: step.id.clone(),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::NoDirectorySync => f.write_str(
                "the file system of the store can't make a directory durable, so a power failure \
                 may remove the new store",
            ),
            Notice::NewStep { id } => {
                write!(f, "step `{id}` is not in the store yet: it starts empty")
            }
            Notice::Renamed { from, to } => {
                write!(f, "step `{to}` resumes with the rows of `{from}`")
            }
            Notice::Dropped { id } => write!(f, "the stored rows of step `{id}` are dropped"),
            Notice::GoesBack { from, to } => write!(
                f,
                "the store was at epoch {from} and goes back to {to}: what came in between is \
                 given up"
            ),
            Notice::Forgets { epochs: 1 } => f.write_str(
                "the epoch that was retained is forgotten: this run does not say `--retain`",
            ),
            Notice::Forgets { epochs } => write!(
                f,
                "the {epochs} epochs that were retained are forgotten: this run does not say \
                 `--retain`"
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
                    "what source `{id}` read as `{from}` is `{to}` now, where reading resumes"
                )?;
                if *begins_anew {
                    write!(
                        f,
                        "; `{from}` is another one now, and is read from its beginning"
                    )?;
                }
                Ok(())
            }
            Notice::MovedToo { id, partitions } => write!(
                f,
                "and {partitions} more partitions of source `{id}` resume under other names"
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
                    " is another file than the one that was read. It is read as a continuation, \
                     and the unread rest of the old file is skipped"
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
