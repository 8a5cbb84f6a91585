//! Messages that were unsent and whose content is still there.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{AccountId, Channel, MessageId};
use sqlx::{FromRow, PgPool};

/// A message of an account.
#[derive(FromRow)]
pub(super) struct MessageRow {
    channel: Channel,
    account_id: AccountId,
    message_id: MessageId,
}

/// Messages by account, in the order they come in.
pub(super) fn by_account(rows: Vec<MessageRow>) -> BTreeMap<(Channel, AccountId), Vec<MessageId>> {
    let mut by_account: BTreeMap<_, Vec<MessageId>> = BTreeMap::new();
    for row in rows {
        by_account.entry((row.channel, row.account_id)).or_default().push(row.message_id);
    }
    by_account
}

/// Messages of which it has been known for `after` that they were unsent, by account; at most `limit`. Not those that are being erased, nor those
/// of a reply that is not sent as a whole yet: they are found at a later look.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn unsent(
    pool: &PgPool,
    after: Duration,
    limit: i64,
) -> sqlx::Result<BTreeMap<(Channel, AccountId), Vec<MessageId>>> {
    let rows: Vec<MessageRow> = sqlx::query_as(
        "select d.channel, d.account_id, d.message_id from worker.facts d
          where left(d.kind, 15) = 'message.deleted' and d.recorded_at <= clock_timestamp() - make_interval(secs => $1)
            and (exists (select from worker.facts m
                          where m.channel = d.channel and m.account_id = d.account_id and m.message_id = d.message_id
                            and m.kind in ('message.received', 'message.sent', 'message.edited', 'reply.sent', 'reply.unknown', 'reply.failed'))
                 or exists (select from worker.parts p join worker.commands c on c.identity = p.identity
                             where p.message_id = d.message_id and c.channel = d.channel and c.account_id = d.account_id
                               and (p.payload -> 'message' <> '{}'
                                    or p.payload ->> 'op' = 'private_reply' and p.payload ->> 'text' <> ''
                                    or p.payload ->> 'op' = 'template_send' and p.payload -> 'template' <> '{}')))
            and not exists (select from worker.erasures e
                             where e.finished_at is null and e.channel = d.channel and e.account_id = d.account_id
                               and d.message_id = any(e.message_ids))
            and not exists (select from worker.parts p join worker.commands c on c.identity = p.identity
                             where p.message_id = d.message_id and c.channel = d.channel and c.account_id = d.account_id and c.state = 'open')
          order by d.recorded_at limit $2",
    )
    .bind(after.as_secs_f64())
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let mut by_account = by_account(rows);
    for messages in by_account.values_mut() {
        messages.sort();
        messages.dedup();
    }
    Ok(by_account)
}
