use flow::prelude::*;

#[derive(Serialize, Deserialize)]
struct Hit<'a> {
    user: &'a str,
}

#[dataflow]
fn hits(flow: &Flow) {
    let hits = flow.source(JsonLines::open::<Hit>("hits.jsonl"));
    hits.sink(JsonLines::stdout());
}

fn main() {}
