//! What a callback of Meta's does to accounts; statements over `worker.callbacks`.

use schemas::{AccountId, Channel, ContactId, Timestamp};
use sqlx::PgConnection;

use super::error::AccountError;
use super::only::Only;
use super::store::AccountStore;
use crate::erase::{self, NewErasure, Target};

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
        let people = match callback.code {
            Some(_) => people_of(conn, callback).await?,
            None => Vec::new(),
        };
        if !keep(conn, callback, &names, !people.is_empty()).await? {
            return Ok(None);
        }
        for Person { channel, account_id } in &people {
            let target = Target::Person(ContactId::new(&callback.person));
            let reason = "the person asked Meta for the deletion of their data";
            let new = NewErasure {
                channel: *channel,
                account: account_id,
                target: &target,
                until: callback.received_at,
                reason,
                asked_by: "meta",
                callback: Some(&callback.id),
            };
            erase::add(conn, new).await?;
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

/// A person of this id as an account knows them.
#[derive(Debug, sqlx::FromRow)]
struct Person {
    channel: Channel,
    account_id: AccountId,
}

/// The accounts of this app that know a person by this id.
async fn people_of(conn: &mut PgConnection, callback: &Callback) -> sqlx::Result<Vec<Person>> {
    sqlx::query_as(
        "select a.channel, a.id as account_id from worker.accounts a
          where (a.app is null or a.app = $1)
            and (exists (select from worker.conversations c
                          where c.channel = a.channel and c.account_id = a.id and c.contact_id = $2)
                 or exists (select from worker.contacts c
                             where c.channel = a.channel and c.account_id = a.id and c.contact_id = $2))
          order by a.channel, a.id",
    )
    .bind(&callback.app)
    .bind(&callback.person)
    .fetch_all(conn)
    .await
}

/// `false`: it is there already.
async fn keep(
    conn: &mut PgConnection,
    callback: &Callback,
    accounts: &[String],
    is_to_erase: bool,
) -> sqlx::Result<bool> {
    let kind = if callback.code.is_some() { "deletion" } else { "deauthorize" };
    // What the accounts themselves held of the person is forgotten in the same transaction.
    let state = callback.code.as_ref().map(|_| match (is_to_erase, accounts.is_empty()) {
        (true, _) => "waiting",
        (false, true) => "nothing_held",
        (false, false) => "done",
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
