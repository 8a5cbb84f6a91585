//! `hookline accounts list`.

use worker::facts::accounts::AccountStore;

use super::error::failure;
use crate::exit::Exit;
use crate::output::{Output, say, table};

pub(crate) async fn list(accounts: &AccountStore, output: Output) -> anyhow::Result<Exit> {
    let rows = accounts.list().await.map_err(failure)?;
    if output == Output::Json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let account = &row.account;
                serde_json::json!({
                    "channel": account.channel, "id": account.id, "login": account.login.as_str(), "name": account.name,
                    "app": account.app, "page_id": account.page_id, "aliases": account.aliases, "handle": account.handle,
                    "auto_reply": account.auto_reply, "state": row.state,
                    "state_reason": row.state_reason, "state_since": row.state_since, "added_at": row.added_at,
                })
            })
            .collect();
        say(serde_json::to_string(&rows)?);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let account = row.account;
            let state = match row.state_reason {
                Some(reason) if account.stopped => {
                    format!("{} since {}: {reason}", row.state, row.state_since)
                }
                _ => "active".to_owned(),
            };
            let auto = if account.auto_reply.is_some() { "yes" } else { "no" };
            vec![
                account.channel.to_string(),
                account.id.to_string(),
                account.login.as_str().to_owned(),
                account.name.unwrap_or_default(),
                auto.to_owned(),
                state,
            ]
        })
        .collect();
    table(&["channel", "id", "login", "name", "auto-reply", "state"], &rows);
    Ok(Exit::Done)
}
