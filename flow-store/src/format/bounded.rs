//! Texts of errors, bounded for the store.

/// The greatest length in bytes of a text about the end of an execution.
const MOST_TEXT: usize = 4096;

/// A text as the store keeps it. A long one is cut at the end of a character, and a mark says how
/// much is missing.
pub(crate) fn bounded(text: &str) -> String {
    if text.len() <= MOST_TEXT {
        return text.to_owned();
    }
    // The number in the mark has at most 20 digits.
    let room = MOST_TEXT - 64;
    let cut = (0..=room).rev().find(|at| text.is_char_boundary(*at));
    let cut = cut.unwrap_or(0);
    format!("{} [.. {} more bytes]", &text[..cut], text.len() - cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_the_end_of_a_character() {
        for character in ["x", "ß", "語", "🦀"] {
            let text = character.repeat(10_000);
            let kept = bounded(&text);
            assert!(kept.len() <= MOST_TEXT);
            let (start, missing) = kept.split_once(" [.. ").unwrap();
            assert!(text.starts_with(start));
            let missing: usize = missing
                .strip_suffix(" more bytes]")
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(start.len() + missing, text.len());
            assert_eq!(bounded(&kept), kept);
        }
        let fits = "y".repeat(MOST_TEXT);
        assert_eq!(bounded(&fits), fits);
    }
}
