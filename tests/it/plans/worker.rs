//! The same for what every webhook and every reply runs through in the worker, under the settings of its connections.

use sqlx::Executor as _;

use super::{Hot, all_statements, judge, lab_of_worker, leading, plan};

/// Files whose statements are hot, and nothing else.
const FILES: [&str; 10] = [
    "worker/facts/src/rows.rs",
    "worker/facts/src/follow_up/conversations.rs",
    "worker/facts/src/follow_up/conversation_state.rs",
    "worker/facts/src/follow_up/wants.rs",
    "worker/outbound/src/automate/context.rs",
    "worker/outbound/src/claim_context.rs",
    "worker/outbound/src/ledger/command_sets.rs",
    "worker/outbound/src/ledger/insert.rs",
    "worker/outbound/src/ledger/mark.rs",
    "worker/outbound/src/ledger/part_sets.rs",
];
/// A statement of these files that only a replay runs, by what it has.
const SELDOM: &str = "f.raw_seq = any($1)";
/// Tables of one row.
const TINY: [&str; 3] = ["accounts_version", "behind_log", "intake"];

#[tokio::test]
async fn the_worker_looks_rows_up_by_index_whatever_its_tables_hold() {
    let (_lab, pool) = lab_of_worker().await;
    let mut connection = pool.acquire().await.unwrap();
    let hot: Vec<Hot> = all_statements()
        .into_iter()
        .filter(|one| FILES.contains(&one.file.as_str()) && !one.sql.contains(SELDOM))
        .map(|one| Hot { at: format!("{}:{}", one.file, one.line), sql: one.sql })
        .collect();
    assert!(hot.len() > 20, "only {} statements: is the way to find them blind?", hot.len());
    let leading = leading(&mut connection, "worker").await;
    let mut wrong = Vec::new();
    for (state, words) in [("new, never analysed", ""), ("empty, analysed", "analyze")] {
        connection.execute(words).await.unwrap();
        for Hot { at, sql } in &hot {
            let plan = plan(&mut connection, sql).await;
            for reason in judge(&plan, &leading) {
                let tiny = TINY.iter().any(|table| reason.contains(&format!("on {table} ")));
                if !tiny {
                    wrong.push(format!("{state}: {at}: {reason}\n    {}", plan.join("\n    ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
