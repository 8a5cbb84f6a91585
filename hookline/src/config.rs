//! Checks every variable before anything starts, each with the parser of the role that needs it: a wrong value is reported by whatever is
//! started first, not later by another role.

use runtime::config::{ConfigError, Origin, Settings};

/// Values for variables that are not set here: only those that are set are checked.
const STAND_INS: [(&str, &str); 5] = [
    ("NATS_URL", "nats://127.0.0.1:4222"),
    ("DATABASE_URL", "postgres://127.0.0.1/hookline"),
    ("META_APP_SECRETS", "none"),
    ("META_VERIFY_TOKENS", "none"),
    ("ENCRYPTION_KEY", "0000000000000000000000000000000000000000000000000000000000000000"),
];

/// Checks that every value that is set can be parsed. To be called within a Tokio runtime.
///
/// # Errors
/// Names the first variable that cannot; never its value where that may be secret.
pub(crate) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let mut whole = settings.clone();
    for (name, value) in STAND_INS {
        if whole.get(name).is_none() {
            whole.put(name, value.to_owned(), Origin::Program);
        }
    }
    runtime::telemetry::check(&whole)?;
    ingest::config::Config::from_settings(&whole)?;
    worker::Config::from_settings(&whole)?;
    projector::Config::from_settings(&whole)?;
    api::Config::from_settings(&whole)?;
    Ok(())
}
