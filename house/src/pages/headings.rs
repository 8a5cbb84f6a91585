//! ◆ Pure. Headings of a Markdown page: anchors for links, numbers for citations.

use std::collections::{BTreeMap, BTreeSet};

/// Pages with their headings.
pub(super) type Pages = BTreeMap<String, Headings>;

/// What a link or a citation may name.
#[derive(Debug, Default)]
pub(super) struct Headings {
    /// As GitHub makes them.
    pub anchors: BTreeSet<String>,
    /// `9` of `## 9. Errors`, `8.2` of `### 8.2 Reads`.
    pub numbers: BTreeSet<String>,
}

impl Headings {
    pub(super) fn of(text: &str) -> Self {
        let mut headings = Self::default();
        for (_, line) in outside_fences(text) {
            let Some(title) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#'))
            else {
                continue;
            };
            let title = title.trim();
            headings.anchors.insert(anchor(title));
            let number = title.split_whitespace().next().unwrap_or_default().trim_end_matches('.');
            if number.starts_with(|letter: char| letter.is_ascii_digit()) {
                headings.numbers.insert(number.to_owned());
            }
        }
        headings
    }
}

fn anchor(title: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter);
    title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// The lines of a page that are no code, with their numbers.
pub(super) fn outside_fences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((number + 1, line))
    })
}
