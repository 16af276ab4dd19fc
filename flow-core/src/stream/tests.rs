//! Every step passes the time of a record on.

use std::panic::Location;

use super::{Stream, map::Each};
use crate::{
    Epochs,
    error::OnError,
    record::{KeyKind, NoKey},
    testing::Harness,
    time::EventTime,
};

type Timed = Stream<u64, NoKey, EventTime>;

fn time(n: u64) -> EventTime {
    let at = i64::try_from(n).unwrap() - 50;
    EventTime { at, behind: n % 3 }
}

impl Stream<u64> {
    /// Gives each number a time of its own.
    fn timed(self) -> Timed {
        self.chain("timed", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, |(_, (key, n))| (time(n), (key, n))))
        })
    }
}

impl<T: 'static, Key: KeyKind> Stream<T, Key, EventTime> {
    /// Each item behind its time.
    fn with_times(self) -> Stream<(i64, u64, Key::Item<T>), NoKey, EventTime> {
        self.chain("with_times", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, |(time, pair): (EventTime, _)| {
                let item = (time.at, time.behind, Key::item(pair));
                (time, (NoKey, item))
            }))
        })
    }
}

fn odd_fails(n: u64) -> Result<u64, String> {
    match n % 2 {
        0 => Ok(n),
        _ => Err("odd".to_owned()),
    }
}

fn odd_fails_by_key(_: &mut u64, n: u64) -> Result<u64, String> {
    odd_fails(n)
}

/// A step, how many results it makes of 0 to 99, and what is made of them.
type Case = (&'static str, usize, fn(Timed) -> Timed);

const STATELESS: &[Case] = &[
    ("map", 100, |s| s.map(|n| n)),
    ("filter", 50, |s| s.filter(|n| n % 2 == 0)),
    ("filter_map", 50, |s| s.filter_map(|n| odd_fails(n).ok())),
    ("flat_map", 200, |s| s.flat_map(|n| [n, n])),
    ("inspect", 100, |s| s.inspect(|_| ())),
    ("try_map", 100, |s| s.try_map(Ok::<_, String>)),
    ("try_map_with", 50, |s| {
        s.try_map_with(odd_fails, OnError::Skip)
    }),
    ("try_filter_map", 50, |s| {
        s.try_filter_map(|n| Ok::<_, String>(odd_fails(n).ok()))
    }),
    ("try_map_or_dead", 100, |s| {
        let (even, odd) = s.try_map_or_dead(odd_fails);
        even.merge(odd.map(|dead| dead.record))
    }),
    ("branch", 100, |s| {
        let (even, odd) = s.branch(|n| n % 2 == 0);
        even.merge(odd.map(|n| n))
    }),
    ("clone", 200, |s| s.clone().merge(s)),
];

const KEYED: &[Case] = &[
    ("key_on", 100, |s| s.key_on(|n| n % 7).drop_key()),
    ("into_keyed", 100, |s| {
        s.into_keyed(|n| (n % 7, n)).drop_key()
    }),
    ("rekey_on", 100, |s| {
        s.key_on(|n| n % 7).rekey_on(|n| n % 5).drop_key()
    }),
    ("map_values", 100, |s| {
        s.key_on(|n| n % 7).map_values(|n| n).drop_key()
    }),
    ("filter_values", 50, |s| {
        s.key_on(|n| n % 7).filter_values(|n| n % 2 == 0).drop_key()
    }),
    ("filter_map_values", 50, |s| {
        let keyed = s.key_on(|n| n % 7);
        keyed.filter_map_values(|n| odd_fails(n).ok()).drop_key()
    }),
    ("flat_map_values", 200, |s| {
        s.key_on(|n| n % 7).flat_map_values(|n| [n, n]).drop_key()
    }),
    ("inspect_values", 100, |s| {
        s.key_on(|n| n % 7).inspect_values(|_| ()).drop_key()
    }),
];

const STATEFUL: &[Case] = &[
    ("stateful_map", 100, |s| {
        let last = |last: &mut u64, n: u64| {
            *last = n;
            n
        };
        s.key_on(|n| n % 7).stateful_map(last).named("s").drop_key()
    }),
    ("stateful_flat_map", 200, |s| {
        let twice = |_: &mut u64, n: u64| [n, n];
        let twice = s.key_on(|n| n % 7).stateful_flat_map(twice);
        twice.named("s").drop_key()
    }),
    ("try_stateful_map_with", 50, |s| {
        let keyed = s.key_on(|n| n % 7);
        let even = keyed.try_stateful_map_with(odd_fails_by_key, OnError::Skip);
        even.named("s").drop_key()
    }),
    ("try_stateful_map_or_dead", 100, |s| {
        let keyed = s.key_on(|n| n % 7);
        let (even, odd) = keyed.try_stateful_map_or_dead(odd_fails_by_key);
        let odd = odd.map(|dead| dead.record.1);
        even.named("s").drop_key().merge(odd)
    }),
];

#[test]
fn a_result_of_any_step_has_the_time_of_its_record() {
    for (name, results, step) in [STATELESS, KEYED, STATEFUL].concat() {
        for workers in [1, 2] {
            let mut test = Harness::new(move |numbers: Stream<u64>| {
                step(numbers.timed()).with_times().drop_time()
            });
            test.workers(workers).epochs(Epochs::records(30));
            if workers > 1 {
                test.over_bytes();
            }
            test.feed(0..100).run().unwrap();
            assert_eq!(test.outputs().len(), results, "{name}");
            for (at, behind, n) in test.outputs() {
                assert_eq!((at, behind), (time(n).at, time(n).behind), "{name}");
            }
        }
    }
}

#[test]
fn a_sink_drops_the_times() {
    let mut test = Harness::new(|numbers: Stream<u64>| numbers.timed().key_on(|n| n % 2));
    test.feed(0..4).run().unwrap();
    assert_eq!(test.outputs(), [(0, 0), (1, 1), (0, 2), (1, 3)]);
}
