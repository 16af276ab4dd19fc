//! flow-store

mod changes;
mod codec;
mod contents;
mod directory;
mod epoch;
mod error;
mod execution;
mod guard;
mod key;
mod lock;
mod look;
mod manifest;
mod overlay;
mod part;
mod record;
mod row;
mod rows;
mod start;
mod tables;
mod write;

pub use changes::{Change, Changes};
pub use codec::{CodecError, decode, encode};
pub use epoch::Epoch;
pub use error::{Cause, StoreError};
pub use execution::Execution;
pub use key::{KEY_GROUPS, group, groups_of, hash, worker_of};
pub use look::{Look, Start};
pub use manifest::{Agreed, Manifest, Notice, StepKind, StepSpec, StoredStep};
pub use record::{End, ExecutionRecord};
pub use rows::{Row, Rows};
