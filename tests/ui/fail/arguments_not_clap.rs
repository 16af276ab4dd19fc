use flow::prelude::*;

struct Args {
    input: String,
}

#[dataflow]
fn copy(flow: &Flow, args: &Args) {
    flow.source(TextLines::open(&args.input))
        .sink(JsonLines::stdout());
}

fn main() -> ExitCode {
    flow::main(copy)
}
