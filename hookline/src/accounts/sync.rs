//! `hookline accounts sync`: asks the worker to import the conversations of an account, and shows how far it has come.

use std::time::{Duration, Instant};

use async_nats::jetstream::message::PublishMessage;
use clap::Args;
use runtime::config::{NatsConfig, Settings};
use schemas::command::{Action, RequestedBy, Requester, SyncData};
use schemas::{AccountId, Channel, Command, CommandId, Timestamp};
use serde_json::{Value, json};
use sqlx::PgPool;
use worker::outbound::admin::{CommandStanding, standing};

use crate::exit::{Exit, Failure};
use crate::output::{Output, fields, note, say};
use crate::progress::Progress;
use crate::{connect, operator, since};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Without a worker that takes the command in for so long, the verb says so.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// Arguments of `accounts sync`.
#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// The account, as ID or CHANNEL/ID
    pub(super) account: String,
    /// Only conversations in which something happened since: RFC 3339, or a duration ago such as 30d
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// Says what would be done, changes nothing
    #[arg(long)]
    dry_run: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Publishes the command and waits for its end.
///
/// # Errors
/// Exit code 2 for a time that cannot be read, 4 where NATS or Postgres do not answer.
pub(super) async fn sync(
    args: &SyncArgs,
    pool: &PgPool,
    settings: &Settings,
    (channel, id): (Channel, AccountId),
) -> anyhow::Result<Exit> {
    let since = since::read("--since", args.since.as_deref(), runtime::now())?;
    if args.dry_run {
        match args.output {
            Output::Json => say(json!({
                "channel": channel, "account_id": id, "since": since, "dry_run": true,
            })),
            Output::Table => {
                let from = since.map_or_else(String::new, |since| format!(" since {since}"));
                say(format!("Would import the conversations of {channel}/{id}{from}."));
            }
        }
        return Ok(Exit::Done);
    }
    let command = command(channel, id, since);
    publish(settings, &command).await?;
    note(format!(
        "hookline: command {} is on its way; the import goes on where this verb is interrupted",
        command.id
    ));
    let ended = ended(pool, &command).await?;
    Ok(print(&command, &ended, args.output))
}

/// One command per run: a run that is repeated imports again, which changes nothing.
fn command(channel: Channel, account_id: AccountId, since: Option<Timestamp>) -> Command {
    let (by, unique) = (operator::name(), format!("{:032x}", rand::random::<u128>()));
    Command {
        id: CommandId::of_request(channel, &account_id, &by, &unique),
        channel,
        account_id,
        contact_id: None,
        action: Action::Sync(SyncData { contact_id: None, since }),
        requested_by: RequestedBy { kind: Requester::Automation, name: by },
        requested_at: runtime::now(),
    }
}

async fn publish(settings: &Settings, command: &Command) -> anyhow::Result<()> {
    let (_client, js) = connect::broker(&NatsConfig::from_settings(settings)?).await?;
    let message = PublishMessage::build()
        .payload(serde_json::to_vec(command)?.into())
        .message_id(command.identity());
    let stored = async { js.send_publish(command.nats_subject(), message).await?.await };
    match tokio::time::timeout(connect::PATIENCE, stored).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(connect::broker_error(&error)),
        Err(_) => Err(Failure::unreachable("NATS_URL: the broker does not answer")),
    }
}

/// Waits for the end of the command, and shows how far it has come.
async fn ended(pool: &PgPool, command: &Command) -> anyhow::Result<CommandStanding> {
    let Command { channel, account_id, id, .. } = command;
    let mut progress = Progress::new("sync", "conversations", None);
    let (began, mut said) = (Instant::now(), false);
    loop {
        match standing(pool, *channel, account_id, id).await? {
            Some(found) if found.state != "open" => {
                progress.end();
                return Ok(found);
            }
            Some(found) => {
                let held = found.held.map(|held| format!("waits: {held}")).unwrap_or_default();
                progress.at(done(found.result.as_ref()), &held);
            }
            None if !said && TAKEN_WITHIN < began.elapsed() => {
                said = true;
                note("hookline: no worker has taken the command in yet: does one run?");
            }
            None => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn count(result: Option<&Value>, name: &str) -> u64 {
    result.and_then(|result| result[name].as_u64()).unwrap_or(0)
}

/// Conversations that were looked at.
fn done(result: Option<&Value>) -> u64 {
    ["synced", "failed", "skipped"].into_iter().map(|name| count(result, name)).sum()
}

/// Prints the report; exit code 1 where it is not of success alone.
fn print(command: &Command, ended: &CommandStanding, output: Output) -> Exit {
    let done = ended.state == "sent";
    let Command { channel, account_id, id, .. } = command;
    let mut shown = json!({
        "account": format!("{channel}/{account_id}"), "command_id": id, "status": if done { "done" } else { "failed" },
    });
    if let (Some(shown), Some(Value::Object(result))) = (shown.as_object_mut(), &ended.result) {
        let hidden = |name: &str| ["walk", "cursor", "tries"].contains(&name);
        shown.extend(result.clone().into_iter().filter(|(name, _)| !hidden(name)));
    }
    if let Some(error) = &ended.error {
        shown["error"] = json!(error);
    }
    match output {
        Output::Json => say(&shown),
        Output::Table => fields(&shown),
    }
    match done && count(ended.result.as_ref(), "failed") == 0 {
        true => Exit::Done,
        false => Exit::SomeFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_that_failed_are_exit_code_1_and_some_that_were_skipped_are_not() {
        let command = command(Channel::Messenger, "103000000000301".into(), None);
        let exit = |state: &str, result: Value| {
            let (state, result) = (state.to_owned(), Some(result));
            let ended = CommandStanding { state, held: None, result, error: None };
            print(&command, &ended, Output::Json)
        };
        assert_eq!(exit("sent", json!({"synced": 3, "failed": 0, "skipped": 1})), Exit::Done);
        assert_eq!(exit("sent", json!({"synced": 3, "failed": 1})), Exit::SomeFailed);
        assert_eq!(exit("failed", json!({"synced": 3, "failed": 0})), Exit::SomeFailed);
        assert_eq!(done(Some(&json!({"synced": 3, "failed": 1, "skipped": 2}))), 6);
    }
}
