//! Freezes and thaws, and records who did it.

use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use worker::outbound::admin::{self, Freeze};

use super::scope::KnownScope;
use crate::operator;

/// Who acts, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act<'a> {
    pub(crate) who: &'a str,
    pub(crate) reason: Option<&'a str>,
    /// Changes nothing.
    pub(crate) dry_run: bool,
}

/// What a freeze did.
#[derive(Debug, Serialize)]
pub(crate) struct Frozen {
    /// `*`, `account:<channel>/<account>` or `conversation:<conversation id>`.
    pub(crate) scope: String,
    frozen: bool,
    /// `false`: it was frozen.
    pub(crate) changed: bool,
    /// Commands that wait.
    pub(crate) waiting: i64,
    dry_run: bool,
    /// The freeze that was in force.
    #[serde(skip)]
    pub(crate) before: Option<Freeze>,
}

/// What a thaw did.
#[derive(Debug, Serialize)]
pub(crate) struct Thawed {
    /// As of a freeze.
    pub(crate) scope: String,
    frozen: bool,
    /// `false`: it was not frozen.
    pub(crate) changed: bool,
    /// Commands that go on.
    pub(crate) waiting: i64,
    /// Other scopes that stay frozen.
    pub(crate) other_freezes: Vec<String>,
    dry_run: bool,
}

/// Sends nothing in this scope from now on.
///
/// # Errors
/// `sqlx::Error`: it may be frozen, or frozen and not recorded; call again.
pub(crate) async fn freeze(
    pool: &PgPool,
    scope: &KnownScope,
    act: Act<'_>,
) -> anyhow::Result<Frozen> {
    let Act { who, reason, dry_run } = act;
    let waiting = admin::waiting(pool, scope.borrowed()).await?;
    let key = scope.borrowed().key();
    let before = admin::freezes(pool).await?.into_iter().find(|freeze| freeze.scope == key);
    let changed = before.is_none();
    if !dry_run {
        admin::freeze(pool, scope.borrowed(), who, reason).await?;
        let result = json!({"changed": changed, "waiting": waiting});
        let arguments = json!({"scope": key});
        operator::record_of(pool, who, "send freeze", arguments, reason, result).await?;
    }
    Ok(Frozen { scope: key, frozen: true, changed, waiting, dry_run, before })
}

/// Ends a freeze of exactly this scope.
///
/// # Errors
/// `sqlx::Error`: it may be thawed, or thawed and not recorded; call again.
pub(crate) async fn thaw(
    pool: &PgPool,
    scope: &KnownScope,
    act: Act<'_>,
) -> anyhow::Result<Thawed> {
    let Act { who, reason, dry_run } = act;
    let key = scope.borrowed().key();
    let changed = admin::freezes(pool).await?.iter().any(|freeze| freeze.scope == key);
    if !dry_run {
        admin::thaw(pool, scope.borrowed()).await?;
        let (arguments, result) = (json!({"scope": key}), json!({"changed": changed}));
        operator::record_of(pool, who, "send thaw", arguments, reason, result).await?;
    }
    let waiting = admin::waiting(pool, scope.borrowed()).await?;
    let other_freezes = admin::freezes(pool)
        .await?
        .into_iter()
        .map(|freeze| freeze.scope)
        .filter(|scope| *scope != key)
        .collect();
    Ok(Thawed { scope: key, frozen: false, changed, waiting, other_freezes, dry_run })
}
