//! ◆ Pure. Files that call themselves pure touch no clock, no I/O and nothing async.

use crate::house::SourceFile;
use crate::{Finding, House};

const BANNED: [&str; 9] = [
    "tokio::",
    "sqlx::",
    "async_nats::",
    "reqwest::",
    "::now()",
    "async fn",
    "std::fs",
    "std::net",
    "std::env",
];

/// Whether a file calls itself pure.
pub(crate) fn claims(file: &SourceFile) -> bool {
    file.text.starts_with("//! ◆")
}

pub(crate) fn findings(house: &House<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in house.sources.files.iter().filter(|file| claims(file)) {
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().enumerate();
        for (number, line) in lines.filter(|(_, line)| !line.trim_start().starts_with("//")) {
            // A word in quotes is no call: this file has them all.
            for word in BANNED
                .iter()
                .filter(|word| line.match_indices(**word).any(|(at, _)| !line[..at].ends_with('"')))
            {
                let message = format!("a pure file (`//! ◆`) uses `{word}`");
                found.push(Finding::new(&file.path, number + 1, message));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    fn red(text: &str) -> usize {
        let sources = Sources::of(&[("a/src/lib.rs", text)]).expect("the sample is Rust");
        findings(&House::new(&sources)).len()
    }

    #[test]
    fn a_pure_file_reads_no_clock_and_does_no_io() {
        assert_eq!(red("//! ◆ Pure.\nfn f() { std::time::Instant::now(); }"), 1);
        assert_eq!(red("//! ◆ Pure.\nuse tokio::fs;\nasync fn f() {}"), 2);
        assert_eq!(red("//! ◆ Pure.\n// tokio::spawn\nfn f() {}"), 0);
        assert_eq!(red("//! ◆ Pure.\nfn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }"), 0);
        assert_eq!(red("//! A shell.\nuse tokio::fs;"), 0);
    }
}
