//! What people do in their thread: write, edit, unsend, react, read, tap.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Person, Telling};
use crate::act::Act;
use crate::model::{Message, Side};
use crate::outbox::Tracked;
use crate::payload::{self, Content};

impl Person {
    /// Writes a text (emoji welcome).
    pub fn says(&self, text: &str) -> Act {
        self.sends(Content { text: Some(text.to_owned()), ..Content::default() })
    }

    /// Sends one attachment by URL: `image`, `video`, `audio`, `file`, `share`, ….
    pub fn sends_attachment(&self, kind: &str, url: &str) -> Act {
        let attachment = json!({"type": kind, "payload": {"url": url}});
        self.sends(Content { attachments: vec![attachment], ..Content::default() })
    }

    /// Answers a message with a text that quotes it.
    pub fn answers(&self, quoted: impl AsRef<str>, text: &str) -> Act {
        let reply_to = Some(quoted.as_ref().to_owned());
        self.sends(Content { text: Some(text.to_owned()), reply_to, ..Content::default() })
    }

    /// Taps a quick reply.
    pub fn taps_quick_reply(&self, title: &str, payload: &str) -> Act {
        let quick_reply = Some(payload.to_owned());
        self.sends(Content { text: Some(title.to_owned()), quick_reply, ..Content::default() })
    }

    /// Writes after a click on an ad.
    pub fn says_from_ad(&self, text: &str, ad_id: &str, reference: &str) -> Act {
        let referral =
            json!({"ref": reference, "ad_id": ad_id, "source": "ADS", "type": "OPEN_THREAD"});
        let extra = vec![("referral".to_owned(), referral)];
        self.sends(Content { text: Some(text.to_owned()), extra, ..Content::default() })
    }

    /// Sends something the API cannot show.
    pub fn sends_unsupported(&self) -> Act {
        let extra = vec![("is_unsupported".to_owned(), Value::Bool(true))];
        self.sends(Content { extra, ..Content::default() })
    }

    /// Sends any message.
    pub fn sends(&self, content: Content) -> Act {
        let (mid, at) = self.write(|_, message| {
            message.text.clone_from(&content.text);
            message.attachments.clone_from(&content.attachments);
            message.reply_to.clone_from(&content.reply_to);
        });
        let groups = self.message_groups(&mid, at, &content);
        self.act(Some(mid), None, groups)
    }

    /// Creates the message at Meta and opens the window.
    fn write(
        &self,
        fill: impl FnOnce(&mut crate::world::World, &mut Message),
    ) -> (String, DateTime<Utc>) {
        let mut world = self.shared.world();
        let at = world.next_time(&self.id, self.time(), self.moved.is_some());
        let Some(person) = world.people.get_mut(&self.id) else {
            return (String::new(), at);
        };
        person.window_opened = Some(person.window_opened.map_or(at, |opened| opened.max(at)));
        let person = person.clone();
        let mid = world.mint_mid(&person, at);
        let mut message = world.blank(&mid, &person, Side::Person, at);
        message.lookup = self.lookup;
        message.listed = self.listed;
        fill(&mut world, &mut message);
        world.insert_message(message);
        (mid, at)
    }

    fn message_groups(
        &self,
        mid: &str,
        at: DateTime<Utc>,
        content: &Content,
    ) -> Vec<Vec<Arc<Tracked>>> {
        let parties = self.parties(at);
        let plain = || self.item("messages", payload::message(parties, mid, content));
        let hint = |sender| self.item("message_edit", payload::hint(parties, mid, sender));
        match self.chosen_telling() {
            Telling::ByRate | Telling::Plain => vec![vec![plain()]],
            Telling::OnlyHint { sender } => vec![vec![hint(sender)]],
            Telling::Silent => Vec::new(),
            Telling::Companion { sender, first, together } => {
                let mut pair = vec![plain(), hint(sender)];
                if first {
                    pair.reverse();
                }
                if together { vec![pair] } else { pair.into_iter().map(|one| vec![one]).collect() }
            }
        }
    }

    fn chosen_telling(&self) -> Telling {
        if self.telling != Telling::ByRate {
            return self.telling;
        }
        let policy = self.shared.policy();
        if self.shared.chance(policy.senderless_rate) {
            Telling::OnlyHint { sender: false }
        } else if self.shared.chance(policy.companion_rate) {
            Telling::Companion {
                sender: self.shared.chance(0.5),
                first: self.shared.chance(0.5),
                together: self.shared.chance(0.5),
            }
        } else {
            Telling::Plain
        }
    }

    /// Edits a message; one that Meta does not know is edited all the same.
    pub fn edits(&self, message: impl AsRef<str>, text: &str) -> Act {
        let mid = message.as_ref();
        let mut number = 1;
        if let Some(message) = self.shared.world().messages.get_mut(mid) {
            message.edits += 1;
            message.text = Some(text.to_owned());
            number = message.edits;
        }
        let node = payload::edit(self.parties(self.time()), mid, text, number);
        self.act_on(mid, self.item("message_edit", node))
    }

    /// Unsends a message.
    pub fn unsends(&self, message: impl AsRef<str>) -> Act {
        let mid = message.as_ref();
        if let Some(message) = self.shared.world().messages.get_mut(mid) {
            message.deleted = true;
            message.text = None;
            message.attachments.clear();
        }
        let node = payload::deleted(self.parties(self.time()), mid);
        self.act_on(mid, self.item("messages", node))
    }

    /// Reacts with an emoji.
    pub fn reacts(&self, message: impl AsRef<str>, emoji: &str) -> Act {
        let mid = message.as_ref();
        if let Some(message) = self.shared.world().messages.get_mut(mid) {
            message.reactions.insert(self.id.clone(), emoji.to_owned());
        }
        let given = Some((reaction_name(emoji), emoji));
        let node = payload::reaction(self.parties(self.time()), mid, given);
        self.act_on(mid, self.item("message_reactions", node))
    }

    /// Takes the reaction back.
    pub fn unreacts(&self, message: impl AsRef<str>) -> Act {
        let mid = message.as_ref();
        if let Some(message) = self.shared.world().messages.get_mut(mid) {
            message.reactions.remove(&self.id);
        }
        let node = payload::reaction(self.parties(self.time()), mid, None);
        self.act_on(mid, self.item("message_reactions", node))
    }

    /// Reads a message of the account (Messenger: everything up to it).
    pub fn reads(&self, message: impl AsRef<str>) -> Act {
        let mid = message.as_ref();
        let at = self.time();
        let watermark = self.shared.world().messages.get(mid).map_or(at, |message| message.at);
        let node = payload::read(self.parties(at), self.account.channel, mid, watermark);
        self.act_on(mid, self.item("messaging_seen", node))
    }

    /// Taps a button, menu entry or ice breaker.
    pub fn taps(&self, title: &str, payload_text: &str) -> Act {
        let (mid, at) = self.write(|_, message| message.text = Some(title.to_owned()));
        let node = payload::postback(self.parties(at), &mid, title, payload_text);
        self.act_on(&mid, self.item("messaging_postbacks", node))
    }

    /// Opens a link of the account in the thread.
    pub fn follows_link(&self, reference: &str) -> Act {
        let parties = self.parties(self.time());
        let node = payload::referral(parties, self.account.channel, reference);
        self.act(None, None, vec![vec![self.item("messaging_referral", node)]])
    }

    /// Any messaging item of this person: `payload` is put beside sender, recipient and timestamp.
    pub fn does(&self, key: &str, payload: Value) -> Act {
        let parties = self.parties(self.time());
        let head = crate::json::object([
            ("sender", crate::json::object([("id", parties.sender.into())])),
            ("recipient", crate::json::object([("id", parties.recipient.into())])),
            ("timestamp", parties.at.timestamp_millis().into()),
        ]);
        self.act(None, None, vec![vec![self.item("messages", head.with(key, payload))]])
    }

    fn act_on(&self, mid: &str, item: Arc<Tracked>) -> Act {
        self.act(Some(mid.to_owned()), None, vec![vec![item]])
    }
}

/// Meta's name for an emoji (docs/meta-platform.md 6.1, 7.1).
fn reaction_name(emoji: &str) -> &'static str {
    match emoji {
        "❤" | "❤️" => "love",
        "👍" => "like",
        "😂" | "😆" => "laugh",
        "😮" => "wow",
        "😢" => "sad",
        "😠" | "😡" => "angry",
        _ => "other",
    }
}
