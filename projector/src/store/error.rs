//! Why a batch was not stored, and whose fault that is.

/// Why a batch was not stored; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Take the lease and read the position anew.
    #[error("another projector holds the lease or moved the position")]
    Fenced,
    /// The public views show another schema by now: write that one.
    #[error("another schema serves by now")]
    Moved,
    /// Postgres does not answer, or refuses what is written.
    #[error("the read model could not be written: {0}")]
    Database(#[from] sqlx::Error),
}

/// Whose fault a database error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The database's, or that of the moment: try again later.
    Later,
    /// That of the data: it cannot be written and will fail again.
    Data,
    /// It took too long: less at a time may pass.
    TooMuch,
}

/// Distinguishes passing trouble from data that cannot be stored.
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(error) => {
            match error.code().as_deref().map(|code| (code, code.get(..2))) {
                // A statement over its time limit: smaller batches may pass, and a single event must not be given up for it.
                Some(("57014", _)) => Fault::TooMuch,
                // Data exceptions, broken constraints, limits exceeded.
                Some((_, Some("22" | "23" | "54"))) => Fault::Data,
                _ => Fault::Later,
            }
        }
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            Fault::Data
        }
        _ => Fault::Later,
    }
}

/// Whether another transaction holds a lock that was wanted: try again in a moment.
pub(crate) fn held_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

/// A database error without the values that it quotes.
pub(crate) fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("Postgres answered with error {code}"),
            None => "Postgres refused".to_owned(),
        },
        sqlx::Error::Io(_) => "no connection to Postgres".to_owned(),
        sqlx::Error::PoolTimedOut => "no free connection to Postgres in time".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => {
            format!("column {index} holds what this version cannot read")
        }
        _ => "no connection to Postgres".to_owned(),
    }
}
