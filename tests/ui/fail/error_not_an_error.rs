use flow::prelude::*;

struct Malformed;

fn parse(line: String) -> Result<u64, Malformed> {
    line.parse().map_err(|_| Malformed)
}

#[dataflow]
fn numbers(lines: Stream<String>) -> Stream<u64> {
    lines.try_map(parse)
}

fn main() {}
