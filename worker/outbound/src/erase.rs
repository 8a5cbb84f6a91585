//! What an erasure needs of commands: the ledger without the person, INBOX_COMMANDS and INBOX_DEAD without their messages
//! (docs/decisions/43). INBOX_ATTEMPTS has ids of commands and times, nothing of a person.

use facts::erase::Target;
use runtime::broker::Broker;
use runtime::follow::{Follower, Received, stored};
use runtime::streams;
use schemas::command::UncheckedCommand;
use schemas::facts::OutcomeError;
use schemas::subjects::{
    COMMAND_ALL, DEAD_ALL, INBOX_COMMANDS, INBOX_DEAD, Route, partition, token,
};
use schemas::{AccountId, Channel, ContactId, ConversationId, Timestamp};
use sqlx::{PgConnection, PgPool};

use crate::ledger::erase as rows;

/// Messages that are read at once.
const BATCH: usize = 200;

/// A reply of several messages whose others are not sent yet: its words are needed until then.
pub const OPEN: &str = "a reply that is not sent as a whole yet";

/// Why commands cannot be erased yet; `None`: they can.
///
/// # Errors
/// Broker or Postgres did not answer; ask again.
pub async fn waits_for(
    broker: &Broker,
    pool: &PgPool,
    (channel, account): (Channel, &AccountId),
    target: &Target,
) -> anyhow::Result<Option<&'static str>> {
    // First, since it is waited for longer than for anything else.
    if let Target::Messages(messages) = target
        && rows::are_open(pool, channel, account, messages).await?
    {
        return Ok(Some(OPEN));
    }
    let last = stored::last(broker.js(), INBOX_COMMANDS, COMMAND_ALL).await?;
    let taken = taken(pool).await?;
    if last.is_some_and(|last| last.sequence > taken) {
        return Ok(Some("commands that no worker has accepted yet: is a worker running?"));
    }
    Ok(match target {
        Target::Person(contact) => {
            let conversation = ConversationId::of(channel, account, contact);
            let sending = rows::under_way(pool, &conversation).await? > 0;
            sending.then_some("a reply to this person that is being sent")
        }
        Target::Messages(_) => None,
    })
}

/// How far the intake has read INBOX_COMMANDS.
async fn taken(pool: &PgPool) -> sqlx::Result<u64> {
    let taken: Option<i64> =
        sqlx::query_scalar("select seq from worker.positions where name = 'commands'")
            .fetch_optional(pool)
            .await?;
    Ok(taken.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
}

/// Erases a target in the ledger, in the caller's transaction. Returns the number of commands, and positions in INBOX_COMMANDS; `None`: it
/// waits for [`OPEN`], roll back.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn forget(
    conn: &mut PgConnection,
    (channel, account): (Channel, &AccountId),
    target: &Target,
    until: Timestamp,
) -> sqlx::Result<Option<(u64, Vec<u64>)>> {
    match target {
        Target::Person(contact) => {
            let conversation = ConversationId::of(channel, account, contact);
            let why = "the person was erased: nothing is sent to them";
            let error = OutcomeError::own("erased", "permanent", why);
            let done = rows::forget_conversation(conn, &conversation, until, &error).await?;
            Ok(Some((done, Vec::new())))
        }
        Target::Messages(messages) => {
            let at = rows::forget_messages(conn, channel, account, messages).await?;
            let Some(at) = at else { return Ok(None) };
            let seqs = at.iter().filter_map(|seq| u64::try_from(*seq).ok()).filter(|seq| *seq > 0);
            Ok(Some((at.len() as u64, seqs.collect())))
        }
    }
}

/// Erases messages of INBOX_COMMANDS by their positions.
///
/// # Errors
/// The broker did not answer; call again.
pub async fn erase_commands(broker: &Broker, seqs: &[u64]) -> anyhow::Result<u64> {
    Ok(streams::erase(broker.js(), INBOX_COMMANDS, seqs).await?)
}

/// Erases the commands to a person that INBOX_COMMANDS has and that were asked for up to `until`: a later one is carried out. One that cannot be
/// read is erased, too.
///
/// # Errors
/// The broker did not answer; call again.
pub async fn erase_commands_to(
    broker: &Broker,
    (channel, account): (Channel, &AccountId),
    contact: &ContactId,
    until: Timestamp,
) -> anyhow::Result<u64> {
    let part = partition(channel, account, Route::Contact(contact.as_str()));
    let account = token(account.as_str());
    let filter = format!("inbox.v1.command.{part:02}.{channel}.{account}.>");
    let ids = [contact.as_str()];
    let is_about =
        |message: &Received| names(message, &ids) && !is_asked_after(&message.payload, until);
    erase_those(broker, INBOX_COMMANDS, filter, &is_about).await
}

/// Erases the copies of what was parked of a person.
///
/// # Errors
/// The broker did not answer; call again.
pub async fn erase_dead(
    broker: &Broker,
    (channel, account): (Channel, &AccountId),
    contact: &ContactId,
) -> anyhow::Result<u64> {
    if stored::last(broker.js(), INBOX_DEAD, DEAD_ALL).await?.is_none() {
        return Ok(0);
    }
    let conversation = ConversationId::of(channel, account, contact);
    let filter = format!("inbox.v1.dead.*.{channel}.{}", token(account.as_str()));
    let ids = [contact.as_str(), conversation.as_str()];
    erase_those(broker, INBOX_DEAD, filter, &|message| names(message, &ids)).await
}

/// Whether a command was asked for after a time.
fn is_asked_after(body: &[u8], time: Timestamp) -> bool {
    UncheckedCommand::from_slice(body).is_ok_and(|command| command.requested_at > time)
}

/// Whether a message has one of these ids in it.
fn names(message: &Received, ids: &[&str]) -> bool {
    let text = String::from_utf8_lossy(&message.payload);
    ids.iter().any(|id| text.contains(id))
}

/// Erases the messages of a filter for which `is_about` holds.
async fn erase_those(
    broker: &Broker,
    stream: &'static str,
    filter: String,
    is_about: &(dyn Fn(&Received) -> bool + Sync),
) -> anyhow::Result<u64> {
    let Some(last) = stored::last(broker.js(), stream, &filter).await? else { return Ok(0) };
    let mut follower = Follower::over(broker.clone(), stream, vec![filter], 0);
    let mut erased = 0;
    while let Some(batch) = follower.next_up_to(last.sequence, BATCH).await? {
        let about = batch.iter().filter(|one| is_about(one));
        let seqs: Vec<u64> = about.map(|one| one.sequence).collect();
        erased += streams::erase(broker.js(), stream, &seqs).await?;
    }
    Ok(erased)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_later_stays() {
        let of = |id: &str| {
            format!(
                r#"{{"id":"{id}","channel":"instagram","account_id":"1","contact_id":"52","command":"reply",
                    "requested_by":{{"kind":"person","name":"a test"}},"requested_at":"2026-11-18T11:10:00.000Z","data":{{"text":"hello"}}}}"#
            )
        };
        let at: Timestamp = "2026-11-18T11:10:00.000Z".parse().unwrap();
        let before = Timestamp::from_millis(at.as_millis() - 1);
        assert!(is_asked_after(of("c1").as_bytes(), before));
        assert!(!is_asked_after(of("c1").as_bytes(), at));
        assert!(!is_asked_after(b"no command of 52", before));
    }
}
