//! Accounts, tokens and subscriptions (docs/meta-platform.md 3.3, 8.2, 8.5).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::ask::Ask;
use super::error::GraphError;
use super::fields;
use super::request::GraphRequest;
use crate::call_kind::CallKind;
use crate::model::{Account, Channel, Host, Login};
use crate::world::tokens::{LIFE_SECONDS, REFRESH_AGE, TokenState};
use crate::world::{INSTAGRAM_FIELDS, PAGE_FIELDS, World};

pub(super) fn read(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let node = ask.request.segment(0);
    let Some(account) = ask.world.accounts.get(&ask.account) else {
        return Err(GraphError::unsupported(node, "get"));
    };
    if !ask.names_account(node) {
        return Err(GraphError::unsupported(node, "get"));
    }
    let spec = &account.spec;
    let (default, full): (&[&str], Value) = match (ask.request.host, spec.login) {
        (Host::Instagram, _) | (_, Login::Instagram) => (
            &["id"],
            json!({
                "id": spec.alias.as_ref().unwrap_or(&spec.id),
                "user_id": spec.id,
                "username": spec.username,
                "name": spec.name,
                "account_type": "BUSINESS",
                "followers_count": 1280,
                "profile_picture_url": "https://scontent.cdninstagram.com/v/account.jpg?oe=SIMULATED",
            }),
        ),
        (Host::Facebook, Login::Facebook) => {
            let linked = ask.world.accounts.values().find(|other| {
                other.spec.channel == Channel::Instagram
                    && other.spec.page_id.as_deref()
                        == Some(spec.page_id.as_ref().unwrap_or(&spec.id))
            });
            let instagram = linked.map(|other| json!({"id": other.spec.id}));
            let as_page = spec.channel == Channel::Messenger || node != spec.id;
            let id = if as_page { spec.page_id.as_ref().unwrap_or(&spec.id) } else { &spec.id };
            (
                &["name", "id"],
                json!({
                    "id": id,
                    "name": spec.name,
                    "username": spec.username,
                    "access_token": as_page.then_some(&ask.request.token),
                    "instagram_business_account": as_page.then_some(instagram),
                }),
            )
        }
    };
    let wanted = match ask.request.text("fields") {
        Some(text) => fields::parse(&text.replace(char::is_whitespace, ""))?,
        None => fields::named(default),
    };
    let Value::Object(full) = full else { return Ok(json!({})) };
    if let Some(unknown) = wanted.iter().find(|field| !full.contains_key(&field.name)) {
        let text = format!("Tried accessing nonexisting field ({})", unknown.name);
        return Err(GraphError::parameter(&text));
    }
    Ok(fields::select(full, &wanted))
}

/// What an app token may ask.
pub(super) fn without_account(
    world: &World,
    request: &GraphRequest,
    app_id: u64,
    now: DateTime<Utc>,
) -> Result<Value, GraphError> {
    if request.segment(0) == "debug_token" {
        return debug_token(world, request, app_id, now);
    }
    Err(GraphError::token_unknown())
}

pub(super) fn debug_token(
    world: &World,
    request: &GraphRequest,
    app_id: u64,
    now: DateTime<Utc>,
) -> Result<Value, GraphError> {
    let Some(token) = request.text("input_token") else {
        return Err(GraphError::parameter("The parameter input_token is required"));
    };
    let known = world.accounts.values().map(|account| (account, account.token_state(&token, now)));
    let found = known.into_iter().find(|(_, state)| *state != TokenState::Unknown);
    let state = found.map_or(TokenState::Unknown, |(_, state)| state);
    let mut data = Map::new();
    data.insert("app_id".to_owned(), app_id.to_string().into());
    data.insert("application".to_owned(), "Simulated app".into());
    data.insert("is_valid".to_owned(), (state == TokenState::Good).into());
    if let Some((account, _)) = found {
        let page = account.spec.page_id.as_ref().unwrap_or(&account.spec.id);
        match account.spec.login {
            Login::Instagram => {
                data.insert("type".to_owned(), "USER".into());
                data.insert("user_id".to_owned(), page.clone().into());
            }
            Login::Facebook => {
                data.insert("type".to_owned(), "PAGE".into());
                data.insert("profile_id".to_owned(), page.clone().into());
                data.insert("user_id".to_owned(), account.person().into());
            }
        }
        data.insert("scopes".to_owned(), json!(scopes(account)));
        let ends = account.ends(&token).map_or(0, |end| end.timestamp());
        data.insert("expires_at".to_owned(), ends.into());
    } else {
        data.insert("scopes".to_owned(), json!([]));
    }
    if state != TokenState::Good {
        let text = "Error validating access token: Session has expired.";
        let subcode = match state {
            TokenState::Expired => Some(463),
            TokenState::AppRemoved => Some(458),
            _ => None,
        };
        data.insert("error".to_owned(), json!({"code": 190, "subcode": subcode, "message": text}));
    }
    Ok(json!({"data": data}))
}

fn scopes(account: &Account) -> &'static [&'static str] {
    match (account.spec.login, account.spec.channel) {
        (Login::Instagram, _) => &[
            "instagram_business_basic",
            "instagram_business_manage_messages",
            "instagram_business_manage_comments",
        ],
        (Login::Facebook, Channel::Instagram) => &[
            "instagram_basic",
            "instagram_manage_messages",
            "instagram_manage_comments",
            "pages_manage_metadata",
            "pages_show_list",
            "pages_read_engagement",
            "business_management",
        ],
        (Login::Facebook, Channel::Messenger) => &[
            "pages_messaging",
            "pages_manage_metadata",
            "pages_read_engagement",
            "pages_manage_engagement",
            "pages_read_user_content",
            "pages_show_list",
        ],
    }
}

/// `GET`, `POST`, `DELETE …/subscribed_apps`.
pub(super) fn subscription(ask: Ask<'_>) -> Result<Value, GraphError> {
    let node = ask.request.segment(0);
    let method = ask.request.method.as_str();
    if !ask.names_account(node) {
        return Err(GraphError::unsupported(node, &method.to_lowercase()));
    }
    let is_page = ask.account.channel == Channel::Messenger
        || ask.world.spec(&ask.account).is_some_and(|spec| {
            spec.login == Login::Facebook && spec.page_id.as_deref() == Some(node)
        });
    let known: &[&str] = if is_page { &PAGE_FIELDS } else { &INSTAGRAM_FIELDS };
    let wanted: Vec<String> = match ask.request.params.get("subscribed_fields") {
        Some(Value::Array(fields)) => {
            fields.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(Value::String(text)) => {
            text.split(',').map(|field| field.trim().to_owned()).filter(|f| !f.is_empty()).collect()
        }
        _ => Vec::new(),
    };
    let app_id = ask.app_id.to_string();
    let Some(account) = ask.world.accounts.get_mut(&ask.account) else {
        return Err(GraphError::unsupported(node, "get"));
    };
    let Account { subscribed, page_subscribed, refused_fields: refused, .. } = account;
    let by_page = is_page && ask.account.channel == Channel::Instagram;
    let subscribed = if by_page { page_subscribed } else { subscribed };
    match method {
        "GET" if subscribed.is_empty() => Ok(json!({"data": []})),
        "GET" if ask.request.host == Host::Instagram => {
            Ok(json!({"data": [{"app_id": app_id, "subscribed_fields": subscribed}]}))
        }
        "GET" => Ok(json!({"data": [{
            "category": "Business",
            "link": "https://example.invalid/app",
            "name": "Simulated app",
            "id": app_id,
            "subscribed_fields": subscribed,
        }]})),
        "POST" => {
            if wanted.is_empty() {
                return Err(GraphError::parameter("The parameter subscribed_fields is required"));
            }
            // One unknown name refuses all of them (docs/meta-platform.md 3.3).
            let bad = wanted.iter().enumerate().find(|(_, field)| !known.contains(&field.as_str()));
            if let Some((index, field)) = bad {
                return Err(GraphError::bad_subscription(index, field, known));
            }
            if let Some(code) = wanted.iter().find_map(|field| refused.get(field)) {
                return Err(GraphError::field_refused(*code));
            }
            // It replaces what was there (docs/meta-platform-2.md 16.4).
            *subscribed = wanted.into_iter().collect();
            Ok(json!({"success": true}))
        }
        "DELETE" => {
            subscribed.clear();
            Ok(json!({"success": true}))
        }
        other => Err(GraphError::unsupported(node, &other.to_lowercase())),
    }
}

/// A new long-lived Instagram token; the old one stays good (docs/meta-platform.md 8.5).
pub(super) fn refresh(ask: Ask<'_>) -> Result<Value, GraphError> {
    if ask.request.text("grant_type").as_deref() != Some("ig_refresh_token") {
        return Err(GraphError::parameter("Param grant_type must be ig_refresh_token"));
    }
    let count = ask.world.calls.count(Some(CallKind::TokenRefresh), None).to_string();
    let seed = ask.world.seed;
    let token =
        format!("IGSIM{}", crate::ids::digits(seed, &["token", &ask.account.id, &count], 30));
    match ask.world.accounts.get_mut(&ask.account) {
        Some(account) if account.spec.login == Login::Instagram => {
            let old = ask.request.token.as_deref().and_then(|old| account.issued.get(old));
            if old.is_some_and(|issued| ask.now - *issued < REFRESH_AGE) {
                return Err(GraphError::token_too_young());
            }
            let permissions = scopes(account).join(",");
            account.tokens.insert(token.clone());
            account.issued.insert(token.clone(), ask.now);
            Ok(json!({
                "access_token": token, "token_type": "bearer", "expires_in": LIFE_SECONDS, "permissions": permissions,
            }))
        }
        _ => Err(GraphError::unsupported("refresh_access_token", "get")),
    }
}
