//! What `up` prints once it is ready, and the file `env` for other verbs and shells.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use runtime::config::{Settings, UP_FOLDER};

use super::files;
use super::roles::Addresses;
use crate::output::say;

/// Writes `env`: what other verbs and a person's shell need to reach this `up`.
pub(crate) fn write_env(
    folder: &Path,
    settings: &Settings,
    addresses: Addresses,
    simulator: Option<&str>,
) -> anyhow::Result<()> {
    let mut values: BTreeMap<String, String> = runtime::config::VARIABLES
        .iter()
        .filter_map(|variable| {
            Some((variable.name.to_owned(), settings.get(variable.name)?.to_owned()))
        })
        .collect();
    values.insert("HOOKLINE_INGEST_URL".to_owned(), format!("http://{}", addresses.webhooks));
    values.insert("HOOKLINE_API_URL".to_owned(), format!("http://{}", addresses.inbox));
    values.insert("HOOKLINE_API_TOKEN".to_owned(), first_token(settings));
    if let Some(admin) = addresses.admin {
        values.insert("HOOKLINE_ADMIN_URL".to_owned(), format!("http://{admin}"));
    }
    if let Some(url) = simulator {
        values.insert("HOOKLINE_SIMULATOR_URL".to_owned(), url.to_owned());
    }
    let path = folder.join("env");
    files::write_private(&path, &files::pairs(&values))
        .with_context(|| format!("writing {}", path.display()))
}

/// The bare first API token, for curl.
fn first_token(settings: &Settings) -> String {
    let first =
        settings.get("API_TOKENS").unwrap_or_default().split(',').next().unwrap_or_default();
    let token = first.split_once('=').map_or(first, |(_, token)| token);
    token.split(':').next().unwrap_or_default().to_owned()
}

/// One-time links into the api.
pub(crate) struct Links {
    /// The console.
    pub(crate) console: Option<String>,
    /// Where accounts are connected.
    pub(crate) connect: Option<String>,
}

/// Prints where everything is.
pub(crate) fn announce(
    here: &Path,
    settings: &Settings,
    addresses: Addresses,
    simulator: Option<&str>,
    links: &Links,
) {
    let Addresses { webhooks, inbox, admin } = addresses;
    say("hookline is up.");
    if let Some(address) = &links.console {
        say(format!("  console    {address}  (signs you in once, within ten minutes)"));
    }
    say(format!(
        "  webhooks   http://{webhooks}/webhook  (also /webhooks/instagram, /webhooks/facebook)"
    ));
    say(format!("  inbox API  http://{inbox}/v1/conversations  (docs: http://{inbox}/docs)"));
    if let Some(admin) = admin {
        say(format!("  health     http://{admin}/readyz  (metrics: /metrics)"));
    }
    if let Some(url) = simulator {
        say(format!("  Meta       {url}  (simulated: people write, Graph answers)"));
    }
    if let Some(address) = &links.connect {
        say(format!(
            "  connect    {address}  (once, within ten minutes; another one: hookline accounts connect --login instagram)"
        ));
    }
    say(format!("  API token  {}", first_token(settings)));
    say(format!(
        "  settings   {}/{UP_FOLDER}/env  (other `hookline` verbs in this folder find them)",
        here.display()
    ));
    say(format!(
        "Look here: curl -s -H 'Authorization: Bearer {}' http://{inbox}/v1/conversations",
        first_token(settings)
    ));
    say("Ctrl-C stops everything; the data stays in .hookline/.");
}
