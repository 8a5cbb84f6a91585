//! The same in a real browser: cookies, policies and redirects are those of Chromium.

use simulator::AccountSpec;
use tests::browser::Browser;
use tests::{Lab, LabOptions, Role};

use super::{connect_verb, first_conversation, secrets};

#[tokio::test(flavor = "multi_thread")]
async fn both_logins_in_chromium() {
    // Servers of its own: what they keep on the disk is read at the end.
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    lab.connect_in_browser();
    let (shop, page) = ("17841400000000101", "103000000000301");
    lab.simulator.add_account(AccountSpec::instagram(shop)).unwrap().unsubscribe();
    lab.simulator.add_account(AccountSpec::messenger(page)).unwrap().unsubscribe();
    lab.run_all().await;
    let (_verb, address) = connect_verb(&lab, "instagram").await;
    let browser = Browser::start(lab.folder()).await;

    browser.open(&address).await;
    browser.titled("Connect accounts · hookline").await;
    assert!(!browser.url().await.contains('#'), "the code is out of the address");
    browser.click("a[href^='/connect/instagram']").await;
    browser.titled("Simulated Instagram").await;
    browser.click("#allow").await;
    browser.titled("Connected · hookline").await;
    // Code and state are out of the address; Meta's fragment goes along with redirects, until the page loads itself again.
    let url = browser.url().await;
    let result = format!("{}/connect/result/con_", lab.url(Role::Api));
    assert!(url.starts_with(&result) && !url.contains('?'), "{url}");
    first_conversation(&lab, shop, "Ann Berg").await;

    browser.click("a[href='/connect']").await;
    browser.click("a[href^='/connect/facebook']").await;
    browser.titled("Simulated Facebook").await;
    browser.click("#allow").await;
    browser.titled("Choose what to connect · hookline").await;
    browser.click("form[action='/connect/choose'] button").await;
    browser.titled("Connected · hookline").await;
    first_conversation(&lab, page, "Marta Nowak").await;

    browser.click("a[href='/connect']").await;
    browser.click("a[href^='/connect/instagram']").await;
    browser.titled("Simulated Instagram").await;
    browser.click("#cancel").await;
    browser.titled("Cancelled · hookline").await;
    browser.close().await;
    secrets::are_nowhere(&lab, &[address.split_once('#').unwrap().1]).await;
    secrets::are_not_on_the_disk(&lab).await;
}
