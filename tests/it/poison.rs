//! One poisoned conversation among thousands: it waits, and nobody else waits longer than before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::Value;
use tests::Lab;
use tests::body::{IG, instagram, now, text};
use tests::traffic::{share, soak};

const EVENTS: usize = 10_000;
const POISONED: &str = "5200000000000666";
const PEOPLE: usize = 200;
/// Webhooks of one measurement; healthy ones and those with the poisoned conversation take turns.
const ROUNDS: usize = 10;
const PER_SECOND: u64 = 100;

/// From the delivery of each message to its event, milliseconds, sorted.
async fn measure(lab: &Lab, round: &str, count: usize, poisoned: bool) -> Vec<f64> {
    let client = lab.nats_client().await;
    let mut events =
        client.subscribe("inbox.v1.event.*.instagram.*.message-received").await.unwrap();
    client.flush().await.unwrap();
    let listening = tokio::spawn(async move {
        let mut seen = BTreeMap::new();
        while seen.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
            let Ok(Some(message)) = next else { break };
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            let mid = event["data"]["message_id"].as_str().unwrap().to_owned();
            if !mid.contains("poison") {
                seen.entry(mid).or_insert_with(Instant::now);
            }
        }
        seen
    });
    let meta = lab.meta();
    let mut sent = BTreeMap::new();
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / PER_SECOND));
    let mut posting = tokio::task::JoinSet::new();
    for n in 0..count {
        tick.tick().await;
        let mid = format!("mid.{round}.{n}");
        let person = format!("52000000001{:05}", n % PEOPLE);
        let mut bodies = vec![instagram(text(IG, &person, &mid, now(), "fine"))];
        if poisoned && n % 20 == 0 {
            // The poisoned person goes on writing: all of it waits behind.
            let more = format!("mid.poison.{round}.{n}");
            bodies.push(instagram(text(IG, POISONED, &more, now(), "wait")));
        }
        sent.insert(mid, Instant::now());
        let meta = meta.clone();
        posting.spawn(async move {
            for body in bodies {
                assert_eq!(meta.post("/webhooks/instagram", &body).await, 200);
            }
        });
    }
    while let Some(done) = posting.join_next().await {
        done.unwrap();
    }
    let seen = listening.await.unwrap();
    assert_eq!(seen.len(), count, "events are missing");
    let took = sent.iter().map(|(mid, at)| seen[mid].duration_since(*at).as_secs_f64() * 1e3);
    let mut took: Vec<f64> = took.collect();
    took.sort_by(f64::total_cmp);
    took
}

fn percentile(sorted: &[f64], of: usize) -> f64 {
    sorted[(sorted.len() * of / 100).min(sorted.len() - 1)]
}

/// Gives the ratios poisoned to healthy of median and p99, each over all rounds of its kind.
async fn compared(of: f64) -> (f64, f64) {
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let count = share(EVENTS, of) / (2 * ROUNDS);
    measure(&lab, "warm", count, false).await;
    lab.poison("new.message_id = 'mid.poison'").await;
    let poison = instagram(text(IG, POISONED, "mid.poison", now(), "one"));
    let (mut healthy, mut poisoned) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let parked: i64 = sqlx::query_scalar("select count(*) from worker.parked")
            .fetch_one(lab.pool())
            .await
            .unwrap();
        assert_eq!(parked > 0, round > 0);
        // With nothing parked, as if nobody had ever been; then as it is. Nothing of the poisoned person may be under way meanwhile.
        lab.settled().await;
        sqlx::raw_sql("create table if not exists public.aside as select * from worker.parked with no data;
                       insert into public.aside overriding system value select * from worker.parked; delete from worker.parked")
            .execute(lab.pool())
            .await
            .unwrap();
        healthy.extend(measure(&lab, &format!("h{round}"), count, false).await);
        sqlx::raw_sql("insert into worker.parked overriding system value select * from public.aside; delete from public.aside")
            .execute(lab.pool())
            .await
            .unwrap();
        if round == 0 {
            assert_eq!(lab.meta().post("/webhooks/instagram", &poison).await, 200);
        }
        poisoned.extend(measure(&lab, &format!("p{round}"), count, true).await);
    }
    healthy.sort_by(f64::total_cmp);
    poisoned.sort_by(f64::total_cmp);
    let (of, at) = (percentile, |sorted: &[f64]| (percentile(sorted, 50), percentile(sorted, 99)));
    eprintln!(
        "{} events each: healthy p50/p99 {:.1?} ms, beside a poisoned conversation {:.1?} ms",
        healthy.len(),
        at(&healthy),
        at(&poisoned)
    );
    // Mended, and everything that waited comes out in order.
    lab.mend().await;
    let (code, out, err) = lab.hookline(&["redrive", "run"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let events = lab.events().await;
    let mids = events.iter().filter(|event| {
        event["data"]["contact_id"] == POISONED && event["type"] == "hookline.message.received.v1"
    });
    let mids: Vec<&str> = mids.map(|event| event["data"]["message_id"].as_str().unwrap()).collect();
    assert_eq!(mids[0], "mid.poison");
    let raws: Vec<u64> = events
        .iter()
        .filter(|event| event["data"]["contact_id"] == POISONED)
        .map(|event| event["data"]["origin"]["raw_stream_sequence"].as_u64().unwrap())
        .collect();
    assert!(raws.is_sorted(), "out of order: {raws:?}");
    assert_eq!(mids.len(), 1 + ROUNDS * count.div_ceil(20));
    (of(&poisoned, 50) / of(&healthy, 50), of(&poisoned, 99) / of(&healthy, 99))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_conversation_slows_nobody_down() {
    let (median, _) = compared(1.0 / 20.0).await;
    // So few events say little of the slowest hundredth; a conversation that held up others would double the median many times over.
    assert!(median < 2.0, "the others wait {median} times as long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_poison() {
    let (median, slowest) = compared(soak()).await;
    eprintln!("ratio of medians {median:.3}, of p99 {slowest:.3}");
    assert!(slowest < 1.1, "p99 of the others is {slowest} times what it was");
}
