//! Testing a flow of your own: feed it, stop it, start it again, and look at what came out.
//!
//! A [`Harness`] runs a dataflow over given records with a store of its own in a temporary directory. What is fed
//! stays fed: each run goes on where the last one ended, as the program itself would.
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
//! test.feed_events("numbers", [Event::Record(1), Event::Abort, Event::Record(3)]);
//! test.run().unwrap_err();              // it was killed behind the 1 …
//! test.workers(2).run().unwrap();       // … and goes on, with another number of workers
//! assert_eq!(test.outputs(), [1, 4]);          // exactly once
//! ```

mod graph;
mod harness;
mod sink;
mod source;

#[doc(hidden)]
pub use graph::check_graph;
pub use harness::Harness;
pub use sink::{TestSink, TestWriter};
pub use source::{Event, TestReader, TestSource};

pub use crate::assert_graph;
