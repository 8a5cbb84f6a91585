//! The folder of a run's shared servers: who looks after it, where the servers are, and which places are taken. Written by the tests and
//! by their keeper; what counts is who holds the lock of a file, so that nobody's death leaves anything taken.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Accounts of the shared nats-server, and so the number of labs at a time.
pub const PLACES: u32 = 32;

/// How the folders of all runs begin.
pub const PREFIX: &str = "hookline-tests-";

/// Where the shared servers are. Holds passwords.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Servers {
    pub nats_port: u16,
    pub nats_monitor_url: String,
    /// The password of every account's user.
    pub nats_password: String,
    pub postgres_port: u16,
    /// The user that may do everything in Postgres.
    pub postgres_user: String,
}

/// Name of account and user number `place` of the shared nats-server.
pub fn account(place: u32) -> String {
    format!("lab{place:02}")
}

/// The file that only the keeper locks, for as long as it lives.
pub fn keeper_lock(folder: &Path) -> PathBuf {
    folder.join("keeper.lock")
}

/// What the keeper has to say while it starts and stops.
pub fn keeper_log(folder: &Path) -> PathBuf {
    folder.join("keeper.log")
}

/// The servers, once they are ready.
pub fn servers(folder: &Path) -> Option<Servers> {
    let text = fs::read_to_string(folder.join("servers.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Data of servers may live in memory where there is so much room.
const MEMORY: &str = "/dev/shm";
const MEMORY_MIN: u64 = 4 << 30;
/// How the folders of labs begin; the process id of the test follows.
pub const LAB_PREFIX: &str = "hookline-lab-";

/// A folder of this name in memory if there is enough of it: a sync costs nothing there, and making and dropping a database little.
/// `None`: there is not.
pub fn memory(name: &std::ffi::OsStr) -> Option<PathBuf> {
    let free = rustix::fs::statvfs(MEMORY).ok()?;
    let folder = Path::new(MEMORY).join(name);
    let room = free.f_bavail * free.f_frsize >= MEMORY_MIN;
    (room && fs::create_dir_all(&folder).is_ok()).then_some(folder)
}

/// Removes from memory what tests that were killed have left there: of runs without a keeper, and of labs without a process.
pub fn free_memory(folders: &Path) {
    let Ok(entries) = fs::read_dir(MEMORY) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let left = match name.to_str() {
            Some(name) if name.starts_with(PREFIX) => {
                // `Postgres` may be on its way out of a run that ends.
                let lock = keeper_lock(&folders.join(name));
                !lock.exists() || lock_file(&lock).is_ok_and(|lock| lock.try_lock().is_ok())
            }
            Some(name) => name
                .strip_prefix(LAB_PREFIX)
                .and_then(|rest| rest.split('-').next()?.parse().ok())
                .is_some_and(|pid| started(pid).is_none()),
            None => false,
        };
        if left {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Opens a file to lock it.
pub fn lock_file(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}

/// Replaces a file in one step; nobody else can read it.
pub fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// A place among the labs of a run: an account of the nats-server and databases named after `number`.
#[derive(Debug)]
pub struct Place {
    pub place: u32,
    /// Counted up for ever; names databases, of which none is used twice.
    pub number: u32,
    path: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes a free place. `None`: all are taken, or not cleaned up yet.
    pub fn take(folder: &Path) -> anyhow::Result<Option<Self>> {
        let mut counter = Counter::open(folder)?;
        let number = counter.number()?;
        let free = (0..PLACES).map(|n| (number + n) % PLACES).find(|n| !path(folder, *n).exists());
        let Some(place) = free else { return Ok(None) };
        let path = path(folder, place);
        let mut lock = lock_file(&path)?;
        lock.lock().with_context(|| format!("locking {}", path.display()))?;
        write!(lock, "{number}")?;
        counter.set(number + 1)?;
        Ok(Some(Self { place, number, path, _lock: lock }))
    }

    /// A place whose lab is gone, now held by whoever cleans it up.
    pub fn abandoned(folder: &Path) -> anyhow::Result<Option<Self>> {
        let _counter = Counter::open(folder)?;
        for place in 0..PLACES {
            let path = path(folder, place);
            if !path.exists() {
                continue;
            }
            let mut lock = lock_file(&path)?;
            if lock.try_lock().is_err() {
                continue;
            }
            let mut text = String::new();
            lock.read_to_string(&mut text)?;
            let number = text.parse().with_context(|| format!("reading {}", path.display()))?;
            return Ok(Some(Self { place, number, path, _lock: lock }));
        }
        Ok(None)
    }

    /// Gives an abandoned place to the next lab, once nothing of the last one is left there.
    pub fn clean(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| format!("removing {}", self.path.display()))
    }

    /// The beginning of the name of every database of this lab.
    pub fn database(&self) -> String {
        format!("lab_{}", self.number)
    }
}

fn path(folder: &Path, place: u32) -> PathBuf {
    folder.join(format!("place-{place}"))
}

/// The number of the next lab. Whoever has it open is the only one that takes or looks for places.
struct Counter(File);

impl Counter {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let file = lock_file(&folder.join("next"))?;
        file.lock().context("locking the number of the next lab")?;
        Ok(Self(file))
    }

    fn number(&mut self) -> anyhow::Result<u32> {
        let mut text = String::new();
        self.0.rewind()?;
        self.0.read_to_string(&mut text)?;
        if text.is_empty() { Ok(0) } else { text.parse().context("the number of the next lab") }
    }

    fn set(&mut self, number: u32) -> anyhow::Result<()> {
        self.0.rewind()?;
        self.0.set_len(0)?;
        write!(self.0, "{number}").context("writing the number of the next lab")
    }
}

/// When a process was started, in a form of the system's. `None`: it is gone, or a zombie.
pub fn started(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        return (!matches!(*fields.first()?, "Z" | "X")).then(|| fields[19].to_owned());
    }
    let id = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
    rustix::process::test_kill_process(id).ok().map(|()| String::new())
}
