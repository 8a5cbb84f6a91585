//! Who runs the server. Postgres refuses root, so root hands it to the user `postgres`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

/// Name of the file that says where the data is when it could not stay in its folder.
const REMEMBERED: &str = "data-is-in";

/// The user root becomes for Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The user Postgres has to run as: `postgres` when we are root, else ourselves (none).
pub(crate) fn for_postgres() -> anyhow::Result<Option<User>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let user = find(&passwd, "postgres").context(
        "Postgres refuses to run as root and there is no user `postgres` to run it as: \
         run `make setup`, or `useradd --system postgres`, or start hookline as an ordinary user",
    )?;
    Ok(Some(user))
}

/// A command that runs as `user`, knows no `PG*` variable of ours and speaks plain English.
pub(crate) fn command(program: impl AsRef<OsStr>, user: Option<&User>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG")) {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
    if let Some(user) = user {
        // Setting a uid as root also drops every supplementary group.
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// The folder the server's data goes to: `wanted`, or, where `user` cannot get there (a checkout under /root),
/// one under /var/tmp that is remembered in `wanted`. The folder is ours; what is in it may be given away.
pub(crate) fn home_for(wanted: &Path, user: Option<&User>) -> anyhow::Result<PathBuf> {
    home_below(wanted, user, Path::new("/var/tmp"))
}

fn home_below(wanted: &Path, user: Option<&User>, elsewhere: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(wanted).with_context(|| format!("making {}", wanted.display()))?;
    let wanted =
        fs::canonicalize(wanted).with_context(|| format!("finding {}", wanted.display()))?;
    let Some(user) = user else { return Ok(wanted) };

    let note = wanted.join(REMEMBERED);
    if let Some(home) = remembered(&note)? {
        return Ok(home);
    }
    if can_enter(&wanted, user) {
        return Ok(wanted);
    }
    let digest = Sha256::digest(wanted.as_os_str().as_encoded_bytes());
    let home = elsewhere.join(format!("hookline-{}", &hex::encode(digest)[..16]));
    move_aside(&home)?;
    fs::create_dir(&home).with_context(|| format!("making {}", home.display()))?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("opening {} to `{}`", home.display(), user.name))?;
    fs::write(&note, format!("{}\n", home.display()))
        .with_context(|| format!("writing {}", note.display()))?;
    Ok(home)
}

/// The folder an earlier run chose, as long as it is still there and still ours.
fn remembered(note: &Path) -> anyhow::Result<Option<PathBuf>> {
    let Ok(text) = fs::read_to_string(note) else { return Ok(None) };
    let home = PathBuf::from(text.trim());
    let Ok(meta) = fs::symlink_metadata(&home) else { return Ok(None) };
    // Anybody may make folders in /var/tmp.
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        bail!(
            "{} is not a folder of ours: look at it, then delete {}",
            home.display(),
            note.display()
        );
    }
    Ok(Some(home))
}

/// Data whose `.hookline` was deleted belongs to nobody any more, and its keys are gone: it is kept, out of the way.
fn move_aside(home: &Path) -> anyhow::Result<()> {
    if fs::symlink_metadata(home).is_err() {
        return Ok(());
    }
    let old = (1..)
        .map(|n| home.with_extension(format!("old-{n}")))
        .find(|path| fs::symlink_metadata(path).is_err())
        .expect("some number is unused");
    fs::rename(home, &old).with_context(|| format!("moving {} aside", home.display()))?;
    tracing::warn!(
        "Moved Postgres data of a deleted folder to `{}`: delete it when you do not miss it",
        old.display()
    );
    Ok(())
}

/// Makes an empty folder that belongs to whoever runs the server.
pub(crate) fn make_owned(folder: &Path, user: Option<&User>) -> anyhow::Result<()> {
    let make = || -> std::io::Result<()> {
        fs::create_dir(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        give(folder, user)
    };
    make().with_context(|| format!("making {}", folder.display()))
}

/// Gives one file or folder to `user`.
pub(crate) fn give(path: &Path, user: Option<&User>) -> std::io::Result<()> {
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    }
}

/// Asks the kernel rather than guessing from modes along the way.
fn can_enter(folder: &Path, user: &User) -> bool {
    command("/bin/sh", Some(user))
        .args(["-c", "cd \"$1\"", "sh"])
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn find(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        found.then(|| User { name: name.to_owned(), uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgres2:x:9:9::/:/\nbroken\npostgres:x:101:104::/:/\n";
        let user = User { name: "postgres".into(), uid: 101, gid: 104 };
        assert_eq!(find(passwd, "postgres"), Some(user));
        assert_eq!(find(passwd, "post"), None);
    }

    #[test]
    fn an_ordinary_user_keeps_its_data_in_place() {
        let scratch = Scratch::new("home");
        let wanted = scratch.path().join("a/b");
        assert_eq!(home_for(&wanted, None).expect("home"), wanted);
    }

    #[test]
    fn data_moves_where_the_other_user_can_reach_it_and_stays_there() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can become somebody else; the suite also runs as root.
        }
        let scratch = Scratch::new("unreachable");
        let closed = scratch.path().join("closed");
        fs::create_dir(&closed).expect("mkdir");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("chmod");
        let nobody = User { name: "nobody".into(), uid: 65_534, gid: 65_534 };

        let home = |wanted: &str| home_below(&closed.join(wanted), Some(&nobody), scratch.path());
        let first = home("postgres").expect("elsewhere");
        assert_eq!(first.parent(), Some(scratch.path()));
        assert!(can_enter(&first, &nobody));
        assert_eq!(home("postgres").expect("again"), first);

        fs::write(first.join("row"), "1").expect("write");
        fs::remove_dir_all(closed.join("postgres")).expect("somebody deletes .hookline");
        assert_eq!(home("postgres").expect("fresh"), first);
        assert!(!first.join("row").exists(), "old data does not come back");
        assert!(first.with_extension("old-1").join("row").exists(), "nor is it deleted");

        let open = scratch.path().join("open");
        assert_eq!(home_below(&open, Some(&nobody), scratch.path()).expect("open"), open);
    }
}
