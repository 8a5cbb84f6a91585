//! The definitions of endpoints, which the api owns and publishes (`api.endpoint_definitions`).

use delivery::{Secret, Wanted, secret_context};
use runtime::seal::Seal;
use schemas::Timestamp;
use sqlx::{FromRow, PgPool};
use url::Url;

#[derive(FromRow)]
struct DefinitionRow {
    id: String,
    url: String,
    kinds: Vec<String>,
    accounts: Vec<String>,
    secret: Vec<u8>,
    previous_secret: Option<Vec<u8>>,
    previous_until: Option<Timestamp>,
    paused: bool,
    created_at: Timestamp,
    changes: i64,
    resumes: i64,
    replay_from: Option<Timestamp>,
    replay_asked: i64,
}

/// An endpoint as it is meant to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) id: String,
    /// `None`: it cannot be delivered to, because URL or secret cannot be read.
    pub(crate) receiver: Option<Receiver>,
    pub(crate) wanted: Wanted,
    pub(crate) paused: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) changes: i64,
    pub(crate) resumes: i64,
    pub(crate) replay_from: Option<Timestamp>,
    pub(crate) replay_asked: i64,
}

/// Where to, and signed with what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Receiver {
    pub(crate) url: Url,
    secret: Secret,
    previous: Option<(Secret, Timestamp)>,
}

impl Receiver {
    /// The secrets that sign now.
    pub(crate) fn secrets(&self, now: Timestamp) -> Vec<Secret> {
        let previous = self.previous.iter().filter(|(_, until)| now < *until);
        std::iter::once(&self.secret).chain(previous.map(|(secret, _)| secret)).cloned().collect()
    }
}

/// All of them.
///
/// # Errors
/// `sqlx::Error`, also where the api has not migrated yet: then nothing is known, which is not the same as that there are none.
pub(crate) async fn all(pool: &PgPool, seal: &Seal) -> sqlx::Result<Vec<Definition>> {
    let rows: Vec<DefinitionRow> = sqlx::query_as(
        "select id, url, kinds, accounts, secret, previous_secret, previous_until, paused, created_at, changes, resumes,
                replay_from, replay_asked
           from api.endpoint_definitions",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| definition(row, seal)).collect())
}

fn definition(row: DefinitionRow, seal: &Seal) -> Definition {
    Definition {
        receiver: receiver(&row, seal),
        wanted: Wanted::of(&row.kinds, &row.accounts),
        id: row.id,
        paused: row.paused,
        created_at: row.created_at,
        changes: row.changes,
        resumes: row.resumes,
        replay_from: row.replay_from,
        replay_asked: row.replay_asked,
    }
}

fn receiver(row: &DefinitionRow, seal: &Seal) -> Option<Receiver> {
    let open = |sealed: &[u8]| {
        let text = seal.open(&secret_context(&row.id), sealed).ok()?;
        Secret::parse(&text)
    };
    let url = row.url.parse().ok()?;
    let secret = open(&row.secret)?;
    let previous = row.previous_secret.as_deref().and_then(open).zip(row.previous_until);
    Some(Receiver { url, secret, previous })
}
