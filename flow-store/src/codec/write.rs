//! How the parts of MessagePack are written.

use super::error::CodecError;
use serde::ser;
use std::fmt::Display;

/// Why a value could not be written. Boxed: nearly all results are good ones, and pass through many
/// hands.
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

/// The length of anything: MessagePack has 32 bits for it.
pub(super) fn length(len: usize) -> Result<u32, Failed> {
    u32::try_from(len).map_err(|_| {
        CodecError::Encode("it has a part with more than 4 billion elements or bytes".to_owned())
            .into()
    })
}

/// Begins a sequence or a map of this length.
#[inline]
#[allow(clippy::cast_possible_truncation)] // each length is cast where it fits
pub(super) fn marker(out: &mut Vec<u8>, len: u32, short: u8, long: [u8; 2]) {
    match len {
        0..=15 => out.push(short | len as u8),
        16..=0xffff => {
            let [high, low] = (len as u16).to_be_bytes();
            out.extend_from_slice(&[long[0], high, low]);
        }
        _ => {
            out.push(long[1]);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
}

/// Appends the MessagePack of a text.
#[inline]
#[allow(clippy::cast_possible_truncation)] // each length is cast where it fits
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), Failed> {
    let bytes = text.as_bytes();
    match bytes.len() {
        len @ ..32 => out.push(0xa0 | len as u8),
        len @ ..0x100 => out.extend_from_slice(&[0xd9, len as u8]),
        len => long_text(len, out)?,
    }
    out.extend_from_slice(bytes);
    Ok(())
}

/// Begins a text that is not short.
#[inline(never)]
fn long_text(len: usize, out: &mut Vec<u8>) -> Result<(), Failed> {
    if let Ok(len) = u16::try_from(len) {
        out.push(0xda);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(0xdb);
        out.extend_from_slice(&length(len)?.to_be_bytes());
    }
    Ok(())
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // each number is cast where it fits
pub(super) fn write_unsigned(out: &mut Vec<u8>, number: u64) {
    match number {
        0..=0x7f => out.push(number as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            let [a, b] = (number as u16).to_be_bytes();
            out.extend_from_slice(&[0xcd, a, b]);
        }
        0x1_0000..=0xffff_ffff => {
            let [a, b, c, d] = (number as u32).to_be_bytes();
            out.extend_from_slice(&[0xce, a, b, c, d]);
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
            out.extend_from_slice(&[0xcf, a, b, c, d, e, f, g, h]);
        }
    }
}

#[inline]
pub(super) fn write_float(out: &mut Vec<u8>, number: f64) {
    out.push(0xcb);
    out.extend_from_slice(&number.to_be_bytes());
}

#[allow(clippy::cast_possible_truncation)] // each number is cast where it fits
pub(super) fn write_negative(out: &mut Vec<u8>, number: i64) {
    if number >= -32 {
        out.push(number as i8 as u8);
    } else if let Ok(number) = i8::try_from(number) {
        out.extend_from_slice(&[0xd0, number as u8]);
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xd1);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(0xd2);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&number.to_be_bytes());
    }
}
