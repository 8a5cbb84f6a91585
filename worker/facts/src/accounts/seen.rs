//! When accounts were last heard of by webhook, by Meta's field; statements over `worker.account_heard` and `worker.seen_up_to`.
//!
//! Read from the facts, behind the normaliser, so that a webhook costs nothing more.

use std::collections::BTreeMap;

use schemas::subjects::META_RAW;
use schemas::{AccountId, Channel, Timestamp, Via};
use sqlx::{PgConnection, PgPool};

use super::webhook_field::field_of;
use crate::eras;

/// Shards record at their own pace: facts that are this many positions back are looked at again.
const OVERLAP: i64 = 5_000;
/// Positions of one look. Of a large table the newest say enough at first: the rest would take hours, in which every account seemed silent.
const STRIDE: i64 = 200_000;

/// Counts in what was recorded since the last time.
///
/// # Errors
/// `sqlx::Error`; nothing is changed, call again.
pub async fn note(pool: &PgPool) -> sqlx::Result<()> {
    let Some(current) = eras::current(pool, META_RAW).await? else { return Ok(()) };
    let mut tx = pool.begin().await?;
    let (era, seq): (i16, i64) =
        sqlx::query_as("select raw_era, raw_seq from worker.seen_up_to for update")
            .fetch_one(&mut *tx)
            .await?;
    let from = if era == current.n { seq } else { 0 };
    let last: Option<i64> = sqlx::query_scalar(
        "select max(raw_seq) from worker.facts where raw_seq > $1 and raw_era = $2",
    )
    .bind(from)
    .bind(current.n)
    .fetch_one(&mut *tx)
    .await?;
    let to = last.unwrap_or(from);
    count_in(&mut tx, current.n, from.max(to - STRIDE) - OVERLAP, to).await?;
    sqlx::query("update worker.seen_up_to set raw_era = $1, raw_seq = $2")
        .bind(current.n)
        .bind(to)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// What webhooks brought of one kind.
#[derive(sqlx::FromRow)]
struct KindRow {
    channel: Channel,
    account_id: AccountId,
    kind: String,
    first_at: Timestamp,
    last_at: Timestamp,
}

/// The same by field; '' stands for all of them.
type ByField = BTreeMap<(Channel, AccountId, &'static str), (Timestamp, Timestamp)>;

/// A kind counts for its field, and each for the account.
fn by_field(rows: Vec<KindRow>) -> ByField {
    let mut all = ByField::new();
    for row in rows {
        let field = row.kind.parse().ok().and_then(|kind| field_of(row.channel, kind));
        for field in field.into_iter().chain([""]) {
            let span = (row.first_at, row.last_at);
            all.entry((row.channel, row.account_id.clone(), field))
                .and_modify(|(first, last)| {
                    (*first, *last) = ((*first).min(span.0), (*last).max(span.1));
                })
                .or_insert(span);
        }
    }
    all
}

/// Of webhooks only: what a reply or Graph reported says nothing about their coming in.
async fn count_in(conn: &mut PgConnection, era: i16, after: i64, to: i64) -> sqlx::Result<()> {
    let rows: Vec<KindRow> = sqlx::query_as(
        "select f.channel, f.account_id, f.kind, min(f.recorded_at) as first_at, max(f.recorded_at) as last_at
           from worker.facts f
           join worker.accounts a on a.channel = f.channel and a.id = f.account_id
          where f.raw_era = $1 and f.raw_seq > $2 and f.raw_seq <= $3 and f.rank = $4
          group by f.channel, f.account_id, f.kind",
    )
    .bind(era)
    .bind(after)
    .bind(to)
    .bind(Via::Webhook.rank())
    .fetch_all(&mut *conn)
    .await?;
    let all = by_field(rows);
    let channels: Vec<&str> = all.keys().map(|(channel, ..)| channel.as_str()).collect();
    let accounts: Vec<&str> = all.keys().map(|(_, account, _)| account.as_str()).collect();
    let fields: Vec<&str> = all.keys().map(|(_, _, field)| *field).collect();
    let (first, last): (Vec<Timestamp>, Vec<Timestamp>) = all.values().copied().unzip();
    sqlx::query(
        "insert into worker.account_heard as h (channel, account_id, field, first_at, last_at)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
         on conflict (channel, account_id, field) do update
            set longest_gap = greatest(excluded.last_at - h.last_at,
                                       h.longest_gap * exp(-extract(epoch from excluded.last_at - h.last_at)::float8 / 1209600)),
                last_at = excluded.last_at, spells = h.spells + 1
          where excluded.last_at > h.last_at",
    )
    .bind(channels)
    .bind(accounts)
    .bind(fields)
    .bind(first)
    .bind(last)
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_one_field_are_one() {
        let at = |second: i64| Timestamp::from_millis(1_796_000_000_000 + second * 1_000);
        let row = |kind: &str, first, last| KindRow {
            channel: Channel::Instagram,
            account_id: "1".into(),
            kind: kind.to_owned(),
            first_at: at(first),
            last_at: at(last),
        };
        let all = by_field(vec![
            row("message.received", 1, 5),
            row("message.sent", 0, 9),
            row("comment.created", 3, 20),
            row("kind.of_tomorrow", 30, 40),
        ]);
        let of = |field| all[&(Channel::Instagram, "1".into(), field)];
        assert_eq!(of("messages"), (at(0), at(9)));
        assert_eq!(of("comments"), (at(3), at(20)));
        assert_eq!((of(""), all.len()), ((at(0), at(40)), 3));
    }
}
