//! House rules that a compiler does not keep.

use std::path::{Path, PathBuf};

pub(crate) fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", ".dev", ".hookline", "fixtures"].contains(&name.as_str()) {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Files that call themselves pure (`//! ◆ Pure`) touch no clock, no I/O and no async.
#[test]
fn pure_files_are_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    sources(root, &mut files);
    let banned = [
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
    let mut pure = 0;
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        if !text.starts_with("//! ◆") {
            continue;
        }
        pure += 1;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in
            code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: `{word}`", file.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "pure files must stay pure:\n{}", wrong.join("\n"));
    assert!(pure > 10, "only {pure} pure files were found: is the mark `//! ◆` still in use?");
}
