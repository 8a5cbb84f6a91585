//! A clock that a test sets while processes run by it. They see it through libfaketime, where that is installed (Debian: `faketime`).

use std::path::{Path, PathBuf};

/// The wall clock of some processes.
#[derive(Clone, Debug)]
pub struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// A clock that is right, and kept in `folder`. `None`: libfaketime is not installed.
    pub fn new(folder: &Path, name: &str) -> Option<Self> {
        let clock = Self { file: folder.join(name), library: library()? };
        clock.set(0);
        Some(clock)
    }

    /// From now on it is ahead by so many milliseconds; negative: behind.
    pub fn set(&self, ahead_ms: i64) {
        let sign = if ahead_ms < 0 { '-' } else { '+' };
        let (seconds, millis) = (ahead_ms.unsigned_abs() / 1000, ahead_ms.unsigned_abs() % 1000);
        // Nobody may read half of it.
        let written = self.file.with_extension("new");
        std::fs::write(&written, format!("{sign}{seconds}.{millis:03}\n")).unwrap();
        std::fs::rename(&written, &self.file).unwrap();
    }

    /// What a process is started with to run by it. Timers, which measure how long something takes, run as ever.
    pub fn variables(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.file)),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Where libfaketime is; the one for programs with threads.
fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let all = folders.map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"));
    all.into_iter().find(|path| path.exists())
}
