//! Meta's logins in a browser: the dialogs, and the exchange of codes and tokens (docs/meta-platform-2.md 16.1, 16.2).
//!
//! `dialog` shows the pages and takes what the person decides, `grants` (pure) is what Meta remembers of it, `exchange` turns codes into tokens,
//! `owner` answers for tokens of people, `world` (pure) is what a login changes.

mod dialog;
mod exchange;
pub(crate) mod grants;
mod owner;
mod world;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use serde_json::Value;

use crate::graph::GraphRequest;
use crate::shared::Shared;

pub use grants::CodeRefusal;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/www.instagram/oauth/authorize", get(dialog::instagram))
        .route("/www.facebook/{version}/dialog/oauth", get(dialog::facebook))
        .route("/dialog/decide", post(dialog::decide))
        .route("/api.instagram/oauth/access_token", post(exchange::instagram_code))
}

/// Answers what no account's token is asked with: exchanges, and what a person's token may read. `None`: another kind of call.
pub(crate) fn answer(shared: &Shared, request: &GraphRequest) -> Option<(u16, Value)> {
    exchange::graph(shared, request).or_else(|| owner::read(shared, request))
}
