//! Facebook Login: Pages and their Instagram accounts, listed by Meta or not, chosen, and known before or not; the api dies on the way.

use simulator::AccountSpec;
use tests::web::{Page, Web};
use tests::{Lab, Role};

use super::{decide, dialog, enter, first_conversation, lab, secrets, settled};

const SHOP: &str = "17841400000000101";
const PAGE: &str = "103000000000301";
const FIGURES: &str = "103000000000402";

async fn ready(lab: &mut Lab) {
    let simulator = &lab.simulator;
    simulator
        .add_account(AccountSpec::messenger(PAGE).named("Lumen Lamps", "lumenlamps"))
        .unwrap()
        .unsubscribe();
    simulator.add_account(AccountSpec::instagram_by_page(SHOP, PAGE)).unwrap();
    simulator
        .add_account(AccountSpec::messenger(FIGURES).named("Cafe, figures only", "cafe"))
        .unwrap();
    simulator
        .add_account(AccountSpec::messenger("103000000000503").named("Third", "third"))
        .unwrap();
    lab.run_apart().await;
}

/// Logins whose requests ended with their sessions: eight young ones, as many as there are places, and an old one.
async fn requests_gone(lab: &Lab) {
    sqlx::query(
        "insert into worker.connections (id, login, app, step, token, due_at, created_at)
         select 'con_gone' || n, 'facebook', 'main', 'connecting', '\\x00'::bytea, now() - interval '1 day',
                now() - make_interval(hours => case n when 0 then 2 else 0 end)
           from generate_series(0, 8) n",
    )
    .execute(lab.pool())
    .await
    .unwrap();
}

/// What is not offered, or has something in its way, is no choice; nor is that of a login which this browser did not begin.
async fn what_is_no_choice(web: &mut Web, page: &Page) {
    let none = web.submit(page, "/connect/choose", &[("account", "")]).await;
    assert!(none.has("Choose at least one account."), "{}", none.html);
    for wrong in ["messenger/1", &format!("messenger/{FIGURES}")] {
        let none = web.submit(page, "/connect/choose", &[("account", wrong)]).await;
        assert!(none.has("Choose at least one account."), "{wrong}: {}", none.html);
    }
    let foreign = web.submit(page, "/connect/choose", &[("login", "con_0")]).await;
    assert!(foreign.status == 403 && foreign.has("Not from this browser"), "{}", foreign.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_chosen_and_what_was_known_stays() {
    let mut lab = lab().await;
    ready(&mut lab).await;
    // Known by the other login, under an alias that Meta uses elsewhere, with a text of its own.
    let more = ["--alias", "25500000000000101", "--auto-reply", "Thanks!", "--name", "The shop"];
    lab.add_account("instagram", "instagram", SHOP, "IGAA-old", &more).await;

    let (_verb, address) = super::connect_verb(&lab, "facebook").await;
    let mut web = Web::default();
    enter(&mut web, &address).await;
    requests_gone(&lab).await;
    let (mut first, mut last) = (None, None);
    // Portfolios: an empty list, or one without some, and Pages all the same.
    for listing in ["named", "mixed", "all", "listed"] {
        let asked = dialog(&lab, &mut web, "facebook").await;
        let page = decide(&lab, &mut web, &asked, &[("listing", listing)]).await;
        assert!(page.has("Choose what to connect"), "{listing}: {}", page.html);
        assert!(
            page.has(&format!("value=\"messenger/{PAGE}\""))
                && page.has("value=\"messenger/103000000000503\""),
            "{listing}: {}",
            page.html
        );
        assert!(page.has(&format!("value=\"instagram/{SHOP}\"")), "{listing}: {}", page.html);
        if listing == "named" {
            first = Some(page);
            continue;
        }
        last = Some(page);
        let page = last.as_ref().unwrap();
        if listing == "listed" {
            assert!(!page.has(&format!("value=\"messenger/{FIGURES}\"")), "{}", page.html);
            assert!(page.has("Ask its administrator for the task"), "{}", page.html);
        }
    }
    // The api dies between listing and choosing: session and login are in Postgres.
    lab.kill9(Role::Api).await;
    lab.run(Role::Api).await;
    lab.ready(Role::Api).await;
    let page = web.open(last.unwrap().url.as_str()).await;
    assert!(page.has("Choose what to connect"), "{}", page.html);
    what_is_no_choice(&mut web, &page).await;
    // In another tab stands the list of a login that was begun before: its choice is its own.
    let third = [("account", "messenger/103000000000503")];
    let other = web.submit(&first.unwrap(), "/connect/choose", &third).await;
    let other = settled(&lab, &mut web, other).await;
    assert!(other.has("<h1>Connected</h1>") && other.has("Third"), "{}", other.html);
    let page_choice = format!("messenger/{PAGE}");
    let shop_choice = format!("instagram/{SHOP}");
    let choices = [("account", page_choice.as_str()), ("account", shop_choice.as_str())];
    let done = web.submit(&page, "/connect/choose", &choices).await;
    let done = settled(&lab, &mut web, done).await;
    assert!(done.has("<h1>Connected</h1>") && done.has("connected again"), "{}", done.html);

    let (_, accounts) = lab.api().get("/v1/accounts").await;
    let all = accounts["accounts"].as_array().unwrap();
    assert_eq!(all.len(), 3, "{accounts}");
    let shop = all.iter().find(|one| one["id"] == SHOP).unwrap();
    assert_eq!((&shop["login"], &shop["page_id"]), (&"facebook".into(), &PAGE.into()), "{shop}");
    assert_eq!(
        (&shop["auto_reply"], &shop["name"]),
        (&"Thanks!".into(), &"The shop".into()),
        "{shop}"
    );
    assert_eq!(shop["aliases"], serde_json::json!(["25500000000000101"]), "{shop}");
    let page = all.iter().find(|one| one["id"] == PAGE).unwrap();
    assert_eq!((&page["channel"], &page["name"]), (&"messenger".into(), &"Lumen Lamps".into()));
    let tokens: i64 = sqlx::query_scalar(
        "select count(*) from worker.connections where step = 'done' and token is not null",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(tokens, 0, "the person's token is forgotten");
    let kept: Vec<String> = sqlx::query_scalar(
        "select id from worker.connections where id like 'con_gone%' and step = 'connecting' and token is not null order by id",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert_eq!(kept.len(), 8, "those of an hour ago are ended: {kept:?}");
    first_conversation(&lab, PAGE, "Jonas Lindqvist").await;
    secrets::are_nowhere(&lab, &[]).await;
}
