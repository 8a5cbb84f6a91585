//! ◆ Pure: changes of object=instagram: comments, mentions, story figures (docs/meta-platform.md 6.2).

use schemas::facts::{Author, Comment, CommentAd, Mention, StoryInsights};
use schemas::meta::Node;
use schemas::meta::instagram::InstagramComment;
use schemas::{EventId, Fact};

use facts::ids;

use super::context::{Context, stamp};
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
    // A comment on a boosted post belongs to the post, whichever of the two Meta names first.
    let media_id = ad.original_media_id.clone().or(raw.media_id);
    let live = field == "live_comments" || raw.media_product_type.as_deref() == Some("LIVE");
    let comment = Comment {
        comment_id: comment_id.clone(),
        parent_id: raw.parent_id,
        media_id,
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
    let stated = context.when(raw.time);
    // Meta's time is that of the comment, which does not change with what is done to it.
    let delivered = context.when(None);
    let again = |verb: &str, hash: &str| again_id(context, &comment_id, verb, hash);
    let (id, when, fact) = match raw.verb.as_deref() {
        None | Some("add") => {
            (created_id(context, &comment_id), stated, Fact::CommentCreated(comment))
        }
        Some("edit" | "edited") => {
            (again("edited", &raw.hash), delivered, Fact::CommentEdited(comment))
        }
        Some("delete" | "deleted" | "remove") => {
            let id = change_id(context, &comment_id, "remove", &stamp(raw.time), &raw.hash);
            (id, stated, Fact::CommentDeleted(comment))
        }
        Some("hide") => (again("hide", ""), delivered, Fact::CommentHidden(comment)),
        Some("unhide") => (again("unhide", ""), delivered, Fact::CommentUnhidden(comment)),
        Some(_) => return context.unrecognized("unknown_item", &format!("{field}.verb")),
    };
    let mut draft = context.draft(id, when, None, fact);
    draft.event.data.is_self = by_account;
    vec![Output::Fact(draft)]
}

/// A comment is made once.
pub(super) fn created_id(context: &Context<'_>, comment_id: &str) -> EventId {
    ids::comment(context.channel(), &context.account.id, comment_id)
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

/// What may happen to a comment again and again, without a time of its own: hidden, shown, hidden are three facts.
pub(super) fn again_id(context: &Context<'_>, comment_id: &str, verb: &str, hash: &str) -> EventId {
    let delivered = context.delivery_stamp();
    context.id("comment.change", &[comment_id, verb, "delivered", &delivered, hash])
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
