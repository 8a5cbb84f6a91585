//! Each service runs with a Postgres role and a NATS user of its own, which can do what it needs and nothing else.

use std::time::Duration;

use serde_json::{Value, json};
use servers::NatsServer;
use simulator::Person;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::crowd::{connect_both, reaches, writes};
use tests::{Lab, LabOptions, Role, eventually};

const WITHIN: Duration = Duration::from_secs(60);

/// The lab's database as `role`.
fn url_of(lab: &Lab, role: &str) -> String {
    let mut url = url::Url::parse(&lab.settings["DATABASE_URL"]).unwrap();
    url.set_username(role).unwrap();
    url.set_password(Some("apart")).unwrap();
    url.into()
}

async fn plan(lab: &Lab) -> Vec<Value> {
    let plan = lab.hookline_ok(&["db", "plan", "--output", "json"]).await;
    let plan: Value = serde_json::from_str(&plan).unwrap();
    plan["changes"].as_array().unwrap().clone()
}

/// Postgres refuses the statement for want of a right.
async fn refused(url: &str, statement: &str) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let error = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.unwrap_err();
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    assert_eq!(code, "42501", "{statement}: {error}");
}

async fn start(lab: &mut Lab, nats: &NatsServer) {
    let at = nats.url().replace("nats://", "");
    let superuser = lab.settings["DATABASE_URL"].clone();
    for role in [Role::Worker, Role::Projector, Role::Ingest, Role::Api] {
        lab.set("NATS_URL", &format!("nats://{0}:{0}@{at}", role.name()));
        let url = url_of(lab, &format!("hookline_{}", role.name()));
        lab.set("DATABASE_URL", &url);
        lab.run(role).await;
        lab.set("DATABASE_URL", &superuser);
    }
    lab.all_ready().await;
}

/// What operators do, they do with their role.
async fn a_normal_day(lab: &mut Lab, nats: &NatsServer) -> (Person, String) {
    let operator = url_of(lab, "hookline_operator");
    lab.set("DATABASE_URL", &operator);
    let at = nats.url().replace("nats://", "");
    lab.set("NATS_URL", &format!("nats://operator:operator@{at}"));
    let (instagram, page) = connect_both(lab).await;
    let (ann, conversation) = writes(lab, &instagram, "Ann Berg").await;
    let (bob, _) = writes(lab, &page, "Bob Moss").await;
    let path = format!("/v1/conversations/{conversation}/messages");
    let (status, reply) = lab.api().post_once(&path, "k1", json!({"text": "hello"})).await;
    assert_eq!(status, 202, "{reply}");
    reaches(lab, reply["reply_id"].as_str().unwrap(), &["sent"], WITHIN).await;
    eventually("her name is found", WITHIN, async || {
        let (status, found) = lab.api().get("/v1/conversations?q=Berg").await;
        tests::client::holds(status == 200 && found["total"] == 1, || format!("{status} {found}"))
    })
    .await;
    let (status, page) = lab.api().get(&format!("{path}?sync=true")).await;
    assert_eq!(status, 200, "{page}");
    bob.says("again");
    for verb in [
        &["accounts", "list"][..],
        &["status"],
        &["rebuild", "--swap", "--reason", "by the operator's role"],
        &["verify"],
        &["redrive", "list"],
        &["send", "freeze", "--reason", "trying"],
        &["send", "thaw", "--reason", "trying"],
        &["audit"],
    ] {
        lab.hookline_ok(verb).await;
    }
    lab.set("NATS_URL", &format!("nats://replay:replay@{at}"));
    lab.hookline_ok(&["replay", "--since", "1h", "--dry-run"]).await;
    lab.set("NATS_URL", &format!("nats://operator:operator@{at}"));
    (ann, path)
}

async fn each_is_refused_the_rest(lab: &Lab) {
    let of = |role: &str| url_of(lab, &format!("hookline_{role}"));
    refused(&of("api"), "select from worker.accounts").await;
    refused(&of("api"), "delete from inbox.messages").await;
    refused(&of("api"), "create schema mine").await;
    refused(&of("projector"), "select from worker.facts").await;
    refused(&of("projector"), "select from api.requests").await;
    refused(&of("worker"), "select from inbox.messages").await;
    refused(&of("worker"), "select from ops.audit").await;
}

/// And taken away.
async fn a_right_too_many_is_found(lab: &Lab) {
    sqlx::raw_sql("grant select on worker.secrets to hookline_api")
        .execute(lab.pool())
        .await
        .unwrap();
    let found = plan(lab).await;
    assert!(found.len() == 1 && found[0]["takes"] == true, "{found:?}");
    let (_, doctor, _) = lab.hookline(&["doctor", "--output", "json"]).await;
    assert!(doctor.contains("worker.secrets and does not need to"), "{doctor}");
    lab.hookline_ok(&["db", "apply"]).await;
    refused(&url_of(lab, "hookline_api"), "select from worker.secrets").await;
    let (_, doctor, _) = lab.hookline(&["doctor", "--output", "json"]).await;
    assert!(!doctor.contains("does not need to"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_has_the_rights_it_needs_and_no_others() {
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    let mut nats =
        tests::servers::nats_with_deployed_users(lab.data_folder().join("nats-with-users")).await;
    lab.set("NATS_MONITOR_URL", &nats.monitor_url());

    // An empty database, and all of it made by one verb.
    assert!(!plan(&lab).await.is_empty());
    lab.hookline_ok(&["db", "apply", "--reason", "a role for each service"]).await;
    assert_eq!(plan(&lab).await, Vec::<Value>::new());
    for role in ["worker", "projector", "api", "operator"] {
        let password = format!("alter role hookline_{role} password 'apart'");
        sqlx::raw_sql(AssertSqlSafe(password)).execute(lab.pool()).await.unwrap();
    }
    start(&mut lab, &nats).await;
    lab.point_meta_at_ingest();

    let superuser = lab.settings["DATABASE_URL"].clone();
    let (ann, path) = a_normal_day(&mut lab, &nats).await;

    // What the operator made belongs to the projector, which goes on with it; all start again as they are.
    lab.set("DATABASE_URL", &superuser);
    assert_eq!(plan(&lab).await, Vec::<Value>::new());
    for role in Role::ALL {
        lab.stop(role).await;
    }
    start(&mut lab, &nats).await;
    ann.says("one more");
    eventually("the new model is written", WITHIN, async || {
        let (_, page) = lab.api().get(&path).await;
        let newest = page["messages"][0]["text"].as_str().unwrap_or_default().to_owned();
        if newest == "one more" { Ok(()) } else { Err(page.to_string()) }
    })
    .await;

    each_is_refused_the_rest(&lab).await;
    // Not as one of the services: `doctor` would wait for each answer that they may not ask for.
    let at = nats.url().replace("nats://", "");
    lab.set("NATS_URL", &format!("nats://operator:operator@{at}"));
    a_right_too_many_is_found(&lab).await;
    for role in Role::ALL {
        lab.stop(role).await;
    }
    nats.stop().await.unwrap();
}
