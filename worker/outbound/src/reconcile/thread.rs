//! ◆ Pure: what a thread that was read shows of the account's own messages.

use std::time::Duration;

use schemas::Timestamp;

use crate::matching::{Item, SKEW};
use facts::accounts::directory::Account;
use facts::follow_up::content;
use graph::{Conversation, MESSAGES_SHOWN};

/// The thread of one person. Graph has narrowed to them; checked again, for a wrong thread would prove a wrong absence.
pub(super) fn of_contact<'a>(
    threads: &'a [Conversation],
    contact: &str,
) -> Option<&'a Conversation> {
    threads.iter().find(|thread| {
        thread.participants.iter().any(|party| party.id.as_deref() == Some(contact))
            || thread.messages.iter().any(|message| {
                message
                    .to
                    .iter()
                    .chain(&message.from)
                    .any(|party| party.id.as_deref() == Some(contact))
            })
    })
}

/// The account's own messages of a thread, and whether the read is complete: it reaches back before `since`, also where the clocks differ
/// by `skew`, and withholds nothing since.
pub(super) fn own_messages(
    thread: &Conversation,
    account: &Account,
    contact: &str,
    since: Timestamp,
    skew: Duration,
) -> (Vec<Item>, bool) {
    let before = since.minus(SKEW + skew);
    // Where these are all there are, clocks do not matter: one from before the attempt shows that something was read, and what is newer
    // is not left out. Nothing at all proves nothing: whoever is answered has written before.
    let all = thread.messages.len() < MESSAGES_SHOWN && !thread.more;
    let reaches = if all { since } else { before };
    let (mut reaches_back, mut withheld, mut items) = (false, false, Vec::new());
    for message in &thread.messages {
        let time = message.created_time;
        reaches_back |= time.is_some_and(|time| time < reaches);
        let from = message.from.as_ref().and_then(|party| party.id.as_deref());
        match (from, time) {
            (Some(from), _) if from == contact && !account.is_self(from) => {}
            // Instagram may name the account by an app-scoped id: whoever is not the person is the account, in a thread of two.
            (Some(_), Some(time)) => items.push(Item {
                id: message.id.to_string(),
                content: content::of_message(message.text.as_deref(), &message.attachments),
                peer: contact.to_owned(),
                time,
                claimed: false,
                early: false,
            }),
            // One whose author or time Graph withholds could be the one.
            _ => withheld |= time.is_none_or(|time| before <= time),
        }
    }
    (items, reaches_back && !withheld)
}

#[cfg(test)]
mod tests {
    use schemas::Channel;

    use super::*;
    use crate::decide::Look;
    use crate::matching::Wanted;
    use facts::accounts::directory::Login;
    use graph::{FoundMessage, Party};

    const CONTACT: &str = "5200000000000011";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
    }

    fn account() -> Account {
        Account {
            channel: Channel::Instagram,
            id: "17841400000000101".into(),
            login: Login::Instagram,
            app: None,
            page_id: None,
            handle: None,
            aliases: Vec::new(),
            name: None,
            auto_reply: None,
            stopped: false,
        }
    }

    fn message(id: &str, from: &str, text: &str, time: i64) -> FoundMessage {
        FoundMessage {
            id: id.into(),
            created_time: Some(at(time)),
            from: Some(Party { id: Some(from.to_owned()), username: None }),
            text: Some(text.to_owned()),
            detailed: true,
            ..FoundMessage::default()
        }
    }

    fn look(messages: Vec<FoundMessage>) -> Look {
        look_at(Conversation { messages, ..Conversation::default() })
    }

    fn look_at(thread: Conversation) -> Look {
        let wanted = Wanted {
            key: "k".to_owned(),
            content: content::of_text("ok"),
            peer: CONTACT.to_owned(),
            first_at: at(100),
            deadline: at(120),
            in_flight: false,
        };
        let (items, complete) =
            own_messages(&thread, &account(), CONTACT, wanted.first_at, Duration::ZERO);
        wanted.look(&items, complete, Duration::ZERO)
    }

    #[test]
    fn our_text_after_the_attempt_began_is_found_even_under_an_app_scoped_id() {
        let found = look(vec![
            message("m2", "25500000000000101", "ok", 101),
            message("m1", CONTACT, "ok", 99),
        ]);
        assert_eq!(found, Look::Found { item_id: Some("m2".to_owned()), time: Some(at(101)) });
    }

    /// What the person wrote before the attempt.
    fn question() -> FoundMessage {
        message("m0", CONTACT, "open?", 99)
    }

    #[test]
    fn the_persons_own_words_are_never_ours() {
        let words = message("m1", CONTACT, "ok", 101);
        assert_eq!(look(vec![words.clone(), question()]), Look::Absent);
        // Whatever they sent, and whenever: it is not ours.
        let sticker = FoundMessage { text: None, created_time: None, ..words };
        assert_eq!(look(vec![sticker, question()]), Look::Absent);
    }

    #[test]
    fn a_read_that_does_not_reach_back_proves_nothing() {
        assert_eq!(look(Vec::new()), Look::Inconclusive);
        assert_eq!(look(vec![message("m1", CONTACT, "hi", 101)]), Look::Inconclusive);
        assert_eq!(look(vec![question()]), Look::Absent);
        let part = Conversation { messages: vec![question()], more: true, ..Default::default() };
        assert_eq!(look_at(part.clone()), Look::Inconclusive);
        let mut messages = part.messages.clone();
        messages.push(message("m", CONTACT, "hi", 94));
        assert_eq!(look_at(Conversation { messages, ..part }), Look::Absent);
        let many: Vec<_> =
            (0..20).map(|n| message(&format!("m{n}"), CONTACT, "hi", 115 - n)).collect();
        assert_eq!(look(many.clone()), Look::Inconclusive);
        let mut old = many;
        old[19].created_time = Some(at(50));
        assert_eq!(look(old), Look::Absent);
    }

    #[test]
    fn a_message_that_is_withheld_altered_or_out_of_time_proves_nothing() {
        let own = message("m1", "17841400000000101", "ok", 101);
        let nobody = FoundMessage { detailed: false, from: None, ..own.clone() };
        let named = Party { id: None, username: Some("shop".to_owned()) };
        let handle = FoundMessage { from: Some(named), ..own.clone() };
        let timeless = FoundMessage { created_time: None, ..own.clone() };
        let bare = FoundMessage { text: None, ..own.clone() };
        let altered = FoundMessage { text: Some("o.k.".to_owned()), ..own.clone() };
        let early = FoundMessage { created_time: Some(at(93)), ..own };
        for one in [nobody, handle, timeless, bare, altered, early] {
            assert_eq!(look(vec![one.clone(), question()]), Look::Inconclusive, "{one:?}");
        }
    }
}
