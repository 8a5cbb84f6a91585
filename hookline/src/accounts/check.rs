//! `hookline accounts check`: asks Graph whether token, scopes and webhook subscription work.

use runtime::config::Settings;
use schemas::{AccountId, Channel};
use worker::facts::accounts::AccountStore;
use worker::graph::{Graph, GraphConfig, Level};

use super::error::failure;
use crate::exit::Exit;
use crate::output::{Output, say, table};

/// Checks one account, or all. Exit code 1 where something is a problem.
pub(crate) async fn check(
    accounts: &AccountStore,
    settings: &Settings,
    chosen: Option<(Channel, AccountId)>,
    output: Output,
) -> anyhow::Result<Exit> {
    let chosen: Vec<(Channel, AccountId)> = match chosen {
        Some(one) => vec![one],
        None => {
            let rows = accounts.list().await.map_err(failure)?;
            rows.into_iter().map(|row| (row.account.channel, row.account.id)).collect()
        }
    };
    let graph = Graph::new(GraphConfig::from_settings(settings)?)?;
    let mut worst = Level::Good;
    let mut rows = Vec::new();
    for (channel, id) in chosen {
        let Some(connected) = accounts.get(channel, &id).await.map_err(failure)? else { continue };
        for finding in worker::graph::check(&graph, accounts, &connected).await {
            worst = worst.max(finding.level);
            rows.push((format!("{channel}/{id}"), finding));
        }
    }
    match output {
        Output::Json => {
            let rows: Vec<_> = rows
                .iter()
                .map(|(account, finding)| {
                    serde_json::json!({
                        "account": account, "check": finding.check, "level": finding.level.as_str(),
                        "text": finding.text, "fix": finding.fix,
                    })
                })
                .collect();
            say(serde_json::to_string(&rows)?);
        }
        Output::Table => {
            let rows: Vec<Vec<String>> = rows
                .into_iter()
                .map(|(account, finding)| {
                    vec![
                        account,
                        finding.check.to_owned(),
                        finding.level.as_str().to_owned(),
                        finding.text,
                        finding.fix,
                    ]
                })
                .collect();
            table(&["account", "check", "level", "finding", "fix"], &rows);
        }
    }
    Ok(if worst == Level::Problem { Exit::SomeFailed } else { Exit::Done })
}
