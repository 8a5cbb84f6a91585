//! What the tables of the worker know about the raw webhooks of a slice.

use std::collections::{HashMap, HashSet};

use schemas::{AccountId, Channel, ContactId, Event, EventId, MessageId, Timestamp};
use sqlx::{PgPool, Row};

use super::diff::Recorded;
use facts::follow_up::senderless::Senderless;
use facts::follow_up::waiting::resolution_context;
use facts::seal::Seal;
use facts::{Direction, Draft, MessageFact};

/// How far the live normaliser has come, by shard.
pub(super) async fn positions(pool: &PgPool) -> sqlx::Result<Vec<u64>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select name, seq from worker.positions where name like 'raw-%'")
            .fetch_all(pool)
            .await?;
    let position = |shard: u32| {
        let name = format!("raw-{shard:02}");
        let row = rows.iter().find(|(other, _)| *other == name);
        row.and_then(|(_, seq)| u64::try_from(*seq).ok()).unwrap_or(0)
    };
    Ok((0..schemas::subjects::SHARDS).map(position).collect())
}

/// Facts that these raw webhooks told first and nobody else told: by a webhook, not withdrawn, not through Graph or a reply too.
pub(super) async fn recorded(pool: &PgPool, seqs: &[u64]) -> sqlx::Result<Vec<Recorded>> {
    let seqs: Vec<i64> = seqs.iter().filter_map(|seq| i64::try_from(*seq).ok()).collect();
    let rows = sqlx::query(
        "select distinct on (f.event_id) f.event_id, f.kind, f.channel, f.account_id, f.contact_id, f.message_id, f.time, f.raw_seq, f.raw_index
           from worker.facts f
          where f.raw_seq = any($1) and f.rank = 3 and f.kind not in ('contact.discovered', 'fact.withdrawn', 'sender.unresolved')
            and not exists (select from worker.withdrawn w where w.event_id = f.event_id)
            and not exists (select from worker.facts o where o.event_id = f.event_id and (o.rank < 3 or o.raw_seq < f.raw_seq))
          order by f.event_id, f.revision desc",
    )
    .bind(seqs)
    .fetch_all(pool)
    .await?;
    let mut recorded = Vec::with_capacity(rows.len());
    for row in rows {
        let channel: String = row.try_get("channel")?;
        let Ok(channel) = channel.parse::<Channel>() else { continue };
        recorded.push(Recorded {
            event_id: EventId::new(row.try_get::<String, _>("event_id")?),
            kind: row.try_get("kind")?,
            channel,
            account_id: AccountId::new(row.try_get::<String, _>("account_id")?),
            contact_id: row.try_get::<Option<String>, _>("contact_id")?.map(ContactId::new),
            message_id: row.try_get::<Option<String>, _>("message_id")?.map(MessageId::new),
            time: Timestamp::from(row.try_get::<chrono::DateTime<chrono::Utc>, _>("time")?),
            raw_seq: u64::try_from(row.try_get::<i64, _>("raw_seq")?).unwrap_or(0),
            index: row.try_get::<Option<i32>, _>("raw_index")?.and_then(|n| u32::try_from(n).ok()),
        });
    }
    Ok(recorded)
}

/// Lanes that are held by parked work.
pub(super) async fn held(pool: &PgPool) -> sqlx::Result<HashSet<String>> {
    let lanes: Vec<String> =
        sqlx::query_scalar("select distinct lane from worker.parked").fetch_all(pool).await?;
    Ok(lanes.into_iter().collect())
}

/// Sorts sender-less items: those that were resolved as the events they became, and those that nobody waits for yet.
pub(super) async fn resolved(
    pool: &PgPool,
    seal: &Seal,
    hints: Vec<Senderless>,
) -> anyhow::Result<(Vec<Draft>, Vec<Senderless>)> {
    if hints.is_empty() {
        return Ok((Vec::new(), hints));
    }
    let column = |get: fn(&Senderless) -> &str| -> Vec<String> {
        hints.iter().map(|hint| get(hint).to_owned()).collect()
    };
    let rows = sqlx::query(
        "select i.n, r.direction, r.sealed,
                exists (select from worker.waiting w where (w.channel, w.account_id, w.message_id, w.num_edit)
                                                         = (i.channel, i.account_id, i.message_id, i.num_edit))
                or i.num_edit = 0 and exists (select from worker.messages m where (m.channel, m.account_id, m.message_id)
                                                         = (i.channel, i.account_id, i.message_id)) as known
           from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) with ordinality
                as i (channel, account_id, message_id, num_edit, n)
           left join worker.resolutions r
             on i.num_edit = 0 and (r.channel, r.account_id, r.message_id) = (i.channel, i.account_id, i.message_id)
          order by i.n",
    )
    .bind(column(|hint| hint.channel.as_str()))
    .bind(column(|hint| hint.account_id.as_str()))
    .bind(column(|hint| hint.message_id.as_str()))
    .bind(hints.iter().map(|hint| hint.num_edit).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let (mut drafts, mut open) = (Vec::new(), Vec::new());
    for (hint, row) in hints.into_iter().zip(rows) {
        if let Some(sealed) = row.try_get::<Option<Vec<u8>>, _>("sealed")? {
            let context = resolution_context(hint.channel, &hint.account_id, &hint.message_id);
            let event: Event = serde_json::from_str(&seal.open(&context, &sealed)?)?;
            let outbound = row.try_get::<String, _>("direction")? == Direction::Outbound.as_str();
            let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
            let (message_id, thread_id) = (hint.message_id, hint.thread_id);
            let message = MessageFact { message_id, direction, thread_id };
            drafts.push(Draft::of(event).with_message(message));
        } else if !row.try_get::<bool, _>("known")? {
            open.push(hint);
        }
    }
    Ok((drafts, open))
}

/// Where the newest reading of each event stands in INBOX_EVENTS, and which one it is.
pub(super) async fn stored(
    pool: &PgPool,
    ids: &[&str],
) -> sqlx::Result<HashMap<String, (u64, u32)>> {
    let rows: Vec<(String, i64, i32)> = sqlx::query_as(
        "select distinct on (event_id) event_id, event_seq, revision from worker.facts
          where event_id = any($1) order by event_id, revision desc",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, seq, revision)| {
            (id, (u64::try_from(seq).unwrap_or(0), u32::try_from(revision).unwrap_or(0)))
        })
        .collect())
}
