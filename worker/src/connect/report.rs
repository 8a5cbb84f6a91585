//! What became of a login, for operators.

use sqlx::{FromRow, PgPool};

use super::candidates::Candidates;

/// How a login stands.
#[derive(Clone, Debug)]
pub struct LoginReport {
    step: String,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// The accounts that were chosen.
    pub accounts: Vec<AccountReport>,
}

impl LoginReport {
    /// Whether it ended with accounts.
    pub fn is_done(&self) -> bool {
        self.step == "done"
    }
}

/// What became of an account.
#[derive(Clone, Debug)]
pub struct AccountReport {
    /// `instagram` or `messenger`.
    pub channel: String,
    /// Its id.
    pub id: String,
    /// `connected`, `reconnected` or `failed`.
    pub outcome: String,
    /// What to do.
    pub note: Option<String>,
}

#[derive(FromRow)]
struct Row {
    step: String,
    refusal: Option<String>,
    #[sqlx(json)]
    candidates: Candidates,
}

/// How a login stands; `None`: no worker has seen it yet.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn report(pool: &PgPool, id: &str) -> sqlx::Result<Option<LoginReport>> {
    let row: Option<Row> =
        sqlx::query_as("select step, refusal, candidates from worker.connections where id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|row| LoginReport {
        step: row.step,
        refusal: row.refusal,
        accounts: row
            .candidates
            .0
            .into_iter()
            .filter_map(|one| {
                Some(AccountReport {
                    channel: one.channel.to_string(),
                    id: one.id,
                    outcome: one.outcome?,
                    note: one.note,
                })
            })
            .collect(),
    }))
}
