//! Reading one command, and its row of the ledger.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use schemas::command::{Command, CommandError, RequestedBy, Requester, UncheckedCommand};
use schemas::facts::{OutcomeError, PartState};
use schemas::{AccountId, Channel, CommandId, ConversationId, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::past::{Ended, Past};
use crate::decide::{Repeat, State};
use crate::outcome::own_error;
use crate::plan::{self, Plan, PlanError};

/// Longest id kept of a command that is not one.
const ID_BYTES_MAX: usize = 256;

/// A command as read, with what is to be done about it.
#[derive(Clone, Debug)]
pub struct Intake {
    /// The command; of one that is malformed, what could be read.
    pub command: UncheckedCommand,
    /// Its position in INBOX_COMMANDS.
    pub stream_seq: u64,
    /// When the broker stored it.
    pub stored_at: Timestamp,
    /// Its parts, or why there will be none.
    pub plan: Result<Plan, OutcomeError>,
    /// It is not even a command: its id (if any) is not used up by it.
    pub malformed: bool,
}

/// Reads a command. `None`: neither body nor subject names a channel and an account. A person asks through the api, which vouches for
/// it; whatever else says so counts as automation (contract section 6).
pub fn read(
    body: &[u8],
    subject: &str,
    stream_seq: u64,
    stored_at: Timestamp,
    vouched: bool,
) -> Option<Intake> {
    match UncheckedCommand::from_slice(body) {
        Ok(mut command) => {
            if !vouched {
                command.requested_by.kind = Requester::Automation;
            }
            let checked = Command::try_from(command.clone());
            let plan = checked.map_err(|error| command_error(&error)).and_then(|checked| {
                plan::plan(checked).map_err(|error| match error {
                    PlanError::Unsupported(_) => {
                        own_error("unsupported", "invalid", error.to_string())
                    }
                    PlanError::TooLong(_) => own_error("invalid", "invalid", error.to_string()),
                })
            });
            Some(Intake { command, stream_seq, stored_at, plan, malformed: false })
        }
        Err(error) => {
            let command = salvage(body, subject, stored_at)?;
            let plan = Err(command_error(&error));
            Some(Intake { command, stream_seq, stored_at, plan, malformed: true })
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

/// Whether a text can be kept as an id or a name.
fn kept(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_BYTES_MAX && !text.contains('\0')
}

/// What can be said of bytes that are no command: enough for whoever sent them to find the outcome.
fn salvage(body: &[u8], subject: &str, stored_at: Timestamp) -> Option<UncheckedCommand> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| kept(text));
    // inbox.v1.command.<partition>.<channel>.<account>.<command>
    let mut tokens = subject
        .split('.')
        .skip(4)
        .map(|token| percent_decode_str(token).decode_utf8_lossy().into_owned());
    let (channel, account, name) = (tokens.next(), tokens.next(), tokens.next());
    let channel: Channel =
        channel.as_deref().or_else(|| text("channel")).and_then(|channel| channel.parse().ok())?;
    let account = account
        .filter(|account| account != "_" && kept(account))
        .or_else(|| text("account_id").map(str::to_owned))?;
    Some(UncheckedCommand {
        id: CommandId::new(text("id").unwrap_or("malformed")),
        channel,
        account_id: AccountId::new(account),
        contact_id: None,
        name: name
            .as_deref()
            .filter(|name| kept(name))
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
fn body_digest(command: &UncheckedCommand) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let contact = command.contact_id.as_ref().map_or("", |contact| contact.as_str());
    for text in [command.name.as_str(), contact, &sorted(&command.data).to_string()] {
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

/// How a row begins.
enum Beginning<'a> {
    /// To be carried out.
    Open,
    /// It never will be.
    Refused(&'a OutcomeError),
    /// It was, before this ledger knew it.
    Ended(&'a Ended),
    /// Perhaps it was.
    Lost(&'a OutcomeError),
}

impl Beginning<'_> {
    fn state(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused(_) => "failed",
            Self::Ended(ended) => ended.state,
            Self::Lost(_) => "unknown",
        }
    }

    fn error(&self) -> Option<&OutcomeError> {
        match self {
            Self::Open => None,
            Self::Refused(error) | Self::Lost(error) => Some(error),
            Self::Ended(ended) => ended.error.as_ref(),
        }
    }
}

impl Intake {
    /// Writes the command's row and its parts. A command that is there already changes nothing; another one under its id becomes a
    /// row of its own that has failed. `past` is what became of it before this ledger knew it. Gives a word for metrics.
    ///
    /// # Errors
    /// Of the database.
    pub async fn store(
        &self,
        conn: &mut PgConnection,
        traceparent: Option<&str>,
        past: &Past,
    ) -> sqlx::Result<&'static str> {
        let identity = self.command.identity();
        let digest = body_digest(&self.command);
        let apart = format!("{identity}#{}", self.stream_seq);
        let lost = own_error(
            "ledger_lost",
            "unknown",
            "the ledger was lost before it told what became of this: look at Meta, then `hookline replies resolve`",
        );
        let (beginning, word) = match (&self.plan, past) {
            (Err(error), _) if self.malformed => {
                let beginning = Beginning::Refused(error);
                self.insert(conn, &apart, &digest, traceparent, &beginning).await?;
                return Ok("malformed");
            }
            (_, Past::Ended(ended)) => (Beginning::Ended(ended), "ended_before"),
            (Err(error), _) => (Beginning::Refused(error), "refused"),
            (Ok(plan), Past::Lost) if !plan.parts.is_empty() => {
                match plan.parts[0].payload.repeat() {
                    Repeat::OneTry => (Beginning::Refused(&lost), "lost_before"),
                    Repeat::AfterProof | Repeat::Never => (Beginning::Lost(&lost), "lost_before"),
                }
            }
            (Ok(_), Past::New | Past::Lost) => (Beginning::Open, "planned"),
        };
        if self.insert(conn, &identity, &digest, traceparent, &beginning).await? {
            return Ok(word);
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
        self.insert(conn, &apart, &digest, traceparent, &Beginning::Refused(&error)).await?;
        Ok("reused_id")
    }

    async fn insert(
        &self,
        conn: &mut PgConnection,
        identity: &str,
        digest: &[u8],
        traceparent: Option<&str>,
        beginning: &Beginning<'_>,
    ) -> sqlx::Result<bool> {
        let command = &self.command;
        let conversation = command.contact_id.as_ref().map(|contact| {
            ConversationId::of(command.channel, &command.account_id, contact).into_string()
        });
        let lane = match (&self.plan, beginning) {
            (Ok(plan), Beginning::Open | Beginning::Ended(_) | Beginning::Lost(_)) => {
                plan.lane.clone()
            }
            _ => format!("none:{identity}"),
        };
        let (rule, result, told_at) = match beginning {
            Beginning::Ended(ended) => {
                (ended.rule.as_deref(), ended.result.as_ref(), Some(ended.at))
            }
            _ => (None, None, None),
        };
        let inserted = sqlx::query(
            "insert into worker.commands (identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data,
                    body_digest, requester, requester_name, requested_at, caused_by, traceparent, stream_seq, state, error, rule, result,
                    finished_at, outcome_published)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                     case when $17 = 'open' then null else coalesce($21, clock_timestamp()) end, $21 is not null)
             on conflict (identity) do nothing",
        )
        .bind(identity)
        .bind(command.id.as_str())
        .bind(command.channel.as_str())
        .bind(command.account_id.as_str())
        .bind(command.contact_id.as_ref().map(|contact| contact.as_str()))
        .bind(conversation)
        .bind(&lane)
        .bind(&command.name)
        .bind(&command.data)
        .bind(digest)
        .bind(command.requested_by.kind.as_str())
        .bind(&command.requested_by.name)
        .bind(command.requested_at.to_datetime())
        .bind(command.data.get("caused_by").and_then(Value::as_str))
        .bind(traceparent)
        .bind(i64::try_from(self.stream_seq).unwrap_or(i64::MAX))
        .bind(beginning.state())
        .bind(beginning.error().and_then(|error| serde_json::to_value(error).ok()))
        .bind(rule)
        .bind(result)
        .bind(told_at.map(Timestamp::to_datetime))
        .execute(&mut *conn)
        .await?
        .rows_affected()
            == 1;
        if inserted && let Ok(plan) = &self.plan {
            self.insert_parts(conn, identity, plan, beginning).await?;
        }
        Ok(inserted)
    }

    async fn insert_parts(
        &self,
        conn: &mut PgConnection,
        identity: &str,
        plan: &Plan,
        beginning: &Beginning<'_>,
    ) -> sqlx::Result<()> {
        for (n, part) in plan.parts.iter().enumerate() {
            let (state, message, sent_at) = match beginning {
                Beginning::Refused(_) => return Ok(()),
                Beginning::Open => (State::Planned, None, None),
                Beginning::Lost(_) => (State::Unknown, None, None),
                Beginning::Ended(ended) => {
                    let (state, message, sent_at) = ended.part(n);
                    (of_outcome(state), message, sent_at)
                }
            };
            // Where its end is not known, an echo may still tell: from when it was asked for.
            let unknown = state == State::Unknown;
            let since = unknown.then(|| self.stored_at.to_datetime());
            sqlx::query(
                "insert into worker.parts (identity, n, lane, payload, content, peer, state, message_id, sent_at, uncertain, first_at,
                        started_at, deadline)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $11::timestamptz + interval '2 minutes')",
            )
            .bind(identity)
            .bind(part_number(n))
            .bind(&plan.lane)
            .bind(serde_json::to_value(&part.payload).map_err(|error| sqlx::Error::Encode(error.into()))?)
            .bind(part.content.to_vec())
            .bind(&part.peer)
            .bind(state.as_str())
            .bind(message)
            .bind(sent_at.map(Timestamp::to_datetime))
            .bind(unknown)
            .bind(since)
            .execute(&mut *conn)
            .await?;
            if unknown {
                self.reopen_echoes(conn, &plan::key(identity, part_number(n)), &part.peer).await?;
            }
        }
        Ok(())
    }

    /// What Meta told of this peer may be the effect of a part whose end is lost: it is compared again.
    async fn reopen_echoes(
        &self,
        conn: &mut PgConnection,
        key: &str,
        peer: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "update worker.echoes set examined = false, examine_at = clock_timestamp(), claimed_by = null
              where channel = $1 and account_id = $2 and peer = $3 and (claimed_by is null or claimed_by = $4)",
        )
        .bind(self.command.channel.as_str())
        .bind(self.command.account_id.as_str())
        .bind(peer)
        .bind(key)
        .execute(conn)
        .await?;
        Ok(())
    }
}

fn part_number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

const fn of_outcome(state: PartState) -> State {
    match state {
        PartState::Sent => State::Sent,
        PartState::Failed => State::Failed,
        PartState::Unknown => State::Unknown,
        PartState::Skipped => State::Skipped,
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
        let intake = read(body, SUBJECT, 7, Timestamp::EPOCH, true).unwrap();
        let code = intake.plan.err().map_or("planned".to_owned(), |error| error.code);
        assert_eq!(code, expected);
    }

    #[test]
    fn what_no_database_keeps_is_refused_by_name() {
        let long = "9".repeat(3_000);
        check(&body("reply", json!({"text": "a\u{0}b"})), "invalid");
        check(&body("reply", json!({"text": "hi", "caused_by": long})), "invalid");
        check(&body("comment_reply", json!({"text": "hi", "comment_id": long})), "invalid");
        check(&body("reply", json!({"text": "hi".repeat(40_000)})), "invalid");
        check(&body("reply", json!({"text": "hi".repeat(20_000)})), "planned");
        check(br#"{"id": "r\u0000", "channel": "messenger", "account_id": "1"}"#, "malformed");
        let subject = "inbox.v1.command.07.instagram.%00.%00";
        let intake = read(
            br#"{"id": "r\u0000", "account_id": "1\u0000"}"#,
            subject,
            7,
            Timestamp::EPOCH,
            true,
        );
        assert!(intake.is_none(), "no name that can be kept");
        let subject = "inbox.v1.command.07.instagram.1.%00";
        let intake = read(br#"{"id": "r\u0000"}"#, subject, 7, Timestamp::EPOCH, true).unwrap();
        assert_eq!(
            (intake.command.id.as_str(), intake.command.name.as_str()),
            ("malformed", "unknown")
        );
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
            read(br#"{"id": "r9", "text": "words"}"#, SUBJECT, 7, Timestamp::EPOCH, true).unwrap();
        assert_eq!(
            (intake.command.id.as_str(), intake.command.account_id.as_str()),
            ("r9", "17841400000000101")
        );
        assert_eq!(intake.command.name, "reply");
        assert!(intake.command.data.is_null());
        assert!(
            read(b"x", "inbox.v1.command.07.telegram.1.reply", 7, Timestamp::EPOCH, true).is_none()
        );
    }

    #[test]
    fn a_person_is_one_whom_the_api_vouches_for() {
        let kind = |vouched| {
            let body = body("reply", json!({"text": "hi"}));
            let intake = read(&body, SUBJECT, 7, Timestamp::EPOCH, vouched).unwrap();
            intake.command.requested_by.kind
        };
        assert_eq!((kind(true), kind(false)), (Requester::Person, Requester::Automation));
    }

    #[test]
    fn the_same_wish_has_one_digest_whatever_the_order_of_its_keys() {
        let digest = |data: Value, requested_at: &str| {
            let mut command = UncheckedCommand::from_slice(&body("reply", data)).unwrap();
            command.requested_at = requested_at.parse().unwrap();
            body_digest(&command)
        };
        let (early, late) = ("2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z");
        let one = digest(json!({"text": "a", "tag": "HUMAN_AGENT"}), early);
        assert_eq!(one, digest(json!({"tag": "HUMAN_AGENT", "text": "a", "reply_to": null}), late));
        assert_ne!(one, digest(json!({"text": "b", "tag": "HUMAN_AGENT"}), early));
    }
}
