//! The same webhook many times, in other batches: one message, unread 1, one automatic reply.

use std::time::Duration;

use simulator::AccountSpec;
use tests::body::{IG, body, entry, instagram, now, text};
use tests::{Lab, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn five_deliveries_split_and_batched_differently_are_one_message_and_one_reply() {
    let lab = Lab::with_all_roles().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &["--auto-reply", "Thanks!"])
        .await;
    let (ann, bob) = (account.person("Ann Berg"), account.person("Bob Holm"));
    let at = now();
    // Meta knows that they wrote; how it is reported is up to this test.
    let (ann_wrote, bob_wrote) = (ann.held().says("is it there?"), bob.held().says("me too"));
    let first = text(IG, ann.id(), ann_wrote.mid(), at, "is it there?");
    let other = text(IG, bob.id(), bob_wrote.mid(), at + 5, "me too");
    let meta = lab.meta();
    let bodies = [
        instagram(first.clone()),
        instagram(first.clone()),
        body("instagram", &[entry(IG, at + 1, &[first.clone(), other.clone()])]),
        body(
            "instagram",
            &[
                entry(IG, at + 2, std::slice::from_ref(&other)),
                entry(IG, at + 2, std::slice::from_ref(&first)),
            ],
        ),
        body("instagram", &[entry(IG, at + 3, &[first.clone(), first.clone()])]),
    ];
    for body in &bodies {
        assert_eq!(meta.post("/webhooks/instagram", body).await, 200);
    }
    eventually("both people have their answer", Duration::from_secs(20), async || {
        let seen = (ann.texts_received(), bob.texts_received());
        if seen == (vec!["Thanks!".to_owned()], vec!["Thanks!".to_owned()]) {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await;
    // And once more, when everything is known already.
    assert_eq!(meta.post("/webhook", &bodies[2]).await, 200);
    lab.settled().await;
    lab.simulator.settled(Duration::from_secs(10)).await;
    lab.settled().await;

    assert_eq!(ann.texts_received(), ["Thanks!"]);
    assert_eq!(bob.texts_received(), ["Thanks!"]);
    let api = lab.api();
    let conversations = api.conversations().await;
    assert_eq!(conversations.len(), 2, "{conversations:?}");
    for conversation in &conversations {
        assert_eq!(conversation["unread_count"], 1, "{conversation}");
        let messages = api.messages(conversation["id"].as_str().unwrap()).await;
        let seen: Vec<_> = messages
            .iter()
            .map(|m| (m["direction"].as_str().unwrap(), m["sent_by"].as_str()))
            .collect();
        assert_eq!(seen, [("outbound", Some("api")), ("inbound", None)], "{messages:?}");
    }
    let received =
        lab.events().await.iter().filter(|e| e["type"] == "hookline.message.received.v1").count();
    assert_eq!(received, 2);
}
