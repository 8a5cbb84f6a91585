//! What a callback of Meta's does to accounts; statements over `worker.callbacks`.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::PgConnection;

use super::error::AccountError;
use super::only::Only;
use super::store::AccountStore;

/// A callback that was verified.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Names the signed request: the same one acts once.
    pub id: Vec<u8>,
    /// The app whose secret signed it.
    pub app: String,
    /// The person's id at this app.
    pub person: String,
    /// When it came in.
    pub received_at: Timestamp,
    /// Of a request for deletion: the code of its page.
    pub code: Option<String>,
}

#[derive(Debug, sqlx::FromRow)]
struct Found {
    channel: Channel,
    id: AccountId,
    /// It was connected before the callback came in.
    before: bool,
}

impl AccountStore {
    /// Disconnects the accounts that the person connected by this app, in the caller's transaction, and keeps the request for deletion.
    /// Accounts connected again after it came in stay connected; a request for deletion is about them too. Returns how many accounts it was about; `None`: it acted before.
    ///
    /// # Errors
    /// [`AccountError`]; roll back.
    pub async fn call_back(
        &self,
        conn: &mut PgConnection,
        callback: &Callback,
    ) -> Result<Option<usize>, AccountError> {
        let mut found = accounts_of(conn, callback).await?;
        if callback.code.is_none() {
            found.retain(|one| one.before);
        }
        let names: Vec<String> =
            found.iter().map(|one| format!("{}/{}", one.channel, one.id)).collect();
        if !keep(conn, callback, &names).await? {
            return Ok(None);
        }
        let reason = match callback.code {
            None => "the person who connected it removed the app",
            Some(_) => "the person who connected it asked for the deletion of their data",
        };
        for Found { channel, id, .. } in found.iter().filter(|one| one.before) {
            self.disconnect_in(conn, *channel, id, reason, Only::Any).await?;
            if callback.code.is_some() {
                forget_person(conn, *channel, id).await?;
            }
        }
        Ok(Some(found.len()))
    }
}

/// Also accounts that are disconnected already: a request for deletion follows the removal of the app.
async fn accounts_of(conn: &mut PgConnection, callback: &Callback) -> sqlx::Result<Vec<Found>> {
    sqlx::query_as(
        "select a.channel, a.id, coalesce(u.connected_at <= $3, false) as before
           from worker.accounts a
           left join worker.account_upkeep u on u.channel = a.channel and u.account_id = a.id
          where (a.app is null or a.app = $1)
            and (a.id = $2 or u.person = $2
                 or exists (select from worker.account_aliases x
                             where x.channel = a.channel and x.account_id = a.id and x.alias = $2))
          order by a.channel, a.id for update of a",
    )
    .bind(&callback.app)
    .bind(&callback.person)
    .bind(callback.received_at)
    .fetch_all(conn)
    .await
}

/// `false`: it is there already.
async fn keep(
    conn: &mut PgConnection,
    callback: &Callback,
    accounts: &[String],
) -> sqlx::Result<bool> {
    let kind = if callback.code.is_some() { "deletion" } else { "deauthorize" };
    let state = callback.code.as_ref().map(|_| match accounts.is_empty() {
        true => "nothing_held",
        false => "waiting",
    });
    let done = sqlx::query(
        "insert into worker.callbacks (id, kind, app, received_at, accounts, code, state) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict do nothing",
    )
    .bind(&callback.id)
    .bind(kind)
    .bind(&callback.app)
    .bind(callback.received_at)
    .bind(accounts)
    .bind(&callback.code)
    .bind(state)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn forget_person(
    conn: &mut PgConnection,
    channel: Channel,
    id: &AccountId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.account_upkeep set person = null where channel = $1 and account_id = $2",
    )
    .bind(channel)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}
