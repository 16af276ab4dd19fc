//! `#[dataflow(crate = path)]`: everything the expansion needs is looked for there.

extern crate flow as streaming;

use streaming::prelude::*;
use streaming::{sink, source};

/// Stands in for the library, and counts.
mod renamed {
    pub mod inner {
        pub mod __private {
            pub use flow::__private::{Scope, Sites, here};
            use std::sync::atomic::{AtomicUsize, Ordering};

            pub static ENTERED: AtomicUsize = AtomicUsize::new(0);

            pub fn enter(sites: &'static Sites) -> Scope {
                ENTERED.fetch_add(1, Ordering::Relaxed);
                flow::__private::enter(sites)
            }
        }
    }
}

#[dataflow(crate = renamed::inner)]
fn through_a_module(flow: &Flow) {
    let numbers = flow.source(source::from_iter(0..3u64));
    numbers.sink(sink::from_fn(|_| Ok::<_, String>(())));
}

#[dataflow(crate = streaming, renamed_from = "old")]
fn through_another_name(flow: &Flow) {
    let numbers = flow.source(source::from_iter(0..3u64));
    numbers.sink(sink::from_fn(|_| Ok::<_, String>(())));
}

fn main() {
    let graph = Runner::new(through_a_module).graph().unwrap();
    assert_eq!(graph.steps()[0].id(), "numbers");
    assert_eq!(
        renamed::inner::__private::ENTERED.load(std::sync::atomic::Ordering::Relaxed),
        1
    );

    let graph = Runner::new(through_another_name).graph().unwrap();
    assert_eq!(graph.steps()[0].id(), "numbers");
    assert_eq!(
        renamed::inner::__private::ENTERED.load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}
