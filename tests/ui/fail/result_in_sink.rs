use std::num::ParseIntError;

use flow::prelude::*;

fn parse(line: String) -> Result<u64, ParseIntError> {
    line.parse()
}

#[dataflow]
fn numbers(lines: Stream<String>) {
    lines.map(parse).sink(JsonLines::stdout());
}

fn main() {}
