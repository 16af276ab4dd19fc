//! Random flows over random input with random crashes, compared with an interpreter that has no
//! crashes.
//!
//! After each run, store and outputs must have the interpreter's results for exactly the records
//! before the stored tokens. After the last run, they must have those of all records. A failed case
//! prints how to repeat it. `FLOW_RANDOM_CASES=100000` makes a long campaign.
#![cfg(test)]

mod build;
mod campaign;
mod case;
mod checks;
mod compare;
mod description;
mod durable;
mod faults;
mod input;
mod plan;
mod reference;
mod statistics;
mod tape;
mod world;

use campaign::campaign;
use case::Size;

#[test]
fn any_flow_with_any_crashes_comes_to_what_the_interpreter_says() {
    let statistics = campaign(Size::Small);
    let counts = statistics.lock();
    if counts.runs > 5_000 {
        // A campaign in which little goes wrong would show little.
        assert_eq!(counts.faults.len(), faults::KINDS, "{:?}", counts.faults);
        assert!(counts.aborted_halfway > 500, "{}", counts.aborted_halfway);
    }
}

#[test]
fn so_does_one_with_much_input() {
    campaign(Size::Large);
}
