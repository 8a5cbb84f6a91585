//! What the worker knows about one id, for `hookline trace`: ids, times, states and codes, never a person's words or names.
//!
//! Every look-up goes by an index, so that the log may be as long as it likes. Rows are told as JSON with named fields, as they stand.

pub mod reading;
pub mod structure;

use std::collections::BTreeSet;

use schemas::raw::RawMeta;
use schemas::{AccountId, Channel, EventId};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;

use outbound::part_key;
use reading::Reading;

/// Most rows of one sort that are told.
const ROWS_MAX: i64 = 200;
/// Most replies that one event is told to have caused.
const COMMANDS_MAX: i64 = 50;

/// Everything the worker knows about an id.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Story {
    /// The id that was asked for.
    pub id: String,
    /// As what it is known: `event`, `message`, `command`, `parked row`, `parked event`, `waiting message`.
    pub known_as: Vec<&'static str>,
    /// Facts recorded about it, every revision, oldest first.
    pub facts: Vec<Value>,
    /// Withdrawals of them.
    pub withdrawn: Vec<Value>,
    /// Positions in META_RAW it came from.
    pub raw_seqs: Vec<i64>,
    /// Its place in the waiting room.
    pub waiting: Vec<Value>,
    /// How its sender was found.
    pub resolutions: Vec<Value>,
    /// What the index of messages says: whose it is.
    pub messages: Vec<Value>,
    /// When Meta was asked for the person's profile, and how it answered.
    pub contacts: Vec<Value>,
    /// What is parked of it.
    pub parked: Vec<Value>,
    /// Parked rows that an operator gave up.
    pub discarded: Vec<Value>,
    /// Replies and other commands it caused, or that caused it, with their parts.
    pub commands: Vec<Value>,
    /// Outbound messages as Meta told them.
    pub echoes: Vec<Value>,
    /// Facts about the outcomes of the commands, and about the messages they made.
    pub outcomes: Vec<Value>,
}

impl Story {
    /// Whether anything is known.
    pub fn is_empty(&self) -> bool {
        self.known_as.is_empty()
    }

    /// The ids of its events.
    pub fn event_ids(&self) -> Vec<String> {
        let parked = texts(&self.parked, "event_id");
        texts(&self.facts, "event_id")
            .into_iter()
            .chain(parked)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Meta's ids of its messages.
    pub fn message_ids(&self) -> Vec<String> {
        let parts = self.commands.iter().filter_map(|command| command.get("parts")?.as_array());
        let parts = parts.flat_map(|parts| texts(parts, "message_id"));
        let rows = [&self.facts, &self.waiting, &self.messages]
            .into_iter()
            .flat_map(|rows| texts(rows, "message_id"));
        rows.chain(parts).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The texts under one name in rows.
pub fn texts(rows: &[Value], name: &str) -> BTreeSet<String> {
    rows.iter().filter_map(|row| row.get(name)?.as_str()).map(str::to_owned).collect()
}

const FACT: &str = "select jsonb_build_object('event_id', event_id, 'revision', revision, 'kind', kind, 'channel', channel,
       'account_id', account_id, 'contact_id', contact_id, 'message_id', message_id, 'digest', encode(digest, 'hex'), 'rank', rank,
       'time', time, 'time_approximate', time_approximate, 'raw_seq', raw_seq, 'raw_index', raw_index, 'event_seq', event_seq,
       'recorded_at', recorded_at) from worker.facts";
const WAITING: &str = "select jsonb_build_object('channel', channel, 'account_id', account_id, 'message_id', message_id, 'num_edit', num_edit,
       'state', state, 'due_at', due_at, 'attempts', attempts, 'received_at', received_at, 'time', time, 'thread_id', thread_id,
       'raw_seq', raw_seq, 'raw_index', raw_index, 'revealed_contact', revealed_contact, 'revealed_direction', revealed_direction,
       'tried', tried, 'gone', gone, 'unresolved_event', unresolved_event, 'method', method, 'resolved_at', resolved_at)
  from worker.waiting";
const PARKED: &str = "select jsonb_build_object('row', id, 'stage', 'normalize', 'lane', lane, 'raw_seq', raw_seq, 'raw_index', raw_index,
       'event_id', event_id, 'kind', kind, 'role', role, 'cause', cause, 'error', last_error, 'attempts', attempts,
       'parked_at', parked_at, 'retry_at', retry_at,
       'lane_rows', (select count(*) from worker.parked l where l.lane = p.lane)) from worker.parked p";
const COMMAND: &str = "select jsonb_build_object('identity', identity, 'command_id', command_id, 'command', command, 'channel', channel,
       'account_id', account_id, 'contact_id', contact_id, 'conversation_id', conversation_id, 'requester', requester,
       'requested_at', requested_at, 'caused_by', caused_by, 'stream_seq', stream_seq, 'state', state, 'held', held, 'rule', rule,
       'error', error - 'message', 'outcome_published', outcome_published, 'finished_at', finished_at,
       'parts', coalesce((select jsonb_agg(jsonb_build_object('n', n, 'state', state, 'attempts', attempt, 'refusals', refusals,
              'looks', looks, 'first_at', first_at, 'started_at', started_at, 'message_id', message_id, 'sent_at', sent_at,
              'settled_by', settled_by, 'uncertain', uncertain, 'error', error - 'message', 'answer', answer) order by n)
            from worker.parts p where p.identity = c.identity), '[]'::jsonb)) from worker.commands c";
const ECHO: &str = "select jsonb_build_object('item_id', item_id, 'kind', kind, 'channel', channel, 'account_id', account_id, 'peer', peer,
       'app_id', app_id, 'time', time, 'claimed_by', claimed_by, 'seen_at', seen_at) from worker.echoes";

async fn rows(
    pool: &PgPool,
    what: &str,
    having: &str,
    keys: &[String],
    limit: i64,
) -> sqlx::Result<Vec<Value>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("{what} where {having} limit {limit}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(keys).fetch_all(pool).await
}

/// Lookups an id up and follows what hangs on it.
///
/// # Errors
/// Of the database.
pub async fn find(pool: &PgPool, id: &str) -> sqlx::Result<Story> {
    let key = [id.to_owned()];
    let mut story = Story { id: id.to_owned(), ..Story::default() };
    let events = rows(pool, FACT, "event_id = any($1) order by revision", &key, ROWS_MAX).await?;
    let by_message = "message_id = any($1) order by recorded_at, event_id, revision";
    let about = rows(pool, FACT, by_message, &key, ROWS_MAX).await?;
    let waiting =
        rows(pool, WAITING, "message_id = any($1) order by num_edit", &key, ROWS_MAX).await?;
    let own =
        rows(pool, COMMAND, "command_id = any($1) order by stream_seq", &key, COMMANDS_MAX).await?;
    let made = "identity in (select identity from worker.parts where message_id = any($1)) order by stream_seq";
    let makers = rows(pool, COMMAND, made, &key, COMMANDS_MAX).await?;
    let stuck = rows(pool, PARKED, "event_id = any($1) order by id", &key, ROWS_MAX).await?;
    let row = if id.bytes().all(|byte| byte.is_ascii_digit()) {
        rows(pool, PARKED, "id = any($1::bigint[])", &key, 1).await.or_else(out_of_range)?
    } else {
        Vec::new()
    };
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

/// A number that no row can have is no row's.
fn out_of_range(error: sqlx::Error) -> sqlx::Result<Vec<Value>> {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.is_some_and(|code| code == "22003") { Ok(Vec::new()) } else { Err(error) }
}

/// What hangs on what was found.
async fn follow(pool: &PgPool, story: &mut Story) -> sqlx::Result<()> {
    // An event is told with everything else about its message, and a parked one with what it would be.
    let causes: Vec<String> = texts(&story.commands, "caused_by").into_iter().collect();
    let mut facts =
        rows(pool, FACT, "event_id = any($1) order by revision", &causes, ROWS_MAX).await?;
    facts.extend(
        rows(pool, FACT, "event_id = any($1) order by revision", &story.event_ids(), ROWS_MAX)
            .await?,
    );
    let mids: Vec<String> = texts(&story.facts, "message_id")
        .into_iter()
        .chain(texts(&story.waiting, "message_id"))
        .chain(texts(&facts, "message_id"))
        .collect();
    let by_message = "message_id = any($1) order by recorded_at, event_id, revision";
    facts.extend(rows(pool, FACT, by_message, &mids, ROWS_MAX).await?);
    merge(&mut story.facts, facts, &["event_id", "revision"]);
    story.facts.sort_by_key(|fact| (fact["event_seq"].as_i64(), fact["revision"].as_i64()));

    let waiting =
        rows(pool, WAITING, "message_id = any($1) order by num_edit", &mids, ROWS_MAX).await?;
    merge(&mut story.waiting, waiting, &["channel", "account_id", "message_id", "num_edit"]);
    let made = "identity in (select identity from worker.parts where message_id = any($1)) order by stream_seq";
    let mut commands = rows(pool, COMMAND, made, &mids, COMMANDS_MAX).await?;
    let caused = "caused_by = any($1) order by stream_seq";
    commands.extend(rows(pool, COMMAND, caused, &story.event_ids(), COMMANDS_MAX).await?);
    merge(&mut story.commands, commands, &["identity"]);

    let events = story.event_ids();
    story.withdrawn = rows(
        pool,
        "select jsonb_build_object('event_id', event_id, 'reason', reason, 'superseded_by', superseded_by, 'recorded_at', recorded_at)
           from worker.withdrawn",
        "event_id = any($1)",
        &events,
        ROWS_MAX,
    )
    .await?;
    let parked = rows(pool, PARKED, "event_id = any($1) order by id", &events, ROWS_MAX).await?;
    merge(&mut story.parked, parked, &["row"]);

    let mids = story.message_ids();
    story.resolutions = rows_of_accounts(
        pool,
        "select jsonb_build_object('channel', channel, 'account_id', account_id, 'message_id', message_id, 'method', method,
                'contact_id', contact_id, 'direction', direction, 'evidence', evidence, 'event_id', event_id,
                'resolved_at', resolved_at) from worker.resolutions",
        story,
        "message_id",
        &mids,
    )
    .await?;
    story.messages = rows_of_accounts(
        pool,
        "select jsonb_build_object('channel', channel, 'account_id', account_id, 'message_id', message_id, 'contact_id', contact_id,
                'direction', direction, 'thread_id', thread_id, 'time', time) from worker.messages",
        story,
        "message_id",
        &mids,
    )
    .await?;
    story.echoes = rows_of_accounts(pool, ECHO, story, "item_id", &mids).await?;
    let keys: Vec<String> = story
        .commands
        .iter()
        .flat_map(|command| {
            let identity = command["identity"].as_str().unwrap_or_default();
            let parts = command["parts"].as_array().cloned().unwrap_or_default();
            let number = |part: Value| i32::try_from(part["n"].as_i64()?).ok();
            parts.into_iter().filter_map(number).map(move |n| part_key(identity, n))
        })
        .collect();
    let claimed = rows(pool, ECHO, "claimed_by = any($1)", &keys, ROWS_MAX).await?;
    merge(&mut story.echoes, claimed, &["channel", "account_id", "item_id"]);
    let people: Vec<String> = [&story.facts, &story.messages, &story.resolutions, &story.commands]
        .into_iter()
        .flat_map(|rows| texts(rows, "contact_id"))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    story.contacts = rows_of_accounts(
        pool,
        "select jsonb_build_object('channel', channel, 'account_id', account_id, 'contact_id', contact_id,
                'last_trigger_at', last_trigger_at, 'due_at', due_at, 'attempts', attempts, 'answer', answer,
                'answered_at', answered_at, 'enriched_at', enriched_at) from worker.contacts",
        story,
        "contact_id",
        &people,
    )
    .await?;
    outcomes(pool, story).await?;
    story.raw_seqs = raw_seqs(story);
    Ok(())
}

/// Rows of tables whose key begins with the account, of the accounts that are known by now.
async fn rows_of_accounts(
    pool: &PgPool,
    what: &str,
    story: &Story,
    column: &str,
    keys: &[String],
) -> sqlx::Result<Vec<Value>> {
    let known = [&story.facts, &story.waiting, &story.commands];
    let text = |row: &Value, name: &str| row.get(name)?.as_str().map(str::to_owned);
    let accounts: BTreeSet<(String, String)> = known
        .into_iter()
        .flatten()
        .filter_map(|row| Some((text(row, "channel")?, text(row, "account_id")?)))
        .collect();
    let mut found = Vec::new();
    if keys.is_empty() {
        return Ok(found);
    }
    for (channel, account) in accounts {
        let sql = format!(
            "{what} where channel = $2 and account_id = $3 and {column} = any($1) limit {ROWS_MAX}"
        );
        let rows: Vec<Value> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(keys)
            .bind(channel)
            .bind(account)
            .fetch_all(pool)
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

/// What this version's normaliser says of a raw webhook, compared with the recorded facts of the same ids. `None`: it broke down over it.
///
/// # Errors
/// Of the database.
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
    let facts = rows(pool, FACT, "event_id = any($1) order by revision", &ids, 10_000).await?;
    let withdrawn: Vec<String> =
        sqlx::query_scalar("select event_id from worker.withdrawn where event_id = any($1)")
            .bind(&ids)
            .fetch_all(pool)
            .await?;
    Ok(Some(reading::compare(&normalized, &facts, &withdrawn)))
}

/// The outcome events of its commands, by their derived ids, and what Meta told of the messages they made.
async fn outcomes(pool: &PgPool, story: &mut Story) -> sqlx::Result<()> {
    let mut ids = Vec::new();
    let mut mids = BTreeSet::new();
    for command in &story.commands {
        let text = |name: &str| command[name].as_str().unwrap_or_default();
        let Ok(channel) = text("channel").parse::<Channel>() else { continue };
        let account = AccountId::new(text("account_id"));
        let again = text("identity").split_once('#').map(|(_, seq)| seq);
        let id = text("command_id");
        for kind in ["reply.sent", "reply.failed", "reply.unknown"] {
            ids.push(EventId::derive(channel, &account, kind, &[id]).to_string());
        }
        for kind in ["command.done", "command.failed", "command.unknown"] {
            ids.push(
                EventId::derive(channel, &account, kind, &[id, again.unwrap_or_default()])
                    .to_string(),
            );
        }
        mids.extend(
            command["parts"].as_array().map(|parts| texts(parts, "message_id")).unwrap_or_default(),
        );
    }
    let mids: Vec<String> = mids.into_iter().collect();
    story.outcomes =
        rows(pool, FACT, "event_id = any($1) order by event_seq", &ids, ROWS_MAX).await?;
    let told = rows(pool, FACT, "message_id = any($1) order by event_seq", &mids, ROWS_MAX).await?;
    merge(&mut story.outcomes, told, &["event_id", "revision"]);
    Ok(())
}

/// Outcomes have the position of their command where others have that of their raw webhook.
fn raw_seqs(story: &Story) -> Vec<i64> {
    let ours = |fact: &&Value| {
        let kind = fact["kind"].as_str().unwrap_or_default();
        !kind.starts_with("reply.") && !kind.starts_with("command.") && fact["rank"] != 2
    };
    let facts = story.facts.iter().filter(ours);
    let seqs =
        facts.chain(&story.waiting).chain(&story.parked).filter_map(|row| row["raw_seq"].as_i64());
    seqs.collect::<BTreeSet<_>>().into_iter().collect()
}

fn merge(into: &mut Vec<Value>, more: Vec<Value>, key: &[&str]) {
    let same = |a: &Value, b: &Value| key.iter().all(|name| a.get(name) == b.get(name));
    for row in more {
        if !into.iter().any(|known| same(known, &row)) {
            into.push(row);
        }
    }
}
