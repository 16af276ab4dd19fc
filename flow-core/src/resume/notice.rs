//! What a person should know before a run starts.

use std::fmt;

use flow_store::visible_on_a_line;

/// What a person should know before a run starts; it starts all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// What is different from what the store holds, and was accepted.
    Store(flow_store::Notice),
    /// Of an output, such as what the start cuts off.
    Output {
        /// The sink.
        step: String,
        /// What there is to know.
        text: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Store(notice) => notice.fmt(f),
            Notice::Output { step, text } => {
                write!(f, "sink `{step}`: {}", visible_on_a_line(text))
            }
        }
    }
}
