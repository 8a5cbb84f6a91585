//! ◆ Pure: times as operators name them: RFC 3339, or a duration ago.

use schemas::Timestamp;

use crate::exit::Failure;

/// Reads a time; a duration counts back from `now`. `argument` is what it was given as, such as `--since`.
///
/// # Errors
/// Exit code 2 naming the argument.
pub(crate) fn read(
    argument: &str,
    text: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    text.map(|text| time(argument, text, now)).transpose()
}

/// The same where it must be given.
///
/// # Errors
/// As [`read`].
pub(crate) fn time(argument: &str, text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    runtime::config::parse_duration(text).map(|ago| now.minus(ago)).map_err(|_| {
        Failure::usage(format!(
            "{argument}: use a time such as 2026-11-21T10:00:00Z, or a duration ago such as 2h"
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_a_moment_or_a_duration_ago() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let read = |text: &str| read("--since", Some(text), now);
        assert_eq!(read("2h").unwrap(), Some(now.minus(Duration::from_secs(7_200))));
        assert_eq!(read(&now.to_string()).unwrap(), Some(now));
        assert!(read("yesterday").unwrap_err().to_string().contains("--since"));
    }
}
