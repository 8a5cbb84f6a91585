//! Of many callbacks exactly the valid ones act.

use std::ops::Range;
use std::time::Duration;

use futures::StreamExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use simulator::{CallbackKind, signed_request};
use tests::lab::SECRET;
use tests::traffic::{seed, share, soak};
use tests::{Lab, Role, eventually};

/// Valid ones, and those that are forged or old.
const VALID: usize = 1_000;
const WRONG: usize = 10_000;
/// Requests at a time.
const AT_ONCE: usize = 8;

/// A callback, and the answer that it should have.
#[derive(Clone)]
struct Request {
    path: String,
    signed: String,
    status: u16,
}

impl Request {
    fn new(app: &str, n: usize, signed: String, status: u16) -> Self {
        let kind = [CallbackKind::Deauthorize, CallbackKind::Deletion][n % 2];
        Self { path: format!("/callbacks/{app}/{}", kind.as_str()), signed, status }
    }

    /// What is wrong with number `n`: another secret, a text that was changed after it was signed, too old, of the future, another app.
    fn wrong(n: usize, account: &str, now: i64) -> Self {
        let of = |secret, issued_at| signed_request(secret, account, issued_at);
        let right = of(SECRET, now);
        let (app, signed) = match n % 5 {
            0 => ("main", of("another-secret", now)),
            1 => {
                let (signature, _) = right.split_once('.').unwrap();
                let other = signed_request(SECRET, account, now - 1);
                ("main", format!("{signature}.{}", other.split_once('.').unwrap().1))
            }
            2 => ("main", of(SECRET, now - 86_500)),
            3 => ("main", of(SECRET, now + 7_200)),
            _ => ("other", right),
        };
        Self::new(app, n / 5, signed, 401)
    }
}

/// Accounts as they stand after `accounts add`, with tokens that no key opens: a callback needs none.
async fn accounts(lab: &Lab, numbers: Range<usize>) {
    sqlx::query(
        "insert into worker.accounts (id, channel, login, app, token, state, updated_at)
         select '178414' || lpad(n::text, 10, '0'), 'instagram', 'instagram', 'main', '\\x00'::bytea, 'active', now() - interval '1 hour'
           from generate_series($1, $2 - 1) n",
    )
    .bind(i32::try_from(numbers.start).unwrap())
    .bind(i32::try_from(numbers.end).unwrap())
    .execute(lab.pool())
    .await
    .unwrap();
    sqlx::query(
        "insert into worker.account_upkeep (channel, account_id, token_since, connected_at)
         select channel, id, updated_at, updated_at from worker.accounts on conflict do nothing",
    )
    .execute(lab.pool())
    .await
    .unwrap();
}

fn id(n: usize) -> String {
    format!("178414{n:010}")
}

async fn exactly_the_valid_act(of: f64) {
    let seed = seed();
    let (valid, wrong) = (share(VALID, of), share(WRONG, of));
    eprintln!("HOOKLINE_SEED={seed}: {valid} valid, {wrong} wrong");
    let mut lab = Lab::start().await;
    lab.set("PUBLIC_URL", "https://hookline.example/");
    for role in [Role::Ingest, Role::Worker] {
        lab.run(role).await;
    }
    lab.ready(Role::Worker).await;
    lab.ready(Role::Ingest).await;
    lab.point_meta_at_ingest();
    // The second half is named by none that is valid.
    accounts(&lab, 0..2 * valid).await;
    let now = chrono::Utc::now().timestamp();
    let mut requests: Vec<Request> = (0..valid)
        .map(|n| Request::new("main", n, signed_request(SECRET, &id(n), now), 200))
        .collect();
    requests.extend((0..wrong).map(|n| Request::wrong(n, &id(valid + n % valid), now)));
    // Some valid ones come twice.
    let again = requests.iter().take(valid / 10).cloned().collect::<Vec<_>>();
    requests.extend(again);
    requests.shuffle(&mut StdRng::seed_from_u64(seed));
    let (http, base) = (lab.meta().http, lab.url(Role::Ingest));
    let wrongly: Vec<String> = futures::stream::iter(requests)
        .map(|request| {
            let body = format!("signed_request={}", request.signed);
            let asked = http
                .post(format!("{base}{}", request.path))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body);
            async move {
                let answered = asked.send().await.unwrap().status().as_u16();
                (answered != request.status).then(|| format!("{}: {answered}", request.path))
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrongly.is_empty(), "{wrongly:?}");
    let states = async || -> Vec<(bool, String, i64)> {
        sqlx::query_as(
            "select id < $1, state, count(*) from worker.accounts group by 1, 2 order by 1, 2",
        )
        .bind(id(valid))
        .fetch_all(lab.pool())
        .await
        .unwrap()
    };
    let count = i64::try_from(valid).unwrap();
    let expected = [(false, "active".to_owned(), count), (true, "disconnected".to_owned(), count)];
    eventually("the valid ones act", Duration::from_secs(120), async || {
        let states = states().await;
        tests::client::holds(states == expected, || format!("{states:?}"))
    })
    .await;
    // What would act wrongly stands in the stream before a last valid one, if at all.
    one_more_acts(&lab, valid).await;
    let mut expected = expected.to_vec();
    expected.insert(1, (false, "disconnected".to_owned(), 1));
    assert_eq!(states().await, expected);
    let kept: i64 = sqlx::query_scalar("select count(*) from worker.callbacks")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(kept, count + 1, "each valid one acted once");
}

/// An account behind all others, disconnected by a callback behind all others.
async fn one_more_acts(lab: &Lab, valid: usize) {
    let last = id(2 * valid);
    accounts(lab, 2 * valid..2 * valid + 1).await;
    let (status, body) =
        lab.simulator.call_back("main", CallbackKind::Deauthorize, &last, None).await;
    assert_eq!(status, 200, "{body}");
    eventually("the last one acts", Duration::from_secs(60), async || {
        let state: String = sqlx::query_scalar("select state from worker.accounts where id = $1")
            .bind(&last)
            .fetch_one(lab.pool())
            .await
            .unwrap();
        tests::client::holds(state == "disconnected", || state.clone())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_callbacks_exactly_the_valid_ones_act() {
    exactly_the_valid_act(0.1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn soak_callbacks() {
    exactly_the_valid_act(soak()).await;
}
