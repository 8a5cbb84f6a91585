//! The tables behind the facts: `worker.facts`, `worker.withdrawn`, `worker.messages`, `worker.secrets`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemas::{EventId, Fact, Timestamp};
use sqlx::{PgConnection, Row};

use super::decide::{Known, Stored};
use super::digest::Digest;
use super::draft::{Draft, message_of};
use super::{FactError, Placed};
use crate::seal::Seal;

/// What is stored about the facts of these drafts.
pub(super) async fn known(conn: &mut PgConnection, drafts: &[Draft]) -> Result<Known, FactError> {
    let mut ids: Vec<&str> = drafts.iter().map(|draft| draft.event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut known = Known::default();
    if ids.is_empty() {
        return Ok(known);
    }
    let rows = sqlx::query(
        "select event_id, revision, digest, rank, time, time_approximate from worker.facts where event_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let stored = Stored {
            revision: u32::try_from(row.try_get::<i32, _>("revision")?).unwrap_or(0),
            digest: digest_of(&row.try_get::<Vec<u8>, _>("digest")?),
            rank: row.try_get("rank")?,
            time: Timestamp::from(row.try_get::<DateTime<Utc>, _>("time")?),
            time_approximate: row.try_get("time_approximate")?,
        };
        known
            .facts
            .entry(EventId::new(row.try_get::<String, _>("event_id")?))
            .or_default()
            .push(stored);
    }
    ids.extend(drafts.iter().filter_map(|draft| match &draft.event.data.fact {
        Fact::FactWithdrawn(body) => Some(body.event_id.as_str()),
        _ => None,
    }));
    let rows = sqlx::query("select event_id from worker.withdrawn where event_id = any($1)")
        .bind(&ids)
        .fetch_all(&mut *conn)
        .await?;
    for row in rows {
        known.withdrawn.insert(EventId::new(row.try_get::<String, _>("event_id")?));
    }
    Ok(known)
}

/// A digest of another length (which nobody writes) equals none.
fn digest_of(bytes: &[u8]) -> Digest {
    bytes.try_into().unwrap_or([0; 32])
}

/// Rows are written in one order everywhere, so that two transactions cannot wait for each other.
pub(super) async fn record_facts(
    conn: &mut PgConnection,
    placed: &[Placed],
) -> Result<(), FactError> {
    if placed.is_empty() {
        return Ok(());
    }
    let mut placed: Vec<&Placed> = placed.iter().collect();
    placed.sort_by(|a, b| key(a).cmp(&key(b)));
    let column =
        |get: fn(&Placed) -> Option<String>| placed.iter().map(|one| get(one)).collect::<Vec<_>>();
    let inserted = sqlx::query(
        "insert into worker.facts (event_id, revision, kind, channel, account_id, contact_id, message_id, digest, rank, time,
                                   time_approximate, raw_seq, raw_index, event_seq)
         select * from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                              $9::smallint[], $10::timestamptz[], $11::boolean[], $12::bigint[], $13::int[], $14::bigint[])
         on conflict (event_id, revision) do nothing",
    )
    .bind(column(|one| Some(event(one).id.to_string())))
    .bind(placed.iter().map(|one| revision(one)).collect::<Vec<_>>())
    .bind(column(|one| Some(event(one).kind().as_str().to_owned())))
    .bind(column(|one| Some(event(one).data.channel.as_str().to_owned())))
    .bind(column(|one| Some(event(one).data.account_id.to_string())))
    .bind(column(|one| event(one).data.contact_id.as_ref().map(ToString::to_string)))
    .bind(column(|one| message_of(&event(one).data.fact).map(str::to_owned)))
    .bind(placed.iter().map(|one| one.planned.digest.to_vec()).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.origin.via.rank()).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).time.to_datetime()).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.time_approximate).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.origin.raw_stream_sequence.map(number)).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| event(one).data.origin.index.and_then(|n| i32::try_from(n).ok())).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| number(one.event_seq)).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if inserted == placed.len() as u64 { Ok(()) } else { compare(conn, &placed).await }
}

/// Some revisions were there already: fine when they say the same.
async fn compare(conn: &mut PgConnection, placed: &[&Placed]) -> Result<(), FactError> {
    let rows = sqlx::query(
        "select f.event_id, f.revision, f.digest from worker.facts f
         join unnest($1::text[], $2::int[]) as k (event_id, revision) using (event_id, revision)",
    )
    .bind(placed.iter().map(|one| event(one).id.to_string()).collect::<Vec<_>>())
    .bind(placed.iter().map(|one| revision(one)).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let mut stored = HashMap::with_capacity(rows.len());
    for row in rows {
        let key = (row.try_get::<String, _>("event_id")?, row.try_get::<i32, _>("revision")?);
        stored.insert(key, digest_of(&row.try_get::<Vec<u8>, _>("digest")?));
    }
    for one in placed {
        let id = &event(one).id;
        if stored.get(&(id.to_string(), revision(one))) != Some(&one.planned.digest) {
            return Err(FactError::Conflict { event_id: id.clone() });
        }
    }
    Ok(())
}

/// Remembers what must not return.
pub(super) async fn record_withdrawals(
    conn: &mut PgConnection,
    placed: &[Placed],
) -> Result<(), FactError> {
    let mut rows = Vec::new();
    for one in placed {
        if let Fact::FactWithdrawn(body) = &event(one).data.fact {
            let reason = serde_json::to_value(body.reason)
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned));
            rows.push((
                body.event_id.to_string(),
                reason.unwrap_or_default(),
                body.superseded_by.as_ref().map(ToString::to_string),
            ));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort();
    sqlx::query(
        "insert into worker.withdrawn (event_id, reason, superseded_by)
         select * from unnest($1::text[], $2::text[], $3::text[])
         on conflict (event_id) do nothing",
    )
    .bind(rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2.as_deref()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

struct MessageRow<'a> {
    draft: &'a Draft,
    message: &'a super::MessageFact,
    contact: &'a str,
}

fn message_rows<'a>(drafts: impl Iterator<Item = &'a Draft>) -> Vec<MessageRow<'a>> {
    let mut rows = Vec::new();
    for draft in drafts {
        let Some(contact) = draft.event.data.contact_id.as_ref() else { continue };
        rows.extend(draft.messages.iter().map(|message| MessageRow {
            draft,
            message,
            contact: contact.as_str(),
        }));
    }
    // One row per message, or the statement would touch a row twice; the last reading wins.
    rows.sort_by(|a, b| row_key(a).cmp(&row_key(b)));
    let mut last = Vec::<MessageRow<'a>>::with_capacity(rows.len());
    for row in rows {
        match last.last_mut() {
            Some(before) if row_key(before) == row_key(&row) => *before = row,
            _ => last.push(row),
        }
    }
    last
}

fn row_key<'a>(row: &MessageRow<'a>) -> (&'static str, &'a str, &'a str) {
    let data = &row.draft.event.data;
    (data.channel.as_str(), data.account_id.as_str(), row.message.message_id.as_str())
}

/// The index of messages: a published reading replaces what was there, a known one only fills a gap.
pub(super) async fn record_messages(
    conn: &mut PgConnection,
    placed: &[Placed],
    known: &[Draft],
) -> Result<(), FactError> {
    insert_messages(
        conn,
        &message_rows(known.iter()),
        "insert into worker.messages (channel, account_id, message_id, contact_id, direction, thread_id, time)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
         on conflict (channel, account_id, message_id) do nothing",
    )
    .await?;
    insert_messages(
        conn,
        &message_rows(placed.iter().map(|one| &one.planned.draft)),
        "insert into worker.messages (channel, account_id, message_id, contact_id, direction, thread_id, time)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
         on conflict (channel, account_id, message_id) do update
         set contact_id = excluded.contact_id, direction = excluded.direction, time = excluded.time,
             thread_id = coalesce(excluded.thread_id, messages.thread_id)",
    )
    .await
}

async fn insert_messages(
    conn: &mut PgConnection,
    rows: &[MessageRow<'_>],
    statement: &'static str,
) -> Result<(), FactError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(rows.iter().map(|row| row_key(row).0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row_key(row).1).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row_key(row).2).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.contact).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.message.direction.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.message.thread_id.as_deref()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.draft.event.time.to_datetime()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// Seals what must not be published.
pub(super) async fn record_secrets(
    conn: &mut PgConnection,
    seal: &Seal,
    placed: &[Placed],
    known: &[Draft],
) -> Result<(), FactError> {
    for draft in placed.iter().map(|one| &one.planned.draft).chain(known) {
        for secret in &draft.secrets {
            let id = draft.event.id.as_str();
            let sealed = seal.seal(&context(id, secret.name), &secret.value)?;
            sqlx::query(
                "insert into worker.secrets (event_id, name, sealed) values ($1, $2, $3) on conflict (event_id, name) do nothing",
            )
            .bind(id)
            .bind(secret.name)
            .bind(sealed)
            .execute(&mut *conn)
            .await?;
        }
    }
    Ok(())
}

/// What a sealed webhook secret is bound to.
pub(super) fn context(event_id: &str, name: &str) -> String {
    format!("webhook-secret/{event_id}/{name}")
}

fn event(placed: &Placed) -> &schemas::Event {
    &placed.planned.draft.event
}

fn key(placed: &Placed) -> (&str, u32) {
    (event(placed).id.as_str(), event(placed).revision())
}

fn revision(placed: &Placed) -> i32 {
    i32::try_from(event(placed).revision()).unwrap_or(i32::MAX)
}

/// Positions of a stream fit 63 bits for longer than anybody lives.
fn number(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
