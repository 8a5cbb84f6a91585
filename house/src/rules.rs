//! The rules, by name. `house/src/tidy.rs` keeps them.

use std::path::Path;

use anyhow::Context as _;

use crate::exceptions::Exceptions;
use crate::imports::Imports;
use crate::{
    FILE_LINES_MAX, Finding, House, circles, imports, pages, pure, rooms, statements, tables, words,
};

/// A rule and what it refuses.
pub struct Verdict {
    /// Also the name of the file with its exceptions.
    pub rule: &'static str,
    /// All of it, also what is excepted.
    pub findings: Vec<Finding>,
}

/// Asks every rule.
///
/// # Errors
/// `house/rooms.toml` or `house/tables.toml` cannot be read; the message says where.
pub fn ask(house: &House<'_>) -> anyhow::Result<Vec<Verdict>> {
    let imports = imports::read(house);
    let rooms = rooms::Rooms::of(&house.sources.tree).context("reading house/rooms.toml")?;
    let tables = tables::Tables::of(&house.sources.tree).context("reading house/tables.toml")?;
    let statements = statements::find(house, &rooms.dev());
    let verdict = |rule, mut findings: Vec<Finding>| {
        findings.sort();
        Verdict { rule, findings }
    };
    Ok(vec![
        verdict("built", unreached(house)),
        verdict("circles", circles(house, &imports)),
        verdict("lines", long_files(house)),
        verdict("pages", pages::findings(&house.sources.tree)),
        verdict("pure", pure::findings(house)),
        verdict("rooms", rooms::findings(house, &imports, &rooms)),
        verdict("statements", statements.findings),
        verdict("tables", tables::findings(house, &rooms, &tables)),
        verdict("try_get", statements.try_gets),
        verdict("words", words::findings(house)),
    ])
}

/// What is wrong, as lines to print: findings without exception, and exceptions without finding.
///
/// # Errors
/// A file of exceptions that cannot be read.
pub fn complaints(root: &Path, verdicts: &[Verdict]) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for verdict in verdicts {
        let exceptions = Exceptions::read(root, verdict.rule)?;
        complaints.extend(exceptions.complaints(verdict.rule, &verdict.findings));
    }
    Ok(complaints)
}

/// Writes the files of exceptions anew: moved files keep theirs, but no rule gets more of them than it had.
///
/// # Errors
/// A file that cannot be read or written.
pub fn shrink(root: &Path, verdicts: &[Verdict]) -> anyhow::Result<Vec<String>> {
    verdicts
        .iter()
        .map(|verdict| {
            Exceptions::read(root, verdict.rule)?.shrink(root, verdict.rule, &verdict.findings)
        })
        .collect()
}

fn unreached(house: &House<'_>) -> Vec<Finding> {
    let message = "no target declares this module, so nobody builds it: declare or delete it";
    house.unreached().into_iter().map(|path| Finding::new(path, 1, message.to_owned())).collect()
}

fn circles(house: &House<'_>, imports: &Imports) -> Vec<Finding> {
    circles::findings(house, imports)
}

fn long_files(house: &House<'_>) -> Vec<Finding> {
    let lines = house.sources.files.iter().map(|file| (&file.path, file.text.lines().count()));
    lines
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| {
            let message = format!("{lines} lines, {FILE_LINES_MAX} are allowed: split it by noun");
            Finding::new(path, lines, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    #[test]
    fn a_long_file_and_one_that_nobody_builds_are_refused() {
        let long = "\n".repeat(FILE_LINES_MAX + 1);
        let sources = Sources::of(&[("a/src/lib.rs", ""), ("a/src/b.rs", &long)]).expect("Rust");
        let house = House::new(&sources);
        assert_eq!(long_files(&house).len(), 1);
        assert_eq!(unreached(&house)[0].file, "a/src/b.rs");
        let sources = Sources::of(&[("a/src/lib.rs", "mod b;"), ("a/src/b.rs", &long[1..])]);
        let sources = sources.expect("Rust");
        let house = House::new(&sources);
        assert!(long_files(&house).is_empty() && unreached(&house).is_empty());
    }
}
