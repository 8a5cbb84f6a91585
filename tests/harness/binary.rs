//! The program under test.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where cargo puts the programs of this build.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let mut folder = std::env::current_exe().unwrap();
        folder.pop();
        if folder.ends_with("deps") {
            folder.pop();
        }
        folder
    })
}

/// The binary under test: beside the test's own program.
pub fn hookline_binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(find_binary).clone()
}

/// A command of the binary that knows no variable but `PATH`, and of the certificates of this machine nothing: every process would spend
/// its first milliseconds on reading them, and Meta is on loopback here. (`up::Folder` starts it as users do.)
pub(crate) fn hookline_command() -> tokio::process::Command {
    hookline_command_of(&hookline_binary())
}

/// The same of another program, such as that of another release.
pub(crate) fn hookline_command_of(program: &Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/one-root.pem"));
    command
}

fn find_binary() -> PathBuf {
    let release = if folder().ends_with("release") { " --release" } else { "" };
    let build = format!("cargo build --workspace --bin hookline{release}");
    let binary = folder().join("hookline");
    assert!(
        binary.exists(),
        "{} is missing: these tests start the real program, which cargo does not build for them; run `make test`, or `{build}` before",
        binary.display()
    );
    if let Some(source) = newer_source(&binary) {
        eprintln!(
            "{} is newer than {}: run `{build}`, or this tests the program as it was",
            source.display(),
            binary.display()
        );
    }
    binary
}

/// A file that the binary is made of and that was written after it, as cargo's own list beside the binary has them.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let written = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = written(binary)?;
    let list = std::fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    // A space within a name is written with a backslash before it.
    let sources = sources.replace("\\ ", "\0");
    let mut sources =
        sources.split_whitespace().map(|source| PathBuf::from(source.replace('\0', " ")));
    sources.find(|source| written(source).is_some_and(|written| written > built))
}
