//! Reads both models in one snapshot and compares them.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::found::{Comparison, Differing, Maker, Table};
use super::statements::{Columns, Shape, lost_facts_sql, shapes};
use crate::store::tables::{facts, parked};
use crate::store::{SchemaName, scope};
use crate::worker_view::{last_positions, worker_publishes};

/// Events listed of one row.
const EVENTS_MAX: usize = 20;

#[derive(sqlx::FromRow)]
struct TableColumns {
    name: String,
    key: Vec<String>,
    columns: Vec<String>,
}

#[derive(sqlx::FromRow)]
struct Digest {
    rows: i64,
    digest: String,
}

#[derive(sqlx::FromRow)]
struct Count {
    how: String,
    rows: i64,
}

#[derive(sqlx::FromRow)]
struct DifferingRow {
    id: String,
    conversation_id: Option<String>,
    how: String,
    columns: Vec<String>,
}

/// Sees both models as they were when it was opened.
pub(crate) struct Reader {
    conn: PgConnection,
}

impl Reader {
    /// Opens it, on a connection of its own: to be done while nobody writes either of them.
    ///
    /// # Errors
    /// `sqlx::Error`: Postgres does not answer.
    pub(crate) async fn open(pool: &PgPool) -> sqlx::Result<Self> {
        let options = pool.connect_options().as_ref().clone().options([("statement_timeout", "0")]);
        let mut conn = PgConnection::connect_with(&options).await?;
        runtime::db::scrub::hold_off(&mut conn).await?;
        // The first statement takes the snapshot.
        sqlx::raw_sql(
            "begin isolation level repeatable read read only; select 1 from inbox.serving",
        )
        .execute(&mut conn)
        .await?;
        Ok(Self { conn })
    }

    /// Compares what is with what should be.
    ///
    /// # Errors
    /// `sqlx::Error`: open another one and begin anew.
    pub(crate) async fn compare(
        mut self,
        is: &SchemaName,
        should: &SchemaName,
    ) -> sqlx::Result<Comparison> {
        let mut found = Comparison::default();
        let is_columns = columns(&mut self.conn, is).await?;
        for shape in shapes(is_columns, &columns(&mut self.conn, should).await?) {
            let (now, expected) =
                (self.digest(is, &shape).await?, self.digest(should, &shape).await?);
            let mut table = Table {
                table: shape.table.clone(),
                rows: now.rows,
                rows_expected: expected.rows,
                digest: now.digest,
                digest_expected: expected.digest,
                ..Table::default()
            };
            if table.digest != table.digest_expected || table.rows != table.rows_expected {
                self.count(is, should, &shape, &mut table).await?;
                let lost = self.lost(is, should, &table).await?;
                if lost > 0 {
                    found.lost_in.insert(shape.table.clone(), lost);
                }
                found.rows.extend(self.rows(is, should, &shape).await?);
            }
            found.tables.push(table);
        }
        found.sum_up();
        self.find_makers(is, should, &mut found.rows).await?;
        // Nothing was written; the end of the connection ends the transaction.
        let _ = self.conn.close().await;
        Ok(found)
    }

    async fn digest(&mut self, schema: &SchemaName, shape: &Shape) -> sqlx::Result<Digest> {
        sqlx::query_as(AssertSqlSafe(shape.digest_sql(schema))).fetch_one(&mut self.conn).await
    }

    async fn count(
        &mut self,
        is: &SchemaName,
        should: &SchemaName,
        shape: &Shape,
        table: &mut Table,
    ) -> sqlx::Result<()> {
        let counts = AssertSqlSafe(shape.counts_sql(is, should));
        let counts: Vec<Count> = sqlx::query_as(counts).fetch_all(&mut self.conn).await?;
        for Count { how, rows } in counts {
            match how.as_str() {
                "missing" => table.missing = rows,
                "surplus" => table.surplus = rows,
                _ => table.changed = rows,
            }
        }
        Ok(())
    }

    /// How many rows of a table going over to the other model would lose.
    async fn lost(
        &mut self,
        is: &SchemaName,
        should: &SchemaName,
        table: &Table,
    ) -> sqlx::Result<i64> {
        match table.table.as_str() {
            // Set aside before, and not any more.
            "parked" => Ok(0),
            "facts" if table.surplus > 0 => {
                let lost = AssertSqlSafe(lost_facts_sql(is, should));
                sqlx::query_scalar(lost).fetch_one(&mut self.conn).await
            }
            _ => Ok(table.surplus),
        }
    }

    async fn rows(
        &mut self,
        is: &SchemaName,
        should: &SchemaName,
        shape: &Shape,
    ) -> sqlx::Result<Vec<Differing>> {
        let rows = AssertSqlSafe(shape.rows_sql(is, should));
        let rows: Vec<DifferingRow> = sqlx::query_as(rows).fetch_all(&mut self.conn).await?;
        let table = &shape.table;
        Ok(rows
            .into_iter()
            .map(|DifferingRow { id, conversation_id, how, columns }| {
                let (table, events) = (table.clone(), Vec::new());
                Differing { table, id, conversation_id, how, columns, events }
            })
            .collect())
    }

    /// Finds the events that made the rows, and where they are in INBOX_EVENTS.
    async fn find_makers(
        &mut self,
        is: &SchemaName,
        should: &SchemaName,
        rows: &mut [Differing],
    ) -> sqlx::Result<()> {
        let published = worker_publishes(&mut self.conn).await?;
        for row in rows {
            let events: Vec<String> = match row.table.as_str() {
                "facts" | "withdrawn" => {
                    row.id.split(' ').next().map(ToOwned::to_owned).into_iter().collect()
                }
                table => {
                    let mut events = self.events_of(is, table, &row.id).await?;
                    events.extend(self.events_of(should, table, &row.id).await?);
                    events.into_iter().collect()
                }
            };
            let positions = if published {
                last_positions(&mut self.conn, &events).await?
            } else {
                BTreeMap::new()
            };
            row.events = first_makers(events, &positions);
        }
        Ok(())
    }

    /// The events that made a row of one model.
    async fn events_of(
        &mut self,
        schema: &SchemaName,
        table: &str,
        id: &str,
    ) -> sqlx::Result<BTreeSet<String>> {
        scope::enter(&mut self.conn, schema).await?;
        let events = match table {
            "parked" => parked::event_at(&mut self.conn, id).await?,
            _ => facts::events_of(&mut self.conn, id).await?,
        };
        Ok(events.into_iter().collect())
    }
}

/// The tables with content, without the bookkeeping of whoever writes them.
async fn columns(
    conn: &mut PgConnection,
    schema: &SchemaName,
) -> sqlx::Result<BTreeMap<String, Columns>> {
    let rows: Vec<TableColumns> = sqlx::query_as(
        "select c.relname::text as name,
                array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(n, o)
                        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.n order by k.o) as key,
                array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
                        and not a.attisdropped order by a.attnum) as columns
           from pg_class c join pg_index i on i.indrelid = c.oid and i.indisprimary
          where c.relnamespace = $1::regnamespace and c.relkind = 'r'
            and c.relname not in ('leases', 'positions', '_sqlx_migrations') order by 1",
    )
    .bind(schema.as_str())
    .fetch_all(conn)
    .await?;
    let columns = |row: TableColumns| (row.name, Columns { key: row.key, all: row.columns });
    Ok(rows.into_iter().map(columns).collect())
}

/// The statements of a comparison of these two models as they are, each with the function that makes it.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn composed(
    conn: &mut PgConnection,
    is: &SchemaName,
    should: &SchemaName,
) -> sqlx::Result<Vec<(&'static str, String)>> {
    let mut all = vec![("lost_facts_sql", lost_facts_sql(is, should))];
    let is_columns = columns(conn, is).await?;
    for shape in shapes(is_columns, &columns(conn, should).await?) {
        all.push(("digest_sql", shape.digest_sql(is)));
        all.push(("counts_sql", shape.counts_sql(is, should)));
        all.push(("rows_sql", shape.rows_sql(is, should)));
    }
    Ok(all)
}

/// The first events by position; those without one come last.
fn first_makers(events: Vec<String>, positions: &BTreeMap<String, i64>) -> Vec<Maker> {
    let maker = |event_id: String| {
        let position = positions.get(&event_id).copied();
        Maker { event_id, position }
    };
    let mut makers: Vec<Maker> = events.into_iter().map(maker).collect();
    makers.sort_by(|a, b| {
        let order = |maker: &Maker| (maker.position.is_none(), maker.position);
        order(a).cmp(&order(b)).then_with(|| a.event_id.cmp(&b.event_id))
    });
    makers.truncate(EVENTS_MAX);
    makers
}
