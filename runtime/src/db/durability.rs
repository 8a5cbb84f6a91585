//! Whether Postgres keeps what it has committed, as its settings say.

use std::fmt;

use sqlx::PgPool;

/// What is asked of Postgres: whether it writes, and what of a commit survives a crash.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PgSettings {
    /// It is a standby, or transactions are read-only by default.
    pub read_only: bool,
    fsync: bool,
    full_page_writes: bool,
    synchronous_commit: bool,
    standbys: i64,
    standbys_waited_for: bool,
}

/// What may be lost; as text the setting and what may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    /// The setting with its value.
    setting: &'static str,
    /// What may happen.
    finding: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// A crash of the one server is enough; else it takes the loss of the server.
    pub by_crash: bool,
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.finding)
    }
}

/// Asks Postgres.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub async fn pg_settings(pool: &PgPool) -> sqlx::Result<PgSettings> {
    sqlx::query_as(
        "select current_setting('transaction_read_only')::bool as read_only,
                current_setting('fsync')::bool as fsync,
                current_setting('full_page_writes')::bool as full_page_writes,
                current_setting('synchronous_commit') <> 'off' as synchronous_commit,
                (select count(*) from pg_stat_replication) as standbys,
                current_setting('synchronous_standby_names') <> '' as standbys_waited_for",
    )
    .fetch_one(pool)
    .await
}

impl PgSettings {
    /// What its settings put at risk. Nobody is answered twice even so (docs/decisions/24), but sending stops until what was lost is settled.
    pub fn risks(&self) -> Vec<Risk> {
        let risks = [
            (
                !self.fsync,
                Risk {
                    setting: "fsync=off",
                    finding: "a crash of the machine may lose what is committed, and damage the database",
                    fix: "set fsync = on",
                    by_crash: true,
                },
            ),
            (
                !self.full_page_writes,
                Risk {
                    setting: "full_page_writes=off",
                    finding: "a crash of the machine may damage pages that were being written",
                    fix: "set full_page_writes = on, unless the file system never writes a page in part",
                    by_crash: true,
                },
            ),
            (
                !self.synchronous_commit,
                Risk {
                    setting: "synchronous_commit=off",
                    finding: "a crash loses the last commits",
                    fix: "set synchronous_commit = on for the server, the database and the user",
                    by_crash: true,
                },
            ),
            (
                0 < self.standbys && !self.standbys_waited_for,
                Risk {
                    setting: "synchronous_standby_names is empty",
                    finding: "a standby that is promoted may lack the last commits",
                    fix: "name it in synchronous_standby_names, or read deploy/runbooks/postgres-restored.md before it is promoted",
                    by_crash: false,
                },
            ),
        ];
        risks.into_iter().filter_map(|(at_risk, risk)| at_risk.then_some(risk)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_a_risk_of_its_own() {
        let safe = PgSettings {
            read_only: false,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: true,
            standbys: 0,
            standbys_waited_for: false,
        };
        let named = |settings: PgSettings| -> Vec<&str> {
            settings.risks().into_iter().map(|risk| risk.setting).collect()
        };
        assert!(named(safe.clone()).is_empty());
        assert_eq!(named(PgSettings { fsync: false, ..safe.clone() }), ["fsync=off"]);
        let full_page_writes = PgSettings { full_page_writes: false, ..safe.clone() };
        assert_eq!(named(full_page_writes), ["full_page_writes=off"]);
        let lazy = PgSettings { synchronous_commit: false, ..safe.clone() };
        assert_eq!(named(lazy), ["synchronous_commit=off"]);
        let followed = PgSettings { standbys: 1, ..safe };
        assert_eq!(named(followed.clone()), ["synchronous_standby_names is empty"]);
        assert!(named(PgSettings { standbys_waited_for: true, ..followed }).is_empty());
    }
}
