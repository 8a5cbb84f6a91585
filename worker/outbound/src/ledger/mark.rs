//! `worker.intake` and `worker.found_outcomes`: how far commands were ever accepted, and outcomes of an earlier ledger.

use runtime::lease::Position;
use schemas::Timestamp;
use sqlx::{PgConnection, PgPool};

/// How far commands were ever accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Mark {
    /// The last of them.
    #[sqlx(try_from = "i64")]
    pub(crate) seq: u64,
    /// Of which stream.
    #[sqlx(rename = "stream_created")]
    pub(crate) created: Option<Timestamp>,
}

impl Mark {
    /// Whether the command at `position` was accepted before.
    pub(crate) fn covers(&self, position: Position) -> bool {
        let same = self.created.is_none()
            || position.created.is_none()
            || self.created == position.created;
        same && position.seq <= self.seq
    }
}

/// An outcome and its position in INBOX_EVENTS.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct PlacedOutcome {
    pub(crate) event_id: String,
    #[sqlx(try_from = "i64")]
    pub(crate) event_seq: u64,
}

/// The mark; `None` before the very first start.
pub(crate) async fn read(pool: &PgPool) -> sqlx::Result<Option<Mark>> {
    sqlx::query_as("select seq, stream_created from worker.intake").fetch_optional(pool).await
}

/// Makes the mark, unless it is there.
pub(crate) async fn create(conn: &mut PgConnection, mark: Mark) -> sqlx::Result<()> {
    sqlx::query("insert into worker.intake (stream_created, seq) values ($1, $2) on conflict (one) do nothing")
        .bind(mark.created)
        .bind(i64::try_from(mark.seq).unwrap_or(i64::MAX))
        .execute(conn)
        .await?;
    Ok(())
}

/// Moves the mark along with the position.
pub(crate) async fn advance(conn: &mut PgConnection, to: Position) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.intake
            set seq = case when stream_created is not distinct from $1 then greatest(seq, $2) else $2 end, stream_created = $1
          where seq < $2 or stream_created is distinct from $1",
    )
    .bind(to.created)
    .bind(i64::try_from(to.seq).unwrap_or(i64::MAX))
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps outcomes that INBOX_EVENTS holds although this database never published them.
pub(crate) async fn keep_found(
    conn: &mut PgConnection,
    outcomes: &[PlacedOutcome],
) -> sqlx::Result<()> {
    let (ids, seqs): (Vec<&str>, Vec<i64>) = outcomes
        .iter()
        .map(|outcome| {
            (outcome.event_id.as_str(), i64::try_from(outcome.event_seq).unwrap_or(i64::MAX))
        })
        .unzip();
    sqlx::query(
        "insert into worker.found_outcomes as f (event_id, event_seq)
         select id, max(seq) from unnest($1::text[], $2::bigint[]) as t (id, seq) group by id
         on conflict (event_id) do update set event_seq = greatest(f.event_seq, excluded.event_seq)",
    )
    .bind(ids)
    .bind(seqs)
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these outcomes are in INBOX_EVENTS, and where.
pub(crate) async fn outcomes(
    conn: &mut PgConnection,
    ids: &[String],
) -> sqlx::Result<Vec<PlacedOutcome>> {
    sqlx::query_as(
        "select event_id, max(event_seq) as event_seq
           from (select event_id, event_seq from worker.facts where event_id = any($1)
                 union all select event_id, event_seq from worker.found_outcomes where event_id = any($1)) all_of_them
          group by event_id",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_covers_only_its_own_stream() {
        let made = |n| Some(Timestamp::from_millis(n));
        let mark = Mark { seq: 7, created: made(1) };
        assert!(mark.covers(Position { seq: 7, created: made(1) }));
        assert!(!mark.covers(Position { seq: 8, created: made(1) }));
        assert!(!mark.covers(Position { seq: 7, created: made(2) }));
        assert!(Mark { seq: 7, created: None }.covers(Position { seq: 7, created: made(2) }));
    }
}
