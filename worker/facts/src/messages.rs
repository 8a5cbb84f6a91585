//! Statements over `worker.messages`, the index of messages by mid.

use schemas::{Channel, Timestamp};
use sqlx::PgConnection;

use crate::draft::{Direction, Draft, MessageFact};
use crate::error::FactError;
use crate::published::Placed;

struct MessageRow<'a> {
    draft: &'a Draft,
    message: &'a MessageFact,
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

/// One array per column of `worker.messages`.
#[derive(Default)]
struct MessageColumns<'a> {
    channels: Vec<Channel>,
    accounts: Vec<&'a str>,
    messages: Vec<&'a str>,
    contacts: Vec<&'a str>,
    directions: Vec<Direction>,
    threads: Vec<Option<&'a str>>,
    times: Vec<Timestamp>,
}

impl<'a> MessageColumns<'a> {
    fn of(rows: &[MessageRow<'a>]) -> Self {
        let mut columns = Self::default();
        for row in rows {
            let data = &row.draft.event.data;
            columns.channels.push(data.channel);
            columns.accounts.push(data.account_id.as_str());
            columns.messages.push(row.message.message_id.as_str());
            columns.contacts.push(row.contact);
            columns.directions.push(row.message.direction);
            columns.threads.push(row.message.thread_id.as_deref());
            columns.times.push(row.draft.event.time);
        }
        columns
    }
}

/// Indexes messages: a published reading replaces what was there, a known one only fills a gap.
pub(super) async fn record(
    conn: &mut PgConnection,
    placed: &[Placed],
    known: &[Draft],
) -> Result<(), FactError> {
    let known = MessageColumns::of(&message_rows(known.iter()));
    if !known.channels.is_empty() {
        sqlx::query(
            "insert into worker.messages (channel, account_id, message_id, contact_id, direction, thread_id, time)
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
             on conflict (channel, account_id, message_id) do nothing",
        )
        .bind(known.channels)
        .bind(known.accounts)
        .bind(known.messages)
        .bind(known.contacts)
        .bind(known.directions)
        .bind(known.threads)
        .bind(known.times)
        .execute(&mut *conn)
        .await?;
    }
    let published = MessageColumns::of(&message_rows(placed.iter().map(|one| &one.planned.draft)));
    if !published.channels.is_empty() {
        sqlx::query(
            "insert into worker.messages (channel, account_id, message_id, contact_id, direction, thread_id, time)
             select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
             on conflict (channel, account_id, message_id) do update
             set contact_id = excluded.contact_id, direction = excluded.direction, time = excluded.time,
                 thread_id = coalesce(excluded.thread_id, messages.thread_id)
             where (messages.contact_id, messages.direction, messages.time, messages.thread_id)
                   is distinct from (excluded.contact_id, excluded.direction, excluded.time, coalesce(excluded.thread_id, messages.thread_id))",
        )
        .bind(published.channels)
        .bind(published.accounts)
        .bind(published.messages)
        .bind(published.contacts)
        .bind(published.directions)
        .bind(published.threads)
        .bind(published.times)
        .execute(conn)
        .await?;
    }
    Ok(())
}
