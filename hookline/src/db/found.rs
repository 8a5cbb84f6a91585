//! What Postgres has of roles, owners and rights, read from its catalogue.

use sqlx::PgConnection;

use super::wanted::{OPERATOR, SERVICES, Service};

/// A role that exists.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct RoleRow {
    pub(crate) role: String,
    /// Superuser, or may make roles or databases.
    pub(crate) is_mighty: bool,
}

/// A schema of hookline.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SchemaRow {
    pub(crate) schema: String,
    pub(crate) owner: String,
}

/// A table, view, sequence or function in one of these schemas.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct ObjectRow {
    pub(crate) schema: String,
    /// Of a table or view, without its schema.
    pub(crate) relation: Option<String>,
    /// As it is written in a statement: with its schema, quoted where needed, a function with its arguments.
    pub(crate) name: String,
    /// The word of `alter … owner to`.
    pub(crate) kind: String,
    pub(crate) owner: String,
}

/// A right that somebody has on a table or view of these schemas, and is not its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::FromRow)]
pub(crate) struct RightRow {
    pub(crate) role: String,
    pub(crate) schema: String,
    pub(crate) relation: String,
    /// `select`, `insert`, `update`, `delete`, `truncate`, `references` or `trigger`.
    pub(crate) right: String,
}

/// A process that is connected.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SessionRow {
    pub(crate) application: String,
    pub(crate) role: String,
    pub(crate) is_mighty: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub(crate) database: String,
    pub(crate) roles: Vec<RoleRow>,
    pub(crate) schemas: Vec<SchemaRow>,
    pub(crate) objects: Vec<ObjectRow>,
    pub(crate) rights: Vec<RightRow>,
    /// Schemas that a role may use without owning them, as role and schema.
    pub(crate) usages: Vec<(String, String)>,
    /// Roles that may make schemas in this database.
    pub(crate) creators: Vec<String>,
    /// What will be readable once it is made: owner, schema and reader.
    pub(crate) defaults: Vec<(String, String, String)>,
    /// Roles that the operator's is a member of.
    pub(crate) memberships: Vec<String>,
}

/// Reads it in the caller's transaction.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub(crate) async fn read(conn: &mut PgConnection) -> sqlx::Result<Catalogue> {
    let roles: Vec<&str> = SERVICES.iter().map(|service: &Service| service.role).collect();
    let schemas: Vec<SchemaRow> = sqlx::query_as(
        "select nspname::text as schema, pg_get_userbyid(nspowner)::text as owner from pg_namespace
          where nspname in ('worker', 'api', 'ops', 'inbox') or nspname ~ '^inbox_v[0-9]+$' order by 1",
    )
    .fetch_all(&mut *conn)
    .await?;
    let of_hookline: Vec<String> = schemas.iter().map(|row| row.schema.clone()).collect();
    Ok(Catalogue {
        schemas,
        database: sqlx::query_scalar("select quote_ident(current_database())")
            .fetch_one(&mut *conn)
            .await?,
        roles: sqlx::query_as(
            "select rolname::text as role, rolsuper or rolcreaterole or rolcreatedb or rolbypassrls as is_mighty
               from pg_roles where rolname = any($1)",
        )
        .bind(&roles)
        .fetch_all(&mut *conn)
        .await?,
        objects: objects(&mut *conn, &of_hookline).await?,
        rights: sqlx::query_as(
            "select g.rolname::text as role, n.nspname::text as schema, c.relname::text as relation, lower(a.privilege_type) as right
               from pg_class c
               join pg_namespace n on n.oid = c.relnamespace
              cross join lateral aclexplode(c.relacl) a
               join pg_roles g on g.oid = a.grantee
              where n.nspname = any($2)
                and c.relkind in ('r', 'p', 'v', 'm') and g.rolname = any($1) and a.grantee <> c.relowner
              order by 1, 2, 3, 4",
        )
        .bind(&roles)
        .bind(&of_hookline)
        .fetch_all(&mut *conn)
        .await?,
        usages: sqlx::query_as(
            "select g.rolname::text, n.nspname::text
               from pg_namespace n cross join lateral aclexplode(n.nspacl) a join pg_roles g on g.oid = a.grantee
              where n.nspname = any($2)
                and g.rolname = any($1) and a.privilege_type = 'USAGE' and a.grantee <> n.nspowner",
        )
        .bind(&roles)
        .bind(&of_hookline)
        .fetch_all(&mut *conn)
        .await?,
        creators: sqlx::query_scalar(
            "select g.rolname::text
               from pg_database d cross join lateral aclexplode(d.datacl) a join pg_roles g on g.oid = a.grantee
              where d.datname = current_database() and a.privilege_type = 'CREATE' and g.rolname = any($1)",
        )
        .bind(&roles)
        .fetch_all(&mut *conn)
        .await?,
        defaults: sqlx::query_as(
            "select pg_get_userbyid(d.defaclrole)::text, n.nspname::text, g.rolname::text
               from pg_default_acl d
               join pg_namespace n on n.oid = d.defaclnamespace
              cross join lateral aclexplode(d.defaclacl) a
               join pg_roles g on g.oid = a.grantee
              where d.defaclobjtype = 'r' and a.privilege_type = 'SELECT' and g.rolname = any($1)",
        )
        .bind(&roles)
        .fetch_all(&mut *conn)
        .await?,
        memberships: sqlx::query_scalar(
            "select g.rolname::text from pg_auth_members m
               join pg_roles g on g.oid = m.roleid join pg_roles o on o.oid = m.member
              where o.rolname = $2 and g.rolname = any($1)",
        )
        .bind(&roles)
        .bind(OPERATOR)
        .fetch_all(&mut *conn)
        .await?,
    })
}

/// What has an owner of its own: indexes, and sequences of a column, go with their table.
async fn objects(conn: &mut PgConnection, schemas: &[String]) -> sqlx::Result<Vec<ObjectRow>> {
    sqlx::query_as(
        "select n.nspname::text as schema, case when c.relkind <> 'S' then c.relname::text end as relation, format('%I.%I', n.nspname, c.relname) as name,
                case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end as kind,
                pg_get_userbyid(c.relowner)::text as owner
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any($1)
            and c.relkind in ('r', 'p', 'v', 'm', 'S')
            and not exists (select from pg_depend d
                             where d.classid = 'pg_class'::regclass and d.objid = c.oid and c.relkind = 'S' and d.deptype in ('a', 'i'))
          union all
         select n.nspname::text, null, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), 'routine',
                pg_get_userbyid(p.proowner)::text
           from pg_proc p join pg_namespace n on n.oid = p.pronamespace
          where n.nspname = any($1)
            and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
          union all
         select n.nspname::text, null, format('%I.%I', n.nspname, t.typname), 'type', pg_get_userbyid(t.typowner)::text
           from pg_type t join pg_namespace n on n.oid = t.typnamespace
          where n.nspname = any($1) and t.typtype in ('e', 'd')
          order by 1, 3",
    )
    .bind(schemas)
    .fetch_all(conn)
    .await
}

/// Processes of hookline that are connected to this database, by what they call themselves.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub(crate) async fn sessions(conn: &mut PgConnection) -> sqlx::Result<Vec<SessionRow>> {
    sqlx::query_as(
        "select distinct s.application_name as application, s.usename::text as role,
                r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolbypassrls as is_mighty
           from pg_stat_activity s join pg_roles r on r.rolname = s.usename
          where s.datname = current_database() and s.application_name like 'hookline-%'
          order by 1, 2",
    )
    .fetch_all(conn)
    .await
}
