//! What the serving read model made of events and messages, for `hookline trace`: which rows, never what people wrote in them.

use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;

use crate::store::tables::{conversations, facts, messages, parked};
use crate::store::{scope, serving};

/// Most rows of one table that are returned.
const ROWS_MAX: i64 = 200;

/// The rows that were made of events and messages.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rows {
    /// The schema that serves.
    pub schema: Option<String>,
    /// Which row each event is a part of, with the revision that holds.
    pub folded: Vec<Value>,
    /// Rows of messages.
    pub messages: Vec<Value>,
    /// Rows of their conversations.
    pub conversations: Vec<Value>,
    /// Events that were set aside.
    pub parked: Vec<Value>,
}

/// Finds what became of events and messages in the schema that serves; nothing where there is no read model yet.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub async fn find(pool: &PgPool, events: &[String], messages: &[String]) -> sqlx::Result<Rows> {
    let mut tx = pool.begin().await?;
    if !serving::exists(&mut tx).await? {
        return Ok(Rows::default());
    }
    let Some(schema) = serving::serving_now(&mut tx).await? else { return Ok(Rows::default()) };
    scope::enter(&mut tx, &schema).await?;
    let rows = Rows {
        folded: facts::trace(&mut tx, events, ROWS_MAX).await?,
        messages: messages::trace(&mut tx, messages, ROWS_MAX).await?,
        conversations: conversations::trace(&mut tx, messages, ROWS_MAX).await?,
        parked: parked::trace(&mut tx, events, ROWS_MAX).await?,
        schema: Some(schema.to_string()),
    };
    tx.commit().await?;
    Ok(rows)
}
