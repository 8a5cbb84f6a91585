//! What sending keeps of positions beside those of its readers, when an operator declares another era of a stream.

use runtime::streams::{Era, StreamName};
use sqlx::PgConnection;

use crate::ledger::{attempt_log, mark};

/// Nothing of the stream is known yet. Commands and parts stay as they are.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn start_over(conn: &mut PgConnection, stream: StreamName, era: Era) -> sqlx::Result<()> {
    match stream {
        StreamName::Commands => mark::start_over(conn, era).await,
        StreamName::Attempts => attempt_log::start_over(conn, era).await,
        StreamName::Raw | StreamName::Events | StreamName::Dead => Ok(()),
    }
}
