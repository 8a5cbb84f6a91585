//! The part of the status about sending: what is held and why, and what waits for somebody.

use std::collections::{BTreeMap, HashMap};

use schemas::{AccountId, Channel, Timestamp};
use serde::Serialize;
use sqlx::PgPool;
use worker::facts::accounts::{overview, upkeep};
use worker::facts::follow_up::overview::blocked_accounts;
use worker::outbound::admin;
use worker::outbound::backlog::{self, Backlog};
use worker::upkeep::{Urgency, days_left, silent_fields, silent_since, urgency};

use super::absent::absent_is_empty;
use super::lag::age;

/// How sending stands.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Sending {
    /// Commands that wait although nothing is in flight, by reason: `frozen`, `account_stopped`, `paused`, `budget`, `parked`.
    pub(crate) held: BTreeMap<String, i64>,
    /// How long the oldest parked send waits for a person, seconds.
    pub(crate) oldest_unknown_seconds: Option<u64>,
    /// Replies refused within a day because the window was closed.
    pub(crate) window_refusals: i64,
    /// Since when the ledger is behind the log of attempts, so that nothing is sent.
    pub(crate) behind_log: Option<BehindLog>,
    /// How far Graph's clock is from the database's, by host, as workers last measured it.
    pub(crate) graph_clocks: BTreeMap<String, Clock>,
    /// Freezes in force.
    pub(crate) freezes: Vec<admin::Freeze>,
    /// Accounts whose token or right Meta refused: their queues wait.
    pub(crate) accounts_stopped: Vec<Stopped>,
    /// Accounts whose token ends within 14 days, whose webhook fields Meta withholds, or that are silent although they used to speak.
    pub(crate) accounts_to_tend: Vec<ToTend>,
    /// Accounts whose messages Meta blocks for a breach of policy.
    pub(crate) accounts_blocked: Vec<String>,
}

/// Postgres was put back: what it does not know is being settled, and nothing is sent meanwhile.
#[derive(Debug, Serialize)]
pub(crate) struct BehindLog {
    /// `ledger behind the log`
    pub(crate) frozen: &'static str,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Sends that the ledger did not know of.
    pub(crate) attempts: i64,
}

/// The clock of one of Graph's hosts.
#[derive(Debug, Serialize)]
pub(crate) struct Clock {
    /// Milliseconds; negative where it is behind.
    pub(crate) ahead_ms: i64,
    /// Whether this is within `GRAPH_CLOCK_MAX_SKEW`.
    pub(crate) agrees: bool,
    /// When.
    pub(crate) measured_at: Timestamp,
}

/// A stopped account.
#[derive(Debug, Serialize)]
pub(crate) struct Stopped {
    /// Channel and id.
    pub(crate) account: String,
    /// Why, in numbers of Meta's.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) since: Option<Timestamp>,
    /// Commands that wait for a new token.
    pub(crate) waiting: i64,
}

/// An account that somebody should look after.
#[derive(Debug, Serialize)]
pub(crate) struct ToTend {
    /// Channel and id.
    pub(crate) account: String,
    /// `notice` 14 days before its token ends, `warning` 7, `alert` 3; absent where it does not end soon.
    pub(crate) token: Option<&'static str>,
    /// When its token ends.
    pub(crate) token_ends: Option<Timestamp>,
    /// Until then.
    pub(crate) days_left: Option<f64>,
    /// Why the last refresh failed, in Meta's numbers.
    pub(crate) refresh_error: Option<String>,
    /// Fields that Meta refused or lost, as `object/field`.
    pub(crate) fields_withheld: Vec<String>,
    /// Since when nothing came for it, where that is longer than it ever was.
    pub(crate) silent_since: Option<Timestamp>,
    /// Webhook fields of which nothing comes while others speak, and since when.
    pub(crate) fields_silent: BTreeMap<String, Timestamp>,
}

/// Reads it.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn read(
    pool: &PgPool,
    backlog: &Backlog,
    now: Timestamp,
) -> sqlx::Result<Sending> {
    let held = absent_is_empty(backlog::held(pool).await)?;
    let freezes = absent_is_empty(admin::freezes(pool).await)?;
    let behind_log = absent_is_empty(admin::behind_log(pool).await)?.map(|behind| BehindLog {
        frozen: "ledger behind the log",
        since: behind.since,
        attempts: behind.attempts,
    });
    let blocked = absent_is_empty(blocked_accounts(pool).await)?;
    let clocks = absent_is_empty(admin::graph_clocks(pool).await)?;
    Ok(Sending {
        held: held.into_iter().map(|held| (held.reason, held.count)).collect(),
        oldest_unknown_seconds: age(backlog.oldest_unknown, now),
        window_refusals: backlog.window_refusals,
        behind_log,
        graph_clocks: clocks
            .into_iter()
            .map(|clock| {
                let admin::GraphClock { host, ahead_ms, agrees, measured_at } = clock;
                (host, Clock { ahead_ms, agrees, measured_at })
            })
            .collect(),
        freezes,
        accounts_stopped: stopped(pool).await?,
        accounts_to_tend: to_tend(pool, now).await?,
        accounts_blocked: blocked
            .into_iter()
            .map(|account| format!("{}/{}", account.channel, account.account_id))
            .collect(),
    })
}

/// Accounts that somebody should look after.
async fn to_tend(pool: &PgPool, now: Timestamp) -> sqlx::Result<Vec<ToTend>> {
    let all = absent_is_empty(upkeep::attention(pool).await)?;
    let in_use = all.into_iter().filter(|one| one.state != "disconnected");
    Ok(in_use
        .map(|one| {
            let urgency = one.token_ends.map_or(Urgency::None, |ends| urgency(ends, now));
            ToTend {
                silent_since: silent_since(&one, now),
                fields_silent: silent_fields(&one, now)
                    .into_iter()
                    .map(|(field, since)| (field.to_owned(), since))
                    .collect(),
                account: format!("{}/{}", one.channel, one.id),
                token: urgency.as_str(),
                days_left: one.token_ends.map(|ends| days_left(ends, now)),
                token_ends: one.token_ends,
                refresh_error: one.refresh_error,
                fields_withheld: one.withheld,
            }
        })
        .filter(|one| {
            one.token.is_some()
                || !one.fields_withheld.is_empty()
                || one.silent_since.is_some()
                || !one.fields_silent.is_empty()
        })
        .collect())
}

/// Stopped accounts with the commands that wait for them.
async fn stopped(pool: &PgPool) -> sqlx::Result<Vec<Stopped>> {
    let accounts = absent_is_empty(overview::stopped(pool).await)?;
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let open = absent_is_empty(backlog::open_by_account(pool).await)?;
    let open: HashMap<(Channel, AccountId), i64> =
        open.into_iter().map(|row| ((row.channel, row.account_id), row.count)).collect();
    Ok(accounts
        .into_iter()
        .map(|account| Stopped {
            account: format!("{}/{}", account.channel, account.id),
            reason: account.reason,
            since: Some(account.since),
            waiting: open.get(&(account.channel, account.id)).copied().unwrap_or(0),
        })
        .collect())
}
