//! What the worker's tables hold about ids, for `hookline trace`: rows as JSON with named fields.
//!
//! Every look-up goes by an index. Where a table is searched in several ways, each search returns keys, and one statement reads their rows.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::PgPool;

/// Most rows of one look-up.
pub(super) const ROWS_MAX: i64 = 200;
/// Most commands of one look-up.
const COMMANDS_MAX: i64 = 50;

/// Facts by their ids, lowest revision first.
pub(super) async fn facts_by_event(
    pool: &PgPool,
    ids: &[String],
    limit: i64,
) -> sqlx::Result<Vec<Value>> {
    let keys: Vec<(String, i32)> = sqlx::query_as(
        "select event_id, revision from worker.facts where event_id = any($1) order by revision limit $2",
    )
    .bind(ids)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    facts(pool, keys).await
}

/// Facts about messages, in the order in which they were recorded.
pub(super) async fn facts_by_message(pool: &PgPool, mids: &[String]) -> sqlx::Result<Vec<Value>> {
    let keys: Vec<(String, i32)> = sqlx::query_as(
        "select event_id, revision from worker.facts where message_id = any($1)
          order by recorded_at, event_id, revision limit $2",
    )
    .bind(mids)
    .bind(ROWS_MAX)
    .fetch_all(pool)
    .await?;
    facts(pool, keys).await
}

/// Facts by their ids, in the order of the stream.
pub(super) async fn published_by_event(pool: &PgPool, ids: &[String]) -> sqlx::Result<Vec<Value>> {
    let keys: Vec<(String, i32)> = sqlx::query_as(
        "select event_id, revision from worker.facts where event_id = any($1) order by event_era, event_seq limit $2",
    )
    .bind(ids)
    .bind(ROWS_MAX)
    .fetch_all(pool)
    .await?;
    facts(pool, keys).await
}

/// Facts about messages, in the order of the stream.
pub(super) async fn published_by_message(
    pool: &PgPool,
    mids: &[String],
) -> sqlx::Result<Vec<Value>> {
    let keys: Vec<(String, i32)> = sqlx::query_as(
        "select event_id, revision from worker.facts where message_id = any($1) order by event_era, event_seq limit $2",
    )
    .bind(mids)
    .bind(ROWS_MAX)
    .fetch_all(pool)
    .await?;
    facts(pool, keys).await
}

/// In the order of the keys.
async fn facts(pool: &PgPool, keys: Vec<(String, i32)>) -> sqlx::Result<Vec<Value>> {
    let (ids, revisions): (Vec<String>, Vec<i32>) = keys.into_iter().unzip();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        "select jsonb_build_object('event_id', event_id, 'revision', revision, 'kind', kind, 'channel', channel,
           'account_id', account_id, 'contact_id', contact_id, 'message_id', message_id, 'digest', encode(digest, 'hex'), 'rank', rank,
           'time', time, 'time_approximate', time_approximate, 'raw_seq', raw_seq, 'raw_era', raw_era, 'raw_index', raw_index,
           'event_seq', event_seq, 'event_era', event_era, 'recorded_at', recorded_at) from worker.facts
           join unnest($1::text[], $2::integer[]) with ordinality as k (event_id, revision, place) using (event_id, revision)
           order by place",
    )
    .bind(ids)
    .bind(revisions)
    .fetch_all(pool)
    .await
}

/// Withdrawals of events.
pub(super) async fn withdrawals(pool: &PgPool, ids: &[String]) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar(
        "select jsonb_build_object('event_id', event_id, 'reason', reason, 'superseded_by', superseded_by, 'recorded_at', recorded_at)
           from worker.withdrawn
           where event_id = any($1) limit $2",
    )
    .bind(ids)
    .bind(ROWS_MAX)
    .fetch_all(pool)
    .await
}

/// Which of these events are withdrawn.
pub(super) async fn withdrawn(pool: &PgPool, ids: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select event_id from worker.withdrawn where event_id = any($1)")
        .bind(ids)
        .fetch_all(pool)
        .await
}

/// Items of the waiting room about messages.
pub(super) async fn waiting(pool: &PgPool, mids: &[String]) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar(
        "select jsonb_build_object('channel', channel, 'account_id', account_id, 'message_id', message_id, 'num_edit', num_edit,
           'state', state, 'due_at', due_at, 'attempts', attempts, 'received_at', received_at, 'time', time, 'thread_id', thread_id,
           'raw_seq', raw_seq, 'raw_era', raw_era, 'raw_index', raw_index, 'revealed_contact', revealed_contact, 'revealed_direction', revealed_direction,
           'tried', tried, 'gone', gone, 'unresolved_event', unresolved_event, 'method', method, 'resolved_at', resolved_at)
           from worker.waiting
           where message_id = any($1) order by num_edit limit $2",
    )
    .bind(mids)
    .bind(ROWS_MAX)
    .fetch_all(pool)
    .await
}

/// What is parked of events.
pub(super) async fn parked_by_event(pool: &PgPool, ids: &[String]) -> sqlx::Result<Vec<Value>> {
    let rows: Vec<i64> = sqlx::query_scalar(
        "select id from worker.parked where event_id = any($1) order by id limit $2",
    )
    .bind(ids)
    .bind(ROWS_MAX)
    .fetch_all(pool)
    .await?;
    parked(pool, &rows).await
}

/// Parked rows by their numbers.
pub(super) async fn parked(pool: &PgPool, rows: &[i64]) -> sqlx::Result<Vec<Value>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        "select jsonb_build_object('row', id, 'stage', 'normalize', 'lane', lane, 'raw_seq', raw_seq, 'raw_era', raw_era,
           'raw_index', raw_index, 'event_id', event_id, 'kind', kind, 'role', role, 'cause', cause, 'error', last_error, 'attempts', attempts,
           'parked_at', parked_at, 'retry_at', retry_at,
           'lane_rows', (select count(*) from worker.parked l where l.lane = p.lane)) from worker.parked p
           where id = any($1) order by id",
    )
    .bind(rows)
    .fetch_all(pool)
    .await
}

/// Commands by the ids that requesters gave them.
pub(super) async fn commands_by_id(pool: &PgPool, ids: &[String]) -> sqlx::Result<Vec<Value>> {
    let identities: Vec<String> = sqlx::query_scalar(
        "select identity from worker.commands where command_id = any($1) order by stream_era, stream_seq limit $2",
    )
    .bind(ids)
    .bind(COMMANDS_MAX)
    .fetch_all(pool)
    .await?;
    commands(pool, &identities).await
}

/// Commands that made messages.
pub(super) async fn commands_by_message(
    pool: &PgPool,
    mids: &[String],
) -> sqlx::Result<Vec<Value>> {
    let identities: Vec<String> = sqlx::query_scalar(
        "select identity from worker.commands
          where identity in (select identity from worker.parts where message_id = any($1))
          order by stream_era, stream_seq limit $2",
    )
    .bind(mids)
    .bind(COMMANDS_MAX)
    .fetch_all(pool)
    .await?;
    commands(pool, &identities).await
}

/// Commands that events caused.
pub(super) async fn commands_by_cause(pool: &PgPool, ids: &[String]) -> sqlx::Result<Vec<Value>> {
    let identities: Vec<String> = sqlx::query_scalar(
        "select identity from worker.commands where caused_by = any($1) order by stream_era, stream_seq limit $2",
    )
    .bind(ids)
    .bind(COMMANDS_MAX)
    .fetch_all(pool)
    .await?;
    commands(pool, &identities).await
}

/// With their parts, in the order of the stream.
async fn commands(pool: &PgPool, identities: &[String]) -> sqlx::Result<Vec<Value>> {
    if identities.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        "select jsonb_build_object('identity', identity, 'command_id', command_id, 'command', command, 'channel', channel,
           'account_id', account_id, 'contact_id', contact_id, 'conversation_id', conversation_id, 'requester', requester,
           'requested_at', requested_at, 'caused_by', caused_by, 'stream_seq', stream_seq, 'stream_era', stream_era,
           'state', state, 'held', held, 'rule', rule, 'error', error - 'message', 'outcome_published', outcome_published, 'finished_at', finished_at,
           'parts', coalesce((select jsonb_agg(jsonb_build_object('n', n, 'state', state, 'attempts', attempt, 'refusals', refusals,
           'looks', looks, 'first_at', first_at, 'started_at', started_at, 'message_id', message_id, 'sent_at', sent_at,
           'settled_by', settled_by, 'uncertain', uncertain, 'error', error - 'message', 'answer', answer) order by n)
           from worker.parts p where p.identity = c.identity), '[]'::jsonb)) from worker.commands c
           where identity = any($1) order by stream_era, stream_seq",
    )
    .bind(identities)
    .fetch_all(pool)
    .await
}

/// Outbound messages that parts of commands have claimed.
pub(super) async fn echoes_by_part(pool: &PgPool, parts: &[String]) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar(
        "select jsonb_build_object('item_id', item_id, 'kind', kind, 'channel', channel, 'account_id', account_id, 'peer', peer,
           'app_id', app_id, 'time', time, 'claimed_by', claimed_by, 'seen_at', seen_at) from worker.echoes
           where claimed_by = any($1) limit $2",
    )
    .bind(parts)
    .bind(ROWS_MAX)
    .fetch_all(pool)
    .await
}

/// Tables whose keys begin with the account.
pub(super) struct OfAccounts<'a> {
    pub(super) pool: &'a PgPool,
    /// Channel and id.
    pub(super) accounts: BTreeSet<(String, String)>,
}

impl OfAccounts<'_> {
    /// How the senders of messages were found.
    pub(super) async fn resolutions(&self, mids: &[String]) -> sqlx::Result<Vec<Value>> {
        self.of_each(
            "select jsonb_build_object('channel', channel, 'account_id', account_id, 'message_id', message_id, 'method', method,
               'contact_id', contact_id, 'direction', direction, 'evidence', evidence, 'event_id', event_id,
               'resolved_at', resolved_at) from worker.resolutions
               where channel = $2 and account_id = $3 and message_id = any($1) limit $4",
            mids,
        )
        .await
    }

    /// Whose the messages are.
    pub(super) async fn messages(&self, mids: &[String]) -> sqlx::Result<Vec<Value>> {
        self.of_each(
            "select jsonb_build_object('channel', channel, 'account_id', account_id, 'message_id', message_id, 'contact_id', contact_id,
               'direction', direction, 'thread_id', thread_id, 'time', time) from worker.messages
               where channel = $2 and account_id = $3 and message_id = any($1) limit $4",
            mids,
        )
        .await
    }

    /// Outbound messages as Meta reported them.
    pub(super) async fn echoes(&self, items: &[String]) -> sqlx::Result<Vec<Value>> {
        self.of_each(
            "select jsonb_build_object('item_id', item_id, 'kind', kind, 'channel', channel, 'account_id', account_id, 'peer', peer,
               'app_id', app_id, 'time', time, 'claimed_by', claimed_by, 'seen_at', seen_at) from worker.echoes
               where channel = $2 and account_id = $3 and item_id = any($1) limit $4",
            items,
        )
        .await
    }

    /// People.
    pub(super) async fn contacts(&self, ids: &[String]) -> sqlx::Result<Vec<Value>> {
        self.of_each(
            "select jsonb_build_object('channel', channel, 'account_id', account_id, 'contact_id', contact_id,
               'last_trigger_at', last_trigger_at, 'due_at', due_at, 'attempts', attempts, 'answer', answer,
               'answered_at', answered_at, 'enriched_at', enriched_at) from worker.contacts
               where channel = $2 and account_id = $3 and contact_id = any($1) limit $4",
            ids,
        )
        .await
    }

    async fn of_each(&self, statement: &'static str, keys: &[String]) -> sqlx::Result<Vec<Value>> {
        let mut found = Vec::new();
        if keys.is_empty() {
            return Ok(found);
        }
        for (channel, account) in &self.accounts {
            let rows: Vec<Value> = sqlx::query_scalar(statement)
                .bind(keys)
                .bind(channel)
                .bind(account)
                .bind(ROWS_MAX)
                .fetch_all(self.pool)
                .await?;
            found.extend(rows);
        }
        Ok(found)
    }
}
