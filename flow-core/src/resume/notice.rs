//! Notices before a run starts.

use std::fmt;

use flow_store::visible_on_a_line;

/// A notice before a run starts. It does not keep the run from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A difference from the store that was accepted.
    Store(flow_store::Notice),
    /// A remark about an output, such as what the start cuts off.
    Output {
        /// The id of the sink.
        step: String,
        /// The remark.
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
