//! All routes of `/v1` and their description.

use std::sync::Arc;

use axum::Router;
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::{
    accounts, acts, blocklist, commands, comments, connect, contacts, conversations, conversions,
    endpoints, feed, insights, labels, live, media, mentions, messages, notes, operate, replies,
    saved_replies, session, snooze, templates,
};

mod finish;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "hookline inbox API", contact(name = "Whoever runs this hookline"),
        license(name = "Apache-2.0", url = "https://www.apache.org/licenses/LICENSE-2.0"), description = "Conversations, messages, replies and comments of Instagram and Messenger accounts. \
        Errors are RFC 9457 problems with a stable `code`; lists go on with `cursor`; acts wait up to 2 s until they can be read."),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Doc;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, doc: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of API_TOKENS; GET needs `read`, everything else `write`."))
            .build();
        doc.components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Doc::openapi())
        .routes(routes!(conversations::list))
        .routes(routes!(conversations::show))
        .routes(routes!(messages::list, messages::send::send))
        .routes(routes!(conversations::policy::show))
        .routes(routes!(replies::list::list))
        .routes(routes!(replies::show, replies::settle::cancel))
        .routes(routes!(replies::settle::resolve))
        .routes(routes!(commands::show::show))
        .routes(routes!(saved_replies::list, saved_replies::create))
        .routes(routes!(saved_replies::change, saved_replies::delete))
        .routes(routes!(acts::read))
        .routes(routes!(acts::typing))
        .routes(routes!(acts::archive))
        .routes(routes!(acts::unarchive))
        .routes(routes!(acts::assign))
        .routes(routes!(snooze::snooze))
        .routes(routes!(labels::put, labels::delete))
        .routes(routes!(notes::list, notes::create))
        .routes(routes!(contacts::show))
        .routes(routes!(blocklist::list, blocklist::block, blocklist::unblock))
        .routes(routes!(comments::list))
        .routes(routes!(comments::hide::hide))
        .routes(routes!(comments::write::reply))
        .routes(routes!(comments::write::private_reply))
        .routes(routes!(comments::write::change, comments::write::delete))
        .routes(routes!(comments::write::create))
        .routes(routes!(media::list))
        .routes(routes!(mentions::list))
        .routes(routes!(feed::list))
        .routes(routes!(insights::list))
        .routes(routes!(insights::refresh))
        .routes(routes!(conversions::list, conversions::report))
        .routes(routes!(templates::list::list, templates::write::create))
        .routes(routes!(templates::list::show))
        .routes(routes!(templates::write::submit))
        .routes(routes!(templates::write::refresh))
        .routes(routes!(templates::send::send))
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::sync))
        .routes(routes!(accounts::upkeep::subscribe))
        .routes(routes!(accounts::upkeep::refresh))
        .routes(routes!(accounts::upkeep::disconnect))
        .routes(routes!(accounts::health::health))
        .routes(routes!(endpoints::routes::list, endpoints::routes::create))
        .routes(routes!(
            endpoints::routes::show,
            endpoints::routes::change,
            endpoints::routes::remove
        ))
        .routes(routes!(endpoints::routes::rotate))
        .routes(routes!(endpoints::routes::replay))
        .routes(routes!(endpoints::routes::test))
        .routes(routes!(live::route::live))
        .routes(routes!(live::log::read))
        .routes(routes!(operate::jobs))
        .routes(routes!(operate::audit))
        .routes(routes!(operate::dead))
        .routes(routes!(operate::waiting))
        .routes(routes!(operate::status::show))
        .routes(routes!(operate::trace::show))
        .routes(routes!(operate::send::list))
        .routes(routes!(operate::send::freeze))
        .routes(routes!(operate::send::thaw))
        .routes(routes!(operate::redrive::run))
        .routes(routes!(operate::redrive::discard))
        .routes(routes!(operate::jobs::pause))
        .routes(routes!(operate::jobs::resume))
        .routes(routes!(operate::jobs::cancel))
}

/// What browsers need, which no token is sent for.
fn of_browsers() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(session::routes::open, session::routes::end))
        .route("/session", axum::routing::get(session::routes::page))
        .routes(routes!(connect::begin))
        .routes(routes!(connect::callback))
}

/// The routes of `/v1`, those of browsers, and their description: OpenAPI 3.1.
pub(crate) fn routes() -> (Router<Arc<App>>, Router<Arc<App>>, Value) {
    let (router, mut doc) = described().split_for_parts();
    let (pages, of_pages) = of_browsers().split_for_parts();
    doc.merge(of_pages);
    (router, pages, finished(&doc))
}

/// With what holds for every operation.
fn finished(doc: &OpenApi) -> Value {
    // Texts, numbers and maps with text keys can always be written.
    let mut doc = serde_json::to_value(doc).unwrap_or_default();
    finish::finish(&mut doc);
    doc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/contract.md 7, one route per line.
    const ROUTES: &str = "
        get /v1/conversations
        get /v1/conversations/{id}
        get /v1/conversations/{id}/messages
        post /v1/conversations/{id}/messages
        get /v1/conversations/{id}/policy
        get /v1/replies
        get /v1/replies/{reply_id}
        delete /v1/replies/{reply_id}
        post /v1/replies/{reply_id}/resolve
        get /v1/commands/{id}
        get /v1/saved_replies
        post /v1/saved_replies
        put /v1/saved_replies/{id}
        delete /v1/saved_replies/{id}
        post /v1/conversations/{id}/read
        post /v1/conversations/{id}/typing
        post /v1/conversations/{id}/archive
        post /v1/conversations/{id}/unarchive
        post /v1/conversations/{id}/assign
        post /v1/conversations/{id}/snooze
        put /v1/conversations/{id}/labels/{name}
        delete /v1/conversations/{id}/labels/{name}
        get /v1/conversations/{id}/notes
        post /v1/conversations/{id}/notes
        get /v1/contacts/{id}
        get /v1/blocklist
        post /v1/blocklist
        delete /v1/blocklist
        get /v1/comments
        post /v1/comments/hide
        post /v1/comments/{id}/replies
        post /v1/comments/{id}/private_reply
        patch /v1/comments/{id}
        delete /v1/comments/{id}
        post /v1/media/{id}/comments
        get /v1/media
        get /v1/mentions
        get /v1/feed
        get /v1/insights
        post /v1/insights/refresh
        get /v1/conversions
        post /v1/conversions
        get /v1/templates
        post /v1/templates
        get /v1/templates/{id}
        post /v1/templates/{id}/submit
        post /v1/templates/{id}/refresh
        post /v1/templates/{id}/send
        get /v1/accounts
        post /v1/accounts/{id}/sync
        post /v1/accounts/{id}/subscribe
        post /v1/accounts/{id}/refresh
        post /v1/accounts/{id}/disconnect
        get /v1/accounts/{id}/health
        get /v1/endpoints
        post /v1/endpoints
        get /v1/endpoints/{id}
        patch /v1/endpoints/{id}
        delete /v1/endpoints/{id}
        post /v1/endpoints/{id}/rotate
        post /v1/endpoints/{id}/replay
        post /v1/endpoints/{id}/test
        get /v1/live
        get /v1/events
        get /v1/ops/jobs
        get /v1/ops/audit
        get /v1/ops/dead
        get /v1/ops/waiting
        get /v1/ops/status
        get /v1/ops/trace/{id}
        get /v1/ops/send
        post /v1/ops/send/freeze
        post /v1/ops/send/thaw
        post /v1/ops/redrive/run
        post /v1/ops/redrive/discard
        post /v1/ops/jobs/{id}/pause
        post /v1/ops/jobs/{id}/resume
        post /v1/ops/jobs/{id}/cancel
        post /session
        delete /session
        get /connect/{login}
        get /connect/callback
    ";

    #[test]
    fn every_route_of_the_contract_is_described_and_no_other() {
        let (_, _, doc) = routes();
        let mut described: Vec<String> = doc["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
            })
            .collect();
        described.sort();
        let mut promised: Vec<String> = ROUTES
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        promised.sort();
        assert_eq!(described, promised);
    }

    #[test]
    fn nothing_answers_that_it_is_not_built() {
        let (_, _, doc) = routes();
        for (path, item) in doc["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["responses"].get("501").is_none(), "{method} {path}");
            }
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let (_, _, doc) = routes();
        let items = doc["paths"].as_object().unwrap().values();
        let operations = items.flat_map(|item| item.as_object().unwrap().values());
        let names: Vec<_> =
            operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        let once: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "{names:?}");
    }

    /// The types of the console are generated from it (`make bless`).
    #[test]
    fn the_console_has_this_description() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../console/src/api/openapi.json");
        let text = format!("{:#}\n", routes().2);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == text, "console/src/api/openapi.json is old: run `make bless`");
    }

    #[test]
    fn every_operation_says_what_a_missing_token_gives() {
        let (_, _, doc) = routes();
        assert_eq!(doc["components"]["securitySchemes"]["token"]["scheme"], "bearer");
        for (path, item) in doc["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let problem = &operation["responses"]["401"]["content"]["application/problem+json"];
                // Pages answer with pages.
                assert!(
                    problem["schema"].is_object() || path.starts_with("/connect"),
                    "{method} {path}"
                );
                assert!(operation["summary"].is_string(), "{method} {path}");
            }
        }
        assert!(doc["components"]["schemas"]["Problem"]["properties"]["code"].is_object());
    }
}
