//! A migration is not from the type that it says.

use flow::prelude::*;

#[derive(Serialize, Deserialize)]
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

fn of_euros(euros: u32) -> Cents {
    Cents { cents: u64::from(euros) * 100 }
}

#[dataflow]
fn sums(cents: KeyedStream<bool, u64>) -> KeyedStream<bool, ()> {
    cents.stateful_map(sum).migrate_from::<Euros>(of_euros)
}

fn main() {}
