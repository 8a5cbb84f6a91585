//! Reading one command, and its row of the ledger.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use schemas::command::{Command, CommandError, RequestedBy, Requester};
use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, CommandId, ConversationId, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::reply::ledger::requester;
use crate::reply::outcome::own_error;
use crate::reply::plan::{self, Plan, PlanError};

/// Longest id kept of a command that is not one.
const ID_BYTES_MAX: usize = 256;

/// A command as read, with what is to be done about it.
#[derive(Clone, Debug)]
pub struct Intake {
    /// The command; of one that is malformed, what could be read.
    pub command: Command,
    /// Its position in INBOX_COMMANDS.
    pub stream_seq: u64,
    /// Its parts, or why there will be none.
    pub plan: Result<Plan, OutcomeError>,
    /// It is not even a command: its id (if any) is not used up by it.
    pub malformed: bool,
}

/// Reads a command. `None`: neither body nor subject names a channel and an account.
pub fn read(body: &[u8], subject: &str, stream_seq: u64, stored_at: Timestamp) -> Option<Intake> {
    match Command::from_slice(body) {
        Ok(command) => {
            let plan = command.action().map_err(|error| command_error(&error)).and_then(|action| {
                plan::plan(&command, action).map_err(|error| match error {
                    PlanError::Unsupported(_) => {
                        own_error("unsupported", "invalid", error.to_string())
                    }
                    PlanError::TooLong(_) => own_error("invalid", "invalid", error.to_string()),
                })
            });
            Some(Intake { command, stream_seq, plan, malformed: false })
        }
        Err(error) => {
            let command = salvage(body, subject, stored_at)?;
            Some(Intake { command, stream_seq, plan: Err(command_error(&error)), malformed: true })
        }
    }
}

fn command_error(error: &CommandError) -> OutcomeError {
    let code = match error {
        CommandError::Malformed(_) => "malformed",
        CommandError::Unknown(_) => "unknown_command",
        CommandError::Invalid { .. } => "invalid",
    };
    own_error(code, "invalid", error.to_string())
}

/// What can be said of bytes that are no command: enough for whoever sent them to find the outcome.
fn salvage(body: &[u8], subject: &str, stored_at: Timestamp) -> Option<Command> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .filter(|text| text.len() <= ID_BYTES_MAX && !text.is_empty())
    };
    // inbox.v1.command.<partition>.<channel>.<account>.<command>
    let mut tokens = subject
        .split('.')
        .skip(4)
        .map(|token| percent_decode_str(token).decode_utf8_lossy().into_owned());
    let (channel, account, name) = (tokens.next(), tokens.next(), tokens.next());
    let channel: Channel =
        channel.as_deref().or_else(|| text("channel")).and_then(|channel| channel.parse().ok())?;
    let account = account
        .filter(|account| account != "_")
        .or_else(|| text("account_id").map(str::to_owned))?;
    Some(Command {
        id: CommandId::new(text("id").unwrap_or("malformed")),
        channel,
        account_id: AccountId::new(account),
        contact_id: None,
        command: name
            .as_deref()
            .or_else(|| text("command"))
            .unwrap_or("unknown")
            .chars()
            .take(64)
            .collect(),
        requested_by: RequestedBy { kind: Requester::Automation, name: "unknown".to_owned() },
        requested_at: stored_at,
        // What it says is not kept: nobody knows what it is.
        data: Value::Null,
    })
}

/// What a command asks for, as a digest: equal digests are the same wish under the same id.
fn body_digest(command: &Command) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let contact = command.contact_id.as_ref().map_or("", |contact| contact.as_str());
    for text in [command.command.as_str(), contact, &sorted(&command.data).to_string()] {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().into()
}

/// With the keys of objects in order, and without those that say nothing.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, Value> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            fields.into_iter().map(|(key, value)| (key.clone(), value)).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

impl Intake {
    /// Writes the command's row and its parts. A command that is there already changes nothing; another one under its id becomes a
    /// row of its own that has failed. Gives a word for metrics.
    ///
    /// # Errors
    /// Of the database.
    pub async fn store(
        &self,
        conn: &mut PgConnection,
        traceparent: Option<&str>,
    ) -> sqlx::Result<&'static str> {
        let identity = self.command.identity();
        let digest = body_digest(&self.command);
        if self.malformed {
            self.insert(
                conn,
                &format!("{identity}#{}", self.stream_seq),
                &digest,
                traceparent,
                self.error(),
            )
            .await?;
            return Ok("malformed");
        }
        if self.insert(conn, &identity, &digest, traceparent, self.error()).await? {
            return Ok(if self.plan.is_ok() { "planned" } else { "refused" });
        }
        let known: Vec<u8> =
            sqlx::query_scalar("select body_digest from worker.commands where identity = $1")
                .bind(&identity)
                .fetch_one(&mut *conn)
                .await?;
        if known == digest {
            return Ok("repeated");
        }
        let error = own_error(
            "reused_id",
            "invalid",
            "`id`: belongs to another command of this account; use a new one",
        );
        self.insert(
            conn,
            &format!("{identity}#{}", self.stream_seq),
            &digest,
            traceparent,
            Some(&error),
        )
        .await?;
        Ok("reused_id")
    }

    fn error(&self) -> Option<&OutcomeError> {
        self.plan.as_ref().err()
    }

    async fn insert(
        &self,
        conn: &mut PgConnection,
        identity: &str,
        digest: &[u8],
        traceparent: Option<&str>,
        error: Option<&OutcomeError>,
    ) -> sqlx::Result<bool> {
        let command = &self.command;
        let conversation = command.contact_id.as_ref().map(|contact| {
            ConversationId::of(command.channel, &command.account_id, contact).into_string()
        });
        let lane = match (&self.plan, error) {
            (Ok(plan), None) => plan.lane.clone(),
            _ => format!("none:{identity}"),
        };
        let inserted = sqlx::query(
            "insert into worker.commands (identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data,
                    body_digest, requester, requester_name, requested_at, caused_by, traceparent, stream_seq, state, error, finished_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                     case when $17::jsonb is null then 'open' else 'failed' end, $17,
                     case when $17::jsonb is null then null else clock_timestamp() end)
             on conflict (identity) do nothing",
        )
        .bind(identity)
        .bind(command.id.as_str())
        .bind(command.channel.as_str())
        .bind(command.account_id.as_str())
        .bind(command.contact_id.as_ref().map(|contact| contact.as_str()))
        .bind(conversation)
        .bind(&lane)
        .bind(&command.command)
        .bind(&command.data)
        .bind(digest)
        .bind(requester(command.requested_by.kind))
        .bind(&command.requested_by.name)
        .bind(command.requested_at.to_datetime())
        .bind(command.data.get("caused_by").and_then(Value::as_str))
        .bind(traceparent)
        .bind(i64::try_from(self.stream_seq).unwrap_or(i64::MAX))
        .bind(error.and_then(|error| serde_json::to_value(error).ok()))
        .execute(&mut *conn)
        .await?
        .rows_affected()
            == 1;
        if let (true, None, Ok(plan)) = (inserted, error, &self.plan) {
            for (n, part) in plan.parts.iter().enumerate() {
                sqlx::query(
                    "insert into worker.parts (identity, n, lane, payload, content, peer) values ($1, $2, $3, $4, $5, $6)",
                )
                .bind(identity)
                .bind(i32::try_from(n).unwrap_or(i32::MAX))
                .bind(&plan.lane)
                .bind(serde_json::to_value(&part.payload).map_err(|error| sqlx::Error::Encode(error.into()))?)
                .bind(part.content.to_vec())
                .bind(&part.peer)
                .execute(&mut *conn)
                .await?;
            }
        }
        Ok(inserted)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SUBJECT: &str = "inbox.v1.command.07.instagram.17841400000000101.reply";

    fn body(name: &str, data: Value) -> Vec<u8> {
        json!({
            "id": "r1", "channel": "instagram", "account_id": "17841400000000101", "contact_id": "5200000000000011",
            "command": name, "requested_by": {"kind": "person", "name": "anna"},
            "requested_at": "2026-11-21T10:00:00.000Z", "data": data
        })
        .to_string()
        .into_bytes()
    }

    fn check(body: &[u8], expected: &str) {
        let intake = read(body, SUBJECT, 7, Timestamp::EPOCH).unwrap();
        let code = intake.plan.err().map_or("planned".to_owned(), |error| error.code);
        assert_eq!(code, expected);
    }

    #[test]
    fn every_command_is_planned_or_fails_by_name() {
        check(&body("reply", json!({"text": "hi"})), "planned");
        check(&body("reply", json!({})), "invalid");
        check(&body("sing", json!({})), "unknown_command");
        check(&body("template_send", json!({})), "unsupported");
        check(b"{", "malformed");
        check(br#"{"id": "r1"}"#, "malformed");
    }

    #[test]
    fn a_malformed_command_is_answered_to_the_account_of_its_subject() {
        let intake =
            read(br#"{"id": "r9", "text": "words"}"#, SUBJECT, 7, Timestamp::EPOCH).unwrap();
        assert_eq!(
            (intake.command.id.as_str(), intake.command.account_id.as_str()),
            ("r9", "17841400000000101")
        );
        assert_eq!(intake.command.command, "reply");
        assert!(intake.command.data.is_null());
        assert!(read(b"x", "inbox.v1.command.07.telegram.1.reply", 7, Timestamp::EPOCH).is_none());
    }

    #[test]
    fn the_same_wish_has_one_digest_whatever_the_order_of_its_keys() {
        let digest = |data: Value, requested_at: &str| {
            let mut command = Command::from_slice(&body("reply", data)).unwrap();
            command.requested_at = requested_at.parse().unwrap();
            body_digest(&command)
        };
        let (early, late) = ("2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z");
        let one = digest(json!({"text": "a", "tag": "HUMAN_AGENT"}), early);
        assert_eq!(one, digest(json!({"tag": "HUMAN_AGENT", "text": "a", "reply_to": null}), late));
        assert_ne!(one, digest(json!({"text": "b", "tag": "HUMAN_AGENT"}), early));
    }
}
