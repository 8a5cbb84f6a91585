//! What a person sees at Meta, and where it sends them back to.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use url::Url;

use super::grants::{Grant, Listing};
use crate::config::INSTAGRAM_APP_ID;
use crate::model::{Channel, Login};
use crate::shared::Shared;

/// The parameters of both dialogs.
#[derive(Deserialize)]
pub(super) struct Asked {
    client_id: String,
    redirect_uri: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    scope: String,
}

pub(super) async fn instagram(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
) -> Response {
    if asked.client_id != INSTAGRAM_APP_ID.to_string() {
        return stopped("Invalid platform app", "Invalid Request: Request parameters are invalid.");
    }
    let mut choices = String::new();
    let world = shared.world();
    let accounts = world.accounts.values().map(|account| &account.spec);
    let own = accounts
        .filter(|spec| (spec.channel, spec.login) == (Channel::Instagram, Login::Instagram));
    for (n, spec) in own.enumerate() {
        let checked = if n == 0 { " checked" } else { "" };
        let _ = write!(
            choices,
            "<p><label><input type=\"radio\" name=\"account\" value=\"{0}\" id=\"account-{0}\"{checked}> @{1}</label></p>",
            plain(&spec.id),
            plain(&spec.username)
        );
    }
    choices.push_str("<p><label><input type=\"radio\" name=\"account\" value=\"\" id=\"personal\"> a personal account</label></p>");
    drop(world);
    form("Instagram", "instagram", &asked, &choices)
}

pub(super) async fn facebook(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
) -> Response {
    if asked.client_id != shared.app_id.to_string() {
        return stopped("Invalid App ID", "The provided app ID does not look like a valid app ID.");
    }
    let mut choices = String::new();
    for page in shared.world().pages() {
        let instagram =
            page.instagram.map_or_else(String::new, |(_, name)| format!(" with @{name}"));
        let _ = write!(
            choices,
            "<p><label><input type=\"checkbox\" name=\"account\" value=\"{0}\" id=\"account-{0}\" checked> {1}{2}</label></p>",
            plain(&page.id),
            plain(&page.name),
            plain(&instagram)
        );
    }
    choices.push_str(
        "<p><label>The Pages are <select name=\"listing\" id=\"listing\"><option value=\"listed\">yours</option>\
         <option value=\"mixed\">yours and a portfolio's</option><option value=\"named\">a portfolio's, chosen one by one</option><option value=\"all\">a portfolio's, all of them</option></select></label></p>",
    );
    form("Facebook", "facebook", &asked, &choices)
}

fn form(title: &str, login: &str, asked: &Asked, choices: &str) -> Response {
    let mut scopes = String::new();
    for scope in asked.scope.split([',', ' ']).filter(|scope| !scope.is_empty()) {
        let _ = write!(
            scopes,
            "<p><label><input type=\"checkbox\" name=\"scope\" value=\"{0}\" id=\"{0}\" checked> {0}</label></p>",
            plain(scope)
        );
    }
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Simulated {title}</title></head><body><main>\
         <h1>Simulated {title}</h1><p>An app asks for access.</p><form method=\"post\" action=\"/dialog/decide\">\
         <input type=\"hidden\" name=\"login\" value=\"{login}\"><input type=\"hidden\" name=\"client_id\" value=\"{}\">\
         <input type=\"hidden\" name=\"redirect_uri\" value=\"{}\"><input type=\"hidden\" name=\"state\" value=\"{}\">\
         <fieldset><legend>Which</legend>{choices}</fieldset><fieldset><legend>What it may do</legend>{scopes}</fieldset>\
         <p><button name=\"decision\" value=\"allow\" id=\"allow\">Allow</button> \
         <button name=\"decision\" value=\"cancel\" id=\"cancel\">Cancel</button> \
         <button name=\"decision\" value=\"no_tester\" id=\"no_tester\">I am no tester</button></p></form></main></body></html>",
        plain(&asked.client_id),
        plain(&asked.redirect_uri),
        plain(&asked.state),
    ))
    .into_response()
}

/// Meta's own page: nobody is sent back.
fn stopped(title: &str, text: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title></head><body><h1>{0}</h1><p>{1}</p></body></html>",
        plain(title),
        plain(text)
    );
    (StatusCode::BAD_REQUEST, Html(page)).into_response()
}

/// Takes the decision and sends the browser back.
pub(super) async fn decide(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let one = |name: &str| {
        fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    };
    let all = |name: &str| -> Vec<String> {
        let named = fields.iter().filter(|(key, value)| key == name && !value.is_empty());
        named.map(|(_, value)| value.clone()).collect()
    };
    let Ok(mut back) = Url::parse(one("redirect_uri")) else {
        return stopped("Invalid redirect_uri", "The redirect_uri is not an address.");
    };
    let login = if one("login") == "facebook" { Login::Facebook } else { Login::Instagram };
    match one("decision") {
        "no_tester" => {
            let text = "Insufficient Developer Role: the app is in development and you are no tester of it.";
            return stopped("Insufficient Developer Role", text);
        }
        "cancel" => {
            back.query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair("error_reason", "user_denied")
                .append_pair("error_description", "The user denied your request")
                .append_pair("state", one("state"));
        }
        _ => {
            let mut world = shared.world();
            let code = world.mint_secret("AQ");
            let listing: Listing =
                serde_json::from_value(one("listing").into()).unwrap_or_default();
            let grant = Grant {
                login,
                client_id: one("client_id").to_owned(),
                redirect_uri: one("redirect_uri").to_owned(),
                scopes: all("scope"),
                accounts: all("account"),
                listing,
                used: false,
            };
            world.grants.codes.insert(code.clone(), grant);
            back.query_pairs_mut().append_pair("code", &code).append_pair("state", one("state"));
        }
    }
    // As Meta does: a fragment, which no server sees.
    back.set_fragment(Some("_"));
    (StatusCode::FOUND, [("location", back.to_string())]).into_response()
}

fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
