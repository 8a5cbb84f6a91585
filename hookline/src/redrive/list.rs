//! `hookline redrive list`: parked work, grouped by cause.

use futures::TryStreamExt;
use sqlx::PgPool;
use worker::inbound::{parked, parked_causes};

use super::parked::{of_normalizer, of_projector};
use crate::exit::Exit;
use crate::output::{Output, say, table};

pub(crate) async fn list(pool: &PgPool, output: Output) -> anyhow::Result<Exit> {
    match output {
        Output::Json => print_rows(pool).await?,
        Output::Table => print_causes(pool).await?,
    }
    Ok(Exit::Done)
}

/// One array of all rows. It is never whole in memory: there may be many.
async fn print_rows(pool: &PgPool) -> anyhow::Result<()> {
    let mut separator = "[";
    let mut rows = parked::list(pool);
    while let Some(row) = rows.try_next().await? {
        say(format!("{separator}{}", of_normalizer(&row)?));
        separator = ",";
    }
    for row in projector::parked::list(pool).await? {
        say(format!("{separator}{}", of_projector(&row)?));
        separator = ",";
    }
    say(if separator == "[" { "[]" } else { "]" });
    Ok(())
}

async fn print_causes(pool: &PgPool) -> anyhow::Result<()> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for held in parked_causes::held_by_cause(pool).await? {
        let (failed, behind) = (held.failed.to_string(), held.behind.to_string());
        rows.push(vec!["normalize".to_owned(), held.cause, failed, behind, held.since.to_string()]);
    }
    for aside in projector::parked::by_cause(pool).await? {
        let failed = aside.count.to_string();
        let (none, since) = ("0".to_owned(), aside.since.to_string());
        rows.push(vec!["projector".to_owned(), aside.cause, failed, none, since]);
    }
    table(&["stage", "cause", "failed", "waiting behind", "since"], &rows);
    Ok(())
}
