use std::error::Error;

use flow::prelude::*;

fn parse(line: String) -> Result<u64, Box<dyn Error>> {
    Ok(line.parse()?)
}

#[dataflow]
fn numbers(lines: Stream<String>) -> Stream<u64> {
    lines.try_map(parse)
}

fn main() {}
