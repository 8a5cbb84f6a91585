//! The simulator over HTTP, JSON in and out, for a person with curl and for tests from outside.
//!
//! | request | effect |
//! |---|---|
//! | `GET /sim` | this list, the Graph URLs, open deliveries |
//! | `GET /sim/accounts` · `POST /sim/accounts` | list; add: `{channel, login, id, name, username, token, page_id?, alias?, token_on_both_hosts?}` |
//! | `POST /sim/accounts/{id}/token` | `{"expire": true}` ends the tokens (190/463), `{"remove_app": true}` removes the app (190/458), `{"token": "…"}` gives a new one |
//! | `PUT /sim/accounts/{id}/fields` | `{"refused": ["comments"], "code": 200}`: webhook fields that Meta does not grant |
//! | `POST /sim/callbacks` | `{app, kind: deauthorize\|deletion, account \| user_id, issued_at?}`: a signed callback to `/callbacks/{app}/{kind}` |
//! | `POST /sim/accounts/{id}/usage` · `DELETE` | `{percent, regain_minutes?, refuse?, for_ms?}`: usage headers on every answer |
//! | `POST /sim/accounts/{id}/media` | `{caption}` gives `{id}` of a media or post to comment on |
//! | `GET /sim/people?account=` · `POST /sim/people` | list; add: `{account, name, username?, id?, profile?}` |
//! | `PATCH /sim/people/{id}` | `{profile?, name?, blocks?, thread_elsewhere?}` |
//! | `POST /sim/people/{id}/acts` | one act, see below; gives `{message_id, comment_id, deliveries}` |
//! | `GET /sim/people/{id}/seen` | the thread as the person sees it, oldest first |
//! | `GET /sim/received?account=` | everything people received from accounts |
//! | `GET /sim/comments?account=` | all comments, those of the account too |
//! | `GET /sim/faults` · `POST` · `DELETE` | rules `{fault, kind?, account?, host?, rate?, times?}` |
//! | `GET /sim/calls?kind=&account=&limit=` · `GET /sim/counts` | log and counts of Graph calls |
//! | `GET /sim/policy` · `PATCH /sim/policy` | habits: retry, order, batches, duplicates, echoes, receipts ([`crate::Policy`]) |
//! | `PUT /sim/webhook` | `{url}` where webhooks go |
//! | `GET /sim/deliveries?limit=` · `POST /sim/deliveries/{id}/redeliver` | bodies and attempts; `{times}` posts the same bytes again |
//! | `POST /sim/deliver` | `{path, body \| body_base64, sign: facebook\|instagram\|none\|wrong, signature?}`: any bytes once |
//! | `PUT /sim/traffic` · `DELETE /sim/traffic` | `{people, per_minute}` demo traffic |
//!
//! Acts: `{"act": "say", "text": "…"}`, likewise `attach {type, url}`, `answer {message_id, text}`, `quick_reply {text, payload}`,
//! `from_ad {text, ad_id, ref}`, `unsupported`, `edit {message_id, text}`, `unsend {message_id}`, `react {message_id, emoji}`,
//! `unreact {message_id}`, `read {message_id}`, `postback {text, payload}`, `referral {ref}`, `comment {media_id, text}`,
//! `comment_reply {comment_id, text}`, `comment_edit {comment_id, text}`, `comment_delete {comment_id}`,
//! `typed_by_colleague {text}`. Every act takes `ago_ms`, `reported` (`plain`, `senderless`, `hint`, `companion_before`,
//! `companion_after`, `companion_together`, `silent`), `envelope` (`messaging`, `standby`, `changes`, `flat`), `lookup`
//! (`ok`, `server_error`, `server_error_on_instagram_host`, `deleted`, `no_capability`), `listed`, `wait_ms` (wait until accepted).
//!
//! Wrong input is 422 `{"error": {"field", "message"}}`, an unknown id 404 in the same shape.

mod accounts;
mod acts;
mod callbacks;
mod input;
mod people;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};

use crate::shared::Shared;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/sim", get(wire::index))
        .route("/sim/accounts", get(accounts::list).post(accounts::add))
        .route("/sim/accounts/{id}/token", post(accounts::token))
        .route("/sim/accounts/{id}/fields", put(accounts::fields))
        .route("/sim/callbacks", post(callbacks::send))
        .route("/sim/accounts/{id}/usage", post(accounts::usage).delete(accounts::clear_usage))
        .route("/sim/accounts/{id}/media", post(accounts::media))
        .route("/sim/people", get(people::list).post(people::add))
        .route("/sim/people/{id}", axum::routing::patch(people::change))
        .route("/sim/people/{id}/acts", post(acts::act))
        .route("/sim/people/{id}/seen", get(people::seen))
        .route("/sim/received", get(people::received))
        .route("/sim/comments", get(people::comments))
        .route("/sim/faults", get(wire::faults).post(wire::add_fault).delete(wire::clear_faults))
        .route("/sim/calls", get(wire::calls))
        .route("/sim/counts", get(wire::counts))
        .route("/sim/policy", get(wire::policy).patch(wire::change_policy))
        .route("/sim/webhook", put(wire::webhook))
        .route("/sim/deliveries", get(wire::deliveries))
        .route("/sim/deliveries/{id}/redeliver", post(wire::redeliver))
        .route("/sim/deliver", post(wire::deliver))
        .route("/sim/traffic", put(wire::traffic).delete(wire::stop_traffic))
}
