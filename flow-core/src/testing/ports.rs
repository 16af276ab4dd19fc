//! The inputs and outputs of a dataflow under test.

use serde::{Serialize, de::DeserializeOwned};

use super::{TestSink, TestSource};
use crate::{Stream, record::KeyKind, stream::Flow, time::TimeKind};

/// The inputs of a dataflow under test: one stream, a tuple of up to four, or none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the input of a dataflow under test",
    label = "this is no stream without a key, and no tuple of such streams",
    note = "the harness of a dataflow from `Stream<A>` to `Stream<B>` is a `Harness<Stream<A>, \
        Stream<B>>`",
    note = "a dataflow with several inputs gets them as a tuple: `Harness::new(|(orders, \
        payments)| join(orders, payments))`"
)]
pub trait Inputs: Sized + 'static {
    /// The sources that feed them: a [`TestSource`] for each.
    type Sources: Clone + Default + Send + Sync + 'static;

    #[doc(hidden)]
    fn open(flow: &Flow, sources: &Self::Sources) -> Self;

    #[doc(hidden)]
    fn batch(sources: &Self::Sources, records: usize);
}

/// The outputs of a dataflow under test: one stream, a tuple of up to four, or none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the output of a dataflow under test",
    label = "this is no stream of records that can be kept, and no tuple of such streams",
    note = "records of an output are `Serialize`, `Deserialize`, `Clone` and `Send`"
)]
pub trait Outputs: Sized + 'static {
    /// The sinks that keep the output: a [`TestSink`] for each.
    type Sinks: Clone + Default + Send + Sync + 'static;

    #[doc(hidden)]
    fn keep(self, sinks: &Self::Sinks);

    #[doc(hidden)]
    fn begin(sinks: &Self::Sinks);
}

impl<T: Clone + Send + 'static> Inputs for Stream<T> {
    type Sources = TestSource<T>;

    fn open(flow: &Flow, source: &TestSource<T>) -> Self {
        flow.source(source.clone()).named("input")
    }

    fn batch(source: &TestSource<T>, records: usize) {
        source.batch(records);
    }
}

impl<T: 'static, Key, Time: TimeKind> Outputs for Stream<T, Key, Time>
where
    Key: KeyKind + 'static,
    Key::Item<T>: Serialize + DeserializeOwned + Send + Clone,
{
    type Sinks = TestSink<Key::Item<T>>;

    fn keep(self, sink: &Self::Sinks) {
        self.sink(sink.clone()).named("output");
    }

    fn begin(sink: &Self::Sinks) {
        sink.begin();
    }
}

impl Inputs for () {
    type Sources = ();

    fn open(_: &Flow, (): &()) {}

    fn batch((): &(), _: usize) {}
}

impl Outputs for () {
    type Sinks = ();

    fn keep(self, (): &()) {}

    fn begin((): &()) {}
}

macro_rules! tuples {
    ($($item:ident $key:ident $time:ident $at:tt $input:literal $output:literal),*) => {
        impl<$($item: Clone + Send + 'static),*> Inputs for ($(Stream<$item>,)*) {
            type Sources = ($(TestSource<$item>,)*);

            fn open(flow: &Flow, sources: &Self::Sources) -> Self {
                ($(flow.source(sources.$at.clone()).named($input),)*)
            }

            fn batch(sources: &Self::Sources, records: usize) {
                $(sources.$at.batch(records);)*
            }
        }

        impl<$($item: 'static, $key: KeyKind + 'static, $time: TimeKind),*> Outputs
            for ($(Stream<$item, $key, $time>,)*)
        where
            $($key::Item<$item>: Serialize + DeserializeOwned + Send + Clone),*
        {
            type Sinks = ($(TestSink<$key::Item<$item>>,)*);

            fn keep(self, sinks: &Self::Sinks) {
                $(self.$at.sink(sinks.$at.clone()).named($output);)*
            }

            fn begin(sinks: &Self::Sinks) {
                $(sinks.$at.begin();)*
            }
        }
    };
}

tuples!(A K S 0 "input_1" "output_1", B L T 1 "input_2" "output_2");
tuples!(
    A K S 0 "input_1" "output_1", B L T 1 "input_2" "output_2", C M U 2 "input_3" "output_3"
);
tuples!(
    A K S 0 "input_1" "output_1", B L T 1 "input_2" "output_2", C M U 2 "input_3" "output_3",
    D N V 3 "input_4" "output_4"
);
