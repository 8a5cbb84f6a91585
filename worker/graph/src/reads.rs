//! Reads and their shapes (docs/meta-platform.md 8.2). Ids may come as numbers; links to further pages repeat the token, so only
//! the cursor is kept.

use schemas::facts::{Attachment, ReplyTo, Story};
use schemas::{MessageId, Timestamp};
use serde_json::{Map, Value};

use super::call::Call;
use super::client::Graph;
use super::error::GraphError;
use super::host::{node, platform};
use super::limits::Lane;
use facts::accounts::Connected;

const MESSAGE_FIELDS_INSTAGRAM: &str =
    "id,created_time,from,to,message,attachments,shares,story,reply_to,is_unsupported";
const MESSAGE_FIELDS_MESSENGER: &str =
    "id,created_time,from,to,message,attachments,shares,reply_to";
/// Messages of a thread that a listing shows at most: as many as Graph gives details of.
pub const MESSAGES_SHOWN: usize = 20;
/// Asks for [`MESSAGES_SHOWN`].
const CONVERSATION_FIELDS: &str =
    "id,updated_time,participants,messages.limit(20){id,created_time,from,to,message,attachments}";
/// The same, and the ids of more: what is behind [`MESSAGES_SHOWN`] cannot be read, but is seen to be there.
const CONVERSATION_FIELDS_DEEP: &str =
    "id,updated_time,participants,messages.limit(50){id,created_time,from,to,message,attachments}";
/// Of a person, on Instagram; the picture's link expires in days.
const PROFILE_FIELDS_INSTAGRAM: &str = "name,username,profile_pic,follower_count,is_verified_user,is_user_follow_business,is_business_follow_user";
/// Of a person, on Messenger. Locale, time zone and gender need a permission of their own and would fail the whole call.
const PROFILE_FIELDS_MESSENGER: &str = "first_name,last_name,profile_pic,name,id";

/// One side of a message or thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// The id, as this account knows it.
    pub id: Option<String>,
    /// The handle, on Instagram.
    pub username: Option<String>,
}

/// A message as Graph returned it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundMessage {
    /// The mid.
    pub id: MessageId,
    /// When it was made, in whole seconds.
    pub created_time: Option<Timestamp>,
    /// Who wrote it.
    pub from: Option<Party>,
    /// To whom.
    pub to: Vec<Party>,
    /// Its text; Graph writes "" for none.
    pub text: Option<String>,
    /// Its attachments.
    pub attachments: Vec<Attachment>,
    /// What it answers.
    pub reply_to: Option<ReplyTo>,
    /// Meta does not show its content.
    pub unsupported: bool,
    /// Details were returned (Graph returns them for the newest 20 of a thread only).
    pub detailed: bool,
}

/// A thread of the listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Its last activity.
    pub updated_time: Option<Timestamp>,
    /// Both sides.
    pub participants: Vec<Party>,
    /// The newest messages, newest first.
    pub messages: Vec<FoundMessage>,
    /// It has more messages than these.
    pub more: bool,
}

/// One page of the listing; only the absence of `next` says that it is the last (docs/meta-platform.md 8.2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversationPage {
    /// Newest first; may be empty although more follow.
    pub conversations: Vec<Conversation>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// Text, or a number as text: ids come as either.
pub fn text_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Texts of a list, or of one text that lists them with commas or blanks.
pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => {
            let parts = text.split([',', ' ']).map(str::trim);
            parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
        Some(Value::Array(items)) => items.iter().filter_map(|item| text_of(Some(item))).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let items = value.map(|value| value.get("data").unwrap_or(value)).and_then(Value::as_array);
    items.into_iter().flatten()
}

fn time(value: Option<&Value>) -> Option<Timestamp> {
    text_of(value).as_deref().and_then(Timestamp::parse_meta)
}

/// The longest cursor that is kept, bytes. They are opaque; those seen have some hundred.
const CURSOR_MAX: usize = 4096;

/// The cursor of the page behind the one that was asked for with `after`: none without `next`, whatever stands in `cursors`, and none where
/// it leads to the same page again.
pub(super) fn next(answer: &Value, after: Option<&str>) -> Option<String> {
    let link = answer.pointer("/paging/next").and_then(Value::as_str)?;
    text_of(answer.pointer("/paging/cursors/after"))
        .or_else(|| {
            let link = url::Url::parse(link).ok()?;
            link.query_pairs().find(|(key, _)| key == "after").map(|(_, value)| value.into_owned())
        })
        .filter(|next| next.len() <= CURSOR_MAX && Some(next.as_str()) != after)
}

impl Party {
    fn read(value: &Value) -> Self {
        Self { id: text_of(value.get("id")), username: text_of(value.get("username")) }
    }
}

impl FoundMessage {
    /// Reads a message of any answer.
    pub fn read(value: &Value) -> Self {
        let from = value.get("from").map(Party::read).filter(|party| *party != Party::default());
        let mut attachments: Vec<Attachment> =
            list(value.get("attachments")).map(attachment).collect();
        attachments.extend(list(value.get("shares")).map(share));
        Self {
            id: MessageId::new(text_of(value.get("id")).unwrap_or_default()),
            created_time: time(value.get("created_time")),
            detailed: from.is_some(),
            from,
            to: list(value.get("to")).map(Party::read).collect(),
            text: text_of(value.get("message")),
            attachments,
            reply_to: reply_to(value),
            unsupported: value.get("is_unsupported").and_then(Value::as_bool).unwrap_or(false),
        }
    }

    /// Whether it says anything beside who wrote it.
    pub fn has_content(&self) -> bool {
        self.text.is_some() || !self.attachments.is_empty() || self.unsupported
    }
}

fn reply_to(value: &Value) -> Option<ReplyTo> {
    let message_id = text_of(value.pointer("/reply_to/mid")).map(MessageId::new);
    let story = value
        .pointer("/story/reply_to")
        .or_else(|| value.pointer("/story/mention"))
        .or_else(|| value.get("story"));
    let story = story
        .map(|story| Story {
            id: text_of(story.get("id")),
            url: text_of(story.get("link").or_else(|| story.get("url"))),
        })
        .filter(|story| *story != Story::default());
    let reply = ReplyTo { message_id, story };
    (reply != ReplyTo::default()).then_some(reply)
}

/// Graph names the types of attachments differently from webhooks; here they become those of webhooks.
fn attachment(value: &Value) -> Attachment {
    let mime = value.get("mime_type").and_then(Value::as_str).unwrap_or_default();
    let of = |key: &str| text_of(value.get(key).and_then(|data| data.get("url")));
    let (kind, url) = if let Some(url) = of("image_data") {
        ("image", Some(url))
    } else if let Some(url) = of("video_data") {
        ("video", Some(url))
    } else if let Some(url) = of("audio_data") {
        ("audio", Some(url))
    } else if value.get("generic_template").is_some() {
        ("template", None)
    } else {
        let kind = match mime.split('/').next() {
            Some("image") => "image",
            Some("video") => "video",
            Some("audio") => "audio",
            _ => "file",
        };
        (kind, text_of(value.get("file_url")))
    };
    let payload = value.get("generic_template").map(|template| {
        let mut fields = Map::new();
        fields.insert("generic".to_owned(), template.clone());
        Value::Object(fields)
    });
    Attachment { kind: kind.to_owned(), url, title: text_of(value.get("name")), payload }
}

fn share(value: &Value) -> Attachment {
    Attachment {
        kind: "share".to_owned(),
        url: text_of(value.get("link")),
        title: text_of(value.get("name")),
        payload: None,
    }
}

impl Conversation {
    fn read(value: &Value) -> Self {
        Self {
            id: text_of(value.get("id")).unwrap_or_default(),
            updated_time: time(value.get("updated_time")),
            participants: list(value.get("participants")).map(Party::read).collect(),
            messages: list(value.get("messages")).map(FoundMessage::read).collect(),
            more: value.pointer("/messages/paging/next").is_some(),
        }
    }
}

impl ConversationPage {
    /// Reads the page that was asked for with `after`.
    pub fn read(answer: &Value, after: Option<&str>) -> Self {
        Self {
            conversations: list(answer.get("data")).map(Conversation::read).collect(),
            next: next(answer, after),
        }
    }
}

impl Graph {
    /// One message by its mid, on the account's own host. `lane`: who asks.
    ///
    /// # Errors
    /// Its class says whether to call again; never where [`GraphError::message_is_gone`].
    pub async fn message(
        &self,
        connected: &Connected,
        mid: &MessageId,
        lane: Lane,
    ) -> Result<FoundMessage, GraphError> {
        let fields = match connected.account.channel {
            schemas::Channel::Instagram => MESSAGE_FIELDS_INSTAGRAM,
            schemas::Channel::Messenger => MESSAGE_FIELDS_MESSENGER,
        };
        let answer = self
            .get(connected, Call::new("message", lane), &[mid.as_str()], &[("fields", fields)])
            .await?;
        Ok(FoundMessage::read(&answer))
    }

    /// One page of the account's threads with their newest 20 messages, newest first; `user_id` narrows to one person. Paced to two
    /// calls per second and account (docs/meta-platform.md 10).
    ///
    /// # Errors
    /// Its class says whether to call again.
    pub async fn conversations(
        &self,
        connected: &Connected,
        user_id: Option<&str>,
        after: Option<&str>,
        limit: u32,
        lane: Lane,
    ) -> Result<ConversationPage, GraphError> {
        let more: Vec<(&str, &str)> = user_id.map(|id| ("user_id", id)).into_iter().collect();
        self.list_conversations(connected, CONVERSATION_FIELDS, &more, after, limit, lane).await
    }

    /// The same of all people, with the ids of messages that cannot be read any more.
    ///
    /// # Errors
    /// Its class says whether to call again.
    pub async fn conversations_deep(
        &self,
        connected: &Connected,
        after: Option<&str>,
        limit: u32,
        lane: Lane,
    ) -> Result<ConversationPage, GraphError> {
        self.list_conversations(connected, CONVERSATION_FIELDS_DEEP, &[], after, limit, lane).await
    }

    async fn list_conversations(
        &self,
        connected: &Connected,
        fields: &str,
        more: &[(&str, &str)],
        after: Option<&str>,
        limit: u32,
        lane: Lane,
    ) -> Result<ConversationPage, GraphError> {
        let limit = limit.to_string();
        let mut query = vec![
            ("platform", platform(connected.account.channel)),
            ("fields", fields),
            ("limit", &limit),
        ];
        query.extend_from_slice(more);
        query.extend(after.map(|after| ("after", after)));
        let call = Call::new("conversations", lane).paced();
        let answer =
            self.get(connected, call, &[node(&connected.account), "conversations"], &query).await?;
        Ok(ConversationPage::read(&answer, after))
    }

    /// A person's profile, as Graph returns it: an empty object means not allowed. Tried once: its queue has its own schedule.
    ///
    /// # Errors
    /// Each class has its own schedule there.
    pub async fn profile(
        &self,
        connected: &Connected,
        contact: &schemas::ContactId,
    ) -> Result<Value, GraphError> {
        let fields = match connected.account.channel {
            schemas::Channel::Instagram => PROFILE_FIELDS_INSTAGRAM,
            schemas::Channel::Messenger => PROFILE_FIELDS_MESSENGER,
        };
        let call = Call::new("profile", Lane::Enrich);
        self.get_once(connected, call, &[contact.as_str()], &[("fields", fields)]).await
    }

    /// The account itself: `user_id` (Instagram Login: equals `entry.id`), `id`, `username`, `name`. Sometimes wrapped in `data[]`.
    ///
    /// # Errors
    /// Its class says whether to call again.
    pub async fn me(&self, connected: &Connected, lane: Lane) -> Result<Value, GraphError> {
        use facts::accounts::directory::Login;
        let account = &connected.account;
        let (path, fields) = match (account.login, account.channel) {
            (Login::Instagram, _) => ("me", "id,user_id,username,name"),
            (Login::Facebook, schemas::Channel::Instagram) => {
                (account.id.as_str(), "id,username,name")
            }
            (Login::Facebook, schemas::Channel::Messenger) => (node(account), "id,name"),
        };
        let answer =
            self.get(connected, Call::new("account", lane), &[path], &[("fields", fields)]).await?;
        Ok(answer.pointer("/data/0").cloned().unwrap_or(answer))
    }

    /// What the token may do: `scopes`, `is_valid`, `expires_at` (seconds; 0: never), as far as Meta shows them to the token itself.
    ///
    /// # Errors
    /// Its class says whether to call again.
    pub async fn debug_token(&self, connected: &Connected) -> Result<Value, GraphError> {
        let query = [("input_token", connected.token.expose())];
        let answer = self
            .get(connected, Call::new("debug_token", Lane::Reply), &["debug_token"], &query)
            .await?;
        Ok(answer.get("data").cloned().unwrap_or(answer))
    }
}

/// The fields of our app. Where its id is not known and several apps are named, none of theirs are ours.
pub(crate) fn subscribed_by_app(answer: &Value, app: Option<&str>) -> Vec<String> {
    let apps: Vec<&Value> = list(answer.get("data")).collect();
    let id = |one: &Value| text_of(one.get("app_id")).or_else(|| text_of(one.get("id")));
    let ours = match (app, apps.as_slice()) {
        (_, []) => return Vec::new(),
        (None, [only]) => Some(*only),
        (None, _) => None,
        (Some(app), all) => all.iter().copied().find(|one| id(one).is_none_or(|id| id == app)),
    };
    ours.map(|ours| subscribed(&serde_json::json!({ "data": [ours] }))).unwrap_or_default()
}

fn subscribed(answer: &Value) -> Vec<String> {
    let mut fields: Vec<String> = list(answer.get("data"))
        .filter_map(|app| app.get("subscribed_fields").and_then(Value::as_array))
        .flatten()
        // Fields are names, or as objects with a version.
        .filter_map(|field| text_of(Some(field)).or_else(|| text_of(field.get("name"))))
        .collect();
    fields.sort();
    fields.dedup();
    fields
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
