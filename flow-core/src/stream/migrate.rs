//! `migrate_from` and `rekey_from`: conversion of stored states and keys of an earlier type.

use std::any::{TypeId, type_name};

use super::Stream;
use crate::{
    graph::{Old, Trace},
    record::State,
    resume::Conversion,
};

/// A function that converts an `Old`: any `Fn(Old) -> New`.
#[diagnostic::on_unimplemented(
    message = "this is not a function of `{Old}`",
    label = "it would get each stored `{Old}`",
    note = "`.migrate_from::<Old>(..)` takes a function `Fn(Old) -> State`: from the type that \
        the step kept before to the one that it keeps"
)]
pub trait Convert<Old>: Fn(Old) -> <Self as Convert<Old>>::New {
    /// The type that the function returns.
    type New: 'static;
}

impl<F, Old, New> Convert<Old> for F
where
    F: Fn(Old) -> New,
    New: 'static,
{
    type New = New;
}

impl<T, Key, Time> Stream<T, Key, Time> {
    /// Converts states that an earlier version of this step stored as `Old`.
    ///
    /// If the store holds states of the type `Old`, the start converts all of them and stores them
    /// as the present type. If one can't be read, the start is refused and nothing is changed.
    ///
    /// If the store holds the present type, the call has no effect. So it may stay in the code as
    /// long as an old store may exist. A step that changed several times has one call for each old
    /// type.
    ///
    /// Types are compared by their schema, so `Old` may have any name. Types that can't be traced
    /// can't be told apart; see the chapter on changes in `docs/recovery.md`.
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
    /// The function must return the state of this step. The stream's type does not name the state,
    /// so that is checked when the flow is built, before anything is opened.
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

    /// Converts keys that an earlier version of this step stored as `Old`.
    ///
    /// Keys of another type have other bytes and belong to other workers, so a changed key type is
    /// refused without this call. With it, the start stores all states under their new keys. If a
    /// key can't be read, or two old keys become the same one, the start is refused and nothing is
    /// changed.
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
