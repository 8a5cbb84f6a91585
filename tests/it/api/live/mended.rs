//! What a redrive mends, live readers receive: they passed it when its rows were not there.

use std::time::Duration;

use tests::body::IG;
use tests::eventually;

use super::super::{lab, written};
use super::{Listener, says};

const MESSAGES: &str = "inbox_v1.messages";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_redrive_mends_comes_once_more() {
    let lab = lab().await;
    let api = lab.api();
    written(&lab, IG, 1, "before").await;
    lab.settled().await;
    let only = "?kinds=message.received";
    let mut listener = Listener::open(&api, only, None).await.unwrap();
    lab.poison_in(MESSAGES, "new.text = 'mid.aside'").await;
    says(&lab, IG, 1, "mid.aside").await;
    let first = listener.soon().await;
    let at = first.id.expect("it has a position");
    eventually("it is set aside", Duration::from_secs(20), async || {
        let aside: i64 = sqlx::query_scalar("select count(*) from inbox.parked")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        if aside == 1 { Ok(()) } else { Err(format!("{aside} events")) }
    })
    .await;
    lab.mend_in(MESSAGES).await;
    let (code, out, err) = lab.hookline(&["redrive", "run", "--stage", "projector"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let again = listener.soon().await;
    assert_eq!((again.id, again.data), (None, first.data.clone()));
    // A client that was away meanwhile hears of it if it had passed it; else it reads it in its place.
    let mut back = Listener::open(&api, only, Some(at)).await.unwrap();
    let missed = back.soon().await;
    assert_eq!((missed.id, missed.data), (None, first.data.clone()));
    let mut behind = Listener::open(&api, only, Some(at - 1)).await.unwrap();
    let read = behind.soon().await;
    assert_eq!((read.id, read.data), (Some(at), first.data));
    says(&lab, IG, 1, "mid.after").await;
    for listener in [&mut listener, &mut back, &mut behind] {
        let next = listener.soon().await;
        assert!(next.id > Some(at) && next.data.contains("mid.after"), "{next:?}");
    }
}
