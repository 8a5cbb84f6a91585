//! One person of two in the same bodies.

use serde_json::{Value, json};
use simulator::{AccountSpec, PersonSpec};
use tests::body::{IG, body, entry, now, senderless, text};
use tests::client::holds;
use tests::lab::files_with;
use tests::{Lab, LabOptions, Role, eventually};

use super::{WITHIN, of_others};

const ANN: &str = "5200000000000011";
const BOB: &str = "5200000000000022";
/// Words of Ann's, and of replies to her.
const CANARIES: [&str; 7] = [
    "canary-first",
    "canary-one",
    "canary-edited",
    "canary-regretted",
    "canary-reply",
    "canary-parked",
    "canary-waiting",
];
const ERASE: [&str; 9] =
    ["erase", "--account", IG, "--contact", ANN, "--reason", "asked for it", "--output", "json"];

fn edit(person: &str, mid: &str, at: i64, number: u32, words: &str) -> Value {
    json!({"sender": {"id": person}, "recipient": {"id": IG}, "timestamp": at,
           "message_edit": {"mid": mid, "text": words, "num_edit": number}})
}

fn reaction(person: &str, mid: &str, at: i64) -> Value {
    json!({"sender": {"id": person}, "recipient": {"id": IG}, "timestamp": at,
           "reaction": {"mid": mid, "action": "react", "reaction": "love", "emoji": "❤"}})
}

/// The bodies of a talk: Ann's and Bob's items beside each other.
fn bodies(at: i64) -> Vec<Vec<u8>> {
    let of = |items: &[Value]| body("instagram", &[entry(IG, at, items)]);
    vec![
        of(&[
            text(IG, ANN, "mid.a1", at, "canary-one"),
            text(IG, BOB, "mid.b1", at + 1, "bob one"),
            edit(ANN, "mid.a1", at + 2, 1, "canary-edited"),
        ]),
        of(&[reaction(ANN, "mid.a1", at + 3), edit(BOB, "mid.b1", at + 4, 1, "bob edited")]),
        // In two entries, and Ann's alone.
        body(
            "instagram",
            &[
                entry(IG, at, &[text(IG, BOB, "mid.b2", at + 5, "bob two")]),
                entry(IG, at, &[text(IG, ANN, "mid.a2", at + 6, "canary-regretted")]),
            ],
        ),
        of(&[text(IG, ANN, "mid.a3", at + 7, "canary-one again")]),
        // An edit of a message that nobody knows waits.
        of(&[
            edit(ANN, "mid.unknown", at + 8, 1, "canary-waiting"),
            senderless("mid.of.nobody", at),
        ]),
    ]
}

async fn deliver(lab: &Lab, bodies: &[Vec<u8>]) {
    for body in bodies {
        assert_eq!(lab.meta().post("/webhooks/instagram", body).await, 200);
    }
    lab.settled().await;
}

/// A reply to Ann that was sent, and one that waits in the queue. Returns the id of that.
async fn reply(lab: &Lab) -> String {
    let path = |api: &Value| format!("/v1/conversations/{}/messages", api["id"].as_str().unwrap());
    let all = lab.api().conversations().await;
    let ann = all.iter().find(|one| one["contact"]["id"] == ANN).expect("Ann's conversation");
    let (status, sent) =
        lab.api().post_once(&path(ann), "key-sent", json!({"text": "canary-reply"})).await;
    assert_eq!(status, 202, "{sent}");
    let id = sent["reply_id"].as_str().unwrap();
    tests::crowd::reaches(lab, id, &["sent"], WITHIN).await;
    lab.hookline_ok(&["send", "freeze", "--reason", "a test"]).await;
    let (status, queued) =
        lab.api().post_once(&path(ann), "key-queued", json!({"text": "canary-reply queued"})).await;
    assert_eq!(status, 202, "{queued}");
    eventually("both are in the ledger", WITHIN, async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from worker.commands")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        holds(rows == 2, || format!("{rows} commands"))
    })
    .await;
    lab.settled().await;
    queued["reply_id"].as_str().unwrap().to_owned()
}

/// Whoever asked for the reply that was queued is answered, without a word of it.
async fn the_queued_reply_has_failed(lab: &Lab, id: &str) {
    eventually("its outcome is published", WITHIN, async || {
        let unpublished: i64 =
            sqlx::query_scalar("select count(*) from worker.commands where not outcome_published")
                .fetch_one(lab.pool())
                .await
                .map_err(|error| error.to_string())?;
        holds(unpublished == 0, || format!("{unpublished} outcomes to publish"))
    })
    .await;
    let events = lab.events().await;
    let outcomes: Vec<&Value> =
        events.iter().filter(|event| event["data"]["reply_id"] == id).collect();
    let last = outcomes.last().expect("an outcome");
    assert_eq!(last["type"], "hookline.reply.failed.v1", "{last}");
    assert_eq!(last["data"]["error"]["code"], "erased", "{last}");
}

/// A message of Ann's that cannot be recorded is parked, with its bytes; Bob's item stands in the same body.
async fn park(lab: &Lab, at: i64) -> Vec<u8> {
    lab.poison("new.message_id = 'mid.parked'").await;
    let items = [
        text(IG, ANN, "mid.parked", at + 20, "canary-parked"),
        text(IG, BOB, "mid.b3", at + 21, "bob three"),
    ];
    let poison = body("instagram", &[entry(IG, at, &items)]);
    assert_eq!(lab.meta().post("/webhooks/instagram", &poison).await, 200);
    eventually("it is parked", WITHIN, async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from worker.parked")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        holds(rows == 1, || format!("{rows} rows"))
    })
    .await;
    lab.settled().await;
    // As after twenty tries: nothing is tried again by itself.
    sqlx::raw_sql("update worker.parked set attempts = 20, retry_at = null")
        .execute(lab.pool())
        .await
        .unwrap();
    lab.mend().await;
    poison
}

/// Erases Ann; the process is killed at each of some places on its way, and the same words go on.
async fn erase_with_deaths(lab: &Lab) {
    for death in [
        "erase.after_rule",
        "erase.after_withdrawals",
        "erase.after_events",
        "erase.before_store",
        "erase.after_store",
        "erase.after_raw",
        "erase.after_step",
    ] {
        let at = format!("{death}=kill");
        let (code, out, err) = lab.hookline_with(&ERASE, &[(runtime::failpoint::ENV, &at)]).await;
        assert_eq!(code, -1, "{death}: {out}{err}");
    }
    let said = lab.hookline_ok(&ERASE).await;
    let said: Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(said["read_model_followed"], true, "{said}");
}

async fn nothing_is_there(lab: &Lab, when: &str) {
    let found = lab.places_of(&CANARIES).await;
    assert!(found.is_empty(), "{when}: {}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_gone_everywhere_and_does_not_return() {
    let mut lab = Lab::start_with(LabOptions { empty: false, ..LabOptions::OWN }).await;
    lab.run_apart().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &[]).await;
    let ann = account.add_person(PersonSpec::named("Ann Berg").id(ANN)).unwrap();
    ann.says("canary-first").accepted().await.unwrap();
    let at = now() - 60_000;
    let mut all = bodies(at);
    deliver(&lab, &all).await;
    let queued = reply(&lab).await;
    all.push(park(&lab, at).await);
    let before = lab.places_of(&CANARIES).await;
    for canary in CANARIES {
        assert!(before.iter().any(|place| place.contains(canary)), "{canary} is to be erased");
    }
    // The worker is not there: the verb alone does it.
    let plan = lab
        .hookline_ok(&["erase", "--account", IG, "--contact", ANN, "--dry-run", "--output", "json"])
        .await;
    let plan: Value = serde_json::from_str(plan.trim()).unwrap();
    assert!(plan["plan"]["events"].as_u64().unwrap() >= 5, "{plan}");
    assert_eq!(lab.hookline(&ERASE[..5]).await.0, 2, "without a reason");
    let others = of_others(&lab, ANN).await;
    let yesterday = lab.snapshot_of_postgres("yesterday");
    lab.kill9(Role::Worker).await;
    erase_with_deaths(&lab).await;
    nothing_is_there(&lab, "after the erasure").await;
    let files = files_with(&lab.data_folder().join("nats"), &CANARIES);
    assert!(files.is_empty(), "bytes of the broker: {files:?}");
    assert_eq!(of_others(&lab, ANN).await, others, "others are as before");

    lab.run(Role::Worker).await;
    lab.all_ready().await;
    the_queued_reply_has_failed(&lab, &queued).await;
    returns(&lab, &all, &others).await;
    comes_again(&lab).await;
    yesterday_is_put_back(&mut lab, &yesterday).await;
    from_the_streams(&mut lab, &account.token(), &all).await;
}

/// A Postgres of before the erasure: the worker finds the withdrawals in the stream, and erases again what it holds.
async fn yesterday_is_put_back(lab: &mut Lab, yesterday: &std::path::Path) {
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.kill9(role).await;
    }
    lab.put_postgres_back(yesterday).await;
    assert!(!lab.places_of(&CANARIES).await.is_empty(), "it does not know of the erasure");
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.run(role).await;
    }
    lab.all_ready().await;
    eventually("it is erased again", WITHIN, async || {
        let found = lab.places_of(&CANARIES).await;
        holds(found.is_empty(), || found.join("\n"))
    })
    .await;
}

/// Postgres is lost: the rules are in the streams.
async fn from_the_streams(lab: &mut Lab, token: &str, bodies: &[Vec<u8>]) {
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.kill9(role).await;
    }
    crate::recover::empty(lab).await;
    lab.hookline_ok(&["recover", "--reason", "a test"]).await;
    nothing_is_there(lab, "recover").await;
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.run(role).await;
    }
    lab.all_ready().await;
    lab.add_account("instagram", "instagram", IG, token, &[]).await;
    let mut again: Vec<Vec<u8>> = bodies.to_vec();
    again.iter_mut().for_each(|body| body.extend(b"  "));
    deliver(lab, &again).await;
    eventually("what came again is redacted", WITHIN, async || {
        let found = lab.places_of(&CANARIES).await;
        holds(found.is_empty(), || found.join("\n"))
    })
    .await;
}

/// Redelivery, replay, rebuild: nothing returns, and others stay as they are.
async fn returns(
    lab: &Lab,
    bodies: &[Vec<u8>],
    others: &(Vec<String>, std::collections::BTreeSet<String>),
) {
    lab.settled().await;
    nothing_is_there(lab, "a worker runs again").await;
    let mut again: Vec<Vec<u8>> = bodies.to_vec();
    // In other bytes: the broker knows the first ones by their digest.
    again.iter_mut().for_each(|body| body.push(b' '));
    deliver(lab, &again).await;
    eventually("what came again is redacted", WITHIN, async || {
        let found = lab.places_of(&CANARIES).await;
        holds(found.is_empty(), || found.join("\n"))
    })
    .await;
    for arguments in [
        vec!["replay", "--yes", "--all", "--output", "json"],
        vec!["rebuild", "--swap", "--reason", "a test"],
        vec!["verify"],
    ] {
        lab.hookline_ok(&arguments).await;
        lab.settled().await;
        nothing_is_there(lab, arguments[0]).await;
    }
    assert_eq!(&of_others(lab, ANN).await.1, &others.1, "rows of others");
}

/// She writes again: a conversation like any other.
async fn comes_again(lab: &Lab) {
    let at = now() + 1_000;
    let item = text(IG, ANN, "mid.new", at, "it is me again");
    deliver(lab, &[body("instagram", &[entry(IG, at, &[item])])]).await;
    let texts: Vec<String> = sqlx::query_scalar(
        "select text from inbox.messages where contact_id = $1 order by sent_at",
    )
    .bind(ANN)
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert_eq!(texts, ["it is me again"]);
    let kinds: Vec<String> = sqlx::query_scalar(
        "select kind from worker.facts where contact_id = $1 and kind <> 'fact.withdrawn' order by kind",
    )
    .bind(ANN)
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert!(kinds.iter().any(|kind| kind == "contact.discovered"), "{kinds:?}");
    // Graph still has what she wrote before: it is not imported.
    let all = lab.api().conversations().await;
    let hers = all.iter().find(|one| one["contact"]["id"] == ANN).expect("her new conversation");
    let path = format!("/v1/conversations/{}/messages?sync=true", hers["id"].as_str().unwrap());
    let (status, imported) = lab.api().get(&path).await;
    assert_eq!(status, 200, "{imported}");
    lab.settled().await;
    nothing_is_there(lab, "an import").await;
}
