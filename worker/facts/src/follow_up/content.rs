//! ◆ Pure: what makes two messages the same content, as a digest, so that evidence can be kept without anybody's words.

use schemas::facts::Attachment;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// A sha256 over normalised content.
pub type Content = [u8; 32];

/// The content of a text, after what Meta may do to it on the way: letters composed (NFC), line ends, runs of white space, white space at
/// both ends, invisible joiners at the ends and variation selectors (`docs/meta-platform.md` 13: compare after normalisation).
pub fn of_text(text: &str) -> Content {
    let mut hasher = Sha256::new();
    hasher.update(b"text\0");
    let visible: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{200b}' | '\u{feff}'))
        .nfc()
        .collect();
    for (n, word) in visible.split_whitespace().enumerate() {
        if n > 0 {
            hasher.update(b" ");
        }
        hasher.update(word.as_bytes());
    }
    hasher.finalize().into()
}

/// The content of a message without text: Meta copies files and rewrites links, so only the kinds can be compared.
pub fn of_attachments<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Content {
    let mut hasher = Sha256::new();
    hasher.update(b"attachments\0");
    for kind in kinds {
        hasher.update(kind.as_bytes());
        hasher.update(b"\0");
    }
    hasher.finalize().into()
}

/// The content of a message as Meta reports it: its text where it has one, else its attachments.
pub fn of_message(text: Option<&str>, attachments: &[Attachment]) -> Content {
    match text {
        Some(text) if !text.trim().is_empty() => of_text(text),
        _ => of_attachments(attachments.iter().map(|attachment| attachment.kind.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_invisible_marks_do_not_count_but_words_do() {
        let same = ["Hello  world", " Hello world\n", "Hello\r\nworld", "Hello world\u{fe0f}"];
        assert!(same.iter().all(|text| of_text(text) == of_text("Hello world")));
        assert_ne!(of_text("Hello world"), of_text("hello world"));
        assert_ne!(of_text("Helloworld"), of_text("Hello world"));
    }

    #[test]
    fn letters_may_be_composed_on_the_way() {
        for (apart, composed) in [
            ("Zoe\u{308}", "Zo\u{eb}"),
            ("\u{1112}\u{1161}", "\u{d558}"),
            ("e\u{200b}\u{301}", "\u{e9}"),
        ] {
            assert_eq!(of_text(apart), of_text(composed), "{composed}");
        }
        assert_ne!(of_text("Zoe"), of_text("Zo\u{eb}"));
    }

    #[test]
    fn a_picture_is_not_a_text_and_not_a_video() {
        let picture = Attachment { kind: "image".to_owned(), ..Attachment::default() };
        assert_eq!(of_message(None, std::slice::from_ref(&picture)), of_attachments(["image"]));
        assert_ne!(of_attachments(["image"]), of_attachments(["video"]));
        assert_ne!(of_attachments(["image"]), of_text("image"));
        assert_eq!(of_message(Some("a"), &[picture]), of_text("a"));
    }
}
