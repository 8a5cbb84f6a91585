//! `sync`: imports the conversations of an account, page by page: contacts with placeholder names and the newest messages, as events
//! with `via: backfill` under the ids their webhooks would have. No profile is read, nothing is answered.
//!
//! The progress (cursor and counts) is stored with every page, so a crash goes on from there; doing a page twice changes nothing.

mod drafts;
mod progress;

use std::time::Duration;

use schemas::Event;
use schemas::command::Action;

use crate::ledger::commands::{self, End};
use crate::ledger::queue;
use crate::ledger::{self, CommandRow};
use crate::plan::import_lane;
use crate::reading::{self, Stand};
use crate::services::{Next, Services};
use crate::state::CommandState;
use facts::Draft;
use facts::accounts::Connected;
use facts::follow_up::FollowUp;
use graph::{ConversationPage, Lane};
use progress::Progress;

/// Conversations per call.
const PAGE: u32 = 25;
/// How long a page waits for a conversation that somebody waits for, before it is looked at again.
const YIELD_PAUSE: Duration = Duration::from_millis(500);

/// Imports one page and returns what is next. The command is claimed.
///
/// # Errors
/// Database, broker or the store of tokens failed; the page is imported again when the claim lapses.
pub(crate) async fn run(services: &Services, command: &CommandRow) -> anyhow::Result<Next> {
    if yields(services, command).await? {
        return Ok(Next::Idle);
    }
    let connected = services.accounts.get(command.channel, &command.account_id).await?;
    let Some(mut connected) = connected else { return Ok(Next::Idle) };
    let progress: Progress = command
        .result
        .clone()
        .and_then(|result| serde_json::from_value(result).ok())
        .unwrap_or_default();
    let contact = match command.action() {
        Some(Action::Sync(data)) => data.contact_id,
        _ => None,
    };
    let contact = contact.as_ref().map(|contact| contact.as_str());
    let cursor = progress.cursor.as_deref();
    if cursor.is_none() {
        // Threads may name the account by an id or a handle that nobody has named yet.
        graph::learn(&services.graph, &services.accounts, &mut connected, Lane::Sync).await;
    }
    match services.graph.conversations(&connected, contact, cursor, PAGE, Lane::Sync).await {
        Ok(page) => store(services, command, &connected, progress, page).await,
        Err(error) => {
            let tries = progress.tries;
            let result = serde_json::to_value(Progress { tries: tries + 1, ..progress })?;
            let stand = Stand { tries, kept: result.clone(), reported: Some(result) };
            reading::failed_at(services, command, &connected, stand, &error).await
        }
    }
}

/// Whether the next page of a whole account waits, because somebody waits for one of its conversations. Both need the same calls to Graph.
async fn yields(services: &Services, command: &CommandRow) -> anyhow::Result<bool> {
    if command.lane != import_lane(command.channel, &command.account_id) {
        return Ok(false);
    }
    let waits =
        queue::import_is_due(&services.pool, command.channel, &command.account_id, &command.lane);
    if !waits.await? {
        return Ok(false);
    }
    let mut conn = services.pool.acquire().await?;
    let later = ledger::now(&mut conn).await?.plus(YIELD_PAUSE);
    commands::wait(&mut conn, &command.identity, later, None).await?;
    Ok(true)
}

/// Publishes a page and stores the progress with it.
async fn store(
    services: &Services,
    command: &CommandRow,
    connected: &Connected,
    mut progress: Progress,
    page: ConversationPage,
) -> anyhow::Result<Next> {
    let mut drafts: Vec<Draft> = Vec::new();
    for conversation in &page.conversations {
        match drafts::drafts(&connected.account, conversation) {
            Ok(found) => {
                progress.count(found.iter().map(|draft| draft.messages.len() as u64).sum());
                drafts.extend(found);
            }
            Err(reason) => progress.count_failure(&conversation.id, reason),
        }
    }
    progress.cursor = page.next;
    progress.tries = 0;
    let mut emission = services.facts.begin(&drafts).await?;
    let events: Vec<Event> = emission.published.events().cloned().collect();
    // No profile is read for an import.
    let follow_up = FollowUp { reveals: true, profiles: false };
    follow_up.note(&mut emission.tx, &events, runtime::now()).await?;
    let done = progress.cursor.is_none();
    let result = serde_json::to_value(&progress)?;
    if done {
        let end = End { state: CommandState::Sent, rule: None, error: None, result: Some(result) };
        commands::finish(&mut emission.tx, &command.identity, end).await?;
    } else {
        commands::save_progress(&mut emission.tx, &command.identity, &result).await?;
    }
    emission.commit().await?;
    // After every page others have a turn.
    Ok(if done { Next::Ended } else { Next::Idle })
}
