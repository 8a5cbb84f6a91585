//! Tokens: replaced before they end, and at no moment without one that works.

use std::time::Duration;

use serde_json::json;
use simulator::{AccountSpec, CallKind};
use tests::body::{IG, PAGE};
use tests::crowd::writes;
use tests::{Lab, Role, eventually};

use super::{busy_worker, set_upkeep, state, verb};

const LONG: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_replaced_in_time_and_meta_asked_once() {
    let mut lab = Lab::start().await;
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    set_upkeep(
        &lab,
        "token_since = now() - interval '45 days', token_ends = now() + interval '15 days', looked_at = now()",
    )
    .await;
    let (_, status) = verb(&lab, &["doctor"]).await;
    assert!(!status.to_string().contains("the token ends"), "{status}");
    shop.set_subscribed_fields(&[], &[]);
    busy_worker(&mut lab).await;
    eventually("the token is replaced and the fields are there", LONG, async || {
        let (tries, fields) = (shop.count(CallKind::TokenRefresh), shop.subscribed_fields());
        match tries {
            1 if shop.good_tokens().len() == 2 && fields.len() > 10 => Ok(()),
            _ => Err(format!("{tries} {fields:?}\n{}", lab.log(Role::Worker))),
        }
    })
    .await;
    // Only the new one is good from now on: it is the one in use.
    let stored: (i64, bool) = sqlx::query_as(
        "select extract(epoch from token_ends - now())::bigint / 86400, next_token is null from worker.account_upkeep",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(stored, (59, true));
    let new = shop.good_tokens().into_iter().find(|token| *token != shop.token()).unwrap();
    shop.set_token(&new);
    let (code, findings) = verb(&lab, &["accounts", "check", IG]).await;
    assert_eq!(code, 0, "{findings}");
    assert_eq!(shop.count(CallKind::TokenRefresh), 1);
    // No token in what the processes wrote.
    for text in [lab.log(Role::Worker), findings.to_string()] {
        assert!(!text.contains(&new) && !text.contains(&format!("IGSIM{IG}")), "a token is shown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_point_of_a_refresh_keeps_a_token_that_works() {
    let lab = Lab::start().await;
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    for (n, point) in [
        "refresh.before_call",
        "refresh.after_call",
        "refresh.after_keep",
        "refresh.before_use",
        "refresh.after_use",
    ]
    .into_iter()
    .enumerate()
    {
        // Refreshing one that is less than a day old is refused: Meta's clock goes on by two days each time.
        let ahead = i64::try_from(n).unwrap() * 2 * 86_400_000;
        lab.simulator.set_policy(|policy| policy.clock_ahead_ms = ahead).unwrap();
        let kill = format!("{point}=kill");
        let (code, out, err) = lab
            .hookline_with(&["accounts", "refresh", IG], &[(runtime::failpoint::ENV, &kill)])
            .await;
        assert_eq!(code, -1, "{point} was not reached: {out}{err}");
        let (code, findings) = verb(&lab, &["accounts", "check", IG]).await;
        assert!(code == 0 && state(&lab, IG).await == "active", "{point}: {findings}");
    }
    let (code, done) = verb(&lab, &["accounts", "refresh", IG]).await;
    assert_eq!((code, &done[0]["refreshed"]), (1, &json!("no")), "too young: {done}");
    assert_eq!(state(&lab, IG).await, "active", "a token that is too young stops nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_meta_refuses_stops_the_account_and_a_waiting_new_one_starts_it_again() {
    let mut lab = Lab::start().await;
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &[]).await;
    // A new token is stored and has not answered; meanwhile Meta ends the old one, and the Page's.
    let kill = [(runtime::failpoint::ENV, "refresh.after_keep=kill")];
    let (code, ..) = lab.hookline_with(&["accounts", "refresh", IG], &kill).await;
    assert_eq!(code, -1);
    let new = shop.good_tokens().into_iter().find(|token| *token != shop.token()).unwrap();
    shop.set_token(&new);
    page.expire_token();
    sqlx::query(
        "update worker.accounts set state = 'stopped', state_reason = 'test' where id = $1",
    )
    .bind(IG)
    .execute(lab.pool())
    .await
    .unwrap();
    set_upkeep(
        &lab,
        "refresh_tried_at = now() - interval '1 hour', looked_at = now() - interval '2 days'",
    )
    .await;
    busy_worker(&mut lab).await;
    eventually("the new token is used, the Page is stopped", LONG, async || {
        match (state(&lab, IG).await.as_str(), state(&lab, PAGE).await.as_str()) {
            ("active", "stopped") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for role in [Role::Ingest, Role::Projector, Role::Api] {
        lab.run(role).await;
        lab.ready(role).await;
    }
    lab.point_meta_at_ingest();
    // A reply waits for the Page's token, and goes on with a new one.
    let (person, conversation) = writes(&lab, &page, "Ann Berg").await;
    let path = format!("/v1/conversations/{conversation}/messages");
    let (status, queued) = lab.api().post_once(&path, "key-4", json!({"text": "later"})).await;
    assert_eq!(status, 202, "{queued}");
    page.set_token("EAASIMnew");
    lab.add_account("messenger", "facebook", PAGE, "EAASIMnew", &[]).await;
    eventually("the reply arrives", LONG, async || {
        let texts = person.texts_received();
        if texts == ["later"] { Ok(()) } else { Err(format!("{texts:?}")) }
    })
    .await;
    // What came is known by Meta's field.
    eventually("the last webhook of a field is known", LONG, async || {
        let (_, health) = lab.api().get(&format!("/v1/accounts/{PAGE}/health")).await;
        tests::client::holds(health["last_webhooks"]["messages"].is_string(), || health.to_string())
    })
    .await;
}
