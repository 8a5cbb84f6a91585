//! ◆ Pure. Links of Markdown pages, and names of files in any text.

use std::collections::BTreeSet;

use super::headings::{Pages, outside_fences};
use crate::Finding;
use crate::house::{folder_of, join};
use crate::tree::Tree;

/// Relative links: file and heading exist.
pub(super) fn links(tree: &Tree, pages: &Pages, path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in outside_fences(text) {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split_whitespace().next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.to_owned() } else { join(&folder_of(path), file) };
            let dead_heading = !heading.is_empty()
                && pages.get(&file).is_some_and(|page| !page.anchors.contains(heading));
            if !file.is_empty() && !tree.paths.contains(&file) {
                found.push(Finding::new(path, number, format!("link to {file}: no such file")));
            } else if dead_heading {
                let message = format!("link to {target}: no such heading");
                found.push(Finding::new(path, number, message));
            }
        }
    }
    found
}

/// Endings that make a word with `/` the name of a file.
const ENDINGS: [&str; 9] =
    [".rs", ".toml", ".sql", ".sh", ".json", ".yaml", ".conf", ".html", ".txt"];

/// Folders at the root of the repository.
pub(super) fn folders(tree: &Tree) -> BTreeSet<&str> {
    tree.paths.iter().filter_map(|path| path.split_once('/')).map(|(top, _)| top).collect()
}

/// Words that begin with one of `folders` and end as a file does: the file exists. In pages, folders in backticks too.
pub(super) fn names(tree: &Tree, folders: &BTreeSet<&str>, path: &str, text: &str) -> Vec<Finding> {
    let page = path.ends_with(".md");
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if !page && !line.trim_start().starts_with(['/', '#']) {
            continue;
        }
        let letter = |letter: char| letter.is_alphanumeric() || "_-./".contains(letter);
        for word in line.split(|one| !letter(one)) {
            let name = word.trim_end_matches(['.', '/']);
            // `hookline:schemas/…` is an address.
            let address = line.contains(&format!(":{name}"));
            let ours =
                !address && name.split_once('/').is_some_and(|(top, _)| folders.contains(top));
            let file = ENDINGS.iter().any(|ending| name.ends_with(ending));
            if ours && (file || page && line.contains(&format!("`{name}/`"))) && !exists(tree, name)
            {
                let message = format!("`{name}` is named here and does not exist");
                found.push(Finding::new(path, number + 1, message));
            }
        }
    }
    found
}

fn exists(tree: &Tree, name: &str) -> bool {
    tree.paths.contains(name)
        // `worker/inbound/lanes.rs` for a file of a crate, without its `src`.
        || name.split_once('/').is_some_and(|(top, rest)| {
            tree.paths.contains(&format!("{top}/src/{rest}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::findings;

    fn red(page: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("docs/page.md", page),
            ("README.md", "# Read me\n\n## How it is run\n"),
            ("a/src/lib.rs", ""),
        ]);
        findings(&tree).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn links_lead_to_files_and_headings() {
        assert_eq!(
            red("[a](../README.md#how-it-is-run) [b](https://x.y/z) [c](#top)\n# Top"),
            [""; 0]
        );
        assert_eq!(red("[a](../GONE.md)"), ["link to GONE.md: no such file"]);
        assert_eq!(red("[a](../README.md#gone)"), ["link to ../README.md#gone: no such heading"]);
        assert_eq!(red("```text\n[a](../GONE)\n```\n"), [""; 0]);
    }

    #[test]
    fn files_that_are_named_exist() {
        assert_eq!(red("see `a/src/lib.rs`, `a/lib.rs`, `a/`, `b/c.rs`, `x:a/c.rs`"), [""; 0]);
        assert_eq!(red("see a/src/gone.rs."), ["`a/src/gone.rs` is named here and does not exist"]);
        assert_eq!(red("see `a/gone/`"), ["`a/gone` is named here and does not exist"]);
    }
}
