//! ◆ Pure. Words that comments, messages and names do without.

use crate::{Finding, House};

/// Each with what to write. Put together here, so that this file does not refuse itself.
const NOT: [(&str, &str); 3] = [
    (concat!("to", "ld"), "reported, observed, published, named or returned"),
    (concat!("te", "ll"), "report, show, publish, say or return"),
    (concat!("te", "lls"), "reports, shows, publishes, says or returns"),
];

pub(crate) fn findings(house: &House<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let ours = |path: &str| !path.contains("/fixtures/");
    for file in house.sources.files.iter().filter(|file| ours(&file.path)) {
        for (number, line) in file.text.lines().enumerate() {
            let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            for word in words.map(str::to_lowercase) {
                if let Some((_, write)) = NOT.iter().find(|(not, _)| *not == word) {
                    let message = format!("`{word}`: who does what with it? Write {write}");
                    found.push(Finding::new(&file.path, number + 1, message));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    #[test]
    fn words_of_story_tellers_are_refused() {
        let text = format!(
            "//! {} whom?\n/// {} it.\nfn fore{}() {{}}",
            "Tel\u{6c}s", "To\u{6c}d", "to\u{6c}d"
        );
        let sources = Sources::of(&[("a/src/lib.rs", &text)]).expect("the sample is Rust");
        let found = findings(&House::new(&sources));
        assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [1, 2]);
    }
}
