use flow::prelude::*;

async fn fetch(line: String) -> String {
    line
}

#[dataflow]
fn pages(lines: Stream<String>) {
    lines.clone().map(fetch).sink(JsonLines::stdout());
    lines.map(async |line: String| line).sink(TextLines::stdout());
}

fn main() {}
