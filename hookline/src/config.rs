//! Looks at every variable before anything starts, with the same eyes as the role that needs it: what is wrong is told at once by
//! whatever was started, and not later by another.

use runtime::config::{ConfigError, Origin, Settings};

/// What stands in for a variable that is not set here: this is about those that are.
const STAND_INS: [(&str, &str); 5] = [
    ("NATS_URL", "nats://127.0.0.1:4222"),
    ("DATABASE_URL", "postgres://127.0.0.1/hookline"),
    ("META_APP_SECRETS", "none"),
    ("META_VERIFY_TOKENS", "none"),
    ("ENCRYPTION_KEY", "0000000000000000000000000000000000000000000000000000000000000000"),
];

/// Makes sure that every value that is set can be understood. To be called within a Tokio runtime.
///
/// # Errors
/// Names the first that cannot, never its value where that may be secret.
pub fn check(settings: &Settings) -> Result<(), ConfigError> {
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
