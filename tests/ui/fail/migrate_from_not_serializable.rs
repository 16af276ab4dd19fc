//! The type that a step had before can't be read from a store.

use flow::prelude::*;

struct Euros {
    euros: u32,
}

#[derive(Default, Serialize, Deserialize)]
struct Cents {
    cents: u64,
}

fn sum(sum: &mut Cents, cents: u64) {
    sum.cents += cents;
}

fn of_euros(old: Euros) -> Cents {
    Cents { cents: u64::from(old.euros) * 100 }
}

#[dataflow]
fn sums(cents: KeyedStream<bool, u64>) -> KeyedStream<bool, ()> {
    cents.stateful_map(sum).migrate_from(of_euros)
}

fn main() {}
