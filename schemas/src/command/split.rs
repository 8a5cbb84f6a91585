//! ◆ Pure: long text in parts, in order, at the platform's limits (docs/meta-platform.md 12: over-long text is refused, not cut).

use unicode_segmentation::UnicodeSegmentation;

use crate::Channel;

/// How much text one message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of UTF-8.
    Bytes(usize),
    /// Characters.
    Chars(usize),
}

impl Limit {
    /// Of a channel: Instagram 1000 bytes, Messenger 2000 characters.
    pub const fn of(channel: Channel) -> Self {
        match channel {
            Channel::Instagram => Self::Bytes(1000),
            Channel::Messenger => Self::Chars(2000),
        }
    }

    const fn room(self) -> usize {
        match self {
            Self::Bytes(room) | Self::Chars(room) => room,
        }
    }

    fn size(self, text: &str) -> usize {
        match self {
            Self::Bytes(_) => text.len(),
            Self::Chars(_) => text.chars().count(),
        }
    }
}

/// Splits `text` into parts within `limit`: at the last blank line, line end or white space of a full part, else between graphemes; a
/// grapheme larger than a whole part is cut between characters. White space at the cuts is dropped; nothing else is, and no part is empty.
pub fn split(text: &str, limit: Limit) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if limit.size(rest) <= limit.room() {
            parts.push(rest.to_owned());
            break;
        }
        let full = fitting(rest, limit);
        let cut = boundary(rest, full);
        let (part, after) = rest.split_at(cut);
        let part = part.trim_end();
        if !part.is_empty() {
            parts.push(part.to_owned());
        }
        rest = after.trim_start();
    }
    parts
}

/// The byte length of the longest start of `text` that fits.
fn fitting(text: &str, limit: Limit) -> usize {
    let (mut used, mut end) = (0, 0);
    for grapheme in text.graphemes(true) {
        used += limit.size(grapheme);
        if limit.room() < used {
            break;
        }
        end += grapheme.len();
    }
    if end > 0 {
        return end;
    }
    used = 0;
    for char in text.chars() {
        used += match limit {
            Limit::Bytes(_) => char.len_utf8(),
            Limit::Chars(_) => 1,
        };
        if limit.room() < used {
            break;
        }
        end += char.len_utf8();
    }
    // A limit below one character does not exist; one character per part still ends.
    if end == 0 { text.chars().next().map_or(0, char::len_utf8) } else { end }
}

/// Where to cut `text`, of which `full` bytes fit: after a paragraph, line or word, unless that leaves the part less than half full.
fn boundary(text: &str, full: usize) -> usize {
    let start = &text[..full];
    if text[full..].starts_with(char::is_whitespace) {
        return full;
    }
    let after_space = |(at, char): (usize, char)| at + char.len_utf8();
    let paragraph = start.rfind("\n\n").filter(|at| full / 2 <= *at);
    let line = start.rfind('\n').filter(|at| full / 2 <= *at);
    let word = start.char_indices().rev().find(|(_, char)| char.is_whitespace()).map(after_space);
    paragraph.or(line).or(word).filter(|at| 0 < *at).unwrap_or(full)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_text_is_one_part_and_blank_text_none() {
        assert_eq!(split(" hello ", Limit::Bytes(10)), ["hello"]);
        assert!(split(" \n", Limit::Bytes(10)).is_empty());
    }

    #[test]
    fn words_and_lines_stay_whole() {
        assert_eq!(split("one two three", Limit::Chars(8)), ["one two", "three"]);
        assert_eq!(
            split("aaaa\nbbbb cccc", Limit::Chars(11)),
            ["aaaa\nbbbb", "cccc"].map(str::to_owned)
        );
        assert_eq!(split("onetwothree", Limit::Chars(4)), ["onet", "woth", "ree"]);
    }

    #[test]
    fn instagram_counts_bytes_and_messenger_characters() {
        let cyrillic = "ж".repeat(1000);
        assert_eq!(split(&cyrillic, Limit::of(Channel::Instagram)).len(), 2);
        assert_eq!(split(&cyrillic, Limit::of(Channel::Messenger)).len(), 1);
    }

    #[test]
    fn the_limit_itself_fits_and_one_more_does_not() {
        let parts = |text: String, channel| split(&text, Limit::of(channel)).len();
        assert_eq!(parts("x".repeat(1000), Channel::Instagram), 1);
        assert_eq!(parts("x".repeat(1001), Channel::Instagram), 2);
        // Four bytes each, so the limit falls on a border; with one byte before them it does not.
        assert_eq!(parts("😀".repeat(250), Channel::Instagram), 1);
        assert_eq!(split(&format!("x{}", "😀".repeat(250)), Limit::Bytes(1000))[0].len(), 997);
        assert_eq!(parts("😀".repeat(2000), Channel::Messenger), 1);
        assert_eq!(parts("😀".repeat(2001), Channel::Messenger), 2);
    }

    #[test]
    fn a_family_is_not_torn_apart() {
        let family = "👨‍👩‍👧‍👦";
        let parts = split(&family.repeat(3), Limit::Bytes(30));
        assert_eq!(parts, [family, family, family]);
    }

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        bytes: Option<usize>,
        chars: Option<usize>,
        parts: Vec<String>,
    }

    /// The console previews the parts with code of its own; it is tested with the same cases.
    #[test]
    fn the_cases_that_the_console_shares() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("split-cases.json")).unwrap();
        for Case { text, bytes, chars, parts } in cases {
            let limit = match (bytes, chars) {
                (Some(room), None) => Limit::Bytes(room),
                (None, Some(room)) => Limit::Chars(room),
                _ => panic!("one limit: {text:?}"),
            };
            assert_eq!(split(&text, limit), parts, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_fit_and_nothing_but_white_space_is_lost(text in "[a-z ж😊\\n\u{301}]{0,400}", room in 8_usize..60, bytes: bool) {
            let limit = if bytes { Limit::Bytes(room) } else { Limit::Chars(room) };
            let parts = split(&text, limit);
            for part in &parts {
                prop_assert!(!part.is_empty() && limit.size(part) <= room);
            }
            let squeeze = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
            prop_assert_eq!(squeeze(&parts.concat()), squeeze(&text));
        }
    }
}
