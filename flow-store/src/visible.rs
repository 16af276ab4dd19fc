//! Text from outside, made safe to show.

use std::borrow::Cow;

/// Escapes the control characters of a text.
///
/// Otherwise an escape sequence in a key, a path or a line of input could clear the reader's
/// terminal or change its title.
///
/// Line breaks and tabs stay. Characters that change the direction of the text are escaped too.
///
/// ```
/// use flow_store::visible;
///
/// assert_eq!(visible("\u{1b}[2Jgone\n"), "\\u{1b}[2Jgone\n");
/// assert_eq!(visible("Grüße"), "Grüße");
/// ```
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    shown(text, |c| !matches!(c, '\n' | '\t') && is_hidden(c))
}

/// Like [`visible`], for a text that is quoted on one line: line breaks and tabs are escaped too.
///
/// ```
/// assert_eq!(flow_store::visible_on_a_line("two\nlines"), "two\\nlines");
/// ```
#[must_use]
pub fn visible_on_a_line(text: &str) -> Cow<'_, str> {
    shown(text, is_hidden)
}

/// A JSON text with the same meaning, without characters that a terminal interprets.
///
/// ```
/// assert_eq!(flow_store::visible_json("\"\u{9b}2J\""), "\"\\u009b2J\"");
/// ```
#[must_use]
pub fn visible_json(json: &str) -> Cow<'_, str> {
    // JSON has such characters only within strings, where each may be written as its number.
    shown_as(json, is_hidden, |c| format!("\\u{:04x}", u32::from(c)))
}

fn shown(text: &str, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    shown_as(text, is_hidden, |c| c.escape_default().to_string())
}

fn shown_as(
    text: &str,
    is_hidden: impl Fn(char) -> bool,
    show: impl Fn(char) -> String,
) -> Cow<'_, str> {
    if !text.chars().any(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_hidden(c) {
            true => shown.push_str(&show(c)),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal interprets a character instead of showing it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        let shown = visible(&all);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        assert!(!visible_on_a_line(&all).contains(char::is_control));
        assert_eq!(visible("\x1b]0;title\x07"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(visible("\u{9b}31m\u{202e}\r"), "\\u{9b}31m\\u{202e}\\r");
        let json = serde_json::to_string(&all).unwrap();
        let shown = visible_json(&json);
        assert!(!shown.contains(is_hidden));
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), all);
        assert!(matches!(visible("plain\ttext\n"), Cow::Borrowed(_)));
    }
}
