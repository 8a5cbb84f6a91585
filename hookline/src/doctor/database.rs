//! Postgres: reachable, new enough, migrated, with accounts.

use std::collections::BTreeSet;

use runtime::config::Settings;
use runtime::db;
use sqlx::PgPool;
use worker::facts::accounts::{overview, upkeep};
use worker::outbound::admin;
use worker::upkeep::{Urgency, urgency};

use super::findings::Findings;
use crate::connect;

/// What its settings make of a commit.
async fn durability(pool: &PgPool, findings: &mut Findings) {
    const CHECK: &str = "postgres durability";
    let settings = match db::pg_settings(pool).await {
        Ok(settings) => settings,
        Err(error) => {
            let why = db::describe(&error);
            return findings.warning(CHECK, format!("could not be read: {why}"), "run it again");
        }
    };
    let risks = settings.risks();
    if risks.is_empty() {
        findings.ok(CHECK, "what is committed survives a crash");
    }
    for risk in risks {
        if risk.by_crash {
            findings.problem(CHECK, risk.to_string(), risk.fix);
        } else {
            findings.warning(CHECK, risk.to_string(), risk.fix);
        }
    }
}

/// Graph's clock against Postgres's, as the workers measured it.
fn clocks_of(clocks: &[admin::GraphClock], findings: &mut Findings) {
    for clock in clocks {
        let check = format!("clock of Graph ({})", clock.host);
        let finding = format!("{} ms ahead of Postgres's at {}", clock.ahead_ms, clock.measured_at);
        if clock.agrees {
            findings.ok(&check, finding);
        } else {
            findings.problem(
                &check,
                format!("{finding}: more than GRAPH_CLOCK_MAX_SKEW, so sends whose answer is lost end as unknown"),
                "set the clock of the machine that is wrong (NTP)",
            );
        }
    }
}

/// Tokens that end, and webhook fields that Meta withholds.
async fn upkeep_of(pool: &PgPool, findings: &mut Findings) {
    const CHECK: &str = "accounts' connection";
    let Ok(all) = upkeep::attention(pool).await else { return };
    let now = runtime::now();
    for one in all.into_iter().filter(|one| one.state != "disconnected") {
        let account = format!("{}/{}", one.channel, one.id);
        if let Some(ends) = one.token_ends {
            let finding = format!("{account}: the token ends at {ends}");
            let fix = "`hookline accounts refresh` says why it was not refreshed; else `hookline accounts add`";
            match urgency(ends, now) {
                Urgency::None => {}
                Urgency::Notice | Urgency::Warning => findings.warning(CHECK, finding, fix),
                Urgency::Alert => findings.problem(CHECK, finding, fix),
            }
        }
        if !one.withheld.is_empty() {
            let finding = format!("{account}: Meta withholds {}", one.withheld.join(", "));
            findings.warning(CHECK, finding, "`hookline accounts subscribe` says what it costs");
        }
    }
}

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
    durability(&pool, findings).await;
    super::rights::check(&pool, findings).await;
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
    if let Ok(clocks) = admin::graph_clocks(&pool).await {
        clocks_of(&clocks, findings);
    }
    match overview::count(&pool).await {
        Ok(0) => findings.warning("accounts", "none", "`hookline accounts add`"),
        Ok(count) => findings
            .ok("accounts", format!("{count} (`hookline accounts check` asks Graph about them)")),
        Err(_) => {}
    }
    upkeep_of(&pool, findings).await;
    super::erasures::check(&pool, settings, findings).await;
    if let (Ok(2..), Ok(open @ 1..)) = (ingest::apps(settings), overview::without_app(&pool).await)
    {
        findings.warning(
            "accounts of apps",
            format!(
                "{open} accounts take webhooks that any of the secrets in META_APP_SECRETS verifies"
            ),
            "where these are secrets of several apps, `hookline accounts add … --app NAME`",
        );
    }
    true
}
