//! `GET /v1/replies`: replies that have not ended, whose outcome is unknown, or that were not sent.

use axum::Json;
use schemas::Channel;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Reply;
use crate::app::State;
use crate::auth::Caller;
use crate::extract::Query;
use crate::list::{Page, scope};
use crate::problem::Problem;
use crate::worker_views::replies::{self, Wanted};

/// Which replies.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RepliesQuery {
    /// `queued`, `held` (queued, with the reason in `held`), `sending`, `unknown`, `failed` or `partial`. Unset: all that wait for something.
    pub status: Option<String>,
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// Only this conversation.
    pub conversation_id: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

/// A page of replies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replies {
    /// Those asked for last first.
    pub replies: Vec<Reply>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl RepliesQuery {
    fn scope(&self) -> String {
        let filters = [
            ("status", self.status.as_deref()),
            ("channel", self.channel.map(Channel::as_str)),
            ("account_id", self.account_id.as_deref()),
            ("conversation_id", self.conversation_id.as_deref()),
        ];
        scope("replies", &filters)
    }

    fn wanted(&self, caller: &Caller) -> Result<Wanted<'_>, Problem> {
        let (state, status, held) = match self.status.as_deref() {
            None => (None, None, false),
            Some("queued") => (Some("open"), Some("queued"), false),
            Some("held") => (Some("open"), None, true),
            Some("sending") => (Some("open"), Some("sending"), false),
            Some("unknown") => (Some("unknown"), None, false),
            Some("failed") => (Some("failed"), None, false),
            Some("partial") => (Some("partial"), None, false),
            Some(_) => {
                return Err(Problem::invalid(
                    "status",
                    "use queued, held, sending, unknown, failed or partial; what was sent is in the messages of its conversation",
                ));
            }
        };
        Ok(Wanted {
            channel: self.channel,
            accounts: caller.reach.within(self.account_id.as_deref()),
            conversation: self.conversation_id.as_deref(),
            state,
            status,
            held,
        })
    }
}

/// List replies
///
/// Those that wait for something, or of one status: what is parked (`unknown`), held, or failed. Asked for last first.
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/replies", tag = "messages", params(RepliesQuery),
    responses((status = 200, body = Replies), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<RepliesQuery>,
) -> Result<Json<Replies>, Problem> {
    let wanted = query.wanted(&caller)?;
    let cursor = query.cursor.as_deref();
    let page = Page::read(&app.cursors, &caller, query.scope(), cursor, query.limit)?;
    let rows = replies::page(&app.pool, &wanted, &page).await?;
    let page = page.cut(&app.cursors, rows);
    let replies = page.rows.into_iter().map(Reply::from).collect();
    Ok(Json(Replies { replies, next_cursor: page.next_cursor }))
}
