//! Events that cannot be projected: the projector goes on without them, and INBOX_DEAD is told.

use std::time::Duration;

use runtime::config::{NatsConfig, Settings};
use runtime::streams::{self, StreamName};
use serde_json::{Value, json};
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
async fn what_cannot_be_projected_is_told_to_inbox_dead_and_holds_up_nothing() {
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
    assert!(!lab.log(Role::Projector).contains(SECRET));
}
