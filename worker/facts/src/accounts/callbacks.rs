//! What a callback of Meta's does to accounts; statements over `worker.callbacks`.
//!
//! Whose data a request for deletion is about is decided later, by [`decide`]: a webhook that came before it may be the first of the person,
//! and not be read yet.

use schemas::{AccountId, Channel, ContactId, Timestamp};
use sqlx::{FromRow, PgConnection, PgPool};

use super::error::AccountError;
use super::only::Only;
use super::store::AccountStore;
use crate::erase::{self, NewErasure, Target};
use crate::rows::number;

/// A callback that was verified.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Names the signed request: the same one acts once.
    pub id: Vec<u8>,
    /// The app whose secret signed it.
    pub app: String,
    /// The person's id at this app.
    pub person: String,
    /// Where it stands in META_RAW.
    pub position: u64,
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

/// A request for deletion of which it is not decided whose data it is about.
#[derive(Debug, FromRow)]
pub struct Undecided {
    /// Names the request.
    pub id: Vec<u8>,
    app: String,
    person: String,
    received_at: Timestamp,
    /// Where it stands in the present META_RAW; 0 where it is of another one.
    #[sqlx(try_from = "i64")]
    pub position: u64,
}

/// The oldest of them.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn undecided(pool: &PgPool) -> sqlx::Result<Vec<Undecided>> {
    sqlx::query_as(
        "select id, app, person, received_at,
                case when raw_era = (select worker.current_era('META_RAW')) then raw_seq else 0 end as position
           from worker.callbacks where person is not null order by raw_seq limit 100",
    )
    .fetch_all(pool)
    .await
}

/// Asks for the erasure of the person in each account that knows them, in the caller's transaction. Where none does, the request is done: what
/// accounts held of whoever connected them was forgotten when it came in. The person is not named here any more.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn decide(conn: &mut PgConnection, request: &Undecided) -> sqlx::Result<()> {
    let target = Target::Person(ContactId::new(&request.person));
    let knowing = knowing(conn, request).await?;
    for Knowing { channel, account_id } in &knowing {
        let new = NewErasure {
            channel: *channel,
            account: account_id,
            target: &target,
            until: request.received_at,
            reason: "the person asked Meta for the deletion of their data",
            asked_by: "meta",
            callback: Some(&request.id),
        };
        erase::add(conn, new).await?;
    }
    sqlx::query(
        "update worker.callbacks
            set person = null, raw_era = null, raw_seq = null, state_since = clock_timestamp(),
                state = case when $2 then 'waiting' when accounts = '{}' then 'nothing_held' else 'done' end
          where id = $1 and person is not null",
    )
    .bind(&request.id)
    .bind(!knowing.is_empty())
    .execute(conn)
    .await
    .map(|_| ())
}

/// An account that knows the person.
#[derive(Debug, FromRow)]
struct Knowing {
    channel: Channel,
    account_id: AccountId,
}

/// The accounts of the app that have a conversation or a contact of this id, or something that waits or is parked.
async fn knowing(conn: &mut PgConnection, request: &Undecided) -> sqlx::Result<Vec<Knowing>> {
    sqlx::query_as(
        "select a.channel, a.id as account_id from worker.accounts a
          where (a.app is null or a.app = $1)
            and (exists (select from worker.conversations c
                          where c.channel = a.channel and c.account_id = a.id and c.contact_id = $2)
                 or exists (select from worker.contacts c
                             where c.channel = a.channel and c.account_id = a.id and c.contact_id = $2)
                 or exists (select from worker.echoes e
                             where e.channel = a.channel and e.account_id = a.id and e.peer = $2 and e.claimed_by is null)
                 or exists (select from worker.waiting w
                             where w.channel = a.channel and w.account_id = a.id and w.state <> 'resolved'
                               and $2 in (w.payload_contact, w.revealed_contact, w.unresolved_contact))
                 or exists (select from worker.parked p where p.lane = a.channel || '/' || a.id || '/' || $2))
          order by a.channel, a.id",
    )
    .bind(&request.app)
    .bind(&request.person)
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
    let is_deletion = callback.code.as_ref();
    let done = sqlx::query(
        "insert into worker.callbacks (id, kind, app, received_at, accounts, code, state, person, raw_era, raw_seq)
         values ($1, $2, $3, $4, $5, $6, $7, $8, case when $9::bigint is not null then (select worker.current_era('META_RAW')) end, $9)
         on conflict do nothing",
    )
    .bind(&callback.id)
    .bind(kind)
    .bind(&callback.app)
    .bind(callback.received_at)
    .bind(accounts)
    .bind(&callback.code)
    .bind(is_deletion.map(|_| "waiting"))
    .bind(is_deletion.map(|_| &callback.person))
    .bind(is_deletion.map(|_| number(callback.position)))
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
