//! The statements that took Postgres longest, where `STATEMENTS=1` asks for them.

use tests::Lab;

/// How many are printed.
const SHOWN: i64 = 14;

/// Whether statements are to be printed.
pub(crate) fn wanted() -> bool {
    bench::setting("STATEMENTS", 0) != 0
}

/// Begins to count.
pub(crate) async fn count(lab: &Lab) {
    sqlx::raw_sql("create extension pg_stat_statements").execute(lab.pool()).await.unwrap();
}

/// Forgets what was counted so far.
pub(crate) async fn forget(lab: &Lab) {
    if wanted() {
        sqlx::query("select pg_stat_statements_reset()").execute(lab.pool()).await.unwrap();
    }
}

/// Prints calls and time for each reply.
pub(crate) async fn print(lab: &Lab, replies: usize) {
    if !wanted() {
        return;
    }
    let rows: Vec<(i64, f64, f64, String)> = sqlx::query_as(
        "select calls, total_exec_time + total_plan_time, mean_exec_time, left(regexp_replace(query, '\\s+', ' ', 'g'), 130)
           from pg_stat_statements order by total_exec_time + total_plan_time desc limit $1",
    )
    .bind(SHOWN)
    .fetch_all(lab.pool())
    .await
    .unwrap();
    for (calls, total, mean, statement) in rows {
        #[allow(clippy::cast_precision_loss)] // counts of a measurement
        let (each, took) = (calls as f64 / replies as f64, total / replies as f64);
        println!("  {took:6.3} ms in {each:6.3} calls of {mean:7.2} ms: {statement}");
    }
}
