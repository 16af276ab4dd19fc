#[dataflow]
pub struct Cart {
    paid: fn(),
}
