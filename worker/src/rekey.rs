//! `hookline accounts rekey`: everything that is sealed moves to the first key of `ENCRYPTION_KEY`.

use facts::FactError;
use facts::follow_up::waiting::resolution_context;
use facts::rekey::{self, Rekeyed};
use facts::seal::Seal;
use schemas::{AccountId, Channel, MessageId};
use sqlx::{FromRow, PgPool};

/// Rows of one read.
const PAGE: i64 = 500;

#[derive(FromRow)]
struct ResolutionRow {
    channel: Channel,
    account_id: AccountId,
    message_id: MessageId,
    sealed: Vec<u8>,
}

/// Moves all of it; each kind by name.
///
/// # Errors
/// [`FactError`]; what is moved is moved, call again.
pub async fn rekey(pool: &PgPool, seal: &Seal) -> Result<[(&'static str, Rekeyed); 3], FactError> {
    Ok([
        ("tokens", rekey::tokens(pool, seal).await?),
        ("webhook secrets", rekey::webhook_secrets(pool, seal).await?),
        ("resolutions", resolutions(pool, seal).await?),
    ])
}

async fn resolutions(pool: &PgPool, seal: &Seal) -> Result<Rekeyed, FactError> {
    let mut done = Rekeyed::default();
    let mut after = (String::new(), String::new(), String::new());
    loop {
        let rows: Vec<ResolutionRow> = sqlx::query_as(
            "select channel, account_id, message_id, sealed from worker.resolutions
              where (channel, account_id, message_id) > ($1, $2, $3)
              order by channel, account_id, message_id limit $4",
        )
        .bind(&after.0)
        .bind(&after.1)
        .bind(&after.2)
        .bind(PAGE)
        .fetch_all(pool)
        .await?;
        let Some(last) = rows.last() else { return Ok(done) };
        after =
            (last.channel.to_string(), last.account_id.to_string(), last.message_id.to_string());
        for row in rows {
            let context = resolution_context(row.channel, &row.account_id, &row.message_id);
            let moved = seal.reseal(&context, &row.sealed)?;
            done.count(moved.is_some());
            if let Some(moved) = moved {
                sqlx::query(
                    "update worker.resolutions set sealed = $5
                      where channel = $1 and account_id = $2 and message_id = $3 and sealed = $4",
                )
                .bind(row.channel)
                .bind(&row.account_id)
                .bind(&row.message_id)
                .bind(&row.sealed)
                .bind(moved)
                .execute(pool)
                .await?;
            }
        }
    }
}
