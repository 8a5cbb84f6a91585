//! Postgres: reachable, new enough, migrated, with accounts.

use std::collections::BTreeSet;

use runtime::config::Settings;
use worker::facts::accounts::overview;
use worker::outbound::admin;

use super::findings::Findings;
use crate::connect;

/// `false` where Postgres cannot be reached.
pub(crate) async fn check(settings: &Settings, findings: &mut Findings) -> bool {
    let pool = match connect::postgres(settings).await {
        Ok(pool) => pool,
        Err(error) => {
            findings.problem(
                "postgres",
                format!("{error:#}"),
                "start Postgres, or correct DATABASE_URL",
            );
            return false;
        }
    };
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(&pool)
        .await
        .unwrap_or_default();
    if version >= 150_000 {
        findings.ok("postgres version", format!("{}.{}", version / 10_000, version % 10_000));
    } else {
        findings.problem(
            "postgres version",
            format!("{}", version / 10_000),
            "use Postgres 15 or newer",
        );
    }
    let schemas: BTreeSet<String> = sqlx::query_scalar("select nspname::text from pg_namespace")
        .fetch_all(&pool)
        .await
        .unwrap_or_default()
        .into_iter()
        .collect();
    for (schema, role) in [("worker", "worker"), ("inbox", "projector"), ("api", "api")] {
        if schemas.contains(schema) {
            findings.ok(&format!("schema {schema}"), "there");
        } else {
            findings.problem(
                &format!("schema {schema}"),
                "missing",
                format!("start `hookline {role}`: it migrates its own schema"),
            );
        }
    }
    if let Ok(behind) = admin::behind_log(&pool).await {
        match behind {
            None => findings.ok("ledger", "knows every attempt that is in the log"),
            Some(behind) => findings.problem(
                "ledger",
                format!("frozen: ledger behind the log since {}", behind.since),
                "wait: workers settle what it does not know, and go on by themselves (deploy/runbooks/postgres-restored.md)",
            ),
        }
    }
    match overview::count(&pool).await {
        Ok(0) => findings.warning("accounts", "none", "`hookline accounts add`"),
        Ok(count) => findings
            .ok("accounts", format!("{count} (`hookline accounts check` asks Graph about them)")),
        Err(_) => {}
    }
    true
}
