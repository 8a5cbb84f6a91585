//! ◆ Pure: reading one command of the stream.

use percent_encoding::percent_decode_str;
use schemas::command::{Action, Command, CommandError, RequestedBy, Requester, UncheckedCommand};
use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, CommandId, Timestamp};
use serde_json::Value;

use super::digest::body_digest;
use crate::plan::{self, CommandPlan};

/// Longest id kept of a command that is not one.
const ID_BYTES_MAX: usize = 256;

/// A command as read, with what is to be done about it.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    /// The command; of one that is malformed, what could be read.
    pub(super) command: UncheckedCommand,
    /// Its position in INBOX_COMMANDS.
    pub(super) stream_seq: u64,
    /// The number of the era of INBOX_COMMANDS that the position is of.
    pub(super) stream_era: i16,
    /// When the broker stored it.
    pub(super) stored_at: Timestamp,
    /// Its parts, or why there will be none.
    pub(super) plan: Result<CommandPlan, OutcomeError>,
    /// It is not even a command: its id (if any) is not used up by it.
    pub(super) malformed: bool,
    /// What it asks for, as it came.
    pub(super) digest: [u8; 32],
}

/// What stands around the body of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub(super) subject: &'a str,
    /// Its position in INBOX_COMMANDS.
    pub(super) stream_seq: u64,
    /// The number of the era of INBOX_COMMANDS that the position is of.
    pub(super) stream_era: i16,
    /// When the broker stored it.
    pub(super) stored_at: Timestamp,
    /// The api vouches for the body.
    pub(super) vouched: bool,
    /// Why headers or subject cannot be read whole.
    pub(super) flaw: Option<&'static str>,
}

/// Reads a command. `None`: neither body nor subject names a channel and an account. A person asks through the api, which vouches for
/// it; whatever else says so counts as automation (docs/contract.md 6). One with a `flaw` is no command, whatever its body says.
pub(super) fn read(
    body: &[u8],
    Envelope { subject, stream_seq, stream_era, stored_at, vouched, flaw }: Envelope<'_>,
) -> Option<Intake> {
    let command = match flaw {
        Some(flaw) => Err(CommandError::Malformed(flaw.to_owned())),
        None => UncheckedCommand::from_slice(body),
    };
    let malformed = command.is_err();
    let (command, plan, digest) = match command {
        Ok(mut command) => {
            if !vouched {
                command.requested_by.kind = Requester::Automation;
            }
            let checked = Command::try_from(command.clone());
            let plan = checked.map(plan::plan).map_err(|error| command_error(&error));
            let digest = body_digest(&command);
            // What was refused may name a person in clear.
            if command.name == "conversion_event" {
                command.data = match (&plan, Action::read(&command.name, &command.data)) {
                    // Nor is a field kept that nobody knows.
                    (Ok(_), Ok(action)) => serde_json::to_value(&action).unwrap_or_default(),
                    _ => Value::Null,
                };
            }
            (command, plan, digest)
        }
        Err(error) => {
            let command = salvage(body, subject, stored_at)?;
            let digest = body_digest(&command);
            (command, Err(command_error(&error)), digest)
        }
    };
    Some(Intake { command, stream_seq, stream_era, stored_at, plan, malformed, digest })
}

fn command_error(error: &CommandError) -> OutcomeError {
    let code = match error {
        CommandError::Malformed(_) => "malformed",
        CommandError::Unknown(_) => "unknown_command",
        CommandError::Invalid { .. } => "invalid",
    };
    OutcomeError::own(code, "invalid", error.to_string())
}

/// Whether a text can be kept as an id or a name.
fn kept(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_BYTES_MAX && !text.contains(char::is_control)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SUBJECT: &str = "inbox.v1.command.07.instagram.17841400000000101.reply";

    fn around(subject: &str, vouched: bool) -> Envelope<'_> {
        Envelope {
            subject,
            stream_seq: 7,
            stream_era: 1,
            stored_at: Timestamp::EPOCH,
            vouched,
            flaw: None,
        }
    }

    #[test]
    fn what_has_unreadable_headers_is_refused_under_its_id_and_not_carried_out() {
        let flawed = Envelope { flaw: Some("a header has no colon"), ..around(SUBJECT, false) };
        let intake = read(&body("reply", json!({"text": "hi"})), flawed).unwrap();
        assert!(intake.malformed);
        assert_eq!(intake.command.id.as_str(), "r1");
        assert_eq!(intake.plan.unwrap_err().code, "malformed");
    }

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
        let intake = read(body, around(SUBJECT, true)).unwrap();
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
        check(&body("reply", json!({"text": "hi".repeat(20_000)})), "invalid");
        check(&body("reply", json!({"text": "hi".repeat(5_000)})), "planned");
        check(br#"{"id": "r\u0000", "channel": "messenger", "account_id": "1"}"#, "malformed");
        let subject = "inbox.v1.command.07.instagram.%00.%00";
        let intake = read(br#"{"id": "r\u0000", "account_id": "1\u0000"}"#, around(subject, true));
        assert!(intake.is_none(), "no name that can be kept");
        let subject = "inbox.v1.command.07.instagram.1.%00";
        let intake = read(br#"{"id": "r\u0000"}"#, around(subject, true)).unwrap();
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
        check(&body("template_send", json!({})), "invalid");
        check(b"{", "malformed");
        check(br#"{"id": "r1"}"#, "malformed");
    }

    #[test]
    fn a_conversion_that_names_a_person_in_clear_is_refused_and_not_kept() {
        let event = |mail: &str| {
            json!({
                "action_source": "website", "dataset_id": "66", "event_name": "Lead", "event_time": 1_794_999_000,
                "user_data": {"em": mail},
            })
        };
        let hashed = "ab".repeat(32);
        let intake =
            read(&body("conversion_event", event(&hashed)), around(SUBJECT, true)).unwrap();
        assert!(intake.plan.is_ok() && !intake.command.data.is_null());
        let clear = body("conversion_event", event("canary@example.com"));
        let intake = read(&clear, around(SUBJECT, true)).unwrap();
        assert!(intake.command.data.is_null());
        let error = intake.plan.unwrap_err();
        assert!(error.message.contains("user_data.em") && !error.message.contains("canary"));
        let other = body("conversion_event", event("other@example.com"));
        assert_ne!(read(&other, around(SUBJECT, true)).unwrap().digest, intake.digest);
        let number = body("conversion_event", json!({"user_data": 491_701_234_567_u64}));
        let error = read(&number, around(SUBJECT, true)).unwrap().plan.unwrap_err();
        assert!(!error.message.contains("4917"), "{}", error.message);
    }

    #[test]
    fn a_malformed_command_is_answered_to_the_account_of_its_subject() {
        let intake = read(br#"{"id": "r9", "text": "words"}"#, around(SUBJECT, true)).unwrap();
        assert_eq!(
            (intake.command.id.as_str(), intake.command.account_id.as_str()),
            ("r9", "17841400000000101")
        );
        assert_eq!(intake.command.name, "reply");
        assert!(intake.command.data.is_null());
        assert!(read(b"x", around("inbox.v1.command.07.telegram.1.reply", true)).is_none());
    }

    #[test]
    fn a_person_is_one_whom_the_api_vouches_for() {
        let kind = |vouched| {
            let body = body("reply", json!({"text": "hi"}));
            let intake = read(&body, around(SUBJECT, vouched)).unwrap();
            intake.command.requested_by.kind
        };
        assert_eq!((kind(true), kind(false)), (Requester::Person, Requester::Automation));
    }
}
