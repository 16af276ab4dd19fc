//! `cargo bench --bench flow`: what flow costs beside other ways to do the same.
//! `docs/performance.md` explains each row.
//!
//! `cargo bench --bench flow -- --help` lists the options.

mod by_hand;
mod cart;
mod compile;
mod events;
mod harness;
mod in_flow;
mod instructions;
mod json;
mod memory;
mod plain;
mod resume;
mod rows;
mod side;
mod store;
mod table;

use std::path::PathBuf;

use clap::Parser;
use rows::{Group, Size};
use side::{Scratch, Side};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures flow beside other ways to do the same, and prints one table of ratios
#[derive(Parser)]
struct Args {
    /// Only rows whose name contains one of these
    names: Vec<String>,

    /// A twentieth of the records and few rounds, to see whether it works
    #[arg(long)]
    quick: bool,

    /// How often programs take turns, instead of as often as their rows need it
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// Print what each row says, as a list for the documentation, and measure nothing
    #[arg(long)]
    explain: bool,

    /// Print what each program reports
    #[arg(long)]
    verbose: bool,

    /// Count the instructions of the hot paths with valgrind, and compare them with the recorded
    /// ones
    #[arg(long)]
    instructions: bool,

    /// Record the counts instead
    #[arg(long, requires = "instructions")]
    record: bool,

    /// Draw the memory of three flows in which records can pile up
    #[arg(long, value_name = "SVG", num_args = 0..=1, default_missing_value = "docs/memory.svg")]
    memory_over_time: Option<PathBuf>,

    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,

    /// What a process of its own is to do
    #[arg(long, hide = true, requires = "scratch")]
    side: Option<String>,

    #[arg(long, hide = true)]
    scratch: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let (Some(side), Some(scratch)) = (&args.side, args.scratch.clone()) {
        return Side::main(side, scratch);
    }
    if !args.bench {
        println!("To measure, run `cargo bench --bench flow`.");
        return Ok(());
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let scratch = Scratch::new(directory.path());
    if args.instructions {
        return instructions::main(&args.names, args.record, &scratch);
    }
    if let Some(picture) = &args.memory_over_time {
        let records = if args.quick { 500_000 } else { 10_000_000 };
        return memory::draw(records, picture, &scratch);
    }
    let mut groups = rows::groups(Size { quick: args.quick });
    for group in &mut groups {
        choose(group, &args.names);
        group.rounds = args.rounds.unwrap_or(group.rounds).max(1);
    }
    if args.explain {
        for row in groups.iter().flat_map(|group| &group.rows) {
            println!("- `{}`: {}", row.name, row.why);
        }
        return Ok(());
    }
    let mut measured = Vec::new();
    let mut failed = Ok(());
    for group in groups {
        if group.rows.is_empty() || failed.is_err() {
            continue;
        }
        match harness::measure(group, &scratch, args.verbose) {
            Ok(rows) => measured.extend(rows),
            // What was measured before is worth a look all the same.
            Err(error) => failed = Err(error),
        }
    }
    table::print(&measured);
    failed
}

/// Leaves the rows that are asked for.
fn choose(group: &mut Group, names: &[String]) {
    let on_request = group.on_request;
    group.rows.retain(|row| match names {
        [] => !on_request,
        names => names.iter().any(|name| row.name.contains(name.as_str())),
    });
}
