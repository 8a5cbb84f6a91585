//! Small files around a private server: owner's lock, generated password, log.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use rand::RngExt;

/// A log that has grown past this when a server starts is moved to `<log>.1`.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of the log an error carries.
const TAIL_LINES: usize = 20;

/// Sole ownership of a server's folder; the kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(crate) fn take(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "{} is in use by another hookline: stop that one, or start this one in another folder",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("locking {}", path.display()))
            }
        }
    }
}

/// The password kept in `path`, made on first use; readable by its owner only.
pub(crate) fn password(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    }
    let password = hex::encode(rand::rng().random::<[u8; 20]>());
    write_private(path, &password)?;
    Ok(password)
}

/// Replaces `path` in one step with a file only its owner can read.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        fs::remove_file(&new).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Opens a log for appending and says where this run begins in it.
pub(crate) fn open_log(path: &Path) -> anyhow::Result<(File, u64)> {
    let open = || -> std::io::Result<(File, u64)> {
        if fs::metadata(path).is_ok_and(|meta| LOG_BYTES_MAX < meta.len()) {
            fs::rename(path, path.with_extension("log.1"))?;
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let start = file.metadata()?.len();
        Ok((file, start))
    };
    open().with_context(|| format!("opening {}", path.display()))
}

/// The last lines written to a log since `start`.
pub(crate) fn log_tail(path: &Path, start: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let scratch = Scratch::new("lock");
        let first = FolderLock::take(scratch.path()).expect("first");
        let refusal = FolderLock::take(scratch.path()).expect_err("second").to_string();
        assert!(refusal.contains("another hookline"), "{refusal}");
        drop(first);
        FolderLock::take(scratch.path()).expect("after the first has gone");
    }

    #[test]
    fn a_password_is_made_once_and_is_nobody_elses_to_read() {
        let scratch = Scratch::new("password");
        let path = scratch.path().join("password");
        let first = password(&path).expect("made");
        assert_eq!(first.len(), 40);
        assert_eq!(password(&path).expect("kept"), first);
        let mode = fs::metadata(&path).expect("meta").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_tail_starts_with_this_run() {
        let scratch = Scratch::new("tail");
        let path = scratch.path().join("server.log");
        fs::write(&path, "old\n").expect("write");
        let (mut file, start) = open_log(&path).expect("open");
        for n in 0..30 {
            writeln!(file, "line {n}").expect("write");
        }
        let tail = log_tail(&path, start);
        assert!(tail.starts_with("line 10\n") && tail.ends_with("line 29"), "{tail}");
    }
}
