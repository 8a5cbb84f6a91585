//! `worker.conversations`: what sending learns for the policy. What events say of conversations is written by
//! [`facts::follow_up::conversation_state`].

use schemas::{AccountId, Channel, ContactId, ConversationId, Timestamp};
use sqlx::{PgConnection, PgPool};

/// Meta said that the person cannot be reached. It holds until they act again.
pub(crate) async fn set_unreachable(
    conn: &mut PgConnection,
    conversation: &ConversationId,
) -> sqlx::Result<()> {
    sqlx::query("update worker.conversations set unreachable_at = clock_timestamp() where conversation_id = $1")
        .bind(conversation)
        .execute(conn)
        .await?;
    Ok(())
}

/// Meta said that another app controls the thread. It holds until the next notice about the thread.
pub(crate) async fn set_other_owns(
    conn: &mut PgConnection,
    conversation: &ConversationId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.conversations set other_owns = true, owner_at = clock_timestamp(), owner_event = 'answer'
          where conversation_id = $1 and (owner_at is null or owner_at < clock_timestamp())",
    )
    .bind(conversation)
    .execute(conn)
    .await?;
    Ok(())
}

/// A person in Meta's own inbox, or another app, answered. The contact may not have written yet, or their message may still wait for its
/// sender: then the row is made.
pub(crate) async fn others_replied(
    conn: &mut PgConnection,
    channel: Channel,
    account_id: &AccountId,
    contact_id: &ContactId,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.conversations as c (conversation_id, channel, account_id, contact_id, others_replied_at)
         values ($1, $2, $3, $4, least($5, clock_timestamp()))
         on conflict (conversation_id) do update
            set others_replied_at = greatest(c.others_replied_at, excluded.others_replied_at)",
    )
    .bind(ConversationId::of(channel, account_id, contact_id))
    .bind(channel)
    .bind(account_id)
    .bind(contact_id)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Channel and account of a conversation, as far as the worker knows of it.
pub(crate) async fn account_of(
    pool: &PgPool,
    conversation: &str,
) -> sqlx::Result<Option<(String, String)>> {
    sqlx::query_as(
        "select channel, account_id from worker.conversations where conversation_id = $1
         union all
         (select channel, account_id from worker.commands where conversation_id = $1 limit 1)
         limit 1",
    )
    .bind(conversation)
    .fetch_optional(pool)
    .await
}
