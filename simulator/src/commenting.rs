//! Public comments of people, and the webhooks Meta writes for them (docs/meta-platform.md 6.2, 7.2).

use std::sync::Arc;

use crate::act::Act;
use crate::json::Node;
use crate::model::{AccountKey, Channel, Comment, Login};
use crate::outbox::Tracked;
use crate::payload::{self, Envelope, FeedVerb, Item};
use crate::people::{Person, Telling};
use crate::shared::Shared;

impl Person {
    /// Comments on a media or post of the account ([`crate::AccountHandle::media`]).
    pub fn comments(&self, media: &str, text: &str) -> Act {
        self.comments_under(media, None, text)
    }

    /// Answers a comment publicly.
    pub fn answers_comment(&self, comment: impl AsRef<str>, text: &str) -> Act {
        let comment = comment.as_ref();
        let media = {
            let world = self.shared().world();
            world.comments.get(comment).map(|known| known.media.clone()).unwrap_or_default()
        };
        self.comments_under(&media, Some(comment), text)
    }

    fn comments_under(&self, media: &str, parent: Option<&str>, text: &str) -> Act {
        let at = self.time();
        let account = self.account().clone();
        let comment = {
            let mut world = self.shared().world();
            world.add_comment(&account, media, parent, Some(self.id()), text, at)
        };
        self.comment_act(&comment, FeedVerb::Add)
    }

    /// Edits a comment. Instagram sends no webhook for it.
    pub fn edits_comment(&self, comment: impl AsRef<str>, text: &str) -> Option<Act> {
        let changed =
            self.change_comment(comment.as_ref(), |known| known.text = text.to_owned())?;
        Some(self.comment_act(&changed, FeedVerb::Edited))
    }

    /// Deletes a comment. Instagram sends no webhook for it.
    pub fn deletes_comment(&self, comment: impl AsRef<str>) -> Option<Act> {
        let changed = self.change_comment(comment.as_ref(), |known| known.deleted = true)?;
        Some(self.comment_act(&changed, FeedVerb::Remove))
    }

    fn change_comment(&self, id: &str, change: impl FnOnce(&mut Comment)) -> Option<Comment> {
        let mut world = self.shared().world();
        let comment = world.comments.get_mut(id)?;
        change(comment);
        Some(comment.clone())
    }

    fn comment_act(&self, comment: &Comment, verb: FeedVerb) -> Act {
        let envelope =
            if self.envelope() == Envelope::Flat { Envelope::Flat } else { Envelope::Changes };
        let groups = match comment_item(self.shared(), comment, verb) {
            Some((field, node)) if *self.telling() != Telling::Silent => {
                let order = comment.media.clone();
                vec![vec![self.tracked(field, envelope, order, node)]]
            }
            _ => Vec::new(),
        };
        self.act(None, Some(comment.id.clone()), groups)
    }
}

/// The change that reports this; none when Meta sends no webhook.
fn comment_item(
    shared: &Shared,
    comment: &Comment,
    verb: FeedVerb,
) -> Option<(&'static str, Node)> {
    let world = shared.world();
    let (id, name) = world.author(comment);
    match comment.account.channel {
        Channel::Messenger => {
            Some(("feed", payload::page_comment(comment, verb, (&id, &name), shared.now())))
        }
        Channel::Instagram if verb == FeedVerb::Add => {
            let own = comment.person.is_none().then(|| world.own_scoped_id(&comment.account));
            let node = payload::instagram_comment(comment, (&id, &name), own.as_deref());
            Some(("comments", node))
        }
        Channel::Instagram => None,
    }
}

/// Sends the webhook for what the account did to a comment through Graph.
pub(crate) fn report_comment(
    shared: &Arc<Shared>,
    comment: &Comment,
    login: Login,
    verb: FeedVerb,
) {
    let Some((field, node)) = comment_item(shared, comment, verb) else { return };
    let account: AccountKey = comment.account.clone();
    let order = format!("{}/{}", account.id, comment.media);
    let item = Item { account, order, envelope: Envelope::Changes, field, node };
    shared.send_items(vec![Tracked::new(item, login)]);
}
