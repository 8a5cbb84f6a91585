//! ◆ Pure: which Postgres role a service has, what it owns, and what it may read besides. `house/tables.toml` is the same list by crate.

/// The role of the operator's verbs: a member of all the others, and owner of the jobs and the audit.
pub(crate) const OPERATOR: &str = "hookline_operator";

/// A service with a role of its own.
#[derive(Debug)]
pub(crate) struct Service {
    /// The role hookline makes: it may log in, and is no superuser.
    pub(crate) role: &'static str,
    /// What the processes of the service call themselves (`application_name`).
    pub(crate) application: &'static str,
    /// Schemas it owns. `inbox` stands for all read models, too.
    pub(crate) owns: &'static [&'static str],
    /// A rebuild makes a schema, so the projector must be allowed to.
    pub(crate) creates_schemas: bool,
    /// Schemas of which it reads all public tables and views, also those that are made later.
    pub(crate) reads_all: &'static [&'static str],
    /// Views of others that it reads, as schema and name.
    pub(crate) reads: &'static [(&'static str, &'static str)],
}

/// All of them. Ingest is none: it uses no database.
pub(crate) const SERVICES: [Service; 4] = [
    Service {
        role: "hookline_worker",
        application: "hookline-worker",
        owns: &["worker"],
        creates_schemas: false,
        reads_all: &[],
        reads: &[("api", "connect_requests"), ("api", "endpoint_definitions")],
    },
    Service {
        role: "hookline_projector",
        application: "hookline-projector",
        owns: &["inbox"],
        creates_schemas: true,
        reads_all: &[],
        reads: &[("worker", "event_positions"), ("worker", "eras")],
    },
    Service {
        role: "hookline_api",
        application: "hookline-api",
        owns: &["api"],
        creates_schemas: false,
        reads_all: &["inbox"],
        reads: &[
            ("worker", "account_health"),
            ("worker", "account_ids"),
            ("worker", "account_list"),
            ("worker", "command_outcomes"),
            ("worker", "completeness_figures"),
            ("worker", "completeness_standing"),
            ("worker", "connecting"),
            ("worker", "conversation_policy"),
            ("worker", "conversion_list"),
            ("worker", "dead_list"),
            ("worker", "deletion_requests"),
            ("worker", "endpoint_status"),
            ("worker", "eras"),
            ("worker", "media_list"),
            ("worker", "media_reads"),
            ("worker", "refused_commands"),
            ("worker", "replies"),
            ("worker", "send_stops"),
            ("worker", "template_list"),
            ("worker", "waiting_list"),
            // By the functions of their owner (`runtime/ops`), which the verbs call, too.
            ("ops", "audit"),
            ("ops", "jobs"),
        ],
    },
    Service {
        role: OPERATOR,
        application: "hookline-operator",
        owns: &["ops"],
        creates_schemas: false,
        reads_all: &[],
        reads: &[],
    },
];

/// The role that owns a schema; `None` for a schema that is none of hookline's.
pub(crate) fn owner(schema: &str) -> Option<&'static str> {
    let base = match schema.strip_prefix("inbox_v") {
        Some(number) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            "inbox"
        }
        _ => schema,
    };
    SERVICES.iter().find(|service| service.owns.contains(&base)).map(|service| service.role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_of_hookline_has_one_owner() {
        assert_eq!(owner("worker"), Some("hookline_worker"));
        assert_eq!(owner("inbox"), Some("hookline_projector"));
        assert_eq!(owner("inbox_v12"), Some("hookline_projector"));
        assert_eq!(owner("ops"), Some(OPERATOR));
        for other in ["public", "inbox_v", "inbox_vx", "inbox_v1x", "pg_catalog"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
