//! ◆ Pure: the pages of connecting that are no refusals.

use std::fmt::Write as _;

use axum::http::StatusCode;
use runtime::config::MetaApps;
use schemas::{Login, scopes};

use crate::html::{Page, text};
use crate::worker_views::{Candidate, Connecting};

/// Where a login shows how far it is.
pub(super) fn result(id: &str) -> String {
    format!("/connect/result/{id}")
}

/// Connecting is off.
pub(super) fn off(variable: &str) -> Page {
    let page = Page::new(StatusCode::NOT_FOUND, "Connecting is off")
        .error(&format!("{variable} is not set, so no account can be connected in a browser."))
        .heading("What to do");
    match variable {
        "META_APPS" => page.list([
            "Set META_APPS=name:instagram:APP_ID or name:facebook:APP_ID of api and worker, and the app's secret under the same name in META_APP_SECRETS.",
        ]),
        _ => page.list([
            "Set PUBLIC_URL of the api to the https origin under which browsers reach it, such as https://hookline.example.",
        ]),
    }
}

/// No such login.
pub(super) fn no_login() -> Page {
    Page::new(StatusCode::NOT_FOUND, "No such login")
        .error("There are two logins: instagram and facebook.")
        .go("/connect", "Choose one")
}

/// No such app.
pub(super) fn no_app(login: Login, name: Option<&str>) -> Page {
    let what = match name {
        Some(name) => format!(
            "META_APPS has no {} app named `{}`.",
            login,
            name.chars().take(64).collect::<String>()
        ),
        None => format!("META_APPS has no {login} app."),
    };
    Page::new(StatusCode::NOT_FOUND, "No such app")
        .error(&what)
        .heading("What to do")
        .list([format!("Add name:{login}:APP_ID to META_APPS of api and worker.")])
        .go("/connect", "Choose another one")
}

/// What can be connected by, and what Meta says where it stops somebody and sends nobody back.
pub(super) fn index(apps: &MetaApps, redirect_uri: &str) -> Page {
    let mut page = Page::new(StatusCode::OK, "Connect accounts").says(
        "You go to Meta, log in there as the business, allow the access, and come back here.",
    );
    for app in apps.iter() {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("app", &app.name)
            .finish();
        let what = match app.login {
            Login::Instagram => "Connect an Instagram account",
            Login::Facebook => "Connect Facebook Pages and their Instagram accounts",
        };
        page = page
            .go(&format!("/connect/{}?{query}", app.login), &format!("{what} (app {})", app.name));
    }
    page.heading("If Meta stops you there")
        .list([
            "\"Insufficient developer role\": the app is in development. Add the account as a tester in Meta's dashboard; an Instagram tester accepts at instagram.com/accounts/manage_access, in a browser.".to_owned(),
            "\"Invalid platform app\": META_APPS has the Meta app id where the Instagram app id belongs (\"API setup with Instagram login\").".to_owned(),
            format!("\"URL blocked\" or \"Invalid redirect_uri\": list exactly {redirect_uri} as a redirect address of the app."),
            "A personal Instagram account cannot be connected: switch it to a professional one first.".to_owned(),
        ])
        .markup("<form method=\"post\" action=\"/session/end\"><button>End this session</button></form>\n")
}

/// Meta is being asked.
pub(super) fn under_way(id: &str, login: Login) -> Page {
    let result = result(id);
    Page::new(StatusCode::OK, "One moment")
        .markup(&format!(
            "<p role=\"status\">{} is being asked. This page loads itself again.</p>\n",
            login.title()
        ))
        .again_in(2, Some(&result))
        .go(&result, "Load it now")
}

fn title_of(candidate: &Candidate) -> String {
    let channel = match candidate.channel.as_str() {
        "instagram" => "Instagram",
        _ => "Messenger",
    };
    let name = candidate.handle.as_ref().map(|handle| format!("@{handle}"));
    let name = name.or_else(|| candidate.name.clone()).unwrap_or_default();
    format!("{channel}: {name} ({})", candidate.id)
}

fn obstacle_of(login: Login, candidate: &Candidate) -> Option<String> {
    match candidate.obstacle.as_deref()? {
        "tasks" => Some("You may not answer messages of this Page. Ask its administrator for the task \"Messages\", then begin again.".to_owned()),
        _ => {
            let costs = candidate.missing.iter().map(|name| cost_of(login, name));
            Some(format!("Not granted: {}. Begin again and leave it ticked.", costs.collect::<Vec<_>>().join("; ")))
        }
    }
}

fn cost_of(login: Login, name: &str) -> String {
    let cost = scopes::named(login, name).map_or("", |permission| permission.cost);
    format!("{name} (without it {cost})")
}

fn name_of(candidate: &Candidate) -> String {
    format!("{}/{}", candidate.channel, candidate.id)
}

/// What a form chose of what is offered.
pub(super) fn chosen(found: &Connecting, fields: &[(String, String)]) -> Vec<String> {
    let offered = found.candidates.0.iter().filter(|one| one.obstacle.is_none()).map(name_of);
    let is_chosen =
        |offered: &String| fields.iter().any(|(name, value)| name == "account" && value == offered);
    offered.filter(is_chosen).collect()
}

/// The form in which a person chooses.
pub(super) fn choose(id: &str, login: Login, found: &Connecting) -> Page {
    let mut choices = String::new();
    for (n, candidate) in found.candidates.0.iter().enumerate() {
        let label = text(&title_of(candidate));
        let _ = match obstacle_of(login, candidate) {
            None => writeln!(
                choices,
                "<div class=\"choice\"><input type=\"checkbox\" id=\"c{n}\" name=\"account\" value=\"{}\" checked><label for=\"c{n}\">{label}</label></div>",
                text(&name_of(candidate))
            ),
            Some(obstacle) => writeln!(
                choices,
                "<div class=\"choice\"><input type=\"checkbox\" id=\"c{n}\" disabled aria-describedby=\"o{n}\"><label for=\"c{n}\">{label}</label></div><p id=\"o{n}\">{}</p>",
                text(&obstacle)
            ),
        };
    }
    let page = Page::new(StatusCode::OK, "Choose what to connect").markup(&format!(
        "<form method=\"post\" action=\"/connect/choose\">\n<input type=\"hidden\" name=\"login\" value=\"{}\">\n<fieldset><legend>Accounts that {} lists for you</legend>\n{choices}</fieldset>\n<button>Connect</button>\n</form>\n",
        text(id),
        login.title()
    ));
    with_costs(page, login, found)
}

/// What is not granted and does not hinder connecting.
fn with_costs(page: Page, login: Login, found: &Connecting) -> Page {
    if found.granted.is_empty() {
        return page;
    }
    let costs: Vec<String> = scopes::missing(login, &found.granted)
        .map(|permission| cost_of(login, permission.name))
        .collect();
    if costs.is_empty() {
        return page;
    }
    page.heading("Not granted")
        .list(&costs)
        .says("Connect again with these ticked, if you want what they are for.")
}

/// A refusal with what is missing on each account.
pub(super) fn with_obstacles(page: Page, login: Login, found: &Connecting) -> Page {
    let obstacles: Vec<String> = found
        .candidates
        .0
        .iter()
        .filter_map(|one| Some(format!("{}: {}", title_of(one), obstacle_of(login, one)?)))
        .collect();
    if obstacles.is_empty() {
        return page;
    }
    page.heading("What is missing").list(&obstacles)
}

/// What became of each account.
pub(super) fn done(login: Login, found: &Connecting) -> Page {
    let outcome = |candidate: &Candidate| {
        let what = match candidate.outcome.as_deref()? {
            "connected" => "connected",
            "reconnected" => "connected again: history and settings are kept",
            _ => "not connected",
        };
        let note = candidate.note.as_ref().map_or_else(String::new, |note| format!(". {note}"));
        Some(format!("{}: {what}{note}", title_of(candidate)))
    };
    let outcomes: Vec<String> = found.candidates.0.iter().filter_map(outcome).collect();
    let failed = |one: &Candidate| one.outcome.as_deref() == Some("failed");
    let title = match found.candidates.0.iter().any(failed) {
        true => "Not everything was connected",
        false => "Connected",
    };
    let page = Page::new(StatusCode::OK, title)
        .markup("<div role=\"status\">\n")
        .list(&outcomes)
        .markup("</div>\n")
        .says("New messages come in from now on. You can close this page.");
    with_costs(page, login, found).go("/connect", "Connect another one")
}
