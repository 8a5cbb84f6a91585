//! Erasures that wait, and unsent messages that are still there.

use std::time::Duration;

use runtime::config::Settings;
use sqlx::PgPool;
use worker::facts::erase;

use super::findings::Findings;

const CHECK: &str = "erasures";
/// How much later than `ERASE_UNSENT_AFTER` an unsent message may be gone: a worker looks every hour at least.
const LATER: Duration = Duration::from_secs(2 * 3_600);
/// So many that wait are shown.
const SHOWN: i64 = 20;

/// Looks only where the tables are there: what is missing is found elsewhere.
pub(super) async fn check(pool: &PgPool, settings: &Settings, findings: &mut Findings) {
    let after = match settings.duration("ERASE_UNSENT_AFTER", "24h") {
        Ok(after) => after,
        Err(error) => return findings.problem(CHECK, error.to_string(), "correct the variable"),
    };
    let Ok(waiting) = erase::waiting(pool, SHOWN).await else { return };
    let Ok(overdue) = erase::unsent(pool, after + LATER, 1).await else { return };
    if waiting.is_empty() && overdue.is_empty() {
        findings.ok(CHECK, "none waits");
    }
    for one in waiting {
        let fix = "deploy/runbooks/erase.md";
        findings.warning(CHECK, format!("{} waits for {}", one.id, one.waits_for), fix);
    }
    if !overdue.is_empty() {
        findings.warning(
            CHECK,
            "messages that were unsent long ago still have their content",
            "start a worker with the nats-users.conf of this release; `/readyz` on its ADMIN_LISTEN says what it lacks (deploy/runbooks/erase.md)",
        );
    }
}
