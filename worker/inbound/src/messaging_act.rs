//! ◆ Pure: who acts in an item of `messaging[]`, and what waits because nobody is named.

use schemas::ContactId;
use schemas::meta::messenger::MessagingItem;
use schemas::meta::{Node, mid};

use crate::context::{Context, When};
use crate::output::Output;
use facts::follow_up::senderless::Senderless;

/// An item of `messaging[]` or `standby[]` by its sides: the account and the person.
pub(super) struct MessagingAct<'a> {
    pub(super) item: MessagingItem<'a>,
    pub(super) payload: Node<'a>,
    /// The person; `None` when the item has no usable id.
    pub(super) contact: Option<ContactId>,
    /// The account acts.
    pub(super) outbound: bool,
    /// The account wrote to itself.
    pub(super) is_self: bool,
    pub(super) when: When,
    /// The item's own time as text for natural keys; empty when it has none.
    pub(super) stamp: String,
}

impl MessagingAct<'_> {
    /// The person's id or reference, for natural keys.
    pub(super) fn who(&self) -> &str {
        let user_ref =
            self.item.sender.user_ref.as_deref().or(self.item.recipient.user_ref.as_deref());
        self.contact.as_ref().map(AsRef::as_ref).or(user_ref).unwrap_or_default()
    }

    /// The reference by which a person is, or was before, known to a plugin.
    pub(super) fn user_ref(&self) -> Option<String> {
        let named = self.item.sender.user_ref.clone().or_else(|| self.payload.id("user_ref"));
        named.or_else(|| self.item.prior_user_ref.clone())
    }
}

/// Something is known of a message, but not who wrote it or what.
pub(super) fn senderless(
    context: &Context<'_>,
    act: &MessagingAct<'_>,
    mid: &str,
    num_edit: i64,
) -> Vec<Output> {
    let decoded = mid::decode(mid);
    vec![Output::Senderless(Senderless {
        channel: context.channel(),
        account_id: context.account.id.clone(),
        message_id: mid.into(),
        num_edit,
        text: act.payload.text("text"),
        sender: act.contact.clone(),
        outbound: act.outbound,
        thread_id: decoded.as_ref().map(|mid| mid.thread_id.clone()),
        created_at: decoded.map(|mid| mid.created_at),
        time: act.when.time,
        time_approximate: act.when.approximate,
        standby: context.standby(),
        origin: context.webhook.origin(context.item.index),
        traceparent: context.webhook.meta.traceparent.clone(),
    })]
}
