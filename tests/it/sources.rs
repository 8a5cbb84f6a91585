//! The sources, for tests that look into them. (Rules for all of them are kept by the crate `house`.)

use std::path::{Path, PathBuf};

pub(crate) fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", ".dev", ".hookline", "fixtures"].contains(&name.as_str()) {
                below(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}
