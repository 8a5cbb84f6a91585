//! `hookline accounts connect`: prints a one-time link, waits until a browser has connected accounts, and says which.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;
use runtime::config::{MetaApps, PublicUrl, Settings};
use schemas::Login;
use serde_json::{Value, json};
use sqlx::PgPool;
use worker::connect::{LoginReport, report};

use super::add::LoginArg;
use crate::args::CommonArgs;
use crate::exit::{Exit, Failure};
use crate::operator;
use crate::output::{Output, note, say};

/// How often it is looked for what the browser did.
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of `accounts connect`.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// instagram or facebook
    #[arg(long, value_enum)]
    login: LoginArg,
    /// How long to wait for the browser, such as 15m
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = runtime::config::parse_duration)]
    wait: Duration,
    #[command(flatten)]
    common: CommonArgs,
}

/// Prints the address, and waits.
pub(crate) async fn connect(
    args: ConnectArgs,
    pool: &PgPool,
    settings: &Settings,
) -> anyhow::Result<Exit> {
    let login = args.login.login();
    let public = needed(settings, login)?;
    let output = args.common.output;
    if args.common.dry_run {
        let text = format!("Would make a one-time link to {} and wait.", public.at("/connect"));
        match output {
            Output::Json => say(json!({"would": text, "dry_run": true})),
            Output::Table => say(text),
        }
        return Ok(Exit::Done);
    }
    let code = link(pool).await?;
    let address = address(&public, &code);
    // Standard output is for the result of a program's call.
    let lines = [
        "Open this address in a browser; it works once, within ten minutes:".to_owned(),
        format!("  {address}"),
    ];
    match output {
        Output::Json => lines.iter().for_each(note),
        Output::Table => lines.iter().for_each(say),
    }
    let Some(done) = wait(pool, &code, args.wait).await? else {
        note("No account was connected in time: run the command again for another link.");
        return Ok(Exit::SomeFailed);
    };
    let accounts: Vec<Value> = done.accounts.iter().map(|one| json!({"channel": one.channel, "id": one.id, "outcome": one.outcome, "note": one.note})).collect();
    let arguments = json!({"login": login.as_str()});
    let result = json!({"accounts": accounts});
    operator::record(
        pool,
        "accounts connect",
        arguments,
        args.common.reason.as_deref(),
        result.clone(),
    )
    .await?;
    match output {
        Output::Json => say(result),
        Output::Table => {
            for one in &done.accounts {
                let note = one.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
                say(format!("{}/{} {}{note}", one.channel, one.id, one.outcome));
            }
        }
    }
    let failed = done.accounts.iter().any(|one| one.outcome == "failed");
    Ok(if failed { Exit::SomeFailed } else { Exit::Done })
}

/// What connecting needs.
fn needed(settings: &Settings, login: Login) -> anyhow::Result<PublicUrl> {
    let public = PublicUrl::from_settings(settings)?.ok_or_else(|| {
        Failure::usage(
            "PUBLIC_URL is not set: set it to the https origin under which browsers reach the api",
        )
    })?;
    if MetaApps::from_settings(settings)?.find(login, None).is_none() {
        let text = format!(
            "META_APPS has no {login} app: add name:{login}:APP_ID, and the app's secret under the same name to META_APP_SECRETS"
        );
        return Err(Failure::usage(text));
    }
    Ok(public)
}

/// The address that opens a session with this code. What stands behind the `#` is sent nowhere by a browser.
pub(crate) fn address(public: &PublicUrl, code: &str) -> String {
    public.at(&format!("/session#{code}"))
}

/// The address that opens the console with this code: under `PUBLIC_URL`, else where the api listens.
pub(crate) fn console(public: Option<&PublicUrl>, api: SocketAddr, code: &str) -> String {
    match public {
        Some(public) => public.at(&format!("/#session={code}")),
        None => format!("http://{api}/#session={code}"),
    }
}

/// Makes a link.
pub(crate) async fn link(pool: &PgPool) -> anyhow::Result<String> {
    match api::make_link(pool).await {
        Err(error) if runtime::db::is_absent(&error) => {
            Err(Failure::unreachable("schema `api` is not there yet: start the api once"))
        }
        made => Ok(made?),
    }
}

/// Waits for the first login that connected something; refusals on the way are remarks.
async fn wait(pool: &PgPool, code: &str, within: Duration) -> anyhow::Result<Option<LoginReport>> {
    let deadline = Instant::now() + within;
    let mut remarked = Vec::new();
    loop {
        for id in api::connects_of(pool, code).await? {
            let Some(found) = report(pool, &id).await? else { continue };
            if found.is_done() {
                return Ok(Some(found));
            }
            if let Some(refusal) = found.refusal
                && !remarked.contains(&id)
            {
                note(format!(
                    "A login was refused ({refusal}): the page says what to do. Still waiting."
                ));
                remarked.push(id);
            }
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(EVERY).await;
    }
}
