//! The last step: no byte of rows that were deleted or changed is left in Postgres's files (docs/decisions/44).

use std::time::Duration;

use facts::erase;
use runtime::db::scrub::{self, Table};
use sqlx::{FromRow, PgPool};

use super::work::{Moved, Work};

/// How long Postgres may take to see old WAL off.
const WAL_WITHIN: Duration = Duration::from_secs(10);
/// Tables of this schema that an erasure deletes from or changes.
const OWN: [&str; 22] = [
    "callbacks",
    "commands",
    "contacts",
    "conversations",
    "echoes",
    "endpoint_held",
    "endpoint_lanes",
    "erase_raws",
    "erasures",
    "facts",
    "freezes",
    "held_lanes",
    "messages",
    "news",
    "parked",
    "parked_discarded",
    "parked_raws",
    "parts",
    "reports",
    "resolutions",
    "secrets",
    "waiting",
];

/// A table with rows of somebody, and whether this user may put another in its place.
#[derive(FromRow)]
struct TableRow {
    schema: String,
    name: String,
    is_own: bool,
}

/// What is said of an erasure that ends: nothing copies whole tables by itself, since a backup that is begun meanwhile would find them empty.
const LEFT: &str = "free space of Postgres's pages: `hookline erase` scrubs it at its end, `hookline erase --again` for all that a worker erased";

/// Ends all erasures that have come to here.
pub(super) async fn end_all(work: &Work) -> anyhow::Result<Moved> {
    for id in erase::to_scrub(&work.pool).await? {
        erase::finish(&work.pool, &id, &[LEFT.to_owned()]).await?;
    }
    Ok(Moved::Done)
}

impl Work {
    /// Scrubs all tables that erasures change, for the operator who asked: once the projector has absorbed the withdrawals, and while no backup
    /// is made. Returns where bytes may be left.
    ///
    /// # Errors
    /// Postgres did not answer, or a table is in use; call again.
    pub async fn scrub(&self) -> anyhow::Result<Vec<String>> {
        exchange(&self.pool, changed(&self.pool).await?).await
    }
}

async fn exchange(pool: &PgPool, tables: Vec<TableRow>) -> anyhow::Result<Vec<String>> {
    let (own, others): (Vec<TableRow>, Vec<TableRow>) =
        tables.into_iter().partition(|table| table.is_own);
    let own: Vec<Table> =
        own.into_iter().map(|TableRow { schema, name, .. }| Table { schema, name }).collect();
    scrub::scrub(pool, &own, |_| {}).await?;
    let left = scrub::left(pool, WAL_WITHIN).await?;
    let owned = |table: &TableRow| {
        let TableRow { schema, name, .. } = table;
        format!("{schema}.{name} is of another role: run `hookline erase --again`, which scrubs it")
    };
    Ok(left.iter().map(ToString::to_string).chain(others.iter().map(owned)).collect())
}

/// Tables that erasures change: of this schema, of the api, and the read models.
async fn changed(pool: &PgPool) -> sqlx::Result<Vec<TableRow>> {
    sqlx::query_as(
        "select n.nspname::text as schema, c.relname::text as name, pg_has_role(c.relowner, 'usage') as is_own
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'r'
            and ((n.nspname = 'worker' and c.relname = any($1))
                 or (n.nspname = 'api' and c.relname in ('imports', 'requests'))
                 or n.nspname ~ '^inbox_v[0-9]+$')
          order by n.nspname <> 'worker', n.nspname, c.relname",
    )
    .bind(&OWN[..])
    .fetch_all(pool)
    .await
}
