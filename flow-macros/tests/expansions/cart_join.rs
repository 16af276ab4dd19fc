#[dataflow]
/// Joins the orders of each user.
fn cart_join(flow: &Flow, args: &Args) {
    let lines = flow.source(TextLines::open(&args.input));
    let events = lines.try_map(parse);
    let carts = events.key_on(user_id).stateful_map(joiner);
    carts.map(format_output).sink(JsonLines::stdout());
}
