//! Lists: newest first, page by page. The statements stand beside each resource.
//!
//! A list's statement has one fixed text: a filter that is not set is null, and a page without a cursor begins at infinity. It is run with
//! `persistent(false)`, so that Postgres plans it for the values at hand: a null filter is folded away and a set one finds its index, where
//! one plan for all values would use neither. Accounts come as a list: one is compared by `=`, which keeps the order of the index, more by `any`. Columns are named, never `*`: a newer release may add columns to a view while we run, and
//! Postgres refuses a prepared statement whose result changes.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::auth::Caller;
use crate::cursor::{Cursors, Key};
use crate::problem::Problem;
use crate::time::Time;

mod total;

pub(crate) use total::{COUNT_MAX, TOTAL_MAX, Total, Totals};

/// Rows of a page unless the caller gives `limit`.
const LIMIT: u32 = 50;
/// Most rows of a page.
const LIMIT_MAX: u32 = 200;

/// What a row is ordered by.
pub(crate) trait Keyed {
    /// Time and id, as the list's `order by` has them. No two rows have the same.
    fn key(&self) -> (Time, Cow<'_, str>);
}

/// What a cursor is for: one list with one set of filters.
pub(crate) fn scope(list: &str, filters: &[(&str, Option<&str>)]) -> String {
    let start = format!("{list}?");
    let mut text = url::form_urlencoded::Serializer::for_suffix(start, list.len() + 1);
    for (name, value) in filters {
        if let Some(value) = value {
            text.append_pair(name, value);
        }
    }
    text.finish()
}

/// How many rows to show, as the caller asked.
///
/// # Errors
/// 422 naming `limit`.
pub(crate) fn limit_of(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("use 1 to {LIMIT_MAX}")));
    }
    Ok(limit)
}

/// A filter that is on, off or not set, as text for [`scope`].
pub(crate) fn flag(value: Option<bool>) -> Option<&'static str> {
    value.map(|value| if value { "true" } else { "false" })
}

/// A page that was asked for: its limit and its cursor are checked.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    scope: String,
    limit: u32,
    after: Option<(DateTime<Utc>, String)>,
}

/// One page.
pub(crate) struct Rows<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next_cursor: Option<String>,
}

impl Page {
    /// Checks what the caller asked for. `scope` is that of the list with its filters. A cursor of another token is none of this list.
    ///
    /// # Errors
    /// 422 naming `limit` or `cursor`.
    pub(crate) fn read(
        cursors: &Cursors,
        caller: &Caller,
        scope: String,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Self, Problem> {
        // A cursor, and what was counted, are of one token.
        let scope = format!("{}/{scope}", caller.name);
        let limit = limit_of(limit)?;
        let after = match cursor {
            None => None,
            Some(text) => Some(cursors.read(&scope, text).and_then(with_time).ok_or_else(|| {
                Problem::invalid(
                    "cursor",
                    "not a cursor of this list with these filters: take `next_cursor` as it is, or start without one",
                )
            })?),
        };
        Ok(Self { scope, limit, after })
    }

    /// Time of the row before the page; `None` on the first page.
    pub(crate) fn after_time(&self) -> Option<DateTime<Utc>> {
        self.after.as_ref().map(|(time, _)| *time)
    }

    /// Id of the row before the page; `None` on the first page.
    pub(crate) fn after_id(&self) -> Option<&str> {
        self.after.as_ref().map(|(_, id)| id.as_str())
    }

    /// How many rows to fetch: one more than the page holds, which shows whether there is a next one.
    pub(crate) fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The list with its filters.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// Cuts what was fetched to the page.
    pub(crate) fn cut<T: Keyed>(self, cursors: &Cursors, mut rows: Vec<T>) -> Rows<T> {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| {
            let (time, id) = last.key();
            let key = Key { micros: time.0.timestamp_micros(), id: id.into_owned() };
            cursors.write(&self.scope, &key)
        });
        Rows { rows, next_cursor }
    }
}

fn with_time(key: Key) -> Option<(DateTime<Utc>, String)> {
    DateTime::from_timestamp_micros(key.micros).map(|time| (time, key.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_differ_where_filters_do() {
        let all = scope("comments", &[("channel", None), ("hidden", flag(None))]);
        assert_eq!(all, "comments?");
        let some = scope("comments", &[("channel", Some("a&hidden=true")), ("hidden", None)]);
        let other = scope("comments", &[("channel", Some("a")), ("hidden", flag(Some(true)))]);
        assert_ne!(some, other);
    }
}
