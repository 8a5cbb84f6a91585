//! What became of commands before this ledger knew them. A ledger that was lost, or a position that was set back, must not send again:
//! a command that has an outcome takes that over, and one that was taken over once without a trace of its end is `unknown`.
//!
//! Outcomes are found in `worker.facts`; where that was lost too, in INBOX_EVENTS, which is read through once.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::RawMessageErrorKind;
use futures::StreamExt;
use runtime::broker::Broker;
use runtime::lease::Position;
use schemas::command::UncheckedCommand;
use schemas::facts::{CommandOutcome, OutcomeError, PartState, Reply};
use schemas::subjects::{INBOX_COMMANDS, INBOX_EVENTS};
use schemas::{Event, EventId, Fact, Timestamp};
use sqlx::{PgConnection, PgPool, Row};

/// Subjects of outcomes.
const OUTCOMES: [&str; 6] = [
    "inbox.v1.event.*.*.*.reply-sent",
    "inbox.v1.event.*.*.*.reply-failed",
    "inbox.v1.event.*.*.*.reply-unknown",
    "inbox.v1.event.*.*.*.command-done",
    "inbox.v1.event.*.*.*.command-failed",
    "inbox.v1.event.*.*.*.command-unknown",
];
/// Kinds of outcomes of a reply, then of everything else; the first that is found counts (contract section 6).
const REPLY_KINDS: [&str; 3] = ["reply.sent", "reply.failed", "reply.unknown"];
const OTHER_KINDS: [&str; 3] = ["command.done", "command.failed", "command.unknown"];
/// As `worker.commands.state`, in the same order.
const STATES: [&str; 3] = ["sent", "failed", "unknown"];

/// How far commands were ever taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The last of them.
    pub seq: u64,
    /// Of which stream.
    pub created: Option<Timestamp>,
}

impl Ended {
    /// The state of part `n`, with Meta's id and time.
    pub fn part(&self, n: usize) -> (PartState, Option<&str>, Option<Timestamp>) {
        let (state, message, at) = match self.parts.get(n) {
            Some((state, message, at)) => (*state, message.as_deref(), *at),
            None => match self.state {
                "sent" => (PartState::Sent, None, None),
                "unknown" => (PartState::Unknown, None, None),
                _ => (PartState::Failed, None, None),
            },
        };
        let at = (state == PartState::Sent).then(|| at.unwrap_or(self.at));
        (state, message, at)
    }
}

impl Mark {
    /// Whether the command at `position` was taken over before.
    pub fn covers(&self, position: Position) -> bool {
        let same = self.created.is_none()
            || position.created.is_none()
            || self.created == position.created;
        same && position.seq <= self.seq
    }
}

/// What is known of a command from before.
#[derive(Clone, Debug)]
pub enum Past {
    /// It was never here.
    New,
    /// It came to this end.
    Ended(Box<Ended>),
    /// It was taken over, and nothing tells what came of it.
    Lost,
}

/// The end of a command, as its outcome told it.
#[derive(Clone, Debug)]
pub struct Ended {
    /// As `worker.commands.state`.
    pub state: &'static str,
    /// When.
    pub at: Timestamp,
    /// By which rule.
    pub rule: Option<String>,
    /// Why it failed.
    pub error: Option<OutcomeError>,
    /// What Meta answered.
    pub result: Option<serde_json::Value>,
    /// Its parts: state, message, time.
    pub parts: Vec<(PartState, Option<String>, Option<Timestamp>)>,
}

/// The mark; at the very first start it is made.
///
/// # Errors
/// Of the broker or the database: try again.
pub(super) async fn mark(pool: &PgPool, broker: &Broker) -> anyhow::Result<Mark> {
    let row =
        sqlx::query("select seq, stream_created from worker.intake").fetch_optional(pool).await?;
    if let Some(row) = row {
        let created: Option<chrono::DateTime<chrono::Utc>> = row.try_get("stream_created")?;
        let seq = u64::try_from(row.try_get::<i64, _>("seq")?).unwrap_or(0);
        return Ok(Mark { seq, created: created.map(Timestamp::from) });
    }
    let commands =
        broker.js().get_stream(INBOX_COMMANDS).await.context("reading INBOX_COMMANDS")?;
    let info = commands.cached_info();
    let created = Timestamp::from_nanos(info.created.unix_timestamp_nanos());
    let found = find_outcomes(broker).await?;
    // Outcomes nobody here has told: an earlier ledger is lost. Without any, this is a beginning, and commands wait for it.
    let seq = if found.is_empty() { 0 } else { info.state.last_sequence };
    if !found.is_empty() {
        tracing::warn!(
            outcomes = found.len(),
            upto = seq,
            "The ledger is new and the streams are not: commands that are there already are not carried out again; \
             those without an outcome are parked (`hookline replies list`)"
        );
    }
    let mut tx = pool.begin().await?;
    for chunk in found.chunks(10_000) {
        let (ids, seqs): (Vec<&str>, Vec<i64>) = chunk
            .iter()
            .map(|(id, seq)| (id.as_str(), i64::try_from(*seq).unwrap_or(i64::MAX)))
            .unzip();
        sqlx::query(
            "insert into worker.found_outcomes as f (event_id, event_seq)
             select id, max(seq) from unnest($1::text[], $2::bigint[]) as t (id, seq) group by id
             on conflict (event_id) do update set event_seq = greatest(f.event_seq, excluded.event_seq)",
        )
        .bind(ids)
        .bind(seqs)
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query("insert into worker.intake (stream_created, seq) values ($1, $2) on conflict (one) do nothing")
        .bind(created.to_datetime())
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Mark { seq, created: Some(created) })
}

/// Every outcome in INBOX_EVENTS: event id and position.
async fn find_outcomes(broker: &Broker) -> anyhow::Result<Vec<(String, u64)>> {
    let stream = broker.js().get_stream(INBOX_EVENTS).await.context("reading INBOX_EVENTS")?;
    let config = pull::Config {
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        max_deliver: 1,
        filter_subjects: OUTCOMES.map(str::to_owned).to_vec(),
        headers_only: true,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(60),
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.context("reading INBOX_EVENTS")?;
    let count = usize::try_from(consumer.cached_info().num_pending)?;
    let mut found = Vec::with_capacity(count);
    if count == 0 {
        return Ok(found);
    }
    let mut messages = consumer.messages().await.context("reading INBOX_EVENTS")?.take(count);
    while let Some(message) = messages.next().await {
        let message = message.context("reading INBOX_EVENTS")?;
        let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
        let seq = message
            .info()
            .map_err(|error| anyhow::anyhow!("reading INBOX_EVENTS: {error}"))?
            .stream_sequence;
        if let Some(id) = id {
            // `<id>`, `<id>.r<N>` or `<id>.<job>`: ids have no dot.
            let id = id.as_str().split('.').next().unwrap_or_default();
            found.push((id.to_owned(), seq));
        }
    }
    Ok(found)
}

/// Moves the mark along with the position.
///
/// # Errors
/// Of the database.
pub(super) async fn advance(conn: &mut PgConnection, to: Position) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.intake
            set seq = case when stream_created is not distinct from $1 then greatest(seq, $2) else $2 end, stream_created = $1
          where seq < $2 or stream_created is distinct from $1",
    )
    .bind(to.created.map(Timestamp::to_datetime))
    .bind(i64::try_from(to.seq).unwrap_or(i64::MAX))
    .execute(conn)
    .await?;
    Ok(())
}

/// The ids an outcome of `command` would have, the one that counts most first.
fn outcome_ids(command: &UncheckedCommand) -> [EventId; 3] {
    let id = command.id.as_str();
    let derive =
        |kind: &str, key: &[&str]| EventId::derive(command.channel, &command.account_id, kind, key);
    if command.name == "reply" {
        REPLY_KINDS.map(|kind| derive(kind, &[id]))
    } else {
        OTHER_KINDS.map(|kind| derive(kind, &[id, ""]))
    }
}

/// Where outcomes of these commands are in INBOX_EVENTS, by event id.
///
/// # Errors
/// Of the database.
pub(super) async fn known(
    conn: &mut PgConnection,
    commands: &[&UncheckedCommand],
) -> sqlx::Result<HashMap<String, u64>> {
    let ids: Vec<String> =
        commands.iter().flat_map(|command| outcome_ids(command)).map(|id| id.to_string()).collect();
    let rows = sqlx::query(
        "select event_id, max(event_seq) as event_seq
           from (select event_id, event_seq from worker.facts where event_id = any($1)
                 union all select event_id, event_seq from worker.found_outcomes where event_id = any($1)) all_of_them
          group by event_id",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let seq: i64 = row.try_get("event_seq")?;
            Ok((row.try_get("event_id")?, u64::try_from(seq).unwrap_or(0)))
        })
        .collect()
}

/// What is known of a command: `covered` when it was taken over before.
///
/// # Errors
/// Of the broker: try again.
pub(super) async fn of(
    broker: &Broker,
    command: &UncheckedCommand,
    known: &HashMap<String, u64>,
    covered: bool,
) -> anyhow::Result<Past> {
    let ids = outcome_ids(command);
    let found = ids
        .iter()
        .zip(STATES)
        .find_map(|(id, state)| Some((known.get(id.as_str()).copied()?, state)));
    let Some((seq, state)) = found else {
        return Ok(if covered { Past::Lost } else { Past::New });
    };
    let stream =
        broker.js().get_stream_no_info(INBOX_EVENTS).await.context("reading INBOX_EVENTS")?;
    let event = match stream.get_raw_message(seq).await {
        Ok(message) => serde_json::from_slice::<Event>(&message.payload).ok(),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => None,
        Err(error) => return Err(error).context("reading an outcome"),
    };
    let told = event.filter(|event| ids.contains(&event.id)).and_then(|event| ended(&event));
    // Erased meanwhile, or written by a newer release: its kind is known all the same.
    Ok(Past::Ended(Box::new(told.unwrap_or_else(|| Ended {
        state,
        at: command.requested_at,
        rule: None,
        error: None,
        result: None,
        parts: Vec::new(),
    }))))
}

fn ended(event: &Event) -> Option<Ended> {
    let reply = |state, body: &Reply| Ended {
        state,
        at: event.time,
        rule: body.rule.clone(),
        error: body.error.clone(),
        result: None,
        parts: body
            .parts
            .iter()
            .map(|part| {
                (part.state, part.message_id.as_ref().map(ToString::to_string), part.sent_at)
            })
            .collect(),
    };
    let other = |state, body: &CommandOutcome| Ended {
        state,
        at: event.time,
        rule: None,
        error: body.error.clone(),
        result: body.result.clone(),
        parts: Vec::new(),
    };
    Some(match &event.data.fact {
        Fact::ReplySent(body) => reply("sent", body),
        Fact::ReplyFailed(body) => {
            let some_sent = body.parts.iter().any(|part| part.state == PartState::Sent);
            reply(if some_sent { "partial" } else { "failed" }, body)
        }
        Fact::ReplyUnknown(body) => reply("unknown", body),
        Fact::CommandDone(body) => other("sent", body),
        Fact::CommandFailed(body) => other("failed", body),
        Fact::CommandUnknown(body) => other("unknown", body),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_covers_only_its_own_stream() {
        let made = |n| Some(Timestamp::from_millis(n));
        let mark = Mark { seq: 7, created: made(1) };
        assert!(mark.covers(Position { seq: 7, created: made(1) }));
        assert!(!mark.covers(Position { seq: 8, created: made(1) }));
        assert!(!mark.covers(Position { seq: 7, created: made(2) }));
        assert!(Mark { seq: 7, created: None }.covers(Position { seq: 7, created: made(2) }));
    }

    #[test]
    fn the_ids_are_those_that_outcomes_are_published_under() {
        let command = |name: &str, data: serde_json::Value| -> UncheckedCommand {
            serde_json::from_value(serde_json::json!({
                "id": "r1", "channel": "instagram", "account_id": "17841400000000101", "contact_id": "5200000000000011",
                "command": name, "requested_by": {"kind": "person", "name": "anna"},
                "requested_at": "2026-11-21T10:00:00.000Z", "data": data
            }))
            .unwrap()
        };
        let reply = outcome_ids(&command("reply", serde_json::json!({"text": "hi"})));
        let derive = |kind, key: &[&str]| {
            EventId::derive(schemas::Channel::Instagram, &"17841400000000101".into(), kind, key)
        };
        assert_eq!(reply[0], derive("reply.sent", &["r1"]));
        let typing =
            outcome_ids(&command("sender_action", serde_json::json!({"action": "typing_on"})));
        assert_eq!(typing[1], derive("command.failed", &["r1", ""]));
    }
}
