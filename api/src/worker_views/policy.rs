//! What the worker's policy knows of a conversation and its account.

use schemas::{AccountId, Channel, ContactId, Timestamp};
use sqlx::{FromRow, PgPool};

/// What the policy judges by, as of now.
#[derive(FromRow)]
pub(crate) struct SituationRow {
    /// The database's clock.
    pub now: Timestamp,
    pub account_state: String,
    pub blocked: bool,
    pub paused: bool,
    pub frozen: bool,
    pub parked: bool,
    pub to_itself: bool,
    pub opened_at: Option<Timestamp>,
    pub other_owns: bool,
    pub others_replied_at: Option<Timestamp>,
    pub unreachable: bool,
}

/// What the policy judges by. `None`: the worker knows no such account.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn situation(
    pool: &PgPool,
    channel: Channel,
    account: &AccountId,
    conversation: &str,
    contact: &ContactId,
) -> sqlx::Result<Option<SituationRow>> {
    sqlx::query_as(
        "select clock_timestamp() as now, h.state as account_state, h.blocked_by_meta as blocked, h.paused_until is not null as paused,
                exists (select from worker.send_stops s
                         where s.scope in ('*', 'behind', 'account:' || h.channel || '/' || h.account_id, 'conversation:' || $3)) as frozen,
                exists (select from worker.replies r where r.conversation_id = $3 and r.state = 'unknown') as parked,
                exists (select from worker.account_ids i
                         where i.channel = h.channel and i.account_id = h.account_id and i.known_as = $4) as to_itself,
                p.opened_at, coalesce(p.other_owns, false) as other_owns, p.others_replied_at,
                coalesce(p.unreachable, false) as unreachable
         from worker.account_health h left join worker.conversation_policy p on p.conversation_id = $3
         where h.channel = $1 and h.account_id = $2",
    )
    .bind(channel)
    .bind(account)
    .bind(conversation)
    .bind(contact)
    .fetch_optional(pool)
    .await
}
