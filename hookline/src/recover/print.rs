//! What `hookline recover` says.

use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use worker::facts::accounts::AccountStore;
use worker::facts::accounts::regain::REASON;
use worker::facts::seal::Seal;
use worker::recover::plan::{Database, RecoveryPlan};

use crate::output::{Output, say, table};

/// An account whose token is to be added again.
#[derive(Debug, Serialize)]
pub(super) struct WithoutToken {
    channel: String,
    id: String,
    /// Other ids under which its webhooks came.
    aliases: Vec<String>,
}

/// The accounts whose tokens are to be added again.
pub(super) async fn accounts(pool: &PgPool, seal: Seal) -> anyhow::Result<Vec<WithoutToken>> {
    let listed = AccountStore::new(pool.clone(), seal).list().await?;
    let lost = listed.into_iter().filter(|row| row.state_reason.as_deref() == Some(REASON));
    Ok(lost
        .map(|row| WithoutToken {
            channel: row.account.channel.to_string(),
            id: row.account.id.to_string(),
            aliases: row.account.aliases,
        })
        .collect())
}

/// What would be read. `may`: why it may not begin.
pub(super) fn plan(
    seen: &RecoveryPlan,
    may: Result<(), String>,
    output: Output,
) -> anyhow::Result<()> {
    if output == Output::Json {
        say(serde_json::to_string(
            &json!({ "dry_run": true, "plan": seen, "refused": may.err() }),
        )?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = seen
        .streams
        .iter()
        .map(|stream| {
            let number = |number: u64| match stream.is_there {
                true => number.to_string(),
                false => "-".to_owned(),
            };
            vec![
                stream.name.to_owned(),
                number(stream.messages),
                number(stream.first),
                number(stream.last),
            ]
        })
        .collect();
    table(&["stream", "messages", "first", "last"], &rows);
    say(match (may, seen.database) {
        (Err(reason), _) => format!("Would refuse: {reason}"),
        (Ok(()), Database::Begun(stage)) => {
            format!("Would go on with the recovery that was begun, at `{}`.", stage.as_str())
        }
        (Ok(()), _) => "Would fill this empty Postgres from these streams.".to_owned(),
    });
    Ok(())
}

/// What was done, and what is left to do.
pub(super) fn result(
    job: &str,
    result: &Value,
    accounts: &[WithoutToken],
    output: Output,
) -> anyhow::Result<()> {
    if output == Output::Json {
        say(serde_json::to_string(
            &json!({ "job": job, "result": result, "accounts_without_token": accounts }),
        )?);
        return Ok(());
    }
    say(format!(
        "Regained {} events and what {} raw webhooks hold beside them. {} sender-less items wait again.",
        result["events"], result["raw_webhooks"], result["waiting"]
    ));
    for (name, what) in [
        ("unreadable", "messages of INBOX_EVENTS are no events this release knows"),
        (
            "unpublished",
            "events that raw webhooks give today were never published: `hookline replay --dry-run` shows them",
        ),
        ("parked", "parked rows wait for an operator: `hookline redrive list`"),
    ] {
        if result[name].as_u64() > Some(0) {
            say(format!("{} {what}.", result[name]));
        }
    }
    say(
        "Freezes are gone: `hookline send freeze` before tokens are added, where sending is to stay stopped.",
    );
    if accounts.is_empty() {
        say("No account has events. Add them again: `hookline accounts add`.");
        return Ok(());
    }
    say("Tokens must be added again (`hookline accounts add`, with the options of before):");
    let rows: Vec<Vec<String>> = accounts
        .iter()
        .map(|one| vec![one.channel.clone(), one.id.clone(), one.aliases.join(",")])
        .collect();
    table(&["channel", "account", "also named"], &rows);
    Ok(())
}
