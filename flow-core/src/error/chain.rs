//! Errors together with their causes.

use std::{error::Error, fmt};

use flow_store::{StoreError, visible};

use super::{
    BuildError, InputIsStore, NotKept, OutputError, OutputInStore, OutputIsInput, ResumeError,
    SinkError, SourceError, with_help,
};

/// Prints an error and its causes on one line: `bad line: invalid digit found in string`. Leaves
/// out advice, which [`help_of`] returns.
///
/// Many errors repeat the text of their cause. A cause whose text is already there is left out.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = message_of(self.0);
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let more = message_of(error);
            if !says(&text, &more) {
                text = format!("{text}: {more}");
            }
            cause = error.source();
        }
        // A message may quote any text of the user, with control characters too.
        f.write_str(&visible(&text))
    }
}

/// Whether `more` occurs in `text` as whole words.
fn says(text: &str, more: &str) -> bool {
    let more = more.trim();
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    more.is_empty()
        || text.match_indices(more).any(|(at, _)| {
            let (before, behind) = (&text[..at], &text[at + more.len()..]);
            let begins = !is_word(before.chars().next_back()) || !is_word(more.chars().next());
            let ends = !is_word(behind.chars().next()) || !is_word(more.chars().next_back());
            begins && ends
        })
}

/// The message of an error, without advice.
pub(crate) fn message_of(error: &(dyn Error + 'static)) -> String {
    match advised(error) {
        Some((message, _)) => message,
        None => error.to_string(),
    }
}

/// The advice of an error, or of the first of its causes that has some.
pub(crate) fn help_of(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some((_, Some(help))) = advised(error) {
            return Some(help);
        }
        next = error.source();
    }
    None
}

/// The message and the advice of an error of this library.
fn advised(error: &(dyn Error + 'static)) -> Option<(String, Option<String>)> {
    macro_rules! one_of {
        ($($known:ty),* $(,)?) => {
            $(if let Some(error) = error.downcast_ref::<$known>() {
                return Some((error.message(), error.help()));
            })*
        };
    }
    one_of!(
        StoreError,
        BuildError,
        ResumeError,
        SourceError,
        SinkError,
        OutputError,
        OutputIsInput,
        OutputInStore,
        InputIsStore,
        NotKept,
        Advised
    );
    None
}

/// An error without a type of its own, with advice.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Advised {
    message: String,
    help: String,
}

impl Advised {
    pub(crate) fn new(message: String, help: &str) -> Self {
        let help = help.to_owned();
        Advised { message, help }
    }

    fn message(&self) -> String {
        self.message.clone()
    }

    fn help(&self) -> Option<String> {
        Some(self.help.clone())
    }
}

with_help!(Advised);

/// The first error of a type among an error and its causes.
pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            let cause = self.1.as_deref()?;
            Some(cause)
        }
    }

    fn chain(texts: &[&'static str]) -> String {
        let links = texts.iter().rev();
        let link = links.fold(None, |cause, text| Some(Box::new(Link(text, cause))));
        Chain(&*link.unwrap()).to_string()
    }

    #[test]
    fn each_cause_is_said_once() {
        assert_eq!(chain(&["bad line"]), "bad line");
        assert_eq!(chain(&["bad line", "not a digit"]), "bad line: not a digit");
        assert_eq!(chain(&["a: b", "b", "c"]), "a: b: c");
        assert_eq!(chain(&["a (b: c)", "b: c", "c"]), "a (b: c)");
        assert_eq!(chain(&["same", "same", ""]), "same");
        // Within a word, the same letters say something else.
        assert_eq!(chain(&["no such axis", "x"]), "no such axis: x");
        assert_eq!(chain(&["größe", "öß"]), "größe: öß");
    }
}
