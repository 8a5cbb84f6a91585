//! `worker.parts`: the effects of a command, in order.

use facts::follow_up::content::Content;
use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::decide::Journal;
use crate::payload::Payload;
use crate::state::{EchoKind, PartState};

/// A part, as `worker.parts` has it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct PartRow {
    /// Of its command.
    pub(crate) identity: String,
    /// From 0.
    pub(crate) n: i32,
    pub(crate) state: PartState,
    #[sqlx(json)]
    pub(crate) payload: Payload,
    /// What its effect says.
    pub(crate) content: Content,
    /// Whom or what its effect is under: as `worker.echoes.peer`.
    pub(crate) peer: String,
    /// Attempts so far.
    #[sqlx(try_from = "i32")]
    pub(crate) attempt: u32,
    /// Of these, not executed.
    #[sqlx(try_from = "i32")]
    pub(crate) refusals: u32,
    /// Start of the first attempt.
    pub(crate) first_at: Option<Timestamp>,
    /// Start of the current one.
    pub(crate) started_at: Option<Timestamp>,
    /// The request of the current attempt has ended by then.
    pub(crate) deadline: Option<Timestamp>,
    /// The current attempt ended without an answer that settles it.
    pub(crate) lost: bool,
    pub(crate) not_before: Option<Timestamp>,
    /// Reads after the current attempt.
    #[sqlx(try_from = "i32")]
    pub(crate) looks: u32,
    /// The first that showed nothing.
    pub(crate) absent_at: Option<Timestamp>,
    /// Meta's id of the message or comment.
    pub(crate) message_id: Option<String>,
    /// When Meta took it.
    pub(crate) sent_at: Option<Timestamp>,
    /// Why it failed.
    #[sqlx(json(nullable))]
    pub(crate) error: Option<OutcomeError>,
    /// Meta's last answer, as far as it is kept.
    pub(crate) answer: Option<Value>,
}

impl PartRow {
    /// What the decision needs of it.
    pub(crate) fn journal(&self, planned_at: Timestamp) -> Journal {
        Journal {
            state: self.state,
            repeat: self.payload.repeat(),
            attempt: self.attempt,
            refusals: self.refusals,
            started_at: self.started_at,
            deadline: self.deadline,
            lost: self.lost,
            not_before: self.not_before,
            looks: self.looks,
            absent_at: self.absent_at,
            planned_at,
        }
    }
}

/// The parts of a command, in order.
pub(crate) async fn of(conn: &mut PgConnection, identity: &str) -> sqlx::Result<Vec<PartRow>> {
    sqlx::query_as(
        "select identity, n, state, payload, content, peer, attempt, refusals, first_at, started_at, deadline, lost, not_before, looks, absent_at,
                message_id, sent_at, error, answer
           from worker.parts where identity = $1 order by n",
    )
    .bind(identity)
    .fetch_all(conn)
    .await
}

/// The parts of these commands, in order.
pub(crate) async fn of_all(
    conn: &mut PgConnection,
    identities: &[&str],
) -> sqlx::Result<Vec<PartRow>> {
    sqlx::query_as(
        "select identity, n, state, payload, content, peer, attempt, refusals, first_at, started_at, deadline, lost, not_before, looks,
                absent_at, message_id, sent_at, error, answer
           from worker.parts where identity = any($1) order by identity, n",
    )
    .bind(identities)
    .fetch_all(conn)
    .await
}

/// A part as far as it is compared with the log of attempts.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct StandingRow {
    pub(crate) identity: String,
    pub(crate) n: i32,
    pub(crate) state: PartState,
    #[sqlx(try_from = "i32")]
    pub(crate) attempt: u32,
    /// When the ledger accepted the command.
    pub(crate) accepted_at: Timestamp,
}

/// These parts, as far as they are here.
pub(crate) async fn standing(
    conn: &mut PgConnection,
    keys: &[(String, i32)],
) -> sqlx::Result<Vec<StandingRow>> {
    let (identities, ns): (Vec<&str>, Vec<i32>) =
        keys.iter().map(|(identity, n)| (identity.as_str(), *n)).unzip();
    sqlx::query_as(
        "select p.identity, p.n, p.state, p.attempt, c.created_at as accepted_at
           from unnest($1::text[], $2::int[]) as t (identity, n)
           join worker.parts p on p.identity = t.identity and p.n = t.n
           join worker.commands c on c.identity = t.identity",
    )
    .bind(identities)
    .bind(ns)
    .fetch_all(conn)
    .await
}

/// Whether the account has this part.
pub(crate) async fn exists(
    conn: &mut PgConnection,
    channel: Channel,
    account_id: &AccountId,
    identity: &str,
    n: i32,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from worker.parts p join worker.commands c using (identity)
                         where p.identity = $1 and p.n = $2 and c.channel = $3 and c.account_id = $4)",
    )
    .bind(identity)
    .bind(n)
    .bind(channel)
    .bind(account_id)
    .fetch_one(conn)
    .await
}

/// The part that Meta's answer gave this message to: identity of its command and number.
pub(crate) async fn by_message(
    conn: &mut PgConnection,
    channel: Channel,
    account_id: &AccountId,
    item_id: &str,
) -> sqlx::Result<Option<(String, i32)>> {
    sqlx::query_as(
        "select p.identity, p.n from worker.parts p join worker.commands c using (identity)
          where p.message_id = $1 and c.channel = $2 and c.account_id = $3",
    )
    .bind(item_id)
    .bind(channel)
    .bind(account_id)
    .fetch_optional(conn)
    .await
}

/// A part that may have had the effect an echo reports.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct UnsettledRow {
    pub(crate) identity: String,
    pub(crate) n: i32,
    pub(crate) peer: String,
    pub(crate) first_at: Timestamp,
    pub(crate) deadline: Timestamp,
    /// Its own answer is still to come.
    pub(crate) in_flight: bool,
}

/// What an echo says, to find the parts that may have had this effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EffectQuery<'a> {
    pub(crate) channel: Channel,
    pub(crate) account_id: &'a AccountId,
    pub(crate) kind: EchoKind,
    pub(crate) peer: &'a str,
    pub(crate) content: &'a Content,
    /// The first attempt began at the latest then.
    pub(crate) begun_by: Timestamp,
    /// The last attempt ended at the earliest then.
    pub(crate) ended_after: Timestamp,
}

/// Parts that say the same to the same peer and may have had this effect: in flight, lost, ended without certainty, known to be sent
/// but not as which message, or attempted as the log knows and their row does not yet. A private reply names a comment, not a person: it is
/// compared whomever the message went to.
pub(crate) async fn unsettled(
    conn: &mut PgConnection,
    effect: EffectQuery<'_>,
) -> sqlx::Result<Vec<UnsettledRow>> {
    sqlx::query_as(
        "select p.identity, p.n, p.peer, least(p.first_at, l.first_at) as first_at, greatest(p.deadline, l.deadline) as deadline,
                (p.state = 'sending' and not p.lost and clock_timestamp() < p.deadline) as in_flight
           from worker.parts p join worker.commands c using (identity)
           left join worker.logged_attempts l
             on l.identity = p.identity and l.n = p.n and p.attempt < l.attempt and p.state in ('planned', 'sending', 'refused')
          where c.channel = $1 and c.account_id = $2 and p.content = $4 and p.message_id is null
            and ((p.peer = $3 and p.peer <> '') or ($7 and p.peer = '' and p.payload ->> 'op' = 'private_reply'))
            and (l.identity is not null
                 or (p.state in ('sending', 'refused', 'unknown', 'failed', 'sent') and (p.state in ('sending', 'sent') or p.uncertain)))
            and least(p.first_at, l.first_at) <= $5 and $6 <= greatest(p.deadline, l.deadline)",
    )
    .bind(effect.channel)
    .bind(effect.account_id)
    .bind(effect.peer)
    .bind(effect.content.as_slice())
    .bind(effect.begun_by)
    .bind(effect.ended_after)
    .bind(effect.kind == EchoKind::Message)
    .fetch_all(conn)
    .await
}

/// What a new part begins with.
#[derive(Clone, Debug)]
pub(crate) struct NewPart<'a> {
    pub(crate) n: i32,
    pub(crate) lane: &'a str,
    pub(crate) payload: &'a Payload,
    pub(crate) content: &'a Content,
    pub(crate) peer: &'a str,
    pub(crate) state: PartState,
    pub(crate) message_id: Option<&'a str>,
    pub(crate) sent_at: Option<Timestamp>,
    /// Since when it may have been attempted, where it is not known whether it was: an echo from then on may be its effect.
    pub(crate) uncertain_since: Option<Timestamp>,
}

/// Adds a part to a new command.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    identity: &str,
    part: NewPart<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.parts (identity, n, lane, payload, content, peer, state, message_id, sent_at, uncertain, first_at,
                started_at, deadline)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $11::timestamptz + interval '2 minutes')",
    )
    .bind(identity)
    .bind(part.n)
    .bind(part.lane)
    .bind(Json(part.payload))
    .bind(part.content.as_slice())
    .bind(part.peer)
    .bind(part.state)
    .bind(part.message_id)
    .bind(part.sent_at)
    .bind(part.uncertain_since.is_some())
    .bind(part.uncertain_since)
    .execute(conn)
    .await?;
    Ok(())
}

/// A part of a command that begins open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedPart<'a> {
    pub(crate) identity: &'a str,
    pub(crate) n: i32,
    pub(crate) lane: &'a str,
    pub(crate) payload: &'a Payload,
    pub(crate) content: &'a Content,
    pub(crate) peer: &'a str,
}

/// The command of the account that has this message, by its id, or the key of the part that claims the echo.
pub(crate) async fn owner_of_message(
    conn: &mut PgConnection,
    channel: Channel,
    account_id: &AccountId,
    item_id: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select c.command_id from worker.parts p join worker.commands c using (identity)
          where c.channel = $1 and c.account_id = $2 and p.message_id = $3
         union all
         select e.claimed_by from worker.echoes e
          where e.channel = $1 and e.account_id = $2 and e.item_id = $3 and e.claimed_by is not null
          limit 1",
    )
    .bind(channel)
    .bind(account_id)
    .bind(item_id)
    .fetch_optional(conn)
    .await
}
