//! `hookline accounts rekey`: everything that is sealed moves to the first key of `ENCRYPTION_KEY`.

use api::endpoints::{EndpointError, Endpoints};
use runtime::config::{EncryptionKeys, Settings};
use runtime::db::is_absent;
use serde_json::{Map, json};
use sqlx::PgPool;

use crate::exit::Exit;
use crate::operator;
use crate::output::{Output, say, table};

/// Which key would seal, and which others are there.
pub(super) fn would(settings: &Settings, output: Output) -> anyhow::Result<Exit> {
    let keys = EncryptionKeys::parse(settings.require("ENCRYPTION_KEY")?)
        .map_err(|reason| settings.invalid("ENCRYPTION_KEY", reason))?;
    let others: Vec<&str> = keys.others.iter().map(|key| key.id.as_str()).collect();
    match output {
        Output::Json => say(json!({"first": keys.first.id, "others": others, "dry_run": true})),
        Output::Table if others.is_empty() => {
            say(format!("Would move nothing: `{}` is the only key.", keys.first.id));
        }
        Output::Table => {
            say(format!("Would move what {} sealed to `{}`.", others.join(", "), keys.first.id))
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn rekey(
    pool: &PgPool,
    settings: &Settings,
    reason: Option<&str>,
    output: Output,
) -> anyhow::Result<Exit> {
    let seal = worker::config::seal(settings)?;
    let mut done: Vec<(&str, u64, u64)> = Vec::new();
    for (what, count) in worker::rekey::rekey(pool, &seal).await? {
        done.push((what, count.moved, count.kept));
    }
    match Endpoints::from_settings(pool.clone(), settings)?.rekey().await {
        Ok((moved, kept)) => done.push(("endpoint secrets", moved, kept)),
        // No api has run here.
        Err(EndpointError::Database(error)) if is_absent(&error) => {}
        Err(error) => return Err(error.into()),
    }
    let counts: Map<String, serde_json::Value> = done
        .iter()
        .map(|(what, moved, kept)| ((*what).to_owned(), json!({"moved": moved, "kept": kept})))
        .collect();
    operator::record(pool, "accounts rekey", json!({}), reason, counts.clone().into()).await?;
    match output {
        Output::Json => say(serde_json::to_string(&counts)?),
        Output::Table => {
            let rows: Vec<Vec<String>> = done
                .iter()
                .map(|(what, moved, kept)| {
                    vec![(*what).to_owned(), moved.to_string(), kept.to_string()]
                })
                .collect();
            table(&["what", "moved", "there already"], &rows);
        }
    }
    Ok(Exit::Done)
}
