use flow::{prelude::*, source};

struct Wrong;

fn main() {
    let _ = Runner::new(|flow| flow.source(source::from_iter(0..3u64)));
    let _ = Runner::new(|_| Err::<(), _>(Wrong));
}
