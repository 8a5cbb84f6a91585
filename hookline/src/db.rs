//! `hookline db`: a Postgres role for each service, with what it needs and nothing else (docs/decisions/42).

mod changes;
pub(crate) mod found;
mod wanted;

use anyhow::Context;
use clap::Subcommand;
use runtime::config::Settings;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::args::CommonArgs;
use crate::exit::Exit;
use crate::output::{Output, say, table};
use crate::{connect, operator};
pub(crate) use changes::{Change, changes};
pub(crate) use wanted::SERVICES;

#[derive(Debug, Subcommand)]
pub(crate) enum DbVerb {
    /// Shows which roles and rights are missing, and which are too many; changes nothing
    #[command(after_help = "Examples:\n  hookline db plan\n  hookline db plan --output json")]
    Plan {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Brings all schemas up to date, and makes roles, owners and rights as they should be
    #[command(
        after_help = "DATABASE_URL names a superuser here. The roles get no password: set one, then give each service a DATABASE_URL of its own.\n\nExamples:\n  hookline db apply --dry-run\n  hookline db apply --reason 'a role for each service'"
    )]
    Apply(CommonArgs),
}

/// Carries out `hookline db`.
///
/// # Errors
/// Exit code 4 where Postgres does not answer; what Postgres refuses, with nothing changed.
pub(crate) async fn run(verb: DbVerb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = connect::postgres(settings).await?;
    match verb {
        DbVerb::Plan { output } => show(&pool, output).await,
        DbVerb::Apply(args) => apply(&pool, &args).await,
    }
}

async fn show(pool: &PgPool, output: Output) -> anyhow::Result<Exit> {
    let plan = changes(&found::read(&mut *pool.acquire().await?).await?);
    print(&plan, output, false)?;
    Ok(Exit::Done)
}

async fn apply(pool: &PgPool, args: &CommonArgs) -> anyhow::Result<Exit> {
    if args.dry_run {
        return show(pool, args.output).await;
    }
    migrate(pool).await?;
    let made = make(pool).await?;
    if !made.is_empty() {
        let taken = made.iter().filter(|change| change.takes).count();
        let result = json!({"changes": made.len(), "taken_away": taken});
        operator::record(pool, "db apply", json!({}), args.reason.as_deref(), result).await?;
    }
    print(&made, args.output, true)?;
    Ok(Exit::Done)
}

/// A service that has only its own role cannot make its schema.
async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    let never = CancellationToken::new();
    ops::Ops::open(pool.clone()).await?;
    worker::migrate(pool, &never).await?;
    projector::migrate(pool, &never).await?;
    api::migrate(pool, &never).await?;
    Ok(())
}

/// All changes, or none.
async fn make(pool: &PgPool) -> anyhow::Result<Vec<Change>> {
    let mut conn = pool.acquire().await?;
    let mut tx = conn.begin().await?;
    let plan = changes(&found::read(&mut tx).await?);
    for change in &plan {
        sqlx::raw_sql(AssertSqlSafe(change_sql(change))).execute(&mut *tx).await.with_context(
            || format!("nothing was changed: `{}`: run it as a superuser", change.sql),
        )?;
    }
    tx.commit().await?;
    Ok(plan)
}

/// Made of constants, and of names that the catalogue returned quoted. `tests/it/least.rs` executes all of them.
fn change_sql(change: &Change) -> String {
    change.sql.clone()
}

fn print(plan: &[Change], output: Output, applied: bool) -> anyhow::Result<()> {
    if output == Output::Json {
        say(json!({"applied": applied, "changes": serde_json::to_value(plan)?}));
        return Ok(());
    }
    if plan.is_empty() {
        say("roles and rights are as they should be");
        return Ok(());
    }
    let rows: Vec<Vec<String>> =
        plan.iter().map(|change| vec![change.role.to_owned(), change.what.clone()]).collect();
    table(&["role", if applied { "changed" } else { "to change" }], &rows);
    if applied {
        say("set a password for each role, and give each service its own DATABASE_URL");
    }
    Ok(())
}
