//! Connecting accounts in a browser, against the simulated Meta: both logins from the one-time link to the first conversation; whatever a browser
//! must not bring back; and no secret anywhere in what was written.

mod browser;
mod cut_off;
mod facebook;
mod refusals;
mod secrets;

use std::process::Stdio;
use std::time::Duration;

use tests::web::{Page, Web};
use tests::{Lab, Role, eventually};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

/// A lab that accounts can be connected in.
async fn lab() -> Lab {
    let mut lab = Lab::start().await;
    lab.connect_in_browser();
    lab
}

/// `hookline accounts connect`, with the address it printed.
async fn connect_verb(lab: &Lab, login: &str) -> (Child, String) {
    let mut child = lab
        .command(&["accounts", "connect", "--login", login, "--wait", "5m"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("an address");
        if line.contains("/session#") {
            break line.trim().to_owned();
        }
    };
    // What it says next stays in the pipe.
    child.stdout = Some(lines.into_inner().into_inner());
    (child, address)
}

/// Opens a session by a link: the page `/connect`.
async fn enter(web: &mut Web, address: &str) -> Page {
    let sign_in = web.open(address).await;
    assert_eq!(sign_in.status, 200, "{}", sign_in.html);
    let (_, code) = address.split_once('#').unwrap();
    let page = web.submit(&sign_in, "/session/link", &[("code", code)]).await;
    assert_eq!((page.status, page.url.path()), (200, "/connect"), "{}", page.html);
    page
}

/// A session without the verb.
async fn session(lab: &Lab) -> Web {
    let code = api_link(lab).await;
    let mut web = Web::default();
    enter(&mut web, &format!("{}/session#{code}", lab.url(Role::Api))).await;
    web
}

async fn api_link(lab: &Lab) -> String {
    let (_child, address) = connect_verb(lab, "instagram").await;
    address.split_once('#').unwrap().1.to_owned()
}

/// Begins a login: Meta's dialog.
async fn dialog(lab: &Lab, web: &mut Web, login: &str) -> Page {
    let page = web.open(&format!("{}/connect/{login}?app=main", lab.url(Role::Api))).await;
    assert!(page.has("An app asks for access."), "{}", page.html);
    page
}

/// Decides at Meta, comes back, and waits until the worker is done.
async fn decide(lab: &Lab, web: &mut Web, dialog: &Page, changes: &[(&str, &str)]) -> Page {
    let mut all = changes.to_vec();
    if !changes.iter().any(|(name, _)| *name == "decision") {
        all.push(("decision", "allow"));
    }
    let page = web.submit(dialog, "/dialog/decide", &all).await;
    settled(lab, web, page).await
}

/// The page, loaded again while it says that Meta is being asked.
async fn settled(lab: &Lab, web: &mut Web, page: Page) -> Page {
    let mut page = page;
    for _ in 0..20 {
        if !page.has("One moment") {
            return page;
        }
        page = web.open(page.url.as_str()).await;
    }
    panic!("Meta is still being asked: {}", lab.log(Role::Worker));
}

async fn first_conversation(lab: &Lab, account: &str, name: &str) {
    let said = lab.simulator.account(account).unwrap().person(name).says("Is the lamp in stock?");
    said.accepted().await.unwrap();
    eventually("the first conversation has a name", Duration::from_secs(60), async || {
        let conversations = lab.api().conversations().await;
        let there = conversations
            .iter()
            .any(|one| one["account_id"] == account && one["contact"]["name"] == name);
        if there { Ok(()) } else { Err(format!("{conversations:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instagram_from_the_link_to_the_first_conversation() {
    let mut lab = lab().await;
    let shop = "17841400000000101";
    lab.simulator.add_account(simulator::AccountSpec::instagram(shop)).unwrap().unsubscribe();
    lab.run_all().await;
    let (verb, address) = connect_verb(&lab, "instagram").await;
    let mut web = Web::default();
    let index = enter(&mut web, &address).await;
    assert!(index.has("/connect/instagram?app=main") && index.has("Insufficient developer role"));
    assert_eq!(index.headers["referrer-policy"], "same-origin");
    assert_eq!(index.headers["cache-control"], "no-store");
    // The link works once.
    let mut other = Web::default();
    let sign_in = other.open(&address).await;
    let (_, code) = address.split_once('#').unwrap();
    let again = other.submit(&sign_in, "/session/link", &[("code", code)]).await;
    assert_eq!(again.status, 401, "{}", again.html);
    assert!(again.has("This link was used") && other.cookie("__Host-hookline").is_none());

    // Comments are left unticked: connected, and what it costs is named.
    let asked = dialog(&lab, &mut web, "instagram").await;
    assert_eq!(asked.fields().iter().filter(|(name, _)| name == "scope").count(), 4);
    let changes =
        [("scope", "instagram_business_basic"), ("scope", "instagram_business_manage_messages")];
    let done = decide(&lab, &mut web, &asked, &changes).await;
    assert!(done.has("<h1>Connected</h1>") && done.has("@lumen.lamps"), "{}", done.html);
    assert!(done.has("instagram_business_manage_comments (without it comments"), "{}", done.html);
    assert_eq!(done.url.query(), None, "code and state are out of the address");

    let output = tokio::time::timeout(Duration::from_secs(60), verb.wait_with_output()).await;
    let output = output.expect("the verb ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains(&format!("instagram/{shop} connected")),
        "{said}"
    );

    let (_, accounts) = lab.api().get("/v1/accounts").await;
    let account = &accounts["accounts"][0];
    assert_eq!((&account["id"], &account["app"]), (&shop.into(), &"main".into()), "{accounts}");
    assert_eq!(account["aliases"], serde_json::json!(["25541400000000101"]));
    let ends: i64 = sqlx::query_scalar(
        "select extract(day from token_ends - now())::bigint from worker.account_upkeep",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(ends, 59);
    first_conversation(&lab, shop, "Ann Berg").await;

    // A page loaded twice exchanges nothing twice and shows the first result.
    let given = lab.simulator.given_secrets().len();
    let shown = web.open(done.url.as_str()).await;
    assert!(shown.has("<h1>Connected</h1>"), "{}", shown.html);
    assert_eq!(lab.simulator.given_secrets().len(), given);
    secrets::are_nowhere(&lab, &[code]).await;
}
