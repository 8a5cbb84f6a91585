//! Whether the broker makes messages durable before it acks them, read from its monitoring endpoint.

use serde::Deserialize;
use url::Url;

use crate::config::NatsConfig;

/// Whether an ack means that the message survives a power loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Every server syncs before it acks.
    Synced,
    /// Not every server syncs, but at least three replicas hold every message.
    Replicated,
    /// It does not, or nobody can know; the reason with its fix.
    NotDurable(String),
}

/// The answer of `/jsz?streams=true`, as far as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Jsz {
    config: Option<JszConfig>,
    account_details: Vec<AccountDetail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JszConfig {
    sync_always: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AccountDetail {
    stream_detail: Vec<StreamDetail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamDetail {
    name: String,
    cluster: Option<Cluster>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cluster {
    leader: String,
    replicas: Vec<serde_json::Value>,
}

/// The streams that must be durable.
const OURS: [&str; 4] = [
    schemas::subjects::META_RAW,
    schemas::subjects::INBOX_EVENTS,
    schemas::subjects::INBOX_COMMANDS,
    schemas::subjects::INBOX_ATTEMPTS,
];

/// What one server reports: whether it syncs, and how many replicas each of our streams has that it holds.
#[derive(Debug)]
struct Reading {
    sync_always: bool,
    replicas: Vec<(String, usize)>,
}

/// Reads every monitoring endpoint.
pub async fn read(http: &reqwest::Client, config: &NatsConfig) -> Durability {
    let readings = config.monitors.iter().map(|monitor| async move {
        read_one(http, monitor).await.map_err(|reason| {
            let host = monitor.host_str().unwrap_or_default();
            let port = monitor.port_or_known_default().unwrap_or_default();
            format!(
                "cannot read durability at {host}:{port} ({reason}): enable the server's monitoring port or set NATS_MONITOR_URL"
            )
        })
    });
    judge(&futures::future::join_all(readings).await)
}

/// A server that cannot be read counts as one that does not sync. How many replicas a stream has, the other members of its cluster know
/// as well: one dead server of three must not stop what the cluster survives.
fn judge(servers: &[Result<Reading, String>]) -> Durability {
    if servers.is_empty() {
        return Durability::NotDurable(
            "no monitoring endpoint is known: set NATS_MONITOR_URL".to_owned(),
        );
    }
    let unreadable = servers.iter().find_map(|server| server.as_ref().err());
    let readings = || servers.iter().filter_map(|server| server.as_ref().ok());
    if unreadable.is_none() && readings().all(|reading| reading.sync_always) {
        return Durability::Synced;
    }
    let held = || readings().flat_map(|reading| &reading.replicas);
    // What no server holds does not exist yet; but one that cannot be read may hold it alone.
    let all_seen =
        unreadable.is_none() || OURS.iter().all(|name| held().any(|(held, _)| held == name));
    let fewest = held().map(|(_, replicas)| *replicas).min();
    match (fewest, unreadable) {
        (Some(3..), _) if all_seen => Durability::Replicated,
        (_, Some(reason)) => Durability::NotDurable(reason.clone()),
        _ => Durability::NotDurable(
            "the broker acks before it syncs: set `jetstream { sync_interval: always }`, or NATS_REPLICAS=3 in a cluster".to_owned(),
        ),
    }
}

async fn read_one(http: &reqwest::Client, monitor: &Url) -> Result<Reading, String> {
    let mut url = monitor.clone();
    url.set_path("/jsz");
    url.set_query(Some("streams=true"));
    let answer = http.get(url).send().await.map_err(|error| {
        if error.is_timeout() { "timed out".to_owned() } else { "no connection".to_owned() }
    })?;
    let jsz: Jsz = answer
        .error_for_status()
        .map_err(|error| format!("HTTP {}", error.status().map_or(0, |status| status.as_u16())))?
        .json()
        .await
        .map_err(|_| "not the answer of a NATS server".to_owned())?;
    let config = jsz.config.ok_or("JetStream is not enabled")?;
    let replicas = jsz
        .account_details
        .iter()
        .flat_map(|account| &account.stream_detail)
        .filter(|stream| OURS.contains(&stream.name.as_str()))
        .map(|stream| {
            let replicas = stream.cluster.as_ref().map_or(1, |cluster| {
                cluster.replicas.len() + usize::from(!cluster.leader.is_empty())
            });
            (stream.name.clone(), replicas)
        })
        .collect();
    Ok(Reading { sync_always: config.sync_always, replicas })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(sync_always: bool, replicas: &[usize]) -> Result<Reading, String> {
        let replicas = OURS.iter().map(ToString::to_string).zip(replicas.iter().copied()).collect();
        Ok(Reading { sync_always, replicas })
    }

    #[test]
    fn durable_means_synced_everywhere_or_three_replicas_of_everything() {
        assert_eq!(judge(&[reading(true, &[]), reading(true, &[1])]), Durability::Synced);
        assert_eq!(judge(&[reading(true, &[3]), reading(false, &[3, 3])]), Durability::Replicated);
        for not_durable in [
            vec![],
            vec![reading(false, &[])],
            vec![reading(false, &[3, 1])],
            vec![reading(true, &[1]), reading(false, &[1])],
        ] {
            assert!(matches!(judge(&not_durable), Durability::NotDurable(_)));
        }
    }

    #[test]
    fn a_server_that_cannot_be_read_may_not_sync_but_takes_no_replicas_away() {
        let dead = || Err("cannot read".to_owned());
        let all = || reading(true, &[3, 3, 3, 3]);
        let two = [all(), all(), dead()];
        assert_eq!(judge(&two), Durability::Replicated);
        for not_durable in [
            vec![dead()],
            vec![reading(true, &[1, 1, 1, 1]), dead()],
            // The dead one may hold the rest alone.
            vec![reading(true, &[3, 3, 3]), dead()],
            vec![reading(true, &[]), dead()],
        ] {
            assert_eq!(judge(&not_durable), Durability::NotDurable("cannot read".to_owned()));
        }
    }
}
