//! The part of the status about completeness: whether the log has what Graph shows.

use std::collections::BTreeMap;

use schemas::Timestamp;
use serde::Serialize;
use sqlx::PgPool;
use worker::completeness::{self, FIGURES_SINCE};

use super::absent::absent_is_empty;

/// Figures of the last 24 hours.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Complete {
    /// Messages that Graph showed.
    pub(crate) shown: i64,
    /// Of them: those that the log had.
    pub(crate) known: i64,
    /// Those that were missing and have been imported.
    pub(crate) healed: i64,
    /// Those that are missing and cannot be read any more.
    pub(crate) unreachable: i64,
    /// Messages made before were compared.
    pub(crate) compared_to: Option<Timestamp>,
    /// Why the last comparison did not come to its end, in Meta's numbers.
    pub(crate) error: Option<String>,
    /// The webhook field by which nothing comes although Graph shows messages.
    pub(crate) lost_field: Option<String>,
    /// Since when.
    pub(crate) lost_since: Option<Timestamp>,
}

/// Reads it, by account as `channel/id`.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn read(
    pool: &PgPool,
    now: Timestamp,
) -> sqlx::Result<BTreeMap<String, Complete>> {
    let mut all: BTreeMap<String, Complete> = BTreeMap::new();
    for one in absent_is_empty(completeness::standing(pool, None, None).await)? {
        let complete = Complete {
            compared_to: Some(one.compared_to),
            error: one.error,
            lost_field: one.lost_field,
            lost_since: one.lost_since,
            ..Complete::default()
        };
        all.insert(format!("{}/{}", one.channel, one.account_id), complete);
    }
    let since = now.minus(FIGURES_SINCE);
    for hour in absent_is_empty(completeness::figures(pool, None, None, since).await)? {
        let one = all.entry(format!("{}/{}", hour.channel, hour.account_id)).or_default();
        one.shown += hour.shown;
        one.known += hour.known;
        one.healed += hour.healed;
        one.unreachable += hour.unreachable;
    }
    Ok(all)
}
