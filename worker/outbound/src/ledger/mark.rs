//! `worker.intake` and `worker.found_outcomes`: how far commands were ever accepted, and outcomes of an earlier ledger.

use runtime::lease::Position;
use runtime::streams::Era;
use schemas::Timestamp;
use sqlx::{PgConnection, PgPool};

/// How far commands were ever accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Mark {
    /// The last of them.
    #[sqlx(try_from = "i64")]
    pub(crate) seq: u64,
    /// Of which stream.
    pub(crate) era: Option<Era>,
    /// When the broker stored the latest of them. A stream that was put back to an earlier state uses positions a second time, later.
    #[sqlx(rename = "stored_at")]
    pub(crate) at: Option<Timestamp>,
}

impl Mark {
    /// Whether the command at `position` was accepted before.
    pub(crate) fn covers(&self, position: Position) -> bool {
        let same = self.era.is_none() || position.era.is_none() || self.era == position.era;
        let then = match (self.at, position.at) {
            (Some(latest), Some(at)) => at <= latest,
            _ => true,
        };
        same && then && position.seq <= self.seq
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
    sqlx::query_as("select seq, era, stored_at from worker.intake").fetch_optional(pool).await
}

/// Makes the mark, unless it is there.
pub(crate) async fn create(conn: &mut PgConnection, mark: Mark) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.intake (era, seq, stored_at) values ($1, $2, $3) on conflict (one) do nothing",
    )
    .bind(mark.era)
    .bind(i64::try_from(mark.seq).unwrap_or(i64::MAX))
    .bind(mark.at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Moves the mark along with the position.
pub(crate) async fn advance(conn: &mut PgConnection, to: Position) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.intake
            set seq = case when era is not distinct from $1 then greatest(seq, $2) else $2 end, era = $1,
                stored_at = greatest(stored_at, $3)
          where seq < $2 or era is distinct from $1 or stored_at is null or stored_at < $3",
    )
    .bind(to.era)
    .bind(i64::try_from(to.seq).unwrap_or(i64::MAX))
    .bind(to.at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The era of INBOX_COMMANDS is another one: nothing of it was accepted yet.
pub(crate) async fn start_over(conn: &mut PgConnection, era: Era) -> sqlx::Result<()> {
    sqlx::query("update worker.intake set era = $1, seq = 0, stored_at = null")
        .bind(era)
        .execute(conn)
        .await
        .map(|_| ())
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
        "insert into worker.found_outcomes (event_id, event_seq, event_era)
         select id, max(seq), (select worker.current_era('INBOX_EVENTS'))
           from unnest($1::text[], $2::bigint[]) as t (id, seq) group by id
         on conflict (event_id) do update set event_seq = excluded.event_seq, event_era = excluded.event_era",
    )
    .bind(ids)
    .bind(seqs)
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these outcomes were published, and where they are in the INBOX_EVENTS that counts now; at 0 where they are not.
pub(crate) async fn outcomes(
    conn: &mut PgConnection,
    ids: &[String],
) -> sqlx::Result<Vec<PlacedOutcome>> {
    sqlx::query_as(
        "select event_id,
                coalesce(max(event_seq) filter (
                    where event_era = (select worker.current_era('INBOX_EVENTS'))), 0) as event_seq
           from (select event_id, event_seq, event_era from worker.facts where event_id = any($1)
                 union all select event_id, event_seq, event_era from worker.found_outcomes where event_id = any($1)) all_of_them
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
    fn the_mark_covers_only_its_own_stream_and_what_was_there_then() {
        let (one, two) = (Era::random(), Era::random());
        let time = |n| Some(Timestamp::from_millis(n));
        let mark = Mark { seq: 7, era: Some(one), at: time(100) };
        let covers = |seq, era, at| mark.covers(Position { seq, era: Some(era), at: time(at) });
        assert!(covers(7, one, 100));
        assert!(!covers(8, one, 90));
        assert!(!covers(7, two, 90));
        assert!(!covers(3, one, 101), "its number was used before");
        let bare = Mark { seq: 7, ..Mark::default() };
        assert!(bare.covers(Position { seq: 7, era: Some(two), at: time(101) }));
    }
}
