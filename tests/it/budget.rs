//! What Meta allows is shared by all workers: two of them do not exceed what one may.

use std::time::Duration;

use serde_json::json;
use simulator::{AccountSpec, CallKind};
use tests::body::IG;
use tests::crowd::{Shop, all_ended, ask};
use tests::{Lab, Role, eventually};

/// The Conversations API takes 2 calls per second and account (docs/meta-platform.md 10).
const EVERY: Duration = Duration::from_millis(500);
const CONVERSATIONS: usize = 14;

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_call_the_conversations_api_at_the_pace_of_one() {
    let mut lab = Lab::with_roles_apart().await;
    lab.run_nth(Role::Worker, 1).await;
    lab.ready_nth(Role::Worker, 1).await;
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    let people: Vec<_> = (0..CONVERSATIONS).map(|n| shop.person(&format!("Person {n}"))).collect();
    let js = lab.jetstream().await;
    for person in &people {
        let command = json!({
            "id": format!("sync-{}", person.id()), "channel": "instagram", "account_id": IG, "contact_id": person.id(),
            "command": "sync", "requested_by": {"kind": "automation", "name": "test"},
            "requested_at": "2026-11-30T10:00:00Z", "data": {"contact_id": person.id()},
        });
        let subject = format!("inbox.v1.command.00.instagram.{IG}.sync");
        js.publish(subject, command.to_string().into()).await.unwrap().await.unwrap();
    }
    eventually("all are imported", Duration::from_secs(60), async || {
        let calls = shop.count(CallKind::Conversations);
        tests::client::holds(calls >= CONVERSATIONS as u64, || format!("{calls} calls"))
    })
    .await;
    let mut at: Vec<_> =
        shop.calls(Some(CallKind::Conversations)).iter().map(|call| call.at).collect();
    at.sort();
    // Calls may be late, and those after them on time; two paces take half as long.
    let spread = (at[at.len() - 1] - at[0]).to_std().unwrap();
    let least = EVERY * u32::try_from(at.len() - 4).unwrap();
    assert!(least <= spread, "{} calls within {spread:?}: {at:?}", at.len());
}

/// Sends of one account that may be at Meta at once, to begin with: a token that has expired costs so many calls.
const AT_ONCE: usize = 2;
const ANSWERED_AFTER: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_have_as_many_sends_of_an_account_in_flight_as_one() {
    let mut lab = Lab::with_roles_apart().await;
    lab.run_nth(Role::Worker, 1).await;
    lab.ready_nth(Role::Worker, 1).await;
    eventually("each knows the other", Duration::from_secs(20), async || {
        let members = "select count(*) from worker.members where seen_at > now() - interval '2 s'";
        let members: i64 = sqlx::query_scalar(members).fetch_one(lab.pool()).await.unwrap();
        tests::client::holds(members == 2, || format!("{members} members"))
    })
    .await;
    // A worker that joins others sends nothing for two seconds, and looks for them every second (docs/decisions/39).
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut shop = Shop::open(&lab, 0, &[]).await;
    shop.meets(16).await;
    lab.settled().await;
    lab.simulator.set_policy(|policy| policy.answer_delay = ANSWERED_AFTER).unwrap();
    let wishes = shop
        .people
        .iter()
        .enumerate()
        .map(|(n, person)| (&shop, person, format!("answer {n}"), format!("answer-{n}")));
    let asked = ask(&lab, wishes.collect()).await;
    all_ended(&lab, asked.len(), Duration::from_secs(60)).await;
    let at: Vec<_> = shop.account.calls(Some(CallKind::Send)).iter().map(|call| call.at).collect();
    assert_eq!(at.len(), asked.len());
    // An answer takes longer than this, so calls that are closer are in flight together.
    let together = chrono::TimeDelta::milliseconds(400);
    let most = at
        .iter()
        .map(|one| at.iter().filter(|other| *one <= **other && **other < *one + together).count());
    let most = most.max().unwrap_or(0);
    assert!(most <= AT_ONCE, "{most} at once: {at:?}");
}
