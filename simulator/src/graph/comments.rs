//! Comments through Graph (docs/meta-platform.md 8.3).

use serde_json::{Map, Value, json};

use super::ask::{After, Ask, Done};
use super::error::GraphError;
use super::fields::{self, Field};
use super::reads::{cursor, page};
use crate::model::{Channel, Comment};
use crate::payload::{FeedVerb, graph_time};

/// Items of a nested list where `limit` says nothing.
const NESTED_DEFAULT: usize = 25;

fn known<'a>(ask: &'a Ask<'_>, id: &str, method: &str) -> Result<&'a Comment, GraphError> {
    let comment = ask.world.comments.get(id);
    comment
        .filter(|comment| comment.account == ask.account && !comment.deleted)
        .ok_or_else(|| GraphError::unsupported(id, method))
}

fn text(ask: &Ask<'_>) -> Result<String, GraphError> {
    let text = ask.request.text("message").unwrap_or_default();
    if text.trim().is_empty() {
        return Err(GraphError::parameter("The parameter message is required"));
    }
    if ask.instagram() && 300 < text.chars().count() {
        return Err(GraphError::parameter("Param message is longer than 300 characters"));
    }
    Ok(text)
}

fn made(ask: Ask<'_>, media: &str, parent: Option<&str>, text: &str) -> Done {
    let (account, now) = (ask.account.clone(), ask.now);
    let comment = ask.world.add_comment(&account, media, parent, None, text, now);
    Done {
        answer: Ok(json!({"id": comment.id})),
        created: Some(comment.id.clone()),
        after: After::Commented(Box::new(comment), FeedVerb::Add),
    }
}

/// A public answer to a comment; an answer to an answer lands one level deep.
pub(super) fn reply(ask: Ask<'_>) -> Done {
    let id = ask.request.segment(0).to_owned();
    let text = match text(&ask) {
        Ok(text) => text,
        Err(error) => return Err(error).into(),
    };
    let (media, parent) = match known(&ask, &id, "post") {
        Ok(comment) => {
            (comment.media.clone(), comment.parent.clone().unwrap_or_else(|| comment.id.clone()))
        }
        Err(error) => return Err(error).into(),
    };
    made(ask, &media, Some(&parent), &text)
}

/// A comment of the account on its own media or post.
pub(super) fn create(ask: Ask<'_>) -> Done {
    let id = ask.request.segment(0).to_owned();
    let text = match text(&ask) {
        Ok(text) => text,
        Err(error) => return Err(error).into(),
    };
    let own = ask.world.media.get(&id).is_some_and(|media| media.account == ask.account);
    if !own {
        return Err(GraphError::unsupported(&id, "post")).into();
    }
    made(ask, &id, None, &text)
}

/// Instagram takes `hide`, Pages take `is_hidden`.
pub(super) fn hide(ask: Ask<'_>) -> Done {
    let name = if ask.instagram() { "hide" } else { "is_hidden" };
    let Some(hidden) = ask.request.flag(name) else {
        return Err(GraphError::parameter(&format!("The parameter {name} is required"))).into();
    };
    let verb = if hidden { FeedVerb::Hide } else { FeedVerb::Unhide };
    change(ask, "post", verb, |comment| comment.hidden = hidden)
}

pub(super) fn delete(ask: Ask<'_>) -> Done {
    change(ask, "delete", FeedVerb::Remove, |comment| comment.deleted = true)
}

fn change(ask: Ask<'_>, method: &str, verb: FeedVerb, change: impl FnOnce(&mut Comment)) -> Done {
    let id = ask.request.segment(0).to_owned();
    if let Err(error) = known(&ask, &id, method) {
        return Err(error).into();
    }
    let Some(comment) = ask.world.comments.get_mut(&id) else {
        return Err(GraphError::unsupported(&id, method)).into();
    };
    change(comment);
    Done {
        answer: Ok(json!({"success": true})),
        created: None,
        after: After::Commented(Box::new(comment.clone()), verb),
    }
}

pub(super) fn read(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let comment = known(ask, ask.request.segment(0), "get")?;
    let default: &[&str] = if ask.instagram() {
        &["id", "text", "timestamp"]
    } else {
        &["created_time", "message", "id"]
    };
    let wanted = match ask.request.text("fields") {
        Some(text) => fields::parse(&text.replace(char::is_whitespace, ""))?,
        None => fields::named(default),
    };
    Ok(fields::select(full(ask, comment, &wanted), &wanted))
}

/// A comment with everything; answers to it as far as `wanted` has them.
fn full(ask: &Ask<'_>, comment: &Comment, wanted: &[Field]) -> Map<String, Value> {
    let (id, name) = ask.world.author(comment);
    let below: Vec<&Comment> = under(ask, |other| other.parent.as_deref() == Some(&comment.id));
    let full = match comment.account.channel {
        Channel::Instagram => json!({
            "id": comment.id,
            "text": comment.text,
            "username": name,
            "from": {"id": id, "username": name},
            "timestamp": graph_time(comment.at),
            "hidden": comment.hidden,
            "parent_id": comment.parent,
            "media": {"id": comment.media},
            "like_count": 0,
            "replies": nested(ask, fields::find(wanted, "replies"), &below),
        }),
        Channel::Messenger => json!({
            "id": comment.id,
            "message": comment.text,
            "from": {"id": id, "name": name},
            "created_time": graph_time(comment.at),
            "is_hidden": comment.hidden,
            "parent": comment.parent.as_ref().map(|parent| json!({"id": parent})),
            "like_count": 0,
            "comment_count": below.len(),
            "comments": nested(ask, fields::find(wanted, "comments"), &below),
        }),
    };
    match full {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Comments that are there, newest first.
fn under<'a>(ask: &'a Ask<'_>, found: impl Fn(&Comment) -> bool) -> Vec<&'a Comment> {
    let all = ask.world.comments.values();
    let mut comments: Vec<&Comment> = all.filter(|one| !one.deleted && found(one)).collect();
    comments.sort_by_key(|comment| std::cmp::Reverse(comment.at));
    comments
}

/// A list within another answer, with a page of its own (docs/meta-platform-2.md 21.1). Absent where it is empty, as Meta leaves it out.
fn nested(ask: &Ask<'_>, field: Option<&Field>, comments: &[&Comment]) -> Option<Value> {
    let field = field.filter(|_| !comments.is_empty())?;
    let limit = field.limit.unwrap_or(NESTED_DEFAULT);
    let shown = comments.iter().take(limit);
    let data: Vec<Value> =
        shown.map(|one| fields::select(full(ask, one, &field.sub), &field.sub)).collect();
    let mut paging = json!({"cursors": {"after": cursor(data.len())}});
    if data.len() < comments.len() {
        paging["next"] =
            format!("{}/comments?after={}", ask.request.root, cursor(data.len())).into();
    }
    Some(json!({"data": data, "paging": paging}))
}

/// Media or posts of the account, or comments under one of them or under a comment.
pub(super) fn list(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let (node, edge) = (ask.request.segment(0), ask.request.segment(1));
    let instagram = ask.instagram();
    let wanted = |default: &[&str]| match ask.request.text("fields") {
        Some(text) => fields::parse(&text.replace(char::is_whitespace, "")),
        None => Ok(fields::named(default)),
    };
    let media_of = |media: &crate::world::Media, wanted: &[Field]| -> Map<String, Value> {
        let comments = under(ask, |one| one.media == media.id && one.parent.is_none());
        let (time, caption) =
            if instagram { ("timestamp", "caption") } else { ("created_time", "message") };
        let full = json!({
            "id": media.id,
            time: graph_time(media.at),
            caption: media.caption,
            "media_type": instagram.then_some("IMAGE"),
            "comments_count": comments.len(),
            "comments": nested(ask, fields::find(wanted, "comments"), &comments),
        });
        full.as_object().cloned().unwrap_or_default()
    };
    if matches!(edge, "media" | "feed" | "posts") {
        if !ask.names_account(node) {
            return Err(GraphError::unsupported(node, "get"));
        }
        let wanted = wanted(&["id"])?;
        let mut media: Vec<_> =
            ask.world.media.values().filter(|media| media.account == ask.account).collect();
        media.sort_by_key(|media| std::cmp::Reverse(media.at));
        return page(ask, &media, |media| Ok(fields::select(media_of(media, &wanted), &wanted)));
    }
    if edge.is_empty() {
        let media = ask.world.media.get(node).filter(|media| media.account == ask.account);
        let Some(media) = media else { return Err(GraphError::unsupported(node, "get")) };
        let wanted = wanted(&["id"])?;
        return Ok(fields::select(media_of(media, &wanted), &wanted));
    }
    let under_comment = ask.world.comments.contains_key(node);
    if !under_comment && !ask.world.media.contains_key(node) {
        return Err(GraphError::unsupported(node, "get"));
    }
    let wanted = wanted(if instagram {
        &["id", "text", "timestamp"]
    } else {
        &["created_time", "from", "message", "id"]
    })?;
    let comments = under(ask, |comment| {
        let place = if under_comment {
            comment.parent.as_deref() == Some(node)
        } else {
            comment.media == node && comment.parent.is_none()
        };
        comment.account == ask.account && place
    });
    page(ask, &comments, |comment| Ok(fields::select(full(ask, comment, &wanted), &wanted)))
}
