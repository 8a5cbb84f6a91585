//! `hookline doctor`: is the set-up sound? Each finding comes with its fix.

use std::collections::BTreeSet;

use runtime::config::{NatsConfig, Settings};
use runtime::durability::{self, Durability};
use runtime::streams::{self, StreamName};
use serde::Serialize;

use crate::exit::{Exit, Output, say, table};
use crate::reach;

/// Oldest nats-server that syncs once per atomic batch and has what the streams use.
pub(crate) const SERVER_MIN: (u32, u32) = (2, 15);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// `ok`, `warning` or `problem`.
    pub level: &'static str,
    /// What was found.
    pub finding: String,
    /// What to do about it; empty where nothing.
    pub fix: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        level: &'static str,
        check: &str,
        finding: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.0.push(Finding {
            check: check.to_owned(),
            level,
            finding: finding.into(),
            fix: fix.into(),
        });
    }

    fn ok(&mut self, check: &str, finding: impl Into<String>) {
        self.add("ok", check, finding, "");
    }
}

/// Looks at everything and prints it.
///
/// # Errors
/// When the result cannot be printed. Exit code 4 where a server cannot be reached, 1 where something else is wrong.
pub async fn run(settings: &Settings, output: Output) -> anyhow::Result<Exit> {
    let mut findings = Findings::default();
    let mut reached = true;
    reached &= broker(settings, &mut findings).await?;
    reached &= database(settings, &mut findings).await;
    secrets(settings, &mut findings);
    graph(settings, &mut findings).await?;
    match output {
        Output::Json => say(serde_json::to_string(&findings.0)?),
        Output::Table => {
            let rows: Vec<Vec<String>> = findings
                .0
                .iter()
                .map(|f| {
                    vec![f.level.to_owned(), f.check.clone(), f.finding.clone(), f.fix.clone()]
                })
                .collect();
            table(&["level", "check", "finding", "fix"], &rows);
        }
    }
    Ok(match findings.0.iter().any(|finding| finding.level == "problem") {
        _ if !reached => Exit::Unreachable,
        true => Exit::SomeFailed,
        false => Exit::Done,
    })
}

async fn broker(settings: &Settings, findings: &mut Findings) -> anyhow::Result<bool> {
    let config = NatsConfig::from_settings(settings)?;
    let (client, js) = match reach::broker(&config).await {
        Ok(reached) => reached,
        Err(error) => {
            findings.add(
                "problem",
                "broker",
                format!("{error:#}"),
                "start nats-server, or correct NATS_URL",
            );
            return Ok(false);
        }
    };
    let info = client.server_info();
    let version: Vec<u32> =
        info.version.split(['.', '-']).filter_map(|part| part.parse().ok()).collect();
    match version.as_slice() {
        [major, minor, ..] if (*major, *minor) >= SERVER_MIN => {
            findings.ok("broker version", info.version.clone());
        }
        _ => findings.add(
            "problem",
            "broker version",
            info.version.clone(),
            format!("install nats-server {}.{} or newer", SERVER_MIN.0, SERVER_MIN.1),
        ),
    }
    let body_max = settings.size("INGEST_MAX_BODY", "4MiB")?;
    if info.max_payload >= body_max + (64 << 10) {
        findings.ok("broker max_payload", format!("{} bytes", info.max_payload));
    } else {
        findings.add(
            "problem",
            "broker max_payload",
            format!("{} bytes, INGEST_MAX_BODY is {body_max}", info.max_payload),
            format!("set `max_payload: {}` or more in the server's configuration, or lower INGEST_MAX_BODY", body_max + (64 << 10)),
        );
    }
    let http = reqwest::Client::builder().no_proxy().timeout(reach::PATIENCE).build()?;
    match durability::read(&http, &config).await {
        Durability::Synced => findings.ok("durability", "every server syncs before it acks"),
        Durability::Replicated => findings.add(
            "warning",
            "durability",
            "three replicas, but not every server syncs before it acks",
            "set `jetstream { sync_interval: always }` on every server",
        ),
        Durability::NotDurable(reason) => {
            let level = if config.require_sync { "problem" } else { "warning" };
            findings.add(level, "durability", reason, "set `jetstream { sync_interval: always }`");
        }
    }
    if !config.require_sync {
        findings.add(
            "warning",
            "durability",
            "NATS_REQUIRE_SYNC=false",
            "unset it before real customers write",
        );
    }
    for name in StreamName::ALL {
        let wanted = streams::desired(name, &config);
        match js.get_stream(name.as_str()).await {
            Ok(stream) => {
                let differs = streams::differences(&wanted, &stream.cached_info().config);
                if differs.is_empty() {
                    findings.ok(&format!("stream {}", name.as_str()), "as expected");
                } else {
                    findings.add(
                        "warning",
                        &format!("stream {}", name.as_str()),
                        format!("differs: {}", differs.join(", ")),
                        "`hookline streams plan` tells what changing it costs; or change the variable it follows",
                    );
                }
            }
            Err(error) => findings.add(
                "problem",
                &format!("stream {}", name.as_str()),
                format!("cannot be read: {error}"),
                "start a worker: it makes the streams; or allow $JS.API.STREAM.INFO to this user",
            ),
        }
    }
    Ok(true)
}

async fn database(settings: &Settings, findings: &mut Findings) -> bool {
    let pool = match reach::postgres(settings).await {
        Ok(pool) => pool,
        Err(error) => {
            findings.add(
                "problem",
                "postgres",
                format!("{error:#}"),
                "start Postgres, or correct DATABASE_URL",
            );
            return false;
        }
    };
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(&pool)
        .await
        .unwrap_or_default();
    if version >= 150_000 {
        findings.ok("postgres version", format!("{}.{}", version / 10_000, version % 10_000));
    } else {
        findings.add(
            "problem",
            "postgres version",
            format!("{}", version / 10_000),
            "use Postgres 15 or newer",
        );
    }
    let schemas: BTreeSet<String> = sqlx::query_scalar("select nspname::text from pg_namespace")
        .fetch_all(&pool)
        .await
        .unwrap_or_default()
        .into_iter()
        .collect();
    for (schema, role) in [("worker", "worker"), ("inbox", "projector"), ("api", "api")] {
        if schemas.contains(schema) {
            findings.ok(&format!("schema {schema}"), "there");
        } else {
            findings.add(
                "problem",
                &format!("schema {schema}"),
                "missing",
                format!("start `hookline {role}`: it migrates its own schema"),
            );
        }
    }
    match sqlx::query_scalar::<_, i64>("select count(*) from worker.accounts")
        .fetch_one(&pool)
        .await
    {
        Ok(0) => findings.add("warning", "accounts", "none", "`hookline accounts add`"),
        Ok(count) => findings
            .ok("accounts", format!("{count} (`hookline accounts check` asks Graph about them)")),
        Err(_) => {}
    }
    true
}

fn secrets(settings: &Settings, findings: &mut Findings) {
    for (name, needed_by) in [
        ("META_APP_SECRETS", "ingest"),
        ("META_VERIFY_TOKENS", "ingest"),
        ("ENCRYPTION_KEY", "worker, api and accounts"),
        ("API_TOKENS", "api"),
    ] {
        if settings.get(name).is_some() {
            findings.ok(name, "set");
        } else {
            findings.add("warning", name, "not set here", format!("needed by {needed_by}"));
        }
    }
    if settings.get("ENCRYPTION_KEY").is_some()
        && let Err(error) = worker::config::seal(settings)
    {
        findings.add(
            "problem",
            "ENCRYPTION_KEY",
            error.to_string(),
            "make one with `openssl rand -hex 32`",
        );
    }
}

async fn graph(settings: &Settings, findings: &mut Findings) -> anyhow::Result<()> {
    runtime::tls::install();
    let http = reqwest::Client::builder().timeout(reach::PATIENCE).build()?;
    for (name, default) in [
        ("GRAPH_FACEBOOK_URL", "https://graph.facebook.com"),
        ("GRAPH_INSTAGRAM_URL", "https://graph.instagram.com"),
    ] {
        let url = settings.url(name, default)?;
        // Any HTTP answer will do: without a token Graph refuses.
        match http.get(url.clone()).send().await {
            Ok(_) => findings.ok(name, format!("{} answers", url.host_str().unwrap_or_default())),
            Err(error) => {
                let why = if error.is_timeout() {
                    "does not answer in time"
                } else {
                    "cannot be reached"
                };
                findings.add(
                    "problem",
                    name,
                    format!("{} {why}", url.host_str().unwrap_or_default()),
                    "allow outgoing HTTPS to it, and check DNS and CA certificates",
                );
            }
        }
    }
    Ok(())
}
