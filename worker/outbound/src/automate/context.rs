//! What the database knows around messages that may be answered, read in one statement.

use schemas::Event;
use sqlx::PgPool;

use super::rules::{Before, Known};

/// A row of [`Known`].
#[derive(sqlx::FromRow)]
struct KnownRow {
    other_owns: bool,
    others_replied_at: Option<schemas::Timestamp>,
    frozen: bool,
    deleted: bool,
    recorded: i64,
    considered: i64,
}

impl KnownRow {
    /// A first reading waits for nothing. A later one may stand beside what its own transaction has not brought yet, such as who owns the thread.
    fn before(&self, revision: u32) -> Before {
        if revision > 0 && self.recorded <= i64::from(revision) {
            Before::Unrecorded
        } else if self.considered > 0 {
            Before::Considered
        } else {
            Before::Silent
        }
    }
}

/// Reads it for each of these messages, in their order.
pub(super) async fn read_all(pool: &PgPool, events: &[&Event]) -> sqlx::Result<Vec<Known>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let of =
        |text: fn(&Event) -> &str| -> Vec<&str> { events.iter().map(|one| text(one)).collect() };
    let rows: Vec<KnownRow> = sqlx::query_as(
        "select coalesce(v.other_owns and v.owner_at >= t.time, false) as other_owns,
                greatest(v.others_replied_at,
                         (select max(p.requested_at) from worker.commands p
                           where p.conversation_id = t.conversation_id and p.requester = 'person' and p.command = 'reply'
                             and p.state <> 'failed' and p.requested_at > now() - interval '1 hour')) as others_replied_at,
                exists (select from worker.freezes f
                         where f.scope in ('*', 'account:' || t.channel || '/' || t.account_id, 'conversation:' || t.conversation_id))
                    as frozen,
                exists (select from (select from worker.facts d
                                      where d.channel = t.channel and d.account_id = t.account_id and d.message_id = t.message_id
                                        and d.kind = 'message.deleted' offset 0) deletion) as deleted,
                case when t.revision > 0 then (select count(*) from worker.facts e where e.event_id = t.id and e.revision <= t.revision)
                     else 0 end as recorded,
                case when t.revision > 0 then (select count(*) from worker.facts e
                                                where e.event_id = t.id and e.revision < t.revision and not e.silent)
                     else 0 end as considered
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::int[])
                with ordinality as t (channel, account_id, conversation_id, message_id, time, id, revision, place)
           left join lateral (select * from worker.conversations one where one.conversation_id = t.conversation_id offset 0) v on true
          order by t.place",
    )
    .bind(of(|event| event.data.channel.as_str()))
    .bind(of(|event| event.data.account_id.as_str()))
    .bind(of(|event| event.data.conversation_id.as_ref().map_or("", |id| id.as_str())))
    .bind(of(|event| facts::draft::message_of(&event.data.fact).unwrap_or_default()))
    .bind(events.iter().map(|event| event.time).collect::<Vec<_>>())
    .bind(of(|event| event.id.as_str()))
    .bind(events.iter().map(|event| i32::try_from(event.revision()).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let known = |(row, event): (KnownRow, &&Event)| Known {
        before: row.before(event.revision()),
        other_owns: row.other_owns,
        others_replied_at: row.others_replied_at,
        frozen: row.frozen,
        deleted: row.deleted,
    };
    Ok(rows.into_iter().zip(events).map(known).collect())
}
