//! ◆ Pure: what a nats-server must offer.

use runtime::config::{ConfigError, Settings};
pub(crate) use servers::binaries::NATS_MIN as VERSION_MIN;

/// Whether a version such as `2.15.1` is at least [`VERSION_MIN`].
pub(crate) fn is_new_enough(version: &str) -> bool {
    let numbers: Vec<u32> =
        version.split(['.', '-']).filter_map(|part| part.parse().ok()).collect();
    matches!(numbers.as_slice(), [major, minor, ..] if (*major, *minor) >= VERSION_MIN)
}

/// Bytes a message needs at most: the longest body (`INGEST_MAX_BODY`) and its headers.
pub(crate) fn max_payload_needed(settings: &Settings) -> Result<usize, ConfigError> {
    Ok(settings.size("INGEST_MAX_BODY", "4MiB")? + HEADERS_MAX)
}

/// Room for the headers of a raw webhook, bytes.
const HEADERS_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for good in ["2.15.0", "2.15.1-RC.1", "2.100.0", "3.0.0"] {
            assert!(is_new_enough(good), "{good}");
        }
        for old in ["2.9.25", "2.14.6", "2", ""] {
            assert!(!is_new_enough(old), "{old}");
        }
    }
}
