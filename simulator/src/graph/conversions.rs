//! ◆ Pure: the Conversions API (docs/meta-platform-2.md 19): what comes twice counts twice, and one wrong event refuses its request.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::ask::{After, Ask, Done};
use super::error::GraphError;
use crate::model::{Host, Login};
use crate::world::Conversion;

const AGE_MAX: TimeDelta = TimeDelta::days(7);

pub(super) fn take(ask: Ask<'_>) -> Done {
    let dataset = ask.request.segment(0).to_owned();
    let by_facebook =
        ask.world.spec(&ask.account).is_some_and(|spec| spec.login == Login::Facebook);
    if ask.request.host != Host::Facebook || !by_facebook {
        return Err(GraphError::unsupported(&dataset, "post")).into();
    }
    let events = ask.request.params.get("data").and_then(Value::as_array).cloned();
    let Some(events) = events.filter(|events| !events.is_empty()) else {
        return Err(GraphError::parameter("The parameter data is required")).into();
    };
    if let Some(error) = events.iter().find_map(|event| wrong(event, ask.now.timestamp())) {
        return Err(error).into();
    }
    let code = ask.request.text("test_event_code");
    // An answer in part: what Meta has counted, nobody says.
    let partial = ask.world.partial_conversions > 0;
    ask.world.partial_conversions = ask.world.partial_conversions.saturating_sub(1);
    let taken = if partial { 0 } else { events.len() };
    for event in events.into_iter().take(taken) {
        let (dataset, test_event_code) = (dataset.clone(), code.clone());
        ask.world.conversions.push(Conversion { dataset, event, test_event_code });
    }
    let messages: &[&str] =
        if partial { &["an event carries a parameter that was ignored"] } else { &[] };
    Done {
        answer: Ok(json!({
            "events_received": taken, "messages": messages, "fbtrace_id": "ASimulatedTraceId0000000",
        })),
        created: (taken > 0).then(|| format!("{dataset}/{}", ask.world.conversions.len())),
        after: After::Nothing,
    }
}

fn wrong(event: &Value, now: i64) -> Option<GraphError> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let time = event["event_time"].as_i64().unwrap_or_default();
    if time < now - AGE_MAX.num_seconds() || now + 60 < time {
        return Some(GraphError::event_too_old());
    }
    let user = event["user_data"].as_object();
    if text("event_name").is_empty() || user.is_none_or(serde_json::Map::is_empty) {
        return Some(GraphError::event_invalid());
    }
    let custom = &event["custom_data"];
    let priced = custom["currency"].is_string() && custom["value"].is_number();
    if text("event_name") == "Purchase" && !priced {
        return Some(GraphError::event_invalid());
    }
    let of_thread = match text("messaging_channel") {
        "messenger" => &event["user_data"]["page_scoped_user_id"],
        "instagram" => &event["user_data"]["ig_sid"],
        _ => &event["user_data"],
    };
    (text("action_source") == "business_messaging" && of_thread.is_null())
        .then(GraphError::event_invalid)
}
