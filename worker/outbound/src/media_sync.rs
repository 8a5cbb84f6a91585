//! `media_sync`: reads the newest media or posts of an account with their comments, or all comments of one, as events with `via: backfill`
//! under the ids their webhooks would have. Nothing is answered.
//!
//! The progress (what is still to be read, and counts) is stored with every page, so a crash goes on from there; doing a page twice changes nothing.

mod drafts;
mod progress;
mod rows;

use facts::Draft;
use facts::accounts::Connected;
use graph::{Class, FoundMedia, GraphError, Lane, Under};
use schemas::Channel;

use crate::ledger::CommandRow;
use crate::ledger::commands::{self, End};
use crate::reading::{self, Stand};
use crate::services::{Next, Services};
use crate::state::CommandState;
use progress::{Page, Progress};

/// What one call returned.
#[derive(Default)]
struct Read {
    drafts: Vec<Draft>,
    /// The list of media, where it was read.
    media: Option<Vec<FoundMedia>>,
}

/// Reads one page and returns what is next. The command is claimed.
///
/// # Errors
/// Database, broker or the store of tokens failed; the page is read again when the claim lapses.
pub(crate) async fn run(
    services: &Services,
    command: &CommandRow,
    media: Option<&str>,
) -> anyhow::Result<Next> {
    let connected = services.accounts.get(command.channel, &command.account_id).await?;
    let Some(connected) = connected else { return Ok(Next::Idle) };
    let stored = command.result.clone();
    let mut progress: Progress = match stored.and_then(|result| serde_json::from_value(result).ok())
    {
        Some(progress) => progress,
        None => Progress::of(media),
    };
    match read(services, &connected, &mut progress).await {
        Ok(read) => store(services, command, progress, read).await,
        Err(error) if error.wants_less() && progress.wants_less() => {
            store(services, command, progress, Read::default()).await
        }
        Err(error) => {
            progress.tries += 1;
            let (tries, result) = (progress.tries - 1, serde_json::to_value(&progress)?);
            let stand = Stand { tries, kept: result.clone(), reported: Some(result) };
            reading::failed_at(services, command, &connected, stand, &error).await
        }
    }
}

/// Reads the next page and moves the progress behind it.
async fn read(
    services: &Services,
    connected: &Connected,
    progress: &mut Progress,
) -> Result<Read, GraphError> {
    let graph = &services.graph;
    if !progress.listed {
        let limit = progress.media_limit();
        let list = |comments| graph.media(connected, comments, None, limit, Lane::Sync);
        let page = match list(!progress.posts_only).await {
            // What people wrote needs a permission of its own; posts do not.
            Err(error)
                if error.class == Class::Permission
                    && connected.account.channel == Channel::Messenger =>
            {
                progress.posts_only = true;
                list(false).await?
            }
            page => page?,
        };
        progress.take_list(&page.media);
        let drafts = page.media.iter().flat_map(|found| {
            let place = Page { media: found.media.id.clone(), ..Page::default() };
            drafts::drafts(&connected.account, &place, &found.comments)
        });
        return Ok(Read { drafts: drafts.collect(), media: Some(page.media) });
    }
    let Some(place) = progress.open.front().cloned() else { return Ok(Read::default()) };
    let under = match &place.parent {
        Some(comment) => Under::Comment(comment),
        None => Under::Media(&place.media),
    };
    let limit = progress.comments_limit();
    let page = graph.comments(connected, under, place.after.as_deref(), limit, Lane::Sync).await?;
    progress.open.pop_front();
    progress.take_comments(&place, &page);
    Ok(Read { drafts: drafts::drafts(&connected.account, &place, &page), media: None })
}

/// Publishes a page and stores the progress with it.
async fn store(
    services: &Services,
    command: &CommandRow,
    mut progress: Progress,
    read: Read,
) -> anyhow::Result<Next> {
    if !read.drafts.is_empty() || read.media.is_some() {
        progress.tries = 0;
    }
    let mut emission = services.facts.begin(&read.drafts).await?;
    if !commands::lock_open(&mut emission.tx, &command.identity).await? {
        return Ok(Next::Idle);
    }
    if let Some(media) = &read.media {
        rows::keep(&mut emission.tx, command.channel, &command.account_id, media).await?;
    }
    let done = progress.is_done();
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
