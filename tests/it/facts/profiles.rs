//! Whose profile is read, and when again.

use std::time::Duration;

use serde_json::json;
use tests::body::{IG, PAGE, body, change, echo, entry, instagram, now, text};
use tests::eventually;

use super::graph::FakeGraph;
use super::{ANN, BOB, done, lab, post, published};

fn profile(name: &str, signed: u32) -> serde_json::Value {
    json!({"name": name, "username": "ann", "profile_pic": format!("https://cdn.example/p.jpg?oe={signed}"), "id": ANN})
}

#[tokio::test(flavor = "multi_thread")]
async fn only_acts_of_a_person_in_a_messaging_context_have_the_profile_read() {
    let graph = FakeGraph::start().await;
    let lab = lab(&graph, &[]).await;
    lab.add_account("messenger", "facebook", PAGE, "t", &[]).await;
    let at = now();
    let person = |n: u32| format!("73000000000001{n:02}");
    let item = |n: u32, key: &str, payload: serde_json::Value| json!({"sender": {"id": person(n)}, "recipient": {"id": PAGE}, "timestamp": at, key: payload});
    let acts = [
        item(1, "message", json!({"mid": "m_1", "text": "hi"})),
        item(2, "postback", json!({"mid": "m_2", "title": "Start"})),
        item(3, "referral", json!({"ref": "r", "source": "SHORTLINK", "type": "OPEN_THREAD"})),
        item(4, "optin", json!({"type": "notification_messages", "title": "t"})),
        item(5, "read", json!({"watermark": at})),
        item(6, "reaction", json!({"mid": "m_0", "action": "react", "emoji": "👍"})),
        item(7, "order", json!({"products": []})),
        item(8, "message_edit", json!({"mid": "m_0", "text": "x", "num_edit": 1})),
        echo(PAGE, &person(9), "m_9", at, "we wrote"),
    ];
    post(&lab, &body("page", &[entry(PAGE, at, &acts)])).await;
    let comment = json!({"item": "comment", "verb": "add", "comment_id": "1_2", "post_id": "1", "from": {"id": person(10), "name": "n"}, "created_time": at / 1000});
    post(&lab, &body("page", &[change(PAGE, at, "feed", comment)])).await;
    published(&lab, "comment.created", 1).await;
    done(&lab).await;
    let asked = |n: u32| graph.asked(&format!("facebook/{}", person(n)));
    eventually("the four are asked about", Duration::from_secs(10), async || {
        let counts: Vec<_> = (1..=4).map(asked).collect();
        if counts == [1, 1, 1, 1] { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let counts: Vec<_> = (1..=10).map(asked).collect();
    assert_eq!(counts, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_read_again_after_a_day_and_its_picture_does_not_end() {
    let graph = FakeGraph::start().await;
    let lab = lab(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    let path = format!("instagram/{ANN}");
    graph.says(&path, profile("Ann Berg", 1));
    let mut n = 0;
    let mut writes = async |person: &str| {
        n += 1;
        post(&lab, &instagram(text(IG, person, &format!("mid.{n}"), now(), "hello"))).await;
        published(&lab, "message.received", n).await;
    };
    writes(ANN).await;
    let first = published(&lab, "contact.enriched", 1).await.remove(0);
    assert_eq!(
        (&first["data"]["name"], &first["data"]["placeholder"]),
        (&json!("Ann Berg"), &json!("IG User 0011"))
    );
    // The same day nobody asks again.
    graph.says(&path, profile("Ann Berg", 2));
    writes(ANN).await;
    writes(BOB).await;
    eventually("Bob was asked about", Duration::from_secs(10), async || {
        if graph.asked(&format!("instagram/{BOB}")) == 1 {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await;
    assert_eq!(graph.asked(&path), 1);
    // A day later: the same profile, and a link that is good for some days more.
    let later = "update worker.contacts set refresh_after = clock_timestamp() - interval '1 second' where contact_id = $1 and refresh_after > clock_timestamp() + interval '23 hours'";
    assert_eq!(
        sqlx::query(later).bind(ANN).execute(lab.pool()).await.unwrap().rows_affected(),
        1,
        "a day"
    );
    writes(ANN).await;
    let enriched = published(&lab, "contact.enriched", 2).await;
    assert_eq!(enriched[1]["data"]["avatar_url"], "https://cdn.example/p.jpg?oe=2");
    assert_eq!(graph.asked(&path), 2);
    done(&lab).await;
    let avatars: Vec<String> = lab
        .api()
        .conversations()
        .await
        .iter()
        .filter_map(|one| one["contact"]["avatar_url"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(avatars, ["https://cdn.example/p.jpg?oe=2"]);
}
