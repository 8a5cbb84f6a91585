//! Parked rows of both stages in one shape.

use clap::ValueEnum;
use serde_json::{Value, json};
use sqlx::PgPool;
use worker::inbound::parked::{self, Parked};

use crate::exit::Failure;

/// The stage that parked something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// The normaliser: raw webhooks, with their conversation behind them
    #[default]
    Normalize,
    /// The projector: single events
    Projector,
}

pub(crate) fn unknown(id: i64) -> anyhow::Error {
    Failure::usage(format!("no parked row {id}: `hookline redrive list --output json` shows them"))
}

/// A row of the normaliser as JSON, with its stage.
pub(crate) fn of_normalizer(row: &Parked) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(row)?;
    value["stage"] = json!("normalize");
    Ok(value)
}

/// A row of the projector as JSON, with the fields of the normaliser's rows.
pub(crate) fn of_projector(row: &projector::parked::Parked) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(row)?;
    value["role"] = json!("failed");
    Ok(value)
}

/// The row with this number: `id` of the normaliser, `seq` of the projector.
pub(crate) async fn find(pool: &PgPool, id: i64, stage: Stage) -> anyhow::Result<Value> {
    look(pool, id, stage).await?.ok_or_else(|| unknown(id))
}

/// The same; `None` where there is none.
pub(crate) async fn look(pool: &PgPool, id: i64, stage: Stage) -> anyhow::Result<Option<Value>> {
    match stage {
        Stage::Normalize => {
            parked::find(pool, id).await?.map(|row| of_normalizer(&row)).transpose()
        }
        Stage::Projector => {
            projector::parked::find(pool, id).await?.map(|row| of_projector(&row)).transpose()
        }
    }
}
