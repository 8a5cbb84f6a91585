//! Which errors pass by themselves, and the causes of those that do not: what they are about is parked (docs/contract.md 9).

use facts::{FactError, PublishError};
use runtime::db::{self, Fault};
use runtime::publish::PublishFailure;

/// Why something cannot be carried out, however often it is tried with the same code and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// A stable word to group by: `database_22P05`, `too_large`, `panic`, …
    pub word: String,
    /// For people who operate; no content.
    pub error: String,
}

/// The cause, where an error will not go away by itself; `None`: try again later.
pub(super) fn cause(error: &FactError) -> Option<Cause> {
    match error {
        FactError::Database(error) => database_cause(error),
        FactError::Publish(error) => match error.as_ref() {
            PublishError::Broker(PublishFailure::TooLarge) => Some(Cause {
                word: "too_large".to_owned(),
                error: "an event is larger than the broker takes".to_owned(),
            }),
            PublishError::Encode(_) => Some(Cause {
                word: "not_json".to_owned(),
                error: "an event cannot be written as JSON".to_owned(),
            }),
            _ => None,
        },
        FactError::Seal(_) => Some(Cause { word: "seal".to_owned(), error: error.to_string() }),
        FactError::Conflict { .. } => None,
    }
}

fn database_cause(error: &sqlx::Error) -> Option<Cause> {
    (db::fault(error) == Fault::Data).then(|| refusal(error))
}

fn refusal(error: &sqlx::Error) -> Cause {
    let Some(database) = error.as_database_error() else {
        return Cause { word: "database".to_owned(), error: db::describe(error) };
    };
    let code = database.code().unwrap_or_default();
    // The message of Postgres may quote values; its code, table and constraint do not.
    let place = [database.table(), database.constraint()];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join("/");
    let advice = db::advice(error).map(|advice| format!(": {advice}")).unwrap_or_default();
    Cause {
        word: format!("database_{code}"),
        error: format!("Postgres refuses it: error {code} {place}").trim().to_owned() + &advice,
    }
}

/// Whether Postgres or the broker is away, so that no other row fares better now. Anything else counts as a failed try of its row.
pub(super) fn passes(error: &anyhow::Error) -> bool {
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return database_passes(error);
    }
    match error.downcast_ref::<FactError>() {
        Some(FactError::Database(error)) => database_passes(error),
        Some(FactError::Publish(error)) => match error.as_ref() {
            PublishError::Broker(failure) => {
                failure.is_away() || matches!(failure, PublishFailure::Full(_))
            }
            PublishError::ReadBack { .. } | PublishError::Erase(_) => true,
            PublishError::Encode(_) => false,
        },
        Some(FactError::Seal(_)) => false,
        // Somebody else was faster, or META_RAW could not be read.
        Some(FactError::Conflict { .. }) | None => true,
    }
}

fn database_passes(error: &sqlx::Error) -> bool {
    matches!(db::fault(error), Fault::Passing | Fault::TooMuch)
}

/// The cause of an error that nobody foresaw; its text may quote content, so it is not kept.
pub(super) fn unforeseen(error: &anyhow::Error) -> Cause {
    let database = match error.downcast_ref::<FactError>() {
        Some(FactError::Database(error)) => Some(error),
        _ => error.downcast_ref::<sqlx::Error>(),
    };
    let refused = database.filter(|error| error.as_database_error().is_some());
    refused.map(refusal).unwrap_or_else(|| Cause {
        word: "unforeseen".to_owned(),
        error: format!("an error that nobody foresaw: {error}"),
    })
}

/// A parked row of which its raw webhook says nothing any more: it is not given up without an operator.
pub(super) fn says_nothing(raw_seq: i64) -> Cause {
    Cause {
        word: "says_nothing".to_owned(),
        error: format!(
            "raw webhook {raw_seq} says nothing in this lane any more: was its account removed, or given another id? \
             `hookline replay --seq {raw_seq}..{raw_seq} --dry-run` shows what it says now; `hookline redrive discard` gives the row up"
        ),
    }
}

/// What a panic means.
pub(super) fn panicked(what: &str) -> Cause {
    Cause {
        word: "panic".to_owned(),
        error: format!("{what} broke down: a bug; the log has the place"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(failure: PublishFailure) -> anyhow::Error {
        FactError::from(PublishError::Broker(failure)).into()
    }

    #[test]
    fn only_servers_that_are_away_are_waited_for() {
        let said = || "said so".to_owned();
        let away = [
            sqlx::Error::PoolTimedOut.into(),
            FactError::Database(sqlx::Error::PoolTimedOut).into(),
            broker(PublishFailure::NotConnected),
            broker(PublishFailure::Full(said())),
            anyhow::anyhow!("META_RAW could not be read"),
        ];
        assert!(away.iter().all(passes));
        let of_the_row = [
            FactError::Database(sqlx::Error::ColumnNotFound(said())).into(),
            broker(PublishFailure::Refused(said())),
        ];
        assert!(!of_the_row.iter().any(passes));
        let cause = unforeseen(&of_the_row[0]);
        assert_eq!(cause.word, "unforeseen");
        assert!(!cause.error.contains("said so"), "{cause:?}");
    }
}
