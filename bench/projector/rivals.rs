//! What the projector is compared with: the same final rows by COPY, and a writer that upserts event by event.

use std::path::Path;
use std::time::Instant;

use schemas::{ContactId, ConversationId, Event, Fact};
use sqlx::{AssertSqlSafe, PgPool};

use super::stage::Model;

const TABLES: [&str; 10] = [
    "facts",
    "withdrawn",
    "conversations",
    "messages",
    "receipts",
    "comments",
    "reactions",
    "posts",
    "mentions",
    "insights",
];

/// Writes the rows of a model into files.
pub(crate) async fn unload(model: &Model, folder: &Path) {
    for table in TABLES {
        let file = folder.join(format!("bench-{table}"));
        let copy = format!("copy inbox_v1.{table} to '{}'", file.display());
        sqlx::raw_sql(AssertSqlSafe(copy)).execute(&model.pool).await.unwrap();
    }
}

/// Copies them into an empty model, indexes and all. Returns the seconds it took.
pub(crate) async fn load(model: &Model, folder: &Path) -> f64 {
    let began = Instant::now();
    let mut tx = model.pool.begin().await.unwrap();
    for table in TABLES {
        let file = folder.join(format!("bench-{table}"));
        let copy = format!("copy inbox_v1.{table} from '{}'", file.display());
        sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    began.elapsed().as_secs_f64()
}

/// One transaction for each event: the row of its message, and a counter in its conversation. Returns seconds per event.
pub(crate) async fn upsert(pool: &PgPool, events: &[Event]) -> f64 {
    let began = Instant::now();
    for (seq, event) in events.iter().enumerate() {
        let mut tx = pool.begin().await.unwrap();
        sqlx::query(
            "insert into inbox_v1.facts (event_id, entity, slot, kind, time, revision, rank, digest, body)
             values ($1, $1, 'main', $2, $3, 0, 0, '', $4) on conflict (event_id, entity) do nothing",
        )
        .bind(event.id.as_str())
        .bind(event.kind().as_str())
        .bind(event.time.to_datetime())
        .bind(serde_json::to_value(event).unwrap())
        .execute(&mut *tx)
        .await
        .unwrap();
        let contact = event.data.contact_id.clone().unwrap_or_else(|| ContactId::from(""));
        let conversation = ConversationId::of(event.data.channel, &event.data.account_id, &contact);
        let message = match &event.data.fact {
            Fact::MessageReceived(body) => Some((body, "inbound")),
            Fact::MessageSent(body) => Some((body, "outbound")),
            _ => None,
        };
        if let Some((body, direction)) = message {
            sqlx::query(
                "insert into inbox_v1.messages (id, channel, account_id, contact_id, conversation_id, message_id, direction, hidden,
                    text, attachments, reactions, sent_at, time_approximate, standby, is_self, backfilled, unsupported,
                    content_missing, counts_unread, opens_window, event_id)
                 values ($1, 'instagram', $2, $3, $4, $1, $5, false, $6, '[]', '[]', $7, false, false, false, false, false, false,
                    $8, $8, $9)
                 on conflict (id) do update set text = excluded.text",
            )
            .bind(body.message_id.as_str())
            .bind(event.data.account_id.as_str())
            .bind(contact.as_str())
            .bind(conversation.as_str())
            .bind(direction)
            .bind(&body.text)
            .bind(event.time.to_datetime())
            .bind(direction == "inbound")
            .bind(event.id.as_str())
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        sqlx::query(
            "insert into inbox_v1.conversations as c (id, channel, account_id, contact_id, name, placeholder, enriched, archived,
                blocked, known, last_message_at, unread_count)
             values ($1, 'instagram', $2, $3, '', '', false, false, false, false, $4, 1)
             on conflict (id) do update set unread_count = c.unread_count + 1, last_message_at = excluded.last_message_at",
        )
        .bind(conversation.as_str())
        .bind(event.data.account_id.as_str())
        .bind(contact.as_str())
        .bind(event.time.to_datetime())
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "insert into inbox_v1.positions (name, stream, seq) values ('naive', 'INBOX_EVENTS', $1)
             on conflict (name) do update set seq = excluded.seq",
        )
        .bind(i64::try_from(seq).unwrap())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
    #[allow(clippy::cast_precision_loss)]
    let each = began.elapsed().as_secs_f64() / events.len() as f64;
    each
}
