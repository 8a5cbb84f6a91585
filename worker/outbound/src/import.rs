//! `sync`: imports the conversations of an account, page by page: contacts with placeholder names and the newest messages, as events
//! with `via: backfill` under the ids their webhooks would have. No profile is read, nothing is answered.
//!
//! The progress (cursor and counts) is stored with every page, so a crash goes on from there; doing a page twice changes nothing.

use std::time::Duration;

use schemas::command::Action;
use schemas::event::Origin;
use schemas::facts::{Message, OutcomeError};
use schemas::meta::mid;
use schemas::{ContactId, Event, Fact, Timestamp, Via};
use serde::{Deserialize, Serialize};

use crate::answer::outcome_error;
use crate::ledger::{self, CommandRow};
use crate::outcome::own_error;
use crate::sender::{Next, Sender};
use facts::accounts::Connected;
use facts::accounts::directory::Account;
use facts::follow_up::conversation_state;
use facts::follow_up::waiting;
use facts::{Direction, Draft, ids};
use graph::{Class, Conversation, FoundMessage, GraphError, Lane};

/// Conversations per call.
const PAGE: u32 = 25;
/// How long the claim of a page lasts.
const CLAIM: Duration = Duration::from_secs(60);
/// Reasons kept of conversations that could not be imported; the count goes on.
const REASONS_MAX: usize = 20;
/// Pages that may fail in a row before the import gives up.
const FAILURES_MAX: u32 = 10;

/// How far an import has come; at its end, its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Conversations imported.
    pub synced: u64,
    /// Conversations that could not be.
    pub failed: u64,
    /// Messages they held.
    pub messages: u64,
    /// Why some could not be: Meta's id of the thread and a word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<(String, String)>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Pages that failed in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Imports one page and says what is next. The command is claimed.
pub(crate) async fn run(sender: &Sender, command: &CommandRow) -> anyhow::Result<Next> {
    let Some(connected) = sender.accounts.get(command.channel, &command.account_id).await? else {
        return Ok(Next::Idle);
    };
    let mut progress: Progress = command
        .result
        .clone()
        .and_then(|result| serde_json::from_value(result).ok())
        .unwrap_or_default();
    let contact = match &command.action {
        Ok(Action::Sync(data)) => data.contact_id.as_ref().map(ContactId::as_str),
        _ => None,
    };
    let page = sender
        .graph
        .conversations(&connected, contact, progress.cursor.as_deref(), PAGE, Lane::Sync)
        .await;
    let page = match page {
        Ok(page) => page,
        Err(error) => return failed(sender, command, &connected, progress, &error).await,
    };
    let mut drafts = Vec::new();
    for conversation in &page.conversations {
        match import(&connected.account, conversation) {
            Ok(found) => {
                progress.synced += 1;
                progress.messages +=
                    found.iter().map(|draft| draft.messages.len() as u64).sum::<u64>();
                drafts.extend(found);
            }
            Err(reason) => {
                progress.failed += 1;
                if progress.failures.len() < REASONS_MAX {
                    progress.failures.push((conversation.id.clone(), reason.to_owned()));
                }
            }
        }
    }
    progress.cursor = page.next;
    progress.tries = 0;
    let mut emission = sender.facts.begin(&drafts).await?;
    let events: Vec<Event> = emission.published.events().cloned().collect();
    conversation_state::note(&mut emission.tx, &events, runtime::now()).await?;
    let revealed: Vec<_> = events.iter().filter_map(waiting::Revealed::by).collect();
    waiting::reveal(&mut emission.tx, &revealed).await?;
    let done = progress.cursor.is_none();
    let result = serde_json::to_value(&progress)?;
    if done {
        ledger::finish(&mut emission.tx, &command.identity, "sent", None, None, Some(result))
            .await?;
    } else {
        save(&mut emission.tx, command, result, None).await?;
    }
    emission.commit().await?;
    // After every page others have a turn.
    Ok(if done { Next::Ended } else { Next::Idle })
}

/// What to do about a page that could not be read.
async fn failed(
    sender: &Sender,
    command: &CommandRow,
    connected: &Connected,
    mut progress: Progress,
    error: &GraphError,
) -> anyhow::Result<Next> {
    if matches!(error.class, Class::Account) {
        sender.accounts.stop(connected, &error.to_string()).await?;
    }
    let mut tx = sender.pool.begin().await?;
    let Some(command) = ledger::lock(&mut tx, &command.identity).await? else {
        return Ok(Next::Idle);
    };
    let now = ledger::now(&mut tx).await?;
    let pause = error.retry_after.unwrap_or_else(|| {
        runtime::retry::delay(
            sender.waits.retry_min,
            sender.waits.retry_max,
            progress.tries,
            rand::random(),
        )
    });
    let again = match error.class {
        Class::Limited(_) => Some(("paused", pause)),
        Class::Account => Some(("account_stopped", CLAIM)),
        Class::Retry | Class::Unknown if progress.tries < FAILURES_MAX => {
            progress.tries += 1;
            Some(("paused", pause))
        }
        _ => None,
    };
    let result = serde_json::to_value(&progress)?;
    let next = if let Some((why, pause)) = again {
        save(&mut tx, &command, result, None).await?;
        ledger::wait(&mut tx, &command.identity, now.plus(pause), Some(why)).await?;
        Next::Idle
    } else {
        let error: OutcomeError = match error.class {
            Class::Permission => own_error("permission", "permission", error.to_string()),
            _ => outcome_error(error),
        };
        let error = serde_json::to_value(error).ok();
        ledger::finish(&mut tx, &command.identity, "failed", None, error, Some(result)).await?;
        Next::Ended
    };
    tx.commit().await?;
    Ok(next)
}

async fn save(
    conn: &mut sqlx::PgConnection,
    command: &CommandRow,
    result: serde_json::Value,
    held: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.commands set result = $2, due_at = clock_timestamp(), held = $3 where identity = $1 and state = 'open'",
    )
    .bind(&command.identity)
    .bind(result)
    .bind(held)
    .execute(conn)
    .await?;
    Ok(())
}

/// A conversation as events.
///
/// # Errors
/// A word, when the person behind it cannot be told.
pub fn import(account: &Account, conversation: &Conversation) -> Result<Vec<Draft>, &'static str> {
    let mut others = conversation.participants.iter().filter(|party| {
        party.id.as_deref().is_some_and(|id| !account.is_self(id) && ids::may_be_contact(id))
    });
    let (Some(person), None) = (others.next(), others.next()) else {
        return Err("no_single_person");
    };
    let Some(contact) = person.id.as_deref().map(ContactId::new) else {
        return Err("no_single_person");
    };
    let mut messages: Vec<&FoundMessage> = conversation
        .messages
        .iter()
        .filter(|message| message.detailed && message.created_time.is_some())
        .collect();
    messages.sort_by_key(|message| (message.created_time, message.id.clone()));
    let oldest = messages.iter().filter_map(|message| message.created_time).min();
    let Some(seen_at) = oldest.or(conversation.updated_time) else { return Err("no_time") };
    let mut drafts = vec![ids::discovery(
        account.channel,
        account.id.clone(),
        contact.clone(),
        seen_at,
        true,
        person.username.clone(),
        conversation.updated_time,
        Origin::of(Via::Backfill),
    )];
    drafts.extend(messages.into_iter().filter_map(|message| draft(account, &contact, message)));
    Ok(drafts)
}

fn draft(account: &Account, contact: &ContactId, found: &FoundMessage) -> Option<Draft> {
    let time: Timestamp = found.created_time?;
    let from = found.from.as_ref()?.id.as_deref()?;
    let direction = if from == contact.as_str() { Direction::Inbound } else { Direction::Outbound };
    let body = Message {
        message_id: found.id.clone(),
        text: found.text.clone(),
        attachments: found.attachments.clone(),
        reply_to: found.reply_to.clone(),
        unsupported: found.unsupported.then_some(true),
        content_missing: (!found.has_content()).then_some(true),
        ..Message::default()
    };
    let fact = match direction {
        Direction::Inbound => Fact::MessageReceived(body),
        Direction::Outbound => Fact::MessageSent(body),
    };
    let id = ids::message(account.channel, &account.id, found.id.as_str());
    let thread = mid::decode(found.id.as_str()).map(|mid| mid.thread_id);
    let event = Event::new(
        id,
        time,
        account.channel,
        account.id.clone(),
        Some(contact.clone()),
        Origin::of(Via::Backfill),
        fact,
    );
    Some(Draft::of(event).with_message(found.id.clone(), direction, thread))
}

#[cfg(test)]
mod tests {
    use schemas::{Channel, Kind};

    use super::*;
    use facts::accounts::directory::Login;
    use graph::Party;

    fn party(id: &str) -> Party {
        Party { id: Some(id.to_owned()), username: None }
    }

    fn message(id: &str, from: &str, time: i64) -> FoundMessage {
        FoundMessage {
            id: id.into(),
            created_time: Some(Timestamp::from_millis(time)),
            from: Some(party(from)),
            text: Some("hi".to_owned()),
            detailed: true,
            ..FoundMessage::default()
        }
    }

    fn account() -> Account {
        Account {
            channel: Channel::Messenger,
            id: "103000000000301".into(),
            login: Login::Facebook,
            app: None,
            page_id: None,
            aliases: Vec::new(),
            name: None,
            auto_reply: None,
            stopped: false,
        }
    }

    #[test]
    fn a_thread_is_a_contact_and_its_messages_in_order_under_the_ids_of_webhooks() {
        let (page, person) = ("103000000000301", "7300000000000111");
        let conversation = Conversation {
            participants: vec![party(page), party(person)],
            messages: vec![message("m2", page, 20), message("m1", person, 10)],
            ..Conversation::default()
        };
        let drafts = import(&account(), &conversation).unwrap();
        let kinds: Vec<Kind> = drafts.iter().map(|draft| draft.event.kind()).collect();
        assert_eq!(kinds, [Kind::ContactDiscovered, Kind::MessageReceived, Kind::MessageSent]);
        assert_eq!(drafts[1].event.id, ids::message(Channel::Messenger, &page.into(), "m1"));
        assert!(drafts.iter().all(|draft| draft.event.data.origin.via == Via::Backfill));
    }

    #[test]
    fn a_thread_without_one_person_is_reported_not_guessed() {
        let nobody = Conversation {
            participants: vec![party("103000000000301")],
            ..Conversation::default()
        };
        assert_eq!(import(&account(), &nobody), Err("no_single_person"));
    }

    #[test]
    fn progress_survives_its_row() {
        let progress =
            Progress { synced: 3, cursor: Some("c".to_owned()), tries: 2, ..Progress::default() };
        let stored = serde_json::to_value(&progress).unwrap();
        assert_eq!(serde_json::from_value::<Progress>(stored).unwrap(), progress);
    }
}
