//! ◆ Pure. Circles between files: A uses B, and B, perhaps through others, uses A.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Imports;
use crate::tree::Package;
use crate::{Finding, House};

/// Groups of files of which each reaches each.
pub(crate) fn of_files(imports: &Imports) -> Vec<BTreeSet<usize>> {
    groups(imports.files.keys().copied())
}

/// Groups of crates of which each reaches each, by the indices of the packages. cargo allows them by way of tests.
pub(crate) fn of_crates(packages: &[Package]) -> Vec<BTreeSet<usize>> {
    let index = |folder: &str| packages.iter().position(|package| package.folder == folder);
    groups(packages.iter().enumerate().flat_map(|(from, package)| {
        let folders = package.dependencies.iter().filter_map(|one| one.folder.as_deref());
        folders.filter_map(index).map(move |to| (from, to))
    }))
}

fn groups(edges: impl Iterator<Item = (usize, usize)>) -> Vec<BTreeSet<usize>> {
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    let reach = |from: usize| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for to in next.get(&at).into_iter().flatten() {
                if seen.insert(*to) {
                    open.push(*to);
                }
            }
        }
        seen
    };
    let reaches: BTreeMap<usize, BTreeSet<usize>> =
        next.keys().map(|from| (*from, reach(*from))).collect();
    let mut groups: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
    for (from, reached) in &reaches {
        let back =
            |to: &&usize| reaches.get(to).is_some_and(|from_there| from_there.contains(from));
        let group: BTreeSet<usize> = reached.iter().filter(back).copied().collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

/// A finding for every use that is part of a circle.
pub(crate) fn findings(house: &House<'_>, imports: &Imports) -> Vec<Finding> {
    let groups = of_files(imports);
    let path = |file: usize| house.sources.files[file].path.as_str();
    let part = |(from, to): &(usize, usize)| {
        groups.iter().any(|group| group.contains(from) && group.contains(to))
    };
    let uses = imports.files.iter().filter(|(edge, _)| part(edge)).map(|((from, to), used)| {
        let message = format!("`{}` uses {}, which leads back here", used.path, path(*to));
        Finding::new(path(*from), used.line, message)
    });
    let packages = &house.sources.packages;
    let crates = of_crates(packages).into_iter().flatten().map(|package| {
        let message = "a crate that it uses, or its tests use, uses it".to_owned();
        Finding::new(&format!("{}/Cargo.toml", packages[package].folder), 1, message)
    });
    uses.chain(crates).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Dependency;
    use crate::{Sources, imports};

    fn circles(texts: &[(&str, &str)]) -> Vec<String> {
        let sources = Sources::of(texts).expect("the sample is Rust");
        let house = House::new(&sources);
        let found = findings(&house, &imports::read(&house));
        found.into_iter().map(|finding| finding.file).collect()
    }

    #[test]
    fn two_files_that_use_each_other_are_a_circle() {
        let lib = ("a/src/lib.rs", "mod b; mod c;");
        let c = ("a/src/c.rs", "use crate::b::B; pub struct C(B);");
        assert_eq!(
            circles(&[lib, ("a/src/b.rs", "pub struct B; fn f(_: super::c::C) {}"), c]),
            ["a/src/b.rs", "a/src/c.rs"]
        );
        assert_eq!(
            circles(&[lib, ("a/src/b.rs", "pub struct B; fn f() { g!(x, crate::c::C) }"), c]),
            ["a/src/b.rs", "a/src/c.rs"],
            "within a macro"
        );
        assert_eq!(circles(&[lib, ("a/src/b.rs", "pub struct B;"), c]), [""; 0]);
        let test = "pub struct B; #[cfg(test)] mod tests { use crate::c::C; }";
        assert_eq!(circles(&[lib, ("a/src/b.rs", test), c]), [""; 0], "tests are left out");
    }

    #[test]
    fn three_files_in_a_row_are_a_circle() {
        let texts = [
            ("a/src/lib.rs", "mod b; mod c; mod d;"),
            ("a/src/b.rs", "use crate::c::C; pub struct B;"),
            ("a/src/c.rs", "use crate::d::D; pub struct C;"),
            ("a/src/d.rs", "use crate::b::B; pub struct D;"),
        ];
        assert_eq!(circles(&texts), ["a/src/b.rs", "a/src/c.rs", "a/src/d.rs"]);
    }

    #[test]
    fn a_parent_that_only_declares_and_re_exports_is_no_circle() {
        let child = ("a/src/b/c.rs", "use super::Shared; pub struct C(Shared);");
        let lib = ("a/src/lib.rs", "mod b;");
        let parent = |code| [lib, ("a/src/b.rs", code), child];
        let exports = "mod c; pub use c::C; pub struct Shared;";
        assert_eq!(circles(&parent(exports)), [""; 0]);
        let uses = "mod c; pub use c::C; pub struct Shared; fn f(_: C) {}";
        assert_eq!(circles(&parent(uses)), ["a/src/b.rs", "a/src/b/c.rs"]);
        let uses = "mod c; pub struct Shared; fn f() { c::g() }";
        assert_eq!(circles(&parent(uses)), ["a/src/b.rs", "a/src/b/c.rs"]);
    }

    #[test]
    fn crates_that_use_each_other_in_tests_are_a_circle() {
        let mut sources = Sources::of(&[("a/src/lib.rs", ""), ("b/src/lib.rs", "")]).expect("Rust");
        let uses = |folder: &str, dev| Dependency {
            name: folder.to_owned(),
            folder: Some(folder.to_owned()),
            dev,
        };
        sources.packages[0].dependencies.push(uses("b", false));
        assert!(of_crates(&sources.packages).is_empty());
        sources.packages[1].dependencies.push(uses("a", true));
        let house = House::new(&sources);
        let found = findings(&house, &imports::read(&house));
        let files: Vec<&str> = found.iter().map(|finding| finding.file.as_str()).collect();
        assert_eq!(files, ["a/Cargo.toml", "b/Cargo.toml"]);
    }
}
