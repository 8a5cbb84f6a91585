//! Moving what is sealed to the first key of `ENCRYPTION_KEY`, so that the others can be thrown away.
//!
//! Each row is moved by itself, where nobody has changed it meanwhile, so the work may be stopped and repeated at any time.

use schemas::{AccountId, Channel};
use sqlx::{FromRow, PgPool};

use crate::accounts::store::token_context;
use crate::error::FactError;
use crate::seal::Seal;
use crate::secrets;

/// Rows of one read.
const PAGE: i64 = 500;

/// What was done with the sealed values of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Sealed by the first key from now on.
    pub moved: u64,
    /// Sealed by it before.
    pub kept: u64,
}

impl Rekeyed {
    /// Counts one.
    pub const fn count(&mut self, moved: bool) {
        if moved {
            self.moved += 1;
        } else {
            self.kept += 1;
        }
    }
}

#[derive(FromRow)]
struct TokenRow {
    channel: Channel,
    id: AccountId,
    token: Vec<u8>,
    next_token: Option<Vec<u8>>,
}

#[derive(FromRow)]
struct SecretRow {
    event_id: String,
    name: String,
    sealed: Vec<u8>,
}

/// Tokens of accounts.
///
/// # Errors
/// [`FactError`]; what is moved is moved, call again. A token that no key opens is an error that names `ENCRYPTION_KEY`.
pub async fn tokens(pool: &PgPool, seal: &Seal) -> Result<Rekeyed, FactError> {
    let mut done = Rekeyed::default();
    let rows: Vec<TokenRow> = sqlx::query_as(
        "select a.channel, a.id, a.token, u.next_token from worker.accounts a
           left join worker.account_upkeep u on u.channel = a.channel and u.account_id = a.id
          order by a.channel, a.id",
    )
    .fetch_all(pool)
    .await?;
    for row in rows {
        let context = token_context(row.channel, &row.id);
        let moved = seal.reseal(&context, &row.token)?;
        done.count(moved.is_some());
        if let Some(moved) = moved {
            sqlx::query("update worker.accounts set token = $4 where channel = $1 and id = $2 and token = $3")
                .bind(row.channel)
                .bind(&row.id)
                .bind(&row.token)
                .bind(moved)
                .execute(pool)
                .await?;
        }
        let Some(next) = row.next_token else { continue };
        if let Some(moved) = seal.reseal(&context, &next)? {
            sqlx::query(
                "update worker.account_upkeep set next_token = $4
                  where channel = $1 and account_id = $2 and next_token = $3",
            )
            .bind(row.channel)
            .bind(&row.id)
            .bind(&next)
            .bind(moved)
            .execute(pool)
            .await?;
        }
    }
    Ok(done)
}

/// Secrets that came with webhooks.
///
/// # Errors
/// As [`tokens`].
pub async fn webhook_secrets(pool: &PgPool, seal: &Seal) -> Result<Rekeyed, FactError> {
    let mut done = Rekeyed::default();
    let mut after = (String::new(), String::new());
    loop {
        let rows: Vec<SecretRow> = sqlx::query_as(
            "select event_id, name, sealed from worker.secrets
              where (event_id, name) > ($1, $2) order by event_id, name limit $3",
        )
        .bind(&after.0)
        .bind(&after.1)
        .bind(PAGE)
        .fetch_all(pool)
        .await?;
        let Some(last) = rows.last() else { return Ok(done) };
        after = (last.event_id.clone(), last.name.clone());
        for row in rows {
            let context = secrets::context(&row.event_id, &row.name);
            let moved = seal.reseal(&context, &row.sealed)?;
            done.count(moved.is_some());
            if let Some(moved) = moved {
                sqlx::query(
                    "update worker.secrets set sealed = $3 where event_id = $1 and name = $2 and sealed = $4",
                )
                .bind(&row.event_id)
                .bind(&row.name)
                .bind(moved)
                .bind(&row.sealed)
                .execute(pool)
                .await?;
            }
        }
    }
}
