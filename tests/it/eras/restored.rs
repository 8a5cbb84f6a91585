//! A stream that is put back from a backup is of the same era, also where the backup is older than what was read of it.

use schemas::subjects::{INBOX_COMMANDS, INBOX_EVENTS, META_RAW};
use simulator::CallKind;
use tests::cluster::Cluster;
use tests::crowd::{self, Asked, Shop, all_ended};
use tests::snapshot::Snapshot;
use tests::{Lab, Role};

use super::{WITHIN, flows, known, lose, replay_withdraws_nothing, reply_to_all, stage, stopped};

/// Backs up one stream, goes on for a while, loses the stream and puts the backup back.
async fn put_back(lab: &Lab, shops: &[Shop], mut asked: Vec<Asked>, stream: &str) {
    let client = lab.nats_client().await;
    let backup = Snapshot::take(&client, stream).await;
    let sends = lab.simulator.count(CallKind::Send);
    flows(lab, shops, &asked, sends, "lost").await;
    asked.extend(reply_to_all(lab, shops, "lost").await);
    all_ended(lab, asked.len(), WITHIN).await;
    let before = known(lab).await;
    lose(lab, stream, false).await;
    stopped(lab, Role::Worker, stream).await;
    backup.restore(&client).await;
    lab.all_ready().await;
    let sends = lab.simulator.count(CallKind::Send);
    flows(lab, shops, &asked, sends, "after").await;
    let after = known(lab).await;
    assert!(before.0 < after.0 && after.2 == 0, "{before:?} {after:?}");
    // However many readers notice, what stands in the stream now has one number.
    let numbers: i64 =
        sqlx::query_scalar("select count(*) from worker.stream_eras where stream = $1")
            .bind(stream)
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(numbers, 2);
    replay_withdraws_nothing(lab).await;
    for role in Role::ALL {
        assert_eq!(lab.readyz(role).await.0, 200, "{role:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_webhooks_put_back_go_on_by_themselves() {
    let (lab, shops, asked) = stage().await;
    put_back(&lab, &shops, asked, META_RAW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_put_back_go_on_by_themselves() {
    let (lab, shops, asked) = stage().await;
    put_back(&lab, &shops, asked, INBOX_COMMANDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_put_back_go_on_by_themselves() {
    let (lab, shops, asked) = stage().await;
    put_back(&lab, &shops, asked, INBOX_EVENTS).await;
}

/// Outcomes that stood in the events before are not looked for by their numbers, and hold up no command that is read again.
#[tokio::test(flavor = "multi_thread")]
async fn commands_put_back_after_the_events_go_on_by_themselves() {
    let (lab, shops, mut asked) = stage().await;
    let client = lab.nats_client().await;
    let mut backups = Vec::new();
    for stream in [INBOX_EVENTS, INBOX_COMMANDS] {
        backups.push((stream, Snapshot::take(&client, stream).await));
    }
    asked.extend(reply_to_all(&lab, &shops, "lost").await);
    all_ended(&lab, asked.len(), WITHIN).await;
    for (stream, backup) in backups {
        lose(&lab, stream, false).await;
        stopped(&lab, Role::Worker, stream).await;
        backup.restore(&client).await;
        lab.all_ready().await;
    }
    let sends = lab.simulator.count(CallKind::Send);
    flows(&lab, &shops, &asked, sends, "after").await;
}

/// A cluster gives a restored stream another time of its making.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_cluster_put_back_go_on_by_themselves() {
    let mut lab = Lab::start().await;
    let cluster = Cluster::start(lab.data_folder(), [true; 3]).await;
    cluster.serve(&mut lab);
    lab.run_apart().await;
    let shops = crowd::open(&lab, 0..3, 1).await;
    let client = lab.nats_client().await;
    let mut backups = Vec::new();
    for stream in [META_RAW, INBOX_COMMANDS, INBOX_EVENTS] {
        backups.push((stream, Snapshot::take(&client, stream).await));
    }
    let asked = reply_to_all(&lab, &shops, "lost").await;
    all_ended(&lab, asked.len(), WITHIN).await;
    for (stream, backup) in backups {
        lose(&lab, stream, false).await;
        stopped(&lab, Role::Worker, stream).await;
        backup.restore(&client).await;
        cluster.whole(stream).await;
        lab.all_ready().await;
    }
    let sends = lab.simulator.count(CallKind::Send);
    flows(&lab, &shops, &asked, sends, "after").await;
    replay_withdraws_nothing(&lab).await;
}
