//! `sync`: imports the conversations of an account, page by page: contacts with placeholder names and the newest messages, as events
//! with `via: backfill` under the ids their webhooks would have. No profile is read, nothing is answered.
//!
//! Read `walk` (pure: which page is next), `page` (pure: what of it is imported), `drafts` (pure: a conversation as events), `report` (pure).
//! Where the walk stands is stored with every page, so a crash goes on from there; doing a page twice changes nothing.

mod drafts;
mod page;
mod report;
mod rows;
mod walk;

use std::time::Duration;

use schemas::command::SyncData;
use schemas::{Event, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::ledger::commands::{self, End};
use crate::ledger::queue;
use crate::ledger::{self, CommandRow};
use crate::plan::import_lane;
use crate::reading;
use crate::services::{Next, Services};
use crate::state::{CommandState, Hold};
use facts::accounts::Connected;
use facts::follow_up::FollowUp;
use graph::{Class, ConversationPage, GraphError, Lane};
use page::{Known, Sorted};
use report::Report;
use walk::Walk;

pub use drafts::drafts;
pub use report::Reason;

/// How long a page waits for a conversation that somebody waits for, before it is looked at again.
const YIELD_PAUSE: Duration = Duration::from_millis(500);

/// What an import has come to.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    #[serde(flatten)]
    report: Report,
    /// Where it stands, of one conversation; that of a whole account stands in its table.
    #[serde(skip_serializing_if = "Option::is_none")]
    walk: Option<Walk>,
}

/// An import that is claimed.
struct Import<'a> {
    services: &'a Services,
    command: &'a CommandRow,
    asked: SyncData,
}

/// Imports one page and returns what is next. The command is claimed.
///
/// # Errors
/// Database, broker or the store of tokens failed; the page is imported again when the claim lapses.
pub(crate) async fn run(
    services: &Services,
    command: &CommandRow,
    asked: SyncData,
) -> anyhow::Result<Next> {
    if yields(services, command).await? {
        return Ok(Next::Idle);
    }
    let connected = services.accounts.get(command.channel, &command.account_id).await?;
    let Some(mut connected) = connected else { return Ok(Next::Idle) };
    let import = Import { services, command, asked };
    let progress = import.progress().await?;
    let walk = progress.walk.clone().unwrap_or_default();
    if walk == Walk::default() {
        // Threads may name the account by an id or a handle that nobody has named yet.
        graph::learn(&services.graph, &services.accounts, &mut connected, Lane::Sync).await;
    }
    let contact = import.asked.contact_id.as_ref().map(|contact| contact.as_str());
    let cursor = walk.cursor.as_deref();
    match services.graph.conversations(&connected, contact, cursor, walk.page, Lane::Sync).await {
        Ok(page) => import.store(&connected, progress, &walk, page).await,
        Err(error) => import.failed(&connected, progress, &walk, &error).await,
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

impl Import<'_> {
    /// It is of the whole account.
    fn is_whole(&self) -> bool {
        self.asked.contact_id.is_none()
    }

    async fn progress(&self) -> anyhow::Result<Progress> {
        let stored = self.command.result.clone();
        let progress: Progress =
            stored.and_then(|result| serde_json::from_value(result).ok()).unwrap_or_default();
        if !self.is_whole() {
            return Ok(progress);
        }
        let walk = rows::walk(&self.services.pool, self.command).await?;
        Ok(Progress { walk: Some(walk), ..progress })
    }

    /// What of the page this import has read before.
    async fn known(&self, page: &ConversationPage) -> anyhow::Result<Known> {
        if !self.is_whole() {
            return Ok(Known::new());
        }
        let CommandRow { channel, account_id, .. } = self.command;
        let threads: Vec<&str> = page.conversations.iter().map(|one| one.id.as_str()).collect();
        Ok(rows::known(&self.services.pool, *channel, account_id, &threads).await?)
    }

    /// Publishes a page and stores the progress with it.
    async fn store(
        &self,
        connected: &Connected,
        progress: Progress,
        walk: &Walk,
        page: ConversationPage,
    ) -> anyhow::Result<Next> {
        let known = self.known(&page).await?;
        let sorted = page::sort(&connected.account, &page, self.asked.since, &known);
        let mut emission = self.services.facts.begin(&sorted.drafts).await?;
        let events: Vec<Event> = emission.published.events().cloned().collect();
        // No profile is read for an import.
        let follow_up = FollowUp { reveals: true, profiles: false };
        follow_up.note(&mut emission.tx, &events, runtime::now()).await?;
        if !commands::lock_open(&mut emission.tx, &self.command.identity).await? {
            // Another worker has ended it, because this claim had lapsed. What was published is known to both.
            return Ok(Next::Idle);
        }
        let next = walk.after_page(&sorted.seen);
        let done = next.is_none();
        let result = self.keep(&mut emission.tx, progress, &sorted, next).await?;
        let (conn, identity) = (&mut *emission.tx, &self.command.identity);
        if done {
            let (state, result) = (CommandState::Sent, Some(result));
            commands::finish(conn, identity, End { state, rule: None, error: None, result })
                .await?;
        } else {
            commands::save_progress(conn, identity, &result).await?;
        }
        emission.commit().await?;
        // After every page others have a turn.
        Ok(if done { Next::Ended } else { Next::Idle })
    }

    /// Keeps what was read and where to go on; returns what the command shows.
    async fn keep(
        &self,
        conn: &mut PgConnection,
        mut progress: Progress,
        sorted: &Sorted,
        next: Option<Walk>,
    ) -> anyhow::Result<serde_json::Value> {
        if self.is_whole() {
            rows::put(conn, self.command, sorted).await?;
            if let Some(walk) = &next {
                rows::save(conn, self.command, walk).await?;
            }
            progress = Progress { report: rows::report(conn, self.command).await?, walk: None };
        } else {
            for (thread, found) in &sorted.threads {
                progress.report.count(thread, found.outcome, found.messages);
            }
            progress.walk = next;
        }
        Ok(serde_json::to_value(&progress)?)
    }

    /// What to do about a page that could not be read.
    async fn failed(
        &self,
        connected: &Connected,
        progress: Progress,
        walk: &Walk,
        error: &GraphError,
    ) -> anyhow::Result<Next> {
        let (services, identity) = (self.services, &self.command.identity);
        if matches!(error.class, Class::Account) {
            services.accounts.stop(connected, &error.refusal()).await?;
        }
        let Some(next) = walk.after_refusal(error) else {
            let result = Some(serde_json::to_value(&progress.report)?);
            let (state, error) = (CommandState::Failed, Some(reading::given_up(error)));
            let end = End { state, rule: None, error, result };
            return reading::end_with(services, self.command, end).await;
        };
        let mut tx = services.pool.begin().await?;
        if !commands::lock_open(&mut tx, identity).await? {
            return Ok(Next::Idle);
        }
        let now: Timestamp = ledger::now(&mut tx).await?;
        let (why, pause) = match error.class {
            Class::Account => (Some(Hold::AccountStopped), reading::STOPPED_PAUSE),
            // It starts over: nothing is wrong with the next call.
            Class::Invalid => (None, Duration::ZERO),
            _ => (
                Some(Hold::Paused),
                error.retry_after.unwrap_or_else(|| reading::pause(services, walk.tries)),
            ),
        };
        let walk = if self.is_whole() {
            rows::save(&mut tx, self.command, &next).await?;
            None
        } else {
            Some(next)
        };
        let result = serde_json::to_value(Progress { walk, ..progress })?;
        commands::save_progress(&mut tx, identity, &result).await?;
        commands::wait(&mut tx, identity, now.plus(pause), why).await?;
        tx.commit().await?;
        Ok(Next::Idle)
    }
}
