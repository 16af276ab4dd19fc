//! The recovery store of flow: the progress of a flow, in one file that survives any kill.
//!
//! The store knows executions, epochs, steps, keys and bytes. It knows nothing of streams. It keeps
//! rows of three kinds:
//!
//! - the state of a key,
//! - the resume token of a source's partition,
//! - the position of a sink's shard.
//!
//! All rows that an epoch changed become durable together or not at all.
//!
//! # The cycle of a process
//!
//! 1. [`Look::at`] takes the lock and reads the store without changing it. [`Look::reconcile`]
//!    compares the steps of the flow with those of the store. [`Look::rows`] gives each worker the
//!    rows of its key groups. A damaged store, or one that does not match the flow, is an error
//!    here, and the store is left untouched.
//! 2. [`Look::start`] commits a new execution before anything runs. The number of the execution is
//!    part of each of its epochs, so no epoch number is ever used twice.
//! 3. [`Execution::commit`] makes an epoch durable. It refuses an epoch that is not greater than
//!    the last one, and an execution that is not the latest.
//! 4. [`Execution::end`] commits how the execution ended. A killed process does not get here. That
//!    is the only difference: the next look finds the last committed epoch.
//!
//! If a commit fails, it is unknown whether it is durable. So the execution is over, and a new one
//! resumes from what is on the disk.
//!
//! ```
//! use flow_store::{
//!     Agreed, Changes, End, Epoch, KEY_GROUPS, Look, Start, StepKind, StepSpec, decode, encode,
//!     group, hash,
//! };
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("state");
//! let flow = [StepSpec {
//!     id: "joiner".to_owned(),
//!     kind: StepKind::State,
//!     operator: "stateful_map".to_owned(),
//!     key_type: "String".to_owned(),
//!     state_type: "u64".to_owned(),
//!     schemas: Default::default(),
//!     renamed_from: vec![],
//!     place: "src/main.rs:12:9".to_owned(),
//! }];
//!
//! // The first process: the store is new, and made as the execution starts.
//! let look = Look::at(&path)?;
//! let manifest = look.reconcile(&flow, &Agreed::default())?;
//! let joiner = manifest.numbers[0];
//! let mut execution = look.start(Start {
//!     manifest: &manifest,
//!     flow_name: "cart_join",
//!     workers: 2,
//!     build: env!("CARGO_PKG_VERSION"),
//!     changes: &Changes::new(),
//! })?;
//!
//! let mut key = Vec::new();
//! encode("anna", &mut key)?;
//! let mut changes = Changes::new();
//! changes.put(joiner, group(hash(&key)), &key, |bytes| encode(&3u64, bytes))?;
//! execution.commit(Epoch::first(execution.number()), [&changes])?;
//! execution.end(End::Stopped)?;
//!
//! // The next one: it finds the epoch and the row.
//! let look = Look::at(&path)?;
//! assert_eq!(look.epoch(), Epoch::first(1));
//! let manifest = look.reconcile(&flow, &Agreed::default())?;
//! for row in look.rows(manifest.numbers[0], 0..KEY_GROUPS)? {
//!     let row = row?;
//!     assert_eq!(decode::<String>(&row.key)?, "anna");
//!     assert_eq!(decode::<u64>(&row.value)?, 3);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//!
//! This list is for those who change the store. A folder uses only folders above it in the list.
//!
//! - `codec`: values as MessagePack. `schema`: what a type looks like. `step`, `epoch`, `key`,
//!   `retain`: the terms that the rest uses.
//! - `error`: why something was refused or failed.
//! - `hooks`: where tests interfere with a running store; empty without their features.
//! - `file`: the files of a store, their locks, and the one gate to redb.
//! - `format`: the tables and the bytes of their rows, as the last section describes them.
//! - `manifest`: the steps of the flow, compared with those of the store.
//! - `look`: reading a store, now or as it was at an earlier epoch.
//! - `execution`: starting, committing, folding, forgetting.
//! - `maintenance`: what the command does besides reading.
//! - `testing`: the simulator and what fuzz targets need.
//!
//! # The command `flow-store`
//!
//! The command inspects and maintains a store while no flow runs.
//!
//! - `info`, `steps`, `epochs`, `get`, `export`, `verify` and `diff` never modify the store, not
//!   even after a crash.
//! - `backup` only makes its copy.
//! - `drop`, `rename` and `compact` change the store as a whole or not at all.
//!
//! If the store is in use, every verb says which process has it. Several processes can read at
//! once. A flow that starts waits for them for at most 10 seconds. Below, `[..]` stands for text
//! that varies.
//!
//! ```text
//! $ flow-store info state
//! store    [..] (format 6)
//! flow     words
//! epoch    1.2, and 2 retained from 1.0 on
//! state    clean: the last execution recorded how it ended
//! held by  nobody
//! file     state/part-00000-of-00001.redb, [..], closed
//!
//! steps
//!   lines   source  2 rows  46 B
//!   counts  state   3 rows  76 B
//!   out     sink    1 row   3 B
//!
//! executions
//!   1  [..]  [..], process [..]  2 workers  [..]: was stopped
//! $ flow-store steps state
//! number  id      kind    operator      keys    state      rows
//! 0       lines   source  text_lines    String  FileToken  2
//! 1       counts  state   stateful_map  String  Count      3
//! 2       out     sink    json_lines    u32     u64        1
//! ```
//!
//! Values are JSON with the names of fields. A key is given as `export` shows it, or in its usual
//! form: a text without quotes, an address, an identifier, a time, a number of any size, bytes as
//! `0x00ff`. The row of a source's partition says whether the partition was read to its end, and
//! its state is the token. If its records have a time, `times` has the latest one, in microseconds
//! since 1970, for each step that gives it. The state of a sink is its position. A windowed step
//! has a list of `[open, shown, value]` for each key with open windows, and a row for itself with
//! the key `null`.
//!
//! ```text
//! $ flow-store get state counts anna
//! {"key":"anna","state":{"last":"b.txt:5","words":4}}
//! $ flow-store get state counts bert
//! error: step `counts` has no row with the key bert; its keys are written like [..]
//! exit status 1
//! $ flow-store get state lines a.txt
//! {"key":"a.txt","done":true,"state":{"line":9,"offset":120}}
//! $ flow-store export state out
//! {"key":0,"state":180}
//! $ flow-store export state
//! {"step":"lines","key":"a.txt","done":true,"state":{"line":9,"offset":120}}
//! {"step":"lines","key":"b.txt","done":false,"state":{"line":5,"offset":75}}
//! {"step":"counts","key":"[..]","state":{"last":"[..]","words":[..]}}
//! {"step":"counts","key":"[..]","state":{"last":"[..]","words":[..]}}
//! {"step":"counts","key":"[..]","state":{"last":"[..]","words":[..]}}
//! {"step":"out","key":0,"state":180}
//! ```
//!
//! A value that JSON can't express is shown as an object with one name:
//!
//! - `{"$bytes":"00ff"}` for bytes,
//! - `{"$float":"NaN"}` for a float that is not finite (also `inf`, `-inf`),
//! - `{"$map":[[key,value],..]}` for a map whose keys are not text, or not unique,
//! - `{"$ext":[type,"00ff"]}` for an extension of MessagePack,
//! - `{"$deep":"00ff"}` for a value that is nested more than 256 levels deep.
//!
//! A map of the flow whose only key begins with `$` is shown as a `$map` too, so that it can't be
//! mistaken for one of these.
//!
//! If the flow retains epochs (`--retain`), an earlier one can be read.
//!
//! ```text
//! $ flow-store epochs state
//! 1.0  until [..]
//! 1.1  until [..]
//! 1.2  the last
//! $ flow-store export state lines --epoch 1.1
//! {"key":"a.txt","done":true,"state":{"line":9,"offset":120}}
//! {"key":"b.txt","done":false,"state":{"line":4,"offset":60}}
//! ```
//!
//! ```text
//! $ flow-store verify state
//! all pages and 6 rows ([..]) are intact
//! $ flow-store backup state today
//! backed up 6 rows at epoch 1.2 to today
//! $ flow-store diff yesterday today --count
//! step `counts`: 1 added, 1 removed, 1 changed
//! step `lines`: 0 added, 0 removed, 1 changed
//! step `out`: 0 added, 0 removed, 1 changed
//! exit status 1
//! $ flow-store rename state counts totals
//! renamed step `counts` to `totals` (state, stateful_map)
//! $ flow-store drop state out
//! dropped step `out` (sink, json_lines) and its 1 row
//! $ flow-store drop state out
//! error: there is no step `out` in the store in state: it has `lines` (source, text_lines), [..]
//! exit status 3
//! $ flow-store diff today state
//! - {"step":"counts","key":"[..]","state":{"last":"[..]","words":[..]}}
//! - {"step":"counts","key":"[..]","state":{"last":"[..]","words":[..]}}
//! - {"step":"counts","key":"[..]","state":{"last":"[..]","words":[..]}}
//! step `counts` is only in the first: 3 rows
//! - {"step":"out","key":0,"state":180}
//! step `out` is only in the first: 1 row
//! + {"step":"totals","key":"[..]","state":{"last":"[..]","words":[..]}}
//! + {"step":"totals","key":"[..]","state":{"last":"[..]","words":[..]}}
//! + {"step":"totals","key":"[..]","state":{"last":"[..]","words":[..]}}
//! step `totals` is only in the second: 3 rows
//! exit status 1
//! $ flow-store compact state
//! compacted 5 rows: the file had [..] and now has [..]
//! ```
//!
//! The exit status is:
//!
//! - 0 on success,
//! - 1 if there is no such key, or the stores are different,
//! - 2 if the command line is wrong,
//! - 3 if the store is in use, damaged or missing, or if the command failed.
//!
//! The message is one line on stderr. A second line that begins with `help: ` says what to do, if
//! anything can be done. Programs can do the same with a [`Look`]: [`verify`](Look::verify),
//! [`drop_step`](Look::drop_step), [`rename_step`](Look::rename_step), [`compact`](Look::compact),
//! [`backup`](Look::backup).
//!
//! The command is built with the feature `cli`, which is on by default.
//!
#![doc = include_str!("../FORMAT.md")]

mod clock;
mod codec;
mod epoch;
mod error;
mod execution;
mod file;
mod format;
mod hooks;
mod key;
mod look;
mod maintenance;
mod manifest;
mod retain;
mod schema;
mod step;
#[cfg(any(test, feature = "fuzzing"))]
mod testing;
mod visible;

pub use codec::msgpack::text as text_of;
pub use codec::{
    Checked, Checks, CodecError, TokenRow, begin_list, decode, decode_front, encode, encode_key,
    is_plain_key, list_front,
};
pub use epoch::{Epoch, ParseEpochError};
pub use error::{
    AnotherType, Cause, ExecutionError, FileError, GoBackError, LockError, Lost, MaintenanceError,
    StepsError, StoreError,
};
pub use execution::{Execution, Start};
pub use file::directory::files_of;
#[doc(hidden)]
pub use file::os;
pub use format::changes::{Change, Changes};
pub use format::failure::{FailureKind, FailureRecord};
pub use format::record::{End, ExecutionRecord};
#[doc(hidden)]
pub use hooks::fail_point::FailPoint;
pub use key::{KEY_GROUPS, OWN_KEY, group, groups_of, hash, worker_of};
pub use look::rows::{Row, RowRef, Rows};
pub use look::{About, Look};
pub use maintenance::{Compacted, DroppedStep, Verified};
pub use manifest::{Agreed, Manifest, Notice, Rewrite};
pub use retain::{ParseRetainError, Retain, Retained};
pub use schema::{Difference, Field, Fields, ParseSchemaError, Primitive, Schema, trace};
pub use step::{Schemas, StepKind, StepSpec, StoredStep};
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use testing::fuzzing;
pub use visible::{visible, visible_json, visible_on_a_line};
