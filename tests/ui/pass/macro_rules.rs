//! Functions and bodies that come out of a `macro_rules!`.

use flow::prelude::*;
use flow::{sink, source};

fn parity(n: &u64) -> u64 {
    n % 2
}

fn sum(sum: &mut u64, n: u64) -> u64 {
    *sum += n;
    *sum
}

macro_rules! flow_of_item {
    ($item:item) => {
        #[dataflow]
        $item
    };
}

macro_rules! flow_of_body {
    ($visibility:vis $name:ident $flow:ident $body:block) => {
        #[dataflow]
        $visibility fn $name($flow: &Flow) $body
    };
}

flow_of_item! {
    /// A whole item.
    fn item(flow: &Flow) {
        let numbers = flow.source(source::from_iter(0..3u64));
        numbers.key_on(parity).stateful_map(sum).sink(sink::from_fn(|_| Ok::<_, String>(())));
    }
}

flow_of_body! {
    pub(crate) body flow {
        let numbers = flow.source(source::from_iter(0..3u64));
        numbers.key_on(parity).stateful_map(sum).sink(sink::from_fn(|_| Ok::<_, String>(())));
    }
}

fn main() {
    for build in [item, body] {
        let graph = Runner::new(build).graph().unwrap();
        let ids: Vec<String> = graph.steps().iter().map(|step| step.id()).collect();
        assert_eq!(ids, ["numbers", "parity", "sum", "from_fn"]);
    }
}
