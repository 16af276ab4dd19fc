//! The traits of records, keys and states.
//!
//! They are implemented for every suitable type, so nobody implements them by hand. Each has its
//! own codec and no bound on serde. So the compiler refuses an unsuitable type with one error, in
//! the words of this crate.

pub(crate) mod json_number;

use std::hash::Hash;

use serde::{Deserialize, Serialize};

use flow_store::{Checked, CodecError, Schema};

use crate::state::Panes;

/// A value that owns its data: it borrows nothing from the bytes that it is read from.
///
/// It is implemented for every type that implements `Deserialize` and contains no lifetime. A
/// `&str` borrows its text, and so does a struct that contains one, even a `&'static str`. A
/// `String` owns its text; for a few fixed texts, use an enum.
///
/// It is `DeserializeOwned` under a name that says what to do, because the compiler prints the name
/// if a type borrows: "`&str` must implement `OwnsItsData`".
pub trait OwnsItsData<'any>: Deserialize<'any> {}

#[diagnostic::do_not_recommend]
impl<'any, T: Deserialize<'any>> OwnsItsData<'any> for T {}

/// A value that the store can keep: the state of a step, a resume token, a sink's position.
///
/// It is implemented for every type that implements `Serialize` and `Deserialize` and borrows
/// nothing. Values are stored as MessagePack with field names.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be written to the store",
    label = "the store would have to keep a `{Self}`",
    note = "add `#[derive(Serialize, Deserialize)]` to `{Self}`, or to what it contains; it must \
        own its data"
)]
pub trait State: 'static {
    /// Appends the value's MessagePack bytes, if they can be read back.
    #[doc(hidden)]
    fn encode(&self, checked: &mut Checked, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a value back; every byte must be used.
    #[doc(hidden)]
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>
    where
        Self: Sized;

    /// Reads a value from the front of `bytes`, and advances `bytes` past it.
    #[doc(hidden)]
    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError>
    where
        Self: Sized;

    /// The schema of the type, as the store keeps it.
    #[doc(hidden)]
    fn schema() -> Schema
    where
        Self: Sized;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + for<'any> OwnsItsData<'any> + 'static> State for T {
    fn encode(&self, checked: &mut Checked, into: &mut Vec<u8>) -> Result<(), CodecError> {
        checked.encode(self, into)
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        json_number::check(bytes)?;
        flow_store::decode(bytes)
    }

    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        json_number::check(bytes)?;
        flow_store::decode_front(bytes)
    }

    fn schema() -> Schema {
        flow_store::trace::<T>()
    }
}

/// A function whose step keeps a state `S`: any function, if `S` is a [`State`].
///
/// The bound is on the function, so that the compiler points at the function whose state is
/// refused.
#[diagnostic::on_unimplemented(
    message = "`{S}` can't be kept as the state of a step: it can't be written to the store",
    label = "the state of this step is `{S}`",
    note = "add `#[derive(Serialize, Deserialize)]` to `{S}`, or to what it contains; it must own \
        its data"
)]
pub trait StepState<S> {
    /// How `S` is written and read.
    #[doc(hidden)]
    fn codec() -> StateCodec<S>;

    /// How the open windows of a key are written and read.
    #[doc(hidden)]
    fn panes() -> StateCodec<Panes<S>>;
}

#[diagnostic::do_not_recommend]
impl<F, S: State> StepState<S> for F {
    fn codec() -> StateCodec<S> {
        StateCodec {
            encode: S::encode,
            decode: S::decode,
            schema: S::schema,
        }
    }

    fn panes() -> StateCodec<Panes<S>> {
        StateCodec {
            encode: Panes::encode,
            decode: Panes::decode,
            schema: Panes::<S>::schema,
        }
    }
}

/// How a state is written and read: the functions of [`State`] that a step needs.
#[doc(hidden)]
pub struct StateCodec<S> {
    pub(crate) encode: fn(&S, &mut Checked, &mut Vec<u8>) -> Result<(), CodecError>,
    pub(crate) decode: fn(&[u8]) -> Result<S, CodecError>,
    pub(crate) schema: fn() -> Schema,
}

/// A record that can be sent to another worker.
///
/// It is implemented for every type that implements `Serialize` and `Deserialize`, is `Send` and
/// borrows nothing. Records are moved between threads. Between processes they travel as MessagePack
/// with field names.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be sent to another worker",
    label = "this step moves each `{Self}` to the worker that it belongs to",
    note = "add `#[derive(Serialize, Deserialize)]` to `{Self}`, or to what it contains; it must \
        also be `Send` and own its data"
)]
pub trait Record: Send + 'static {
    /// Appends the record's MessagePack bytes.
    #[doc(hidden)]
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads one record from the front of `bytes`, and advances `bytes` past it.
    #[doc(hidden)]
    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError>
    where
        Self: Sized;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + for<'any> OwnsItsData<'any> + Send + 'static> Record for T {
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), CodecError> {
        flow_store::encode(self, into)
    }

    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        flow_store::decode_front(bytes)
    }
}

/// A value that records are grouped by.
///
/// It is implemented for every type that implements `Serialize`, `Deserialize`, `Hash`, `Eq` and
/// `Clone`, is `Send` and borrows nothing.
///
/// Two keys are the same if and only if their MessagePack bytes are. Under a store, a step checks
/// each new key and refuses it:
/// - if it is not equal to the key that its bytes are read as, because `Eq` compares a field that
///   is not written;
/// - if it is equal to a key with other bytes, as texts are if `Eq` ignores case, or times in two
///   time zones.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    label = "the records that come to this step have the key `{Self}`",
    note = "a key is `Serialize + Deserialize + Hash + Eq + Clone`, `Send`, and owns its data: \
        derive what is missing"
)]
// serde's traits are not supertraits: then a type with the bound `K: Key` could not be derived
// `Deserialize`, because the derive adds a bound of its own.
pub trait Key: Hash + Eq + Clone + Send + 'static {
    /// Appends the key's canonical bytes: its MessagePack with field names.
    #[doc(hidden)]
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a key back; every byte must be used.
    #[doc(hidden)]
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>;

    /// Reads one key from the front of `bytes`, and advances `bytes` past it.
    #[doc(hidden)]
    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError>;

    /// Checks that `bytes`, which this key was encoded to, are read back as this key.
    #[doc(hidden)]
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError>;

    /// Whether every key of this type is read back from its bytes as it was, so that none need be
    /// checked.
    #[doc(hidden)]
    fn is_plain() -> bool;

    /// The schema of the type, as the store keeps it.
    #[doc(hidden)]
    fn schema() -> Schema;
}

#[diagnostic::do_not_recommend]
impl<T> Key for T
where
    T: Serialize + for<'any> OwnsItsData<'any> + Hash + Eq + Clone + Send + 'static,
{
    #[inline]
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), CodecError> {
        flow_store::encode_key(self, into)
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        json_number::check(bytes)?;
        flow_store::decode(bytes)
    }

    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        flow_store::decode_front(bytes)
    }

    fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        let read = match flow_store::decode::<Self>(bytes) {
            Ok(read) => read,
            Err(CodecError::Decode(cause)) => return Err(CodecError::Unreadable(cause)),
            Err(error) => return Err(CodecError::Unreadable(error.to_string())),
        };
        if read != *self {
            return Err(CodecError::NotEqual);
        }
        // An equal key may have its parts in another order, as a set has that was rebuilt.
        let mut again = Vec::with_capacity(bytes.len());
        Key::encode(&read, &mut again)?;
        match again == bytes {
            true => Ok(()),
            false => Err(CodecError::Unsteady),
        }
    }

    fn is_plain() -> bool {
        flow_store::is_plain_key::<T>()
    }

    fn schema() -> Schema {
        flow_store::trace::<T>()
    }
}

/// The `Key` parameter of a [`Stream`](crate::Stream) that has no key yet.
// It is not `PartialEq`, because nothing else tells it from a key. Of what a key needs, it lacks
// only supertraits of `Key`; see `StepKey`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct NoKey;

/// The `Key` parameter of a stream that has no key yet: [`NoKey`].
#[diagnostic::on_unimplemented(
    message = "this stream has a key already",
    label = "its records have the key `{Self}`",
    note = "`.rekey_on(..)` gives them another key; for a key of two parts give both to one \
        `.key_on(..)`: `|x| (x.a.clone(), x.b)`"
)]
pub trait IsUnkeyed {}

impl IsUnkeyed for NoKey {}

/// The `Key` parameter of a stream that has a key: any type but [`NoKey`].
#[diagnostic::on_unimplemented(
    message = "this stream has no key yet",
    label = "a keyed step on `KeyedStream<{Self}, _>`",
    note = "give it one with `.key_on(..)`"
)]
pub trait IsKeyed {}

#[diagnostic::do_not_recommend]
impl<K: PartialEq> IsKeyed for K {}

/// The items that a function sees: `T` on a stream without a key, `(K, T)` on a keyed one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    label = "the key would be a `{Self}`",
    note = "add `#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]` to `{Self}`"
)]
pub trait KeyKind: Sized + 'static {
    /// Whether there is a key.
    #[doc(hidden)]
    type Kind;

    /// `T`, or `(K, T)`.
    type Item<T: 'static>: 'static;

    /// The item of a pair.
    #[doc(hidden)]
    fn item<T: 'static>(pair: (Self, T)) -> Self::Item<T>;

    /// The item of a pair, by reference.
    #[doc(hidden)]
    fn item_ref<T: 'static>(pair: &(Self, T)) -> &Self::Item<T>;
}

impl KeyKind for NoKey {
    type Kind = Unkeyed;
    type Item<T: 'static> = T;

    fn item<T: 'static>(pair: (Self, T)) -> T {
        pair.1
    }

    fn item_ref<T: 'static>(pair: &(Self, T)) -> &T {
        &pair.1
    }
}

#[diagnostic::do_not_recommend]
impl<K: PartialEq + 'static> KeyKind for K {
    type Kind = Keyed;
    type Item<T: 'static> = (K, T);

    fn item<T: 'static>(pair: (K, T)) -> (K, T) {
        pair
    }

    fn item_ref<T: 'static>(pair: &(K, T)) -> &(K, T) {
        pair
    }
}

/// The kind of a stream with a key.
#[doc(hidden)]
pub enum Keyed {}

/// The kind of a stream without a key.
#[doc(hidden)]
pub enum Unkeyed {}

/// The key of a step that keeps a state for each key: any [`Key`], but not [`NoKey`].
///
/// It tells a stream without a key from a stream whose key is unsuitable, so that the compiler
/// prints one error for either.
// The compiler drops an error that another one implies. For `NoKey` it keeps this trait's error,
// which implies all that `NoKey` lacks as a `Key`. For any other type it keeps the error of `Key`.
#[diagnostic::on_unimplemented(
    message = "this stream has no key yet",
    label = "this step keeps a state for each key",
    note = "give the stream a key with `.key_on(..)`"
)]
pub trait StepKey<Kind>: Key {}

impl<K: Key> StepKey<Keyed> for K {}

/// The token of a source that can't resume, and the position of a sink that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoResume;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[test]
    fn a_key_whose_parts_have_no_order_is_refused() {
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        struct Tags(HashSet<u64>);
        impl std::hash::Hash for Tags {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.0.len().hash(state);
            }
        }
        let check = |tags: Tags| {
            let mut bytes = Vec::new();
            Key::encode(&tags, &mut bytes).unwrap();
            Key::check(&tags, &bytes)
        };
        check(Tags([7].into())).unwrap();
        let error = check(Tags((0..100).collect())).unwrap_err();
        assert!(matches!(error, CodecError::Unsteady), "{error}");
    }
}
