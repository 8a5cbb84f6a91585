//! Statements over `worker.erasures`: what is to be erased, and how far that is.

use schemas::{AccountId, Channel, ContactId, MessageId, Timestamp};
use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgPool};

/// What is to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A person, as an account knows them.
    Person(ContactId),
    /// The content of messages.
    Messages(Vec<MessageId>),
}

/// A wish to erase.
#[derive(Clone, Debug)]
pub struct NewErasure<'a> {
    /// The channel.
    pub channel: Channel,
    /// The canonical account.
    pub account: &'a AccountId,
    /// Whom or what.
    pub target: &'a Target,
    /// Acts of the person up to then.
    pub until: Timestamp,
    /// Why.
    pub reason: &'a str,
    /// Who wishes it.
    pub asked_by: &'a str,
    /// The request for deletion that it belongs to.
    pub callback: Option<&'a [u8]>,
}

/// An erasure, as its row has it.
#[derive(Clone, Debug, FromRow)]
pub struct Erasure {
    /// Its id.
    pub id: String,
    /// The channel.
    pub channel: Channel,
    /// The canonical account.
    pub account_id: AccountId,
    contact_id: Option<ContactId>,
    message_ids: Option<Vec<String>>,
    /// Acts of the person up to then.
    pub until: Timestamp,
    /// What is done next.
    pub step: String,
    /// How far the step has come in its stream.
    #[sqlx(try_from = "i64")]
    pub position: u64,
    /// What was erased, by store.
    pub counts: Value,
    /// Why it waits.
    pub waits_for: Option<String>,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
}

impl Erasure {
    /// Whom or what; `None` once it is done.
    pub fn target(&self) -> Option<Target> {
        match (&self.contact_id, &self.message_ids) {
            (Some(contact), _) => Some(Target::Person(contact.clone())),
            (None, Some(ids)) => Some(Target::Messages(ids.iter().map(MessageId::new).collect())),
            (None, None) => None,
        }
    }
}

/// Adds an erasure, or finds the one of the same person or messages that is not done. Returns its id.
///
/// # Errors
/// `sqlx::Error`; roll back, or call again with the same words.
pub async fn add(conn: &mut PgConnection, new: NewErasure<'_>) -> sqlx::Result<String> {
    let (contact, messages) = match new.target {
        Target::Person(contact) => (Some(contact), None),
        Target::Messages(ids) => {
            (None, Some(ids.iter().map(MessageId::as_str).collect::<Vec<_>>()))
        }
    };
    let there: Option<String> = sqlx::query_scalar(
        "select id from worker.erasures
          where finished_at is null and channel = $1 and account_id = $2
            and contact_id is not distinct from $3 and message_ids is not distinct from $4::text[]
            and ($5::bytea is null or callback = $5) and (contact_id is null or until >= $6)",
    )
    .bind(new.channel)
    .bind(new.account)
    .bind(contact)
    .bind(&messages)
    .bind(new.callback)
    .bind(new.until)
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(id) = there {
        return Ok(id);
    }
    let about = format!("{contact:?} {messages:?} {}", new.until.as_millis());
    let about = format!("{}/{}/{about}", new.channel, new.account);
    let id = format!("ers_{}", &schemas::ids::sha256_hex(about.as_bytes())[..32]);
    sqlx::query(
        "insert into worker.erasures (id, channel, account_id, contact_id, message_ids, until, reason, asked_by, callback)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do nothing",
    )
    .bind(&id)
    .bind(new.channel)
    .bind(new.account)
    .bind(contact)
    .bind(messages)
    .bind(new.until)
    .bind(new.reason)
    .bind(new.asked_by)
    .bind(new.callback)
    .execute(conn)
    .await?;
    Ok(id)
}

/// The oldest erasure that is not done: people before unsent messages. One that waits comes later, and the one that was looked at longest ago is the first of these: none
/// stands in the way of others. Tables are scrubbed last, for all erasures at once.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn next(pool: &PgPool) -> sqlx::Result<Option<Erasure>> {
    sqlx::query_as(
        "select id, channel, account_id, contact_id, message_ids, until, step, position, counts, waits_for, finished_at
           from worker.erasures where finished_at is null
          order by step = 'scrub', waits_for is not null, contact_id is null, coalesce(looked_at, created_at), id limit 1",
    )
    .fetch_optional(pool)
    .await
}

/// One erasure.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn get(pool: &PgPool, id: &str) -> sqlx::Result<Option<Erasure>> {
    sqlx::query_as(
        "select id, channel, account_id, contact_id, message_ids, until, step, position, counts, waits_for, finished_at
           from worker.erasures where id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// How many are not done.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn open_count(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from worker.erasures where finished_at is null")
        .fetch_one(pool)
        .await
}

/// Stores how far a step is, in the transaction of its effect. `false`: somebody else went on with it; roll back.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn advance(
    conn: &mut PgConnection,
    was: &Erasure,
    step: &str,
    position: u64,
    counts: &Value,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.erasures set step = $4, position = $5, counts = $6, waits_for = null
          where id = $1 and step = $2 and position = $3 and finished_at is null",
    )
    .bind(&was.id)
    .bind(&was.step)
    .bind(i64::try_from(was.position).unwrap_or(i64::MAX))
    .bind(step)
    .bind(i64::try_from(position).unwrap_or(i64::MAX))
    .bind(counts)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes why an erasure waits.
///
/// # Errors
/// `sqlx::Error`; it is tried again all the same.
pub async fn waits(pool: &PgPool, id: &str, why: &str) -> sqlx::Result<()> {
    sqlx::query("update worker.erasures set waits_for = $2, looked_at = clock_timestamp() where id = $1 and finished_at is null")
        .bind(id)
        .bind(why)
        .execute(pool)
        .await
        .map(|_| ())
}

/// An erasure that waits, and why.
#[derive(Debug, FromRow)]
pub struct Waiting {
    /// Its id.
    pub id: String,
    /// Why it waits.
    pub waits_for: String,
}

/// The oldest erasures that wait.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn waiting(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query_as(
        "select id, waits_for from worker.erasures where finished_at is null and waits_for is not null order by created_at, id limit $1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Notes why all erasures wait.
///
/// # Errors
/// `sqlx::Error`; call again.
pub async fn all_wait(pool: &PgPool, why: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.erasures set waits_for = $1, looked_at = clock_timestamp() where finished_at is null",
    )
    .bind(why)
    .execute(pool)
    .await
    .map(|_| ())
}

/// The erasures that are done but for the bytes that rows have left.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn to_scrub(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select id from worker.erasures where finished_at is null and step = 'scrub' order by id",
    )
    .fetch_all(pool)
    .await
}

/// Ends an erasure, which forgets whom it was about, and the request for deletion whose last one it was. `left`: where bytes may be left.
///
/// # Errors
/// `sqlx::Error`; call again.
pub async fn finish(pool: &PgPool, id: &str, left: &[String]) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query(
        "update worker.erasures set finished_at = clock_timestamp(), contact_id = null, message_ids = null, waits_for = null,
                counts = counts || jsonb_build_object('left', $2::text[])
          where id = $1 and finished_at is null",
    )
    .bind(id)
    .bind(left)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "update worker.callbacks c set state = 'done', state_since = clock_timestamp()
          where c.state = 'waiting' and c.id = (select callback from worker.erasures where id = $1)
            and not exists (select from worker.erasures e where e.callback = c.id and e.finished_at is null)",
    )
    .bind(id)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
