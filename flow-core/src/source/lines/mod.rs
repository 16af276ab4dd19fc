//! Sources of lines, from files or from standard input, with a format: text, JSON, bytes.

mod format;
mod grown;
mod input;
mod line;
mod parser;
mod raw_line;
mod reader;
mod skipped;
mod source;
mod stdin;

pub use crate::error::{LineError, Looks};
pub use format::{Bytes, Json, LineFormat, Text};
pub(super) use line::{Line, excerpt_of, line_content};
pub(super) use parser::{BadLine, LineParser, log_skipped};
pub use raw_line::{OrDead, RawLine};
pub(super) use reader::Lines;
pub use source::{ByteLinesSource, JsonLinesSource, LinesReader, LinesSource, TextLinesSource};
pub use stdin::{StdinReader, StdinSource};
