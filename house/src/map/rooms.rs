//! ◆ Pure. The crates of the house, with their sizes and arrows.

use std::collections::{BTreeMap, BTreeSet};

use crate::House;

/// A crate with the files of its folder, without those of crates inside it.
pub(super) struct Room<'s> {
    pub folder: &'s str,
    pub name: &'s str,
    pub files: usize,
    pub lines: usize,
    /// No part of the product: only developers run it.
    pub dev: bool,
    /// Folders of the crates it uses; `true`: its tests only.
    pub uses: BTreeMap<&'s str, bool>,
}

/// All crates, those of developers last.
pub(super) fn of<'s>(house: &House<'s>, dev: &BTreeSet<String>) -> Vec<Room<'s>> {
    let packages = &house.sources.packages;
    let of_file = |path: &str| {
        packages
            .iter()
            .filter(|package| {
                path.strip_prefix(&package.folder).is_some_and(|rest| rest.starts_with('/'))
            })
            .max_by_key(|package| package.folder.len())
            .map(|package| package.folder.as_str())
    };
    let room = |package: &'s crate::tree::Package| {
        let files: Vec<usize> = house
            .sources
            .files
            .iter()
            .filter(|file| of_file(&file.path) == Some(&package.folder))
            .map(|file| file.text.lines().count())
            .collect();
        let mut uses = BTreeMap::new();
        for dependency in &package.dependencies {
            if let Some(folder) = dependency.folder.as_deref() {
                *uses.entry(folder).or_insert(true) &= dependency.dev;
            }
        }
        Room {
            folder: &package.folder,
            name: &package.name,
            files: files.len(),
            lines: files.iter().sum(),
            dev: dev.contains(&package.folder),
            uses,
        }
    };
    let mut rooms: Vec<Room<'s>> = packages.iter().map(room).collect();
    rooms.sort_by_key(|room| (room.dev, room.folder));
    rooms
}

pub(super) fn percent(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "lines of code are few")]
    let share = part as f64 / whole.max(1) as f64;
    100.0 * share
}

/// Whether `from` uses `to`, directly or through others, beside tests.
pub(super) fn reaches(rooms: &[Room<'_>], from: &str, to: &str) -> bool {
    let uses = rooms.iter().find(|room| room.folder == from).map(|room| &room.uses);
    uses.into_iter()
        .flatten()
        .any(|(next, tests)| !tests && (*next == to || reaches(rooms, next, to)))
}
