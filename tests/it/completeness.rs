//! What Graph shows against the log: webhooks that were withheld, and a field of which nothing comes any more.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, Telling};
use tests::body::{IG, PAGE};
use tests::{Lab, Role, eventually};

const MESSAGES: usize = 100;
/// One in so many is withheld.
const WITHHELD: usize = 20;

/// Roles apart, and accounts are compared all the time.
async fn lab() -> Lab {
    let mut lab = Lab::start().await;
    let waits = lab.settings[runtime::waits::ENV].clone();
    lab.set(runtime::waits::ENV, &format!("{waits};conversations=50ms"));
    lab.set("COMPLETENESS_EVERY", "20s");
    lab.run_apart().await;
    lab
}

async fn add(lab: &Lab, spec: AccountSpec) -> AccountHandle {
    let (id, instagram) = (spec.id.clone(), spec.channel == simulator::Channel::Instagram);
    let account = lab.simulator.add_account(spec).unwrap();
    let (channel, login) =
        if instagram { ("instagram", "instagram") } else { ("messenger", "facebook") };
    lab.add_account(channel, login, &id, &account.token(), &[]).await;
    // As if it were connected for an hour, and not compared before its webhooks have come in.
    sqlx::query(
        "insert into worker.completeness (channel, account_id, compared_to, watched_from, page, due_at)
         values ($1, $2, now() - interval '1 hour', now() - interval '1 hour', 25, 'infinity')",
    )
    .bind(channel)
    .bind(&id)
    .execute(lab.pool())
    .await
    .unwrap();
    account
}

/// From now on accounts are compared.
async fn compare(lab: &Lab) {
    sqlx::query("update worker.completeness set due_at = now()").execute(lab.pool()).await.unwrap();
}

/// The verb's document, once these are its figures: shown, known, healed, unreachable.
async fn figures(lab: &Lab, account: &str, expected: [usize; 4]) -> Value {
    eventually("the figures are there", Duration::from_secs(120), async || {
        let arguments = ["completeness", "--account", account, "--output", "json"];
        let (_, out, err) = lab.hookline(&arguments).await;
        let page: Value = serde_json::from_str(&out).map_err(|_| format!("{out}{err}"))?;
        let of = |name: &str| page[name].as_u64().unwrap_or(0) as usize;
        let found = ["shown", "known", "healed", "unreachable"].map(of);
        if found == expected { Ok(page) } else { Err(page.to_string()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_webhooks_withheld_is_found_healed_and_answered_by_nobody() {
    let lab = lab().await;
    let page = add(&lab, AccountSpec::messenger(PAGE)).await;
    let people: Vec<_> = (0..5).map(|n| page.person(&format!("Person {n}"))).collect();
    // A second apart: Graph names no smaller time.
    let began = Utc::now() - TimeDelta::minutes(5);
    for n in 0..MESSAGES {
        let person = people[n % people.len()].at(began + TimeDelta::seconds(n as i64));
        // Withheld in the middle of a conversation.
        let silent = n % WITHHELD == WITHHELD / 2;
        let telling = if silent { Telling::Silent } else { Telling::Plain };
        person.reported(telling).says(&format!("words {n:03}"));
    }
    assert!(lab.simulator.settled(Duration::from_secs(60)).await);
    lab.settled().await;
    // From now on messages are answered; what is found later is none of them.
    let answer = ["--auto-reply", "We will be back soon."];
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &answer).await;
    compare(&lab).await;
    let missing = MESSAGES / WITHHELD;
    let shown = figures(&lab, PAGE, [MESSAGES, MESSAGES - missing, missing, 0]).await;
    assert_eq!(shown["accounts"][0]["lost_field"], Value::Null, "{shown}");
    lab.settled().await;

    let events = lab.events().await;
    let healed: Vec<&Value> = events
        .iter()
        .filter(|event| {
            event["type"] == "hookline.message.received.v1"
                && event["data"]["origin"]["via"] == "reconcile"
        })
        .collect();
    assert_eq!(healed.len(), missing);
    assert!(lab.simulator.received().is_empty(), "what is healed is not answered");
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select conversation_id, text from inbox.messages order by conversation_id, sent_at, message_id",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), MESSAGES, "all that Graph shows is there, once");
    for pair in rows.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert!(pair[0].1 < pair[1].1, "in the order that Meta has: {pair:?}");
    }
    let unread: i64 =
        sqlx::query_scalar("select sum(unread_count)::bigint from inbox.conversations")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(unread, i64::try_from(MESSAGES).unwrap(), "a person sees them as unread");

    // The same by the api, in status and as a metric; looking again counts nothing twice.
    let (status, health) = lab.api().get(&format!("/v1/accounts/{PAGE}/health")).await;
    assert_eq!(status, 200, "{health}");
    let of = |name: &str| health["completeness"][name].clone();
    assert_eq!(
        [of("shown"), of("healed"), of("ratio")],
        [json!(MESSAGES), json!(missing), json!(1.0)],
        "{health}"
    );
    let printed = lab.hookline_ok(&["status", "--output", "json"]).await;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let own = &printed["completeness"][format!("messenger/{PAGE}")];
    assert_eq!((&own["shown"], &own["healed"]), (&json!(MESSAGES), &json!(missing)), "{own}");
    let metrics = lab.metrics(Role::Worker).await;
    let line = format!(
        "hookline_completeness_messages_total{{account=\"{PAGE}\",state=\"healed\"}} {missing}"
    );
    assert!(metrics.contains(&line), "{metrics}");
    let heal = ["completeness", "heal", "--account", PAGE, "--since", "1h", "--output", "json"];
    let again: Value = serde_json::from_str(&lab.hookline_ok(&heal).await).unwrap();
    assert_eq!((&again["shown"], &again["healed"]), (&json!(MESSAGES), &json!(missing)), "{again}");

    // A live message is answered: the account does.
    people[0].says("live words").accepted().await.unwrap();
    eventually("a live message is answered", Duration::from_secs(30), async || {
        let answers = lab.simulator.received().len();
        if answers == 1 { Ok(()) } else { Err(format!("{answers} answers")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_lost_is_an_alarm_until_it_brings_something() {
    let lab = lab().await;
    let shop = add(&lab, AccountSpec::instagram(IG)).await;
    let ann = shop.person("Ann Berg");
    ann.says("reported").accepted().await.unwrap();
    lab.settled().await;
    let fields = shop.subscribed_fields();
    shop.unsubscribe();
    let silent = ann.reported(Telling::Silent);
    for n in 0..25 {
        silent.says(&format!("not reported {n}"));
    }
    compare(&lab).await;
    // Of 25 behind the first, Graph returns the newest 20: the others are seen to be there.
    let shown = figures(&lab, IG, [26, 1, 20, 5]).await;
    assert_eq!(shown["accounts"][0]["lost_field"], "messages", "{shown}");
    let (code, out, _) = lab.hookline(&["completeness", "--account", IG]).await;
    assert_eq!((code, out.contains("no webhook of field messages")), (1, true), "{out}");
    let (_, health) = lab.api().get(&format!("/v1/accounts/{IG}/health")).await;
    assert_eq!(health["completeness"]["lost_field"], "messages", "{health}");
    assert_eq!(health["diagnosis"]["code"], "field_lost", "{health}");
    let gauge = |value: u8| {
        format!("hookline_account_field_lost{{account=\"{IG}\",field=\"messages\"}} {value}")
    };
    eventually("the gauge says so", Duration::from_secs(30), async || {
        let metrics = lab.metrics(Role::Worker).await;
        if metrics.contains(&gauge(1)) { Ok(()) } else { Err(metrics) }
    })
    .await;
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    shop.set_subscribed_fields(&fields, &[]);
    ann.says("reported again").accepted().await.unwrap();
    eventually("the alarm is over", Duration::from_secs(120), async || {
        let metrics = lab.metrics(Role::Worker).await;
        if metrics.contains(&gauge(0)) { Ok(()) } else { Err(metrics) }
    })
    .await;
    figures(&lab, IG, [27, 2, 20, 5]).await;
    assert!(lab.simulator.received().is_empty());
}
