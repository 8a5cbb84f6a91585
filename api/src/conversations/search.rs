//! `q` of the list of conversations: part of a person's name, handle or id, or of the text of a message.
//!
//! Two ways lead to a page, and each is slow where the other is quick. Of a rare text all matches are looked up first, by the trigram
//! indexes of messages and names. Of a frequent text the newest conversations are looked at, one by one, until the page is full. Up to
//! [`MATCHES_MAX`] matches decide which way is taken (docs/decisions/36-api-under-load.md).

mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::rows::{ConversationRow, ConversationsQuery};
use crate::app::App;
use crate::list::{Page, TOTAL_MAX, Total};
use crate::problem::Problem;
use crate::turns::{Turn, Turns};
use rows::Sought;

/// Searches at once, in one process, and of one token: whatever they cost, most connections and processors stay for other requests.
const AT_ONCE: usize = 2;
/// How long a search may wait for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// How long a search may take, once it is its turn.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Matches of a rare text. Of one that has more, the newest conversations are looked at instead.
const MATCHES_MAX: i64 = 4_000;
/// The newest conversations that are looked at one by one. Where they do not fill a page, all matches are looked up after all: the text is
/// frequent among older ones.
const NEWEST: i64 = 2_000;
/// Matches of a frequent text that are counted. They may be of few conversations: then these are counted one by one.
const COUNTED_MAX: i64 = 20_000;

/// Whose search is next.
pub(crate) fn turns() -> Turns {
    Turns::new(AT_ONCE, AT_ONCE)
}

/// # Errors
/// 503 after [`TURN_WITHIN`].
async fn turn(turns: &Turns, token: &str) -> Result<Turn, Problem> {
    let turn = tokio::time::timeout(TURN_WITHIN, turns.turn(token)).await;
    turn.ok().flatten().ok_or_else(Problem::search_busy)
}

/// A search that has its turn.
struct Search {
    app: Arc<App>,
    query: ConversationsQuery,
    page: Page,
    sought: Sought,
    began: Instant,
    _turn: Turn,
}

/// One page of the conversations that match `text`, and how many there are.
///
/// # Errors
/// 503: no turn came, or Postgres took too long.
pub(crate) async fn page(
    app: &Arc<App>,
    token: &str,
    query: &ConversationsQuery,
    text: &str,
    page: &Page,
) -> Result<(Vec<ConversationRow>, Total), Problem> {
    let turn = turn(&app.searches, token).await?;
    let sought = Sought { pattern: contains(text), text: text.to_owned() };
    let began = Instant::now();
    let (query, page) = (query.clone(), page.clone());
    let search = Search { app: app.clone(), query, page, sought, began, _turn: turn };
    // A task of its own: the turn of a caller who goes away is not the next one's while Postgres still works for it.
    let found = tokio::spawn(search.run()).await;
    found.map_err(|_| Problem::internal())?
}

impl Search {
    async fn run(mut self) -> Result<(Vec<ConversationRow>, Total), Problem> {
        self.find().await.map_err(|error| match is_timeout(&error) {
            true => Problem::search_too_slow(TIME_MAX.as_secs()),
            false => error.into(),
        })
    }

    /// The connection, on which what follows is limited to what is left of the time.
    async fn limit<'c>(&self, conn: &'c mut PgConnection) -> sqlx::Result<&'c mut PgConnection> {
        rows::limit(&mut *conn, TIME_MAX.saturating_sub(self.began.elapsed())).await?;
        Ok(conn)
    }

    async fn find(&mut self) -> sqlx::Result<(Vec<ConversationRow>, Total)> {
        // The limits end with the transaction.
        let mut tx = self.app.pool.begin().await?;
        self.began = Instant::now();
        let Self { query, page, sought, .. } = &*self;
        if let Some(matches) = self.rare(&mut tx).await? {
            let ids = rows::page_of(self.limit(&mut tx).await?, query, page, &matches).await?;
            let rows = rows::rows_of(self.limit(&mut tx).await?, &ids).await?;
            let total = rows::total_of(self.limit(&mut tx).await?, query, &matches).await?;
            return Ok((rows, Total::of(total)));
        }
        let conn = self.limit(&mut tx).await?;
        let mut ids = rows::page_among_newest(conn, query, page, sought, NEWEST).await?;
        let is_short = i64::try_from(ids.len()).unwrap_or(i64::MAX) < page.fetch();
        if is_short && rows::are_older(self.limit(&mut tx).await?, query, page, NEWEST).await? {
            let conn = self.limit(&mut tx).await?;
            ids = rows::page_of_all_matches(conn, query, page, sought).await?;
        }
        let rows = rows::rows_of(self.limit(&mut tx).await?, &ids).await?;
        let total = self.total(&mut tx, i64::try_from(ids.len()).unwrap_or_default()).await?;
        Ok((rows, total))
    }

    /// How many conversations a frequent text is in; more than `least`.
    async fn total(&self, conn: &mut PgConnection, least: i64) -> sqlx::Result<Total> {
        match self.app.totals.get(self.page.scope(), self.count(conn)).await {
            // The page was found in time.
            Err(error) if is_timeout(&error) => Ok(Total::at_least(least)),
            total => total,
        }
    }

    async fn count(&self, conn: &mut PgConnection) -> sqlx::Result<i64> {
        let Self { query, sought, .. } = self;
        let counted =
            rows::total_of_first(self.limit(conn).await?, query, sought, COUNTED_MAX).await?;
        if counted.messages < COUNTED_MAX || TOTAL_MAX < counted.conversations {
            return Ok(counted.conversations);
        }
        rows::total_one_by_one(self.limit(conn).await?, query, sought).await
    }

    /// All conversations that match, unless the text is frequent.
    async fn rare(&self, conn: &mut PgConnection) -> sqlx::Result<Option<Vec<String>>> {
        let is_rare =
            |found: &[String]| i64::try_from(found.len()).unwrap_or(i64::MAX) < MATCHES_MAX;
        let by_text = rows::with_text(self.limit(conn).await?, &self.sought, MATCHES_MAX).await?;
        if !is_rare(&by_text) {
            return Ok(None);
        }
        let by_person = rows::of_person(self.limit(conn).await?, &self.sought, MATCHES_MAX).await?;
        if !is_rare(&by_person) {
            return Ok(None);
        }
        let all: BTreeSet<String> = by_text.into_iter().chain(by_person).collect();
        Ok(Some(all.into_iter().collect()))
    }
}

/// `statement_timeout`
fn is_timeout(error: &sqlx::Error) -> bool {
    runtime::db::fault(error) == runtime::db::Fault::TooMuch
}

/// A pattern for `ilike` that finds `text` anywhere, taking its `%`, `_` and `\` as they are.
fn contains(text: &str) -> String {
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

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_sent_away() {
        let turns = turns();
        let _all = [turn(&turns, "a").await.unwrap(), turn(&turns, "a").await.unwrap()];
        assert_eq!(turn(&turns, "b").await.err().unwrap().code, "search_busy");
    }
}
