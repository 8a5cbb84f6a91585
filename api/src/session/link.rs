//! One-time links for operators: `hookline accounts connect` and `up` print one.
//!
//! The code stands behind the `#` of the address, which no browser sends: it is in no log, no referrer and no history of a proxy. The page
//! posts it; without script the person pastes it.

use std::time::Duration;

use sqlx::PgPool;

use super::rows;

/// How long a link may be used.
const LASTS: Duration = Duration::from_secs(10 * 60);

/// Makes the code of a link that opens an administrator's session once, within ten minutes.
///
/// # Errors
/// `sqlx::Error`, also where no api has made its tables yet.
pub async fn make_link(pool: &PgPool) -> sqlx::Result<String> {
    let code = super::secret();
    rows::make_link(pool, &super::digest(&code), LASTS).await?;
    Ok(code)
}

/// The ids of the logins that were begun in the session which the link of this code opened.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn connects_of(pool: &PgPool, code: &str) -> sqlx::Result<Vec<String>> {
    rows::connects_of(pool, &super::digest(code)).await
}
