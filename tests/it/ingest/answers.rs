//! docs/contract.md 3, row by row.

use std::time::Duration;

use base64::Engine;
use serde_json::Value;
use tests::client::eventually;
use tests::client::signature;
use tests::servers::another_broker;

use super::door::{Answer, Door, Folder, SECRET, durable, problem};
use servers::NatsServer;

#[tokio::test]
async fn the_handshake() {
    let door = Door::open().await;
    for path in ["/webhook", "/webhooks/instagram", "/webhooks/facebook"] {
        let answer = door
            .get(&format!(
                "{path}?hub.mode=subscribe&hub.challenge=115820_-aZ&hub.verify_token=two"
            ))
            .await;
        assert_eq!(
            (answer.status, answer.text.as_str(), answer.header("content-type")),
            (200, "115820_-aZ", "text/plain")
        );
        for query in [
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=three",
            "hub.mode=x&hub.challenge=1&hub.verify_token=two",
            "hub.challenge=1&hub.verify_token=two",
            "hub.mode=subscribe&hub.challenge=%3Cb%3E&hub.verify_token=two",
            "",
        ] {
            let answer = door.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, 403, "{query}");
            assert!(problem(&answer)["detail"].as_str().unwrap().contains("hub."), "{answer:?}");
        }
    }
    door.stop().await;
}

#[tokio::test]
async fn a_signed_body_is_stored_byte_for_byte() {
    let door = Door::open().await;
    let bodies: [&[u8]; 5] = [
        br#"{"object":"instagram","entry":[{"id":"17841400000000101"}],"text":"Gr\u00fc\u00dfe \/"}"#,
        b"",
        b"not json \xff\x00\x1f\x8b",
        b"[[[[",
        &[b' '; 300_000],
    ];
    let mut stored = 0;
    for (path, token) in [
        ("/webhook", "any"),
        ("/webhooks/instagram", "instagram"),
        ("/webhooks/facebook", "facebook"),
    ] {
        for body in bodies {
            // The same bytes on another path are another test's business: each path gets its own.
            let body = [body, token.as_bytes()].concat();
            let before = runtime::now();
            let answer = door.post(path, &body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            stored += 1;
            assert_eq!(door.stored().await, stored);
            let message = door.newest().await;
            assert_eq!(message.payload.as_ref(), body);
            let shard = schemas::subjects::shard(if body.starts_with(b"{") {
                "17841400000000101"
            } else {
                ""
            });
            assert_eq!(message.subject.as_str(), format!("meta.v1.raw.{token}.{shard:02}"));
            let header = |name: &str| message.headers.get(name).unwrap().as_str().to_owned();
            assert_eq!(header("Nats-Msg-Id"), schemas::ids::sha256_hex(&body));
            assert_eq!(header("Hookline-Secret"), "main");
            assert_eq!(header("Hookline-Path"), path);
            let received: schemas::Timestamp = header("Hookline-Received-At").parse().unwrap();
            assert!(before <= received && received <= runtime::now());
            let trace = header("traceparent");
            assert!(
                trace.len() == 55 && trace.starts_with("00-") && !trace.contains(&"0".repeat(16)),
                "{trace}"
            );
        }
    }
    door.stop().await;
}

#[tokio::test]
async fn every_signature_vector_is_judged_and_only_the_right_ones_are_stored() {
    let file: Value =
        serde_json::from_slice(&tests::fixture("odd/odd-signature-vectors.json")).unwrap();
    let folder = Folder::new();
    let nats = another_broker().await;
    let secrets = [("META_APP_SECRETS", "fixture-secret-A-not-real,fixture-secret-B-not-real")];
    let door = Door::with(folder, nats, &secrets).await;
    door.ready().await;
    let mut right = std::collections::BTreeSet::new();
    for vector in file["vectors"].as_array().unwrap() {
        let body = base64::engine::general_purpose::STANDARD
            .decode(vector["body_base64"].as_str().unwrap())
            .unwrap();
        let mut request = door.http.post(door.url("/webhooks/instagram")).body(body.clone());
        for (name, value) in vector["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let answer = door.send(request).await;
        let valid = match &vector["valid"] {
            Value::Bool(valid) => *valid,
            policy => policy == "either",
        };
        assert_eq!(answer.status, if valid { 200 } else { 401 }, "{}: {answer:?}", vector["name"]);
        if valid {
            right.insert(body);
        }
        assert_eq!(door.stored().await, right.len() as u64, "{}", vector["name"]);
    }
    door.stop().await;
}

#[tokio::test]
async fn sha1_counts_only_by_choice() {
    for (choice, status) in [("true", 200), ("false", 401)] {
        let folder = Folder::new();
        let nats = another_broker().await;
        let secrets =
            [("META_ACCEPT_SHA1", choice), ("META_APP_SECRETS", "fixture-secret-A-not-real")];
        let door = Door::with(folder, nats, &secrets).await;
        door.ready().await;
        let file: Value =
            serde_json::from_slice(&tests::fixture("odd/odd-signature-vectors.json")).unwrap();
        for (name, status) in
            [("sha1-only", status), ("sha1-good-256-bad", 401), ("both-headers", 200)]
        {
            let vector = file["vectors"]
                .as_array()
                .unwrap()
                .iter()
                .find(|vector| vector["name"] == name)
                .unwrap();
            let body = base64::engine::general_purpose::STANDARD
                .decode(vector["body_base64"].as_str().unwrap())
                .unwrap();
            let mut request = door.http.post(door.url("/webhook")).body(body);
            for (name, value) in vector["headers"].as_object().unwrap() {
                request = request.header(name, value.as_str().unwrap());
            }
            assert_eq!(door.send(request).await.status, status, "{name}");
        }
        door.stop().await;
    }
}

#[tokio::test]
async fn what_is_refused_is_not_stored_and_says_why() {
    let folder = Folder::new();
    let nats = another_broker().await;
    let door = Door::with(folder, nats, &[("INGEST_MAX_BODY", "64KiB")]).await;
    door.ready().await;
    let good = signature(SECRET, b"{}");
    let post = |signature: Option<&str>, body: &[u8]| {
        let request = door.http.post(door.url("/webhook")).body(body.to_vec());
        door.send(match signature {
            Some(signature) => request.header("x-hub-signature-256", signature),
            None => request,
        })
    };
    let says = |answer: &Answer, status: u16, words: &str| {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(problem(answer)["detail"].as_str().unwrap().contains(words), "{answer:?}");
        assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
    };
    says(&post(None, b"{}").await, 401, "missing");
    says(&post(Some("sha256=00"), b"{}").await, 401, "malformed");
    says(&post(Some(&good), b"{ }").await, 401, "does not fit");
    let twice = door
        .http
        .post(door.url("/webhook"))
        .header("x-hub-signature-256", &good)
        .header("x-hub-signature-256", &good);
    says(&door.send(twice.body("{}")).await, 401, "twice");
    let large = vec![b' '; (64 << 10) + 1];
    says(&post(Some(&signature(SECRET, &large)), &large).await, 413, "INGEST_MAX_BODY");
    assert_eq!(
        post(Some(&signature(SECRET, &large[1..])), &large[1..]).await.status,
        200,
        "the limit itself is allowed"
    );
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer =
            door.send(door.http.request(method.parse().unwrap(), door.url("/webhook"))).await;
        says(&answer, 405, "POST");
        assert_eq!(answer.header("allow"), "GET, POST");
    }
    for path in ["/", "/webhooks", "/webhook/", "/webhooks/whatsapp", "/webhooks/instagram/x"] {
        says(&door.get(path).await, 404, "/webhooks/instagram");
        says(&door.post(path, b"{}").await, 404, "/webhook");
    }
    assert_eq!(door.stored().await, 1, "only the one at the limit");
    says(&door.get("/metrics").await, 404, "/webhook");
    let metrics = runtime::telemetry::metrics_handle().render();
    assert!(metrics.contains("hookline_ingest_signature_total"), "{metrics}");
    assert!(!metrics.contains(SECRET));
    assert_eq!(door.get("/livez").await.text, r#"{"status":"ok"}"#);
    assert_eq!(door.get("/readyz").await.text, r#"{"status":"ready"}"#);
    door.stop().await;
}

#[tokio::test]
async fn too_small_a_broker_is_named_with_both_numbers() {
    let folder = Folder::new();
    let mut options = durable(&folder);
    options.max_payload = 4 << 20;
    let mut door = Door::with(folder, NatsServer::start(options).await.unwrap(), &[]).await;
    door.not_ready("max_payload of 4194304 bytes must exceed INGEST_MAX_BODY of 4194304").await;
    // Right after connecting the streams may be the reason; the size is it for good.
    eventually("a refusal names both sizes", Duration::from_secs(10), async || {
        let answer = door.post("/webhook", b"{}").await;
        assert_eq!(answer.status, 503);
        let named = answer.text.contains("4194304") && !answer.header("retry-after").is_empty();
        if named { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    door.nats.own().options_mut().max_payload = (4 << 20) + (64 << 10);
    door.nats.own().restart().await.unwrap();
    door.ready().await;
    let largest = vec![b'x'; 4 << 20];
    assert_eq!(
        door.post("/webhook", &largest).await.status,
        200,
        "the largest body fits with its headers"
    );
    assert_eq!(door.newest().await.payload.len(), 4 << 20);
    door.stop().await;
}

#[tokio::test]
async fn a_taken_address_or_a_missing_secret_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let start = async |pairs: &[(&str, &str)]| {
        let settings = runtime::config::Settings::from_pairs(pairs.iter().copied());
        let start =
            tokio::time::timeout(Duration::from_secs(5), ingest::run(settings, Default::default()));
        start.await.unwrap().unwrap_err().to_string()
    };
    let error = start(&[
        ("NATS_URL", "nats://h"),
        ("META_APP_SECRETS", "a"),
        ("META_VERIFY_TOKENS", "a"),
        ("INGEST_LISTEN", &address),
    ])
    .await;
    assert!(error.starts_with("INGEST_LISTEN") && error.contains(&address), "{error}");
    let error = start(&[("NATS_URL", "nats://h"), ("META_VERIFY_TOKENS", "a")]).await;
    assert!(error.starts_with("META_APP_SECRETS is not set"), "{error}");
    let error = start(&[("NATS_URL", "nats://h"), ("META_APP_SECRETS", "a")]).await;
    assert!(error.starts_with("META_VERIFY_TOKENS is not set"), "{error}");
}
