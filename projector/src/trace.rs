//! What the serving read model made of events and messages, for `hookline trace`: which rows, never what people wrote in them.

use serde::Serialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

/// Most rows of one sort that are told.
const ROWS_MAX: i64 = 200;

/// What the read model has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rows {
    /// The schema that is served.
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

/// Finds what became of events and messages in the schema that is served.
///
/// # Errors
/// Of the database; a read model that is not there yet has nothing.
pub async fn find(pool: &PgPool, events: &[String], messages: &[String]) -> sqlx::Result<Rows> {
    let there: bool = sqlx::query_scalar("select to_regclass('inbox.serving') is not null")
        .fetch_one(pool)
        .await?;
    if !there {
        return Ok(Rows::default());
    }
    let schema: Option<String> =
        sqlx::query_scalar("select schema from inbox.serving").fetch_optional(pool).await?;
    let Some(schema) = schema else { return Ok(Rows::default()) };
    let ask = async |sql: String, keys: &[String]| -> sqlx::Result<Vec<Value>> {
        let sql = format!("{sql} limit {ROWS_MAX}");
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(keys).fetch_all(pool).await
    };
    let folded = format!(
        "select jsonb_build_object('event_id', event_id, 'row', entity, 'slot', slot, 'kind', kind, 'revision', revision,
                'without_content', body is null) from {schema}.facts where event_id = any($1)"
    );
    let rows = format!(
        "select jsonb_build_object('id', id, 'message_id', message_id, 'conversation_id', conversation_id, 'direction', direction,
                'hidden', hidden, 'sent_at', sent_at, 'edited_at', edited_at, 'deleted_at', deleted_at, 'delivered_at', delivered_at,
                'read_at', read_at, 'reply_id', reply_id, 'content_missing', content_missing, 'sender_resolution', sender_resolution,
                'event_id', event_id) from {schema}.messages where message_id = any($1)"
    );
    let conversations = format!(
        "select jsonb_build_object('id', id, 'channel', channel, 'account_id', account_id, 'contact_id', contact_id,
                'last_message_id', last_message_id, 'unread_count', unread_count, 'window_expires_at', window_expires_at,
                'enriched_at', enriched_at)
           from {schema}.conversations where id in (select conversation_id from {schema}.messages where message_id = any($1))"
    );
    let parked = format!(
        "select jsonb_build_object('seq', seq, 'stage', 'project', 'event_id', event_id, 'kind', kind, 'cause', cause, 'detail', detail,
                'parked_at', first_seen) from {schema}.parked where event_id = any($1)"
    );
    Ok(Rows {
        folded: ask(folded, events).await?,
        messages: ask(rows, messages).await?,
        conversations: ask(conversations, messages).await?,
        parked: ask(parked, events).await?,
        schema: Some(schema),
    })
}
