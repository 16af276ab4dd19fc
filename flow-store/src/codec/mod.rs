//! Values as bytes: MessagePack with field names, in serde's human-readable form.

mod check;
mod encoder;
mod error;
mod form;
pub(crate) mod json_number;
mod key;
mod list;
pub(crate) mod msgpack;
mod token_row;
mod track;
mod value;
mod write;

pub use check::{Checked, Checks};
pub use error::CodecError;
pub use key::{encode_key, is_plain_key};
pub use list::{begin_list, list_front};
pub use token_row::TokenRow;
pub use value::{decode, decode_front, encode};
