//! What happens around the messages: marks of reading, acts of people at the inbox, the person, comments and posts.

use schemas::{Kind, Via};
use serde_json::json;

use super::Teller;

impl Teller {
    pub(super) fn watermarks(&mut self) {
        for kind in [Kind::MessageDelivered, Kind::MessageRead] {
            for n in 0..self.below(3) {
                let fields = json!({"watermark": self.moment()});
                let receipt = self.event(kind, &format!("watermark/{n}"), Via::Webhook, &fields);
                self.push(receipt);
            }
        }
    }

    pub(super) fn acts(&mut self) {
        let kinds = [
            (Kind::ConversationRead, json!({"by": "tester"})),
            (Kind::ConversationArchived, json!({})),
            (Kind::ConversationUnarchived, json!({})),
            (Kind::ConversationAssigned, json!({"assigned_to": self.one_of(&["ann", "bob"])})),
            (Kind::ConversationAssigned, json!({})),
            (
                Kind::ConversationLabelled,
                json!({"label": self.one_of(&["vip", "later"]), "by": "tester"}),
            ),
            (Kind::ConversationUnlabelled, json!({"label": self.one_of(&["vip", "later"])})),
            (
                Kind::ConversationNoted,
                json!({"note_id": self.one_of(&["nte_1", "nte_2"]), "text": self.word(), "by": "tester"}),
            ),
            (
                Kind::ConversationSnoozed,
                json!({"until": self.moment(), "last_message_at": self.moment()}),
            ),
            (Kind::ConversationSnoozed, json!({})),
            (Kind::ContactBlocked, json!({"name": "pest", "reason": "spam", "by": "tester"})),
            (Kind::ContactUnblocked, json!({})),
        ];
        for (kind, fields) in kinds {
            for n in 0..self.below(3) {
                let act = self.event(kind, &format!("{n}/{fields}"), Via::Api, &fields);
                self.push(act);
            }
        }
    }

    pub(super) fn person(&mut self) {
        if self.chance(70) {
            let fields = json!({
                "placeholder": format!("User {}", self.n), "last_interaction_at": self.chance(30).then(|| self.moment()),
            });
            let found = self.event(Kind::ContactDiscovered, "person", Via::Webhook, &fields);
            self.push(found);
        }
        for n in 0..self.below(3) {
            let fields =
                json!({"name": format!("Ann {n}"), "username": "ann", "source": "graph.instagram"});
            let profile =
                self.event(Kind::ContactEnriched, &format!("{n}"), Via::Reconcile, &fields);
            self.push(profile);
        }
        if self.chance(10) {
            let fields = json!({"referral": {"source": "SHORTLINK", "ref": "x"}});
            let referral = self.event(Kind::ReferralReceived, "link", Via::Webhook, &fields);
            self.push(referral);
        }
    }

    pub(super) fn comments(&mut self) {
        let id = format!("comment.{}", self.n);
        let author = json!({"id": "77", "username": "eva"});
        let kinds = [
            (
                Kind::CommentCreated,
                json!({"comment_id": id, "media_id": "m1", "author": author, "text": self.word()}),
            ),
            (Kind::CommentEdited, json!({"comment_id": id, "text": self.word()})),
            (Kind::CommentDeleted, json!({"comment_id": id})),
            (Kind::CommentHidden, json!({"comment_id": id, "post_id": "p1"})),
            (Kind::CommentUnhidden, json!({"comment_id": id})),
            (Kind::CommentReacted, json!({"comment_id": id, "author": author, "reaction": "love"})),
            (Kind::CommentUnreacted, json!({"comment_id": id, "author": author})),
        ];
        for (kind, fields) in kinds {
            let most = if kind == Kind::CommentDeleted { 2 } else { 3 };
            for n in 0..self.below(most) {
                let mut event = self.event(kind, &format!("{n}"), Via::Webhook, &fields);
                event.data.contact_id = None;
                event.data.conversation_id = None;
                self.push(event);
            }
        }
    }

    pub(super) fn posts(&mut self) {
        for n in 0..self.below(3) {
            let verb = self.one_of(&["add", "edited", "hide", "unhide", "remove"]);
            let fields = json!({"post_id": format!("post.{}", self.n), "item": "status", "verb": verb, "text": self.word()});
            let post = self.event(Kind::PostChanged, &format!("post/{n}"), Via::Webhook, &fields);
            self.push(post);
            let fields = json!({"post_id": format!("post.{}", self.n), "verb": self.one_of(&["add", "remove"]),
                                "reaction": "love", "author": {"id": "7"}});
            let liked = self.event(Kind::PostReacted, &format!("like/{n}"), Via::Webhook, &fields);
            self.push(liked);
            let fields =
                json!({"post_id": "elsewhere", "item": "post", "verb": "add", "text": self.word()});
            let mention = self.event(Kind::MentionCreated, &format!("{n}"), Via::Webhook, &fields);
            self.push(mention);
            let fields = json!({"object": "account", "metric": "reach", "period": "day", "values": [{"value": self.below(9)}]});
            let figure = self.event(Kind::InsightsCaptured, &format!("{n}"), Via::Command, &fields);
            self.push(figure);
        }
    }
}
