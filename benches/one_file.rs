//! Run with `cargo bench --bench one_file`: what a second worker gains in a flow that reads one file of JSON lines, and what it
//! would gain if it did not help with the lines.
//!
//! All three take turns, so the ratios hold on a machine whose speed changes, if two processors are free. Each is the median
//! of its rounds.

use std::{
    fmt::Write,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use flow::{prelude::*, sink};

const LINES: u64 = 500_000;
const USERS: u64 = 1000;
const ROUNDS: usize = 7;

#[derive(Serialize, Deserialize)]
struct Event {
    user_id: String,
    #[serde(rename = "type")]
    kind: Kind,
    order_id: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Order,
    Payment,
}

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    unpaid: Vec<u64>,
    paid: u64,
}

fn join(cart: &mut Cart, event: Event) -> u64 {
    match event.kind {
        Kind::Order => cart.unpaid.push(event.order_id),
        Kind::Payment => {
            cart.unpaid.retain(|id| *id != event.order_id);
            cart.paid += 1;
        }
    }
    cart.paid
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("events.json");
    fs::write(&path, events()?)?;
    println!("a cart join of {LINES} lines of JSON from one file, in times one worker");
    println!(
        "{:>8} {:>14} {:>10} {:>22}",
        "epochs", "1 worker", "2 workers", "2, on_one_worker"
    );
    for epochs in ["1s", "10000", "1000", "100"] {
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for (times, (workers, helps)) in
                times.iter_mut().zip([(1, true), (2, true), (2, false)])
            {
                times.push(run(&path, epochs.parse()?, workers, helps)?);
            }
        }
        let [one, two, alone] = times.map(median);
        let ratio = |time: Duration| time.as_secs_f64() / one.as_secs_f64();
        println!(
            "{epochs:>8} {:>14} {:>10.2} {:>22.2}",
            format!("1 ({one:.0?})"),
            ratio(two),
            ratio(alone)
        );
    }
    Ok(())
}

/// Orders of random users, each followed by its payment.
fn events() -> Result<String, std::fmt::Error> {
    let (mut events, mut random) = (String::new(), 1u64);
    for n in 0..LINES {
        let kind = if n % 2 == 0 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            "order"
        } else {
            "payment"
        };
        let (user, order) = ((random >> 20) % USERS, n / 2);
        writeln!(
            events,
            r#"{{"user_id":"user-{user}","type":"{kind}","order_id":{order}}}"#
        )?;
    }
    Ok(events)
}

fn run(path: &Path, epochs: Epochs, workers: usize, helps: bool) -> Result<Duration, RunError> {
    let path = path.to_owned();
    let start = Instant::now();
    let runner = Runner::new(move |flow: &Flow| {
        let source = JsonLines::open::<Event>(&path);
        let source = if helps {
            source
        } else {
            source.on_one_worker()
        };
        let events = flow.source(source).named("events");
        let carts = events.key_on(|event| event.user_id.clone());
        let paid = carts.stateful_map(join).named("join");
        let none = paid.filter_map(|(_, paid)| (paid == u64::MAX).then_some(paid));
        none.sink(sink::from_fn(|_: u64| ()));
    });
    runner.workers(workers).epochs(epochs).run()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
