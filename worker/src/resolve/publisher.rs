//! What a pass over the ladder ends with: facts are published and the item is written back, in one transaction.

use schemas::{Event, Timestamp};

use super::error::ResolveError;
use super::evidence::{Author, Item, Method, State};
use super::ladder::{self, Evidence, Settled};
use super::outcome;
use super::rows::{self, Claimed, Pass, Resolution};
use crate::config::Waits;
use facts::follow_up::{FollowUp, waiting};
use facts::seal::Seal;
use facts::{Draft, FactStore, ids};

/// Publishes the outcomes of passes.
pub(super) struct Publisher {
    pub(super) facts: FactStore,
    pub(super) seal: Seal,
    pub(super) waits: Waits,
}

impl Publisher {
    /// What a replay brought is published as replayed.
    fn facts_of(&self, claimed: &Claimed) -> FactStore {
        match &claimed.replay {
            Some(job) => self.facts.replaying(job),
            None => self.facts.clone(),
        }
    }

    /// Writes back a pass that publishes nothing.
    pub(super) async fn wait(
        &self,
        claimed: &Claimed,
        pass: &Pass<'_>,
    ) -> Result<(), ResolveError> {
        let mut conn = self.facts.pool().acquire().await?;
        Ok(rows::wait(&mut conn, claimed, pass).await?)
    }

    /// The message arrived by webhook meanwhile: the item is done; `sender.unresolved` is withdrawn where it stands.
    pub(super) async fn came_by_itself(
        &self,
        claimed: &Claimed,
        author: &Author,
    ) -> Result<(), ResolveError> {
        let item = &claimed.item;
        let (time, _) = outcome::message_time(item, None);
        let drafts: Vec<Draft> = outcome::withdrawal(item, author, time).into_iter().collect();
        let mut emission = self.facts_of(claimed).begin(&drafts).await?;
        rows::resolved(&mut emission.tx, claimed, Method::KnownMessage.as_str()).await?;
        emission.commit().await?;
        metrics::counter!("hookline_resolve_resolved_total", "method" => Method::KnownMessage.as_str()).increment(1);
        Ok(())
    }

    /// Publishes the message under its author, or waits on for its content.
    pub(super) async fn settle(
        &self,
        claimed: &Claimed,
        evidence: &Evidence,
        settled: &Settled,
        guesses: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<(), ResolveError> {
        let item = &claimed.item;
        let tried = ladder::tried(item, evidence);
        let missing = outcome::content_missing(item, settled, evidence.known.is_some());
        let again = ladder::again(
            item,
            evidence,
            now,
            self.waits.retry_min,
            self.waits.retry_max,
            rand::random(),
        );
        let keep_looking = missing && again.is_some() && ladder::content_may_come(item, evidence);
        let pass = Pass {
            state: State::Content,
            due_at: again,
            counted: true,
            tried: &tried,
            guesses: None,
            gone: ladder::gone(item, evidence),
            unresolved: None,
            author: Some((&settled.author, settled.method)),
        };
        if item.state == State::Content && missing && keep_looking {
            // Published without content already: nothing new to say.
            return self.wait(claimed, &pass).await;
        }
        let resolution = outcome::resolution(settled, &tried, guesses);
        let drafts = outcome::settled(item, settled, &resolution);
        let mut emission = self.facts_of(claimed).begin(&drafts).await?;
        let events: Vec<Event> = emission.published.events().cloned().collect();
        let message = ids::message(item.channel, &item.account_id, item.message_id.as_str());
        if let Some(draft) = drafts.iter().find(|draft| draft.event.id == message) {
            let context = resolution_context(item);
            let sealed = self.seal.seal(&context, &serde_json::to_string(&draft.event)?)?;
            let stored = Resolution {
                method: settled.method.as_str(),
                author: &settled.author,
                evidence: resolution.evidence.as_ref().unwrap_or(&serde_json::Value::Null),
                event_id: message.as_str(),
                sealed,
            };
            let key = (item.channel, &item.account_id, &item.message_id);
            rows::store_resolution(&mut emission.tx, key, stored).await?;
        }
        if keep_looking {
            rows::wait(&mut emission.tx, claimed, &pass).await?;
        } else {
            rows::resolved(&mut emission.tx, claimed, settled.method.as_str()).await?;
        }
        // Edits of the same message, and others of the same thread, can go on now. Not this item, which has just been written.
        let reveals = item.num_edit > 0 || !keep_looking;
        FollowUp { reveals, profiles: true }.note(&mut emission.tx, &events, now).await?;
        emission.commit().await?;
        metrics::counter!("hookline_resolve_resolved_total", "method" => settled.method.as_str())
            .increment(1);
        metrics::histogram!("hookline_resolve_seconds")
            .record(now.since(item.received_at).as_secs_f64());
        tracing::info!(
            account.id = %item.account_id, message.id = %item.message_id, method = settled.method.as_str(),
            "Found the sender of a message by `{}`", settled.method.as_str()
        );
        Ok(())
    }

    /// Publishes `sender.unresolved` where it is news, and lets the item wait.
    pub(super) async fn unresolved(
        &self,
        claimed: &Claimed,
        evidence: &Evidence,
        hint: Option<schemas::ContactId>,
        guesses: Option<&serde_json::Value>,
        now: Timestamp,
    ) -> Result<(), ResolveError> {
        let item = &claimed.item;
        let tried = ladder::tried(item, evidence);
        // Published once; once more when the conversation became known.
        let publish = !item.unresolved || (item.unresolved_contact.is_none() && hint.is_some());
        let draft = outcome::unresolved(item, tried.clone(), hint.clone());
        let pass = Pass {
            state: State::Unresolved,
            due_at: ladder::again(
                item,
                evidence,
                now,
                self.waits.retry_min,
                self.waits.retry_max,
                rand::random(),
            ),
            counted: true,
            tried: &tried,
            guesses,
            gone: ladder::gone(item, evidence),
            unresolved: Some((
                draft.event.id.to_string(),
                hint.or_else(|| item.unresolved_contact.clone()),
            )),
            author: None,
        };
        if !publish {
            return self.wait(claimed, &pass).await;
        }
        let mut emission = self.facts_of(claimed).begin(&[draft]).await?;
        rows::wait(&mut emission.tx, claimed, &pass).await?;
        emission.commit().await?;
        metrics::counter!("hookline_resolve_unresolved_total").increment(1);
        tracing::info!(
            account.id = %item.account_id, message.id = %item.message_id,
            "No evidence names the sender of a message yet; it waits in worker.waiting"
        );
        Ok(())
    }
}

/// What a sealed resolution is bound to.
fn resolution_context(item: &Item) -> String {
    waiting::resolution_context(item.channel, &item.account_id, &item.message_id)
}
