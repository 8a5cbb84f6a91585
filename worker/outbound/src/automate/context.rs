//! What the database knows around a message that may be answered, read in one statement.

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

/// Reads it.
pub(super) async fn read(pool: &PgPool, event: &Event) -> sqlx::Result<Known> {
    let row: KnownRow = sqlx::query_as(
        "select coalesce(v.other_owns and v.owner_at >= $5, false) as other_owns,
                greatest(v.others_replied_at,
                         (select max(p.requested_at) from worker.commands p
                           where p.conversation_id = $3 and p.requester = 'person' and p.command = 'reply'
                             and p.state <> 'failed' and p.requested_at > now() - interval '1 hour')) as others_replied_at,
                exists (select from worker.freezes f
                         where f.scope in ('*', 'account:' || $1 || '/' || $2, 'conversation:' || $3)) as frozen,
                exists (select from worker.facts d
                         where d.channel = $1 and d.account_id = $2 and d.message_id = $4 and d.kind = 'message.deleted') as deleted,
                (select count(*) from worker.facts e where e.event_id = $6 and e.revision <= $7) as recorded,
                (select count(*) from worker.facts e where e.event_id = $6 and e.revision < $7 and not e.silent) as considered
           from (select) one left join worker.conversations v on v.conversation_id = $3",
    )
    .bind(event.data.channel)
    .bind(&event.data.account_id)
    .bind(event.data.conversation_id.as_ref().map_or("", |id| id.as_str()))
    .bind(facts::draft::message_of(&event.data.fact).unwrap_or_default())
    .bind(event.time)
    .bind(&event.id)
    .bind(i32::try_from(event.revision()).unwrap_or(i32::MAX))
    .fetch_one(pool)
    .await?;
    Ok(Known {
        other_owns: row.other_owns,
        others_replied_at: row.others_replied_at,
        frozen: row.frozen,
        deleted: row.deleted,
        before: row.before(event.revision()),
    })
}
