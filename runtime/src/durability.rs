//! Whether the broker makes messages durable before it acks them, read from its monitoring endpoint.

use std::collections::HashSet;

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
    server_id: String,
    config: Option<JszConfig>,
    meta_cluster: Option<MetaCluster>,
    account_details: Vec<AccountDetail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JszConfig {
    sync_always: bool,
}

/// The servers among which the cluster places streams.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MetaCluster {
    cluster_size: usize,
    /// All but the one that answers.
    replicas: Vec<serde_json::Value>,
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

/// What one server reports: whether it syncs, how many servers may hold a stream, and how many replicas each of our streams has that it
/// holds.
#[derive(Debug)]
struct Reading {
    server_id: String,
    sync_always: bool,
    servers: usize,
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
    // A stream may be led by any server of the cluster, and a client may be led to it.
    let read: HashSet<&str> = readings().map(|reading| reading.server_id.as_str()).collect();
    let there = readings().map(|reading| reading.servers).max().unwrap_or_default();
    let unknown = there.saturating_sub(read.len());
    if unreadable.is_none() && unknown == 0 && readings().all(|reading| reading.sync_always) {
        return Durability::Synced;
    }
    let held = || readings().flat_map(|reading| &reading.replicas);
    // What no server holds does not exist yet; but one that cannot be read may hold it alone.
    let all_seen = unreadable.is_none() && unknown == 0
        || OURS.iter().all(|name| held().any(|(held, _)| held == name));
    let fewest = held().map(|(_, replicas)| *replicas).min();
    match (fewest, unreadable) {
        (Some(3..), _) if all_seen => Durability::Replicated,
        (_, Some(reason)) => Durability::NotDurable(reason.clone()),
        _ if 0 < unknown => Durability::NotDurable(format!(
            "{there} servers may hold streams, and the monitoring endpoint of {unknown} of them is not known: set NATS_MONITOR_URL to those of all"
        )),
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
    let servers = jsz.meta_cluster.map_or(1, |meta| meta.cluster_size.max(meta.replicas.len() + 1));
    Ok(Reading { server_id: jsz.server_id, sync_always: config.sync_always, servers, replicas })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(sync_always: bool, replicas: &[usize]) -> Result<Reading, String> {
        of(&rand::random::<u64>().to_string(), 1, sync_always, replicas)
    }

    fn of(
        server_id: &str,
        servers: usize,
        sync_always: bool,
        replicas: &[usize],
    ) -> Result<Reading, String> {
        let replicas = OURS.iter().map(ToString::to_string).zip(replicas.iter().copied()).collect();
        Ok(Reading { server_id: server_id.to_owned(), sync_always, servers, replicas })
    }

    #[test]
    fn a_server_of_the_cluster_that_is_not_known_may_not_sync() {
        let one = |name, replicas: &[usize]| of(name, 3, true, replicas);
        assert_eq!(judge(&[one("a", &[]), one("b", &[]), one("c", &[])]), Durability::Synced);
        // The same server twice is one.
        for known in [vec![one("a", &[1])], vec![one("a", &[1]), one("b", &[]), one("b", &[])]] {
            let judged = judge(&known);
            assert!(
                matches!(&judged, Durability::NotDurable(why) if why.contains("NATS_MONITOR_URL")),
                "{judged:?}"
            );
        }
        let three = [3, 3, 3, 3];
        assert_eq!(judge(&[one("a", &three)]), Durability::Replicated);
        // The others may hold the fourth stream alone.
        assert_ne!(judge(&[one("a", &three[1..])]), Durability::Replicated);
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
