//! Two models row by row: a digest of each table on either side, and where digests differ, which rows and columns do. Never a value.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};

/// Rows listed of one table; all are counted.
const LISTED_MAX: i64 = 100;
/// Events told of one row.
const EVENTS_MAX: i64 = 20;
/// Bookkeeping of whoever writes, no content.
const APART: &str = "('leases', 'positions', '_sqlx_migrations')";
/// Columns that tell when and how something was learnt, which another time is another.
const ASIDE: &[(&str, &str)] =
    &[("parked", "first_seen"), ("parked", "announced"), ("withdrawn", "reason")];

/// A table on both sides.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// Its name.
    pub table: String,
    /// Rows that are.
    pub rows: i64,
    /// Rows that should be.
    pub rows_expected: i64,
    /// Digest of all rows that are, whatever their order.
    pub digest: String,
    /// Digest of all rows that should be.
    pub digest_expected: String,
    /// Rows that should be and are not.
    pub missing: i64,
    /// Rows that are and should not be.
    pub surplus: i64,
    /// Rows that say something else.
    pub changed: i64,
}

/// A row that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Differing {
    /// The table.
    pub table: String,
    /// The row's key.
    pub id: String,
    /// The conversation it belongs to.
    pub conversation_id: Option<String>,
    /// `missing`, `surplus` or `changed`.
    pub how: String,
    /// Columns that differ.
    pub columns: Vec<String>,
    /// The events that made it.
    pub events: Vec<Maker>,
}

/// An event that made a row.
#[derive(Clone, Debug, Serialize)]
pub struct Maker {
    /// Its id.
    pub event_id: String,
    /// Its position in INBOX_EVENTS, where the worker published it.
    pub position: Option<i64>,
}

/// How two models differ.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// Every table.
    pub tables: Vec<Table>,
    /// How many rows differ.
    pub differing: i64,
    /// How many rows are and would not be: what going over to the other model would lose.
    pub lost: i64,
    /// Conversations with a row that differs, at most a few.
    pub conversations: Vec<String>,
    /// The rows, at most a few of each table.
    pub rows: Vec<Differing>,
    #[serde(skip)]
    lost_in: BTreeMap<String, i64>,
}

impl Comparison {
    /// What would be lost, for people.
    pub fn lost_by_table(&self) -> String {
        let parts = self.lost_in.iter().map(|(table, rows)| format!("{rows} {table}"));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// What a table is made of.
struct Shape {
    table: String,
    key: Vec<String>,
    columns: Vec<String>,
    conversation: Option<&'static str>,
}

type KeyAndColumns = (Vec<String>, Vec<String>);

/// Sees both models as they were when it was opened.
pub struct Reader {
    conn: PgConnection,
}

impl Reader {
    /// Opens it, on a connection of its own: to be done while nobody writes either of them.
    ///
    /// # Errors
    /// Of the database.
    pub async fn open(pool: &PgPool) -> sqlx::Result<Self> {
        let options = pool.connect_options().as_ref().clone().options([("statement_timeout", "0")]);
        let mut conn = PgConnection::connect_with(&options).await?;
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
    /// Of the database.
    pub async fn compare(mut self, is: &str, should: &str) -> sqlx::Result<Comparison> {
        let mut found = Comparison::default();
        for shape in self.shapes(is, should).await? {
            let mut table = Table { table: shape.table.clone(), ..Table::default() };
            (table.rows, table.digest) = self.digest(is, &shape).await?;
            (table.rows_expected, table.digest_expected) = self.digest(should, &shape).await?;
            if table.digest != table.digest_expected || table.rows != table.rows_expected {
                self.differences(is, should, &shape, &mut table, &mut found).await?;
            }
            found.differing += table.missing + table.surplus + table.changed;
            found.tables.push(table);
        }
        found.lost = found.lost_in.values().sum();
        let conversations = found.rows.iter().filter_map(|row| row.conversation_id.clone());
        let conversations: std::collections::BTreeSet<String> = conversations.collect();
        found.conversations = conversations.into_iter().collect();
        self.makers(is, should, &mut found.rows).await?;
        // Nothing was written; the end of the connection ends the transaction.
        let _ = self.conn.close().await;
        Ok(found)
    }

    /// The tables that both have, with the columns that both have: a later release may have added to one of them.
    async fn shapes(&mut self, is: &str, should: &str) -> sqlx::Result<Vec<Shape>> {
        let sql = format!(
            "select c.relname::text as name,
                    array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(n, o)
                            join pg_attribute a on a.attrelid = c.oid and a.attnum = k.n order by k.o) as key,
                    array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
                            and not a.attisdropped order by a.attnum) as columns
               from pg_class c join pg_index i on i.indrelid = c.oid and i.indisprimary
              where c.relnamespace = $1::regnamespace and c.relkind = 'r' and c.relname not in {APART} order by 1"
        );
        let mut tables: Vec<BTreeMap<String, KeyAndColumns>> = Vec::new();
        for schema in [is, should] {
            let mut map = BTreeMap::new();
            for row in sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(schema)
                .fetch_all(&mut self.conn)
                .await?
            {
                map.insert(row.try_get("name")?, (row.try_get("key")?, row.try_get("columns")?));
            }
            tables.push(map);
        }
        let (other, one) = (tables.pop().unwrap_or_default(), tables.pop().unwrap_or_default());
        Ok(one
            .into_iter()
            .filter_map(|(table, (key, columns))| {
                let (_, others) = other.get(&table)?;
                let both = |column: &String| {
                    others.contains(column) && !ASIDE.contains(&(table.as_str(), column.as_str()))
                };
                let columns: Vec<String> = columns.into_iter().filter(both).collect();
                let conversation = match table.as_str() {
                    "conversations" => Some("id"),
                    _ => columns
                        .iter()
                        .any(|column| column == "conversation_id")
                        .then_some("conversation_id"),
                };
                Some(Shape { table, key, columns, conversation })
            })
            .collect())
    }

    /// The sum of the rows' hashes: it does not depend on their order, and one pass makes it.
    async fn digest(&mut self, schema: &str, shape: &Shape) -> sqlx::Result<(i64, String)> {
        let columns = list(&shape.columns, "t");
        let sql = format!(
            "select count(*), coalesce(sum(('x' || substr(h, 1, 15))::bit(60)::bigint), 0)::text
               from (select md5(row({columns})::text) as h from {schema}.{} t offset 0) hashed",
            shape.table
        );
        sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut self.conn).await
    }

    async fn differences(
        &mut self,
        is: &str,
        should: &str,
        shape: &Shape,
        table: &mut Table,
        found: &mut Comparison,
    ) -> sqlx::Result<()> {
        let name = &shape.table;
        let on: Vec<String> = shape.key.iter().map(|k| format!("a.{k} = b.{k}")).collect();
        let first = &shape.key[0];
        let how = format!(
            "case when a.{first} is null then 'missing' when b.{first} is null then 'surplus' else 'changed' end"
        );
        let (a, b) = (list(&shape.columns, "a"), list(&shape.columns, "b"));
        let joined = format!(
            "{is}.{name} a full join {should}.{name} b on {} where row({a}) is distinct from row({b})",
            on.join(" and ")
        );
        let counts = format!("select {how} as how, count(*) from {joined} group by 1");
        let counts: Vec<(String, i64)> =
            sqlx::query_as(AssertSqlSafe(counts)).fetch_all(&mut self.conn).await?;
        for (how, count) in counts {
            match how.as_str() {
                "missing" => table.missing = count,
                "surplus" => table.surplus = count,
                _ => table.changed = count,
            }
        }
        let lost = match name.as_str() {
            // Set aside before, and not any more.
            "parked" => 0,
            // An event may speak of another row today; it is lost where nothing is kept of it.
            "facts" if table.surplus > 0 => {
                let lost = format!(
                    "select count(*) from {is}.facts a where not exists (select 1 from {should}.facts b where b.event_id = a.event_id)"
                );
                sqlx::query_scalar(AssertSqlSafe(lost)).fetch_one(&mut self.conn).await?
            }
            _ => table.surplus,
        };
        if lost > 0 {
            found.lost_in.insert(name.clone(), lost);
        }
        let key: Vec<String> =
            shape.key.iter().map(|k| format!("coalesce(a.{k}, b.{k})::text")).collect();
        let conversation = shape
            .conversation
            .map_or("null::text".to_owned(), |c| format!("coalesce(a.{c}, b.{c})::text"));
        let differ: Vec<String> = shape
            .columns
            .iter()
            .map(|c| format!("case when a.{c} is distinct from b.{c} then '{c}' end"))
            .collect();
        let rows = format!(
            "select concat_ws(' ', {}) as id, {conversation} as conversation_id, {how} as how,
                    case when a.{first} is null or b.{first} is null then '{{}}'::text[]
                         else array_remove(array[{}]::text[], null) end as columns
               from {joined} limit {LISTED_MAX}",
            key.join(", "),
            differ.join(", ")
        );
        for row in sqlx::query(AssertSqlSafe(rows)).fetch_all(&mut self.conn).await? {
            found.rows.push(Differing {
                table: name.clone(),
                id: row.try_get("id")?,
                conversation_id: row.try_get("conversation_id")?,
                how: row.try_get("how")?,
                columns: row.try_get("columns")?,
                events: Vec::new(),
            });
        }
        Ok(())
    }

    async fn makers(&mut self, is: &str, should: &str, rows: &mut [Differing]) -> sqlx::Result<()> {
        let published: bool = sqlx::query_scalar("select to_regclass('worker.facts') is not null")
            .fetch_one(&mut self.conn)
            .await?;
        for row in rows {
            let (of, key) = match row.table.as_str() {
                "facts" | "withdrawn" => (
                    "select $1::text as event_id".to_owned(),
                    row.id.split(' ').next().unwrap_or_default(),
                ),
                "parked" => (
                    format!(
                        "select event_id from {is}.parked where seq::text = $1 union
                         select event_id from {should}.parked where seq::text = $1"
                    ),
                    row.id.as_str(),
                ),
                _ => (
                    format!(
                        "select event_id from {is}.facts where entity = $1 union
                         select event_id from {should}.facts where entity = $1"
                    ),
                    row.id.as_str(),
                ),
            };
            let position = if published {
                "(select max(w.event_seq) from worker.facts w where w.event_id = e.event_id)"
            } else {
                "null::bigint"
            };
            let sql = format!(
                "select e.event_id, {position} from ({of}) e where e.event_id is not null order by 2, 1 limit {EVENTS_MAX}"
            );
            let makers: Vec<(String, Option<i64>)> =
                sqlx::query_as(AssertSqlSafe(sql)).bind(key).fetch_all(&mut self.conn).await?;
            row.events = makers
                .into_iter()
                .map(|(event_id, position)| Maker { event_id, position })
                .collect();
        }
        Ok(())
    }
}

fn list(columns: &[String], of: &str) -> String {
    columns.iter().map(|column| format!("{of}.{column}")).collect::<Vec<_>>().join(", ")
}
