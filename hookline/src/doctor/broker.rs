//! The broker: reachable, new enough, durable, with the streams as they should be.

use async_nats::ServerInfo;
use async_nats::jetstream;
use runtime::config::{NatsConfig, Settings};
use runtime::durability::{self, Durability};
use runtime::streams::{self, StreamName};

use super::findings::Findings;
use crate::{connect, nats_server};

/// `false` where the broker cannot be reached.
pub(crate) async fn check(settings: &Settings, findings: &mut Findings) -> anyhow::Result<bool> {
    let config = NatsConfig::from_settings(settings)?;
    let (client, js) = match connect::broker(&config).await {
        Ok(reached) => reached,
        Err(error) => {
            let fix = "start nats-server, or correct NATS_URL";
            findings.problem("broker", format!("{error:#}"), fix);
            return Ok(false);
        }
    };
    check_server(&client.server_info(), settings, findings)?;
    check_durability(&config, findings).await?;
    for name in StreamName::ALL {
        check_stream(&js, name, &config, findings).await;
    }
    check_erasing(&js, findings).await;
    Ok(true)
}

fn check_server(
    info: &ServerInfo,
    settings: &Settings,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    if nats_server::is_new_enough(&info.version) {
        findings.ok("broker version", info.version.clone());
    } else {
        let (major, minor) = nats_server::VERSION_MIN;
        let fix = format!("install nats-server {major}.{minor} or newer");
        findings.problem("broker version", info.version.clone(), fix);
    }
    let body_max = settings.size("INGEST_MAX_BODY", "4MiB")?;
    let needed = nats_server::max_payload_needed(settings)?;
    if info.max_payload >= needed {
        findings.ok("broker max_payload", format!("{} bytes", info.max_payload));
    } else {
        findings.problem(
            "broker max_payload",
            format!("{} bytes, INGEST_MAX_BODY is {body_max}", info.max_payload),
            format!(
                "set `max_payload: {needed}` or more in the server's configuration, or lower INGEST_MAX_BODY"
            ),
        );
    }
    Ok(())
}

async fn check_durability(config: &NatsConfig, findings: &mut Findings) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().timeout(connect::PATIENCE).build()?;
    match durability::read(&http, config).await {
        Durability::Synced => findings.ok("durability", "every server syncs before it acks"),
        Durability::Replicated => findings.warning(
            "durability",
            "three replicas, but not every server syncs before it acks",
            "set `jetstream { sync_interval: always }` on every server",
        ),
        Durability::NotDurable(reason) => {
            let fix = "set `jetstream { sync_interval: always }`";
            if config.require_sync {
                findings.problem("durability", reason, fix);
            } else {
                findings.warning("durability", reason, fix);
            }
        }
    }
    if !config.require_sync {
        findings.warning(
            "durability",
            "NATS_REQUIRE_SYNC=false",
            "unset it before real customers write",
        );
    }
    Ok(())
}

/// Whether this user may delete. Of another user only its worker knows: what it lacks stands beside the erasures that wait for it.
async fn check_erasing(js: &jetstream::Context, findings: &mut Findings) {
    const CHECK: &str = "right to erase";
    match worker::erase::may_erase(js).await {
        Ok(()) => findings.ok(CHECK, "the broker takes deletes from this user"),
        Err(error) => {
            let fix = "load the nats-users.conf of this release (deploy/runbooks/erase.md)";
            findings.warning(CHECK, error.to_string(), fix);
        }
    }
}

async fn check_stream(
    js: &jetstream::Context,
    name: StreamName,
    config: &NatsConfig,
    findings: &mut Findings,
) {
    let check = format!("stream {}", name.as_str());
    let stream = match js.get_stream(name.as_str()).await {
        Ok(stream) => stream,
        Err(error) => {
            return findings.problem(
                &check,
                format!("cannot be read: {error}"),
                "start a worker: it makes streams that were never there (one that was lost: see its era); or allow $JS.API.STREAM.INFO to this user",
            );
        }
    };
    let wanted = streams::desired(name, config);
    let differs = streams::differences(&wanted, &stream.cached_info().config);
    if differs.is_empty() {
        findings.ok(&check, "as expected");
    } else {
        findings.warning(
            &check,
            format!("differs: {}", differs.join(", ")),
            "`hookline streams plan` shows what changing it costs; or change the variable it follows",
        );
    }
}
