//! What a person or account did, and how its webhooks were answered.

use std::sync::Arc;
use std::time::Duration;

use crate::error::SimulatorError;
use crate::outbox::{Attempt, Delivery, ItemState, Tracked};
use crate::shared::Shared;

/// How long [`Act::accepted`] waits.
pub const ACCEPTED_WITHIN: Duration = Duration::from_secs(30);

/// One act: the message or comment it is about, and the items that report it.
#[derive(Clone)]
pub struct Act {
    pub(crate) shared: Arc<Shared>,
    pub(crate) mid: Option<String>,
    pub(crate) comment: Option<String>,
    /// Each group goes out in one body.
    pub(crate) groups: Vec<Vec<Arc<Tracked>>>,
}

impl Act {
    /// The message this act is about; empty for acts without one (receipts by watermark, referrals, comments).
    pub fn mid(&self) -> &str {
        self.mid.as_deref().unwrap_or("")
    }

    /// The comment this act is about; empty for others.
    pub fn comment_id(&self) -> &str {
        self.comment.as_deref().unwrap_or("")
    }

    /// Sends what was held back ([`crate::Person::held`]); nothing happens when it was sent already.
    pub fn release(&self) -> &Act {
        for group in &self.groups {
            if group.iter().all(|tracked| *tracked.state.borrow() == ItemState::Waiting) {
                self.shared.send_items(group.clone());
            }
        }
        self
    }

    /// Waits until the webhook answered 200 to every item of this act.
    ///
    /// # Errors
    /// When retries ended, or nothing was accepted within [`ACCEPTED_WITHIN`].
    pub async fn accepted(&self) -> Result<&Act, SimulatorError> {
        self.accepted_within(ACCEPTED_WITHIN).await
    }

    /// As [`Act::accepted`], waiting at most `within`.
    ///
    /// # Errors
    /// When retries ended, or nothing was accepted in time.
    pub async fn accepted_within(&self, within: Duration) -> Result<&Act, SimulatorError> {
        let all = async {
            for tracked in self.items() {
                let mut state = tracked.state.subscribe();
                let end = state
                    .wait_for(|state| {
                        matches!(state, ItemState::Accepted(_) | ItemState::GivenUp(_))
                    })
                    .await;
                if !matches!(end.as_deref(), Ok(ItemState::Accepted(_))) {
                    return false;
                }
            }
            true
        };
        match tokio::time::timeout(within, all).await {
            Ok(true) => Ok(self),
            Ok(false) => Err(SimulatorError::GivenUp { attempts: self.attempts_text() }),
            Err(_) => {
                let attempts = self.attempts_text();
                Err(SimulatorError::NotAccepted { waited: within, attempts })
            }
        }
    }

    /// The bodies that report this act, with their attempts; fewer than items when they share one.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let outbox = self.shared.outbox();
        self.delivery_ids().into_iter().filter_map(|id| outbox.get(id).cloned()).collect()
    }

    /// Every attempt so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.deliveries().into_iter().flat_map(|delivery| delivery.attempts).collect()
    }

    /// Posts the same bytes `times` more, one after the other; the statuses that came back.
    pub async fn redeliver(&self, times: usize) -> Vec<Option<u16>> {
        let mut statuses = Vec::new();
        for _ in 0..times {
            for id in self.delivery_ids() {
                statuses.push(self.shared.post(id).await);
            }
        }
        statuses
    }

    /// Posts each item in a new body of its own, `entry.time` as of now: what the split of a batch looks like.
    pub async fn deliver_apart(&self) -> Vec<Option<u16>> {
        let mut statuses = Vec::new();
        for tracked in self.items() {
            let posted = self.shared.post_anew(std::slice::from_ref(tracked)).await;
            statuses.extend(posted.into_iter().map(|(_, status)| status));
        }
        statuses
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Arc<Tracked>> {
        self.groups.iter().flatten()
    }

    fn delivery_ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self
            .items()
            .filter_map(|tracked| match *tracked.state.borrow() {
                ItemState::Waiting => None,
                ItemState::Posted(id) | ItemState::Accepted(id) | ItemState::GivenUp(id) => {
                    Some(id)
                }
            })
            .collect();
        ids.dedup();
        ids
    }

    fn attempts_text(&self) -> String {
        let attempts = self.attempts();
        if attempts.is_empty() {
            return "none; was a webhook URL set?".to_owned();
        }
        let text = |attempt: &Attempt| match (attempt.status, &attempt.error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".to_owned(),
        };
        attempts.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Act").field("mid", &self.mid).field("comment", &self.comment).finish()
    }
}

/// Where a message is meant: an act or its mid.
impl AsRef<str> for Act {
    fn as_ref(&self) -> &str {
        if self.mid.is_some() { self.mid() } else { self.comment_id() }
    }
}
