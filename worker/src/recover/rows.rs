//! Statements of a recovery: `worker.recovery`, and rows of other rooms of the worker that only a recovery writes this way.

use schemas::{AccountId, Channel, ContactId, MessageId, Timestamp};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgPool};

use super::stage::{Done, Stage};
use crate::enrich::profile;

/// How far a recovery is.
#[derive(Clone, Debug, FromRow)]
pub(super) struct RecoveryRow {
    pub(super) stage: Stage,
    #[sqlx(try_from = "i64")]
    pub(super) position: u64,
    #[sqlx(json)]
    pub(super) done: Done,
    pub(super) finished: bool,
}

/// `None`: none was ever begun.
pub(super) async fn read(pool: &PgPool) -> sqlx::Result<Option<RecoveryRow>> {
    sqlx::query_as(
        "select stage, position, done, finished_at is not null as finished from worker.recovery",
    )
    .fetch_optional(pool)
    .await
}

/// Begins, unless one was begun.
pub(super) async fn begin(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("insert into worker.recovery (stage, done) values ('events', $1) on conflict (one) do nothing")
        .bind(Json(Done::default()))
        .execute(pool)
        .await
        .map(|_| ())
}

/// Moves the position of a stage, in the transaction of what was read up to there. `false`: another process did.
pub(super) async fn advance(
    conn: &mut PgConnection,
    stage: Stage,
    (from, to): (u64, u64),
    done: &Done,
) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "update worker.recovery set position = $3, done = $4 where stage = $1 and position = $2 and finished_at is null",
    )
    .bind(stage)
    .bind(number(from))
    .bind(number(to))
    .bind(Json(done))
    .execute(conn)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Ends a stage. `false`: another process did.
pub(super) async fn turn(pool: &PgPool, from: Stage, to: Stage, done: &Done) -> sqlx::Result<bool> {
    let turned = sqlx::query(
        "update worker.recovery set stage = $2, position = 0, done = $3 where stage = $1 and finished_at is null",
    )
    .bind(from)
    .bind(to)
    .bind(Json(done))
    .execute(pool)
    .await?;
    Ok(turned.rows_affected() == 1)
}

/// The recovery is finished: workers may work.
pub(super) async fn finish(pool: &PgPool, done: &Done) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.recovery set finished_at = now(), done = $1 where finished_at is null",
    )
    .bind(Json(done))
    .execute(pool)
    .await
    .map(|_| ())
}

/// Whether a worker ever worked on this database.
pub(super) async fn is_used(pool: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from worker.leases) or exists (select from worker.positions)
             or exists (select from worker.facts) or exists (select from worker.commands)",
    )
    .fetch_one(pool)
    .await
}

/// Connections of workers to this database.
pub(super) async fn workers(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'hookline-worker'",
    )
    .fetch_one(pool)
    .await
}

/// A profile that was read.
pub(super) struct ProfileRead<'a> {
    pub(super) channel: Channel,
    pub(super) account: &'a AccountId,
    pub(super) contact: &'a ContactId,
    pub(super) digest: [u8; 32],
    pub(super) at: Timestamp,
}

/// Notes a profile that was read and published: nobody asks again before the person acts after `fresh_until`.
pub(super) async fn enriched(
    conn: &mut PgConnection,
    read: &ProfileRead<'_>,
    fresh_until: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.contacts as c (channel, account_id, contact_id, last_trigger_at, refresh_after, attempts, answer, answered_at,
                profile_digest, enriched_at)
         values ($1, $2, $3, $4, $5, 1, $7, $4, $6, $4)
         on conflict (channel, account_id, contact_id) do update
            set due_at = null, refresh_after = excluded.refresh_after, attempts = 1, answer = excluded.answer,
                answered_at = excluded.answered_at, profile_digest = excluded.profile_digest, enriched_at = excluded.enriched_at
          where c.enriched_at is null or c.enriched_at <= excluded.enriched_at",
    )
    .bind(read.channel)
    .bind(read.account)
    .bind(read.contact)
    .bind(read.at)
    .bind(fresh_until)
    .bind(read.digest.as_slice())
    .bind(crate::enrich::freshness::Answer::Profile.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Of the people who are wanted: those whose profile was fresh at their last act, and those who have not acted for a week, are not asked about.
pub(super) async fn calm_wants(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.contacts
            set due_at = null, refresh_after = coalesce(refresh_after, last_trigger_at)
          where due_at is not null
            and (last_trigger_at < clock_timestamp() - interval '7 days' or (enriched_at is not null and last_trigger_at <= refresh_after))",
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// Which of these messages are known by their mid.
pub(super) async fn known_messages(
    conn: &mut PgConnection,
    keys: &[(Channel, &AccountId, &MessageId)],
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "select k.n from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k (channel, account_id, message_id, n)
          where exists (select from worker.messages m
                         where (m.channel, m.account_id, m.message_id) = (k.channel, k.account_id, k.message_id))",
    )
    .bind(keys.iter().map(|key| key.0.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.1.as_str()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.2.as_str()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}

/// The profile of an event as its digest was stored: without what we add.
pub(super) fn digest_of(published: &schemas::facts::Profile) -> [u8; 32] {
    let mut plain = published.clone();
    (plain.placeholder, plain.source) = (None, None);
    profile::digest(&plain)
}

pub(super) fn number(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
