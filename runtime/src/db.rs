//! Postgres: connecting, waiting for it, what its errors mean, and migrating one's own schema.

mod durability;
mod fault;
pub mod scrub;
mod sqlstate;

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::BoxFuture;
use crate::config::{ConfigError, Settings};
use crate::retry::Backoff;

pub use durability::{PgSettings, Risk, pg_settings};
pub use fault::{advice, code, describe, fault, is_held_up, report};
pub use sqlstate::Fault;

/// How long an idle connection may take to say that it works.
const PING_WITHIN: Duration = Duration::from_secs(1);

/// A connection that has been idle for longer is tested before it is used.
const IDLE_UNTESTED: Duration = Duration::from_secs(1);

/// How long Postgres may take to refuse a connection.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

/// How long a new connection may take to be set up.
const SET_WITHIN: Duration = Duration::from_secs(3);

/// Settings under which a statement has one plan, made once, that looks rows up by index whatever the tables held at that moment
/// (docs/decisions/27).
const BY_INDEX: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    // It reads whole partial indexes to combine them, and leaves dead entries for the next one to read again.
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// The same settings as Postgres has them by itself.
const BY_COST: [(&str, &str); 5] = [
    ("enable_seqscan", "on"),
    ("enable_bitmapscan", "on"),
    ("enable_hashjoin", "on"),
    ("enable_mergejoin", "on"),
    ("plan_cache_mode", "auto"),
];

/// A pool for `DATABASE_URL` that connects when first used.
///
/// # Errors
/// When the variable is missing or no Postgres URL; its value is never quoted.
pub fn pool(
    settings: &Settings,
    application: &str,
    connections_max: u32,
) -> Result<PgPool, ConfigError> {
    pool_with(settings, application, connections_max, &[])
}

/// The same for a role that looks up rows by key: its statements have one plan each. A plan that was made while a table was empty is kept
/// until the first statistics; by then it has read a grown table from end to end, once per batch.
///
/// # Errors
/// As [`pool`].
pub fn pool_by_index(
    settings: &Settings,
    application: &str,
    connections_max: u32,
) -> Result<PgPool, ConfigError> {
    pool_with(settings, application, connections_max, &BY_INDEX)
}

fn pool_with(
    settings: &Settings,
    application: &str,
    connections_max: u32,
    planned: &[(&str, &str)],
) -> Result<PgPool, ConfigError> {
    let wrong =
        || settings.invalid("DATABASE_URL", "use postgres://[user:pass@]host[:port]/database");
    let url = settings.require("DATABASE_URL")?;
    // The parser takes any scheme.
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong());
    }
    let options: PgConnectOptions = url.parse().map_err(|_| wrong())?;
    // No transaction of ours pauses for long. What a frozen process has locked is free after this.
    let options = options
        .application_name(&format!("hookline-{application}"))
        .options([("idle_in_transaction_session_timeout", "10s"), ("statement_timeout", "60s")])
        // Compiling a statement takes longer than any of ours does.
        .options([("jit", "off")])
        .options(planned.iter().copied());
    Ok(PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(Duration::from_secs(5))
        // A server process whose client gave up while it waited for a lock would keep what it has locked until the statement's limit, and all
        // others in turn. Some systems have no such check: there it stays so.
        .after_connect(|connection, _| {
            Box::pin(async move {
                let set = sqlx::query("set client_connection_check_interval = '2s'");
                match within(SET_WITHIN, set.execute(connection)).await {
                    Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            })
        })
        // The pool's own test waits without limit, so that one forgotten connection after the other would cost a whole acquire. A connection
        // was tested as it came back: one that has been idle only for a moment is not tested again.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if IDLE_UNTESTED < meta.idle_for {
                    within(PING_WITHIN, connection.ping()).await?;
                }
                Ok(true)
            })
        })
        // The same for one that comes back in the middle of something: it would keep its place in the pool for ever.
        .after_release(|connection, _| {
            Box::pin(async move { within(PING_WITHIN, connection.ping()).await.map(|()| true) })
        })
        .max_lifetime(Duration::from_secs(1800))
        .connect_lazy_with(options))
}

/// Gives up on statements that should be over long ago. A connection that something in between forgot answers never and fails never, and
/// whoever waits for it would wait for ever.
///
/// # Errors
/// Of the work, or a time-out; what was not committed is rolled back by Postgres, and whether a commit took effect is unknown.
pub async fn within<T, E: From<sqlx::Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "Postgres did not answer in time",
        ))
        .into())
    })
}

/// A limit for work that may honestly take long: it doubles with every time-out, so that nothing is given up for ever, and is short again
/// after a success.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    now: Duration,
    least: Duration,
    most: Duration,
}

/// For a batch of work with the database and the broker.
impl Default for Patience {
    fn default() -> Self {
        Self::new(Duration::from_secs(20), Duration::from_secs(320))
    }
}

impl Patience {
    /// From `least` to `most`.
    pub const fn new(least: Duration, most: Duration) -> Self {
        Self { now: least, least, most }
    }

    /// [`within`] the limit of this moment.
    ///
    /// # Errors
    /// As [`within`].
    pub async fn within<T, E: From<sqlx::Error>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let limit = self.now;
        // Stays so when the work is given up.
        self.now = (limit * 2).min(self.most);
        within(limit, async {
            let done = work.await;
            self.now = self.least;
            done
        })
        .await
    }
}

/// Whether the statement failed because its table or schema does not exist: the role that owns it has not migrated yet.
pub fn is_absent(error: &sqlx::Error) -> bool {
    // undefined_table, invalid_schema_name
    matches!(code(error).as_deref(), Some("42P01" | "3F000"))
}

/// Tables that do not exist yet ([`is_absent`]) count as empty.
///
/// # Errors
/// Every other error of `read`.
pub fn absent_is_empty<T: Default>(read: sqlx::Result<T>) -> sqlx::Result<T> {
    match read {
        Err(error) if is_absent(&error) => Ok(T::default()),
        other => other,
    }
}

/// Why there is no connection. The pool tries again until its time is over and reports only that: what Postgres says to whom it refuses
/// is learnt by a connection beside it.
pub async fn refusal(pool: &PgPool, error: sqlx::Error) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    let options = pool.connect_options();
    let connecting = sqlx::PgConnection::connect_with(&options);
    match tokio::time::timeout(REFUSED_WITHIN, connecting).await {
        Ok(Err(refusal)) => refusal,
        Ok(Ok(connection)) => {
            let _ = tokio::time::timeout(REFUSED_WITHIN, connection.close()).await;
            error
        }
        Err(_) => error,
    }
}

/// Waits until Postgres answers, saying once that it waits. `false`: the process is to stop.
pub async fn wait(pool: &PgPool, shutdown: &CancellationToken) -> bool {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        let asked = within(Duration::from_secs(10), sqlx::query("select 1").execute(pool)).await;
        let Err(error) = asked else { return true };
        if backoff.attempts() == 0 {
            let error = refusal(pool, error).await;
            tracing::warn!(%error, advice = advice(&error), "Waiting for Postgres");
        }
        tokio::select! {
            () = shutdown.cancelled() => return false,
            () = tokio::time::sleep(backoff.next(rand::random())) => {}
        }
    }
}

/// Brings one schema up to date, once over all processes (advisory lock), forward only. Waits for Postgres. `Ok(false)`: the process is to
/// stop.
///
/// # Errors
/// When a migration itself is wrong, or the database has been migrated by a changed file.
pub fn migrate<'a>(
    pool: &'a PgPool,
    schema: &'a str,
    migrator: Migrator,
    shutdown: &'a CancellationToken,
) -> BoxFuture<'a, anyhow::Result<bool>> {
    Box::pin(migrate_all(pool, schema, migrator, shutdown))
}

async fn migrate_all(
    pool: &PgPool,
    schema: &str,
    mut migrator: Migrator,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    migrator.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
    // A newer release may have migrated further already: this one goes on with the tables it knows.
    migrator.set_ignore_missing(true);
    loop {
        if !wait(pool, shutdown).await {
            return Ok(false);
        }
        match migrate_once(pool, schema, &mut migrator).await {
            Ok(()) => return Ok(true),
            Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))
                if passes(&error) =>
            {
                tracing::debug!(schema, %error, "Migrating is tried again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(anyhow::anyhow!("migrating schema `{schema}`: {error}")),
        }
    }
}

/// On a connection of its own, without the limit of other statements: a migration of a large table takes its time, and so does waiting for
/// another process that is at it. What is made belongs to the owner of the schema, whoever migrates.
async fn migrate_once(
    pool: &PgPool,
    schema: &str,
    migrator: &mut Migrator,
) -> Result<(), MigrateError> {
    let found = of_schema(pool, schema).await?;
    if !found.exists {
        // Asking for a schema that is there needs the right to make one.
        migrator.create_schema(schema.to_owned());
    }
    let mut options = pool.connect_options().as_ref().clone().options([("statement_timeout", "0")]);
    if let Some(owner) = found.owner {
        options = options.options([("role", owner)]);
    }
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options);
    let migrated = migrator.run(&own).await;
    own.close().await;
    migrated
}

/// A schema before it is migrated.
#[derive(sqlx::FromRow)]
struct Schema {
    exists: bool,
    /// Its owner, or for a model of `inbox` that of `inbox`; `None` where that is this user, or this user may not act for them.
    owner: Option<String>,
}

async fn of_schema(pool: &PgPool, schema: &str) -> sqlx::Result<Schema> {
    let family = schema.split_once("_v").map_or(schema, |(family, _)| family);
    sqlx::query_as(
        "select to_regnamespace(quote_ident($1)) is not null as exists,
                (select pg_get_userbyid(nspowner)::text from pg_namespace
                  where nspname in ($1, $2) and pg_get_userbyid(nspowner) <> current_user and pg_has_role(current_user, nspowner, 'member')
                  order by nspname = $1 desc limit 1) as owner",
    )
    .bind(schema)
    .bind(family)
    .fetch_one(pool)
    .await
}

/// Trouble of the moment, or another process was faster in creating the schema.
fn passes(error: &sqlx::Error) -> bool {
    fault(error) == Fault::Passing
        || matches!(code(error).as_deref(), Some("23505" | "42P06" | "42P07"))
}
