//! ◆ Pure: what is left of a fact about messages that were unsent: ids and times, not what somebody said.

use super::message::ReplyTo;
use super::{Fact, Reply};
use crate::MessageId;

impl Fact {
    /// Takes out what the messages said for which `unsent` holds. Of a reply of several parts the text as a whole goes with the first of them.
    /// Whether anything was there to take out.
    pub fn erase_content(&mut self, unsent: impl Fn(&MessageId) -> bool) -> bool {
        let before = self.clone();
        match self {
            Self::MessageReceived(message) | Self::MessageSent(message)
                if unsent(&message.message_id) =>
            {
                message.text = None;
                message.attachments = Vec::new();
                message.quick_reply = None;
                message.metadata = None;
                erase_story(&mut message.reply_to);
            }
            Self::MessageEdited(edit) if unsent(&edit.message_id) => edit.text = None,
            Self::ReplySent(reply) | Self::ReplyFailed(reply) | Self::ReplyUnknown(reply) => {
                erase_parts(reply, unsent);
            }
            _ => {}
        }
        *self != before
    }
}

fn erase_parts(reply: &mut Reply, unsent: impl Fn(&MessageId) -> bool) {
    let gone = reply.parts.iter_mut().filter(|part| part.message_id.as_ref().is_some_and(&unsent));
    let mut any = false;
    for part in gone {
        part.text = None;
        any = true;
    }
    if any {
        reply.text = None;
        reply.attachments = Vec::new();
        erase_story(&mut reply.reply_to);
    }
}

/// The picture of a story is content; which story it was is not.
pub fn erase_story(reply_to: &mut Option<ReplyTo>) {
    if let Some(story) = reply_to.as_mut().and_then(|quoted| quoted.story.as_mut()) {
        story.url = None;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn left(kind: Kind, fields: serde_json::Value) -> serde_json::Value {
        let serde_json::Value::Object(fields) = fields else { panic!("an object") };
        let mut fact = Fact::from_fields(kind, fields).unwrap();
        let erased = fact.erase_content(|mid| mid.as_str() == "gone");
        assert!(!fact.clone().erase_content(|mid| mid.as_str() == "gone"), "once is enough");
        json!([erased, fact.to_fields().unwrap()])
    }

    #[test]
    fn ids_stay_and_words_go() {
        let story = json!({"message_id": "gone", "text": "words", "attachments": [{"type": "image", "url": "https://x"}],
                           "reply_to": {"story": {"id": "7", "url": "https://y"}}});
        let expected = json!([true, {"message_id": "gone", "reply_to": {"story": {"id": "7"}}}]);
        assert_eq!(left(Kind::MessageReceived, story), expected);
        let edit = json!({"message_id": "gone", "text": "words", "edit_number": 2});
        let expected = json!([true, {"message_id": "gone", "edit_number": 2}]);
        assert_eq!(left(Kind::MessageEdited, edit), expected);
        let other = json!({"message_id": "there", "text": "words"});
        assert_eq!(left(Kind::MessageReceived, other.clone()), json!([false, other]));
    }

    #[test]
    fn of_a_reply_the_parts_that_are_there_keep_their_words() {
        let part =
            |n: u32, mid: &str| json!({"n": n, "message_id": mid, "state": "sent", "text": mid});
        let reply = json!({"reply_id": "rpl_1", "text": "gone there", "attempts": 1, "parts": [part(0, "gone"), part(1, "there")]});
        let both = left(Kind::ReplySent, reply);
        let (erased, left) = (&both[0], &both[1]);
        assert_eq!((erased, &left["text"]), (&json!(true), &serde_json::Value::Null));
        assert_eq!(left["parts"][0].get("text"), None);
        assert_eq!(left["parts"][1]["text"], "there");
    }
}
