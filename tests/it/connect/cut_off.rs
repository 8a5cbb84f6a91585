//! Logins that are cut off, and several at a time.

use std::time::Duration;

use simulator::AccountSpec;
use tests::{Lab, Role, eventually};

use super::{decide, dialog, lab, session, settled};

const SHOP: &str = "17841400000000101";

async fn accounts(lab: &Lab) -> i64 {
    sqlx::query_scalar("select count(*) from worker.accounts").fetch_one(lab.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies_a_session_ends_and_tabs_do_not_meet() {
    let mut lab = lab().await;
    lab.simulator.add_account(AccountSpec::instagram(SHOP)).unwrap();
    for role in [Role::Ingest, Role::Projector, Role::Api] {
        lab.run(role).await;
    }
    lab.run_to_die(Role::Worker, "connect.after_exchange=kill").await;
    lab.all_ready().await;
    lab.point_meta_at_ingest();

    // The worker dies when Meta has taken the code and the token is not stored.
    let mut web = session(&lab).await;
    let asked = dialog(&lab, &mut web, "instagram").await;
    let page = web.submit(&asked, "/dialog/decide", &[("decision", "allow")]).await;
    assert!(page.has("One moment"), "{}", page.html);
    assert!(lab.died(Role::Worker, Duration::from_secs(60)).await, "it goes on");
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    // Its claim lapses after a minute.
    sqlx::query("update worker.connections set claimed_until = now()")
        .execute(lab.pool())
        .await
        .unwrap();
    let page = settled(&lab, &mut web, page).await;
    assert!(page.status == 422 && page.has("The code was used"), "{}", page.html);
    assert_eq!(accounts(&lab).await, 0);

    // Two tabs: the one that was begun first comes back last, and each has its own result.
    let first = dialog(&lab, &mut web, "instagram").await;
    let second = dialog(&lab, &mut web, "instagram").await;
    let cancelled = decide(&lab, &mut web, &second, &[("decision", "cancel")]).await;
    assert!(cancelled.has("<h1>Cancelled</h1>"), "{}", cancelled.html);
    let done = decide(&lab, &mut web, &first, &[]).await;
    assert!(done.has("<h1>Connected</h1>"), "{}", done.html);
    assert_eq!(accounts(&lab).await, 1);
    // The code is forgotten an hour after it came.
    sqlx::query("update api.connects set returned_at = now() - interval '61 minutes'")
        .execute(lab.pool())
        .await
        .unwrap();
    lab.stop(Role::Api).await;
    lab.run(Role::Api).await;
    lab.ready(Role::Api).await;
    eventually("no code is kept", Duration::from_secs(60), async || {
        let kept: i64 =
            sqlx::query_scalar("select count(*) from api.connects where length(code) > 0")
                .fetch_one(lab.pool())
                .await
                .unwrap();
        tests::client::holds(kept == 0, || format!("{kept} codes"))
    })
    .await;
    let shown = web.open(done.url.as_str()).await;
    assert!(shown.has("<h1>Connected</h1>"), "{}", shown.html);

    // The session ends while a code waits for the worker: nothing is connected.
    lab.stop(Role::Worker).await;
    sqlx::query("delete from worker.accounts").execute(lab.pool()).await.unwrap();
    let asked = dialog(&lab, &mut web, "instagram").await;
    let page = web.submit(&asked, "/dialog/decide", &[("decision", "allow")]).await;
    assert!(page.has("One moment"), "{}", page.html);
    let index = web.open(&format!("{}/connect", lab.url(Role::Api))).await;
    assert!(web.submit(&index, "/session/end", &[]).await.has("Open a session"));
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    let mut other = session(&lab).await;
    let asked = dialog(&lab, &mut other, "instagram").await;
    let page = decide(&lab, &mut other, &asked, &[("decision", "cancel")]).await;
    assert!(page.has("<h1>Cancelled</h1>"), "{}", page.html);
    let left: i64 = sqlx::query_scalar(
        "select count(*) from worker.connections where step in ('exchanging', 'connecting')",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!((accounts(&lab).await, left), (0, 0));
    assert_eq!(web.open(page.url.as_str()).await.status, 403, "not of this browser");
}
