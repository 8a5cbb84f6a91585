//! ◆ Pure: media, posts and the comments under them.

use chrono::{DateTime, Utc};

use super::{Media, Story, World};
use crate::ids;
use crate::model::{AccountKey, Channel, Comment};

impl World {
    pub(crate) fn add_media(
        &mut self,
        account: &AccountKey,
        caption: &str,
        at: DateTime<Utc>,
    ) -> String {
        let known =
            self.media.values().find(|media| media.account == *account && media.caption == caption);
        if let Some(media) = known {
            return media.id.clone();
        }
        let rest = ids::digits(self.seed, &["media", &account.id, caption], 14);
        let id = match account.channel {
            Channel::Instagram => format!("180{rest}"),
            Channel::Messenger => format!("{}_55{rest}", account.id),
        };
        let media =
            Media { id: id.clone(), account: account.clone(), caption: caption.to_owned(), at };
        self.media.insert(id.clone(), media);
        id
    }

    pub(crate) fn add_story(&mut self, account: &AccountKey, viewers: u32) -> String {
        let number = self.mint();
        let id = format!("181{}", ids::digits(self.seed, &["story", &account.id, &number], 14));
        self.stories.insert(id.clone(), Story { account: account.clone(), viewers });
        id
    }

    /// A new comment under `media`, by a person or (none) by the account.
    pub(crate) fn add_comment(
        &mut self,
        account: &AccountKey,
        media: &str,
        parent: Option<&str>,
        person: Option<&str>,
        text: &str,
        at: DateTime<Utc>,
    ) -> Comment {
        let number = self.mint();
        let time = at.timestamp_micros().to_string();
        let rest = ids::digits(self.seed, &["comment", &account.id, &number, &time], 14);
        let id = match account.channel {
            Channel::Instagram => format!("179{rest}"),
            // `{post}_{comment}` carries the short id of the post (fixtures: fb-feed-comment-add).
            Channel::Messenger => {
                format!("{}_66{rest}", media.rsplit('_').next().unwrap_or(media))
            }
        };
        let comment = Comment {
            id: id.clone(),
            account: account.clone(),
            media: media.to_owned(),
            parent: parent.map(str::to_owned),
            person: person.map(str::to_owned),
            text: text.to_owned(),
            at,
            hidden: false,
            deleted: false,
            private_reply: None,
        };
        self.comments.insert(id, comment.clone());
        comment
    }

    /// Id and name (handle on Instagram) of who wrote a comment.
    pub(crate) fn author(&self, comment: &Comment) -> (String, String) {
        let by_person = comment.person.as_deref().and_then(|id| self.people.get(id));
        let of_account = self.spec(&comment.account);
        match (by_person, of_account) {
            (Some(person), _) => {
                let name = match comment.account.channel {
                    Channel::Instagram => &person.username,
                    Channel::Messenger => &person.name,
                };
                (person.id.clone(), name.clone())
            }
            (None, Some(spec)) => {
                let (id, name) = crate::payload::own_author(spec);
                (id.to_owned(), name.to_owned())
            }
            (None, None) => (comment.account.id.clone(), String::new()),
        }
    }

    /// The scoped id under which an Instagram account sees itself (`self_ig_scoped_id`).
    pub(crate) fn own_scoped_id(&self, account: &AccountKey) -> String {
        format!("52{}", ids::digits(self.seed, &["self", &account.id], 14))
    }
}
