//! ◆ Pure: what people and Meta do beside writing: postbacks, referrals, opt-ins, hand-overs, policy, feedback, orders
//! (docs/meta-platform.md 7.1).

use std::collections::BTreeMap;

use schemas::facts::{
    AccountLink, Feedback, Optin, Order, PolicyEnforced, Postback, Product, ReferralReceived,
    RolesChanged, ThreadControl,
};
use schemas::meta::Node;
use schemas::meta::json::text;
use schemas::meta::messenger::referral;
use schemas::{EventId, Fact};

use crate::context::Context;
use crate::messaging_act::MessagingAct;
use crate::output::Output;

/// Reads every payload that is neither a message nor about one.
pub(super) fn read(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let payload = &act.payload;
    match act.item.key.as_str() {
        "postback" => postback(context, act),
        "referral" => {
            let user_ref = act.user_ref();
            of_person(
                context,
                act,
                Fact::ReferralReceived(ReferralReceived { referral: referral(payload), user_ref }),
            )
        }
        "optin" => optin(context, act),
        "account_linking" => {
            let Some(status) = payload.text("status") else { return invalid(context, act) };
            let outputs = account_link(context, act, status);
            with_secret(outputs, "authorization_code", payload.text("authorization_code"))
        }
        "pass_thread_control" | "take_thread_control" | "request_thread_control" => {
            thread_control(context, act)
        }
        "app_roles" => {
            let roles: BTreeMap<String, Vec<String>> = payload
                .keys()
                .map(|app| {
                    (app.to_owned(), payload.list(app).into_iter().filter_map(text).collect())
                })
                .collect();
            of_account(context, act, "app_roles", Fact::AccountRolesChanged(RolesChanged { roles }))
        }
        "policy_enforcement" => {
            let Some(action) = payload.text("action") else { return invalid(context, act) };
            let fact = Fact::AccountPolicyEnforced(PolicyEnforced {
                action,
                reason: payload.text("reason"),
            });
            of_account(context, act, "policy_enforcement", fact)
        }
        "messaging_feedback" | "response_feedback" => {
            let fact = Fact::FeedbackReceived(Feedback {
                message_id: payload.id("mid").map(Into::into),
                rating: payload.text("feedback"),
                feedback_screens: payload.json("feedback_screens"),
            });
            of_person(context, act, fact)
        }
        "order" => {
            let fact = Fact::OrderReceived(Order {
                message_id: payload.id("mid").map(Into::into),
                products: payload
                    .list("products")
                    .into_iter()
                    .filter_map(Node::parse)
                    .map(|node| product(&node))
                    .collect(),
                note: payload.text("note"),
            });
            of_person(context, act, fact)
        }
        other => context.unrecognized("unknown_item", other),
    }
}

fn invalid(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    context.unrecognized("invalid_item", &act.item.key)
}

/// Kind, sender, time and a hash of the item: the natural key where Meta gives no id.
fn natural_id(context: &Context<'_>, act: &MessagingAct<'_>) -> EventId {
    context.id(&act.item.key, &[act.who(), &act.stamp, &act.payload.hash()])
}

/// An act of a person. Without a usable id and without a reference it is nobody's.
fn of_person(context: &Context<'_>, act: &MessagingAct<'_>, fact: Fact) -> Vec<Output> {
    if act.contact.is_none() && act.user_ref().is_none() && !act.is_self {
        return context.unrecognized("refused_contact", &act.item.key);
    }
    context.fact(natural_id(context, act), act.when, act.contact.clone(), fact)
}

/// Linking may come again and again, often without a time of its own: then the time of delivery is part of its id.
fn account_link(context: &Context<'_>, act: &MessagingAct<'_>, status: String) -> Vec<Output> {
    let mut outputs = of_person(context, act, Fact::AccountLinkChanged(AccountLink { status }));
    if act.stamp.is_empty()
        && let Some(Output::Fact(draft)) = outputs.first_mut()
        && matches!(draft.event.data.fact, Fact::AccountLinkChanged(_))
    {
        let delivered = context.delivery_stamp();
        let key = [act.who(), "delivered", &delivered, &act.payload.hash()];
        draft.event.id = context.id(&act.item.key, &key);
    }
    outputs
}

/// Something that concerns the account as a whole.
fn of_account(
    context: &Context<'_>,
    act: &MessagingAct<'_>,
    word: &str,
    fact: Fact,
) -> Vec<Output> {
    let id = context.id(word, &[&act.stamp, &act.payload.hash()]);
    context.fact(id, act.when, None, fact)
}

fn with_secret(mut outputs: Vec<Output>, name: &'static str, value: Option<String>) -> Vec<Output> {
    if let (Some(value), Some(Output::Fact(draft))) = (value, outputs.first_mut()) {
        // An item that became `webhook.unrecognized` keeps no secret.
        if matches!(draft.event.data.fact, Fact::OptinReceived(_) | Fact::AccountLinkChanged(_)) {
            *draft = draft.clone().with_secret(name, value);
        }
    }
    outputs
}

fn postback(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let payload = &act.payload;
    let user_ref = act.user_ref();
    let mid = payload.id("mid");
    if act.contact.is_none() && user_ref.is_none() && !act.is_self {
        return context.unrecognized("refused_contact", "postback");
    }
    let (title, button) = (payload.text("title"), payload.text("payload"));
    // Taps on one template share its mid, and the copy for another app has no payload: neither distinguishes taps.
    let said = title.as_deref().unwrap_or_default();
    let id = match &mid {
        Some(mid) if act.stamp.is_empty() => context.id("postback", &["tap", mid, "", said]),
        Some(mid) => context.id("postback", &["tap", mid, &act.stamp]),
        None => context.id("postback", &[act.who(), &act.stamp, said]),
    };
    let from = payload.node("referral");
    let fact = Fact::PostbackReceived(Postback {
        message_id: mid.map(Into::into),
        title: title.unwrap_or_default(),
        payload: button,
        referral: from.as_ref().or(act.item.referral.as_ref()).map(referral),
        user_ref,
    });
    // The mid may be that of the template: nothing is known of that message by a tap.
    context.fact(id, act.when, act.contact.clone(), fact)
}

fn optin(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let payload = &act.payload;
    let fact = Fact::OptinReceived(Optin {
        kind: payload.text("type"),
        payload: payload.text("payload"),
        title: payload.text("title"),
        reference: payload.text("ref"),
        user_ref: act.user_ref(),
        timezone: payload
            .text("notification_messages_timezone")
            .or_else(|| payload.text("timezone")),
        // Meta's own pages write a space where the value has an underscore.
        status: payload
            .text("notification_messages_status")
            .map(|status| status.trim().replace(' ', "_")),
        token_status: payload.text("user_token_status"),
        token_expires_at: payload.time("token_expiry_timestamp"),
    });
    let outputs = of_person(context, act, fact);
    let outputs = with_secret(
        outputs,
        "notification_messages_token",
        payload.text("notification_messages_token").or_else(|| payload.text("token")),
    );
    with_secret(outputs, "one_time_notif_token", payload.text("one_time_notif_token"))
}

fn thread_control(context: &Context<'_>, act: &MessagingAct<'_>) -> Vec<Output> {
    let payload = &act.payload;
    let action = act.item.key.split('_').next().unwrap_or_default().to_owned();
    let fact = Fact::ThreadControlChanged(ThreadControl {
        action,
        previous_owner_app_id: payload.id("previous_owner_app_id"),
        new_owner_app_id: payload.id("new_owner_app_id"),
        requested_owner_app_id: payload.id("requested_owner_app_id"),
        metadata: payload.text("metadata"),
    });
    of_person(context, act, fact)
}

fn product(node: &Node<'_>) -> Product {
    Product {
        id: node.id("id"),
        retailer_id: node.id("retailer_id"),
        name: node.text("name"),
        unit_price: node.text("unit_price"),
        currency: node.text("currency"),
        quantity: node.integer("quantity"),
    }
}
