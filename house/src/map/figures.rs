//! ◆ Pure. The figures of the house, for comparing it before and after a change.

use std::collections::BTreeSet;

use super::rooms::{Room, percent};
use crate::imports::Imports;
use crate::{FILE_LINES_MAX, FUNCTION_LINES_MAX, House, circles, functions, pages, statements};

pub(super) struct Figures {
    circles: usize,
    crate_circles: usize,
    biggest: String,
    files: usize,
    median: usize,
    long_files: usize,
    long_functions: usize,
    try_gets: usize,
    statements: usize,
    unchecked: usize,
    citations: usize,
}

impl Figures {
    pub(super) fn of(house: &House<'_>, imports: &Imports, rooms: &[Room<'_>]) -> Self {
        let dev: BTreeSet<String> =
            rooms.iter().filter(|room| room.dev).map(|room| room.folder.to_owned()).collect();
        let found = statements::find(house, &dev);
        let product: usize = rooms.iter().filter(|room| !room.dev).map(|room| room.lines).sum();
        let biggest = rooms.iter().filter(|room| !room.dev).max_by_key(|room| room.lines);
        let files = &house.sources.files;
        let mut lines: Vec<usize> = files.iter().map(|file| file.text.lines().count()).collect();
        lines.sort_unstable();
        let long = |function: &functions::Function| function.lines > FUNCTION_LINES_MAX;
        let checked = house.sources.tree.paths.contains("tests/it/statements.rs");
        let statements = found.statements.len() + found.findings.len();
        Self {
            circles: circles::of_files(imports).len(),
            crate_circles: circles::of_crates(&house.sources.packages).len(),
            biggest: biggest.map_or_else(String::new, |room| {
                format!("{}, {:.1} %", room.folder, percent(room.lines, product))
            }),
            files: lines.len(),
            median: lines.get(lines.len() / 2).copied().unwrap_or(0),
            long_files: lines.iter().filter(|lines| **lines > FILE_LINES_MAX).count(),
            long_functions: files.iter().flat_map(functions::of).filter(long).count(),
            try_gets: found.try_gets.len(),
            statements,
            unchecked: if checked { found.findings.len() } else { statements },
            citations: pages::dead_citations(&house.sources.tree).len(),
        }
    }

    pub(super) fn write(&self, to: &mut impl std::fmt::Write) -> std::fmt::Result {
        writeln!(to, "## Figures\n\n| | |\n|---|---|")?;
        writeln!(
            to,
            "| circles between files / crates | {} / {} |",
            self.circles, self.crate_circles
        )?;
        writeln!(to, "| biggest room, share of the product's lines | {} |", self.biggest)?;
        writeln!(
            to,
            "| files > {FILE_LINES_MAX} lines / functions > {FUNCTION_LINES_MAX} lines | {} / {} |",
            self.long_files, self.long_functions
        )?;
        writeln!(to, "| files; median of their lines | {}; {} |", self.files, self.median)?;
        writeln!(to, "| `try_get` | {} |", self.try_gets)?;
        writeln!(
            to,
            "| statements; not checked against the schema | {}; {} |",
            self.statements, self.unchecked
        )?;
        writeln!(
            to,
            "| citations of pages or sections that are not in the repository | {} |",
            self.citations
        )
    }
}
