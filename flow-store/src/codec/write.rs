//! Writes the parts of MessagePack.
//!
//! Most is left to `rmp`. The parts that nearly every state and key has are written here, in fewer
//! instructions.

use super::error::CodecError;
use rmp::encode;
use serde::ser;
use std::fmt::Display;

/// Why a value could not be written. It is boxed to keep results small: nearly all of them are
/// `Ok`, and they pass through many functions.
#[derive(Debug)]
pub(super) struct Failed(Box<CodecError>);

impl Failed {
    pub(super) fn into_inner(self) -> CodecError {
        *self.0
    }
}

impl From<CodecError> for Failed {
    #[cold]
    fn from(error: CodecError) -> Self {
        Failed(Box::new(error))
    }
}

impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl ser::Error for Failed {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        CodecError::Encode(message.to_string()).into()
    }
}

/// A length, for which MessagePack has 32 bits.
pub(super) fn length(len: usize) -> Result<u32, Failed> {
    u32::try_from(len).map_err(|_| {
        CodecError::Encode("it has a part with more than 4 billion elements or bytes".to_owned())
            .into()
    })
}

/// Discards the result of writing to a vector, which never fails.
#[inline]
fn written<T, E>(_: Result<T, E>) {}

/// Begins a sequence of this length.
#[inline]
#[allow(clippy::cast_possible_truncation)] // It fits: the match says so.
pub(super) fn write_array(out: &mut Vec<u8>, len: u32) {
    match len {
        0..=15 => out.push(0x90 | len as u8),
        _ => written(encode::write_array_len(out, len)),
    }
}

/// Begins a map of this length.
#[inline]
#[allow(clippy::cast_possible_truncation)] // It fits: the match says so.
pub(super) fn write_map(out: &mut Vec<u8>, len: u32) {
    match len {
        0..=15 => out.push(0x80 | len as u8),
        _ => written(encode::write_map_len(out, len)),
    }
}

/// Appends the MessagePack of a text.
#[inline]
#[allow(clippy::cast_possible_truncation)] // It fits: the match says so.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), Failed> {
    match text.len() {
        len @ ..32 => out.push(0xa0 | len as u8),
        len => written(encode::write_str_len(out, length(len)?)),
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Appends the MessagePack of bytes.
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failed> {
    written(encode::write_bin_len(out, length(bytes.len())?));
    out.extend_from_slice(bytes);
    Ok(())
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // It fits: the match says so.
pub(super) fn write_unsigned(out: &mut Vec<u8>, number: u64) {
    match number {
        0..=0x7f => out.push(number as u8),
        _ => written(encode::write_uint(out, number)),
    }
}

#[inline]
pub(super) fn write_float(out: &mut Vec<u8>, number: f64) {
    written(encode::write_f64(out, number));
}

pub(super) fn write_negative(out: &mut Vec<u8>, number: i64) {
    written(encode::write_sint(out, number));
}
