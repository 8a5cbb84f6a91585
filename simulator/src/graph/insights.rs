//! ◆ Pure: `…/insights` with its habits (docs/meta-platform-2.md 18): one wrong metric fails the whole request, what is missing is left out,
//! a story with few viewers shows nothing.

use serde_json::{Value, json};

use super::ask::Ask;
use super::error::GraphError;
use crate::ids;

/// Below this, Meta shows no figures of a story.
const VIEWERS_MIN: u32 = 5;

const ACCOUNT: [&str; 19] = [
    "reach",
    "views",
    "accounts_engaged",
    "total_interactions",
    "likes",
    "comments",
    "saves",
    "shares",
    "reposts",
    "replies",
    "follows_and_unfollows",
    "profile_links_taps",
    "follower_demographics",
    "engaged_audience_demographics",
    "reached_audience_demographics",
    "follower_count",
    "online_followers",
    "profile_views",
    "website_clicks",
];
/// Of a feed post: what reels alone have is refused.
const MEDIA: [&str; 11] = [
    "views",
    "reach",
    "shares",
    "total_interactions",
    "reposts",
    "likes",
    "comments",
    "saved",
    "follows",
    "profile_visits",
    "profile_activity",
];
const STORY: [&str; 10] = [
    "views",
    "reach",
    "shares",
    "total_interactions",
    "reposts",
    "follows",
    "profile_visits",
    "profile_activity",
    "navigation",
    "replies",
];
/// The account has few followers: no figures about them.
const EMPTY: [&str; 4] = [
    "follower_demographics",
    "engaged_audience_demographics",
    "reached_audience_demographics",
    "online_followers",
];

enum Object {
    Account,
    Media,
    Story,
}

pub(super) fn read(ask: &Ask<'_>) -> Result<Value, GraphError> {
    let node = ask.request.segment(0);
    let media = ask.world.media.get(node).filter(|media| media.account == ask.account);
    let story = ask.world.stories.get(node).filter(|story| story.account == ask.account);
    let (object, known): (Object, &[&str]) = match (media, story) {
        (Some(_), _) => (Object::Media, &MEDIA),
        (None, Some(_)) => (Object::Story, &STORY),
        (None, None) if ask.names_account(node) && ask.instagram() => (Object::Account, &ACCOUNT),
        (None, None) => return Err(GraphError::unsupported(node, "get")),
    };
    let metrics = ask.request.text("metric").unwrap_or_default();
    let metrics: Vec<&str> = metrics.split(',').filter(|name| !name.is_empty()).collect();
    if metrics.is_empty() {
        return Err(GraphError::parameter("The parameter metric is required"));
    }
    if let Some(at) = metrics.iter().position(|name| !known.contains(name)) {
        return Err(GraphError::parameter(&format!(
            "metric[{at}] must be one of the following values: {}",
            known.join(", ")
        )));
    }
    if story.is_some_and(|story| story.viewers < VIEWERS_MIN) {
        return Err(GraphError::too_few_viewers());
    }
    let shown = metrics.iter().filter(|name| !EMPTY.contains(name));
    let data: Vec<Value> = shown.map(|name| figure(ask, &object, node, name)).collect();
    Ok(json!({ "data": data }))
}

fn figure(ask: &Ask<'_>, object: &Object, node: &str, name: &str) -> Value {
    let digits = ids::digits(ask.world.seed, &["insight", node, name], 3);
    let value: u64 = digits.parse().unwrap_or_default();
    let asked = ask.request.text("period");
    let period = match object {
        Object::Account => asked.as_deref().unwrap_or("day"),
        Object::Media | Object::Story => "lifetime",
    };
    let mut item = json!({
        "name": name, "period": period, "title": name, "description": "Simulated.",
        "id": format!("{node}/insights/{name}/{period}"),
    });
    let breakdown = ask.request.text("breakdown");
    let total = || match &breakdown {
        Some(dimension) => json!({"breakdowns": [{
            "dimension_keys": [dimension],
            "results": [{"dimension_values": ["FOLLOWER"], "value": value}],
        }]}),
        // Its value is in the breakdown alone.
        None if name == "follows_and_unfollows" => json!({}),
        None => json!({"value": value}),
    };
    match object {
        Object::Account if ask.request.text("metric_type").as_deref() == Some("total_value") => {
            item["total_value"] = total();
        }
        Object::Account => {
            let end_time = crate::payload::graph_time(ask.now);
            item["values"] = json!([{"value": value, "end_time": end_time}]);
        }
        Object::Media | Object::Story => {
            item["values"] = json!([{"value": value}]);
            if breakdown.is_some() {
                item["total_value"] = total();
            }
        }
    }
    item
}
