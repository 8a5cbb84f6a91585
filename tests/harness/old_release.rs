//! hookline as it was at an earlier commit of this repository, for tests of two releases side by side.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary;

/// The variable that names the commit. Unless set: the last one before the newest migration.
const COMMIT: &str = "HOOKLINE_OLD_COMMIT";
/// The variable that names a program that is there already, such as one that was released.
const PROGRAM: &str = "HOOKLINE_OLD_PROGRAM";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn git(arguments: &[&str]) -> Option<String> {
    let done = Command::new("git").arg("-C").arg(root()).args(arguments).output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?.trim().to_owned();
    (done.status.success() && !text.is_empty()).then_some(text)
}

fn commit() -> Option<String> {
    let named = std::env::var(COMMIT).ok().or_else(|| {
        let added =
            ["log", "-1", "--diff-filter=A", "--format=%H", "--", ":(glob)**/migrations/*.sql"];
        git(&added).map(|newest| format!("{newest}^"))
    })?;
    git(&["rev-parse", "--verify", &format!("{named}^{{commit}}")])
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Its program, built in a folder of its own, which is kept. `None`: these sources are of no git repository.
pub fn hookline() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os(PROGRAM) {
        return Some(program.into());
    }
    let commit = commit()?;
    let folder = binary::folder().parent().unwrap().join("old-release").join(&commit);
    let program = folder.join("target/debug/hookline");
    if !program.exists() {
        eprintln!("Building hookline as it was at {commit}");
        let (source, archive) = (folder.join("source"), folder.join("source.tar"));
        std::fs::create_dir_all(&source).unwrap();
        let mut git = Command::new("git");
        git.arg("-C").arg(root()).args(["archive", "--output"]).arg(&archive).arg(&commit);
        run(&mut git);
        run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&source));
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--workspace", "--bin", "hookline", "--target-dir"]);
        // Small, and built once.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
        run(cargo.arg(folder.join("target")).current_dir(&source));
    }
    eprintln!("The old release is {commit}");
    Some(program)
}
