//! Tests for your own flow: feed it, stop it, start it again, and look at its output.
//!
//! A [`Harness`] runs a dataflow over given records, with a store of its own in a temporary
//! directory. Fed records stay fed: each run resumes where the last one ended, as the program
//! itself would.
//!
//! ```
//! use flow::prelude::*;
//! use flow::testing::{Event, Harness};
//!
//! fn total(sum: &mut u64, n: u64) -> u64 { *sum += n; *sum }
//!
//! #[dataflow]
//! fn totals(numbers: Stream<u64>) -> Stream<u64> {
//!     numbers.key_on(|n| n % 2).stateful_map(total).map(|(_, sum)| sum)
//! }
//!
//! let mut test = Harness::new(totals);
//! test.feed_events("numbers", [1.into(), Event::Abort, 3.into()]);
//! test.run().unwrap_err();                // It was killed behind the 1 …
//! test.workers(2).run().unwrap();         // … and resumes, with another number of workers …
//! assert_eq!(test.outputs(), [1, 4]);     // … exactly once.
//! ```
//!
//! An [`Event`] stands between the records. No test has to wait for anything, or depends on timing:
//!
//! | to test | feed |
//! |---|---|
//! | a kill between two epochs | [`Event::Abort`]: everything before it is durable |
//! | a kill in the middle of an epoch | [`Event::Kill`]: the open epoch is lost |
//! | a stop by signal | [`Event::Stop`] |
//! | input that comes in several runs | [`Event::Eof`] between its parts |
//! | epochs at certain places | [`Event::EndEpoch`], or [`Harness::epochs`] |
//! | time that passes | [`Event::Pause`] |
//! | a source that fails | [`Event::Fail`] |

mod graph;
mod harness;
mod ports;
mod sink;
mod source;

#[doc(hidden)]
pub use graph::check_graph;
pub use harness::Harness;
pub use ports::{Inputs, Outputs};
pub use sink::{Seen, Stamped, TestSink, TestWriter};
pub use source::{Event, TestReader, TestSource};

pub use crate::assert_graph;
