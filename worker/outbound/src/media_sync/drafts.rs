//! ◆ Pure: comments as Graph returns them, as events under the ids that their webhooks would have.

use schemas::event::Origin;
use schemas::facts::{Author, Comment};
use schemas::{Channel, Event, EventId, Fact, Timestamp, Via};

use super::progress::Page;
use facts::accounts::directory::Account;
use facts::{Draft, ids};
use graph::{CommentPage, FoundComment};

/// The comments of a page with the answers that came along. One without a time is left out.
pub(super) fn drafts(account: &Account, place: &Page, page: &CommentPage) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for found in &page.comments {
        drafts.extend(of_comment(account, place, found));
        let under = Page { parent: Some(found.id.clone()), ..place.clone() };
        drafts.extend(self::drafts(account, &under, &found.replies));
    }
    drafts
}

fn of_comment(account: &Account, place: &Page, found: &FoundComment) -> Vec<Draft> {
    let Some(time) = found.time else { return Vec::new() };
    let own = account.is_party(found.author_id.as_deref(), found.author_name.as_deref());
    let (media_id, post_id) = match account.channel {
        Channel::Instagram => (Some(place.media.clone()), None),
        Channel::Messenger => (None, Some(place.media.clone())),
    };
    // A comment at top level may name the post as its parent.
    let parent_id = found.parent_id.clone().filter(|parent| *parent != place.media);
    let comment = Comment {
        comment_id: found.id.clone(),
        parent_id: parent_id.or_else(|| place.parent.clone()),
        media_id,
        post_id,
        author: Author {
            id: found.author_id.clone(),
            username: found.author_name.clone(),
            is_self: own.then_some(true),
        },
        text: found.text.clone(),
        attachment: found.attachment.clone(),
        ..Comment::default()
    };
    let draft = |id: EventId, approximate: bool, fact: Fact| {
        let mut event = event(account, id, time, fact);
        event.data.time_approximate = approximate;
        event.data.is_self = own;
        Draft::of(event)
    };
    let mut drafts = Vec::new();
    if found.hidden {
        // Graph reports that it is hidden, not since when. At the comment's own time it gives way to whatever a webhook reported of it.
        let id = ids::hidden_when_listed(account.channel, &account.id, &found.id);
        // Without its words and author: the comment has them, and where it was erased they must not come back by this.
        let bare =
            Comment { author: Author::default(), text: None, attachment: None, ..comment.clone() };
        drafts.push(draft(id, true, Fact::CommentHidden(bare)));
    }
    let id = ids::comment(account.channel, &account.id, &found.id);
    drafts.insert(0, draft(id, false, Fact::CommentCreated(comment)));
    drafts
}

fn event(account: &Account, id: EventId, time: Timestamp, fact: Fact) -> Event {
    Event::new(id, time, account.channel, account.id.clone(), None, Origin::of(Via::Backfill), fact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::accounts::directory::Login;
    use schemas::Kind;

    fn account(channel: Channel) -> Account {
        Account {
            channel,
            id: "17841400000000101".into(),
            login: Login::Instagram,
            app: None,
            page_id: None,
            handle: Some("lumen.fixture".to_owned()),
            aliases: Vec::new(),
            name: None,
            auto_reply: None,
            stopped: false,
        }
    }

    fn comment(id: &str, author: Option<&str>, hidden: bool) -> FoundComment {
        FoundComment {
            id: id.to_owned(),
            author_name: author.map(str::to_owned),
            text: Some("hi".to_owned()),
            time: Some(Timestamp::from_millis(1_000)),
            hidden,
            ..FoundComment::default()
        }
    }

    #[test]
    fn comments_have_the_ids_of_their_webhooks_and_ours_are_ours() {
        let account = account(Channel::Instagram);
        let ours = comment("902", Some("lumen.fixture"), false);
        let asked = FoundComment {
            replies: CommentPage { comments: vec![ours], next: None },
            ..comment("901", Some("customer.one"), true)
        };
        let nameless = FoundComment { time: None, ..comment("903", None, false) };
        let page = CommentPage { comments: vec![asked, nameless], next: None };
        let place = Page { media: "801".to_owned(), ..Page::default() };
        let drafts = drafts(&account, &place, &page);
        let kinds: Vec<Kind> = drafts.iter().map(|draft| draft.event.kind()).collect();
        assert_eq!(kinds, [Kind::CommentCreated, Kind::CommentHidden, Kind::CommentCreated]);
        let id = EventId::derive(Channel::Instagram, &account.id, "comment", &["901"]);
        assert_eq!(drafts[0].event.id, id);
        assert!(drafts[1].event.data.time_approximate && !drafts[0].event.data.time_approximate);
        let Fact::CommentCreated(answer) = &drafts[2].event.data.fact else { panic!("a comment") };
        assert_eq!(answer.parent_id.as_deref(), Some("901"));
        assert!(drafts[2].event.data.is_self && !drafts[0].event.data.is_self);
        assert!(drafts.iter().all(|draft| draft.event.data.origin.via == Via::Backfill));
    }
}
