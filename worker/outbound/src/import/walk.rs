//! ◆ Pure: how the list of conversations is walked: once to its end, then its first page until that brings nothing new.
//!
//! The list is live: a message moves its thread to the front while the list is read (docs/meta-platform-2.md 22).

use graph::{Class, Failure, GraphError};
use serde::{Deserialize, Serialize};

/// Conversations per call, where Graph takes so many.
const PAGE: u32 = 25;
/// Pages that may fail in a row before the import gives up.
const FAILURES_MAX: u32 = 10;
/// How often a cursor may end before the import gives up.
const RESTARTS_MAX: u32 = 20;
/// How often the first page is read again: what an account that never rests gets later comes by webhook.
const ROUNDS_MAX: u32 = 10;

/// Where an import stands in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Walk {
    /// The list was walked to its end; what has moved up since is read.
    pub(super) again: bool,
    /// Where the next page begins; `None` is the first page.
    pub(super) cursor: Option<String>,
    /// Conversations per call.
    pub(super) page: u32,
    /// Pages that failed in a row.
    pub(super) tries: u32,
    /// Times that Graph took a cursor no longer.
    pub(super) restarts: u32,
    /// First pages read again.
    pub(super) rounds: u32,
}

impl Default for Walk {
    fn default() -> Self {
        let (again, cursor) = (false, None);
        Self { again, cursor, page: PAGE, tries: 0, restarts: 0, rounds: 0 }
    }
}

/// What a page held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Conversations that this import has not read as they are now.
    pub(super) fresh: usize,
    /// Conversations that it has.
    pub(super) known: usize,
    /// The page reaches back before the time that the import begins at.
    pub(super) older: bool,
    /// The cursor of the next page.
    pub(super) next: Option<String>,
}

impl Walk {
    /// Where to go on behind a page; `None`: the import is done.
    pub(super) fn after_page(&self, seen: &Seen) -> Option<Self> {
        let next = seen.next.clone().filter(|_| !seen.older);
        let walk = Self { tries: 0, cursor: next.clone(), ..self.clone() };
        if !self.again {
            return match next {
                Some(_) => Some(walk),
                // The only page is the first one, and was read just now.
                None if self.cursor.is_none() && self.restarts == 0 => None,
                None => Some(Self { again: true, ..walk }),
            };
        }
        // Nothing on it was known: what has moved up may fill more than this page.
        if next.is_some() && seen.fresh > 0 && seen.known == 0 {
            return Some(walk);
        }
        let rounds = self.rounds + 1;
        let first = Self { cursor: None, rounds, ..walk };
        (seen.fresh > 0 && rounds < ROUNDS_MAX).then_some(first)
    }

    /// How to go on although a page could not be read; `None`: the import fails.
    pub(super) fn after_refusal(&self, error: &GraphError) -> Option<Self> {
        let walk = self.clone();
        match error.class {
            Class::Limited(_) | Class::Account => Some(walk),
            // A cursor does not live long. What was read is known by its time.
            Class::Invalid if self.cursor.is_some() && self.restarts < RESTARTS_MAX => {
                Some(Self { cursor: None, restarts: self.restarts + 1, ..walk })
            }
            Class::Retry | Class::Unknown if self.tries < FAILURES_MAX => {
                let page = if asks_too_much(error) { (self.page / 2).max(1) } else { self.page };
                Some(Self { tries: self.tries + 1, page, ..walk })
            }
            _ => None,
        }
    }
}

/// Whether Graph may fail because the page is large: code 1 ("reduce the amount of data"), −2 or 2 on pages with nested messages, or no
/// answer in time.
fn asks_too_much(error: &GraphError) -> bool {
    matches!(error.code, Some(-2 | 1 | 2))
        || matches!(error.failure, Failure::TooLarge | Failure::Timeout)
}

#[cfg(test)]
mod tests {
    use graph::Use;

    use super::*;

    fn seen(fresh: usize, known: usize, next: Option<&str>) -> Seen {
        Seen { fresh, known, older: false, next: next.map(str::to_owned) }
    }

    fn refused(status: u16, code: i64) -> GraphError {
        let body = format!(r#"{{"error": {{"code": {code}}}}}"#);
        GraphError::of_answer(status, body.as_bytes(), Use::Read).unwrap()
    }

    #[test]
    fn the_list_is_walked_once_and_its_first_page_read_until_nothing_is_new() {
        let second = Walk::default().after_page(&seen(25, 0, Some("B"))).unwrap();
        assert_eq!((second.cursor.as_deref(), second.again), (Some("B"), false));
        let first = second.after_page(&seen(5, 0, None)).unwrap();
        assert_eq!((first.cursor.as_deref(), first.again), (None, true));
        // Two moved up meanwhile.
        let again = first.after_page(&seen(2, 23, Some("B"))).unwrap();
        assert_eq!((again.cursor.as_deref(), again.rounds), (None, 1));
        assert_eq!(again.after_page(&seen(0, 25, Some("B"))), None);
        // All that it shows moved up: there may be more behind.
        let behind = first.after_page(&seen(25, 0, Some("B"))).unwrap();
        assert_eq!((behind.cursor.as_deref(), behind.again), (Some("B"), true));
        let back = behind.after_page(&seen(3, 22, Some("C"))).unwrap();
        assert_eq!(back.cursor, None);
    }

    #[test]
    fn a_list_of_one_page_is_read_once_and_an_empty_page_may_have_a_next() {
        assert_eq!(Walk::default().after_page(&seen(7, 0, None)), None);
        let behind = Walk::default().after_page(&seen(0, 0, Some("B"))).unwrap();
        assert_eq!(behind.cursor.as_deref(), Some("B"));
    }

    #[test]
    fn an_account_that_never_rests_comes_to_an_end() {
        let mut walk = Walk { again: true, ..Walk::default() };
        let mut pages = 0;
        while let Some(next) = walk.after_page(&seen(1, 24, Some("B"))) {
            walk = next;
            pages += 1;
        }
        assert_eq!(pages + 1, ROUNDS_MAX);
    }

    #[test]
    fn what_is_older_than_the_beginning_ends_the_walk() {
        let page = Seen { older: true, ..seen(3, 0, Some("C")) };
        assert_eq!(Walk::default().after_page(&page), None);
        let walk = Walk { cursor: Some("B".to_owned()), ..Walk::default() };
        assert!(walk.after_page(&page).unwrap().again);
    }

    #[test]
    fn a_cursor_that_ended_starts_the_walk_over() {
        let walk = Walk { cursor: Some("B".to_owned()), ..Walk::default() };
        let over = walk.after_refusal(&refused(400, 100)).unwrap();
        assert_eq!((over.cursor.as_deref(), over.restarts), (None, 1));
        // The request without a cursor is wrong in itself.
        assert_eq!(over.after_refusal(&refused(400, 100)), None);
        // All is known: the end is reached all the same, and the first page read again.
        assert!(over.after_page(&seen(0, 3, None)).unwrap().again);
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
        let mut walk = Walk::default();
        let mut pages = Vec::new();
        while let Some(next) = walk.after_refusal(&refused(500, 1)) {
            walk = next;
            pages.push(walk.page);
        }
        assert_eq!(pages[..5], [12, 6, 3, 1, 1]);
        assert_eq!(pages.len(), FAILURES_MAX as usize);
        let good = walk.after_page(&seen(1, 0, Some("B"))).unwrap();
        assert_eq!((good.page, good.tries), (1, 0));
        assert_eq!(Walk::default().after_refusal(&refused(400, 3)), None);
        let limited = Walk::default().after_refusal(&refused(400, 613)).unwrap();
        assert_eq!(limited, Walk::default());
    }
}
