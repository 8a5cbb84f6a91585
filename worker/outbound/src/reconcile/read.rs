//! Reads back from Graph what a part has led to, one call per look.

use std::time::Duration;

use runtime::db::within;
use schemas::{Channel, Timestamp};
use serde_json::Value;

use super::evidence;
use super::thread;
use crate::clocks;
use crate::decide::Look;
use crate::ledger::{CommandRow, PartRow};
use crate::matching::Item;
use crate::payload::Payload;
use crate::services::{LEDGER_WITHIN, Services};
use crate::state::Hold;
use facts::accounts::Connected;
use facts::accounts::directory::Account;
use facts::follow_up::content;
use graph::{Call, Class, GraphError, Lane, text_of};

/// How long a read is postponed while the account is stopped; a new token wakes it earlier.
pub(super) const STOPPED_PAUSE: Duration = Duration::from_secs(60);
/// Conversations asked for; Graph narrows to one person, so more than one is an oddity.
const THREADS_MAX: u32 = 5;

/// What trying to read gave.
pub(super) enum Read {
    /// A look.
    Look(Look),
    /// No call may be made now: again after this pause, for this reason.
    Later(Duration, Hold),
    /// No answer, or one that says: again. Trouble on the way proves nothing about the send.
    Unanswered,
}

/// What is read back, and for whom.
#[derive(Clone, Copy)]
struct Target<'a> {
    services: &'a Services,
    connected: &'a Connected,
    command: &'a CommandRow,
    part: &'a PartRow,
}

enum ReadError {
    Graph(GraphError),
    Database(sqlx::Error),
}

impl From<GraphError> for ReadError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Reads back what Meta has of a part.
///
/// # Errors
/// Database or the store of tokens failed; nothing was counted.
pub(super) async fn read_back(
    services: &Services,
    connected: &Connected,
    command: &CommandRow,
    part: &PartRow,
) -> anyhow::Result<Read> {
    let target = Target { services, connected, command, part };
    let read = match &part.payload {
        Payload::Message { .. } | Payload::TemplateSend { .. } => target.thread().await,
        Payload::TemplateSubmit { name, language, .. } => target.template(name, language).await,
        Payload::CommentHide { comment_id, hidden } => target.hidden(comment_id, *hidden).await,
        Payload::CommentDelete { comment_id } => target.deleted(comment_id).await,
        Payload::CommentReply { comment_id, .. } => target.comments(comment_id, true).await,
        Payload::CommentCreate { media_id, .. } => target.comments(media_id, false).await,
        // The thread of a private reply is not known before its answer; only its echo settles it.
        Payload::PrivateReply { .. }
        | Payload::SenderAction { .. }
        | Payload::Conversion { .. } => Ok(Look::Inconclusive),
    };
    let error = match read {
        Ok(look) => return Ok(Read::Look(look)),
        Err(ReadError::Database(error)) => return Err(error.into()),
        Err(ReadError::Graph(error)) => error,
    };
    tracing::debug!(account.id = %command.account_id, %error, "Could not read back a send");
    Ok(match error.class {
        Class::Account => {
            let refusal = error.refusal();
            within(LEDGER_WITHIN, services.accounts.stop(connected, &refusal)).await?;
            Read::Later(STOPPED_PAUSE, Hold::AccountStopped)
        }
        Class::Limited(_) => {
            Read::Later(error.retry_after.unwrap_or(services.waits.retry_min), Hold::Budget)
        }
        Class::Retry => Read::Unanswered,
        _ => Read::Look(Look::Inconclusive),
    })
}

impl Target<'_> {
    async fn thread(self) -> Result<Look, ReadError> {
        let Some(contact) = self.command.contact_id.as_ref().map(|contact| contact.as_str()) else {
            return Ok(Look::Inconclusive);
        };
        let graph = &self.services.graph;
        let page = graph
            .conversations(self.connected, Some(contact), None, THREADS_MAX, Lane::Reply)
            .await?;
        let Some(thread) = thread::of_contact(&page.conversations, contact) else {
            return Ok(Look::Inconclusive);
        };
        let Some(wanted) = evidence::wanted(self.command, self.part) else {
            return Ok(Look::Inconclusive);
        };
        let account = &self.connected.account;
        let skew = self.services.waits.graph_clock_max_skew;
        let (mut items, complete) =
            thread::own_messages(thread, account, contact, wanted.first_at, skew);
        let mark = evidence::mark_claimed(&self.services.pool, self.command, &wanted, &mut items);
        within(LEDGER_WITHIN, mark).await?;
        Ok(wanted.look(&items, complete && self.clocks_agree().await?, skew))
    }

    async fn template(self, name: &str, language: &str) -> Result<Look, ReadError> {
        let graph = &self.services.graph;
        let found = graph.template(self.connected, name, language, Lane::Enrich).await?;
        // One that is not listed may be listed later.
        Ok(found.map_or(Look::Inconclusive, |found| Look::Found {
            item_id: Some(found.id),
            time: None,
        }))
    }

    /// Whether Graph's clock and the database's, by which attempts are dated, are near enough to compare their times (docs/contract.md 6). So
    /// it is as long as no answer of Graph has named its time.
    async fn clocks_agree(self) -> sqlx::Result<bool> {
        let Some(clock) = self.services.graph.clock(&self.connected.account) else {
            return Ok(true);
        };
        let ahead = clocks::ahead_of_database(&self.services.pool, clock).await?;
        let agree = clocks::agree(ahead, self.services.waits.graph_clock_max_skew);
        if !agree {
            tracing::warn!(
                account.id = %self.command.account_id, ahead_ms = ahead,
                "Graph's clock and the database's differ by more than GRAPH_CLOCK_MAX_SKEW: that a message is absent is not concluded. Set the \
                 clock that is wrong"
            );
        }
        Ok(agree)
    }

    async fn comments(self, under: &str, are_answers: bool) -> Result<Look, ReadError> {
        let Some(wanted) = evidence::wanted(self.command, self.part) else {
            return Ok(Look::Inconclusive);
        };
        let (edge, fields) = match (self.command.channel, are_answers) {
            (Channel::Instagram, true) => ("replies", "id,text,timestamp,from,username"),
            (Channel::Instagram, false) => ("comments", "id,text,timestamp,from,username"),
            (Channel::Messenger, _) => ("comments", "id,message,created_time,from"),
        };
        let account = self.named().await;
        let call = Call::new("comments", Lane::Moderate);
        let query = [("fields", fields), ("limit", "50")];
        let answer = self.services.graph.get(self.connected, call, &[under, edge], &query).await?;
        let comments = answer["data"].as_array().into_iter().flatten();
        let mut items: Vec<Item> =
            comments.filter_map(|comment| self.own_comment(&account, comment)).collect();
        let mark = evidence::mark_claimed(&self.services.pool, self.command, &wanted, &mut items);
        within(LEDGER_WITHIN, mark).await?;
        // The absence of a comment is never proven.
        Ok(wanted.look(&items, false, Duration::ZERO))
    }

    /// The account with the names that Graph gives it: authors of comments may be named by an app-scoped id or by the handle alone.
    async fn named(self) -> Account {
        let mut connected = self.connected.clone();
        let account = &connected.account;
        if account.channel == Channel::Instagram && account.handle.is_none() {
            let (graph, accounts) = (&self.services.graph, &self.services.accounts);
            graph::learn(graph, accounts, &mut connected, Lane::Moderate).await;
        }
        connected.account
    }

    /// Only the account's own; where Graph names no author, the text alone would take somebody else's for ours.
    fn own_comment(self, account: &Account, comment: &Value) -> Option<Item> {
        let first =
            |names: [&str; 2]| names.into_iter().find_map(|name| text_of(comment.get(name)));
        let id = text_of(comment.get("id"))?;
        let time = ["timestamp", "created_time"].into_iter().find_map(|name| {
            text_of(comment.get(name)).as_deref().and_then(Timestamp::parse_meta)
        })?;
        let author = text_of(comment.pointer("/from/id"));
        let name =
            text_of(comment.pointer("/from/username")).or_else(|| text_of(comment.get("username")));
        let text = first(["text", "message"])?;
        account.is_party(author.as_deref(), name.as_deref()).then(|| Item {
            id,
            content: content::of_text(&text),
            peer: self.part.peer.clone(),
            time,
            claimed: false,
            early: false,
        })
    }

    async fn hidden(self, comment: &str, hidden: bool) -> Result<Look, ReadError> {
        let field = match self.connected.account.channel {
            Channel::Instagram => "hidden",
            Channel::Messenger => "is_hidden",
        };
        let call = Call::new("comment", Lane::Moderate);
        let fields = format!("id,{field}");
        let graph = &self.services.graph;
        let answer = graph.get(self.connected, call, &[comment], &[("fields", &fields)]).await?;
        Ok(match answer[field].as_bool() {
            Some(now) if now == hidden => Look::Found { item_id: None, time: None },
            _ => Look::Inconclusive,
        })
    }

    async fn deleted(self, comment: &str) -> Result<Look, ReadError> {
        let call = Call::new("comment", Lane::Moderate);
        let graph = &self.services.graph;
        match graph.get(self.connected, call, &[comment], &[("fields", "id")]).await {
            Ok(_) => Ok(Look::Inconclusive),
            // 100/33: the object is missing or not visible, which is what was wanted.
            Err(error) if error.code == Some(100) && error.subcode == Some(33) => {
                Ok(Look::Found { item_id: None, time: None })
            }
            Err(error) => Err(error.into()),
        }
    }
}
