//! A folder of its own for every test, gone with it.

use std::path::{Path, PathBuf};

/// Lives under the system's folder for temporary files, where every user can get to.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let unique =
            format!("hookline-{name}-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).expect("scratch folder");
        Self(std::fs::canonicalize(path).expect("scratch folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
