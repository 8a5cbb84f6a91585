//! Statements that write the read model have one plan, whatever the tables hold: every row is looked up by an index that begins with what
//! is known of it. A plan that reads a table or a whole index is right while these are empty, is kept, and costs seconds per batch later.

mod queue;
mod worker;

use std::collections::BTreeMap;
use std::path::Path;

use house::statements;
use house::tree::{self, Tree};
use house::{House, Sources};
use runtime::config::Settings;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};
use tests::{Lab, Role};

/// Where the statements are that write a read model.
const TABLES: &str = "projector/src/store/tables/";
/// The statement with which every writer begins.
const BEGINS: (&str, &str) = ("projector/src/store/scope.rs", "plan_cache_mode");

/// Statements of these files that no batch runs, by how they begin or what they have: verbs, verifications, the list of what is set aside.
const SELDOM: [&str; 10] = [
    "select jsonb_build_object(",
    "<> all($1)",
    "select distinct event_id from facts",
    "from inbox.",
    "parked",
    "hashtextextended(",
    "select distinct entity from facts where event_id = $1",
    "update leases set",
    "insert into leases",
    "and revision = $2 and rank = $3",
];

/// What the tables hold when the plans are made.
const STATES: [(&str, &str); 5] = [
    ("new, never analysed", ""),
    ("empty, analysed", "analyze"),
    ("one row each, analysed", "one; analyze"),
    ("large, never analysed", "many"),
    ("large, analysed", "many; analyze"),
];

/// Fills the tables that are looked up by rows of others.
const FILL: &str = "
    insert into facts (event_id, entity, slot, kind, time, revision, rank, digest)
    select 'evt_' || n, 'msg_' || n, 'main', 'message.received', now(), 0, 0, '' from generate_series(1, $ROWS) n;
    insert into withdrawn (event_id, reason) select 'gone_' || n, 'vanished' from generate_series(1, $ROWS) n;
    insert into conversations (id, channel, account_id, contact_id, name, placeholder, enriched, archived, blocked, known)
    select 'cnv_' || n, 'instagram', '1', n, '', '', false, false, false, true from generate_series(1, $ROWS) n;
    insert into messages (id, channel, account_id, contact_id, conversation_id, message_id, direction, hidden, attachments, reactions,
        sent_at, time_approximate, standby, is_self, backfilled, unsupported, content_missing, counts_unread, opens_window, event_id)
    select 'msg_' || n, 'instagram', '1', n, 'cnv_' || n, n, 'outbound', false, '[]', '[]', now(), false, false, false, false, false,
        false, true, true, 'evt_' || n from generate_series(1, $ROWS) n;
    insert into receipts (id, conversation_id, kind, watermark, at)
    select 'rcp_' || n, 'cnv_' || n, 'read', now(), now() from generate_series(1, $ROWS) n;";

struct Hot {
    at: String,
    sql: String,
}

/// Every statement of the sources.
fn all_statements() -> Vec<statements::Statement> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = Sources::parse(Tree::read(root).unwrap(), tree::packages(root).unwrap()).unwrap();
    statements::find(&House::new(&sources), &["tests".to_owned()].into()).statements
}

/// The statements of batches, and that with which writers begin.
fn statements() -> (Vec<Hot>, String) {
    let found = all_statements();
    let begins = found.iter().find(|one| one.file == BEGINS.0 && one.sql.contains(BEGINS.1));
    let begins = begins.expect("writers say how plans are made").sql.clone();
    let hot = found
        .iter()
        .filter(|one| one.file.starts_with(TABLES))
        .filter(|one| !SELDOM.iter().any(|seldom| one.sql.contains(seldom)))
        // Whole tables are emptied by a verification only.
        .filter(|one| one.sql.contains("where") || !one.sql.starts_with("delete from"))
        .map(|one| Hot { at: format!("{}:{}", one.file, one.line), sql: one.sql.clone() })
        .collect();
    (hot, begins)
}

/// A lab with the tables of the worker, and a pool with the settings of its connections.
async fn lab_of_worker() -> (Lab, PgPool) {
    let mut lab = Lab::start().await;
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    lab.stop(Role::Worker).await;
    let settings = Settings::from_pairs(lab.settings.clone());
    let pool = runtime::db::pool_by_index(&settings, "plans", 1).unwrap();
    (lab, pool)
}

/// The first column of each index; of two with one name that of the schema.
async fn leading(connection: &mut PgConnection, schema: &str) -> BTreeMap<String, String> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, pg_get_indexdef(i.indexrelid, 1, true)
           from pg_index i join pg_class c on c.oid = i.indexrelid
          order by c.relnamespace = $1::regnamespace",
    )
    .bind(schema)
    .fetch_all(connection)
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// What is wrong with a plan.
fn judge(plan: &[String], leading: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (n, line) in plan.iter().enumerate() {
        let name = |after: &str| {
            let rest = line.split_once(after)?.1;
            rest.split([' ', '(']).next().map(str::to_owned)
        };
        let reads_index = name("Index Scan using ")
            .or_else(|| name("Index Scan Backward using "))
            .or_else(|| name("Index Only Scan using "))
            .or_else(|| name("Index Only Scan Backward using "))
            .or_else(|| name("Bitmap Index Scan on "));
        if line.contains("Seq Scan on") {
            wrong.push(line.trim().to_owned());
        } else if let Some(index) = reads_index {
            let mut below = plan[n + 1..].iter().take_while(|line| !line.contains("->"));
            let condition = below.find(|line| line.contains("Index Cond:"));
            let first = &leading[&index];
            if !condition.is_some_and(|condition| condition.contains(&format!("{first} "))) {
                wrong.push(format!("{}: {condition:?} says nothing of {first}", line.trim()));
            }
        }
    }
    wrong
}

async fn plan(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let prepare = AssertSqlSafe(format!("prepare hot as {sql}"));
    connection.execute(prepare).await.unwrap();
    let parameters: i64 = sqlx::query_scalar(
        "select cardinality(parameter_types) from pg_prepared_statements where name = 'hot'",
    )
    .persistent(false)
    .fetch_one(&mut *connection)
    .await
    .map(|count: i32| i64::from(count))
    .unwrap();
    let nulls = vec!["null"; usize::try_from(parameters).unwrap()].join(", ");
    let execute = if nulls.is_empty() { "hot".to_owned() } else { format!("hot({nulls})") };
    let plan = sqlx::query_scalar(AssertSqlSafe(format!("explain execute {execute}")))
        .persistent(false)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    connection.execute("deallocate hot").await.unwrap();
    plan
}

#[tokio::test]
async fn rows_are_looked_up_by_index_whatever_the_tables_hold() {
    let lab = Lab::start().await;
    let mut connection = lab.pool().acquire().await.unwrap().detach();
    let model: String = sqlx::query_scalar("select schema from inbox.serving")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let (hot, begins) = statements();
    assert!(hot.len() > 30, "only {} statements: is the way to find them blind?", hot.len());
    let leading = leading(&mut connection, &model).await;
    let mut wrong = Vec::new();
    for (state, words) in STATES {
        let mut tx = connection.begin().await.unwrap();
        sqlx::query(AssertSqlSafe(begins.clone()))
            .bind("plans")
            .bind(&model)
            .execute(&mut *tx)
            .await
            .unwrap();
        let rows = if words.contains("many") { "20000" } else { "1" };
        if words.contains("one") || words.contains("many") {
            tx.execute(AssertSqlSafe(FILL.replace("$ROWS", rows))).await.unwrap();
        }
        if words.contains("analyze") {
            for table in ["facts", "withdrawn", "conversations", "messages", "receipts"] {
                tx.execute(AssertSqlSafe(format!("analyze {table}"))).await.unwrap();
            }
        }
        for Hot { at, sql } in &hot {
            let plan = plan(&mut tx, sql).await;
            for reason in judge(&plan, &leading) {
                wrong.push(format!("{state}: {at}: {reason}\n    {}", plan.join("\n    ")));
            }
        }
        tx.rollback().await.unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_plan_that_reads_a_whole_table_or_index_is_refused() {
    let lab = Lab::start().await;
    let mut connection = lab.pool().acquire().await.unwrap().detach();
    let model: String = sqlx::query_scalar("select schema from inbox.serving")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let leading = leading(&mut connection, &model).await;
    let mut tx = connection.begin().await.unwrap();
    tx.execute(AssertSqlSafe(format!("set local search_path = {model}"))).await.unwrap();
    tx.execute(AssertSqlSafe(FILL.replace("$ROWS", "1"))).await.unwrap();
    tx.execute("analyze facts; set local plan_cache_mode = force_generic_plan").await.unwrap();
    let sql = "select f.body from facts f where f.event_id = any($1::text[])";
    let found = plan(&mut tx, sql).await;
    assert_eq!(judge(&found, &leading).len(), 1, "{found:?}");
    tx.execute("set local enable_seqscan = off").await.unwrap();
    let sql = "select f.body from facts f where f.slot = $1::text";
    let found = plan(&mut tx, sql).await;
    assert_eq!(judge(&found, &leading).len(), 1, "{found:?}");
}
