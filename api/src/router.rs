//! Everything that is answered: the routes of `/v1` behind their layers, the pages of browsers, `/openapi.json`, `/docs`, and whether it is ready.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Json, Router, middleware};
use runtime::admin;
use runtime::health::Health;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;
use crate::extract::BODY_MAX;
use crate::{connect, console, deletion, json_schemas, layers, openapi, session};

#[cfg(test)]
mod tests;

/// Everything that is answered.
pub(crate) fn router(app: Arc<App>, health: &Health) -> Router {
    let (v1, pages, doc) = openapi::routes();
    // Public: whoever asked for the deletion of their data has a code and no token, and a schema names nobody.
    let public = Router::new()
        .route("/deletion/{code}", axum::routing::get(deletion::page))
        .route("/schemas/{file}", axum::routing::get(json_schemas::file))
        .with_state(app.clone());
    let v1 = v1
        .method_not_allowed_fallback(layers::no_method)
        .route_layer(middleware::from_fn_with_state(app.clone(), layers::authenticate))
        // Around it: a session stands in Postgres.
        .route_layer(middleware::from_fn_with_state(app.clone(), layers::available))
        .with_state(app.clone());
    let console = console::routes(app.browser.console);
    let pages = pages
        .merge(session::routes::undescribed())
        .merge(connect::undescribed())
        .method_not_allowed_fallback(layers::no_method)
        .route_layer(middleware::from_fn_with_state(app.clone(), layers::available))
        .with_state(app);
    // Its page would ask somebody else's validator about our address.
    let docs = SwaggerUi::new("/docs").config(Config::new(["/openapi.json"]).validator_url("none"));
    Router::new()
        .merge(v1)
        .merge(pages)
        .merge(public)
        .merge(console)
        .merge(admin::at_door(health))
        .merge(docs)
        .route("/openapi.json", axum::routing::get(move || async move { Json(doc) }))
        .fallback(layers::no_route)
        .method_not_allowed_fallback(layers::no_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(middleware::from_fn(layers::observe))
}
