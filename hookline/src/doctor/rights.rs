//! Postgres: whether each service runs as a role that can do what it needs and nothing else.

use runtime::db;
use sqlx::PgPool;

use super::findings::Findings;
use crate::db::{SERVICES, changes, found};

const CHECK: &str = "postgres roles";
const FIX: &str = "`hookline db plan`, then `hookline db apply`, and a DATABASE_URL of its own for each service (deploy/runbooks/db.md)";

/// Looks at the processes that are connected, and at the rights of the roles.
pub(super) async fn check(pool: &PgPool, findings: &mut Findings) {
    if let Err(error) = look(pool, findings).await {
        let why = db::describe(&error);
        findings.warning(CHECK, format!("could not be read: {why}"), "run it again");
    }
}

async fn look(pool: &PgPool, findings: &mut Findings) -> sqlx::Result<()> {
    let mut conn = pool.acquire().await?;
    let mut well = true;
    for session in found::sessions(&mut conn).await? {
        let Some(service) = SERVICES.iter().find(|one| one.application == session.application)
        else {
            continue;
        };
        if session.role != service.role {
            let might = if session.is_mighty { ", which may do anything" } else { "" };
            findings.warning(
                CHECK,
                format!(
                    "{} runs as `{}`{might}, not as `{}`",
                    service.application, session.role, service.role
                ),
                FIX,
            );
            well = false;
        }
    }
    let catalogue = found::read(&mut conn).await?;
    if catalogue.roles.is_empty() {
        return Ok(());
    }
    for change in changes(&catalogue) {
        findings.warning(CHECK, format!("{} {}", change.role, change.what), FIX);
        well = false;
    }
    if well {
        findings.ok(CHECK, "each service can do what it needs and nothing else");
    }
    Ok(())
}
