//! ◆ Pure. The house as text: crates and arrows, circles, what is longest, and the figures that the rules keep.

mod figures;
mod rooms;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Context as _;

use crate::imports::{self, Imports};
use crate::rooms::Rooms;
use crate::{House, circles, functions};

use figures::Figures;
use rooms::{Room, percent, reaches};

/// How many of the longest are shown.
const SHOWN: usize = 15;

/// Draws it all, in an order that changes only with the house.
///
/// # Errors
/// `house/rooms.toml` cannot be read; the message says where.
pub fn draw(house: &House<'_>) -> anyhow::Result<String> {
    let imports = imports::read(house);
    let dev = Rooms::of(&house.sources.tree).context("reading house/rooms.toml")?.dev();
    let rooms = rooms::of(house, &dev);
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _ = write_rooms(&mut text, &rooms);
    let _ = write_circles(&mut text, house, &imports);
    let _ = write_longest(&mut text, house);
    let _ = write_mermaid(&mut text, &rooms);
    let _ = Figures::of(house, &imports, &rooms).write(&mut text);
    Ok(text)
}

fn write_rooms(text: &mut String, rooms: &[Room<'_>]) -> std::fmt::Result {
    let lines =
        |dev: bool| rooms.iter().filter(|room| dev || !room.dev).map(|room| room.lines).sum();
    let (all, product): (usize, usize) = (lines(true), lines(false));
    writeln!(text, "## Crates\n")?;
    writeln!(text, "{:<20} {:>5} {:>7} {:>7}  uses", "folder", "files", "lines", "share")?;
    for room in rooms {
        let share = if room.dev {
            "-".to_owned()
        } else {
            format!("{:.1} %", percent(room.lines, product))
        };
        let uses: Vec<String> = room
            .uses
            .iter()
            .map(
                |(folder, tests)| if *tests { format!("({folder})") } else { (*folder).to_owned() },
            )
            .collect();
        let (folder, uses) = (room.folder, uses.join(", "));
        writeln!(text, "{folder:<20} {:>5} {:>7} {share:>7}  {uses}", room.files, room.lines)?;
    }
    writeln!(
        text,
        "\n{all} lines, {product} without what only developers run (-). In brackets: tests only.\n"
    )
}

fn write_circles(text: &mut String, house: &House<'_>, imports: &Imports) -> std::fmt::Result {
    let groups = circles::of_files(imports);
    writeln!(text, "## Circles between files\n")?;
    if groups.is_empty() {
        return writeln!(text, "None.\n");
    }
    let path = |file: &usize| house.sources.files[*file].path.as_str();
    for group in groups {
        let files: BTreeSet<&str> = group.iter().map(path).collect();
        writeln!(text, "- {}", files.into_iter().collect::<Vec<_>>().join(", "))?;
        for ((from, to), used) in &imports.files {
            if group.contains(from) && group.contains(to) {
                writeln!(text, "    {} -> {} (`{}`)", path(from), path(to), used.path)?;
            }
        }
    }
    writeln!(text)
}

fn write_longest(text: &mut String, house: &House<'_>) -> std::fmt::Result {
    let mut files: Vec<(usize, &str)> = house
        .sources
        .files
        .iter()
        .map(|file| (file.text.lines().count(), file.path.as_str()))
        .collect();
    files.sort_by_key(|(lines, path)| (std::cmp::Reverse(*lines), *path));
    writeln!(text, "## Longest files\n")?;
    for (lines, path) in files.iter().take(SHOWN) {
        writeln!(text, "{lines:>5}  {path}")?;
    }
    let mut longest = Vec::new();
    for file in &house.sources.files {
        for function in functions::of(file) {
            longest.push((
                function.lines,
                format!("{}:{} {}", file.path, function.line, function.name),
            ));
        }
    }
    longest.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
    writeln!(text, "\n## Longest functions (lines of code between the braces)\n")?;
    for (lines, place) in longest.iter().take(SHOWN) {
        writeln!(text, "{lines:>5}  {place}")?;
    }
    writeln!(text)
}

fn write_mermaid(text: &mut String, rooms: &[Room<'_>]) -> std::fmt::Result {
    writeln!(text, "## Arrows\n\n```mermaid\nflowchart TD")?;
    for room in rooms.iter().filter(|room| !room.dev) {
        writeln!(text, "    {}[\"{}\"]", room.name, room.folder)?;
    }
    for room in rooms.iter().filter(|room| !room.dev) {
        let uses = room.uses.iter().filter(|(_, tests)| !**tests).map(|(folder, _)| *folder);
        // An arrow that a longer way shows too would only hide the others.
        let direct: BTreeSet<&str> = uses.collect();
        for to in &direct {
            let longer = direct.iter().any(|via| via != to && reaches(rooms, via, to));
            if let (false, Some(to)) = (longer, rooms.iter().find(|room| room.folder == *to)) {
                writeln!(text, "    {} --> {}", room.name, to.name)?;
            }
        }
    }
    writeln!(text, "```\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;
    use crate::tree::Dependency;

    #[test]
    fn the_map_shows_crates_circles_and_figures() {
        let texts = [
            ("a/src/lib.rs", "mod b; pub struct A(b::B);"),
            ("a/src/b.rs", "pub struct B; fn f(_: crate::A) {}"),
            ("c/src/lib.rs", ""),
            ("d/src/lib.rs", ""),
        ];
        let mut sources = Sources::of(&texts).expect("the sample is Rust");
        for (from, to) in [(1, "d"), (2, "a"), (1, "a")] {
            let dependency =
                Dependency { name: to.to_owned(), folder: Some(to.to_owned()), dev: false };
            sources.packages[from].dependencies.push(dependency);
        }
        let map = draw(&House::new(&sources)).expect("a map");
        for line in [
            "a                        2       2 100.0 %  ",
            "- a/src/b.rs, a/src/lib.rs",
            "    c --> d",
            "| circles between files / crates | 1 / 0 |",
        ] {
            assert!(map.lines().any(|one| one == line), "{line:?} is missing:\n{map}");
        }
        assert!(!map.contains("c --> a"), "by way of d");
    }
}
