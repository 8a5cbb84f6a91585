//! Table `facts`: what every event states about one row, of each event the highest version.

use std::collections::{BTreeSet, HashMap};

use schemas::{EventId, Kind, Timestamp};
use serde_json::Value;
use sqlx::PgConnection;

use crate::fold::{Held, RowFact, Slot, Statement, Version};

#[derive(sqlx::FromRow)]
struct HeldRow {
    event_id: EventId,
    entity: String,
    revision: i64,
    rank: i16,
    digest: String,
}

#[derive(sqlx::FromRow)]
struct FactRow {
    event_id: EventId,
    entity: String,
    kind: Kind,
    time: Timestamp,
    revision: i64,
    rank: i16,
    digest: String,
    body: Option<Value>,
}

impl FactRow {
    fn fact(self) -> sqlx::Result<RowFact> {
        let statement = self.body.map(|body| Statement::from_body(self.kind, body)).transpose();
        let statement = statement.map_err(|error| sqlx::Error::ColumnDecode {
            index: "body".to_owned(),
            source: Box::new(error),
        })?;
        Ok(RowFact {
            event_id: self.event_id,
            entity: self.entity,
            kind: self.kind,
            time: self.time,
            version: Version { revision: self.revision, rank: self.rank, digest: self.digest },
            statement,
        })
    }
}

/// What is kept of these events.
pub(crate) async fn held(
    conn: &mut PgConnection,
    events: &[&str],
) -> sqlx::Result<HashMap<EventId, Held>> {
    let rows: Vec<HeldRow> = sqlx::query_as(
        "select f.event_id, f.entity, f.revision, f.rank, f.digest
           from unnest($1::text[]) e(event_id) cross join lateral (
               select f.event_id, f.entity, f.revision, f.rank, f.digest from facts f
                where f.event_id = e.event_id offset 0) f",
    )
    .bind(events)
    .fetch_all(conn)
    .await?;
    let mut held: HashMap<EventId, Held> = HashMap::new();
    for HeldRow { event_id, entity, revision, rank, digest } in rows {
        let version = Version { revision, rank, digest };
        let held = held.entry(event_id).or_insert(Held { version, entities: Vec::new() });
        held.entities.push(entity);
    }
    Ok(held)
}

/// All facts of these rows.
pub(crate) async fn of_entities(
    conn: &mut PgConnection,
    entities: &BTreeSet<String>,
) -> sqlx::Result<Vec<RowFact>> {
    if entities.is_empty() {
        return Ok(Vec::new());
    }
    let entities: Vec<&str> = entities.iter().map(String::as_str).collect();
    let rows: Vec<FactRow> = sqlx::query_as(
        "select f.event_id, f.entity, f.kind, f.time, f.revision, f.rank, f.digest, f.body
           from unnest($1::text[]) e(entity) cross join lateral (
               select f.event_id, f.entity, f.kind, f.time, f.revision, f.rank, f.digest, f.body from facts f
                where f.entity = e.entity offset 0) f",
    )
    .bind(entities)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(FactRow::fact).collect()
}

/// Of each of these conversations and each slot the latest fact that was not withdrawn.
pub(crate) async fn latest_of_conversations(
    conn: &mut PgConnection,
    conversations: &[&str],
) -> sqlx::Result<Vec<RowFact>> {
    if conversations.is_empty() {
        return Ok(Vec::new());
    }
    let slots: Vec<&str> = Slot::OF_CONVERSATION.iter().map(|slot| slot.as_str()).collect();
    let rows: Vec<FactRow> = sqlx::query_as(
        "select f.event_id, f.entity, f.kind, f.time, f.revision, f.rank, f.digest, f.body
           from unnest($1::text[]) e(entity)
           cross join lateral (select from facts f where f.entity = e.entity limit 1) known
           cross join unnest($2::text[]) o(slot)
           cross join lateral (
               select * from facts f where f.entity = e.entity and f.slot = o.slot and f.body is not null
               order by f.time desc, f.event_id desc limit 1) f",
    )
    .bind(conversations)
    .bind(slots)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(FactRow::fact).collect()
}

/// The rows that an event is about.
pub(crate) async fn entities_of(
    conn: &mut PgConnection,
    event: &EventId,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select distinct entity from facts where event_id = $1")
        .bind(event)
        .fetch_all(conn)
        .await
}

/// The events that are about a row.
pub(crate) async fn events_of(conn: &mut PgConnection, entity: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select event_id from facts where entity = $1")
        .bind(entity)
        .fetch_all(conn)
        .await
}

/// All events of which something is kept.
pub(crate) async fn events(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select distinct event_id from facts").fetch_all(conn).await
}

/// Adds facts. None of their events is kept at that time.
pub(crate) async fn put(conn: &mut PgConnection, facts: &[&RowFact]) -> sqlx::Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into facts (event_id, entity, slot, kind, time, revision, rank, digest, body)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[],
            $7::smallint[], $8::text[], $9::jsonb[])",
    )
    .bind(facts.iter().map(|fact| fact.event_id.as_str()).collect::<Vec<_>>())
    .bind(facts.iter().map(|fact| fact.entity.as_str()).collect::<Vec<_>>())
    .bind(facts.iter().map(|fact| fact.slot().as_str()).collect::<Vec<_>>())
    .bind(facts.iter().map(|fact| fact.kind.as_str()).collect::<Vec<_>>())
    .bind(facts.iter().map(|fact| fact.time).collect::<Vec<_>>())
    .bind(facts.iter().map(|fact| fact.version.revision).collect::<Vec<_>>())
    .bind(facts.iter().map(|fact| fact.version.rank).collect::<Vec<_>>())
    .bind(facts.iter().map(|fact| fact.version.digest.as_str()).collect::<Vec<_>>())
    .bind(bodies_of(facts.iter().copied())?)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes what is kept of these events.
pub(crate) async fn drop_events(conn: &mut PgConnection, events: &[EventId]) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let events: Vec<&str> = events.iter().map(EventId::as_str).collect();
    sqlx::query("delete from facts where event_id = any($1)")
        .bind(events)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Deletes what is kept of this version of an event.
pub(crate) async fn drop_version(
    conn: &mut PgConnection,
    event: &EventId,
    version: &Version,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from facts where event_id = $1 and revision = $2 and rank = $3 and digest = $4",
    )
    .bind(event)
    .bind(version.revision)
    .bind(version.rank)
    .bind(&version.digest)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Takes the statements out of withdrawn events.
pub(crate) async fn blank(conn: &mut PgConnection, events: &[EventId]) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let events: Vec<&str> = events.iter().map(EventId::as_str).collect();
    sqlx::query("update facts set body = null where event_id = any($1) and body is not null")
        .bind(events)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Replaces the statements of these facts by what is left of them once their content was erased.
pub(crate) async fn scrub(conn: &mut PgConnection, facts: &[RowFact]) -> sqlx::Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update facts f set body = n.body
           from unnest($1::text[], $2::text[], $3::jsonb[]) as n(event_id, entity, body)
          where f.event_id = any(array[n.event_id]) and f.entity = any(array[n.entity])",
    )
    .bind(facts.iter().map(|fact| fact.event_id.as_str()).collect::<Vec<_>>())
    .bind(facts.iter().map(|fact| fact.entity.as_str()).collect::<Vec<_>>())
    .bind(bodies_of(facts)?)
    .execute(conn)
    .await
    .map(|_| ())
}

fn bodies_of<'a>(facts: impl IntoIterator<Item = &'a RowFact>) -> sqlx::Result<Vec<Option<Value>>> {
    facts
        .into_iter()
        .map(|fact| fact.statement.as_ref().map(Statement::to_body).transpose())
        .collect::<Result<_, _>>()
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// Which rows these events are about, for `hookline trace`.
pub(crate) async fn trace(
    conn: &mut PgConnection,
    events: &[String],
    limit: i64,
) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar(
        "select jsonb_build_object('event_id', event_id, 'row', entity, 'slot', slot, 'kind', kind, 'revision', revision,
                'without_content', body is null) from facts where event_id = any($1) limit $2",
    )
    .bind(events)
    .bind(limit)
    .fetch_all(conn)
    .await
}
