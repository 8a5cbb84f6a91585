//! The read model in Postgres: facts, the rows that follow from them, and the position, in one transaction per batch.

mod again;
mod rows;
mod schema;
mod sql;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use runtime::lease::{Lease, Leases, Position};
use schemas::{Channel, EventId, Kind, Timestamp, subjects};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Row, Transaction};

pub use self::again::Again;
use self::rows::{Folded, Rows, conversation, fold_all};
pub use self::schema::{FIRST_SCHEMA, prepare, serving, views_over};
pub(crate) use self::schema::{migrate, show};
use self::sql::{Sql, drop_rows};
use crate::fold::conversation::Identity;
use crate::fold::{Arrival, Changes, Class, Held, Known, Piece, Said, Slot, Version, absorb};
use crate::read::{Incoming, Parked};

/// The channel of `pg_notify` that tells readers how far the read model is.
pub const NOTIFY: &str = "inbox_projected";

/// How long a lease lasts without renewal: so soon does another one go on after a crash. Renewed three times as often, also while a batch
/// is being stored.
const LEASE: runtime::waits::Wait = runtime::waits::LEASE;

/// The cause of events whose rows could not be computed.
const FOLD_FAILED: &str = "fold_failed";

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else writes, or moved the position: read it again.
    #[error("another projector holds the lease or moved the position")]
    Fenced,
    /// The public views show another schema by now: write that one.
    #[error("another schema serves by now")]
    Moved,
    /// Of the database: see [`fault`].
    #[error("the read model could not be written: {0}")]
    Database(#[from] sqlx::Error),
}

/// Whose fault a database error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The database's, or that of the moment: try again later.
    Later,
    /// What was to be written cannot be: it will fail again.
    Data,
    /// It took too long: less at a time may pass.
    TooMuch,
}

/// Tells a passing trouble from data that cannot be stored.
pub fn fault(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(error) => {
            match error.code().as_deref().map(|code| (code, code.get(..2))) {
                // A statement over its time limit: smaller batches may pass, and a single event must not be given up for it.
                Some(("57014", _)) => Fault::TooMuch,
                // Data exceptions, broken constraints, limits exceeded.
                Some((_, Some("22" | "23" | "54"))) => Fault::Data,
                _ => Fault::Later,
            }
        }
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            Fault::Data
        }
        _ => Fault::Later,
    }
}

/// What a batch did.
#[derive(Debug, Default)]
pub struct Applied {
    /// Events set aside, by position.
    pub parked: Vec<Parked>,
}

/// An event set aside, as it is kept: ids and the cause.
#[derive(Clone, Debug)]
pub struct ParkedRow {
    /// Its position in INBOX_EVENTS.
    pub seq: i64,
    /// Its id, where it has one.
    pub event_id: Option<String>,
    /// Its kind, where it is known.
    pub kind: Option<String>,
    /// Its channel, where it has one.
    pub channel: Option<Channel>,
    /// Its account; empty where it has none.
    pub account_id: String,
    /// See [`Parked::cause`].
    pub cause: String,
    /// When it was set aside.
    pub parked_at: Timestamp,
}

/// What a read model is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Readers see it: it must be the serving one, and they are told how far it is.
    Serving,
    /// Nobody reads it yet, and it can be made again: no notice, and no waiting for the disk.
    Aside,
}

/// The read model in one schema.
#[derive(Clone)]
pub struct Store {
    purpose: Purpose,
    pool: PgPool,
    schema: String,
    sql: Arc<Sql>,
    leases: Leases,
}

impl Store {
    /// The read model in `schema`, written as `owner` (unique per process).
    pub fn new(pool: PgPool, schema: &str, owner: String) -> Self {
        let leases = Leases::new(pool.clone(), schema, owner, LEASE.get());
        let (schema, sql) = (schema.to_owned(), Arc::new(Sql::new(schema)));
        Self { purpose: Purpose::Serving, pool, schema, sql, leases }
    }

    /// A read model beside the serving one, which no reader sees.
    pub(crate) fn aside(pool: PgPool, schema: &str, owner: String) -> Self {
        Self { purpose: Purpose::Aside, ..Self::new(pool, schema, owner) }
    }

    /// The schema it writes.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The leases of this read model.
    pub const fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The schema that the public views show now.
    ///
    /// # Errors
    /// Of the database.
    pub async fn serving(&self) -> sqlx::Result<String> {
        serving(&self.pool).await
    }

    /// How many events are set aside.
    ///
    /// # Errors
    /// Of the database.
    pub async fn parked_count(&self) -> sqlx::Result<i64> {
        let sql = format!("select count(*) from {}.parked", self.schema);
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await
    }

    /// Events set aside whose copy in INBOX_DEAD is missing, at most `limit`, in order.
    ///
    /// # Errors
    /// Of the database.
    pub async fn unannounced(&self, limit: i64) -> sqlx::Result<Vec<ParkedRow>> {
        let rows =
            sqlx::query(self.text(&self.sql.unannounced)).bind(limit).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(ParkedRow {
                    seq: row.try_get("seq")?,
                    event_id: row.try_get("event_id")?,
                    kind: row.try_get("kind")?,
                    channel: row
                        .try_get::<Option<String>, _>("channel")?
                        .and_then(|channel| channel.parse().ok()),
                    account_id: row.try_get("account_id")?,
                    cause: row.try_get("cause")?,
                    parked_at: row.try_get::<DateTime<Utc>, _>("first_seen")?.into(),
                })
            })
            .collect()
    }

    /// Notes that the copies of the events at these positions are published.
    ///
    /// # Errors
    /// Of the database; they are published again then.
    pub async fn announced(&self, positions: &[i64]) -> sqlx::Result<()> {
        if !positions.is_empty() {
            sqlx::query(self.text(&self.sql.announced)).bind(positions).execute(&self.pool).await?;
        }
        Ok(())
    }

    /// Absorbs a batch and moves the position from `from` to `to`, all or nothing.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing was written.
    pub async fn apply(
        &self,
        lease: &Lease,
        from: Position,
        to: Position,
        batch: Vec<Incoming>,
    ) -> Result<Applied, StoreError> {
        let mut tx = self.begin(&lease.name).await?;
        let seq: Option<i64> = sqlx::query_scalar(self.text(&self.sql.stored_position))
            .bind(&lease.name)
            .fetch_optional(&mut *tx)
            .await?;
        if u64::try_from(seq.unwrap_or(0)).unwrap_or(0) != from.seq {
            return Err(StoreError::Fenced);
        }
        let mut applied = Applied::default();
        let mut arrivals = Vec::with_capacity(batch.len());
        let mut origin: BTreeMap<EventId, Parked> = BTreeMap::new();
        for incoming in batch {
            match incoming.outcome {
                Ok((arrival, kind)) => {
                    let event_id = arrival.event_id().clone();
                    let trace = Parked {
                        seq: incoming.seq,
                        event_id: Some(event_id.to_string()),
                        kind: Some(kind.to_string()),
                        channel: incoming.channel,
                        account_id: incoming.account_id,
                        cause: FOLD_FAILED,
                        detail: "computing the row failed; the row keeps what it showed before"
                            .to_owned(),
                    };
                    origin.insert(event_id, trace);
                    arrivals.push(arrival);
                }
                Err(parked) => applied.parked.push(parked),
            }
        }
        let failed = self.absorb(&mut tx, arrivals, None).await?;
        applied.parked.extend(failed.events.iter().filter_map(|event| origin.remove(event)));
        for parked in &applied.parked {
            self.park(&mut tx, parked).await?;
        }
        if !self.leases.move_position(&mut tx, lease, subjects::INBOX_EVENTS, from.seq, to).await? {
            return Err(StoreError::Fenced);
        }
        if self.purpose == Purpose::Aside {
            tx.commit().await?;
            return Ok(applied);
        }
        sqlx::query("select pg_notify($1, $2)")
            .bind(NOTIFY)
            .bind(to.seq.to_string())
            .execute(&mut *tx)
            .await?;
        runtime::failpoint!("projector.before_commit");
        tx.commit().await?;
        runtime::failpoint!("projector.after_commit");
        Ok(applied)
    }

    /// Begins to write. Two writers come one after the other, and the second one sees that it is late. A lock on the lease's row would hold
    /// up its renewal, and before the first batch there is no position to lock.
    async fn begin(&self, name: &str) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut tx = self.pool.begin().await?;
        lock(&mut tx, &self.schema, name).await?;
        match self.purpose {
            // A swap holds the same lock until it has committed: nothing is written to a model that serves no more.
            Purpose::Serving => {
                let serving: Option<String> =
                    sqlx::query_scalar("select schema from inbox.serving")
                        .fetch_optional(&mut *tx)
                        .await?;
                if serving.is_some_and(|serving| serving != self.schema) {
                    return Err(StoreError::Moved);
                }
            }
            Purpose::Aside => {
                // A plan that was made for an empty table is kept until the first statistics.
                sqlx::raw_sql(
                    "set local synchronous_commit = off; set local plan_cache_mode = force_custom_plan",
                )
                .execute(&mut *tx)
                .await?;
            }
        }
        Ok(tx)
    }

    #[allow(clippy::unused_self)] // reads as what it is: a statement of this store
    fn text(&self, sql: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(sql.to_owned())
    }

    async fn park(&self, tx: &mut PgConnection, parked: &Parked) -> sqlx::Result<()> {
        sqlx::query(self.text(&self.sql.park))
            .bind(i64::try_from(parked.seq).unwrap_or(i64::MAX))
            .bind(&parked.event_id)
            .bind(&parked.kind)
            .bind(parked.channel.map(Channel::as_str))
            .bind(&parked.account_id)
            .bind(parked.cause)
            .bind(&parked.detail)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Keeps the facts and computes every touched row anew. `again`: of an event that comes once more; these rows too, and nothing of what
    /// they count is taken for granted.
    async fn absorb(
        &self,
        tx: &mut PgConnection,
        arrivals: Vec<Arrival>,
        again: Option<BTreeSet<String>>,
    ) -> Result<Failed, StoreError> {
        if arrivals.is_empty() {
            return Ok(Failed::default());
        }
        let known = self.known(tx, &arrivals).await?;
        let mut changes = absorb(&known, arrivals);
        let recount = again.is_some();
        changes.touched.extend(again.into_iter().flatten());
        self.keep(tx, &changes).await?;
        let (conversations, small): (BTreeSet<String>, BTreeSet<String>) = changes
            .touched
            .iter()
            .cloned()
            .partition(|entity| Class::of(entity) == Some(Class::Conversation));
        let pieces = self.pieces_of(tx, &small).await?;
        let mut folded = fold_all(&small, pieces);
        self.scrub(tx, &folded.scrubbed).await?;
        let moved = self.write_receipts(tx, &mut folded).await?;
        let unread = self.write_messages(tx, &mut folded).await?;
        let unread = (!recount).then_some(unread);
        self.apply_receipts(tx, &moved).await?;
        for (class, table, put) in [
            (Class::Comment, "comments", &self.sql.put_comments),
            (Class::Reaction, "reactions", &self.sql.put_reactions),
            (Class::Post, "posts", &self.sql.put_posts),
            (Class::Mention, "mentions", &self.sql.put_mentions),
            (Class::Insight, "insights", &self.sql.put_insights),
        ] {
            let rows = folded.rows.remove(&class).unwrap_or_default();
            self.write(tx, table, put, rows).await?;
        }
        self.write_conversations(tx, &conversations, &changes, &mut folded, unread.as_ref())
            .await?;
        Ok(Failed { events: whose(&folded.failed, &known, &changes), entities: folded.failed })
    }

    async fn known(&self, tx: &mut PgConnection, arrivals: &[Arrival]) -> sqlx::Result<Known> {
        let ids: BTreeSet<&str> =
            arrivals.iter().map(|arrival| arrival.event_id().as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut known = Known::default();
        for row in sqlx::query(self.text(&self.sql.held)).bind(&ids).fetch_all(&mut *tx).await? {
            let held = known
                .held
                .entry(EventId::new(row.try_get::<String, _>("event_id")?))
                .or_insert(Held { version: version_of(&row)?, entities: Vec::new() });
            held.entities.push(row.try_get("entity")?);
        }
        for row in
            sqlx::query(self.text(&self.sql.withdrawn)).bind(&ids).fetch_all(&mut *tx).await?
        {
            known.withdrawn.insert(EventId::new(row.try_get::<String, _>("event_id")?));
        }
        Ok(known)
    }

    async fn keep(&self, tx: &mut PgConnection, changes: &Changes) -> sqlx::Result<()> {
        let ids =
            |events: &[EventId]| events.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
        if !changes.replaced.is_empty() {
            sqlx::query(self.text(&self.sql.drop_facts))
                .bind(ids(&changes.replaced))
                .execute(&mut *tx)
                .await?;
        }
        if !changes.withdrawn.is_empty() {
            let (events, reasons): (Vec<&str>, Vec<&str>) =
                changes.withdrawn.iter().map(|(id, reason)| (id.as_str(), *reason)).unzip();
            sqlx::query(self.text(&self.sql.put_withdrawn))
                .bind(events)
                .bind(reasons)
                .execute(&mut *tx)
                .await?;
        }
        if !changes.blanked.is_empty() {
            sqlx::query(self.text(&self.sql.blank_facts))
                .bind(ids(&changes.blanked))
                .execute(&mut *tx)
                .await?;
        }
        if changes.pieces.is_empty() {
            return Ok(());
        }
        let pieces = &changes.pieces;
        let bodies: Vec<Option<Value>> = pieces.iter().map(body_of).collect::<sqlx::Result<_>>()?;
        sqlx::query(self.text(&self.sql.put_facts))
            .bind(pieces.iter().map(|piece| piece.event_id.as_str()).collect::<Vec<_>>())
            .bind(pieces.iter().map(|piece| piece.entity.as_str()).collect::<Vec<_>>())
            .bind(pieces.iter().map(|piece| piece.slot().as_str()).collect::<Vec<_>>())
            .bind(pieces.iter().map(|piece| piece.kind.as_str()).collect::<Vec<_>>())
            .bind(pieces.iter().map(|piece| piece.time.to_datetime()).collect::<Vec<_>>())
            .bind(pieces.iter().map(|piece| piece.version.revision).collect::<Vec<_>>())
            .bind(pieces.iter().map(|piece| piece.version.rank).collect::<Vec<_>>())
            .bind(pieces.iter().map(|piece| piece.version.digest.as_str()).collect::<Vec<_>>())
            .bind(bodies)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }

    async fn pieces_of(
        &self,
        tx: &mut PgConnection,
        entities: &BTreeSet<String>,
    ) -> sqlx::Result<Vec<Piece>> {
        if entities.is_empty() {
            return Ok(Vec::new());
        }
        let entities: Vec<&str> = entities.iter().map(String::as_str).collect();
        let rows =
            sqlx::query(self.text(&self.sql.facts_of)).bind(entities).fetch_all(&mut *tx).await?;
        rows.iter().map(piece_of).collect()
    }

    /// Takes the content of unsent messages out of what is kept.
    async fn scrub(&self, tx: &mut PgConnection, pieces: &[Piece]) -> sqlx::Result<()> {
        if pieces.is_empty() {
            return Ok(());
        }
        let bodies: Vec<Option<Value>> = pieces.iter().map(body_of).collect::<sqlx::Result<_>>()?;
        sqlx::query(self.text(&self.sql.scrub_facts))
            .bind(pieces.iter().map(|piece| piece.event_id.as_str()).collect::<Vec<_>>())
            .bind(pieces.iter().map(|piece| piece.entity.as_str()).collect::<Vec<_>>())
            .bind(bodies)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }

    async fn write(
        &self,
        tx: &mut PgConnection,
        table: &str,
        put: &str,
        rows: Rows,
    ) -> sqlx::Result<()> {
        if !rows.drop.is_empty() {
            let ids: Vec<&str> = rows.drop.iter().map(String::as_str).collect();
            sqlx::query(AssertSqlSafe(drop_rows(&self.schema, table)))
                .bind(ids)
                .execute(&mut *tx)
                .await?;
        }
        if !rows.put.is_empty() {
            let values = Value::Array(rows.put.into_values().collect());
            sqlx::query(self.text(put)).bind(sqlx::types::Json(values)).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Receipts go first, since a message's row looks them up.
    async fn write_receipts(
        &self,
        tx: &mut PgConnection,
        folded: &mut Folded,
    ) -> sqlx::Result<MovedReceipts> {
        let rows = folded.rows.remove(&Class::Receipt).unwrap_or_default();
        let mut moved =
            MovedReceipts { touched: rows.put.keys().cloned().collect(), old: Vec::new() };
        if rows.put.is_empty() && rows.drop.is_empty() {
            return Ok(moved);
        }
        let ids: Vec<&str> = rows.put.keys().chain(&rows.drop).map(String::as_str).collect();
        // A receipt that was told differently, or withdrawn, may have covered messages that it no longer covers.
        for row in sqlx::query(self.text(&self.sql.existing_receipts))
            .bind(ids)
            .fetch_all(&mut *tx)
            .await?
        {
            moved.old.push(OldReceipt {
                conversation_id: row.try_get("conversation_id")?,
                kind: row.try_get("kind")?,
                watermark: row.try_get("watermark")?,
                at: row.try_get("at")?,
            });
        }
        self.write(tx, "receipts", &self.sql.put_receipts, rows).await?;
        Ok(moved)
    }

    async fn apply_receipts(
        &self,
        tx: &mut PgConnection,
        moved: &MovedReceipts,
    ) -> sqlx::Result<()> {
        if !moved.touched.is_empty() {
            let ids: Vec<&str> = moved.touched.iter().map(String::as_str).collect();
            sqlx::query(self.text(&self.sql.apply_delivered)).bind(&ids).execute(&mut *tx).await?;
            sqlx::query(self.text(&self.sql.apply_read)).bind(&ids).execute(&mut *tx).await?;
        }
        if !moved.old.is_empty() {
            for uncover in [&self.sql.uncover_delivered, &self.sql.uncover_read] {
                let old = &moved.old;
                sqlx::query(self.text(uncover))
                    .bind(old.iter().map(|old| old.conversation_id.as_str()).collect::<Vec<_>>())
                    .bind(old.iter().map(|old| old.kind.as_str()).collect::<Vec<_>>())
                    .bind(old.iter().map(|old| old.watermark).collect::<Vec<_>>())
                    .bind(old.iter().map(|old| old.at).collect::<Vec<_>>())
                    .execute(&mut *tx)
                    .await?;
            }
        }
        Ok(())
    }

    /// Writes message rows. Conversations they were in before are added to those to look at again. Answers with how many more unread messages
    /// each conversation has by that: counting them all would cost the more the longer nobody reads.
    async fn write_messages(
        &self,
        tx: &mut PgConnection,
        folded: &mut Folded,
    ) -> sqlx::Result<BTreeMap<String, i64>> {
        let rows = folded.rows.remove(&Class::Message).unwrap_or_default();
        let ids: Vec<String> = rows.put.keys().chain(&rows.drop).cloned().collect();
        let mut unread = BTreeMap::new();
        if ids.is_empty() {
            return Ok(unread);
        }
        for row in sqlx::query(self.text(&self.sql.message_conversations))
            .bind(&ids)
            .fetch_all(&mut *tx)
            .await?
        {
            folded.conversations.insert(row.try_get("conversation_id")?);
        }
        for (conversation, count) in self.unread_among(tx, &ids).await? {
            *unread.entry(conversation).or_insert(0) -= count;
        }
        self.write(tx, "messages", &self.sql.put_messages, rows).await?;
        for (conversation, count) in self.unread_among(tx, &ids).await? {
            *unread.entry(conversation).or_insert(0) += count;
        }
        Ok(unread)
    }

    async fn unread_among(
        &self,
        tx: &mut PgConnection,
        messages: &[String],
    ) -> sqlx::Result<Vec<(String, i64)>> {
        sqlx::query_as(self.text(&self.sql.unread_among)).bind(messages).fetch_all(tx).await
    }

    /// Writes conversations: acts and contact from their own facts, the rest from the message rows.
    async fn write_conversations(
        &self,
        tx: &mut PgConnection,
        acted: &BTreeSet<String>,
        changes: &Changes,
        folded: &mut Folded,
        unread: Option<&BTreeMap<String, i64>>,
    ) -> sqlx::Result<()> {
        let touched: Vec<&str> = acted.union(&folded.conversations).map(String::as_str).collect();
        if touched.is_empty() {
            return Ok(());
        }
        let mut existing: BTreeMap<String, Identity> = BTreeMap::new();
        for row in sqlx::query(self.text(&self.sql.existing_conversations))
            .bind(&touched)
            .fetch_all(&mut *tx)
            .await?
        {
            existing.insert(row.try_get("id")?, identity_of(&row)?);
        }
        // A conversation whose own facts did not change and that has a row keeps it.
        let again: BTreeSet<&str> = touched
            .iter()
            .copied()
            .filter(|id| acted.contains(*id) || !existing.contains_key(*id))
            .collect();
        if !again.is_empty() {
            let slots: Vec<&str> = Slot::OF_CONVERSATION.iter().map(|slot| slot.as_str()).collect();
            let again: Vec<&str> = again.into_iter().collect();
            let rows = sqlx::query(self.text(&self.sql.latest_facts_of))
                .bind(&again)
                .bind(slots)
                .fetch_all(&mut *tx)
                .await?;
            let mut pieces: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
            for row in &rows {
                let piece = piece_of(row)?;
                pieces.entry(piece.entity.clone()).or_default().push(piece);
            }
            let mut identities: BTreeMap<&str, Identity> = folded
                .identities
                .iter()
                .map(|(id, identity)| (id.as_str(), identity.clone()))
                .collect();
            for piece in pieces.values().flatten().chain(&changes.pieces) {
                if let Some(identity) = said_identity(piece)
                    && acted.contains(&piece.entity)
                {
                    identities.insert(&piece.entity, identity);
                }
            }
            let mut put = Rows::default();
            let mut failed = Vec::new();
            for id in again {
                let Some(identity) = identities.get(id).or_else(|| existing.get(id)) else {
                    continue;
                };
                let facts = pieces.get(id).map_or(&[][..], Vec::as_slice);
                match conversation(id, identity, facts) {
                    Some(row) => {
                        put.put.insert(id.to_owned(), row);
                    }
                    None => failed.push(id.to_owned()),
                }
            }
            folded.failed.extend(failed);
            self.write(tx, "conversations", &self.sql.put_conversations, put).await?;
        }
        // Where the mark of reading may have moved, or nothing was counted yet, all are counted.
        let moved: Vec<Option<i64>> = touched
            .iter()
            .map(|id| {
                let known = existing.contains_key(*id) && !acted.contains(*id);
                unread.filter(|_| known).map(|unread| unread.get(*id).copied().unwrap_or(0))
            })
            .collect();
        sqlx::query(self.text(&self.sql.aggregate))
            .bind(&touched)
            .bind(moved)
            .execute(&mut *tx)
            .await?;
        sqlx::query(self.text(&self.sql.drop_empty_conversations))
            .bind(&touched)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }
}

/// Rows that could not be computed; they show what they showed before.
#[derive(Debug, Default)]
struct Failed {
    /// The events of the batch that concern them.
    events: BTreeSet<EventId>,
    /// The rows.
    entities: BTreeSet<String>,
}

/// Which events of a batch concern these entities: by what they say, or, as a withdrawal or another reading does, by what they said before.
fn whose(entities: &BTreeSet<String>, known: &Known, changes: &Changes) -> BTreeSet<EventId> {
    let said = changes.pieces.iter().filter(|piece| {
        let conversation = piece.said.as_ref().and_then(Said::conversation_id);
        entities.contains(&piece.entity)
            || conversation.is_some_and(|id| entities.contains(id.as_str()))
    });
    let before = changes.blanked.iter().chain(&changes.replaced).filter(|event| {
        known
            .held
            .get(*event)
            .is_some_and(|held| held.entities.iter().any(|entity| entities.contains(entity)))
    });
    said.map(|piece| piece.event_id.clone()).chain(before.cloned()).collect()
}

/// Whoever holds this writes the read model of `schema`, until the end of the transaction.
pub(crate) async fn lock(tx: &mut PgConnection, schema: &str, name: &str) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("{schema}/{name}"))
        .execute(tx)
        .await
        .map(|_| ())
}

struct MovedReceipts {
    /// Receipts that are new or changed.
    touched: BTreeSet<String>,
    /// Receipts that changed or went, as they were: messages that one of them told the time of are looked at again.
    old: Vec<OldReceipt>,
}

struct OldReceipt {
    conversation_id: String,
    kind: String,
    watermark: DateTime<Utc>,
    at: DateTime<Utc>,
}

fn said_identity(piece: &Piece) -> Option<Identity> {
    let said = piece.said.as_ref()?;
    Some(Identity {
        channel: said.channel,
        account_id: said.account_id.clone(),
        contact_id: said.contact_id.clone()?,
    })
}

fn identity_of(row: &PgRow) -> sqlx::Result<Identity> {
    let channel: String = row.try_get("channel")?;
    let channel: Channel =
        serde_json::from_value(Value::String(channel)).map_err(decode("channel"))?;
    Ok(Identity {
        channel,
        account_id: row.try_get::<String, _>("account_id")?.into(),
        contact_id: row.try_get::<String, _>("contact_id")?.into(),
    })
}

fn decode<E: std::error::Error + Send + Sync + 'static>(
    column: &'static str,
) -> impl Fn(E) -> sqlx::Error {
    move |error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) }
}

fn version_of(row: &PgRow) -> sqlx::Result<Version> {
    Ok(Version {
        revision: row.try_get("revision")?,
        rank: row.try_get("rank")?,
        digest: row.try_get("digest")?,
    })
}

fn piece_of(row: &PgRow) -> sqlx::Result<Piece> {
    let kind: Kind = row.try_get::<String, _>("kind")?.parse().map_err(decode("kind"))?;
    let said = row
        .try_get::<Option<Value>, _>("body")?
        .map(|body| Said::from_body(kind, body))
        .transpose()
        .map_err(decode("body"))?;
    Ok(Piece {
        event_id: EventId::new(row.try_get::<String, _>("event_id")?),
        entity: row.try_get("entity")?,
        kind,
        time: Timestamp::from(row.try_get::<DateTime<Utc>, _>("time")?),
        version: version_of(row)?,
        said,
    })
}

fn body_of(piece: &Piece) -> sqlx::Result<Option<Value>> {
    piece
        .said
        .as_ref()
        .map(Said::to_body)
        .transpose()
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_or_another_reading_is_told_of_the_rows_it_spoke_of_before() {
        let (blanked, replaced, other) =
            (EventId::new("evt_1"), EventId::new("evt_2"), EventId::new("evt_3"));
        let version = Version { revision: 0, rank: 0, digest: String::new() };
        let held =
            |entity: &str| Held { version: version.clone(), entities: vec![entity.to_owned()] };
        let known = Known {
            held: [
                (blanked.clone(), held("msg_1")),
                (replaced.clone(), held("msg_2")),
                (other.clone(), held("msg_3")),
            ]
            .into(),
            ..Known::default()
        };
        let changes = Changes {
            blanked: vec![blanked.clone(), other],
            replaced: vec![replaced.clone()],
            ..Changes::default()
        };
        let failed = ["msg_1", "msg_2"].map(ToOwned::to_owned).into();
        assert_eq!(whose(&failed, &known, &changes), [blanked, replaced].into());
    }
}
