//! Asking Graph about a message: by mid on either host, and by searching the newest threads (docs/meta-platform.md 5.3).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use schemas::{AccountId, Channel};
use serde_json::{Value, json};

use super::evidence::{Handle, Item, Judgement, Look, judge};
use facts::accounts::Connected;
use graph::{Class, FoundMessage, Graph, Lane, Party, text_of};

/// Pages of the listing that are searched: the first, and some behind it.
const PAGES_MAX: usize = 3;
/// Threads per page.
const PAGE: u32 = 25;

/// How long a handle is used before it is read again. Accounts are renamed, and a stale handle would take the account for a person;
/// and a handle that Graph did not return may be returned once the account was connected anew.
const HANDLE_FOR: Duration = Duration::from_secs(600);

/// Asks Graph, and remembers the handles of accounts.
pub(super) struct GraphLookup {
    graph: Graph,
    handles: Mutex<HashMap<(Channel, AccountId), (Handle, Instant)>>,
}

impl GraphLookup {
    pub(super) fn new(graph: Graph) -> Self {
        Self { graph, handles: Mutex::default() }
    }

    /// By mid. On the other host, `connected` is the other connection of the account `own`.
    pub(super) async fn message(
        &self,
        item: &Item,
        own: &Connected,
        connected: &Connected,
    ) -> Look {
        match self.graph.message(connected, &item.message_id, Lane::Resolve).await {
            Ok(found) if found.id == item.message_id => self.judge(own, found, &[]).await,
            Ok(_) => Look::Nothing("refused"),
            Err(error) => Look::Failed(error),
        }
    }

    /// Through the newest threads; of the person alone where one is named. Beside the look: what one might guess, which is never used.
    pub(super) async fn scan(&self, item: &Item, own: &Connected) -> (Look, Option<Value>) {
        let person = item.payload_contact.as_ref().or(item.revealed_contact.as_ref());
        let mut after: Option<String> = None;
        let mut guesses = None;
        for page in 0..PAGES_MAX {
            let person = person.map(schemas::ContactId::as_str);
            let listed =
                self.graph.conversations(own, person, after.as_deref(), PAGE, Lane::Resolve).await;
            let listed = match listed {
                Ok(listed) => listed,
                Err(error) => return (Look::Failed(error), guesses),
            };
            if page == 0 {
                let first = listed.conversations.first().map(|thread| thread.id.as_str());
                let only = listed.conversations.len() == 1 && listed.next.is_none();
                guesses =
                    first.map(|id| json!({ "newest_conversation": id, "only_conversation": only }));
            }
            for thread in listed.conversations {
                if let Some(found) =
                    thread.messages.into_iter().find(|message| message.id == item.message_id)
                {
                    return (self.judge(own, found, &thread.participants).await, guesses);
                }
            }
            match listed.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        (Look::Nothing("not_found"), guesses)
    }

    async fn judge(&self, own: &Connected, found: FoundMessage, others: &[Party]) -> Look {
        let handle = self.handle(own);
        let judgement = match judge(&found, others, &own.account, &handle) {
            Judgement::NeedsHandle => {
                let handle = self.ask_handle(own).await;
                judge(&found, others, &own.account, &handle)
            }
            judgement => judgement,
        };
        match judgement {
            Judgement::Author(author) => Look::Found(author, found),
            Judgement::NeedsHandle => Look::Nothing("ambiguous"),
            Judgement::Refused if found.detailed => Look::Nothing("refused"),
            Judgement::Refused => Look::Nothing("nothing"),
        }
    }

    fn handle(&self, own: &Connected) -> Handle {
        let key = (own.account.channel, own.account.id.clone());
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = handles.get(&key).filter(|(_, asked_at)| asked_at.elapsed() < HANDLE_FOR);
        fresh.map(|(handle, _)| handle.clone()).unwrap_or_default()
    }

    async fn ask_handle(&self, own: &Connected) -> Handle {
        let handle = match self.graph.me(own, Lane::Resolve).await {
            Ok(me) => text_of(me.get("username")).map_or(Handle::Unknown, Handle::Known),
            // Asked again with the next message.
            Err(error) if matches!(error.class, Class::Retry | Class::Limited(_)) => {
                return Handle::Unknown;
            }
            Err(_) => Handle::Unknown,
        };
        let key = (own.account.channel, own.account.id.clone());
        let known = (handle.clone(), Instant::now());
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).insert(key, known);
        handle
    }
}
