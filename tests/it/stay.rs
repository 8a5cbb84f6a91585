//! Accounts stay connected by themselves, and go when somebody takes the app away.

mod callbacks;
mod fields;
mod forgetting;
mod keys;
mod leaving;
mod rotation;
mod tokens;
mod year;

use serde_json::Value;
use tests::{Lab, Role};

/// A verb with `--output json`: its exit code and what it printed.
async fn verb(lab: &Lab, arguments: &[&str]) -> (i32, Value) {
    let arguments = [arguments, &["--output", "json"]].concat();
    let (code, out, err) = lab.hookline(&arguments).await;
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?}: {out}{err}")))
}

/// The state of an account, as `accounts list` shows it.
async fn state(lab: &Lab, id: &str) -> String {
    let (_, accounts) = verb(lab, &["accounts", "list"]).await;
    let found = accounts.as_array().unwrap().iter().find(|one| one["id"] == id);
    found.unwrap()["state"].as_str().unwrap().to_owned()
}

/// Starts a worker that looks after accounts all the time.
async fn busy_worker(lab: &mut Lab) {
    lab.set(runtime::waits::ENV, &format!("{};upkeep=200ms", tests::lab::WAITS));
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
}

/// Changes what is known of all tokens, and makes them due.
async fn set_upkeep(lab: &Lab, columns: &str) {
    let sql = format!("update worker.account_upkeep set {columns}, due_at = now()");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(lab.pool()).await.unwrap();
}
