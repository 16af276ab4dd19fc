//! The ways in which a type occurs in a state or a key.

use crate::harness::{Kept, Outcome, Probe, as_keys, as_states};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// A way in which a type is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it is.
    Plain,
    /// In an `Option`.
    Optional,
    /// In an enum with a tag beside the fields.
    Internal,
    /// In an enum with a tag beside the content.
    Adjacent,
    /// In an enum without a tag.
    Untagged,
    /// In a struct whose fields are flattened into another.
    Flattened,
    /// In a list in a map in a map.
    Nested,
    /// As the keys of a `HashMap` and the elements of `HashSet`s.
    MapKey,
    /// As the key of a stream.
    StreamKey,
}

/// All of them.
pub(crate) const ALL: [Shape; 9] = [
    Shape::Plain,
    Shape::Optional,
    Shape::Internal,
    Shape::Adjacent,
    Shape::Untagged,
    Shape::Flattened,
    Shape::Nested,
    Shape::MapKey,
    Shape::StreamKey,
];

/// Those in which serde keeps what it reads in a form of its own before it knows the type.
pub(crate) const BUFFERED: [Shape; 3] = [Shape::Internal, Shape::Untagged, Shape::Flattened];

/// A type with some of its values.
pub(crate) trait Sample: 'static {
    type Type: Kept;
    fn values() -> Vec<Self::Type>;
}

/// Tries a type in all shapes that a state can have.
pub(crate) fn states_of<S: Sample>() -> Vec<(Shape, Outcome)> {
    vec![
        (Shape::Plain, as_states::<Plain<S>>()),
        (Shape::Optional, as_states::<Optional<S>>()),
        (Shape::Internal, as_states::<Internal<S>>()),
        (Shape::Adjacent, as_states::<Adjacent<S>>()),
        (Shape::Untagged, as_states::<Untagged<S>>()),
        (Shape::Flattened, as_states::<Flattened<S>>()),
        (Shape::Nested, as_states::<Nested<S>>()),
    ]
}

/// Tries a type in all shapes.
pub(crate) fn keys_and_states_of<S>() -> Vec<(Shape, Outcome)>
where
    S: Sample<Type: Clone + Eq + Hash + Send>,
{
    let mut outcomes = states_of::<S>();
    outcomes.push((Shape::MapKey, as_states::<MapKey<S>>()));
    outcomes.push((Shape::StreamKey, as_keys::<Plain<S>>()));
    outcomes
}

/// Compares what became of a type with what is expected of it.
#[track_caller]
pub(crate) fn expect(refused: &[Shape], outcomes: Vec<(Shape, Outcome)>) {
    let mut wrong = String::new();
    for (shape, outcome) in outcomes {
        let is = match outcome {
            Outcome::Back if refused.contains(&shape) => "it comes back".to_owned(),
            Outcome::Refused if !refused.contains(&shape) => "it is refused".to_owned(),
            Outcome::Back | Outcome::Refused => continue,
            Outcome::Lost(text) => text,
        };
        wrong += &format!("\n{shape:?}: {is}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Makes the values of a state out of those of a type.
macro_rules! probe {
    ($shape:ident: $value:ty = $make:expr) => {
        struct $shape<S>(PhantomData<S>);

        impl<S: Sample> Probe for $shape<S> {
            type Value = $value;

            fn values() -> Vec<Self::Value> {
                let make: fn(S::Type) -> Self::Value = $make;
                S::values().into_iter().map(make).collect()
            }
        }
    };
}

probe!(Plain: S::Type = |value| value);

probe!(Optional: Option<S::Type> = Some);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(tag = "type")]
enum InternallyTagged<T> {
    Holds { value: T },
    Nothing,
}
probe!(Internal: InternallyTagged<S::Type> = |value| InternallyTagged::Holds { value });

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(tag = "type", content = "content")]
enum AdjacentlyTagged<T> {
    Holds(T),
    Nothing,
}
probe!(Adjacent: AdjacentlyTagged<S::Type> = AdjacentlyTagged::Holds);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(untagged)]
enum WithoutTag<T> {
    Holds(T),
    Nothing { nothing: bool },
}
probe!(Untagged: WithoutTag<S::Type> = WithoutTag::Holds);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Outer<T> {
    id: u64,
    #[serde(flatten)]
    inner: Inner<T>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Inner<T> {
    value: T,
}
probe!(Flattened: Outer<S::Type> = |value| Outer { id: 1, inner: Inner { value } });

type InMaps<T> = HashMap<String, BTreeMap<u64, Vec<T>>>;

/// One state with all of the values.
struct Nested<S>(PhantomData<S>);

impl<S: Sample> Probe for Nested<S> {
    type Value = InMaps<S::Type>;

    fn values() -> Vec<Self::Value> {
        let list = || S::values();
        let map = |n: u64| BTreeMap::from([(n, list()), (n + 1, Vec::new())]);
        vec![(0..5).map(|n| (format!("map {n}"), map(n))).collect()]
    }
}

type WithKeys<T> = HashMap<T, HashMap<u8, HashSet<T>>>;

/// One state with all of the values.
struct MapKey<S>(PhantomData<S>);

impl<S: Sample<Type: Eq + Hash>> Probe for MapKey<S> {
    type Value = WithKeys<S::Type>;

    fn values() -> Vec<Self::Value> {
        let set = || S::values().into_iter().collect();
        let map = || (0..5).map(|n| (n, set())).collect();
        vec![S::values().into_iter().map(|key| (key, map())).collect()]
    }
}
