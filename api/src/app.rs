//! What every route may use.

use std::sync::Arc;

use runtime::broker::Broker;
use runtime::config::{LoginUrls, MetaApps, PublicUrl};
use runtime::reload::Current;
use runtime::seal::Seal;
use runtime::vouch::Vouch;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::auth::Tokens;
use crate::cursor::Cursors;
use crate::list::Totals;
use crate::live::source::Live;
use crate::projected::Projected;
use crate::session::key::SessionKey;
use crate::syncs::Syncs;
use crate::turns::Turns;

/// What browsers need.
pub(crate) struct Browser {
    /// Ties sessions to tokens.
    pub key: SessionKey,
    /// Seals codes of Meta's logins for the worker.
    pub seal: Seal,
    /// `PUBLIC_URL`; without it, connecting is off.
    pub public_url: Option<PublicUrl>,
    /// `META_APPS`; without any, connecting is off.
    pub apps: MetaApps,
    /// Where Meta's logins are.
    pub urls: LoginUrls,
    /// `API_CONSOLE`: whether the console is served at `/`.
    pub console: bool,
    /// `GRAPH_VERSION`: that of Facebook's dialog.
    pub version: String,
}

/// What every route may use.
pub(crate) struct App {
    pub pool: PgPool,
    pub broker: Broker,
    /// How far the read model has come.
    pub projected: Projected,
    /// Events as they are projected.
    pub live: Live,
    /// Who may call.
    pub tokens: Current<Tokens>,
    pub cursors: Cursors,
    /// Lists that need not be counted again.
    pub totals: Totals,
    /// Whose search is next.
    pub searches: Turns,
    /// Conversations that are being imported.
    pub syncs: Syncs,
    /// Vouches for the commands of people.
    pub vouch: Vouch,
    /// Tests endpoints of outgoing webhooks.
    pub delivery: delivery::Client,
    /// What browsers need: sessions, and connecting accounts.
    pub browser: Browser,
    /// Cancelled when the process is to stop: requests that wait are answered with what is known.
    pub stopping: CancellationToken,
}

/// The handle routes get.
pub(crate) type State = axum::extract::State<Arc<App>>;
