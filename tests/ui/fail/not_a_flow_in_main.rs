use flow::prelude::*;

#[dataflow]
fn doubled(orders: Stream<u64>) -> Stream<u64> {
    orders.map(|cents| cents * 2)
}

fn main() -> ExitCode {
    flow::main(doubled)
}
