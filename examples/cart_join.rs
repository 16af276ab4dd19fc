//! Run with `cargo run --example cart_join`: joins orders and payments of a shopping cart, fails on
//! a bad line, and resumes where it stopped once the bug is fixed.
//!
//! As a program: `cargo run --example cart_join -- run examples/cart-join.json --recover state`.
//! Its input has a line for each order or payment. Its output has a line for each event, with the
//! cart after it.

use std::path::PathBuf;

use flow::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    user_id: String,
    #[serde(rename = "type")]
    kind: Kind,
    order_id: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Order,
    Payment,
}

/// The orders of a user: the state of the join.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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

fn parse(line: String) -> Result<Event, serde_json::Error> {
    serde_json::from_str(&line)
}

fn user_id(event: &Event) -> String {
    event.user_id.clone()
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

fn format_output((user_id, cart): (String, Cart)) -> CartView {
    CartView { user_id, cart }
}

#[derive(Clone, Debug, clap::Args)]
struct Args {
    /// A file with a JSON event on each line
    input: PathBuf,

    /// Leave out lines that are no events, instead of stopping at them
    #[arg(long)]
    skip_invalid: bool,

    /// Write the results to this file, exactly once, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[dataflow]
fn cart_join(flow: &Flow, args: &Args) {
    let lines = flow.source(TextLines::open(&args.input));
    let on_error = if args.skip_invalid {
        OnError::Skip
    } else {
        OnError::Fail
    };
    let events = lines.try_map_with(parse, on_error);
    let carts = events.key_on(user_id).stateful_map(joiner);
    let views = carts.map(format_output);
    match &args.output {
        Some(path) => views.sink(JsonLines::write_to(path)),
        None => views.sink(JsonLines::stdout()),
    };
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return flow::main(cart_join);
    }
    match story() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells the story with the sample data: runs this program three times with one store.
fn story() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    std::fs::write(
        directory.path().join("cart-join.json"),
        include_str!("cart-join.json"),
    )?;
    let run = |explanation: &str, options: &[&str], expected: i32| {
        println!("\n{explanation}");
        let mut args = vec!["run", "cart-join.json", "--recover", "state"];
        args.extend(options);
        println!("$ cart_join {}", args.join(" "));
        let program = std::env::current_exe()?;
        let mut program = std::process::Command::new(program);
        let status = program.args(args).current_dir(&directory).status()?;
        if status.code() == Some(expected) {
            Ok(())
        } else {
            Err(format!("the run ended with {status}").into())
        }
    };
    let fixed = ["--skip-invalid"];
    run(
        "Line 6 of the input is no event. The run stops exactly there, and keeps everything \
         before it:",
        &[],
        1,
    )
    .and_then(|()| {
        run(
            "The bug is fixed: bad lines are skipped. The run resumes after line 6, and has \
             forgotten no order:",
            &fixed,
            0,
        )
    })
    .and_then(|()| {
        run(
            "Once more: there is nothing new to read, so there are no results:",
            &fixed,
            0,
        )
    })
}
