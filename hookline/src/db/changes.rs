//! ◆ Pure: what is to be changed so that each service can do what it needs and nothing else.

use std::collections::BTreeSet;

use serde::Serialize;

use super::found::Catalogue;
use super::wanted::{OPERATOR, SERVICES, Service, owner};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// The role it is about.
    pub(crate) role: &'static str,
    /// In a few words.
    pub(crate) what: String,
    /// The statement.
    pub(crate) sql: String,
    /// A right is taken away.
    pub(crate) takes: bool,
}

fn change(role: &'static str, what: impl Into<String>, sql: impl Into<String>) -> Change {
    Change { role, what: what.into(), sql: sql.into(), takes: false }
}

/// The changes, in the order in which they can be made. None: all is as it should be.
pub(crate) fn changes(found: &Catalogue) -> Vec<Change> {
    let mut all = Vec::new();
    for service in &SERVICES {
        all.extend(role(found, service));
    }
    for service in SERVICES.iter().filter(|service| service.role != OPERATOR) {
        if !found.memberships.iter().any(|one| one == service.role) {
            let sql = format!("grant {} to {OPERATOR}", service.role);
            all.push(change(OPERATOR, format!("may do what {} may", service.role), sql));
        }
    }
    all.extend(owners(found));
    for service in &SERVICES {
        all.extend(grants(found, service));
        all.extend(excess(found, service));
    }
    all
}

fn role(found: &Catalogue, service: &Service) -> Option<Change> {
    let name = service.role;
    let limits = "nosuperuser nocreatedb nocreaterole nobypassrls";
    match found.roles.iter().find(|row| row.role == name) {
        None => Some(change(name, "is missing", format!("create role {name} login {limits}"))),
        Some(row) if row.is_mighty => {
            let sql = format!("alter role {name} {limits}");
            Some(Change { takes: true, ..change(name, "may do more than a service needs", sql) })
        }
        Some(_) => None,
    }
}

/// Schemas, and what is in them, belong to the service that migrates them.
fn owners(found: &Catalogue) -> Vec<Change> {
    let mut all = Vec::new();
    for row in &found.schemas {
        if let Some(role) = owner(&row.schema).filter(|role| *role != row.owner) {
            let sql = format!("alter schema {} owner to {role}", row.schema);
            all.push(change(role, format!("owns schema {}, not {}", row.schema, row.owner), sql));
        }
    }
    for row in &found.objects {
        if let Some(role) = owner(&row.schema).filter(|role| *role != row.owner) {
            let sql = format!("alter {} {} owner to {role}", row.kind, row.name);
            all.push(change(role, format!("owns {}, not {}", row.name, row.owner), sql));
        }
    }
    all
}

fn grants(found: &Catalogue, service: &Service) -> Vec<Change> {
    let (name, mut all) = (service.role, Vec::new());
    let has_schema = |schema: &str| found.schemas.iter().any(|row| row.schema == schema);
    let uses =
        |schema: &str| found.usages.iter().any(|(role, usable)| role == name && usable == schema);
    let has = |schema: &str, relation: &str, right: &str| {
        found.rights.iter().any(|row| {
            (row.role.as_str(), row.schema.as_str(), row.relation.as_str(), row.right.as_str())
                == (name, schema, relation, right)
        })
    };
    if service.creates_schemas && !found.creators.iter().any(|role| role == name) {
        let sql = format!("grant create on database {} to {name}", found.database);
        all.push(change(name, "makes a schema for each read model", sql));
    }
    let of_views = service.reads.iter().map(|(schema, _)| *schema);
    let schemas: BTreeSet<&str> = service.reads_all.iter().copied().chain(of_views).collect();
    for schema in schemas {
        if has_schema(schema) && !uses(schema) {
            let sql = format!("grant usage on schema {schema} to {name}");
            all.push(change(name, format!("uses schema {schema}"), sql));
        }
    }
    for (schema, relation) in service.reads {
        let is_there = found
            .objects
            .iter()
            .any(|row| row.schema == *schema && row.relation.as_deref() == Some(*relation));
        if is_there && !has(schema, relation, "select") {
            let sql = format!("grant select on {schema}.{relation} to {name}");
            all.push(change(name, format!("reads {schema}.{relation}"), sql));
        }
    }
    for schema in service.reads_all {
        let relations = found.objects.iter().filter(|row| row.schema == *schema);
        let unread = relations
            .filter_map(|row| row.relation.as_deref())
            .filter(|relation| !has(schema, relation, "select"))
            .count();
        if unread > 0 {
            let sql = format!("grant select on all tables in schema {schema} to {name}");
            all.push(change(name, format!("reads schema {schema}: {unread} more"), sql));
        }
        let Some(made_by) = owner(schema).filter(|_| has_schema(schema)) else { continue };
        let later = (made_by.to_owned(), (*schema).to_owned(), name.to_owned());
        if !found.defaults.contains(&later) {
            let sql = format!(
                "alter default privileges for role {made_by} in schema {schema} grant select on tables to {name}"
            );
            all.push(change(name, format!("reads what is made in schema {schema} later"), sql));
        }
    }
    all
}

/// Rights on tables of others that the service does not need.
fn excess(found: &Catalogue, service: &Service) -> Vec<Change> {
    let name = service.role;
    let mut all: Vec<Change> = found
        .rights
        .iter()
        .filter(|row| row.role == name && owner(&row.schema) != Some(name))
        .filter(|row| {
            let reads = service.reads_all.contains(&row.schema.as_str())
                || service.reads.contains(&(row.schema.as_str(), row.relation.as_str()));
            !reads || row.right != "select"
        })
        .map(|row| Change {
            takes: true,
            ..change(
                name,
                format!("may {} {}.{} and does not need to", row.right, row.schema, row.relation),
                format!("revoke {} on {}.\"{}\" from {name}", row.right, row.schema, row.relation),
            )
        })
        .collect();
    if !service.creates_schemas && found.creators.iter().any(|role| role == name) {
        let sql = format!("revoke create on database {} from {name}", found.database);
        all.push(Change {
            takes: true,
            ..change(name, "may make schemas and does not need to", sql)
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::found::{ObjectRow, RightRow, RoleRow, SchemaRow};

    fn migrated() -> Catalogue {
        let schema = |name: &str| SchemaRow { schema: name.into(), owner: "postgres".into() };
        let object = |schema: &str, name: &str, kind: &str| ObjectRow {
            schema: schema.into(),
            relation: Some(name.into()),
            name: format!("{schema}.{name}"),
            kind: kind.into(),
            owner: "postgres".into(),
        };
        Catalogue {
            database: "hookline".into(),
            schemas: ["worker", "api", "ops", "inbox", "inbox_v1"].map(schema).into(),
            objects: vec![
                object("worker", "facts", "table"),
                object("worker", "eras", "view"),
                object("inbox", "messages", "view"),
            ],
            ..Catalogue::default()
        }
    }

    fn sql(found: &Catalogue) -> Vec<String> {
        changes(found).into_iter().map(|change| change.sql).collect()
    }

    #[test]
    fn roles_come_before_what_they_own_and_what_is_granted() {
        let sql = sql(&migrated());
        let at = |start: &str| sql.iter().position(|one| one.starts_with(start)).unwrap();
        assert!(at("create role hookline_worker") < at("alter schema worker owner"));
        assert!(at("alter schema worker owner") < at("grant usage on schema worker"));
        assert!(sql.contains(&"alter table worker.facts owner to hookline_worker".to_owned()));
        assert!(sql.contains(&"grant select on worker.eras to hookline_api".to_owned()));
        assert!(!sql.iter().any(|one| one.contains("worker.facts to")), "{sql:?}");
        assert!(!sql.iter().any(|one| one.contains("worker.replies")), "a view that is not there");
    }

    #[test]
    fn what_a_service_does_not_need_is_taken_away() {
        let mut found = migrated();
        found.roles = SERVICES
            .iter()
            .map(|service| RoleRow { role: service.role.into(), is_mighty: false })
            .collect();
        found.roles[0].is_mighty = true;
        let right = |role: &str, schema: &str, relation: &str, right: &str| RightRow {
            role: role.into(),
            schema: schema.into(),
            relation: relation.into(),
            right: right.into(),
        };
        found.rights = vec![
            right("hookline_api", "worker", "facts", "select"),
            right("hookline_api", "worker", "eras", "select"),
            right("hookline_api", "inbox", "messages", "select"),
            right("hookline_api", "inbox", "messages", "delete"),
        ];
        found.creators = vec!["hookline_api".into(), "hookline_projector".into()];
        let taken: Vec<String> =
            changes(&found).into_iter().filter(|one| one.takes).map(|one| one.sql).collect();
        assert_eq!(
            taken,
            [
                "alter role hookline_worker nosuperuser nocreatedb nocreaterole nobypassrls",
                "revoke select on worker.\"facts\" from hookline_api",
                "revoke delete on inbox.\"messages\" from hookline_api",
                "revoke create on database hookline from hookline_api",
            ]
        );
    }
}
