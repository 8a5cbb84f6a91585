//! What `hookline endpoints` prints.

use api::endpoints::{Endpoint, EndpointTest};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::{Output, fields, say, table};

pub(super) fn list(endpoints: &[Endpoint], output: Output) -> anyhow::Result<Exit> {
    if output == Output::Json {
        say(serde_json::to_string(endpoints)?);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = endpoints
        .iter()
        .map(|endpoint| {
            vec![
                endpoint.id.clone(),
                endpoint.state.clone(),
                endpoint.held.to_string(),
                endpoint.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
                endpoint.last_error.clone().unwrap_or_default(),
                endpoint.url.clone(),
            ]
        })
        .collect();
    table(&["id", "state", "held", "lag", "last error", "url"], &rows);
    Ok(Exit::Done)
}

pub(super) fn one(endpoint: &Endpoint, output: Output) -> anyhow::Result<Exit> {
    let shown = serde_json::to_value(endpoint)?;
    match output {
        Output::Json => say(shown),
        Output::Table => fields(&shown),
    }
    Ok(Exit::Done)
}

pub(super) fn made(endpoint: &Endpoint, secret: &str, output: Output) -> anyhow::Result<Exit> {
    let mut shown = serde_json::to_value(endpoint)?;
    match output {
        Output::Json => {
            shown["secret"] = secret.into();
            say(shown);
        }
        Output::Table => {
            say(format!("Made {} for {}.", endpoint.id, endpoint.url));
            say(format!("Its secret, shown this once: {secret}"));
        }
    }
    Ok(Exit::Done)
}

/// Exit code 1 where the receiver did not take it.
pub(super) fn tested(test: &EndpointTest, output: Output) -> anyhow::Result<Exit> {
    match output {
        Output::Json => say(serde_json::to_string(test)?),
        Output::Table => say(match &test.error {
            None => format!("{} took the test event {}.", test.endpoint_id, test.webhook_id),
            Some(error) => format!("{} did not take it: {error}", test.endpoint_id),
        }),
    }
    Ok(if test.delivered { Exit::Done } else { Exit::SomeFailed })
}

pub(super) fn would(what: &str, about: &str, output: Output) -> Exit {
    match output {
        Output::Json => say(json!({"would": what, "of": about, "dry_run": true})),
        Output::Table => say(format!("Would {what} {about}.")),
    }
    Exit::Done
}

pub(super) fn done(words: &str, result: Value, output: Output) -> Exit {
    match output {
        Output::Json => say(result),
        Output::Table => say(words),
    }
    Exit::Done
}
