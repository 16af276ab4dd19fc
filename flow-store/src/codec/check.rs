//! Checks that written values can be read, before they are durable.
//!
//! serde lets a type write what it can't read: a field that is left out and has no default, a
//! variant with two names, an address inside an untagged enum. It also lets a value come back as
//! another one. A store with such a value would be refused at each later start, or the flow would
//! resume with wrong states. So every encoded value is decoded again.
//!
//! Decoding costs more than encoding. So a release build decodes only the first value of each
//! *shape*, and a sample of the others. A shape consists of the kinds of values, fields, variants
//! and tags, without numbers and texts. The elements of sequences and maps count one by one, and
//! their number does not matter.

use super::encoder::Encoder;
use super::error::CodecError;
use super::msgpack;
use super::track::Track;
use super::value::{decode, encode};
use super::write::Failed;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Which values are decoded again after they were encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Checks {
    /// All.
    Every,
    /// The first one of each shape, and a sample.
    EachShape,
}

impl Default for Checks {
    /// [`Every`](Checks::Every) in a debug build, [`EachShape`](Checks::EachShape) in a release
    /// build.
    fn default() -> Self {
        match cfg!(debug_assertions) {
            true => Checks::Every,
            false => Checks::EachShape,
        }
    }
}

/// Encodes the values of one type of one step, and checks that they can be decoded.
///
/// ```
/// use flow_store::{Checked, CodecError};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Cart {
///     #[serde(skip_serializing_if = "Vec::is_empty")]
///     items: Vec<u32>,
/// }
///
/// let (mut checked, mut bytes) = (Checked::default(), Vec::new());
/// checked.encode(&Cart { items: vec![7] }, &mut bytes)?;
/// // `items` has no `#[serde(default)]`
/// let error = checked.encode(&Cart { items: vec![] }, &mut bytes).unwrap_err();
/// assert!(matches!(error, CodecError::Unreadable(_)));
/// # Ok::<(), CodecError>(())
/// ```
#[derive(Debug, Default)]
pub struct Checked {
    checks: Checks,
    /// The shapes of whole values.
    values: Seen,
    /// The shapes of elements, and of rare things.
    parts: Seen,
    /// The state of the random numbers that choose the sample.
    random: u64,
    again: Vec<u8>,
}

impl Checked {
    /// A checked encoder with other checks than the default of the build.
    #[must_use]
    pub fn new(checks: Checks) -> Self {
        Checked {
            checks,
            ..Checked::default()
        }
    }

    /// Appends the MessagePack of `value` to `into`, as [`encode`](crate::encode) does.
    ///
    /// # Errors
    ///
    /// Those of [`encode`](crate::encode), and, if the value is decoded again:
    ///
    /// - [`CodecError::Unreadable`] if it can't be read.
    /// - [`CodecError::Differs`] if it is read as another value.
    ///
    /// After an error `into` is unchanged.
    pub fn encode<T: Serialize + DeserializeOwned>(
        &mut self,
        value: &T,
        into: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let before = into.len();
        let checked = self.encode_or(value, into, before);
        if checked.is_err() {
            into.truncate(before);
        }
        checked
    }

    fn encode_or<T: Serialize + DeserializeOwned>(
        &mut self,
        value: &T,
        into: &mut Vec<u8>,
        before: usize,
    ) -> Result<(), CodecError> {
        let is_new = match self.checks {
            Checks::Every => {
                encode(value, into)?;
                true
            }
            Checks::EachShape => {
                let shape = Shape {
                    hash: START,
                    parts: &mut self.parts,
                    is_new: false,
                };
                let mut encoder = Encoder::new(into, shape);
                value.serialize(&mut encoder).map_err(Failed::into_inner)?;
                let Shape { hash, is_new, .. } = encoder.track;
                self.values.is_new(hash) | is_new
            }
        };
        let written = into.get(before..).unwrap_or_default();
        if is_new || self.is_drawn() {
            self.again.clear();
            check::<T>(written, &mut self.again)?;
        }
        Ok(())
    }

    /// Whether a value belongs to the sample: one of 64, chosen regardless of its shape.
    #[inline]
    fn is_drawn(&mut self) -> bool {
        // This is a linear congruential generator: only its upper bits are random enough.
        let next = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d);
        self.random = next.wrapping_add(0x1405_7b7e_f767_814f);
        self.random >> 58 == 0
    }
}

/// Decodes the bytes, encodes the result, and compares the two encodings.
#[inline(never)]
fn check<T: Serialize + DeserializeOwned>(
    written: &[u8],
    again: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let read: T = decode(written).map_err(unreadable)?;
    encode(&read, again).map_err(unreadable)?;
    match written == again.as_slice() || msgpack::same(written, again) {
        true => Ok(()),
        false => Err(CodecError::Differs {
            written: msgpack::text(written),
            read: msgpack::text(again),
        }),
    }
}

fn unreadable(error: CodecError) -> CodecError {
    CodecError::Unreadable(match error {
        CodecError::Decode(cause) => cause,
        other => other.to_string(),
    })
}

const START: u64 = 0x9e37_79b9_7f4a_7c15;

/// The shape of a value that is being written.
struct Shape<'a> {
    hash: u64,
    parts: &'a mut Seen,
    is_new: bool,
}

#[inline]
fn mix(hash: u64, what: u64) -> u64 {
    (hash.rotate_left(5) ^ what).wrapping_mul(0x517c_c1b7_2722_0a95)
}

impl Track for Shape<'_> {
    #[inline]
    fn mix(&mut self, what: u64) {
        self.hash = mix(self.hash, what);
    }

    #[inline]
    fn note(&mut self, what: u64) {
        self.is_new |= self.parts.is_new(mix(self.hash, what));
    }

    #[inline]
    fn begin(&mut self) -> u64 {
        self.hash
    }

    #[inline]
    fn element(&mut self, at: u64, last: &mut u64) {
        if self.hash != *last {
            *last = self.hash;
            self.is_new |= self.parts.is_new(self.hash);
        }
        self.hash = at;
    }

    #[inline]
    fn end(&mut self, at: u64, elements: u32) {
        self.hash = mix(at, u64::from(elements == 0));
    }

    fn doubt(&mut self) {
        self.is_new = true;
    }
}

/// Number of shapes remembered for each step and worker. Values of any other shape are always
/// decoded.
const MOST: usize = 1 << 16;

/// A set of shapes.
#[derive(Debug, Default)]
struct Seen {
    /// Their number is a power of two; 0 is an empty slot.
    slots: Vec<u64>,
    held: usize,
}

impl Seen {
    /// Whether a shape is not known to have been there before.
    #[inline]
    fn is_new(&mut self, shape: u64) -> bool {
        let shape = shape.max(1);
        let mut at = Self::slot(shape, self.slots.len());
        loop {
            match self.slots.get(at) {
                Some(held) if *held == shape => return false,
                Some(0) | None => return self.add(shape),
                Some(_) => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // The upper bits are enough.
    fn slot(shape: u64, slots: usize) -> usize {
        (shape >> 40) as usize & slots.wrapping_sub(1)
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, shape: u64) -> bool {
        if self.held == MOST {
            return true;
        }
        if self.held * 2 >= self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![0; (old.len() * 2).max(64)];
            old.into_iter()
                .filter(|held| *held != 0)
                .for_each(|held| self.put(held));
        }
        self.put(shape);
        self.held += 1;
        true
    }

    fn put(&mut self, shape: u64) {
        let mut at = Self::slot(shape, self.slots.len());
        while let Some(held) = self.slots.get_mut(at) {
            if *held == 0 {
                *held = shape;
                return;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

#[cfg(test)]
mod tests;
