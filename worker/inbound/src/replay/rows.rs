//! What the tables of the worker know about the raw webhooks of a slice.

use schemas::Event;
use sqlx::{FromRow, PgPool};

use facts::follow_up::senderless::Senderless;
use facts::follow_up::waiting::resolution_context;
use facts::seal::Seal;
use facts::{Direction, Draft, MessageFact};

/// What is stored of a sender-less item: its sealed resolution with the direction, and whether it waits or is known without one.
#[derive(FromRow)]
struct ResolutionRow {
    direction: Option<Direction>,
    sealed: Option<Vec<u8>>,
    known: bool,
}

/// How far the live normaliser has come, by shard.
pub(crate) async fn positions(pool: &PgPool) -> sqlx::Result<Vec<u64>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select name, seq from worker.positions where name like 'raw-%'")
            .fetch_all(pool)
            .await?;
    let position = |shard: u32| {
        let name = crate::reader_name(shard);
        let row = rows.iter().find(|(other, _)| *other == name);
        row.and_then(|(_, seq)| u64::try_from(*seq).ok()).unwrap_or(0)
    };
    Ok((0..schemas::subjects::SHARDS).map(position).collect())
}

/// Sorts sender-less items: those that were resolved as the events they became, and those that are not in the waiting room yet.
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
    let rows: Vec<ResolutionRow> = sqlx::query_as(
        "select r.direction, r.sealed,
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
        if let (Some(sealed), Some(direction)) = (row.sealed, row.direction) {
            let context = resolution_context(hint.channel, &hint.account_id, &hint.message_id);
            let event: Event = serde_json::from_str(&seal.open(&context, &sealed)?)?;
            let (message_id, thread_id) = (hint.message_id, hint.thread_id);
            let message = MessageFact { message_id, direction, thread_id };
            drafts.push(Draft::of(event).with_message(message));
        } else if !row.known {
            open.push(hint);
        }
    }
    Ok((drafts, open))
}
