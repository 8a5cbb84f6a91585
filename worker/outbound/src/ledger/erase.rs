//! `worker.commands`, `worker.parts`, `worker.freezes`: what is left of commands to a person, or of messages, that were erased.

use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, ConversationId, MessageId, Timestamp};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgPool};

/// How many parts to a person may be on their way to Meta.
pub(crate) async fn under_way(pool: &PgPool, conversation: &ConversationId) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from worker.commands c join worker.parts p on p.identity = c.identity
          where c.conversation_id = $1 and p.state = 'sending'",
    )
    .bind(conversation)
    .fetch_one(pool)
    .await
}

/// Whether a command that has sent one of these messages is open.
pub(crate) async fn are_open(
    pool: &PgPool,
    channel: Channel,
    account: &AccountId,
    messages: &[MessageId],
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from worker.parts p join worker.commands c on c.identity = p.identity
                         where p.message_id = any($3) and c.channel = $1 and c.account_id = $2 and c.state = 'open')",
    )
    .bind(channel)
    .bind(account)
    .bind(messages.iter().map(MessageId::as_str).collect::<Vec<_>>())
    .fetch_one(pool)
    .await
}

/// Ends the commands of a conversation that are open or parked, and takes the person and all words out of all of them. The rows stay: the
/// same command has no second effect. In place of the digest of a content stands one that no content has.
pub(crate) async fn forget_conversation(
    conn: &mut PgConnection,
    conversation: &ConversationId,
    until: Timestamp,
    error: &OutcomeError,
) -> sqlx::Result<u64> {
    // Commands first, as everybody who changes parts locks them.
    let identities: Vec<String> = sqlx::query_scalar(
        "select identity from worker.commands where conversation_id = $1 and requested_at <= $2 order by identity for update",
    )
    .bind(conversation)
    .bind(until)
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query(
        "update worker.parts
            set state = case when state in ('planned', 'sending', 'refused', 'unknown') then 'failed' else state end,
                payload = case payload ->> 'op' when 'message' then '{\"op\": \"message\", \"message\": {}}'
                               when 'private_reply' then '{\"op\": \"private_reply\", \"comment_id\": \"\", \"text\": \"\"}'
                               when 'template_send' then '{\"op\": \"template_send\", \"template\": {}}'
                               when 'conversion' then '{\"op\": \"conversion\", \"dataset_id\": \"\", \"event\": {}}'
                               else payload end,
                content = decode(repeat('00', 32), 'hex'), peer = '', lane = 'erased:' || identity, message_id = null, error = null, answer = null, uncertain = false
          where identity = any($1)",
    )
    .bind(&identities)
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query(
        "update worker.commands
            set version = version + case when state in ('open', 'unknown') then 1 else 0 end,
                outcome_published = outcome_published and state not in ('open', 'unknown'),
                error = case when state in ('open', 'unknown') then $2 else error end,
                finished_at = coalesce(finished_at, clock_timestamp()),
                state = case when state in ('open', 'unknown') then 'failed' else state end,
                data = '{}', contact_id = null, conversation_id = null, lane = 'erased:' || identity, held = null, result = null,
                caused_by = null, traceparent = null
          where identity = any($1)",
    )
    .bind(&identities)
    .bind(Json(error))
    .execute(&mut *conn)
    .await?;
    sqlx::query("delete from worker.freezes where scope = 'conversation:' || $1")
        .bind(conversation)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// A command that sent one of some messages.
#[derive(FromRow)]
struct SentRow {
    identity: String,
    is_open: bool,
}

/// Takes the words out of what was sent as these messages; what else their commands sent keeps its own. Returns where the commands stand in
/// the present INBOX_COMMANDS; `None`: one of them is open and needs its words.
pub(crate) async fn forget_messages(
    conn: &mut PgConnection,
    channel: Channel,
    account: &AccountId,
    messages: &[MessageId],
) -> sqlx::Result<Option<Vec<i64>>> {
    let messages: Vec<&str> = messages.iter().map(MessageId::as_str).collect();
    let sent: Vec<SentRow> = sqlx::query_as(
        "select c.identity, c.state = 'open' as is_open from worker.commands c
          where c.channel = $1 and c.account_id = $2 and c.identity in (select identity from worker.parts where message_id = any($3))
          order by c.identity for update of c",
    )
    .bind(channel)
    .bind(account)
    .bind(&messages)
    .fetch_all(&mut *conn)
    .await?;
    if sent.iter().any(|command| command.is_open) {
        return Ok(None);
    }
    let identities: Vec<String> = sent.into_iter().map(|command| command.identity).collect();
    sqlx::query(
        "update worker.parts
            set payload = case payload ->> 'op' when 'message' then '{\"op\": \"message\", \"message\": {}}'
                               when 'template_send' then '{\"op\": \"template_send\", \"template\": {}}'
                               else payload || '{\"text\": \"\"}' end,
                content = decode(repeat('00', 32), 'hex'), error = null, answer = null
          where identity = any($1) and message_id = any($2) and payload ->> 'op' in ('message', 'private_reply', 'template_send')",
    )
    .bind(&identities)
    .bind(&messages)
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar(
        "update worker.commands set data = '{}' where identity = any($1)
         returning case when stream_era = (select worker.current_era('INBOX_COMMANDS')) then stream_seq else 0 end",
    )
    .bind(&identities)
    .fetch_all(conn)
    .await
    .map(Some)
}
