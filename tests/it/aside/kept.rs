//! What is set aside keeps its bytes: INBOX_EVENTS may age out.

use std::time::Duration;

use serde_json::json;
use tests::eventually;

use super::{aside, messages, projecting, publish, redrive};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_aside_is_folded_after_the_log_has_aged_out() {
    let lab = projecting().await;
    lab.poison_in("inbox_v1.messages", "new.message_id <> 'mid.0'").await;
    publish(&lab, 1).await;
    eventually(
        "it is set aside, and a copy is published after its bytes are kept",
        Duration::from_secs(20),
        async || {
            let copies = lab.last_sequence("INBOX_DEAD").await;
            match aside(&lab).await {
                1 if copies == 1 => Ok(()),
                rows => Err(format!("{rows} rows, {copies} copies")),
            }
        },
    )
    .await;
    lab.age_out("INBOX_EVENTS").await;
    lab.mend_in("inbox_v1.messages").await;
    let (code, projector) = redrive(&lab, &["--stage", "projector"]).await;
    assert_eq!((code, &projector["result"]), (0, &json!("released")), "{projector}");
    assert_eq!((messages(&lab).await, aside(&lab).await), (Ok(1), 0));
}
