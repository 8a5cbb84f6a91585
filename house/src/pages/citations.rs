//! ◆ Pure. Citations: `docs/page.md 8.2` names a page of ours and a heading of it.

use super::headings::Pages;
use crate::Finding;
use crate::house::{folder_of, join};
use crate::tree::Tree;

/// Every `….md` in a text exists, and so does each section that is named behind it.
pub(super) fn findings(tree: &Tree, pages: &Pages, path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (end, _) in line.match_indices(".md") {
            let end = end + ".md".len();
            let letter = |letter: char| letter.is_alphanumeric() || "_-./".contains(letter);
            let begin = line[..end].rfind(|one| !letter(one)).map_or(0, |at| at + 1);
            let begin = (begin..end).find(|at| line.is_char_boundary(*at)).unwrap_or(end);
            let (name, rest) = (&line[begin..end], &line[end..]);
            let whole = !rest.starts_with(|one: char| one.is_alphanumeric() || one == '_');
            // Links have a rule of their own; addresses begin with `//`.
            let link = line[..begin].ends_with("](");
            if !whole || link || name == ".md" || name.starts_with('/') {
                continue;
            }
            let page = [name.to_owned(), join(&folder_of(path), name)]
                .into_iter()
                .find(|page| tree.paths.contains(page));
            let Some(page) = page else {
                let message = format!("cites {name}, which is not in the repository");
                found.push(Finding::new(path, number + 1, message));
                continue;
            };
            for section in sections(rest) {
                if !pages.get(&page).is_some_and(|page| page.numbers.contains(&section)) {
                    let message = format!("cites {page} {section}: it has no such section");
                    found.push(Finding::new(path, number + 1, message));
                }
            }
        }
    }
    found
}

/// `8.2` and `10` of "` sections 8.2, 10): …".
fn sections(rest: &str) -> Vec<String> {
    let mut rest = rest.trim_start_matches('`').trim_start_matches(',');
    let Some(after) = rest.strip_prefix(' ') else { return Vec::new() };
    rest = after;
    for word in ["sections ", "section "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let mut found = Vec::new();
    loop {
        let end = rest.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches('.');
        // `24 h` and `3rd` are no sections.
        let behind = &rest[number.len()..];
        let unit = behind.starts_with(|one: char| one.is_alphabetic());
        if number.is_empty() || unit {
            return found;
        }
        found.push(number.to_owned());
        let next =
            [", ", " and ", "–", "-"].iter().find_map(|between| behind.strip_prefix(between));
        let Some(next) = next else { return found };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::findings;

    fn red(comment: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("docs/facts.md", "# Facts\n\n## 8. Calls\n\n### 8.2 Reads\n\n## 9. Errors\n"),
            ("a/src/lib.rs", comment),
        ]);
        findings(&tree).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_citation_leads_to_a_page_and_a_section() {
        assert_eq!(
            red("/// A call (`docs/facts.md` 8.2, 9); docs/facts.md, and docs/facts.md 8."),
            [""; 0]
        );
        assert_eq!(red("/// facts.md 8"), ["cites facts.md, which is not in the repository"]);
        assert_eq!(
            red("/// docs/facts.md 8.3"),
            ["cites docs/facts.md 8.3: it has no such section"]
        );
        assert_eq!(
            red("/// `docs/facts.md` sections 9 and 10, way 6"),
            ["cites docs/facts.md 10: it has no such section"]
        );
    }
}
