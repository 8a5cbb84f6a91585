//! `worker.media`: media and posts of accounts, as Graph listed them last.

use graph::FoundMedia;
use schemas::{AccountId, Channel};
use sqlx::PgConnection;

/// Keeps what one page listed. What an earlier list had stays, and is no part of the latest list any more.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub(super) async fn keep(
    conn: &mut PgConnection,
    channel: Channel,
    account: &AccountId,
    media: &[FoundMedia],
) -> sqlx::Result<()> {
    let media: Vec<_> = media.iter().map(|found| &found.media).collect();
    let ids: Vec<&str> = media.iter().map(|one| one.id.as_str()).collect();
    let captions: Vec<Option<&str>> = media.iter().map(|one| one.caption.as_deref()).collect();
    let types: Vec<Option<&str>> = media.iter().map(|one| one.media_type.as_deref()).collect();
    let links: Vec<Option<&str>> = media.iter().map(|one| one.permalink.as_deref()).collect();
    let times: Vec<_> = media.iter().map(|one| one.posted_at).collect();
    let counts: Vec<Option<i64>> = media.iter().map(|one| one.comments_count).collect();
    sqlx::query(
        "with listed as (
             insert into worker.media_lists as l (channel, account_id, read_at) values ($1, $2, now())
             on conflict (channel, account_id) do update set read_at = excluded.read_at)
         insert into worker.media as m (channel, account_id, media_id, caption, media_type, permalink, posted_at, comments_count, listed_at)
         select distinct on (u.id) $1, $2, u.id, u.caption, u.media_type, u.permalink, u.posted_at, u.comments_count, now()
           from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[])
                as u (id, caption, media_type, permalink, posted_at, comments_count)
         on conflict (channel, account_id, media_id) do update
            set caption = excluded.caption, media_type = excluded.media_type, permalink = excluded.permalink,
                posted_at = excluded.posted_at, comments_count = excluded.comments_count, listed_at = excluded.listed_at",
    )
    .bind(channel)
    .bind(account)
    .bind(ids)
    .bind(captions)
    .bind(types)
    .bind(links)
    .bind(times)
    .bind(counts)
    .execute(conn)
    .await
    .map(|_| ())
}
