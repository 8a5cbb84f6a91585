//! Whose facts they are: canonical accounts, aliases, apps.

use std::time::Duration;

use serde_json::{Value, json};
use tests::body::{IG, PAGE, body, entry, instagram, now, text};
use tests::{Meta, Role, eventually};

use super::graph::FakeGraph;
use super::{ANN, BOB, done, lab, lab_apart, of_kind, plain, post, published, read_again, rows};

const ALIAS: &str = "25500000000000101";

#[tokio::test(flavor = "multi_thread")]
async fn one_fact_has_one_id_under_every_name_of_its_account_and_in_every_batch() {
    let mut lab = lab_apart(&FakeGraph::start().await, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &["--alias", ALIAS, "--page-id", PAGE])
        .await;
    let at = now();
    for (n, name) in [IG, ALIAS, PAGE].into_iter().enumerate() {
        let sent_at = at + 1_000 * i64::try_from(n).unwrap();
        // The account may stand as recipient under any of its names, too.
        let items = [
            text(name, ANN, "mid.1", at, "hello"),
            text(IG, BOB, &format!("mid.bob.{n}"), at, "me"),
        ];
        post(&lab, &body("instagram", &[entry(name, sent_at, &items)])).await;
    }
    read_again(&mut lab).await;
    let events = done(&lab).await;
    let received = of_kind(&events, "message.received");
    assert_eq!(received.len(), 4, "{received:?}");
    assert!(events.iter().all(|event| event["data"]["account_id"] == IG));
    assert_eq!(received[0]["source"], format!("/instagram/{IG}"));
    let ann: Vec<_> = received.iter().filter(|event| event["data"]["contact_id"] == ANN).collect();
    assert_eq!(ann.len(), 1);
    assert_eq!(ann[0]["data"]["origin"]["revision"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_or_page_that_has_events_is_refused() {
    let lab = plain().await;
    lab.add_account("instagram", "instagram", ALIAS, "t", &[]).await;
    let at = now();
    post(&lab, &body("instagram", &[entry(ALIAS, at, &[text(ALIAS, ANN, "mid.1", at, "hello")])]))
        .await;
    published(&lab, "message.received", 1).await;
    let (code, _, err) = lab.hookline(&["accounts", "remove", &format!("instagram/{ALIAS}")]).await;
    assert_eq!(code, 0, "{err}");
    for option in ["--alias", "--page-id"] {
        let arguments = [
            "accounts",
            "add",
            "--channel",
            "instagram",
            "--login",
            "instagram",
            "--id",
            IG,
            "--token-env",
            "T",
            option,
            ALIAS,
        ];
        let (code, out, err) = lab.hookline_with(&arguments, &[("T", "t")]).await;
        assert!(
            code == 3 && err.contains(ALIAS) && err.contains(option),
            "{option}: {code} {out}{err}"
        );
    }
    let (_, out, _) = lab.hookline(&["accounts", "list", "--output", "json"]).await;
    assert!(!out.contains(IG), "{out}");
    // What came for a name before anybody added it is no event of an account: the name can be added.
    let other = "25500000000000202";
    post(&lab, &body("instagram", &[entry(other, at, &[text(other, ANN, "mid.2", at, "hello")])]))
        .await;
    published(&lab, "webhook.unrecognized", 1).await;
    lab.add_account("instagram", "instagram", IG, "t", &["--alias", other]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_apps_secret_speaks_for_nobody() {
    let graph = FakeGraph::start().await;
    let secrets = format!("main={},other=other-secret,unnamed-secret", tests::lab::SECRET);
    let lab = lab(&graph, &[("META_APP_SECRETS", &secrets)]).await;
    let second = "17841400000000202";
    lab.add_account("instagram", "instagram", IG, "t", &["--app", "main"]).await;
    lab.add_account("instagram", "instagram", second, "t", &[]).await;
    let at = now();
    let both = |n: u32| {
        let (first, free) = (format!("mid.main.{n}"), format!("mid.free.{n}"));
        body(
            "instagram",
            &[
                entry(IG, at, &[text(IG, ANN, &first, at, "forged?")]),
                entry(second, at, &[text(second, BOB, &free, at, "mine")]),
            ],
        )
    };
    for (n, secret) in ["other-secret", "unnamed-secret"].into_iter().enumerate() {
        let stranger = Meta::new(lab.meta().url, secret);
        assert_eq!(stranger.post("/webhook", &both(u32::try_from(n).unwrap())).await, 200);
    }
    published(&lab, "message.received", 2).await;
    let refused = published(&lab, "webhook.unrecognized", 2).await;
    assert!(
        refused.iter().all(
            |event| event["data"]["reason"] == "wrong_app" && event["data"]["account_id"] == IG
        )
    );
    done(&lab).await;
    assert!(rows(&lab).await.iter().all(|(contact, ..)| contact == BOB));
    let metrics = lab.metrics(Role::Worker).await;
    assert!(
        metrics.contains(r#"hookline_normalize_unrecognized_total{reason="wrong_app"} 2"#),
        "{metrics}"
    );
    // Its own app's secret.
    post(&lab, &both(2)).await;
    published(&lab, "message.received", 4).await;
    let of_first = eventually("the message is shown", Duration::from_secs(10), async || {
        let rows: Vec<_> =
            rows(&lab).await.into_iter().filter(|(contact, ..)| contact == ANN).collect();
        if rows.len() == 1 { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
    .await;
    assert_eq!(of_first[0].2.as_deref(), Some("forged?"));
    done(&lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_of_any_name_is_published_on_a_safe_subject_and_kept() {
    let lab = plain().await;
    let long = "9".repeat(129);
    let umlauts = "ü".repeat(40);
    let at = now();
    let item = text(IG, ANN, "mid.1", at, "nobody's");
    let ids = [
        json!("a b/ü*>.%"),
        json!(long),
        json!(umlauts),
        json!(17841),
        json!(null),
        json!("x\u{0}\n y"),
        json!("_"),
    ];
    for id in &ids {
        let entry = json!({"id": id, "time": at, "messaging": [item]});
        post(&lab, &body("instagram", &[entry])).await;
    }
    // A thousand and twenty-five bytes are no id.
    post(&lab, &body("page", &[entry(&"1".repeat(1025), at, std::slice::from_ref(&item))])).await;
    let events = published(&lab, "webhook.unrecognized", ids.len() + 1).await;
    done(&lab).await;
    let mut seen: Vec<(String, String)> = events
        .iter()
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&event["data"]["account_id"]), text(&event["data"]["reason"]))
        })
        .collect();
    seen.sort();
    let mut expected: Vec<(String, String)> =
        ["a b/ü*>.%", &long, &umlauts, "17841", "x\u{fffd}\n y", "_"]
            .into_iter()
            .map(|id| (id.to_owned(), "unknown_account".to_owned()))
            .collect();
    expected.extend([
        ("_".to_owned(), "bad_shape".to_owned()),
        ("_".to_owned(), "bad_shape".to_owned()),
    ]);
    expected.sort();
    assert_eq!(seen, expected);
    assert!(
        events
            .iter()
            .all(|event| event.get("subject").is_none() && !event.to_string().contains("nobody"))
    );
    assert_eq!(lab.last_sequence("META_RAW").await, u64::try_from(ids.len() + 1).unwrap());
    assert!(lab.api().conversations().await.is_empty());
    // A message of a known account is none of this.
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    post(&lab, &instagram(text(IG, ANN, "mid.2", at, "hello"))).await;
    published(&lab, "message.received", 1).await;
}
