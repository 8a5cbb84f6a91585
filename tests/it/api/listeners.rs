//! Many clients of `/v1/live` at once: nobody waits for the socket of another, and no token takes all places.

use std::time::Duration;

use serde_json::Value;
use tests::body::{IG, now, text};
use tests::cable::Cable;
use tests::{Api, Lab, LabOptions, Role, eventually};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::cable::through_cable;
use super::live::{Listener, stored};
use super::{
    READER, add_accounts, is_problem, lab, lab_apart, person, webhook, with_token, written,
};

/// A client that asks for all events and takes none.
async fn one_that_never_reads(api: &Api) -> TcpStream {
    let address = api.url.strip_prefix("http://").unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!(
        "GET /v1/live?last_event_id=0 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n",
        api.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_resumes_does_not_wait_for_those_who_never_read() {
    let mut lab = lab_apart(LabOptions::default()).await;
    add_accounts(&lab).await;
    // Far more than sockets hold.
    let words = "word ".repeat(800);
    for n in 0..40 {
        let say = |k: usize| text(IG, &person(n), &format!("mid.{n}.{k}"), now(), &words);
        webhook(&lab, IG, &(0..50).map(say).collect::<Vec<Value>>()).await;
    }
    lab.settled().await;
    // It has nothing of this in memory.
    lab.kill9(Role::Api).await;
    lab.run(Role::Api).await;
    lab.ready(Role::Api).await;
    let api = lab.api();
    let mut slow = Vec::new();
    for _ in 0..10 {
        slow.push(one_that_never_reads(&api).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reader = with_token(&api, READER);
    let mut listener = Listener::open(&reader, "?kinds=message.received", Some(0)).await.unwrap();
    let last = lab.last_sequence("INBOX_EVENTS").await;
    // No event lets it wait for longer than 20 s, which is less than a client that never reads is waited for.
    let all = listener.up_to(last).await;
    let wanted = stored(&lab, 0).await.into_iter().filter(|sent| sent.is_received());
    assert_eq!(all, wanted.collect::<Vec<_>>());
    drop(slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_does_not_take_all_places() {
    let lab = lab().await;
    let api = lab.api();
    let reader = with_token(&api, READER);
    let mut many = Vec::new();
    let refused = loop {
        match Listener::open(&reader, "", None).await {
            Ok(listener) if many.len() < 200 => many.push(listener),
            Ok(_) => panic!("a token has more than 200 places"),
            Err(refused) => break refused,
        }
    };
    is_problem(&refused, 503, "too_many_clients");
    assert!(many.len() >= 100, "{}", many.len());
    assert!(Listener::open(&api, "", None).await.is_ok(), "another token has a place");
    many.pop();
    eventually("its place is free", Duration::from_secs(10), async || {
        Listener::open(&reader, "", None).await.map(|_| ()).map_err(|error| format!("{error:?}"))
    })
    .await;
}

/// Everything runs; the api alone sees the broker through the cable.
async fn with_cable() -> (Lab, Cable) {
    let mut lab = Lab::start().await;
    super::set_tokens(&mut lab);
    for role in [Role::Ingest, Role::Worker, Role::Projector] {
        lab.run(role).await;
    }
    let direct = lab.settings["NATS_URL"].clone();
    let (cable, url) = through_cable(&direct).await;
    lab.set("NATS_URL", &url);
    lab.run(Role::Api).await;
    lab.set("NATS_URL", &direct);
    lab.all_ready().await;
    add_accounts(&lab).await;
    (lab, cable)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_gap_is_filled_from_memory() {
    let (lab, cable) = with_cable().await;
    let api = lab.api();
    let mut listener = Listener::open(&api, "", None).await.unwrap();
    written(&lab, IG, 1, "one").await;
    written(&lab, IG, 1, "two").await;
    lab.settled().await;
    let last = lab.last_sequence("INBOX_EVENTS").await;
    let seen = listener.up_to(last).await;
    drop(listener);
    cable.cut();
    let first = seen[0].id.unwrap();
    let mut again = Listener::open(&api, "", Some(first)).await.unwrap();
    assert_eq!(again.up_to(last).await, seen[1..]);
    cable.mend();
}
