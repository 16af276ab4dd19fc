//! Records that travel between workers: they keep their order for each key, and survive being
//! encoded as bytes.
#![cfg(test)]

use std::collections::BTreeMap;

use flow::{
    Epochs, KeyedStream, Stream,
    prelude::{Deserialize, Serialize},
    testing::{Event, Harness},
};

/// Emits each number with the one before it of its key.
fn with_previous(numbers: Stream<(u64, u64)>) -> Stream<(u64, u64, Option<u64>)> {
    let previous = |last: &mut Option<u64>, (_, n): (u64, u64)| (n, last.replace(n));
    let keyed: KeyedStream<u64, _> = numbers.key_on(|(key, _)| *key);
    let pairs = keyed.stateful_map(previous).named("previous");
    pairs.map(|(key, (n, previous))| (key, n, previous))
}

#[test]
fn a_keys_records_stay_in_order_over_many_workers_and_thousands_of_tiny_epochs() {
    for (workers, epochs, bytes, records) in [
        (2, Epochs::records(1000), false, 8000),
        (2, Epochs::records(20_000), false, 40_000),
        (2, Epochs::every_record(), false, 1000),
        (3, Epochs::records(7), false, 2000),
        (4, Epochs::every_record(), true, 1000),
    ] {
        let mut test = Harness::new(with_previous);
        test.workers(workers).epochs(epochs);
        if bytes {
            test.over_bytes();
        }
        // Each key is in one partition, so its order is given.
        for partition in 0..4u64 {
            let records = (0..records).map(|n| Event::Record((partition * 10 + n % 10, n)));
            test.feed_events(&format!("p{partition}"), records);
        }
        test.run().unwrap();
        let mut last = BTreeMap::new();
        for (key, n, previous) in test.outputs() {
            let before = last.insert(key, n);
            assert_eq!(previous, before, "key {key} has {n} out of order");
            assert!(before.is_none_or(|before| before < n));
        }
        assert_eq!(last.len(), 40);
        assert_eq!(test.outputs().len() as u64, 4 * records);
    }
}

/// Types that a format which is not self-describing can't carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Loose {
    key: Key,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    left_out: Option<u64>,
    any: serde_json::Value,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Number(u64),
    Text(String),
    Pair { a: u8, b: Option<bool> },
}

#[test]
fn everything_that_serde_can_describe_survives_the_way_between_processes() {
    let records: Vec<Loose> = (0..200u64)
        .map(|n| Loose {
            key: match n % 3 {
                0 => Key::Number(n % 5),
                1 => Key::Text(format!("k{}", n % 5)),
                _ => Key::Pair {
                    a: u8::try_from(n % 5).unwrap(),
                    b: [None, Some(true), Some(false)][usize::try_from(n % 3).unwrap()],
                },
            },
            left_out: (n % 2 == 0).then_some(n),
            any: serde_json::json!({"n": n, "list": [1.5, null, "x", {"deep": true}]}),
            rest: BTreeMap::from([(format!("field{}", n % 4), serde_json::json!(n))]),
        })
        .collect();
    fn through(records: Stream<Loose>) -> Stream<Loose> {
        let keyed = records.key_on(|record| record.key.clone());
        let count = |seen: &mut u64, record: Loose| {
            *seen += 1;
            record
        };
        keyed
            .stateful_map(count)
            .named("count")
            .map(|(_, record)| record)
    }
    for workers in [1, 2, 4] {
        let mut test = Harness::new(through);
        test.workers(workers)
            .over_bytes()
            .epochs(Epochs::records(10));
        test.feed(records.clone()).run().unwrap();
        let sorted = |mut records: Vec<Loose>| {
            records.sort_by_key(|record| record.any["n"].as_u64());
            records
        };
        assert_eq!(sorted(test.outputs()), sorted(records.clone()));
    }
}

#[test]
fn a_record_that_cannot_be_packed_is_an_error_of_the_step_that_should_get_it() {
    #[derive(Clone, Debug, Deserialize)]
    struct Odd(u64);
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                7 => Err(serde::ser::Error::custom("seven has no form")),
                n => n.serialize(to),
            }
        }
    }
    let mut test = Harness::new(|numbers: Stream<Odd>| {
        let count = |seen: &mut u64, n: Odd| {
            *seen += 1;
            n.0
        };
        let keyed = numbers.key_on(|n| n.0 % 3);
        keyed.stateful_map(count).named("count").map(|(_, n)| n)
    });
    test.workers(2).over_bytes().feed((0..20).map(Odd));
    let error = test.run().unwrap_err().to_string();
    assert!(error.contains("`count`"), "{error}");
    assert!(error.contains("seven has no form"), "{error}");
}
