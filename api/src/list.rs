//! Lists: newest first, page by page, from a view of the read model.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use schemas::Timestamp;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use utoipa::ToSchema;

use crate::cursor::{Cursors, Key};
use crate::problem::Problem;

/// Rows of a page unless the caller says.
const LIMIT: u32 = 50;
/// Most rows of a page.
const LIMIT_MAX: u32 = 200;

/// A point in time: from Postgres, on the wire RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type, ToSchema)]
#[sqlx(transparent)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.123Z")]
pub struct Time(pub DateTime<Utc>);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Timestamp::from(self.0).serialize(serializer)
    }
}

/// A time as Postgres writes it in JSON, as the wire has it; other text stays.
pub fn millis(text: String) -> String {
    chrono::DateTime::parse_from_rfc3339(&text)
        .map(|time| Timestamp::from(time.to_utc()).to_string())
        .unwrap_or(text)
}

/// What a row is ordered by.
pub trait Keyed {
    /// Time and id, as [`List::time`] and [`List::id`] say them.
    fn key(&self) -> (Time, Cow<'_, str>);
}

/// A list over one view.
pub struct List {
    /// Its name, part of its cursors.
    pub name: &'static str,
    /// `select …`: by name, never `*`. A newer release may add columns to a view while we run, and Postgres refuses a prepared statement
    /// whose result changes.
    pub columns: &'static str,
    /// The view.
    pub from: &'static str,
    /// The column of the time.
    pub time: &'static str,
    /// The column of the id: no two rows have the same.
    pub id: &'static str,
}

/// Which page of it.
pub struct Page<'a> {
    /// Where to go on.
    pub cursor: Option<&'a str>,
    /// How many rows.
    pub limit: Option<u32>,
    /// The filters as text: a cursor is for one list with one set of filters.
    pub filters: String,
}

/// One page.
pub struct Rows<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next_cursor: Option<String>,
}

impl List {
    /// A query for rows, to which ` and …` conditions are pushed.
    pub fn select(&self) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("select ");
        query.push(self.columns).push(" from ").push(self.from).push(" where true");
        query
    }

    /// Reads one page. `filter` pushes ` and …` conditions.
    ///
    /// # Errors
    /// 422 naming `limit` or `cursor`; 503 when Postgres is away.
    pub async fn page<T>(
        &self,
        pool: &PgPool,
        cursors: &Cursors,
        page: &Page<'_>,
        filter: impl Fn(&mut QueryBuilder<Postgres>),
    ) -> Result<Rows<T>, Problem>
    where
        T: Keyed + Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let limit = page.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::invalid("limit", format!("use 1 to {LIMIT_MAX}")));
        }
        let scope = format!("{}?{}", self.name, page.filters);
        let after = match page.cursor {
            None => None,
            Some(text) => Some(cursors.read(&scope, text).and_then(with_time).ok_or_else(|| {
                Problem::invalid(
                    "cursor",
                    "not a cursor of this list with these filters: take `next_cursor` as it is, or start without one",
                )
            })?),
        };
        let mut query = self.select();
        filter(&mut query);
        if let Some((time, id)) = after {
            query.push(format_args!(" and ({}, {}) < (", self.time, self.id));
            query.push_bind(time).push(", ").push_bind(id).push(")");
        }
        query.push(format_args!(" order by {} desc, {} desc limit ", self.time, self.id));
        query.push_bind(i64::from(limit) + 1);
        let mut rows: Vec<T> = query.build_query_as().fetch_all(pool).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next_cursor = rows.last().filter(|_| more).map(|last| {
            let (time, id) = last.key();
            cursors.write(&scope, &Key { micros: time.0.timestamp_micros(), id: id.into_owned() })
        });
        Ok(Rows { rows, next_cursor })
    }

    /// Counts all rows the filters let through.
    ///
    /// # Errors
    /// 503 when Postgres is away.
    pub async fn total(
        &self,
        pool: &PgPool,
        filter: impl Fn(&mut QueryBuilder<Postgres>),
    ) -> Result<i64, Problem> {
        let mut query = QueryBuilder::new("select count(*) from ");
        query.push(self.from).push(" where true");
        filter(&mut query);
        let (total,): (i64,) = query.build_query_as().fetch_one(pool).await?;
        Ok(total)
    }
}

fn with_time(key: Key) -> Option<(DateTime<Utc>, String)> {
    DateTime::from_timestamp_micros(key.micros).map(|time| (time, key.id))
}

/// Adds ` and <column> = <value>` where there is a value.
pub fn equals(query: &mut QueryBuilder<Postgres>, column: &str, value: Option<&str>) {
    if let Some(value) = value {
        query.push(format_args!(" and {column} = ")).push_bind(value.to_owned());
    }
}

/// A pattern for `ilike` that finds `text` anywhere, taking its `%`, `_` and `\` as they are.
pub fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_text_as_it_is() {
        assert_eq!(contains("50%_a\\"), "%50\\%\\_a\\\\%");
    }

    #[test]
    fn times_on_the_wire_have_milliseconds() {
        let time = Time(Timestamp::from_millis(1_795_000_200_007).to_datetime());
        assert_eq!(serde_json::to_value(time).unwrap(), "2026-11-18T11:10:00.007Z");
    }
}
