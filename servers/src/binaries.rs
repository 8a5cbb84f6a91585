//! Finds nats-server and Postgres, and says what was looked for when they are missing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Oldest nats-server we run: one fsync per atomic batch comes with 2.15.
pub const NATS_MIN: (u32, u32) = (2, 15);
/// Oldest Postgres major version we run.
pub(crate) const POSTGRES_MIN: u32 = 15;

/// A program that is not there, or too old. The text lists every place that was tried, and what to do.
#[derive(Debug, thiserror::Error)]
#[error(
    "no {wanted} found: run `make setup`, install it, or point {variable} at it. Looked at: {tried}"
)]
pub struct MissingBinary {
    wanted: String,
    variable: &'static str,
    tried: String,
}

/// A Postgres installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PostgresBin {
    /// Folder with `postgres` and `initdb`.
    pub(crate) dir: PathBuf,
    /// Version as `postgres --version` gives it, e.g. `15.18`.
    pub(crate) version: String,
    /// First number of the version; data folders of another one cannot be opened.
    pub(crate) major: u32,
}

/// Finds a nats-server that is new enough: `HOOKLINE_NATS_SERVER`, then `PATH`, then `.dev/bin` of the current
/// folder, of the executable's folder, and of those above them.
///
/// # Errors
/// When there is none, or the one named by the variable is missing or too old.
pub fn nats_server() -> Result<PathBuf, MissingBinary> {
    let mut tried = Vec::new();
    let candidates = match std::env::var_os("HOOKLINE_NATS_SERVER") {
        Some(path) => vec![PathBuf::from(path)],
        None => on_path("nats-server").into_iter().chain(in_dev_bin("nats-server")).collect(),
    };
    for path in candidates {
        match program_version(&path).as_deref().map(|text| (nats_version(text), text)) {
            Some((Some(version), _)) if NATS_MIN <= version => return Ok(path),
            Some((_, text)) => tried.push(format!("{} ({})", path.display(), text.trim())),
            None => tried.push(format!("{} (does not run)", path.display())),
        }
    }
    tried.push("PATH, .dev/bin here and above".into());
    Err(MissingBinary {
        wanted: format!("nats-server {}.{} or newer", NATS_MIN.0, NATS_MIN.1),
        variable: "HOOKLINE_NATS_SERVER",
        tried: tried.join("; "),
    })
}

/// Finds a Postgres >= [`POSTGRES_MIN`]: `HOOKLINE_PG_BIN`, then `PATH`, `/usr/lib/postgresql/*/bin` and Homebrew's
/// folders, newest first. With `data_major` only that major version will do, as only it can open the data.
///
/// # Errors
/// When there is none.
pub(crate) fn postgres(data_major: Option<u32>) -> Result<PostgresBin, MissingBinary> {
    let mut tried = Vec::new();
    let named = std::env::var_os("HOOKLINE_PG_BIN").map(PathBuf::from);
    let candidates = match named {
        Some(dir) => vec![vec![dir]],
        None => vec![postgres_on_path(), installed_postgres()],
    };
    for group in candidates {
        let mut found: Vec<PostgresBin> = Vec::new();
        for dir in group {
            let text = program_version(dir.join("postgres")).unwrap_or_default();
            match postgres_version(&text) {
                Some((version, major))
                    if accepts(major, data_major) && dir.join("initdb").exists() =>
                {
                    found.push(PostgresBin { dir, version, major });
                }
                _ => tried.push(format!("{} ({})", dir.display(), text.trim())),
            }
        }
        if let Some(newest) = found.into_iter().max_by_key(|bin| bin.major) {
            return Ok(newest);
        }
    }
    tried.push("PATH, /usr/lib/postgresql/*/bin, Homebrew".into());
    let wanted = match data_major {
        Some(major) => format!("Postgres {major} (the version that made the data)"),
        None => format!("Postgres {POSTGRES_MIN} or newer with initdb"),
    };
    Err(MissingBinary { wanted, variable: "HOOKLINE_PG_BIN", tried: tried.join("; ") })
}

fn accepts(major: u32, data_major: Option<u32>) -> bool {
    data_major.map_or(POSTGRES_MIN <= major, |wanted| wanted == major)
}

fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).filter(|path| is_program(path)).collect()
}

fn in_dev_bin(name: &str) -> Vec<PathBuf> {
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    let mut found: Vec<PathBuf> = Vec::new();
    for start in starts.iter().flatten() {
        found.extend(
            start
                .ancestors()
                .map(|above| above.join(".dev/bin").join(name))
                .filter(|path| is_program(path) && is_ours(path)),
        );
    }
    found.dedup();
    found
}

/// PATH may name a folder of links; the programs want to be started where their share folder is.
fn postgres_on_path() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = on_path("postgres")
        .iter()
        .filter_map(|path| fs::canonicalize(path).ok()?.parent().map(Path::to_owned))
        .collect();
    dirs.dedup();
    dirs
}

fn installed_postgres() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for root in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let Ok(entries) = fs::read_dir(root) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let bin = entry.path().join("bin");
            let fits =
                root.starts_with("/usr/lib") || name.to_string_lossy().starts_with("postgresql");
            if fits && is_program(&bin.join("postgres")) {
                dirs.push(bin);
            }
        }
    }
    dirs
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Folders above us may be anybody's (`/tmp`): run nothing that somebody else put there.
fn is_ours(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|meta| meta.uid() == 0 || meta.uid() == rustix::process::geteuid().as_raw())
}

fn program_version(program: impl AsRef<OsStr>) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads `nats-server: v2.15.1`.
fn nats_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().rsplit_once('v')?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)` and `… 18beta1`.
fn postgres_version(text: &str) -> Option<(String, u32)> {
    let version = text.trim().strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((version.to_owned(), major.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        assert_eq!(nats_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(nats_version("nats-server: v2.9.25"), Some((2, 9)));
        assert!((2, 9) < NATS_MIN, "compared as numbers");
        assert_eq!(nats_version("something else"), None);
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(postgres_version(debian), Some(("15.18".into(), 15)));
        assert_eq!(postgres_version("postgres (PostgreSQL) 18beta1"), Some(("18beta1".into(), 18)));
        assert_eq!(postgres_version("initdb (PostgreSQL) 15.18"), None);
    }

    #[test]
    fn data_decides_the_major_version() {
        assert!(accepts(17, None) && !accepts(14, None));
        assert!(accepts(15, Some(15)) && !accepts(17, Some(15)));
    }

    #[test]
    fn a_missing_version_names_what_was_tried_and_the_way_out() {
        let error = postgres(Some(3)).expect_err("nobody has Postgres 3").to_string();
        assert!(error.contains("make setup") && error.contains("HOOKLINE_PG_BIN"), "{error}");
        assert!(error.contains("Postgres 3"), "{error}");
    }
}
