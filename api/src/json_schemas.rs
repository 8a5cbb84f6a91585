//! `GET /schemas/{file}`: the JSON Schemas of events and commands, for everybody.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// Name and content of each, sorted by name.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/schemas.rs"));

/// One of them.
///
/// # Errors
/// 404
pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let (_, content) = FILES.iter().find(|(file, _)| *file == name).ok_or_else(|| {
        Problem::not_found("no such schema: /schemas/events.v1.json has all events, /schemas/commands.v1.json all commands")
    })?;
    Ok(([(header::CONTENT_TYPE, "application/schema+json")], *content).into_response())
}
