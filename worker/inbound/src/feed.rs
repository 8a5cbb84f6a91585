//! ◆ Pure: changes of object=page: comments, reactions, posts, mentions, ratings, templates (docs/meta-platform.md 7.2).

use schemas::Fact;
use schemas::facts::{
    Attachment, Author, Comment, CommentReaction, Mention, PostChanged, PostReacted, Rating,
    TemplateStatus,
};
use schemas::meta::Node;
use schemas::meta::messenger::FeedChange;

use super::context::{Context, stamp};
use super::instagram::{again_id, change_id, created_id};
use super::output::Output;

/// A `feed` change.
pub(super) fn change(context: &Context<'_>, node: &Node<'_>) -> Vec<Output> {
    let change = FeedChange::read(node);
    match change.item.as_str() {
        "comment" => comment(context, change),
        "reaction" | "like" => reaction(context, change),
        "post" | "status" | "photo" | "video" | "share" | "album" | "event" | "link" | "note"
        | "story" | "reel" => post(context, change),
        _ => context.unrecognized("unknown_item", "feed.item"),
    }
}

fn author(context: &Context<'_>, change: &FeedChange) -> Author {
    let by_account = change.from_id.as_deref().is_some_and(|id| context.account.is_self(id));
    Author {
        id: change.from_id.clone(),
        username: change.from_name.clone(),
        is_self: by_account.then_some(true),
    }
}

/// One fact, marked when the account itself acted.
fn own(mut outputs: Vec<Output>, by_account: bool) -> Vec<Output> {
    for output in &mut outputs {
        if let Output::Fact(draft) = output {
            draft.event.data.is_self = by_account;
        }
    }
    outputs
}

/// The picture, sticker or film of a comment.
fn attachment(change: &FeedChange) -> Option<Attachment> {
    let of = |kind: &str, url: &Option<String>| {
        url.clone().map(|url| Attachment {
            kind: kind.to_owned(),
            url: Some(url),
            ..Attachment::default()
        })
    };
    of("image", &change.photo).or_else(|| of("video", &change.video))
}

fn comment(context: &Context<'_>, change: FeedChange) -> Vec<Output> {
    let Some(comment_id) = change.comment_id.clone() else {
        return context.unrecognized("invalid_item", "feed.comment");
    };
    let author = author(context, &change);
    let by_account = author.is_self.is_some();
    // A comment on the post itself names the post as its parent.
    let parent_id =
        change.parent_id.clone().filter(|parent| change.post_id.as_ref() != Some(parent));
    let mut comment = Comment {
        comment_id: comment_id.clone(),
        parent_id,
        post_id: change.post_id.clone(),
        author,
        text: change.message.clone(),
        photo: change.photo.clone(),
        attachment: attachment(&change),
        ..Comment::default()
    };
    let later = |verb: &str| {
        let time = stamp(change.edited_time.or(change.created_time));
        change_id(context, &comment_id, verb, &time, &change.hash)
    };
    let created = context.when(change.created_time);
    // Nothing says when a comment was hidden or removed: `created_time` is that of the comment.
    let delivered = context.when(None);
    let (id, when, fact) = match change.verb.as_str() {
        "add" => (created_id(context, &comment_id), created, Fact::CommentCreated(comment)),
        "edit" | "edited" => {
            comment.created_at = change.created_time;
            let id = match change.edited_time {
                Some(_) => later("edited"),
                None => again_id(context, &comment_id, "edited", &change.hash),
            };
            (id, context.when(change.edited_time), Fact::CommentEdited(comment))
        }
        "remove" | "delete" => (later("remove"), delivered, Fact::CommentDeleted(comment)),
        "hide" => {
            (again_id(context, &comment_id, "hide", ""), delivered, Fact::CommentHidden(comment))
        }
        "unhide" => (
            again_id(context, &comment_id, "unhide", ""),
            delivered,
            Fact::CommentUnhidden(comment),
        ),
        _ => return context.unrecognized("unknown_item", "feed.comment.verb"),
    };
    own(context.fact(id, when, None, fact), by_account)
}

/// The natural key of feed changes that have no id of their own.
fn feed_id(context: &Context<'_>, change: &FeedChange) -> schemas::EventId {
    let object = change.comment_id.as_deref().or(change.post_id.as_deref()).unwrap_or_default();
    let from = change.from_id.as_deref().unwrap_or_default();
    context.id(
        "feed",
        &[&change.item, &change.verb, object, from, &stamp(change.created_time), &change.hash],
    )
}

fn reaction(context: &Context<'_>, change: FeedChange) -> Vec<Output> {
    let id = feed_id(context, &change);
    let author = author(context, &change);
    let by_account = author.is_self.is_some();
    let when = context.when(change.created_time);
    let reaction =
        change.reaction_type.clone().or_else(|| (change.item == "like").then(|| "like".to_owned()));
    if let Some(comment_id) = change.comment_id {
        let body = CommentReaction {
            comment_id,
            parent_id: change.parent_id.filter(|parent| change.post_id.as_ref() != Some(parent)),
            post_id: change.post_id,
            author,
            reaction,
            ..CommentReaction::default()
        };
        let fact = match change.verb.as_str() {
            "add" | "edit" | "edited" => Fact::CommentReacted(body),
            "remove" => Fact::CommentUnreacted(body),
            _ => return context.unrecognized("unknown_item", "feed.reaction.verb"),
        };
        return own(context.fact(id, when, None, fact), by_account);
    }
    let Some(post_id) = change.post_id else {
        return context.unrecognized("invalid_item", "feed.reaction");
    };
    let fact = Fact::PostReacted(PostReacted { post_id, verb: change.verb, reaction, author });
    own(context.fact(id, when, None, fact), by_account)
}

fn post(context: &Context<'_>, change: FeedChange) -> Vec<Output> {
    let id = feed_id(context, &change);
    let author = author(context, &change);
    let by_account = author.is_self.is_some();
    // `created_time` is that of the post; only its appearance happened then.
    let stated = if change.verb == "add" { change.created_time } else { change.edited_time };
    let when = context.when(stated);
    let mut photos = change.photos;
    if photos.is_empty() {
        photos.extend(change.photo);
    }
    let fact = Fact::PostChanged(PostChanged {
        post_id: change.post_id,
        item: change.item,
        verb: change.verb,
        author,
        text: change.message,
        link: change.link,
        photos,
        video_id: change.video_id,
        published: change.published,
    });
    own(context.fact(id, when, None, fact), by_account)
}

/// A `mention` change: somebody mentioned the Page.
pub(super) fn mention(context: &Context<'_>, node: &Node<'_>) -> Vec<Output> {
    let change = FeedChange::read(node);
    if change.post_id.is_none() && change.comment_id.is_none() {
        return context.unrecognized("invalid_item", "mention");
    }
    let object = change.comment_id.as_deref().or(change.post_id.as_deref()).unwrap_or_default();
    let id =
        context.id("mention", &[&change.item, &change.verb, object, &stamp(change.created_time)]);
    let author = author(context, &change);
    let when = context.when(change.created_time);
    let by_account = author.is_self.is_some();
    let fact = Fact::MentionCreated(Mention {
        media_id: None,
        comment_id: change.comment_id,
        post_id: change.post_id,
        item: Some(change.item).filter(|item| !item.is_empty()),
        verb: Some(change.verb).filter(|verb| !verb.is_empty()),
        text: change.message,
        author,
    });
    own(context.fact(id, when, None, fact), by_account)
}

/// A `ratings` change: a recommendation or review.
pub(super) fn rating(context: &Context<'_>, node: &Node<'_>) -> Vec<Output> {
    let created = node.time("created_time");
    let id = context.id("rating", &[&stamp(created), &node.hash()]);
    let fact = Fact::RatingReceived(Rating {
        verb: node.text("verb"),
        item: node.text("item"),
        reviewer_id: node.id("reviewer_id"),
        reviewer_name: node.text("reviewer_name"),
        recommendation_type: node.text("recommendation_type"),
        rating: node.integer("rating"),
        review_text: node.text("review_text"),
        open_graph_story_id: node.id("open_graph_story_id"),
        comment_id: node.id("comment_id"),
    });
    context.fact(id, context.when(created), None, fact)
}

/// The state of a message template; the names of its keys are not documented in one way.
pub(super) fn template_status(context: &Context<'_>, node: &Node<'_>) -> Vec<Output> {
    let any = |names: [&str; 3]| names.into_iter().find_map(|name| node.id(name));
    let body = TemplateStatus {
        template_id: any(["message_template_id", "template_id", "id"]),
        name: any(["message_template_name", "template_name", "name"]),
        language: any(["message_template_language", "template_language", "language"]),
        status: any(["event", "status", "new_status"]),
        reason: node.text("reason"),
    };
    if body.template_id.is_none() && body.name.is_none() {
        return context.unrecognized("invalid_item", "message_template_status_update");
    }
    let changed = node.time("timestamp").or_else(|| node.time("updated_time"));
    let id = context.id("template_status", &[&stamp(changed), &node.hash()]);
    context.fact(id, context.when(changed), None, Fact::TemplateStatusChanged(body))
}
