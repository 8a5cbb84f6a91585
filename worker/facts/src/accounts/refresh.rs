//! The accounts as Postgres has them, read again when somebody changed them.

use std::collections::HashMap;

use schemas::Channel;
use sqlx::{PgConnection, Row};

use crate::accounts::directory::{Account, Directory, Login};

/// Reads the accounts when they are newer than version `known`; costs one tiny query otherwise.
///
/// # Errors
/// Of the database.
pub async fn refresh(conn: &mut PgConnection, known: i64) -> sqlx::Result<Option<Directory>> {
    // Read before the accounts: a change in between is seen next time, never missed.
    let version: i64 = sqlx::query_scalar("select version from worker.accounts_version")
        .fetch_one(&mut *conn)
        .await?;
    if version == known {
        return Ok(None);
    }
    let mut aliases: HashMap<(String, String), Vec<String>> = HashMap::new();
    for row in
        sqlx::query("select channel, alias, account_id from worker.account_aliases order by alias")
            .fetch_all(&mut *conn)
            .await?
    {
        let key = (row.try_get("channel")?, row.try_get("account_id")?);
        aliases.entry(key).or_default().push(row.try_get("alias")?);
    }
    let rows = sqlx::query(
        "select channel, id, login, name, app, page_id, auto_reply, state = 'stopped' as stopped
           from worker.accounts order by channel, id",
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut accounts = Vec::with_capacity(rows.len());
    for row in rows {
        let (channel, id): (String, String) = (row.try_get("channel")?, row.try_get("id")?);
        let login: String = row.try_get("login")?;
        // The table's own checks allow nothing else.
        let (Ok(known_channel), Some(login)) = (channel.parse::<Channel>(), Login::parse(&login))
        else {
            continue;
        };
        accounts.push(Account {
            channel: known_channel,
            login,
            app: row.try_get("app")?,
            page_id: row.try_get("page_id")?,
            aliases: aliases.remove(&(channel, id.clone())).unwrap_or_default(),
            name: row.try_get("name")?,
            auto_reply: row.try_get("auto_reply")?,
            stopped: row.try_get("stopped")?,
            id: id.into(),
        });
    }
    Ok(Some(Directory::new(version, accounts)))
}
