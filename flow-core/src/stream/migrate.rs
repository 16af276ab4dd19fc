//! Going on from states and keys of types that a step had before.

use std::any::{TypeId, type_name};

use super::Stream;
use crate::{
    graph::{Old, Trace},
    record::State,
    resume::Conversion,
};

/// A function that converts an `Old`: every function from it.
#[diagnostic::on_unimplemented(
    message = "this is no function of `{Old}`",
    label = "it would be given each stored `{Old}`",
    note = "`.migrate_from::<Old>(..)` takes a function `Fn(Old) -> State`: from the type that \
        the step kept before to the one that it keeps"
)]
pub trait Convert<Old>: Fn(Old) -> <Self as Convert<Old>>::New {
    /// What it is converted to.
    type New: 'static;
}

impl<F, Old, New> Convert<Old> for F
where
    F: Fn(Old) -> New,
    New: 'static,
{
    type New = New;
}

impl<T, Key> Stream<T, Key> {
    /// Says how the states of the step that made this stream are made of the type that they had
    /// before.
    ///
    /// When the store still holds states of the type `Old`, all of them are read and converted
    /// before the run begins: with the run they are all stored as the present type, or, if one
    /// can't be read, nothing is changed. When the store holds the present type, nothing is done,
    /// so the line may stay as long as there may be an old store somewhere. A step that changed
    /// several times has one line for each type.
    ///
    /// Types are told apart by what they look like: `Old` may have any name. What can't be traced
    /// (see the chapter on changes in `docs/recovery.md`) can't be told apart.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// /// The state as it was: in whole euros.
    /// #[derive(Serialize, Deserialize)]
    /// struct Euros { total: u32 }
    ///
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Cents { cents: u64 }
    ///
    /// fn sum(sum: &mut Cents, cents: u64) -> u64 { sum.cents += cents; sum.cents }
    ///
    /// #[dataflow]
    /// fn sums(cents: Stream<u64>) -> KeyedStream<bool, u64> {
    ///     cents
    ///         .key_on(|_| true)
    ///         .stateful_map(sum)
    ///         .migrate_from::<Euros>(|old| Cents { cents: u64::from(old.total) * 100 })
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     sums(flow.source(source::from_iter([5u64]))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(true, 5)]);
    /// ```
    ///
    /// That the function gives the state of this step is checked when the flow is built, before
    /// anything is opened: the stream's type does not name the state.
    pub fn migrate_from<Old: State>(self, convert: impl Convert<Old> + 'static) -> Self {
        let old = old::<Old, _>(&convert, Old::schema);
        self.flow
            .change_step(self.step, |step| step.types.old_states.push(old));
        let conversion = Conversion::new(move |bytes: &[u8]| Ok(convert(Old::decode(bytes)?)));
        self.flow.change_head(self.step, |head| {
            head.conversions.states.push(conversion);
        });
        self
    }

    /// Says how the keys of the step that made this stream are made of the type that they had
    /// before.
    ///
    /// Other keys have other bytes and belong to other workers, so a changed key type is refused
    /// without this. With it, the stored states are given their new keys before the run begins, all
    /// or none; two old keys that become the same one are refused.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn count(count: &mut u64, _: u64) -> u64 { *count += 1; *count }
    ///
    /// #[dataflow]
    /// fn counts(numbers: Stream<u64>) -> KeyedStream<String, u64> {
    ///     // The key was a number once.
    ///     numbers
    ///         .key_on(|n| format!("user-{n}"))
    ///         .stateful_map(count)
    ///         .rekey_from(|old: u64| format!("user-{old}"))
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     counts(flow.source(source::from_iter([5u64]))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [("user-5".to_owned(), 1)]);
    /// ```
    pub fn rekey_from<Old: crate::Key>(self, convert: impl Fn(Old) -> Key + 'static) -> Self
    where
        Key: crate::Key,
    {
        let old = old::<Old, _>(&convert, Old::schema);
        self.flow
            .change_step(self.step, |step| step.types.old_keys.push(old));
        let conversion = Conversion::new(move |bytes: &[u8]| Ok(convert(Old::decode(bytes)?)));
        self.flow
            .change_head(self.step, |head| head.conversions.keys.push(conversion));
        self
    }
}

fn old<O, C: Convert<O>>(_: &C, schema: fn() -> flow_store::Schema) -> Old {
    Old {
        name: type_name::<O>(),
        trace: Trace(schema),
        to: TypeId::of::<C::New>(),
        to_name: type_name::<C::New>(),
    }
}
