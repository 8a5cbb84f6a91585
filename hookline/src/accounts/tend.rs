//! `hookline accounts subscribe|refresh|disconnect`: what the worker does by itself, now.

use runtime::config::Settings;
use schemas::{AccountId, Channel};
use serde_json::json;
use sqlx::PgPool;
use worker::facts::accounts::upkeep::FieldRow;
use worker::facts::accounts::{AccountStore, Only};
use worker::graph::{Graph, GraphConfig, UpkeepError};
use worker::outbound::backlog;

use super::error::failure;
use crate::account_name;
use crate::args::CommonArgs;
use crate::exit::Exit;
use crate::operator;
use crate::output::{Output, say, table};

type Named = (Channel, AccountId);

/// The account of this name, or all.
pub(super) async fn chosen(
    pool: &PgPool,
    accounts: &AccountStore,
    name: Option<&str>,
) -> anyhow::Result<Vec<Named>> {
    match name {
        Some(name) => Ok(vec![account_name::connected(pool, "ACCOUNT", name).await?]),
        None => {
            let rows = accounts.list().await.map_err(failure)?;
            let in_use = rows.into_iter().filter(|row| row.state != "disconnected");
            Ok(in_use.map(|row| (row.account.channel, row.account.id)).collect())
        }
    }
}

/// What would be done, for which accounts.
pub(super) fn would(what: &str, chosen: &[Named], output: Output) -> Exit {
    let names: Vec<String> = chosen.iter().map(|(channel, id)| format!("{channel}/{id}")).collect();
    match output {
        Output::Json => say(json!({"accounts": names, "dry_run": true})),
        Output::Table => say(format!("Would {what} {}.", names.join(", "))),
    }
    Exit::Done
}

/// Asks for the fields of accounts. Exit code 1 where one could not be asked, or messages are withheld.
pub(super) async fn subscribe(
    accounts: &AccountStore,
    settings: &Settings,
    chosen: Vec<Named>,
    output: Output,
) -> anyhow::Result<Exit> {
    let graph = Graph::new(GraphConfig::from_settings(settings)?)?;
    let mut exit = Exit::Done;
    let mut rows: Vec<(String, Result<FieldRow, String>)> = Vec::new();
    for (channel, id) in chosen {
        let name = format!("{channel}/{id}");
        let Some(connected) = accounts.get(channel, &id).await.map_err(failure)? else { continue };
        match worker::graph::look(&graph, accounts, &connected).await {
            Ok(fields) => {
                let arrive = |field: &FieldRow| field.field == "messages" && field.is_subscribed();
                if !fields.iter().any(arrive) {
                    exit = Exit::SomeFailed;
                }
                rows.extend(fields.into_iter().map(|field| (name.clone(), Ok(field))));
            }
            Err(error) => {
                exit = Exit::SomeFailed;
                rows.push((name, Err(in_words(error)?)));
            }
        }
    }
    match output {
        Output::Json => {
            let rows: Vec<_> = rows
                .into_iter()
                .map(|(account, row)| match row {
                    Ok(field) => json!({
                        "account": account, "object": field.object, "field": field.field, "state": field.state,
                        "code": field.code, "subcode": field.subcode, "costs": field.costs,
                    }),
                    Err(error) => json!({"account": account, "error": error}),
                })
                .collect();
            say(serde_json::to_string(&rows)?);
        }
        Output::Table => {
            let rows: Vec<Vec<String>> = rows
                .into_iter()
                .map(|(account, row)| match row {
                    Ok(field) => {
                        let code = field.code.map(|code| code.to_string()).unwrap_or_default();
                        let costs = field.costs.unwrap_or_default();
                        vec![account, field.object, field.field, field.state, code, costs]
                    }
                    Err(error) => {
                        let none = String::new;
                        vec![account, none(), none(), "not asked".to_owned(), none(), error]
                    }
                })
                .collect();
            table(&["account", "object", "field", "state", "code", "costs"], &rows);
        }
    }
    Ok(exit)
}

/// Asks for new tokens. Exit code 1 where one did not come.
pub(super) async fn refresh(
    accounts: &AccountStore,
    settings: &Settings,
    chosen: Vec<Named>,
    output: Output,
) -> anyhow::Result<Exit> {
    runtime::failpoint::arm_from_env()?;
    let graph = Graph::new(GraphConfig::from_settings(settings)?)?;
    let mut exit = Exit::Done;
    let mut rows = Vec::new();
    for (channel, id) in chosen {
        let Some(connected) = accounts.get(channel, &id).await.map_err(failure)? else { continue };
        let (refreshed, error) = match worker::graph::refresh(&graph, accounts, &connected).await {
            Ok(done) => (done.as_str(), String::new()),
            Err(error) => {
                exit = Exit::SomeFailed;
                ("no", in_words(error)?)
            }
        };
        let standing = accounts.standing(channel, &id).await.map_err(failure)?;
        let ends = standing.and_then(|standing| standing.token_ends);
        rows.push((format!("{channel}/{id}"), refreshed, ends, error));
    }
    match output {
        Output::Json => {
            let rows: Vec<_> = rows
                .iter()
                .map(|(account, refreshed, ends, error)| {
                    let error = (!error.is_empty()).then_some(error);
                    json!({"account": account, "refreshed": refreshed, "token_ends": ends, "error": error})
                })
                .collect();
            say(serde_json::to_string(&rows)?);
        }
        Output::Table => {
            let rows: Vec<Vec<String>> = rows
                .into_iter()
                .map(|(account, refreshed, ends, error)| {
                    let ends = ends.map_or_else(String::new, |ends| ends.to_string());
                    vec![account, refreshed.to_owned(), ends, error]
                })
                .collect();
            table(&["account", "refreshed", "token ends", "why not"], &rows);
        }
    }
    Ok(exit)
}

/// Disconnects one account.
pub(super) async fn disconnect(
    pool: &PgPool,
    accounts: &AccountStore,
    settings: &Settings,
    (channel, id): Named,
    common: &CommonArgs,
) -> anyhow::Result<Exit> {
    let CommonArgs { reason, dry_run, output } = common;
    let open: i64 = backlog::open_by_account(pool)
        .await?
        .into_iter()
        .filter(|open| open.channel == channel && open.account_id == id)
        .map(|open| open.count)
        .sum();
    let mut done = None;
    if !*dry_run {
        let graph = Graph::new(GraphConfig::from_settings(settings)?)?;
        if let Some(connected) = accounts.get(channel, &id).await.map_err(failure)? {
            let by = "by an operator";
            let only = Only::Any;
            done = Some(worker::graph::disconnect(&graph, accounts, &connected, by, only).await?);
        }
        let arguments = json!({"account": format!("{channel}/{id}")});
        let result =
            json!({"disconnected": done.is_some_and(|done| done.disconnected), "commands": open});
        operator::record(pool, "accounts disconnect", arguments, reason.as_deref(), result).await?;
    }
    let unsubscribed = done.is_some_and(|done| done.unsubscribed);
    match output {
        Output::Json => say(json!({
            "channel": channel, "id": id, "disconnected": done.is_some_and(|done| done.disconnected),
            "unsubscribed": unsubscribed, "commands": open, "dry_run": dry_run,
        })),
        Output::Table if *dry_run => say(format!(
            "Would disconnect {channel}/{id}: its token is destroyed and {open} queued commands end."
        )),
        Output::Table => {
            let fields = if unsubscribed {
                "taken away"
            } else {
                "not taken away: Meta did not answer, or had done it"
            };
            say(format!(
                "Disconnected {channel}/{id}: webhook fields {fields}, {open} queued commands end with `account_disconnected`, its history stays."
            ));
        }
    }
    Ok(Exit::Done)
}

/// Asks for the fields of an account that was just stored, and says what came of it. The worker asks again in any case.
pub(super) async fn first_look(
    accounts: &AccountStore,
    settings: &Settings,
    channel: Channel,
    id: &AccountId,
) -> String {
    let look = async {
        let config = GraphConfig::from_settings(settings)?;
        let patience = config.timeout;
        let graph = Graph::new(config)?;
        let Some(connected) = accounts.get(channel, id).await? else { return Ok(Vec::new()) };
        let looked = worker::graph::first_look(&graph, accounts, &connected);
        match tokio::time::timeout(patience, looked).await {
            Ok(fields) => Ok(fields?),
            Err(_) => anyhow::bail!("Graph did not answer in time"),
        }
    };
    match look.await {
        Ok(fields) => {
            let withheld: Vec<String> = fields
                .iter()
                .filter(|field| !field.is_subscribed())
                .map(|field| format!("{}/{} {}", field.object, field.field, field.state))
                .collect();
            match withheld.is_empty() {
                true => format!("all {} subscribed", fields.len()),
                false => format!(
                    "{} (`hookline accounts subscribe {id}` says more)",
                    withheld.join(", ")
                ),
            }
        }
        Err(error) => {
            format!("not asked for yet ({error:#}); the worker asks again within a minute")
        }
    }
}

/// What Graph answered; an error of the store ends the verb.
fn in_words(error: UpkeepError) -> anyhow::Result<String> {
    match error {
        UpkeepError::Graph(error) => Ok(error.to_string()),
        UpkeepError::Store(error) => Err(failure(error)),
    }
}
