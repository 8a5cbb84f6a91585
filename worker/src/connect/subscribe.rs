//! Webhooks of an account that was just connected.

use facts::accounts::Connected;
use graph::{Call, Graph, GraphError, Lane};
use serde_json::Value;

/// Subscribes an account to the webhook fields it needs, and to those it has: a POST replaces the list.
///
/// # Errors
/// Why Meta refused; what was subscribed before still is.
pub(super) async fn subscribe(graph: &Graph, connected: &Connected) -> Result<(), GraphError> {
    let mut fields = graph.subscribed_fields(connected).await?;
    for wanted in graph::fields_wanted(&connected.account) {
        if !fields.iter().any(|field| field == wanted) {
            fields.push((*wanted).to_owned());
        }
    }
    let path = [graph::node(&connected.account), "subscribed_apps"];
    let query = [("subscribed_fields", fields.join(","))];
    let query: Vec<(&str, &str)> =
        query.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let call = Call::new("subscription", Lane::Reply);
    graph.post(connected, call, &path, &query, &Value::Object(serde_json::Map::new())).await?;
    Ok(())
}
