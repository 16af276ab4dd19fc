//! Run by the tests of this project (`tests/bad_input.rs`): numbers the words of some files by
//! their first letters. The flow has several versions, as its author might change it between two
//! runs.

use std::path::PathBuf;

use flow::{prelude::*, source::Source};

#[derive(Clone, Debug, clap::Args)]
struct Args {
    /// Files with a word on each line
    inputs: Vec<PathBuf>,

    /// Read the words from standard input
    #[arg(long)]
    stdin: bool,

    /// Leave out lines that are longer than this, or not UTF-8
    #[arg(long)]
    skip_longer: Option<usize>,

    /// Where the numbered words go
    #[arg(long)]
    output: Option<PathBuf>,

    /// What has become of the flow
    #[arg(long, default_value = "first")]
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    /// As it was first written.
    First,
    /// Its step has another name.
    Renamed,
    /// Its step has another name and says which one it had.
    RenamedFrom,
    /// Its step keeps a state that does not fit.
    Retyped,
    /// It gives the numbered words to a second sink too.
    Grown,
}

#[derive(Default, Serialize, Deserialize)]
struct Count {
    seen: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Longest {
    word: String,
    length: u64,
}

fn letter(word: &str) -> String {
    word.chars().take(1).collect()
}

fn count(count: &mut Count, word: String) -> String {
    count.seen += 1;
    format!("{word} {}", count.seen)
}

fn longest(longest: &mut Longest, word: String) -> String {
    longest.length = longest.length.max(word.len() as u64);
    longest.word = word;
    format!("{} {}", longest.word, longest.length)
}

#[dataflow]
fn words(flow: &Flow, args: &Args) {
    let words = match (args.stdin, args.skip_longer) {
        (true, None) => flow.source(TextLines::stdin().lossy()),
        (true, Some(longest)) => {
            let lines = TextLines::stdin().max_line(longest);
            flow.source(lines.on_error(OnError::Skip))
        }
        (false, _) => flow.source(TextLines::open_all(&args.inputs)),
    }
    .named("words");
    let by_letter = words.key_on(|word| letter(word));
    let counted = match args.shape {
        Shape::First | Shape::Grown => by_letter.stateful_map(count),
        Shape::Renamed => by_letter.stateful_map(count).named("tally"),
        Shape::RenamedFrom => by_letter
            .stateful_map(count)
            .named("tally")
            .renamed_from("count"),
        Shape::Retyped => by_letter.stateful_map(longest).named("count"),
    };
    let lines = counted.map(|(_, line)| line);
    if args.shape == Shape::Grown {
        lines.clone().sink(TextLines::stdout()).named("shown");
    }
    match &args.output {
        Some(path) => lines.sink(TextLines::write_to(path)).named("written"),
        None => lines.sink(TextLines::stdout()).named("written"),
    };
}

fn main() -> ExitCode {
    flow::main(words)
}
