//! Sending under faults and load: one id, at most one effect, always an outcome. The oracle is what the simulator's people saw.

mod clocks;
mod counted;
mod jumps;
mod load;
mod lost;
mod put_back;
mod restored;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use simulator::{CallKind, Fault, FaultRule, Usage};
use tests::crowd::{self, Shop, all_ended, ask, audit};
use tests::lab::{is_stopped, signal};
use tests::{Lab, Role, eventually};

use load::misfortune;

/// `count` replies over 20 accounts while the worker is killed every few seconds.
async fn many_sends(count: usize, people: usize, kills_max: usize, within: Duration) {
    let mut lab = Lab::with_roles_apart().await;
    let shops = crowd::open(&lab, 0..20, people).await;
    misfortune(&lab);
    let began = Instant::now();
    let wishes = (0..count).map(|n| {
        let shop = &shops[n % shops.len()];
        let person = &shop.people[n / shops.len() % shop.people.len()];
        (shop, person, format!("text {n}"), format!("key-{n}"))
    });
    let asked = ask(&lab, wishes.collect()).await;
    assert_eq!(asked.len(), count);
    let queued = began.elapsed();
    let mut kills = 0;
    let mut next_kill = Instant::now() + Duration::from_secs(1);
    eventually("every command has an outcome", within, async || {
        if kills < kills_max && next_kill < Instant::now() {
            lab.kill9(Role::Worker).await;
            lab.run(Role::Worker).await;
            kills += 1;
            next_kill = Instant::now() + Duration::from_secs(4);
        }
        let open: i64 = sqlx::query_scalar(
            "select $1 - count(*) from worker.commands where state <> 'open' and outcome_published",
        )
        .bind(i64::try_from(count).unwrap())
        .fetch_one(lab.pool())
        .await
        .map_err(|error| error.to_string())?;
        tests::client::holds(open == 0, || format!("{open} open after {kills} kills"))
    })
    .await;
    let took = began.elapsed();
    assert!(lab.simulator.settled(Duration::from_secs(60)).await);
    lab.settled().await;
    let tally = audit(&lab, &asked).await;
    let calls = lab.simulator.count(CallKind::Send);
    println!(
        "{count} sends: {tally:?} with {calls} calls, {kills} kills; queued in {queued:?}, ended in {took:?}"
    );
    assert!(kills >= kills_max.min(3), "only {kills} kills while sends were open");
    assert_eq!(tally.of("failed"), 0, "nothing of all this says never: {tally:?}");
    assert!(count * 99 <= tally.of("sent") * 100, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_kills_double_nothing_and_lose_nothing() {
    many_sends(500, 25, 5, Duration::from_secs(180)).await;
}

/// The full number of the promise; takes many minutes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak"]
async fn soak_ten_thousand_sends_under_faults_and_kills() {
    many_sends(10_000, 50, usize::MAX, Duration::from_secs(3_600)).await;
}

/// One worker freezes right before it asks Meta, another right after, for longer than their leases and until a third has dealt with
/// what they held; then they wake. With the real lease, and the real pause between the reads that prove a message absent.
#[tokio::test(flavor = "multi_thread")]
async fn frozen_workers_that_wake_after_their_leases_send_nothing_again() {
    let mut lab = Lab::start().await;
    lab.wait_really();
    lab.run_all().await;
    let shops = crowd::open(&lab, 0..3, 12).await;
    for (n, failpoint) in [(1, "send.before_call=stop@2"), (2, "send.after_call=stop@2")] {
        lab.set(runtime::failpoint::ENV, failpoint);
        lab.run_nth(Role::Worker, n).await;
        lab.settings.remove(runtime::failpoint::ENV);
        lab.ready_nth(Role::Worker, n).await;
    }
    let mut wishes = Vec::new();
    for shop in &shops {
        for (n, person) in shop.people.iter().enumerate() {
            for turn in 0..2 {
                wishes.push((shop, person, format!("text {n} {turn}"), format!("{n}-{turn}")));
            }
        }
    }
    let count = wishes.len();
    let asked = ask(&lab, wishes).await;
    for n in [1, 2] {
        let pid = lab.pid(Role::Worker, n);
        is_stopped(pid, "a worker is frozen while it sends", Duration::from_secs(30)).await;
    }
    all_ended(&lab, count, Duration::from_secs(90)).await;
    assert!(lab.simulator.settled(Duration::from_secs(20)).await);
    let before = lab.simulator.count(CallKind::Send);
    for n in [1, 2] {
        signal(lab.pid(Role::Worker, n), rustix::process::Signal::CONT);
    }
    // Awake again, they work: what is asked for now is sent by any of the three.
    let more =
        shops.iter().map(|shop| (shop, &shop.people[0], "more".to_owned(), "more".to_owned()));
    let mut all = asked;
    all.extend(ask(&lab, more.collect()).await);
    for n in [1, 2] {
        lab.ready_nth(Role::Worker, n).await;
    }
    all_ended(&lab, count + shops.len(), Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_secs(2)).await; // for a call that must not come there is nothing to wait for
    assert_eq!(lab.simulator.count(CallKind::Send), before + shops.len() as u64);
    let tally = audit(&lab, &all).await;
    assert_eq!(tally.of("sent"), all.len(), "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_text_twice_on_purpose_arrives_exactly_twice() {
    let lab = Lab::with_roles_apart().await;
    let shops = crowd::open(&lab, 0..3, 9).await;
    let faults = [
        None,
        Some(Fault::ResetAfter),
        Some(Fault::ResetBefore),
        Some(Fault::TimeoutAfter),
        Some(Fault::ServerErrorBefore),
        Some(Fault::ServerErrorAfter),
        Some(Fault::BadGatewayAfter),
        Some(Fault::TimeoutBefore),
        Some(Fault::TemporaryBefore),
    ];
    let mut asked = Vec::new();
    // One pair after the other has its first send fail in its own way; people of one account are served side by side meanwhile.
    for (n, fault) in faults.into_iter().enumerate() {
        for shop in &shops {
            if let Some(fault) = fault {
                let rule = FaultRule::new(fault).on(CallKind::Send).of(shop.account.id());
                lab.simulator.fault(rule.times(1));
            }
            let person = &shop.people[n];
            let wishes =
                ["a", "b"].map(|key| (shop, person, "ok".to_owned(), format!("{n}-{key}")));
            let calls = shop.account.count(CallKind::Send);
            asked.extend(ask(&lab, wishes.into_iter().collect()).await);
            eventually("its first call was made", Duration::from_secs(20), async || {
                tests::client::holds(calls < shop.account.count(CallKind::Send), || {
                    "none".to_owned()
                })
            })
            .await;
        }
    }
    all_ended(&lab, asked.len(), Duration::from_secs(120)).await;
    assert!(lab.simulator.settled(Duration::from_secs(20)).await);
    lab.settled().await;
    let tally = audit(&lab, &asked).await;
    assert_eq!(tally.of("sent"), asked.len(), "{tally:?}");
    for shop in &shops {
        for person in &shop.people {
            assert_eq!(person.texts_received(), ["ok", "ok"], "{}", person.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_account_is_left_alone_and_the_others_go_on() {
    let lab = Lab::with_roles_apart().await;
    let shops = crowd::open(&lab, 0..4, 10).await;
    let pause = Duration::from_secs(5);
    let mut wishes = Vec::new();
    for n in 0..100 {
        for shop in &shops {
            wishes.push((shop, &shop.people[n % 10], format!("text {n}"), format!("{n}")));
        }
    }
    let count = wishes.len();
    let throttle = async {
        eventually("all accounts send", Duration::from_secs(60), async || {
            let fewest = shops.iter().map(|shop| shop.account.count(CallKind::Send)).min();
            tests::client::holds(fewest >= Some(5), || format!("{fewest:?}"))
        })
        .await;
        // 0: answers say 100 %. 1: they also refuse. 2 and 3 are well.
        let since = Utc::now();
        for (shop, refuse) in [(&shops[0], false), (&shops[1], true)] {
            let usage = Usage { percent: 100, regain_minutes: 0, refuse };
            shop.account.set_usage(usage, Some(pause));
        }
        since
    };
    let (asked, since) = tokio::join!(ask(&lab, wishes), throttle);
    all_ended(&lab, count, Duration::from_secs(90)).await;
    let over = since + TimeDelta::from_std(pause).unwrap();
    let sends = |shop: &Shop| -> Vec<DateTime<Utc>> {
        shop.account.calls(None).iter().map(|call| call.at).filter(|at| since <= *at).collect()
    };
    let mut resumed = None;
    for shop in &shops[..2] {
        let calls = sends(shop);
        // What was under way when the first answer came could not know.
        let known = calls[0] + TimeDelta::milliseconds(250);
        let during = calls.iter().filter(|at| known < **at && **at < over).count();
        let under_way = calls.iter().filter(|at| **at <= known).count();
        println!("{}: {under_way} calls before it was known, {during} after", shop.account.id());
        assert_eq!(during, 0, "{:?}: {calls:?}", shop.account);
        resumed = resumed.max(calls.into_iter().find(|at| over <= *at));
    }
    for shop in &shops[2..] {
        let during = sends(shop).iter().filter(|at| **at < over).count();
        println!("{}: {during} calls meanwhile", shop.account.id());
        // Held up by the others, it would be the two that were under way.
        assert!(during > 8, "{:?} sent {during} while others were throttled", shop.account);
    }
    println!("resumed {} after the end", resumed.unwrap() - over);
    let tally = audit(&lab, &asked).await;
    assert_eq!(tally.of("sent"), count, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_costs_one_call_and_no_command() {
    let lab = Lab::with_roles_apart().await;
    let shops = crowd::open(&lab, 0..3, 20).await;
    // Calls have gone well, as on any day; not so many in a row that more than two may be in flight.
    let mut wishes = Vec::new();
    for shop in &shops {
        for n in 0..40 {
            wishes.push((shop, &shop.people[n % 20], format!("before {n}"), format!("before-{n}")));
        }
    }
    let before = wishes.len();
    let mut asked = ask(&lab, wishes).await;
    all_ended(&lab, before, Duration::from_secs(30)).await;
    // The window of some people closes while the queue waits; sends stop two minutes early.
    let late: Vec<_> = shops
        .iter()
        .flat_map(|shop| (0..4).map(move |n| (shop, shop.account.person(&format!("Late {n}")))))
        .collect();
    let closes_in = TimeDelta::seconds(12);
    let closing = Utc::now() + closes_in;
    for (_, person) in &late {
        let wrote = person.ago(TimeDelta::hours(24) - TimeDelta::seconds(120) - closes_in);
        wrote.says("hello?").accepted().await.unwrap();
    }
    // No read of a name may be under way when the tokens expire.
    crowd::named(&lab, 3 * 24).await;
    for shop in &shops {
        shop.account.expire_token();
    }
    let mut wishes: Vec<_> = late
        .iter()
        .map(|(shop, person)| (*shop, person, "too late".to_owned(), "late".to_owned()))
        .collect();
    let queued = 500 - wishes.len();
    asked.extend(ask(&lab, std::mem::take(&mut wishes)).await);
    assert!(Utc::now() < closing, "too slow to ask before the window closes");
    for n in 0..queued {
        let shop = &shops[n % shops.len()];
        let person = &shop.people[n / shops.len() % 20];
        wishes.push((shop, person, format!("queued {n}"), format!("queued-{n}")));
    }
    asked.extend(ask(&lab, wishes).await);
    eventually("the accounts are stopped, and said to be", Duration::from_secs(20), async || {
        let (_, listed) = lab.api().get("/v1/accounts").await;
        let text = listed.to_string();
        tests::client::holds(text.matches("stopped").count() >= shops.len(), || text.clone())
    })
    .await;
    let (_, out, _) = lab.hookline(&["accounts", "list", "--output", "json"]).await;
    assert!(out.matches("190").count() >= shops.len(), "the list says why: {out}");
    let left = (closing - Utc::now()).to_std().unwrap_or_default();
    tokio::time::sleep(left + Duration::from_secs(1)).await;
    for shop in &shops {
        let calls = shop.account.calls(None);
        let first = calls.iter().position(|call| call.code == Some(190)).unwrap();
        let after = calls.len() - first - 1;
        println!("{}: {after} calls after the first 190", shop.account.id());
        assert!(after <= 1, "{:?}: {:?}", shop.account, &calls[first..]);
    }
    let waiting: i64 =
        sqlx::query_scalar("select count(*) from worker.commands where state = 'open'")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    println!("{waiting} commands wait for a token");
    assert!(waiting >= i64::try_from(queued).unwrap(), "{waiting} wait");
    for shop in &shops {
        shop.account.set_token(&format!("{}new", shop.account.token()));
        shop.reconnect(&lab).await;
    }
    let took = all_ended(&lab, asked.len(), Duration::from_secs(60)).await;
    println!("all ended {took:?} after the new tokens");
    let tally = audit(&lab, &asked).await;
    assert_eq!((tally.of("sent"), tally.of("failed")), (before + queued, late.len()), "{tally:?}");
    let api = lab.api();
    for one in asked.iter().filter(|one| one.text == "too late") {
        let (_, reply) = api.get(&format!("/v1/replies/{}", one.reply_id)).await;
        assert_eq!(reply["error"]["code"], "window_closed", "{reply}");
        assert!(one.person.received().is_empty());
    }
}
