//! Three real nats-servers that are one cluster.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use servers::{NatsOptions, NatsServer, ports};

use crate::client::{eventually, http};
use crate::lab::Lab;

/// Ports found free may be taken by somebody else before the servers have them.
const TRIES: u32 = 3;

/// A cluster of three on loopback; gone with it.
pub struct Cluster {
    servers: Vec<NatsServer>,
    names: Vec<String>,
    http: reqwest::Client,
}

impl Cluster {
    /// Starts three servers below `folder`, of which those named in `synced` sync before they ack, and waits until they have a leader.
    pub async fn start(folder: &Path, synced: [bool; 3]) -> Self {
        let mut tries = 1;
        let servers = loop {
            match Self::launch(&folder.join(format!("cluster-{tries}")), synced).await {
                Ok(servers) => break servers,
                Err(error) => assert!(tries < TRIES, "the cluster does not start: {error:#}"),
            }
            tries += 1;
        };
        let http = http(Duration::from_secs(2));
        let mut cluster = Self { servers, names: Vec::new(), http };
        for n in 0..3 {
            let reported = cluster.ask(n, "varz").await.unwrap();
            cluster.names.push(reported["server_name"].as_str().unwrap().to_owned());
        }
        eventually("the cluster has a leader", Duration::from_secs(30), async || {
            let reported = cluster.ask(0, "jsz").await.map_err(|error| error.to_string())?;
            let meta = &reported["meta_cluster"];
            let leader = meta["leader"].as_str().is_some_and(|leader| !leader.is_empty());
            if leader && meta["cluster_size"] == 3 { Ok(()) } else { Err(meta.to_string()) }
        })
        .await;
        cluster
    }

    async fn launch(folder: &Path, synced: [bool; 3]) -> anyhow::Result<Vec<NatsServer>> {
        let routes = [ports::free()?, ports::free()?, ports::free()?];
        let all = routes.map(|port| format!("\"nats://127.0.0.1:{port}\"")).join(", ");
        let starts = (0..3).map(|n| {
            let mut options = NatsOptions::new(folder.join(n.to_string()));
            options.sync_always = synced[n];
            options.password = false;
            options.extra_config = Some(format!(
                "cluster {{\n  name: lab\n  listen: \"127.0.0.1:{}\"\n  no_advertise: true\n  routes: [{all}]\n}}",
                routes[n]
            ));
            NatsServer::start(options)
        });
        futures::future::try_join_all(starts).await
    }

    /// Makes it the broker of a lab, with three replicas of every stream.
    pub fn serve(&self, lab: &mut Lab) {
        let join = |each: fn(&NatsServer) -> String| {
            self.servers.iter().map(each).collect::<Vec<_>>().join(",")
        };
        lab.set("NATS_URL", &join(NatsServer::url));
        lab.set("NATS_MONITOR_URL", &join(NatsServer::monitor_url));
        lab.set("NATS_REPLICAS", "3");
    }

    /// One of the servers.
    pub fn server(&mut self, n: usize) -> &mut NatsServer {
        &mut self.servers[n]
    }

    /// Which server leads a stream, by the word of any of them.
    pub async fn leader(&self, stream: &str) -> Option<usize> {
        for n in 0..3 {
            let Ok(reported) = self.ask(n, "jsz?streams=true").await else { continue };
            let accounts = reported["account_details"].as_array().cloned().unwrap_or_default();
            let streams = accounts.iter().filter_map(|account| account["stream_detail"].as_array());
            let found = streams.flatten().find(|one| one["name"] == stream);
            let leader = found.and_then(|found| found["cluster"]["leader"].as_str());
            if let Some(leader) = leader.and_then(|name| self.names.iter().position(|n| n == name))
            {
                return Some(leader);
            }
        }
        None
    }

    /// Waits until all three replicas of a stream are there and current.
    pub async fn whole(&self, stream: &str) {
        eventually(&format!("{stream} is whole"), Duration::from_secs(60), async || {
            let leader = self.leader(stream).await.ok_or("no leader")?;
            let reported =
                self.ask(leader, "jsz?streams=true").await.map_err(|error| error.to_string())?;
            let accounts = reported["account_details"].as_array().cloned().unwrap_or_default();
            let streams = accounts.iter().filter_map(|account| account["stream_detail"].as_array());
            let found = streams.flatten().find(|one| one["name"] == stream).ok_or("no stream")?;
            let replicas = found["cluster"]["replicas"].as_array().ok_or("no replicas")?;
            let current = replicas.iter().filter(|one| one["current"] == true).count();
            if current == 2 { Ok(()) } else { Err(found["cluster"].to_string()) }
        })
        .await;
    }

    async fn ask(&self, n: usize, what: &str) -> reqwest::Result<Value> {
        let url = format!("{}/{what}", self.servers[n].monitor_url());
        self.http.get(url).send().await?.json().await
    }
}
