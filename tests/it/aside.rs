//! What hinders the projector: events that cannot be projected are set aside and published to INBOX_DEAD, everything else is waited out.

mod kept;
mod never;

use std::time::Duration;

use projector::redrive::Again;
use projector::{NAME, SchemaName, Store, StoreError, read};
use runtime::config::{NatsConfig, Settings};
use runtime::lease::Position;
use runtime::streams::{self, StreamName};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::lab::signal;
use tests::{Lab, Role, eventually};

const ACCOUNT: &str = "17841400000000101";
const SECRET: &str = "whisper";

fn received(id: &str, mid: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "type": "hookline.message.received.v1", "source": format!("/instagram/{ACCOUNT}"),
        "time": "2026-11-21T10:00:00.000Z",
        "data": {"channel": "instagram", "account_id": ACCOUNT, "contact_id": "5200000000000011", "message_id": mid,
                 "text": SECRET, "origin": {"via": "webhook", "revision": 0}},
    })
}

async fn messages(lab: &Lab) -> Result<i64, String> {
    sqlx::query_scalar("select count(*) from inbox.messages")
        .fetch_one(lab.pool())
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_projected_is_published_to_inbox_dead_and_holds_up_nothing() {
    let mut lab = Lab::start().await;
    let js = lab.jetstream().await;
    let config = NatsConfig::from_settings(&Settings::from_pairs(lab.settings.clone())).unwrap();
    streams::ensure(&js, StreamName::Events, &config).await.unwrap();
    // The stream of dead letters is full for now.
    let dead = streams::desired(StreamName::Dead, &config);
    let full = async_nats::jetstream::stream::Config { max_messages: 1, ..dead.clone() };
    js.create_stream(full).await.unwrap();
    lab.run(Role::Projector).await;

    // Too long for any index, and nothing that compresses.
    let long: String =
        (0..400_u64).map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let mut unknown = received("evt_unknown", "mid.unknown");
    unknown["type"] = json!("hookline.message.sung.v1");
    let mut wrong = received("evt_wrong", "mid.wrong");
    wrong["data"]["message_id"] = json!({SECRET: SECRET});
    let bodies = [
        received("evt_1", "mid.1").to_string(),
        SECRET.to_owned(),
        unknown.to_string(),
        received("evt_2", "mid.2").to_string(),
        received("evt_long", &long).to_string(),
        wrong.to_string(),
        received("evt_3", "mid.3").to_string(),
    ];
    let subject = format!("inbox.v1.event.07.instagram.{ACCOUNT}.message-received");
    for body in bodies {
        js.publish(subject.clone(), body.into()).await.unwrap().await.unwrap();
    }
    eventually("the others are projected", Duration::from_secs(20), async || {
        match messages(&lab).await? {
            3 => Ok(()),
            rows => Err(format!("{rows} rows")),
        }
    })
    .await;
    let parked: Vec<(i64, String)> =
        sqlx::query_as("select seq, cause from inbox.parked order by seq")
            .fetch_all(lab.pool())
            .await
            .unwrap();
    let causes: Vec<(i64, &str)> =
        parked.iter().map(|(seq, cause)| (*seq, cause.as_str())).collect();
    assert_eq!(
        causes,
        [(2, "not_an_event"), (3, "not_an_event"), (5, "not_storable"), (6, "not_an_event")]
    );

    assert!(lab.last_sequence("INBOX_DEAD").await <= 1, "the stream was to be full");
    js.update_stream(&dead).await.unwrap();
    eventually("every copy is published", Duration::from_secs(20), async || {
        match lab.last_sequence("INBOX_DEAD").await {
            4 => Ok(()),
            last => Err(format!("{last} copies")),
        }
    })
    .await;
    // Whoever comes next has nothing to add.
    lab.kill9(Role::Projector).await;
    lab.run(Role::Projector).await;
    js.publish(subject, received("evt_4", "mid.4").to_string().into())
        .await
        .unwrap()
        .await
        .unwrap();
    eventually("it goes on", Duration::from_secs(30), async || match messages(&lab).await? {
        4 => Ok(()),
        rows => Err(format!("{rows} rows")),
    })
    .await;
    copies_name(&lab, &causes).await;
    assert!(!lab.log(Role::Projector).contains(SECRET));
}

/// The copies in INBOX_DEAD: one of each event, with its cause and without its content.
async fn copies_name(lab: &Lab, causes: &[(i64, &str)]) {
    let copies = lab.messages("INBOX_DEAD").await;
    assert_eq!(copies.len(), 4);
    for (copy, (seq, cause)) in copies.iter().zip(causes) {
        assert_eq!(copy.subject.as_str(), format!("inbox.v1.dead.projector.instagram.{ACCOUNT}"));
        let id = copy.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
        assert_eq!(id.map(|id| id.as_str()), Some(format!("parked/projector/{seq}").as_str()));
        let body: Value = serde_json::from_slice(&copy.payload).unwrap();
        assert_eq!(
            (&body["parked"]["seq"], &body["parked"]["cause"]),
            (&json!(seq), &json!(cause))
        );
        assert!(!body.to_string().contains(SECRET), "{body}");
    }
}

/// A lab with a stream of events and a projector.
async fn projecting() -> Lab {
    let mut lab = Lab::start().await;
    lab.run(Role::Projector).await;
    lab.ready(Role::Projector).await;
    lab
}

async fn publish(lab: &Lab, n: u32) {
    let subject = format!("inbox.v1.event.07.instagram.{ACCOUNT}.message-received");
    let body = received(&format!("evt_{n}"), &format!("mid.{n}")).to_string();
    lab.jetstream().await.publish(subject, body.into()).await.unwrap().await.unwrap();
}

async fn shows(lab: &Lab, expected: i64) {
    eventually("the messages are projected", Duration::from_secs(30), async || {
        match messages(lab).await? {
            rows if rows == expected => Ok(()),
            rows => Err(format!("{rows} rows")),
        }
    })
    .await;
}

async fn sql(lab: &Lab, statements: &'static str) {
    sqlx::raw_sql(statements).execute(lab.pool()).await.unwrap();
}

async fn says(lab: &Lab, n: u32, reason: &str) {
    let url = format!("{}/readyz", lab.admin_url(Role::Projector, n));
    let http = lab.meta().http;
    eventually(&format!("projector {n} says `{reason}`"), Duration::from_secs(20), async || {
        let answer = http.get(&url).send().await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if text.contains(reason) { Ok(()) } else { Err(text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_takes_the_database_too_long_is_not_given_up() {
    let lab = projecting().await;
    // A statement cut off by its time limit, for as long as the database is busy.
    sql(
        &lab,
        "create function public.busy() returns trigger language plpgsql as $$
           begin raise exception 'canceling statement due to statement timeout' using errcode = '57014'; end $$;
         create trigger busy before insert on inbox_v1.facts for each row execute function public.busy();",
    )
    .await;
    publish(&lab, 1).await;
    publish(&lab, 2).await;
    says(&lab, 0, "storing one event").await;
    sql(&lab, "drop trigger busy on inbox_v1.facts").await;
    shows(&lab, 2).await;
    let parked: i64 = sqlx::query_scalar("select count(*) from inbox.parked")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(parked, 0);
    lab.ready(Role::Projector).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_whose_lease_went_to_another_is_ready_again() {
    let mut lab = projecting().await;
    lab.run_nth(Role::Projector, 1).await;
    lab.ready_nth(Role::Projector, 1).await;
    publish(&lab, 1).await;
    shows(&lab, 1).await;
    // The one at work meets trouble, and is frozen until the other one has taken over.
    sql(&lab, "alter table inbox_v1.facts rename to facts_away").await;
    publish(&lab, 2).await;
    says(&lab, 0, "storing events").await;
    signal(lab.pid(Role::Projector, 0), Signal::STOP);
    says(&lab, 1, "storing events").await;
    sql(&lab, "alter table inbox_v1.facts_away rename to facts").await;
    shows(&lab, 2).await;
    signal(lab.pid(Role::Projector, 0), Signal::CONT);
    lab.ready_nth(Role::Projector, 1).await;
    lab.ready_nth(Role::Projector, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_serves_no_more_is_not_written() {
    let mut lab = projecting().await;
    publish(&lab, 1).await;
    shows(&lab, 1).await;
    lab.stop(Role::Projector).await;
    // A projector in the moment after a swap, before it has heard of it.
    let store = Store::new(lab.pool().clone(), &SchemaName::first(), "late".to_owned());
    let lease = store.leases().acquire(NAME).await.unwrap().expect("nobody holds it");
    let from = store.leases().position(NAME).await.unwrap();
    sql(&lab, "update inbox.serving set schema = 'inbox_v2'").await;
    let one = || {
        let event = received("evt_2", "mid.2").to_string();
        read(2, "inbox.v1.event.07.instagram.17841400000000101.message-received", event.as_bytes())
    };
    let to = Position { seq: 2, ..from };
    let applied = store.apply(&lease, from, to, vec![one()]).await;
    assert!(matches!(applied, Err(StoreError::Moved)), "{applied:?}");
    sql(
        &lab,
        "insert into inbox_v1.parked (seq, event_id, kind, cause, detail) values (2, 'evt_2', 'message.received', 'fold_failed', '')",
    )
    .await;
    let again = store.fold_again(NAME, one()).await;
    assert!(matches!(again, Err(StoreError::Moved)), "{again:?}");
    assert_eq!((messages(&lab).await, store.leases().position(NAME).await.unwrap()), (Ok(1), from));
    // Serving again, it takes both.
    sql(&lab, "update inbox.serving set schema = 'inbox_v1'").await;
    assert_eq!(store.fold_again(NAME, one()).await.unwrap(), Again::Folded);
    assert_eq!(messages(&lab).await, Ok(2));
    let third = received("evt_3", "mid.3").to_string();
    let subject = "inbox.v1.event.07.instagram.17841400000000101.message-received";
    let batch = vec![one(), read(3, subject, third.as_bytes())];
    store.apply(&lease, from, Position { seq: 3, ..from }, batch).await.unwrap();
    assert_eq!(messages(&lab).await, Ok(3));
}

async fn aside(lab: &Lab) -> i64 {
    sqlx::query_scalar("select count(*) from inbox.parked").fetch_one(lab.pool()).await.unwrap()
}

/// `hookline redrive run` with these words: its exit code, and what came of the projector's events.
async fn redrive(lab: &Lab, words: &[&str]) -> (i32, Value) {
    let words = [&["redrive", "run", "--output", "json"], words].concat();
    let (code, out, err) = lab.hookline(&words).await;
    let result: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    (code, result["projector"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_aside_is_folded_again_once_its_cause_is_gone() {
    let lab = projecting().await;
    // Not an event, and never will be.
    let subject = format!("inbox.v1.event.07.instagram.{ACCOUNT}.message-received");
    lab.poison_in("inbox_v1.messages", "new.message_id <> 'mid.1'").await;
    for n in 1..=14 {
        publish(&lab, n).await;
    }
    lab.jetstream().await.publish(subject, SECRET.into()).await.unwrap().await.unwrap();
    eventually("they are set aside", Duration::from_secs(20), async || match aside(&lab).await {
        14 => Ok(()),
        rows => Err(format!("{rows} rows")),
    })
    .await;
    shows(&lab, 1).await;

    // Too early: the first one fails, the others are not tried.
    let (code, projector) = redrive(&lab, &[]).await;
    assert_eq!(
        (code, projector),
        (1, json!({"result": "failed_again", "events": 14, "failed_again": 1, "not_tried": 13}))
    );
    assert_eq!((aside(&lab).await, messages(&lab).await.unwrap()), (14, 1));

    lab.mend_in("inbox_v1.messages").await;
    let (code, out, _) =
        lab.hookline(&["redrive", "run", "--dry-run", "--cause", "not_storable"]).await;
    assert!(code == 0 && out.contains("0 lanes and 13 events"), "{out}");
    assert_eq!(aside(&lab).await, 14, "nothing was tried");
    let (code, projector) = redrive(&lab, &["--stage", "projector", "--reason", "mended"]).await;
    assert_eq!(
        (code, projector),
        (1, json!({"result": "failed_again", "events": 14, "failed_again": 1, "not_tried": 0}))
    );
    assert_eq!(messages(&lab).await, Ok(14));
    let left: Vec<String> =
        sqlx::query_scalar("select cause from inbox.parked").fetch_all(lab.pool()).await.unwrap();
    assert_eq!(left, ["not_an_event"]);
    let (code, out, err) = lab.hookline(&["verify", "--output", "json"]).await;
    assert_eq!(code, 0, "{out}{err}");
    // Operators read the figure of the list, not of what was ever put on it.
    eventually("the metric follows", Duration::from_secs(20), async || {
        let text = lab.metrics(Role::Projector).await;
        if text.contains("hookline_projector_parked 1\n") { Ok(()) } else { Err(text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_fold_failed_is_folded_from_what_the_log_says() {
    let lab = projecting().await;
    publish(&lab, 1).await;
    publish(&lab, 2).await;
    shows(&lab, 2).await;
    // As a fold that failed leaves it: the fact is kept, as an older version split it, and the row shows what it showed before.
    sql(
        &lab,
        "update inbox_v1.facts set body = jsonb_set(body, '{fact,text}', '\"before\"') where event_id = 'evt_1';
         update inbox_v1.messages set text = 'before' where message_id = 'mid.1';
         create table public.before as select * from inbox_v1.messages where message_id = 'mid.2';
         insert into inbox_v1.parked (seq, event_id, kind, cause, detail) values (1, 'evt_1', 'message.received', 'fold_failed', '')",
    )
    .await;
    let (code, projector) = redrive(&lab, &["--cause", "fold_failed"]).await;
    assert_eq!(
        (code, &projector["result"], &projector["events"]),
        (0, &json!("released"), &json!(1))
    );
    let text: String =
        sqlx::query_scalar("select text from inbox.messages where message_id = 'mid.1'")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(text, SECRET);

    // The same of a withdrawal: it is known, its event has no content any more, and the row still shows it.
    let mut withdrawn = received("evt_withdrawal", "");
    withdrawn["type"] = json!("hookline.fact.withdrawn.v1");
    withdrawn["data"] = json!({
        "channel": "instagram", "account_id": ACCOUNT, "event_id": "evt_2", "reason": "vanished",
        "origin": {"via": "webhook", "revision": 0},
    });
    let subject = format!("inbox.v1.event.07.instagram.{ACCOUNT}.fact-withdrawn");
    let js = lab.jetstream().await;
    js.publish(subject, withdrawn.to_string().into()).await.unwrap().await.unwrap();
    shows(&lab, 1).await;
    sql(
        &lab,
        "insert into inbox_v1.messages select * from public.before;
         insert into inbox_v1.parked (seq, event_id, kind, cause, detail)
           values (3, 'evt_2', 'fact.withdrawn', 'fold_failed', '')",
    )
    .await;
    let (code, projector) = redrive(&lab, &[]).await;
    assert_eq!((code, &projector["result"]), (0, &json!("released")));
    assert_eq!((messages(&lab).await, aside(&lab).await), (Ok(1), 0));
    let (code, out, err) = lab.hookline(&["verify", "--output", "json"]).await;
    assert_eq!(code, 0, "{out}{err}");

    // What the log does not hold any more is reported, and stays on the list until it is given up.
    sql(
        &lab,
        "insert into inbox_v1.parked (seq, event_id, kind, cause, detail) values (99, 'evt_99', 'message.received', 'fold_failed', '')",
    )
    .await;
    assert_eq!(redrive(&lab, &[]).await.0, 1);
    let cause: String = sqlx::query_scalar("select cause from inbox.parked where seq = 99")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(cause, "event_gone");

    // Other events have these positions in a stream that was made anew.
    js.delete_stream("INBOX_EVENTS").await.unwrap();
    let config = NatsConfig::from_settings(&Settings::from_pairs(lab.settings.clone())).unwrap();
    streams::ensure(&js, StreamName::Events, &config).await.unwrap();
    let (code, _, err) = lab.hookline(&["redrive", "run"]).await;
    assert!(code == 3 && err.contains("made anew"), "{code} {err}");
    assert_eq!(aside(&lab).await, 1);
}
