//! `#[dataflow]`. It is documented here so that its examples use the imports of users.

/// Makes a function a dataflow: its steps get ids, and mistakes are found at compile time.
///
/// The attribute adds one statement at the start of the function and changes nothing else.
///
/// ```
/// use flow::prelude::*;
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Order { user_id: String, cents: u64 }
///
/// fn user_id(order: &Order) -> String { order.user_id.clone() }
/// fn spent(total: &mut u64, order: Order) -> u64 { *total += order.cents; *total }
///
/// #[derive(clap::Args)]
/// struct Args { input: std::path::PathBuf }
///
/// #[dataflow]
/// fn spending(flow: &Flow, args: &Args) {
///     let orders = flow.source(JsonLines::open::<Order>(&args.input));
///     totals(orders).sink(JsonLines::stdout());
/// }
///
/// /// A piece that other dataflows use. Its state is kept under `totals.spent`.
/// #[dataflow]
/// fn totals(orders: Stream<Order>) -> KeyedStream<String, u64> {
///     orders.key_on(user_id).stateful_map(spent)
/// }
/// # let _ = spending;
/// ```
///
/// # Ids
/// The store keeps the rows of a step under its id, so the id must stay the same from run to run:
/// - A source has the name of the `let` that it is bound to, otherwise its kind
///   (`json_lines_source`).
/// - A stateful step has the name of its function. A closure at the end of a chain has the name of
///   the `let`, or the first one of two (`let (sums, dead) = ..`).
/// - A sink has its kind (`json_lines`).
/// - `.named("..")` overrides all of them.
/// - If another dataflow calls this one, the name of this one comes before the id, with a period
///   (`totals.spent`). So a name has no period itself.
///
/// A renamed step says `.renamed_from("old")`, and a renamed dataflow
/// `#[dataflow(renamed_from = "old")]`. A dataflow that is used twice needs a
/// [`scope`](crate::scope) around each use.
///
/// # Options
/// - `renamed_from = "old"`: the former name of this dataflow.
/// - `crate = path`: where this library is, if it is not `::flow`.
pub use flow_macros::dataflow;
