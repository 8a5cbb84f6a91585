//! Sender-less items: one message under the right person, or a visible wait. Nothing is invented.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, Envelope, Lookup, Telling};
use tests::body::{IG, body, change, instagram, now, senderless, text};
use tests::{Api, Lab, eventually};

async fn lab() -> (Lab, AccountHandle) {
    let lab = Lab::with_all_roles().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &[]).await;
    (lab, account)
}

/// The only conversation's contact and its messages: (contact id, [(direction, text)]).
async fn inbox(api: &Api) -> Vec<(String, Vec<(String, Option<String>)>)> {
    let mut seen = Vec::new();
    for conversation in api.conversations().await {
        let messages = api.messages(conversation["id"].as_str().unwrap()).await;
        let messages = messages
            .iter()
            .map(|m| {
                (m["direction"].as_str().unwrap().to_owned(), m["text"].as_str().map(str::to_owned))
            })
            .collect();
        seen.push((conversation["contact"]["id"].as_str().unwrap().to_owned(), messages));
    }
    seen
}

/// A message as a test expects it: direction and text.
type Expected<'a> = (&'a str, Option<&'a str>);

async fn becomes(lab: &Lab, expected: &[(&str, &[Expected<'_>])]) {
    let api = lab.api();
    let owned =
        |(direction, text): &Expected<'_>| ((*direction).to_owned(), text.map(str::to_owned));
    let expected: Vec<_> = expected
        .iter()
        .map(|(contact, messages)| {
            ((*contact).to_owned(), messages.iter().map(owned).collect::<Vec<_>>())
        })
        .collect();
    eventually("the inbox is as expected", Duration::from_secs(20), async || {
        let seen = inbox(&api).await;
        if seen == expected { Ok(()) } else { Err(format!("{seen:?}, wanted {expected:?}")) }
    })
    .await;
}

async fn kinds(lab: &Lab) -> Vec<String> {
    lab.events().await.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_twin_graph_names_the_sender() {
    let (lab, account) = lab().await;
    let ann = account.person("Ann Berg");
    let act = ann.senderless().says("is anybody there?");
    act.accepted().await.unwrap();
    becomes(&lab, &[(ann.id(), &[("inbound", Some("is anybody there?"))])]).await;
    lab.settled().await;
    let event = lab
        .events()
        .await
        .into_iter()
        .find(|e| e["type"] == "hookline.message.received.v1")
        .unwrap();
    assert_eq!(event["data"]["sender_resolution"]["method"], "graph_message", "{event}");
    assert_eq!(event["data"]["origin"]["via"], "reconcile");
    // Delivered again, years later or now: still one message, nothing waits.
    act.redeliver(3).await;
    lab.settled().await;
    becomes(&lab, &[(ann.id(), &[("inbound", Some("is anybody there?"))])]).await;
    assert!(!kinds(&lab).await.contains(&"hookline.sender.unresolved.v1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_twin_before_or_after_in_either_envelope_there_is_one_message() {
    let (lab, account) = lab().await;
    let meta = lab.meta();
    let people: Vec<_> = (0..4).map(|n| account.person(&format!("Person {n}"))).collect();
    for (n, person) in people.iter().enumerate() {
        let (mid, at) = (format!("mid.twin.{n}"), now());
        let twin = instagram(text(IG, person.id(), &mid, at, "hello"));
        let companion = if n % 2 == 0 {
            instagram(senderless(&mid, at + 900))
        } else {
            body("instagram", &[change(IG, at + 900, "message_edit", senderless(&mid, at + 900))])
        };
        let order = if n < 2 { [&twin, &companion] } else { [&companion, &twin] };
        for body in order {
            assert_eq!(meta.post("/webhooks/instagram", body).await, 200);
        }
    }
    let api = lab.api();
    eventually("four conversations of one message", Duration::from_secs(20), async || {
        let seen = inbox(&api).await;
        let right = seen.len() == 4
            && seen.iter().all(|(_, m)| *m == [("inbound".to_owned(), Some("hello".to_owned()))]);
        if right { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    // Longer than the grace: the companions must come to nothing.
    tokio::time::sleep(Duration::from_millis(800)).await;
    lab.settled().await;
    let kinds = kinds(&lab).await;
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "hookline.message.received.v1").count(),
        4,
        "{kinds:?}"
    );
    assert!(
        kinds.iter().all(|kind| !kind.contains("edited") && !kind.contains("unresolved")),
        "{kinds:?}"
    );
    assert_eq!(
        lab.simulator.count(simulator::CallKind::MessageLookup),
        0,
        "no Graph call for what was known"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_of_our_own_message_is_outbound() {
    let (lab, account) = lab().await;
    let ann = account.person("Ann Berg");
    ann.says("hi").accepted().await.unwrap();
    account.types_by_hand(&ann.senderless(), "we are open until six").accepted().await.unwrap();
    becomes(
        &lab,
        &[(ann.id(), &[("outbound", Some("we are open until six")), ("inbound", Some("hi"))])],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_graph_knows_nothing_it_waits_visibly_and_the_twin_resolves_it() {
    let (lab, account) = lab().await;
    let ann = account.person("Ann Berg");
    let silent = ann.senderless().looked_up(Lookup::ServerError).unlisted();
    let act = silent.says("lost and found");
    act.accepted().await.unwrap();
    eventually("it is published as unresolved", Duration::from_secs(20), async || {
        let kinds = kinds(&lab).await;
        if kinds == ["hookline.sender.unresolved.v1"] { Ok(()) } else { Err(format!("{kinds:?}")) }
    })
    .await;
    lab.settled().await;
    assert!(inbox(&lab.api()).await.is_empty(), "nothing is invented");
    let (code, out, err) = lab.hookline(&["status", "--output", "json"]).await;
    assert_eq!(code, 0, "{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&status["waiting_room"], &status["unresolved"]),
        (&json!(1), &json!(1)),
        "{status}"
    );
    // Later the twin comes.
    let twin = instagram(text(IG, ann.id(), act.mid(), now() - 5_000, "lost and found"));
    assert_eq!(lab.meta().post("/webhooks/instagram", &twin).await, 200);
    becomes(&lab, &[(ann.id(), &[("inbound", Some("lost and found"))])]).await;
    let count = |kinds: &[String], kind: &str| kinds.iter().filter(|k| k.contains(kind)).count();
    eventually("the unresolved event is withdrawn", Duration::from_secs(10), async || {
        let kinds = kinds(&lab).await;
        if count(&kinds, "fact.withdrawn") == 1 { Ok(()) } else { Err(format!("{kinds:?}")) }
    })
    .await;
    lab.settled().await;
    let kinds = kinds(&lab).await;
    let counts = (count(&kinds, "message.received"), count(&kinds, "fact.withdrawn"));
    assert_eq!(counts, (1, 1), "{kinds:?}");
    let (_, out, _) = lab.hookline(&["status", "--output", "json"]).await;
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["waiting_room"], 0, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conversation_scan_finds_what_the_look_up_does_not() {
    let (lab, account) = lab().await;
    let (ann, bob) = (account.person("Ann Berg"), account.person("Bob Holm"));
    bob.says("I am the newest conversation").accepted().await.unwrap();
    ann.senderless().looked_up(Lookup::ServerError).says("find me").accepted().await.unwrap();
    bob.says("still the newest").accepted().await.unwrap();
    becomes(
        &lab,
        &[
            (
                bob.id(),
                &[
                    ("inbound", Some("still the newest")),
                    ("inbound", Some("I am the newest conversation")),
                ],
            ),
            (ann.id(), &[("inbound", Some("find me"))]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_with_sender_but_without_twin_becomes_a_message_of_that_sender() {
    let (lab, account) = lab().await;
    let ann = account.person("Ann Berg");
    let hinted = ann.reported(Telling::OnlyHint { sender: true }).in_envelope(Envelope::Changes);
    hinted.says("only announced").accepted().await.unwrap();
    becomes(&lab, &[(ann.id(), &[("inbound", Some("only announced"))])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_edit_before_its_message_waits_for_it() {
    let (lab, account) = lab().await;
    let ann = account.person("Ann Berg");
    let at = now();
    let edit = json!({"sender": {"id": ann.id()}, "recipient": {"id": IG}, "timestamp": at + 2_000,
                      "message_edit": {"mid": "mid.edit.1", "text": "the GREEN lamp", "num_edit": 1}});
    assert_eq!(lab.meta().post("/webhooks/instagram", &instagram(edit)).await, 200);
    let message = text(IG, ann.id(), "mid.edit.1", at, "the blue lamp");
    assert_eq!(lab.meta().post("/webhooks/instagram", &instagram(message)).await, 200);
    becomes(&lab, &[(ann.id(), &[("inbound", Some("the GREEN lamp"))])]).await;
}
