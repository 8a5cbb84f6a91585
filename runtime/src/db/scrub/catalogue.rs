//! What the catalogue knows of a table that is to be copied.

use sqlx::PgConnection;

/// A table by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its schema, as the catalogue has it.
    pub schema: String,
    /// Its name, as the catalogue has it.
    pub name: String,
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A table as it is now.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Found {
    pub(super) oid: i64,
    pub(super) owner: String,
    /// What a copy would not have; empty: it can be copied.
    pub(super) obstacles: Vec<String>,
}

/// Looks a table up; `None`: it is no more.
pub(super) async fn find(conn: &mut PgConnection, table: &Table) -> sqlx::Result<Option<Found>> {
    sqlx::query_as(
        "select c.oid::int8 as oid, pg_get_userbyid(c.relowner)::text as owner,
                array_remove(array[
                    case when c.relkind <> 'r' or c.relpersistence <> 'p' or c.relispartition
                           or exists (select from pg_inherits h where c.oid in (h.inhrelid, h.inhparent)) then 'it is no plain table' end,
                    case when c.relrowsecurity then 'row security' end,
                    case when c.relreplident <> 'd' then 'a replica identity' end,
                    case when not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) then 'no primary key' end,
                    case when exists (select from pg_rewrite r where r.ev_class = c.oid) then 'rules' end,
                    case when exists (select from pg_statistic_ext e where e.stxrelid = c.oid) then 'extended statistics' end,
                    case when exists (select from pg_publication_rel p where p.prrelid = c.oid) then 'a publication' end,
                    case when exists (select from pg_attribute a where a.attrelid = c.oid and not a.attisdropped and a.attacl is not null)
                         then 'rights on columns' end,
                    case when exists (select from pg_attribute a where a.attrelid = c.oid and not a.attisdropped and a.attgenerated <> '')
                         then 'computed columns' end,
                    case when exists (select from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled <> 'O')
                         then 'a disabled trigger' end,
                    case when exists (select from pg_constraint k
                                       where k.conrelid = c.oid and (k.contype = 'x' or (k.contype in ('p', 'u') and k.condeferrable)))
                         then 'a constraint that excludes or waits' end,
                    case when exists (select from pg_index i where i.indrelid = c.oid and not i.indisvalid) then 'an invalid index' end,
                    case when exists (select from pg_depend d join pg_class q on q.oid = d.objid and d.classid = 'pg_class'::regclass
                                       where d.refobjid = c.oid and d.deptype = 'a' and q.relkind = 'S') then 'a serial column' end
                ], null) as obstacles
           from pg_class c where c.oid = to_regclass(format('%I.%I', $1::text, $2::text))",
    )
    .bind(&table.schema)
    .bind(&table.name)
    .fetch_optional(conn)
    .await
}

/// Everything about a table that the copy takes over. It must be the same when the copy is put in its place.
pub(super) async fn fingerprint(conn: &mut PgConnection, oid: i64) -> sqlx::Result<String> {
    sqlx::query_scalar(
        "select jsonb_build_array(
                    (select jsonb_agg(jsonb_build_array(a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attidentity, a.attcollation,
                                                        a.attstorage, a.attstattarget, pg_get_expr(d.adbin, d.adrelid)) order by a.attnum)
                       from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                      where a.attrelid = $1::int8::oid and a.attnum > 0 and not a.attisdropped),
                    (select jsonb_agg(jsonb_build_array(conname, pg_get_constraintdef(oid)) order by oid)
                       from pg_constraint where conrelid = $1::int8::oid),
                    (select jsonb_agg(pg_get_indexdef(indexrelid) order by indexrelid) from pg_index where indrelid = $1::int8::oid),
                    (select jsonb_build_array(relname, relnamespace, relowner, reloptions) from pg_class where oid = $1::int8::oid))::text",
    )
    .bind(oid)
    .fetch_one(conn)
    .await
}

/// The indexes of a table, that of the primary key first.
pub(super) async fn indexes(conn: &mut PgConnection, oid: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "select indexrelid::int8 from pg_index where indrelid = $1::int8::oid order by indisprimary desc, indexrelid",
    )
    .bind(oid)
    .fetch_all(conn)
    .await
}

/// How many pages a table has now.
pub(super) async fn pages(conn: &mut PgConnection, oid: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select pg_relation_size($1::int8::oid) / current_setting('block_size')::int8",
    )
    .bind(oid)
    .fetch_one(conn)
    .await
}

/// A setting of the session, which the blocks of `steps` read; they write `hookline.scrub` and `hookline.scrub_rows`, too.
pub(super) async fn set(conn: &mut PgConnection, name: &str, value: &str) -> sqlx::Result<()> {
    sqlx::query("select set_config($1, $2, false)")
        .bind(name)
        .bind(value)
        .execute(conn)
        .await
        .map(|_| ())
}

/// The number in such a setting.
pub(super) async fn number(conn: &mut PgConnection, name: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar("select coalesce(nullif(current_setting($1, true), ''), '0')::int8")
        .bind(name)
        .fetch_one(conn)
        .await
}

/// Whether `pg_dump` reads this database. It takes its snapshot before it locks tables, so its locks come too late.
pub(super) async fn is_dumped(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from pg_stat_activity where datname = current_database() and application_name = 'pg_dump')",
    )
    .fetch_one(conn)
    .await
}
