//! Failpoints, for tests only: a process that really dies (SIGKILL on itself) at a named place.
//!
//! [`failpoint!`](crate::failpoint!) marks the places before and after every publish, commit, move of a position and HTTP call of the
//! send path. They do nothing unless [`ENV`] is set when a role starts, and then a warning is logged:
//!
//! ```text
//! HOOKLINE_FAILPOINTS="send.after_call=kill@2;outcome.before_commit=stop"
//! ```
//!
//! `kill@N` dies at the N-th time the place is reached (the first unless given), `stop@N` freezes there (SIGSTOP) until somebody sends
//! SIGCONT. `change` changes the rule that a name stands for ([`changed`]). The variable is not among those of the configuration: it is no feature, and no file can set it.
//!
//! Why not the crate `fail-parallel`: with its failpoints compiled in, every place clones a registry, takes a lock and looks its name up
//! in a map even where nothing is set; it knows no N-th time; and a name that nobody marks is no error there. Here a place that nothing
//! is set for costs one load of a flag, and a name that is not in [`POINTS`] does not compile.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// The variable that sets failpoints.
pub const ENV: &str = "HOOKLINE_FAILPOINTS";

/// Every place, with the role whose process reaches it.
pub const POINTS: &[Point] = &[
    // A webhook comes in.
    point("ingest.before_publish", "ingest"),
    point("ingest.after_publish", "ingest"),
    // It becomes events; echoes become evidence in the same transaction.
    // Not a place but a rule: with `=change` the normaliser of a process reads as another release might.
    point("normalize.rule", "operator"),
    point("inbound.before_publish", "worker"),
    point("inbound.after_publish", "worker"),
    point("note.before", "worker"),
    point("note.after", "worker"),
    point("inbound.before_position", "worker"),
    point("inbound.before_commit", "worker"),
    point("inbound.after_commit", "worker"),
    // It is replayed.
    point("replay.before_publish", "operator"),
    point("replay.before_commit", "operator"),
    point("replay.after_commit", "operator"),
    // A token is replaced, by the worker or by `accounts refresh`.
    point("refresh.before_call", "operator"),
    point("refresh.after_call", "operator"),
    point("refresh.after_keep", "operator"),
    point("refresh.before_use", "operator"),
    point("refresh.after_use", "operator"),
    // The code of a login in a browser has become a token.
    point("connect.after_exchange", "operator"),
    // An empty database is filled from the streams.
    point("recover.before_commit", "operator"),
    point("recover.after_commit", "operator"),
    point("recover.after_stage", "operator"),
    // A person or a message is erased.
    point("erase.after_step", "operator"),
    point("erase.after_rule", "operator"),
    point("erase.after_withdrawals", "operator"),
    point("erase.after_events", "operator"),
    point("erase.before_store", "operator"),
    point("erase.after_store", "operator"),
    point("erase.after_raw", "operator"),
    // Facts of any origin.
    point("facts.before_publish", "worker"),
    point("facts.after_publish", "worker"),
    point("facts.after_record", "worker"),
    // An inbound message asks for the automatic reply.
    point("automate.before_publish", "worker"),
    point("automate.after_publish", "worker"),
    point("automate.before_commit", "worker"),
    point("automate.after_commit", "worker"),
    // Somebody asks for a reply.
    point("api.before_store", "api"),
    point("api.before_publish", "api"),
    point("api.after_publish", "api"),
    point("api.after_mark", "api"),
    // The command gets its row in the ledger.
    point("commands.before_store", "worker"),
    point("commands.before_dead", "worker"),
    point("commands.after_dead", "worker"),
    point("commands.before_position", "worker"),
    point("commands.before_commit", "worker"),
    point("commands.after_commit", "worker"),
    // It is claimed, and waits, is refused, or is attempted.
    point("send.before_claim", "worker"),
    point("send.before_wait_commit", "worker"),
    point("send.after_wait_commit", "worker"),
    point("send.before_refusal_commit", "worker"),
    point("send.after_refusal_commit", "worker"),
    point("send.before_log", "worker"),
    point("send.after_log", "worker"),
    point("send.before_begin_commit", "worker"),
    point("send.after_begin_commit", "worker"),
    point("send.before_call", "worker"),
    point("send.after_call", "worker"),
    point("send.before_settle_commit", "worker"),
    point("send.after_settle_commit", "worker"),
    // An echo settles it, or is only claimed for what is settled already.
    point("echo.before_settle_commit", "worker"),
    point("echo.after_settle_commit", "worker"),
    point("echo.before_claim_commit", "worker"),
    point("echo.after_claim_commit", "worker"),
    // Whether it was sent is unknown: the thread is read back.
    point("look.before_claim_commit", "worker"),
    point("look.after_claim_commit", "worker"),
    point("look.before_read", "worker"),
    point("look.after_read", "worker"),
    point("look.before_commit", "worker"),
    point("look.after_commit", "worker"),
    // Its outcome is published.
    point("outcome.before_publish", "worker"),
    point("outcome.before_commit", "worker"),
    point("outcome.after_commit", "worker"),
    // And read.
    point("projector.before_commit", "projector"),
    point("projector.after_commit", "projector"),
    // An operator's verb lets a rebuilt read model serve.
    point("rebuild.before_swap_commit", "operator"),
    point("rebuild.after_swap_commit", "operator"),
];

/// A place where a process may be made to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// As [`ENV`] names it.
    pub name: &'static str,
    /// The role that reaches it.
    pub role: &'static str,
}

const fn point(name: &'static str, role: &'static str) -> Point {
    Point { name, role }
}

/// Marks a place; the name must be in `failpoint::POINTS`.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        if $crate::failpoint::armed() {
            $crate::failpoint::reach(const { $crate::failpoint::index($name) });
        }
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Kill,
    Stop,
    Change,
}

#[derive(Debug)]
struct Armed {
    index: usize,
    act: Act,
    /// At which time of reaching it.
    at: u64,
    reached: AtomicU64,
}

static ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: OnceLock<Vec<Armed>> = OnceLock::new();

/// Reads [`ENV`], once, at the start of a process.
///
/// # Errors
/// When a part of it is no failpoint, with what is expected.
pub fn arm_from_env() -> anyhow::Result<()> {
    let Some(text) = std::env::var_os(ENV) else { return Ok(()) };
    let text = text.to_string_lossy();
    let plan = parse(&text).map_err(|reason| anyhow::anyhow!("{ENV}: {reason}"))?;
    if plan.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        "{ENV} is set, which is for tests only: this process dies or changes its rules at `{text}`"
    );
    if PLAN.set(plan).is_ok() {
        ARMED.store(true, Ordering::Release);
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<Armed>, String> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let expected = || {
                format!(
                    "`{part}` is not `name=kill`, `name=kill@N`, `name=stop@N` or `name=change`"
                )
            };
            let (name, act) = part.split_once('=').ok_or_else(expected)?;
            let index = POINTS
                .iter()
                .position(|point| point.name == name.trim())
                .ok_or_else(|| format!("`{}` is no failpoint", name.trim()))?;
            let (act, at) = match act.trim().split_once('@') {
                Some((act, at)) => {
                    (act, at.parse().ok().filter(|at| *at > 0).ok_or_else(expected)?)
                }
                None => (act.trim(), 1),
            };
            let act = match act {
                "kill" => Act::Kill,
                "stop" => Act::Stop,
                "change" => Act::Change,
                _ => return Err(expected()),
            };
            Ok(Armed { index, act, at, reached: AtomicU64::new(0) })
        })
        .collect()
}

/// Whether any failpoint is set: all that a marked place costs where none is.
#[doc(hidden)]
#[inline]
pub fn armed() -> bool {
    ARMED.load(Ordering::Relaxed)
}

/// The place's number. Evaluated by the compiler, which refuses a name that is not listed.
#[doc(hidden)]
pub const fn index(name: &str) -> usize {
    let mut index = 0;
    while index < POINTS.len() {
        if equal(POINTS[index].name.as_bytes(), name.as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("add the failpoint to runtime::failpoint::POINTS")
}

const fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether a rule is changed (`name=change`).
#[must_use]
pub fn changed(name: &str) -> bool {
    armed()
        && PLAN
            .get()
            .into_iter()
            .flatten()
            .any(|armed| armed.act == Act::Change && POINTS[armed.index].name == name)
}

/// A marked place was reached.
#[doc(hidden)]
#[cold]
pub fn reach(index: usize) {
    for armed in PLAN.get().into_iter().flatten().filter(|armed| armed.index == index) {
        if armed.reached.fetch_add(1, Ordering::Relaxed) + 1 == armed.at {
            let signal = match armed.act {
                Act::Kill => Signal::KILL,
                Act::Stop => Signal::STOP,
                Act::Change => continue,
            };
            // No thread of this process runs on past a SIGKILL; nothing is flushed, closed or logged.
            let _ = kill_process(getpid(), signal);
            if armed.act == Act::Stop {
                stand();
            }
        }
    }
}

/// Returns after a SIGSTOP has taken effect and somebody has sent SIGCONT. Any thread may be the one that takes the signal; until it
/// runs, this one would go on past its place.
#[allow(clippy::disallowed_methods, reason = "only in a process that a test stops")]
fn stand() {
    let status = || std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    while stop_is_pending(&status()) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Whether a process's `/proc/<pid>/status` shows a SIGSTOP that no thread has taken yet.
fn stop_is_pending(status: &str) -> bool {
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = pending.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    pending.is_some_and(|mask| mask & (1 << (Signal::STOP.as_raw() - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_pending_until_a_thread_has_taken_it() {
        let status =
            |mask: &str| format!("SigPnd:\t0000000000040000\nShdPnd:\t{mask}\nSigBlk:\t0\n");
        assert!(stop_is_pending(&status("0000000000040000")));
        assert!(!stop_is_pending(&status("0000000000000000")));
        assert!(!stop_is_pending(&status("0000000000020000")));
        assert!(!stop_is_pending(""));
    }

    #[test]
    fn names_are_unique_and_of_a_role() {
        for (n, point) in POINTS.iter().enumerate() {
            assert_eq!(index(point.name), n, "`{}` is there twice", point.name);
            assert!(
                ["ingest", "worker", "projector", "api", "operator"].contains(&point.role),
                "{point:?}"
            );
        }
    }

    #[test]
    fn what_is_set_is_read_and_nonsense_is_refused() {
        let plan =
            parse(" send.before_call=kill ; send.after_call = kill@3;look.after_read=stop@2;")
                .unwrap();
        let read: Vec<_> =
            plan.iter().map(|one| (POINTS[one.index].name, one.act, one.at)).collect();
        assert_eq!(
            read,
            [
                ("send.before_call", Act::Kill, 1),
                ("send.after_call", Act::Kill, 3),
                ("look.after_read", Act::Stop, 2)
            ]
        );
        for (text, said) in [
            ("send.before_call", "is not"),
            ("send.before_call=kill@0", "is not"),
            ("send.before_call=panic", "is not"),
            ("send.nowhere=kill", "no failpoint"),
        ] {
            assert!(parse(text).unwrap_err().contains(said), "{text}");
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn a_place_nothing_is_set_for_is_passed() {
        failpoint!("send.before_call");
        assert!(!armed());
    }
}
