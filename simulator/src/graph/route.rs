//! ◆ Pure: what a call is about: its kind, whose token it carries, which account is meant.

use axum::http::Method;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::error::GraphError;
use super::reads;
use super::request::GraphRequest;
use crate::call_kind::CallKind;
use crate::config::AppSecrets;
use crate::model::{Account, AccountKey, AccountSpec, Channel, Host, Login};
use crate::sign;
use crate::world::World;
use crate::world::tokens::TokenState;

/// What is asked.
pub(super) fn classify(world: &World, request: &GraphRequest) -> CallKind {
    let (node, edge) = (request.segment(0), request.segment(1));
    let method = &request.method;
    let (get, post) = (method == Method::GET, method == Method::POST);
    match (node, edge) {
        ("debug_token", "") if get => CallKind::DebugToken,
        ("refresh_access_token", "") if get => CallKind::TokenRefresh,
        (_, "messages") if post => {
            if request.params.contains_key("sender_action") {
                CallKind::SenderAction
            } else if request.params.get("recipient").is_some_and(|r| r.get("comment_id").is_some())
            {
                CallKind::PrivateReply
            } else {
                CallKind::Send
            }
        }
        (_, "messages") if get => CallKind::Thread,
        (_, "conversations") if get => CallKind::Conversations,
        (_, "events") if post => CallKind::Conversion,
        (_, "message_templates") if post => CallKind::TemplateSubmit,
        (_, "message_templates") if get => CallKind::TemplateRead,
        (_, "insights") if get => CallKind::Insights,
        (_, "subscribed_apps") => CallKind::Subscription,
        (_, "replies") if post => CallKind::CommentReply,
        (id, "comments") if post && world.comments.contains_key(id) => CallKind::CommentReply,
        (_, "comments") if post => CallKind::CommentCreate,
        (_, "comments" | "replies" | "media" | "feed" | "posts") if get => CallKind::CommentList,
        (id, "") if get && (id == "me" || world.account_by_id(id).is_some()) => CallKind::Account,
        (id, "") if get && reads::is_mid(world, id) => CallKind::MessageLookup,
        (id, "") if get && reads::is_conversation(id) => CallKind::Thread,
        (id, "") if get && world.comments.contains_key(id) => CallKind::CommentRead,
        (id, "") if get && world.media.contains_key(id) => CallKind::CommentList,
        (_, "") if get => CallKind::Profile,
        (_, "") if post => CallKind::CommentHide,
        (_, "") if method == Method::DELETE => CallKind::CommentDelete,
        _ => CallKind::Other,
    }
}

/// The accounts of the token on this host, also of one that is refused.
pub(super) fn authenticate(
    secrets: &AppSecrets,
    world: &World,
    request: &GraphRequest,
    kind: CallKind,
    now: DateTime<Utc>,
) -> (Vec<AccountKey>, Option<GraphError>) {
    let Some(token) = &request.token else {
        return (Vec::new(), Some(GraphError::token_missing()));
    };
    // `{app id}|{app secret}`: an app token, good for looking at tokens only.
    if kind == CallKind::DebugToken && token.contains('|') {
        return (Vec::new(), None);
    }
    let on_host = |spec: &AccountSpec| spec.host() == request.host || spec.token_on_both_hosts;
    let of = |state: TokenState| -> Vec<AccountKey> {
        let holds =
            |account: &Account| on_host(&account.spec) && account.token_state(token, now) == state;
        world.accounts.iter().filter(|(_, a)| holds(a)).map(|(key, _)| key.clone()).collect()
    };
    let owners = of(TokenState::Good);
    let Some(first) = owners.first() else {
        let refusals = [
            (TokenState::AppRemoved, GraphError::app_removed()),
            (TokenState::Expired, GraphError::token_expired()),
        ];
        for (state, error) in refusals {
            let owners = of(state);
            if !owners.is_empty() {
                return (owners, Some(error));
            }
        }
        return (Vec::new(), Some(GraphError::token_unknown()));
    };
    let login = world.spec(first).map_or(Login::Facebook, |spec| spec.login);
    let proof = request.text("appsecret_proof");
    let right = sign::appsecret_proof(secrets.of(login), token);
    let wrong = proof.is_some_and(|given| given != right);
    (owners, wrong.then(GraphError::bad_proof))
}

/// A page token may speak for a page and its Instagram account: the call says which of them is meant.
pub(super) fn choose(
    world: &World,
    request: &GraphRequest,
    owners: &[AccountKey],
) -> Option<AccountKey> {
    let recipient = request.params.get("recipient");
    let inner = |key: &str| recipient.and_then(|r| r.get(key)).and_then(Value::as_str);
    let node = request.segment(0);
    let by_person = |id: &str| world.people.get(id).map(|person| &person.account);
    let by_comment = |id: &str| world.comments.get(id).map(|comment| &comment.account);
    let named = inner("id")
        .and_then(by_person)
        .or_else(|| inner("comment_id").and_then(by_comment))
        .or_else(|| by_person(node))
        .or_else(|| by_comment(node))
        .or_else(|| world.messages.get(node).map(|message| &message.account))
        .or_else(|| world.media.get(node).map(|media| &media.account))
        .or_else(|| world.stories.get(node).map(|story| &story.account));
    if let Some(key) = named
        && owners.contains(key)
    {
        return Some(key.clone());
    }
    let platform = request.text("platform").or_else(|| {
        let listing = request.segment(1) == "conversations" && request.host == Host::Facebook;
        listing.then(|| "messenger".to_owned())
    });
    let fits = |key: &&AccountKey| match platform.as_deref() {
        Some("instagram") => key.channel == Channel::Instagram,
        Some("messenger") => key.channel == Channel::Messenger,
        _ => key.id == node,
    };
    owners.iter().find(fits).or_else(|| owners.first()).cloned()
}

pub(super) fn target(request: &GraphRequest) -> Option<String> {
    let recipient = request.params.get("recipient");
    let inner = |key: &str| recipient.and_then(|r| r.get(key)).and_then(Value::as_str);
    let recipient = inner("id").or_else(|| inner("comment_id")).map(str::to_owned);
    recipient.or_else(|| request.segments.first().cloned())
}
