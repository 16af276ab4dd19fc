//! Last lines that were left unread because their writer may not have finished them.

use std::fmt;

/// The last line of a file that does not end with a newline. It was left for a later run, because
/// its writer may still be writing it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfinishedLine {
    /// The id of the source.
    pub step: String,
    /// The source's partition: for a file, its path.
    pub partition: String,
    /// The number of the line, from 1.
    pub line: u64,
    /// The beginning of the line.
    pub text: String,
}

impl UnfinishedLine {
    /// Advice on how to read it.
    #[must_use]
    pub fn help(&self) -> String {
        // A file whose lines end with carriage returns is one such line.
        if self.line == 1 && self.text.trim_end_matches('\r').contains('\r') {
            return "its lines end with a carriage return: `tr '\\r' '\\n' < in > ..` makes \
                newlines \
                    of them"
                .to_owned();
        }
        "a later run reads it when it has its newline; `--take-unfinished-lines`, or \
         `.take_unfinished_line()` of the source in code, reads it as it is"
            .to_owned()
    }
}

impl fmt::Display for UnfinishedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnfinishedLine {
            partition,
            line,
            text,
            ..
        } = self;
        write!(
            f,
            "{partition}, line {line} has no newline at its end and was left unread: {text}"
        )
    }
}
