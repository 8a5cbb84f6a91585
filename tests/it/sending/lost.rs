//! The worker loses what it knew, and everything is reported to it again.

use std::time::Duration;

use simulator::{CallKind, Fault, FaultRule};
use tests::crowd::{self, Shop, all_ended, ask, audit};
use tests::{Lab, Role, eventually};

/// Publishes every message of a stream anew, as a replay does.
async fn republish(lab: &Lab, stream: &str, job: &str) {
    let js = lab.jetstream().await;
    for message in lab.messages(stream).await {
        let mut headers = async_nats::HeaderMap::new();
        let stored = message.headers.clone().unwrap_or_default();
        let id = stored.get("Nats-Msg-Id").map(|id| id.as_str().to_owned()).unwrap_or_default();
        for name in ["Hookline-Received-At", "Hookline-Secret", "Hookline-Path", "traceparent"] {
            if let Some(value) = stored.get(name) {
                headers.insert(name, value.clone());
            }
        }
        headers.insert("Nats-Msg-Id", format!("{id}.{job}"));
        headers.insert("Hookline-Replay", job);
        js.publish_with_headers(message.subject.clone(), headers, message.payload.clone())
            .await
            .unwrap()
            .await
            .unwrap();
    }
}

/// The worker dies and loses what `loss` takes away; everything is replayed, and it starts anew. Returns when all is read again.
async fn lose_and_replay(lab: &mut Lab, loss: &str, job: &str) {
    lab.kill9(Role::Worker).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(loss)).execute(lab.pool()).await.unwrap();
    lab.lapse(Role::Worker).await;
    for stream in ["META_RAW", "INBOX_EVENTS"] {
        republish(lab, stream, job).await;
    }
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    eventually("all of it is read again", Duration::from_secs(60), async || {
        for (name, stream) in [("commands", "INBOX_COMMANDS"), ("automate", "INBOX_EVENTS")] {
            let at: Option<i64> =
                sqlx::query_scalar("select seq from worker.positions where name = $1")
                    .bind(name)
                    .fetch_optional(lab.pool())
                    .await
                    .map_err(|error| error.to_string())?;
            // The automations follow inbound messages only.
            let messages = lab.messages(stream).await;
            let followed = messages.iter().filter(|message| {
                name == "commands" || message.subject.ends_with("message-received")
            });
            let head =
                followed.map(|message| message.info().unwrap().stream_sequence).max().unwrap();
            let at = u64::try_from(at.unwrap_or(0)).unwrap();
            tests::client::holds(head <= at, || format!("{name}: {at} of {head}"))?;
        }
        Ok(())
    })
    .await;
    lab.settled().await;
    // Long enough for whatever would be claimed to be sent: for a call that must not come there is nothing to wait for.
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_ledger_and_replayed_events_send_nothing() {
    let mut lab = Lab::with_roles_apart().await;
    let mut shops = Vec::new();
    for n in 0..3 {
        shops.push(Shop::open(&lab, n, &["--auto-reply", "Thanks, we will be back."]).await);
    }
    for shop in &mut shops {
        shop.meets(4).await;
    }
    all_ended(&lab, 12, Duration::from_secs(30)).await;
    lab.settled().await;
    let wishes = shops.iter().flat_map(|shop| {
        let mut people = shop.people.iter();
        let person = people.next().unwrap();
        ["one", "two"].map(|text| (shop, person, text.to_owned(), text.to_owned()))
    });
    let asked = ask(&lab, wishes.collect()).await;
    all_ended(&lab, 18, Duration::from_secs(30)).await;
    // And one per shop of which nobody knows the outcome at the moment the ledger is lost.
    lab.simulator.fault(FaultRule::new(Fault::TimeoutAfter).on(CallKind::Send));
    lab.simulator.set_policy(|policy| policy.echoes = false).unwrap();
    let wishes =
        shops.iter().map(|shop| (shop, &shop.people[1], "open".to_owned(), "open".to_owned()));
    let open = ask(&lab, wishes.collect()).await;
    eventually("all are under way", Duration::from_secs(20), async || {
        tests::client::holds(lab.simulator.count(CallKind::Send) == 21, || "not yet".to_owned())
    })
    .await;
    assert!(lab.simulator.settled(Duration::from_secs(20)).await);
    lab.simulator.clear_faults();
    // First the ledger alone, then all that the worker remembers of commands and events.
    let ledger = "delete from worker.parts; delete from worker.commands;
                  delete from worker.positions where name in ('automate', 'commands')";
    let all = format!(
        "{ledger}; delete from worker.facts; delete from worker.echoes; delete from worker.intake;
         delete from worker.found_outcomes"
    );
    for (job, loss) in [("job-1", ledger), ("job-2", all.as_str())] {
        lose_and_replay(&mut lab, loss, job).await;
        assert_eq!(lab.simulator.count(CallKind::Send), 21, "{job}: something was sent again");
        for shop in &shops {
            let seen: usize = shop.people.iter().map(|person| person.received().len()).sum();
            assert_eq!(seen, 4 + 2 + 1);
        }
        let api = lab.api();
        for (replies, status) in [(&asked, "sent"), (&open, "unknown")] {
            for one in replies {
                let (code, reply) = api.get(&format!("/v1/replies/{}", one.reply_id)).await;
                assert_eq!((code, reply["status"].as_str()), (200, Some(status)), "{job}: {reply}");
            }
        }
    }
    // It goes on: a new wish is a new command.
    let wishes =
        shops.iter().map(|shop| (shop, &shop.people[2], "new".to_owned(), "new".to_owned()));
    let new = ask(&lab, wishes.collect()).await;
    lab.simulator.set_policy(|policy| policy.echoes = true).unwrap();
    eventually("it is sent", Duration::from_secs(20), async || {
        tests::client::holds(lab.simulator.count(CallKind::Send) == 24, || "not yet".to_owned())
    })
    .await;
    all_ended(&lab, 21, Duration::from_secs(20)).await;
    assert_eq!(audit(&lab, &new).await.of("sent"), 3);
}

/// More commands than one transaction accepts are behind the ledger that is lost; the worker dies after the first of these transactions.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_ledger_had_accepted_is_not_sent_whoever_dies_while_it_is_read_again() {
    let mut lab = Lab::start().await;
    lab.run_apart().await;
    let shops = crowd::open(&lab, 0..2, 10).await;
    let wishes = |count: usize, what: &str| -> Vec<_> {
        (0..count)
            .map(|n| {
                let shop = &shops[n % 2];
                let person = &shop.people[n / 2 % 10];
                (shop, person, format!("{what} {n}"), format!("{what}-{n}"))
            })
            .collect()
    };
    // Outcomes in the stream show that there was a ledger.
    ask(&lab, wishes(2, "before")).await;
    all_ended(&lab, 2, Duration::from_secs(30)).await;
    lab.hookline_ok(&["send", "freeze"]).await;
    let asked = ask(&lab, wishes(260, "held")).await;
    lab.settled().await;
    lab.kill9(Role::Worker).await;
    sqlx::raw_sql(
        "delete from worker.parts; delete from worker.commands; delete from worker.positions where name in ('automate', 'commands');
         delete from worker.facts; delete from worker.echoes; delete from worker.intake; delete from worker.found_outcomes",
    )
    .execute(lab.pool())
    .await
    .unwrap();
    lab.lapse(Role::Worker).await;
    lab.run_to_die(Role::Worker, "commands.after_commit=kill").await;
    assert!(lab.died(Role::Worker, Duration::from_secs(30)).await);
    lab.lapse(Role::Worker).await;
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    lab.hookline_ok(&["send", "thaw"]).await;
    let states = async || -> Vec<(String, i64)> {
        sqlx::query_as("select state, count(*) from worker.commands group by state order by state")
            .fetch_all(lab.pool())
            .await
            .unwrap()
    };
    let expected = [("sent".to_owned(), 2), ("unknown".to_owned(), asked.len() as i64)];
    eventually("all are parked", Duration::from_secs(60), async || {
        let states = states().await;
        tests::client::holds(states == expected, || format!("{states:?}"))
    })
    .await;
    assert_eq!(lab.simulator.count(CallKind::Send), 2);
}
