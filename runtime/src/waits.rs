//! Waits that are part of no contract and that only tests change.
//!
//! ```text
//! HOOKLINE_WAITS="lease=3s;reads_apart=2s"
//! ```
//!
//! Like failpoints ([`mod@crate::failpoint`]): the variable is not among those of the configuration, no file can set it, it is read when a
//! process starts, and that it is set is said loudly. Each wait has one test at its real value.

use std::sync::OnceLock;
use std::time::Duration;

use crate::config::parse_duration;

/// The variable that changes waits.
pub const ENV: &str = "HOOKLINE_WAITS";

/// A wait by its name, with its real value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    name: &'static str,
    real: Duration,
}

/// How long a lease outlives its holder, of workers' shards and of the projector: how long others wait after a crash.
pub const LEASE: Wait = Wait { name: "lease", real: Duration::from_secs(6) };
/// Between the two reads of a thread that prove a message absent.
pub const READS_APART: Wait = Wait { name: "reads_apart", real: Duration::from_secs(15) };
/// How long a job's claim outlives the process that works on it.
pub const CLAIM: Wait = Wait { name: "claim", real: Duration::from_secs(10) };
/// Without a row released for so long, `redrive run` reports that nothing happens.
pub const REDRIVE_PROGRESS: Wait = Wait { name: "redrive_progress", real: Duration::from_secs(60) };
/// Between two looks for accounts whose token or webhook fields are due.
pub const UPKEEP: Wait = Wait { name: "upkeep", real: Duration::from_secs(60) };
/// After a submission, until Meta is first asked what became of a message template.
pub const TEMPLATE_LOOK: Wait = Wait { name: "template_look", real: Duration::from_secs(60) };

/// Between two calls of an account to the Conversations API: 2 a second (docs/meta-platform.md 10).
pub const CONVERSATIONS: Wait = Wait { name: "conversations", real: Duration::from_millis(500) };

const ALL: [Wait; 7] =
    [LEASE, READS_APART, CLAIM, REDRIVE_PROGRESS, UPKEEP, TEMPLATE_LOOK, CONVERSATIONS];

static SHORTENED: OnceLock<Vec<(&'static str, Duration)>> = OnceLock::new();

impl Wait {
    /// How long this process waits.
    pub fn get(self) -> Duration {
        let shortened = SHORTENED.get().into_iter().flatten().find(|(name, _)| *name == self.name);
        shortened.map_or(self.real, |(_, wait)| *wait)
    }

    /// How long every process waits unless it is configured otherwise.
    pub const fn real(self) -> Duration {
        self.real
    }
}

/// Reads [`ENV`], once, at the start of a process.
///
/// # Errors
/// When a part of it is no wait; it says what is expected.
pub fn shorten_from_env() -> anyhow::Result<()> {
    let Some(text) = std::env::var_os(ENV) else { return Ok(()) };
    let text = text.to_string_lossy();
    let waits = parse(&text).map_err(|reason| anyhow::anyhow!("{ENV}: {reason}"))?;
    if !waits.is_empty() {
        tracing::warn!("{ENV} is set, which is for tests only: this process waits `{text}`");
        let _ = SHORTENED.set(waits);
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<(&'static str, Duration)>, String> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, wait) =
                part.split_once('=').ok_or_else(|| format!("`{part}` is not `name=duration`"))?;
            let known = ALL.iter().find(|known| known.name == name.trim());
            let known = known.ok_or_else(|| format!("`{}` is no wait", name.trim()))?;
            let wait = parse_duration(wait.trim())?;
            if wait.is_zero() {
                return Err(format!("`{part}`: use a duration above 0"));
            }
            Ok((known.name, wait))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_named_and_above_zero() {
        let two = Duration::from_secs(2);
        assert_eq!(parse("lease=2s; claim = 2s;"), Ok(vec![("lease", two), ("claim", two)]));
        for wrong in ["lease", "rent=2s", "lease=soon", "lease=0"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        // Nobody shortened anything here.
        assert_eq!(ALL.map(|wait| wait.get().as_secs()), [6, 15, 10, 60, 60, 60, 0]);
        assert_eq!(CONVERSATIONS.get(), Duration::from_millis(500));
    }
}
