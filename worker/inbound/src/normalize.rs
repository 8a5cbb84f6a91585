//! ◆ Pure: a raw webhook becomes facts. No clock, no I/O: the same bytes and accounts always give the same outputs.

use std::collections::{HashMap, HashSet};

use schemas::meta::envelope::{ERASED, Problem};
use schemas::meta::messenger::payload_key_of_field;
use schemas::meta::{Item, Node, Object, Place, items};
use schemas::raw::RawMeta;
use schemas::{AccountId, Channel, ConversationId, Fact, MessageId};

pub use super::output::{Normalized, Output};
pub use facts::follow_up::senderless::Senderless;

use super::context::{Context, Webhook};
use super::{feed, instagram, messaging};
use facts::Draft;
use facts::accounts::directory::Directory;
use facts::ids;

/// Fixed ids of the dashboard's test deliveries (docs/meta-platform.md 3.4): they also come under a real account when somebody
/// sends them again.
const TEST_IDS: [&str; 3] = ["random_mid", "17865799348089039", "17887498072083520"];

/// Reads a raw webhook.
pub fn normalize(body: &[u8], meta: &RawMeta, accounts: &Directory) -> Normalized {
    let webhook = Webhook::new(body, meta);
    // Ingest did not write it, so nobody has verified that it is Meta's.
    if meta.flaw.is_some() {
        return Normalized {
            outputs: vec![webhook.shape(None, "unreadable_headers", None, false)],
        };
    }
    let Some(items) = items(body) else {
        return Normalized { outputs: vec![webhook.shape(None, "not_json", None, false)] };
    };
    let mut outputs = Vec::with_capacity(items.len());
    let is_erased = |item: &&Item<'_>| {
        meta.redacted.is_some() && item.raw.is_some_and(|raw| raw.get() == ERASED)
    };
    for item in items.iter().filter(|item| !is_erased(item)) {
        outputs.extend(read(&webhook, item, accounts));
    }
    drop_companions(&mut outputs);
    sort_conversations(&mut outputs);
    Normalized { outputs: discover(outputs) }
}

/// What stands for a raw webhook that today's code cannot read at all.
pub fn unreadable(body: &[u8], meta: &RawMeta) -> Normalized {
    Normalized {
        outputs: vec![Webhook::new(body, meta).shape(None, "normalizer_failed", None, false)],
    }
}

fn read(webhook: &Webhook<'_>, item: &Item<'_>, accounts: &Directory) -> Vec<Output> {
    let unrecognized =
        |reason: &str, field: Option<&str>| vec![webhook.shape(Some(item), reason, field, false)];
    let field = match &item.place {
        Place::Change(field) => Some(field.as_str()),
        Place::Problem(Problem::UnknownKey(key)) => Some(key.as_str()),
        _ => None,
    };
    if is_test(item) {
        return vec![webhook.shape(Some(item), "test_payload", field, true)];
    }
    let (Some(channel), Some(entry_id)) = (item.object.channel(), item.entry_id.as_deref()) else {
        let unknown = matches!(&item.object, Object::Other(name) if !name.is_empty());
        return unrecognized(if unknown { "unknown_object" } else { "bad_shape" }, field);
    };
    let Some(account) = accounts.find(channel, entry_id) else {
        return unrecognized("unknown_account", field);
    };
    if !account.accepts_secret(webhook.meta.secret.as_deref()) {
        return unrecognized("wrong_app", field);
    }
    if let Place::Problem(problem) = &item.place {
        let reason = match problem {
            Problem::BadShape => "bad_shape",
            Problem::ChangedFields => "changed_fields",
            Problem::UnknownKey(_) => "unknown_item",
            Problem::TooMany => "too_many_items",
        };
        return unrecognized(reason, field);
    }
    let Some(node) = &item.node else { return unrecognized("bad_shape", field) };
    let context = Context { webhook, item, account };
    match &item.place {
        Place::Change(field) => change(&context, node, field),
        _ => messaging::read(&context, node),
    }
}

fn change(context: &Context<'_>, node: &Node<'_>, field: &str) -> Vec<Output> {
    if let Some(key) = payload_key_of_field(field) {
        return messaging::read_change(context, node, key);
    }
    match (context.channel(), field) {
        (Channel::Instagram, "comments" | "live_comments") => {
            instagram::comment(context, node, field)
        }
        (Channel::Instagram, "mentions") => instagram::mention(context, node),
        (Channel::Instagram, "story_insights") => instagram::story_insights(context, node),
        (Channel::Messenger, "feed") => feed::change(context, node),
        (Channel::Messenger, "mention") => feed::mention(context, node),
        (Channel::Messenger, "ratings") => feed::rating(context, node),
        (
            Channel::Messenger,
            "message_template_status_update" | "messenger_template_status_update",
        ) => feed::template_status(context, node),
        _ => context.unrecognized("unknown_field", field),
    }
}

/// The dashboard's "send to my server" (docs/meta-platform.md 3.4).
fn is_test(item: &Item<'_>) -> bool {
    if item.entry_id.as_deref() == Some("0") {
        return true;
    }
    let Some(node) = &item.node else { return false };
    let party = |key: &str| node.node(key).and_then(|party| party.id("id"));
    if party("sender").as_deref() == Some("12334") && party("recipient").as_deref() == Some("23245")
    {
        return true;
    }
    let message = node.node("message").and_then(|message| message.id("mid"));
    let ids = [message, node.id("id"), node.id("comment_id"), node.id("media_id")];
    ids.iter().flatten().any(|id| TEST_IDS.contains(&id.as_str()))
}

/// A hint whose message stands in the same body adds nothing (docs/meta-platform.md 5.1).
fn drop_companions(outputs: &mut Vec<Output>) {
    let mut named: HashSet<(Channel, AccountId, MessageId)> = HashSet::new();
    for output in outputs.iter() {
        if let Output::Fact(draft) = output
            && let Fact::MessageReceived(message) | Fact::MessageSent(message) =
                &draft.event.data.fact
        {
            let data = &draft.event.data;
            named.insert((data.channel, data.account_id.clone(), message.message_id.clone()));
        }
    }
    if named.is_empty() {
        return;
    }
    outputs.retain(|output| match output {
        Output::Senderless(item) if item.num_edit == 0 => {
            !named.contains(&(item.channel, item.account_id.clone(), item.message_id.clone()))
        }
        _ => true,
    });
}

/// Meta may list a conversation out of order: its facts are put in the order of their times, in the places they hold.
fn sort_conversations(outputs: &mut [Output]) {
    let mut places: HashMap<ConversationId, Vec<usize>> = HashMap::new();
    for (n, output) in outputs.iter().enumerate() {
        if let Output::Fact(draft) = output
            && let Some(conversation) = &draft.event.data.conversation_id
        {
            places.entry(conversation.clone()).or_default().push(n);
        }
    }
    for places in places.into_values().filter(|places| places.len() > 1) {
        let mut sorted: Vec<Output> = places.iter().map(|n| outputs[*n].clone()).collect();
        sorted.sort_by_key(|output| match output {
            Output::Fact(draft) => Some(draft.event.time),
            Output::Senderless(_) => None,
        });
        for (n, output) in places.into_iter().zip(sorted) {
            outputs[n] = output;
        }
    }
}

/// Puts `contact.discovered` before the first act that shows a person, once per contact and body.
fn discover(outputs: Vec<Output>) -> Vec<Output> {
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(outputs.len() + 1);
    for output in outputs {
        if let Output::Fact(draft) = &output
            && let Some(discovery) = discovery(draft)
            && seen.insert(discovery.event.id.clone())
        {
            all.push(Output::Fact(discovery));
        }
        all.push(output);
    }
    all
}

/// The discovery of the person behind a fact; `None` for facts that show nobody new.
fn discovery(draft: &Draft) -> Option<Draft> {
    let shows = matches!(
        draft.event.data.fact,
        Fact::MessageReceived(_)
            | Fact::MessageSent(_)
            | Fact::PostbackReceived(_)
            | Fact::ReferralReceived(_)
            | Fact::OptinReceived(_)
            | Fact::OrderReceived(_)
    );
    let data = &draft.event.data;
    let contact = data.contact_id.clone().filter(|_| shows)?;
    let mut discovery = ids::discovery(
        data.channel,
        data.account_id.clone(),
        contact,
        draft.event.time,
        data.time_approximate,
        None,
        None,
        data.origin.clone(),
    );
    discovery.event.data.is_self = data.is_self;
    discovery.event.traceparent = draft.event.traceparent.clone();
    Some(discovery)
}
