//! An error together with what caused it.

use std::{error::Error, fmt};

use flow_store::{StoreError, visible};

use super::{
    BuildError, InputIsStore, NotKept, OutputError, OutputInStore, OutputIsInput, ResumeError,
    SinkError, SourceError, with_help,
};

/// Prints an error and its causes in one line: `bad line: invalid digit found in string`. What to
/// do about them is left out: that is [`help_of`].
///
/// Many errors say in their own text what caused them. A cause whose text is there already is left
/// out.
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
        // What it quotes may be anything.
        f.write_str(&visible(&text))
    }
}

/// Whether `more` stands in `text`, not merely as a part of a word.
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

/// What an error says, without what to do about it.
pub(crate) fn message_of(error: &(dyn Error + 'static)) -> String {
    match advised(error) {
        Some((message, _)) => message,
        None => error.to_string(),
    }
}

/// What to do about an error, as it or the first of its causes that knows says it.
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

/// An error of this library, in two parts: what is wrong, and what to do about it.
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

/// An error of its own kind, with advice.
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
        // A part of a word is another word.
        assert_eq!(chain(&["no such axis", "x"]), "no such axis: x");
        assert_eq!(chain(&["größe", "öß"]), "größe: öß");
    }
}
