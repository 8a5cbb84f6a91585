//! Configuration from outside, against real servers: a broker that is not durable, what a live `up` reports to the other verbs, and
//! passwords that do not fit. (What needs no server is in `hookline/tests/config.rs`.)

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use servers::{NatsOptions, NatsServer};
use tests::body::{IG, instagram, now, text};
use tests::servers::Broker;
use tests::up::Folder;
use tests::{Lab, LabOptions, Role, eventually};

/// How soon a role says why it is not ready.
const WITHIN: Duration = Duration::from_secs(20);

fn webhook(n: u32) -> Vec<u8> {
    instagram(text(IG, "5200000000000011", &format!("mid.{n}"), now(), "hello"))
}

/// A lab whose broker acks before it syncs.
async fn careless_lab() -> Lab {
    let mut lab = Lab::start_with(LabOptions::EMPTY).await;
    let mut options = NatsOptions::new(lab.folder().join("careless"));
    options.sync_always = false;
    lab.nats = Broker::Own(NatsServer::start(options).await.unwrap());
    let (url, monitor) = (lab.nats.url(), lab.nats.monitor_url());
    lab.set("NATS_URL", &url);
    lab.set("NATS_MONITOR_URL", &monitor);
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_sync_is_used_only_by_choice() {
    let mut lab = careless_lab().await;
    for role in Role::ALL {
        lab.run(role).await;
    }
    for role in Role::ALL {
        lab.not_ready(role, "sync_interval", WITHIN).await;
    }
    let (meta, body) = (lab.meta(), webhook(1));
    let refused = meta
        .http
        .post(format!("{}/webhooks/instagram", meta.url))
        .header("x-hub-signature-256", tests::client::signature(&meta.secret, &body))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(lab.last_sequence("META_RAW").await, 0, "nothing is stored");
    let (code, out, err) = lab.hookline(&["status"]).await;
    assert!(code == 0 && out.contains("NOT DURABLE"), "{code}: {out}{err}");
    let (code, out, err) = lab.hookline(&["doctor"]).await;
    assert!(code == 1 && out.contains("sync_interval: always"), "{code}: {out}{err}");

    // By choice, which is said at every start and in `status`.
    lab.set("NATS_REQUIRE_SYNC", "false");
    for role in Role::ALL {
        lab.stop(role).await;
        lab.run(role).await;
    }
    for role in Role::ALL {
        lab.ready(role).await;
        assert!(lab.log(role).contains("NATS_REQUIRE_SYNC=false"), "{role:?}: {}", lab.log(role));
    }
    assert_eq!(meta.post("/webhooks/instagram", &webhook(2)).await, 200);
    let (_, out, err) = lab.hookline(&["status"]).await;
    assert!(out.contains("NATS_REQUIRE_SYNC=false") && out.contains("NOT DURABLE"), "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn durability_that_cannot_be_read_is_none() {
    let mut lab = Lab::start().await;
    let nobody = format!("http://{}", tests::lab::free_address());
    // One of two is not enough: every server must be durable.
    let monitors = format!("{},{nobody}", lab.nats.monitor_url());
    lab.set("NATS_MONITOR_URL", &monitors);
    lab.run(Role::Ingest).await;
    lab.not_ready(Role::Ingest, "NATS_MONITOR_URL", WITHIN).await;
    assert_eq!(lab.meta().post("/webhook", &webhook(1)).await, 503);
    let (code, out, _) = lab.hookline(&["doctor"]).await;
    assert!(code == 1 && out.contains("NATS_MONITOR_URL"), "{code}: {out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_postgres_that_lose_commits_are_warned_of() {
    let mut lab = Lab::start_with(LabOptions { durable: Some(true), ..LabOptions::OWN }).await;
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    shows_risks(&lab, &[]).await;
    for (sql, expected) in [
        ("alter system set full_page_writes = off", &["full_page_writes=off"][..]),
        ("alter system reset full_page_writes", &[]),
    ] {
        sqlx::raw_sql(sql).execute(lab.pool()).await.unwrap();
        sqlx::raw_sql("select pg_reload_conf()").execute(lab.pool()).await.unwrap();
        shows_risks(&lab, expected).await;
    }
    let off = sqlx::raw_sql("alter role current_user set synchronous_commit = off");
    off.execute(lab.pool()).await.unwrap();
    lab.stop(Role::Worker).await;
    lab.run(Role::Worker).await;
    shows_risks(&lab, &["synchronous_commit=off"]).await;
}

/// `/readyz` says 200 and names what is at risk, as do `status` and `doctor`.
async fn shows_risks(lab: &Lab, expected: &[&str]) {
    eventually("what is at risk is shown", Duration::from_secs(30), async || {
        let said = lab.readyz(Role::Worker).await;
        let body: serde_json::Value = serde_json::from_str(&said.1).unwrap_or_default();
        let warning = body["warnings"]["postgres durability"].as_str().unwrap_or_default();
        let named = expected.iter().all(|setting| warning.contains(setting));
        let right = said.0 == 200 && named && warning.is_empty() == expected.is_empty();
        tests::client::holds(right, || format!("{said:?}"))
    })
    .await;
    let out = lab.hookline_ok(&["status", "--output", "json"]).await;
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["postgres_risks"].as_array().unwrap().len(), expected.len(), "{status}");
    let (code, out, _) = lab.hookline(&["doctor"]).await;
    assert!(expected.is_empty() || code == 1, "{code}: {out}");
    assert!(expected.iter().all(|setting| out.contains(setting)), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_do_not_fit_are_waited_out_and_never_shown() {
    const WRONG: &str = "zq-wrong-password";
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    let (nats, postgres) = (lab.settings["NATS_URL"].clone(), lab.settings["DATABASE_URL"].clone());
    lab.set("NATS_URL", &with_password(&nats, WRONG));
    lab.set("DATABASE_URL", &with_password(&postgres, WRONG));
    lab.set("RUST_LOG", "debug");
    for role in Role::ALL {
        lab.run(role).await;
    }
    for role in Role::ALL {
        lab.not_ready(role, "the broker is not reachable: nats: authorization violation", WITHIN)
            .await;
        // Said, with the reason, and not again and again.
        let waits = match role {
            Role::Ingest => &["Waiting for the broker"][..],
            _ => &["Waiting for the broker", "Waiting for Postgres"],
        };
        for line in waits {
            eventually("it says what it waits for", Duration::from_secs(20), async || {
                if lab.log(role).contains(line) { Ok(()) } else { Err(lab.log(role)) }
            })
            .await;
        }
    }
    for verb in [&["status"][..], &["doctor"], &["accounts", "list"], &["replies", "list"]] {
        let (code, out, err) = lab.hookline(verb).await;
        assert_eq!(code, 4, "{verb:?}: {out}{err}");
        assert!(!format!("{out}{err}").contains(WRONG), "{verb:?}: {out}{err}");
    }
    let key = lab.settings["ENCRYPTION_KEY"].clone();
    let secrets =
        [WRONG, tests::lab::SECRET, tests::lab::VERIFY_TOKEN, tests::lab::API_TOKEN, &key];
    for role in Role::ALL {
        let log = lab.log(role);
        for secret in secrets {
            assert!(!log.contains(secret), "the log of {role:?} shows `{secret}`: {log}");
        }
        let shown = lab.metrics(role).await;
        assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{shown}");
        for line in ["Waiting for the broker", "Waiting for Postgres"] {
            assert!(log.matches(line).count() <= 1, "{role:?}: {log}");
        }
    }
    for role in Role::ALL {
        assert_eq!(lab.stop(role).await, Some(0), "{role:?}: {}", lab.log(role));
    }
}

fn with_password(url: &str, password: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_password(Some(password)).unwrap();
    url.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_up_wrote_is_private_true_and_below_everything_else() {
    let folder = Folder::new("up-env");
    // Secrets from `.env`, ports of its own choice: what it chose is what it writes.
    let dotenv = "META_APP_SECRETS=zq-app\nMETA_VERIFY_TOKENS=zq-verify\n";
    let write_dotenv = |text: &str| std::fs::write(folder.path().join(".env"), text).unwrap();
    write_dotenv(dotenv);
    let any = "127.0.0.1:0";
    let listen = [("INGEST_LISTEN", any), ("API_LISTEN", any), ("ADMIN_LISTEN", any)];
    let mut child = folder.up(&[], &listen).await;
    for file in ["env", "keys"] {
        let file = folder.path().join(".hookline").join(file);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let env = folder.env();
    assert_eq!(env["META_APP_SECRETS"], "zq-app");
    assert_eq!(env["ENCRYPTION_KEY"].len(), 64);
    for (name, _) in listen {
        assert!(!env[name].ends_with(":0"), "nobody listens at {name}={}", env[name]);
    }
    let http = tests::Meta::new(String::new(), "").http;
    for url in ["HOOKLINE_INGEST_URL", "HOOKLINE_API_URL", "HOOKLINE_ADMIN_URL"] {
        let ready = http.get(format!("{}/readyz", env[url])).send().await.unwrap();
        assert_eq!(ready.status(), 200, "{url}");
    }

    let (code, text) = folder.verb(&["status"], &[]).await;
    assert_eq!(code, 0, "{text}");
    // A variable wins over what `up` wrote, and so does `.env`.
    let away = ("DATABASE_URL", "postgres://127.0.0.1:1/nothing");
    assert_eq!(folder.verb(&["status"], &[away]).await.0, 4);
    write_dotenv(&format!("{dotenv}NATS_REPLICAS=many\n"));
    let (code, text) = folder.verb(&["status"], &[]).await;
    assert!(code == 2 && text.contains("NATS_REPLICAS (.env)"), "{code}: {text}");
    write_dotenv(dotenv);

    // Killed hard it leaves its file behind, and nobody believes it.
    child.kill().await.unwrap();
    assert!(folder.path().join(".hookline/env").exists());
    let (code, text) = folder.verb(&["status"], &[]).await;
    assert!(code == 4 && text.contains("hookline up"), "{code}: {text}");
    for secret in ["zq-app", "zq-verify", &env["API_TOKENS"], &env["ENCRYPTION_KEY"]] {
        assert!(!folder.log().contains(secret), "{}", folder.log());
    }
}
