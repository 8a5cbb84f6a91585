//! `hookline health`: asks a role whether it is ready, for containers and scripts that have no HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use runtime::config::Settings;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, note, say};

/// A check of a container is given a few seconds; an answer takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Arguments of `hookline health`.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Where the role answers; ADMIN_LISTEN unless set
    #[arg(long, value_name = "ADDRESS")]
    at: Option<SocketAddr>,
    /// Asks whether the process works at all, not whether its servers are there
    #[arg(long)]
    live: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Carries out `hookline health`. Exit code 1 where the role is not ready.
///
/// # Errors
/// Exit code 4 where nobody answers, 2 where `ADMIN_LISTEN` is no address.
pub(crate) async fn run(args: &HealthArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let address = match args.at {
        Some(address) => address,
        None => runtime::admin::address(settings)?,
    };
    let url =
        format!("http://{}/{}", reachable(address), if args.live { "livez" } else { "readyz" });
    runtime::tls::install();
    // It asks this machine without TLS, and a container may have no certificates.
    let http =
        reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(PATIENCE).build()?;
    let answer = match http.get(&url).send().await {
        Ok(answer) => answer,
        Err(_) => {
            return Err(Failure::unreachable(format!(
                "{url} does not answer: does the role run, and is this its ADMIN_LISTEN?"
            )));
        }
    };
    let ready = answer.status().is_success();
    // Another program may listen there, and its answer is not for our output.
    let body = answer.json::<Value>().await.ok().filter(|body| body["status"].is_string());
    let body = body.ok_or_else(|| {
        Failure::unreachable(format!("{url} is answered by something else than a role of hookline"))
    })?;
    match args.output {
        Output::Json => say(&body),
        Output::Table => print(&body),
    }
    Ok(if ready { Exit::Done } else { Exit::SomeFailed })
}

fn print(body: &Value) {
    say(body["status"].as_str().unwrap_or_default());
    for part in ["reasons", "warnings"] {
        for (check, text) in body.get(part).unwrap_or(&json!({})).as_object().into_iter().flatten()
        {
            note(format!("{part}: {check}: {}", text.as_str().unwrap_or_default()));
        }
    }
}

/// Who listens on all addresses is reached by the one of this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_reached_by_this_machines_own() {
        for (listens, asked) in [
            ("0.0.0.0:8082", "127.0.0.1:8082"),
            ("[::]:8082", "[::1]:8082"),
            ("10.0.0.7:8082", "10.0.0.7:8082"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
