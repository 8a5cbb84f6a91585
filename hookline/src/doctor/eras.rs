//! Whether the streams are those whose positions are stored, and whether Postgres has what they hold.

use runtime::config::{NatsConfig, Settings};
use runtime::streams::StreamName;
use worker::facts::eras::ForeignStream;

use super::findings::Findings;
use crate::connect;

/// Looks only where broker and Postgres answer: that they do not is found elsewhere.
pub(crate) async fn check(settings: &Settings, findings: &mut Findings) -> anyhow::Result<()> {
    let config = NatsConfig::from_settings(settings)?;
    let Ok((_client, js)) = connect::broker(&config).await else { return Ok(()) };
    let Ok(pool) = connect::postgres(settings).await else { return Ok(()) };
    if let Ok(closed) = worker::recover::gate::closed(&pool, &js).await {
        match closed {
            None => findings.ok("recovery", "nothing is to be recovered"),
            Some(reason) => findings.problem(
                "recovery",
                reason,
                "`hookline recover` (deploy/runbooks/recover.md)",
            ),
        }
    }
    for name in StreamName::ALL.into_iter().filter(|name| name.has_positions()) {
        let check = format!("era of {}", name.as_str());
        match worker::facts::eras::open(&js, &pool, name).await {
            Ok(opened) => findings.ok(&check, format!("{}, as stored", opened.known.era.short())),
            Err(error) => {
                // What cannot be read is found with the stream.
                let fix = match error.downcast_ref::<ForeignStream>() {
                    None => continue,
                    Some(ForeignStream::PutBack(_)) => {
                        "start a worker: it begins again by itself".to_owned()
                    }
                    Some(ForeignStream::Another(_)) => format!(
                        "restore it from a backup; without one `hookline streams adopt {} --reason …` \
                         (deploy/runbooks/stream-restored.md)",
                        name.as_str()
                    ),
                };
                findings.problem(&check, error.to_string(), fix);
            }
        }
    }
    Ok(())
}
