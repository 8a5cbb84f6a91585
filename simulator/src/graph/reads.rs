//! Reads of messages, conversations and profiles (docs/meta-platform.md 8.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::ask::Ask;
use super::error::GraphError;
use super::fields::{self, Field};
use crate::ids::InstagramMid;
use crate::model::{Channel, Host, Lookup, Message, Person, ProfileAnswer, Side};
use crate::payload::graph_time;
use crate::world::World;

/// Only the newest of a thread are returned in detail.
const DETAILS_MAX: usize = 20;
const PAGE_DEFAULT: usize = 25;
const PAGE_MAX: usize = 500;

/// What looks like a message id.
pub(super) fn is_mid(world: &World, id: &str) -> bool {
    world.messages.contains_key(id) || id.starts_with("m_") || InstagramMid::decode(id).is_some()
}

/// What looks like a conversation id: `t_…`, or base64 that opens to `ig_dm:`.
pub(super) fn is_conversation(id: &str) -> bool {
    id.starts_with("t_") || id.starts_with("aWdfZAG06")
}

fn wanted(ask: &Ask<'_>, default: &[&str]) -> Result<Vec<Field>, GraphError> {
    match ask.request.text("fields") {
        Some(text) if !text.trim().is_empty() => {
            fields::parse(&text.replace(char::is_whitespace, ""))
        }
        _ => Ok(fields::named(default)),
    }
}

pub(super) fn message(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let mid = ask.request.segment(0);
    let wanted = wanted(ask, &["id", "created_time"])?;
    let known = ask.world.messages.get(mid).filter(|message| message.account == ask.account);
    let Some(message) = known else { return Err(GraphError::unsupported(mid, "get")) };
    match message.lookup {
        Lookup::Ok => {}
        Lookup::ServerError => return Err(GraphError::unknown_500()),
        Lookup::ServerErrorOnInstagramHost if ask.request.host == Host::Instagram => {
            return Err(GraphError::unknown_500());
        }
        Lookup::ServerErrorOnInstagramHost => {}
        Lookup::Deleted => return Err(GraphError::deleted()),
        Lookup::NoCapability => return Err(GraphError::no_capability()),
    }
    let thread = ask.world.thread(&message.person);
    let recent = thread.iter().rev().take(DETAILS_MAX).any(|one| one.mid == mid);
    if message.deleted || !recent {
        return Err(GraphError::deleted());
    }
    Ok(fields::select(full_message(ask.world, message), &wanted))
}

/// Every field of a message.
fn full_message(world: &World, message: &Message) -> Map<String, Value> {
    let person = world.people.get(&message.person);
    let of_person = person.map_or(Value::Null, |person| {
        party(person.account.channel, &person.id, &person.username, &person.name)
    });
    let of_account = world
        .spec(&message.account)
        .map_or(Value::Null, |spec| party(spec.channel, &spec.id, &spec.username, &spec.name));
    let (from, to) = match message.from {
        Side::Person => (of_person, of_account),
        Side::Account => (of_account, of_person),
    };
    let attachments: Vec<Value> = message.attachments.iter().map(attachment).collect();
    let full = json!({
        "id": message.mid,
        "created_time": graph_time(message.at),
        "from": from,
        "to": {"data": [to]},
        "message": message.text.clone().unwrap_or_default(),
        "attachments": (!attachments.is_empty()).then(|| json!({"data": attachments})),
        "reply_to": message.reply_to.as_ref().map(|mid| json!({"mid": mid})),
        "reactions": (!message.reactions.is_empty()).then(|| {
            let users = |(id, reaction): (&String, &String)| json!({"reaction": reaction, "users": [{"id": id}]});
            json!({"data": message.reactions.iter().map(users).collect::<Vec<_>>()})
        }),
    });
    match full {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn party(channel: Channel, id: &str, username: &str, name: &str) -> Value {
    match channel {
        Channel::Instagram => json!({"username": username, "id": id}),
        Channel::Messenger => {
            json!({"name": name, "email": format!("{id}@facebook.com"), "id": id})
        }
    }
}

fn attachment(sent: &Value) -> Value {
    let url = sent.pointer("/payload/url").cloned().unwrap_or(Value::Null);
    match sent.get("type").and_then(Value::as_str) {
        Some("image") => json!({"mime_type": "image/jpeg", "image_data": {"url": url}}),
        Some("video") => json!({"mime_type": "video/mp4", "video_data": {"url": url}}),
        Some("template") => json!({"generic_template": sent.get("payload")}),
        _ => json!({"file_url": url}),
    }
}

pub(super) fn conversations(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let node = ask.request.segment(0);
    if !ask.names_account(node) {
        return Err(GraphError::unsupported(node, "get"));
    }
    let wanted = wanted(ask, &["id", "updated_time"])?;
    let platform = ask.request.text("platform");
    let default = match ask.request.host {
        Host::Facebook => "messenger",
        Host::Instagram => "instagram",
    };
    let channel = match platform.as_deref().unwrap_or(default) {
        "instagram" => Channel::Instagram,
        "messenger" => Channel::Messenger,
        other => {
            return Err(GraphError::parameter(&format!(
                "Param platform must be one of {{instagram, messenger}} - got \"{other}\"."
            )));
        }
    };
    let user = ask.request.text("user_id");
    let mut threads: Vec<(&Person, Vec<&Message>)> = ask
        .world
        .people
        .values()
        .filter(|person| person.account == ask.account && person.account.channel == channel)
        .filter(|person| user.as_deref().is_none_or(|wanted| wanted == person.id))
        .map(|person| (person, listed(ask.world, &person.id)))
        .filter(|(_, messages)| !messages.is_empty())
        .collect();
    threads.sort_by_key(|(_, messages)| std::cmp::Reverse(messages.first().map(|m| m.at)));
    let page = page(ask, &threads, |(person, messages)| {
        Ok(fields::select(conversation(ask, person, messages, &wanted)?, &wanted))
    })?;
    Ok(page)
}

/// Messages a listing shows, newest first.
fn listed<'a>(world: &'a World, person: &str) -> Vec<&'a Message> {
    let thread = world.thread(person);
    thread.into_iter().rev().filter(|message| message.listed && !message.deleted).collect()
}

fn conversation(
    ask: &Ask<'_>,
    person: &Person,
    messages: &[&Message],
    wanted: &[Field],
) -> Result<Map<String, Value>, GraphError> {
    let world = &*ask.world;
    let account = world
        .spec(&person.account)
        .map_or(Value::Null, |spec| party(spec.channel, &spec.id, &spec.username, &spec.name));
    let channel = person.account.channel;
    let other = party(channel, &person.id, &person.username, &person.name);
    let id = world.conversation_id(person);
    let mut full = Map::new();
    full.insert("id".to_owned(), id.clone().into());
    if let Some(newest) = messages.first() {
        full.insert("updated_time".to_owned(), graph_time(newest.at).into());
    }
    let participants = if person.gone { vec![account] } else { vec![account, other] };
    full.insert("participants".to_owned(), json!({"data": participants}));
    full.insert("message_count".to_owned(), messages.len().into());
    full.insert("can_reply".to_owned(), (!person.blocks).into());
    full.insert("is_owner".to_owned(), (!person.thread_elsewhere).into());
    if let Some(field) = fields::find(wanted, "messages") {
        let limit = field.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let sub = if field.sub.is_empty() {
            fields::named(&["id", "created_time"])
        } else {
            field.sub.clone()
        };
        let shown = details(world, messages, &sub);
        let data: Vec<Value> = shown.iter().take(limit).cloned().collect();
        let mut edge = json!({"data": data});
        if limit < shown.len() {
            let root = &ask.request.root;
            let after = cursor(limit);
            edge["paging"] = json!({
                "cursors": {"after": after},
                "next": format!("{root}/{id}/messages?limit={limit}&after={after}"),
            });
        }
        full.insert("messages".to_owned(), edge);
    }
    Ok(full)
}

/// The newest in full, the rest by id and time.
fn details(world: &World, messages: &[&Message], wanted: &[Field]) -> Vec<Value> {
    let bare = fields::named(&["id", "created_time"]);
    let show = |(index, message): (usize, &&Message)| {
        let fields = if index < DETAILS_MAX { wanted } else { &bare };
        fields::select(full_message(world, message), fields)
    };
    messages.iter().enumerate().map(show).collect()
}

pub(super) fn thread(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let id = ask.request.segment(0);
    let world = &*ask.world;
    let mut people = world.people.values().filter(|person| person.account == ask.account);
    let person = people.find(|person| world.conversation_id(person) == id);
    let Some(person) = person else { return Err(GraphError::unsupported(id, "get")) };
    let messages = listed(world, &person.id);
    if ask.request.segment(1) == "messages" {
        let wanted = wanted(ask, &["id", "created_time"])?;
        let shown = details(world, &messages, &wanted);
        return page(ask, &shown, |message| Ok(message.clone()));
    }
    let wanted = wanted(ask, &["id", "updated_time"])?;
    Ok(fields::select(conversation(ask, person, &messages, &wanted)?, &wanted))
}

/// The place behind so many items of a list.
pub(super) fn cursor(offset: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("offset:{offset}"))
}

/// One page of a list, with cursors as Meta gives them; `next` is missing on the last one.
pub(super) fn page<T>(
    ask: &Ask<'_>,
    all: &[T],
    show: impl Fn(&T) -> Result<Value, GraphError>,
) -> Result<Value, GraphError> {
    let limit = ask.request.number("limit").unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let start = match ask.request.text("after") {
        None => 0,
        Some(after) => URL_SAFE_NO_PAD
            .decode(&after)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.strip_prefix("offset:")?.parse::<usize>().ok())
            .ok_or_else(|| GraphError::parameter("Param after is not a cursor of this list"))?,
    };
    let shown = all.iter().skip(start).take(limit);
    let data = shown.map(show).collect::<Result<Vec<Value>, GraphError>>()?;
    if data.is_empty() {
        return Ok(json!({"data": data}));
    }
    let end = start + data.len();
    let mut paging = json!({"cursors": {"after": cursor(end)}});
    if 0 < start {
        paging["cursors"]["before"] = cursor(start).into();
    }
    if end < all.len() {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for key in ["platform", "fields", "user_id", "limit"] {
            if let Some(value) = ask.request.text(key) {
                query.append_pair(key, &value);
            }
        }
        // Meta repeats the token in the link (docs/meta-platform.md 8).
        if let Some(token) = &ask.request.token {
            query.append_pair("access_token", token);
        }
        query.append_pair("after", &cursor(end));
        let path = ask.request.segments.join("/");
        paging["next"] = format!("{}/{path}?{}", ask.request.root, query.finish()).into();
    }
    Ok(json!({"data": data, "paging": paging}))
}

pub(super) fn profile(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let id = ask.request.segment(0);
    let person = ask.world.people.get(id).filter(|person| person.account == ask.account);
    let Some(person) = person else { return Err(GraphError::unsupported(id, "get")) };
    let instagram = ask.instagram();
    match person.profile {
        ProfileAnswer::Empty => return Ok(json!({})),
        ProfileAnswer::Unsupported => return Err(GraphError::unsupported(id, "get")),
        ProfileAnswer::PhoneAccount => return Err(GraphError::phone_account()),
        ProfileAnswer::NoConsent => return Err(GraphError::no_consent()),
        ProfileAnswer::NoPermission => return Err(GraphError::profile_permission()),
        ProfileAnswer::ServerError => return Err(GraphError::unknown_500()),
        // Consent comes with the first message or tap (docs/meta-platform.md 8.2).
        ProfileAnswer::Ok if person.window_opened.is_none() && instagram => {
            return Err(GraphError::no_consent());
        }
        ProfileAnswer::Ok if person.window_opened.is_none() => {
            return Err(GraphError::unsupported(id, "get"));
        }
        ProfileAnswer::Ok => {}
    }
    let wanted = wanted(ask, &["first_name", "last_name", "name", "username"])?;
    let (first, last) = person.name.split_once(' ').unwrap_or((&person.name, ""));
    let number = crate::ids::digits(ask.world.seed, &["picture", id], 15);
    let full = if instagram {
        json!({
            "id": id,
            "name": person.name,
            "username": person.username,
            "profile_pic": format!("https://scontent.cdninstagram.com/v/{number}.jpg?oe=SIMULATED"),
            "follower_count": number.chars().take(3).collect::<String>().parse::<u64>().unwrap_or(0),
            "is_verified_user": false,
            "is_user_follow_business": false,
            "is_business_follow_user": false,
        })
    } else {
        json!({
            "id": id,
            "name": person.name,
            "first_name": first,
            "last_name": last,
            "profile_pic": format!("https://platform-lookaside.fbsbx.com/platform/profilepic/?psid={id}&hash={number}"),
        })
    };
    let Value::Object(full) = full else { return Ok(json!({})) };
    if ask.request.text("fields").is_some() {
        for field in &wanted {
            match field.name.as_str() {
                "locale" | "timezone" | "gender" if !instagram => {
                    return Err(GraphError::profile_permission());
                }
                name if !full.contains_key(name) => {
                    return Err(GraphError::parameter(&format!(
                        "Tried accessing nonexisting field ({name})"
                    )));
                }
                _ => {}
            }
        }
    }
    Ok(fields::select(full, &wanted))
}
