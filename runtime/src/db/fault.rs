//! Errors of the database by what to do about them.

use std::borrow::Cow;

use super::sqlstate::{self, Fault};
use crate::health::Health;

/// So many failures in a row make an error that never passes worth another line.
const REPORT_AGAIN: u32 = 60;

/// Whose fault an error is.
pub fn fault(error: &sqlx::Error) -> Fault {
    use sqlx::Error;
    match error {
        Error::Database(database) => {
            database.code().map_or(Fault::Passing, |code| sqlstate::fault_of(&code))
        }
        Error::Encode(_) | Error::Decode(_) | Error::ColumnDecode { .. } => Fault::Data,
        Error::Io(_)
        | Error::Tls(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => Fault::Passing,
        // What a statement names is not there, or its row is not: a bug, or another release's tables.
        _ => Fault::Never,
    }
}

/// What an operator does about an error that never passes; `None`: it passes, or is about data.
pub fn advice(error: &sqlx::Error) -> Option<&'static str> {
    let code = code(error).unwrap_or_default();
    (fault(error) == Fault::Never).then(|| sqlstate::advice(&code))
}

/// Reports the `failures`-th error in a row of some work where somebody must act: not ready with the reason, and a line that says what to do,
/// from time to time. Anything else is the caller's to log.
pub fn report(health: &Health, check: &'static str, error: &sqlx::Error, failures: u32) {
    if fault(error) != Fault::Never {
        return;
    }
    let reason = describe(error);
    if failures % REPORT_AGAIN == 1 {
        tracing::error!(
            check,
            reason,
            "Postgres does not take it, and will not until somebody acts"
        );
    }
    health.set(check, Err(reason));
}

/// The SQLSTATE, where Postgres answered with one.
pub fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error().and_then(|error| error.code())
}

/// Whether another transaction holds a lock that was wanted: try again in a moment.
pub fn is_held_up(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("55P03" | "40P01"))
}

/// A database error without the values that it quotes, and with what to do where it does not pass.
pub fn describe(error: &sqlx::Error) -> String {
    let what = match error {
        sqlx::Error::Database(database) => match database.code() {
            Some(code) => format!("Postgres answered with error {code}"),
            None => "Postgres refused".to_owned(),
        },
        sqlx::Error::PoolTimedOut => "no free connection to Postgres in time".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => {
            format!("column {index} holds what this version cannot read")
        }
        sqlx::Error::ColumnNotFound(column) => format!("there is no column {column}"),
        _ if fault(error) == Fault::Passing => "no connection to Postgres".to_owned(),
        _ => "a row or a value is not as this version expects it".to_owned(),
    };
    match advice(error) {
        Some(advice) => format!("{what}: {advice}"),
        None => what,
    }
}
