use flow::prelude::*;

#[dataflow]
struct Cart {
    paid: u64,
}

#[dataflow]
trait Piece {
    #[dataflow]
    fn build(&self, flow: &Flow);
}

#[dataflow]
impl Cart {
    fn paid(&self) -> u64 {
        self.paid
    }
}

fn main() {
    let _ = Cart { paid: 1 }.paid();
}
