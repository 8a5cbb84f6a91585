//! The accounts as Postgres has them, read again when somebody changed them.

use sqlx::PgConnection;

use super::directory::Directory;
use super::rows;

/// Reads the accounts when they are newer than version `known`; costs one tiny query otherwise.
///
/// # Errors
/// `sqlx::Error`; keep the accounts you have and ask again.
pub async fn refresh(conn: &mut PgConnection, known: i64) -> sqlx::Result<Option<Directory>> {
    // Read before the accounts: a change in between is seen next time, never missed.
    let version = rows::version(conn).await?;
    if version == known {
        return Ok(None);
    }
    let listed = rows::list(conn).await?;
    Ok(Some(Directory::new(version, listed.into_iter().map(rows::Listed::into_account).collect())))
}
