//! `POST /v1/ops/redrive/…`: a plan first, then a job of the role `ops`, which may die.

use std::time::Duration;

use serde_json::{Value, json};
use tests::body::{IG, instagram, now, text};
use tests::lab::API_TOKEN;
use tests::{Lab, Role, eventually};

use super::is_problem;

const WITHIN: Duration = Duration::from_secs(60);
const MESSAGES: &str = "inbox_v1.messages";

async fn count(lab: &Lab, table: &str) -> i64 {
    let sql = format!("select count(*) from {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(lab.pool()).await.unwrap()
}

async fn has(lab: &Lab, table: &str, rows: i64) {
    eventually(&format!("{rows} rows in {table}"), WITHIN, async || {
        let found = count(lab, table).await;
        tests::client::holds(found == rows, || found.to_string())
    })
    .await;
}

/// Four conversations that cannot be normalised, and an event that cannot be stored.
async fn parked() -> Lab {
    let mut lab = Lab::start().await;
    lab.set("API_TOKENS", &format!("tester={API_TOKEN}:admin"));
    // Jobs that nothing happens to wait as long as they really do.
    lab.set(runtime::waits::ENV, "lease=3s;claim=3s;upkeep=1h");
    // Nothing is tried again by itself.
    lab.set("RETRY_MIN", "1h");
    lab.set("RETRY_MAX", "1h");
    lab.run_apart().await;
    lab.run(Role::Ops).await;
    lab.ready(Role::Ops).await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.poison("new.message_id like 'mid.poison.%'").await;
    lab.poison_in(MESSAGES, "new.text = 'aside'").await;
    for (n, words) in ["poison.1", "poison.2", "poison.3", "poison.4", "aside"].iter().enumerate() {
        let item = text(IG, &format!("5200000000{n:05}"), &format!("mid.{words}"), now(), words);
        assert_eq!(lab.meta().post("/webhooks/instagram", &instagram(item)).await, 200);
    }
    has(&lab, "worker.parked", 4).await;
    has(&lab, "inbox.parked", 1).await;
    lab
}

async fn plan(lab: &Lab, act: &str, wanted: Value) -> (String, Value) {
    let (status, plan) = lab.api().post(&format!("/v1/ops/redrive/{act}?plan=true"), wanted).await;
    assert_eq!(status, 200, "{plan}");
    (plan["plan_id"].as_str().unwrap().to_owned(), plan["counts"].clone())
}

async fn act(lab: &Lab, act: &str, plan: &str) -> (u16, Value) {
    let body = json!({"plan_id": plan, "reason": "mended"});
    lab.api().post(&format!("/v1/ops/redrive/{act}"), body).await
}

async fn begun(lab: &Lab, verb: &str, plan: &str) -> String {
    let (status, job) = act(lab, verb, plan).await;
    assert_eq!(status, 202, "{job}");
    job["job_id"].as_str().unwrap().to_owned()
}

async fn reaches(lab: &Lab, job: &str, state: &str) -> Value {
    eventually(&format!("{job} is {state}"), WITHIN, async || {
        let (_, jobs) = lab.api().get("/v1/ops/jobs").await;
        let all = jobs["jobs"].as_array().unwrap();
        match all.iter().find(|one| one["id"] == job) {
            Some(found) if found["state"] == state => Ok(found.clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_work_is_tried_again_as_planned_by_a_role_that_may_die() {
    let mut lab = parked().await;
    is_problem(
        &lab.api().post("/v1/ops/redrive/run", json!({"reason": "x"})).await,
        422,
        "invalid",
    );
    is_problem(&act(&lab, "run", "plan-none").await, 404, "not_found");

    // The cause is still there: the first one fails again, the others are not tried.
    let (first, counts) = plan(&lab, "run", json!({})).await;
    assert_eq!(counts, json!({"lanes": 4, "events": 1}));
    is_problem(&act(&lab, "discard", &first).await, 404, "not_found");
    let job = begun(&lab, "run", &first).await;
    let failed = reaches(&lab, &job, "failed").await;
    assert_eq!(
        (&failed["result"]["failed_again"], &failed["result"]["not_tried"]),
        (&json!(1), &json!(3)),
        "{failed}"
    );
    assert_eq!((&failed["started_by"], &failed["reason"]), (&json!("tester"), &json!("mended")));
    assert_eq!(begun(&lab, "run", &first).await, job, "a plan has one job");

    // What is old or about something else is not done.
    lab.mend().await;
    lab.mend_in(MESSAGES).await;
    let (old, _) = plan(&lab, "run", json!({})).await;
    let age = "update ops.plans set made_at = made_at - interval '16 minutes' where id = $1";
    sqlx::query(age).bind(&old).execute(lab.pool()).await.unwrap();
    is_problem(&act(&lab, "run", &old).await, 409, "plan_stale");
    let (other, _) = plan(&lab, "run", json!({})).await;
    let id: i64 = sqlx::query_scalar("select max(id) from worker.parked")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    is_problem(
        &lab.api().post("/v1/ops/redrive/discard?plan=true", json!({})).await,
        422,
        "invalid",
    );
    let (gone, counts) = plan(&lab, "discard", json!({"stage": "normalize", "ids": [id]})).await;
    assert_eq!(counts, json!({"lanes": 1, "events": 0}));
    let job = begun(&lab, "discard", &gone).await;
    assert_eq!(reaches(&lab, &job, "done").await["result"], json!({"discarded": 1}));
    is_problem(&act(&lab, "run", &other).await, 409, "plan_stale");
    assert_eq!((count(&lab, "worker.parked").await, count(&lab, "inbox.parked").await), (3, 1));

    // The process that would carry it out dies; the next one goes on.
    let (last, counts) = plan(&lab, "run", json!({})).await;
    assert_eq!(counts, json!({"lanes": 3, "events": 1}));
    let job = begun(&lab, "run", &last).await;
    lab.kill9(Role::Ops).await;
    lab.run(Role::Ops).await;
    lab.ready(Role::Ops).await;
    reaches(&lab, &job, "done").await;
    assert_eq!((count(&lab, "worker.parked").await, count(&lab, "inbox.parked").await), (0, 0));
    lab.settled().await;
    has(&lab, "inbox.messages where text = 'aside'", 1).await;
    has(&lab, "worker.facts where message_id like 'mid.poison.%'", 3).await;
    let (_, acts) = lab.api().get("/v1/ops/audit").await;
    let of_job: Vec<&Value> =
        acts["acts"].as_array().unwrap().iter().filter(|act| act["job"] == job.as_str()).collect();
    assert_eq!(of_job.len(), 2, "begun and ended: {of_job:?}");
    assert!(of_job.iter().all(|act| act["who"] == "tester" && act["reason"] == "mended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_the_role_is_paused_resumed_and_cancelled() {
    let mut lab = parked().await;
    // Without workers no lane goes: the job waits for them.
    lab.kill9(Role::Worker).await;
    let api = lab.api();
    let (id, _) = plan(&lab, "run", json!({"stage": "normalize"})).await;
    let job = begun(&lab, "run", &id).await;
    let wish = async |job: &str, wish: &str| {
        api.post(&format!("/v1/ops/jobs/{job}/{wish}"), json!({"reason": "load"})).await
    };
    eventually("the role works on it", WITHIN, async || {
        let (_, jobs) = api.get("/v1/ops/jobs").await;
        tests::client::holds(jobs["jobs"][0]["held"] == true, || jobs.to_string())
    })
    .await;
    is_problem(&wish("replay-none", "pause").await, 404, "not_found");
    assert_eq!(wish(&job, "pause").await.0, 200);
    reaches(&lab, &job, "paused").await;
    assert_eq!(wish(&job, "resume").await.0, 200);
    reaches(&lab, &job, "running").await;
    is_problem(&wish(&job, "resume").await, 409, "refused");
    assert_eq!(wish(&job, "cancel").await.0, 200);
    reaches(&lab, &job, "cancelled").await;
    is_problem(&wish(&job, "pause").await, 409, "refused");
    let (_, acts) = api.get("/v1/ops/audit").await;
    let verbs: Vec<&str> =
        acts["acts"].as_array().unwrap().iter().filter_map(|act| act["verb"].as_str()).collect();
    for verb in ["jobs pause", "jobs resume", "jobs cancel", "redrive run"] {
        assert!(verbs.contains(&verb), "{verb}: {verbs:?}");
    }
    // A job of a verb is not the role's.
    sqlx::raw_sql(
        "insert into ops.jobs (id, verb, fingerprint, arguments, started_by, state) values ('replay-1', 'replay', 'x', '{}', 'ann', 'paused')",
    )
    .execute(lab.pool())
    .await
    .unwrap();
    is_problem(&wish("replay-1", "resume").await, 409, "refused");
}
