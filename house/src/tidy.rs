//! The rules of the house, asked of the house. What each rule refuses is shown beside it, in `house/src`.

use std::path::Path;

use crate::tree::{self, Tree};
use crate::{House, Sources, rules};

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let tree = Tree::read(root).expect("the sources");
    let sources = Sources::parse(tree, tree::packages(root).expect("the crates")).expect("Rust");
    let verdicts = rules::ask(&House::new(&sources)).expect("the rules' own files");
    let complaints = rules::complaints(root, &verdicts).expect("the exceptions");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
