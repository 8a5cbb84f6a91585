//! `hookline replies list`.

use serde_json::json;
use sqlx::PgPool;
use worker::outbound::admin::{self, Parked};

use crate::account_name;
use crate::exit::Exit;
use crate::output::{Output, say, table};

pub(crate) async fn list(
    pool: &PgPool,
    account: Option<&str>,
    text: bool,
    limit: i64,
    output: Output,
) -> anyhow::Result<Exit> {
    let whose = account.map(|text| account_name::parse("--account", text)).transpose()?;
    let parked = admin::parked(pool, whose.as_ref(), limit).await?;
    match output {
        Output::Json => {
            let rows: Vec<_> = parked.iter().map(|parked| as_json(parked, text)).collect();
            say(serde_json::to_string(&rows)?);
        }
        Output::Table if parked.is_empty() => say("Nothing is parked."),
        Output::Table => {
            let mut header = vec![
                "id",
                "command",
                "account",
                "contact",
                "attempted",
                "parked",
                "attempts",
                "part",
            ];
            header.extend(text.then_some("text"));
            let rows: Vec<_> = parked.iter().map(|parked| as_row(parked, text)).collect();
            table(&header, &rows);
            if i64::try_from(rows.len()).is_ok_and(|count| count == limit) {
                say(format!("The oldest {limit}; --limit shows more."));
            }
        }
    }
    Ok(Exit::Done)
}

fn as_json(parked: &Parked, text: bool) -> serde_json::Value {
    let mut row = json!({
        "id": parked.command_id, "command": parked.command, "channel": parked.channel, "account_id": parked.account_id,
        "conversation_id": parked.conversation_id, "contact_id": parked.contact_id, "attempted_at": parked.attempted_at,
        "parked_at": parked.parked_at, "attempts": parked.attempts, "part": parked.part.0, "parts": parked.part.1,
    });
    if text {
        row["text"] = json!(parked.text);
    }
    row
}

fn as_row(parked: &Parked, text: bool) -> Vec<String> {
    let time =
        |time: Option<schemas::Timestamp>| time.map_or_else(String::new, |time| time.to_string());
    let mut row = vec![
        parked.command_id.clone(),
        parked.command.clone(),
        format!("{}/{}", parked.channel, parked.account_id),
        parked.contact_id.clone().unwrap_or_else(|| "-".to_owned()),
        time(parked.attempted_at),
        time(parked.parked_at),
        parked.attempts.to_string(),
        format!("{} of {}", parked.part.0, parked.part.1),
    ];
    if text {
        // One line, whatever was written.
        let words = parked.text.as_deref().unwrap_or_default();
        row.push(words.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    row
}
