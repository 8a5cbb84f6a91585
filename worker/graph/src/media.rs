//! Media and posts with their comments, as Graph lists them (docs/meta-platform-2.md 21). Nested lists have pages of their own: whoever reads
//! all follows them by the cursors that are named here.

use schemas::facts::Attachment;
use schemas::{Channel, Timestamp};
use serde_json::Value;

use super::call::Call;
use super::client::Graph;
use super::error::GraphError;
use super::host::node;
use super::limits::Lane;
use super::reads::{list, next, text_of};
use facts::accounts::Connected;

/// Comments, and replies to a comment, that come with one answer.
const NESTED: u32 = 50;

/// A comment as Graph returned it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundComment {
    /// Meta's id.
    pub id: String,
    /// The comment it answers, as the answer names it.
    pub parent_id: Option<String>,
    /// Who wrote it. Absent without the permission to read it, and on Instagram for restricted people.
    pub author_id: Option<String>,
    /// The handle or name.
    pub author_name: Option<String>,
    /// What it says; Graph writes "" for none.
    pub text: Option<String>,
    /// The picture, sticker or film.
    pub attachment: Option<Attachment>,
    /// When it was written, in whole seconds.
    pub time: Option<Timestamp>,
    /// It is hidden from others now.
    pub hidden: bool,
    /// Answers to it, as far as they came along.
    pub replies: CommentPage,
}

/// Comments, and where the next ones are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommentPage {
    /// In Graph's order.
    pub comments: Vec<FoundComment>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// A media or post as Graph returned it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Meta's id.
    pub id: String,
    /// What it says.
    pub caption: Option<String>,
    /// Instagram: IMAGE, VIDEO, CAROUSEL_ALBUM.
    pub media_type: Option<String>,
    /// Where people see it.
    pub permalink: Option<String>,
    /// When it was published, in whole seconds.
    pub posted_at: Option<Timestamp>,
    /// As Graph counts; with hidden ones and answers, and late (docs/meta-platform-2.md 21.1).
    pub comments_count: Option<i64>,
}

/// A media or post with the comments that came along.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundMedia {
    /// The media or post.
    pub media: Media,
    /// Its comments at top level.
    pub comments: CommentPage,
}

/// One page of media or posts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaPage {
    /// Newest first; on Facebook ranked.
    pub media: Vec<FoundMedia>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

fn time(value: Option<&Value>) -> Option<Timestamp> {
    text_of(value).as_deref().and_then(Timestamp::parse_meta)
}

fn either<'a>(value: &'a Value, names: [&str; 2]) -> Option<&'a Value> {
    names.into_iter().find_map(|name| value.get(name))
}

impl FoundComment {
    fn read(value: &Value) -> Self {
        let from = value.get("from");
        let name = from.and_then(|from| either(from, ["username", "name"]));
        Self {
            id: text_of(value.get("id")).unwrap_or_default(),
            parent_id: text_of(value.get("parent_id"))
                .or_else(|| text_of(value.pointer("/parent/id"))),
            author_id: from.and_then(|from| text_of(from.get("id"))),
            author_name: text_of(name).or_else(|| text_of(value.get("username"))),
            text: text_of(either(value, ["text", "message"])),
            attachment: value.get("attachment").and_then(attachment),
            time: time(either(value, ["timestamp", "created_time"])),
            hidden: either(value, ["hidden", "is_hidden"])
                .and_then(Value::as_bool)
                .unwrap_or(false),
            replies: either(value, ["replies", "comments"])
                .map(|replies| CommentPage::read(replies, None))
                .unwrap_or_default(),
        }
    }
}

/// The attachment of a comment on Facebook: `{type, url, media: {image: {src}}}`.
fn attachment(value: &Value) -> Option<Attachment> {
    let kind = text_of(value.get("type"))?;
    let url = text_of(value.pointer("/media/image/src")).or_else(|| text_of(value.get("url")));
    let kind = if kind.contains("video") { "video" } else { "image" };
    Some(Attachment { kind: kind.to_owned(), url, ..Attachment::default() })
}

impl CommentPage {
    /// Reads the page that was asked for with `after`.
    pub fn read(answer: &Value, after: Option<&str>) -> Self {
        let comments = list(Some(answer)).map(FoundComment::read);
        Self {
            comments: comments.filter(|comment| !comment.id.is_empty()).collect(),
            next: next(answer, after),
        }
    }
}

impl FoundMedia {
    fn read(value: &Value) -> Self {
        let media = Media {
            id: text_of(value.get("id")).unwrap_or_default(),
            caption: text_of(either(value, ["caption", "message"])),
            media_type: text_of(value.get("media_type")),
            permalink: text_of(either(value, ["permalink", "permalink_url"])),
            posted_at: time(either(value, ["timestamp", "created_time"])),
            comments_count: value
                .get("comments_count")
                .or_else(|| value.pointer("/comments/summary/total_count"))
                .and_then(Value::as_i64),
        };
        let comments = value.get("comments").map(|comments| CommentPage::read(comments, None));
        Self { media, comments: comments.unwrap_or_default() }
    }
}

impl MediaPage {
    /// Reads the page that was asked for with `after`.
    pub fn read(answer: &Value, after: Option<&str>) -> Self {
        let media = list(answer.get("data")).map(FoundMedia::read);
        Self {
            media: media.filter(|found| !found.media.id.is_empty()).collect(),
            next: next(answer, after),
        }
    }
}

/// The fields of a comment with the answers to it.
fn comment_fields(channel: Channel) -> String {
    match channel {
        Channel::Instagram => format!(
            "id,text,username,from,timestamp,hidden,parent_id,replies.limit({NESTED}){{id,text,username,from,timestamp,hidden}}"
        ),
        Channel::Messenger => format!(
            "id,message,created_time,from,is_hidden,parent{{id}},attachment,comments.limit({NESTED}){{id,message,created_time,from,is_hidden,attachment}}"
        ),
    }
}

fn media_fields(channel: Channel, with_comments: bool) -> String {
    let comments = || format!(",comments.limit({NESTED}){{{}}}", comment_fields(channel));
    let comments = if with_comments { comments() } else { String::new() };
    match channel {
        Channel::Instagram => {
            format!("id,caption,media_type,permalink,timestamp,comments_count{comments}")
        }
        Channel::Messenger => format!("id,message,created_time,permalink_url{comments}"),
    }
}

impl Graph {
    /// One page of the account's media or posts. `with_comments`: their newest comments come along, which on Facebook needs
    /// `pages_read_user_content`; without it the call for posts only is made (docs/meta-platform-2.md 21.2).
    ///
    /// # Errors
    /// Its class says whether to call again; [`GraphError::wants_less`]: with a smaller `limit`.
    pub async fn media(
        &self,
        connected: &Connected,
        with_comments: bool,
        after: Option<&str>,
        limit: u32,
        lane: Lane,
    ) -> Result<MediaPage, GraphError> {
        let channel = connected.account.channel;
        let edge = match (channel, with_comments) {
            (Channel::Instagram, _) => "media",
            (Channel::Messenger, true) => "feed",
            (Channel::Messenger, false) => "posts",
        };
        let (limit, fields) = (limit.to_string(), media_fields(channel, with_comments));
        let mut query = vec![("fields", fields.as_str()), ("limit", &limit)];
        query.extend(after.map(|after| ("after", after)));
        let node = match channel {
            // With a Page's token the media are those of the Instagram account, not of the Page.
            Channel::Instagram if node(&connected.account) != "me" => connected.account.id.as_str(),
            _ => node(&connected.account),
        };
        let call = Call::new("media", lane);
        let answer = self.get(connected, call, &[node, edge], &query).await?;
        Ok(MediaPage::read(&answer, after))
    }

    /// One page of the comments under a media or post, or of the answers to a comment.
    ///
    /// # Errors
    /// Its class says whether to call again; [`GraphError::wants_less`]: with a smaller `limit`.
    pub async fn comments(
        &self,
        connected: &Connected,
        under: Under<'_>,
        after: Option<&str>,
        limit: u32,
        lane: Lane,
    ) -> Result<CommentPage, GraphError> {
        let channel = connected.account.channel;
        let (node, edge) = match (under, channel) {
            (Under::Media(id), _) | (Under::Comment(id), Channel::Messenger) => (id, "comments"),
            (Under::Comment(id), Channel::Instagram) => (id, "replies"),
        };
        let (limit, fields) = (limit.to_string(), comment_fields(channel));
        let mut query = vec![("fields", fields.as_str()), ("limit", &limit)];
        query.extend(after.map(|after| ("after", after)));
        let call = Call::new("comments", lane);
        let answer = self.get(connected, call, &[node, edge], &query).await?;
        Ok(CommentPage::read(&answer, after))
    }
}

/// What comments stand under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under<'a> {
    /// A media or post.
    Media(&'a str),
    /// A comment.
    Comment(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str) -> Value {
        let fixture: Value = match name {
            "ig" => serde_json::from_str(include_str!(
                "../../../tests/fixtures/meta/graph2/ig-media-with-comments.json"
            )),
            "fb" => serde_json::from_str(include_str!(
                "../../../tests/fixtures/meta/graph2/fb-feed-with-comments.json"
            )),
            _ => serde_json::from_str(include_str!(
                "../../../tests/fixtures/meta/graph2/fb-comment-replies.json"
            )),
        }
        .unwrap();
        fixture["response"]["body"].clone()
    }

    #[test]
    fn media_of_instagram_come_with_comments_and_answers() {
        let page = MediaPage::read(&answer("ig"), None);
        // Without `next` there is no further page, whatever the cursors say.
        assert_eq!((page.media.len(), page.next), (2, None));
        let first = &page.media[0];
        assert_eq!(first.media.comments_count, Some(4));
        assert_eq!(first.comments.next.as_deref(), Some("FIXTURE_AFTER_C1"));
        let [asked, hidden] = first.comments.comments.as_slice() else { panic!("two comments") };
        assert_eq!(asked.author_id.as_deref(), Some("5200000000000011"));
        assert_eq!(asked.replies.comments[0].text.as_deref(), Some("39 euros, two left."));
        assert!(hidden.hidden && hidden.author_id.is_none());
    }

    #[test]
    fn posts_of_a_page_come_with_comments_and_answers() {
        let page = MediaPage::read(&answer("fb"), None);
        let post = &page.media[0];
        assert_eq!(post.media.comments_count, Some(5));
        assert!(page.next.is_some() && post.comments.next.is_some());
        let first = &post.comments.comments[0];
        assert_eq!(first.author_name.as_deref(), Some("Customer Eleven"));
        assert_eq!(first.replies.comments.len(), 1);
        let replies = CommentPage::read(&answer("replies"), None);
        assert_eq!(
            replies.comments[0].parent_id.as_deref(),
            Some("122000000000501_810000000000001")
        );
        // Nobody is named without the permission.
        assert!(replies.comments[1].author_id.is_none());
    }
}
