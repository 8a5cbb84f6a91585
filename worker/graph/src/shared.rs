//! Table `worker.graph_budget`: what Meta allows, as all workers know it together. Times travel as durations, by the clock of the database:
//! the clocks of two machines differ.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

/// How one allowance stands.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Figure {
    /// `app:<app>` or `account:<channel>/<account>`.
    pub(crate) scope: String,
    /// The last figure, in percent of the allowance.
    pub(crate) percent: Option<i32>,
    /// How old it is.
    pub(crate) measured_ms_ago: Option<i64>,
    /// For how long no call may be made.
    pub(crate) closed_for_ms: Option<i64>,
}

/// A slot that is further away than this is of a clock that was set back since.
const AHEAD_MAX: Duration = Duration::from_secs(30);

/// Takes the next slot of a scope and returns how long to wait for it: `within` at most. `None`: it is further away, and none was taken. Slots are
/// `every` apart, whoever takes them.
pub(crate) async fn take_slot(
    pool: &PgPool,
    scope: &str,
    every: Duration,
    within: Duration,
) -> sqlx::Result<Option<Duration>> {
    let wait: Option<f64> = sqlx::query_scalar(
        "insert into worker.graph_budget as b (scope, next_slot) values ($1, clock_timestamp() + make_interval(secs => $2))
         on conflict (scope) do update
            set next_slot = case when b.next_slot > clock_timestamp() + make_interval(secs => $4) then clock_timestamp()
                                 else greatest(b.next_slot, clock_timestamp()) end + make_interval(secs => $2)
          where b.next_slot is null or b.next_slot <= clock_timestamp() + make_interval(secs => $3)
             or b.next_slot > clock_timestamp() + make_interval(secs => $4)
         returning greatest(0, extract(epoch from next_slot - clock_timestamp()) - $2)::float8",
    )
    .bind(scope)
    .bind(every.as_secs_f64())
    .bind(within.as_secs_f64())
    .bind(AHEAD_MAX.as_secs_f64())
    .fetch_optional(pool)
    .await?;
    Ok(wait.map(Duration::from_secs_f64))
}

/// Writes figures; of two the newer counts, and what is closed for longer stays so; but nothing that is dated in the future, by a clock that was set back since. Rows are locked in one order.
pub(crate) async fn put(conn: &mut PgConnection, figures: &[Figure]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.graph_budget as b (scope, percent, measured_at, closed_until, closed_ms)
         select f.scope, f.percent, clock_timestamp() - f.ago * interval '1 millisecond',
                clock_timestamp() + f.closed * interval '1 millisecond', f.closed
           from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) as f (scope, percent, ago, closed) order by f.scope
         on conflict (scope) do update set
            percent = case when b.measured_at > excluded.measured_at and b.measured_at <= clock_timestamp() then b.percent
                           else coalesce(excluded.percent, b.percent) end,
            measured_at = case when b.measured_at <= clock_timestamp() then greatest(b.measured_at, excluded.measured_at)
                               else excluded.measured_at end,
            (closed_until, closed_ms) = (
                select old.closed_until, old.closed_ms
                  from (values (b.closed_until, b.closed_ms), (excluded.closed_until, excluded.closed_ms)) as old (closed_until, closed_ms)
                 where old.closed_until <= clock_timestamp() + old.closed_ms * interval '1 millisecond'
                 order by old.closed_until desc limit 1)",
    )
    .bind(figures.iter().map(|figure| figure.scope.as_str()).collect::<Vec<_>>())
    .bind(figures.iter().map(|figure| figure.percent).collect::<Vec<_>>())
    .bind(figures.iter().map(|figure| figure.measured_ms_ago).collect::<Vec<_>>())
    .bind(figures.iter().map(|figure| figure.closed_for_ms).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(|_| ())
}

/// The figures that say something: not older than `measured_for`, or of what is closed.
pub(crate) async fn read(
    conn: &mut PgConnection,
    measured_for: Duration,
) -> sqlx::Result<Vec<Figure>> {
    sqlx::query_as(
        "select b.scope, b.percent, (extract(epoch from clock_timestamp() - b.measured_at) * 1000)::bigint as measured_ms_ago,
                case when b.is_closed then (extract(epoch from b.closed_until - clock_timestamp()) * 1000)::bigint end as closed_for_ms
           from (select *, closed_until > clock_timestamp()
                           and closed_until <= clock_timestamp() + closed_ms * interval '1 millisecond' as is_closed
                   from worker.graph_budget) b
          where b.measured_at between clock_timestamp() - make_interval(secs => $1) and clock_timestamp() or b.is_closed",
    )
    .bind(measured_for.as_secs_f64())
    .fetch_all(conn)
    .await
}
