//! `q` of the list of conversations: part of a person's name, handle or id, or of the text of a message.
//!
//! Two ways lead to a page, and each is slow where the other is quick. Of a rare text all matches are looked up first, by the trigram
//! index of the messages. Of a frequent text conversations are walked, newest first, until the page is full. Up to [`MATCHES_MAX`] matches
//! decide which way is taken (docs/decisions/26-searching.md).

mod rows;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rows::{ConversationRow, ConversationsQuery};
use crate::list::{Page, TOTAL_MAX, Total};
use crate::problem::Problem;

/// Searches at once, in one process: whatever they cost, most connections and processors stay for other requests.
const AT_ONCE: usize = 2;
/// How long a search may wait for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// Matches that are looked up before conversations are walked instead.
const MATCHES_MAX: i64 = 20_000;

/// Whose turn it is. A token never has more than [`AT_ONCE`] searches in line, so one that sends many at once delays itself and not others.
pub(crate) struct Searches {
    all: Arc<Semaphore>,
    by_token: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn, given back on drop.
struct Turn(#[allow(dead_code)] [OwnedSemaphorePermit; 2]);

impl Default for Searches {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), by_token: Mutex::default() }
    }
}

impl Searches {
    /// Waits for a turn of this token.
    ///
    /// # Errors
    /// 503 after [`TURN_WITHIN`].
    async fn turn(&self, token: &str) -> Result<Turn, Problem> {
        let own = {
            let mut tokens = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
            // Tokens are those of the configuration, so this stays small.
            let own = tokens.entry(token.to_owned());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
        };
        let all = Arc::clone(&self.all);
        let both = async move {
            let own = own.acquire_owned().await.ok()?;
            Some(Turn([own, all.acquire_owned().await.ok()?]))
        };
        let turn = tokio::time::timeout(TURN_WITHIN, both).await;
        turn.ok().flatten().ok_or_else(|| {
            Problem::unavailable("too many searches at once: repeat this one in a moment")
        })
    }
}

/// Conversations that match, up to [`MATCHES_MAX`] matches.
struct Matches {
    conversations: Vec<String>,
    /// These are all.
    complete: bool,
}

/// One page of the conversations that match `text`, and how many there are.
///
/// # Errors
/// 503 when no turn came or Postgres took too long.
pub(crate) async fn page(
    pool: &PgPool,
    searches: &Searches,
    token: &str,
    query: &ConversationsQuery,
    text: &str,
    page: &Page,
) -> Result<(Vec<ConversationRow>, Total), Problem> {
    let _turn = searches.turn(token).await?;
    let pattern = contains(text);
    // The limit of the statements ends with the transaction.
    let mut tx = pool.begin().await?;
    sqlx::query("set local statement_timeout = '2s'").execute(&mut *tx).await?;
    let matches = find(&mut tx, &pattern, text).await?;
    if matches.complete {
        let rows = rows::page_of(&mut tx, query, page, &matches.conversations).await?;
        let total = rows::total_of(&mut tx, query, &matches.conversations).await?;
        return Ok((rows, Total::of(total)));
    }
    let rows = rows::page_matching(&mut tx, query, page, &pattern, text).await?;
    let found = rows::total_of(&mut tx, query, &matches.conversations).await?;
    if TOTAL_MAX < found {
        return Ok((rows, Total::of(found)));
    }
    // A frequent text in few conversations: counting them may take longer than a search may.
    let total = match rows::total_matching(&mut tx, query, &pattern, text).await {
        Ok(total) => Total::of(total),
        Err(error) if is_timeout(&error) => Total::at_least(found),
        Err(error) => return Err(error.into()),
    };
    Ok((rows, total))
}

async fn find(conn: &mut PgConnection, pattern: &str, text: &str) -> sqlx::Result<Matches> {
    let by_text = rows::with_text(conn, pattern, MATCHES_MAX).await?;
    if MATCHES_MAX <= i64::try_from(by_text.len()).unwrap_or(i64::MAX) {
        let conversations: BTreeSet<String> = by_text.into_iter().collect();
        return Ok(Matches { conversations: conversations.into_iter().collect(), complete: false });
    }
    let by_person = rows::of_person(conn, pattern, text, MATCHES_MAX).await?;
    let complete = i64::try_from(by_person.len()).unwrap_or(i64::MAX) < MATCHES_MAX;
    let conversations: BTreeSet<String> = by_text.into_iter().chain(by_person).collect();
    Ok(Matches { conversations: conversations.into_iter().collect(), complete })
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
    async fn a_token_with_many_searches_waits_for_itself() {
        let searches = Arc::new(Searches::default());
        let began = tokio::time::Instant::now();
        let search = |token: &'static str| {
            let searches = Arc::clone(&searches);
            tokio::spawn(async move {
                let _turn = searches.turn(token).await.map_err(|_| ())?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, ()>(began.elapsed())
            })
        };
        let many: Vec<_> = (0..8).map(|_| search("many")).collect();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let other = search("other").await.unwrap().unwrap();
        assert!(other < Duration::from_millis(2_100), "{other:?}");
        for one in many {
            assert!(one.await.unwrap().unwrap() < Duration::from_millis(5_100));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_sent_away() {
        let searches = Searches::default();
        let _all = [searches.turn("a").await.ok().unwrap(), searches.turn("a").await.ok().unwrap()];
        let refused = searches.turn("b").await.err().unwrap();
        let refused = axum::response::IntoResponse::into_response(refused);
        assert_eq!(refused.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
    }
}
