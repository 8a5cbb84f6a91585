//! Keys and secrets are rotated without losing anything.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use simulator::AccountSpec;
use tests::body::{IG, instagram, now, text};
use tests::lab::{is_stopped, signal};
use tests::{Lab, Meta, Role, eventually};

use super::verb;

const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_and_the_old_one_thrown_away() {
    let mut lab = Lab::start().await;
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    let new = "ab".repeat(32);
    lab.set("ENCRYPTION_KEY", &format!("new:{new},old:{OLD}"));
    assert_eq!(verb(&lab, &["accounts", "check", IG]).await.0, 0, "the old key opens");
    let (code, moved) = verb(&lab, &["accounts", "rekey"]).await;
    assert_eq!((code, &moved["tokens"]), (0, &json!({"moved": 1, "kept": 0})), "{moved}");
    lab.set("ENCRYPTION_KEY", &new);
    assert_eq!(verb(&lab, &["accounts", "check", IG]).await.0, 0, "the new key alone opens");
    let (_, again) = verb(&lab, &["accounts", "rekey"]).await;
    assert_eq!(again["tokens"], json!({"moved": 0, "kept": 1}), "{again}");
}

/// The token of an account is sealed anew while Meta gives another one: the new one is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_survives_a_rotation_of_the_key() {
    let mut lab = Lab::start().await;
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    lab.set("ENCRYPTION_KEY", &format!("new:{},old:{OLD}", "ab".repeat(32)));
    let mut refresh = lab.command(&["accounts", "refresh", IG, "--output", "json"]);
    refresh.env(runtime::failpoint::ENV, "refresh.after_call=stop");
    let refresh = refresh.stdout(Stdio::piped()).spawn().unwrap();
    let pid = refresh.id().unwrap();
    is_stopped(pid, "Meta has given a token", Duration::from_secs(60)).await;
    let (code, moved) = verb(&lab, &["accounts", "rekey"]).await;
    assert_eq!((code, &moved["tokens"]["moved"]), (0, &json!(1)), "{moved}");
    signal(pid, rustix::process::Signal::CONT);
    let ended = tokio::time::timeout(Duration::from_secs(60), refresh.wait_with_output()).await;
    let said = String::from_utf8(ended.expect("it ends").unwrap().stdout).unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said[0]["refreshed"], "yes", "{said}");
    let new = shop.good_tokens().into_iter().find(|token| *token != shop.token()).unwrap();
    shop.set_token(&new);
    assert_eq!(verb(&lab, &["accounts", "check", IG]).await.0, 0, "the new token is in use");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_from_files_and_are_read_again_on_sighup() {
    let mut lab = Lab::start().await;
    let secrets = lab.folder().join("app-secrets");
    let write = |text: &str| std::fs::write(&secrets, text).unwrap();
    write("main=first\n");
    lab.settings.remove("META_APP_SECRETS");
    lab.set("META_APP_SECRETS_FILE", secrets.to_str().unwrap());
    lab.run(Role::Ingest).await;
    // It makes the streams.
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    lab.ready(Role::Ingest).await;
    let url = lab.meta().url;
    let post = async |secret: &str, n: u32| {
        let body = instagram(text(IG, "5200000000000011", &format!("mid.{n}"), now(), "hi"));
        Meta::new(url.clone(), secret).post("/webhook", &body).await
    };
    assert_eq!((post("first", 1).await, post("second", 2).await), (200, 401));
    // Both are good while one is rotated out.
    write("main=second,main=first");
    signal(lab.pid(Role::Ingest, 0), rustix::process::Signal::HUP);
    eventually("the new secret is good", std::time::Duration::from_secs(20), async || {
        match (post("second", 3).await, post("first", 4).await) {
            (200, 200) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // What cannot be read changes nothing.
    write("main=second,");
    signal(lab.pid(Role::Ingest, 0), rustix::process::Signal::HUP);
    eventually("the log says so", std::time::Duration::from_secs(20), async || {
        let log = lab.log(Role::Ingest);
        let named = log.contains("META_APP_SECRETS") && log.contains("the old ones stay");
        if named { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(post("second", 5).await, 200);
    // The worker lives on.
    signal(lab.pid(Role::Worker, 0), rustix::process::Signal::HUP);
    lab.ready(Role::Worker).await;
    let (code, _, err) = lab.hookline_with(&["doctor"], &[("META_APP_SECRETS", "main=x")]).await;
    assert!(code == 2 && err.contains("META_APP_SECRETS_FILE"), "both set: {code} {err}");
}
