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
    readings: i64,
    imported: i64,
}

impl KnownRow {
    /// Readings of an earlier release do not say where they came from: they count as live.
    fn before(&self, revision: u32) -> Before {
        match i64::from(revision) {
            earlier if self.readings < earlier => Before::Unrecorded,
            _ if self.imported < self.readings => Before::Live,
            _ => Before::Imported,
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
                (select count(*) from worker.facts e where e.event_id = $6 and e.revision < $7) as readings,
                (select count(*) from worker.facts e where e.event_id = $6 and e.revision < $7 and e.via = 'backfill') as imported
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
