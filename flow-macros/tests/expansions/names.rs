#[dataflow]
fn r#async(flow: &Flow) {
    let r#in: Stream<u64> = flow.source(numbers()).clone();
    let mut total = r#in.clone().key_on(|n| n % 2).stateful_map(|sum: &mut u64, n| *sum + n);
    let listed = (flow.source(other())).named("numbers").renamed_from("list");
    let computed = flow.source(other()).named(format!("numbers"));
    let outer = listed.map(parse).named("inner").named("outer");
    let not_the_last = flow.source(other()).filter(|n| n > 3).map(|n| Some(n).map(f));
    let merged = total.merge(not_the_last);
    merged.sink(out);
}
