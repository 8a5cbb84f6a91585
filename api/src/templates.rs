//! Message templates: not carried out by this version.

use crate::problem::Problem;

const WHAT: &str = "message templates";

/// List templates
///
/// Not implemented yet.
///
/// # Errors
/// 501.
#[utoipa::path(get, path = "/v1/templates", tag = "templates", responses((status = 401, body = Problem), (status = 501, body = Problem)))]
pub(crate) async fn list() -> Problem {
    Problem::not_implemented(WHAT)
}

/// Write a template
///
/// Not implemented yet.
///
/// # Errors
/// 501.
#[utoipa::path(post, path = "/v1/templates", tag = "templates", responses((status = 401, body = Problem), (status = 501, body = Problem)))]
pub(crate) async fn create() -> Problem {
    Problem::not_implemented(WHAT)
}

/// Submit a template to Meta
///
/// Not implemented yet.
///
/// # Errors
/// 501.
#[utoipa::path(post, path = "/v1/templates/{id}/submit", tag = "templates", params(("id" = String, Path, description = "The template")),
    responses((status = 401, body = Problem), (status = 501, body = Problem)))]
pub(crate) async fn submit() -> Problem {
    Problem::not_implemented(WHAT)
}

/// Read a template's status from Meta
///
/// Not implemented yet.
///
/// # Errors
/// 501.
#[utoipa::path(post, path = "/v1/templates/{id}/refresh", tag = "templates", params(("id" = String, Path, description = "The template")),
    responses((status = 401, body = Problem), (status = 501, body = Problem)))]
pub(crate) async fn refresh() -> Problem {
    Problem::not_implemented(WHAT)
}

/// Send a template
///
/// Not implemented yet.
///
/// # Errors
/// 501.
#[utoipa::path(post, path = "/v1/templates/{id}/send", tag = "templates", params(("id" = String, Path, description = "The template")),
    responses((status = 401, body = Problem), (status = 501, body = Problem)))]
pub(crate) async fn send() -> Problem {
    Problem::not_implemented(WHAT)
}
