//! ◆ Pure: changes of object=instagram: comments, mentions, story figures (`docs/meta-platform.md` 6.2).

use schemas::facts::{Author, Comment, CommentAd, Mention, StoryInsights};
use schemas::meta::Node;
use schemas::meta::instagram::InstagramComment;
use schemas::{EventId, Fact};

use super::context::Context;
use super::output::Output;

/// A comment. Meta documents creation only; verbs are taken where they come.
pub(super) fn comment(context: &Context<'_>, node: &Node<'_>, field: &str) -> Vec<Output> {
    let raw = InstagramComment::read(node);
    let Some(comment_id) = raw.id else { return context.unrecognized("invalid_item", field) };
    let by_account = raw.self_ig_scoped_id.is_some()
        || raw.from_id.as_deref().is_some_and(|id| context.account.is_self(id));
    let ad = CommentAd {
        ad_id: raw.ad_id,
        ad_title: raw.ad_title,
        original_media_id: raw.original_media_id,
    };
    let live = field == "live_comments" || raw.media_product_type.as_deref() == Some("LIVE");
    let comment = Comment {
        comment_id: comment_id.clone(),
        parent_id: raw.parent_id,
        media_id: raw.media_id,
        author: Author {
            id: raw.from_id,
            username: raw.from_username,
            is_self: by_account.then_some(true),
        },
        text: raw.text,
        live: live.then_some(true),
        ad: (ad != CommentAd::default()).then_some(ad),
        media_product_type: raw.media_product_type,
        ..Comment::default()
    };
    let stamp = raw.time.map(|time| time.as_millis().to_string()).unwrap_or_default();
    let change = |verb: &str| change_id(context, &comment_id, verb, &stamp, &raw.hash);
    let (id, fact) = match raw.verb.as_deref() {
        None | Some("add") => (created_id(context, &comment_id), Fact::CommentCreated(comment)),
        Some("edit" | "edited") => (change("edited"), Fact::CommentEdited(comment)),
        Some("delete" | "deleted" | "remove") => (change("remove"), Fact::CommentDeleted(comment)),
        Some("hide") => (change("hide"), Fact::CommentHidden(comment)),
        Some("unhide") => (change("unhide"), Fact::CommentUnhidden(comment)),
        Some(_) => return context.unrecognized("unknown_item", &format!("{field}.verb")),
    };
    let mut draft = context.draft(id, context.when(raw.time), None, fact);
    draft.event.data.is_self = by_account;
    vec![Output::Fact(draft)]
}

/// A comment is made once.
pub(super) fn created_id(context: &Context<'_>, comment_id: &str) -> EventId {
    context.id("comment", &[comment_id])
}

/// What happens to a comment later: distinguished by verb, Meta's own time and content, never by the time of delivery.
pub(super) fn change_id(
    context: &Context<'_>,
    comment_id: &str,
    verb: &str,
    stamp: &str,
    hash: &str,
) -> EventId {
    context.id("comment.change", &[comment_id, verb, stamp, hash])
}

/// Somebody mentioned the account; ids only.
pub(super) fn mention(context: &Context<'_>, node: &Node<'_>) -> Vec<Output> {
    let (media_id, comment_id) = (node.id("media_id"), node.id("comment_id"));
    if media_id.is_none() && comment_id.is_none() {
        return context.unrecognized("invalid_item", "mentions");
    }
    let key = [media_id.as_deref().unwrap_or_default(), comment_id.as_deref().unwrap_or_default()];
    let id = context.id("mention", &key);
    let fact = Fact::MentionCreated(Mention { media_id, comment_id, ..Mention::default() });
    context.fact(id, context.when(node.time("timestamp")), None, fact)
}

/// A story ended.
pub(super) fn story_insights(context: &Context<'_>, node: &Node<'_>) -> Vec<Output> {
    let Some(media_id) = node.id("media_id") else {
        return context.unrecognized("invalid_item", "story_insights");
    };
    let id = context.id("story_insights", &[&media_id]);
    let fact = Fact::StoryInsights(StoryInsights {
        media_id,
        impressions: node.integer("impressions"),
        reach: node.integer("reach"),
        taps_forward: node.integer("taps_forward"),
        taps_back: node.integer("taps_back"),
        exits: node.integer("exits"),
        replies: node.integer("replies"),
    });
    context.fact(id, context.when(node.time("timestamp")), None, fact)
}
