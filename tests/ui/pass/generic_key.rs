//! Types and functions that are generic over a key.

use flow::{Key, prelude::*};

#[derive(Clone, Serialize, Deserialize)]
struct Tagged<K: Key> {
    key: K,
    count: u64,
}

fn back<'a, K: Key + Deserialize<'a>>(json: &'a str) -> K {
    serde_json::from_str(json).unwrap()
}

#[dataflow]
fn tagged<K: Key + Serialize>(keyed: KeyedStream<K, u64>) -> Stream<Tagged<K>> {
    let counts = keyed.stateful_map(|count: &mut u64, _| {
        *count += 1;
        *count
    });
    counts.map(|(key, count)| Tagged { key, count })
}

fn main() {
    let (out, seen) = flow::sink::collect();
    let run = Runner::new(move |flow| {
        let numbers = flow.source(flow::source::from_iter([7u64, 7]));
        let tagged = tagged(numbers.key_on(|n| *n));
        tagged.map(|tagged| (back::<u64>("7") == tagged.key, tagged.count)).sink(out.clone());
    });
    run.run().unwrap();
    assert_eq!(seen.take(), [(true, 1), (true, 2)]);
}
