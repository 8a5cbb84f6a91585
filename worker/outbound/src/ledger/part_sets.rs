//! `worker.parts`: changes of many parts, and of their commands and echoes with them. Written as in [`super::command_sets`], so that every
//! row is looked up by its key.

use facts::follow_up::conversation_state;
use schemas::{AccountId, Channel, Timestamp};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::payload::part_key;

/// A part whose attempt begins together with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin<'a> {
    pub(crate) identity: &'a str,
    pub(crate) n: i32,
    pub(crate) rule: &'a str,
}

/// As [`super::part_states::begin`], for one part of each of these commands, with the rule that allowed it. Others look at the commands again after `deadline`.
///
/// # Errors
/// `RowNotFound` when one of them may not be attempted; roll back.
pub(crate) async fn begin_all(
    conn: &mut PgConnection,
    begins: &[Begin<'_>],
    worker: &str,
    now: Timestamp,
    deadline: Timestamp,
) -> sqlx::Result<()> {
    let begun = sqlx::query(
        "with claimed as (
            update worker.commands c set due_at = $5, held = null, rule = t.rule
              from unnest($1::text[], $6::text[]) as t (identity, rule) where c.identity = any(array[t.identity]))
         update worker.parts p
            set state = 'sending', attempt = p.attempt + 1, worker = $3, first_at = coalesce(p.first_at, $4), started_at = $4,
                deadline = $5, lost = false, not_before = null, looks = 0, absent_at = null, error = null
           from unnest($1::text[], $2::int[]) as t (identity, n)
          where p.identity = any(array[t.identity]) and p.n = t.n and p.state in ('planned', 'refused')",
    )
    .bind(begins.iter().map(|begin| begin.identity).collect::<Vec<_>>())
    .bind(begins.iter().map(|begin| begin.n).collect::<Vec<_>>())
    .bind(worker)
    .bind(now)
    .bind(deadline)
    .bind(begins.iter().map(|begin| begin.rule).collect::<Vec<_>>())
    .execute(conn)
    .await?
    .rows_affected();
    if begun == begins.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// A part that was sent by the answer to its current attempt, which says nothing but the message.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) identity: String,
    pub(crate) n: i32,
    pub(crate) attempt: u32,
    pub(crate) channel: Channel,
    pub(crate) account_id: AccountId,
    /// Meta's id of the message.
    pub(crate) item_id: String,
    /// What the ledger keeps of the answer.
    pub(crate) kept: Value,
}

/// A part that is sent now.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SentRow {
    pub(crate) identity: String,
    pub(crate) n: i32,
    /// Its command has ended by it.
    pub(crate) has_ended: bool,
}

/// The parts, each of another command, are sent as these messages. They claim the echoes of these, where they are there and no other part
/// has them. Commands end whose parts are all sent; the next part of the others is due. Where another part, or another command of the lane,
/// is next, senders are notified. All in one statement, so that it is all or nothing without a transaction.
///
/// Returns the parts that are sent now. Left out, and unchanged: those whose command somebody else holds, that were settled meanwhile, are
/// attempted anew, or stand beside a part that ended otherwise.
pub(crate) async fn settle_sent(
    pool: &PgPool,
    parts: &[&Answered],
    worker: &str,
) -> sqlx::Result<Vec<SentRow>> {
    let number = |attempt: u32| i32::try_from(attempt).unwrap_or(i32::MAX);
    sqlx::query_as(
        "with locked as materialized (
            select c.identity from worker.commands c where c.identity = any($1) and c.state in ('open', '') for update skip locked),
         sent as (
            update worker.parts p
               set state = 'sent', message_id = t.item_id, sent_at = clock_timestamp(), settled_by = 'answer', error = null, lost = false,
                   answer = t.answer
              from unnest($1::text[], $2::int[], $3::int[], $4::text[], $5::jsonb[], $6::text[], $7::text[], $8::text[])
                   as t (identity, n, attempt, item_id, answer, channel, account_id, key)
              join locked on locked.identity = t.identity
             where p.identity = any(array[t.identity]) and p.n = t.n and p.state in ('sending', '') and p.attempt = t.attempt and p.worker = $9
               and not exists (select from (select from worker.parts q
                                             where q.identity = t.identity and q.state in ('failed', 'unknown', 'skipped') offset 0) other)
            returning p.identity, p.n, t.item_id, t.channel, t.account_id, t.key),
         claimed as (
            update worker.echoes e set claimed_by = sent.key, examined = true from sent
             where e.channel = any(array[sent.channel]) and e.account_id = sent.account_id and e.item_id = sent.item_id
               and (e.claimed_by is null or e.claimed_by = sent.key)),
         part as (
            select sent.identity, sent.n,
                   not exists (select from (select from worker.parts q
                                             where q.identity = sent.identity and q.n <> sent.n and q.state <> 'sent' offset 0) other)
                       as all_sent
              from sent),
         done as (
            update worker.commands c
               set state = case when part.all_sent then 'sent' else c.state end, held = null, error = null,
                   finished_at = case when part.all_sent then clock_timestamp() end,
                   version = c.version + case when part.all_sent then 1 else 0 end,
                   due_at = case when part.all_sent then c.due_at else clock_timestamp() end, outcome_published = false
              from part where c.identity = any(array[part.identity])
            returning c.identity, c.lane, part.n, part.all_sent),
         woken as (
            select pg_notify($10, '')
             where exists (select from done where not done.all_sent
                              or exists (select from (select from worker.commands o
                                                       where o.lane = done.lane and o.state = 'open' and o.identity <> done.identity
                                                      offset 0) next)))
         select done.identity, done.n, done.all_sent as has_ended from done left join woken on true",
    )
    .bind(parts.iter().map(|part| part.identity.as_str()).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.n).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| number(part.attempt)).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.item_id.as_str()).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| &part.kept).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.channel.as_str()).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.account_id.as_str()).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part_key(&part.identity, part.n)).collect::<Vec<_>>())
    .bind(worker)
    .bind(conversation_state::WAKE)
    .fetch_all(pool)
    .await
}
