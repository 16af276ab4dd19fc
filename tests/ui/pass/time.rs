//! Dataflows over streams with a time, without one, and over both kinds.

use flow::{EventTime, HasTime, NoKey, TimeKind, prelude::*, sink, source};

#[derive(Clone, Serialize, Deserialize)]
struct Event {
    user: String,
    cents: u64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Cart {
    cents: u64,
}

fn user(event: &Event) -> String {
    event.user.clone()
}

fn add(cart: &mut Cart, event: Event) -> Cart {
    cart.cents += event.cents;
    cart.clone()
}

/// A piece without time says nothing of it.
#[dataflow]
fn carts(events: Stream<Event>) -> KeyedStream<String, Cart> {
    events.key_on(user).stateful_map(add)
}

#[dataflow]
fn timed_carts(
    events: Stream<Event, NoKey, EventTime>,
) -> KeyedStream<String, Cart, EventTime> {
    events.key_on(user).stateful_map(add)
}

/// A piece for both kinds.
#[dataflow]
fn large<Time: TimeKind>(events: Stream<Event, NoKey, Time>) -> Stream<Event, NoKey, Time> {
    events.filter(|event| event.cents >= 100)
}

/// Closures need no types.
#[dataflow]
fn sums<Time: HasTime>(events: Stream<Event, NoKey, Time>) -> Stream<(String, u64)> {
    let (small, big) = events
        .map(|event| (event.user, event.cents))
        .filter(|(_, cents)| *cents > 0)
        .into_keyed(|pair| pair)
        .map_values(|cents| cents * 2)
        .branch(|(_, cents)| *cents < 100);
    let sums = small.merge(big).stateful().with_key().map(|_, sum: &mut u64, cents| {
        *sum += cents;
        *sum
    });
    sums.filter_values(|sum| *sum > 0).map(|pair| pair).drop_time()
}

#[dataflow]
fn timed(events: Stream<Event, NoKey, EventTime>) {
    let (good, dead) = large(events.clone()).try_map_or_dead(|event| event.user.parse::<u64>());
    good.sink(sink::from_fn(|_: u64| ()));
    dead.map(|dead| dead.record.user).sink(sink::from_fn(|_: String| ()));
    timed_carts(events.clone()).sink(sink::from_fn(|_: (String, Cart)| ()));
    sums(events).sink(sink::from_fn(|_: (String, u64)| ()));
}

fn main() {
    let _ = timed;
    let (out, seen) = sink::collect();
    let built = move |flow: &Flow| {
        let cents = [90, 100, 110];
        let events = cents.map(|cents| Event { user: "ada".to_owned(), cents });
        let events = large(flow.source(source::from_iter(events)));
        carts(events).map(|(_, cart)| cart.cents).sink(out.clone());
    };
    assert_eq!(Runner::new(built).run().unwrap().records, 3);
    assert_eq!(seen.take(), [100, 210]);
}
