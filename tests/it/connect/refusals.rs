//! What connects nothing: each is a page that says what to do, and nothing is stored.

use simulator::{AccountSpec, CallKind, CodeRefusal, Fault, FaultRule};
use tests::web::{Page, Web};
use tests::{Lab, Role};

use super::{decide, dialog, lab, secrets, session};

async fn stored(lab: &Lab) -> (i64, i64) {
    sqlx::query_as(
        "select (select count(*) from worker.accounts), (select count(*) from worker.connections where step <> 'refused')",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap()
}

fn shows(page: &Page, status: u16, words: &[&str]) {
    assert_eq!(page.status, status, "{}", page.html);
    for words in words {
        assert!(page.has(words), "`{words}` is missing: {}", page.html);
    }
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
}

/// The address that Meta sends the browser to, without going there.
async fn address_back(lab: &Lab, dialog: &Page) -> String {
    let fields: Vec<(String, String)> =
        dialog.fields().into_iter().chain([("decision".to_owned(), "allow".to_owned())]).collect();
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let url = lab.simulator.control_url().replace("/sim", "/dialog/decide");
    let asked = http.build().unwrap().post(url).body(form);
    asked.send().await.unwrap().headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_must_not_bring_back_connects_nothing() {
    let mut lab = lab().await;
    lab.simulator.add_account(AccountSpec::instagram("17841400000000101")).unwrap();
    lab.run_all().await;
    let api = lab.url(Role::Api);

    // Without a session nobody gets to Meta, and a token of lesser rights is not enough.
    let mut nobody = Web::default();
    shows(
        &nobody.open(&format!("{api}/connect/instagram?app=main")).await,
        401,
        &["Open a session"],
    );
    let sign_in = nobody.open(&format!("{api}/session")).await;
    shows(
        &nobody.submit(&sign_in, "/session", &[("token", "wrong")]).await,
        401,
        &["not one of API_TOKENS"],
    );

    let mut web = session(&lab).await;
    // Forged: with a login of its own, and without any.
    dialog(&lab, &mut web, "instagram").await;
    for browser in [&mut web, &mut nobody] {
        let page = browser.open(&format!("{api}/connect/callback?code=AQ1&state=forged")).await;
        shows(&page, 403, &["Not from this browser", "somebody may have sent you a link"]);
        let page = browser.open(&format!("{api}/connect/callback?code=AQ1")).await;
        shows(&page, 403, &["Not from this browser"]);
    }
    // Foreign: the right state in another session's browser, with and without a login of its own.
    let asked = dialog(&lab, &mut web, "instagram").await;
    let back = address_back(&lab, &asked).await;
    let mut other = session(&lab).await;
    shows(&other.come_from_elsewhere(&back).await, 403, &["Not from this browser"]);
    dialog(&lab, &mut other, "instagram").await;
    shows(&other.come_from_elsewhere(&back).await, 403, &["Not from this browser"]);
    // Late.
    sqlx::query("update api.connects set expires_at = now() - interval '1 second'")
        .execute(lab.pool())
        .await
        .unwrap();
    shows(&web.come_from_elsewhere(&back).await, 410, &["longer than ten minutes"]);
    // Of a session whose token was taken out of API_TOKENS meanwhile.
    let asked = dialog(&lab, &mut web, "instagram").await;
    let back = address_back(&lab, &asked).await;
    let taken_out = "update api.sessions set token = '\\x00'";
    sqlx::query(taken_out).execute(lab.pool()).await.unwrap();
    shows(&web.come_from_elsewhere(&back).await, 403, &["Not from this browser"]);
    sqlx::query("update api.sessions set token = null").execute(lab.pool()).await.unwrap();
    // Of a session that has ended.
    let asked = dialog(&lab, &mut web, "instagram").await;
    let back = address_back(&lab, &asked).await;
    let index = web.open(&format!("{api}/connect")).await;
    shows(&web.submit(&index, "/session/end", &[]).await, 200, &["Open a session"]);
    shows(&web.come_from_elsewhere(&back).await, 403, &["Not from this browser"]);

    assert_eq!(stored(&lab).await, (0, 0));
    let used: i64 =
        sqlx::query_scalar("select count(*) from api.connects where returned_at is not null")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(used, 0, "no state was used up by somebody else");

    refused_by_meta(&lab).await;
    replayed(&lab).await;
    writes_come_from_our_pages(&lab).await;
    secrets::are_nowhere(&lab, &[]).await;
}

async fn refused_by_meta(lab: &Lab) {
    let mut web = session(lab).await;
    let asked = dialog(lab, &mut web, "instagram").await;
    let page = decide(lab, &mut web, &asked, &[("decision", "cancel")]).await;
    shows(&page, 200, &["<h1>Cancelled</h1>", "user_denied", "Begin again"]);
    let asked = dialog(lab, &mut web, "instagram").await;
    let page = decide(lab, &mut web, &asked, &[("account", "")]).await;
    shows(&page, 422, &["No professional account", "Switch to professional account"]);
    let asked = dialog(lab, &mut web, "instagram").await;
    let page = decide(lab, &mut web, &asked, &[("scope", "instagram_business_basic")]).await;
    shows(
        &page,
        422,
        &[
            "A permission is missing",
            "instagram_business_manage_messages (without it no message is received or sent)",
        ],
    );
    for (login, refusal, words) in [
        (
            "instagram",
            CodeRefusal::Used,
            ["Instagram refused the code", "Matching code was not found"],
        ),
        ("facebook", CodeRefusal::Used, ["The code was used", "Begin again"]),
        (
            "facebook",
            CodeRefusal::Redirect,
            ["The redirect address is refused", "/connect/callback"],
        ),
        ("facebook", CodeRefusal::App, ["The app is refused", "990000000000001"]),
    ] {
        lab.simulator.set_policy(|policy| policy.refuse_codes = Some(refusal)).unwrap();
        let asked = dialog(lab, &mut web, login).await;
        let page = decide(lab, &mut web, &asked, &[]).await;
        shows(&page, 422, &words);
    }
    lab.simulator.set_policy(|policy| policy.refuse_codes = None).unwrap();
    let asked = dialog(lab, &mut web, "facebook").await;
    shows(&decide(lab, &mut web, &asked, &[]).await, 422, &["No Page", "portfolio"]);
    assert_eq!(stored(lab).await, (0, 0));
}

/// The same address once more shows the first result: no second exchange. The older form of Meta's answer is read, too.
async fn replayed(lab: &Lab) {
    lab.simulator.set_policy(|policy| policy.flat_code_answers = true).unwrap();
    let mut web = session(lab).await;
    let asked = dialog(lab, &mut web, "instagram").await;
    let back = address_back(lab, &asked).await;
    // Meta is away for longer than one try, behind the exchange of the code: the next try goes on from there.
    let away = FaultRule::new(Fault::ServerErrorBefore).on(CallKind::Account).times(4);
    lab.simulator.fault(away);
    // At once, as a proxy that follows redirects by itself does.
    let mut twin = web.twin();
    let before = exchanges(lab);
    let (first, other) =
        tokio::join!(web.come_from_elsewhere(&back), twin.come_from_elsewhere(&back));
    let first = super::settled(lab, &mut web, first).await;
    let other = super::settled(lab, &mut twin, other).await;
    let again = web.come_from_elsewhere(&back).await;
    assert_eq!(exchanges(lab), before + 1, "one exchange");
    shows(&other, 200, &["<h1>Connected</h1>"]);
    shows(&again, 200, &["<h1>Connected</h1>"]);
    shows(&first, 200, &["<h1>Connected</h1>"]);
}

/// Codes that Instagram exchanged.
fn exchanges(lab: &Lab) -> usize {
    lab.simulator.given_secrets().iter().filter(|secret| secret.starts_with("IGAAS")).count()
}

/// A cookie reads; it writes from a page of ours only.
async fn writes_come_from_our_pages(lab: &Lab) {
    let web = session(lab).await;
    let cookie = format!("__Host-hookline={}", web.cookie("__Host-hookline").unwrap());
    let http = lab.api().http;
    let url = format!("{}/v1/blocklist", lab.url(Role::Api));
    let read = http.get(&url).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(read.status(), 200);
    let body = serde_json::json!({});
    for (site, status) in [(None, 403), (Some("cross-site"), 403), (Some("same-origin"), 422)] {
        let mut asked = http.post(&url).header("cookie", &cookie).json(&body);
        if let Some(site) = site {
            asked = asked.header("sec-fetch-site", site);
        }
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), status, "{site:?}: {}", answer.text().await.unwrap());
    }

    // A program opens one with its token, and ends it.
    let sessions = format!("{}/session", lab.url(Role::Api));
    let wrong =
        http.post(&sessions).json(&serde_json::json!({"token": "wrong"})).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    let token = serde_json::json!({"token": tests::lab::API_TOKEN});
    let opened = http.post(&sessions).json(&token).send().await.unwrap();
    assert_eq!(opened.status(), 204);
    let line = opened.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        line.ends_with("; Secure; HttpOnly; SameSite=Strict") && line.contains("; Path=/;"),
        "{line}"
    );
    let cookie = line.split(';').next().unwrap();
    let read = async || http.get(&url).header("cookie", cookie).send().await.unwrap().status();
    assert_eq!(read().await, 200);
    let foreign = http
        .post(&sessions)
        .header("sec-fetch-site", "cross-site")
        .json(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), 403);
    let ended = http
        .delete(&sessions)
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin")
        .send()
        .await
        .unwrap();
    assert_eq!(ended.status(), 204);
    assert_eq!(read().await, 401);
}
