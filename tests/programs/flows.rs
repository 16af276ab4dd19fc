//! Run by the tests of this project (`tests/kill`): five flows from files to files, slow enough to
//! be killed while they work.

mod throttle;

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use flow::prelude::*;
use throttle::Throttled;

#[derive(Clone, Debug, clap::Args)]
struct Args {
    /// Which of the flows
    shape: Shape,

    /// Files of lines
    #[arg(required = true)]
    inputs: Vec<PathBuf>,

    /// How many microseconds there are between two lines of a file
    #[arg(long, default_value_t = 0)]
    interval: u64,

    /// Where the results go
    #[arg(long)]
    output: PathBuf,

    /// Where the dead letters go
    #[arg(long, default_value = "dead")]
    dead: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shape {
    /// Orders and payments of shopping carts, joined; the flow of `examples/cart_join.rs`
    Carts,
    /// How often each word has come
    Words,
    /// Sums of numbers; lines that are none go to a file of their own
    DeadLetters,
    /// Lines as they are, without any state
    Copy,
    /// Carts again, from one file whose lines all workers work off: not the file takes its time,
    /// but a step
    OneFile,
}

#[dataflow]
fn flows(flow: &Flow, args: &Args) {
    if let Shape::OneFile = args.shape {
        return one_file(flow, args);
    }
    let lines = flow.source(Throttled::new(
        TextLines::open_all(&args.inputs),
        args.interval,
    ));
    match args.shape {
        Shape::Carts => carts(lines, &args.output),
        Shape::Words => words(lines, &args.output),
        Shape::DeadLetters => dead_letters(lines, &args.output, &args.dead),
        Shape::Copy | Shape::OneFile => copy(lines, &args.output),
    }
}

#[derive(Serialize, Deserialize)]
struct Event {
    user_id: String,
    #[serde(rename = "type")]
    kind: Kind,
    order_id: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Order,
    Payment,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Cart {
    paid_order_ids: Vec<u64>,
    unpaid_order_ids: Vec<u64>,
}

#[derive(Serialize)]
struct CartView {
    user_id: String,
    #[serde(flatten)]
    cart: Cart,
}

fn joiner(cart: &mut Cart, event: Event) -> Cart {
    match event.kind {
        Kind::Order => cart.unpaid_order_ids.push(event.order_id),
        Kind::Payment => {
            cart.unpaid_order_ids.retain(|id| *id != event.order_id);
            cart.paid_order_ids.push(event.order_id);
        }
    }
    cart.clone()
}

fn carts(lines: Stream<String>, output: &Path) {
    let events = lines.try_map(|line| serde_json::from_str::<Event>(&line));
    let carts = events
        .key_on(|event| event.user_id.clone())
        .stateful_map(joiner)
        .named("joiner");
    let views = carts.map(|(user_id, cart)| CartView { user_id, cart });
    views.sink(JsonLines::write_to(output)).named("results");
}

fn count(seen: &mut u64, _: String) -> u64 {
    *seen += 1;
    *seen
}

fn words(lines: Stream<String>, output: &Path) {
    let words = lines.flat_map(|line| {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words
    });
    let counts = words
        .key_on(|word| word.clone())
        .stateful_map(count)
        .named("count");
    let lines = counts.map(|(word, count)| format!("{word} {count}"));
    lines.sink(TextLines::write_to(output)).named("results");
}

#[derive(Default, Serialize, Deserialize)]
struct Total {
    numbers: u64,
    sum: i64,
}

fn add(total: &mut Total, number: i64) -> (u64, i64) {
    total.numbers += 1;
    total.sum += number;
    (total.numbers, total.sum)
}

/// Lines such as `east 12`.
fn parse(line: String) -> Result<(String, i64), String> {
    let (place, number) = line.split_once(' ').ok_or("one word")?;
    let number = number.parse().map_err(|error| format!("{error}"))?;
    Ok((place.to_owned(), number))
}

fn dead_letters(lines: Stream<String>, output: &Path, dead: &Path) {
    let (numbers, letters) = lines.try_map_or_dead(parse);
    let totals = numbers
        .key_on(|(place, _)| place.clone())
        .stateful_map(|total: &mut Total, (_, number)| add(total, number))
        .named("add");
    let lines = totals.map(|(place, (numbers, sum))| format!("{place} {numbers} {sum}"));
    lines.sink(TextLines::write_to(output)).named("results");
    let letters = letters.map(|letter| format!("{}: {}", letter.record, letter.cause));
    letters
        .sink(TextLines::write_to(dead))
        .named("dead_letters");
}

fn one_file(flow: &Flow, args: &Args) {
    let lines = TextLines::open_all(&args.inputs);
    // It has as many lines as the four files of the others.
    let pause = Duration::from_micros(args.interval / 4);
    let lines = flow.source(lines).named("lines").inspect(move |_| {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    });
    carts(lines, &args.output);
}

fn copy(lines: Stream<String>, output: &Path) {
    lines.sink(TextLines::write_to(output)).named("results");
}

fn main() -> ExitCode {
    flow::main(flows)
}
