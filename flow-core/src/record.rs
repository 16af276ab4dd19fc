//! What a record, a key and a state have to be.
//!
//! The traits are implemented for every type that fits; nobody implements them by hand. Each
//! carries its own codec and no bound on serde, so that a type which does not fit is refused with
//! one error in the words of this crate.

pub(crate) mod json_number;

use std::hash::Hash;

use serde::{Deserialize, Serialize};

use flow_store::{Checked, CodecError, Schema};

/// A value that owns its data: it can be read from bytes that are gone afterwards.
///
/// Holds for every type that implements `Deserialize` and has no lifetime in it. A `&str` borrows
/// its text, and so does a struct that has one, be it a `&'static str`: nobody keeps the text that
/// it would be read from. `String` owns it, and for a few fixed texts there are enums.
///
/// It is `DeserializeOwned` under a name that says what to do, for the compiler names it where a
/// type borrows: "`&str` must implement `OwnsItsData`".
pub trait OwnsItsData<'any>: Deserialize<'any> {}

#[diagnostic::do_not_recommend]
impl<'any, T: Deserialize<'any>> OwnsItsData<'any> for T {}

/// A value that the store can keep: the state of a step, a resume token, a sink's position.
///
/// Holds for every type that implements `Serialize` and `Deserialize` and borrows nothing. It is
/// written as MessagePack with field names.
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

    /// What the type looks like in the store.
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

    fn schema() -> Schema {
        flow_store::trace::<T>()
    }
}

/// A function that keeps a state `S`: every function, if `S` can be written to the store.
///
/// The bound stands on the function, so that the compiler points at the function when its state
/// does not fit.
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
}

/// How a state is written and read: what a step needs of [`State`] once the type has been checked.
#[doc(hidden)]
pub struct StateCodec<S> {
    pub(crate) encode: fn(&S, &mut Checked, &mut Vec<u8>) -> Result<(), CodecError>,
    pub(crate) decode: fn(&[u8]) -> Result<S, CodecError>,
    pub(crate) schema: fn() -> Schema,
}

/// A record that may go from one worker to another.
///
/// Holds for every type that implements `Serialize` and `Deserialize`, is `Send` and borrows
/// nothing. Between threads records move as they are; between processes they travel as MessagePack
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

    /// Reads one record from the front of `bytes` and moves `bytes` on behind it.
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
/// Holds for every type that implements `Serialize`, `Deserialize`, `Hash`, `Eq` and `Clone`, is
/// `Send` and borrows nothing. Two keys are the same if and only if their MessagePack bytes are.
/// With a store a step refuses a key for which that does not hold, when the key is new: one with a
/// finer `Eq` (a field that is not written), which is not equal to what its bytes are read as, and
/// one with a coarser `Eq` (text that ignores case, times in two time zones), which is equal to
/// another key with other bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    label = "the records that come to this step have the key `{Self}`",
    note = "`NoKey` stands for a stream without a key: give it one with `.key_on(..)`",
    note = "a key is `Serialize + Deserialize + Hash + Eq + Clone`, `Send`, and owns its data: \
        derive what is missing"
)]
pub trait Key: Hash + Eq + Clone + Send + 'static {
    /// Appends the key's canonical bytes: its MessagePack with field names.
    #[doc(hidden)]
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a key back; every byte must be used.
    #[doc(hidden)]
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>;

    /// Reads one key from the front of `bytes` and moves `bytes` on behind it.
    #[doc(hidden)]
    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError>;

    /// Checks that `bytes`, which are those of this key, are read as this key.
    #[doc(hidden)]
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError>;

    /// Whether every key of this type is what its bytes are, so that none need be checked.
    #[doc(hidden)]
    fn is_plain() -> bool;

    /// What the type looks like in the store.
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
        // What is read may have the same parts in another order, as a set has that was built anew.
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
// Not `PartialEq`: that alone tells it from a key.
#[derive(Clone, Copy, Debug)]
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

/// A stream's `Key` parameter that is a key: any type but [`NoKey`].
#[diagnostic::on_unimplemented(
    message = "this stream has no key yet",
    label = "a keyed step on `KeyedStream<{Self}, _>`",
    note = "give it one with `.key_on(..)`"
)]
pub trait IsKeyed {}

#[diagnostic::do_not_recommend]
impl<K: PartialEq> IsKeyed for K {}

/// What a step that looks at whole items sees: `T` without a key, `(K, T)` with one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    label = "the key would be a `{Self}`",
    note = "add `#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]` to `{Self}`"
)]
pub trait KeyKind: Sized + 'static {
    /// `T`, or `(K, T)`.
    type Item<T: 'static>: 'static;

    /// The item of a pair.
    #[doc(hidden)]
    fn item<T: 'static>(pair: (Self, T)) -> Self::Item<T>;

    /// The item of a pair, looked at in place.
    #[doc(hidden)]
    fn item_ref<T: 'static>(pair: &(Self, T)) -> &Self::Item<T>;
}

impl KeyKind for NoKey {
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
    type Item<T: 'static> = (K, T);

    fn item<T: 'static>(pair: (K, T)) -> (K, T) {
        pair
    }

    fn item_ref<T: 'static>(pair: &(K, T)) -> &(K, T) {
        pair
    }
}

/// The token of a source that can't go on where it was, and the position of a sink that has none.
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
