//! Makes Postgres data folders: by initdb, or by copying one made before.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::binaries::PostgresBin;
use crate::files;
use crate::user::{self, User};

/// Raise it when the arguments of initdb change, so that old templates are left alone.
const TEMPLATE_EDITION: u32 = 1;
/// The only user of a private Postgres.
pub(crate) const SUPERUSER: &str = "hookline";

/// Major version of the Postgres that made `data`, if there is any data.
pub(crate) fn data_major(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Makes `home/data` unless it is there, and gives the password of the superuser.
///
/// It is made under another name and renamed, so that a crash half way leaves nothing that looks finished.
pub(crate) fn ensure(
    home: &Path,
    bin: &PostgresBin,
    user: Option<&User>,
    template_dir: Option<&Path>,
) -> anyhow::Result<String> {
    let data = home.join("data");
    let password_file = home.join("password");
    if data.join("PG_VERSION").exists() {
        return match fs::read_to_string(&password_file) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(error).with_context(|| {
                format!(
                    "the password of the data in {} is gone ({}): move that folder away to begin anew",
                    data.display(),
                    password_file.display()
                )
            }),
        };
    }
    let unfinished = home.join("data.new");
    remove_if_there(&unfinished)?;
    user::make_owned(&unfinished, user)?;
    let password = match template_dir {
        Some(dir) => {
            let (template, password) = template(dir, bin, user)?;
            let mut copy = user::command("cp", user);
            copy.args(["-R", "-p"]).arg(template.join("data/.")).arg(&unfinished);
            run(copy, "copying the Postgres template")?;
            files::write_private(&password_file, &password)?;
            password
        }
        None => {
            let password = files::password(&password_file)?;
            initdb(&unfinished, home, bin, user, &password, &[])?;
            password
        }
    };
    fs::rename(&unfinished, &data).with_context(|| format!("finishing {}", data.display()))?;
    Ok(password)
}

/// The template below `dir` for this Postgres, made once however many processes ask at the same time.
fn template(
    dir: &Path,
    bin: &PostgresBin,
    user: Option<&User>,
) -> anyhow::Result<(PathBuf, String)> {
    let root = user::home_for(dir, user)?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join("lock"))
        .with_context(|| format!("opening {}", root.join("lock").display()))?;
    lock.lock().with_context(|| format!("locking {}", root.join("lock").display()))?;

    let uid = user.map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid);
    let home = root.join(format!("postgres-{}-{TEMPLATE_EDITION}-{uid}", bin.version));
    if !home.join("data/PG_VERSION").exists() {
        fs::create_dir_all(&home).with_context(|| format!("making {}", home.display()))?;
        let password = files::password(&home.join("password"))?;
        let unfinished = home.join("data.new");
        remove_if_there(&unfinished)?;
        user::make_owned(&unfinished, user)?;
        // Small WAL files: 14 MB less to copy for every test. A template lost to a power cut is made again.
        initdb(&unfinished, &home, bin, user, &password, &["--wal-segsize=2", "--no-sync"])?;
        fs::rename(&unfinished, home.join("data"))
            .with_context(|| format!("finishing {}", home.display()))?;
    }
    let password = files::password(&home.join("password"))?;
    Ok((home, password))
}

fn initdb(
    data: &Path,
    home: &Path,
    bin: &PostgresBin,
    user: Option<&User>,
    password: &str,
    more: &[&str],
) -> anyhow::Result<()> {
    // initdb runs as `user`, who may not read what is ours: it gets a copy, for as long as it runs.
    let for_initdb = home.join("password-for-initdb");
    files::write_private(&for_initdb, password)?;
    user::give(&for_initdb, user).context("handing initdb its password")?;
    let mut command = user::command(bin.dir.join("initdb"), user);
    command
        .arg("-D")
        .arg(data)
        .args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"])
        .arg("--pwfile")
        .arg(&for_initdb)
        .args(more)
        .current_dir(data);
    let done = run(command, "initdb");
    fs::remove_file(&for_initdb).ok();
    done
}

fn run(mut command: Command, what: &str) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{what}: cannot be started"))?;
    if !output.status.success() {
        bail!(
            "{what} failed ({}): {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn remove_if_there(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}
