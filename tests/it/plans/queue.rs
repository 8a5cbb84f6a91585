//! What is asked for again and again reads no more where more waits, or where the ledger has grown: blocks are counted, never time.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::{all_statements, lab_of_worker};

/// Statements, by what they have, with their parameters.
const ASKED: [(&str, &str, &str); 3] = [
    ("worker/outbound/src/ledger/queue.rs", "with recursive accounts", "512"),
    (
        "worker/outbound/src/ledger/queue.rs",
        "select due.identity",
        "'{}', array_fill('instagram'::text, array[20]), string_to_array('1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20', ','), 32",
    ),
    ("worker/outbound/src/ledger/commands.rs", "not c.outcome_published", "1, 100"),
];

/// Commands that wait in twenty accounts, each in a lane of its own, and as many that have ended.
const FILL: &str = "
    truncate worker.commands cascade;
    insert into worker.commands (identity, command_id, channel, account_id, lane, command, data, body_digest, requester, requester_name,
        requested_at, stream_seq, due_at, state, finished_at, outcome_published)
    select n::text, n::text, 'instagram', (1 + n % 20)::text, n::text, 'reply', '{}', '', 'person', 'test', now(), n, now(),
           case when n <= $ROWS then 'open' else 'sent' end, case when n <= $ROWS then null else now() end, n < 2 * $ROWS - 10
      from generate_series(1, 2 * $ROWS) n;
    insert into worker.parts (identity, n, lane, payload, content, peer) select identity, 0, lane, '{}', '', '' from worker.commands;
    analyze worker.commands, worker.parts";

/// How many blocks a statement reads.
async fn blocks(connection: &mut PgConnection, sql: &str, parameters: &str) -> u64 {
    let prepare = AssertSqlSafe(format!("prepare asked as {sql}"));
    connection.execute(prepare).await.unwrap();
    let mut blocks = 0;
    // The first one makes the plan and marks what is dead.
    for _ in 0..2 {
        let explain = format!(
            "explain (analyze, buffers, timing off, format json) execute asked({parameters})"
        );
        let plan: serde_json::Value = sqlx::query_scalar(AssertSqlSafe(explain))
            .persistent(false)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let read = |name: &str| plan[0]["Plan"][name].as_u64().unwrap();
        blocks = read("Shared Hit Blocks") + read("Shared Read Blocks");
    }
    connection.execute("deallocate asked").await.unwrap();
    blocks
}

#[tokio::test]
async fn the_queue_costs_what_it_returns_however_much_waits() {
    let (_lab, pool) = lab_of_worker().await;
    let mut connection = pool.acquire().await.unwrap();
    let statements = all_statements();
    let mut counts = Vec::new();
    for rows in [2_000, 10_000] {
        let fill = AssertSqlSafe(FILL.replace("$ROWS", &rows.to_string()));
        connection.execute(sqlx::raw_sql(fill)).await.unwrap();
        for (file, has, parameters) in ASKED {
            let found = statements.iter().find(|one| one.file == file && one.sql.contains(has));
            let sql = &found.unwrap_or_else(|| panic!("{file} has no `{has}`")).sql;
            counts.push(blocks(&mut connection, sql, parameters).await);
        }
    }
    let (few, many) = counts.split_at(ASKED.len());
    for ((few, many), (file, has, _)) in few.iter().zip(many).zip(ASKED) {
        assert!(*many < few * 3 / 2 + 100, "{file}, `{has}`: {few} blocks, then {many}");
    }
}
