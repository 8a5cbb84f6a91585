//! What other processes are doing: alive, command line, children. `/proc` on Linux, `ps` elsewhere.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Sends `signal`; a process that is already gone is not an error, its absence is what callers wait for.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = rustix_pid(pid) {
        kill_process(pid, signal).ok();
    }
}

/// True while the kernel knows the pid, zombies included (Postgres looks no closer than this).
pub(crate) fn pid_exists(pid: u32) -> bool {
    rustix_pid(pid).is_some_and(|pid| match test_kill_process(pid) {
        Ok(()) => true,
        Err(error) => error == rustix::io::Errno::PERM,
    })
}

/// True while the process runs. A zombie does not: in a container whose first process reaps
/// nobody, an orphan stays one for ever.
pub(crate) fn is_running(pid: u32) -> bool {
    pid_exists(pid)
        && match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => !matches!(state_and_parent(&stat), Some(('Z' | 'X', _))),
            // No /proc at all (macOS): the kernel knows the pid, and that must do.
            Err(_) => !cfg!(target_os = "linux"),
        }
}

/// The arguments a process was started with, or nothing when it is gone or a zombie.
pub(crate) fn command_line(pid: u32) -> Vec<String> {
    if cfg!(target_os = "linux") {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return bytes
            .split(|byte| *byte == 0)
            .filter(|part| !part.is_empty())
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
    }
    let output = std::process::Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    output.split_whitespace().map(str::to_owned).collect()
}

/// Direct children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    if cfg!(target_os = "linux") {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        return entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| {
                fs::read_to_string(format!("/proc/{pid}/stat"))
                    .ok()
                    .and_then(|stat| state_and_parent(&stat))
                    .is_some_and(|(_, its_parent)| its_parent == parent)
            })
            .collect();
    }
    let output = std::process::Command::new("ps")
        .args(["-A", "-o", "pid=,ppid="])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    output
        .lines()
        .filter_map(|line| {
            let (pid, its_parent) = line.trim().split_once(char::is_whitespace)?;
            (its_parent.trim().parse() == Ok(parent)).then(|| pid.parse().ok())?
        })
        .collect()
}

/// Waits until none of `pids` runs; false when `patience` is over first. Blocks: not for a thread of the runtime.
pub(crate) fn wait_gone(pids: &[u32], patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while pids.iter().any(|pid| is_running(*pid)) {
        if deadline <= Instant::now() {
            return false;
        }
        #[allow(clippy::disallowed_methods, reason = "called where blocking is allowed")]
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Asks a process that is not our child to stop, and makes it after `patience`.
pub(crate) fn stop_orphan(pid: u32, stop_signal: Signal, patience: Duration) -> bool {
    let family: Vec<u32> = std::iter::once(pid).chain(children(pid)).collect();
    signal(pid, stop_signal);
    if wait_gone(&family, patience) {
        return true;
    }
    for member in &family {
        signal(*member, Signal::KILL);
    }
    wait_gone(&family, Duration::from_secs(5))
}

/// State letter and parent pid of a `/proc/<pid>/stat` line. The name in brackets may hold anything.
fn state_and_parent(stat: &str) -> Option<(char, u32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn rustix_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_does_not_move_the_fields() {
        assert_eq!(state_and_parent("42 (a) Z (b)) S 7 42 42 0"), Some(('S', 7)));
        assert_eq!(state_and_parent("42 (a) Z 1 42"), Some(('Z', 1)));
        assert_eq!(state_and_parent("garbage"), None);
    }

    #[test]
    fn a_zombie_does_not_run() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("sleep");
        let pid = child.id();
        assert!(is_running(pid));
        assert!(children(std::process::id()).contains(&pid));
        assert_eq!(command_line(pid).last().map(String::as_str), Some("600"));
        signal(pid, Signal::KILL);
        assert!(wait_gone(&[pid], Duration::from_secs(5)), "a zombie counts as gone");
        assert!(pid_exists(pid), "not reaped yet");
        child.wait().expect("reap");
        assert!(!pid_exists(pid));
    }
}
