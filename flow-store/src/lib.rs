//! The recovery store of flow: what a flow has done so far, in one file that survives any kill.
//!
//! The store knows executions, epochs, steps, keys and bytes, and nothing of streams. Everything
//! that survives is a row: the state of a key, the resume token of a source's partition, the
//! position of a sink. All rows that an epoch changed become durable together or not at all.
//!
//! # The cycle of a process
//!
//! 1. [`Look::at`] takes the lock and reads the store without changing it; [`Look::reconcile`]
//!    holds the steps of the flow against those of the store; [`Look::rows`] gives each worker
//!    the rows of its key groups. Whatever is wrong with the store or does not fit the flow is an
//!    error here, and the store is as it was.
//! 2. [`Look::start`] commits, before anything runs, that a new execution has the store. Its
//!    number is part of each of its epochs, so that no epoch number is ever used twice.
//! 3. [`Execution::commit`] makes an epoch durable. It refuses an epoch that is not greater than
//!    the last, and an execution that is not the last to have started.
//! 4. [`Execution::end`] commits how it ended. A process that was killed leaves that out, and
//!    nothing else is different: the next look finds the last epoch that was committed.
//!
//! After a commit that failed nobody knows whether it is durable: the execution is over, and a new
//! one goes on from what is on the disk.
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
//! # The command `flow-store`
//!
//! It looks at a store, and works on it while no flow runs. The verbs `info`, `steps`, `epochs`,
//! `get`, `export`, `verify` and `diff` change nothing, on a store that was killed neither, and `backup`
//! only makes its copy; `drop`, `rename` and `compact` change it as a whole or not at all. Of a
//! store that is in use they all say who has it; they take its lock themselves, so the lock file
//! says afterwards that they had it last. Here `[..]` stands for what differs.
//!
//! ```text
//! $ flow-store info state
//! store    [..] (format 1)
//! flow     words
//! epoch    1.2, and 2 retained from 1.0 on
//! state    clean: the last execution said how it ended
//! held by  nobody
//! file     state/part-00000-of-00001.redb, [..], closed
//!
//! steps
//!   lines   source  2 rows  44 B
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
//! Values are JSON with the names of fields. A key is given as JSON; what is no JSON is text. The
//! row of a source's partition says whether the partition was read to its end; its state is the
//! token, and that of a sink the position.
//!
//! ```text
//! $ flow-store get state counts anna
//! {"key":"anna","state":{"last":"b.txt:5","words":4}}
//! $ flow-store get state counts bert
//! error: step `counts` has no row with the key "bert"
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
//! What JSON has no form for is an object with one name: `{"$bytes":"00ff"}`, `{"$float":"NaN"}`
//! (or `inf`, `-inf`), `{"$map":[[key,value],..]}` for a map whose names are not text or come
//! twice, and `{"$ext":[type,"00ff"]}`. A map of the flow with one name that begins with `$` is a
//! `$map` too, so that nothing is taken for something else.
//!
//! Of a flow that retains epochs (`--retain`) an earlier one can be looked at.
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
//! all pages and 6 rows ([..]) are whole
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
//! error: there is no step `out` in the store in state: it has `lines` (source, text_lines), `totals` (state, stateful_map)
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
//! compacted 5 rows: the file had [..], and has [..] now
//! ```
//!
//! The exit status is 0; 1 when there is no such key or the stores are different; 2 when the
//! command line is wrong; 3 when the store is in use, damaged or not there, or something could not
//! be done. The message is one line on stderr. Programs can do the same with a [`Look`]:
//! [`verify`](Look::verify), [`drop_step`](Look::drop_step), [`rename_step`](Look::rename_step),
//! [`compact`](Look::compact), [`backup`](Look::backup).
//!
//! The command is built with the feature `cli`, which is on by default.
//!
//! # The files
//!
//! A store is a directory with two files.
//!
//! `lock` is held by the operating system's lock for as long as a process has the store, and is
//! never removed. Its text says who has, or last had, it, and which store it is:
//!
//! ```text
//! flow-store lock 1
//! store 1b4e28ba-2fa1-41d2-883f-0016d3cca427      (or `none`, while it is being made)
//! host worker-3
//! pid 4711
//! since 2026-01-31T12:00:00.123Z
//! end
//! ```
//!
//! What is behind the line `end` does not count, and a text without it is torn. A directory whose
//! lock file names a store, and that has no part file, has lost its data: it is refused.
//!
//! `part-00000-of-00001.redb` is a [redb](https://docs.rs/redb) file with these tables. Of redb's
//! types only `&str`, `&[u8]`, `u16` and `u64` are used. Numbers in values are big-endian.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `&str`, a name | `&[u8]`, see below |
//! | `steps` | `u16`, the step's number | `&[u8]`, MessagePack of a [`StoredStep`] |
//! | `base` | `&[u8]`: step `u16`, key group `u16`, then the key | `&[u8]`: flags `u8`, always 0; CRC-32C `u32` of flags, whole key and value; then the value |
//! | `execs` | `u64`, the execution's number | `&[u8]`, MessagePack of an [`ExecutionRecord`] without its number, times in milliseconds since 1970; the last 1,000 |
//! | `undo` | `(u64, u32)`: epoch, part | `&[u8]`: CRC-32C `u32` of key and rest; `u8`, 1 in the last part; the epoch before, `u64`; when, `u64` in milliseconds since 1970; records. Absent where nothing was ever retained |
//!
//! A record of `undo` is what a row was before that epoch: `u8`, 0 or 1 of `base`, 2 or 3 of `steps`, even when there was
//! none; the length of its key `u64`, its key; and when there was one the length of its value `u64`, its value. Going back
//! applies the records from the last to the first.
//!
//! | name in `meta` | value |
//! |---|---|
//! | `format_version` | `u64`, 1 |
//! | `store_uuid` | 16 bytes, given when the store was made |
//! | `flow_name` | UTF-8, of the last start; shown, not compared |
//! | `part_index`, `part_count` | `u64`, 0 and 1: a store has one part in this format |
//! | `key_groups` | `u64`, [`KEY_GROUPS`] |
//! | `execution` | `u64`, the last that started |
//! | `epoch` | `u64`, the last that is durable: `execution << 40 \| number` |
//! | `durable_seen` | `u64`, the epoch that was known to be durable when this one was written |
//! | `base_epoch` | `u64`, the epoch that `base` is at: `epoch` in this format |
//! | `clean` | `u64`, 1 if the last execution said how it ended, else 0 |
//! | `next_step` | `u64`, the number that the next new step gets; of 65,536 none is left |
//! | `maintained` | `u64`, how often steps were dropped or renamed by [`drop_step`](Look::drop_step) and [`rename_step`](Look::rename_step), which use up no execution; absent in stores of before it was counted |
//!
//! MessagePack is always written with field names, and read to its last byte.
//!
//! # What holds the promise
//!
//! - Each commit is one redb transaction, synced before it returns, and checked inside of itself
//!   against what the file says (execution and epoch).
//! - A look opens the file read-only, under an overlay that keeps in memory whatever redb would
//!   change: redb repairs a store that was killed, in that memory. It verifies the checksum of
//!   every page before it trusts one, which reads the whole file once; whoever resumes reads most
//!   of it anyway.
//! - Each row has a CRC of its own, checked by whoever reads it.
//! - A new store is made under another name (`part-00000-of-00001.redb.new`), with its first commit
//!   in it, and then renamed: there is never a part file without a start in it.
//! - A backup and a compaction are copies, row by row, read back before they get their name. A
//!   compaction does not use redb's own, which moves pages about in the one file there is and
//!   leaves one that was killed to be repaired.

mod changes;
mod codec;
mod contents;
mod copy;
mod directory;
mod epoch;
mod error;
mod execution;
mod fail_point;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod key;
mod lock;
mod look;
mod maintenance;
mod manifest;
mod msgpack;
mod overlay;
mod part;
mod record;
mod retain;
mod row;
mod rows;
mod schema;
#[cfg(test)]
mod simulator;
mod sole_writer;
mod start;
mod tables;
mod undo;
mod verify;
mod write;

pub use changes::{Change, Changes};
pub use codec::{CodecError, decode, encode};
pub use epoch::{Epoch, ParseEpochError};
pub use error::{AnotherType, Cause, StoreError};
pub use execution::Execution;
#[doc(hidden)]
pub use fail_point::FailPoint;
pub use key::{KEY_GROUPS, group, groups_of, hash, worker_of};
pub use look::{About, Look, Start};
pub use maintenance::{Compacted, DroppedStep};
pub use manifest::{Agreed, Manifest, Notice, Rewrite, Schemas, StepKind, StepSpec, StoredStep};
pub use record::{End, ExecutionRecord};
pub use retain::{ParseRetainError, Retain};
pub use rows::{Row, Rows};
pub use schema::{Difference, Field, Fields, ParseSchemaError, Primitive, Schema, trace};
pub use undo::Retained;
pub use verify::Verified;
