//! ◆ Pure. Which room sees which: `house/rooms.toml` against manifests and imports.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::imports::Imports;
use crate::tree::Tree;
use crate::{Finding, House};

const FILE: &str = "house/rooms.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rooms {
    /// By folder of a crate, or by path of a module without `.rs`.
    rooms: BTreeMap<String, Room>,
    /// Crates from outside, with the only rooms that may use them.
    #[serde(default)]
    only: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Room {
    /// Other rooms that it may use.
    sees: Vec<String>,
    /// Rooms that its tests may use besides.
    #[serde(default)]
    tests_see: Vec<String>,
    /// No part of the product: its statements are not checked and it reads what it likes.
    #[serde(default)]
    dev: bool,
}

impl Rooms {
    pub(crate) fn of(tree: &Tree) -> anyhow::Result<Self> {
        let text = tree.texts.get(FILE).map(String::as_str);
        // An older state of the house has no such list.
        Ok(toml::from_str(text.unwrap_or(include_str!("../rooms.toml")))?)
    }

    /// The innermost room that a file lies in.
    pub(crate) fn of_file(&self, path: &str) -> Option<&str> {
        let within = |room: &&String| {
            path.strip_prefix(room.as_str())
                .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
        };
        self.rooms.keys().filter(within).max_by_key(|room| room.len()).map(String::as_str)
    }

    pub(crate) fn is_dev(&self, path: &str) -> bool {
        self.of_file(path).is_some_and(|room| self.rooms[room].dev)
    }

    /// Rooms of developers.
    pub(crate) fn dev(&self) -> BTreeSet<String> {
        self.rooms.iter().filter(|(_, room)| room.dev).map(|(name, _)| name.clone()).collect()
    }
}

pub(crate) fn findings(house: &House<'_>, imports: &Imports, rooms: &Rooms) -> Vec<Finding> {
    let mut found = unknown_rooms(house, rooms);
    found.extend(manifests(house, rooms));
    found.extend(uses(house, imports, rooms));
    found
}

fn unknown_rooms(house: &House<'_>, rooms: &Rooms) -> Vec<Finding> {
    let mut found = Vec::new();
    let files = || house.sources.files.iter().map(|file| file.path.as_str());
    let occupied: BTreeSet<&str> = files().filter_map(|file| rooms.of_file(file)).collect();
    for (name, room) in &rooms.rooms {
        if !occupied.contains(name.as_str()) {
            found.push(Finding::new(FILE, 1, format!("room `{name}` has no files")));
        }
        for other in room.sees.iter().chain(&room.tests_see) {
            if !rooms.rooms.contains_key(other) {
                let message = format!("room `{name}` sees `{other}`, which is no room");
                found.push(Finding::new(FILE, 1, message));
            }
        }
    }
    for package in &house.sources.packages {
        if !rooms.rooms.contains_key(&package.folder) {
            let message = format!("crate without a room: say in {FILE} what it may see");
            found.push(Finding::new(&format!("{}/Cargo.toml", package.folder), 1, message));
        }
    }
    found
}

fn manifests(house: &House<'_>, rooms: &Rooms) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in &house.sources.packages {
        let Some(room) = rooms.rooms.get(&package.folder) else { continue };
        let manifest = format!("{}/Cargo.toml", package.folder);
        for dependency in &package.dependencies {
            let name = &dependency.name;
            if let Some(folder) = &dependency.folder {
                let seen = room.sees.contains(folder)
                    || (dependency.dev && room.tests_see.contains(folder));
                if !seen {
                    let message = format!("depends on `{name}`, which {FILE} does not allow");
                    found.push(Finding::new(&manifest, 1, message));
                }
            } else if let Some(only) = rooms.only.get(name)
                && !dependency.dev
                && !only
                    .iter()
                    .any(|room| room == &package.folder || in_crate(room, &package.folder))
            {
                let message = format!("depends on `{name}`: only {} may", only.join(", "));
                found.push(Finding::new(&manifest, 1, message));
            }
        }
    }
    found
}

/// Whether a room is a module of the crate in `folder`.
fn in_crate(room: &str, folder: &str) -> bool {
    room.strip_prefix(folder).is_some_and(|rest| rest.starts_with("/src/"))
}

fn uses(house: &House<'_>, imports: &Imports, rooms: &Rooms) -> Vec<Finding> {
    let path = |file: usize| house.sources.files[file].path.as_str();
    let mut found = Vec::new();
    for ((from, to), used) in &imports.files {
        let (Some(room), Some(other)) = (rooms.of_file(path(*from)), rooms.of_file(path(*to)))
        else {
            continue;
        };
        if room != other && !rooms.rooms[room].sees.iter().any(|seen| seen == other) {
            // Tests of a crate are targets of their own, so a manifest that lets only tests see it is enough.
            let tests = &rooms.rooms[room].tests_see;
            if !tests.iter().any(|seen| seen == other) || path(*from).contains("/src/") {
                let message = format!("`{}`: `{room}` may not see `{other}`", used.path);
                found.push(Finding::new(path(*from), used.line, message));
            }
        }
    }
    for ((from, name), used) in &imports.foreign {
        if let Some(only) = rooms.only.get(name)
            && !rooms.of_file(path(*from)).is_some_and(|room| only.iter().any(|one| one == room))
        {
            let message = format!("`{}`: only {} may use {name}", used.path, only.join(", "));
            found.push(Finding::new(path(*from), used.line, message));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Dependency;
    use crate::{Sources, imports};

    const ROOMS: &str = r#"
        [rooms]
        a.sees = ["c"]
        b.sees = ["a", "c"]
        c.sees = []
        "c/src/inner".sees = []
        [only]
        reqwest = ["b"]
    "#;

    fn red(a: &str, c: &str, dependency: Option<&str>) -> Vec<String> {
        let texts = [
            ("a/src/lib.rs", a),
            ("b/src/lib.rs", "pub struct B; use reqwest::Client;"),
            ("c/src/lib.rs", c),
            ("c/src/inner.rs", "pub struct Inner;"),
            (FILE, ROOMS),
        ];
        let mut sources = Sources::of(&texts).expect("the sample is Rust");
        if let Some(name) = dependency {
            let folder = (name != "reqwest").then(|| name.to_owned());
            let dependency = Dependency { name: name.to_owned(), folder, dev: false };
            sources.packages[0].dependencies.push(dependency);
        }
        let house = House::new(&sources);
        let rooms = Rooms::of(&sources.tree).expect("rooms");
        let found = findings(&house, &imports::read(&house), &rooms);
        found.into_iter().map(|finding| format!("{}: {}", finding.file, finding.message)).collect()
    }

    #[test]
    fn a_room_sees_what_is_allowed_and_nothing_else() {
        let c = "mod inner; pub struct C;";
        assert_eq!(red("use c::C;", c, Some("c")), [""; 0]);
        assert_eq!(
            red("use c::C;", c, Some("b")),
            ["a/Cargo.toml: depends on `b`, which house/rooms.toml does not allow"]
        );
        assert_eq!(red("fn f(_: b::B) {}", c, None), ["a/src/lib.rs: `b::B`: `a` may not see `b`"]);
        assert_eq!(
            red("use reqwest::Client;", c, Some("reqwest")),
            [
                "a/Cargo.toml: depends on `reqwest`: only b may",
                "a/src/lib.rs: `reqwest::Client`: only b may use reqwest"
            ]
        );
        assert_eq!(
            red("", "mod inner; pub struct C; use inner::Inner;", None),
            ["c/src/lib.rs: `inner::Inner`: `c` may not see `c/src/inner`"],
            "a module may be a room too"
        );
    }

    #[test]
    fn every_crate_has_a_room_and_every_room_has_files() {
        let rooms = "[rooms]\ngone.sees = [\"nobody\"]";
        let sources = Sources::of(&[("a/src/lib.rs", ""), (FILE, rooms)]).expect("Rust");
        let house = House::new(&sources);
        let rooms = Rooms::of(&sources.tree).expect("rooms");
        assert_eq!(findings(&house, &imports::read(&house), &rooms).len(), 3);
    }
}
