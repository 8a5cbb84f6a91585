//! ◆ Pure: what of a page is imported.

use std::collections::{BTreeMap, HashMap};

use facts::Draft;
use facts::accounts::directory::Account;
use graph::{Conversation, ConversationPage};
use schemas::{Timestamp, Via};

use super::drafts::drafts;
use super::report::Outcome;
use super::walk::Seen;

/// When conversations were last active as they were read, by Meta's id of the thread.
pub(super) type Known = HashMap<String, Option<Timestamp>>;

/// A conversation as it is read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) updated_at: Option<Timestamp>,
    pub(super) outcome: Outcome,
    pub(super) messages: u64,
}

/// What of a page is imported.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) drafts: Vec<Draft>,
    /// By Meta's id of the thread, each once, however often the page has it.
    pub(super) threads: BTreeMap<String, Thread>,
    pub(super) seen: Seen,
}

/// Sorts a page: what is `known` as it is now is left out, as is what was last active before `since`.
pub(super) fn sort(
    account: &Account,
    page: &ConversationPage,
    since: Option<Timestamp>,
    known: &Known,
) -> Sorted {
    let mut sorted = Sorted::default();
    sorted.seen.next.clone_from(&page.next);
    for conversation in &page.conversations {
        let is_older = since.zip(conversation.updated_time).is_some_and(|(since, at)| at < since);
        if is_older {
            sorted.seen.older = true;
        } else if is_known(known, conversation) || sorted.threads.contains_key(&conversation.id) {
            sorted.seen.known += 1;
        } else {
            sorted.seen.fresh += 1;
            sorted.take(account, conversation);
        }
    }
    sorted
}

/// Read already, and nothing has happened in it since. Without a time nobody knows.
fn is_known(known: &Known, conversation: &Conversation) -> bool {
    let updated = conversation.updated_time;
    updated.is_some() && known.get(&conversation.id) == Some(&updated)
}

impl Sorted {
    fn take(&mut self, account: &Account, conversation: &Conversation) {
        let (outcome, messages) = match drafts(account, conversation, Via::Backfill) {
            Ok(found) => {
                let messages = found.iter().map(|draft| draft.messages.len() as u64).sum();
                self.drafts.extend(found);
                (Outcome::Synced, messages)
            }
            Err(reason) => (Outcome::Left(reason), 0),
        };
        let updated_at = conversation.updated_time;
        self.threads.insert(conversation.id.clone(), Thread { updated_at, outcome, messages });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::drafts::testing::{PAGE, PERSON, account, message, party};
    use crate::import::report::Reason;

    fn thread(id: &str, seconds: i64) -> Conversation {
        Conversation {
            id: id.to_owned(),
            updated_time: Some(Timestamp::from_millis(seconds * 1_000)),
            participants: vec![party(PAGE), party(PERSON)],
            messages: vec![message(&format!("m_{id}"), PERSON, seconds * 1_000)],
            more: false,
        }
    }

    #[test]
    fn what_is_known_as_it_is_now_is_left_out() {
        let next = Some("B".to_owned());
        let page = ConversationPage {
            conversations: vec![thread("a", 30), thread("b", 20), thread("c", 10), thread("a", 30)],
            next,
        };
        let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1_000));
        // `b` is as it was, in `a` something has happened since.
        let known = Known::from([("a".to_owned(), at(5)), ("b".to_owned(), at(20))]);
        let sorted = sort(&account(), &page, None, &known);
        assert_eq!(sorted.threads.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!((sorted.seen.fresh, sorted.seen.known, sorted.seen.older), (2, 2, false));
        assert_eq!(sorted.drafts.len(), 4, "each is a contact and a message");
        let sorted = sort(&account(), &page, at(20), &Known::new());
        assert_eq!(sorted.threads.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!(sorted.seen.older);
    }

    #[test]
    fn a_thread_of_the_account_alone_is_left_with_a_reason() {
        let mut alone = thread("a", 10);
        alone.participants = vec![party(PAGE)];
        let page = ConversationPage { conversations: vec![alone], next: None };
        let sorted = sort(&account(), &page, None, &Known::new());
        assert_eq!(sorted.threads["a"].outcome, Outcome::Left(Reason::OnlyAccount));
        assert!(sorted.drafts.is_empty() && sorted.seen.fresh == 1);
    }
}
