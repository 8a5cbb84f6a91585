//! ◆ Pure. Links, citations and names of files lead somewhere.

mod citations;
mod headings;
mod links;

use crate::Finding;
use crate::tree::Tree;

use headings::{Headings, Pages};

pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let (pages, folders) = (pages(tree), links::folders(tree));
    let mut found = dead_citations(tree);
    for (path, text) in tree.texts.iter().filter(|(path, _)| is_ours(path)) {
        if path.ends_with(".md") {
            found.extend(links::links(tree, &pages, path, text));
        }
        found.extend(links::names(tree, &folders, path, text));
    }
    found
}

/// Citations that lead to no page, or to no section of one.
pub(crate) fn dead_citations(tree: &Tree) -> Vec<Finding> {
    let pages = pages(tree);
    let texts = tree.texts.iter().filter(|(path, _)| is_ours(path));
    texts.flat_map(|(path, text)| citations::findings(tree, &pages, path, text)).collect()
}

fn pages(tree: &Tree) -> Pages {
    let markdown = |(path, _): &(&String, &String)| path.ends_with(".md");
    let texts = tree.texts.iter().filter(markdown);
    texts.map(|(path, text)| (path.clone(), Headings::of(text))).collect()
}

/// Migrations stay as they are, byte for byte; samples of these rules lie in their own files.
fn is_ours(path: &str) -> bool {
    !path.ends_with(".sql") && !path.starts_with("house/src/pages/")
}
