//! What the worker knows about one id, for `hookline trace`: ids, times, states and codes, never a person's words or names.
//!
//! Every look-up goes by an index, so that the log may be as long as it likes. Rows are JSON with named fields, as the tables hold them.

pub mod reading;
mod rows;
mod story;
pub mod structure;

use schemas::raw::RawMeta;
use sqlx::PgPool;

use reading::Reading;
use rows::{OfAccounts, ROWS_MAX};
use story::{merge, texts};

pub use story::Story;

/// Most facts that readings of one raw webhook are compared with.
const COMPARED_MAX: i64 = 10_000;

/// Looks an id up and follows what hangs on it.
///
/// # Errors
/// `sqlx::Error`; nothing was changed, call again.
pub async fn find(pool: &PgPool, id: &str) -> sqlx::Result<Story> {
    let key = [id.to_owned()];
    let mut story = Story { id: id.to_owned(), ..Story::default() };
    let events = rows::facts_by_event(pool, &key, ROWS_MAX).await?;
    let about = rows::facts_by_message(pool, &key).await?;
    let waiting = rows::waiting(pool, &key).await?;
    let own = rows::commands_by_id(pool, &key).await?;
    let makers = rows::commands_by_message(pool, &key).await?;
    let stuck = rows::parked_by_event(pool, &key).await?;
    // A number that no row can have is no row's.
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    let number = id.parse::<i64>().ok().filter(|_| digits);
    let row = rows::parked(pool, number.as_slice()).await?;
    for (what, found) in [
        ("event", !events.is_empty()),
        ("message", !about.is_empty() || !makers.is_empty()),
        ("command", !own.is_empty()),
        ("waiting message", !waiting.is_empty()),
        ("parked event", !stuck.is_empty()),
        ("parked row", !row.is_empty()),
    ] {
        if found {
            story.known_as.push(what);
        }
    }
    story.facts = events.into_iter().chain(about).collect();
    story.waiting = waiting;
    story.commands = own.into_iter().chain(makers).collect();
    story.parked = stuck.into_iter().chain(row).collect();
    follow(pool, &mut story).await?;
    Ok(story)
}

/// What hangs on what was found.
async fn follow(pool: &PgPool, story: &mut Story) -> sqlx::Result<()> {
    let mids = follow_facts(pool, story).await?;
    follow_work(pool, story, &mids).await?;
    follow_accounts(pool, story).await?;
    follow_outcomes(pool, story).await?;
    let raw = facts::eras::current(pool, schemas::subjects::META_RAW).await?;
    (story.raw_seqs, story.lost_raw_seqs) = story.positions(raw.map_or(0, |known| known.n));
    Ok(())
}

/// Everything else about the message of an event, and what a parked event would be. Returns the ids of the messages.
async fn follow_facts(pool: &PgPool, story: &mut Story) -> sqlx::Result<Vec<String>> {
    let causes: Vec<String> = texts(&story.commands, "caused_by").into_iter().collect();
    let mut facts = rows::facts_by_event(pool, &causes, ROWS_MAX).await?;
    facts.extend(rows::facts_by_event(pool, &story.event_ids(), ROWS_MAX).await?);
    let mids: Vec<String> = texts(&story.facts, "message_id")
        .into_iter()
        .chain(texts(&story.waiting, "message_id"))
        .chain(texts(&facts, "message_id"))
        .collect();
    facts.extend(rows::facts_by_message(pool, &mids).await?);
    merge(&mut story.facts, facts, &["event_id", "revision"]);
    story.facts.sort_by_key(|fact| {
        (fact["event_era"].as_i64(), fact["event_seq"].as_i64(), fact["revision"].as_i64())
    });
    Ok(mids)
}

/// What waits, is parked or withdrawn of it, and the commands around it.
async fn follow_work(pool: &PgPool, story: &mut Story, mids: &[String]) -> sqlx::Result<()> {
    let waiting = rows::waiting(pool, mids).await?;
    merge(&mut story.waiting, waiting, &["channel", "account_id", "message_id", "num_edit"]);
    let events = story.event_ids();
    let mut commands = rows::commands_by_message(pool, mids).await?;
    commands.extend(rows::commands_by_cause(pool, &events).await?);
    merge(&mut story.commands, commands, &["identity"]);
    story.withdrawn = rows::withdrawals(pool, &events).await?;
    let parked = rows::parked_by_event(pool, &events).await?;
    merge(&mut story.parked, parked, &["row"]);
    Ok(())
}

/// Rows of tables whose keys begin with the account, of the accounts that are known by now.
async fn follow_accounts(pool: &PgPool, story: &mut Story) -> sqlx::Result<()> {
    let mids = story.message_ids();
    let tables = OfAccounts { pool, accounts: story.accounts() };
    story.resolutions = tables.resolutions(&mids).await?;
    story.messages = tables.messages(&mids).await?;
    story.echoes = tables.echoes(&mids).await?;
    let claimed = rows::echoes_by_part(pool, &story.part_keys()).await?;
    merge(&mut story.echoes, claimed, &["channel", "account_id", "item_id"]);
    story.contacts = tables.contacts(&story.people()).await?;
    Ok(())
}

/// The outcome events of its commands, by their derived ids, and what Meta reported of the messages they made.
async fn follow_outcomes(pool: &PgPool, story: &mut Story) -> sqlx::Result<()> {
    let (ids, mids) = story.outcome_ids();
    story.outcomes = rows::published_by_event(pool, &ids).await?;
    let reported = rows::published_by_message(pool, &mids).await?;
    merge(&mut story.outcomes, reported, &["event_id", "revision"]);
    Ok(())
}

/// What this version's normaliser says of a raw webhook, compared with the recorded facts of the same ids. `None`: it broke down over it.
///
/// # Errors
/// `sqlx::Error`; nothing was changed, call again.
pub async fn readings(
    pool: &PgPool,
    body: &[u8],
    meta: &RawMeta,
) -> sqlx::Result<Option<Vec<Reading>>> {
    let accounts = facts::accounts::refresh::refresh(&mut *pool.acquire().await?, -1).await?;
    let Some(normalized) = reading::normalized(body, meta, &accounts.unwrap_or_default()) else {
        return Ok(None);
    };
    let ids: Vec<String> = normalized.facts().map(|draft| draft.event.id.to_string()).collect();
    let facts = rows::facts_by_event(pool, &ids, COMPARED_MAX).await?;
    let withdrawn = rows::withdrawn(pool, &ids).await?;
    Ok(Some(reading::compare(&normalized, &facts, &withdrawn)))
}
