//! Outgoing webhooks (docs/contract.md 10): who gets events by HTTP. The api owns the definitions; the worker delivers, and its view
//! `worker.endpoint_status` shows what the deliveries have come to. Routes and the operator's verb call the same functions.

pub(crate) mod routes;
mod rows;
mod wanted;

use chrono::{DateTime, Utc};
use delivery::{Client, Delivery, Probe, Secret, Wrong, secret_context};
use runtime::config::Settings;
use runtime::guard::OutboundAllow;
use runtime::seal::{Seal, SealError};
use schemas::Timestamp;
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::time::Time;
use rows::{EndpointRow, Fields};
pub use wanted::{EndpointChange, EndpointStatus, NewEndpoint};

/// Both secrets sign for so long.
const ROTATED_OUT_HOURS: i64 = 24;
/// Endpoints of one list of the verb.
const LIST_MAX: i64 = 10_000;

/// Why an endpoint cannot be made, changed or found.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// There is none with this id.
    #[error("no endpoint has the id `{0}`")]
    Unknown(String),
    /// A field cannot be taken as it is.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// Its secret does not open, or cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Postgres; call again.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// An endpoint, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// Where events are sent.
    pub url: String,
    /// Words for people.
    pub description: Option<String>,
    /// Kinds of events; empty: all.
    pub kinds: Vec<String>,
    /// Ids of accounts; empty: all.
    pub accounts: Vec<String>,
    /// `active`; `failing`: nothing gets through, it is tried from time to time; `paused`; `disabled`: the receiver answered 410.
    pub state: String,
    /// Since when it is failing.
    pub(crate) failing_since: Option<Time>,
    /// When the last event was delivered.
    pub(crate) last_success_at: Option<Time>,
    /// When the last request failed.
    pub(crate) last_failure_at: Option<Time>,
    /// Why, as a class: never what the receiver wrote.
    pub last_error: Option<String>,
    /// Events that wait to be tried again.
    pub held: i64,
    /// When the oldest of them was published.
    pub(crate) oldest_held_at: Option<Time>,
    /// Its position in INBOX_EVENTS; null before it began.
    pub position: Option<i64>,
    /// Messages behind its position; null where it is not known.
    pub lag: Option<i64>,
    /// Until when the secret before also signs.
    pub(crate) previous_secret_until: Option<Time>,
    /// When it was made.
    pub(crate) created_at: Time,
    /// By whom.
    pub created_by: String,
}

/// Endpoints that are not active.
///
/// # Errors
/// `sqlx::Error`, also where api or worker have not migrated yet; call again.
pub async fn troubled(pool: &PgPool) -> sqlx::Result<Vec<EndpointStatus>> {
    rows::troubled(pool).await
}

/// What a test came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointTest {
    /// The endpoint.
    pub endpoint_id: String,
    /// The `webhook-id` of the request.
    pub webhook_id: String,
    /// Whether the receiver answered 2xx.
    pub delivered: bool,
    /// The class of its status, such as `2xx`; null without an answer.
    pub status: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Manages endpoints.
#[derive(Clone, Debug)]
pub struct Endpoints {
    pool: PgPool,
    seal: Seal,
    client: Client,
}

impl Endpoints {
    /// For a verb, by its settings.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong, never its value.
    pub fn from_settings(pool: PgPool, settings: &Settings) -> anyhow::Result<Self> {
        let seal = Seal::from_hex(settings.require("ENCRYPTION_KEY")?)
            .map_err(|error| settings.invalid("ENCRYPTION_KEY", error.to_string()))?;
        let client = Client::new(OutboundAllow::from_settings(settings)?)?;
        Ok(Self::new(pool, seal, client))
    }

    /// Over the tables of the api; the client makes the requests of tests, and knows what may be reached.
    pub(crate) fn new(pool: PgPool, seal: Seal, client: Client) -> Self {
        Self { pool, seal, client }
    }

    /// All of them, newest first. `head`: the last position of INBOX_EVENTS, where it is known.
    ///
    /// # Errors
    /// [`EndpointError`]; call again.
    pub async fn list(&self, head: Option<u64>) -> Result<Vec<Endpoint>, EndpointError> {
        let rows = rows::page(&self.pool, None, None, LIST_MAX).await?;
        self.with_status(rows, head).await
    }

    async fn with_status(
        &self,
        rows: Vec<EndpointRow>,
        head: Option<u64>,
    ) -> Result<Vec<Endpoint>, EndpointError> {
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let mut statuses = rows::statuses(&self.pool, &ids).await?;
        let now = runtime::now().to_datetime();
        let of = |row: EndpointRow| {
            let at = statuses.iter().position(|status| status.endpoint_id == row.id);
            let status = at.map(|at| statuses.swap_remove(at)).unwrap_or_default();
            endpoint(row, status, head, now)
        };
        Ok(rows.into_iter().map(of).collect())
    }

    /// One of them.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`]
    pub async fn show(&self, id: &str, head: Option<u64>) -> Result<Endpoint, EndpointError> {
        let row = rows::one(&self.pool, id).await?;
        let row = row.ok_or_else(|| EndpointError::Unknown(id.to_owned()))?;
        let mut shown = self.with_status(vec![row], head).await?;
        shown.pop().ok_or_else(|| EndpointError::Unknown(id.to_owned()))
    }

    /// Makes one. The secret is returned once and can never be read again.
    ///
    /// # Errors
    /// [`EndpointError::Wrong`] names the field.
    pub async fn add(
        &self,
        new: &NewEndpoint,
        by: &str,
    ) -> Result<(Endpoint, Secret), EndpointError> {
        self.check_new(new)?;
        let id = format!("ep_{}", uuid::Uuid::now_v7().simple());
        let secret = Secret::of(rand::random());
        let sealed = self.seal.seal(&secret_context(&id), &secret.expose())?;
        rows::insert(&self.pool, &id, new, &sealed, by).await?;
        tracing::info!(endpoint.id = id, "Endpoint `{id}` was made");
        Ok((self.show(&id, None).await?, secret))
    }

    /// Whether it could be made.
    ///
    /// # Errors
    /// [`Wrong`] names the field.
    pub fn check_new(&self, new: &NewEndpoint) -> Result<(), Wrong> {
        delivery::check_url(&new.url, self.client.allow())?;
        delivery::check_kinds(&new.kinds)?;
        delivery::check_accounts(&new.accounts)?;
        new.description.as_deref().map_or(Ok(()), delivery::check_description)
    }

    /// Changes it; takes effect within seconds.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`], [`EndpointError::Wrong`]
    pub async fn change(
        &self,
        id: &str,
        change: &EndpointChange,
    ) -> Result<Endpoint, EndpointError> {
        if let Some(url) = &change.url {
            delivery::check_url(url, self.client.allow())?;
        }
        change.kinds.as_deref().map_or(Ok(()), delivery::check_kinds)?;
        change.accounts.as_deref().map_or(Ok(()), delivery::check_accounts)?;
        change.description.as_deref().map_or(Ok(()), delivery::check_description)?;
        if !rows::change(&self.pool, id, change).await? {
            return Err(EndpointError::Unknown(id.to_owned()));
        }
        self.show(id, None).await
    }

    /// Removes it with everything that is held for it.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`]
    pub async fn remove(&self, id: &str) -> Result<(), EndpointError> {
        if rows::delete(&self.pool, id).await? {
            return Ok(());
        }
        Err(EndpointError::Unknown(id.to_owned()))
    }

    /// Gives it a new secret, returned once; for a day the one before signs, too.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`]
    pub async fn rotate(&self, id: &str) -> Result<Secret, EndpointError> {
        let secret = Secret::of(rand::random());
        let sealed = self.seal.seal(&secret_context(id), &secret.expose())?;
        if !rows::rotate(&self.pool, id, &sealed, ROTATED_OUT_HOURS).await? {
            return Err(EndpointError::Unknown(id.to_owned()));
        }
        Ok(secret)
    }

    /// Moves its position back to what was published at `from` or later; forward it is not moved.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`]
    pub async fn replay(&self, id: &str, from: Timestamp) -> Result<(), EndpointError> {
        if rows::replay(&self.pool, id, from).await? {
            return Ok(());
        }
        Err(EndpointError::Unknown(id.to_owned()))
    }

    /// Sends a signed test event now, from this process; nothing is tried again.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`], [`EndpointError::Seal`]
    pub async fn test(&self, id: &str) -> Result<EndpointTest, EndpointError> {
        let stored = rows::secrets(&self.pool, id).await?;
        let stored = stored.ok_or_else(|| EndpointError::Unknown(id.to_owned()))?;
        let url = delivery::check_url(&stored.url, self.client.allow())?;
        let open = |sealed: &[u8]| {
            let text = self.seal.open(&secret_context(id), sealed)?;
            Secret::parse(&text).ok_or(SealError::Open)
        };
        let mut secrets = vec![open(&stored.secret)?];
        if let Some(previous) = &stored.previous_secret {
            secrets.push(open(previous)?);
        }
        let now = runtime::now();
        let probe = Probe::new(id, rand::random(), now);
        let delivery =
            Delivery { url: &url, secrets: &secrets, id: &probe.id, body: probe.body.clone() };
        let outcome = self.client.send(delivery, now).await.outcome;
        let delivered = outcome == delivery::Outcome::Delivered;
        Ok(EndpointTest {
            endpoint_id: id.to_owned(),
            webhook_id: probe.id,
            delivered,
            status: outcome.status_class(),
            error: (!delivered).then(|| outcome.in_words()),
        })
    }

    /// Moves the secrets to the first key of `ENCRYPTION_KEY`. Returns how many moved, and how many were there already.
    ///
    /// # Errors
    /// [`EndpointError`]; what is moved is moved, call again.
    pub async fn rekey(&self) -> Result<(u64, u64), EndpointError> {
        let (mut moved, mut kept) = (0, 0);
        for stored in rows::all_secrets(&self.pool).await? {
            let context = secret_context(&stored.id);
            let secret = self.seal.reseal(&context, &stored.secret)?;
            let previous = stored.previous_secret.as_deref();
            let previous = previous.map(|sealed| self.seal.reseal(&context, sealed)).transpose()?;
            let previous = previous.flatten();
            if secret.is_none() && previous.is_none() {
                kept += 1;
                continue;
            }
            rows::reseal(&self.pool, &stored, secret.as_deref(), previous.as_deref()).await?;
            moved += 1;
        }
        Ok((moved, kept))
    }
}

fn endpoint(row: EndpointRow, status: Fields, head: Option<u64>, now: DateTime<Utc>) -> Endpoint {
    let state = if row.paused { "paused" } else { status.state.as_deref().unwrap_or("active") };
    let head = head.and_then(|head| i64::try_from(head).ok());
    let lag = head.zip(status.position).map(|(head, position)| (head - position).max(0));
    Endpoint {
        state: state.to_owned(),
        id: row.id,
        url: row.url,
        description: row.description,
        kinds: row.kinds,
        accounts: row.accounts,
        failing_since: status.failing_since,
        last_success_at: status.last_success_at,
        last_failure_at: status.last_failure_at,
        last_error: status.last_error,
        held: status.held,
        oldest_held_at: status.oldest_held_at,
        position: status.position,
        lag,
        previous_secret_until: row.previous_until.filter(|until| now < until.0),
        created_at: row.created_at,
        created_by: row.created_by,
    }
}
