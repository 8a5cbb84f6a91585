//! The webhooks that follow a send of the account: echo and receipts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::model::{Channel, Login, Message};
use crate::outbox::{ItemState, Tracked};
use crate::payload::{self, Content, Envelope, Item, Parties};
use crate::shared::Shared;

/// The longest an answer waits for the echo that shall come before it.
const BEFORE_WAIT: Duration = Duration::from_secs(3);

/// Page inbox: the app id of messages typed by a person (docs/meta-platform.md 0).
pub(crate) const PAGE_INBOX_APP: u64 = 263_902_037_430_900;

/// The echo of `message`, said to come from `app_id` where the channel names an app.
pub(crate) fn echo_item(message: &Message, login: Login, app_id: u64) -> Arc<Tracked> {
    let account = &message.account;
    let parties = Parties { sender: &account.id, recipient: &message.person, at: message.at };
    let content = Content {
        text: message.text.clone(),
        attachments: message.attachments.clone(),
        reply_to: message.reply_to.clone(),
        ..Content::default()
    };
    let app = match account.channel {
        Channel::Messenger => Some((app_id, message.metadata.as_deref())),
        Channel::Instagram => None,
    };
    let node = payload::echo(parties, &message.mid, &content, app);
    tracked(message, login, "message_echoes", node)
}

fn tracked(
    message: &Message,
    login: Login,
    field: &'static str,
    node: crate::json::Node,
) -> Arc<Tracked> {
    let account = message.account.clone();
    let order = format!("{}/{}", account.id, message.person);
    Tracked::new(Item { account, order, envelope: Envelope::Messaging, field, node }, login)
}

/// Sends the echo before the call is answered when the policy wants it so, else plans it for after; plans receipts.
pub(crate) async fn follow_up(shared: &Arc<Shared>, message: &Message, login: Login) {
    let policy = shared.policy();
    let mut later = policy.echoes.then(|| echo_item(message, login, shared.app_id));
    if shared.chance(policy.echo_before_rate)
        && let Some(echo) = later.take()
    {
        shared.send_items(vec![echo.clone()]);
        let mut state = echo.state.subscribe();
        let accepted =
            state.wait_for(|state| matches!(state, ItemState::Accepted(_) | ItemState::GivenUp(_)));
        // Late is late: the answer does not wait for a webhook that is down.
        let _ = tokio::time::timeout(BEFORE_WAIT, accepted).await;
    }
    let receipts = receipts(shared, message, login);
    let shared_later = shared.clone();
    shared.spawn(async move {
        tokio::time::sleep(policy.echo_delay).await;
        if let Some(echo) = later {
            shared_later.send_items(vec![echo]);
        }
        for receipt in receipts {
            tokio::time::sleep(policy.receipt_delay).await;
            shared_later.send_items(vec![receipt]);
        }
    });
}

fn receipts(shared: &Shared, message: &Message, login: Login) -> Vec<Arc<Tracked>> {
    let policy = shared.policy();
    let mut receipts = Vec::new();
    let channel = message.account.channel;
    let parties = Parties {
        sender: &message.person,
        recipient: &message.account.id,
        at: message.at + chrono::TimeDelta::from_std(policy.receipt_delay).unwrap_or_default(),
    };
    let delivered = shared.chance(policy.delivered_rate);
    if channel == Channel::Messenger && delivered {
        let node = payload::delivery(parties, std::slice::from_ref(&message.mid), message.at);
        receipts.push(tracked(message, login, "message_deliveries", node));
    }
    if shared.chance(policy.read_rate) {
        let node = payload::read(parties, channel, &message.mid, message.at);
        receipts.push(tracked(message, login, "messaging_seen", node));
    }
    receipts
}

/// Attachments of a send call as its echo shows them.
pub(crate) fn attachments_of(message: &Value) -> Vec<Value> {
    let one = message.get("attachment").into_iter().cloned();
    let many = message.get("attachments").and_then(Value::as_array).into_iter().flatten().cloned();
    one.chain(many).collect()
}
