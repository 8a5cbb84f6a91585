//! ◆ Pure. Where a path leads: through `crate`, `super`, imports and re-exports to the module that declares the item.

use crate::house::{House, Import};

/// End of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A module itself, nothing in it.
    Module(usize),
    /// An item, or something behind one (`Enum::Variant`), of a module.
    Item { module: usize, name: String },
    /// Something of another workspace's crate, or of nobody we know.
    Foreign(String),
}

/// Longer chains of re-exports than this are circles.
const HOPS_MAX: usize = 24;

impl House<'_> {
    /// Where `path` leads, written in `module`. `None`: a local name.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> Option<Place> {
        self.resolve_within(module, path, HOPS_MAX)
    }

    fn resolve_within(&self, module: usize, path: &[String], hops: usize) -> Option<Place> {
        let hops = hops.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let root = self.targets[self.modules[module].target].module;
        let mut place = match first.as_str() {
            "::" => self.foreign(module, rest.first()?),
            "crate" => Place::Module(root),
            "self" => Place::Module(module),
            "super" => Place::Module(self.modules[module].parent.unwrap_or(root)),
            name => match self.look_up(module, name, hops) {
                Some(place) => place,
                None if rest.is_empty() => return None,
                None => self.foreign(module, name),
            },
        };
        for name in rest {
            let Place::Module(at) = place else { break };
            place = match name.as_str() {
                "self" => Place::Module(at),
                "super" => Place::Module(self.modules[at].parent.unwrap_or(root)),
                name => self
                    .look_up(at, name, hops)
                    .unwrap_or_else(|| Place::Item { module: at, name: name.to_owned() }),
            };
        }
        Some(place)
    }

    /// What `name` means within `module`.
    fn look_up(&self, module: usize, name: &str, hops: usize) -> Option<Place> {
        let here = &self.modules[module];
        let item = |module| Place::Item { module, name: name.to_owned() };
        if let Some(child) = here.children.get(name) {
            return Some(Place::Module(*child));
        }
        if here.names.contains(name) {
            return Some(item(module));
        }
        // `use serde::Serialize` twice in a row is no circle: an import never resolves through itself.
        let named = |import: &&Import| import.name == name && import.path.as_slice() != [name];
        if let Some(import) = here.imports.iter().find(named) {
            return self.resolve_within(module, &import.path, hops).or_else(|| {
                Some(Place::Foreign(import.path.first().cloned().unwrap_or_default()))
            });
        }
        if here.parent.is_none()
            && let Some(declared) = self.targets[here.target].macros.get(name)
        {
            return Some(item(*declared));
        }
        if here.maybe.contains(name) {
            return Some(item(module));
        }
        here.imports.iter().filter(|import| import.name == "*").find_map(|import| {
            let Some(Place::Module(from)) = self.resolve_within(module, &import.path, hops) else {
                return None;
            };
            if from == module { None } else { self.look_up(from, name, hops.checked_sub(1)?) }
        })
    }

    /// The root of a library of this workspace, or a name from outside.
    fn foreign(&self, module: usize, name: &str) -> Place {
        let own = self.modules[module].target;
        let library = self.targets.iter().enumerate().find(|(n, target)| {
            target.library && *n != own && self.sources.packages[target.package].name == name
        });
        match library {
            Some((_, target)) => Place::Module(target.module),
            None => Place::Foreign(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    fn leads(texts: &[(&str, &str)], from: &str, path: &str) -> String {
        let sources = Sources::of(texts).expect("the sample is Rust");
        let house = House::new(&sources);
        let module = (0..house.modules.len()).find(|n| house.path(*n) == from).expect("a module");
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        match house.resolve(module, &path) {
            Some(Place::Item { module, name }) => format!("{} {name}", house.path(module)),
            Some(Place::Module(module)) => house.path(module).to_owned(),
            Some(Place::Foreign(name)) => format!("({name})"),
            None => "local".to_owned(),
        }
    }

    #[test]
    fn a_path_leads_to_the_file_that_declares_the_item() {
        let texts = [
            ("a/src/lib.rs", "mod b; mod c; pub use b::d::Thing; use std::fmt;"),
            ("a/src/b.rs", "pub mod d; use super::*; pub(crate) use d::Thing as Renamed;"),
            ("a/src/b/d.rs", "pub struct Thing; enum Kind { One } ids! { Id }"),
            ("a/src/c.rs", "use crate::b::Renamed; use a2::Other;"),
            ("a2/src/lib.rs", "pub struct Other;"),
        ];
        let check = |from, path, to: &str| assert_eq!(leads(&texts, from, path), to, "{path}");
        check("a/src/c.rs", "crate::Thing", "a/src/b/d.rs Thing");
        check("a/src/c.rs", "Renamed", "a/src/b/d.rs Thing");
        check("a/src/c.rs", "super::b::d", "a/src/b/d.rs");
        check("a/src/b/d.rs", "Kind::One", "a/src/b/d.rs Kind");
        check("a/src/c.rs", "crate::b::d::Id", "a/src/b/d.rs Id");
        check("a/src/b.rs", "fmt::Debug", "(std)");
        check("a/src/c.rs", "Other", "a2/src/lib.rs Other");
        check("a/src/c.rs", "a2::Other", "a2/src/lib.rs Other");
        check("a/src/c.rs", "variable", "local");
    }
}
