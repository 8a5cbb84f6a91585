//! The operator who runs the verb, and the record of what they did.

use ops::{Act, Ops};
use serde_json::Value;
use sqlx::PgPool;

/// Name for the record: the shell's user, `operator` where that is not known.
pub(crate) fn name() -> String {
    ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "operator".to_owned())
}

/// Records what the operator did. Arguments and result hold ids and counts, never a person's words.
///
/// # Errors
/// `sqlx::Error`; what was done is not undone, only its record is missing.
pub(crate) async fn record(
    pool: &PgPool,
    verb: &str,
    arguments: Value,
    reason: Option<&str>,
    result: Value,
) -> anyhow::Result<()> {
    record_of(pool, &name(), verb, arguments, reason, result).await
}

/// The same for an operator who is known by name.
///
/// # Errors
/// As [`record`].
pub(crate) async fn record_of(
    pool: &PgPool,
    who: &str,
    verb: &str,
    arguments: Value,
    reason: Option<&str>,
    result: Value,
) -> anyhow::Result<()> {
    let act = Act { who, verb, arguments, reason, job: None, result: Some(result) };
    Ok(Ops::open(pool.clone()).await?.record(act).await?)
}
