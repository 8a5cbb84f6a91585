//! Copies of the data of a lab's own Postgres, and putting one back.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::Lab;
use super::roles::signal;

/// Copies a folder as it is, owners too.
fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// The processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let task = format!("/proc/{parent}/task/{parent}/children");
    let listed = std::fs::read_to_string(task).unwrap_or_default();
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

impl Lab {
    /// What Postgres has now, with the server stopped; it runs again then.
    pub async fn cold_copy_of_postgres(&mut self, name: &str) -> PathBuf {
        self.postgres.own().stop().await.unwrap();
        let kept = self.copy_of_postgres(name);
        self.postgres.own().restart().await.unwrap();
        kept
    }

    /// What Postgres has at one moment, in the middle of whatever it does, as a snapshot of its disk would: all of its processes stand
    /// still meanwhile, and it recovers as from a crash.
    pub fn snapshot_of_postgres(&mut self, name: &str) -> PathBuf {
        let server = self.postgres.own().pid().expect("Postgres runs");
        // The server first, so that it starts no other process.
        signal(server, Signal::STOP);
        let backends = children(server);
        for pid in &backends {
            signal(*pid, Signal::STOP);
        }
        let kept = self.copy_of_postgres(name);
        for pid in backends.into_iter().chain([server]) {
            signal(pid, Signal::CONT);
        }
        // It names a server that will be gone.
        let _ = std::fs::remove_file(kept.join("postmaster.pid"));
        kept
    }

    fn copy_of_postgres(&mut self, name: &str) -> PathBuf {
        let data = self.postgres.own().data_dir();
        let kept = data.with_extension(name);
        copy(&data, &kept);
        kept
    }

    /// Postgres is stopped, and runs again with what a copy has.
    pub async fn put_postgres_back(&mut self, kept: &Path) {
        let data = self.postgres.own().data_dir();
        self.postgres.own().stop().await.unwrap();
        std::fs::remove_dir_all(&data).unwrap();
        copy(kept, &data);
        self.postgres.own().restart().await.unwrap();
    }
}
