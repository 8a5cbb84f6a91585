//! The Graph API: who asks, what for, does it go wrong, what is the answer (docs/meta-platform.md 8, 9).

mod account;
mod ask;
mod comments;
mod conversions;
mod error;
mod fields;
mod insights;
mod messages;
mod reads;
mod reply;
mod request;
mod route;
mod templates;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::call_kind::CallKind;
use crate::calls::Call;
use crate::echo;
use crate::faults::Fault;
use crate::model::{AccountKey, Host, Login, Usage};
use crate::shared::Shared;
use crate::world::World;
use ask::{After, Ask, Done};
pub(crate) use error::GraphError;
use reply::{Outcome, Reply, respond};
pub(crate) use request::GraphRequest;

pub(crate) use reply::Reset;

/// What usage headers say when the whole app is held back.
const THROTTLED: Usage = Usage { percent: 100, regain_minutes: 17, refuse: false };

/// Answers one call.
pub(crate) async fn handle(
    shared: Arc<Shared>,
    host: Host,
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let read =
        GraphRequest::read(host, &shared.base, method, &path, query.as_deref(), &headers, &body);
    if let Ok(request) = &read
        && let Some((status, body)) = crate::oauth::answer(&shared, request)
    {
        return respond(Outcome {
            reply: Reply::Json(status, body),
            after: After::Nothing,
            login: Login::Facebook,
            usage: None,
            app_limited: false,
            token_refused: false,
        });
    }
    let mut outcome = match read {
        Ok(request) => perform(&shared, &request),
        Err(error) => {
            let trace = trace_id(&shared.world());
            Outcome {
                reply: Reply::Json(error.status, error.body(&trace)),
                after: After::Nothing,
                login: Login::Facebook,
                usage: None,
                app_limited: false,
                token_refused: false,
            }
        }
    };
    follow_up(&shared, std::mem::replace(&mut outcome.after, After::Nothing), outcome.login).await;
    let policy = shared.policy();
    if !policy.answer_delay.is_zero() {
        tokio::time::sleep(policy.answer_delay).await;
    }
    if matches!(outcome.reply, Reply::Hold) {
        tokio::select! {
            () = shared.stop.cancelled() => {}
            () = tokio::time::sleep(policy.hold) => {}
        }
    }
    let mut response = respond(outcome);
    let date = shared.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// In a task of its own: a caller that hangs up does not keep Meta from sending its webhook.
async fn follow_up(shared: &Arc<Shared>, after: After, login: Login) {
    match after {
        After::Nothing => {}
        After::Commented(comment, verb) => {
            crate::commenting::report_comment(shared, &comment, login, verb);
        }
        After::Sent(message) => {
            let (done, wait) = tokio::sync::oneshot::channel();
            let for_task = shared.clone();
            shared.spawn(async move {
                echo::follow_up(&for_task, &message, login).await;
                // Nobody waits any more when the caller hung up.
                let _ = done.send(());
            });
            // The sender is dropped when the simulator stops: then there is nothing to wait for.
            let _ = wait.await;
        }
    }
}

fn perform(shared: &Shared, request: &GraphRequest) -> Outcome {
    let (now, listing_max) = (shared.now(), shared.policy().listing_max);
    let mut guard = shared.world();
    let world = &mut *guard;
    let kind = route::classify(world, request);
    let (owners, refusal) = route::authenticate(&shared.secrets, world, request, kind, now);
    let account = route::choose(world, request, &owners);
    let name = account.as_ref().map_or("", |key| key.id.as_str()).to_owned();
    let usage = account.as_ref().and_then(|key| usage_now(world, key, now));
    let fault = if refusal.is_none() {
        world.faults.draw(kind, &name, request.host, &mut world.fault_random)
    } else {
        None
    };
    let asks_too_much = kind == CallKind::Conversations
        && request.number("limit").is_some_and(|limit| listing_max < limit);
    let held_back = usage.as_ref().filter(|(_, usage)| usage.refuse);
    let before = refusal
        .or_else(|| held_back.map(|_| GraphError::rate_limited()))
        .or_else(|| fault.and_then(before_error))
        .or_else(|| asks_too_much.then(GraphError::reduce));
    let skipped = matches!(fault, Some(Fault::TimeoutBefore | Fault::ResetBefore));
    let done = match (before, &account) {
        (Some(error), _) => Err(error).into(),
        (None, _) if skipped => Err(GraphError::unknown_500()).into(),
        (None, Some(key)) => {
            let account = key.clone();
            let app_id = shared.app_id;
            answer(Ask { world, request, account, now, app_id }, kind)
        }
        (None, None) => account::without_account(world, request, shared.app_id, now).into(),
    };
    let reply = match fault {
        Some(Fault::TimeoutBefore | Fault::TimeoutAfter) => Reply::Hold,
        Some(Fault::ResetBefore | Fault::ResetAfter) => Reply::Reset,
        Some(Fault::BadGatewayAfter) => Reply::BadGateway,
        Some(Fault::ServerErrorAfter) => {
            Reply::Json(500, GraphError::unknown_500().body(&trace_id(world)))
        }
        _ => match &done.answer {
            Ok(body) => Reply::Json(200, body.clone()),
            Err(error) => Reply::Json(error.status, error.body(&trace_id(world))),
        },
    };
    let (status, error) = match &reply {
        Reply::Json(status, body) => (Some(*status), body.get("error").cloned()),
        Reply::BadGateway => (Some(502), None),
        Reply::Hold | Reply::Reset => (None, None),
    };
    let number =
        |key: &str| error.as_ref().and_then(|error| error.get(key)).and_then(Value::as_i64);
    world.calls.push(Call {
        at: now,
        kind,
        host: request.host,
        account: account.as_ref().map(|key| key.id.clone()),
        target: route::target(request),
        status,
        code: number("code"),
        subcode: number("error_subcode"),
        fault,
        created: done.created,
    });
    let app_limited = fault == Some(Fault::AppLimited);
    Outcome {
        reply,
        after: done.after,
        login: account
            .as_ref()
            .and_then(|key| world.spec(key))
            .map_or(Login::Facebook, |spec| spec.login),
        usage: if app_limited { account.map(|key| (key, THROTTLED)) } else { usage },
        app_limited,
        token_refused: matches!(&done.answer, Err(error) if error.token),
    }
}

fn before_error(fault: Fault) -> Option<GraphError> {
    match fault {
        Fault::ServerErrorBefore => Some(GraphError::unknown_500()),
        Fault::TemporaryBefore => Some(GraphError::temporary()),
        Fault::RateLimited => Some(GraphError::rate_limited()),
        Fault::AppLimited => Some(GraphError::app_limited()),
        Fault::TokenExpired => Some(GraphError::token_expired()),
        Fault::NoCapability => Some(GraphError::no_capability()),
        Fault::NoPermission => Some(GraphError::no_permission()),
        Fault::CursorEnded => {
            Some(GraphError::parameter("Param after is not a cursor of this list"))
        }
        Fault::ServerErrorAfter
        | Fault::BadGatewayAfter
        | Fault::TimeoutBefore
        | Fault::TimeoutAfter
        | Fault::ResetBefore
        | Fault::ResetAfter => None,
    }
}

fn usage_now(world: &World, key: &AccountKey, now: DateTime<Utc>) -> Option<(AccountKey, Usage)> {
    let (usage, until) = world.accounts.get(key)?.usage?;
    until.is_none_or(|until| now < until).then(|| (key.clone(), usage))
}

fn answer(ask: Ask<'_>, kind: CallKind) -> Done {
    match kind {
        CallKind::Send | CallKind::PrivateReply => messages::send(ask),
        CallKind::SenderAction => messages::sender_action(ask).into(),
        CallKind::MessageLookup => reads::message(&ask).into(),
        CallKind::Conversations => reads::conversations(&ask).into(),
        CallKind::Thread => reads::thread(&ask).into(),
        CallKind::Profile => reads::profile(&ask).into(),
        CallKind::Account => account::read(&ask).into(),
        CallKind::DebugToken => {
            account::debug_token(ask.world, ask.request, ask.app_id, ask.now).into()
        }
        CallKind::Subscription => account::subscription(ask).into(),
        CallKind::TokenRefresh => account::refresh(ask).into(),
        CallKind::CommentList => comments::list(&ask).into(),
        CallKind::CommentRead => comments::read(&ask).into(),
        CallKind::CommentReply => comments::reply(ask),
        CallKind::CommentCreate => comments::create(ask),
        CallKind::CommentHide => comments::hide(ask),
        CallKind::CommentDelete => comments::delete(ask),
        CallKind::Conversion => conversions::take(ask),
        CallKind::TemplateSubmit => templates::submit(ask),
        CallKind::TemplateRead => templates::list(&ask).into(),
        CallKind::Insights => insights::read(&ask).into(),
        CallKind::Other => {
            let method = ask.request.method.as_str().to_lowercase();
            Err(GraphError::unsupported(ask.request.segment(0), &method)).into()
        }
    }
}

fn trace_id(world: &World) -> String {
    let count = world.calls.count(None, None).to_string();
    format!("A{}", crate::ids::digits(world.seed, &["trace", &count], 22))
}
